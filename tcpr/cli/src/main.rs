//! The program `tcpr`.
fn main() {}
