//! Measuring the MRAI that the routers realise: nothing fails, and the injector changes its mind.
//!
//! *Assumes* a settled lab without a backup, so that the primary router passes on what it hears,
//! and nothing else. *Guarantees* that what is measured lies between two UPDATEs on the wire, the
//! injector's and the router's: how fast the injector obeys does not enter.

use std::net::Ipv4Addr;
use std::time::Duration;

use injectors::{Command, Route, Start};
use results::realised::{MraiRound, RealisedMrai};
use results::{FindingKind, Severity};
use topologies::{LinkRole, Span, Topology};

use super::waiting::clock_samples;
use super::{Lab, LabError};
use crate::clock;
use crate::protocol::Stage;
use crate::signal::Signal;
use crate::watch::Goal;

/// A router has decided what to tell of a change this long after it heard of it; FRR gathers changes
/// for 50 ms, and one that is undone within these is none.
const DECISION: Duration = Duration::from_millis(250);

/// Two ends of a session, in the direction of an UPDATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    src: Ipv4Addr,
    dst: Ipv4Addr,
}

/// Where the MRAI is measured: at the primary router, towards the first of its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Probed {
    router: String,
    peer: String,
    /// From the injector to the router.
    to_router: Way,
    /// From the router to its peer.
    to_peer: Way,
}

impl Probed {
    /// None, if the primary router has no peer but the injector.
    fn of(topology: &Topology) -> Option<Self> {
        let primary = topology.primary();
        let end = topology
            .ends(&primary.b)
            .find(|end| end.role == LinkRole::Peering)?;
        Some(Probed {
            router: primary.b.clone(),
            peer: end.peer.to_owned(),
            to_router: Way {
                src: primary.a_addr,
                dst: primary.b_addr,
            },
            to_peer: Way {
                src: end.addr,
                dst: end.peer_addr,
            },
        })
    }
}

/// A change of the destination, on its way from the injector through the primary router.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change<'a> {
    probed: &'a Probed,
    /// When the injector was commanded, CLOCK_MONOTONIC.
    since_ns: u64,
    withdraws: bool,
    /// When the injector's UPDATE was on the wire.
    told_ns: Option<u64>,
    /// When the router's was.
    passed_on_ns: Option<u64>,
}

impl<'a> Change<'a> {
    fn begun(probed: &'a Probed, since_ns: u64, withdraws: bool) -> Self {
        Change {
            probed,
            since_ns,
            withdraws,
            told_ns: None,
            passed_on_ns: None,
        }
    }

    /// Notes an UPDATE that tells of it. The recorders of two nodes may tell in any order.
    fn note(&mut self, signal: &Signal) {
        let Signal::Update {
            t_mono_ns,
            src,
            dst,
            withdraws,
        } = *signal
        else {
            return;
        };
        if t_mono_ns < self.since_ns || withdraws != self.withdraws {
            return;
        }
        let way = Way { src, dst };
        if way == self.probed.to_router {
            self.told_ns.get_or_insert(t_mono_ns);
        } else if way == self.probed.to_peer {
            self.passed_on_ns.get_or_insert(t_mono_ns);
        }
    }

    /// Both instants, once both UPDATEs were seen.
    fn done(&self) -> Option<(u64, u64)> {
        self.told_ns.zip(self.passed_on_ns)
    }
}

impl Lab {
    /// Carries out the rounds, one after the other.
    pub(super) async fn probe_mrai(&mut self) -> Result<(), LabError> {
        let Some(probed) = Probed::of(&self.scenario.topology) else {
            // The analysis says that the manifest lacks the result.
            return Ok(());
        };
        let rounds = self.scenario.failure.rounds;
        let deadline = self.scenario.deadlines.quiet.as_duration();
        let deadline_ns = clock::monotonic_ns() + deadline.as_nanos() as u64;
        self.watch_machine()?;
        if let Some(machine) = &mut self.machine_watch {
            machine.failed(clock::monotonic_ns());
        }
        let mut measured = Vec::new();
        for round in 0..rounds {
            self.tell(Stage::Fail, format!("round {} of {rounds}", round + 1));
            measured.push(self.probe_round(&probed, round, deadline_ns).await?);
        }
        self.realised_mrai = RealisedMrai::of(&probed.router, &probed.peer, &measured);
        Ok(())
    }

