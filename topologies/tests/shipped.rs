//! What is shipped: the JSON Schema, the scenarios, the documentation's example.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use topologies::{
    FailureKind, FailureTime, Scenario, Strategy, TcprFate, TopologyKind, render, schema,
};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn shipped() -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(here("scenarios"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .collect();
    all.sort();
    assert!(all.len() >= 17, "{all:?}");
    all
}

fn load(name: &str) -> Scenario {
    Scenario::load(&here("scenarios").join(name)).unwrap_or_else(|e| panic!("{e}"))
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&schema::json_schema()).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn valid(text: &str) -> Result<(), String> {
    let value: Value = serde_saphyr::from_str(text).unwrap();
    validator()
        .validate(&value)
        .map_err(|e| format!("{}: {e}", e.instance_path()))
}

#[test]
fn the_published_schema_is_up_to_date() {
    let file = here("scenario.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&file, schema::json_schema()).unwrap();
    }
    let published = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        published == schema::json_schema(),
        "topologies/scenario.schema.json is out of date; renew it with\n  \
         UPDATE_SCHEMA=1 cargo test -p topologies --test shipped"
    );
}

#[test]
fn every_shipped_scenario_loads_validates_and_is_named_after_its_file() {
    for path in shipped() {
        let scenario = Scenario::load(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(scenario.name()));
        valid(scenario.text()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(scenario.description().is_some());
    }
}

#[test]
fn the_studys_scenarios_are_the_studys_with_a_third_arm() {
    for (name, kind, failure) in [
        ("control", TopologyKind::Clique, FailureKind::Control),
        ("correlated", TopologyKind::BClique, FailureKind::Correlated),
    ] {
        for (variant, mrai) in [("", "5s"), ("-mrai30", "30s")] {
            let s = load(&format!("surton2014-{name}{variant}.yaml"));
            assert_eq!(
                (s.topology_kind(), s.size(), s.failure()),
                (kind, 16, failure)
            );
            assert_eq!(
                s.strategies(),
                [Strategy::None, Strategy::GracefulRestart, Strategy::Tcpr]
            );
            assert_eq!(s.router().mrai.to_string(), mrai);
            assert_eq!(s.seed(), 2014, "the same networks at both MRAIs");
            let ids = |i| s.resolve(Strategy::None, i).topology.nodes;
            assert_ne!(ids(0), ids(1), "shuffle is on");
            let filler = s.resolve(Strategy::None, 0).injector.filler;
            let takes = filler.map(|f| f.duration().to_string());
            let wanted = (failure == FailureKind::Correlated).then(|| "100s".to_owned());
            assert_eq!(takes, wanted);
        }
    }
}

#[test]
fn each_variant_of_a_failure_is_the_one_it_is_named_after() {
    let failure = |name: &str| {
        load(&format!("{name}.yaml"))
            .resolve(Strategy::None, 0)
            .failure
    };
    for (name, delay) in [
        ("clique4-control", "0s"),
        ("outage-1s", "1s"),
        ("outage-10s", "10s"),
        ("outage-past-hold-time", "60s"),
    ] {
        assert_eq!(failure(name).restart_delay.to_string(), delay);
    }
    let past = load("outage-past-hold-time.yaml");
    assert_eq!(past.router().hold_time.to_string(), "30s");
    let repeated = failure("repeated-failures");
    assert_eq!(
        (repeated.kills, repeated.kill_interval.to_string()),
        (5, "10s".to_owned())
    );
    assert_eq!(
        failure("failure-within-transfer").when,
        FailureTime::InitialTransfer
    );
    assert_eq!(failure("tcpr-dies").tcpr, TcprFate::Dies);
    assert_eq!(failure("link-failure").kind, FailureKind::Link);
    assert_eq!(failure("mrai-probe").kind, FailureKind::MraiProbe);
    let arms = load("better-graceful-restart.yaml");
    assert_eq!(arms.strategies(), Strategy::ALL);
    let reused = load("reused-lab.yaml");
    let fresh: Vec<bool> = (reused.cells())
        .map(|cell| reused.resolve_in(cell, Strategy::None, 0).unwrap().fresh)
        .collect();
    assert_eq!(fresh, [true, false]);
    let truth = load("ground-truth.yaml").resolve(Strategy::None, 0);
    assert!(truth.data_plane_probe);
}

#[test]
fn the_documentation_lists_every_shipped_scenario() {
    let doc = std::fs::read_to_string(here("../docs/scenario.md")).unwrap();
    for path in shipped() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            doc.contains(&format!("`{name}`")),
            "docs/scenario.md does not list `{name}`"
        );
    }
}

