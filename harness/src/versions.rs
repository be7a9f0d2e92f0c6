//! Who takes part: versions of routers and injectors, and the machine.
//!
//! *Assumes* that the programs tell their version when asked. *Guarantees* that a program that is
//! missing is told before anything is made.

use std::path::{Path, PathBuf};
use std::process::Command;

use results::Host;
use thiserror::Error;
use topologies::{InjectorKind, ResolvedScenario, RouterKind};

/// A program that a scenario needs is missing or does not run.
#[derive(Debug, Error)]
#[error("{program} {problem}; {remedy}")]
pub struct VersionError {
    program: String,
    problem: String,
    remedy: String,
}

/// What to do about a program that distributions have.
#[must_use]
pub fn install(package: &str) -> String {
    format!("run `scripts/setup`, or install the package {package}")
}

/// The versions of what a scenario uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Implementation of the routers.
    pub router: String,
    /// Its version.
    pub router_version: String,
    /// Implementation of the injector.
    pub injector: String,
    /// Its version.
    pub injector_version: String,
}

/// The programs of a run, as its scenario names them. They may differ between the cells of a matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    router: RouterKind,
    path: Option<PathBuf>,
    injector: InjectorKind,
}

impl Uses {
    /// Those of a run.
    #[must_use]
    pub fn of(scenario: &ResolvedScenario) -> Self {
        Self {
            router: scenario.router.kind,
            path: scenario.router.path.clone(),
            injector: scenario.injector.kind,
        }
    }
}

/// The versions of what the runs of a campaign use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllVersions(Vec<(Uses, Versions)>);

impl AllVersions {
    /// Asks every program that any of the runs uses.
    ///
    /// # Errors
    /// If one is missing or says nothing.
    pub fn ask(runs: &[ResolvedScenario]) -> Result<Self, VersionError> {
        let mut all: Vec<(Uses, Versions)> = Vec::new();
        for run in runs {
            let uses = Uses::of(run);
            if !all.iter().any(|(u, _)| *u == uses) {
                all.push((uses, versions(run)?));
            }
        }
        Ok(Self(all))
    }

    /// The versions of what one of these runs uses.
    ///
    /// # Panics
    /// If it is none of them.
    #[must_use]
    pub fn of(&self, scenario: &ResolvedScenario) -> &Versions {
        let uses = Uses::of(scenario);
        let found = self.0.iter().find(|(u, _)| *u == uses);
        &found.expect("every run of the campaign was asked about").1
    }
}

/// Asks every program that the scenario uses.
///
/// # Errors
/// If one is missing or says nothing.
pub fn versions(scenario: &ResolvedScenario) -> Result<Versions, VersionError> {
    let router = crate::router::router(&scenario.router);
    for program in router.programs() {
        present(&program, &router.remedy())?;
    }
    let (program, args) = router.version_command();
    let printed = ask(&program, args, &router.remedy())?;
    let router_version = router.parse_version(&printed);
    let injector_version = match scenario.injector.kind {
        // A part of this program.
        InjectorKind::Flaplab => env!("CARGO_PKG_VERSION").to_owned(),
        InjectorKind::Exabgp => exabgp_version()?,
    };
    Ok(Versions {
        router: router.name().to_owned(),
        router_version: router_version.unwrap_or_else(|| "unknown".to_owned()),
        injector: scenario.injector.kind.to_string(),
        injector_version,
    })
}

/// ExaBGP's version.
///
/// # Errors
/// If it is missing.
pub fn exabgp_version() -> Result<String, VersionError> {
    let program = injectors::exabgp::program();
    let printed = ask(&program, &["--version"], &install("exabgp"))?;
    // "ExaBGP : 4.2.21"
    let line = printed.lines().find_map(|l| l.strip_prefix("ExaBGP : "));
    Ok(line.map_or_else(|| "unknown".to_owned(), |v| v.trim().to_owned()))
}

fn present(program: &str, remedy: &str) -> Result<(), VersionError> {
    match Path::new(program).exists() {
        true => Ok(()),
        false => Err(VersionError {
            program: program.to_owned(),
            problem: "is not installed".to_owned(),
            remedy: remedy.to_owned(),
        }),
    }
}

/// What a program prints when run with `args`.
///
/// # Errors
/// If it is missing or does not run.
pub fn ask(program: &str, args: &[&str], remedy: &str) -> Result<String, VersionError> {
    present(program, remedy)?;
    let output = Command::new(program)
        .args(args)
        .output()
        .map_err(|e| VersionError {
            program: program.to_owned(),
            problem: format!("does not run ({e})"),
            remedy: remedy.to_owned(),
        })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The machine.
#[must_use]
pub fn host() -> Host {
    let uname = nix::sys::utsname::uname();
    let text = |f: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        uname.as_ref().map_or_else(
            |_| "unknown".to_owned(),
            |u| f(u).to_string_lossy().into_owned(),
        )
    };
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib = total.and_then(|t| t.split_whitespace().next()?.parse::<u64>().ok());
    Host {
        name: text(|u| u.nodename()),
        kernel: text(|u| u.release()),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: kib.unwrap_or(0) / 1024,
    }
}
