//! A campaign: the runs of one scenario over its arms, some at a time, each in a capsule of its
//! own, or several one after the other in one.
//!
//! *Assumes* a tokio runtime. *Guarantees* that a directory which is no campaign of this scenario is
//! never written to, that a campaign which is there is gone on with where it ended, that every run
//! that was begun ends with a manifest that says how, that one which is invalid is made again, so
//! often and no oftener, and that arms and cells are interleaved, so that a drift of the machine hits
//! all alike.

mod lab;
mod plan;
mod turns;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use results::attempt::attempt_id;
use results::{CampaignDir, ClaimedCampaign, Clock, DirError, Manifest, SCHEMA_VERSION, Status};
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use topologies::{ResolvedScenario, Scenario};

use self::lab::Lab;
pub use self::plan::{CampaignError, CampaignEvent, CampaignPlan, Tally};
use crate::clock;
use crate::jobs::Slots;
use crate::jobs::controller::Decision;
use crate::judge::Verdict;
use crate::network::SYSCTLS;
use crate::protocol::Outcome;
use crate::resume::{self, Make, Missing, Resumed};
use crate::versions::{self, AllVersions, Uses};

struct Shared {
    plan: CampaignPlan,
    campaign: ClaimedCampaign,
    versions: AllVersions,
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

/// All runs of a scenario in the order in which they are made: by number, then by cell, then by arm.
#[must_use]
pub fn runs(scenario: &Scenario) -> Vec<ResolvedScenario> {
    scenario.resolve_all().collect()
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
    // Places are for the largest lab that may come.
    let Some(largest) = runs.iter().max_by_key(|run| run.size) else {
        return Ok(Tally::default());
    };
    let slots = Slots::new(plan.jobs, largest);
    let versions = AllVersions::ask(&runs)?;
    let campaign = CampaignDir::claim(out, plan.scenario.text())?;
    let attempts = plan.repeats.saturating_add(1);
    let is_there = campaign.resumed;
    let resumed = if is_there {
        let (dir, plan) = (campaign.dir.clone(), plan.clone());
        let resuming = tokio::task::spawn_blocking(move || {
            resume::resume(&dir, &plan.scenario, runs, &plan.judge, attempts)
        });
        // It is not cancelled, and a panic in it is one here.
        let resumed = resuming.await;
        resumed.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?
    } else {
        let first = |scenario| Missing::first(scenario, attempts);
        Resumed {
            missing: runs.into_iter().map(first).collect(),
            ..Resumed::default()
        }
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
    if is_there {
        shared.tell_resumed(&resumed);
    }
    let mut tally = Tally {
        there: resumed.there,
        spent: resumed.spent.len(),
        ..Tally::default()
    };
    shared.tell_jobs(shared.slots.decision());
    let mut refused = None;
    // All of them, for the turn to come up is given in the order of asking, and then a place.
    let turns = turns::turns(resumed.missing);
    let at_once = turns.len().max(1);
    let mut ended = stream::iter(turns)
        .map(|turn| {
            let shared = Arc::clone(&shared);
            async move { shared.turn(turn).await }
        })
        .buffer_unordered(at_once);
    while let Some(results) = ended.next().await {
        for result in results {
            match result {
                Ok(None) => tally.left += 1,
                Err(e) => {
                    refused.get_or_insert(e);
                }
                Ok(Some((Status::Complete, true))) => tally.complete += 1,
                Ok(Some((Status::Complete, false))) => tally.invalid += 1,
                Ok(Some((Status::Aborted, _))) => tally.aborted += 1,
                Ok(Some((Status::Failed | Status::Running, _))) => tally.failed += 1,
            }
        }
    }
    refused.map_or(Ok(tally), |e| Err(e.into()))
}

/// How a run ended in its last attempt, and whether it is valid; none, if it never began.
type Made = Option<(Status, bool)>;

impl Shared {
    /// Carries out the runs of one turn, one after the other in one lab for as long as they are valid.
    async fn turn(&self, turn: Vec<Missing>) -> Vec<Result<Made, DirError>> {
        let mut lab = None;
        let mut results = Vec::with_capacity(turn.len());
        let mut left = turn.len();
        for missing in turn {
            left -= 1;
            let result = self.run(missing, &mut lab, left > 0).await;
            if result.is_err() {
                // Those that are under way end in order.
                self.halted.store(true, Ordering::Relaxed);
            }
            results.push(result);
        }
        results
    }

    /// Carries out one run, again and again while it is not valid and attempts are left; tells how the
    /// last one ended and whether it is valid, or `None` if the campaign was stopped before the first
    /// began. A further attempt waits behind all who wait for their turn already. `more`: another run
    /// is to follow in the same lab.
    async fn run<'a>(
        &'a self,
        missing: Missing,
        lab: &mut Option<Lab<'a>>,
        more: bool,
    ) -> Result<Made, DirError> {
        let Missing { scenario, attempts } = missing;
        let mut last = None;
        for attempt in attempts.clone() {
            let again = attempt + 1 < attempts.end;
            let ended = self.attempt(&scenario, attempt, again, lab).await;
            // One whose run is not valid is not what the next run is to begin with.
            let goes_on = more && matches!(ended, Ok(Some((_, true))));
            if let Some(lab) = lab.take_if(|_| !goes_on) {
                lab.end().await;
            }
            let Some((status, valid)) = ended? else {
                break;
            };
            last = Some((status, valid));
            if valid || status == Status::Aborted {
                break;
            }
        }
        Ok(last)
    }

    /// Makes one attempt at a run, in the lab that is there or else in a new one.
    async fn attempt<'a>(
        &'a self,
        scenario: &ResolvedScenario,
        attempt: u32,
        more: bool,
        lab: &mut Option<Lab<'a>>,
    ) -> Result<Made, DirError> {
        if *self.stop.borrow() || self.halted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let lab = match lab {
            Some(lab) => lab,
            None => match self.place().await {
                Some(place) => lab.insert(place),
                None => return Ok(None),
            },
        };
        // A directory that takes no more runs may have been found while this one waited.
        if self.halted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let clock = clock::begin();
        let mut manifest = self.manifest(scenario, attempt, clock);
        let run_id = manifest.run_id.clone();
        if !scenario.fresh {
            manifest.shared_lab = Some(lab.next_run(&run_id));
        }
        let run = self.campaign.dir.create_run(&run_id)?;
        run.write_topology(&scenario.topology)?;
        run.write_scenario(scenario)?;
        run.write_manifest(&manifest)?;
        // So that every run has both, also one whose lab never came up.
        run.event_log()?;
        run.finding_log()?;
        self.tell(CampaignEvent::Begun {
            run_id: run_id.clone(),
            strategy: scenario.strategy,
            cell: scenario.cell.clone(),
        });

        let outcome = self.in_lab(lab, &run, scenario.clone(), clock).await;
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
        manifest.jobs = Some(lab.slot.labs());
        manifest.lab_cost = Some(lab.slot.cost());
        manifest.findings = outcome.findings.clone();
        if let Err(e) = run.seal(&manifest) {
            // The run counts as failed, and the others go on: what they record may be whole.
            outcome.status = Status::Failed;
            outcome.error = Some(match outcome.error {
                Some(own) => format!("{own}; and then: {e}"),
                None => e.to_string(),
            });
        }
        let Verdict { valid, findings } = match outcome.status {
            Status::Complete => self.plan.judge.judge_apart(&run).await,
            _ => Verdict {
                valid: false,
                findings: outcome.findings,
            },
        };
        let stopped = *self.stop.borrow() || self.halted.load(Ordering::Relaxed);
        self.tell(CampaignEvent::Ended {
            run_id,
            attempt,
            status: outcome.status,
            error: outcome.error,
            findings,
            valid,
            again: more && !valid && outcome.status != Status::Aborted && !stopped,
        });
        self.tell_jobs(lab.slot.decision());
        Ok(Some((outcome.status, valid)))
    }

