//! One run's network as a picture: the routers on a circle, the injector outside of it, as in
//! Surton (2014), figures 6 and 10.

use std::collections::HashMap;
use std::f64::consts::{PI, TAU};
use std::fmt::Write;

use crate::graph::router_index;
use crate::kinds::TopologyKind;
use crate::resolved::ResolvedScenario;
use crate::topology::{Link, LinkRole, NodeRole};

/// Radius of a router, user units (pixels at 96 dpi).
const ROUTER_R: f64 = 17.0;
/// Shortest distance of neighbours on the circle.
const SPACING: f64 = 54.0;
/// From the circle to the injector, and from the injector to the destination.
const GAP: f64 = 84.0;
const MARGIN: f64 = 14.0;

type Point = (f64, f64);

/// The network as an SVG document; lengths in pixels.
#[must_use]
pub fn svg(run: &ResolvedScenario) -> String {
    let layout = Layout::of(run);
    let t = &run.topology;
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0}" height="{h:.0}" viewBox="0 0 {w:.0} {h:.0}" font-family="Helvetica, Arial, sans-serif" font-size="11" text-anchor="middle">"#,
        w = layout.width,
        h = layout.height
    );
    let _ = writeln!(
        out,
        "<title>{}: {} of {}</title>",
        run.scenario, run.topology_kind, run.size
    );
    out.push_str("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");

    // Peerings first: what matters is drawn over them.
    for link in t.links.iter().rev() {
        draw_link(&mut out, &layout, link);
    }
    let injector = layout.at[&t.injector().name];
    let target = (injector.0, injector.1 - 52.0);
    line(
        &mut out,
        injector,
        target,
        "stroke=\"black\" stroke-width=\"1\"",
    );
    label(
        &mut out,
        (target.0, target.1 - 5.0),
        &t.destination.to_string(),
        "",
    );

    for node in &t.nodes {
        let (x, y) = layout.at[&node.name];
        match node.role {
            NodeRole::Router => {
                let heavy = [Some(t.primary()), t.backup()]
                    .into_iter()
                    .flatten()
                    .any(|l| l.b == node.name);
                let _ = writeln!(
                    out,
                    r#"<circle cx="{x:.1}" cy="{y:.1}" r="{ROUTER_R}" fill="white" stroke="black" stroke-width="{}"><title>{}: AS {}, router id {}</title></circle>"#,
                    if heavy { 2.4 } else { 1.2 },
                    node.name,
                    node.asn,
                    node.router_id
                );
                label(&mut out, (x, y + 4.0), &node.name, "");
            }
            NodeRole::Injector => {
                let _ = writeln!(
                    out,
                    r#"<rect x="{:.1}" y="{:.1}" width="72" height="34" fill="white" stroke="black" stroke-width="2.4"/>"#,
                    x - 36.0,
                    y - 17.0
                );
                label(&mut out, (x, y - 2.0), &node.name, "");
                label(
                    &mut out,
                    (x, y + 11.0),
                    &format!("AS {}", node.asn),
                    " font-size=\"9\"",
                );
            }
        }
    }
    legend(&mut out, run, &layout);
    out.push_str("</svg>\n");
    out
}

struct Layout {
    at: HashMap<String, Point>,
    centre: Point,
    width: f64,
    height: f64,
}

impl Layout {
    fn of(run: &ResolvedScenario) -> Self {
        let t = &run.topology;
        let star = run.topology_kind == TopologyKind::Star;
        // The hub of a star stands in the middle, the others around it.
        let on_circle = run.size - usize::from(star);
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
            height: centre.1 + radius + ROUTER_R + MARGIN + 42.0,
        }
    }
}

impl Layout {
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

fn distance(a: Point, b: Point) -> f64 {
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

const PRIMARY: &str = "stroke=\"black\" stroke-width=\"3\"";
const BACKUP: &str = "stroke=\"black\" stroke-width=\"2\" stroke-dasharray=\"7 4\"";
const PEERING: &str = "stroke=\"#888\" stroke-width=\"0.7\"";

fn draw_link(out: &mut String, layout: &Layout, link: &Link) {
    let (a, b) = (layout.at[&link.a], layout.at[&link.b]);
    let (style, name) = match link.role {
        LinkRole::Primary => (PRIMARY, "primary"),
        LinkRole::Backup => (BACKUP, "backup"),
        LinkRole::Peering => return line(out, a, b, PEERING),
    };
    // Straight, or bent outwards where another router stands in the way.
    let bend = if layout.is_clear(a, b) {
        on_curve(a, a, b, 0.5)
    } else {
        layout.outside(b)
    };
    let _ = writeln!(
        out,
        r#"<path d="M{:.1} {:.1}Q{:.1} {:.1} {:.1} {:.1}" fill="none" {style}/>"#,
        a.0, a.1, bend.0, bend.1, b.0, b.1
    );
    // Near the injector, where nothing else is, and on the outer side.
    let near = (1..20)
        .map(|t| on_curve(a, bend, b, f64::from(t) / 20.0))
        .find(|p| distance(*p, a) > 42.0)
        .unwrap_or(bend);
    let (dx, anchor) = if b.0 < a.0 {
        (-7.0, "end")
    } else {
        (7.0, "start")
    };
    label(
        out,
        (near.0 + dx, near.1 + 4.0),
        name,
        &format!(" text-anchor=\"{anchor}\""),
    );
}

/// The point of a quadratic curve at `t` in 0..1.
fn on_curve(a: Point, bend: Point, b: Point, t: f64) -> Point {
    let at = |a: f64, m: f64, b: f64| (1.0 - t).powi(2) * a + 2.0 * t * (1.0 - t) * m + t * t * b;
    (at(a.0, bend.0, b.0), at(a.1, bend.1, b.1))
}

fn legend(out: &mut String, run: &ResolvedScenario, layout: &Layout) {
    let y = layout.height - 34.0;
    let title = format!("{} ({} of {})", run.scenario, run.topology_kind, run.size);
    label(
        out,
        (layout.width / 2.0, y),
        &title,
        " font-weight=\"bold\"",
    );
    let about = format!(
        "failure {}, MRAI {}{}",
        run.failure.kind,
        run.router.mrai,
        run.topology.backup().map_or(String::new(), |_| format!(
            ", backup path of {} ASNs",
            run.injector.backup_path_length
        ))
    );
    label(out, (layout.width / 2.0, y + 16.0), &about, "");
}

fn line(out: &mut String, a: Point, b: Point, style: &str) {
    let _ = writeln!(
        out,
        r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" {style}/>"#,
        a.0, a.1, b.0, b.1
    );
}

/// Names have no characters that XML would need escaped; see [`crate::scenario`].
fn label(out: &mut String, at: Point, words: &str, more: &str) {
    let _ = writeln!(
        out,
        r#"<text x="{:.1}" y="{:.1}"{more}>{words}</text>"#,
        at.0, at.1
    );
}
