//! A Slurm cluster of two nodes, of a test's own: munged, slurmctld and two slurmd.
//!
//! *Assumes* Slurm and munge as `scripts/setup --test` installs them, unshare(1) and nsenter(1).
//! *Guarantees* that all of it lives in user, PID, mount, UTS and network namespaces of its own: its
//! ports are nobody else's, it runs as an ordinary user whoever runs the test, and it ends, every
//! process of it, with the value, and with the test that dies before.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::processes::{Process, descendants};
use super::program::{Finished, RUN_LIMIT, SHORT_LIMIT, finish, until};

/// uid and gid that everything has within: `nobody`, for Slurm looks its users up by name.
const NOBODY: u32 = 65534;
/// The nodes.
pub(crate) const NODES: [&str; 2] = ["n1", "n2"];

pub(crate) struct Cluster {
    holder: Child,
    /// Process 1 of the PID namespace, as seen from here.
    init: i32,
    dir: PathBuf,
}

impl Cluster {
    /// Starts one, whose files are in the new directory `dir`, and waits until both nodes are idle.
    pub(crate) fn start(dir: &Path) -> Cluster {
        for name in ["", "state", "n1", "n2"] {
            fs::create_dir(dir.join(name)).unwrap();
        }
        fs::write(dir.join("slurm.conf"), configuration(dir)).unwrap();
        let key = dir.join("munge.key");
        fs::write(&key, [0x5a; 1024]).unwrap();
        fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        let id = NOBODY.to_string();
        let mut holder = Command::new("unshare")
            .args([
                "--user",
                "--map-user",
                &id,
                "--map-group",
                &id,
                "--keep-caps",
            ])
            .args([
                "--net",
                "--uts",
                "--mount-proc",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .args(["sh", "-c", SCRIPT])
            .env_clear()
            .env("PATH", PATH)
            .env("DIR", dir)
            .env("SLURM_CONF", dir.join("slurm.conf"))
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) runs; install the package util-linux");
        let mut line = String::new();
        let stdout = holder.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let pid = i32::try_from(holder.id()).unwrap();
        let init = descendants(pid).first().map_or(0, |p| p.pid);
        let cluster = Cluster {
            holder,
            init,
            dir: dir.to_owned(),
        };
        assert_eq!(
            line,
            "started\n",
            "Slurm starts in namespaces of its own; run scripts/setup --test, and see above and {}",
            cluster.logs()
        );
        let nodes = || {
            let told = cluster.run("sinfo", &["--noheader", "--Node", "--format=%N %t"]);
            told.lines().filter(|l| l.ends_with(" idle")).count()
        };
        until(
            RUN_LIMIT,
            "two idle nodes",
            || (nodes() == NODES.len()).then_some(()),
            || cluster.logs(),
        );
        cluster
    }

    /// The same command, there: as a user of the cluster.
    pub(crate) fn command(&self, inside: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.init))
            .args(["--user", "--mount", "--net", "--uts", "--pid"])
            .args(["--preserve-credentials", "--"])
            .arg(inside.get_program())
            .args(inside.get_args())
            .env("PATH", PATH)
            .env("SLURM_CONF", self.dir.join("slurm.conf"));
        command
    }

    /// What a program of Slurm's prints.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> String {
        let mut command = Command::new(program);
        let mut command = self.command(command.args(args));
        let Finished {
            status,
            stdout,
            stderr,
        } = finish(&mut command, SHORT_LIMIT);
        assert!(
            status.success(),
            "{program} {args:?}: {stderr}\n{}",
            self.logs()
        );
        stdout
    }

    /// A node is lost: everything on it is gone at once, and the cluster is told.
    pub(crate) fn lose(&self, node: &str) {
        let of_node = |p: &Process| {
            let arguments = p.arguments();
            arguments.first().is_some_and(|a| a.ends_with("slurmd"))
                && arguments.iter().any(|a| a == node)
        };
        let daemon = descendants(self.init).into_iter().find(of_node);
        let daemon = daemon.unwrap_or_else(|| panic!("slurmd of {node}: {}", self.logs()));
        // What runs jobs is no child of slurmd's: by the node's name in what Slurm says of the job.
        let jobs = self.run(
            "squeue",
            &[
                "--noheader",
                "--array",
                "--states=running",
                "--format=%A %N",
            ],
        );
        let jobs = jobs
            .lines()
            .filter_map(|l| l.strip_suffix(&format!(" {node}")));
        let jobs: Vec<String> = jobs.map(|id| format!("[{}.", id.trim())).collect();
        let steps = descendants(self.init).into_iter().filter(|p| {
            let title = p.arguments().join(" ");
            title.starts_with("slurmstepd:") && jobs.iter().any(|j| title.contains(j.as_str()))
        });
        let steps: Vec<Process> = steps.collect();
        assert_eq!(
            steps.len(),
            jobs.len(),
            "a step daemon for each of {jobs:?}"
        );
        let mut all = vec![daemon];
        for step in &steps {
            all.push(*step);
            all.extend(descendants(step.pid));
        }
        for process in &all {
            // One that has ended meanwhile is what is wanted.
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
        until(
            SHORT_LIMIT,
            "the end of all that was on the node",
            || all.iter().all(|p| !p.lives()).then_some(()),
            || format!("{all:?}"),
        );
        let name = format!("NodeName={node}");
        self.run("scontrol", &["update", &name, "State=DOWN", "Reason=lost"]);
    }

    /// The last that its daemons said.
    pub(crate) fn logs(&self) -> String {
        let of = |name: &str| {
            let text = fs::read(self.dir.join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            format!("-- {name}:\n{}\n", last.join("\n"))
        };
        ["munged.log", "slurmctld.log", "n1.log", "n2.log"]
            .map(of)
            .concat()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Process 1 goes with it, and the kernel ends what is left of its namespace.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A machine with the address 127.0.0.1 alone counts as one without any, and then no name is looked up, not
/// even `127.0.0.1` (AI_ADDRCONFIG, getaddrinfo(3)): it gets another one, of RFC 5737. Without the
/// capabilities that this took, the daemons are an ordinary user's.
/// The end of standard input is the end of the test.
const SCRIPT: &str = r#"
set -e
ip address add 192.0.2.1/32 dev lo
ip link set lo up
hostname head
drop="setpriv --inh-caps=-all --ambient-caps=-all --"
$drop munged --key-file="$DIR/munge.key" --socket="$DIR/munge.socket" --pid-file="$DIR/munged.pid" \
    --log-file="$DIR/munged.log" --seed-file="$DIR/munge.seed" --force 2>"$DIR/munged.out"
$drop slurmctld >"$DIR/slurmctld.out" 2>&1
for node in n1 n2; do $drop slurmd -N "$node" >"$DIR/$node.out" 2>&1; done
echo started
exec $drop cat
"#;

fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "ClusterName=flaplab\n\
         SlurmctldHost=head(127.0.0.1)\n\
         SlurmctldPort=6817\n\
         SlurmUser=nobody\n\
         SlurmdUser=nobody\n\
         AuthType=auth/munge\n\
         AuthInfo=socket={dir}/munge.socket\n\
         CredType=cred/munge\n\
         StateSaveLocation={dir}/state\n\
         SlurmdSpoolDir={dir}/%n\n\
         SlurmctldPidFile={dir}/slurmctld.pid\n\
         SlurmdPidFile={dir}/%n.pid\n\
         SlurmctldLogFile={dir}/slurmctld.log\n\
         SlurmdLogFile={dir}/%n.log\n\
         ProctrackType=proctrack/linuxproc\n\
         TaskPlugin=task/none\n\
         SelectType=select/cons_tres\n\
         SelectTypeParameters=CR_CPU\n\
         SlurmdParameters=config_overrides\n\
         SwitchType=switch/none\n\
         MpiDefault=none\n\
         AccountingStorageType=accounting_storage/none\n\
         JobAcctGatherType=jobacct_gather/none\n\
         JobCompType=jobcomp/none\n\
         ReturnToService=2\n\
         KillWait=5\n\
         NodeName=n1 NodeHostname=head NodeAddr=127.0.0.1 Port=6821 CPUs=1\n\
         NodeName=n2 NodeHostname=head NodeAddr=127.0.0.1 Port=6822 CPUs=1\n\
         PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP\n"
    )
}
