//! The core with one wrong decision, or none.

use tcpr_core::{Conduct, Mutation};

/// Which decision is wrong, if any. Known at run time only, so that one build checks them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mutant(pub Option<Mutation>);

impl Mutant {
    /// The core as it ships.
    pub const SOUND: Mutant = Mutant(None);
}

impl Conduct for Mutant {
    fn has(self, mutation: Mutation) -> bool {
        self.0 == Some(mutation)
    }
}
