//! One netlink message as what it says about the network.
//!
//! *Assumes* rtnetlink messages as Linux sends them. *Guarantees* that IPv4 routes, links,
//! IPv4 addresses and nexthop objects are told apart from everything else, and that a message
//! that cannot be understood is never mistaken for one that says nothing.
//!
//! Only what the analysis needs is taken out: link messages in particular grow new attributes
//! with every kernel, and one that a library does not know must not hide that a link went down.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_APPEND, NLM_F_REPLACE, NetlinkBuffer, NlaBuffer, NlasIterator};
use netlink_packet_core::{Parseable, parse_string, parse_u32};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressHeader, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkHeader};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop, RouteType,
    RouteVia,
};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

const IFLA_IFNAME: u16 = 3;
/// Octets of `struct ifinfomsg`.
const IFINFOMSG: usize = 16;

// linux/nexthop.h, which netlink-packet-route does not cover.
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
/// Octets of `struct nhmsg`.
const NHMSG: usize = 8;
/// Octets of `struct nexthop_grp`.
const NEXTHOP_GRP: usize = 8;

/// Whether something came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// It is there now.
    New {
        /// NLM_F_REPLACE: in place of what had the same key (for a route: table, destination,
        /// TOS and priority).
        replace: bool,
        /// NLM_F_APPEND: beside what has the same key, and after it.
        append: bool,
    },
    /// It is gone.
    Del,
}

impl Op {
    fn new(flags: u16) -> Self {
        Self::New {
            replace: flags & NLM_F_REPLACE != 0,
            append: flags & NLM_F_APPEND != 0,
        }
    }

    fn of(flags: u16, deleted: bool) -> Self {
        if deleted { Self::Del } else { Self::new(flags) }
    }

    /// Whether it is there now.
    #[must_use]
    pub fn is_new(self) -> bool {
        matches!(self, Self::New { .. })
    }
}

/// What a route does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Send it to a next hop.
    Unicast,
    /// It has arrived.
    Local,
    /// It has arrived, as a broadcast.
    Broadcast,
    /// Drop it silently.
    Blackhole,
    /// Drop it and answer "host unreachable".
    Unreachable,
    /// Drop it and answer "prohibited".
    Prohibit,
    /// Go on in the next table.
    Throw,
    /// Another `RTN_*`.
    Other(u8),
}

impl From<RouteType> for RouteKind {
    fn from(t: RouteType) -> Self {
        match t {
            RouteType::Unicast => Self::Unicast,
            RouteType::Local => Self::Local,
            RouteType::Broadcast => Self::Broadcast,
            RouteType::BlackHole => Self::Blackhole,
            RouteType::Unreachable => Self::Unreachable,
            RouteType::Prohibit => Self::Prohibit,
            RouteType::Throw => Self::Throw,
            other => Self::Other(other.into()),
        }
    }
}

/// Where a route sends packets: to a gateway, out of a device, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    /// The next router; none on a directly connected network.
    pub gateway: Option<Ipv4Addr>,
    /// Index of the device.
    pub oif: Option<u32>,
}

/// An IPv4 route that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Whether it came or went.
    pub op: Op,
    /// Flags of the netlink header, as they stand there.
    pub flags: u16,
    /// The destination; 0.0.0.0/0 for a default route.
    pub dst: Ipv4Net,
    /// Type of service that it is for; 0 for all.
    pub tos: u8,
    /// Table (254 is `main`, 255 `local`).
    pub table: u32,
    /// What it does with a packet.
    pub kind: RouteKind,
    /// Metric: among routes of one table, destination and TOS, the lowest is used.
    pub priority: u32,
    /// Who installed it (`RTPROT_*`; 2 is the kernel, 11 zebra, 186 zebra for BGP).
    pub protocol: u8,
    /// Where it sends packets: one next hop, or several in a multipath route, or none.
    pub nexthops: Vec<NextHop>,
    /// Nexthop object that it goes through. The kernel repeats the object's gateway and device
    /// in `nexthops` only while net.ipv4.nexthop_compat_mode is 1.
    pub nhid: Option<u32>,
}

