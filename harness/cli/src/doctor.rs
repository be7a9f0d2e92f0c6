//! `flaplab doctor`.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use harness::doctor::{Check, Verdict, examine};

use crate::Exit;

/// Examines the machine and prints what was found. Fails if labs do not run here.
pub(crate) async fn doctor(json: bool) -> anyhow::Result<Exit> {
    let checks = examine().await;
    if json {
        crate::print(&(serde_json::to_string_pretty(&checks)? + "\n"))?;
    } else {
        crate::print(&describe(&checks))?;
    }
    let worst = checks
        .iter()
        .map(|c| c.verdict)
        .max()
        .unwrap_or(Verdict::Ok);
    Ok(if worst == Verdict::Missing {
        Exit::Failed
    } else {
        Exit::Done
    })
}

fn describe(checks: &[Check]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Restricted => "restricted",
            Verdict::Missing => "MISSING",
        };
        table.add_row([verdict, &check.name, &check.found]);
    }
    let mut text = format!("{table}\n");
    for check in checks.iter().filter(|c| !c.remedy.is_empty()) {
        let _ = writeln!(
            text,
            "\n{}: {}\n  -> {}",
            check.name, check.found, check.remedy
        );
    }
    let count = |v| checks.iter().filter(|c| c.verdict == v).count();
    let _ = match (count(Verdict::Missing), count(Verdict::Restricted)) {
        (0, 0) => writeln!(text, "\nLabs run here."),
        (0, n) => writeln!(text, "\nLabs run here, with {n} restriction(s)."),
        (n, _) => writeln!(text, "\nLabs do not run here: {n} thing(s) are missing."),
    };
    text
}
