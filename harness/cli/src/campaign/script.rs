//! The job script: what sbatch is given, and a person reads, mends and submits by hand.
//!
//! *Assumes* absolute paths. *Guarantees* that no path or option is taken for anything else by the
//! shell or by sbatch, however it is spelt, and that the script says what it does.

use std::path::Path;

use anyhow::{Context, bail};

use super::counted;

/// What goes into a script.
#[derive(Debug, Clone)]
pub(crate) struct Script<'a> {
    /// Name of the scenario.
    pub(crate) scenario: &'a str,
    /// The directory that the script is written to.
    pub(crate) submission: &'a Path,
    /// Number of tasks.
    pub(crate) tasks: usize,
    /// Number of runs in all.
    pub(crate) runs: usize,
    /// flaplab, where it is on this machine.
    pub(crate) flaplab: &'a Path,
    /// Labs of a task at a time.
    pub(crate) jobs: usize,
    /// Where tasks make their runs, if not in the campaign's directory.
    pub(crate) scratch: Option<&'a Path>,
    /// Partition.
    pub(crate) partition: Option<&'a str>,
    /// Time limit.
    pub(crate) time: Option<&'a str>,
    /// Further options of sbatch.
    pub(crate) sbatch_args: &'a [String],
}

impl Script<'_> {
    /// The script's text.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        let submission = plain(self.submission)?;
        // In file names of sbatch, `%` begins a variable.
        let log = format!("{}/log/%a.log", submission.replace('%', "%%"));
        let mut options = vec![
            format!("--job-name=flaplab-{}", self.scenario),
            format!("--array=1-{}", self.tasks),
            "--ntasks=1".to_owned(),
            format!("--cpus-per-task={}", self.jobs.div_ceil(2)),
            format!("--output={log}"),
            "--open-mode=append".to_owned(),
            "--requeue".to_owned(),
            // So that it can close its records before the time is up: to flaplab, not to its labs.
            "--signal=B:TERM@60".to_owned(),
        ];
        options.extend(self.partition.map(|p| format!("--partition={p}")));
        options.extend(self.time.map(|t| format!("--time={t}")));
        options.extend_from_slice(self.sbatch_args);
        let options: String = options
            .iter()
            .map(|o| Ok(format!("#SBATCH {}\n", for_sbatch(o)?)))
            .collect::<anyhow::Result<_>>()?;
        let scratch = match self.scratch {
            Some(dir) => format!(" --scratch {}", for_shell(plain(dir)?)),
            None => String::new(),
        };
        Ok(format!(
            "#!/bin/sh\n\
             # {} of {} in {}, for Slurm. Written by `flaplab campaign submit`; to submit it by\n\
             # hand:  sbatch {}\n\
             # Task N makes the runs in line N of the file `tasks` beside this one, each in a capsule without\n\
             # privilege, and publishes them in CAMPAIGN/tasks. A run that is there already is not made again.\n\
             {options}\
             \n\
             # flaplab, where it is on the nodes: FLAPLAB=/path/to/flaplab sbatch ... for another place.\n\
             [ -n \"$FLAPLAB\" ] || FLAPLAB={}\n\
             exec \"$FLAPLAB\" campaign task {} \"$SLURM_ARRAY_TASK_ID\" --jobs {}{scratch}\n",
            counted(self.runs, "run"),
            self.scenario,
            counted(self.tasks, "task"),
            for_shell(&format!("{submission}/job.sh")),
            for_shell(plain(self.flaplab)?),
            for_shell(submission),
            self.jobs,
        ))
    }
}

/// The text of a path that stands on one line.
fn plain(path: &Path) -> anyhow::Result<&str> {
    let text = path.to_str().with_context(|| {
        format!(
            "{} is not UTF-8, and a job script cannot name it: name another directory",
            path.display()
        )
    })?;
    if text.contains(char::is_control) {
        bail!(
            "{text:?} has a line break or the like in it, and a job script cannot name it: name another directory"
        );
    }
    Ok(text)
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_./=:,%+@".contains(c)
}

