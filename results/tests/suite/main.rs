//! Tests of the run-directory format against other implementations of the same formats: `ip`
//! and `rtmon` of iproute2, tshark, and another BGP codec.
#![allow(clippy::unwrap_used)]

mod benchmarks;
mod bgp_messages;
mod bgp_real;
mod bgp_stream_properties;
mod bgp_streams;
mod bgp_tshark;
mod merges;
mod pcap_files;
mod probe_records;
mod reference_figures;
mod rtmon_iproute;
mod rtmon_records;
mod run_directory;
mod samples;
mod speaker;
mod tools;
