//! The lab's network: namespaces, veth pairs, addresses and sysctls.
//!
//! *Assumes* to be inside a capsule. *Guarantees* the topology as resolved, every link up, and
//! sysctls set rather than inherited.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use futures::stream::{self, StreamExt, TryStreamExt};
use netlink_packet_route::link::{InfoData, InfoVeth};
use netlink_packet_route::neighbour::NeighbourState;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth};
use thiserror::Error;
use topologies::Topology;

use crate::netns::{Namespace, NamespaceError};

/// Requests under way at once on one netlink socket.
const BATCH: usize = 64;
/// Index of the first link in every namespace; `lo` has 1.
const FIRST_INDEX: u32 = 2;
const LOOPBACK_INDEX: u32 = 1;

/// Sysctls of every node's namespace. `default` comes before `all` and before any link exists,
/// so that every device is made with them. Reverse path filtering would drop the probes and, in
/// a loop, the traffic itself; without the compatibility mode route messages do not name the
/// gateway behind a nexthop object. IPv6 is off because nothing here uses it, and its
/// autoconfiguration would be noise in the records.
pub const SYSCTLS: [(&str, &str); 7] = [
    ("net.ipv6.conf.default.disable_ipv6", "1"),
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.nexthop_compat_mode", "1"),
    ("net.ipv4.fib_multipath_hash_policy", "0"),
];

