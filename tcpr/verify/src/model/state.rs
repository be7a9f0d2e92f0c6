//! One state of everything: application, local TCPs, core, network and peer.
//!
//! *Assumes* that time stands still: what the core does late it may do at any time.
//! *Guarantees* that two states that are equal behave alike from then on.

use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use tcpr_core::{Pattern, Tcpr};

use super::application::Application;
use super::config::{Config, Opening};
use super::local::{Local, Stage};
use super::network::Network;
use super::peer::Peer;
use super::segment::FLOW;
use super::violation::Wrong;
use super::wire::Wire;
use crate::Mutant;

/// When everything happens.
pub(super) const NOW: Duration = Duration::from_secs(1);
/// Longer than anything here lasts.
const LONG: Duration = Duration::from_secs(1_000_000);

/// A hash that is the same in every run.
pub(super) fn fingerprint(value: &impl Hash) -> u64 {
    RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
}

/// The core, which most steps leave as it is.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<(Tcpr<Mutant>, u64)>);

impl Shared {
    pub(super) fn new(core: Tcpr<Mutant>) -> Shared {
        let fingerprint = fingerprint(&core);
        Shared(Arc::new((core, fingerprint)))
    }
}

impl Deref for Shared {
    type Target = Tcpr<Mutant>;

    fn deref(&self) -> &Tcpr<Mutant> {
        &self.0.0
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Shared) -> bool {
        self.0.0 == other.0.0
    }
}

impl Eq for Shared {}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.1.hash(hasher);
    }
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) core: Shared,
    /// What the core has asked to hold.
    pub(super) held: Network,
    pub(super) application: Application,
    pub(super) local: Option<Local>,
    /// A local TCP that is thought dead, and sends.
    pub(super) zombie: Option<Local>,
    pub(super) to_peer: Network,
    pub(super) from_peer: Network,
    pub(super) peer: Peer,
    pub(super) wire: Wire,
    // What may still go wrong.
    pub(super) deaths: u8,
    pub(super) losses: u8,
    pub(super) slips: u8,
    /// The peer has sent again what nobody takes. Once is enough: the core counts how often, and
    /// nothing else comes of it.
    pub(super) unheeded: bool,
    /// What should not have been.
    pub(super) wrong: Option<Wrong>,
}

/// A core that knows nothing yet.
pub(super) fn fresh_core(config: &Config, conduct: Mutant) -> Tcpr<Mutant> {
    let mut core = Tcpr::with_conduct(tcpr_core::Config::default(), conduct);
    core.protect(match config.opening {
        Opening::Active => Pattern::Flow(FLOW),
        Opening::Passive => Pattern::Local(FLOW.local),
    });
    core
}

/// A core that takes the place of one that was lost.
pub(super) fn successor(config: &Config, conduct: Mutant) -> Tcpr<Mutant> {
    let mut core = fresh_core(config, conduct);
    core.quarantine(NOW + LONG);
    core
}

impl State {
    pub(super) fn new(config: &Config, conduct: Mutant) -> State {
        let stage = match config.opening {
            Opening::Active => Stage::SynSent,
            Opening::Passive => Stage::Listening,
        };
        State {
            core: Shared::new(fresh_core(config, conduct)),
            held: Network::default(),
            application: Application::new(),
            // It writes when it is registered.
            local: Some(Local::new(stage, 0, 0, 0, config.window)),
            zombie: None,
            to_peer: Network::default(),
            from_peer: Network::default(),
            peer: Peer::new(config),
            wire: Wire::new(config),
            deaths: config.deaths,
            losses: config.losses,
            slips: config.slips,
            unheeded: false,
            wrong: None,
        }
    }

    /// Whether everything has been sent and received, and both ends know it.
    pub(super) fn is_done(&self, config: &Config) -> bool {
        use super::application::Progress;
        let ends = i64::from(config.closing);
        let peer = self.peer.received() == config.ours + ends
            && self.peer.acknowledged() == config.peers + ends;
        let local = self.local.as_ref();
        let application = match self.application.progress {
            Progress::Done => local.is_none_or(Local::all_acknowledged),
            Progress::Running => {
                !config.closing
                    && self.application.checkpoint() == config.peers
                    && local.is_some_and(|local| local.is_established() && local.all_acknowledged())
            }
            _ => false,
        };
        peer && application && self.wrong.is_none()
    }
}
