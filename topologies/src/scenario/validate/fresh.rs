//! Whether a lab may carry several runs.
//!
//! *Assumes* a failure, a network and a probe that passed their own checks. *Guarantees* that a lab is
//! shared only by runs that each leave it as they found it, and that are of one and the same network.

use super::Checked;
use crate::kinds::{FailureKind, FailureTime};
use crate::resolved::FailureSettings;
use crate::scenario::authored::At;
use crate::scenario::refusal::Flaw;

pub(super) fn fresh(
    authored: Option<At<bool>>,
    failure: &FailureSettings,
    shuffle: bool,
    data_plane_probe: bool,
) -> Checked<bool> {
    let Some(shared) = authored.filter(|fresh| !fresh.value) else {
        return Ok(true);
    };
    let refuse = |why: String, remedy: &str| {
        let problem = format!("`fresh: false` makes one lab carry several runs, and {why}");
        Err(Flaw::new(shared.place, problem, remedy))
    };
    if let Some(what) = what_stays(failure.kind) {
        return refuse(
            format!("failure `{}` {what}", failure.kind),
            "remove `fresh`, or use failure `control`, after which the lab is as it was",
        );
    }
    if failure.when == FailureTime::InitialTransfer {
        return refuse(
            "only the first of them would fail within the initial transfer".to_owned(),
            "remove `fresh`, or remove `failure: {when: initial-transfer}`",
        );
    }
    if shuffle {
        return refuse(
            "with `shuffle` each run has router ids and addresses of its own".to_owned(),
            "remove `fresh`, or write `topology: {shuffle: false}`",
        );
    }
    if data_plane_probe {
        return refuse(
            "the data-plane probe numbers the packets of one run".to_owned(),
            "remove `fresh`, or remove `data_plane_probe`",
        );
    }
    Ok(false)
}

/// What keeps a lab from being had again after a failure.
const fn what_stays(kind: FailureKind) -> Option<&'static str> {
    match kind {
        FailureKind::Control => None,
        FailureKind::Forwarding | FailureKind::Correlated => {
            Some("loses the path to the destination for good")
        }
        FailureKind::Link => Some("loses a link for good"),
        FailureKind::MraiProbe => Some("has rounds of its own in one run"),
    }
}
