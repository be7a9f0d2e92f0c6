//! A campaign: the runs of one scenario over its arms, some at a time, each in a capsule of its
//! own.
//!
//! *Assumes* a tokio runtime. *Guarantees* that a directory which is no campaign of this scenario is
//! never written to, that a campaign which is there is gone on with where it ended, that every run
//! that was begun ends with a manifest that says how, and that arms are interleaved, so that a
//! drift of the machine hits all alike.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use results::{
    CampaignDir, ClaimedCampaign, Clock, DirError, Finding, Manifest, RunDir, SCHEMA_VERSION,
    Status,
};
use thiserror::Error;
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use topologies::{ResolvedScenario, Scenario};

use crate::capsule::{Capsule, SpawnError};
use crate::clock;
use crate::jobs::controller::Decision;
use crate::jobs::{Jobs, Slot, Slots};
use crate::machine::foreign;
use crate::network::SYSCTLS;
use crate::protocol::{Assignment, Order, Outcome, Purpose, Report, Stage};
use crate::resume::{self, Make, ResumeError, Resumed};
use crate::versions::{self, VersionError, Versions};

/// How long a lab may take to close its records once it is told to.
const CLOSING: Duration = Duration::from_secs(20);

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
        /// Number of runs that are complete, of those asked for.
        there: usize,
        /// Names of those that were interrupted and moved to `abandoned/`.
        abandoned: Vec<String>,
        /// In what those that are complete were made otherwise than those to come.
        otherwise: Vec<String>,
    },
    /// How many labs are up at a time from now on, where that is flaplab's own decision.
    Jobs(Decision),
    /// A run begins.
    Begun {
        /// Its name.
        run_id: String,
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
    },
    /// A run ended.
    Ended {
        /// Its name.
        run_id: String,
        /// Complete, failed or aborted.
        status: Status,
        /// Why it failed.
        error: Option<String>,
        /// Everything found.
        findings: Vec<Finding>,
    },
}

/// What a campaign is to do.
#[derive(Debug, Clone)]
pub struct CampaignPlan {
    /// The scenario, with its overrides.
    pub scenario: Scenario,
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
    /// Complete when the campaign was gone on with.
    pub there: usize,
    /// Complete; the analysis judges whether they are valid.
    pub complete: usize,
    /// Failed.
    pub failed: usize,
    /// Aborted.
    pub aborted: usize,
    /// Never begun, because the campaign was stopped.
    pub left: usize,
}

struct Shared {
    plan: CampaignPlan,
    campaign: ClaimedCampaign,
    versions: Versions,
    /// Labs come up one at a time, or a few where there are more CPUs: sixteen at once would only
    /// share the CPUs, and disturb the labs that are being measured for longer.
    bring_up: Semaphore,
    /// The places for labs, taken by whoever may come up.
    slots: Slots,
    events: mpsc::UnboundedSender<CampaignEvent>,
    stop: watch::Receiver<bool>,
    release: broadcast::Sender<String>,
    /// No more runs are begun, because the campaign's directory takes none.
    halted: AtomicBool,
}

/// All runs of a scenario in the order in which they are made: arms are interleaved.
#[must_use]
pub fn runs(scenario: &Scenario) -> Vec<ResolvedScenario> {
    let strategies = scenario.strategies();
    (0..scenario.runs())
        .flat_map(|i| strategies.iter().map(move |s| (*s, i)))
        .map(|(strategy, i)| scenario.resolve(strategy, i))
        .collect()
}

