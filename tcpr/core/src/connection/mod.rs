//! One established connection.
//!
//! *Assumes* that it is shown every segment of the connection, each once, in the order in which
//! they pass.
//! *Guarantees* towards the peer the behaviour of one TCP that never fails: no RST, FIN or SYN that
//! the application did not mean, no acknowledgment beyond the checkpoint, and neither sequence
//! number, acknowledgment nor timestamp that goes back. Towards the local TCP it guarantees a peer
//! that continues where the checkpoint is.
//!
//! All state is in positions (see [`Stream`](crate::Stream)) as the peer counts them. The
//! acknowledgment that the peer sees is always the checkpoint; what the local TCP acknowledges
//! beyond it is given back as window.

mod inbound;
mod outbound;
mod recovery;
mod requests;
mod reset;

use core::time::Duration;

use crate::action::{Action, Actions, Direction, Ending};
use crate::handshake::{Agreed, default_mss};
use crate::packet::{Flags, Segment, Timestamps};
use crate::summary::{Phase, Summary};
use crate::{Conduct, Flow, Hard, Mutation};

use recovery::Splice;

/// A local TCP that has said nothing for this long while the peer asks again is answered for.
const SILENCE: Duration = Duration::from_secs(1);

/// Farther than any window from any position near it.
const FAR: i64 = 1 << 30;

/// How far ahead of what the peer echoes the TSvals may be that it was told: it takes those of segments
/// in order only (RFC 7323, 4.3), and waits for one that fills a hole as long as a retransmission takes.
/// Two minutes of a clock of 1 ms, which is the fastest (5.4).
const UNTAKEN: u32 = 1 << 17;

/// An established connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Connection<C> {
    conduct: C,
    hard: Hard,
    registered: bool,
    phase: Phase,
    since: Duration,
    ending: Option<Ending>,
    recovery: Option<Splice>,

    // Our stream.
    /// Where the present local TCP began.
    base: i64,
    /// One past the highest position that any local TCP has sent.
    sent: i64,
    /// One past the highest position that the present local TCP has sent.
    inside: i64,
    /// One past the highest position that the peer has acknowledged.
    acked: i64,
    /// Position of the application's FIN, once it was sent.
    fin: Option<i64>,
    /// Where the application has meant its FIN to be before TCPR was lost, or before it recovered:
    /// whether it was sent then need not be known.
    meant: Option<i64>,
    /// The peer's window, in octets, as it was last told.
    peer_window: u32,
    /// The furthest right edge that the peer has offered.
    peer_edge: i64,

    // The peer's stream.
    /// One past the highest position seen.
    seen: i64,
    /// One past the highest position up to which all was delivered to the local TCP.
    received: i64,
    /// The highest acknowledgment of the local TCP.
    local_ack: i64,
    /// Right edge of what the local TCP offers to receive.
    edge: i64,
    /// Acknowledgment and window last told to the peer.
    told: Option<(i64, u16)>,
    /// The furthest right edge ever told to the peer: what it has sent within it may still come
    /// when a later edge lies before it.
    promised: i64,
    /// Acknowledgments that the peer waits for although they repeat the last one.
    answers: u8,

    // Timestamps (RFC 7323).
    /// The TSval last told to the peer.
    told_tsval: Option<u32>,
    /// The peer's TSval last delivered.
    peer_tsval: Option<u32>,
    /// The latest TSval that the present local TCP was given.
    given_tsval: Option<u32>,
    /// The smallest TSval among the held segments.
    held_tsval: Option<u32>,
    /// The local TCP was told timestamps that are older than the peer's, so its echoes are too old.
    lowered: bool,
    /// TSval of the SYN that the present local TCP began with, if that was a recovery.
    syn_tsval: Option<u32>,

    /// Largest payload that the present local TCP takes.
    local_mss: u16,
    /// Whether segments are held.
    held: bool,
    /// Whether a segment of the peer was seen since this state was made.
    heard_peer: bool,
    /// Whether a segment of the local TCP was seen since this state was made.
    heard_local: bool,
    /// TCPR was lost since the connection began: what was sent before is not known and may be on its way
    /// still, and the peer's answer may be a late one, so the peer may acknowledge more than was seen
    /// to be sent at any time.
    blind: bool,
    /// TCPR was lost while the local TCP lived: what that one has sent is not known.
    resumed: bool,
    /// When the local TCP last said something.
    local_spoke: Duration,
}

