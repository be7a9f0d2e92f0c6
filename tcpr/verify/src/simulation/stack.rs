//! One host's TCP: smoltcp, with a clock and an initial sequence number of our choice.
//!
//! *Assumes* that it is polled whenever it is [`due`](Stack::due) and after each packet received.
//! *Guarantees* that all it does follows from what it is given: it has no clock and no chance of its
//! own.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration as Span, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use tcpr_core::Flow;
use tcpr_core::packet::{Flags, Packet};

use super::scenario::{Host, Offers};
use super::stamps::{Stamps, beyond};
use super::windows::Windows;

/// Longer than any timer of a TCP, which grow to a minute (RFC 6298, 2.5).
const SILENCE: Duration = Duration::from_secs(300);

thread_local! {
    /// What the clock of the stack that is polled shows: smoltcp asks for it by a plain function.
    static CLOCK: Cell<u32> = const { Cell::new(0) };
}

fn clock() -> u32 {
    CLOCK.get()
}

/// One host's TCP, with one connection.
pub(super) struct Stack {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    offers: Offers,
    stamps: Stamps,
    windows: Windows,
    /// Acknowledgment and window last received, and how often without news.
    repeated: (u32, u16, u32),
    /// The number after the last one that it has sent.
    sent: u32,
    /// When it was polled last, and when it has last sent what was to be acknowledged.
    polled: Duration,
    spoke: Duration,
    /// What its clock shows at time 0, in milliseconds.
    clock: u32,
    local: SocketAddr,
    remote: SocketAddr,
}

impl Stack {
    /// A TCP without connection. `flow`: of which it is the local side. `clock`: what its clock
    /// shows at time 0.
    pub(super) fn new(
        now: Duration,
        flow: Flow,
        host: Host,
        offers: Offers,
        initial: u32,
        clock: u32,
    ) -> Stack {
        let mut wire = Wire {
            mtu: host.mtu,
            received: VecDeque::new(),
            sent: VecDeque::new(),
        };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed_for(initial);
        let mut interface = Interface::new(config, &mut wire, instant(now));
        interface.update_ip_addrs(|addresses| {
            // There is room for two, and none is there.
            let _ = addresses.push(IpCidr::new(IpAddress::from(flow.local.ip()), 0));
        });
        let buffer = |size: usize| tcp::SocketBuffer::new(vec![0; size]);
        let mut socket = tcp::Socket::new(buffer(host.receive), buffer(host.send));
        let span = |time: Duration| Span::from_micros(time.as_micros() as u64);
        socket.set_keep_alive(host.keepalive.map(span));
        socket.set_timeout(host.timeout.map(span));
        if offers.timestamps {
            socket.set_tsval_generator(Some(self::clock));
        }
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        Stack {
            wire,
            interface,
            sockets,
            handle,
            offers,
            stamps: Stamps::default(),
            windows: Windows::default(),
            repeated: (0, 0, 0),
            sent: initial,
            polled: now,
            spoke: now,
            clock,
            local: flow.local,
            remote: flow.remote,
        }
    }

    /// Waits for the other side to open. Fails only in a stack that is in use.
    pub(super) fn listen(&mut self) {
        let local = (IpAddress::from(self.local.ip()), self.local.port());
        let listening = self.socket().listen(local);
        debug_assert_eq!(listening, Ok(()));
    }

    /// Opens. Fails only in a stack that is in use.
    pub(super) fn connect(&mut self) {
        let local = (IpAddress::from(self.local.ip()), self.local.port());
        let remote = (IpAddress::from(self.remote.ip()), self.remote.port());
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        let connecting = socket.connect(self.interface.context(), remote, local);
        debug_assert_eq!(connecting, Ok(()));
    }

    /// Closes this side.
    pub(super) fn close(&mut self) {
        let socket = self.socket();
        if socket.timeout().is_none() {
            // Where it has lost its retransmission timer, smoltcp would send an octet in the place of
            // the FIN to ask whether the other side is there.
            socket.set_keep_alive(None);
        }
        socket.close();
    }

    pub(super) fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub(super) fn state(&self) -> tcp::State {
        self.sockets.get::<tcp::Socket<'_>>(self.handle).state()
    }

    /// Whether both SYNs have been acknowledged, whatever has come since.
    pub(super) fn is_established(&self) -> bool {
        !matches!(
            self.state(),
            tcp::State::Closed | tcp::State::Listen | tcp::State::SynSent | tcp::State::SynReceived
        )
    }

    /// Whether the connection is gone before its application has closed it and read all. What came
    /// before the FIN can be read still.
    pub(super) fn is_reset(&mut self, shut: bool, eof: bool) -> bool {
        let gone = self.state() == tcp::State::Closed;
        let unread = !eof && self.socket().peek(1) == Err(tcp::RecvError::InvalidState);
        gone && (!shut || unread)
    }

