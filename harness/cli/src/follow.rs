//! A campaign's events on their way to who is told of them.
//!
//! *Assumes* the events of one campaign, in order. *Guarantees* that each is passed on, that a run that
//! has ended is measured from its sealed records, one run at a time, and that a kept lab can be entered
//! until it ends.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use analysis::arms::MeasuredRun;
use harness::campaign::CampaignEvent;
use harness::standing::{self, Description, Service};
use results::{CampaignDir, RunDir, Status};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;

use crate::progress::{Plan, Progress, RunEnd};

/// Who follows a campaign.
pub(crate) struct Following {
    progress: Progress,
    /// The campaign's directory.
    campaign: PathBuf,
    /// The runs that it is to have; its directory may hold others.
    planned: HashSet<String>,
    /// The nodes of its labs.
    nodes: Vec<String>,
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
        nodes: Vec<String>,
        release: broadcast::Sender<String>,
    ) -> Self {
        Self {
            progress,
            campaign: plan.path.clone(),
            planned: plan.runs.iter().map(|(run_id, _)| run_id.clone()).collect(),
            nodes,
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
                    run_id, init_pid, ..
                } => self.serve(run_id, init_pid),
                CampaignEvent::Resumed { .. } => self.measure_what_is_there(),
                CampaignEvent::Ended {
                    run_id,
                    status,
                    error,
                    findings,
                } => {
                    self.kept.remove(&run_id);
                    self.measure(RunEnd::new(run_id, status, error, findings));
                }
                CampaignEvent::Jobs(_)
                | CampaignEvent::Begun { .. }
                | CampaignEvent::Progress { .. } => {}
            }
        }
        while self.measuring.join_next().await.is_some() {}
    }

    fn serve(&mut self, run_id: String, init_pid: i32) {
        let (down, mut downs) = mpsc::unbounded_channel();
        let lab = Description {
            lab: run_id.clone(),
            init_pid,
            nodes: self.nodes.clone(),
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
        if !self.progress.is_told() {
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

    /// Measures the runs that were complete when the campaign was gone on with. One that has become so
    /// since is measured twice, and counted once.
    fn measure_what_is_there(&mut self) {
        if !self.progress.is_told() {
            return;
        }
        let Ok(runs) = CampaignDir::open(&self.campaign).and_then(|c| c.runs()) else {
            return;
        };
        let counts = |run: &RunDir| {
            self.planned.contains(&run.run_id())
                && run.manifest().is_ok_and(|m| m.status == Status::Complete)
        };
        for run in runs.into_iter().filter(counts) {
            let (progress, turn) = (self.progress.clone(), Arc::clone(&self.turn));
            self.measuring.spawn(async move {
                if let Some(measured) = measured(&turn, run).await {
                    progress.there(RunEnd::of_records(measured));
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
