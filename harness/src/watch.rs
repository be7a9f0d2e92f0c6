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
}

/// A session of the injector that owes its End-of-RIB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Debt {
    /// Address of the router.
    peer: Ipv4Addr,
    /// When the router saw the session come up; `None` while it is down.
    up_at_ns: Option<u64>,
    /// Whether End-of-RIB was seen.
    paid: bool,
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
                        paid: false,
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

    /// The injector was killed: its sessions are down, whatever the logs say yet, and its next
    /// start owes End-of-RIB on each.
    pub(crate) fn injector_killed(&mut self) {
        for (&own, debt) in &mut self.debts {
            debt.paid = false;
            debt.up_at_ns = None;
            for (key, up) in &mut self.sessions {
                if key.1 == own {
                    *up = false;
                }
            }
        }
    }

    /// Whether there is an action, or its effect, that the quiet must wait for.
    pub(crate) fn set_pending(&mut self, pending: bool) {
        self.pending = pending;
    }

    /// Takes note of a signal. `Exited` and `Found` are no matter of this watch.
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
                    debt.up_at_ns = up.then_some(*t_mono_ns);
                }
            }
            Signal::Route {
                t_mono_ns,
                node,
                present,
            } => {
                // The injector's own address is no router's table.
                if let Some(has) = self.has_destination.get_mut(node) {
                    *has = *present;
                    self.active(*t_mono_ns);
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
                    debt.paid = true;
                    // What the helper kept for this long may go now: the quiet begins here.
                    self.active(*t_mono_ns);
                }
            }
            Signal::RuleCounted | Signal::Exited { .. } | Signal::Found(_) => {}
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
        if goal == Goal::Established {
            return Some(0);
        }
        if goal == Goal::Settled && !self.has_destination.values().all(|has| *has) {
            return None;
        }
        if self.pending {
            return None;
        }
        let mut quiet_since = self.last_activity_ns;
        for debt in self.debts.values().filter(|d| !d.paid) {
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
        if goal != Goal::Established {
            let lacking: Vec<&str> = self
                .has_destination
                .iter()
                .filter(|(_, has)| !**has)
                .map(|(node, _)| node.as_str())
                .collect();
            if goal == Goal::Settled && !lacking.is_empty() {
                missing.push(format!(
                    "no route to the destination at {}",
                    lacking.join(", ")
                ));
            }
            for debt in self.debts.values().filter(|d| !d.paid) {
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
mod tests {
    use topologies::{Scenario, Strategy};

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const QUIET: u64 = 11 * SECOND + LATENCY_NS;

    fn scenario() -> ResolvedScenario {
        let text = "schema: 1\nname: two\ntopology: {kind: chain, size: 2}\nfailure: {kind: control}\n\
                    router: {kind: frr, mrai: 5s}\n";
        Scenario::parse(text, "two.yaml")
            .expect("it is valid")
            .resolve(Strategy::GracefulRestart, 0)
    }

    /// Brings up all sessions at once, at `t`.
    fn establish(watch: &mut Watch, t: u64) {
        let keys: Vec<_> = watch.sessions.keys().cloned().collect();
        for (node, peer) in keys {
            watch.note(&Signal::Session {
                t_mono_ns: t,
                node,
                peer,
                up: true,
                text: String::new(),
            });
        }
    }

    fn route(t: u64, node: &str, present: bool) -> Signal {
        Signal::Route {
            t_mono_ns: t,
            node: node.to_owned(),
            present,
        }
    }

    fn end_of_rib(scenario: &ResolvedScenario, t: u64) -> Signal {
        let primary = scenario.topology.primary();
        Signal::EndOfRib {
            t_mono_ns: t,
            src: primary.a_addr,
            dst: primary.b_addr,
        }
    }

    #[test]
    fn established_needs_every_session_end() {
        let mut watch = Watch::new(&scenario(), 0);
        assert_eq!(watch.sessions(), 3);
        assert_eq!(watch.reached_at(Goal::Established), None);
        assert!(
            watch
                .missing(Goal::Established)
                .starts_with("0 of 3 session ends are Established")
        );
        establish(&mut watch, SECOND);
        assert_eq!(watch.reached_at(Goal::Established), Some(0));
    }

    #[test]
    fn settled_needs_the_destination_at_every_router_and_the_quiet_after_it() {
        let scenario = scenario();
        let mut watch = Watch::new(&scenario, 0);
        establish(&mut watch, SECOND);
        watch.note(&end_of_rib(&scenario, SECOND));
        watch.note(&route(2 * SECOND, "r1", true));
        assert_eq!(watch.reached_at(Goal::Settled), None);
        assert_eq!(
            watch.missing(Goal::Settled),
            "no route to the destination at r2"
        );
        watch.note(&route(7 * SECOND, "r2", true));
        assert_eq!(watch.reached_at(Goal::Settled), Some(7 * SECOND + QUIET));
    }

    #[test]
    fn an_update_for_the_destination_begins_the_quiet_anew_though_no_table_changes() {
        let scenario = scenario();
        let mut watch = Watch::new(&scenario, 0);
        establish(&mut watch, SECOND);
        watch.note(&end_of_rib(&scenario, SECOND));
        let address = Ipv4Addr::new(198, 18, 0, 9);
        let update = Signal::Update {
            t_mono_ns: 9 * SECOND,
            src: address,
            dst: address,
            withdraws: false,
        };
        watch.note(&update);
        assert_eq!(watch.reached_at(Goal::Quiet), Some(9 * SECOND + QUIET));
    }

    #[test]
    fn the_quiet_under_graceful_restart_begins_no_earlier_than_end_of_rib() {
        let scenario = scenario();
        let mut watch = Watch::new(&scenario, 0);
        establish(&mut watch, SECOND);
        watch.note(&end_of_rib(&scenario, SECOND));
        watch.disturb(50 * SECOND);
        watch.injector_killed();
        assert_eq!(watch.reached_at(Goal::Quiet), None, "its session is down");
        establish(&mut watch, 51 * SECOND);
        // All is silent while the filler comes; only End-of-RIB lets the stale route go.
        let stale = 51 * SECOND + 360 * SECOND;
        assert_eq!(
            watch.reached_at(Goal::Quiet),
            Some(stale + QUIET),
            "or the stale-path time is over"
        );
        assert!(
            watch
                .missing(Goal::Quiet)
                .contains("no End-of-RIB from the injector to")
        );
        watch.note(&end_of_rib(&scenario, 150 * SECOND));
        assert_eq!(watch.reached_at(Goal::Quiet), Some(150 * SECOND + QUIET));
    }

    #[test]
    fn the_quiet_waits_for_an_action_that_is_pending() {
        let scenario = scenario();
        let mut watch = Watch::new(&scenario, 0);
        establish(&mut watch, SECOND);
        watch.note(&end_of_rib(&scenario, SECOND));
        watch.set_pending(true);
        assert_eq!(watch.reached_at(Goal::Quiet), None);
        watch.set_pending(false);
        assert!(watch.reached_at(Goal::Quiet).is_some());
    }
}
