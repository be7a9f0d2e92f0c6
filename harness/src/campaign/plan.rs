//! What a campaign is to do, what happens in it, and how it ended.
//!
//! *Assumes* nothing. *Guarantees* that whoever watches a campaign sees each attempt at a run begin and
//! end, and is told whether it counts.

use results::{DirError, Finding, Status};
use thiserror::Error;
use topologies::{Cell, Scenario, Strategy};

use crate::jobs::Jobs;
use crate::jobs::controller::Decision;
use crate::judge::Judge;
use crate::protocol::Stage;
use crate::resume::ResumeError;
use crate::versions::VersionError;

/// Why a campaign could not go on.
#[derive(Debug, Error)]
pub enum CampaignError {
    /// A program is missing.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The campaign's directory.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// What is in it already.
    #[error(transparent)]
    Resume(#[from] ResumeError),
}

/// What happens in a campaign.
#[derive(Debug, Clone, PartialEq)]
pub enum CampaignEvent {
    /// A campaign that was begun before goes on.
    Resumed {
        /// Number of runs that are complete and valid, of those asked for.
        there: usize,
        /// Names of attempts that were interrupted and moved to `abandoned/`.
        abandoned: Vec<String>,
        /// Names of the runs that have no valid attempt, and none left to be made.
        spent: Vec<String>,
        /// In what those that are complete were made otherwise than those to come.
        otherwise: Vec<String>,
    },
    /// How many labs are up at a time from now on, where that is flaplab's own decision.
    Jobs(Decision),
    /// An attempt at a run begins.
    Begun {
        /// Its name.
        run_id: String,
        /// Its arm.
        strategy: Strategy,
        /// Its cell of the matrix.
        cell: Cell,
    },
    /// A run tells how far it is.
    Progress {
        /// Its name.
        run_id: String,
        /// The stage.
        stage: Stage,
        /// In words.
        text: String,
    },
    /// A run failed, and its lab is kept until `End`.
    Kept {
        /// Its name.
        run_id: String,
        /// Why it failed.
        error: String,
        /// Process 1 of its capsule.
        init_pid: i32,
        /// Names of its nodes.
        nodes: Vec<String>,
    },
    /// An attempt at a run ended.
    Ended {
        /// Its name: the run's, with the attempt's number from the second on.
        run_id: String,
        /// Number of the attempt, from 1.
        attempt: u32,
        /// Complete, failed or aborted.
        status: Status,
        /// Why it failed.
        error: Option<String>,
        /// Everything found, by the harness and by the judge.
        findings: Vec<Finding>,
        /// Whether its figures count.
        valid: bool,
        /// Whether the run is attempted again.
        again: bool,
    },
}

/// What a campaign is to do.
#[derive(Debug, Clone)]
pub struct CampaignPlan {
    /// The scenario, with its overrides.
    pub scenario: Scenario,
    /// Who tells whether a run is valid.
    pub judge: Judge,
    /// How often a run is made again while it is failed or invalid.
    pub repeats: u32,
    /// Names of the only runs to be made; none: all of the scenario's.
    pub only: Option<Vec<String>>,
    /// Labs at a time.
    pub jobs: Jobs,
    /// Whether a failed lab is left up.
    pub keep: bool,
    /// Version of flaplab, for the manifests.
    pub tool_version: String,
    /// Commit of flaplab, for the manifests.
    pub tool_commit: String,
}

/// How the runs of a campaign ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Complete and valid when the campaign was gone on with.
    pub there: usize,
    /// Without a valid attempt when the campaign was gone on with, and none left to be made.
    pub spent: usize,
    /// Complete and valid.
    pub complete: usize,
    /// Complete, and invalid in every attempt.
    pub invalid: usize,
    /// Failed in the last attempt, and not valid in any.
    pub failed: usize,
    /// Aborted.
    pub aborted: usize,
    /// Never begun, because the campaign was stopped.
    pub left: usize,
}