/// A word of a shell.
pub(crate) fn for_shell(word: &str) -> String {
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// An option on a line of sbatch's own, which knows quotes and no shell.
fn for_sbatch(option: &str) -> anyhow::Result<String> {
    if !option.starts_with('-') {
        bail!("`{option}` is no option of sbatch: write --sbatch-arg=--NAME=VALUE");
    }
    if option.contains(|c: char| c.is_control() || c == '"') {
        bail!("{option:?} cannot stand in a job script: it has a quote or a line break in it");
    }
    if option.chars().all(is_plain) {
        return Ok(option.to_owned());
    }
    Ok(match option.split_once('=') {
        Some((name, value)) => format!("{name}=\"{value}\""),
        None => format!("\"{option}\""),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    fn script<'a>(submission: &'a Path, flaplab: &'a Path, args: &'a [String]) -> Script<'a> {
        Script {
            scenario: "clique4-control",
            submission,
            tasks: 3,
            runs: 20,
            flaplab,
            jobs: 3,
            scratch: None,
            partition: Some("short"),
            time: Some("2:00:00"),
            sbatch_args: args,
        }
    }

    #[test]
    fn the_script_is_what_a_person_would_write() {
        let args = ["--mem=8G".to_owned()];
        let text = script(
            Path::new("/home/u/c/slurm/1"),
            Path::new("/bin/flaplab"),
            &args,
        )
        .text();
        assert_eq!(
            text.unwrap(),
            "#!/bin/sh\n\
             # 20 runs of clique4-control in 3 tasks, for Slurm. Written by `flaplab campaign submit`; to submit it by\n\
             # hand:  sbatch /home/u/c/slurm/1/job.sh\n\
             # Task N makes the runs in line N of the file `tasks` beside this one, each in a capsule without\n\
             # privilege, and publishes them in CAMPAIGN/tasks. A run that is there already is not made again.\n\
             #SBATCH --job-name=flaplab-clique4-control\n\
             #SBATCH --array=1-3\n\
             #SBATCH --ntasks=1\n\
             #SBATCH --cpus-per-task=2\n\
             #SBATCH --output=/home/u/c/slurm/1/log/%a.log\n\
             #SBATCH --open-mode=append\n\
             #SBATCH --requeue\n\
             #SBATCH --signal=B:TERM@60\n\
             #SBATCH --partition=short\n\
             #SBATCH --time=2:00:00\n\
             #SBATCH --mem=8G\n\
             \n\
             # flaplab, where it is on the nodes: FLAPLAB=/path/to/flaplab sbatch ... for another place.\n\
             [ -n \"$FLAPLAB\" ] || FLAPLAB=/bin/flaplab\n\
             exec \"$FLAPLAB\" campaign task /home/u/c/slurm/1 \"$SLURM_ARRAY_TASK_ID\" --jobs 3\n"
        );
    }

    #[test]
    fn a_shell_calls_the_task_whatever_the_paths_are_called() {
        for odd in [
            "a b",
            "it's",
            "$HOME",
            "`id`",
            "\"q\"",
            "back\\slash",
            "}",
            "a;b",
        ] {
            // A flaplab that prints its arguments, a line each.
            let dir = tempfile::tempdir().unwrap();
            let flaplab = dir.path().join(odd);
            std::os::unix::fs::symlink("/usr/bin/printf", &flaplab).unwrap();
            let submission = dir.path().join(odd).join("slurm/1");
            let scratch = Path::new("/tmp").join(odd);
            let mut script = script(&submission, &flaplab, &[]);
            script.scratch = Some(&scratch);
            // sbatch's own quoting is not the shell's, and lets no quote into a path.
            let Ok(text) = script.text() else {
                assert!(odd.contains('"'), "{odd}");
                continue;
            };
            let text = text.replace(" campaign task ", " '%s\\n' campaign task ");
            let output = Command::new("sh")
                .args(["-c", &text])
                .env_remove("FLAPLAB")
                .env("SLURM_ARRAY_TASK_ID", "2")
                .output()
                .unwrap();
            let told = String::from_utf8(output.stdout.clone()).unwrap();
            let told: Vec<&str> = told.lines().collect();
            let (submission, scratch) = (submission.to_str().unwrap(), scratch.to_str().unwrap());
            let expected = [
                "campaign",
                "task",
                submission,
                "2",
                "--jobs",
                "3",
                "--scratch",
                scratch,
            ];
            assert_eq!(told, expected, "{odd}:\n{text}\n{output:?}");
        }
    }

    #[test]
    fn another_flaplab_can_be_named_on_the_nodes() {
        let text = script(Path::new("/c/slurm/1"), Path::new("/nowhere"), &[]).text();
        let output = Command::new("sh")
            .args(["-c", &text.unwrap()])
            .env("FLAPLAB", "/bin/echo")
            .env("SLURM_ARRAY_TASK_ID", "1")
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(told, "campaign task /c/slurm/1 1 --jobs 3\n");
    }

    #[test]
    fn what_sbatch_would_misread_is_quoted_or_refused() {
        assert_eq!(for_sbatch("--comment=a b").unwrap(), "--comment=\"a b\"");
        assert!(for_sbatch("--comment=a\nb").is_err());
        assert!(
            for_sbatch("mem=8G")
                .unwrap_err()
                .to_string()
                .contains("--sbatch-arg=--NAME")
        );
        let text = script(Path::new("/50% off/slurm/1"), Path::new("/f"), &[]).text();
        assert!(
            text.unwrap()
                .contains("#SBATCH --output=\"/50%% off/slurm/1/log/%a.log\"\n")
        );
    }
}
