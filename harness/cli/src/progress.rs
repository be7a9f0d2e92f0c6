//! Progress of a campaign: bars on a terminal, plain lines elsewhere, or nothing.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use harness::campaign::CampaignEvent;
use harness::protocol::Stage;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use results::{Severity, Status};

/// Tells how far a campaign is.
pub(crate) enum Progress {
    /// Nothing is told.
    Quiet,
    /// A line for each thing worth telling.
    Lines(Clockwork),
    /// A bar for the campaign and a line for each lab.
    Bars {
        all: MultiProgress,
        total: ProgressBar,
        labs: HashMap<String, ProgressBar>,
        clockwork: Clockwork,
    },
}

/// What is counted for "time left".
pub(crate) struct Clockwork {
    began: Instant,
    runs: usize,
    /// Complete before this campaign went on.
    there: usize,
    ended: usize,
    jobs: usize,
    begun: HashMap<String, Instant>,
    run_time: Duration,
    last_stage: HashMap<String, Stage>,
}

impl Clockwork {
    fn ended(&mut self, run_id: &str) {
        self.ended += 1;
        if let Some(began) = self.begun.remove(run_id) {
            self.run_time += began.elapsed();
        }
    }

    /// Time left, from the mean time of the runs that have ended.
    fn left(&self) -> Option<Duration> {
        let mean = self.run_time.checked_div(u32::try_from(self.ended).ok()?)?;
        let waves = self.to_come().div_ceil(self.jobs);
        Some(mean * u32::try_from(waves).ok()?)
    }

    /// Runs that have not ended.
    fn to_come(&self) -> usize {
        self.runs.saturating_sub(self.there + self.ended)
    }

    fn left_text(&self) -> String {
        match self.left() {
            Some(left) if self.to_come() > 0 => format!(", about {} s left", left.as_secs()),
            _ => String::new(),
        }
    }

    /// Whether a stage is news for this run.
    fn is_new(&mut self, run_id: &str, stage: Stage) -> bool {
        self.last_stage.insert(run_id.to_owned(), stage) != Some(stage)
    }
}

impl Progress {
    pub(crate) fn new(quiet: bool, runs: usize, jobs: usize) -> Self {
        if quiet {
            return Progress::Quiet;
        }
        let clockwork = Clockwork {
            began: Instant::now(),
            runs,
            there: 0,
            ended: 0,
            jobs: jobs.min(runs).max(1),
            begun: HashMap::new(),
            run_time: Duration::ZERO,
            last_stage: HashMap::new(),
        };
        if !std::io::stderr().is_terminal() {
            return Progress::Lines(clockwork);
        }
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(runs as u64));
        let style =
            ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} runs{msg}")
                .expect("the template is valid");
        total.set_style(style);
        total.enable_steady_tick(Duration::from_secs(1));
        Progress::Bars {
            all,
            total,
            labs: HashMap::new(),
            clockwork,
        }
    }

    /// Takes note of what happened.
    pub(crate) fn note(&mut self, event: &CampaignEvent) {
        match self {
            Progress::Quiet => {}
            Progress::Lines(clockwork) => {
                if let Some(line) = clockwork.line(event) {
                    eprintln!("[{:7.1} s] {line}", clockwork.began.elapsed().as_secs_f64());
                }
            }
            Progress::Bars {
                all,
                total,
                labs,
                clockwork,
            } => {
                let line = clockwork.line(event);
                match event {
                    CampaignEvent::Begun { run_id } => {
                        let bar = all.add(ProgressBar::new_spinner());
                        let style = ProgressStyle::with_template("  {elapsed:>4} {prefix} {msg}")
                            .expect("the template is valid");
                        bar.set_style(style);
                        bar.set_prefix(run_id.clone());
                        bar.enable_steady_tick(Duration::from_secs(1));
                        labs.insert(run_id.clone(), bar);
                    }
                    CampaignEvent::Progress {
                        run_id,
                        stage,
                        text,
                    } => {
                        if let Some(bar) = labs.get(run_id) {
                            bar.set_message(format!("{}: {text}", stage_name(*stage)));
                        }
                    }
                    CampaignEvent::Resumed { there, .. } => {
                        total.set_position(*there as u64);
                        let _ = all.println(line.unwrap_or_default());
                    }
                    CampaignEvent::Kept { .. } => {
                        let _ = all.println(line.unwrap_or_default());
                    }
                    CampaignEvent::Ended {
                        run_id,
                        status,
                        findings,
                        ..
                    } => {
                        if let Some(bar) = labs.remove(run_id) {
                            bar.finish_and_clear();
                        }
                        total.inc(1);
                        total.set_message(clockwork.left_text());
                        if *status != Status::Complete || !findings.is_empty() {
                            let _ = all.println(line.unwrap_or_default());
                        }
                    }
                }
            }
        }
    }

    /// Tells something besides.
    pub(crate) fn say(&self, text: &str) {
        match self {
            Progress::Quiet => {}
            Progress::Lines(_) => eprintln!("{text}"),
            Progress::Bars { all, .. } => drop(all.println(text)),
        }
    }

    /// Removes the bars.
    pub(crate) fn finish(&mut self) {
        if let Progress::Bars {
            all, total, labs, ..
        } = self
        {
            labs.drain().for_each(|(_, bar)| bar.finish_and_clear());
            total.finish_and_clear();
            // A terminal that cannot be cleared shows the last state; nothing is lost.
            let _ = all.clear();
        }
    }
}

