//! `flaplab reproduce surton2014`: the whole study, from nothing or from where it was stopped.
//!
//! *Assumes* the program `tcpr` beside this one, or on PATH. *Guarantees* that a part which is there
//! and whole is not made again, that a stop leaves what the same command goes on with, and that
//! figures and tables are computed anew from all that is there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use analysis::study::{self, StudyReport, analyze_study};
use anyhow::{Context, bail};
use results::study::{BENCHMARKS, ClaimedStudy, StudyDir};
use serde_json::{Value, json};
use tokio::sync::watch;
use topologies::Scenario;

use crate::Exit;
use crate::args::ReproduceArgs;
use crate::progress::Progress;
use crate::run::{self, Manner, REPEATS};

/// The study's scenarios, as they were when this program was built: the folder of each, its file,
/// and its text. The probe goes first, as its figure judges the others.
const SCENARIOS: [(&str, &str, &str); 3] = [
    (
        study::PROBE,
        "mrai-probe.yaml",
        include_str!("../../../topologies/scenarios/mrai-probe.yaml"),
    ),
    (
        study::CAMPAIGNS[0],
        "surton2014-control.yaml",
        include_str!("../../../topologies/scenarios/surton2014-control.yaml"),
    ),
    (
        study::CAMPAIGNS[1],
        "surton2014-correlated.yaml",
        include_str!("../../../topologies/scenarios/surton2014-correlated.yaml"),
    ),
];

/// Reproduces a study.
pub(crate) async fn reproduce(args: ReproduceArgs) -> anyhow::Result<Exit> {
    let name = args.study.to_string();
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("results/runs").join(&name));
    let tcpr = tcpr()?;
    let claimed = StudyDir::claim(&out, &name)?;
    let (progress, telling) = Progress::start(args.tell);
    let (stopper, stop) = watch::channel(false);
    let interrupted = tokio::spawn(run::stop_on_signal(stopper, progress.clone()));
    let carried = carry_out(&args, &claimed, &tcpr, &stop, &progress).await;
    let stopped = *stop.borrow();
    let ended = carried.map(|(failed, report)| {
        let exit = match (stopped, report.is_sound() && failed == 0) {
            (true, _) => Exit::Interrupted,
            (false, true) => Exit::Done,
            (false, false) => Exit::DoubtfulRuns,
        };
        (exit, report)
    });
    progress.over(&ended, |(exit, report)| told_of(*exit, report));
    let told = telling.end(&progress).await;
    interrupted.abort();

    let (exit, report) = ended?;
    args.tell.print(&report.to_string())?;
    args.tell.print(&places(&report))?;
    if let Some(to) = &args.publish {
        args.tell.print(&publish(&report, to)?)?;
    }
    if stopped {
        eprintln!("stopped: the same command goes on from there");
    }
    told?;
    Ok(exit)
}

/// Makes what is missing, and computes everything from what is there then. Tells how many runs failed, too.
async fn carry_out(
    args: &ReproduceArgs,
    study: &ClaimedStudy,
    tcpr: &Path,
    stop: &watch::Receiver<bool>,
    progress: &Progress,
) -> anyhow::Result<(usize, StudyReport)> {
    let failed = parts(args, study, tcpr, stop, progress).await?;
    Ok((failed, analyze_study(&study.dir)?))
}

/// What programs are told of the end.
fn told_of(exit: Exit, report: &StudyReport) -> Value {
    let name = |file: &str| report.path.join(file).display().to_string();
    json!({
        "exit_code": exit as i32,
        "path": report.path.display().to_string(),
        "files": {
            "study": name("study.json"),
            "table": name("study.csv"),
            "figures": name("figures"),
        },
    })
}

/// Computes a study anew from its records.
pub(crate) fn analyze(study: &StudyDir, to: Option<&Path>) -> anyhow::Result<Exit> {
    let report = analyze_study(study)?;
    crate::print(&report.to_string())?;
    crate::print(&places(&report))?;
    if let Some(to) = to {
        crate::print(&publish(&report, to)?)?;
    }
    Ok(Exit::Done)
}

