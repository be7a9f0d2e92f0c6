//! What a figure shows, read from its SVG and PDF.

use topologies::Strategy;

use super::disk::manifest;
use super::measured;
use super::network::{clique, ns};
use crate::arms::{Arm, MeasuredRun, group};
use crate::figures::{FIGURES, to_pdf, to_svg};

/// One run whose figures are all about `value_s`.
fn run(strategy: Strategy, i: usize, value_s: f64) -> MeasuredRun {
    let manifest = manifest(&clique(2, false), strategy, i as u32);
    let mut run = measured(manifest, value_s);
    if let Some(metrics) = &mut run.metrics {
        metrics.routers[0].no_route_ns = ns(value_s);
    }
    run
}

fn arms(none_s: &[f64], graceful_s: &[f64]) -> Vec<Arm> {
    let of = |strategy, values: &[f64]| -> Vec<MeasuredRun> {
        let numbered = values.iter().enumerate();
        numbered.map(|(i, v)| run(strategy, i, *v)).collect()
    };
    let mut runs = of(Strategy::None, none_s);
    runs.extend(of(Strategy::GracefulRestart, graceful_s));
    group(&runs)
}

/// The horizontal and vertical positions of everything that is drawn as lines in that colour,
/// below a legend of so many lines.
fn drawn(svg: &str, color: &str, legend: u32) -> Vec<(f64, f64)> {
    svg.lines()
        .filter(|l| l.starts_with("<polyline") && l.contains(color))
        .flat_map(|l| {
            let points = l.split("points=\"").nth(1).unwrap();
            points.split('"').next().unwrap().split_whitespace()
        })
        .map(|p| {
            let (x, y) = p.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        })
        .filter(|&(_, y): &(f64, f64)| y > f64::from(20 + legend * 80))
        .collect()
}

const BLUE: &str = "#0072B2";
const BLACK: &str = "#000000";

#[test]
fn a_distribution_of_zeros_is_seen_beside_the_axis() {
    let svg = to_svg(FIGURES[0], &arms(&[4.3, 4.9, 5.3], &[0.0; 3])).unwrap();
    let graceful = drawn(&svg, BLUE, 2);
    let (top, bottom) = graceful
        .iter()
        .fold((f64::MAX, 0f64), |(t, b), p| (t.min(p.1), b.max(p.1)));
    assert!(bottom - top > 600.0, "it rises over the whole height");
    let left = graceful.iter().map(|p| p.0).fold(f64::MAX, f64::min);
    let axis = drawn(&svg, BLACK, 2)
        .iter()
        .map(|p| p.0)
        .fold(f64::MAX, f64::min);
    assert!(
        left - axis > 20.0,
        "a millimetre clear of the axis: {left} {axis}"
    );
}

#[test]
fn curves_are_steps_from_0_to_1_with_a_step_for_each_run() {
    let svg = to_svg(FIGURES[0], &arms(&[1.0, 2.0, 4.0, 8.0], &[])).unwrap();
    let curve = svg
        .lines()
        .filter(|l| l.starts_with("<polyline") && l.contains(BLACK))
        .max_by_key(|l| l.len())
        .unwrap();
    let points = drawn(curve, BLACK, 1);
    assert_eq!(points.len(), 8, "two corners for each run");
    for corners in points.chunks(2) {
        assert_eq!(corners[0].0, corners[1].0, "up");
    }
    for (a, b) in points.iter().zip(&points[1..]).skip(1).step_by(2) {
        assert_eq!(a.1, b.1, "and across");
    }
    let widths = [1.0, 2.0, 4.0].map(|w| w / 7.0);
    for (i, width) in widths.into_iter().enumerate() {
        let share = (points[2 * i + 2].0 - points[2 * i].0) / (points[7].0 - points[0].0);
        assert!((share - width).abs() < 0.005, "{share} {width}");
    }
}

