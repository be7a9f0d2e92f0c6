//! The benchmarks of TCPR beside tables 21 to 25 of Surton (2014), as distributions.
//!
//! *Assumes* the samples of `tcpr bench`. *Guarantees* that a benchmark which is not the study's
//! measurement says so in its figure, and that an interval is one over rounds, which are
//! independent of one another, not over the values of one round.

use results::benchmark::Samples;
use results::reference::{PublishedBenchmark, surton2014};

use crate::drawing::{Chart, Curve, Scale};
use crate::paper::Paper;
use crate::pens::{PENS, Pen};
use crate::plot::{FigureError, to_pdf};
use crate::statistics::{Summary, summarize};

/// A figure of a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchmarkFigure {
    /// Its number in the study.
    pub number: u32,
    /// Name of its files, without extension.
    pub name: &'static str,
    /// The benchmark.
    pub benchmark: &'static str,
    /// What of it.
    pub course: &'static str,
    /// The cases that are drawn, in this order.
    pub cases: &'static [&'static str],
    axis: &'static str,
    counted: &'static str,
    logarithmic: bool,
    notes: &'static [&'static str],
}

const WAYS: &[&str] = &["unprotected", "unsafe", "checkpointed", "recovered"];
const TRIP: &[&str] = &[
    "Not the study's measure: here, the round trip of one octet on one",
    "machine; there, data to acknowledgment in traces over Ethernet.",
];

/// Figures 21 to 25.
pub const BENCHMARK_FIGURES: [BenchmarkFigure; 5] = [
    BenchmarkFigure {
        number: 21,
        name: "figure-21",
        benchmark: "throughput",
        course: "to_peer",
        cases: WAYS,
        axis: "Goodput from the application to the peer (Mbit/s)",
        counted: "Cumulative fraction of rounds",
        logarithmic: false,
        notes: &["One machine; a wire shaped to 1 Gbit/s."],
    },
    BenchmarkFigure {
        number: 22,
        name: "figure-22",
        benchmark: "throughput",
        course: "to_application",
        cases: WAYS,
        axis: "Goodput from the peer to the application (Mbit/s)",
        counted: "Cumulative fraction of rounds",
        logarithmic: false,
        notes: &["One machine; a wire shaped to 1 Gbit/s."],
    },
    BenchmarkFigure {
        number: 23,
        name: "figure-23",
        benchmark: "latency",
        course: "application_asks",
        cases: WAYS,
        axis: "Round trip, the application asks (µs)",
        counted: "Cumulative fraction of exchanges",
        logarithmic: true,
        notes: TRIP,
    },
    BenchmarkFigure {
        number: 24,
        name: "figure-24",
        benchmark: "latency",
        course: "peer_asks",
        cases: WAYS,
        axis: "Round trip, the peer asks (µs)",
        counted: "Cumulative fraction of exchanges",
        logarithmic: true,
        notes: TRIP,
    },
    BenchmarkFigure {
        number: 25,
        name: "figure-25",
        benchmark: "recovery",
        course: "connect",
        cases: &["fresh", "application", "tcpr_and_application"],
        axis: "From `recover` until the application can write (µs)",
        counted: "Cumulative fraction of connections",
        logarithmic: true,
        notes: &[
            "Not the study's measure: here with the question to TCPR and its",
            "answer; there, socket, bind and connect once the state is there.",
        ],
    },
];

fn pen(case: &str) -> Pen {
    PENS[match case {
        "unprotected" | "fresh" => 0,
        "unsafe" => 2,
        "checkpointed" | "application" => 4,
        _ => 1,
    }]
}

/// What a case is called in figures and tables.
#[must_use]
pub fn in_words(case: &str) -> &str {
    match case {
        "unprotected" => "unprotected TCP",
        "unsafe" => "TCPR, unsafe",
        "checkpointed" => "TCPR",
        "recovered" => "TCPR, recovered",
        "fresh" => "fresh, without TCPR",
        "application" => "application lost",
        "tcpr_and_application" => "TCPR and application lost",
        other => other,
    }
}

/// What the study has of a case of a figure.
#[must_use]
pub fn published(figure: &BenchmarkFigure, case: &str) -> Option<&'static PublishedBenchmark> {
    let rows = &surton2014().benchmarks;
    rows.iter()
        .find(|b| b.figure == figure.number && b.case == case)
}

/// The mean over rounds with its interval, of one case.
#[must_use]
pub fn measured(figure: &BenchmarkFigure, case: &str, samples: &Samples) -> Summary {
    let series = samples.series(figure.course, case);
    summarize(&series.map_or_else(Vec::new, |s| s.round_means()))
}

/// Draws a figure: SVG and PDF.
///
/// # Errors
/// If it cannot be drawn.
pub fn draw(figure: &BenchmarkFigure, samples: &Samples) -> Result<(String, Vec<u8>), FigureError> {
    let drawn: Vec<(&str, Vec<f64>)> = figure
        .cases
        .iter()
        .filter_map(|case| Some((*case, samples.series(figure.course, case)?.sorted())))
        .collect();
    let curves = drawn.iter().map(|(case, values)| {
        let study = published(figure, case);
        let beside = study.map_or(String::new(), |s| {
            format!("; study {} ± {}", s.value, s.deviation)
        });
        Curve {
            label: format!("{} ({}){beside}", in_words(case), values.len()),
            pen: pen(case),
            values,
            published: study.map(|s| s.value),
            // The values of one round depend on one another: no band.
            band: None,
        }
    });
    let svg = Chart {
        name: figure.name,
        axis: figure.axis,
        counted: figure.counted,
        scale: if figure.logarithmic {
            Scale::Logarithmic
        } else {
            Scale::Spread
        },
        curves: curves.collect(),
        also_spans: Vec::new(),
        notes: figure.notes.iter().map(|n| (*n).to_owned()).collect(),
    }
    .to_svg(Paper::PLAIN)?;
    let pdf = to_pdf(figure.name, &svg)?;
    Ok((svg, pdf))
}