    /// A packet comes in.
    pub(super) fn receive(&mut self, mut octets: Vec<u8>) {
        if let Ok(mut packet) = Packet::parse(&mut octets) {
            if self.stamps.accept(&packet) {
                self.windows.hear(&mut packet);
                self.soothe(&mut packet);
            } else {
                self.stamps.refuse(&mut packet, self.repeated.0);
            }
        }
        self.wire.received.push_back(octets);
    }

    /// Makes up for what smoltcp does not take as it should.
    ///
    /// At the third duplicate acknowledgment while nothing but a FIN is in flight, smoltcp gives up its
    /// retransmission timer for a fast retransmission (RFC 5681, 3.2) that has nothing to send, and
    /// never repeats the FIN. One with another window is no duplicate: a unit more or less does not
    /// matter to who has no data to send.
    fn soothe(&mut self, packet: &mut Packet<'_>) {
        if !packet.flags().contains(Flags::ACK) {
            return;
        }
        let (ack, window) = (packet.acknowledgment(), packet.window());
        if beyond(ack, self.sent) > 0 {
            // It takes none of what it has not sent.
            return;
        }
        let bare =
            packet.payload_len() == 0 && !packet.flags().intersects(Flags::RST.union(Flags::SYN));
        let (last_ack, last_window, times) = self.repeated;
        if times > 0 && beyond(ack, last_ack) < 0 {
            // An old one: smoltcp drops it and its data, where RFC 9293, 3.10.7.4 ignores the
            // acknowledgment alone.
            if packet.segment_len() > 0 && !packet.flags().contains(Flags::RST) {
                packet.set_acknowledgment(last_ack);
                packet.set_window(last_window);
            }
            return;
        }
        let again = bare && (ack, window) == (last_ack, last_window);
        let times = if again { times + 1 } else { 1 };
        self.repeated = (ack, window, times);
        if times > 3 && self.socket().send_queue() == 0 {
            packet.set_window(window ^ 1);
            self.repeated = (ack, window ^ 1, 1);
        }
    }

    /// Does what is due. What it sends is to be [taken](Stack::take).
    pub(super) fn poll(&mut self, now: Duration) {
        // A clock of 1 ms that wraps (RFC 7323, 5.4).
        self.polled = now;
        CLOCK.set(self.clock.wrapping_add(now.as_millis() as u32));
        self.interface
            .poll(instant(now), &mut self.wire, &mut self.sockets);
    }

    /// A packet that goes out.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let mut octets = loop {
            let mut octets = self.wire.sent.pop_front()?;
            if !self.is_stray_keepalive(&mut octets) {
                break octets;
            }
        };
        self.withhold(&mut octets);
        if let Ok(mut packet) = Packet::parse(&mut octets) {
            self.stamps.say(&mut packet);
            self.windows.say(&packet);
            let end = packet.sequence().wrapping_add(packet.segment_len());
            if beyond(end, self.sent) > 0 {
                self.sent = end;
            }
            let (acknowledged, _, _) = self.repeated;
            if packet.segment_len() > 0 && beyond(end, acknowledged) > 0 {
                self.spoke = self.polled;
            }
        }
        Some(octets)
    }

    /// Where it has lost its retransmission timer smoltcp asks with a made up octet in the place of one
    /// that is not acknowledged: it would be taken for that (RFC 9293, 3.8.4 forbids to ask then).
    fn is_stray_keepalive(&self, octets: &mut [u8]) -> bool {
        Packet::parse(octets).is_ok_and(|packet| {
            let number = packet.sequence();
            let last = number.wrapping_add(1) == self.sent;
            packet.payload() == [0] && last && beyond(number, self.repeated.0) >= 0
        })
    }

    /// When it is to be polled next.
    pub(super) fn due(&mut self, now: Duration) -> Option<Duration> {
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        Some(Duration::from_micros(at.total_micros().max(0) as u64))
    }

    /// Whether smoltcp will go on never. It loses its timer at times while something waits to be
    /// acknowledged (RFC 6298, 5.1 wants one to run then), and in LAST-ACK it minds no window update.
    /// Where the window has closed over what is on its way it asks without an octet, which nobody
    /// answers (RFC 9293, 3.8.6.1 wants one). And if it has sent more than it was offered, it goes on
    /// from numbers that are fenced off.
    pub(super) fn is_stuck(&mut self, now: Duration) -> bool {
        let (state, waiting, due) = self.standing(now);
        if self.windows.overrun || (waiting > 0 && now.saturating_sub(self.spoke) > SILENCE) {
            return true;
        }
        if state == tcp::State::LastAck && waiting > 0 {
            return true;
        }
        let closing = matches!(
            state,
            tcp::State::FinWait1 | tcp::State::Closing | tcp::State::LastAck
        );
        due.is_none() && (closing || waiting > 0)
    }

    /// State, octets that wait to be acknowledged or sent, and when something is due.
    pub(super) fn standing(&mut self, now: Duration) -> (tcp::State, usize, Option<Duration>) {
        let waiting = self.socket().send_queue();
        (self.state(), waiting, self.due(now))
    }

    /// Takes the options from a SYN that this host is not to offer: smoltcp offers them always.
    fn withhold(&self, octets: &mut [u8]) {
        let options = tcp_header(octets) + 20;
        let Ok(packet) = Packet::parse(octets) else {
            return;
        };
        if !packet.flags().contains(Flags::SYN) {
            return;
        }
        let end = octets.len();
        let mut at = options;
        while at + 1 < end {
            let (kind, length) = (octets[at], usize::from(octets[at + 1]).max(2));
            match kind {
                0 => break,
                1 => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            let unwanted = match kind {
                2 => !self.offers.mss,
                3 => !self.offers.scale,
                4 => !self.offers.sack,
                _ => false,
            };
            let next = (at + length).min(end);
            if unwanted {
                octets[at..next].fill(1);
            }
            at = next;
        }
        if let Ok(mut packet) = Packet::parse(octets) {
            packet.fill_checksum();
        }
    }
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(now.as_micros() as i64)
}

