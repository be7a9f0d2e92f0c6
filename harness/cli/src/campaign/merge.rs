//! `flaplab campaign merge`: what was made elsewhere becomes part of the campaign.
//!
//! *Assumes* that tasks may still be at work. *Guarantees* that only runs of this campaign's scenario
//! and seed are taken, that a campaign named beside it is left as it is, and that everything which
//! is not taken is told with the reason.

use std::fmt::Write as _;

use anyhow::Context;
use harness::resume::{self, Make};
use results::merge::{Left, Merged, Taking, merge as merge_runs};
use results::{CampaignDir, Manifest, RunDir};
use topologies::Scenario;

use super::args::MergeArgs;
use super::census::{Census, Fate};
use super::counted;
use super::submission::{self, Submission};
use crate::Exit;

/// Runs told by name of one kind; the number says the rest.
const TOLD: usize = 10;

/// Takes what the campaign's tasks have published, and copies what the campaigns named have.
pub(crate) fn merge(args: &MergeArgs) -> anyhow::Result<Exit> {
    let campaign = CampaignDir::open(&args.campaign)?;
    let claimed = CampaignDir::claim(campaign.path(), &campaign.scenario_text()?)?;
    let submissions = Submission::all(&campaign)?;
    let mut scenario = submission::chosen(&campaign, &submissions)?;
    if let Some(seed) = args.seed {
        scenario = scenario.with_seed(seed);
    }
    resume::same_seed(&campaign, &scenario)?;
    let mut from = Vec::new();
    for path in &args.from {
        let other = CampaignDir::open(path)?;
        from.extend(other.tasks()?.into_iter().map(|t| (t, Taking::Copy)));
        from.push((other, Taking::Copy));
    }
    let own = campaign.tasks()?.into_iter().map(|t| (t, Taking::Move));
    let mut merged = Merged::default();
    for (from, taking) in own.chain(from) {
        let more = merge_runs(&claimed, &from, taking, |run, manifest| {
            belongs(&scenario, run, manifest)
        });
        let more = more.with_context(|| format!("merging {}", from.path().display()))?;
        merged.append(more);
    }
    let census = Census::take(&campaign, &scenario)?;
    crate::print(&describe(
        &merged,
        &census,
        &args.campaign.display().to_string(),
    ))?;
    let doubtful = !(merged.second.is_empty() && merged.refused.is_empty());
    Ok(if doubtful {
        Exit::DoubtfulRuns
    } else {
        Exit::Done
    })
}

/// Whether a run is one of this scenario, with what was drawn for it.
fn belongs(scenario: &Scenario, run: &RunDir, manifest: &Manifest) -> Result<(), String> {
    let theirs = run.scenario().map_err(|e| e.to_string())?;
    let (strategy, number) = (manifest.strategy, manifest.run_index);
    let Some(ours) = scenario.resolve_in(&manifest.cell, strategy, number) else {
        let cell = &manifest.cell;
        return Err(format!("the scenario has no cell `{cell}` in its matrix"));
    };
    if theirs == ours {
        return Ok(());
    }
    let differences = resume::differences(&theirs, &ours);
    Err(format!(
        "it is a run of another experiment ({differences}); if only the seed differs, see --seed"
    ))
}

fn describe(merged: &Merged, census: &Census, campaign: &str) -> String {
    let mut text = format!("merged {}", counted(merged.taken.len(), "run"));
    if !merged.there.is_empty() {
        let _ = write!(text, "; {} more were there already", merged.there.len());
    }
    text.push('\n');
    for (left, what) in [
        (&merged.second, "left, because the campaign has them"),
        (
            &merged.unfinished,
            "left, because they did not end as planned",
        ),
        (&merged.refused, "REFUSED"),
    ] {
        tell_left(&mut text, left, what);
    }
    tell_makes(&mut text, &merged.taken);
    let (all, there) = (census.runs.len(), census.count(Fate::Merged));
    let _ = writeln!(text, "{there} of {} in the campaign", counted(all, "run"));
    let next = if there == all {
        format!("flaplab analyze {campaign}    computes tables and figures")
    } else {
        format!(
            "{} are missing: flaplab campaign status {campaign}    tells where they are",
            all - there
        )
    };
    text + &next + "\n"
}

fn tell_left(text: &mut String, left: &[Left], what: &str) {
    if left.is_empty() {
        return;
    }
    let _ = writeln!(text, "{} {what}:", left.len());
    for one in left.iter().take(TOLD) {
        let _ = writeln!(text, "  {}: {}", one.path.display(), one.reason);
    }
    if left.len() > TOLD {
        let _ = writeln!(text, "  and {} more", left.len() - TOLD);
    }
}

/// Runs of one arm may differ for what they were made with alone: that is said. The machine's name is
/// left out, for there are many on purpose.
fn tell_makes(text: &mut String, taken: &[Manifest]) {
    let mut makes: Vec<Make> = Vec::new();
    for manifest in taken {
        let mut make = Make::of(manifest);
        make.host = format!("Linux {}", manifest.host.kernel);
        if !makes.contains(&make) {
            makes.push(make);
        }
    }
    if makes.len() < 2 {
        return;
    }
    text.push_str(
        "warning: these runs were made in different ways, and may differ for that alone:\n",
    );
    for m in makes {
        let _ = writeln!(
            text,
            "  {}; {}; {}; {}",
            m.tool, m.router, m.injector, m.host
        );
    }
}

#[cfg(test)]
mod tests;
