//! The programs in the binary `tcpr`.

pub mod bed;
pub mod bench;
pub mod check;
pub mod lock;
pub mod names;
pub mod nc;
pub mod proxy;
mod replace;
pub mod serve;
mod socket;
pub mod state;