    /// From one settled lab to the next: two announcements and a withdrawal, each as soon as the
    /// one before it was passed on; an announcement and, behind another that waits, a withdrawal;
    /// and the route as it was.
    async fn probe_round(
        &mut self,
        probed: &Probed,
        round: u32,
        deadline_ns: u64,
    ) -> Result<MraiRound, LabError> {
        // Anywhere in a timer that runs freely.
        self.pass(self.scenario.probe_phase(round)).await?;
        let first = self.pass_on(probed, Some(2), deadline_ns).await?;
        let second = self.pass_on(probed, Some(3), deadline_ns).await?;
        let withdrawal = self.pass_on(probed, None, deadline_ns).await?;
        self.pass_on(probed, Some(2), deadline_ns).await?;
        self.hear_of(probed, Some(3), deadline_ns).await?;
        let quarter = self.scenario.router.mrai.as_duration() / 4;
        self.pass(Span::from(DECISION.min(quarter))).await?;
        let behind = self.pass_on(probed, None, deadline_ns).await?;
        self.command_injector(Some(1))?;
        self.watch.disturb(clock::monotonic_ns());
        let left = deadline_ns.saturating_sub(clock::monotonic_ns());
        let left = Span::from(Duration::from_nanos(left));
        self.reach(Goal::Settled, left).await?;
        let took = |(told, passed_on): (u64, u64)| seconds(told, passed_on);
        Ok(MraiRound {
            first_announcement_s: took(first),
            second_announcement_s: took(second),
            announcement_interval_s: seconds(first.1, second.1),
            withdrawal_s: took(withdrawal),
            withdrawal_behind_announcement_s: took(behind),
        })
    }

    /// Has the injector announce a path of that many hops, or withdraw, and waits until the
    /// primary router has passed it on. Gives when it was told, and when it told.
    async fn pass_on(
        &mut self,
        probed: &Probed,
        hops: Option<usize>,
        deadline_ns: u64,
    ) -> Result<(u64, u64), LabError> {
        self.command_and_see(probed, hops, |c| c.done(), deadline_ns)
            .await
    }

    /// The same, but waits for no more than that the primary router hears of it.
    async fn hear_of(
        &mut self,
        probed: &Probed,
        hops: Option<usize>,
        deadline_ns: u64,
    ) -> Result<u64, LabError> {
        self.command_and_see(probed, hops, |c| c.told_ns, deadline_ns)
            .await
    }