fn places(report: &StudyReport) -> String {
    let at = report.path.display();
    format!(
        "\nFigures: {at}/figures/*.svg and *.pdf\nTables:  {at}/study.md, study.csv; of each campaign, in its own folder\n"
    )
}

fn publish(report: &StudyReport, to: &Path) -> anyhow::Result<String> {
    analysis::publication::publish(report, to)?;
    Ok(format!("Published: {}\n", to.display()))
}

/// Makes what is missing, until all is there or it is stopped. Tells how many runs failed.
async fn parts(
    args: &ReproduceArgs,
    study: &ClaimedStudy,
    tcpr: &Path,
    stop: &watch::Receiver<bool>,
    progress: &Progress,
) -> anyhow::Result<usize> {
    let mut failed = 0;
    for (name, file, text) in SCENARIOS {
        if *stop.borrow() {
            return Ok(failed);
        }
        let mut scenario = Scenario::parse(text, file)?;
        if name != study::PROBE {
            scenario = scenario.with_runs(args.runs);
        }
        progress.say(&format!("== {name}: {}", scenario.name()));
        let manner = Manner {
            jobs: args.jobs,
            repeats: args.repeats.unwrap_or(REPEATS),
            keep: false,
        };
        let out = study.dir.part(name);
        let tally = run::make_runs(scenario, &out, manner, stop, progress)
            .await
            .with_context(|| format!("the part {name}"))?;
        failed += tally.failed + tally.spent;
    }
    let folder = study.dir.tcpr_dir();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in BENCHMARKS {
        if *stop.borrow() {
            return Ok(failed);
        }
        let files = study.dir.benchmark(name);
        if files.are_whole() {
            progress.say(&format!("== tcpr bench {name}: is there"));
            continue;
        }
        progress.say(&format!("== tcpr bench {name}"));
        progress.object("benchmark-begun", json!({"benchmark": name}));
        let mut told = files.json.clone().into_os_string();
        told.push(".new");
        let told = PathBuf::from(told);
        if measure(tcpr, name, &files.csv, &told, stop).await? {
            fs::rename(&told, &files.json)
                .with_context(|| format!("cannot write {}", files.json.display()))?;
            let path = files.json.display().to_string();
            progress.object("benchmark-ended", json!({"benchmark": name, "path": path}));
        }
    }
    Ok(failed)
}

/// The program `tcpr`: beside this one, where both are built and installed, or on PATH.
fn tcpr() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where flaplab is")?;
    let beside = own.with_file_name("tcpr");
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(beside.clone())
        .chain(std::env::split_paths(&on_path).map(|dir| dir.join("tcpr")))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "the program tcpr is neither {} nor on PATH, and figures 21 to 25 need it: \
                 `make build` builds both, or put it beside flaplab",
                beside.display()
            )
        })
}

/// Runs a benchmark. False: it was stopped.
async fn measure(
    tcpr: &Path,
    name: &str,
    csv: &Path,
    told: &Path,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<bool> {
    let file =
        fs::File::create(told).with_context(|| format!("cannot write {}", told.display()))?;
    let arguments: [OsString; 5] = [
        "bench".into(),
        name.into(),
        "--json".into(),
        "--csv".into(),
        csv.into(),
    ];
    let mut child = tokio::process::Command::new(tcpr)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", tcpr.display()))?;
    let mut stop = stop.clone();
    let status = tokio::select! {
        status = child.wait() => status?,
        _ = stop.wait_for(|s| *s) => {
            // Whatever ends it, nothing of it stays.
            child.kill().await?;
            return Ok(false);
        }
    };
    // A Ctrl-C at the terminal is the benchmark's too, and may be told here first.
    if status.success() {
        return Ok(true);
    }
    if *stop.borrow() || std::os::unix::process::ExitStatusExt::signal(&status) == Some(2) {
        return Ok(false);
    }
    bail!(
        "`tcpr bench {name}` ended with {status}: what it said stands above; `flaplab doctor` tells what is missing"
    )
}
