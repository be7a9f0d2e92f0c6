//! Wires between hosts: veth pairs, shaped and lossy where that is wanted.
//!
//! *Assumes* the programs `ip` and `tc` (iproute2) and `nft` (nftables).
//! *Guarantees* links that are up, with addresses and neighbours told and not asked for, so that
//! the first segment meets no delay. Segmentation offload stays on, as on a real interface.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Stdio;

use thiserror::Error;

use super::Host;

/// Why a bed could not be laid out.
#[derive(Debug, Error)]
pub enum BedError {
    /// A host.
    #[error("cannot make the host {name}: {source}")]
    Host {
        /// Its name.
        name: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A program that should be there.
    #[error("cannot run {program}, which a bed needs: {source}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A program's refusal.
    #[error("{program} refused what {host} needs: {said}")]
    Refused {
        /// Its name.
        program: &'static str,
        /// On which host.
        host: String,
        /// What it printed.
        said: String,
    },
    /// A sysctl.
    #[error("cannot set a sysctl: {0}")]
    Sysctl(#[from] io::Error),
}

/// What a wire is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// Maximum transmission unit, in octets.
    pub mtu: u32,
    /// Rate that each end is shaped to by a token bucket, in bits per second.
    pub rate_bits: Option<u64>,
    /// Of a thousand packets that arrive at either end, so many are lost. A packet of several
    /// segments, as offloading makes them, is lost as one.
    pub loss_permille: u32,
}

impl Default for Wire {
    fn default() -> Self {
        Wire {
            mtu: 1500,
            rate_bits: None,
            loss_permille: 0,
        }
    }
}

/// The application's host and its peer's, on one wire.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Where the application runs, at 198.18.0.0 and fd00::.
    pub app: Host,
    /// Where its peer runs, at 198.18.0.1 and fd00::1.
    pub peer: Host,
}

/// Two hosts with one address, one of which is linked; a router; and the peer beyond it.
#[derive(Debug, Clone)]
pub struct Routed {
    /// Where the application begins.
    pub app: Host,
    /// Where it goes on: the same addresses as `app`.
    pub spare: Host,
    /// The router that the wires to all others end at.
    pub middle: Host,
    /// Where its peer runs.
    pub peer: Host,
}

/// One end of a wire.
struct End<'a> {
    host: &'a Host,
    device: &'a str,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    /// Hardware address: locally administered.
    mac: [u8; 2],
}

impl End<'_> {
    fn mac(&self) -> String {
        format!("02:00:00:00:{:02x}:{:02x}", self.mac[0], self.mac[1])
    }
}

const APP: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(198, 18, 0, 0),
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x10),
);
const NEAR: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(198, 18, 0, 1),
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x11),
);
const FAR: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(198, 18, 1, 0),
    Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 0x10),
);
const PEER: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(198, 18, 1, 1),
    Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 0x11),
);

/// Lays out an application's host and its peer's.
///
/// # Errors
/// If the kernel or a program refuses any of it.
pub fn pair(wire: &Wire) -> Result<Pair, BedError> {
    let app = make("app", APP)?;
    let peer = make("peer", NEAR)?;
    let ends = [
        end(&app, "eth0", APP, [0, 0]),
        end(&peer, "eth0", NEAR, [0, 1]),
    ];
    lay(wire, &ends)?;
    Ok(Pair { app, peer })
}

/// Lays out an application's host and a spare one, a router, and the peer's host.
///
/// # Errors
/// If the kernel or a program refuses any of it.
pub fn routed(wire: &Wire) -> Result<Routed, BedError> {
    let app = make("app", APP)?;
    let spare = make("spare", APP)?;
    let middle = make("middle", NEAR)?;
    let peer = make("peer", PEER)?;
    middle.sysctl("net.ipv4.ip_forward", "1")?;
    middle.sysctl("net.ipv6.conf.all.forwarding", "1")?;
    let to_app = [
        end(&app, "eth0", APP, [0, 0]),
        end(&middle, "app0", NEAR, [0, 1]),
    ];
    let to_peer = [
        end(&peer, "eth0", PEER, [1, 1]),
        end(&middle, "peer0", FAR, [1, 0]),
    ];
    lay(wire, &to_app)?;
    lay(wire, &to_peer)?;
    let to_spare = [
        end(&spare, "eth0", APP, [2, 0]),
        end(&middle, "spare0", NEAR, [2, 1]),
    ];
    add(wire, &to_spare)?;
    let routed = Routed {
        app,
        spare,
        middle,
        peer,
    };
    for (host, (v4, v6)) in [(&routed.app, NEAR), (&routed.peer, FAR)] {
        ip(host, &default_route(v4, v6))?;
    }
    Ok(routed)
}

