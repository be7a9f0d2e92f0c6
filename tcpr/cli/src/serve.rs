//! `tcpr serve`.
//!
//! *Assumes* that nothing of this process has started a thread yet, since a namespace is entered.
//! *Guarantees* that whoever waits for `ready` finds rules, queues and socket in place, and that
//! who stops the server is told what stays and how to take it away.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tcpr::core::Config;
use tcpr::dataplane::nfqueue::Placement;
use tcpr::protocol::udp::Key;
use tcpr::serve::{Outcome, Ready};
use tcpr::{Endpoint, Pattern};

use crate::names;

/// What to serve.
#[derive(Debug, Args)]
pub struct Options {
    /// Protect connections in this network namespace: a name under /run/netns, or a file
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,
    /// Protect connections to a listener (ADDRESS:PORT), to a peer ('->ADDRESS:PORT'), or one
    /// connection ('LOCAL->REMOTE'), from their first segment on; repeatable. Applications can
    /// ask for others later
    #[arg(long, value_name = "WHAT", value_parser = names::pattern)]
    protect: Vec<Pattern>,
    /// Stand in front of the application's host, and protect what is forwarded
    #[arg(long)]
    middlebox: bool,
    /// The Unix socket that applications find TCPR at [default: $TCPR_SOCKET, else /run/tcpr.sock,
    /// or tcpr.sock in $XDG_RUNTIME_DIR for ordinary users]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Where applications on other hosts find it, in the namespace of --netns
    #[arg(long, value_name = "ADDRESS:PORT", requires = "key")]
    udp: Option<SocketAddr>,
    /// The key that they have too: a file of at least 32 octets that only its owner may read
    #[arg(long, value_name = "FILE", requires = "udp")]
    key: Option<PathBuf>,
    /// The first of four numbers of packet queues
    #[arg(long, value_name = "N", default_value_t = 7900)]
    queue: u16,
    /// How long a connection whose application has failed is kept before its peer is reset
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = names::duration)]
    ttl: Duration,
    /// What peers send while their applications are down may take so much memory in all, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    hold_limit: usize,
    /// How many connections may be protected at once
    #[arg(long, value_name = "N", default_value_t = Config::default().connections)]
    max_connections: usize,
    /// Write a line to this open descriptor when everything is in place
    #[arg(long, value_name = "FD")]
    ready_fd: Option<RawFd>,
    /// Take away the rules that a server has left, and cut its connections loose; nothing is served
    #[arg(long, conflicts_with_all = ["protect", "middlebox", "udp", "ready_fd"])]
    release: bool,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// If it cannot.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let netns = options.netns.as_deref().map(namespace);
    let socket = match &options.socket {
        Some(path) => path.clone(),
        None => match Endpoint::from_environment()? {
            Endpoint::Unix(path) => path,
            Endpoint::Udp { .. } => {
                bail!("$TCPR_SOCKET names an address: give the path of a Unix socket with --socket")
            }
        },
    };
    if options.release {
        return release(netns.as_deref(), &socket, options.queue);
    }
    let udp = match (options.udp, &options.key) {
        (Some(address), Some(file)) => Some((address, Key::load(file)?)),
        _ => None,
    };
    let mut ready_fd = options.ready_fd.map(descriptor).transpose()?;
    let placement = if options.middlebox {
        Placement::Middlebox
    } else {
        Placement::Host
    };
    let remedy = remedy(&options);
    let outcome = tcpr::serve::serve(
        tcpr::serve::Options {
            netns,
            placement,
            protect: options.protect,
            socket: socket.clone(),
            udp,
            queue: options.queue,
            bounds: Config {
                time_to_live: options.ttl,
                connections: options.max_connections,
                ..Config::default()
            },
            hold_limit: options.hold_limit.saturating_mul(1 << 20),
        },
        |ready| tell_ready(ready, &socket, options.ttl, ready_fd.take()),
    )?;
    if let Outcome::Held { connections } = outcome {
        let who = match connections {
            0 => "connections of an earlier server may still live".to_owned(),
            1 => "1 protected connection still lives".to_owned(),
            _ => format!("{connections} protected connections still live"),
        };
        eprintln!(
            "{who}, so the rules stay: nothing of that passes until `tcpr serve` runs \
             again.\nTo take the rules away and cut connections loose: {remedy}"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn release(netns: Option<&Path>, socket: &Path, queue: u16) -> anyhow::Result<ExitCode> {
    let there =
        tcpr::serve::release(netns, socket, queue).context("cannot release what a server needs")?;
    if there {
        println!("the rules are gone; connections that they protected are on their own");
    } else {
        println!("there are no rules of tcpr");
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_ready(ready: Ready, socket: &Path, ttl: Duration, descriptor: Option<File>) {
    if ready.took_over {
        eprintln!(
            "took over the rules of a server that has gone: for {ttl:?}, segments of connections \
             whose application has not come back to it are dropped"
        );
    }
    let line = format!("ready at {}\n", socket.display());
    // Whoever has closed the other end does not wait.
    let _ = std::io::stdout()
        .write_all(line.as_bytes())
        .and_then(|()| std::io::stdout().flush());
    if let Some(mut descriptor) = descriptor {
        let _ = descriptor.write_all(line.as_bytes());
    }
}

/// The file of a namespace given as `ip netns` names it, or by its path.
fn namespace(name: &str) -> PathBuf {
    if name.contains('/') {
        PathBuf::from(name)
    } else {
        Path::new("/run/netns").join(name)
    }
}

fn descriptor(number: RawFd) -> anyhow::Result<File> {
    if number <= 2 {
        bail!("--ready-fd {number}: give a descriptor above 2, opened by the caller");
    }
    // SAFETY: a number that is no open descriptor is an error of this call, and no more.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 {
        bail!("--ready-fd {number}: no descriptor of that number is open");
    }
    // SAFETY: it is open, it was given to this process for this purpose, and nothing here has
    // opened a descriptor that the caller could have meant.
    Ok(unsafe { File::from_raw_fd(number) })
}

/// How rules that stay are taken away.
fn remedy(options: &Options) -> String {
    let mut command = "tcpr serve --release".to_owned();
    if let Some(netns) = &options.netns {
        command += &format!(" --netns {netns}");
    }
    if let Some(socket) = &options.socket {
        command += &format!(" --socket {}", socket.display());
    }
    command
}
