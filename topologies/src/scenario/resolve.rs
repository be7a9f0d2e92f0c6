//! From a scenario to one of its runs.
//!
//! *Assumes* a checked [`Scenario`]. *Guarantees* the same value for the same scenario, seed, arm
//! and run number, and that the runs of one number differ between arms in their strategy alone.

use super::Scenario;
use crate::addressing;
use crate::kinds::Strategy;
use crate::resolved::{FailureSettings, ResolvedScenario};
use crate::seed;

impl Scenario {
    /// One run, with everything drawn and decided.
    #[must_use]
    pub fn resolve(&self, strategy: Strategy, run_index: u32) -> ResolvedScenario {
        let seed = seed::run_seed(self.seed(), run_index);
        let router = self.router().clone();
        ResolvedScenario {
            scenario: self.name().to_owned(),
            topology_kind: self.topology_kind(),
            size: self.size(),
            strategy,
            run_index,
            seed,
            failure: FailureSettings {
                phase: seed::failure_phase(seed, router.mrai),
                ..self.failure
            },
            router,
            injector: self.injector.clone(),
            deadlines: self.deadlines,
            data_plane_probe: self.data_plane_probe,
            topology: addressing::allocate(
                &self.graph,
                self.primary,
                self.backup,
                self.destination,
                self.shuffle.then_some(seed),
            ),
        }
    }
}
