//! Tests of the analysis, from hand-made records whose right answers are computed by hand.

#![allow(clippy::unwrap_used)]

mod browser;
mod by_hand;
mod campaign;
mod cells;
mod contrast;
mod damage;
mod differences;
mod disk;
mod effects;
mod export;
mod figures;
mod kernel;
mod needed;
mod network;
mod page;
mod probe;
mod probe_records;
mod properties;
mod replay;
mod statistics;
mod study;
mod tables;
mod timing;
