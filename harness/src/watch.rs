//! "Is it established, settled, quiet?": the only feedback from the lab to the order of a run.
//!
//! *Assumes* signals with their times. *Guarantees* a pure answer: at which instant a goal is
//! reached if nothing more is seen, or what is still missing for it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use topologies::{ResolvedScenario, Topology};

use crate::signal::Signal;

/// How late a recorder may tell of a packet: the kernel's block timeout, and some more for a
/// busy machine, nanoseconds.
pub(crate) const LATENCY_NS: u64 = 250_000_000;

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// All sessions are Established.
    Established,
    /// All sessions are Established, every planned action is done, End-of-RIB was sent on each
    /// session of the injector (or its stale-path time is over), and neither a table change nor
    /// an UPDATE for the destination was seen for the quiet period.
    Quiet,
    /// Quiet, and every router has the destination.
    Settled,
    /// All sessions are Established and every router has the destination, while the first
    /// transfer of the table may still go on.
    Reachable,
}

impl Goal {
    fn needs_the_destination(self) -> bool {
        matches!(self, Goal::Settled | Goal::Reachable)
    }

    fn needs_quiet(self) -> bool {
        matches!(self, Goal::Settled | Goal::Quiet)
    }
}

/// A session of the injector that owes its End-of-RIB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Debt {
    /// Address of the router.
    peer: Ipv4Addr,
    /// When the router saw the session come up; `None` while it is down.
    up_at_ns: Option<u64>,
    /// When the last session was lost: what was sent before is of no worth since.
    owed_since_ns: u64,
    /// When End-of-RIB was last sent.
    paid_at_ns: Option<u64>,
}

impl Debt {
    /// Whatever order the log's and the packets' signals come in, their times decide.
    fn is_paid(&self) -> bool {
        self.paid_at_ns.is_some_and(|t| t >= self.owed_since_ns)
    }

    fn session_lost(&mut self, t_ns: u64) {
        self.up_at_ns = None;
        self.owed_since_ns = self.owed_since_ns.max(t_ns);
    }
}

/// What was seen of a lab so far.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// Router and peer address, to up or down.
    sessions: BTreeMap<(String, Ipv4Addr), bool>,
    /// Whether each router has a route to the destination.
    has_destination: BTreeMap<String, bool>,
    /// By the injector's own address: what it owes.
    debts: BTreeMap<Ipv4Addr, Debt>,
    /// Last table change or UPDATE for the destination.
    last_activity_ns: u64,
    /// Whether a planned action is not done, or its effect not seen.
    pending: bool,
    quiet_ns: u64,
    stale_path_ns: u64,
}

impl Watch {
    /// A lab in which nothing has happened yet, at `now_ns`.
    #[must_use]
    pub(crate) fn new(scenario: &ResolvedScenario, now_ns: u64) -> Self {
        let topology: &Topology = &scenario.topology;
        let sessions = topology
            .routers()
            .flat_map(|r| {
                topology
                    .ends(&r.name)
                    .map(|e| ((r.name.clone(), e.peer_addr), false))
            })
            .collect();
        let injector = &topology.injector().name;
        let debts = topology
            .ends(injector)
            .map(|e| {
                (
                    e.addr,
                    Debt {
                        peer: e.peer_addr,
                        up_at_ns: None,
                        owed_since_ns: 0,
                        paid_at_ns: None,
                    },
                )
            })
            .collect();
        let nanos = |s: topologies::Span| s.as_duration().as_nanos() as u64;
        Watch {
            sessions,
            has_destination: topology
                .routers()
                .map(|r| (r.name.clone(), false))
                .collect(),
            debts,
            last_activity_ns: now_ns,
            pending: false,
            quiet_ns: nanos(scenario.quiet_period()),
            stale_path_ns: nanos(scenario.router.stale_path_time),
        }
    }

    /// The lab is made to fail: from here on the quiet counts anew.
    pub(crate) fn disturb(&mut self, now_ns: u64) {
        self.last_activity_ns = now_ns;
    }

    /// The tables are about to be told as they stand: what was known of them counts no more.
    pub(crate) fn look_anew(&mut self) {
        self.has_destination
            .values_mut()
            .for_each(|has| *has = false);
    }

    /// The injector was killed, and nothing recovers its sessions: they are down, whatever the
    /// logs say yet, and its next start owes End-of-RIB on each.
    pub(crate) fn sessions_lost(&mut self, t_ns: u64) {
        for (&own, debt) in &mut self.debts {
            debt.session_lost(t_ns);
            for (key, up) in &mut self.sessions {
                if key.1 == own {
                    *up = false;
                }
            }
        }
    }

