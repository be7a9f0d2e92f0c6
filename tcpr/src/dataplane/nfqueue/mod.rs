//! The dataplane on NFQUEUE: iptables rules send packets to queues, which are netlink sockets.
//!
//! Each direction has two queues. Rules send packets to the first, which copies headers only as
//! long as that is enough. A packet that is wanted whole, and what has come after it, is sent on
//! to the second, which always copies all; then the first copies all too, until it has not been
//! needed for a while. The second queue is emptied before the first is read again, so order is
//! kept.
//!
//! *Assumes* to be opened on a thread that is in the network namespace that is meant. It may be
//! used anywhere afterwards.
//! *Guarantees* that rules, once in place, stay in place until [`Nfqueue::release`], and that
//! packets are dropped while nobody is there to decide. It does nothing to packets with its mark.

mod batch;
mod error;
mod message;
mod queue;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use tcpr_core::Pattern;
use tcpr_core::packet::Packet;
use tracing::warn;

use super::inject::Injector;
use super::local_socket::LocalSockets;
use super::rules::{Layout, Rules, RulesError};
use super::{Arrival, Dataplane, Decision, Hook};
use batch::{Batch, TURN};
pub use error::{NfqueueError, OpenError};
use message::{COPY_MAX, Waiting};
use queue::Queue;

/// Enough for the IP and TCP headers with all their options, and for short messages.
const HEADERS: u32 = 256;

/// How long all octets are copied though none were needed.
const WHOLE_FOR: Duration = Duration::from_secs(1);

/// Packets of a turn when they are copied whole: what the processor's cache holds of 64 KiB ones.
const WHOLE_TURN: usize = 16;

/// Where this host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// The application runs here.
    #[default]
    Host,
    /// The packets of the application's host are routed through here.
    Middlebox,
}

/// How a dataplane is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where this host stands.
    pub placement: Placement,
    /// The first of four queue numbers.
    pub queue: u16,
    /// What the dataplane's own packets are marked with (SO_MARK).
    pub mark: u32,
    /// Octets of each queue's socket buffer.
    pub buffer: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            placement: Placement::default(),
            queue: 7900,
            mark: u32::from_be_bytes(*b"TCPR"),
            buffer: 32 << 20,
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Lane {
    hook: Hook,
    /// What rules send packets to.
    first: Queue,
    /// Where packets go that are wanted whole.
    second: Queue,
    /// When all octets were last needed, while the first queue copies all.
    whole: Option<Instant>,
}

/// A dataplane on NFQUEUE.
#[derive(Debug)]
pub struct Nfqueue {
    lanes: [Lane; 2],
    batch: Batch,
    injector: Injector,
    sockets: LocalSockets,
    rules: Rules,
    too_long: u64,
}

