//! TCPR in its place: the core, and what a server does around it.
//!
//! *Assumes* that it is shown every packet of the connection, and ticked when it is
//! [`due`](Middle::due).
//! *Guarantees* that the core's verdicts and actions are carried out in its order, and that both
//! watches see every packet. Without a core it lets everything pass, which is the control.

use std::collections::VecDeque;
use std::time::Duration;

use tcpr_core::packet::{Packet, Segment};
use tcpr_core::{
    Action, Actions, Config, Direction, Ending, Flow, Hard, HoldQueue, Pattern, Phase, Recovery,
    Refusal, Tcpr, Verdict,
};

use super::fault::Fault;
use super::inside::Inside;
use super::outside::Outside;
use super::scenario::Scenario;
use super::story::Story;
use crate::Mutant;

/// What the application is told of its own accord.
#[derive(Debug, Clone, Copy)]
pub(super) enum Notice {
    Spliced(Hard),
    Recovered(Recovery),
    Refused(Refusal),
    Acked(u64),
    Closed(Ending),
}

impl Notice {
    /// For who wants to see the run.
    pub(super) fn words(&self) -> String {
        match self {
            Notice::Spliced(hard) => format!("spliced, incarnation {}", hard.incarnation),
            Notice::Recovered(recovery) => format!("recovered, base {}", recovery.base),
            Notice::Refused(refusal) => format!("refused: {refusal}"),
            Notice::Acked(offset) => format!("acked {offset}"),
            Notice::Closed(ending) => format!("closed, {ending:?}"),
        }
    }
}

/// TCPR in its place.
pub(super) struct Middle {
    core: Option<Tcpr<Mutant>>,
    mutant: Mutant,
    flow: Flow,
    active: bool,
    batch: bool,
    /// The local TCP has said something since TCPR began.
    heard: bool,
    /// TCPR was lost while the local TCP lived.
    resumed: bool,
    /// How far the right edge may go back: none, as long as the first TCP lives.
    slack: usize,
    held: HoldQueue,
    actions: Actions,
    /// Actions to be carried out.
    queue: VecDeque<Action>,
    pub(super) outside: Outside,
    pub(super) inside: Inside,
    pub(super) to_peer: VecDeque<Vec<u8>>,
    pub(super) to_local: VecDeque<Vec<u8>>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) faults: Vec<Fault>,
    pub(super) story: Story,
}

/// Longer than any application of these runs is down, and any timer of its peer runs.
const TIME_TO_LIVE: Duration = Duration::from_secs(3600);

impl Middle {
    /// `None`: nothing is there.
    pub(super) fn new(scenario: &Scenario, mutant: Option<Mutant>, story: Story) -> Middle {
        let default_mss = if scenario.flow.local.is_ipv4() {
            536
        } else {
            1220
        };
        let mut middle = Middle {
            core: None,
            mutant: mutant.unwrap_or(Mutant::SOUND),
            flow: scenario.flow,
            active: scenario.active,
            batch: scenario.batch,
            heard: false,
            resumed: false,
            slack: 0,
            held: HoldQueue::new(),
            actions: Actions::new(),
            queue: VecDeque::new(),
            outside: Outside::new(scenario.output, default_mss),
            inside: Inside::default(),
            to_peer: VecDeque::new(),
            to_local: VecDeque::new(),
            notices: VecDeque::new(),
            faults: Vec::new(),
            story,
        };
        if mutant.is_some() {
            middle.core = Some(middle.fresh());
        }
        middle
    }

    /// TCPR that knows nothing but what is to be protected.
    fn fresh(&self) -> Tcpr<Mutant> {
        let config = Config {
            time_to_live: TIME_TO_LIVE,
            linger: TIME_TO_LIVE,
            ..Config::default()
        };
        let mut core = Tcpr::with_conduct(config, self.mutant);
        core.protect(match self.active {
            true => Pattern::Flow(self.flow),
            false => Pattern::Local(self.flow.local),
        });
        core
    }

    /// The connection.
    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    /// Whether TCPR is there at all.
    pub(super) fn is_there(&self) -> bool {
        self.core.is_some()
    }

    /// A new TCP of the application begins, whose output begins at `base`.
    pub(super) fn begin(&mut self, base: u64, slack: usize) {
        (self.heard, self.resumed, self.slack) = (false, false, slack);
        self.inside.begin(base, slack);
        self.outside.fence();
    }

    /// TCPR is lost, with all it knew, and its successor begins: until it is told otherwise it lets
    /// nothing pass.
    pub(super) fn lose(&mut self, now: Duration, living: bool) {
        let mut core = self.fresh();
        core.quarantine(now + TIME_TO_LIVE);
        self.core = Some(core);
        (self.heard, self.resumed) = (false, living);
        self.held = HoldQueue::new();
        self.queue.clear();
        self.notices.clear();
        self.outside.forget(living);
    }

    /// A packet comes to where TCPR stands.
    pub(super) fn segment(&mut self, now: Duration, direction: Direction, mut octets: Vec<u8>) {
        let Some(core) = &mut self.core else {
            return self.pass(direction, octets);
        };
        let Ok(mut packet) = Packet::parse(&mut octets) else {
            return self.faults.push(Fault::Damaged);
        };
        match direction {
            Direction::Inbound => self.outside.inbound(now, &packet),
            Direction::Outbound => self.inside.outbound(&packet, &self.outside),
        }
        let verdict = core.segment(now, direction, &mut packet, &mut self.actions);
        self.story
            .verdict(now, direction, &packet, verdict, &self.outside);
        if direction == Direction::Outbound && verdict == Verdict::Drop {
            self.outside.swallow(self.inside.sent());
        }
        match verdict {
            Verdict::Forward { .. } => {
                if direction == Direction::Outbound && !self.heard {
                    self.heard = true;
                    self.outside.begin_anew(self.slack);
                }
                self.forward(now, direction, octets);
            }
            Verdict::Hold => {
                let is_there = self.held.hold(&packet, usize::MAX);
                debug_assert!(is_there, "a packet here is whole");
            }
            Verdict::Drop => {}
        }
        self.queue.extend(self.actions.drain(..));
        if !self.batch {
            self.carry_out(now);
        }
    }

