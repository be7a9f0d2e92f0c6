//! The program from end to end: real routers in real capsules, failures included.
//!
//! *Assumes* what `scripts/setup --test` installs, and user namespaces. *Guarantees* nothing
//! skipped: what is missing fails the test with its remedy. All of it is one program, so that its
//! tests, which mostly wait for timers of BGP, run side by side; nothing is left behind, and
//! addresses exist in capsules only.

// A test ends at what it did not expect.
#![allow(clippy::unwrap_used)]

mod busy_machine;
mod campaign;
mod cluster;
mod control;
mod failure_variants;
mod ground_truth;
mod injectors;
mod interrupted;
mod jobs;
mod killed;
mod misfortunes;
mod mrai;
mod outside;
mod path_failures;
mod processes;
mod program;
mod quagga;
mod recovery;
mod refusals;
mod reproduced;
mod resumed;
mod reused_lab;
mod slurm;
mod standing;
mod surroundings;
mod swept;
mod told;
mod wire;