/// Carries out a campaign into the directory `out`, or what is missing of it there. When `stop`
/// becomes true, runs under way are closed in order and no more are begun. The name of a run on
/// `release` ends its kept lab.
///
/// # Errors
/// If a program is missing, or the directory is another's, in use, or cannot be written. A run that
/// fails is no error: it is counted.
pub async fn carry_out(
    plan: CampaignPlan,
    out: &Path,
    events: mpsc::UnboundedSender<CampaignEvent>,
    stop: watch::Receiver<bool>,
    release: broadcast::Sender<String>,
) -> Result<Tally, CampaignError> {
    let mut runs = runs(&plan.scenario);
    if let Some(only) = &plan.only {
        runs.retain(|run| only.contains(&run.run_id()));
    }
    let Some(first) = runs.first() else {
        return Ok(Tally::default());
    };
    let versions = versions::versions(first)?;
    let campaign = CampaignDir::claim(out, plan.scenario.text())?;
    let slots = Slots::new(plan.jobs, first);
    let mut tally = Tally::default();
    let resumed = if campaign.resumed {
        Some(resume::resume(&campaign.dir, &plan.scenario, runs.clone())?)
    } else {
        None
    };
    let shared = Arc::new(Shared {
        plan,
        campaign,
        versions,
        bring_up: Semaphore::new(slots.bring_ups()),
        slots,
        events,
        stop,
        release,
        halted: AtomicBool::new(false),
    });
    let runs = match resumed {
        None => runs,
        Some(resumed) => {
            tally.there = resumed.there;
            shared.tell_resumed(&resumed);
            resumed.missing
        }
    };
    shared.tell_jobs(shared.slots.decision());
    let mut refused = None;
    // All of them, for the turn to come up is given in the order of asking, and then a place.
    let at_once = runs.len().max(1);
    let mut ended = stream::iter(runs)
        .map(|scenario| {
            let shared = Arc::clone(&shared);
            async move { shared.run(scenario).await }
        })
        .buffer_unordered(at_once);
    while let Some(result) = ended.next().await {
        match result {
            Ok(None) => tally.left += 1,
            Err(e) => {
                // Those that are under way end in order.
                shared.halted.store(true, Ordering::Relaxed);
                refused.get_or_insert(e);
            }
            Ok(Some(Status::Complete)) => tally.complete += 1,
            Ok(Some(Status::Aborted)) => tally.aborted += 1,
            Ok(Some(Status::Failed | Status::Running)) => tally.failed += 1,
        }
    }
    refused.map_or(Ok(tally), |e| Err(e.into()))
}

impl Shared {
    /// Carries out one run; tells how it ended, or `None` if the campaign was stopped before it
    /// began.
    async fn run(&self, scenario: ResolvedScenario) -> Result<Option<Status>, DirError> {
        let mut stop = self.stop.clone();
        if *stop.borrow() || self.halted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let permit = tokio::select! {
            permit = self.bring_up.acquire() => permit.ok(),
            _ = stop.wait_for(|s| *s) => return Ok(None),
        };
        let mut slot = tokio::select! {
            slot = self.slots.take() => slot,
            _ = stop.wait_for(|s| *s) => return Ok(None),
        };
        // A directory that takes no more runs was found while this one waited.
        if self.halted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let clock = clock::begin();
        let run_id = scenario.run_id();
        let mut manifest = self.manifest(&scenario, clock);
        let run = self.campaign.dir.create_run(&run_id)?;
        run.write_topology(&scenario.topology)?;
        run.write_scenario(&scenario)?;
        run.write_manifest(&manifest)?;
        // So that every run has both, also one whose lab never came up.
        run.event_log()?;
        run.finding_log()?;
        self.tell(CampaignEvent::Begun {
            run_id: run_id.clone(),
        });

        let outcome = self
            .in_capsule(&run, &run_id, scenario, clock, permit, &mut slot)
            .await;
        let mut outcome = outcome.unwrap_or_else(|e| Outcome {
            status: Status::Failed,
            error: Some(e.to_string()),
            findings: run.findings().map(|l| l.items).unwrap_or_default(),
            recorders: std::collections::BTreeMap::new(),
            realised_mrai: None,
            machine: None,
        });
        manifest.status = outcome.status;
        manifest.error = outcome.error.clone();
        manifest.ended_at = Some(Timestamp::now().to_string());
        manifest.recorders = outcome.recorders.clone();
        manifest.realised_mrai = outcome.realised_mrai.clone();
        manifest.machine = outcome.machine.clone();
        manifest.jobs = Some(slot.labs());
        manifest.lab_cost = Some(slot.cost());
        manifest.findings = outcome.findings.clone();
        if let Err(e) = run.seal(&manifest) {
            // The run counts as failed, and the others go on: what they record may be whole.
            outcome.status = Status::Failed;
            outcome.error = Some(match outcome.error {
                Some(own) => format!("{own}; and then: {e}"),
                None => e.to_string(),
            });
        }
        self.tell(CampaignEvent::Ended {
            run_id,
            status: outcome.status,
            error: outcome.error,
            findings: outcome.findings,
        });
        self.tell_jobs(slot.decision());
        Ok(Some(outcome.status))
    }

