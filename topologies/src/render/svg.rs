//! One run's network as a picture: the routers on a circle, the injector outside of it, as in
//! Surton (2014), figures 6 and 10.

use std::fmt::Write;

use super::layout::{Layout, Point, ROUTER_R, distance};
use crate::kinds::TopologyKind;
use crate::resolved::ResolvedScenario;
use crate::topology::{Link, LinkRole, NodeRole};

/// Below the network, room for two lines of words.
const LEGEND: f64 = 42.0;

/// The network as an SVG document; lengths in pixels.
#[must_use]
pub fn svg(run: &ResolvedScenario) -> String {
    let t = &run.topology;
    let layout = Layout::of(t, run.topology_kind == TopologyKind::Star);
    let height = layout.height + LEGEND;
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0}" height="{h:.0}" viewBox="0 0 {w:.0} {h:.0}" font-family="Helvetica, Arial, sans-serif" font-size="11" text-anchor="middle">"#,
        w = layout.width,
        h = height
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
    legend(&mut out, run, &layout, height);
    out.push_str("</svg>\n");
    out
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
    let straight = || on_curve(a, a, b, 0.5);
    let bend = layout.bend(link).unwrap_or_else(straight);
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

fn legend(out: &mut String, run: &ResolvedScenario, layout: &Layout, height: f64) {
    let y = height - 34.0;
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