/// smoltcp sends neither options of IPv4 nor extension headers of IPv6.
fn tcp_header(octets: &[u8]) -> usize {
    if octets[0] >> 4 == 6 { 40 } else { 20 }
}

/// The seed with which smoltcp begins at this sequence number: its generator (sPCG32) goes by
/// s' = s * M + A and gives 32 bits of s', which are the 32 below the three highest when those are
/// zero. The interface takes one number for itself first.
fn seed_for(initial: u32) -> u64 {
    const A: u64 = 0x7590_ef39;
    const M: u64 = 0xbb2e_fcec_3c39_611d;
    // Newton's way to 1 / M modulo 2^64: each step doubles the bits that are right.
    let mut inverse: u64 = 1;
    for _ in 0..6 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(M.wrapping_mul(inverse)));
    }
    let back = |state: u64| state.wrapping_sub(A).wrapping_mul(inverse);
    back(back(u64::from(initial) << 29))
}

/// Packets between a stack and its surroundings.
struct Wire {
    mtu: usize,
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }

    fn receive(&mut self, _: Instant) -> Option<(Received, Sent<'_>)> {
        let octets = self.received.pop_front()?;
        let sent = &mut self.sent;
        Some((Received { octets }, Sent { sent }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        let sent = &mut self.sent;
        Some(Sent { sent })
    }
}

struct Received {
    octets: Vec<u8>,
}

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.octets)
    }
}

struct Sent<'a> {
    sent: &'a mut VecDeque<Vec<u8>>,
}

impl phy::TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut octets = vec![0; length];
        let result = write(&mut octets);
        self.sent.push_back(octets);
        result
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use tcpr_core::packet::Packet;

    use super::Stack;
    use crate::simulation::scenario::{Offers, Scenario};

    fn syn(initial: u32, offers: Offers) -> Vec<u8> {
        let scenario = Scenario::of(1);
        let mut stack = Stack::new(
            Duration::ZERO,
            scenario.flow,
            scenario.first,
            offers,
            initial,
            70,
        );
        stack.connect();
        stack.poll(Duration::from_millis(5));
        stack.take().unwrap()
    }

    #[test]
    fn a_stack_begins_at_the_number_and_with_the_clock_that_it_was_given() {
        let offers = Offers {
            scale: true,
            sack: true,
            mss: true,
            timestamps: true,
        };
        for initial in [0, 1, 77, 1 << 31, u32::MAX - 3, u32::MAX] {
            let mut octets = syn(initial, offers);
            let packet = Packet::parse(&mut octets).unwrap();
            assert_eq!(packet.sequence(), initial);
            assert_eq!(packet.options().timestamps.unwrap().value, 75);
            assert!(packet.options().sack_permitted);
            assert!(packet.options().window_scale.is_some());
        }
    }

    #[test]
    fn what_is_not_offered_is_not_there_and_the_checksum_is_right() {
        let offers = Offers {
            scale: false,
            sack: false,
            mss: false,
            timestamps: false,
        };
        let mut octets = syn(5, offers);
        let packet = Packet::parse(&mut octets).unwrap();
        assert!(packet.checksum_is_right());
        assert_eq!(packet.options(), tcpr_core::packet::Options::default());
    }
}
