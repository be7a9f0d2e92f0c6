//! What a run is like, but for its crashes.
//!
//! *Assumes* nothing.
//! *Guarantees* that a seed means one scenario, and that every option comes with every other one
//! in enough seeds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tcpr_core::Flow;

use super::dice::Dice;

/// Who closes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The application; the peer waits for its FIN.
    ApplicationFirst,
    /// The peer; the application waits for its FIN.
    PeerFirst,
    /// Each when it has said all.
    Each,
}

/// What a TCP offers in its SYNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offers {
    /// Window scale.
    pub scale: bool,
    /// Selective acknowledgments.
    pub sack: bool,
    /// Maximum segment size.
    pub mss: bool,
    /// Timestamps.
    pub timestamps: bool,
}

/// One of the two hosts' TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// MTU in octets, which its MSS follows.
    pub mtu: usize,
    /// Receive buffer in octets, which its window scale follows.
    pub receive: usize,
    /// Send buffer in octets.
    pub send: usize,
    /// After how long without a word it asks whether the other side is there.
    pub keepalive: Option<Duration>,
    /// After how long without a word it gives up.
    pub timeout: Option<Duration>,
}

/// How an application takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two reads.
    pub read: Duration,
    /// At most this many octets at a time, read or written.
    pub chunk: usize,
    /// Between two writes.
    pub write: Duration,
    /// Between reading and checkpointing.
    pub checkpoint: Duration,
    /// From the word that all is written to the FIN.
    pub shut: Duration,
}

/// How the network treats packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Lost, in a thousand.
    pub lost: u64,
    /// Doubled, in a thousand.
    pub doubled: u64,
    /// Least time on the way, in microseconds.
    pub delay: u64,
    /// What may be added to it: packets overtake each other.
    pub jitter: u64,
}

/// What a run is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// The connection, as the peer sees it.
    pub flow: Flow,
    /// The application opens, not the peer.
    pub active: bool,
    /// Octets from the application to the peer.
    pub output: u64,
    /// Octets from the peer to the application.
    pub input: u64,
    /// Who closes first.
    pub closing: Closing,
    /// What both sides offer at first. New TCPs of the application offer all.
    pub offers: Offers,
    /// Initial sequence numbers lie so little before the wrap that the streams pass it.
    pub wrap: bool,
    /// The first TCP of the application.
    pub first: Host,
    /// Every later one.
    pub later: Host,
    /// The peer's.
    pub peer: Host,
    /// How the application takes its time.
    pub application: Pace,
    /// How the peer's application does.
    pub peers: Pace,
    /// How long the application is down.
    pub down: Duration,
    /// From the answer to `recover` to the SYN.
    pub pause: Duration,
    /// How long a lost TCPR cannot be reached.
    pub unreachable: Duration,
    /// The network.
    pub weather: Weather,
    /// What follows of packets is carried out after all that wait were judged, as a server does.
    pub batch: bool,
    /// The old TCP is on another host: it cannot be ended but by a reset.
    pub off_host: bool,
    /// TCPR is never lost, for it alone can answer while the application is away for so long.
    pub lasting: bool,
}

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One run in so many is of a patient application, whose peer is not.
const PATIENT: u64 = 10;

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Scenario {
        let mut dice = Dice::new(seed, 1);
        let patient = dice.below(PATIENT) == 0;
        let v6 = dice.chance(250);
        let scenario = Scenario {
            flow: flow(v6),
            active: dice.chance(400),
            output: dice.one_of([0, 1, 300, 900, 1800, 3000]),
            input: dice.one_of([0, 1, 300, 900, 1800, 3000]),
            closing: dice.one_of([
                Closing::ApplicationFirst,
                Closing::PeerFirst,
                Closing::Each,
                Closing::Each,
            ]),
            offers: Offers {
                scale: dice.chance(750),
                sack: dice.chance(750),
                mss: dice.chance(900),
                timestamps: dice.chance(600),
            },
            wrap: dice.chance(400),
            first: host(&mut dice, v6),
            later: host(&mut dice, v6),
            peer: host(&mut dice, v6),
            application: pace(&mut dice),
            peers: pace(&mut dice),
            down: milliseconds(dice.one_of([0, 1, 30, 400, 2500])),
            pause: milliseconds(dice.one_of([0, 0, 15, 120])),
            unreachable: milliseconds(dice.one_of([0, 10, 300, 1500])),
            weather: Weather {
                lost: dice.one_of([0, 20, 60, 120]),
                doubled: dice.one_of([0, 20, 100]),
                delay: dice.between(1_000, 20_000),
                jitter: dice.one_of([0, 5_000, 30_000, 120_000]),
            },
            batch: dice.chance(300),
            off_host: dice.chance(300),
            lasting: false,
        };
        if patient {
            scenario.patient()
        } else {
            scenario
        }
    }

    /// The application is away for longer than its peer bears to hear nothing. Nothing is lost, so
    /// that only silence can end the connection. The peer closes first: in LAST-ACK smoltcp takes no
    /// acknowledgment but that of its FIN for a sign of life.
    fn patient(self) -> Scenario {
        // One retransmission may go unanswered when the application dies, and the next is a minute on.
        let timeout = Some(Duration::from_secs(150));
        Scenario {
            closing: Closing::PeerFirst,
            down: Duration::from_secs(400),
            lasting: true,
            weather: Weather {
                lost: 0,
                jitter: 0,
                ..self.weather
            },
            peer: Host {
                keepalive: Some(Duration::from_secs(20)),
                timeout,
                ..self.peer
            },
            ..self
        }
    }
}

fn flow(v6: bool) -> Flow {
    let (local, remote) = if v6 {
        (
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9)),
        )
    } else {
        (
            IpAddr::V4(Ipv4Addr::new(198, 18, 0, 2)),
            IpAddr::V4(Ipv4Addr::new(198, 18, 0, 9)),
        )
    };
    Flow {
        local: SocketAddr::new(local, 179),
        remote: SocketAddr::new(remote, 4000),
    }
}

fn host(dice: &mut Dice, v6: bool) -> Host {
    let payload = dice.one_of([100, 200, 400, 536]);
    Host {
        mtu: payload + if v6 { 60 } else { 40 },
        receive: dice.one_of([600, 1500, 4000, 4000, 140_000]),
        send: dice.one_of([400, 1500, 4000]),
        keepalive: dice.one_of([None, Some(Duration::from_secs(20))]),
        timeout: None,
    }
}

fn pace(dice: &mut Dice) -> Pace {
    let lazy = dice.chance(400);
    let time = |dice: &mut Dice| {
        if lazy {
            milliseconds(dice.one_of([0, 20, 90, 400]))
        } else {
            Duration::ZERO
        }
    };
    // In TIME-WAIT smoltcp forgets after 10 s what was not read.
    let least = if lazy { 200 } else { 50 };
    Pace {
        read: time(dice),
        chunk: dice.one_of([least, 400, 4000]),
        write: time(dice),
        checkpoint: time(dice),
        shut: time(dice),
    }
}
