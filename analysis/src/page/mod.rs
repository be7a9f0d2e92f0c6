//! The campaign as one page, `report.html`: curves, the table against the study, findings, and each
//! run's replay.
//!
//! *Assumes* the arms and runs of one campaign, and a replay beside each run that has one.
//! *Guarantees* one file that needs nothing beside it and asks nothing of a network: the page's policy
//! (Content-Security-Policy) lets a browser run the one script and apply the one style sheet whose
//! digests it names, and load nothing. The same records give the same octets. Whatever a run's
//! directory says is text on the page, never markup.
//!
//! What is read is in the markup, so that the page prints, and can be read aloud; what is played with is
//! in `assets/page/*.js`, which find their data in one block of JSON ([`data`]).

mod data;
pub(crate) mod encode;
mod moments;
mod rows;
pub(crate) mod selection;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::{Environment, context};
use results::CampaignDir;
use sha2::{Digest, Sha256};

use crate::arms::{Arm, MeasuredRun};
use crate::published;
use crate::replay::Replay;

const TEMPLATE: &str = include_str!("../../assets/page/report.html");
const STYLE: &str = include_str!("../../assets/page/style.css");

/// The script, in the order in which its parts need one another.
const SCRIPT: &[&str] = &[
    "'use strict';\n(() => {\n",
    include_str!("../../assets/page/base.js"),
    include_str!("../../assets/page/theme.js"),
    include_str!("../../assets/page/scale.js"),
    include_str!("../../assets/page/curves.js"),
    include_str!("../../assets/page/course.js"),
    include_str!("../../assets/page/stage.js"),
    include_str!("../../assets/page/strips.js"),
    include_str!("../../assets/page/replay.js"),
    include_str!("../../assets/page/lists.js"),
    "})();\n",
];

/// Why the page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The data could not be written as JSON.
    #[error("cannot write the data of report.html as JSON: {0}")]
    Data(#[from] serde_json::Error),
    /// The template could not be filled in.
    #[error(
        "cannot make report.html from its template: {0}; this is a fault of flaplab: please report it"
    )]
    Template(#[from] minijinja::Error),
}

/// Makes the page of a campaign.
///
/// # Errors
/// If the template and what it is filled with do not fit together.
pub(crate) fn render(
    campaign: &CampaignDir,
    arms: &[Arm],
    runs: &[MeasuredRun],
    replays: &[Option<Replay>],
) -> Result<String, PageError> {
    let data = data::Data::of(arms, runs, replays);
    let kept = data.kept();
    let script = SCRIPT.concat();
    // `<` could end the block early.
    let json = serde_json::to_string(&data)?.replace('<', "\\u003c");

    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    // The name's ending makes everything that is filled in text, not markup.
    environment.add_template("report.html", TEMPLATE)?;
    let page = environment.get_template("report.html")?.render(context! {
        style => STYLE,
        style_digest => digest(STYLE),
        script,
        script_digest => digest(&script),
        data => json,
        title => rows::title(arms),
        scenarios => rows::scenarios(arms),
        metrics => rows::COLUMNS.map(|c| c.1),
        caution => arms.iter().any(|a| published::beside(a).is_some()).then_some(published::CAUTION),
        realised => rows::realised(runs),
        runs => rows::runs(arms, runs, &kept),
        findings => rows::findings(arms, runs, &kept),
        tally => rows::Tally::of(arms, runs),
        replays => selection::told(runs, replays, &kept),
        settings => rows::settings(arms, runs),
        scenario_text => campaign.scenario_text().unwrap_or_default(),
    })?;
    Ok(page)
}

/// How a Content-Security-Policy names a text that is to be let through.
fn digest(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}
