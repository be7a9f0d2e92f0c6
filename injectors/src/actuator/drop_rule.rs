//! The drop rule: traffic for the destination that arrives over one link ends there.
//!
//! *Assumes* nf_tables. *Guarantees* that once it is prepared one transaction puts it in force,
//! and that it counts what it drops, so that its effect can be seen.

use std::io;
use std::net::Ipv4Addr;

use nftnl::{
    Batch, Chain, ChainType, FinalizedBatch, Hook, MsgType, Policy, ProtoFamily, Rule, Table,
    nft_expr,
};

use super::{ActuatorError, CHAIN, TABLE, cstring, device_index};

/// What the drop rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRule {
    /// Device that the traffic arrives on.
    pub device: String,
    /// Network address of the destination.
    pub network: Ipv4Addr,
    /// Its mask.
    pub mask: Ipv4Addr,
}

/// A rule that is ready to go in.
pub(super) struct PreparedRule {
    socket: mnl::Socket,
    batch: FinalizedBatch,
}

impl PreparedRule {
    pub(super) fn new(rule: &DropRule) -> Result<Self, ActuatorError> {
        let refused = |doing| move |source| ActuatorError::NfTables { doing, source };
        let index = device_index(&rule.device)?;
        let socket = mnl::Socket::new(mnl::Bus::Netfilter).map_err(refused("open a socket"))?;
        let table = Table::new(cstring(TABLE), ProtoFamily::Ipv4);
        let mut chain = Chain::new(cstring(CHAIN), &table);
        chain.set_type(ChainType::Filter);
        chain.set_hook(Hook::PreRouting, libc::NF_IP_PRI_RAW);
        chain.set_policy(Policy::Accept);
        let mut batch = Batch::new();
        batch.add(&table, MsgType::Add);
        batch.add(&chain, MsgType::Add);
        transact(&socket, &batch.finalize()).map_err(refused("make a table and a chain"))?;

        let mut dead = Rule::new(&chain);
        dead.add_expr(&nft_expr!(meta iif));
        dead.add_expr(&nft_expr!(cmp == index));
        dead.add_expr(&nft_expr!(payload ipv4 daddr));
        dead.add_expr(&nft_expr!(bitwise mask rule.mask, xor 0u32));
        dead.add_expr(&nft_expr!(cmp == rule.network));
        dead.add_expr(&nft_expr!(counter));
        dead.add_expr(&nft_expr!(verdict drop));
        let mut batch = Batch::new();
        batch.add(&dead, MsgType::Add);
        let batch = batch.finalize();
        Ok(PreparedRule { socket, batch })
    }

    pub(super) fn put_in_force(&self) -> Result<(), ActuatorError> {
        transact(&self.socket, &self.batch).map_err(|source| ActuatorError::NfTables {
            doing: "add the drop rule",
            source,
        })
    }
}

/// Sends one transaction and waits for its acknowledgments.
fn transact(socket: &mnl::Socket, batch: &FinalizedBatch) -> io::Result<()> {
    socket.send_all(batch)?;
    let portid = socket.portid();
    let mut buffer = vec![0; nftnl::nft_nlmsg_maxsize() as usize];
    let mut expected = batch.sequence_numbers();
    while !expected.is_empty() {
        for message in socket.recv(&mut buffer[..])? {
            let seq = expected
                .next()
                .ok_or_else(|| io::Error::other("one acknowledgment more than requests"))?;
            mnl::cb_run(message?, seq, portid)?;
        }
    }
    Ok(())
}
