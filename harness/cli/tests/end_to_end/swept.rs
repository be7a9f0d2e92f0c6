//! A campaign over a matrix: killed at random instants, and made again where it is not valid.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::attempt::run_and_attempt;
use results::{RunDir, Status};
use topologies::{ResolvedScenario, Scenario};

use super::campaign::Campaign;
use super::outside::names;
use super::processes::{Process, descendants, naming};
use super::program::{RUN_LIMIT, Running, SHORT_LIMIT, finish, flaplab, until, workspace};

const SWEEP: &str = "\
name: sweep
topology: {kind: clique, size: 2}
failure: {kind: control}
strategies: [none, tcpr]
matrix: {router.mrai: [0s, 1s]}
runs: 1
";

/// How often flaplab is killed, and within which time.
const KILLS: usize = 20;
const SOONEST_S: f64 = 0.01;
const LATEST_S: f64 = 14.0;

fn write_scenario(dir: &Path, text: &str) -> (PathBuf, Scenario) {
    let file = dir.join("scenario.yaml");
    fs::write(&file, text).unwrap();
    (file, Scenario::parse(text, "scenario.yaml").unwrap())
}

fn run(scenario: &Path, out: &Path, arguments: &[&str]) -> Command {
    let mut command = flaplab();
    command.arg("run").arg(scenario).arg("--out").arg(out);
    command.args(arguments);
    command
}

/// When each attempt that is complete ended: one that is made again has another time.
fn complete(campaign: &Campaign) -> BTreeMap<String, String> {
    let runs = campaign.runs().into_iter();
    runs.filter_map(|run| Some((run.run_id(), run.manifest().ok()?)))
        .filter(|(_, m)| m.status == Status::Complete)
        .map(|(id, m)| (id, m.ended_at.unwrap()))
        .collect()
}

/// Instants over three orders of magnitude: most fall into the making of directories and labs, where
/// most is made, and some runs come to their end.
fn instants() -> Vec<Duration> {
    let mut state: u64 = std::env::var("FLAPLAB_TEST_SEED").map_or(146, |s| s.parse().unwrap());
    println!("FLAPLAB_TEST_SEED={state} repeats these instants");
    let mut instant = || {
        // SplitMix64: any generator that is not the machine's clock will do.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let fraction = (mixed >> 32) as f64 / f64::from(u32::MAX);
        Duration::from_secs_f64(SOONEST_S * (LATEST_S / SOONEST_S).powf(fraction))
    };
    (0..KILLS).map(|_| instant()).collect()
}

#[test]
fn a_sweep_killed_at_twenty_random_instants_ends_with_each_run_once() {
    let dir = workspace();
    let (file, scenario) = write_scenario(dir.path(), SWEEP);
    let out = dir.path().join("campaign");
    let campaign = Campaign::at(&out);
    let command = || run(&file, &out, &["--jobs", "4"]);
    let mut before = BTreeMap::new();
    let mut aside = BTreeSet::new();
    for instant in instants() {
        let flaplab = Running::start(&mut command());
        flaplab.let_run(instant);
        flaplab.signal(Signal::SIGKILL);
        flaplab.end(SHORT_LIMIT);
        let now = complete(&campaign);
        let stays = |(id, at): (&String, &String)| now.get(id) == Some(at);
        assert!(
            before.iter().all(stays),
            "lost or made twice: {before:?} {now:?}"
        );
        before = now;
        let now: BTreeSet<String> = names(&out.join("abandoned")).collect();
        assert!(aside.is_subset(&now), "{aside:?} {now:?}");
        aside = now;
        until(
            SHORT_LIMIT,
            "the end of every process that was told of the directory",
            || naming(dir.path()).is_empty().then_some(()),
            || format!("{:?}", naming(dir.path())),
        );
    }
    finish(&mut command(), RUN_LIMIT).exits_with(0);

    let expected: BTreeSet<String> = scenario.resolve_all().map(|r| r.run_id()).collect();
    assert_eq!(expected.len(), 4);
    let now = complete(&campaign);
    assert!(before.iter().all(|(id, at)| now.get(id) == Some(at)));
    let made = campaign.runs();
    let of = |run: &RunDir| run_and_attempt(&run.run_id()).0.to_owned();
    assert_eq!(made.iter().map(of).collect::<BTreeSet<_>>(), expected);
    assert!(made.iter().all(RunDir::is_sealed));
    for name in &aside {
        let run = RunDir::at(out.join("abandoned").join(name));
        let status = run.manifest().map(|m| m.status);
        assert!(
            !matches!(status, Ok(Status::Complete | Status::Failed)),
            "{name}: {status:?}"
        );
    }
    let findings = fs::read_to_string(out.join("findings.csv")).unwrap();
    assert!(!findings.contains(",repeated,"), "made twice: {findings}");
    // Once in the statistics, too: a row for each cell and arm, of one run.
    let summary = fs::read_to_string(out.join("summary.csv")).unwrap();
    let rows: Vec<&str> = summary
        .lines()
        .filter(|l| l.contains(",convergence_s,s,1,"))
        .collect();
    assert_eq!(rows.len(), 4, "{summary}");
    for (arm, cell) in [
        ("none", "mrai=0s"),
        ("tcpr", "mrai=0s"),
        ("none", "mrai=1s"),
        ("tcpr", "mrai=1s"),
    ] {
        let is =
            |r: &&&str| r.starts_with(&format!("sweep,{arm},")) && r.ends_with(&format!(",{cell}"));
        assert_eq!(rows.iter().filter(is).count(), 1, "{arm} {cell}: {summary}");
    }
    let manifests: Vec<_> = made.iter().map(|r| r.manifest().unwrap()).collect();
    for resolved in scenario.resolve_all() {
        let is = |m: &&results::Manifest| m.address == Some(resolved.address());
        let manifest = manifests.iter().find(is).unwrap();
        assert_eq!(
            (manifest.mrai_s, &manifest.cell),
            (mrai_s(&resolved), &resolved.cell)
        );
    }
}