#[test]
fn arms_are_told_apart_without_colour_and_named() {
    let svg = to_svg(FIGURES[0], &arms(&[4.3, 4.9], &[1.0, 2.0])).unwrap();
    assert!(svg.contains("none (2 runs)"));
    assert!(svg.contains("graceful-restart (2 runs)"));
    let dashes = |color| {
        let lines = svg.lines().filter(|l| l.starts_with("<polyline"));
        lines.filter(|l| l.contains(color)).count()
    };
    assert!(dashes(BLUE) > 20, "dashed");
    assert!(svg.contains("<circle"), "full circles on the solid line");
}

#[test]
fn figures_are_one_column_wide_and_say_what_they_show() {
    for figure in FIGURES {
        let svg = to_svg(figure, &arms(&[4.3, 4.9], &[0.0, 0.0])).unwrap();
        assert!(svg.contains("width=\"88mm\""));
        assert!(svg.contains(figure.axis));
        assert!(svg.contains("Cumulative fraction of runs"));
        let pdf = to_pdf(figure, &svg).unwrap();
        let text = String::from_utf8_lossy(&pdf);
        assert!(text.starts_with("%PDF"));
        // 88 mm are 249.45 points.
        assert!(text.contains("/MediaBox [0 0 249.4"), "one column");
        assert!(text.contains("LiberationSans"), "the font is embedded");
    }
}

#[test]
fn a_band_as_high_as_the_number_of_runs_allows_lies_around_each_curve() {
    let runs: Vec<f64> = (1..=100).map(f64::from).collect();
    let svg = to_svg(FIGURES[0], &arms(&runs, &[7.0])).unwrap();
    let areas: Vec<&str> = svg
        .lines()
        .filter(|l| l.starts_with("<polygon"))
        .filter(|l| l.contains("points="))
        .collect();
    assert_eq!(areas.len(), 1, "a single run has no band");
    let area: Vec<(f64, f64)> = areas[0]
        .split("points=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .split_whitespace()
        .map(|p| p.split_once(',').unwrap())
        .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
        .collect();
    // 0 to 1 is what the curve rises by; the band is 0.1358 to either side of it.
    let heights = |points: &[(f64, f64)]| {
        let ys = points.iter().map(|p| p.1);
        ys.fold((f64::MAX, f64::MIN), |(t, b), y| (t.min(y), b.max(y)))
    };
    let (top, bottom) = heights(&area);
    let curve = drawn(&svg, BLACK, 2);
    let (curve_top, curve_bottom) = heights(&curve[curve.len() - 200..]);
    assert!((top - curve_top).abs() < 2.0 && (bottom - curve_bottom).abs() < 2.0);
    let at_left = area.iter().filter(|p| p.0 == area[0].0);
    let (upper, lower) = heights(&at_left.copied().collect::<Vec<_>>());
    let share = (lower - upper) / (bottom - top);
    // Where the first of the hundred steps is, the band rises with it.
    assert!((share - 0.1458).abs() < 0.003, "{share}");
}

#[test]
fn the_same_arms_give_the_same_pdf() {
    // Each band has a graphics state of its own, which svg2pdf names in any order.
    let arms = arms(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]);
    let pdf = || to_pdf(FIGURES[0], &to_svg(FIGURES[0], &arms).unwrap()).unwrap();
    let first = pdf();
    let states = String::from_utf8_lossy(&first).matches("/gs").count();
    assert!(states >= 2, "there is an order to keep: {states}");
    for _ in 0..16 {
        assert!(pdf() == first);
    }
}

#[test]
fn an_arm_without_a_valid_run_is_named_and_has_no_curve() {
    let mut runs = vec![
        run(Strategy::None, 0, 5.0),
        run(Strategy::GracefulRestart, 0, 9.0),
    ];
    runs[1].valid = false;
    let svg = to_svg(FIGURES[0], &group(&runs)).unwrap();
    assert!(svg.contains("graceful-restart (no valid run)"));
    assert_eq!(drawn(&svg, BLUE, 2), []);
    assert_ne!(drawn(&svg, BLACK, 2), []);
    for r in &mut runs {
        r.valid = false;
    }
    let svg = to_svg(FIGURES[0], &group(&runs)).unwrap();
    assert!(to_pdf(FIGURES[0], &svg).is_ok());
}
