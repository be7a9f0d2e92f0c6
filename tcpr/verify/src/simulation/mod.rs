//! The core between two stacks over a network that loses, doubles and reorders, with crashes: many runs.
