//! `flaplab topo`.

use topologies::{Scenario, render};

use crate::Exit;
use crate::args::{Format, ShowArgs};

/// Prints the topology of one run of a scenario.
pub(crate) fn show(args: &ShowArgs) -> anyhow::Result<Exit> {
    let mut scenario = Scenario::load(&args.scenario)?;
    if let Some(seed) = args.seed {
        scenario = scenario.with_seed(seed);
    }
    let resolved = scenario.resolve(scenario.strategies()[0], args.run);
    let text = match args.format {
        Format::Text => render::text(&resolved),
        Format::Dot => render::dot(&resolved),
        Format::Svg => render::svg(&resolved),
    };
    crate::print(&text)?;
    Ok(Exit::Done)
}
