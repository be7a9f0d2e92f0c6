//! `flaplab bench campaign`: how much of a campaign's time went into the experiment itself.
//!
//! *Assumes* a campaign that is over; or, to make a small one, what `flaplab run` does. *Guarantees*
//! that a campaign which is there is only read, and that nothing is left of a small one.

use std::num::NonZeroU32;
use std::path::Path;

use analysis::cost::{CampaignCost, cost};
use anyhow::Context;
use harness::jobs::Jobs;
use tokio::sync::watch;
use topologies::Scenario;

use crate::Exit;
use crate::args::TellArgs;
use crate::progress::Progress;
use crate::run::{self, Manner};

const SCENARIO: &str = include_str!("../../../topologies/scenarios/surton2014-control.yaml");

/// Carries out a small campaign of the study's control failure, and tells what it cost.
pub(crate) async fn bench(runs: NonZeroU32, jobs: Jobs, json: bool) -> anyhow::Result<Exit> {
    let scenario = Scenario::parse(SCENARIO, "surton2014-control.yaml")?.with_runs(runs);
    let dir = std::env::temp_dir().join(format!("flaplab-bench-{}", std::process::id()));
    // Its own object is all that a program wants of it.
    let (progress, telling) = Progress::start(TellArgs {
        quiet: json,
        json: false,
    });
    let (stopper, stop) = watch::channel(false);
    let interrupted = tokio::spawn(run::stop_on_signal(stopper, progress.clone()));
    let manner = Manner {
        jobs,
        // What repeating costs is no part of what a run costs.
        repeats: 0,
        keep: false,
    };
    let made = run::make_runs(scenario, &dir, manner, &stop, &progress).await;
    let shown = telling.end(&progress).await;
    interrupted.abort();
    let told = made.and_then(|_| Ok(cost(&dir, None)?));
    std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    print(&told?, json)?;
    shown?;
    Ok(if *stop.borrow() {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

/// Tells what a campaign cost that is there.
pub(crate) fn tell(campaign: &Path, jobs: Jobs, json: bool) -> anyhow::Result<Exit> {
    let stated = match jobs {
        Jobs::Auto => None,
        Jobs::Fixed(n) => Some(n.get()),
    };
    print(&cost(campaign, stated)?, json)?;
    Ok(Exit::Done)
}

fn print(cost: &CampaignCost, json: bool) -> std::io::Result<()> {
    if !json {
        return crate::print(&cost.to_string());
    }
    let object = serde_json::json!({
        "runs": cost.runs,
        "complete": cost.complete,
        "invalid": cost.invalid,
        "invalid_share": cost.invalid_share(),
        "wall_s": cost.wall_s,
        "runs_per_minute": cost.runs_per_minute(),
        "jobs": cost.jobs,
        "most_jobs": cost.most_jobs,
        "jobs_recorded": cost.jobs_recorded,
        "protocol_share": cost.protocol_share(),
        "protocol_s": cost.protocol_s,
        "bring_up_s": cost.bring_up_s,
        "closing_s": cost.closing_s,
        "failed_s": cost.failed_s,
        "bring_up_median_s": cost.bring_up_median_s,
        "protocol_median_s": cost.protocol_median_s,
        "closing_median_s": cost.closing_median_s,
        "cpu_s": cost.cpu_s,
        "memory_mib": cost.memory_mib,
    });
    crate::print(&format!("{object}\n"))
}