    /// Tells what is there. Runs made by another flaplab or with another router stand beside ours in
    /// the same arm: that is said, too.
    fn tell_resumed(&self, resumed: &Resumed) {
        let clock = Clock {
            wall_minus_mono_ns: 0,
        };
        let mut otherwise: Vec<String> = Vec::new();
        for (uses, theirs) in &resumed.makes {
            let like = |missing: &&Missing| Uses::of(&missing.scenario) == *uses;
            let Some(next) = resumed.missing.iter().find(like) else {
                continue;
            };
            let ours = Make::of(&self.manifest(&next.scenario, next.attempts.start, clock));
            for difference in theirs.differences(&ours) {
                if !otherwise.contains(&difference) {
                    otherwise.push(difference);
                }
            }
        }
        self.tell(CampaignEvent::Resumed {
            there: resumed.there,
            abandoned: resumed.abandoned.clone(),
            spent: resumed.spent.clone(),
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

    fn manifest(&self, scenario: &ResolvedScenario, attempt: u32, clock: Clock) -> Manifest {
        let versions = self.versions.of(scenario);
        Manifest {
            schema_version: SCHEMA_VERSION,
            run_id: attempt_id(&scenario.run_id(), attempt),
            address: Some(scenario.address()),
            attempt,
            scenario: scenario.scenario.clone(),
            cell: scenario.cell.clone(),
            topology: scenario.topology_kind.to_string(),
            size: scenario.size,
            failure: scenario.failure.kind,
            strategy: scenario.strategy,
            run_index: scenario.run_index,
            seed: scenario.seed,
            failure_phase_s: scenario.failure.phase.as_secs_f64(),
            router: versions.router.clone(),
            router_version: versions.router_version.clone(),
            injector: versions.injector.clone(),
            injector_version: versions.injector_version.clone(),
            mrai_s: scenario.router.mrai.as_secs_f64(),
            realised_mrai: None,
            jobs: None,
            lab_cost: None,
            shared_lab: None,
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
