//! The specification in TLA+, checked.
