//! Slurm, as its own programs tell of it: sbatch, squeue and, where there is accounting, sacct.
//!
//! *Assumes* Slurm 20.11 or later. *Guarantees* that what Slurm refuses is told in its own words with a
//! remedy, and that a job which it does not know any more is no error: Slurm forgets a job some
//! minutes after its end.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why Slurm did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlurmError {
    /// Its programs are not here.
    #[error(
        "cannot run {program} ({source}): this is done on a machine of the cluster that jobs are submitted from"
    )]
    NotHere {
        /// The program.
        program: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// It refused.
    #[error("{program} says: {said}\n  {remedy}")]
    Refused {
        /// The program.
        program: &'static str,
        /// What it said.
        said: String,
        /// What to do.
        remedy: String,
    },
    /// It said something that is not in its manual.
    #[error("{program} printed `{line}`, which this flaplab does not understand: is it Slurm's?")]
    Nonsense {
        /// The program.
        program: &'static str,
        /// What it printed.
        line: String,
    },
}

/// What Slurm says of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The state, in Slurm's word: `PENDING`, `RUNNING`, `NODE_FAIL` ...
    pub(crate) state: String,
    /// Where it runs or ran; empty before that.
    pub(crate) node: String,
    /// Why it waits, or why it ended; empty if there is nothing to say.
    pub(crate) reason: String,
}

/// A task's name with Slurm: job and index in its array.
pub(crate) type Name = (u32, usize);

/// Submits a job script. Returns the id of the job.
pub(crate) fn submit(script: &Path) -> Result<u32, SlurmError> {
    let mut sbatch = Command::new("sbatch");
    sbatch.arg("--parsable").arg(script);
    match ask("sbatch", &mut sbatch)? {
        Ok(text) => parse_sbatch(&text),
        Err(said) => Err(SlurmError::Refused {
            program: "sbatch",
            remedy: remedy(&said, script),
            said,
        }),
    }
}

/// What Slurm knows of the tasks of these jobs.
pub(crate) fn tasks(jobs: &[u32]) -> Result<HashMap<Name, Told>, SlurmError> {
    let mut told = HashMap::new();
    // One job a time: one that is forgotten makes squeue refuse, and others are told all the same.
    let mut forgotten = Vec::new();
    for job in jobs {
        let mut squeue = Command::new("squeue");
        squeue.args([
            "--array",
            "--noheader",
            "--states=all",
            "--format=%i|%T|%N|%r",
        ]);
        squeue.arg(format!("--jobs={job}"));
        match ask("squeue", &mut squeue)? {
            Ok(text) => {
                let tasks = parse_squeue(&text)?;
                if tasks.is_empty() {
                    forgotten.push(*job);
                }
                told.extend(tasks);
            }
            Err(said) if said.contains("Invalid job id") => forgotten.push(*job),
            Err(said) => {
                return Err(SlurmError::Refused {
                    program: "squeue",
                    remedy: "try again when the cluster answers (sinfo tells); what is in the \
                             campaign's directory is safe meanwhile"
                        .to_owned(),
                    said,
                });
            }
        }
    }
    for job in forgotten {
        let mut sacct = Command::new("sacct");
        sacct.args(["--array", "--noheader", "--allocations", "--parsable2"]);
        sacct.args(["--format=JobID,State,NodeList"]);
        sacct.arg(format!("--jobs={job}"));
        // Many clusters have no accounting. Nothing depends on it.
        if let Ok(Ok(text)) = ask("sacct", &mut sacct) {
            told.extend(parse_sacct(&text));
        }
    }
    Ok(told)
}

/// Runs a program of Slurm's: what it printed, or what it said when it refused.
fn ask(program: &'static str, command: &mut Command) -> Result<Result<String, String>, SlurmError> {
    // What a user has set as the form of its output is for people.
    let command = command
        .env_remove("SQUEUE_FORMAT")
        .env_remove("SACCT_FORMAT");
    let output = command
        .output()
        .map_err(|source| SlurmError::NotHere { program, source })?;
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
    if output.status.success() {
        return Ok(Ok(text(&output.stdout)));
    }
    let said = text(&output.stderr);
    Ok(Err(if said.is_empty() {
        format!("nothing, and ended with {}", output.status)
    } else {
        said
    }))
}

/// `--parsable`: the id of the job, and `;CLUSTER` where there are several.
fn parse_sbatch(text: &str) -> Result<u32, SlurmError> {
    // What a site's plugin says to people comes before it.
    let line = text.lines().last().unwrap_or_default();
    let id = line.split(';').next().unwrap_or_default();
    id.parse().map_err(|_| SlurmError::Nonsense {
        program: "sbatch",
        line: line.to_owned(),
    })
}

/// Lines `JOB_INDEX|STATE|NODE|REASON`.
fn parse_squeue(text: &str) -> Result<HashMap<Name, Told>, SlurmError> {
    let mut tasks = HashMap::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let nonsense = || SlurmError::Nonsense {
            program: "squeue",
            line: line.to_owned(),
        };
        let mut fields = line.splitn(4, '|');
        let mut next = || fields.next().ok_or_else(nonsense);
        let (name, state, node, reason) = (next()?, next()?, next()?, next()?);
        let told = Told {
            state: state.to_owned(),
            node: node.to_owned(),
            reason: match reason {
                "None" => String::new(),
                reason => reason.to_owned(),
            },
        };
        for name in names(name).ok_or_else(nonsense)? {
            tasks.insert(name, told.clone());
        }
    }
    Ok(tasks)
}

