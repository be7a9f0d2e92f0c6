//! How a campaign is told while it is under way: a view on a terminal, lines elsewhere, JSON lines for
//! programs, or nothing.
//!
//! *Assumes* to be told of every event, and of every run that is measured. *Guarantees* that what tells
//! never ends or holds up what is told of: it has a thread of its own, so that a terminal that stands
//! still (Ctrl-S), a pipe that nobody reads, or a fault of the view's stops neither labs nor signals.
//!
//! [`model`] is what is known, fed with events and the time; [`left`] how long it will still take. From it [`lines`]
//! makes lines, [`events`] JSON lines, and [`view`] the view, which [`screen`] keeps below what is said; [`teller`] has them
//! all, on its thread.

mod events;
mod left;
mod lines;
mod model;
mod run_end;
pub(crate) mod screen;
mod teller;
mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use harness::campaign::{CampaignEvent, Tally};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::args::TellArgs;
pub(crate) use model::Plan;
pub(crate) use run_end::RunEnd;
use teller::{Teller, Told};

/// What is to be told.
enum Note {
    Begun(Plan),
    Event(CampaignEvent),
    /// A run has ended and is measured, if it could be.
    Ended(RunEnd),
    /// A run that was there is measured.
    There(RunEnd),
    CampaignEnded(Option<Tally>),
    /// For programs only.
    Object(&'static str, Value),
    /// For people only.
    Said(String),
    /// Somebody stops what is under way.
    Stopping(&'static str),
    /// Everything before this is told.
    Flush(oneshot::Sender<()>),
    /// Nothing comes after this.
    End,
}

/// Tells how far a campaign is, or several in turn. May be cloned: what is told by either is told once.
#[derive(Clone)]
pub(crate) struct Progress {
    notes: Option<Sender<Note>>,
}

/// The thread that tells; none if there is nothing to tell.
pub(crate) struct Telling(Option<JoinHandle<Option<io::Error>>>);

/// Why not everything was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TellError {
    /// Standard output takes no more.
    #[error(
        "cannot write an event to standard output: {0}; the campaign went on without telling, and its \
         directory has everything"
    )]
    Write(#[source] io::Error),
    /// A fault of the program's own; the panic has spoken for itself.
    #[error("how far it was could not be told to the end; the campaign's directory has everything")]
    Fault,
}

impl Progress {
    /// Begins to tell.
    pub(crate) fn start(tell: TellArgs) -> (Self, Telling) {
        let told = Told::choose(tell, io::stderr().is_terminal(), |name| {
            std::env::var(name).ok()
        });
        if told == Told::Nothing && !tell.json {
            return (Self { notes: None }, Telling(None));
        }
        if let Told::View(_) = told {
            screen::on_panic_forget();
        }
        let teller = Teller::new(told, tell.json);
        let (notes, inbox) = channel();
        let thread = std::thread::Builder::new().name("progress".to_owned());
        let thread = thread.spawn(move || teller.tell(&inbox));
        // Without a thread the campaign goes on untold.
        (Self { notes: Some(notes) }, Telling(thread.ok()))
    }

    /// Whether anybody is told anything, so that it is worth measuring.
    pub(crate) fn is_told(&self) -> bool {
        self.notes.is_some()
    }

    /// A campaign begins.
    pub(crate) fn begun(&self, plan: Plan) {
        self.note(Note::Begun(plan));
    }

    /// Something happens in it.
    pub(crate) fn event(&self, event: CampaignEvent) {
        self.note(Note::Event(event));
    }

    /// A run has ended, and has shown this.
    pub(crate) fn ended(&self, end: RunEnd) {
        self.note(Note::Ended(end));
    }

    /// A run that was there has shown this.
    pub(crate) fn there(&self, end: RunEnd) {
        self.note(Note::There(end));
    }

    /// The campaign is over; comes back when all is told and the view is gone.
    pub(crate) async fn campaign_ended(&self, tally: Option<Tally>) {
        self.note(Note::CampaignEnded(tally));
        let (told, done) = oneshot::channel();
        self.note(Note::Flush(told));
        // If nobody tells, there is nothing to wait for.
        let _ = done.await;
    }

    /// Tells programs something besides.
    pub(crate) fn object(&self, event: &'static str, told: Value) {
        self.note(Note::Object(event, told));
    }

    /// Tells programs how it ended.
    pub(crate) fn over<T>(&self, ended: &anyhow::Result<T>, told: impl FnOnce(&T) -> Value) {
        match ended {
            Ok(ended) => self.object("ended", told(ended)),
            Err(e) => self.object("failed", json!({"error": crate::with_causes(e)})),
        }
    }

    /// Somebody stops what is under way; `text` says what that means.
    pub(crate) fn stopping(&self, text: &'static str) {
        self.note(Note::Stopping(text));
    }

    /// Tells people something besides.
    pub(crate) fn say(&self, text: &str) {
        self.note(Note::Said(text.to_owned()));
    }

    fn note(&self, note: Note) {
        if let Some(notes) = &self.notes {
            // What tells has failed, and the campaign goes on.
            let _ = notes.send(note);
        }
    }
}

impl Telling {
    /// Waits until all is told.
    pub(crate) async fn end(self, progress: &Progress) -> Result<(), TellError> {
        let Some(thread) = self.0 else { return Ok(()) };
        progress.note(Note::End);
        let ended = tokio::task::spawn_blocking(|| thread.join()).await;
        match ended {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(fault))) => Err(TellError::Write(fault)),
            Ok(Err(_)) | Err(_) => Err(TellError::Fault),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_holds_nothing_up() {
        let (notes, inbox) = channel();
        drop(inbox);
        let progress = Progress { notes: Some(notes) };
        progress.say("to nobody");
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(progress.campaign_ended(None));
    }
}
