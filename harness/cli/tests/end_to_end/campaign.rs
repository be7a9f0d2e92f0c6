//! A campaign's directory as another program would read it: by docs/run-directory.md.
//!
//! *Assumes* nothing of how it was made. *Guarantees* that what the document promises is checked
//! by name and by octet, not through the types that wrote it; those only where the document
//! leaves the reading to them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use results::{Event, EventKind, Finding, FindingKind, Phase, RunDir, Severity};
use serde_json::Value;

/// The columns of metrics.csv.
const METRICS: &str = "run_id,scenario,topology,size,router,router_version,mrai_s,failure,strategy,node,\
                       convergence_s,last_change_s,disconnected_s,no_route_s,loop_s,blackhole_s,\
                       advertisements_sent,withdrawals_sent,updates_sent,valid,\
                       probe_disconnected_s,probes_lost,cell,attempt,run_in_lab,table_changes";
/// The columns of summary.csv.
const SUMMARY: &str = "scenario,strategy,metric,unit,n,mean,ci95_low,ci95_high,median,p90,max,\
                       cell";

/// A row of a table, by column.
pub(crate) type Row = BTreeMap<String, String>;

/// A campaign that was carried out.
pub(crate) struct Campaign {
    path: PathBuf,
}

impl Campaign {
    pub(crate) fn at(path: impl Into<PathBuf>) -> Campaign {
        Campaign { path: path.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its runs, by name.
    pub(crate) fn runs(&self) -> Vec<RunDir> {
        let mut paths: Vec<PathBuf> = match fs::read_dir(self.path.join("runs")) {
            Ok(entries) => entries.map(|e| e.unwrap().path()).collect(),
            // It was killed before it made one.
            Err(_) => Vec::new(),
        };
        paths.sort();
        paths.into_iter().map(RunDir::at).collect()
    }

    /// The only run of an arm.
    #[track_caller]
    pub(crate) fn run(&self, arm: &str) -> RunDir {
        let mut runs = self.runs();
        runs.retain(|r| r.run_id().starts_with(&format!("{arm}-0")));
        assert_eq!(runs.len(), 1, "runs of {arm}");
        runs.remove(0)
    }

    /// A table of the campaign, whose first line must be `header`.
    fn table(&self, name: &str, header: &str) -> Vec<Row> {
        let text = fs::read_to_string(self.path.join(name)).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(header), "{name}");
        let columns: Vec<&str> = header.split(',').collect();
        lines
            .map(|line| {
                // No value of these tables has a comma or a quote in it.
                let values: Vec<&str> = line.split(',').collect();
                assert_eq!(values.len(), columns.len(), "{name}: {line}");
                let pairs = columns.iter().zip(values);
                pairs
                    .map(|(c, v)| ((*c).to_owned(), v.to_owned()))
                    .collect()
            })
            .collect()
    }

    /// Rows of metrics.csv of one arm.
    pub(crate) fn metrics(&self, arm: &str) -> Vec<Row> {
        let mut rows = self.table("metrics.csv", METRICS);
        rows.retain(|r| r["strategy"] == arm);
        rows
    }

    /// Fails unless every file is there that others rely on, and says what it must.
    pub(crate) fn must_keep_the_interface(&self, arms: &[&str], routers: usize) {
        for name in ["scenario.yaml", "metrics.parquet"] {
            assert!(fs::metadata(self.path.join(name)).unwrap().len() > 0);
        }
        assert_eq!(
            &fs::read(self.path.join("metrics.parquet")).unwrap()[..4],
            b"PAR1"
        );
        assert!(!self.table("summary.csv", SUMMARY).is_empty());
        for (ending, begins) in [("svg", &b"<svg"[..]), ("pdf", b"%PDF")] {
            let figures = self.figures(ending);
            assert_eq!(figures.len(), 3, "a figure for each metric: {figures:?}");
            for figure in figures {
                let octets = fs::read(&figure).unwrap();
                assert!(octets.starts_with(begins), "{}", figure.display());
            }
        }
        assert_eq!(self.runs().len(), arms.len());
        for arm in arms {
            let run = self.run(arm);
            must_have_every_file(&run, routers);
            must_have_a_complete_manifest(&run, arm);
            must_be_read_only(&run);
            let rows = self.metrics(arm);
            let nodes: Vec<&str> = rows.iter().map(|r| r["node"].as_str()).collect();
            let expected: Vec<String> = (1..=routers).map(|i| format!("r{i}")).collect();
            assert_eq!(nodes, expected, "a row for each router");
            rows.iter().for_each(must_be_consistent);
        }
    }

    fn figures(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path.join("figures")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == ending));
        paths
    }

    /// Everything about every file of the runs that could change.
    pub(crate) fn records(&self) -> BTreeMap<PathBuf, Record> {
        let mut records = BTreeMap::new();
        collect(&self.path.join("runs"), &mut records);
        records
    }
}

/// A file as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    octets: Vec<u8>,
    mode: u32,
    modified: SystemTime,
    inode: u64,
}

pub(crate) fn collect(dir: &Path, records: &mut BTreeMap<PathBuf, Record>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            collect(&path, records);
            continue;
        }
        let record = Record {
            octets: fs::read(&path).unwrap(),
            mode: metadata.permissions().mode(),
            modified: metadata.modified().unwrap(),
            inode: metadata.ino(),
        };
        records.insert(path, record);
    }
}

/// A figure of a row, in the unit of its column's name.
#[track_caller]
pub(crate) fn figure(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap()
}

fn must_be_consistent(row: &Row) {
    let of = |column| figure(row, column);
    let parts = of("no_route_s") + of("loop_s") + of("blackhole_s");
    assert!((parts - of("disconnected_s")).abs() < 1e-6, "{row:?}");
    assert!(of("last_change_s") <= of("convergence_s"), "{row:?}");
    assert_eq!(
        of("advertisements_sent") + of("withdrawals_sent"),
        of("updates_sent"),
        "{row:?}"
    );
    assert_eq!(row["valid"], "true");
}

