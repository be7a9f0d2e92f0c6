//! A trial: an application that is killed and started again, `tcpr serve` that may be, and a peer
//! that must not notice.

use std::fs::Permissions;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use socket2::{Domain, Socket, Type};
use tcpr::{Client, Endpoint, Phase};
use tcpr_cli::bed::{self, Host, Routed, Served, Throwaway, Wire};

use super::application::{Job, Progress, Role, set_initial};
use super::kernel::Counters;
use super::peer::{Controls, Peer, Totals};
use super::recording::Recording;
use super::{program, wait_for};

const APP_PORT: u16 = 5000;
const PEER_PORT: u16 = 6000;
const PATIENCE: Duration = Duration::from_secs(30);

/// Where TCPR stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// On the application's host.
    Host,
    /// On a router between it and its peer.
    Middlebox,
}

/// How the application speaks to TCPR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Unix,
    Udp,
}

/// The key of [`Channel::Udp`].
pub(crate) const KEY: &[u8] = b"octets that both ends have agreed";
const KEY_FILE: &str = "/run/tcpr.key";
const UDP_PORT: u16 = 7179;

/// What a trial is like.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) wire: Wire,
    pub(crate) placement: Placement,
    pub(crate) role: Role,
    pub(crate) channel: Channel,
    pub(crate) v6: bool,
    /// Of both hosts.
    pub(crate) sysctls: &'static [(&'static str, &'static str)],
    /// The application's SO_RCVBUF is one of these, another at each start.
    pub(crate) buffers: &'static [usize],
    /// The clock that the application's timestamps are made of is another one at each start
    /// (net.ipv4.tcp_timestamps: 1 adds an offset of the connection's, 2 does not).
    pub(crate) clocks: bool,
    /// Initial sequence number of the side that opens the connection.
    pub(crate) initial: Option<u32>,
    /// See [`Job`].
    pub(crate) output: Option<u64>,
    /// The application reads, but checkpoints nothing.
    pub(crate) hoard: bool,
    /// The application wants no input.
    pub(crate) one_way: bool,
    /// The application is killed before it registers.
    pub(crate) unregistered: bool,
    /// The peer sends so many octets and no more, if it is not 0.
    pub(crate) quota: u64,
    /// The peer begins without sending.
    pub(crate) silent: bool,
    /// The peer begins without reading.
    pub(crate) deaf: bool,
    /// What passes at the peer's host is recorded into this file.
    pub(crate) recorded: Option<&'static str>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            wire: Wire::default(),
            placement: Placement::Host,
            role: Role::Accept,
            channel: Channel::Unix,
            v6: false,
            sysctls: &[],
            buffers: &[],
            clocks: false,
            initial: None,
            output: None,
            hoard: false,
            one_way: false,
            unregistered: false,
            quota: 0,
            silent: false,
            deaf: false,
            recorded: None,
        }
    }
}

/// The hosts of a trial.
#[derive(Debug)]
enum Place {
    Pair { app: Host, peer: Host },
    Routed(Routed),
}

/// A running trial.
#[derive(Debug)]
pub(crate) struct Trial {
    setup: Setup,
    place: Place,
    app_host: Host,
    /// Where TCPR is reached with [`KEY`].
    pub(crate) udp: SocketAddr,
    pub(crate) served: Served,
    pub(crate) job: Job,
    application: Throwaway,
    pub(crate) peer: Peer,
    pub(crate) recording: Option<Recording>,
    random: StdRng,
    kills: u32,
}

/// What can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Application,
    Server,
    Both,
    /// The one or the other, so that either is met in the middle of its recovery.
    Either,
}