impl Clockwork {
    /// The line for an event, if it is worth one.
    fn line(&mut self, event: &CampaignEvent) -> Option<String> {
        match event {
            CampaignEvent::Resumed {
                there,
                abandoned,
                otherwise,
            } => {
                self.there = *there;
                let mut line = format!(
                    "goes on: {there} of {} runs are complete already",
                    self.runs
                );
                if !abandoned.is_empty() {
                    line.push_str(&format!(
                        "; {} interrupted, moved to abandoned/ and made again: {}",
                        abandoned.len(),
                        abandoned.join(", ")
                    ));
                }
                if !otherwise.is_empty() {
                    line.push_str(&format!(
                        "\n  warning: those were made otherwise ({}): runs of one arm may differ for \
                         that alone; a new directory (--out) keeps them apart",
                        otherwise.join("; ")
                    ));
                }
                Some(line)
            }
            CampaignEvent::Begun { run_id } => {
                self.begun.insert(run_id.clone(), Instant::now());
                Some(format!("{run_id} begins"))
            }
            CampaignEvent::Progress {
                run_id,
                stage,
                text,
            } => self
                .is_new(run_id, *stage)
                .then(|| format!("{run_id} {}: {text}", stage_name(*stage))),
            CampaignEvent::Kept { run_id, error, .. } => Some(format!(
                "{run_id} failed: {error}\n  its lab is kept: `flaplab shell NODE --lab {run_id}` to look into it, \
                 `flaplab down --lab {run_id}` to end it"
            )),
            CampaignEvent::Ended {
                run_id,
                status,
                error,
                findings,
            } => {
                self.ended(run_id);
                let word = match status {
                    Status::Complete => "complete",
                    Status::Failed => "FAILED",
                    Status::Aborted => "aborted",
                    Status::Running => "lost",
                };
                let mut line = format!(
                    "{run_id} {word} ({}/{} runs{})",
                    self.there + self.ended,
                    self.runs,
                    self.left_text()
                );
                if let Some(error) = error {
                    line.push_str(&format!("\n  {error}"));
                }
                for finding in findings.iter().filter(|f| f.severity >= Severity::Warning) {
                    line.push_str(&format!(
                        "\n  finding at {}: {}",
                        finding.place, finding.message
                    ));
                }
                Some(line)
            }
        }
    }
}

/// The stage in the words of a progress line.
fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::BringUp => "brings up",
        Stage::Establish => "establishes",
        Stage::Settle => "settles",
        Stage::Fail => "fails",
        Stage::Converge => "converges",
        Stage::Up => "is up",
    }
}