    fn pass(&mut self, direction: Direction, octets: Vec<u8>) {
        match direction {
            Direction::Inbound => self.to_local.push_back(octets),
            Direction::Outbound => self.to_peer.push_back(octets),
        }
    }

    /// A packet leaves TCPR.
    fn forward(&mut self, now: Duration, direction: Direction, mut octets: Vec<u8>) {
        let Ok(packet) = Packet::parse(&mut octets) else {
            return self.faults.push(Fault::Damaged);
        };
        if !packet.checksum_is_right() {
            self.faults.push(Fault::Damaged);
        }
        match direction {
            Direction::Outbound => {
                self.outside.outbound(now, &packet, &mut self.faults);
                let live = |core: &Tcpr<Mutant>| {
                    let phase = core.summary(now, &self.flow).map(|summary| summary.phase);
                    matches!(phase, Some(Phase::Live | Phase::Closing))
                };
                // Before the local TCP was heard its window is not known, and what comes is held.
                if self.heard && self.core.as_ref().is_some_and(live) {
                    self.inside.promised(&self.outside, &mut self.faults);
                }
            }
            Direction::Inbound => {
                let heard = self.heard || !self.resumed;
                let (outside, faults) = (&self.outside, &mut self.faults);
                self.inside.inbound(&packet, heard, outside, faults);
            }
        }
        self.story.leaves(now, direction, &packet, &self.outside);
        self.pass(direction, octets);
    }

    /// Carries out what the core has asked for. Says whether it was anything.
    pub(super) fn carry_out(&mut self, now: Duration) -> bool {
        let any = !self.queue.is_empty();
        while let Some(action) = self.queue.pop_front() {
            match action {
                Action::Inject { direction, segment } => self.inject(now, direction, segment),
                Action::Replay {
                    until, hard, mss, ..
                } => self.replay(now, until, hard, mss),
                Action::Forget { .. } | Action::Removed { .. } => self.held = HoldQueue::new(),
                Action::Spliced { hard } => self.notices.push_back(Notice::Spliced(hard)),
                Action::Recovered { hard, base } => {
                    let recovery = Recovery { hard, base };
                    self.notices.push_back(Notice::Recovered(recovery));
                }
                Action::Refused { refusal, .. } => {
                    self.notices.push_back(Notice::Refused(refusal));
                }
                Action::Acked { offset, .. } => self.notices.push_back(Notice::Acked(offset)),
                Action::Closed { ending, .. } => self.notices.push_back(Notice::Closed(ending)),
                Action::Established { .. } | Action::Failed { .. } => {}
            }
        }
        any
    }

    fn inject(&mut self, now: Duration, direction: Direction, mut segment: Segment) {
        if let (Some(core), Direction::Outbound) = (&self.core, direction) {
            core.renew(&mut segment);
        }
        let mut octets = [0; Segment::MAX_LEN];
        let length = segment.emit(&mut octets);
        self.forward(now, direction, octets[..length].to_vec());
    }

    fn replay(&mut self, now: Duration, until: i64, hard: Hard, mss: u16) {
        let Some(core) = &mut self.core else {
            return;
        };
        let mut pieces = Vec::new();
        let offer = |piece: &mut Packet<'_>| {
            let verdict = core.replay(piece);
            if let Verdict::Forward { .. } = verdict {
                pieces.push(piece.bytes().to_vec());
            }
            verdict
        };
        let left = self.held.replay(&hard, until, mss, &mut Vec::new(), offer);
        core.held(&self.flow, left);
        for piece in pieces {
            self.forward(now, Direction::Inbound, piece);
        }
    }

    /// The application asks something.
    pub(super) fn ask<T>(
        &mut self,
        now: Duration,
        request: impl FnOnce(&mut Tcpr<Mutant>, &mut Actions) -> Result<T, Refusal>,
    ) -> Option<Result<T, Refusal>> {
        let core = self.core.as_mut()?;
        let answer = request(core, &mut self.actions);
        self.queue.extend(self.actions.drain(..));
        self.carry_out(now);
        Some(answer)
    }

    /// Whether the local TCP is in place and has been heard, so that the peer is told of checkpoints
    /// at once.
    pub(super) fn tells(&self, now: Duration) -> bool {
        let summary = self
            .core
            .as_ref()
            .and_then(|core| core.summary(now, &self.flow));
        let live = summary.is_some_and(|summary| {
            matches!(summary.phase, Phase::Live | Phase::Closing)
                && summary.hard.spliced == summary.hard.incarnation
        });
        live && self.heard
    }

    /// When it is to be ticked.
    pub(super) fn due(&self) -> Option<Duration> {
        self.core.as_ref()?.deadline()
    }

    /// Does what time has brought.
    pub(super) fn tick(&mut self, now: Duration) {
        while let Some(core) = &mut self.core
            && core.tick(now, &mut self.actions)
        {
            self.queue.extend(self.actions.drain(..));
            self.carry_out(now);
        }
    }
}
