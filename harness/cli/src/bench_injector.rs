//! `flaplab bench injector`: how fast flaplab's own speaker announces a table, and what a route
//! costs it.
//!
//! *Assumes* that this executable has the speaker, and loopback. *Guarantees* that what is counted
//! is what arrived: the sink reads every UPDATE to its end.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use injectors::speaker::Config;
use injectors::speaker::config::{PeerConfig, Source};
use ipnet::Ipv4Net;

use crate::Exit;

/// The longest that anything here may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The sink's AS number, and the speaker's.
const ASNS: (u32, u32) = (65_001, 65_000);
/// The prefixes: /28s of 10.0.0.0/8, a million of them.
const FIRST: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 28);

/// One speaker and its sink.
struct Told {
    routes: u32,
    /// From the start of the process to the end of the table.
    from_start_s: f64,
    /// From the sink's KEEPALIVE, which establishes the session, to End-of-RIB.
    transfer_s: f64,
    /// Resident memory of the speaker then, octets.
    memory: u64,
}

/// Measures, and prints.
pub(crate) fn bench(routes: u32, json: bool) -> anyhow::Result<Exit> {
    // What the process takes without routes is no route's cost.
    let empty = announce(1)?;
    let full = announce(routes)?;
    let octets_per_route =
        full.memory.saturating_sub(empty.memory) as f64 / f64::from(full.routes.max(1));
    if json {
        let object = serde_json::json!({
            "routes": full.routes, "transfer_s": full.transfer_s, "from_start_s": full.from_start_s,
            "octets_per_route": octets_per_route, "empty_octets": empty.memory,
        });
        println!("{object}");
    } else {
        println!(
            "{} routes in {:.3} s ({:.0} per second), {:.3} s after the start; {octets_per_route:.0} octets of memory \
             per route (empty: {:.1} MiB)",
            full.routes,
            full.transfer_s,
            f64::from(full.routes) / full.transfer_s,
            full.from_start_s,
            empty.memory as f64 / f64::from(1 << 20),
        );
    }
    Ok(Exit::Done)
}

/// Lets a speaker announce so many routes to a sink.
fn announce(routes: u32) -> anyhow::Result<Told> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("making a sink")?;
    let config = Config {
        asn: ASNS.1,
        router_id: Ipv4Addr::new(198, 19, 248, 1),
        control: None,
        tcpr: None,
        peers: vec![PeerConfig {
            address: Ipv4Addr::LOCALHOST,
            port: listener.local_addr()?.port(),
            local_address: None,
            asn: ASNS.0,
            passive: false,
            hold_time_s: 180,
            connect_retry_ms: 1_000,
            connect_delay_ms: 0,
            graceful_restart: None,
            announce: vec![Source::Filler {
                first: FIRST,
                count: routes,
                rate_per_s: None,
            }],
        }],
    };
    let path = std::env::temp_dir().join(format!("flaplab-injector-{}.json", std::process::id()));
    std::fs::write(&path, serde_json::to_vec(&config)?)
        .with_context(|| format!("writing {}", path.display()))?;
    let told = converse(&listener, &path, routes);
    std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    told
}

fn converse(listener: &TcpListener, config: &Path, routes: u32) -> anyhow::Result<Told> {
    let began = Instant::now();
    let mut speaker = Speaker::start(config)?;
    // A speaker that ends before it connects is told by its own words on standard error.
    let stream = speaker.accept(listener)?;
    let mut sink = Sink::open(stream)?;
    let established = Instant::now();
    let found = sink.routes()?;
    let (transfer_s, from_start_s) = (
        established.elapsed().as_secs_f64(),
        began.elapsed().as_secs_f64(),
    );
    ensure!(found == routes, "{found} of {routes} routes arrived");
    let memory = speaker.memory()?;
    Ok(Told {
        routes,
        from_start_s,
        transfer_s,
        memory,
    })
}

/// The process that announces; it is ended with this value.
struct Speaker(Child);

