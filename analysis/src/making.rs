//! What a campaign was made with, as far as its records say.
//!
//! *Assumes* the manifests of its runs. *Guarantees* that nothing is taken from the machine that
//! analyses, and that what differed within one campaign is seen as such.

use std::collections::{BTreeMap, BTreeSet};

use results::{CampaignDir, Manifest, StudyDir};

use crate::arms::MeasuredRun;
use crate::statistics::quantile;
use crate::study;

/// What a campaign was made with.
#[derive(Debug, Clone)]
pub struct Making {
    /// By what it is; of each every value that occurs, sorted.
    aspects: BTreeMap<Aspect, BTreeSet<String>>,
    /// The lines of the scenario that are more than comment.
    scenario: Vec<String>,
}

/// What two campaigns can differ in, in the order in which a reader wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Name of the scenario.
    Scenario,
    /// Implementation of the routers and its version.
    Router,
    /// Configured MRAI.
    Mrai,
    /// Realised MRAI.
    RealisedMrai,
    /// Implementation of the injector and its version.
    Injector,
    /// Version and commit of flaplab.
    Flaplab,
    /// Name, CPUs, memory and kernel.
    Machine,
    /// The most labs that were up at a time.
    Labs,
    /// Whether each run had a lab of its own.
    LabsReused,
    /// For what share of the time tasks waited for a CPU, in the median run.
    Pressure,
    /// Sysctls in the labs.
    Sysctls,
    /// When its runs were made.
    Days,
    /// Lines of the scenario that the other's has not.
    ScenarioLines,
}

impl Aspect {
    /// As a reader sees it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Router => "router",
            Self::Mrai => "MRAI, configured",
            Self::RealisedMrai => "MRAI, realised",
            Self::Injector => "injector",
            Self::Flaplab => "flaplab",
            Self::Machine => "machine",
            Self::Labs => "labs at a time",
            Self::LabsReused => "a lab is for",
            Self::Pressure => "CPU pressure, median",
            Self::Sysctls => "sysctls",
            Self::Days => "made on",
            Self::ScenarioLines => "scenario.yaml",
        }
    }
}

/// One aspect of two campaigns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Which.
    pub aspect: Aspect,
    /// Of the first.
    pub a: Vec<String>,
    /// Of the second.
    pub b: Vec<String>,
}

impl Made {
    /// Whether it is the same in both.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.a == self.b
    }
}

impl Making {
    pub(crate) fn of(campaign: &CampaignDir, runs: &[MeasuredRun]) -> Self {
        let manifests: Vec<&Manifest> = runs.iter().filter_map(|r| r.manifest.as_ref()).collect();
        let mut aspects: BTreeMap<Aspect, BTreeSet<String>> = BTreeMap::new();
        let mut say = |aspect, value| {
            aspects.entry(aspect).or_default().insert(value);
        };
        for m in &manifests {
            say(Aspect::Scenario, m.scenario.clone());
            say(Aspect::Router, format!("{} {}", m.router, m.router_version));
            say(Aspect::Mrai, format!("{} s", m.mrai_s));
            say(
                Aspect::Injector,
                format!("{} {}", m.injector, m.injector_version),
            );
            say(
                Aspect::Flaplab,
                format!("{} ({})", m.tool_version, m.tool_commit),
            );
            say(
                Aspect::Machine,
                format!(
                    "{}: {} CPUs, {:.0} GiB, Linux {}",
                    m.host.name,
                    m.host.cpus,
                    m.host.memory_mib as f64 / 1024.0,
                    m.host.kernel
                ),
            );
            let lab = match m.shared_lab {
                None => "one run",
                Some(_) => "several runs, one after the other",
            };
            say(Aspect::LabsReused, lab.to_owned());
            for (key, value) in &m.sysctls {
                say(Aspect::Sysctls, format!("{key} = {value}"));
            }
            say(Aspect::Days, m.started_at.chars().take(10).collect());
        }
        if let Some(mrai) = realised(campaign, &manifests) {
            say(Aspect::RealisedMrai, mrai);
        }
        if let Some(labs) = labs(&manifests) {
            say(Aspect::Labs, labs.to_string());
        }
        if let Some(share) = median_pressure(&manifests) {
            say(
                Aspect::Pressure,
                format!("{:.0} % of the time", share * 100.0),
            );
        }
        Self {
            aspects,
            scenario: significant(&campaign.scenario_text().unwrap_or_default()),
        }
    }

