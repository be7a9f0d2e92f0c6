//! What a peer's task waits for.
//!
//! *Assumes* that what happened is taken before the task waits again. *Guarantees* that nothing is
//! lost when several things happen at once; and that to stop and what is asked go first, so that a
//! busy connection delays neither.

use std::future::pending;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::Peer;
use super::link::Link;
use super::opening::OpenError;
use super::telling::Asked;
use crate::speaker::session::State;
use crate::speaker::source::Sources;

/// What a peer's task hears from outside.
#[derive(Debug)]
pub(in crate::speaker) struct Inlets {
    pub(in crate::speaker) orders: mpsc::Receiver<Asked>,
    pub(in crate::speaker) accepted: mpsc::Receiver<TcpStream>,
    pub(in crate::speaker) sources: watch::Receiver<Option<Arc<Sources>>>,
    pub(in crate::speaker) stop: watch::Receiver<bool>,
}

/// What a peer's task waits for.
pub(super) enum Happened {
    Stop,
    Asked(Asked),
    Attempted(Result<Link, OpenError>),
    Accepted(TcpStream),
    Ready,
    Loaded,
    Time,
}

impl Peer {
    pub(super) async fn wait(&mut self) -> Happened {
        let deadline = self.session.deadline().into_iter();
        let deadline = deadline.chain(self.resume_at).min();
        let Peer {
            inlets,
            attempt,
            link,
            stopping,
            transfer,
            session,
            ..
        } = self;
        let stop = async {
            if *stopping {
                return pending().await;
            }
            // Without anybody who could say so, it is time to stop.
            let _ = inlets.stop.wait_for(|&stop| stop).await;
        };
        let asked = async {
            match inlets.orders.recv().await {
                Some(asked) => asked,
                None => pending().await,
            }
        };
        let accepted = async {
            match inlets.accepted.recv().await {
                Some(stream) => stream,
                None => pending().await,
            }
        };
        let attempted = async {
            match attempt {
                Some(attempt) => attempt.await,
                None => pending().await,
            }
        };
        let ready = async {
            match link {
                Some(link) => link.ready().await,
                None => pending().await,
            }
        };
        let wanted = transfer.is_none() && session.state() == State::Established;
        let loaded = async {
            if !wanted || inlets.sources.borrow().is_some() {
                return pending().await;
            }
            if inlets.sources.wait_for(Option::is_some).await.is_err() {
                pending().await
            }
        };
        let time = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop => Happened::Stop,
            asked = asked => Happened::Asked(asked),
            // What is wrong is told by reading or writing.
            _ = ready => Happened::Ready,
            attempted = attempted => Happened::Attempted(attempted),
            stream = accepted => Happened::Accepted(stream),
            () = loaded => Happened::Loaded,
            () = time => Happened::Time,
        }
    }
}
