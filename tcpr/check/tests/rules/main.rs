//! Every rule: traces that keep it, and traces that break it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../script/mod.rs"]
mod script;

mod ending;
mod feedback;
mod opening;
mod output;
mod reading;
mod time;