    fn get(&self, aspect: Aspect) -> Vec<String> {
        self.aspects
            .get(&aspect)
            .map_or_else(Vec::new, |values| values.iter().cloned().collect())
    }

    /// Whether the runs of this one campaign differ in it.
    pub(crate) fn is_mixed(&self, aspect: Aspect) -> bool {
        self.aspects.get(&aspect).is_some_and(|v| v.len() > 1)
    }
}

/// Every aspect of two campaigns, those that differ with what is different alone.
pub(crate) fn compare(a: &Making, b: &Making) -> Vec<Made> {
    let kinds: BTreeSet<Aspect> = a.aspects.keys().chain(b.aspects.keys()).copied().collect();
    let mut made: Vec<Made> = kinds
        .into_iter()
        .map(|aspect| {
            let (mut a, mut b) = (a.get(aspect), b.get(aspect));
            if aspect == Aspect::Sysctls && a != b {
                let (only_a, only_b) = (without(&a, &b), without(&b, &a));
                (a, b) = (only_a, only_b);
            }
            Made { aspect, a, b }
        })
        .collect();
    let (only_a, only_b) = (
        without(&a.scenario, &b.scenario),
        without(&b.scenario, &a.scenario),
    );
    made.push(Made {
        aspect: Aspect::ScenarioLines,
        a: only_a,
        b: only_b,
    });
    made
}

/// What is in the one and not in the other.
fn without(these: &[String], those: &[String]) -> Vec<String> {
    these
        .iter()
        .filter(|t| !those.contains(t))
        .cloned()
        .collect()
}

/// The lines of a scenario without comments and the space around them.
fn significant(scenario: &str) -> Vec<String> {
    scenario
        .lines()
        .map(|line| match line.split_once(" #") {
            _ if line.trim_start().starts_with('#') => "",
            Some((said, _)) => said,
            None => line,
        })
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// What MRAI its routers realise: of its own runs, or of the probe of the study that it is a part of.
fn realised(campaign: &CampaignDir, manifests: &[&Manifest]) -> Option<String> {
    let own = manifests.iter().find_map(|m| m.realised_mrai.as_ref());
    if let Some(own) = own {
        return Some(study::realised_in_words(own));
    }
    let path = campaign.path().canonicalize().ok()?;
    let study = StudyDir::find(path.parent()?).ok()??;
    study::realised_mrai(&study)
}

/// The most labs that there were at a failure; of records from before that was noted, the most whose
/// runs overlap.
fn labs(manifests: &[&Manifest]) -> Option<usize> {
    let noted = manifests.iter().filter_map(|m| m.jobs?.at_failure).max();
    noted.or_else(|| Some(most_at_a_time(manifests)).filter(|labs| *labs > 0))
}

fn median_pressure(manifests: &[&Manifest]) -> Option<f64> {
    let of_run = |m: &&Manifest| m.machine.as_ref()?.cpu_pressure_share;
    let mut shares: Vec<f64> = manifests.iter().filter_map(of_run).collect();
    shares.sort_unstable_by(f64::total_cmp);
    (!shares.is_empty()).then(|| quantile(&shares, 0.5))
}

/// The most runs of which one began before another had ended, to the second.
fn most_at_a_time(manifests: &[&Manifest]) -> usize {
    // Times are of one form, RFC 3339 in UTC, whose first 19 characters sort as time does.
    let second = |time: &str| time.chars().take(19).collect::<String>();
    let mut ends: Vec<(String, bool)> = Vec::new();
    for m in manifests {
        if let Some(ended_at) = &m.ended_at {
            ends.push((second(&m.started_at), true));
            ends.push((second(ended_at), false));
        }
    }
    // At one second those that end come first.
    ends.sort();
    let (mut up, mut most) = (0usize, 0);
    for (_, begins) in ends {
        up = if begins { up + 1 } else { up.saturating_sub(1) };
        most = most.max(up);
    }
    most
}
