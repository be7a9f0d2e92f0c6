//! The bed: hosts joined by wires, each a network namespace, for tests and measurements.
//!
//! *Assumes* that unprivileged user namespaces are allowed, and the programs `ip`, `tc` and `nft`.
//! *Guarantees* real TCP at both ends without privilege, and that nothing of it outlives the
//! process that made it, however that one ends.
//!
//! A process that wants a bed executes itself again through an [`Entrance`]; the copy, for which
//! [`inside`] is true, makes hosts with [`pair`] or [`routed`].

mod entrance;
mod host;
mod served;
mod wire;

pub use entrance::{Entrance, EntranceError, inside};
pub use host::{Host, Throwaway};
pub use served::{Served, ServedError};
pub use wire::{BedError, Pair, Routed, Wire, pair, routed};