/// Why the network could not be built.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// A namespace.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// A netlink socket.
    #[error("cannot open a netlink socket for {place}: {source}")]
    Socket {
        /// The node, or the capsule.
        place: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// A netlink request.
    #[error("the kernel refused {what}: {source}; run `flaplab doctor`")]
    Refused {
        /// The request.
        what: String,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// A sysctl.
    #[error("cannot set {key}={value} in {node}: {source}")]
    Sysctl {
        /// Its name.
        key: &'static str,
        /// The wanted value.
        value: &'static str,
        /// The node.
        node: String,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// The namespaces of a lab, by node.
pub type Namespaces = BTreeMap<String, Namespace>;

/// Builds the network of a topology.
///
/// # Errors
/// If the kernel refuses any of it.
pub async fn build(topology: &Topology) -> Result<Namespaces, NetworkError> {
    let namespaces = make_namespaces(topology)?;
    let indices = add_links(topology, &namespaces).await?;
    let destination = topology.destination_address();
    let prefix = topology.destination.prefix_len();
    for node in &topology.nodes {
        let mut addresses: Vec<(u32, Ipv4Addr, u8)> = topology
            .ends(&node.name)
            .map(|end| {
                (
                    indices[&(node.name.clone(), end.dev.to_owned())],
                    end.addr,
                    31,
                )
            })
            .collect();
        if node.role == topologies::NodeRole::Injector {
            addresses.push((LOOPBACK_INDEX, destination, prefix));
        }
        let devices = topology.ends(&node.name);
        let devices = devices.map(|end| indices[&(node.name.clone(), end.dev.to_owned())]);
        let down = devices.chain([LOOPBACK_INDEX]).collect();
        let neighbours = topology.ends(&node.name);
        let neighbours = neighbours
            .map(|end| {
                (
                    indices[&(node.name.clone(), end.dev.to_owned())],
                    end.peer_addr,
                )
            })
            .collect();
        configure(&namespaces[&node.name], down, addresses, neighbours).await?;
    }
    Ok(namespaces)
}

/// Tries all of it with two nodes and a link.
///
/// # Errors
/// If the kernel refuses any of it.
pub async fn examine() -> Result<Namespaces, NetworkError> {
    let text =
        "schema: 1\nname: examine\ntopology: {kind: chain, size: 2}\nfailure: {kind: control}\n";
    let scenario = topologies::Scenario::parse(text, "examine").expect("it is a valid scenario");
    build(&scenario.resolve(topologies::Strategy::None, 0).topology).await
}

/// Makes the namespaces with their sysctls, before any link exists in them.
fn make_namespaces(topology: &Topology) -> Result<Namespaces, NetworkError> {
    let mut namespaces = Namespaces::new();
    for node in &topology.nodes {
        let namespace = Namespace::make(&node.name)?;
        namespace
            .enter(set_sysctls)?
            .map_err(|(key, value, source)| NetworkError::Sysctl {
                key,
                value,
                node: node.name.clone(),
                source,
            })?;
        namespaces.insert(node.name.clone(), namespace);
    }
    Ok(namespaces)
}

/// Sets the sysctls of the calling thread's namespace.
fn set_sysctls() -> Result<(), (&'static str, &'static str, std::io::Error)> {
    for (key, value) in SYSCTLS {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        match std::fs::write(path, value) {
            // A kernel without IPv6 has nothing to switch off.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && key.contains("ipv6") => {}
            result => result.map_err(|source| (key, value, source))?,
        }
    }
    Ok(())
}

/// Opens a netlink connection in the calling thread's namespace and drives it on the runtime.
fn connect(place: &str, namespace: Option<&Namespace>) -> Result<Handle, NetworkError> {
    let failed = |source| NetworkError::Socket {
        place: place.to_owned(),
        source,
    };
    let runtime = tokio::runtime::Handle::current();
    // The socket belongs to the namespace it was opened in, wherever it is used later.
    let open = move || {
        let _guard = runtime.enter();
        rtnetlink::new_connection()
    };
    let (connection, handle, _) = match namespace {
        Some(namespace) => namespace.enter(open)?,
        None => open(),
    }
    .map_err(failed)?;
    tokio::spawn(connection);
    Ok(handle)
}

/// Adds all veth pairs, each end made in its own namespace, down: the kernel refuses to bring an
/// end up before it has joined the two. Returns the index of each device.
async fn add_links(
    topology: &Topology,
    namespaces: &Namespaces,
) -> Result<BTreeMap<(String, String), u32>, NetworkError> {
    let handle = connect("the capsule", None)?;
    let mut next: BTreeMap<&str, u32> = BTreeMap::new();
    let mut indices = BTreeMap::new();
    let mut requests = Vec::with_capacity(topology.links.len());
    for link in &topology.links {
        let mut take = |node| {
            let n = next.entry(node).or_insert(FIRST_INDEX);
            *n += 1;
            *n - 1
        };
        let (a_index, b_index) = (take(link.a.as_str()), take(link.b.as_str()));
        indices.insert((link.a.clone(), link.a_dev.clone()), a_index);
        indices.insert((link.b.clone(), link.b_dev.clone()), b_index);
        let fd = |node: &str| namespaces[node].as_fd().as_raw_fd();
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(link.b_dev.clone())
            .index(b_index)
            .address(mac(link.b_addr))
            .setns_by_fd(fd(&link.b))
            .build();
        let message = LinkMessageBuilder::<LinkVeth>::new(&link.a_dev, &link.b_dev)
            .index(a_index)
            .address(mac(link.a_addr))
            .setns_by_fd(fd(&link.a))
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .build();
        requests.push((format!("the link {}-{}", link.a, link.b), message));
    }
    stream::iter(requests.into_iter().map(Ok))
        .try_for_each_concurrent(BATCH, |(what, message)| {
            let request = handle.link().add(message);
            async move {
                request
                    .execute()
                    .await
                    .map_err(|source| NetworkError::Refused { what, source })
            }
        })
        .await?;
    Ok(indices)
}

/// The hardware address of the device with an address: locally administered, and telling.
fn mac(address: Ipv4Addr) -> Vec<u8> {
    [[0x02, 0x00].as_slice(), &address.octets()].concat()
}

/// Brings devices up, adds addresses (device index, address, prefix length), and tells the
/// neighbours' hardware addresses (device index, address), in one namespace.
///
/// The neighbours are told, not asked for by ARP, because the kernel keeps 1,024 that it has
/// learned for all namespaces of the machine together (net.ipv4.neigh.default.gc_thresh3, which
/// only the machine's own root may raise): a 64-clique has 4,032, and its sessions never came up.
/// Permanent ones are not counted.
async fn configure(
    namespace: &Namespace,
    down: Vec<u32>,
    addresses: Vec<(u32, Ipv4Addr, u8)>,
    neighbours: Vec<(u32, Ipv4Addr)>,
) -> Result<(), NetworkError> {
    let handle = connect(namespace.node(), Some(namespace))?;
    let node = namespace.node();
    let refused = |what: String| move |source| NetworkError::Refused { what, source };
    stream::iter(down)
        .map(|index| {
            let up = LinkMessageBuilder::<LinkUnspec>::new()
                .index(index)
                .up()
                .build();
            let request = handle.link().set(up);
            let refused = refused(format!("to bring up device {index} in {node}"));
            async move { request.execute().await.map_err(refused) }
        })
        .buffer_unordered(BATCH)
        .try_collect::<()>()
        .await?;
    stream::iter(addresses)
        .map(|(index, address, prefix)| {
            let request = handle.address().add(index, IpAddr::V4(address), prefix);
            let refused = refused(format!("the address {address}/{prefix} in {node}"));
            async move { request.execute().await.map_err(refused) }
        })
        .buffer_unordered(BATCH)
        .try_collect::<()>()
        .await?;
    stream::iter(neighbours)
        .map(|(index, address)| {
            let request = handle.neighbours().add(index, IpAddr::V4(address));
            let request = request
                .state(NeighbourState::Permanent)
                .link_layer_address(&mac(address));
            let refused = refused(format!("the neighbour {address} in {node}"));
            async move { request.execute().await.map_err(refused) }
        })
        .buffer_unordered(BATCH)
        .try_collect::<()>()
        .await
}
