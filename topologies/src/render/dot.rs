//! One run's network in the language of Graphviz.

use std::fmt::Write;

use super::role_name;
use crate::resolved::ResolvedScenario;
use crate::topology::{LinkRole, NodeRole};

/// The network as an undirected DOT graph: `dot -Tpdf` (its own layout is `circo`).
#[must_use]
pub fn dot(run: &ResolvedScenario) -> String {
    let t = &run.topology;
    let mut out = String::new();
    let _ = writeln!(out, "graph {:?} {{", run.scenario);
    out.push_str("  layout=circo; outputorder=edgesfirst;\n  node [shape=circle, style=filled, fillcolor=white, fontname=\"sans-serif\"];\n");
    out.push_str("  edge [color=gray50, fontname=\"sans-serif\", fontsize=10];\n");
    for n in &t.nodes {
        let shape = match n.role {
            NodeRole::Router => "",
            NodeRole::Injector => ", shape=box, penwidth=3",
        };
        let _ = writeln!(
            out,
            "  {:?} [label=\"{}\\nAS {}\", tooltip=\"router id {}\"{shape}];",
            n.name, n.name, n.asn, n.router_id
        );
    }
    for l in &t.links {
        // In a clique a label on each of the peerings would hide the picture: those have tooltips.
        let style = match l.role {
            LinkRole::Primary => ", label=\"primary\", color=black, penwidth=3",
            LinkRole::Backup => ", label=\"backup\", color=black, penwidth=2, style=dashed",
            LinkRole::Peering => "",
        };
        let _ = writeln!(
            out,
            "  {:?} -- {:?} [tooltip=\"{}: {} {} - {} {}\"{style}];",
            l.a,
            l.b,
            role_name(l.role),
            l.a,
            l.a_addr,
            l.b,
            l.b_addr
        );
    }
    out.push_str("}\n");
    out
}
