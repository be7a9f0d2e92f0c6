//! Where the nodes of a network stand in a picture: the routers on a circle, the injector outside of
//! it, as in Surton (2014), figures 6 and 10.
//!
//! *Assumes* a topology whose links join its nodes. *Guarantees* a place for every node, and equal
//! places for equal topologies.

use std::collections::HashMap;
use std::f64::consts::{PI, TAU};

use crate::graph::router_index;
use crate::topology::{Link, LinkRole, Topology};

/// Radius of a router, user units (pixels at 96 dpi).
pub const ROUTER_R: f64 = 17.0;
/// Shortest distance of neighbours on the circle.
const SPACING: f64 = 54.0;
/// From the circle to the injector, and from the injector to the destination.
const GAP: f64 = 84.0;
const MARGIN: f64 = 14.0;

/// A place in a picture: to the right, and down.
pub type Point = (f64, f64);

/// The places of a network's nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// By name of the node.
    pub at: HashMap<String, Point>,
    /// The middle of the circle.
    pub centre: Point,
    /// Width of the picture.
    pub width: f64,
    /// Height of the picture.
    pub height: f64,
}

impl Layout {
    /// Places the nodes of a network; the first router of a star in the middle.
    ///
    /// # Panics
    /// If the network lacks what every resolved one has: an injector and a primary link.
    #[must_use]
    pub fn of(t: &Topology, star: bool) -> Self {
        // The hub of a star stands in the middle, the others around it.
        let on_circle = t.routers().count() - usize::from(star);
        let radius = (on_circle as f64 * SPACING / TAU).max(80.0);
        let slot =
            |name: &str| router_index(name).unwrap_or(0) as f64 - if star { 1.0 } else { 0.0 };
        // The injector is at the top; its routers face it. A hub is faced between two leaves.
        let facing = match t.backup() {
            _ if star => 0.5,
            Some(b) => middle(slot(&t.primary().b), slot(&b.b), on_circle as f64),
            None => slot(&t.primary().b),
        };
        let half = (radius + ROUTER_R).max(150.0) + MARGIN;
        let centre = (half, MARGIN + 24.0 + 52.0 + GAP + radius);
        let mut at: HashMap<String, Point> = HashMap::new();
        for node in t.routers() {
            let i = slot(&node.name);
            let angle = -PI / 2.0 + TAU * (i - facing) / on_circle as f64;
            let place = if i < 0.0 {
                centre
            } else {
                (
                    centre.0 + radius * angle.cos(),
                    centre.1 + radius * angle.sin(),
                )
            };
            at.insert(node.name.clone(), place);
        }
        at.insert(
            t.injector().name.clone(),
            (centre.0, centre.1 - radius - GAP),
        );
        Self {
            at,
            centre,
            width: 2.0 * half,
            height: centre.1 + radius + ROUTER_R + MARGIN,
        }
    }

    /// The control point of a link that is drawn bent, outwards, because another router stands in its
    /// way; none if it is drawn straight.
    #[must_use]
    pub fn bend(&self, link: &Link) -> Option<Point> {
        let (a, b) = (*self.at.get(&link.a)?, *self.at.get(&link.b)?);
        (link.role != LinkRole::Peering && !self.is_clear(a, b)).then(|| self.outside(b))
    }

    /// Whether no other node touches the straight line.
    fn is_clear(&self, a: Point, b: Point) -> bool {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length2 = dx * dx + dy * dy;
        self.at.values().filter(|p| **p != a && **p != b).all(|p| {
            let t = ((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length2;
            let nearest = (a.0 + t.clamp(0.0, 1.0) * dx, a.1 + t.clamp(0.0, 1.0) * dy);
            distance(*p, nearest) > ROUTER_R + 4.0
        })
    }

    /// The point beyond a router as seen from the centre, as far out as the injector.
    fn outside(&self, router: Point) -> Point {
        let (dx, dy) = (router.0 - self.centre.0, router.1 - self.centre.1);
        let r = dx.hypot(dy);
        if r < 1.0 {
            return router;
        }
        let far = 1.0 + GAP / r;
        (self.centre.0 + dx * far, self.centre.1 + dy * far)
    }
}

/// How far two places are from one another.
pub(super) fn distance(a: Point, b: Point) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// The slot halfway between two of a circle of `n`, on the shorter way.
fn middle(a: f64, b: f64, n: f64) -> f64 {
    let forward = (b - a).rem_euclid(n);
    if forward <= n / 2.0 {
        a + forward / 2.0
    } else {
        b + (n - forward) / 2.0
    }
}
