//! What tells, on a thread of its own: notes in, lines, JSON lines and views out.
//!
//! *Assumes* notes in the order in which things happened. *Guarantees* that what time alone changes is told
//! too: the view's clocks and size, and where the campaign stands.

use std::io::{self, Stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use harness::campaign::CampaignEvent;
use results::FindingKind;
use serde_json::Value;

use super::events::{self, Events};
use super::model::Model;
use super::view::{self, Look};
use super::{Note, lines, screen};
use crate::args::TellArgs;

/// How often it is looked whether the view, or the terminal, has changed.
const TICK: Duration = Duration::from_millis(200);
/// How often the view's clocks go on when nothing happens.
const SECOND: Duration = Duration::from_secs(1);
/// How often lines say where the campaign stands.
const STANDING: Duration = Duration::from_secs(60);
/// The size of a terminal that does not know its own.
const USUAL: (u16, u16) = (80, 24);

/// What is told to people, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// What is said besides, and no progress.
    Said,
    /// A line for each thing worth telling.
    Lines,
    /// A view, and lines above it for what is to stay.
    View(Look),
}

impl Told {
    pub(super) fn choose(
        tell: TellArgs,
        is_terminal: bool,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| environment(name).filter(|v| !v.is_empty());
        if tell.quiet {
            return Self::Nothing;
        }
        if tell.json {
            return Self::Said;
        }
        // Without a name a terminal is as good as dumb.
        if !is_terminal || set("TERM").is_none_or(|t| t == "dumb") {
            return Self::Lines;
        }
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let utf8 = |l: String| l.to_lowercase().replace('-', "").contains("utf8");
        Self::View(Look {
            // https://no-color.org
            colour: set("NO_COLOR").is_none(),
            // Containers set no locale, and have terminals like any others.
            unicode: locale.is_none_or(utf8),
        })
    }
}

/// What tells.
pub(super) struct Teller {
    began: Instant,
    told: Told,
    events: Option<Events<Stdout>>,
    /// The campaign under way.
    model: Option<Model>,
    /// The view as it was last shown: when, and in what size.
    shown: Option<(Duration, (u16, u16))>,
    /// Something happened since.
    changed: bool,
    /// Kinds of findings that were told in full.
    known: Vec<FindingKind>,
    /// When lines last said where the campaign stands.
    stood: Duration,
}

impl Teller {
    pub(super) fn new(told: Told, json: bool) -> Self {
        Self {
            began: Instant::now(),
            told,
            events: json.then(|| Events::new(io::stdout())),
            model: None,
            shown: None,
            changed: false,
            known: Vec::new(),
            stood: Duration::ZERO,
        }
    }

