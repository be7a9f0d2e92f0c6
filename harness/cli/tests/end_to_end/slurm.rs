//! A campaign on a real Slurm: submitted, followed, a node lost, submitted again, merged, analysed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::cluster::Cluster;
use super::processes::naming;
use super::program::{Finished, RUN_LIMIT, SHORT_LIMIT, finish, flaplab, until, workspace};

/// Two routers and nothing to wait for.
const SCENARIO: &str = "schema: 1\n\
                        name: pair\n\
                        topology: {kind: clique, size: 2}\n\
                        router: {mrai: 0s}\n\
                        failure: {kind: control}\n\
                        strategies: [none]\n\
                        runs: 2\n\
                        seed: 7\n";

fn submit(scenario: &Path, out: &Path) -> Command {
    let mut command = flaplab();
    command.args(["campaign", "submit"]).arg(scenario);
    command
        .arg("--out")
        .arg(out)
        .args(["--runs-per-task", "1", "--jobs", "1"]);
    command
}

fn campaign(command: &str, dir: &Path) -> Command {
    let mut flaplab = flaplab();
    flaplab.args(["campaign", command]).arg(dir);
    flaplab
}

struct User {
    cluster: Cluster,
    scenario: PathBuf,
    out: PathBuf,
}

impl User {
    #[track_caller]
    fn does(&self, command: &Command, code: i32) -> Finished {
        let mut there = self.cluster.command(command);
        finish(&mut there, SHORT_LIMIT).exits_with(code)
    }

    fn submit(&self) -> String {
        let mut command = submit(&self.scenario, &self.out);
        // A lost node's task would else wait two minutes for its second start.
        self.does(command.args(["--slurm", "--sbatch-arg=--no-requeue"]), 0)
            .stdout
    }

    fn status(&self) -> Value {
        let told = self.does(campaign("status", &self.out).arg("--json"), 0);
        serde_json::from_str(&told.stdout).unwrap()
    }

    /// Waits until the tasks are in these states, in the order of submissions and tasks.
    #[track_caller]
    fn wait_for(&self, limit: Duration, wanted: &[&str]) -> Value {
        let mut last = Value::Null;
        let states = |status: &Value| -> Vec<String> {
            let submissions = status["submissions"].as_array().unwrap().iter();
            let tasks = submissions.flat_map(|s| s["tasks"].as_array().unwrap());
            tasks
                .map(|t| t["state"].as_str().unwrap().to_owned())
                .collect()
        };
        let seen = std::cell::RefCell::new(Value::Null);
        until(
            limit,
            &format!("tasks that are {wanted:?}"),
            || {
                last = self.status();
                seen.replace(last.clone());
                (states(&last) == wanted).then_some(())
            },
            || {
                format!(
                    "{:#}\n{}{}",
                    seen.borrow(),
                    self.said(),
                    self.cluster.logs()
                )
            },
        );
        last
    }

    /// What the tasks said.
    fn said(&self) -> String {
        let logs = fs::read_dir(self.out.join("slurm/1/log"))
            .into_iter()
            .flatten();
        logs.map(|e| fs::read_to_string(e.unwrap().path()).unwrap_or_default())
            .collect()
    }
}

#[test]
fn a_campaign_on_slurm_survives_the_loss_of_a_node() {
    let dir = workspace();
    let user = User {
        cluster: Cluster::start(&dir.path().join("cluster")),
        scenario: dir.path().join("pair.yaml"),
        out: dir.path().join("campaign"),
    };
    fs::write(&user.scenario, SCENARIO).unwrap();

    let told = user.submit();
    assert!(
        told.contains("2 of 2 runs in 2 tasks") && told.contains("submitted as job"),
        "{told}"
    );
    // What is queued is not submitted a second time.
    let told = user.submit();
    assert!(
        told.contains("nothing to submit: 0 of 2 runs complete, 2 queued"),
        "{told}"
    );

    let status = user.wait_for(RUN_LIMIT, &["running", "running"]);
    let tasks = status["submissions"][0]["tasks"].as_array().unwrap();
    let lost = tasks.iter().find(|t| t["node"] == "n2").unwrap();
    let lost = lost["task"].as_u64().unwrap();
    let job = &status["submissions"][0]["jobs"][0];
    let task_dir = |task: u64| user.out.join(format!("tasks/{job}_{task}.0"));
    let runs = task_dir(lost).join("work/runs");
    until(
        RUN_LIMIT,
        "a run on the node that will be lost",
        || fs::read_dir(&runs).ok()?.next().map(drop),
        || user.said() + &user.cluster.logs(),
    );
    user.cluster.lose("n2");

    let states = if lost == 1 {
        ["lost", "done"]
    } else {
        ["done", "lost"]
    };
    let status = user.wait_for(RUN_LIMIT, &states);
    assert_eq!(status["runs"]["complete"], 1, "{status:#}");
    assert_eq!(status["runs"]["missing"], 1, "{status:#}");
    let told = user.does(&campaign("status", &user.out), 0).stdout;
    assert!(
        told.contains("NODE_FAIL") && told.contains("campaign merge"),
        "{told}"
    );

    // Its run is made again, and only that one.
    let told = user.submit();
    assert!(told.contains("1 of 2 runs in 1 task (1 complete"), "{told}");
    let watch = user
        .cluster
        .command(campaign("status", &user.out).arg("--watch"));
    let told = finish(&mut { watch }, RUN_LIMIT).exits_with(0).stdout;
    assert!(
        told.contains("2 of 2 runs are complete (0 in the campaign, 2 to be merged)"),
        "{told}"
    );

    let told = user.does(&campaign("merge", &user.out), 0).stdout;
    assert!(
        told.contains("merged 2 runs\n") && told.contains("flaplab analyze"),
        "{told}"
    );
    let told = user.does(&campaign("merge", &user.out), 0).stdout;
    assert!(
        told.contains("merged 0 runs\n2 of 2 runs in the campaign"),
        "{told}"
    );
    let told = user.does(flaplab().arg("analyze").arg(&user.out), 0).stdout;
    assert!(told.contains("pair"), "{told}");
    let names = |dir: &Path| super::outside::names(dir).count();
    assert_eq!(names(&user.out.join("runs")), 2);
    assert_eq!(names(&runs), 1, "what the lost node has recorded stays");

    drop(user);
    until(
        SHORT_LIMIT,
        "the end of the cluster, every process of it",
        || naming(dir.path()).is_empty().then_some(()),
        || format!("{:?}", naming(dir.path())),
    );
}

