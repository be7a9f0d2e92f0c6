//! The watch on the machine in the life of a lab.
//!
//! *Assumes* that every process of the lab was started by it, or by one that was. *Guarantees* that the
//! machine is watched from before the failure to the quiet, or to the end of a run that does not come to
//! it, and that each process that is named in a finding is named by its node.

use super::{Lab, LabError};
use crate::machine::{MachineWatch, Name};
use crate::netns::Namespace;

impl Lab {
    /// Begins to look how busy the machine is.
    pub(super) fn watch_machine(&mut self) -> Result<(), LabError> {
        let watch = MachineWatch::begin().map_err(|source| LabError::System {
            doing: "watch how busy the machine is".to_owned(),
            source,
        })?;
        self.machine_watch = Some(watch);
        Ok(())
    }

    /// The measured time is over: what the machine did meanwhile.
    pub(super) fn judge_machine(&mut self) {
        let Some(watch) = self.machine_watch.take() else {
            return;
        };
        let Some((machine, findings)) = watch.end(|pid| self.name_of(pid)) else {
            return;
        };
        self.machine = Some(machine);
        for finding in findings {
            self.journal.finding(finding);
        }
    }

    /// Whose process it is: one that was started here, or else by the network namespace it is in.
    fn name_of(&self, pid: i32) -> Name {
        if let Some(name) = self.names.get(&pid) {
            return name.clone();
        }
        if pid.cast_unsigned() == std::process::id() {
            return Name {
                node: "lab".to_owned(),
                process: "flaplab's agent".to_owned(),
            };
        }
        let has = |n: &&Namespace| n.has(pid);
        let node = self.namespaces.values().find(has).map(Namespace::node);
        let process = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        let process = process.map(|name| name.trim().to_owned());
        Name {
            node: node.unwrap_or("lab").to_owned(),
            process: process.unwrap_or_else(|_| format!("process {pid}, which has ended")),
        }
    }
}
