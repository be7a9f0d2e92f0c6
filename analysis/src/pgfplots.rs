//! The figures of a campaign as pgfplots data, and the TeX that draws them.
//!
//! *Assumes* arms with sorted values. *Guarantees* a data file for each arm and figure with a row for
//! each run, a second one with the outline of its band, and TeX that needs `pgfplots` (1.16 or later)
//! and nothing of ours.

use std::fmt::Write as _;

use plotters::prelude::RGBColor;

use crate::arms::Arm;
use crate::bands;
use crate::contrast_files::as_file;
use crate::figures::{self, Figure, Sheet};
use crate::folder::Folder;
use crate::latex::escaped;
use crate::pens::{MM, Marker, Pen};
use crate::statistics::dkw_half_width;

/// Adds the files of one sheet of a figure, on the axis of all arms: `NAME.tex`, which it returns the
/// name of, and for each arm `NAME-ARM.dat` and `NAME-ARM-band.dat`.
pub(crate) fn add(folder: &mut Folder, figure: Figure, sheet: &Sheet<'_>, all: &[Arm]) -> String {
    let arms = &sheet.arms;
    let values = |arm: &Arm| arm.sample(figure.metric).values.clone();
    let largest = all.iter().filter_map(|a| values(a).last().copied());
    let largest = largest.fold(0.0, f64::max);
    let largest = if largest > 0.0 { largest } else { 1.0 };
    // As in the SVG: a distribution of zeros is seen beside the axis.
    let (from, to) = (-0.03 * largest, 1.05 * largest);
    let pen = |arm: &Arm| figures::pen(arm, arms);
    let mut colors: Vec<String> = arms.iter().map(|a| definition(pen(a))).collect();
    colors.sort();
    colors.dedup();
    let colors = colors.concat();
    let mut plots = String::new();
    for arm in arms {
        let values = values(arm);
        let name = format!("{}-{}", figure.name, as_file(&label(arm, all)));
        let color = color(pen(arm));
        let band = dkw_half_width(values.len());
        if let Some(half_width) = band {
            let outline = bands::outline(&values, half_width);
            folder.add(format!("pgfplots/{name}-band.dat"), outline_data(&outline));
            // Writing to a string cannot fail.
            let _ = writeln!(
                plots,
                "  \\addplot[draw=none, fill={color}, fill opacity={}, forget plot]\n    \
                 table[x=value, y=fraction] {{\\flaplabdata/{name}-band.dat}} -- cycle;",
                bands::opacity(arms.len())
            );
            for edge in ["band_low", "band_high"] {
                let _ = writeln!(
                    plots,
                    "  \\addplot[{color}!45, const plot, very thin, forget plot, unbounded coords=jump,\n    \
                     restrict y to domain=0.0001:0.9999] table[x=value, y={edge}] {{\\flaplabdata/{name}.dat}};"
                );
            }
        }
        if !values.is_empty() {
            folder.add(format!("pgfplots/{name}.dat"), data(&values, band, to));
        }
    }
    for arm in arms.iter().copied().filter(|a| !values(a).is_empty()) {
        let name = format!("{}-{}", figure.name, as_file(&label(arm, all)));
        let _ = writeln!(
            plots,
            "  \\addplot[{}, const plot, semithick, {}, mark indices={{{}}}]\n    \
             table[x=value, y=fraction] {{\\flaplabdata/{name}.dat}};\n  \
             \\addlegendentry{{{}}}",
            color(pen(arm)),
            style(pen(arm)),
            marked(values(arm).len()),
            escaped(&figures::legend(arm, all))
        );
    }
    let name = format!("pgfplots/{}{}", figure.name, sheet.name);
    folder.add(
        format!("{name}.tex"),
        format!(
            "% Needs \\usepackage{{pgfplots}}. Before \\input, \\flaplabdata may name the folder of the data, and\n\
             % \\flaplabwidth the width: 84mm for one column, 178mm for two.\n\
             \\providecommand{{\\flaplabdata}}{{.}}\n\
             \\providecommand{{\\flaplabwidth}}{{84mm}}\n\
             {}\
             \\begin{{tikzpicture}}\n\\begin{{axis}}[\n  \
             width=\\flaplabwidth, height=56mm, scale only axis=false,\n  \
             xmin={from}, xmax={to}, ymin=-0.03, ymax=1.03,\n  \
             xlabel={{{}}}, ylabel={{Cumulative fraction of runs}},\n  \
             font=\\footnotesize, axis lines=left, axis line style={{-}}, tick align=outside, ytick={{0,0.2,...,1}},\n  \
             legend style={{draw=none, fill=none, font=\\footnotesize, at={{(0.5,1.02)}}, anchor=south}},\n  \
             legend cell align=left, mark size=1.2pt,\n]\n{plots}\\end{{axis}}\n\\end{{tikzpicture}}\n",
            colors,
            escaped(figure.axis)
        ),
    );
    name
}