    /// The link of the session with this address of the injector is dead for good: nothing is
    /// waited for on it any more.
    pub(crate) fn link_lost(&mut self, own: Ipv4Addr) {
        self.debts.remove(&own);
        self.sessions.retain(|(_, peer), _| *peer != own);
    }

    /// Whether a router's session is up, as far as its log has told.
    #[must_use]
    pub(crate) fn is_up(&self, node: &str, peer: Ipv4Addr) -> bool {
        self.sessions
            .get(&(node.to_owned(), peer))
            .is_some_and(|up| *up)
    }

    /// Whether there is an action, or its effect, that the quiet must wait for.
    pub(crate) fn set_pending(&mut self, pending: bool) {
        self.pending = pending;
    }

    /// Takes note of a signal. What processes tell is no matter of this watch.
    pub(crate) fn note(&mut self, signal: &Signal) {
        match signal {
            Signal::Session {
                t_mono_ns,
                node,
                peer,
                up,
                ..
            } => {
                if let Some(session) = self.sessions.get_mut(&(node.clone(), *peer)) {
                    *session = *up;
                }
                if let Some(debt) = self.debts.get_mut(peer) {
                    if *up {
                        debt.up_at_ns = Some(*t_mono_ns);
                    } else {
                        debt.session_lost(*t_mono_ns);
                    }
                }
            }
            Signal::Route {
                t_mono_ns,
                node,
                present,
                stood,
            } => {
                // The injector's own address is no router's table.
                if let Some(has) = self.has_destination.get_mut(node) {
                    *has = *present;
                    if !stood {
                        self.active(*t_mono_ns);
                    }
                }
            }
            Signal::Update { t_mono_ns, .. } => self.active(*t_mono_ns),
            Signal::EndOfRib {
                t_mono_ns,
                src,
                dst,
            } => {
                if let Some(debt) = self.debts.get_mut(src)
                    && debt.peer == *dst
                {
                    debt.paid_at_ns = Some(*t_mono_ns);
                    // What the helper kept for this long may go now: the quiet begins here.
                    self.active(*t_mono_ns);
                }
            }
            Signal::RuleCounted
            | Signal::Exited { .. }
            | Signal::Recovered { .. }
            | Signal::LetGo { .. }
            | Signal::Found(_) => {}
        }
    }

    fn active(&mut self, t_ns: u64) {
        self.last_activity_ns = self.last_activity_ns.max(t_ns);
    }

    /// Number of session ends that are up.
    #[must_use]
    pub(crate) fn sessions_up(&self) -> usize {
        self.sessions.values().filter(|up| **up).count()
    }

    /// Number of session ends that must be up.
    #[must_use]
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// When the goal is reached if nothing more is seen; `None` if something is missing that
    /// time alone does not bring.
    #[must_use]
    pub(crate) fn reached_at(&self, goal: Goal) -> Option<u64> {
        if self.sessions_up() < self.sessions.len() {
            return None;
        }
        if goal.needs_the_destination() && !self.has_destination.values().all(|has| *has) {
            return None;
        }
        if !goal.needs_quiet() {
            return Some(0);
        }
        if self.pending {
            return None;
        }
        let mut quiet_since = self.last_activity_ns;
        for debt in self.debts.values().filter(|d| !d.is_paid()) {
            quiet_since = quiet_since.max(debt.up_at_ns? + self.stale_path_ns);
        }
        Some(quiet_since + self.quiet_ns + LATENCY_NS)
    }

    /// What is missing for a goal, in words.
    #[must_use]
    pub(crate) fn missing(&self, goal: Goal) -> String {
        let mut missing = Vec::new();
        let down: Vec<String> = self
            .sessions
            .iter()
            .filter(|(_, up)| !**up)
            .map(|((node, peer), _)| format!("{node} with {peer}"))
            .collect();
        if !down.is_empty() {
            let shown = down.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let more = down.len().saturating_sub(5);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            missing.push(format!(
                "{} of {} session ends are Established; down: {shown}{more}",
                self.sessions_up(),
                self.sessions.len()
            ));
        }
        let lacking: Vec<&str> = self
            .has_destination
            .iter()
            .filter(|(_, has)| !**has)
            .map(|(node, _)| node.as_str())
            .collect();
        if goal.needs_the_destination() && !lacking.is_empty() {
            missing.push(format!(
                "no route to the destination at {}",
                lacking.join(", ")
            ));
        }
        if goal.needs_quiet() {
            for debt in self.debts.values().filter(|d| !d.is_paid()) {
                missing.push(format!("no End-of-RIB from the injector to {}", debt.peer));
            }
            if self.pending {
                missing.push("the effect of a planned action was not seen".to_owned());
            }
            if missing.is_empty() {
                missing.push(
                    "the last route change or UPDATE for the destination is too recent".to_owned(),
                );
            }
        }
        missing.join("; ")
    }
}

#[cfg(test)]
mod tests;