impl Routed {
    /// Links the other host of the application, and unlinks the first. The router has a way to one
    /// of them at any time: without one it would tell the peer that there is none.
    ///
    /// # Errors
    /// If the kernel or a program refuses.
    pub fn switch(&self) -> Result<(), BedError> {
        ip(&self.app, "link set dev eth0 down\n")?;
        raise(&[
            end(&self.spare, "eth0", APP, [2, 0]),
            end(&self.middle, "spare0", NEAR, [2, 1]),
        ])?;
        ip(&self.spare, &default_route(NEAR.0, NEAR.1))?;
        ip(&self.middle, "link set dev app0 down\n")
    }
}

fn default_route(v4: Ipv4Addr, v6: Ipv6Addr) -> String {
    format!("route replace 0.0.0.0/0 via {v4}\nroute replace ::/0 via {v6}\n")
}

fn end<'a>(
    host: &'a Host,
    device: &'a str,
    (v4, v6): (Ipv4Addr, Ipv6Addr),
    mac: [u8; 2],
) -> End<'a> {
    End {
        host,
        device,
        v4,
        v6,
        mac,
    }
}

fn make(name: &'static str, (v4, v6): (Ipv4Addr, Ipv6Addr)) -> Result<Host, BedError> {
    let host = Host::make(name, v4, v6).map_err(|source| BedError::Host { name, source })?;
    ip(&host, "link set dev lo up\n")?;
    // A later connection must not begin with what an earlier one has learned of the path.
    host.sysctl("net.ipv4.tcp_no_metrics_save", "1")?;
    Ok(host)
}

/// Adds a wire and raises it.
fn lay(wire: &Wire, ends: &[End<'_>; 2]) -> Result<(), BedError> {
    add(wire, ends)?;
    raise(ends)
}

/// Adds a wire, which is down.
fn add(wire: &Wire, ends: &[End<'_>; 2]) -> Result<(), BedError> {
    let [one, other] = ends;
    let describe = |end: &End<'_>| {
        format!(
            "name {} mtu {} address {} netns {}",
            end.device,
            wire.mtu,
            end.mac(),
            end.host.name()
        )
    };
    let line = format!(
        "link add {} type veth peer {}\n",
        describe(one),
        describe(other)
    );
    ip(one.host, &line)?;
    for end in ends {
        if let Some(rate) = wire.rate_bits {
            // A bucket of 1 ms, and room for the largest packet that offloading makes; a queue of
            // 20 ms.
            let burst = (rate / 8 / 1000).max(128 * 1024);
            let line = format!(
                "qdisc add dev {} root tbf rate {rate}bit burst {burst} latency 20ms\n",
                end.device
            );
            feed("tc", &["-batch", "-"], end.host, &line)?;
        }
        if wire.loss_permille > 0 {
            // Where packets arrive: one that is refused where it leaves is an error to its
            // sender, which no network tells.
            let rules = format!(
                "add table inet loss\n\
                 add chain inet loss arriving {{ type filter hook prerouting priority -400; }}\n\
                 add rule inet loss arriving iifname \"{}\" meta l4proto tcp \
                 numgen random mod 1000 < {} counter drop\n",
                end.device, wire.loss_permille
            );
            feed("nft", &["-f", "-"], end.host, &rules)?;
        }
    }
    Ok(())
}

/// Brings a wire up. What a device forgets when it goes down is told again.
fn raise(ends: &[End<'_>; 2]) -> Result<(), BedError> {
    // Both ends come up before either is given neighbours: these are lost with the carrier.
    for end in ends {
        ip(end.host, &format!("link set dev {} up\n", end.device))?;
    }
    let [one, other] = ends;
    for (end, beyond) in [(one, other), (other, one)] {
        let mut batch = String::new();
        let (device, v4, v6, mac) = (end.device, beyond.v4, beyond.v6, beyond.mac());
        // Writing to a String cannot fail.
        let _ = writeln!(batch, "addr replace {}/31 dev {device}", end.v4);
        let _ = writeln!(batch, "addr replace {}/64 dev {device} nodad", end.v6);
        for address in [v4.to_string(), v6.to_string()] {
            let _ = writeln!(
                batch,
                "neigh replace {address} lladdr {mac} dev {device} nud permanent"
            );
        }
        ip(end.host, &batch)?;
    }
    Ok(())
}

fn ip(host: &Host, batch: &str) -> Result<(), BedError> {
    feed("ip", &["-batch", "-"], host, batch)
}

/// Runs a program on a host with this standard input, to its end.
fn feed(
    program: &'static str,
    arguments: &[&str],
    host: &Host,
    input: &str,
) -> Result<(), BedError> {
    let missing = |source| BedError::Missing { program, source };
    let mut child = host
        .command(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it ends before it has read all, what it says tells more than the broken pipe.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(missing)?;
    if output.status.success() {
        return Ok(());
    }
    Err(BedError::Refused {
        program,
        host: host.name().to_owned(),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