    /// Tells until nobody is left who could note anything; then, why not everything was told.
    pub(super) fn tell(mut self, inbox: &Receiver<Note>) -> Option<io::Error> {
        loop {
            let waits = Instant::now();
            match inbox.recv_timeout(TICK) {
                Ok(Note::End) => break,
                Ok(note) => self.note(note),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if waits.elapsed() > TICK + SECOND {
                // flaplab was stopped (Ctrl-Z): the shell has written below the view.
                screen::forget();
            }
            self.tick();
        }
        screen::clear();
        self.events.and_then(Events::fault)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn note(&mut self, note: Note) {
        let now = self.now();
        self.changed = true;
        match note {
            Note::Begun(plan) => {
                let model = Model::new(plan, now);
                self.object("campaign-begun", events::campaign_begun(&model));
                self.model = Some(model);
                self.stood = now;
            }
            Note::Event(event) => self.event(&event, now),
            Note::Ended(end) => {
                let Some(model) = &mut self.model else { return };
                model.ended(end.clone());
                let line = lines::of_end(&end, &self.known, model, now);
                let object = events::run_ended(&end, model, now);
                if self.told == Told::Lines || lines::is_unusual(&end) {
                    self.line(&line);
                }
                if let Told::View(_) = self.told {
                    // In front of a terminal somebody has read it.
                    self.known.extend(end.doubts().map(|f| f.kind));
                }
                self.object("run-ended", object);
            }
            Note::There(end) => {
                let Some(model) = &mut self.model else { return };
                model.was_there(end.clone());
                let object = events::run_ended(&end, model, now);
                self.object("run-there", object);
            }
            Note::CampaignEnded(tally) => {
                if let (Some(model), Some(tally)) = (&self.model, tally) {
                    let object = events::campaign_ended(tally, model, now);
                    self.object("campaign-ended", object);
                }
                self.model = None;
                screen::clear();
            }
            Note::Object(event, told) => self.object(event, told),
            Note::Said(text) => {
                if self.told != Told::Nothing {
                    screen::say(&lines::shown(&text));
                }
            }
            Note::Stopping(text) => {
                if let Some(model) = &mut self.model {
                    model.stop();
                }
                // The view says so at once: there may be no other occasion.
                self.shown = None;
                // A ^C that the terminal shows stands on the line by itself.
                if self.told != Told::Nothing {
                    screen::say(&format!("\n{text}"));
                }
                self.object("stopping", serde_json::json!({}));
            }
            Note::End => {}
            Note::Flush(told) => drop(told.send(())),
        }
    }

    fn event(&mut self, event: &CampaignEvent, now: Duration) {
        let Some(model) = &mut self.model else { return };
        if !model.note(event, now) {
            return;
        }
        let line = lines::of_event(event, model);
        let object = events::of_event(event, model);
        let is_to_stay = matches!(
            event,
            CampaignEvent::Resumed { .. } | CampaignEvent::Jobs(_) | CampaignEvent::Kept { .. }
        );
        if let Some(line) = line
            && (self.told == Told::Lines || is_to_stay)
        {
            self.line(&line);
        }
        if let Some((name, object)) = object {
            self.object(name, object);
        }
    }

    fn object(&mut self, event: &str, told: Value) {
        let now = self.now();
        if let Some(events) = &mut self.events {
            events.tell(event, now, told);
        }
    }

    /// A line of the campaign's progress, with its time.
    fn line(&self, line: &str) {
        if matches!(self.told, Told::Lines | Told::View(_))
            && let Some(model) = &self.model
        {
            let elapsed_s = model.elapsed(self.now()).as_secs_f64();
            screen::say(&format!("[{elapsed_s:7.1} s] {}", lines::shown(line)));
        }
    }

    /// What is told because time goes by.
    fn tick(&mut self) {
        let now = self.now();
        let Some(model) = &self.model else { return };
        match self.told {
            Told::View(look) => {
                let size = size();
                let since = self.shown.map(|(at, _)| now.saturating_sub(at));
                let is_due = match since {
                    None => true,
                    Some(since) => {
                        since >= SECOND
                            || (self.changed && since >= TICK)
                            || self.shown.is_some_and(|(_, s)| s != size)
                    }
                };
                if is_due && is_in_foreground() {
                    screen::paint(view::rows(model, now, size.0, size.1, look), size.0.into());
                    self.shown = Some((now, size));
                    self.changed = false;
                }
            }
            Told::Lines if now.saturating_sub(self.stood) >= STANDING => {
                self.line(&lines::standing(model, now));
                self.stood = now;
            }
            Told::Lines | Told::Said | Told::Nothing => {}
        }
    }
}

/// Columns and lines of the terminal.
fn size() -> (u16, u16) {
    match terminal_size::terminal_size_of(io::stderr()) {
        Some((columns, lines)) if columns.0 > 0 && lines.0 > 0 => (columns.0, lines.0),
        _ => USUAL,
    }
}

/// Whether the terminal is ours: after Ctrl-Z and `bg` it is the shell's.
fn is_in_foreground() -> bool {
    // A terminal that is not the controlling one has no foreground, and nobody else is at it.
    nix::unistd::tcgetpgrp(io::stderr()).map_or(true, |group| group == nix::unistd::getpgrp())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chosen(quiet: bool, json: bool, is_terminal: bool, set: &[(&str, &str)]) -> Told {
        Told::choose(TellArgs { quiet, json }, is_terminal, |name| {
            let found = set.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_view_is_for_terminals_that_can_show_one() {
        let xterm = ("TERM", "xterm-256color");
        let plain = Look {
            colour: true,
            unicode: true,
        };
        assert_eq!(chosen(false, false, true, &[xterm]), Told::View(plain));
        assert_eq!(chosen(false, false, false, &[xterm]), Told::Lines);
        assert_eq!(chosen(false, false, true, &[("TERM", "dumb")]), Told::Lines);
        assert_eq!(chosen(false, false, true, &[]), Told::Lines);
        assert_eq!(chosen(true, false, true, &[xterm]), Told::Nothing);
        assert_eq!(chosen(false, true, true, &[xterm]), Told::Said);
        assert_eq!(chosen(true, true, true, &[xterm]), Told::Nothing);
    }

    #[test]
    fn colours_and_letters_are_those_that_the_environment_allows() {
        let look = |set: &[(&str, &str)]| {
            let set = [&[("TERM", "xterm")], set].concat();
            match chosen(false, false, true, &set) {
                Told::View(look) => (look.colour, look.unicode),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(look(&[("NO_COLOR", "1")]), (false, true));
        assert_eq!(look(&[("NO_COLOR", "")]), (true, true));
        assert_eq!(look(&[("LANG", "C")]), (true, false));
        assert_eq!(look(&[("LANG", "de_AT.UTF-8")]), (true, true));
        assert_eq!(look(&[("LC_ALL", "C.utf8"), ("LANG", "C")]), (true, true));
    }
}
