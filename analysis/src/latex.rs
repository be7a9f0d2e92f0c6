//! Tables of a campaign for LaTeX.
//!
//! *Assumes* the package `booktabs`. *Guarantees* that no number stands without its interval and the
//! number of runs behind it, and that whatever LaTeX would take for a command is escaped.

use std::fmt::Write as _;

use crate::arms::{Arm, Metric};
use crate::differences::Difference;

/// The metrics of the tables.
const COLUMNS: [(Metric, &str); 3] = [
    (Metric::Convergence, "Convergence (s)"),
    (Metric::Disconnected, "Disconnected (s)"),
    (Metric::Updates, "Updates per router"),
];

/// Text in which nothing is a command.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '<' | '>' => {
                let _ = write!(escaped, "${c}$");
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The means with their intervals: a `tabular` to be put into a `table`.
pub(crate) fn summary(arms: &[Arm]) -> String {
    let mut text =
        "% Needs \\usepackage{booktabs}.\n\\begin{tabular}{lrrrr}\n\\toprule\nStrategy & Runs"
            .to_owned();
    for (_, title) in COLUMNS {
        let _ = write!(text, " & {title}");
    }
    text += " \\\\\n";
    let several = arms.iter().any(|a| a.scenario != arms[0].scenario);
    for arms in arms.chunk_by(|a, b| a.scenario == b.scenario) {
        text += "\\midrule\n";
        if several {
            let name = escaped(&arms[0].scenario);
            let _ = writeln!(text, "\\multicolumn{{5}}{{l}}{{\\emph{{{name}}}}} \\\\");
        }
        for arm in arms {
            let _ = write!(text, "{} & {}", escaped(&arm.label()), arm.valid);
            for (metric, _) in COLUMNS {
                let _ = write!(text, " & {}", figure(arm, metric));
            }
            text += " \\\\\n";
        }
    }
    text += "\\bottomrule\n\\end{tabular}\n% Means over runs with their 95 % confidence intervals (expanded percentile bootstrap).\n";
    text
}

fn figure(arm: &Arm, metric: Metric) -> String {
    let Some(figures) = arm.sample(metric).summary.figures else {
        return "--".to_owned();
    };
    let digits = if figures.max < 100.0 { 2 } else { 1 };
    match figures.ci95 {
        None => format!("${:.digits$}$", figures.mean),
        Some((low, high)) => format!(
            "${:.digits$}$ {{\\scriptsize $[{low:.digits$}, {high:.digits$}]$}}",
            figures.mean
        ),
    }
}

/// The differences between arms in the same metrics.
pub(crate) fn differences(differences: &[Difference]) -> String {
    let mut text = "% Needs \\usepackage{booktabs}.\n\\begin{tabular}{lllrrr}\n\\toprule\n\
                    Strategy & Against & Metric & Difference & Cliff's $\\delta$ & $p$ \\\\\n\\midrule\n"
        .to_owned();
    for d in differences {
        let Some((_, title)) = COLUMNS.iter().find(|(m, _)| *m == d.metric) else {
            continue;
        };
        let largest = d.ci95.map_or(d.difference, |(l, h)| l.abs().max(h.abs()));
        let digits = if largest.abs() < 100.0 { 2 } else { 1 };
        let interval = d.ci95.map_or(String::new(), |(low, high)| {
            format!(" {{\\scriptsize $[{low:.digits$}, {high:.digits$}]$}}")
        });
        let p = match d.tests.mann_whitney_p_holm {
            None => "--".to_owned(),
            Some(p) if p < 0.001 => "$< 0.001$".to_owned(),
            Some(p) => format!("${p:.3}$"),
        };
        let _ = writeln!(
            text,
            "{} & {} & {title} & ${:.digits$}${interval} & ${:.2}$ & {p} \\\\",
            escaped(&d.arm()),
            escaped(&d.against),
            d.difference + 0.0,
            d.dominance.delta + 0.0
        );
    }
    text += "\\bottomrule\n\\end{tabular}\n% Differences of means with 95 % confidence intervals; p of Mann and Whitney, adjusted (Holm).\n";
    text
}