pub(crate) fn must_have_every_file(run: &RunDir, routers: usize) {
    let at = |name: &str| run.path().join(name);
    for name in [
        "manifest.json",
        "topology.json",
        "scenario.resolved.yaml",
        "events.jsonl",
        "findings.jsonl",
    ] {
        assert!(at(name).is_file(), "{name}");
    }
    let nodes = (1..=routers)
        .map(|i| format!("r{i}"))
        .chain(["injector".to_owned()]);
    for node in nodes {
        for name in ["routes.rtmon", "bgp.pcap"] {
            let path = at(&format!("nodes/{node}/{name}"));
            assert!(fs::metadata(&path).unwrap().len() > 0, "{}", path.display());
        }
        for name in ["config", "log"] {
            let dir = at(&format!("nodes/{node}/{name}"));
            assert!(fs::read_dir(&dir).unwrap().count() > 0, "{}", dir.display());
        }
    }
    let topology: Value = serde_json::from_slice(&fs::read(at("topology.json")).unwrap()).unwrap();
    assert_eq!(topology["destination"], "198.51.100.0/24");
    let has = |list: &str, keys: &[&str]| {
        let items = topology[list].as_array().unwrap();
        for (item, key) in items.iter().flat_map(|i| keys.iter().map(move |k| (i, k))) {
            assert!(!item[*key].is_null(), "{list}: {key} in {item}");
        }
    };
    has("nodes", &["name", "role", "asn", "router_id", "addresses"]);
    has("links", &["a", "b", "a_addr", "b_addr", "role"]);
    let events = fs::read_to_string(at("events.jsonl")).unwrap();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["kind"].is_string() && event["phase"].is_string());
        assert!(event["t_mono_ns"].is_u64() && event["t_wall_ns"].is_u64());
    }
}

fn must_have_a_complete_manifest(run: &RunDir, arm: &str) {
    let text = fs::read_to_string(run.manifest_path()).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    for key in [
        "seed",
        "failure_phase_s",
        "router",
        "router_version",
        "injector",
        "injector_version",
        "mrai_s",
        "tool_version",
        "tool_commit",
        "started_at",
        "ended_at",
    ] {
        assert!(!manifest[key].is_null(), "{key} in {text}");
    }
    assert!(manifest["host"]["kernel"].is_string());
    assert!(manifest["jobs"]["allowed"].is_u64() && manifest["jobs"]["at_failure"].is_u64());
    assert!(manifest["lab_cost"]["cpu_s"].is_f64());
    assert!(manifest["clock"]["wall_minus_mono_ns"].is_i64());
    assert_eq!(manifest["sysctls"]["net.ipv4.ip_forward"], "1");
    assert_eq!(manifest["sysctls"]["net.ipv4.nexthop_compat_mode"], "1");
    assert_eq!(manifest["schema_version"], 3);
    assert_eq!(manifest["run_id"], run.run_id().as_str());
    assert_eq!(manifest["strategy"], arm);
    assert_eq!(manifest["status"], "complete", "{text}");
    assert!(manifest["error"].is_null());
    for (node, stats) in manifest["recorders"].as_object().unwrap() {
        assert_eq!(stats["packets_dropped"], 0, "{node}");
        assert_eq!(stats["netlink_overruns"], 0, "{node}");
        assert_ne!(stats["packets"], 0, "{node}");
        assert_ne!(stats["netlink_messages"], 0, "{node}");
    }
    let machine = &manifest["machine"];
    for figure in [
        &machine["measured_s"],
        &machine["cpu_pressure_share"],
        &machine["run_queue"]["delay_s"],
        &machine["run_queue"]["most"]["delay_s"],
        &machine["run_queue"]["worst"]["delay_s"],
        &machine["lateness"]["p99_s"],
        &machine["lateness"]["max_s"],
        &machine["foreign_cpu_share"],
    ] {
        assert!(figure.as_f64().is_some_and(|f| f >= 0.0), "{machine}");
    }
    assert_eq!(finding(run, FindingKind::UnexpectedLog), None);
    let findings = run.findings().unwrap();
    assert_eq!(findings.broken, []);
    assert_eq!(
        serde_json::to_value(&findings.items).unwrap(),
        manifest["findings"]
    );
    let bad = |f: &&Finding| f.severity == Severity::Invalidating;
    assert_eq!(findings.items.iter().find(bad), None);
}

fn must_be_read_only(run: &RunDir) {
    assert!(run.is_sealed());
    let mut records = BTreeMap::new();
    collect(run.path(), &mut records);
    for (path, record) in records {
        assert_eq!(record.mode & 0o777, 0o444, "{}", path.display());
    }
}

/// The instants at which events of a kind and phase happened, CLOCK_MONOTONIC, in order.
pub(crate) fn instants(run: &RunDir, kind: EventKind, phase: Phase) -> Vec<u64> {
    let mut instants: Vec<u64> = events(run)
        .into_iter()
        .filter(|e| e.kind == kind && e.phase == phase)
        .map(|e| e.t_mono_ns)
        .collect();
    instants.sort_unstable();
    instants
}

/// All events of a run, each of them whole.
pub(crate) fn events(run: &RunDir) -> Vec<Event> {
    let events = run.events().unwrap();
    assert_eq!(events.broken, []);
    events.items
}

/// The finding of a kind, with what it says.
pub(crate) fn finding(run: &RunDir, kind: FindingKind) -> Option<Finding> {
    let findings = run.findings().unwrap().items;
    findings.into_iter().find(|f| f.kind == kind)
}
