//! Holds the direction of dependencies that ARCHITECTURE.md draws, over `cargo metadata`.
//!
//! *Assumes* that `cargo` works offline for this platform, as it does once the tests are built.
//! *Guarantees* that a crate which reaches where it must not is named, with the way there and how
//! to mend it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Member, and the members that it may depend on, in tests and build scripts too.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("topologies", &[]),
    ("tcpr-core", &[]),
    ("tcpr", &["tcpr-core"]),
    ("tcpr-check", &["tcpr-core"]),
    ("tcpr-cli", &["tcpr", "tcpr-check", "tcpr-core"]),
    ("tcpr-verify", &["tcpr-check", "tcpr-core"]),
    ("results", &["topologies"]),
    ("injectors", &["topologies", "tcpr", "tcpr-cli"]),
    ("harness", &["injectors", "tcpr", "topologies", "results"]),
    ("analysis", &["results", "topologies"]),
    (
        "flaplab",
        &[
            "analysis",
            "harness",
            "injectors",
            "results",
            "tcpr",
            "topologies",
        ],
    ),
];

/// Member, packages that it must not reach on any way, and why.
const MUST_NOT_REACH: &[(&str, &[&str], &str)] = &[
    (
        "topologies",
        LIVE_AND_ASYNC,
        "a scenario is parsed and resolved without a socket, a process or a clock",
    ),
    (
        "tcpr-core",
        LIVE_AND_ASYNC,
        "the state machine of TCPR is driven by every dataplane, simulation and model check alike",
    ),
    (
        "tcpr-check",
        LIVE_AND_ASYNC,
        "a trace is judged wherever it comes from, a simulation too",
    ),
    (
        "tcpr-check",
        &["tcpr-core"],
        "what judges the core shares no code with it; its tests may",
    ),
    (
        "results",
        LIVE_AND_ASYNC,
        "a run directory is read on any machine; how it was recorded is the harness's matter",
    ),
    (
        "analysis",
        LIVE,
        "figures are computed from sealed run directories, without root and without a lab",
    ),
    (
        "harness",
        &["analysis", "polars", "plotters"],
        "the edit loop of the harness stays free of polars; harness/cli joins the two",
    ),
];

const LIVE_AND_ASYNC: &[&str] = &[
    "mio",
    "mnl",
    "netlink-proto",
    "netlink-sys",
    "netns-rs",
    "nftnl",
    "nix",
    "pcap",
    "rtnetlink",
    "socket2",
    "tokio",
];

/// As above without what polars itself brings (tokio and below).
const LIVE: &[&str] = &[
    "mnl",
    "netlink-proto",
    "netlink-sys",
    "netns-rs",
    "nftnl",
    "nix",
    "pcap",
    "rtnetlink",
];

/// Lines that each member's Cargo.toml has, without their blanks.
const INHERITED: &[&str] = &[
    "version.workspace=true",
    "edition.workspace=true",
    "rust-version.workspace=true",
    "license.workspace=true",
    "repository.workspace=true",
    "[lints]\nworkspace=true",
];

/// The package graph of the workspace; packages by name, all versions of one together.
#[derive(Clone, Default)]
struct Graph {
    /// Members, and the text of their manifests.
    members: BTreeMap<String, String>,
    /// Packages that a package is built with (normal and build dependencies).
    built_with: BTreeMap<String, BTreeSet<String>>,
    /// Packages that a member's tests need beyond those.
    tested_with: BTreeMap<String, BTreeSet<String>>,
    /// Member and dependency asked for as `*` from a registry.
    any_version: Vec<(String, String)>,
}

/// One call of cargo serves all tests.
static WORKSPACE: LazyLock<Graph> = LazyLock::new(Graph::of_workspace);