#[test]
fn tasks_are_made_by_hand_where_there_is_no_slurm() {
    let dir = workspace();
    let (scenario, out) = (dir.path().join("pair.yaml"), dir.path().join("campaign"));
    fs::write(&scenario, SCENARIO).unwrap();
    let mut no_slurm = submit(&scenario, &out);
    finish(no_slurm.arg("--slurm").env("PATH", "/nowhere"), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&[
            "cannot run sbatch",
            "sbatch ",
            "slurm/1/job.sh",
            "parallel --sshlogin",
        ]);
    let told = finish(submit(&scenario, &out).arg("--dry-run"), SHORT_LIMIT).exits_with(0);
    assert!(
        told.stdout.contains("nothing was submitted"),
        "{}",
        told.stdout
    );
    finish(&mut submit(&scenario, &out), SHORT_LIMIT)
        .exits_with(2)
        .says(&["--slurm"]);

    let scratch = dir.path().join("scratch");
    let task = |submission: &str, task: &str| {
        let mut command = campaign("task", &out.join("slurm").join(submission));
        command.arg(task).arg("--scratch").arg(&scratch);
        command
    };
    // Both submissions are of the same runs.
    let at_once = [task("1", "1"), task("2", "2")];
    let at_once = at_once.map(|mut t| super::program::Running::start(&mut t));
    // Another machine makes one of them, too.
    let elsewhere = dir.path().join("elsewhere");
    let mut run = super::program::run_once(&scenario, &elsewhere);
    finish(&mut run, RUN_LIMIT).exits_with(0);
    for running in at_once {
        running.end(RUN_LIMIT).exits_with(0);
    }
    finish(&mut task("1", "2"), SHORT_LIMIT)
        .exits_with(0)
        .says(&["all of its runs are there already"]);
    finish(&mut task("1", "3"), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&["there is no task 3", "has 2 lines"]);
    assert_eq!(super::outside::names(&scratch).count(), 0);

    let mut merge = campaign("merge", &out);
    let told = finish(merge.arg(&elsewhere), SHORT_LIMIT)
        .exits_with(3)
        .stdout;
    for part in [
        "merged 2 runs\n",
        "1 left, because the campaign has them",
        "flaplab analyze",
    ] {
        assert!(told.contains(part), "no `{part}` in:\n{told}");
    }

    // Into a campaign of another seed nothing of it comes, unless that is asked for.
    let other = dir.path().join("other");
    let mut other_seed = submit(&scenario, &other);
    let dry_run = other_seed.args(["--dry-run", "--seed", "8"]);
    finish(dry_run, SHORT_LIMIT).exits_with(0);
    let merge = |seed: &[&str]| {
        let mut merge = campaign("merge", &other);
        merge.arg(&out).args(seed);
        finish(&mut merge, SHORT_LIMIT)
    };
    let told = merge(&[]).exits_with(3).stdout;
    for part in ["merged 0 runs", "2 REFUSED", "another experiment", "seed"] {
        assert!(told.contains(part), "no `{part}` in:\n{told}");
    }
    merge(&["--seed", "7"]).exits_with(0);
    assert_eq!(super::outside::names(&other.join("runs")).count(), 2);
    assert_eq!(
        super::outside::names(&out.join("runs")).count(),
        2,
        "copied, not moved"
    );
    merge(&["--seed", "8"])
        .exits_with(1)
        .says_one_error(&["the seed of run 0 is", "--seed"]);
}
