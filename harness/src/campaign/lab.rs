//! A lab of a campaign: its place among the others, its capsule, and the runs that it carries.
//!
//! *Assumes* that a run's directory is there before it is carried out, and that a lab is dropped after a
//! run that was not complete. *Guarantees* that no more labs come up at a time than may, that a lab's
//! place is free once it carries no further run, and that dropping a lab ends it.

use std::time::Duration;

use results::{Clock, RunDir, SharedLab, Status};
use tokio::sync::SemaphorePermit;
use topologies::ResolvedScenario;

use super::{CampaignEvent, Shared};
use crate::capsule::{Capsule, SpawnError};
use crate::jobs::Slot;
use crate::machine::foreign;
use crate::protocol::{Assignment, Order, Outcome, Place, Purpose, Report, Stage};

/// How long a lab may take to close its records once it is told to.
const CLOSING: Duration = Duration::from_secs(20);

/// A lab, from when it may come up.
pub(super) struct Lab<'a> {
    /// Its place among the labs.
    pub(super) slot: Slot<'a>,
    /// Until it has come up.
    permit: Option<SemaphorePermit<'a>>,
    /// From its first run on.
    capsule: Option<Capsule>,
    /// Which run of it is carried out, if it carries several.
    shared: Option<SharedLab>,
}

impl Lab<'_> {
    /// Begins a run of a lab that carries several; tells which of them it is.
    pub(super) fn next_run(&mut self, run_id: &str) -> SharedLab {
        let before = self.shared.take();
        if before.is_some() {
            self.slot.next_run();
        }
        let shared = SharedLab {
            number: before.as_ref().map_or(1, |s| s.number + 1),
            first_run: before.map_or_else(|| run_id.to_owned(), |s| s.first_run),
        };
        self.shared.insert(shared).clone()
    }

    /// Ends it, and waits until it is gone.
    pub(super) async fn end(mut self) {
        self.slot.free();
        if let Some(capsule) = self.capsule.take() {
            // Its runs are sealed; if it cannot be waited for it ends with flaplab.
            let _ = capsule.close().await;
        }
    }
}

impl Shared {
    /// Waits until a lab may come up; none if the campaign is stopped before.
    pub(super) async fn place(&self) -> Option<Lab<'_>> {
        let mut stop = self.stop.clone();
        let permit = tokio::select! {
            permit = self.bring_up.acquire() => permit.ok(),
            _ = stop.wait_for(|s| *s) => return None,
        };
        let slot = tokio::select! {
            slot = self.slots.take() => slot,
            _ = stop.wait_for(|s| *s) => return None,
        };
        Some(Lab {
            slot,
            permit,
            capsule: None,
            shared: None,
        })
    }

    /// Carries out one run. The lab is still up afterwards if it carries several and this one is
    /// complete.
    pub(super) async fn in_lab(
        &self,
        lab: &mut Lab<'_>,
        run: &RunDir,
        scenario: ResolvedScenario,
        clock: Clock,
    ) -> Result<Outcome, SpawnError> {
        let run_id = run.run_id();
        let (dir, place) = match (&lab.shared, run.path().parent()) {
            (Some(_), Some(all)) => (all, Place::Within(run_id.clone())),
            _ => (run.path(), Place::Own),
        };
        let mut capsule = match lab.capsule.take() {
            Some(capsule) => capsule,
            None => Capsule::spawn(Some(dir)).await?,
        };
        let mut machine = foreign::Watch::default();
        let purpose = if self.plan.keep {
            Purpose::RunAndKeep
        } else {
            Purpose::Run
        };
        let assignment = Box::new(Assignment {
            scenario,
            clock,
            purpose,
            place,
        });
        let mut outcome =
            (self.converse(lab, &mut capsule, &run_id, assignment, &mut machine)).await?;
        lab.permit = None;
        lab.slot.run_over(capsule.init_pid(), &outcome.findings);
        if lab.shared.is_some() && outcome.status == Status::Complete {
            lab.capsule = Some(capsule);
        } else {
            // The next lab may begin while this one is closed.
            lab.slot.free();
            capsule.close().await?;
        }
        // Now no process of this lab is about to end.
        machine.end();
        machine.tell(run, &mut outcome).await;
        Ok(outcome)
    }

    /// Has a run carried out, and tells how far it is, until it is over.
    async fn converse(
        &self,
        lab: &mut Lab<'_>,
        capsule: &mut Capsule,
        run_id: &str,
        assignment: Box<Assignment>,
        machine: &mut foreign::Watch,
    ) -> Result<Outcome, SpawnError> {
        let mut stop = self.stop.clone();
        let mut release = self.release.subscribe();
        let init_pid = capsule.init_pid();
        let names = assignment.scenario.topology.nodes.iter();
        let nodes: Vec<String> = names.map(|n| n.name.clone()).collect();
        capsule.send(&Order::Assign(assignment)).await?;
        let mut stopped = false;
        let mut deadline = None;
        loop {
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
                    if stage >= Stage::Settle && lab.permit.take().is_some() {
                        self.tell_jobs(lab.slot.came_up(init_pid));
                    }
                    if stage == Stage::Converge {
                        lab.slot.failed();
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
                    lab.permit = None;
                    machine.end();
                    self.tell(CampaignEvent::Kept {
                        run_id: run_id.to_owned(),
                        error,
                        init_pid,
                        nodes: nodes.clone(),
                    });
                }
                Report::Ended(outcome) => return Ok(*outcome),
                Report::Examined(_) => {}
            }
        }
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
