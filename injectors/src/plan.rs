//! What an injector announces, to whom, in one of its starts: the same for every implementation.
//!
//! *Assumes* a resolved scenario. *Guarantees* a pure result, equal in all arms but for the
//! withdrawal that the arm `graceful-restart-withdraw` is about.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use topologies::{FailureKind, Filler, LinkRole, ResolvedScenario, Strategy};

use crate::Start;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The prefix.
    pub prefix: Ipv4Net,
    /// AS path to send verbatim; empty: the speaker's own number alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub as_path: Vec<u32>,
    /// MULTI_EXIT_DISC (RFC 4271, section 5.1.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub med: Option<u32>,
}

/// A command to an injector that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Announce a route, in place of what was announced of its prefix.
    Announce {
        /// To whom.
        peer: Ipv4Addr,
        /// The route.
        route: Route,
    },
    /// Withdraw a prefix.
    Withdraw {
        /// From whom.
        peer: Ipv4Addr,
        /// The prefix.
        prefix: Ipv4Net,
    },
}

/// What one peer is told once its session is up: the withdrawal, the destination, the filler,
/// End-of-RIB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerPlan {
    /// What is withdrawn before anything is announced; null: nothing.
    pub withdraw: Option<Ipv4Net>,
    /// The destination, and the AS path to announce it with; null: not announced.
    pub destination: Option<Route>,
    /// The filler that follows it, at its `rate_per_s`; null: none.
    pub filler: Option<Filler>,
}

/// Everything that one start of an injector announces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncementPlan {
    /// By peer address.
    pub peers: BTreeMap<Ipv4Addr, PeerPlan>,
}

impl AnnouncementPlan {
    /// The plan of one start.
    ///
    /// After a correlated failure the primary hears no more of the destination: its data path is
    /// lost for good. The filler is there before the failure, and after the restart again, in
    /// every arm alike: which of it has to be told anew is the injector's matter.
    #[must_use]
    pub fn new(scenario: &ResolvedScenario, start: Start) -> Self {
        let topology = &scenario.topology;
        let injector = topology.injector();
        let lost = start == Start::Restart && scenario.failure.kind == FailureKind::Correlated;
        let withdraws = lost && scenario.strategy == Strategy::GracefulRestartWithdraw;
        let filler = scenario.injector.filler.map(|filler| Filler {
            rate_per_s: match start {
                Start::First => filler.initial_rate_per_s,
                Start::Restart => filler.rate_per_s,
            },
            ..filler
        });
        let peers = topology.ends(&injector.name).map(|end| {
            let primary = end.role == LinkRole::Primary;
            let as_path = if primary {
                Vec::new()
            } else {
                vec![injector.asn; scenario.injector.backup_path_length]
            };
            let route = Route {
                prefix: topology.destination,
                as_path,
                med: None,
            };
            let plan = PeerPlan {
                withdraw: (primary && withdraws).then_some(topology.destination),
                destination: (!(primary && lost)).then_some(route),
                filler: filler.filter(|_| primary),
            };
            (end.peer_addr, plan)
        });
        AnnouncementPlan {
            peers: peers.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use topologies::Scenario;

    use super::*;

    fn plans(failure: &str, strategy: Strategy) -> [AnnouncementPlan; 2] {
        let text = format!(
            "name: x\ntopology: {{kind: b-clique, size: 3}}\nfailure: {{kind: {failure}}}\n\
             injector: {{filler: {{count: 20, rate: 10}}}}\n"
        );
        let scenario = Scenario::parse(&text, "x.yaml").expect("it is valid");
        let run = scenario.resolve(strategy, 0);
        [Start::First, Start::Restart].map(|start| AnnouncementPlan::new(&run, start))
    }

    /// What is announced, however fast.
    fn routes(plan: &AnnouncementPlan) -> Vec<(Option<&Route>, Option<Ipv4Net>, Vec<Ipv4Net>)> {
        let filler = |p: &PeerPlan| p.filler.map_or_else(Vec::new, |f| f.prefixes().collect());
        let peers = plan.peers.values();
        peers
            .map(|p| (p.destination.as_ref(), p.withdraw, filler(p)))
            .collect()
    }

    /// A lab is reused on the strength of this.
    #[test]
    fn after_a_control_failure_the_injector_announces_what_it_did_before() {
        for strategy in Strategy::ALL {
            let [first, restart] = plans("control", strategy);
            assert_eq!(routes(&first), routes(&restart), "{strategy}");
            let [first, restart] = plans("correlated", strategy);
            assert_ne!(routes(&first), routes(&restart), "{strategy}");
        }
    }
}
