//! Every check at its larger bounds, one after another, and a table of what was covered.
//!
//! *Assumes* some gigabytes of memory and twenty minutes.
//! *Guarantees* that all checks are carried out whatever one of them finds, and that the last line
//! says how many mutants were killed.

use std::time::{Duration, Instant};

use anyhow::bail;
use tcpr_core::Mutation;
use tcpr_verify::simulation::Bounds;
use tcpr_verify::spec::{self, Configuration, Outcome};
use tcpr_verify::{Mutant, model, mutants, simulation};

/// A line of the table.
struct Row {
    check: &'static str,
    what: String,
    covered: String,
    took: Duration,
    /// What is wrong, if anything is.
    found: Option<String>,
}

/// Carries out every check, with simulations from this seed on.
///
/// # Errors
///
/// If one of them finds something.
pub(crate) fn check(seed: u64) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    specification(&mut rows);
    model(&mut rows);
    simulation(seed, &mut rows);
    let killed = mutants(&mut rows);
    let of = Mutation::ALL.len();
    println!("\n{}", table(&rows));
    for row in &rows {
        if let Some(found) = &row.found {
            println!("\n{}: {}:\n{found}", row.check, row.what);
        }
    }
    println!("\nmutants killed: {killed} of {of}");
    let wrong = rows.iter().filter(|row| row.found.is_some()).count();
    if wrong > 0 {
        bail!(
            "{wrong} of {} checks found something: see above",
            rows.len()
        );
    }
    Ok(())
}

/// Carries out one check, and tells of it: on this machine the next may take minutes.
fn carry_out(
    rows: &mut Vec<Row>,
    check: &'static str,
    what: String,
    carry_out: impl FnOnce() -> (String, Option<String>),
) {
    let began = Instant::now();
    let (covered, found) = carry_out();
    let row = Row {
        check,
        what,
        covered,
        took: began.elapsed(),
        found,
    };
    println!("{}", line(&row));
    rows.push(row);
}

fn specification(rows: &mut Vec<Row>) {
    for configuration in spec::small().into_iter().chain(spec::larger()) {
        let what = configuration.name.to_owned();
        carry_out(rows, "specification", what, || explored(&configuration));
    }
    for (name, all) in [
        ("what has to be reached", spec::goals()),
        ("faults that have to be rejected", spec::faults()),
    ] {
        carry_out(rows, "specification", name.to_owned(), || {
            let unmet: Vec<String> = all.iter().filter_map(|c| explored(c).1).collect();
            let covered = format!("{} of {}", all.len() - unmet.len(), all.len());
            (covered, (!unmet.is_empty()).then(|| unmet.join("\n")))
        });
    }
}

fn explored(configuration: &Configuration) -> (String, Option<String>) {
    match spec::check(configuration) {
        Ok(outcome) => {
            let covered = match &outcome {
                Outcome::Holds { states, steps, .. } => format!("{states} states, {steps} steps"),
                Outcome::Violated { states, .. } => format!("{states} states"),
            };
            let is_met = configuration.expected.is_met_by(&outcome);
            let found = || {
                format!(
                    "expected {:?}, and got {outcome:#?}",
                    configuration.expected
                )
            };
            (covered, (!is_met).then(found))
        }
        Err(e) => ("nothing".to_owned(), Some(e.to_string())),
    }
}

fn model(rows: &mut Vec<Row>) {
    for config in model::small().into_iter().chain(model::larger()) {
        carry_out(rows, "model", config.name.to_owned(), || {
            let outcome = model::check(&config, Mutant::SOUND);
            let covered = format!("{} states, {} steps", outcome.states, outcome.steps);
            let found = match outcome.violation {
                Some(violation) => Some(violation.to_string()),
                None if outcome.ends == 0 => Some("nothing ends".to_owned()),
                None => config
                    .states
                    .filter(|&states| states != outcome.states)
                    .map(|states| format!("expected {states} states")),
            };
            (covered, found)
        });
    }
}

fn simulation(seed: u64, rows: &mut Vec<Row>) {
    let bounds = Bounds::larger(seed);
    let what = format!("seeds {seed} to {}", seed + bounds.seeds - 1);
    carry_out(rows, "simulation", what, || {
        let summary = simulation::sweep(&bounds, Mutant::SOUND);
        let excused = summary.stalls_of_stacks + summary.last_acks_missing + summary.forgotten;
        let covered = format!(
            "{} runs ({excused} excused), {} crashes, {} packets",
            summary.runs, summary.crashes, summary.packets
        );
        (covered, summary.failure.map(|f| f.to_string()))
    });
}

/// Hunts every mutation; gives how many were killed.
fn mutants(rows: &mut Vec<Row>) -> usize {
    for &mutation in Mutation::ALL {
        carry_out(rows, "mutant", format!("{mutation:?}"), || {
            let hunt = mutants::hunt(mutation);
            match hunt.noticed {
                Some(noticed) => {
                    let covered = format!("{}: {noticed} ({})", hunt.layer.name(), hunt.tried);
                    (covered, None)
                }
                None => {
                    let survives = format!("{} survives {}", hunt.layer.name(), hunt.tried);
                    (hunt.tried, Some(survives))
                }
            }
        });
    }
    let mutants = rows.iter().filter(|row| row.check == "mutant");
    mutants.filter(|row| row.found.is_none()).count()
}

fn line(row: &Row) -> String {
    let verdict = if row.found.is_none() {
        "holds"
    } else {
        "WRONG"
    };
    format!(
        "{:13}  {:44}  {verdict}  {:7.1} s  {}",
        row.check,
        row.what,
        row.took.as_secs_f64(),
        row.covered
    )
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:13}  {:44}  {:5}  {:>9}  {}",
        "check", "what", "", "took", "covered"
    )];
    for check in ["specification", "model", "simulation", "mutant"] {
        let of: Vec<&Row> = rows.iter().filter(|row| row.check == check).collect();
        let took: Duration = of.iter().map(|row| row.took).sum();
        let wrong = of.iter().filter(|row| row.found.is_some()).count();
        lines.extend(of.iter().map(|row| line(row)));
        lines.push(format!(
            "{check:13}  {:44}  {:5}  {:7.1} s",
            format!("all {}", of.len()),
            if wrong == 0 { "holds" } else { "WRONG" },
            took.as_secs_f64()
        ));
    }
    lines.join("\n")
}
