//! The capsule's private view of the file system.
//!
//! *Assumes* a new mount namespace that the caller owns, and the run directory as working
//! directory. *Guarantees* that nothing mounted here is seen outside, and that what FRR and
//! ExaBGP write besides the run directory goes to memory.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use super::CapsuleError;

/// Where sockets and the like of one lab lie, in memory.
pub const LAB_DIR: &str = "/run/flaplab";
/// Where the run directory is seen inside a capsule; or the directory of all runs, by a lab that
/// carries several.
pub const RUN_DIR: &str = "/run/flaplab/run";
/// Where configuration and logs of a lab lie that carries several runs, in memory: its daemons have
/// them open for longer than any run's directory is written to.
pub const LAB_HOME: &str = "/run/flaplab/lab";

/// FRR insists on dropping to user `frr` and on the group `frrvty`; with one id mapped they can
/// only be that one. Quagga is started as root, but a build with a VTY group looks that group up.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nfrr:x:0:0:FRRouting:/run/frr:/bin/false\n";
const GROUP: &str = "root:x:0:\nfrr:x:0:\nfrrvty:x:0:root,frr\nquaggavty:x:0:root\n";

/// Makes all private mounts.
pub(super) fn make(bind_run_dir: bool) -> Result<(), CapsuleError> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(CapsuleError::nix("make all mounts private"))?;
    mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        none,
    )
    .map_err(CapsuleError::nix(
        "mount /proc for the capsule (inside a container this needs an unmasked /proc)",
    ))?;
    tmpfs("/run")?;
    for dir in [
        LAB_DIR,
        RUN_DIR,
        LAB_HOME,
        "/run/frr",
        "/run/netns",
        "/run/lock",
    ] {
        fs::create_dir_all(dir).map_err(CapsuleError::step(format!("make {dir}")))?;
    }
    if bind_run_dir {
        bind(".", RUN_DIR)?;
    }
    tmpfs("/var/tmp")?;
    if Path::new("/etc/frr").is_dir() {
        tmpfs("/etc/frr")?;
        write("/etc/frr/vtysh.conf", "")?;
    }
    for (name, text) in [("passwd", PASSWD), ("group", GROUP)] {
        let file = format!("{LAB_DIR}/{name}");
        write(&file, text)?;
        bind(&file, &format!("/etc/{name}"))?;
    }
    std::env::set_current_dir(RUN_DIR).map_err(CapsuleError::step(format!("enter {RUN_DIR}")))
}

fn tmpfs(target: &str) -> Result<(), CapsuleError> {
    mount(
        Some("tmpfs"),
        target,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some("mode=0755"),
    )
    .map_err(CapsuleError::nix(format!("mount a private {target}")))
}

fn bind(source: &str, target: &str) -> Result<(), CapsuleError> {
    let none: Option<&str> = None;
    mount(Some(source), target, none, MsFlags::MS_BIND, none)
        .map_err(CapsuleError::nix(format!("bind {source} to {target}")))
}

fn write(path: &str, text: &str) -> Result<(), CapsuleError> {
    fs::write(path, text).map_err(CapsuleError::step(format!("write {path}")))
}