/// A network device that came, changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Whether it is there.
    pub op: Op,
    /// Its index, as routes name it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// IFF_UP: somebody set it up.
    pub up: bool,
    /// IFF_RUNNING: it has carrier. Routes over a device that loses this, or IFF_UP, vanish
    /// without a message of their own.
    pub running: bool,
    /// IFF_LOWER_UP: what it stands on is up.
    pub lower_up: bool,
}

/// An IPv4 address that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether it came or went.
    pub op: Op,
    /// Index of its device.
    pub index: u32,
    /// The node's own address and the prefix length on its link.
    pub address: Ipv4Net,
}

/// A nexthop object or group that came, changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NexthopObject {
    /// Whether it is there.
    pub op: Op,
    /// Its number, as routes name it.
    pub id: u32,
    /// Gateway and device.
    pub nexthop: NextHop,
    /// It drops packets.
    pub blackhole: bool,
    /// Members, if it is a group.
    pub group: Vec<u32>,
}

/// What one netlink message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An IPv4 route.
    Route(Route),
    /// A network device.
    Link(Link),
    /// An IPv4 address.
    Address(Address),
    /// A nexthop object, IPv4 or a group.
    Nexthop(NexthopObject),
    /// Anything else, by its netlink message type: other address families too.
    Other(u16),
}

/// What one raw netlink message says; `None` if it is damaged, or an IPv4 route by way of an
/// IPv6 next hop (RFC 8950), which this format does not know. Trailing padding is allowed.
#[must_use]
pub fn parse(message: &[u8]) -> Option<Record> {
    let header = NetlinkBuffer::new_checked(message).ok()?;
    let (kind, flags, body) = (header.message_type(), header.flags(), header.payload());
    match kind {
        RTM_NEWROUTE | RTM_DELROUTE => {
            parse_route(Op::of(flags, kind == RTM_DELROUTE), flags, kind, body)
        }
        RTM_NEWLINK | RTM_DELLINK => parse_link(Op::of(flags, kind == RTM_DELLINK), kind, body),
        RTM_NEWADDR | RTM_DELADDR => parse_address(Op::of(flags, kind == RTM_DELADDR), kind, body),
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => {
            parse_nexthop(Op::of(flags, kind == RTM_DELNEXTHOP), kind, body)
        }
        other => Some(Record::Other(other)),
    }
}

fn parse_route(op: Op, flags: u16, kind: u16, body: &[u8]) -> Option<Record> {
    let header = RouteHeader::parse(body).ok()?;
    // A cloned route is a cache entry, not part of a table.
    if header.address_family != AddressFamily::Inet || header.flags.contains(RouteFlags::Cloned) {
        return Some(Record::Other(kind));
    }
    let message = RouteMessage::parse(body).ok()?;
    let mut route = Route {
        op,
        flags,
        dst: Ipv4Net::new(Ipv4Addr::UNSPECIFIED, header.destination_prefix_length).ok()?,
        tos: header.tos,
        table: u32::from(header.table),
        kind: header.kind.into(),
        priority: 0,
        protocol: header.protocol.into(),
        nexthops: Vec::new(),
        nhid: None,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(a)) => {
                route.dst = Ipv4Net::new(*a, header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Table(t) => route.table = *t,
            RouteAttribute::Priority(p) => route.priority = *p,
            RouteAttribute::NhId(id) => route.nhid = Some(*id),
            RouteAttribute::MultiPath(hops) => {
                for hop in hops {
                    route.nexthops.push(path(hop)?);
                }
            }
            _ => {}
        }
    }
    if route.nexthops.is_empty() {
        let hop = next_hop(&message.attributes)?;
        if hop.gateway.is_some() || hop.oif.is_some() {
            route.nexthops.push(hop);
        }
    }
    Some(Record::Route(route))
}

