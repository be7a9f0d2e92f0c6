//! A run: two hosts, TCPR beside one of them, the network, and what fails.
//!
//! *Assumes* nothing.
//! *Guarantees* that a run follows from scenario, seed, crashes and mutation alone; that it ends; and
//! that time passes only from one event to the next.

use std::time::Duration;

use tcpr_core::{Direction, Flow};

use super::application::{Application, Wish};
use super::crash::{Crash, Death};
use super::dice::Dice;
use super::fault::Fault;
use super::middle::Middle;
use super::network::Network;
use super::peer::Peer;
use super::scenario::{Offers, Scenario};
use super::stack::Stack;
use super::story::Story;
use super::trace::Trace;
use crate::Mutant;

/// A run that takes longer has stalled. Timers of TCP grow to a minute (RFC 6298, 2.5), and several
/// in a row may be wanted.
const LIMIT: Duration = Duration::from_secs(3000);
/// After its end a run goes on for so long, for what is still on its way must do no harm.
const REST: Duration = Duration::from_secs(3);
/// One with more packets goes on in circles.
const PACKETS: u64 = 20_000;
/// A stack that is due at once and has nothing to do is asked again after this.
const AGAIN: Duration = Duration::from_millis(1);

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was wrong, in the order in which it was seen. None: all went well.
    pub faults: Vec<Fault>,
    /// Whether both sides have finished.
    pub finished: bool,
    /// It has not finished because smoltcp, on either side, is stuck.
    pub stack_stalled: bool,
    /// Both applications have all and are done, and TCPR was lost: the peer's TCP alone waits for the
    /// acknowledgment of its FIN, which TCPR does not know to give.
    pub last_ack_missing: bool,
    /// Both sides have all, the peer has finished, and TCPR was lost: a local TCP that was put in place
    /// since repeats what the peer has had, and is reset by it.
    pub forgotten: bool,
    /// Packets where TCPR stands, in both directions.
    pub packets: u64,
    /// The first packet after which a crash is within what can be recovered.
    pub protected: u64,
    /// How many crashes there were.
    pub crashes: usize,
    /// How long it took, in the run's own time.
    pub took: Duration,
    /// Every packet between TCPR and the peer.
    pub outside: Trace,
}

pub(super) struct World<'a> {
    scenario: &'a Scenario,
    crashes: &'a [Crash],
    now: Duration,
    dice: Dice,
    middle: Middle,
    network: Network,
    application: Application,
    /// The application's TCP, if there is one.
    local: Option<Stack>,
    peer: Peer,
    packets: u64,
    protected: Option<u64>,
    crashed: usize,
}