    async fn in_capsule(
        &self,
        run: &RunDir,
        run_id: &str,
        scenario: ResolvedScenario,
        clock: Clock,
        permit: Option<tokio::sync::SemaphorePermit<'_>>,
        slot: &mut Slot<'_>,
    ) -> Result<Outcome, SpawnError> {
        let mut permit = permit;
        let mut stop = self.stop.clone();
        let mut release = self.release.subscribe();
        let purpose = if self.plan.keep {
            Purpose::RunAndKeep
        } else {
            Purpose::Run
        };
        let mut capsule = Capsule::spawn(Some(run.path())).await?;
        let init_pid = capsule.init_pid();
        let assignment = Box::new(Assignment {
            scenario,
            clock,
            purpose,
        });
        capsule.send(&Order::Assign(assignment)).await?;
        let mut stopped = false;
        let mut deadline = None;
        let mut machine = foreign::Watch::default();
        let mut outcome = loop {
            let report = tokio::select! {
                report = capsule.receive() => report?,
                _ = stop.wait_for(|s| *s), if !stopped => {
                    stopped = true;
                    deadline = Some(tokio::time::Instant::now() + CLOSING);
                    capsule.send(&Order::End).await?;
                    continue;
                }
                released = release.recv(), if !stopped => {
                    if released.is_ok_and(|r| r == run_id) {
                        capsule.send(&Order::End).await?;
                    }
                    continue;
                }
                () = until(deadline) => {
                    return Err(SpawnError::Ended { stderr: "it did not close its records in time".to_owned() });
                }
            };
            match report {
                Report::Progress { stage, text } => {
                    if stage >= Stage::Settle && permit.take().is_some() {
                        self.tell_jobs(slot.came_up(init_pid));
                    }
                    if stage == Stage::Converge {
                        slot.failed();
                    }
                    if stage == Stage::Fail {
                        machine.begin();
                    }
                    self.tell(CampaignEvent::Progress {
                        run_id: run_id.to_owned(),
                        stage,
                        text,
                    });
                }
                Report::Kept { error } => {
                    permit = None;
                    machine.end();
                    self.tell(CampaignEvent::Kept {
                        run_id: run_id.to_owned(),
                        error,
                        init_pid,
                    });
                }
                Report::Ended(outcome) => break *outcome,
                Report::Examined(_) => {}
            }
        };
        drop(permit);
        // The next lab may begin while this one is closed.
        slot.end(init_pid, &outcome.findings);
        capsule.close().await?;
        // Now no process of this lab is about to end.
        machine.end();
        machine.tell(run, &mut outcome).await;
        Ok(outcome)
    }

    /// Tells what is there. Runs made by another flaplab or with another router stand beside ours in
    /// the same arm: that is said, too.
    fn tell_resumed(&self, resumed: &Resumed) {
        let next = resumed.missing.first().map(|run| {
            let clock = Clock {
                wall_minus_mono_ns: 0,
            };
            Make::of(&self.manifest(run, clock))
        });
        let otherwise = next.map_or_else(Vec::new, |ours| {
            let differ = resumed.makes.iter().flat_map(|m| m.differences(&ours));
            differ.collect()
        });
        self.tell(CampaignEvent::Resumed {
            there: resumed.there,
            abandoned: resumed.abandoned.clone(),
            otherwise,
        });
    }

    fn tell_jobs(&self, decision: Option<Decision>) {
        if let Some(decision) = decision {
            self.tell(CampaignEvent::Jobs(decision));
        }
    }

    /// If nobody listens, nobody wants to know.
    fn tell(&self, event: CampaignEvent) {
        let _ = self.events.send(event);
    }

    fn manifest(&self, scenario: &ResolvedScenario, clock: Clock) -> Manifest {
        Manifest {
            schema_version: SCHEMA_VERSION,
            run_id: scenario.run_id(),
            scenario: scenario.scenario.clone(),
            topology: scenario.topology_kind.to_string(),
            size: scenario.size,
            failure: scenario.failure.kind,
            strategy: scenario.strategy,
            run_index: scenario.run_index,
            seed: scenario.seed,
            failure_phase_s: scenario.failure.phase.as_secs_f64(),
            router: self.versions.router.clone(),
            router_version: self.versions.router_version.clone(),
            injector: self.versions.injector.clone(),
            injector_version: self.versions.injector_version.clone(),
            mrai_s: scenario.router.mrai.as_secs_f64(),
            realised_mrai: None,
            jobs: None,
            lab_cost: None,
            tool_version: self.plan.tool_version.clone(),
            tool_commit: self.plan.tool_commit.clone(),
            host: versions::host(),
            clock,
            sysctls: SYSCTLS
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            status: Status::Running,
            error: None,
            started_at: Timestamp::now().to_string(),
            ended_at: None,
            recorders: std::collections::BTreeMap::new(),
            machine: None,
            findings: Vec::new(),
        }
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
