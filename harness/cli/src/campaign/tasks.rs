//! Which task makes which runs: pure.
//!
//! *Assumes* runs in the order in which one machine would make them. *Guarantees* that each run
//! is of one task, and that a task's runs are neighbours in that order, so that arms stay
//! interleaved within a task and a slow node hits all of them alike.

use std::num::NonZeroUsize;

/// Runs of a task if nobody says otherwise: enough that starting it is nothing beside its runs,
/// few enough that a lost node costs little.
const RUNS: usize = 8;
/// Tasks of a job array that every cluster takes: Slurm's MaxArraySize is 1001 by default, and counts
/// from 0.
const TASKS: usize = 1000;

/// The runs of each task.
pub(crate) fn tasks(missing: &[String], runs_per_task: Option<NonZeroUsize>) -> Vec<Vec<String>> {
    let size = runs_per_task.map_or_else(
        || RUNS.max(missing.len().div_ceil(TASKS)),
        NonZeroUsize::get,
    );
    missing.chunks(size).map(<[String]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("none-{i:04}")).collect()
    }

    #[test]
    fn every_run_is_of_one_task_and_the_order_stays() {
        let runs = runs(7);
        let tasks = tasks(&runs, NonZeroUsize::new(3));
        let sizes: Vec<usize> = tasks.iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 3, 1]);
        assert_eq!(tasks.concat(), runs);
    }

    #[test]
    fn a_large_campaign_has_no_more_tasks_than_a_cluster_takes() {
        assert_eq!(tasks(&runs(8), None).len(), 1);
        assert_eq!(tasks(&runs(9), None).len(), 2);
        assert_eq!(tasks(&runs(8000), None).len(), 1000);
        assert_eq!(tasks(&runs(8001), None).len(), 889);
    }

    #[test]
    fn where_nothing_is_missing_there_is_no_task() {
        assert_eq!(tasks(&[], None).len(), 0);
    }
}
