//! Bad use gets a clear error: what is wrong, and what would help.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{in_bed, program};
use socket2::{Domain, Socket, Type};
use tcpr::{
    Client, ClientError, ConnectError, Durability, Endpoint, Flow, Pattern, Record, RecordError,
    Refusal,
};
use tcpr_cli::bed::{self, Host, Pair, Served, Throwaway, Wire};

const NO_ARGUMENTS: [&str; 0] = [];

fn pair() -> Pair {
    bed::pair(&Wire::default()).unwrap()
}

/// The program on a host.
fn tcpr(host: &Host, arguments: &[&str]) -> Command {
    let mut command = host.command(program());
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end, which must be a failure soon, and gives what it printed. It must be one
/// that is told, not a panic.
fn failure(mut command: Command) -> String {
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Throwaway(child);
    let mut said = String::new();
    let mut stderr = child.0.stderr.take().unwrap();
    let reader = thread::spawn(move || {
        stderr.read_to_string(&mut said).unwrap();
        said
    });
    let status = common::wait_for("the failure", Duration::from_secs(15), || {
        child.0.try_wait().unwrap()
    });
    let said = reader.join().unwrap();
    assert!(!status.success(), "{command:?} did not fail: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// All of these are in the text.
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// No rule and no queue is left of a server that could not start.
fn is_clean(host: &Host) {
    for program in ["iptables-save", "ip6tables-save"] {
        let output = host.command(program).output().unwrap();
        let rules = String::from_utf8(output.stdout).unwrap();
        assert!(!rules.contains("NFQUEUE"), "{rules}");
    }
}

#[test]
fn no_privilege() {
    in_bed(test_name!(), || {
        let pair = pair();
        let mut command = tcpr(&pair.app, &["serve", "--socket", "/run/a.sock"]);
        // SAFETY: system calls only.
        unsafe {
            command.pre_exec(|| {
                for capability in 0..64 {
                    // SAFETY: plain numbers. Of those that the kernel does not know it fails.
                    libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
                }
                Ok(())
            });
        }
        has(
            &failure(command),
            &["privilege", "CAP_NET_ADMIN", "unshare"],
        );
    });
}

#[test]
fn a_queue_in_use() {
    in_bed(test_name!(), || {
        let pair = pair();
        let first = Served::start(&pair.app, &program(), NO_ARGUMENTS).unwrap();
        let said = failure(tcpr(&pair.app, &["serve", "--socket", "/run/a.sock"]));
        has(
            &said,
            &["queue 7900 is in use", "--queue", &first.pid().to_string()],
        );
        // The one that is there does not suffer.
        Client::connect(&Endpoint::Unix(first.socket().to_owned())).unwrap();
    });
}

#[test]
fn a_socket_in_use() {
    in_bed(test_name!(), || {
        let pair = pair();
        let mut first = Served::start(&pair.app, &program(), NO_ARGUMENTS).unwrap();
        let path = first.socket().to_str().unwrap().to_owned();
        let other = tcpr(&pair.app, &["serve", "--socket", &path, "--queue", "9000"]);
        has(
            &failure(other),
            &[&path, &first.pid().to_string(), "--socket"],
        );
        first.check().unwrap();
        Client::connect(&Endpoint::Unix(path.into())).unwrap();

        std::fs::write("/run/file", "precious").unwrap();
        let other = tcpr(
            &pair.app,
            &["serve", "--socket", "/run/file", "--queue", "9000"],
        );
        has(&failure(other), &["/run/file", "no socket"]);
        assert_eq!(std::fs::read("/run/file").unwrap(), b"precious");
        let other = tcpr(
            &pair.app,
            &["serve", "--socket", "/run/no/where", "--queue", "9000"],
        );
        has(&failure(other), &["/run/no/where"]);
    });
}

#[test]
fn no_server() {
    in_bed(test_name!(), || {
        let pair = pair();
        let said = failure(tcpr(&pair.app, &["state", "list", "--socket", "/run/none"]));
        has(&said, &["/run/none", "tcpr serve"]);
        let error = Client::connect(&Endpoint::Unix("/run/none".into())).unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    });
}

#[test]
fn no_namespace_and_no_address() {
    in_bed(test_name!(), || {
        let pair = pair();
        let serve = |more: &[&str]| {
            let all = [&["serve", "--socket", "/run/a.sock"], more].concat();
            failure(tcpr(&pair.app, &all))
        };
        has(&serve(&["--netns", "nowhere"]), &["/run/netns/nowhere"]);
        has(
            &serve(&["--netns", "/etc/hostname"]),
            &["/etc/hostname", "namespace"],
        );
        has(&serve(&["--protect", "198.18.0.0"]), &["198.18.0.0"]);
        has(
            &serve(&["--protect", "198.18.0.0:99999"]),
            &["198.18.0.0:99999"],
        );
        has(&serve(&["--udp", "198.18.0.0:7179"]), &["--key"]);
        let key = |octets: &[u8], mode| {
            std::fs::write("/run/key", octets).unwrap();
            std::fs::set_permissions("/run/key", Permissions::from_mode(mode)).unwrap();
            serve(&["--udp", "198.18.0.0:7179", "--key", "/run/key"])
        };
        has(&key(&[7; 31], 0o600), &["/run/key", "32"]);
        has(&key(&[7; 32], 0o644), &["/run/key"]);
        std::fs::write("/run/key", [7; 32]).unwrap();
        std::fs::set_permissions("/run/key", Permissions::from_mode(0o600)).unwrap();
        has(
            &serve(&["--udp", "203.0.113.1:7179", "--key", "/run/key"]),
            &["203.0.113.1:7179"],
        );
        is_clean(&pair.app);
    });
}

#[test]
fn iptables_is_missing() {
    in_bed(test_name!(), || {
        let pair = pair();
        let mut command = tcpr(&pair.app, &["serve", "--socket", "/run/a.sock"]);
        command.args(["--protect", "198.18.0.0:179"]);
        // Of this bed alone.
        let none: Option<&str> = None;
        for folder in ["/usr/sbin", "/sbin"] {
            let flags = nix::mount::MsFlags::empty();
            nix::mount::mount(Some("tmpfs"), folder, Some("tmpfs"), flags, none).unwrap();
        }
        has(&failure(command), &["iptables"]);
    });
}

/// A protected connection that is established, with a client in charge of nothing yet.
struct Established {
    pair: Pair,
    _served: Served,
    client: Client,
    listener: TcpListener,
    app: TcpStream,
    _peer: TcpStream,
    flow: Flow,
}

fn established(prepare: impl Fn(&Socket, SocketAddr)) -> Established {
    let pair = pair();
    let served = Served::start(&pair.app, &program(), NO_ARGUMENTS).unwrap();
    let client = Client::connect(&Endpoint::Unix(served.socket().to_owned())).unwrap();
    let local = SocketAddr::new(pair.app.v4(), 179);
    let remote = SocketAddr::new(pair.peer.v4(), 40_000);
    client.protect(Pattern::Local(local)).unwrap();
    let socket = |host: &Host| {
        host.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            socket
        })
    };
    let (listener, peer) = (socket(&pair.app), socket(&pair.peer));
    prepare(&listener, remote);
    prepare(&peer, local);
    listener.bind(&local.into()).unwrap();
    listener.listen(1).unwrap();
    peer.bind(&remote.into()).unwrap();
    peer.connect_timeout(&local.into(), Duration::from_secs(5))
        .unwrap();
    let listener = TcpListener::from(listener);
    let (app, _) = listener.accept().unwrap();
    Established {
        pair,
        _served: served,
        client,
        listener,
        app,
        _peer: peer.into(),
        flow: Flow { local, remote },
    }
}

#[test]
fn the_port_is_in_use() {
    in_bed(test_name!(), || {
        let made = established(|_, _| {});
        let record = made.client.register(made.flow).unwrap().record();
        let recover = || {
            let recovery = made.client.recover(&record.next()).unwrap();
            let error = made
                .pair
                .app
                .run(|| recovery.connect(Duration::from_secs(5)));
            error.unwrap_err()
        };
        // The old socket is gone by then, but not the listener.
        let error = recover();
        assert!(matches!(error, ConnectError::Held { .. }), "{error}");
        has(
            &error.to_string(),
            &["198.18.0.0:179", "listener", "recover before listening"],
        );
        // On another host than the address.
        let recovery = made.client.recover(&record.next()).unwrap();
        let error = made
            .pair
            .peer
            .run(|| recovery.connect(Duration::from_secs(5)));
        let error = error.unwrap_err();
        assert!(matches!(error, ConnectError::Elsewhere { .. }), "{error}");
        has(
            &error.to_string(),
            &["198.18.0.0:179", "no address of this host"],
        );
        // And when it is gone, all is well.
        let Established {
            pair,
            client,
            listener,
            app,
            ..
        } = made;
        drop((listener, app));
        let recovery = client.recover(&record.next()).unwrap();
        pair.app
            .run(|| recovery.connect(Duration::from_secs(5)))
            .unwrap();
    });
}

#[test]
fn a_signed_connection_is_not_protected_and_works() {
    in_bed(test_name!(), || {
        let mut made = established(sign);
        let error = made.client.register(made.flow).unwrap_err();
        let signed = matches!(
            error,
            ClientError::Refused {
                refusal: Refusal::Signed,
                ..
            }
        );
        assert!(signed, "{error}");
        has(
            &error.to_string(),
            &["TCP-MD5", "cannot protect", &made.flow.to_string()],
        );
        made.app.write_all(b"as before").unwrap();
        let mut octets = [0; 9];
        made._peer
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        made._peer.read_exact(&mut octets).unwrap();
        assert_eq!(&octets, b"as before");
        assert_eq!(made.client.counters().unwrap().connections.signed, 1);
    });
}

/// TCP_MD5SIG (RFC 2385) with one key.
fn sign(socket: &Socket, peer: SocketAddr) {
    /// `struct tcp_md5sig` of linux/tcp.h.
    #[repr(C)]
    struct Signature {
        address: libc::sockaddr_storage,
        flags: u8,
        prefix: u8,
        length: u16,
        device: i32,
        key: [u8; 80],
    }
    let SocketAddr::V4(peer) = peer else {
        panic!("{peer}");
    };
    // SAFETY: all zeros is a value of these plain structures.
    let mut signature: Signature = unsafe { std::mem::zeroed() };
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: peer.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(peer.ip().octets()),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: a sockaddr_storage has room for, and the alignment of, every address.
    unsafe {
        (&raw mut signature.address)
            .cast::<libc::sockaddr_in>()
            .write(address)
    };
    signature.length = 6;
    signature.key[..6].copy_from_slice(b"secret");
    // SAFETY: the kernel reads as many octets as the structure has.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_MD5SIG,
            (&raw const signature).cast(),
            size_of::<Signature>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "TCP_MD5SIG: {}", io::Error::last_os_error());
}

#[test]
fn state_of_another_version() {
    in_bed(test_name!(), || {
        let made = established(|_, _| {});
        let record = made.client.register(made.flow).unwrap().record();
        let path = Path::new("/run/record");
        record.store(path, Durability::Process).unwrap();
        assert_eq!(Record::load(path).unwrap(), record);
        let text = std::fs::read_to_string(path).unwrap();
        let other = text.replacen("\"version\":1", "\"version\":7", 1);
        assert_ne!(other, text);
        std::fs::write(path, other).unwrap();
        let error = Record::load(path).unwrap_err();
        assert!(
            matches!(error, RecordError::Version { given: 7, .. }),
            "{error}"
        );
        has(
            &error.to_string(),
            &["/run/record", "version 7", "version 1"],
        );
    });
}

#[test]
fn a_connection_that_is_not_protected() {
    in_bed(test_name!(), || {
        let made = established(|_, _| {});
        let mut flow = made.flow;
        flow.local.set_port(180);
        let error = made.client.register(flow).unwrap_err();
        has(
            &error.to_string(),
            &["198.18.0.0:180", "no such connection", "protect"],
        );
    });
}