/// The rows of a data file that are marked: those of runs, about a dozen of them, the last one too.
fn marked(runs: usize) -> String {
    let every = runs.div_ceil(12).max(1);
    // Rows count from 1, and the first is the axis.
    let rows: Vec<String> = (2..=runs + 1)
        .rev()
        .step_by(every)
        .map(|row| row.to_string())
        .collect();
    rows.join(",")
}

fn label(arm: &Arm, arms: &[Arm]) -> String {
    if arms.iter().all(|a| a.scenario == arm.scenario) {
        arm.label()
    } else {
        format!("{}-{}", arm.scenario, arm.label())
    }
}

/// A row per run: its value, the share of runs that do not exceed it, and the band there; before
/// them the axis at 0, and after them its end.
fn data(values: &[f64], band: Option<f64>, to: f64) -> String {
    let n = values.len() as f64;
    let runs = values.iter().zip(1u32..);
    let rows = std::iter::once((0.0, 0.0))
        .chain(runs.map(|(v, rank)| (*v, f64::from(rank) / n)))
        .chain(std::iter::once((to, 1.0)));
    let mut text = "value fraction band_low band_high\n".to_owned();
    for (value, fraction) in rows {
        let half = band.unwrap_or(f64::NAN);
        let (low, high) = ((fraction - half).max(0.0), (fraction + half).min(1.0));
        let _ = match band {
            Some(_) => writeln!(text, "{value} {fraction} {low} {high}"),
            None => writeln!(text, "{value} {fraction} nan nan"),
        };
    }
    text
}

fn outline_data(outline: &[(f64, f64)]) -> String {
    let mut text = "value fraction\n".to_owned();
    for (value, fraction) in outline {
        let _ = writeln!(text, "{value} {fraction}");
    }
    text
}

/// The colour of a pen, by the name under which [`definition`] makes it known.
fn color(pen: Pen) -> String {
    let RGBColor(r, g, b) = pen.color;
    format!("flaplab{r:02x}{g:02x}{b:02x}")
}

fn definition(pen: Pen) -> String {
    let RGBColor(r, g, b) = pen.color;
    format!("\\definecolor{{{}}}{{RGB}}{{{r},{g},{b}}}\n", color(pen))
}

/// Line and marker of a pen.
fn style(pen: Pen) -> String {
    let points = |units: i32| f64::from(units) / f64::from(MM) * 72.27 / 25.4;
    let line = match pen.dash {
        None => "solid".to_owned(),
        Some((dash, gap)) => format!(
            "dash pattern=on {:.2}pt off {:.2}pt",
            points(dash),
            points(gap)
        ),
    };
    let mark = match pen.marker {
        Marker::FullCircle => "*",
        Marker::OpenSquare => "square",
        Marker::FullSquare => "square*",
        Marker::Cross => "x",
        Marker::OpenCircle => "o",
    };
    format!("{line}, mark={mark}, mark options=solid")
}