fn mrai_s(run: &ResolvedScenario) -> f64 {
    run.router.mrai.as_secs_f64()
}

#[test]
fn a_run_that_fails_is_made_again_and_its_valid_attempt_counts() {
    let dir = workspace();
    let text = SWEEP
        .replace("[none, tcpr]", "[none]")
        .replace("[0s, 1s]", "[0s]");
    let (file, scenario) = write_scenario(dir.path(), &text);
    let out = dir.path().join("campaign");
    let flaplab = Running::start(&mut run(&file, &out, &["--repeats", "1"]));
    flaplab.wait_for(" settles: ", RUN_LIMIT);
    let is_bgpd_of_r2 = |p: &Process| {
        let words = p.arguments();
        words[0].ends_with("/bgpd") && words.windows(2).any(|w| w[0] == "-N" && w[1] == "r2")
    };
    let mut lab = descendants(flaplab.pid());
    lab.retain(is_bgpd_of_r2);
    assert_eq!(lab.len(), 1, "{lab:?}");
    kill(Pid::from_raw(lab[0].pid), Signal::SIGKILL).unwrap();
    let finished = flaplab.end(RUN_LIMIT).exits_with(0);
    let run_id = scenario.resolve_all().next().unwrap().run_id();
    finished.says(&[
        &format!("{run_id} FAILED (0/1 runs, is made again"),
        &format!("{run_id}.2 complete (1/1 runs"),
    ]);
    for part in ["1 of 1", "1 runs were attempted 2 times", "daemon-died"] {
        assert!(finished.stdout.contains(part), "{}", finished.stdout);
    }
    let campaign = Campaign::at(&out);
    let made: Vec<String> = campaign.runs().iter().map(RunDir::run_id).collect();
    assert_eq!(made, [run_id.clone(), format!("{run_id}.2")]);
    let attempts: Vec<(u32, Status)> = campaign
        .runs()
        .iter()
        .map(|r| r.manifest().map(|m| (m.attempt, m.status)).unwrap())
        .collect();
    assert_eq!(attempts, [(1, Status::Failed), (2, Status::Complete)]);
    let counts = |row: &&super::campaign::Row| row["valid"] == "true";
    let rows = campaign.metrics("none");
    assert_eq!(rows.iter().filter(counts).count(), 2, "{rows:?}");
    assert!(
        rows.iter()
            .filter(counts)
            .all(|r| r["attempt"] == "2" && r["cell"] == "mrai=0s")
    );
}

#[test]
fn a_run_that_is_never_valid_is_made_so_often_and_no_oftener() {
    let dir = workspace();
    // No session comes up so soon.
    let text = "name: never-up\ntopology: {kind: clique, size: 2}\nfailure: {kind: control}\n\
                strategies: [none]\nruns: 1\ndeadlines: {established: 1ms}\n";
    let (file, scenario) = write_scenario(dir.path(), text);
    let out = dir.path().join("campaign");
    let run_id = scenario.resolve_all().next().unwrap().run_id();
    let made = || names(&out.join("runs")).collect::<BTreeSet<String>>();
    let attempts = |n: u32| {
        let names = (1..=n).map(|i| results::attempt::attempt_id(&run_id, i));
        names.collect::<BTreeSet<String>>()
    };
    finish(&mut run(&file, &out, &["--repeats", "1"]), RUN_LIMIT)
        .exits_with(3)
        .says(&[
            "is made again",
            "1 of 1 runs have no valid attempt out of 2",
            "--repeats 3",
        ]);
    assert_eq!(made(), attempts(2));
    finish(&mut run(&file, &out, &["--repeats", "1"]), SHORT_LIMIT)
        .exits_with(3)
        .says(&["0 of 1 runs are complete", &run_id, "--repeats allows more"]);
    assert_eq!(made(), attempts(2));
    finish(&mut run(&file, &out, &["--repeats", "3"]), RUN_LIMIT).exits_with(3);
    assert_eq!(made(), attempts(4));
    assert!(!out.join("abandoned").exists());
}
