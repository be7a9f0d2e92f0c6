//! A campaign's events on their way to who is told of them.
//!
//! *Assumes* the events of one campaign, in order. *Guarantees* that each is passed on, that a run that
//! has ended is measured from its sealed records, once and one run at a time, that of several attempts at
//! a run that was there one is told, and that a kept lab can be entered until it ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use analysis::arms::MeasuredRun;
use harness::campaign::CampaignEvent;
use harness::standing::{self, Description, Service};
use results::attempt::run_and_attempt;
use results::{CampaignDir, RunDir, Status};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;

use crate::measured::Measured;
use crate::progress::{Plan, Progress, RunEnd};

/// Who follows a campaign.
pub(crate) struct Following {
    progress: Progress,
    /// The campaign's directory.
    campaign: PathBuf,
    /// The runs that it is to have; its directory may hold others.
    planned: HashSet<String>,
    /// What was measured when runs were judged.
    measured: Measured,
    /// Ends a kept lab.
    release: broadcast::Sender<String>,
    /// The labs that are kept, and can be entered.
    kept: HashMap<String, Service>,
    /// Runs that are being measured.
    measuring: JoinSet<()>,
    /// One at a time, so that the labs have the other CPUs.
    turn: Arc<Semaphore>,
}

impl Following {
    pub(crate) fn new(
        progress: Progress,
        plan: &Plan,
        measured: Measured,
        release: broadcast::Sender<String>,
    ) -> Self {
        Self {
            progress,
            campaign: plan.path.clone(),
            planned: plan.runs.iter().map(|(run_id, _)| run_id.clone()).collect(),
            measured,
            release,
            kept: HashMap::new(),
            measuring: JoinSet::new(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Passes on what happens until the campaign ends and all is measured.
    pub(crate) async fn follow(mut self, mut inbox: mpsc::UnboundedReceiver<CampaignEvent>) {
        while let Some(event) = inbox.recv().await {
            self.progress.event(event.clone());
            match event {
                CampaignEvent::Kept {
                    run_id,
                    init_pid,
                    nodes,
                    ..
                } => self.serve(run_id, init_pid, nodes),
                CampaignEvent::Resumed { spent, .. } => self.measure_what_is_there(&spent),
                ended @ CampaignEvent::Ended { .. } => {
                    if let Some(end) = RunEnd::of_event(ended) {
                        self.kept.remove(&end.run_id);
                        self.measure(end);
                    }
                }
                CampaignEvent::Jobs(_)
                | CampaignEvent::Begun { .. }
                | CampaignEvent::Progress { .. } => {}
            }
        }
        while self.measuring.join_next().await.is_some() {}
    }

    fn serve(&mut self, run_id: String, init_pid: i32, nodes: Vec<String>) {
        let (down, mut downs) = mpsc::unbounded_channel();
        let lab = Description {
            lab: run_id.clone(),
            init_pid,
            nodes,
        };
        match standing::serve(lab, down) {
            Ok(service) => drop(self.kept.insert(run_id.clone(), service)),
            Err(e) => self
                .progress
                .say(&format!("the kept lab cannot be entered: {e}")),
        }
        let release = self.release.clone();
        tokio::spawn(async move {
            if downs.recv().await.is_some() {
                // Nobody listens once the run has ended by itself.
                let _ = release.send(run_id);
            }
        });
    }

    fn measure(&mut self, end: RunEnd) {
        let judged = self.measured.take(&end.run_id);
        if !self.progress.is_told() {
            return;
        }
        if let Some(measured) = judged {
            self.progress.ended(end.measured(measured));
            return;
        }
        let dir = CampaignDir::open(&self.campaign).map(|c| c.run_path(&end.run_id));
        let (progress, turn) = (self.progress.clone(), Arc::clone(&self.turn));
        self.measuring.spawn(async move {
            // What cannot be measured is told by the analysis in the end.
            let measured = match dir {
                Ok(dir) => measured(&turn, RunDir::at(dir)).await,
                Err(_) => None,
            };
            progress.ended(match measured {
                Some(measured) => end.measured(measured),
                None => end,
            });
        });
    }

    /// Tells the runs that were complete when the campaign was gone on with: of each the attempt that is
    /// valid, or the last one of a run that has `spent` all of its attempts. One that has become complete
    /// since is told twice, and counted once.
    fn measure_what_is_there(&mut self, spent: &[String]) {
        if !self.progress.is_told() {
            return;
        }
        let Ok(runs) = CampaignDir::open(&self.campaign).and_then(|c| c.runs()) else {
            return;
        };
        let mut attempts: BTreeMap<String, Vec<RunDir>> = BTreeMap::new();
        for run in runs {
            let name = run.run_id();
            let (run_id, _) = run_and_attempt(&name);
            let ended = |s: Status| matches!(s, Status::Complete | Status::Failed);
            if self.planned.contains(run_id) && run.manifest().is_ok_and(|m| ended(m.status)) {
                attempts.entry(run_id.to_owned()).or_default().push(run);
            }
        }
        for (run_id, attempts) in attempts {
            let is_spent = spent.contains(&run_id);
            let (progress, turn) = (self.progress.clone(), Arc::clone(&self.turn));
            let judged = self.measured.clone();
            self.measuring.spawn(async move {
                let mut last = None;
                for attempt in attempts {
                    let this = match judged.take(&attempt.run_id()) {
                        Some(measured) => Some(measured),
                        None => measured(&turn, attempt).await,
                    };
                    last = this.or(last);
                    if last.as_ref().is_some_and(|run| run.valid) {
                        break;
                    }
                }
                if let Some(run) = last.filter(|run| run.valid || is_spent) {
                    progress.there(RunEnd::of_records(run));
                }
            });
        }
    }
}

/// Measures a run on a thread of its own, when those before are done.
async fn measured(turn: &Semaphore, run: RunDir) -> Option<MeasuredRun> {
    let _turn = turn.acquire().await.ok()?;
    let measured = tokio::task::spawn_blocking(move || analysis::measure_run(&run));
    measured.await.ok()
}
