//! The channel `capsule`: JSON lines between flaplab and the lab agent.
//!
//! *Assumes* one process at each end, of the same build. *Guarantees* nothing about order but
//! that of the socket: an assignment first, then reports until `Ended`, and `End` at any time. After
//! the end of a run that was complete, a lab that carries several takes the next assignment.

use std::collections::BTreeMap;

use results::realised::RealisedMrai;
use results::{Clock, Finding, Machine, RecorderStats, Status};
use serde::{Deserialize, Serialize};
use topologies::ResolvedScenario;

use crate::doctor::Check;

/// What the agent is to do with the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Carry out a run and end.
    Run,
    /// Carry out a run; if it fails, leave the lab up until told to end.
    RunAndKeep,
    /// Bring the lab up and leave it up until told to end.
    Stay,
}

/// Where the directory of a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// It is the one that the capsule was given: the lab is for this run alone.
    Own,
    /// It is this one within the one that the capsule was given: the lab is left up for further runs.
    Within(String),
}

/// What the agent is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The run.
    pub scenario: ResolvedScenario,
    /// Its time base.
    pub clock: Clock,
    /// What for.
    pub purpose: Purpose,
    /// Where its records go.
    pub place: Place,
}

/// From flaplab to the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Begin.
    Assign(Box<Assignment>),
    /// Try what a lab needs of the kernel, and end.
    Examine,
    /// Close the records and end.
    End,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Namespaces, links and daemons are being made.
    BringUp,
    /// The sessions are coming up.
    Establish,
    /// The network is settling.
    Settle,
    /// The failure is waited for.
    Fail,
    /// The network is converging to the new quiet.
    Converge,
    /// A lab that is left up.
    Up,
}

/// From the agent to flaplab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// A stage begins, or has something new to tell.
    Progress {
        /// The stage.
        stage: Stage,
        /// In words.
        text: String,
    },
    /// The run failed and its lab is kept.
    Kept {
        /// Why it failed.
        error: String,
    },
    /// The run is over. Its lab is about to end, unless it was complete and the lab carries several.
    Ended(Box<Outcome>),
    /// What the kernel allows inside a capsule.
    Examined(Vec<Check>),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Complete, failed or aborted.
    pub status: Status,
    /// Why it failed.
    pub error: Option<String>,
    /// Everything found; also in `findings.jsonl`.
    pub findings: Vec<Finding>,
    /// What the recorders wrote and lost, by node.
    pub recorders: BTreeMap<String, RecorderStats>,
    /// What an MRAI probe measured.
    pub realised_mrai: Option<RealisedMrai>,
    /// How busy the machine was, if the run came to its failure.
    pub machine: Option<Machine>,
}