impl Speaker {
    fn start(config: &Path) -> anyhow::Result<Speaker> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(&program);
        command.args(["injector", "run"]).arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn();
        Ok(Speaker(child.with_context(|| {
            format!("starting {}", program.display())
        })?))
    }

    /// Its connection.
    fn accept(&mut self, listener: &TcpListener) -> anyhow::Result<TcpStream> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut ready = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            if poll(&mut ready, PollTimeout::from(100_u16))? > 0 {
                return Ok(listener.accept()?.0);
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("the injector has ended ({status}) before it connected");
            }
            ensure!(
                Instant::now() < deadline,
                "the injector has not connected within {LIMIT:?}"
            );
        }
    }

    /// Resident memory, octets.
    fn memory(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.0.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.context("the kernel does not tell VmRSS")? * 1024)
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // Of no effect on one that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A BGP speaker that only listens (RFC 4271, section 4).
struct Sink {
    stream: BufReader<TcpStream>,
}

const HEADER: usize = 19;
const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;

impl Sink {
    /// Exchanges OPEN and KEEPALIVE.
    fn open(stream: TcpStream) -> anyhow::Result<Sink> {
        stream.set_read_timeout(Some(LIMIT))?;
        let mut sink = Sink {
            stream: BufReader::with_capacity(1 << 20, stream),
        };
        let (kind, _) = sink.message()?;
        ensure!(
            kind == OPEN,
            "the injector began with a message of type {kind}, not with OPEN"
        );
        let [asn_high, asn_low] = u16::try_from(ASNS.0)?.to_be_bytes();
        // Version 4, hold time 180 s, BGP Identifier, and one optional parameter: the capability
        // of four-octet AS numbers (RFC 6793, section 3), by which AS_PATH is written.
        let mut body = vec![
            4, asn_high, asn_low, 0, 180, 198, 19, 248, 2, 8, 2, 6, 65, 4,
        ];
        body.extend(ASNS.0.to_be_bytes());
        sink.send(OPEN, &body)?;
        sink.send(KEEPALIVE, &[])?;
        Ok(sink)
    }

    fn send(&mut self, kind: u8, body: &[u8]) -> anyhow::Result<()> {
        let mut message = vec![0xff; 16];
        message.extend(u16::try_from(HEADER + body.len())?.to_be_bytes());
        message.push(kind);
        message.extend(body);
        Ok(self.stream.get_mut().write_all(&message)?)
    }

    fn message(&mut self) -> anyhow::Result<(u8, Vec<u8>)> {
        let mut header = [0; HEADER];
        self.stream
            .read_exact(&mut header)
            .context("the injector has closed the session")?;
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        ensure!(length >= HEADER, "a message of {length} octets");
        let mut body = vec![0; length - HEADER];
        self.stream.read_exact(&mut body)?;
        Ok((header[18], body))
    }

    /// Counts the routes up to End-of-RIB.
    fn routes(&mut self) -> anyhow::Result<u32> {
        let mut routes = 0;
        loop {
            match self.message()? {
                // An UPDATE of nothing is End-of-RIB (RFC 4724, section 2).
                (UPDATE, body) if body == [0; 4] => return Ok(routes),
                (UPDATE, body) => routes += announced(&body).context("an UPDATE is cut short")?,
                (NOTIFICATION, body) => bail!("the injector ended the session: {body:?}"),
                _ => {}
            }
        }
    }
}

/// The number of prefixes in the NLRI of an UPDATE (RFC 4271, section 4.3).
fn announced(body: &[u8]) -> Option<u32> {
    let after_list = |octets: &'_ [u8]| -> Option<usize> {
        let length = u16::from_be_bytes(octets.get(..2)?.try_into().ok()?);
        Some(2 + usize::from(length))
    };
    let withdrawn = after_list(body)?;
    let attributes = after_list(body.get(withdrawn..)?)?;
    let mut nlri = body.get(withdrawn + attributes..)?;
    let mut count = 0;
    while let Some((bits, rest)) = nlri.split_first() {
        nlri = rest.get(usize::from(*bits).div_ceil(8)..)?;
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::announced;

    #[test]
    fn prefixes_of_every_length_are_counted_and_a_cut_one_is_not() {
        // No withdrawn routes, two octets of attributes, 0.0.0.0/0, 10.0.0.0/8, 10.0.0.16/28.
        let body = [0, 0, 0, 2, 9, 9, 0, 8, 10, 28, 10, 0, 0, 16];
        assert_eq!(announced(&body), Some(3));
        assert_eq!(announced(&body[..body.len() - 1]), None);
        assert_eq!(announced(&[0, 0, 0, 0]), Some(0));
    }
}
