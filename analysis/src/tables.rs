//! A node's routing table, reduced to what decides about the destination.
//!
//! *Assumes* that records are applied in the order in which the kernel sent them, beginning with
//! the tables as they stood. *Guarantees* that the table is what the kernel's was, routes that
//! vanished without a DELROUTE included: with their device (down or deleted) and with their nexthop
//! object, which goes with the carrier too.

use std::collections::BTreeMap;

use crate::frame::{Hop, Install, Route, RouteKind, TableRecord};

/// A network device of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Whether it is up and has its carrier.
    pub usable: bool,
}

/// What the table does with a packet for the destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Best {
    /// It has no route, or one that answers as if there were none.
    #[default]
    NoRoute,
    /// It drops it silently.
    Discard,
    /// It sends it to one of these next hops: sorted, each once, at least one.
    Forward(Vec<Hop>),
}

impl Best {
    /// Whether there is more than one next hop.
    #[must_use]
    pub fn is_multipath(&self) -> bool {
        matches!(self, Self::Forward(hops) if hops.len() > 1)
    }
}

/// The routes of one node to the destination, and its devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    routes: Vec<Route>,
    devices: BTreeMap<u32, Device>,
}

impl Table {
    /// Takes in one record.
    pub fn apply(&mut self, record: &TableRecord) {
        match record {
            TableRecord::RouteAdded(route, install) => self.add(route, *install),
            TableRecord::RouteRemoved(route) => self.remove(route),
            TableRecord::NexthopRemoved { id } => self.routes.retain(|r| r.nhid != Some(*id)),
            TableRecord::Device {
                index,
                name,
                up,
                running,
            } => {
                let device = Device {
                    name: name.clone(),
                    usable: *up && *running,
                };
                self.devices.insert(*index, device);
                if !up {
                    self.lose_device(*index, |_| true);
                } else if !running {
                    // The kernel drops the nexthop objects of a device without carrier, and the
                    // routes with them; a route without one stays, and leads nowhere.
                    self.lose_device(*index, |r| r.nhid.is_some());
                }
            }
            TableRecord::DeviceRemoved { index } => {
                self.devices.remove(index);
                self.lose_device(*index, |_| true);
            }
        }
    }

    /// The device of that index.
    #[must_use]
    pub fn device(&self, index: u32) -> Option<&Device> {
        self.devices.get(&index)
    }

    /// The device of that name.
    #[must_use]
    pub fn device_named(&self, name: &str) -> Option<&Device> {
        self.devices.values().find(|d| d.name == name)
    }

    /// What the table does with a packet for the destination: the longest prefix decides, then
    /// the lowest priority. Several routes of one prefix and priority count as one with the next
    /// hops of them all, so that multipath is seen however it was installed.
    #[must_use]
    pub fn best(&self) -> Best {
        let Some(first) = self
            .routes
            .iter()
            .min_by_key(|r| (std::cmp::Reverse(r.prefix.prefix_len()), r.priority))
        else {
            return Best::NoRoute;
        };
        match first.kind {
            RouteKind::Refuse => Best::NoRoute,
            RouteKind::Discard => Best::Discard,
            RouteKind::Forward => {
                let mut hops: Vec<Hop> = self
                    .routes
                    .iter()
                    .filter(|r| same_key(r, first))
                    .flat_map(|r| r.hops.iter().copied())
                    .collect();
                hops.sort_unstable();
                hops.dedup();
                if hops.is_empty() {
                    Best::NoRoute
                } else {
                    Best::Forward(hops)
                }
            }
        }
    }

    fn add(&mut self, route: &Route, install: Install) {
        match install {
            // The kernel found none of that key: what stands here it dropped without saying so.
            Install::First => self.routes.retain(|r| !same_key(r, route)),
            Install::Replace => {
                if let Some(old) = self.routes.iter_mut().find(|r| same_key(r, route)) {
                    *old = route.clone();
                    return;
                }
            }
            // A dump may repeat what a notification has said before.
            Install::Beside => {
                if self.routes.contains(route) {
                    return;
                }
            }
        }
        self.routes.push(route.clone());
    }

    fn remove(&mut self, route: &Route) {
        // A DELROUTE describes the very route that went; the key alone decides where there is
        // but one of it.
        let exact = self
            .routes
            .iter()
            .position(|r| same_key(r, route) && r.kind == route.kind && r.hops == route.hops);
        if let Some(i) = exact.or_else(|| self.routes.iter().position(|r| same_key(r, route))) {
            self.routes.remove(i);
        }
    }

    fn lose_device(&mut self, index: u32, loses: impl Fn(&Route) -> bool) {
        self.routes.retain_mut(|r| {
            if !loses(r) {
                return true;
            }
            let before = r.hops.len();
            r.hops.retain(|h| h.device != Some(index));
            before == r.hops.len() || !r.hops.is_empty()
        });
    }
}

/// Whether the kernel holds two routes for alternatives of one another.
fn same_key(a: &Route, b: &Route) -> bool {
    a.prefix == b.prefix && a.priority == b.priority
}
