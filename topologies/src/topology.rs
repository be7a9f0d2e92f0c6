//! The resolved network: nodes and links with their names, AS numbers and addresses.
//!
//! *Assumes* nothing of the machine. *Guarantees* that every node name is unique and at most 12
//! octets, that every link joins two existing nodes with the two addresses of one /31
//! (RFC 3021), and that the same scenario and seed give the same value, octet for octet.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// What a node is in the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// A BGP router under test.
    Router,
    /// The BGP speaker outside the clique that announces the destination and is made to fail.
    Injector,
}

/// What a link is in the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkRole {
    /// Injector to the router that hears the destination with the short AS path.
    Primary,
    /// Injector to the router that hears the destination with the inflated AS path.
    Backup,
    /// Router to router.
    Peering,
}

/// One node of the lab: a network namespace with a BGP speaker in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Unique name, also the name of the namespace: `r1`, `r2`, ..., `injector`.
    pub name: String,
    /// Router or injector.
    pub role: NodeRole,
    /// Autonomous System number (RFC 6996 private range).
    pub asn: u32,
    /// BGP Identifier (RFC 4271, section 4.2).
    pub router_id: Ipv4Addr,
    /// All addresses of the node, without prefix length: one per link, in link order, and for
    /// the injector the destination's own address last.
    pub addresses: Vec<Ipv4Addr>,
}

/// One point-to-point link (a veth pair), with a BGP session over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Name of the node at one end; for `primary` and `backup` links the injector.
    pub a: String,
    /// Name of the node at the other end.
    pub b: String,
    /// Address of `a` on this link (/31).
    pub a_addr: Ipv4Addr,
    /// Address of `b` on this link (/31).
    pub b_addr: Ipv4Addr,
    /// Name of the network device in `a`.
    pub a_dev: String,
    /// Name of the network device in `b`.
    pub b_dev: String,
    /// What the link is for.
    pub role: LinkRole,
}

/// One end of a link, as the node at that end sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkEnd<'a> {
    /// Network device of this node.
    pub dev: &'a str,
    /// This node's address.
    pub addr: Ipv4Addr,
    /// Name of the neighbour.
    pub peer: &'a str,
    /// The neighbour's address.
    pub peer_addr: Ipv4Addr,
    /// What the link is for.
    pub role: LinkRole,
}

/// The network of one lab. Written to each run directory as `topology.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The prefix that the injector announces and whose reachability is measured.
    pub destination: Ipv4Net,
    /// All nodes; the injector is last.
    pub nodes: Vec<Node>,
    /// All links; the primary comes first, then the backup if there is one, then the peerings.
    pub links: Vec<Link>,
}

impl Topology {
    /// The node of that name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// The injector.
    ///
    /// # Panics
    /// If there is none, which `resolve` never produces.
    #[must_use]
    pub fn injector(&self) -> &Node {
        self.nodes
            .iter()
            .find(|n| n.role == NodeRole::Injector)
            .expect("a resolved topology has an injector")
    }

    /// The routers, in order.
    pub fn routers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.role == NodeRole::Router)
    }

    /// The link over which the injector announces the destination with the short AS path.
    ///
    /// # Panics
    /// If there is none, which `resolve` never produces.
    #[must_use]
    pub fn primary(&self) -> &Link {
        self.links
            .iter()
            .find(|l| l.role == LinkRole::Primary)
            .expect("a resolved topology has a primary link")
    }

    /// The link over which the injector announces the destination with the inflated AS path.
    #[must_use]
    pub fn backup(&self) -> Option<&Link> {
        self.links.iter().find(|l| l.role == LinkRole::Backup)
    }

    /// The ends of all links at the node of that name, in link order.
    pub fn ends<'a>(&'a self, name: &'a str) -> impl Iterator<Item = LinkEnd<'a>> {
        self.links.iter().filter_map(move |l| {
            if l.a == name {
                Some(LinkEnd {
                    dev: &l.a_dev,
                    addr: l.a_addr,
                    peer: &l.b,
                    peer_addr: l.b_addr,
                    role: l.role,
                })
            } else if l.b == name {
                Some(LinkEnd {
                    dev: &l.b_dev,
                    addr: l.b_addr,
                    peer: &l.a,
                    peer_addr: l.a_addr,
                    role: l.role,
                })
            } else {
                None
            }
        })
    }

    /// The address inside the destination prefix that the injector owns: its first host address.
    #[must_use]
    pub fn destination_address(&self) -> Ipv4Addr {
        let first = u32::from(self.destination.network());
        Ipv4Addr::from(if self.destination.prefix_len() >= 31 {
            first
        } else {
            first + 1
        })
    }

    /// Number of BGP session ends whose log is ours to read: both ends of every peering, and the
    /// router's end of each link to the injector.
    #[must_use]
    pub fn router_session_ends(&self) -> usize {
        self.links
            .iter()
            .map(|l| if l.role == LinkRole::Peering { 2 } else { 1 })
            .sum()
    }
}