impl<C: Conduct> Connection<C> {
    /// A connection whose handshake was seen.
    pub(crate) fn establish(now: Duration, flow: Flow, agreed: &Agreed, conduct: C) -> Self {
        let hard = agreed.hard(flow);
        Self {
            peer_window: u32::from(agreed.peers.window),
            peer_edge: i64::from(agreed.peers.window),
            edge: i64::from(agreed.ours.window),
            promised: i64::from(agreed.ours.window),
            peer_tsval: agreed.peers.timestamp,
            given_tsval: agreed.peers.timestamp,
            told_tsval: agreed.ours.timestamp,
            local_mss: agreed.ours.mss.unwrap_or(default_mss(&flow.local)),
            heard_peer: true,
            heard_local: true,
            blind: false,
            ..Self::unheard(now, hard, conduct)
        }
    }

    /// A connection of which nothing is known but its hard state.
    pub(crate) fn unheard(now: Duration, hard: Hard, conduct: C) -> Self {
        let acked = hard.acked as i64;
        let checkpoint = hard.checkpoint as i64;
        Self {
            conduct,
            hard,
            registered: false,
            phase: Phase::Live,
            since: now,
            ending: None,
            recovery: None,
            base: acked,
            sent: acked,
            inside: acked,
            acked,
            fin: None,
            meant: hard.done_writing.map(|end| end as i64),
            peer_window: 0,
            peer_edge: acked,
            seen: checkpoint,
            received: checkpoint,
            local_ack: checkpoint,
            // A modest promise, kept by holding what comes.
            edge: checkpoint + i64::from(u16::MAX),
            told: None,
            promised: checkpoint
                + (i64::from(u16::MAX) << hard.scales.map_or(0, |scales| scales.ours)),
            answers: 0,
            told_tsval: None,
            peer_tsval: None,
            given_tsval: None,
            held_tsval: None,
            lowered: false,
            syn_tsval: None,
            local_mss: default_mss(&hard.flow.local),
            held: false,
            heard_peer: false,
            heard_local: false,
            blind: true,
            resumed: false,
            local_spoke: now,
        }
    }