impl Nfqueue {
    /// Binds the queues in the calling thread's network namespace, and returns what rules of a
    /// predecessor protect, if there are any. They stay until [`Dataplane::protect`] replaces
    /// them: give it what is returned here as well until the predecessor's connections are known.
    pub fn open(options: &Options) -> Result<(Nfqueue, Option<Vec<Pattern>>), OpenError> {
        let first = options.queue;
        let Some(last) = first.checked_add(3) else {
            return Err(OpenError::QueueNumber { first });
        };
        let hooks = match options.placement {
            Placement::Host => [Hook::Input, Hook::Output],
            Placement::Middlebox => [Hook::Forward, Hook::Forward],
        };
        let lane = |hook, first, second| {
            Ok::<_, OpenError>(Lane {
                hook,
                first: Queue::bind(first, HEADERS, options.buffer)?,
                second: Queue::bind(second, COPY_MAX, options.buffer)?,
                whole: None,
            })
        };
        let lanes = [
            lane(hooks[0], first, first + 2)?,
            lane(hooks[1], first + 1, last)?,
        ];
        let got = lanes[0].first.buffer();
        if got < options.buffer {
            warn!(
                wanted = options.buffer,
                got,
                "a small socket buffer loses packets in bursts: raise net.core.rmem_max, or run \
                 outside a user namespace"
            );
        }
        let injector = Injector::open(options.mark).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => OpenError::Privilege { source },
            _ => OpenError::Socket { source },
        })?;
        let sockets = LocalSockets::open().map_err(|source| OpenError::Socket { source })?;
        let (rules, predecessor) = Rules::open(Layout {
            placement: options.placement,
            queues: [first, first + 1],
            mark: options.mark,
        })?;
        let dataplane = Nfqueue {
            lanes,
            batch: Batch::new(),
            injector,
            sockets,
            rules,
            too_long: 0,
        };
        Ok((dataplane, predecessor))
    }

    /// Takes the rules away: from now on nothing is protected. Without it they stay, and what
    /// they protect is cut off until a successor comes.
    pub fn release(mut self) -> Result<(), RulesError> {
        self.rules.release()?;
        Ok(())
    }

    /// Takes away rules that nobody is at any more in the calling thread's network namespace, and
    /// returns whether there were any. `queue` is the first of the four that they lead to: a
    /// program that is bound to one of these is an error.
    pub fn release_left_behind(queue: u16) -> Result<bool, OpenError> {
        for queue in queue..=queue.saturating_add(3) {
            if let Some(port) = queue::owner(queue) {
                return Err(OpenError::Taken { queue, port });
            }
        }
        // Where rules would lead does not matter to their removal.
        let (mut rules, found) = Rules::open(Layout {
            placement: Placement::Host,
            queues: [queue; 2],
            mark: 0,
        })?;
        if found.is_some() {
            rules.release()?;
        }
        Ok(found.is_some())
    }

    /// The size in octets of a queue's socket buffer, as the kernel granted it.
    #[must_use]
    pub fn buffer(&self) -> usize {
        self.lanes[0].first.buffer()
    }

    /// Reads and decides up to `limit` packets of a queue.
    fn turn(
        &mut self,
        lane: usize,
        queue: Which,
        decide: &mut dyn FnMut(&mut Arrival<'_>) -> Decision,
    ) -> Result<Turn, NfqueueError> {
        let Nfqueue {
            lanes,
            batch,
            too_long,
            ..
        } = self;
        let Lane {
            hook,
            first,
            second,
            whole,
        } = &mut lanes[lane];
        let (queue, limit) = match queue {
            Which::First if whole.is_none() => (&*first, TURN),
            Which::First => (&*first, WHOLE_TURN),
            Which::Second => (&*second, WHOLE_TURN),
        };
        let is_first = std::ptr::eq(queue, &*first);
        let failed = |source| NfqueueError::Receive {
            queue: queue.number,
            source,
        };
        let read = batch.fill(queue, limit).map_err(failed)?;
        let mut turn = Turn {
            read,
            ..Turn::default()
        };
        let mut needed = false;
        for index in 0..read {
            let message = batch.message(index);
            let Some(packet) = Waiting::read(message) else {
                // An answer to a verdict: a packet was gone already, as when its device was.
                continue;
            };
            if turn.sent_on {
                batch.requeue(queue, &packet, second);
                continue;
            }
            let octets = &mut message[packet.payload.clone()];
            let icmp = is_icmp(octets);
            let decision = if icmp && !packet.is_whole() {
                Decision::WantWhole
            } else {
                turn.decided += 1;
                decide(&mut Arrival {
                    hook: *hook,
                    packet: octets,
                    whole: packet.is_whole(),
                    icmp,
                    checksum_is_partial: packet.checksum_is_partial,
                })
            };
            needed |= packet.len > HEADERS as usize
                && matches!(decision, Decision::AcceptEdited | Decision::Drop);
            match decision {
                Decision::Accept => batch.accept(&packet),
                Decision::AcceptEdited if packet.is_whole() => {
                    if packet.checksum_is_partial
                        && !icmp
                        && let Ok(mut tcp) = Packet::parse(octets)
                    {
                        // A packet that comes back from a queue is no longer left to the device.
                        tcp.fill_checksum();
                    }
                    batch.accept_edited(queue, index, &packet);
                }
                Decision::Drop | Decision::AcceptEdited => batch.drop(queue, &packet),
                Decision::WantLater => batch.requeue(queue, &packet, first),
                Decision::WantWhole if is_first && packet.len <= COPY_MAX as usize => {
                    turn.sent_on = true;
                    // ICMP errors are few, and anybody's.
                    needed |= !icmp;
                    batch.requeue(queue, &packet, second);
                }
                Decision::WantWhole => {
                    *too_long += 1;
                    batch.drop(queue, &packet);
                }
            }
        }
        let failed = |source| NfqueueError::Verdict {
            queue: queue.number,
            source,
        };
        if needed {
            if whole.is_none() {
                first.set_copy(COPY_MAX).map_err(failed)?;
            }
            *whole = Some(Instant::now());
        } else if is_first && whole.is_some_and(|last| last.elapsed() > WHOLE_FOR) {
            first.set_copy(HEADERS).map_err(failed)?;
            *whole = None;
        }
        batch.flush(queue).map_err(failed)?;
        Ok(turn)
    }
}

#[derive(Clone, Copy)]
enum Which {
    First,
    Second,
}

/// What a turn brought.
#[derive(Default)]
struct Turn {
    /// Messages there were.
    read: usize,
    /// Decisions.
    decided: usize,
    /// Whether packets were sent on to the second queue.
    sent_on: bool,
}

/// Rules let only TCP and ICMP here.
fn is_icmp(packet: &[u8]) -> bool {
    match packet.first().map(|octet| octet >> 4) {
        Some(4) => packet.get(9) == Some(&1),
        Some(6) => packet.get(6) == Some(&58),
        _ => false,
    }
}

impl Dataplane for Nfqueue {
    type Error = NfqueueError;

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.lanes.iter().map(|lane| lane.first.as_fd()).collect()
    }

    fn receive(
        &mut self,
        decide: &mut dyn FnMut(&mut Arrival<'_>) -> Decision,
    ) -> Result<usize, NfqueueError> {
        let mut decided = 0;
        for lane in 0..self.lanes.len() {
            let turn = self.turn(lane, Which::First, decide)?;
            decided += turn.decided;
            // What was sent on is there by now, for the kernel has carried out the verdicts.
            let mut more = turn.sent_on;
            while more {
                let turn = self.turn(lane, Which::Second, decide)?;
                decided += turn.decided;
                more = turn.read > 0;
            }
        }
        Ok(decided)
    }

    fn inject(&mut self, packet: &[u8]) -> Result<(), NfqueueError> {
        Ok(self.injector.send(packet)?)
    }

    fn protect(&mut self, patterns: &[Pattern]) -> Result<(), NfqueueError> {
        Ok(self.rules.put_in_place(patterns)?)
    }

    fn end_local_socket(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<bool, NfqueueError> {
        Ok(self.sockets.end(local, remote)?)
    }

    fn is_on_host(&self) -> bool {
        self.lanes[0].hook != Hook::Forward
    }

    fn lost(&self) -> u64 {
        let dropped = |lane: &Lane| lane.first.dropped() + lane.second.dropped();
        self.lanes.iter().map(dropped).sum::<u64>() + self.too_long
    }
}