impl Trial {
    /// Sets everything up to an established connection that the application has recorded.
    pub(crate) fn start(setup: Setup) -> Trial {
        let seed = std::env::var("TCPR_TEST_SEED")
            .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
        println!("TCPR_TEST_SEED={seed}");
        let place = match setup.placement {
            Placement::Host => {
                let pair = bed::pair(&setup.wire).unwrap();
                Place::Pair {
                    app: pair.app,
                    peer: pair.peer,
                }
            }
            Placement::Middlebox => Place::Routed(bed::routed(&setup.wire).unwrap()),
        };
        let (app, server, peer) = match &place {
            Place::Pair { app, peer } => (app, app, peer),
            Place::Routed(routed) => (&routed.app, &routed.middle, &routed.peer),
        };
        for (key, value) in setup.sysctls {
            app.sysctl(key, value).unwrap();
            peer.sysctl(key, value).unwrap();
        }
        let udp = SocketAddr::new(server.v4(), UDP_PORT);
        store_key();
        let mut served = Served::start(server, &program(), serve_arguments(&setup, udp)).unwrap();
        let address = |host: &Host| -> IpAddr { if setup.v6 { host.v6() } else { host.v4() } };
        let dir = PathBuf::from("/run/application");
        std::fs::create_dir_all(&dir).unwrap();
        let job = Job {
            endpoint: match setup.channel {
                Channel::Unix => served.socket().display().to_string(),
                Channel::Udp => format!("udp:{udp}?key={KEY_FILE}"),
            },
            dir,
            role: setup.role,
            local: SocketAddr::new(address(app), APP_PORT),
            remote: SocketAddr::new(address(peer), PEER_PORT),
            receive_buffer: setup.buffers.first().copied(),
            initial: setup.initial.filter(|_| setup.role == Role::Connect),
            output: setup.output,
            hoard: setup.hoard,
            one_way: setup.one_way,
            attempts: 1,
            unregistered: setup.unregistered,
        };
        let recording = setup
            .recorded
            .map(|path| Recording::start(peer, Path::new(path)));
        let (application, stream) = open(&job, &setup, app, peer);
        let controls = Controls::default();
        controls.quota.store(setup.quota, Relaxed);
        controls.silent.store(setup.silent, Relaxed);
        controls.deaf.store(setup.deaf, Relaxed);
        controls.closes_first.store(setup.output.is_none(), Relaxed);
        let peer = Peer::start(stream, controls);
        wait_for("the application's record", PATIENCE, || {
            served.check().unwrap();
            (job.record().exists() || job.accepted().exists()).then_some(())
        });
        Trial {
            app_host: app.clone(),
            udp,
            place,
            served,
            job,
            application,
            peer,
            recording,
            random: StdRng::seed_from_u64(seed),
            kills: 0,
            setup,
        }
    }