    /// The hard state as it stands.
    pub(crate) fn hard(&self) -> Hard {
        Hard {
            acked: self.acked as u64,
            tsval: self.told_tsval.unwrap_or(self.hard.tsval),
            ..self.hard
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.ending
    }

    pub(crate) fn summary(&self, now: Duration) -> Summary {
        Summary {
            flow: self.hard.flow,
            phase: self.phase,
            phase_age: now.saturating_sub(self.since),
            registered: self.registered,
            hard: self.hard(),
            sent: self.sent as u64,
            acked: self.output_acked(),
            received: self.seen.max(self.local_ack) as u64,
            local_ack: self.local_ack as u64,
            window: self
                .told
                .map_or(0, |(_, window)| u32::from(window) << self.scales().0),
            peer_window: self.peer_window,
            held: self.held,
            ending: self.ending,
        }
    }

    /// Sets whether anything is still held.
    pub(crate) fn set_held(&mut self, left: bool) {
        self.held = left;
        if !left {
            self.held_tsval = None;
        }
    }

    fn checkpoint_position(&self) -> i64 {
        self.hard.checkpoint as i64
    }

    /// What is acknowledged to the peer.
    fn acknowledgment(&self) -> u32 {
        let mut position = self.checkpoint_position();
        if self.conduct.has(Mutation::AcknowledgmentNotDelayed) {
            position = position.max(self.local_ack);
        }
        if self.conduct.has(Mutation::AcknowledgmentPlusOne) {
            position += 1;
        }
        self.hard.peers.number(position)
    }

    /// Shift of our windows as the peer reads them, of the peer's, and of the local TCP's.
    fn scales(&self) -> (u8, u8, u8) {
        self.hard.scales.map_or((0, 0, 0), |scales| {
            (scales.ours, scales.peers, scales.inside)
        })
    }

    /// The window to be told to the peer: what the local TCP offers, and what is acknowledged to us
    /// but not to the peer, rounded down to the scale that the peer reads it with.
    ///
    /// A recovered local TCP may have a smaller buffer than the connection began with, and offer less
    /// than a segment, or than one unit of the scale. The peer would wait for ever: it sends no
    /// less than a segment once it has seen larger windows (RFC 9293, 3.8.6.2.1), and does not probe
    /// while it hears acknowledgments. So it is told one segment, and what comes beyond the local
    /// TCP's own edge is held.
    fn window(&self) -> u16 {
        let shift = self.scales().0;
        let mut begin = self.checkpoint_position();
        if self.conduct.has(Mutation::WindowNotGivenBack) {
            begin = begin.max(self.local_ack);
        }
        let mut room = (self.edge - begin).max(0);
        if self.conduct.has(Mutation::WindowInflated) {
            room += 1 << shift;
        }
        let segment = i64::from(self.local_mss);
        let units = if room > 0 && room >> shift << shift < segment && self.hard.spliced > 0 {
            (segment + (1 << shift) - 1) >> shift
        } else {
            room >> shift
        };
        u16::try_from(units).unwrap_or(u16::MAX)
    }

    /// How far a local TCP that has outlived TCPR may have received what was not seen here: behind a
    /// hole as far as its window reaches, and a FIN beyond that, which takes no room.
    fn unseen(&self) -> i64 {
        if self.resumed {
            self.edge + 1
        } else {
            i64::MIN
        }
    }

    /// Notes what the peer is told.
    fn promise(&mut self, window: u16) {
        let checkpoint = self.checkpoint_position();
        self.told = Some((checkpoint, window));
        let edge = checkpoint + (i64::from(window) << self.scales().0);
        self.promised = self.promised.max(edge);
    }

    /// Output acknowledged, in octets: the FIN is not output.
    fn output_acked(&self) -> u64 {
        self.fin.map_or(self.acked, |fin| self.acked.min(fin)) as u64
    }

    /// The address that the local TCP itself has.
    fn inside_local(&self) -> core::net::SocketAddr {
        let mut local = self.hard.flow.local;
        if let Some(port) = self.hard.inside_port {
            local.set_port(port);
        }
        local
    }

    fn enter(&mut self, now: Duration, phase: Phase) {
        if self.phase != phase {
            self.phase = phase;
            self.since = now;
        }
    }

    /// The local TCP is gone.
    fn fail(&mut self, now: Duration, actions: &mut Actions) {
        if matches!(self.phase, Phase::Live | Phase::Closing) {
            self.enter(now, Phase::Failed);
            self.given_tsval = None;
            actions.push(Action::Failed {
                flow: self.hard.flow,
            });
        }
    }

    /// The connection has ended for the peer.
    fn end(&mut self, now: Duration, ending: Ending, actions: &mut Actions) {
        if self.phase == Phase::Done {
            return;
        }
        self.enter(now, Phase::Done);
        self.ending = Some(ending);
        self.recovery = None;
        if self.held {
            self.set_held(false);
            actions.push(Action::Forget {
                flow: self.hard.flow,
            });
        }
        actions.push(Action::Closed {
            flow: self.hard.flow,
            ending,
        });
    }

    /// Ends the connection if both FINs have been sent and acknowledged.
    fn end_if_finished(&mut self, now: Duration, actions: &mut Actions) {
        let ours = self.fin.is_some_and(|fin| self.acked > fin);
        let peers = self
            .hard
            .peer_fin
            .is_some_and(|fin| self.hard.checkpoint > fin);
        let told = self
            .told
            .is_some_and(|(ack, _)| ack >= self.checkpoint_position());
        if ours && peers && told && self.recovery.is_none() {
            self.end(now, Ending::Finished, actions);
        }
    }

    /// Tells the peer where the checkpoint is, at once.
    fn tell(&mut self, actions: &mut Actions) {
        if self.hard.timestamps && self.told_tsval.is_none() {
            // TCPR was lost, and nobody was heard since. With a TSval made up the peer would take
            // this for old, or all that follows (RFC 7323, 5.3). It asks again.
            return;
        }
        let window = self.window();
        self.promise(window);
        let flags = match self.conduct.has(Mutation::AcknowledgmentFlagNotSet) {
            true => Flags::default(),
            false => Flags::ACK,
        };
        let segment = Segment {
            flags,
            window,
            ..self.to_peer(self.sent)
        };
        actions.push(Action::Inject {
            direction: Direction::Outbound,
            segment,
        });
    }

    /// An acknowledgment that was to be sent a while ago, as it is now: what was decided since may
    /// have gone out already.
    pub(crate) fn renew(&self, segment: &mut Segment) {
        if let (Flags::ACK, false, Some((_, window))) = (segment.flags, segment.octet, self.told) {
            *segment = Segment {
                window,
                ..self.to_peer(self.sent)
            };
        }
    }

    /// An empty segment towards the peer.
    fn to_peer(&self, position: i64) -> Segment {
        Segment {
            source: self.hard.flow.local,
            destination: self.hard.flow.remote,
            sequence: self.hard.ours.number(position),
            acknowledgment: self.acknowledgment(),
            flags: Flags::ACK,
            window: 0,
            mss: None,
            window_scale: None,
            sack_permitted: false,
            timestamps: self.hard.timestamps.then(|| Timestamps {
                value: self.hard().tsval,
                echo: self.peer_tsval.unwrap_or(0),
            }),
            octet: false,
        }
    }

    /// An empty segment towards the local TCP, in the peer's name.
    fn to_local(&self, sequence: u32) -> Segment {
        Segment {
            source: self.hard.flow.remote,
            destination: self.inside_local(),
            sequence,
            acknowledgment: 0,
            flags: Flags::RST,
            window: 0,
            mss: None,
            window_scale: None,
            sack_permitted: false,
            timestamps: None,
            octet: false,
        }
    }
}

/// Whether timestamp `a` is later than `b` (RFC 7323, 5.2: serial).
fn later(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}
