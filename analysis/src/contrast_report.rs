//! Two campaigns beside each other, as text for a terminal.
//!
//! *Assumes* a [`Contrast`]. *Guarantees* that a reader meets what differs in how the two were made
//! before the figures, and what makes their difference doubtful with it.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use crate::contrast::{Contrast, Side};
use crate::making::Aspect;
use crate::report;

/// More lines of a scenario than this are not shown.
const LINES: usize = 12;

impl Contrast {
    /// What is to be thought of before any difference is believed.
    #[must_use]
    pub fn cautions(&self) -> Vec<String> {
        let mut cautions = Vec::new();
        let differs = |aspect| {
            self.made
                .iter()
                .find(|m| m.aspect == aspect && !m.is_same())
        };
        if let Some(mrai) = differs(Aspect::Mrai) {
            cautions.push(format!(
                "the configured MRAI differs ({} in A, {} in B): convergence scales with it, whatever else differs",
                mrai.a.join(", "),
                mrai.b.join(", ")
            ));
        }
        let router = differs(Aspect::Router);
        if let Some(router) = router {
            cautions.push(format!(
                "the routers differ ({} in A, {} in B): every implementation does MRAI in its own way (docs/routers.md)",
                router.a.join(", "),
                router.b.join(", ")
            ));
        }
        if differs(Aspect::Machine).is_some() {
            cautions.push(
                "the machines differ: their load and speed are in the difference, too".to_owned(),
            );
        }
        if let Some(labs) = differs(Aspect::Labs) {
            cautions.push(format!(
                "up to {} labs shared the machine in A, up to {} in B: see the finding cpu-pressure of either",
                labs.a.join(", "),
                labs.b.join(", ")
            ));
        }
        if let Some(labs) = differs(Aspect::LabsReused) {
            cautions.push(format!(
                "a lab was for {} in A, for {} in B: a lab that is reused converges otherwise (docs/reused-labs.md)",
                labs.a.join(" or for "),
                labs.b.join(" or for ")
            ));
        }
        for (side, making) in [("A", &self.a.making), ("B", &self.b.making)] {
            for aspect in [
                Aspect::Router,
                Aspect::Mrai,
                Aspect::Flaplab,
                Aspect::Machine,
            ] {
                if making.is_mixed(aspect) {
                    cautions.push(format!(
                        "the runs of {side} are not of one {} themselves",
                        aspect.name()
                    ));
                }
            }
        }
        let causes = [
            Aspect::Router,
            Aspect::Mrai,
            Aspect::Injector,
            Aspect::Flaplab,
            Aspect::Machine,
        ];
        let causes: Vec<&str> = causes
            .into_iter()
            .filter(|a| differs(*a).is_some())
            .map(Aspect::name)
            .collect();
        if causes.len() > 1 {
            cautions.push(format!(
                "{} differ at once: no difference below can be put down to one of them",
                causes.join(", ")
            ));
        }
        cautions
    }

    fn write_making(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (same, different): (Vec<_>, Vec<_>) = self.made.iter().partition(|m| m.is_same());
        let shown = |lines: &[String]| match lines.len() {
            0 => "-".to_owned(),
            n if n > LINES => format!("{}\n(and {} more)", lines[..LINES].join("\n"), n - LINES),
            _ => lines.join("\n"),
        };
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(116)
            .set_header(["made with", "A", "B"]);
        for made in &different {
            table.add_row([
                made.aspect.name().to_owned(),
                shown(&made.a),
                shown(&made.b),
            ]);
        }
        if !different.is_empty() {
            writeln!(f, "{table}")?;
        }
        let same: Vec<String> = same
            .iter()
            .filter(|m| !m.a.is_empty() && m.aspect != Aspect::Sysctls)
            .map(|m| format!("{} {}", m.aspect.name(), m.a.join(", ")))
            .collect();
        if !same.is_empty() {
            writeln!(f, "The same in both: {}.", same.join("; "))?;
        }
        for caution in self.cautions() {
            writeln!(f, "Caution: {caution}.")?;
        }
        for left_out in &self.left_out {
            writeln!(f, "Not compared: {left_out}.")?;
        }
        writeln!(f)
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(["arm", "in", "A", "B", "B against A", "a run of B is", "p"]);
        for arm in &self.arms {
            let mut name = arm.name.as_str();
            for d in &arm.differences {
                table.add_row([
                    Cell::new(name),
                    Cell::new(d.metric.name()),
                    Cell::new(report::figure(&arm.a, d.metric)).set_alignment(CellAlignment::Right),
                    Cell::new(report::figure(&arm.b, d.metric)).set_alignment(CellAlignment::Right),
                    Cell::new(d.in_words()),
                    Cell::new(format!("{}\n({})", d.overlap(), runs(d))),
                    Cell::new(d.chance()).set_alignment(CellAlignment::Right),
                ]);
                // An arm is named once.
                name = "";
            }
        }
        table
    }
}

fn runs(d: &crate::differences::Difference) -> String {
    match d.pairs {
        Some(pairs) => format!("{pairs} pairs of equal draws"),
        None => format!(
            "{} {} against {}, not paired",
            d.runs.0,
            if d.runs.0 == 1 { "run" } else { "runs" },
            d.runs.1
        ),
    }
}

fn side(f: &mut fmt::Formatter<'_>, name: &str, side: &Side) -> fmt::Result {
    let (runs, valid) = side.runs();
    writeln!(
        f,
        "{name}: {} ({valid} of {runs} runs valid)",
        side.path.display()
    )
}

impl fmt::Display for Contrast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        side(f, "A", &self.a)?;
        side(f, "B", &self.b)?;
        self.write_making(f)?;
        writeln!(f, "{}", self.table())?;
        let differences = self.arms.iter().flat_map(|a| &a.differences);
        let comparisons = differences.map(|d| d.tests.comparisons).max().unwrap_or(0);
        writeln!(
            f,
            "Means over runs and their differences [95 % confidence interval]. p: Mann-Whitney, adjusted for {comparisons} \
             comparisons (Holm)."
        )
    }
}