    /// The application dies by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.assert_application_well();
        self.application.end();
        self.kills += 1;
    }

    /// It is started again, with another receive buffer if there is a choice.
    pub(crate) fn restart(&mut self) {
        if !self.setup.buffers.is_empty() {
            let chosen = self.random.random_range(0..self.setup.buffers.len());
            self.job.receive_buffer = Some(self.setup.buffers[chosen]);
        }
        if self.setup.clocks {
            let offset = if self.random.random_bool(0.5) {
                "1"
            } else {
                "2"
            };
            self.app_host
                .sysctl("net.ipv4.tcp_timestamps", offset)
                .unwrap();
        }
        self.application = self.job.start(&self.app_host);
    }

    /// It is started again with this receive buffer.
    pub(crate) fn restart_with_buffer(&mut self, octets: usize) {
        self.job.receive_buffer = Some(octets);
        self.application = self.job.start(&self.app_host);
    }

    /// Kills, and starts again at once, at random instants.
    pub(crate) fn torment(&mut self, victim: Victim, times: u32) {
        self.job.attempts = if victim == Victim::Either { 5 } else { 1 };
        for _ in 0..times * super::times() {
            if self.application_has_finished() {
                return;
            }
            // Now and then early, in the middle of the recovery before; and now and then late, when
            // the peer's retransmission timer has brought back what was not checkpointed.
            let micros = match self.random.random_range(0..100) {
                0..30 => 0..15_000,
                30..85 => 0..90_000,
                _ => 200_000..400_000,
            };
            let life = Duration::from_micros(self.random.random_range(micros));
            std::thread::sleep(life);
            self.peer.assert_well();
            self.served.check().unwrap();
            let (application, server) = match victim {
                Victim::Application => (true, false),
                Victim::Server => (false, true),
                Victim::Both => (true, true),
                Victim::Either => {
                    let application = self.random.random_bool(0.5);
                    (application, !application)
                }
            };
            if server {
                self.served.kill();
                self.kills += 1;
            }
            if application {
                self.kill();
                self.restart();
            }
            if server {
                self.served.restart().unwrap();
            }
        }
    }

    /// The application moves to the host that has the same address.
    pub(crate) fn migrate(&mut self) {
        self.assert_application_well();
        let Place::Routed(routed) = &self.place else {
            panic!("there is no other host");
        };
        routed.switch().unwrap();
        self.app_host = routed.spare.clone();
        // Another machine has another clock.
        self.app_host
            .sysctl("net.ipv4.tcp_timestamps", "2")
            .unwrap();
        self.application = self.job.start(&self.app_host);
        self.kills += 1;
    }

    /// The peer stops sending, and all that it has sent is taken.
    pub(crate) fn quiet_peer(&mut self) {
        let controls = std::sync::Arc::clone(&self.peer.controls);
        controls.silent.store(true, Relaxed);
        wait_for("all input to be taken", PATIENCE, || {
            self.assert_well();
            let taken = Progress::load(&self.job.dir).offset;
            (taken == controls.sent.load(Relaxed)).then_some(())
        });
    }

    /// Lets the peer close.
    pub(crate) fn close_peer(&self) {
        self.peer.controls.finish.store(true, Relaxed);
    }

    /// Asks TCPR, beside the application.
    pub(crate) fn client(&self) -> Client {
        let endpoint = Endpoint::Unix(self.served.socket().to_owned());
        Client::connect(&endpoint).unwrap()
    }

    /// What TCPR says of the connection.
    pub(crate) fn summary(&self) -> tcpr::Summary {
        let client = self.client();
        let list = client.list().unwrap();
        assert_eq!(list.len(), 1, "{list:?}");
        list[0]
    }

    /// Waits until the application does not get rid of any more output.
    pub(crate) fn wait_for_full_buffers(&mut self) {
        let mut last = (0, Instant::now());
        wait_for("full buffers", PATIENCE, || {
            self.assert_well();
            let sent = self.summary().sent;
            if sent != last.0 {
                last = (sent, Instant::now());
            }
            (sent > 0 && last.1.elapsed() > Duration::from_millis(300)).then_some(())
        });
    }

    /// Waits until the application has come back `incarnation` times, and is connected.
    pub(crate) fn wait_for_incarnation(&mut self, incarnation: u64) {
        wait_for("the recovery", PATIENCE, || {
            self.assert_well();
            // A server that was lost does not know the connection before that.
            let list = self.client().list().unwrap();
            let back = list.iter().any(|summary| {
                summary.hard.spliced == incarnation && summary.phase != Phase::Recovering
            });
            back.then_some(())
        });
    }

    /// States of the sockets of the connection on the application's host, as the kernel numbers
    /// them.
    pub(crate) fn socket_states(&self) -> Vec<u8> {
        let file = if self.setup.v6 { "tcp6" } else { "tcp" };
        let file = format!("/proc/thread-self/net/{file}");
        let text = self.app_host.run(|| std::fs::read_to_string(file)).unwrap();
        let fields = text
            .lines()
            .skip(1)
            .map(|l| l.split_whitespace().collect::<Vec<_>>());
        let ours = format!(":{:04X}", self.job.local.port());
        fields
            .filter(|f| f[1].ends_with(&ours))
            .map(|f| u8::from_str_radix(f[3], 16).unwrap())
            .collect()
    }

    /// Waits until octets pass both ways: more than have passed by now.
    pub(crate) fn wait_for_progress(&mut self, octets: u64) {
        let controls = std::sync::Arc::clone(&self.peer.controls);
        let (sent, received) = (&controls.sent, &controls.received);
        let before = (sent.load(Relaxed), received.load(Relaxed));
        // What the peer had on its way when the application was killed waits for its timer, which each
        // kill in the midst of its retransmission doubles (RFC 6298, 5.5).
        let timeout = Duration::from_micros(self.peer.info().tcpi_rto.into());
        let patience = PATIENCE + timeout;
        let deadline = Instant::now() + patience;
        while sent.load(Relaxed) < before.0 + octets || received.load(Relaxed) < before.1 + octets {
            self.assert_well();
            let tcp = self.peer.info();
            assert!(
                Instant::now() < deadline,
                "waited {patience:?} for octets both ways from {before:?}; {:?}; the application: \
                 {:?}, buffer {:?}; TCPR: {:?}; the peer's TCP: {} unacknowledged, window {}, \
                 {} retransmits, timeout {} us, heard {} ms ago",
                controls,
                Progress::load(&self.job.dir),
                self.job.receive_buffer,
                self.summary(),
                tcp.tcpi_unacked,
                tcp.tcpi_snd_wnd,
                tcp.tcpi_retransmits,
                tcp.tcpi_rto,
                tcp.tcpi_last_ack_recv,
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Nobody has died unasked.
    pub(crate) fn assert_well(&mut self) {
        self.assert_application_well();
        self.served.check().unwrap();
        self.peer.assert_well();
    }

    fn assert_application_well(&mut self) {
        if let Some(status) = self.application.0.try_wait().unwrap() {
            assert!(
                status.success() && Progress::load(&self.job.dir).finished,
                "the application ended with {status}; the server said:\n{}",
                self.served.said()
            );
        }
    }

    fn application_has_finished(&mut self) -> bool {
        self.assert_application_well();
        Progress::load(&self.job.dir).finished
    }

    /// Both sides close, and every octet has arrived once, in order.
    pub(crate) fn finish(mut self) -> Totals {
        self.peer.controls.silent.store(false, Relaxed);
        self.peer.controls.deaf.store(false, Relaxed);
        self.peer.controls.finish.store(true, Relaxed);
        let started = Instant::now();
        while !self.application_has_finished() {
            self.served.check().unwrap();
            assert!(
                started.elapsed() < PATIENCE,
                "the application is not done: {:?}; the peer: {:?}; the server: {}",
                Progress::load(&self.job.dir),
                self.peer.controls,
                self.served.said()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let kernel = Counters::read(self.peer_host());
        let totals = self.peer.join(PATIENCE);
        let progress = Progress::load(&self.job.dir);
        println!("{} kills; {totals:?}; {kernel:?}", self.kills);
        assert_eq!(progress.offset, totals.sent, "input");
        if !self.setup.one_way {
            assert_eq!(progress.sum, totals.sum_sent, "checksum over the input");
        }
        assert_eq!(progress.output, Some(totals.received), "output");
        assert_eq!(kernel.bad_checksums, 0, "{kernel:?}");
        assert_eq!(kernel.old_timestamps, 0, "{kernel:?}");
        assert_eq!(kernel.unexpected_syns, 0, "{kernel:?}");
        assert_eq!(kernel.resets, 0, "{kernel:?}");
        totals
    }

    /// Where the peer runs.
    pub(crate) fn peer_host(&self) -> &Host {
        match &self.place {
            Place::Pair { peer, .. } => peer,
            Place::Routed(routed) => &routed.peer,
        }
    }
}

fn serve_arguments(setup: &Setup, udp: SocketAddr) -> Vec<String> {
    let mut arguments = vec!["--udp".to_owned(), udp.to_string()];
    arguments.extend(["--key".to_owned(), KEY_FILE.to_owned()]);
    if setup.placement == Placement::Middlebox {
        arguments.push("--middlebox".to_owned());
    }
    arguments
}

fn store_key() {
    std::fs::write(KEY_FILE, KEY).unwrap();
    std::fs::set_permissions(KEY_FILE, Permissions::from_mode(0o600)).unwrap();
}

/// Starts the application and opens the connection; gives the peer's end.
fn open(job: &Job, setup: &Setup, app: &Host, peer: &Host) -> (Throwaway, TcpStream) {
    let socket = |host: &Host| {
        host.run(|| Socket::new(Domain::for_address(job.local), Type::STREAM, None).unwrap())
    };
    match job.role {
        Role::Connect => {
            let listener = socket(peer);
            listener.set_reuse_address(true).unwrap();
            listener.bind(&job.remote.into()).unwrap();
            listener.listen(8).unwrap();
            let application = job.start(app);
            listener.set_read_timeout(Some(PATIENCE)).unwrap();
            let (stream, _) = listener.accept().expect("the application connects");
            (application, stream.into())
        }
        Role::Accept => {
            let application = job.start(app);
            let stream = wait_for("the application to listen", PATIENCE, || {
                let socket = socket(peer);
                if let Some(initial) = setup.initial {
                    set_initial(&socket, initial);
                }
                socket.set_reuse_address(true).unwrap();
                socket.bind(&job.remote.into()).unwrap();
                socket.connect(&job.local.into()).ok()?;
                Some(socket.into())
            });
            (application, stream)
        }
    }
}
