//! One run's network for the eye: as text, as DOT, as SVG.
//!
//! *Assumes* a resolved scenario. *Guarantees* output that depends on it alone, and in which the
//! primary and the backup link are told apart without colour.

mod dot;
mod layout;
mod svg;
mod text;

pub use dot::dot;
pub use layout::{Layout, Point, ROUTER_R};
pub use svg::svg;
pub use text::text;

use crate::topology::LinkRole;

/// The word for a link's role.
const fn role_name(role: LinkRole) -> &'static str {
    match role {
        LinkRole::Primary => "primary",
        LinkRole::Backup => "backup",
        LinkRole::Peering => "peering",
    }
}
