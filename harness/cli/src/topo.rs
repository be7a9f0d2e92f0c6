//! `flaplab topo`, and which cell of a matrix is meant.

use anyhow::{Context, bail};
use topologies::{Cell, ResolvedScenario, Scenario, Strategy, render};

use crate::Exit;
use crate::args::{Format, ShowArgs};

/// Prints the topology of one run of a scenario.
pub(crate) fn show(args: &ShowArgs) -> anyhow::Result<Exit> {
    let mut scenario = Scenario::load(&args.scenario)?;
    if let Some(seed) = args.seed {
        scenario = scenario.with_seed(seed);
    }
    let resolved = resolve(
        &scenario,
        args.cell.as_deref(),
        scenario.strategies()[0],
        args.run,
    )?;
    let text = match args.format {
        Format::Text => render::text(&resolved) + &cells(&scenario),
        Format::Dot => render::dot(&resolved),
        Format::Svg => render::svg(&resolved),
    };
    crate::print(&text)?;
    Ok(Exit::Done)
}

/// One run of the cell of that name, or of the first one.
pub(crate) fn resolve(
    scenario: &Scenario,
    cell: Option<&str>,
    strategy: Strategy,
    run_index: u32,
) -> anyhow::Result<ResolvedScenario> {
    let Some(name) = cell else {
        return Ok(scenario.resolve(strategy, run_index));
    };
    let found = scenario.cells().find(|c| c.to_string() == name);
    let Some(cell) = found.filter(|c| !c.is_empty()) else {
        let names: Vec<String> = scenario.cells().map(Cell::to_string).collect();
        match names.join("\n  ") {
            none if none.is_empty() => bail!("--cell {name}: the scenario has no matrix"),
            names => bail!("--cell {name}: the scenario has no such cell, but\n  {names}"),
        }
    };
    (scenario.resolve_in(cell, strategy, run_index))
        .context("a cell of the scenario is none of its cells")
}

/// The names of all cells, if there is a matrix.
fn cells(scenario: &Scenario) -> String {
    let names: Vec<String> = scenario
        .cells()
        .filter(|c| !c.is_empty())
        .map(Cell::to_string)
        .collect();
    match names.len() {
        0 => String::new(),
        n => format!("\nCELLS ({n})\n{}\n", names.join("\n")),
    }
}