impl<'a> World<'a> {
    /// `mutant`: none is a run without TCPR.
    pub(super) fn new(
        scenario: &'a Scenario,
        seed: u64,
        crashes: &'a [Crash],
        mutant: Option<Mutant>,
        story: Story,
    ) -> World<'a> {
        let now = Duration::ZERO;
        let mut dice = Dice::new(seed, 0);
        let Flow { local, remote } = scenario.flow;
        let inward = Flow {
            local: remote,
            remote: local,
        };
        let (first, second) = (
            initial(&mut dice, scenario.wrap),
            initial(&mut dice, scenario.wrap),
        );
        let clocks = [dice.throw() as u32, dice.throw() as u32];
        let offers = scenario.offers;
        let mut ours = Stack::new(now, scenario.flow, scenario.first, offers, first, clocks[0]);
        let mut theirs = Stack::new(now, inward, scenario.peer, offers, second, clocks[1]);
        if scenario.active {
            theirs.listen();
            ours.connect();
        } else {
            ours.listen();
            theirs.connect();
        }
        let mut middle = Middle::new(scenario, mutant, story);
        middle.begin(0, 0);
        World {
            scenario,
            crashes,
            now,
            dice,
            middle,
            network: Network::new(scenario.weather, seed),
            application: Application::new(scenario),
            local: Some(ours),
            peer: Peer::new(scenario, theirs),
            packets: 0,
            protected: None,
            crashed: 0,
        }
    }

    /// Carries it to its end.
    pub(super) fn run(mut self) -> (Outcome, Vec<String>) {
        let mut over = None;
        self.settle();
        while self.middle.faults.is_empty() {
            if over.is_none() && self.has_finished() {
                over = Some(self.now);
            }
            let limit = over.map_or(LIMIT, |over| over + REST);
            match self.next() {
                Some(next) if next <= limit && self.packets < PACKETS => self.now = next,
                _ => break,
            }
            self.arrive();
            self.settle();
        }
        self.tell_end();
        let finished = over.is_some() || self.has_finished();
        let stack_stalled = !finished && self.has_stack_stalled();
        let mut faults = self.middle.faults;
        let lost = self.crashes[..self.crashed].iter().any(|crash| crash.lose);
        let done = self.application.has_finished() && self.peer.has_all();
        let last_ack_missing = !finished && lost && done;
        let had_all = self.peer.has_forgotten() && self.application.has_input();
        let forgotten = lost && had_all && faults == [Fault::LocalReset];
        if forgotten {
            faults.clear();
        }
        let excused = stack_stalled || last_ack_missing || forgotten;
        if !finished && !excused && faults.is_empty() {
            faults.push(Fault::Stalled { limit: LIMIT });
        }
        let outcome = Outcome {
            faults,
            finished,
            stack_stalled,
            last_ack_missing,
            forgotten,
            packets: self.packets,
            protected: self.protected.unwrap_or(self.packets),
            crashes: self.crashed,
            took: over.unwrap_or(self.now),
            outside: self.middle.outside.trace,
        };
        (outcome, self.middle.story.into_lines())
    }

    fn has_stack_stalled(&mut self) -> bool {
        let now = self.now;
        let local = self.local.as_mut();
        local.is_some_and(|stack| stack.is_stuck(now)) || self.peer.stack.is_stuck(now)
    }

    /// Where both TCPs stand at the end.
    fn tell_end(&mut self) {
        let now = self.now;
        let local = self.local.as_mut().map(|stack| stack.standing(now));
        let peer = self.peer.stack.standing(now);
        self.middle.story.say(now, || {
            format!("at the end: local {local:?}, peer {peer:?}")
        });
    }

    fn has_finished(&self) -> bool {
        self.application.has_finished() && self.peer.has_finished()
    }

    /// When something happens next.
    fn next(&mut self) -> Option<Duration> {
        let now = self.now;
        let at = |due: Option<Duration>| due.map(|due| if due <= now { now + AGAIN } else { due });
        let local = at(self.local.as_mut().and_then(|stack| stack.due(now)));
        let peer = at(self.peer.stack.due(now));
        [
            local,
            peer,
            self.application.due(now),
            self.peer.due(now),
            self.middle.due(),
            self.network.next(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes what has come over the network.
    fn arrive(&mut self) {
        self.middle.tick(self.now);
        while let Some((direction, octets)) = self.network.arrive(self.now) {
            match direction {
                Direction::Outbound => self.peer.stack.receive(octets),
                Direction::Inbound => self.offer(direction, octets),
            }
        }
    }

    /// A packet where TCPR stands, after which something may fail.
    fn offer(&mut self, direction: Direction, octets: Vec<u8>) {
        self.middle.segment(self.now, direction, octets);
        self.deliver();
        let at = self.packets;
        self.packets += 1;
        if self.application.is_protected() {
            self.protected.get_or_insert(at);
        }
        self.fail(at);
    }

    /// Does everything that can be done at this instant.
    fn settle(&mut self) {
        let mut busy = true;
        while busy && self.middle.faults.is_empty() {
            busy = self.act();
            if let Some(stack) = &mut self.local {
                stack.poll(self.now);
            }
            while let Some(octets) = self.local.as_mut().and_then(Stack::take) {
                busy = true;
                self.offer(Direction::Outbound, octets);
            }
            busy |= self.middle.carry_out(self.now);
            self.deliver();
            self.peer.stack.poll(self.now);
            busy |= self.peer.act(self.now, &mut self.middle.faults);
            self.peer.stack.poll(self.now);
            while let Some(octets) = self.peer.stack.take() {
                busy = true;
                self.network.send(self.now, Direction::Inbound, octets);
            }
        }
    }

    /// Moves what has left TCPR on.
    fn deliver(&mut self) {
        while let Some(octets) = self.middle.to_peer.pop_front() {
            self.network.send(self.now, Direction::Outbound, octets);
        }
        while let Some(octets) = self.middle.to_local.pop_front() {
            if let Some(stack) = &mut self.local {
                stack.receive(octets);
                stack.poll(self.now);
            }
        }
    }

    fn act(&mut self) -> bool {
        let (done, wish) = self
            .application
            .act(self.now, self.local.as_mut(), &mut self.middle);
        match wish {
            Some(Wish::End) if !self.scenario.off_host => self.local = None,
            Some(Wish::Connect { base }) => self.connect(base),
            Some(Wish::End) | None => {}
        }
        done
    }

    /// A new TCP of the application, on a host with a clock of its own.
    fn connect(&mut self, base: u64) {
        let Scenario {
            flow, later, wrap, ..
        } = *self.scenario;
        let offers = Offers {
            scale: true,
            sack: true,
            mss: true,
            timestamps: true,
        };
        let (initial, clock) = (initial(&mut self.dice, wrap), self.dice.throw() as u32);
        let mut stack = Stack::new(self.now, flow, later, offers, initial, clock);
        stack.connect();
        self.local = Some(stack);
        let slack = self.slack();
        self.middle.begin(base, slack);
        self.middle
            .story
            .say(self.now, || format!("application connects, base {base}"));
    }

    /// A new TCP with less room than a segment is promised one nevertheless, in units of a scale.
    fn slack(&self) -> usize {
        self.scenario.later.mtu + (1 << 14)
    }

    fn fail(&mut self, at: u64) {
        if !self.application.is_protected() {
            return;
        }
        while let Some(crash) = self.crashes.get(self.crashed)
            && crash.at <= at
        {
            self.crashed += 1;
            let crash = *crash;
            self.middle
                .story
                .say(self.now, || format!("******** crash {crash}"));
            self.crash(crash);
        }
    }

    fn crash(&mut self, crash: Crash) {
        if crash.death != Death::Living {
            self.application.crash(self.now);
        }
        match (crash.death, &mut self.local) {
            (Death::Silent, local) => *local = None,
            (Death::Closing, Some(stack)) => stack.close(),
            (Death::Aborting, Some(stack)) => stack.socket().abort(),
            (Death::Closing | Death::Aborting, None) | (Death::Living, _) => {}
        }
        if crash.lose && !self.scenario.lasting {
            let living = crash.death == Death::Living;
            self.middle.lose(self.now, living);
            if living && self.application.cut(self.now + self.scenario.unreachable) {
                self.local = None;
            }
        }
    }
}

/// An initial sequence number: anywhere, or so little before the wrap that the stream passes it.
fn initial(dice: &mut Dice, wrap: bool) -> u32 {
    let anywhere = dice.throw() as u32;
    if wrap {
        u32::MAX - anywhere % 2048
    } else {
        anywhere
    }
}