#[test]
fn the_schema_refuses_what_it_can_know() {
    let with = |more: &str| {
        valid(&format!(
            "name: a\ntopology: {{kind: clique, size: 4}}\nfailure: {{kind: control}}\n{more}\n"
        ))
    };
    with("").unwrap();
    for wrong in [
        "colour: red",
        "schema: 2",
        "runs: 0",
        "router: {mrai: 5}",
        "router: {mrai: -5s}",
        "router: {mrai: '5'}",
        "strategies: []",
        "strategies: [none, none]",
        "strategies: [tcp]",
        "injector: {filler: {count: 10}}",
        "injector: {filler: {count: 70000, rate: 10}}",
        "router: {extra_config: {injector: [a]}}",
        "deadlines: {quiet: 0:05}",
        "router: {kind: gobgp}",
        "data_plane_probe: often",
    ] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_documentations_example_is_a_scenario() {
    let doc = std::fs::read_to_string(here("../docs/scenario.md")).unwrap();
    let examples: Vec<&str> = doc
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let complete: Vec<_> = examples
        .iter()
        .filter(|e| e.starts_with("schema:"))
        .collect();
    assert_eq!(complete.len(), 1, "one complete example");
    for example in complete {
        Scenario::parse(example, "docs/scenario.md").unwrap_or_else(|e| panic!("{e}"));
        valid(example).unwrap();
    }
}

#[test]
fn the_documentation_names_every_key() {
    fn keys(value: &Value, all: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::Object(properties)) = map.get("properties") {
                    all.extend(properties.keys().cloned());
                }
                map.values().for_each(|v| keys(v, all));
            }
            Value::Array(items) => items.iter().for_each(|v| keys(v, all)),
            _ => {}
        }
    }
    let doc = std::fs::read_to_string(here("../docs/scenario.md")).unwrap();
    let mut all = Vec::new();
    keys(
        &serde_json::from_str(&schema::json_schema()).unwrap(),
        &mut all,
    );
    assert!(all.len() > 25, "{all:?}");
    for key in all {
        assert!(
            doc.contains(&format!("`{key}`")),
            "docs/scenario.md does not name `{key}`"
        );
    }
}

#[test]
fn every_shipped_network_can_be_shown() {
    for path in shipped() {
        let s = Scenario::load(&path).unwrap();
        let run = s.resolve(Strategy::None, 0);
        let (text, dot, svg) = (render::text(&run), render::dot(&run), render::svg(&run));
        for l in &run.topology.links {
            assert!(text.contains(&l.a_addr.to_string()) && text.contains(&l.b_dev));
            assert!(dot.contains(&format!("{:?} -- {:?}", l.a, l.b)));
        }
        for n in &run.topology.nodes {
            assert!(text.contains(&n.router_id.to_string()));
            assert!(svg.contains(&format!(">{}</text>", n.name)));
        }
        assert_eq!(svg.matches("<circle").count(), s.size());
        let peerings = run.topology.links.len() - 1 - usize::from(run.topology.backup().is_some());
        // One line more leads to the destination.
        assert_eq!(svg.matches("<line").count(), peerings + 1);
        assert_eq!(
            svg.contains("stroke-dasharray"),
            run.topology.backup().is_some()
        );
        assert_eq!(
            dot.contains("style=dashed"),
            run.topology.backup().is_some()
        );
    }
}