/// Lines `JOB_INDEX|STATE|NODE`, where STATE may be `CANCELLED by 1000`. What is no line of a task is
/// passed over.
fn parse_sacct(text: &str) -> HashMap<Name, Told> {
    let mut tasks = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split('|');
        let (Some(name), Some(state), node) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (state, by) = state.split_once(' ').unwrap_or((state, ""));
        let told = Told {
            state: state.to_owned(),
            node: match node {
                Some("None assigned") | None => String::new(),
                Some(node) => node.to_owned(),
            },
            reason: by.to_owned(),
        };
        for name in names(name).unwrap_or_default() {
            tasks.insert(name, told.clone());
        }
    }
    tasks
}

/// `12_3`, or `12_[3-5,8%2]` for tasks that wait together.
fn names(text: &str) -> Option<Vec<Name>> {
    let Some((job, index)) = text.split_once('_') else {
        // Of a job that is no array: none of ours.
        return text.parse::<u32>().ok().map(|_| Vec::new());
    };
    let job = job.parse().ok()?;
    let Some(list) = index.strip_prefix('[') else {
        return Some(vec![(job, index.parse().ok()?)]);
    };
    let list = list.strip_suffix(']')?;
    let list = list.split('%').next().unwrap_or(list);
    let mut names = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        names.extend((first..=last).map(|index| (job, index)));
    }
    Some(names)
}

/// What to do about a refusal of sbatch's.
fn remedy(said: &str, script: &Path) -> String {
    let known = [
        (
            "Invalid job array specification",
            "the cluster takes no array of so many tasks (`scontrol show config` says MaxArraySize): give each more (--runs-per-task)",
        ),
        (
            "nvalid partition",
            "name one that `sinfo` lists (--partition)",
        ),
        (
            "nvalid account",
            "name yours (--sbatch-arg=--account=NAME; `sacctmgr show associations user=$USER` lists them)",
        ),
        (
            "--time specification",
            "write hours:minutes:seconds or days-hours (--time)",
        ),
        (
            "imed out",
            "the cluster is slow to answer, and may have taken the job all the same: see `squeue` first",
        ),
        (
            "time limit",
            "name a shorter time (--time; `sinfo` lists the longest of each partition)",
        ),
        (
            "node configuration is not available",
            "no node has that many CPUs or that much memory: fewer labs at a time (--jobs), or another partition",
        ),
        (
            "nable to contact slurm controller",
            "the cluster does not answer: try again when `sinfo` does",
        ),
        (
            "QOS",
            "the cluster's limits forbid it: fewer tasks (--runs-per-task), or wait until your other jobs have ended",
        ),
    ];
    let what = known
        .iter()
        .find(|(part, _)| said.contains(part))
        .map_or("options of sbatch are passed with --sbatch-arg", |k| k.1);
    format!(
        "{what}. Nothing is known to have been submitted; the script is {}, and can be mended and submitted by hand",
        PathBuf::from(script).display()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn told(state: &str, node: &str, reason: &str) -> Told {
        Told {
            state: state.to_owned(),
            node: node.to_owned(),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn what_sbatch_prints_is_a_job() {
        assert_eq!(parse_sbatch("12").unwrap(), 12);
        assert_eq!(parse_sbatch("12;north").unwrap(), 12);
        assert_eq!(parse_sbatch("Welcome!\n12").unwrap(), 12);
        let error = parse_sbatch("Submitted batch job 12").unwrap_err();
        assert!(
            error.to_string().contains("Submitted batch job 12"),
            "{error}"
        );
    }

    #[test]
    fn squeue_tells_of_each_task() {
        let text = "12_1|RUNNING|n1|None\n12_2|PENDING||Priority\n\
                    12_3|NODE_FAIL|n2|NodeDown\n12_[4-5,8%2]|PENDING||(odd|reason)\n13|RUNNING|n1|None\n";
        let tasks = parse_squeue(text).unwrap();
        assert_eq!(tasks.len(), 6);
        assert_eq!(tasks[&(12, 1)], told("RUNNING", "n1", ""));
        assert_eq!(tasks[&(12, 2)], told("PENDING", "", "Priority"));
        assert_eq!(tasks[&(12, 3)], told("NODE_FAIL", "n2", "NodeDown"));
        for index in [4, 5, 8] {
            assert_eq!(tasks[&(12, index)], told("PENDING", "", "(odd|reason)"));
        }
        assert_eq!(parse_squeue("").unwrap().len(), 0);
    }

    #[test]
    fn what_is_not_squeues_is_refused_and_shown() {
        for line in ["12_1|RUNNING", "12_x|RUNNING|n1|None", "hello"] {
            let error = parse_squeue(line).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn sacct_tells_of_tasks_that_the_queue_has_forgotten() {
        let text =
            "12_1|COMPLETED|n1\n12_2|CANCELLED by 1000|n2\n12_3|PENDING|None assigned\nodd\n";
        let tasks = parse_sacct(text);
        assert_eq!(tasks.len(), 3);
        assert_eq!(tasks[&(12, 2)], told("CANCELLED", "n2", "by 1000"));
        assert_eq!(tasks[&(12, 3)], told("PENDING", "", ""));
    }

    #[test]
    fn a_refusal_comes_with_what_to_do() {
        let script = Path::new("/c/slurm/1/job.sh");
        for (said, part) in [
            (
                "sbatch: error: invalid partition specified: x",
                "--partition",
            ),
            (
                "Batch job submission failed: Invalid job array specification",
                "--runs-per-task",
            ),
            ("something new", "--sbatch-arg"),
        ] {
            let remedy = remedy(said, script);
            assert!(remedy.contains(part), "{remedy}");
            assert!(remedy.contains("/c/slurm/1/job.sh"), "{remedy}");
        }
    }
}
