//! Adj-RIB-Out (RFC 4271, section 3.2): what a peer was told.
//!
//! *Assumes* that every UPDATE that is sent is entered, in its order. *Guarantees* that it is what
//! the peer holds of us once it has read everything, in some 30 octets a route: attributes that
//! routes have in common are kept once, and no longer than a route has them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::message::{self, HEADER, UPDATE};
use super::update::{Attributes, NotOurs, Packer, Said};

/// What a peer was told.
#[derive(Debug, Clone, Default)]
pub struct AdjRibOut {
    routes: BTreeMap<Ipv4Net, u32>,
    attributes: Interned,
    end_of_rib_sent: bool,
}

impl AdjRibOut {
    /// Of a session that begins: nothing was told.
    #[must_use]
    pub fn new() -> AdjRibOut {
        AdjRibOut::default()
    }

    /// Enters a route in place of what was told of its prefix.
    pub fn announce(&mut self, prefix: Ipv4Net, attributes: &Attributes) {
        let id = self.attributes.hold(attributes);
        if let Some(before) = self.routes.insert(prefix.trunc(), id) {
            self.attributes.release(before);
        }
    }

    /// Enters a withdrawal; whether there was something to withdraw.
    pub fn withdraw(&mut self, prefix: Ipv4Net) -> bool {
        let before = self.routes.remove(&prefix.trunc());
        if let Some(id) = before {
            self.attributes.release(id);
        }
        before.is_some()
    }

    /// Enters that End-of-RIB was sent.
    pub fn end_of_rib(&mut self) {
        self.end_of_rib_sent = true;
    }

    /// Whether End-of-RIB was sent on this session.
    #[must_use]
    pub fn end_of_rib_sent(&self) -> bool {
        self.end_of_rib_sent
    }

    /// What was told of a prefix.
    #[must_use]
    pub fn get(&self, prefix: Ipv4Net) -> Option<&Attributes> {
        let id = self.routes.get(&prefix.trunc())?;
        Some(self.attributes.get(*id))
    }

    /// How many routes were told.
    #[must_use]
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether no route was told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The routes, in ascending order of their prefixes.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv4Net, &Attributes)> {
        let known = |(&prefix, &id)| (prefix, self.attributes.get(id));
        self.routes.iter().map(known)
    }

    /// Enters what messages of ours say: complete ones, as they were sent. Others than UPDATEs are
    /// passed over.
    ///
    /// # Errors
    ///
    /// If they are none of ours; what stands before the one in error is entered.
    pub fn take(&mut self, mut octets: &[u8], four_octet_as: bool) -> Result<(), NotOurs> {
        while !octets.is_empty() {
            let length = message::complete(octets).ok().flatten().ok_or(NotOurs {
                what: "it is no complete message",
            })?;
            let (message, rest) = octets.split_at(length);
            octets = rest;
            if message::kind(message) != UPDATE {
                continue;
            }
            let said = Said::read(&message[HEADER..], four_octet_as)?;
            if said.is_end_of_rib() {
                self.end_of_rib();
            }
            for prefix in said.withdrawn {
                self.withdraw(prefix?);
            }
            if let Some(attributes) = &said.attributes {
                for prefix in said.announced {
                    self.announce(prefix?, attributes);
                }
            }
        }
        Ok(())
    }

    /// All of it as UPDATEs, AS numbers of four octets: [`AdjRibOut::take`] makes it again.
    #[must_use]
    pub fn to_updates(&self) -> Vec<u8> {
        let mut routes: Vec<(u32, Ipv4Net)> = self
            .routes
            .iter()
            .map(|(&prefix, &id)| (id, prefix))
            .collect();
        // What has its attributes in common shares messages.
        routes.sort_unstable();
        let mut packer = Packer::new(true);
        for (id, prefix) in routes {
            packer.announce(prefix, self.attributes.get(id));
        }
        if self.end_of_rib_sent {
            packer.end_of_rib();
        }
        packer.finish()
    }
}

impl PartialEq for AdjRibOut {
    fn eq(&self, other: &AdjRibOut) -> bool {
        // Which number an attribute set has is a matter of history.
        self.end_of_rib_sent == other.end_of_rib_sent && self.iter().eq(other.iter())
    }
}

/// Sets of attributes, each kept once.
#[derive(Debug, Clone, Default)]
struct Interned {
    ids: HashMap<Arc<Attributes>, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The one that was asked for last: mostly it is the next too.
    last: u32,
}

/// A set of attributes, and how many routes have it.
#[derive(Debug, Clone)]
struct Slot {
    attributes: Arc<Attributes>,
    routes: u32,
}

impl Interned {
    fn get(&self, id: u32) -> &Attributes {
        &self.slots[id as usize].attributes
    }

    fn hold(&mut self, attributes: &Attributes) -> u32 {
        if let Some(slot) = self.slots.get_mut(self.last as usize)
            && slot.routes > 0
            && *slot.attributes == *attributes
        {
            slot.routes += 1;
            return self.last;
        }
        let id = match self.ids.get(attributes) {
            Some(&id) => {
                self.slots[id as usize].routes += 1;
                id
            }
            None => self.enter(Arc::new(attributes.clone())),
        };
        self.last = id;
        id
    }

    #[allow(clippy::cast_possible_truncation)] // No more than there are IPv4 prefixes in memory.
    fn enter(&mut self, attributes: Arc<Attributes>) -> u32 {
        let slot = Slot {
            attributes: Arc::clone(&attributes),
            routes: 1,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        self.ids.insert(attributes, id);
        id
    }

    fn release(&mut self, id: u32) {
        let slot = &mut self.slots[id as usize];
        slot.routes -= 1;
        if slot.routes == 0 {
            self.ids.remove(&slot.attributes);
            self.free.push(id);
        }
    }
}
