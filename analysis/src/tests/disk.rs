//! Campaigns on disk, octet for octet as recorders write them, from frames made by hand.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use results::rtmon;
use results::{
    CampaignDir, Clock, Event, EventKind, Host, LinkRef, Manifest, Phase, RecorderStats, RunDir,
    SCHEMA_VERSION, Status,
};
use topologies::{Cell, FailureKind, NodeRole, Strategy, Topology};

use crate::frame::{Frame, Install, Route, RouteKind, TableRecord};

/// The failure, CLOCK_MONOTONIC; far from 0, as on any machine.
pub(crate) const T0_MONO_NS: u64 = 86_400_000_000_000;
const CLOCK: Clock = Clock {
    wall_minus_mono_ns: 1_700_000_000_000_000_000,
};

/// An empty campaign in a folder of its own.
pub(crate) fn campaign(parent: &Path) -> CampaignDir {
    CampaignDir::create(parent.join("campaign"), "schema: 1\n").unwrap()
}

/// A manifest of a complete run that nothing was found in.
pub(crate) fn manifest(topology: &Topology, strategy: Strategy, run_index: u32) -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: format!("{strategy}-{run_index:04}"),
        address: None,
        attempt: 1,
        scenario: "by-hand".to_owned(),
        cell: Cell::default(),
        topology: "clique".to_owned(),
        size: topology.routers().count(),
        failure: FailureKind::Control,
        strategy,
        run_index,
        seed: 1,
        failure_phase_s: 0.5,
        router: "FRRouting".to_owned(),
        router_version: "8.4.4".to_owned(),
        injector: "ExaBGP".to_owned(),
        injector_version: "4.2.21".to_owned(),
        mrai_s: 5.0,
        realised_mrai: None,
        jobs: None,
        lab_cost: None,
        shared_lab: None,
        tool_version: "0.1.0".to_owned(),
        tool_commit: "unknown".to_owned(),
        host: Host {
            name: "host".to_owned(),
            kernel: "6.1".to_owned(),
            cpus: 2,
            memory_mib: 1024,
        },
        clock: CLOCK,
        sysctls: BTreeMap::new(),
        status: Status::Complete,
        error: None,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        ended_at: Some("2026-01-01T00:01:00Z".to_owned()),
        recorders: BTreeMap::new(),
        machine: None,
        findings: Vec::new(),
    }
}

/// Writes a run; the manifest gets what the recorders wrote.
pub(crate) fn write_run(campaign: &CampaignDir, frame: &Frame, mut manifest: Manifest) -> RunDir {
    let dir = campaign.create_run(&manifest.run_id).unwrap();
    dir.write_topology(&frame.topology).unwrap();
    write_events(&dir, frame, manifest.failure);
    for (i, node) in frame.topology.nodes.iter().enumerate() {
        dir.create_node(&node.name).unwrap();
        let messages = write_routes(&dir, frame, i);
        let packets = write_packets(&dir, frame, i);
        manifest.recorders.insert(
            node.name.clone(),
            RecorderStats {
                netlink_messages: messages,
                packets,
                ..RecorderStats::default()
            },
        );
    }
    dir.write_manifest(&manifest).unwrap();
    dir
}

fn write_events(dir: &RunDir, frame: &Frame, failure: FailureKind) {
    let mut log = dir.event_log().unwrap();
    let event = |kind, phase, t_mono_ns| Event {
        kind,
        phase,
        t_mono_ns,
        t_wall_ns: CLOCK.wall_ns(t_mono_ns),
        target: "injector".to_owned(),
        failure: None,
        dead_link: None,
        detail: serde_json::Map::new(),
    };
    let mut failed = |phase, t_mono_ns| {
        let mut e = event(EventKind::Failure, phase, t_mono_ns);
        e.failure = Some(failure.to_string());
        e.dead_link = frame.dead_link.map(|i| LinkRef {
            a: frame.topology.links[i].a.clone(),
            b: frame.topology.links[i].b.clone(),
        });
        log.append(&e).unwrap();
    };
    failed(Phase::Planned, T0_MONO_NS - 50);
    // The second actuator is the later one, and may be the first to be logged.
    failed(Phase::Applied, T0_MONO_NS + 200_000);
    failed(Phase::Applied, T0_MONO_NS);
    failed(Phase::Confirmed, T0_MONO_NS + 300_000);
    // That it is waited for is not that it is there, and quiet before the failure is another's.
    log.append(&event(EventKind::Quiet, Phase::Planned, T0_MONO_NS + 500))
        .unwrap();
    for t_mono_ns in [T0_MONO_NS - 1_000_000, T0_MONO_NS + frame.end_ns] {
        log.append(&event(EventKind::Quiet, Phase::Confirmed, t_mono_ns))
            .unwrap();
    }
}

