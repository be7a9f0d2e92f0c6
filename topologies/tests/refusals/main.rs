//! Every refusal of a scenario: where it points, what it says, and what would be right.
#![allow(clippy::unwrap_used, missing_docs)]

mod failure;
mod network;
mod shape;
mod timing;

use topologies::{Refusal, Scenario, ScenarioError};

fn refusal(text: &str) -> Box<Refusal> {
    match Scenario::parse(text, "s.yaml") {
        Err(ScenarioError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}\n{text}"),
    }
}

/// A scenario whose first three lines are right, and `more` after them.
fn clique4(more: &str) -> String {
    format!("name: a\ntopology: {{kind: clique, size: 4}}\nfailure: {{kind: control}}\n{more}\n")
}

fn clique4_failing(failure: &str) -> String {
    format!("name: a\ntopology: {{kind: clique, size: 4}}\nfailure: {failure}\n")
}

fn b_clique4(failure: &str, more: &str) -> String {
    format!("name: a\ntopology: {{kind: b-clique, size: 4}}\nfailure: {failure}\n{more}\n")
}

fn with_topology(topology: &str) -> String {
    format!("name: a\ntopology: {topology}\nfailure: {{kind: control}}\n")
}

#[track_caller]
fn refused(text: &str, place: (usize, usize), problem: &str, remedy: &str) {
    let r = refusal(text);
    assert_eq!((r.line, r.column), place, "{r}");
    assert_eq!(r.problem, problem, "{r}");
    assert_eq!(r.remedy, remedy, "{r}");
    let shown = r.to_string();
    let head = format!("s.yaml:{}:{}: {problem}\n", r.line, r.column);
    assert!(shown.starts_with(&head), "{shown}");
    let line = text.lines().nth(r.line - 1).unwrap_or("");
    assert!(shown.contains(line), "the line is not shown:\n{shown}");
    assert!(shown.ends_with(&format!("help: {remedy}")), "{shown}");
}
