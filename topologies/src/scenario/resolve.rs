//! From a scenario to one of its runs.
//!
//! *Assumes* a checked [`Scenario`]. *Guarantees* the same value for the same scenario, seed, cell,
//! arm and run number; that the runs of one number differ between arms in their strategy alone; and
//! an order of runs in which a drift of the machine hits all arms and cells alike.

use super::{Scenario, Settings};
use crate::addressing;
use crate::cell::Cell;
use crate::kinds::Strategy;
use crate::resolved::{FailureSettings, ResolvedScenario};
use crate::seed;

impl Scenario {
    /// One run of the first cell (the only one without a matrix), with everything drawn and decided.
    #[must_use]
    pub fn resolve(&self, strategy: Strategy, run_index: u32) -> ResolvedScenario {
        self.resolve_settings(self.first(), strategy, run_index)
    }

    /// One run of a cell; none if the scenario has no such cell.
    #[must_use]
    pub fn resolve_in(
        &self,
        cell: &Cell,
        strategy: Strategy,
        run_index: u32,
    ) -> Option<ResolvedScenario> {
        let settings = self.cells.iter().find(|s| s.cell == *cell)?;
        Some(self.resolve_settings(settings, strategy, run_index))
    }

    /// The seed of the runs of a number, the same in all cells and arms.
    #[must_use]
    pub fn run_seed(&self, run_index: u32) -> u64 {
        seed::run_seed(self.seed(), run_index)
    }

    /// Number of runs in all.
    #[must_use]
    pub fn total_runs(&self) -> usize {
        self.runs() as usize * self.cells.len() * self.strategies().len()
    }

    /// All runs, in the order in which they are made: by number, then by cell, then by arm.
    pub fn resolve_all(&self) -> impl Iterator<Item = ResolvedScenario> {
        (0..self.runs()).flat_map(move |run_index| {
            self.cells.iter().flat_map(move |settings| {
                let strategies = self.strategies().iter();
                strategies.map(move |s| self.resolve_settings(settings, *s, run_index))
            })
        })
    }

    fn resolve_settings(
        &self,
        settings: &Settings,
        strategy: Strategy,
        run_index: u32,
    ) -> ResolvedScenario {
        let seed = self.run_seed(run_index);
        let router = settings.router.clone();
        ResolvedScenario {
            scenario: self.name().to_owned(),
            cell: settings.cell.clone(),
            topology_kind: settings.topology_kind,
            size: settings.graph.size(),
            strategy,
            run_index,
            seed,
            failure: FailureSettings {
                phase: seed::failure_phase(seed, router.mrai),
                ..settings.failure
            },
            router,
            injector: settings.injector.clone(),
            deadlines: settings.deadlines,
            data_plane_probe: settings.data_plane_probe,
            fresh: settings.fresh,
            topology: addressing::allocate(
                &settings.graph,
                settings.primary,
                settings.backup,
                settings.destination,
                settings.shuffle.then_some(seed),
            ),
        }
    }
}
