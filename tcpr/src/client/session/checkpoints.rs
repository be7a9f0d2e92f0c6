//! Checkpoints: the one request that nobody waits for.
//!
//! *Assumes* that an application makes them often.
//! *Guarantees* that the last one of each connection is sent as soon as the channel takes it, and
//! none that it has overtaken; and that one which is refused is told with the next.

use std::time::Duration;

use tcpr_core::{Flow, Refusal};

use super::{Asked, Medium, Purpose, Session};
use crate::client::ClientError;
use crate::protocol::{Ask, Request, line};

impl Session {
    /// Input up to here is the application's own.
    ///
    /// # Errors
    ///
    /// If it goes back, or an earlier one was refused meanwhile.
    pub fn checkpoint(&mut self, flow: &Flow, offset: u64) -> Result<(), Refusal> {
        let tracked = self.connections.get_mut(flow).ok_or(Refusal::Unknown)?;
        if let Some(refusal) = tracked.refused {
            if tracked.lives() {
                tracked.refused = None;
            }
            return Err(refusal);
        }
        let current = tracked.hard.checkpoint;
        if offset < current {
            return Err(Refusal::BackwardCheckpoint {
                given: offset,
                current,
            });
        }
        if offset > current {
            tracked.hard.checkpoint = offset;
            self.checkpoints.insert(*flow);
        }
        Ok(())
    }

    /// The peer has closed after `end` octets of input, and all of them are the application's own. A
    /// TCPR that takes the place of a lost one is told so: it sees no FIN any more.
    ///
    /// # Errors
    ///
    /// As [`Session::checkpoint`].
    pub fn checkpoint_end(&mut self, flow: &Flow, end: u64) -> Result<(), Refusal> {
        // The FIN counts one.
        self.checkpoint(flow, end + 1)?;
        if let Some(tracked) = self.connections.get_mut(flow) {
            tracked.hard.peer_fin = Some(end);
        }
        Ok(())
    }

    /// A checkpoint through a handle of this generation, with the error that its holder is told.
    pub(in crate::client) fn mark(
        &mut self,
        flow: &Flow,
        generation: u64,
        mark: impl FnOnce(&mut Session, &Flow) -> Result<(), Refusal>,
    ) -> Result<(), ClientError> {
        let tracked = self.connections.get(flow);
        let marked = match tracked.is_some_and(|tracked| tracked.generation == generation) {
            true => mark(self, flow),
            false => Err(Refusal::Ended),
        };
        marked.map_err(|refusal| ClientError::Refused {
            what: "checkpoint",
            flow: *flow,
            refusal,
        })
    }

    pub(super) fn transmit_checkpoint(
        &mut self,
        now: Duration,
        flow: Flow,
        offset: u64,
    ) -> Vec<u8> {
        self.last_wire += 1;
        let wire = self.last_wire;
        let request = Request::Checkpoint { flow, offset };
        let message = line(&Ask {
            id: wire,
            request: request.clone(),
        });
        match self.medium {
            Medium::Stream => {
                if self.unanswered.len() == Session::UNANSWERED {
                    self.unanswered.pop_front();
                }
                self.unanswered.push_back((wire, flow, offset));
            }
            Medium::Datagram => {
                // An earlier one need not arrive any more.
                let earlier = self.asked.iter().find(|(_, asked)| {
                    asked.purpose == Purpose::Checkpoint && asked.request.flow() == Some(flow)
                });
                if let Some(earlier) = earlier.map(|(ticket, _)| *ticket) {
                    self.forget(earlier);
                }
                let ticket = self.ticket();
                let asked = Asked {
                    request,
                    purpose: Purpose::Checkpoint,
                    wire: Some(wire),
                    sent: now,
                    times: 1,
                };
                self.asked.insert(ticket, asked);
                self.wires.insert(wire, ticket);
            }
        }
        message
    }
}
