//! The run-directory format of flaplab: types, writer, reader.
//!
//! *Assumes* that only the harness writes, and only before a run is sealed. *Guarantees* that
//! what one version wrote, the reader of the same schema version reads on any machine; how the
//! data was made, and what it means, is no matter of this crate.

pub mod attempt;
pub mod benchmark;
pub mod bgp;
pub mod campaign;
pub mod event;
pub mod finding;
pub mod log;
pub mod machine;
pub mod manifest;
pub mod merge;
pub mod pcapfile;
pub mod probe;
pub mod publication;
pub mod realised;
pub mod reference;
pub mod rtmon;
pub mod rundir;
pub mod storage;
pub mod study;

pub use campaign::{CampaignDir, ClaimedCampaign};
pub use event::{Event, EventKind, LinkRef, Phase};
pub use finding::{Finding, FindingKind, Severity};
pub use log::{BrokenLine, EventLog, FindingLog, Lines};
pub use machine::Machine;
pub use manifest::{
    Clock, Host, LabCost, LabsAtATime, Manifest, OLDEST_SCHEMA_VERSION, RecorderStats,
    SCHEMA_VERSION, SharedLab, Status,
};
pub use realised::RealisedMrai;
pub use rundir::RunDir;
pub use storage::{DirError, Lock};
pub use study::StudyDir;
