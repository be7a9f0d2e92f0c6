//! One run's network as a table for the terminal.

use std::fmt::Write;

use super::role_name;
use crate::resolved::ResolvedScenario;
use crate::topology::NodeRole;

/// Nodes, links, addresses, roles and timers of one run, as aligned text.
#[must_use]
pub fn text(run: &ResolvedScenario) -> String {
    let mut out = settings(run);
    let nodes = run.topology.nodes.iter().map(|n| {
        vec![
            n.name.clone(),
            role_of(run, &n.name, n.role),
            n.asn.to_string(),
            n.router_id.to_string(),
            run.topology.ends(&n.name).count().to_string(),
        ]
    });
    out.push('\n');
    table(
        &mut out,
        &["NODE", "ROLE", "AS", "ROUTER ID", "SESSIONS"],
        nodes,
    );
    let links = run.topology.links.iter().map(|l| {
        vec![
            role_name(l.role).to_owned(),
            l.a.clone(),
            l.a_dev.clone(),
            l.a_addr.to_string(),
            l.b.clone(),
            l.b_dev.clone(),
            l.b_addr.to_string(),
        ]
    });
    out.push('\n');
    let titles = [
        "LINK",
        "NODE",
        "DEVICE",
        "ADDRESS (/31)",
        "NODE",
        "DEVICE",
        "ADDRESS (/31)",
    ];
    table(&mut out, &titles, links);
    out
}

fn settings(run: &ResolvedScenario) -> String {
    let r = &run.router;
    let i = &run.injector;
    let filler = i.filler.map_or("none".to_owned(), |f| {
        format!(
            "{} prefixes at {} per second: {}",
            f.count,
            f.rate_per_s,
            f.duration()
        )
    });
    let rows = [
        ("scenario", run.scenario.clone()),
        ("cell", run.cell.to_string()),
        ("run", run.run_id()),
        ("topology", format!("{} of {}", run.topology_kind, run.size)),
        (
            "destination",
            format!(
                "{} ({})",
                run.topology.destination,
                run.topology.destination_address()
            ),
        ),
        ("strategy", run.strategy.to_string()),
        (
            "failure",
            format!("{}, {} after settling", run.failure.kind, run.failure.phase),
        ),
        ("detection", run.failure.detect_delay.to_string()),
        (
            "router",
            format!(
                "{}, MRAI {}, connect retry {}",
                r.kind, r.mrai, r.connect_retry
            ),
        ),
        (
            "session",
            format!("keepalive {}, hold time {}", r.keepalive, r.hold_time),
        ),
        (
            "restart",
            format!(
                "restart time {}, stale paths {}",
                i.restart_time, r.stale_path_time
            ),
        ),
        (
            "injector",
            format!("{}, backup path of {} ASNs", i.kind, i.backup_path_length),
        ),
        ("filler", filler),
        (
            "deadlines",
            format!(
                "established {}, settled {}, quiet {}",
                run.deadlines.established, run.deadlines.settled, run.deadlines.quiet
            ),
        ),
    ];
    let mut out = String::new();
    // Without a matrix there is no cell to speak of.
    let told = |(key, value): &(&str, String)| *key != "cell" || !value.is_empty();
    for (key, value) in rows.into_iter().filter(told) {
        let _ = writeln!(out, "{key:<12} {value}");
    }
    for (node, lines) in &r.extra_config {
        for line in lines {
            let _ = writeln!(out, "{:<12} {line}", format!("{node} adds"));
        }
    }
    out
}

/// The node's role, and which end of the failure it sees.
fn role_of(run: &ResolvedScenario, name: &str, role: NodeRole) -> String {
    let t = &run.topology;
    match role {
        NodeRole::Injector => "injector".to_owned(),
        NodeRole::Router if t.primary().b == name => "router (primary)".to_owned(),
        NodeRole::Router if t.backup().is_some_and(|l| l.b == name) => "router (backup)".to_owned(),
        NodeRole::Router => "router".to_owned(),
    }
}

fn table(out: &mut String, titles: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let titles = titles.iter().map(|t| (*t).to_owned()).collect();
    let rows: Vec<Vec<String>> = [titles].into_iter().chain(rows).collect();
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|c| rows.iter().map(|r| r[c].len()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
