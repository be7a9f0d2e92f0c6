//! Any octets as what comes in at the side channel: lines, messages and datagrams.
//!
//! *Assumes* nothing of the octets.
//! *Guarantees* that a panic, or octets taken that nobody has sealed, is found.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| tcpr::protocol::side_channel(octets));
