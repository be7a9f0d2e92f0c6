//! The study's own figures, to stand beside ours.
//!
//! *Assumes* the reference embedded in `results`. *Guarantees* that a published number is shown
//! only beside the experiment it was measured in (failure, graph, number of routers, MRAI), as
//! its text states it, with the figure, and with the router behind it.

use results::reference::{self, PublishedValue, surton2014};

use crate::arms::{Arm, Metric};

/// Why our figures and the study's need not agree.
pub(crate) const CAUTION: &str = "\
The study's figures stand beside ours to compare the shape; they need not agree. Every router
implementation does MRAI in its own way: with MRAI 5 s and a control failure, on one machine,
Quagga 0.99.22.4 converged in 11.5 s on average and FRR 8.4.4 in 4 to 6 s. A figure means
nothing without the router, its version and its MRAI.";

/// What the study has to say beside one arm.
pub(crate) struct Study {
    /// The routers behind its figures.
    pub(crate) router: String,
    /// The number of its runs.
    pub(crate) runs: String,
    arm: Key,
}

type Key = (topologies::FailureKind, topologies::Strategy);

/// The study's figures for the experiment that the arm is, if it made that one.
pub(crate) fn beside(arm: &Arm) -> Option<Study> {
    let study = surton2014();
    let m = &arm.manifest;
    let same = m.size == study.setup.routers && m.mrai_s == study.setup.mrai_s;
    let published = study.values.iter().any(|v| {
        v.failure == m.failure && v.strategy == m.strategy && v.topology.to_string() == m.topology
    });
    // What else a matrix varies, the study did not.
    let compared = [
        "router.mrai",
        "topology.size",
        "topology.kind",
        "failure.kind",
    ];
    let mut varied = m.cell.settings().iter().map(|s| s.key.as_str());
    let like_it = varied.all(|key| compared.contains(&key));
    (same && published && like_it).then(|| Study {
        router: format!(
            "{}{}, MRAI {} s",
            study.setup.router,
            study
                .setup
                .router_version
                .as_ref()
                .map_or(String::new(), |v| format!(" {v}")),
            study.setup.mrai_s
        ),
        runs: study.setup.runs.clone(),
        arm: (m.failure, m.strategy),
    })
}

impl Study {
    /// What it says of a metric.
    pub(crate) fn figure(&self, metric: Metric) -> String {
        let metric = match metric {
            Metric::Convergence => reference::Metric::ConvergenceS,
            Metric::Disconnected => reference::Metric::DisconnectedS,
            Metric::Updates => reference::Metric::UpdatesSent,
            _ => return "-".to_owned(),
        };
        surton2014()
            .value(self.arm.0, self.arm.1, metric)
            .map_or("-".to_owned(), in_words)
    }
}

fn in_words(v: &PublishedValue) -> String {
    // The column says seconds, or updates per router; whatever is counted otherwise says so.
    let unit = match v.unit.as_str() {
        "s" => String::new(),
        u if u.starts_with("updates per router") => String::new(),
        u => format!(" {}", u.replacen(" of ", "\nof ", 1)),
    };
    format!("{}{unit}\n(figure {})", v.stated(), v.figure)
}