    async fn command_and_see<T>(
        &mut self,
        probed: &Probed,
        hops: Option<usize>,
        seen: fn(&Change<'_>) -> Option<T>,
        deadline_ns: u64,
    ) -> Result<T, LabError> {
        let mut change = Change::begun(probed, clock::monotonic_ns(), hops.is_none());
        self.command_injector(hops)?;
        let mut samples = clock_samples();
        loop {
            if let Some(seen) = seen(&change) {
                return Ok(seen);
            }
            let left = deadline_ns.saturating_sub(clock::monotonic_ns());
            if left == 0 {
                return Err(self.not_passed_on(&change));
            }
            tokio::select! {
                Some(signal) = self.inbox.recv() => {
                    change.note(&signal);
                    self.take(signal)?;
                }
                _ = samples.tick() => self.sample_clock(),
                () = tokio::time::sleep(Duration::from_nanos(left)) => {}
            }
        }
    }

    fn not_passed_on(&mut self, change: &Change<'_>) -> LabError {
        let Probed { router, peer, .. } = change.probed;
        let what = match change.withdraws {
            true => "withdrawal",
            false => "announcement",
        };
        let missing = match change.told_ns {
            None => format!("the injector sent {router} no {what}"),
            Some(_) => format!("{router} sent {peer} no {what}"),
        };
        let deadline_s = self.scenario.deadlines.quiet.as_secs_f64();
        let message = format!(
            "the MRAI was not measured within {deadline_s} s: {missing}; look at the logs, or give it more time \
             (`deadlines: {{quiet: …}}`)"
        );
        self.find(
            FindingKind::NotConfirmed,
            Severity::Invalidating,
            &format!("{router} with {peer}"),
            message,
        );
        LabError::Deadline {
            what: "the MRAI was not measured",
            deadline_s,
            missing,
        }
    }

    /// Lets time go by, and takes signals meanwhile.
    async fn pass(&mut self, time: Span) -> Result<(), LabError> {
        let until = tokio::time::Instant::now() + time.as_duration();
        loop {
            tokio::select! {
                Some(signal) = self.inbox.recv() => self.take(signal)?,
                () = tokio::time::sleep_until(until) => return Ok(()),
            }
        }
    }

    fn command_injector(&self, hops: Option<usize>) -> Result<(), LabError> {
        let topology = &self.scenario.topology;
        let peer = topology.primary().b_addr;
        let prefix = topology.destination;
        let command = match hops {
            None => Command::Withdraw { peer, prefix },
            // A path, since MULTI_EXIT_DISC goes no further than the first AS (RFC 4271, section
            // 5.1.4), and a router need not tell of a change that its peer would not see.
            Some(hops) => Command::Announce {
                peer,
                route: Route {
                    prefix,
                    as_path: vec![topology.injector().asn; hops],
                    med: None,
                },
            },
        };
        self.injector
            .command(&command, Start::First, &super::lab_dir())
            .map_err(|source| LabError::System {
                doing: "tell the injector what to announce".to_owned(),
                source,
            })
    }
}

/// From one instant to another, seconds. The clocks of two nodes are one.
fn seconds(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e9
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use topologies::{Scenario, Strategy};

    use super::*;

    fn probed() -> Probed {
        let text = "name: x\ntopology: {kind: chain, size: 3}\nfailure: {kind: mrai-probe}\n";
        let scenario = Scenario::parse(text, "x.yaml").unwrap();
        Probed::of(&scenario.resolve(Strategy::None, 0).topology).unwrap()
    }

    fn update(way: Way, t_mono_ns: u64, withdraws: bool) -> Signal {
        Signal::Update {
            t_mono_ns,
            src: way.src,
            dst: way.dst,
            withdraws,
        }
    }

    #[test]
    fn the_primary_router_is_probed_towards_its_first_peer() {
        let probed = probed();
        assert_eq!((probed.router.as_str(), probed.peer.as_str()), ("r1", "r2"));
        assert_ne!(
            probed.to_router.dst, probed.to_peer.src,
            "links of their own"
        );
    }

    #[test]
    fn a_change_is_done_when_both_updates_were_seen_in_any_order() {
        let probed = probed();
        let mut change = Change::begun(&probed, 100, false);
        change.note(&update(probed.to_peer, 120, false));
        assert_eq!(change.done(), None);
        change.note(&update(probed.to_router, 110, false));
        change.note(&update(probed.to_router, 130, false));
        assert_eq!(change.done(), Some((110, 120)), "the first of each counts");
    }

    #[test]
    fn what_is_older_or_of_another_sort_or_elsewhere_is_not_the_change() {
        let probed = probed();
        let mut change = Change::begun(&probed, 100, true);
        let back = Way {
            src: probed.to_peer.dst,
            dst: probed.to_peer.src,
        };
        for signal in [
            update(probed.to_router, 99, true),
            update(probed.to_peer, 110, false),
            update(back, 110, true),
        ] {
            change.note(&signal);
        }
        assert_eq!((change.told_ns, change.passed_on_ns), (None, None));
    }

    #[test]
    fn an_instant_before_another_node_s_is_no_negative_time() {
        assert_eq!(seconds(2_000_000_000, 3_500_000_000), 1.5);
        assert_eq!(seconds(5, 4), 0.0);
    }
}
