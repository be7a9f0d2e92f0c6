//! The programs in the binary `tcpr`.