impl Graph {
    fn of_workspace() -> Self {
        let metadata = cargo_metadata();
        let texts = |v: &Value| v.as_str().unwrap().to_owned();
        let names: BTreeMap<&str, String> = array(&metadata["packages"])
            .iter()
            .map(|p| (p["id"].as_str().unwrap(), texts(&p["name"])))
            .collect();
        let is_member = |id: &Value| array(&metadata["workspace_members"]).contains(id);

        let mut graph = Graph::default();
        for package in array(&metadata["packages"])
            .iter()
            .filter(|p| is_member(&p["id"]))
        {
            let name = texts(&package["name"]);
            let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap());
            graph.members.insert(name.clone(), manifest.unwrap());
            for dependency in array(&package["dependencies"]) {
                if dependency["source"].is_string() && dependency["req"] == "*" {
                    let wanted = texts(&dependency["name"]);
                    graph.any_version.push((name.clone(), wanted));
                }
            }
        }
        for node in array(&metadata["resolve"]["nodes"]) {
            let from = &names[node["id"].as_str().unwrap()];
            for dependency in array(&node["deps"]) {
                let to = &names[dependency["pkg"].as_str().unwrap()];
                for kind in array(&dependency["dep_kinds"]) {
                    let edges = if kind["kind"] == "dev" {
                        &mut graph.tested_with
                    } else {
                        &mut graph.built_with
                    };
                    edges.entry(from.clone()).or_default().insert(to.clone());
                }
            }
        }
        graph
    }

    /// Everything that `package` is built with or tested with at first hand.
    fn first_hand(&self, package: &str) -> BTreeSet<&String> {
        [&self.built_with, &self.tested_with]
            .into_iter()
            .filter_map(|edges| edges.get(package))
            .flatten()
            .collect()
    }

    /// The shortest way from `package` to `target` over what is built.
    fn way(&self, package: &str, target: &str) -> Option<String> {
        let mut came_from = BTreeMap::from([(package, "")]);
        let mut ahead = VecDeque::from([package]);
        while let Some(at) = ahead.pop_front() {
            if at == target {
                let mut way = vec![at];
                while let Some(&before) = way.last().and_then(|p| came_from.get(p))
                    && !before.is_empty()
                {
                    way.push(before);
                }
                way.reverse();
                return Some(way.join(" -> "));
            }
            for next in self.built_with.get(at).into_iter().flatten() {
                if !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, at);
                    ahead.push_back(next);
                }
            }
        }
        None
    }

    fn add_edge(&mut self, from: &str, to: &str) {
        let edges = self.built_with.entry(from.to_owned()).or_default();
        edges.insert(to.to_owned());
    }

    /// Every edge between members that the direction does not allow.
    fn wrong_edges(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for member in self.members.keys() {
            let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(name, _)| name == member) else {
                wrong.push(format!(
                    "`{member}` is a new member: say in MAY_DEPEND_ON (harness/tests/dependencies.rs) \
                     and in ARCHITECTURE.md what it may depend on"
                ));
                continue;
            };
            for to in self.first_hand(member) {
                if self.members.contains_key(to) && to != member && !allowed.contains(&to.as_str())
                {
                    wrong.push(format!(
                        "`{member}` depends on `{to}`, against the direction (it may depend on \
                         {allowed:?}): take `{to}` out of {member}'s Cargo.toml and pass plain \
                         data instead, or move the type down to a crate that both may see"
                    ));
                }
            }
        }
        wrong
    }

    /// Every package reached that must not be.
    fn wrong_reaches(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (member, forbidden, why) in MUST_NOT_REACH {
            for target in *forbidden {
                if let Some(way) = self.way(member, target) {
                    wrong.push(format!(
                        "`{member}` reaches `{target}` ({way}): {why}. Take the first step of that \
                         way out of its Cargo.toml, or switch off the feature that brings it"
                    ));
                }
            }
        }
        wrong
    }

    /// Every line that a member's manifest lacks.
    fn not_inherited(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (member, manifest) in &self.members {
            let lines: Vec<String> = manifest.lines().map(without_blanks).collect();
            let text = format!("\n{}\n", lines.join("\n"));
            for line in INHERITED {
                if !text.contains(&format!("\n{line}\n")) {
                    wrong.push(format!("{member}'s Cargo.toml lacks these lines:\n{line}"));
                }
            }
        }
        wrong
    }
}

fn without_blanks(line: &str) -> String {
    line.chars().filter(|c| !c.is_whitespace()).collect()
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("cargo metadata has changed")
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}: is cargo on PATH?"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    output.stdout
}

/// The resolved graph for this platform: for all platforms, cargo would fetch crates that
/// nothing here is built from.
fn cargo_metadata() -> Value {
    let version = output(Command::new("rustc").arg("-vV"));
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|l| l.strip_prefix("host: "));
    let text = output(
        Command::new(env!("CARGO"))
            .args(["metadata", "--locked", "--format-version", "1"])
            .args(["--filter-platform", host.expect("rustc -vV names its host")])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    serde_json::from_slice(&text).expect("cargo metadata prints JSON")
}

#[test]
fn members_depend_on_one_another_in_one_direction_only() {
    let graph = &*WORKSPACE;
    assert!(graph.members.contains_key("flaplab"), "not our workspace");
    let wrong = graph.wrong_edges();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_crate_reaches_what_its_folder_must_not_touch() {
    let wrong = WORKSPACE.wrong_reaches();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_member_inherits_lints_version_licence_and_rust_version() {
    let wrong = WORKSPACE.not_inherited();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_dependency_takes_any_version() {
    let any = &WORKSPACE.any_version;
    assert!(
        any.is_empty(),
        "`*` takes whatever comes, so name a version: {any:?}"
    );
}

#[test]
fn every_edge_against_the_direction_is_named() {
    let graph = &*WORKSPACE;
    for (from, allowed) in MAY_DEPEND_ON {
        for to in graph.members.keys().filter(|to| to.as_str() != *from) {
            if graph.members.contains_key(*from) && !allowed.contains(&to.as_str()) {
                let mut bent = graph.clone();
                bent.add_edge(from, to);
                let wrong = bent.wrong_edges();
                assert_eq!(wrong.len(), 1, "{from} -> {to}: {wrong:?}");
                assert!(wrong[0].contains(&format!("`{from}` depends on `{to}`")));
            }
        }
    }
}

#[test]
fn a_forbidden_crate_is_found_behind_another() {
    let mut graph = WORKSPACE.clone();
    graph.add_edge("ipnet", "go-between");
    graph.add_edge("go-between", "tokio");
    let wrong = graph.wrong_reaches();
    let found = wrong
        .iter()
        .find(|w| w.starts_with("`topologies` reaches `tokio`"));
    let found = found.unwrap_or_else(|| panic!("not found: {wrong:?}"));
    assert!(found.contains("topologies -> ipnet -> go-between -> tokio"));
}

#[test]
fn a_member_of_its_own_mind_is_named() {
    let mut graph = WORKSPACE.clone();
    let manifest = graph.members.get_mut("results").unwrap();
    *manifest = manifest.replace("license.workspace = true", "license = \"MIT\"");
    let wrong = graph.not_inherited();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].contains("license.workspace=true"));
}
