//! A run directory: everything that one run left behind.
//!
//! *Assumes* one writer at a time; the path may differ between writers (inside a capsule the
//! same directory is seen elsewhere). *Guarantees* that an existing directory is never
//! overwritten, that the manifest is there whole or not at all, and that after [`RunDir::seal`]
//! nothing of this crate changes it; docs/run-directory.md describes every file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use topologies::{ResolvedScenario, Topology};

use crate::event::Event;
use crate::finding::Finding;
use crate::log::{EventLog, FindingLog, Lines, read_lines};
use crate::manifest::{Manifest, OLDEST_SCHEMA_VERSION, SCHEMA_VERSION};
use crate::storage::{DirError, check_name, create_new_dir, io_error, read_text, write_atomically};

/// One run directory, by its path. Cheap: nothing is held open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes a new one, with its parents.
    ///
    /// # Errors
    /// [`DirError::Exists`] if there is anything at that path already.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, DirError> {
        let dir = Self::at(path);
        create_new_dir(&dir.path)?;
        let nodes = dir.nodes_dir();
        fs::create_dir(&nodes).map_err(io_error("create", &nodes))?;
        Ok(dir)
    }

    /// One that is there already, to go on writing to. Nothing is checked.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// One that is there already, to read.
    ///
    /// # Errors
    /// [`DirError::NotARun`] if it has no manifest.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DirError> {
        let dir = Self::at(path);
        if dir.manifest_path().is_file() {
            return Ok(dir);
        }
        Err(DirError::NotARun {
            path: dir.path,
            missing: "manifest.json",
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name: the run's id.
    #[must_use]
    pub fn run_id(&self) -> String {
        self.path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// `manifest.json`.
    #[must_use]
    pub fn manifest_path(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// `topology.json`.
    #[must_use]
    pub fn topology_path(&self) -> PathBuf {
        self.path.join("topology.json")
    }

    /// `scenario.resolved.yaml`.
    #[must_use]
    pub fn scenario_resolved_path(&self) -> PathBuf {
        self.path.join("scenario.resolved.yaml")
    }

    /// `events.jsonl`.
    #[must_use]
    pub fn events_path(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// `findings.jsonl`.
    #[must_use]
    pub fn findings_path(&self) -> PathBuf {
        self.path.join("findings.jsonl")
    }

    /// `nodes/`.
    #[must_use]
    pub fn nodes_dir(&self) -> PathBuf {
        self.path.join("nodes")
    }

    /// `nodes/NODE/`.
    #[must_use]
    pub fn node_dir(&self, node: &str) -> PathBuf {
        self.nodes_dir().join(node)
    }

    /// `nodes/NODE/routes.rtmon`.
    #[must_use]
    pub fn routes_rtmon(&self, node: &str) -> PathBuf {
        self.node_dir(node).join("routes.rtmon")
    }

    /// `nodes/NODE/bgp.pcap`.
    #[must_use]
    pub fn bgp_pcap(&self, node: &str) -> PathBuf {
        self.node_dir(node).join("bgp.pcap")
    }

    /// `probe-sent.csv`.
    #[must_use]
    pub fn probe_sent(&self) -> PathBuf {
        self.path.join("probe-sent.csv")
    }

    /// `nodes/NODE/probe-received.csv`; NODE is the injector.
    #[must_use]
    pub fn probe_received(&self, injector: &str) -> PathBuf {
        self.node_dir(injector).join("probe-received.csv")
    }

    /// `nodes/NODE/config/`.
    #[must_use]
    pub fn config_dir(&self, node: &str) -> PathBuf {
        self.node_dir(node).join("config")
    }

    /// `nodes/NODE/log/`.
    #[must_use]
    pub fn log_dir(&self, node: &str) -> PathBuf {
        self.node_dir(node).join("log")
    }

    /// Makes the directories of one node.
    ///
    /// # Errors
    /// If its name cannot be a directory's, or the directories cannot be made.
    pub fn create_node(&self, node: &str) -> Result<(), DirError> {
        check_name("node", node)?;
        for dir in [self.config_dir(node), self.log_dir(node)] {
            fs::create_dir_all(&dir).map_err(io_error("create", &dir))?;
        }
        Ok(())
    }

    /// Writes `topology.json`.
    ///
    /// # Errors
    /// If the run is sealed, or the file cannot be written.
    pub fn write_topology(&self, topology: &Topology) -> Result<(), DirError> {
        self.refuse_sealed()?;
        write_json(&self.topology_path(), topology)
    }

    /// Reads `topology.json`.
    ///
    /// # Errors
    /// If it is not there or damaged.
    pub fn topology(&self) -> Result<Topology, DirError> {
        let path = self.topology_path();
        let text = read_text(&path)?;
        serde_json::from_str(&text).map_err(|e| parse_error(path, e))
    }

    /// Writes `scenario.resolved.yaml`.
    ///
    /// # Errors
    /// If the run is sealed, or the file cannot be written.
    pub fn write_scenario(&self, scenario: &ResolvedScenario) -> Result<(), DirError> {
        self.refuse_sealed()?;
        let path = self.scenario_resolved_path();
        let text = serde_saphyr::to_string(scenario).map_err(|e| format_error(&path, e))?;
        write_atomically(&path, text.as_bytes())
    }

    /// Reads `scenario.resolved.yaml`.
    ///
    /// # Errors
    /// If it is not there or damaged.
    pub fn scenario(&self) -> Result<ResolvedScenario, DirError> {
        let path = self.scenario_resolved_path();
        let text = read_text(&path)?;
        serde_saphyr::from_str(&text).map_err(|e| parse_error(path, e))
    }

    /// Writes `manifest.json`, in place of the one that is there.
    ///
    /// # Errors
    /// If the run is sealed, or the file cannot be written; the old one is then still there.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), DirError> {
        self.refuse_sealed()?;
        write_json(&self.manifest_path(), manifest)
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// If it is not there, damaged, or of another schema version.
    pub fn manifest(&self) -> Result<Manifest, DirError> {
        let path = self.manifest_path();
        let text = read_text(&path)?;
        let value: Value = serde_json::from_str(&text).map_err(|e| parse_error(&path, e))?;
        // Before anything else: another version may differ in every other key.
        let found = value.get("schema_version").and_then(Value::as_u64);
        let readable = u64::from(OLDEST_SCHEMA_VERSION)..=u64::from(SCHEMA_VERSION);
        match found {
            Some(v) if readable.contains(&v) => {
                serde_json::from_str(&text).map_err(|e| parse_error(path, e))
            }
            Some(found) => Err(DirError::SchemaVersion {
                path,
                found,
                oldest: OLDEST_SCHEMA_VERSION,
                supported: SCHEMA_VERSION,
            }),
            None => Err(parse_error(path, "it has no `schema_version`")),
        }
    }

    /// Opens `events.jsonl` to append to.
    ///
    /// # Errors
    /// If the run is sealed, or the file cannot be opened.
    pub fn event_log(&self) -> Result<EventLog, DirError> {
        self.refuse_sealed()?;
        EventLog::open(self.events_path())
    }

    /// Reads `events.jsonl`.
    ///
    /// # Errors
    /// If it cannot be read; a broken line is no error.
    pub fn events(&self) -> Result<Lines<Event>, DirError> {
        read_lines(&self.events_path())
    }

    /// Opens `findings.jsonl` to append to.
    ///
    /// # Errors
    /// If the run is sealed, or the file cannot be opened.
    pub fn finding_log(&self) -> Result<FindingLog, DirError> {
        self.refuse_sealed()?;
        FindingLog::open(self.findings_path())
    }

    /// Reads `findings.jsonl`.
    ///
    /// # Errors
    /// If it cannot be read; a broken line is no error.
    pub fn findings(&self) -> Result<Lines<Finding>, DirError> {
        read_lines(&self.findings_path())
    }

    /// Writes the final manifest and makes every file read-only. Directories stay writable, so
    /// that `rm -r` works. The manifest comes last: a run whose manifest is read-only is whole.
    ///
    /// # Errors
    /// If the run is sealed already, or something cannot be written or made read-only.
    pub fn seal(&self, manifest: &Manifest) -> Result<(), DirError> {
        self.write_manifest(manifest)?;
        let path = self.manifest_path();
        make_read_only(&self.path, &path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o444)).map_err(io_error("seal", &path))
    }

    /// Whether the run is sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        // By the mode, not by trying: root may write to anything.
        fs::metadata(self.manifest_path()).is_ok_and(|m| m.permissions().mode() & 0o222 == 0)
    }

    fn refuse_sealed(&self) -> Result<(), DirError> {
        if self.is_sealed() {
            return Err(DirError::Sealed {
                path: self.path.clone(),
            });
        }
        Ok(())
    }
}

/// Makes all regular files below `dir` read-only but `last`; symbolic links are not followed.
fn make_read_only(dir: &Path, last: &Path) -> Result<(), DirError> {
    for entry in fs::read_dir(dir).map_err(io_error("seal", dir))? {
        let entry = entry.map_err(io_error("seal", dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(io_error("seal", &path))?;
        if kind.is_dir() {
            make_read_only(&path, last)?;
        } else if kind.is_file() && path != last {
            fs::set_permissions(&path, Permissions::from_mode(0o444))
                .map_err(io_error("seal", &path))?;
        }
    }
    Ok(())
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), DirError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| format_error(path, e))?;
    text.push('\n');
    write_atomically(path, text.as_bytes())
}

fn parse_error(path: impl Into<PathBuf>, reason: impl ToString) -> DirError {
    DirError::Parse {
        path: path.into(),
        reason: reason.to_string(),
    }
}

fn format_error(path: &Path, reason: impl ToString) -> DirError {
    DirError::Format {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
