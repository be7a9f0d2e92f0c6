//! The lab agent: the one process of a capsule that does the work.
//!
//! *Assumes* to be a fresh single-threaded process inside the capsule, with the socket to flaplab
//! in hand. *Guarantees* to report how each run ended before it ends or takes another, unless it is
//! killed; and that a lab whose run was not complete takes no other.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use results::{RunDir, Status};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::capsule::{LAB_HOME, RUN_DIR};
use crate::lab::{Lab, LabError};
use crate::order::{self, Beginning, Lab as _};
use crate::protocol::{Assignment, Order, Outcome, Place, Purpose, Report, Stage};

/// Runs the agent; returns its exit status.
#[must_use]
pub fn run(socket: OwnedFd) -> i32 {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("the lab agent cannot start: {e}");
            return 1;
        }
    };
    match runtime.block_on(converse(socket)) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("the lab agent lost its line to flaplab: {e}");
            1
        }
    }
}

type Orders = Rc<Mutex<Lines<BufReader<OwnedReadHalf>>>>;

async fn converse(socket: OwnedFd) -> std::io::Result<()> {
    let stream = std::os::unix::net::UnixStream::from(socket);
    stream.set_nonblocking(true)?;
    let (reader, mut writer) = UnixStream::from_std(stream)?.into_split();
    let (reports, mut outbox): (UnboundedSender<Report>, UnboundedReceiver<Report>) =
        unbounded_channel();
    let writing = tokio::spawn(async move {
        while let Some(report) = outbox.recv().await {
            let mut line = serde_json::to_vec(&report)?;
            line.push(b'\n');
            writer.write_all(&line).await?;
        }
        Ok::<(), std::io::Error>(())
    });
    let orders = Rc::new(Mutex::new(BufReader::new(reader).lines()));
    let mut lab = None;
    while let Some(order) = next(&orders).await? {
        let report = match order {
            Order::Assign(assignment) => {
                let outcome = carry_out(*assignment, &mut lab, &orders, &reports).await;
                Report::Ended(Box::new(outcome))
            }
            Order::Examine => Report::Examined(crate::doctor::examine_inside().await),
            Order::End => break,
        };
        // If nobody is there to be told, the next order is an end of file.
        let _ = reports.send(report);
        if lab.is_none() {
            break;
        }
    }
    // The writer ends with the channel, after the last report; a lab has a sender of its own.
    drop((lab, reports));
    writing.await.map_err(std::io::Error::other)?
}

/// The next order; none if flaplab is gone.
async fn next(orders: &Orders) -> std::io::Result<Option<Order>> {
    let line = orders.lock().await.next_line().await?;
    Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
}

/// Comes back when flaplab says `End`, or is gone.
fn ended(orders: &Orders) -> impl Future<Output = ()> + use<> {
    let orders = Rc::clone(orders);
    async move {
        // One waits at a time: the run's stop, or the kept lab's.
        let mut orders = orders.lock().await;
        while let Ok(Some(line)) = orders.next_line().await {
            if matches!(serde_json::from_str(&line), Ok(Order::End)) {
                return;
            }
        }
    }
}

/// Carries out a run, in the lab that is up or else in one that is made. A lab that may carry another
/// is left in `standing`.
async fn carry_out(
    assignment: Assignment,
    standing: &mut Option<Lab>,
    orders: &Orders,
    reports: &UnboundedSender<Report>,
) -> Outcome {
    let Assignment {
        scenario,
        clock,
        purpose,
        place,
    } = assignment;
    let schedule = injectors::schedule::plan(&scenario);
    let (run, home) = match &place {
        Place::Own => (RunDir::at(RUN_DIR), RunDir::at(RUN_DIR)),
        Place::Within(name) => (
            RunDir::at(Path::new(RUN_DIR).join(name)),
            RunDir::at(LAB_HOME),
        ),
    };
    let told = reports.clone();
    let progress = move |stage, text| {
        // Nobody to tell means that flaplab has gone, and process 1 ends us.
        let _ = told.send(Report::Progress { stage, text });
    };
    let assigned = match standing.take() {
        Some(mut lab) => {
            let assigned = lab.assign(scenario, run, clock);
            assigned.map(|()| (lab, Beginning::Reused))
        }
        None => Lab::new(scenario, run, home, clock, Box::new(progress))
            .map(|lab| (lab, Beginning::Empty)),
    };
    let (mut lab, beginning) = match assigned {
        Ok(assigned) => assigned,
        Err(e) => return failed(&e),
    };
    if purpose == Purpose::Stay {
        return stay(lab, orders, reports).await;
    }
    let keep = |error: String| {
        let (wait, reports) = (ended(orders), reports.clone());
        async move {
            if purpose == Purpose::RunAndKeep {
                let _ = reports.send(Report::Kept { error });
                wait.await;
            }
        }
    };
    let ending = order::carry_out(&mut lab, beginning, &schedule, ended(orders), keep).await;
    if ending.status == Status::Complete && place != Place::Own {
        *standing = Some(lab);
    }
    Outcome {
        status: ending.status,
        error: ending.error,
        findings: ending.closed.findings,
        recorders: ending.closed.recorders,
        realised_mrai: ending.closed.realised_mrai,
        machine: ending.closed.machine,
    }
}

/// Brings a lab up and leaves it up until told to end.
async fn stay(mut lab: Lab, orders: &Orders, reports: &UnboundedSender<Report>) -> Outcome {
    let work = async {
        lab.bring_up().await?;
        lab.established().await?;
        let _ = reports.send(Report::Progress {
            stage: Stage::Up,
            text: "the lab is up".to_owned(),
        });
        Err::<(), LabError>(lab.stay().await)
    };
    let error = tokio::select! {
        biased;
        () = ended(orders) => None,
        result = work => result.err().map(|e| e.to_string()),
    };
    if let Some(error) = &error {
        let _ = reports.send(Report::Kept {
            error: error.clone(),
        });
        ended(orders).await;
    }
    let closed = lab.close().await;
    let status = if error.is_some() {
        Status::Failed
    } else {
        Status::Complete
    };
    Outcome {
        status,
        error,
        findings: closed.findings,
        recorders: closed.recorders,
        realised_mrai: None,
        machine: None,
    }
}

fn failed(error: &LabError) -> Outcome {
    Outcome {
        status: Status::Failed,
        error: Some(error.to_string()),
        findings: Vec::new(),
        recorders: std::collections::BTreeMap::new(),
        realised_mrai: None,
        machine: None,
    }
}
