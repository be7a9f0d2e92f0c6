//! A checker of packet traces: could what a peer saw have come from one TCP that never failed?
//!
//! *Assumes* a trace of IP packets in the order in which one point of their path saw them, both
//! directions of a connection; what else is known of that point is said in [`Settings`].
//! *Guarantees* that nothing is called a violation that one TCP, the network and the capture can
//! bring about within these settings: packets may be lost, repeated, reordered, cut or joined by
//! offloading, sent again with other boundaries, and be missing from the trace. No file, no socket,
//! no clock; and none of the code of TCPR's core, which it is to judge.
//!
//! ```
//! use std::time::Duration;
//! use tcpr_check::{Settings, Trace};
//!
//! let mut trace = Trace::new(Settings::default());
//! let packet = [0x45, 0, 0, 20]; // as far as it was captured, from the IP header on
//! trace.packet(Duration::from_micros(17), &packet);
//! assert!(trace.finish().is_clean());
//! ```

#![forbid(unsafe_code)]

mod clock;
mod connection;
mod content;
mod ending;
mod feedback;
mod finding;
mod half;
mod opening;
mod output;
mod ranges;
mod rule;
mod segment;
mod settings;
mod trace;
mod verdict;

pub use finding::{Finding, Severity};
pub use rule::Rule;
pub use settings::{Captured, Place, Settings, Way};
pub use trace::Trace;
pub use verdict::{Course, End, Ending, Uncounted, Verdict};
