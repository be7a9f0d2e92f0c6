//! What this machine can and cannot do, and the remedy.
//!
//! *Assumes* nothing. *Guarantees* that what a lab needs of the kernel is tried in a real capsule
//! with the code that labs use, not guessed from version numbers.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::capsule::{Capsule, SpawnError};
use crate::machine;
use crate::netns::Namespace;
use crate::network;
use crate::protocol::{Order, Report};
use crate::record;
use crate::router::Router;
use crate::router::frr::Frr;
use crate::tcpr;
use crate::versions;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Labs run, with a restriction.
    Restricted,
    /// Labs do not run.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it; empty if nothing.
    pub remedy: String,
}

impl Check {
    fn ok(name: &str, found: impl Into<String>) -> Self {
        Check {
            name: name.to_owned(),
            verdict: Verdict::Ok,
            found: found.into(),
            remedy: String::new(),
        }
    }

    fn bad(
        verdict: Verdict,
        name: &str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Check {
            name: name.to_owned(),
            verdict,
            found: found.into(),
            remedy: remedy.into(),
        }
    }
}

/// Examines the machine.
pub async fn examine() -> Vec<Check> {
    let (bgpd, args) = Frr::default().version_command();
    let mut checks = vec![
        program("FRR", &bgpd, args, "frr"),
        optional(
            "ExaBGP",
            &injectors::exabgp::program(),
            &["--version"],
            "exabgp",
            "for scenarios with `injector: {kind: exabgp}`",
        ),
        program("nft", "/usr/sbin/nft", &["--version"], "nftables"),
        optional(
            "ip",
            "/usr/sbin/ip",
            &["-V"],
            "iproute2",
            "to replay routes.rtmon and look around",
        ),
    ];
    checks.extend(capsule().await);
    checks.push(receive_buffer());
    checks.push(match Path::new("/proc/pressure/cpu").exists() {
        true => Check::ok("CPU pressure", "/proc/pressure/cpu"),
        false => Check::bad(
            Verdict::Restricted,
            "CPU pressure",
            "this kernel tells no pressure stall information",
            "boot with psi=1; without it no finding tells that the CPU was short",
        ),
    });
    checks.push(match machine::tells_run_queue_delay() {
        true => Check::ok("run-queue delay", "/proc/PID/schedstat"),
        false => Check::bad(
            Verdict::Restricted,
            "run-queue delay",
            "this kernel does not tell how long a thread waited for a CPU",
            "take a kernel with CONFIG_SCHED_INFO; without it no finding tells that a lab's processes waited",
        ),
    });
    checks
}

fn program(name: &str, path: &str, args: &[&str], package: &str) -> Check {
    match versions::ask(path, args, &versions::install(package)) {
        Ok(printed) => Check::ok(name, printed.lines().next().unwrap_or_default()),
        Err(e) => Check::bad(
            Verdict::Missing,
            name,
            e.to_string(),
            format!("run scripts/setup, or install {package}"),
        ),
    }
}

fn optional(name: &str, path: &str, args: &[&str], package: &str, what_for: &str) -> Check {
    match versions::ask(path, args, &versions::install(package)) {
        Ok(printed) => Check::ok(name, printed.lines().next().unwrap_or_default()),
        Err(e) => {
            let remedy = format!("install {package} {what_for}");
            Check::bad(Verdict::Restricted, name, e.to_string(), remedy)
        }
    }
}

/// The recorders ask for 32 MiB; inside a user namespace the kernel gives no more than rmem_max.
fn receive_buffer() -> Check {
    let file = "/proc/sys/net/core/rmem_max";
    let got = std::fs::read_to_string(file)
        .ok()
        .and_then(|t| t.trim().parse::<u64>().ok());
    match got {
        Some(n) if n >= record::SMALL_BUFFER => {
            Check::ok("net.core.rmem_max", format!("{n} octets"))
        }
        Some(n) => Check::bad(
            Verdict::Restricted,
            "net.core.rmem_max",
            format!("{n} octets: a burst of routing-table changes may overrun the recorders"),
            format!("sysctl -w net.core.rmem_max={}", record::WANTED_BUFFER),
        ),
        None => Check::bad(
            Verdict::Restricted,
            "net.core.rmem_max",
            "cannot be read",
            "",
        ),
    }
}