/// The wall time of a time after the failure.
pub(crate) fn wall_ns(t_ns: i64) -> u64 {
    CLOCK.wall_ns(T0_MONO_NS.checked_add_signed(t_ns).unwrap())
}

fn write_routes(dir: &RunDir, frame: &Frame, node: usize) -> u64 {
    let mut writer = rtmon::Writer::new(Vec::new());
    let mut n = 0;
    for r in frame.records.iter().filter(|r| r.node == node) {
        let message = netlink(&r.record);
        writer.write(wall_ns(r.t_ns), &message).unwrap();
        n += 1;
    }
    let name = &frame.topology.nodes[node].name;
    fs::write(dir.routes_rtmon(name), writer.get_ref()).unwrap();
    n
}

fn netlink(record: &TableRecord) -> Vec<u8> {
    match record {
        TableRecord::RouteAdded(route, install) => {
            let flags = match install {
                Install::Replace => 0x100,
                Install::First => 0x600,
                Install::Beside => 0xc00,
            };
            message(24, flags, &route_body(route))
        }
        TableRecord::RouteRemoved(route) => message(25, 0, &route_body(route)),
        TableRecord::NexthopRemoved { id } => {
            let mut body = vec![2, 0, 0, 0, 0, 0, 0, 0];
            attribute(&mut body, 1, &id.to_ne_bytes());
            message(105, 0, &body)
        }
        TableRecord::Device {
            index,
            name,
            up,
            running,
        } => {
            let flags = u32::from(*up) | if *running { 0x1_0040 } else { 0 };
            message(16, 0, &link_body(*index, flags, name))
        }
        TableRecord::DeviceRemoved { index } => message(17, 0, &link_body(*index, 0, "gone")),
    }
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut m = Vec::new();
    m.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
    m.extend_from_slice(&kind.to_ne_bytes());
    m.extend_from_slice(&flags.to_ne_bytes());
    m.extend_from_slice(&[0; 8]);
    m.extend_from_slice(body);
    m
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn route_body(route: &Route) -> Vec<u8> {
    let kind = match route.kind {
        RouteKind::Forward => 1,
        RouteKind::Discard => 6,
        RouteKind::Refuse => 7,
    };
    let mut body = vec![
        2,
        route.prefix.prefix_len(),
        0,
        0,
        254,
        186,
        0,
        kind,
        0,
        0,
        0,
        0,
    ];
    attribute(&mut body, 15, &254u32.to_ne_bytes());
    attribute(&mut body, 1, &route.prefix.network().octets());
    attribute(&mut body, 6, &route.priority.to_ne_bytes());
    if let Some(id) = route.nhid {
        attribute(&mut body, 30, &id.to_ne_bytes());
    }
    if let [hop] = route.hops.as_slice() {
        if let Some(gateway) = hop.gateway {
            attribute(&mut body, 5, &gateway.octets());
        }
        if let Some(device) = hop.device {
            attribute(&mut body, 4, &device.to_ne_bytes());
        }
    } else if !route.hops.is_empty() {
        let mut paths = Vec::new();
        for hop in &route.hops {
            // struct rtnexthop: length, flags, weight - 1, device.
            paths.extend_from_slice(&16u16.to_ne_bytes());
            paths.extend_from_slice(&[0, 0]);
            paths.extend_from_slice(&hop.device.unwrap().to_ne_bytes());
            attribute(&mut paths, 5, &hop.gateway.unwrap().octets());
        }
        attribute(&mut body, 9, &paths);
    }
    body
}

fn link_body(index: u32, flags: u32, name: &str) -> Vec<u8> {
    let mut body = vec![0, 0, 1, 0];
    body.extend_from_slice(&index.to_ne_bytes());
    body.extend_from_slice(&flags.to_ne_bytes());
    body.extend_from_slice(&[0; 4]);
    let mut name = name.as_bytes().to_vec();
    name.push(0);
    attribute(&mut body, 3, &name);
    body
}

fn write_packets(dir: &RunDir, frame: &Frame, node: usize) -> u64 {
    let topology = &frame.topology;
    let name = &topology.nodes[node].name;
    let mut capture = Capture::default();
    let mut updates: Vec<_> = frame.updates.iter().filter(|u| u.from == node).collect();
    updates.sort_by_key(|u| u.t_ns);
    for end in topology.ends(name) {
        capture.open(wall_ns(-20_000_000_000), end.addr, end.peer_addr);
    }
    for u in updates {
        let peer = &topology.nodes[u.to].name;
        let end = topology.ends(name).find(|e| e.peer == *peer).unwrap();
        let message = bgp_update(topology, end.addr, u.advertisements, u.withdrawals);
        capture.send(wall_ns(u.t_ns), end.addr, end.peer_addr, &message);
    }
    let packets = capture.packets;
    fs::write(dir.bgp_pcap(name), capture.bytes()).unwrap();
    if topology.nodes[node].role == NodeRole::Injector {
        fs::remove_file(dir.bgp_pcap(name)).unwrap();
    }
    packets
}

/// An UPDATE (RFC 4271, section 4.3) that says the destination so many times.
pub(crate) fn bgp_update(
    topology: &Topology,
    next_hop: Ipv4Addr,
    advertisements: u32,
    withdrawals: u32,
) -> Vec<u8> {
    let net = topology.destination.network().octets();
    let nlri = [24, net[0], net[1], net[2]];
    let withdrawn = nlri.repeat(withdrawals as usize);
    let mut attributes = Vec::new();
    if advertisements > 0 {
        attributes.extend_from_slice(&[0x40, 1, 1, 0]); // ORIGIN: IGP
        attributes.extend_from_slice(&[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9]); // AS_PATH: 65001
        attributes.extend_from_slice(&[0x40, 3, 4]); // NEXT_HOP
        attributes.extend_from_slice(&next_hop.octets());
    }
    let mut m = vec![0xff; 16];
    let length = 19 + 2 + withdrawn.len() + 2 + attributes.len() + 4 * advertisements as usize;
    m.extend_from_slice(&(length as u16).to_be_bytes());
    m.push(2);
    m.extend_from_slice(&(withdrawn.len() as u16).to_be_bytes());
    m.extend_from_slice(&withdrawn);
    m.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
    m.extend_from_slice(&attributes);
    m.extend_from_slice(&nlri.repeat(advertisements as usize));
    m
}

/// A pcap file of outgoing packets in the making.
#[derive(Default)]
pub(crate) struct Capture {
    records: Vec<u8>,
    next: HashMap<(Ipv4Addr, Ipv4Addr), u32>,
    pub(crate) packets: u64,
}

impl Capture {
    /// The SYN of a connection from `src` to the BGP port of `dst`.
    pub(crate) fn open(&mut self, wall_ns: u64, src: Ipv4Addr, dst: Ipv4Addr) {
        let first = u32::from(src).wrapping_mul(2_654_435_761);
        self.packet(wall_ns, src, dst, first, 0x02, &[]);
        self.next.insert((src, dst), first.wrapping_add(1));
    }

    /// A connection that was opened before the capture began.
    pub(crate) fn join(&mut self, src: Ipv4Addr, dst: Ipv4Addr) {
        self.next.insert((src, dst), 1_000);
    }

    /// One segment of data on an open connection.
    pub(crate) fn send(&mut self, wall_ns: u64, src: Ipv4Addr, dst: Ipv4Addr, data: &[u8]) {
        let seq = self.next[&(src, dst)];
        self.packet(wall_ns, src, dst, seq, 0x18, data);
        self.skip(src, dst, data.len() as u32);
    }

    /// Octets that are sent and not captured.
    pub(crate) fn skip(&mut self, src: Ipv4Addr, dst: Ipv4Addr, octets: u32) {
        let seq = self.next.get_mut(&(src, dst)).unwrap();
        *seq = seq.wrapping_add(octets);
    }

    fn packet(
        &mut self,
        wall_ns: u64,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        seq: u32,
        flags: u8,
        data: &[u8],
    ) {
        // SLL2: IPv4, device 2, Ethernet, outgoing.
        let mut p = vec![8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        p.extend_from_slice(&[0x45, 0]);
        p.extend_from_slice(&(40 + data.len() as u16).to_be_bytes());
        p.extend_from_slice(&[0, 0, 0x40, 0, 1, 6, 0, 0]);
        p.extend_from_slice(&src.octets());
        p.extend_from_slice(&dst.octets());
        p.extend_from_slice(&40_000u16.to_be_bytes());
        p.extend_from_slice(&179u16.to_be_bytes());
        p.extend_from_slice(&seq.to_be_bytes());
        p.extend_from_slice(&[0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        p.extend_from_slice(data);
        for field in [
            (wall_ns / 1_000_000_000) as u32,
            (wall_ns % 1_000_000_000) as u32,
            p.len() as u32,
            p.len() as u32,
        ] {
            self.records.extend_from_slice(&field.to_le_bytes());
        }
        self.records.extend_from_slice(&p);
        self.packets += 1;
    }

    /// The file: nanoseconds, little-endian, LINKTYPE_LINUX_SLL2.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for field in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, 276u32] {
            file.extend_from_slice(&field.to_le_bytes());
        }
        file.extend_from_slice(&self.records);
        file
    }
}
