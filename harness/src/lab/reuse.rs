//! A lab that carries several runs, one after the other.
//!
//! *Assumes* that the last run was complete, and that its failure leaves the lab as it was: every
//! session is up, every router has the destination, and it was quiet. *Guarantees* that a further run
//! has records of its own, which begin with the tables as they stand, and nothing of what was found in
//! the one before; that a session or process which went down between two runs is told in the second;
//! and that each line of a log is in the directory of one run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use results::{Clock, EventKind, Phase, RunDir};
use topologies::ResolvedScenario;

use super::{Lab, LabError};
use crate::clock::{self, StepWatch};
use crate::journal::Journal;
use crate::signal::Signal;

impl Lab {
    /// Makes this lab that of a further run, which is of the same cell and arm.
    ///
    /// # Errors
    /// If the run directory cannot be written.
    pub(crate) fn assign(
        &mut self,
        scenario: ResolvedScenario,
        run: RunDir,
        clock: Clock,
    ) -> Result<(), LabError> {
        self.journal = Journal::open(&run, clock)?;
        self.steps = StepWatch::new(clock);
        self.scenario = scenario;
        self.run = run;
        self.clock = clock;
        // What was killed has ended: from here on no session may go down until the next kill.
        self.expected_to_end.clear();
        self.ended.clear();
        self.failed_at_ns = None;
        self.withdrawal_expected = false;
        Ok(())
    }

    /// Begins the records of a further run. The silence in which the last one ended goes on: nothing
    /// but the recorders is started anew.
    pub(super) fn begin_again(&mut self) -> Result<(), LabError> {
        let now_ns = clock::monotonic_ns();
        let target = "the lab of the run before";
        self.journal
            .event(EventKind::Lab, Phase::Confirmed, now_ns, target);
        self.sample_clock();
        while let Ok(signal) = self.inbox.try_recv() {
            // What a recorder has found is in the run whose recorder it was.
            if !matches!(signal, Signal::Found(_)) {
                self.take(signal)?;
            }
        }
        self.watch.look_anew();
        self.start_recorders()
    }

    /// Copies configuration and logs into the run's directory, if they lie elsewhere.
    pub(super) fn keep_logs(&mut self) -> io::Result<()> {
        if self.home == self.run {
            return Ok(());
        }
        for node in &self.scenario.topology.nodes {
            self.kept.copy_node(&self.home, &self.run, &node.name)?;
        }
        Ok(())
    }
}

/// How much of each log is in the directories of earlier runs, octets.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<PathBuf, usize>);

impl Kept {
    /// Copies a node's configuration, and of each of its logs what was written since it was last
    /// copied. A lab that never came so far has none.
    fn copy_node(&mut self, home: &RunDir, run: &RunDir, node: &str) -> io::Result<()> {
        for (from, to) in files(&home.config_dir(node), &run.config_dir(node))? {
            fs::copy(from, to)?;
        }
        for (from, to) in files(&home.log_dir(node), &run.log_dir(node))? {
            let octets = fs::read(&from)?;
            let kept = self.0.entry(from).or_default();
            fs::write(to, octets.get(*kept..).unwrap_or_default())?;
            *kept = octets.len();
        }
        Ok(())
    }
}

/// The files of a directory, each with its place in another one, which is made.
fn files(from: &Path, to: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let entries = match fs::read_dir(from) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    entries
        .map(|entry| {
            let entry = entry?;
            Ok((entry.path(), to.join(entry.file_name())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_log_is_in_the_directory_of_one_run_and_the_configuration_in_each() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| RunDir::at(dir.path().join(name));
        let home = at("home");
        let log = home.log_dir("r1").join("bgpd.log");
        let mut kept = Kept::default();
        kept.copy_node(&home, &at("0"), "r1")
            .expect("nothing is there yet");
        assert!(!at("0").path().exists());
        home.create_node("r1").expect("it can be made");
        fs::write(home.config_dir("r1").join("bgpd.conf"), "x").expect("written");
        for (run, logged) in [("1", "up\n"), ("2", ""), ("3", "down\nup\n")] {
            let before = fs::read_to_string(&log).unwrap_or_default();
            fs::write(&log, before + logged).expect("written");
            let run = at(run);
            kept.copy_node(&home, &run, "r1").expect("copied");
            let read = |path: PathBuf| fs::read_to_string(path).expect("it is there");
            assert_eq!(read(run.log_dir("r1").join("bgpd.log")), logged);
            assert_eq!(read(run.config_dir("r1").join("bgpd.conf")), "x");
        }
    }
}