/// Makes a capsule and has it examined from inside.
async fn capsule() -> Vec<Check> {
    const NAME: &str = "capsule";
    let mut capsule = match Capsule::spawn(None).await {
        Ok(capsule) => capsule,
        Err(e) => {
            return vec![Check::bad(
                Verdict::Missing,
                NAME,
                e.to_string(),
                why_no_capsule(&e),
            )];
        }
    };
    let examined = async {
        capsule.send(&Order::Examine).await?;
        loop {
            if let Report::Examined(checks) = capsule.receive().await? {
                return Ok::<_, SpawnError>(checks);
            }
        }
    }
    .await;
    match examined {
        Ok(mut checks) => {
            let found = if nix::unistd::geteuid().is_root() {
                "as root"
            } else {
                "rootless"
            };
            checks.insert(
                0,
                Check::ok(
                    NAME,
                    format!("user, mount, PID, network namespaces, {found}"),
                ),
            );
            checks
        }
        Err(e) => vec![Check::bad(
            Verdict::Missing,
            NAME,
            e.to_string(),
            "please report this",
        )],
    }
}

/// Which setting forbids user namespaces here.
fn why_no_capsule(error: &SpawnError) -> String {
    let read = |file: &str| {
        std::fs::read_to_string(file)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    if read("/proc/sys/user/max_user_namespaces") == "0" {
        return "sysctl -w user.max_user_namespaces=15000".to_owned();
    }
    if read("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return "sysctl -w kernel.unprivileged_userns_clone=1".to_owned();
    }
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        return "AppArmor restricts user namespaces (Ubuntu does so): sysctl -w \
                kernel.apparmor_restrict_unprivileged_userns=0, or give flaplab a profile with `userns,`"
            .to_owned();
    }
    if error.to_string().contains("/proc") {
        return "inside a container: run it with an unmasked /proc (for instance --security-opt systempaths=unconfined)"
            .to_owned();
    }
    "inside a container: allow unshare(2) and mount(2) in its seccomp profile".to_owned()
}

/// Tries, inside a capsule, what a lab needs of the kernel.
pub(crate) async fn examine_inside() -> Vec<Check> {
    let mut checks = Vec::new();
    let namespaces = match network::examine().await {
        Ok(namespaces) => {
            checks.push(Check::ok("namespaces, veth, sysctls", "made and set"));
            namespaces
        }
        Err(e) => {
            let remedy = "load the kernel module veth, or use a kernel with it";
            checks.push(Check::bad(
                Verdict::Missing,
                "namespaces, veth, sysctls",
                e.to_string(),
                remedy,
            ));
            return checks;
        }
    };
    let Some(namespace) = namespaces.into_values().next() else {
        return checks;
    };
    checks.push(try_in(&namespace, "packet capture", record::try_capture));
    checks.push(try_in(&namespace, "netlink recorder", record::try_listen));
    checks.push(try_in(&namespace, "nf_tables", || {
        injectors::actuator::examine()
            .map(|()| "a drop rule goes in".to_owned())
            .map_err(|e| e.to_string())
    }));
    checks.push(recovery(&namespace));
    checks
}

/// What the arm `tcpr` needs, and no other.
fn recovery(namespace: &Namespace) -> Check {
    let check = try_in(namespace, "TCPR", tcpr::examine);
    if check.verdict == Verdict::Ok {
        return check;
    }
    Check {
        verdict: Verdict::Restricted,
        remedy: "the arm tcpr cannot be run: install iptables (scripts/setup), and use a kernel with the NFQUEUE \
                 target and SOCK_DESTROY"
            .to_owned(),
        ..check
    }
}

fn try_in(
    namespace: &Namespace,
    name: &str,
    attempt: impl FnOnce() -> Result<String, String> + Send + 'static,
) -> Check {
    match namespace.enter(attempt) {
        Ok(Ok(found)) => Check::ok(name, found),
        Ok(Err(reason)) => {
            let remedy =
                "the kernel lacks it, or a module that cannot be loaded from here: load it as root";
            Check::bad(Verdict::Missing, name, reason, remedy)
        }
        Err(e) => Check::bad(Verdict::Missing, name, e.to_string(), "please report this"),
    }
}