/// One path of a multipath route.
fn path(hop: &RouteNextHop) -> Option<NextHop> {
    Some(NextHop {
        oif: Some(hop.interface_index),
        ..next_hop(&hop.attributes)?
    })
}

/// Gateway and device among a route's attributes; `None` if the gateway is not an IPv4 one.
fn next_hop(attributes: &[RouteAttribute]) -> Option<NextHop> {
    let mut hop = NextHop {
        gateway: None,
        oif: None,
    };
    for attribute in attributes {
        match attribute {
            RouteAttribute::Oif(i) => hop.oif = Some(*i),
            RouteAttribute::Gateway(RouteAddress::Inet(a))
            | RouteAttribute::Via(RouteVia::Inet(a)) => hop.gateway = Some(*a),
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => return None,
            _ => {}
        }
    }
    Some(hop)
}

fn parse_link(op: Op, kind: u16, body: &[u8]) -> Option<Record> {
    let header = LinkHeader::parse(body).ok()?;
    // AF_BRIDGE messages tell of a bridge's port, not of the device.
    if header.interface_family != AddressFamily::Unspec {
        return Some(Record::Other(kind));
    }
    let mut name = None;
    for attribute in attributes(&body[IFINFOMSG..]) {
        let attribute = attribute?;
        if attribute.kind() == IFLA_IFNAME {
            name = Some(parse_string(attribute.value()).ok()?);
        }
    }
    Some(Record::Link(Link {
        op,
        index: header.index,
        name: name?,
        up: header.flags.contains(LinkFlags::Up),
        running: header.flags.contains(LinkFlags::Running),
        lower_up: header.flags.contains(LinkFlags::LowerUp),
    }))
}

fn parse_address(op: Op, kind: u16, body: &[u8]) -> Option<Record> {
    let header = AddressHeader::parse(body).ok()?;
    if header.family != AddressFamily::Inet {
        return Some(Record::Other(kind));
    }
    let message = AddressMessage::parse(body).ok()?;
    // IFA_LOCAL is the node's own address; IFA_ADDRESS is the peer's where both are given.
    let find = |local: bool| {
        message.attributes.iter().find_map(|a| match a {
            AddressAttribute::Local(std::net::IpAddr::V4(a)) if local => Some(*a),
            AddressAttribute::Address(std::net::IpAddr::V4(a)) if !local => Some(*a),
            _ => None,
        })
    };
    let own = find(true).or_else(|| find(false))?;
    Some(Record::Address(Address {
        op,
        index: header.index,
        address: Ipv4Net::new(own, header.prefix_len).ok()?,
    }))
}

fn parse_nexthop(op: Op, kind: u16, body: &[u8]) -> Option<Record> {
    let header = body.first_chunk::<NHMSG>()?;
    // A group has no family of its own.
    if ![AddressFamily::Unspec, AddressFamily::Inet].contains(&AddressFamily::from(header[0])) {
        return Some(Record::Other(kind));
    }
    let mut id = None;
    let mut hop = NextHop {
        gateway: None,
        oif: None,
    };
    let mut blackhole = false;
    let mut group = Vec::new();
    for attribute in attributes(&body[NHMSG..]) {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            NHA_ID => id = Some(parse_u32(value).ok()?),
            NHA_OIF => hop.oif = Some(parse_u32(value).ok()?),
            NHA_GATEWAY => hop.gateway = Some(Ipv4Addr::from(*value.as_array::<4>()?)),
            NHA_BLACKHOLE => blackhole = true,
            NHA_GROUP => {
                for member in value.chunks_exact(NEXTHOP_GRP) {
                    group.push(parse_u32(&member[..4]).ok()?);
                }
            }
            _ => {}
        }
    }
    Some(Record::Nexthop(NexthopObject {
        op,
        id: id?,
        nexthop: hop,
        blackhole,
        group,
    }))
}

/// The attributes that follow a message's fixed header; `None` where they are damaged.
fn attributes(body: &[u8]) -> impl Iterator<Item = Option<NlaBuffer<&[u8]>>> {
    NlasIterator::new(body).map(Result::ok)
}
