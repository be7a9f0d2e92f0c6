//! How long the decoder takes for a capture larger than any run's: 200,000 messages in some
//! 20,000 packets, with sequence wrap, reordering and duplicates. `cargo bench -p results`.
#![allow(clippy::unwrap_used)]

#[path = "../tests/suite/speaker.rs"]
#[allow(dead_code)]
mod speaker;

use std::time::Instant;

use results::bgp::{Body, Decoder, LinkType};
use speaker::{DATA, PEER, SPEAKER, SYN, datagram, frame, nth_update};

const MESSAGES: u32 = 200_000;
const MSS: usize = 640;

fn main() {
    let stream: Vec<u8> = (0..MESSAGES).flat_map(|n| nth_update(n % 60_000)).collect();
    let isn = u32::MAX - 1_000_000;
    let packet = |seq: u32, flags, octets: &[u8]| {
        frame(
            LinkType::LinuxSll2,
            &datagram(SPEAKER, PEER, seq, flags, octets),
        )
    };
    let mut packets = vec![packet(isn, SYN, &[])];
    for (i, octets) in stream.chunks(MSS).enumerate() {
        let seq = isn.wrapping_add(1 + (i * MSS) as u32);
        packets.push(packet(seq, DATA, octets));
        if i % 10 == 9 {
            let last = packets.len() - 1;
            packets.swap(last, last - 1);
        }
        if i % 20 == 19 {
            packets.push(packets[packets.len() - 3].clone());
        }
    }
    let mut best_s = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let mut decoder = Decoder::new();
        let mut heard = Vec::new();
        for (t_ns, packet) in packets.iter().enumerate() {
            decoder.push(t_ns as u64, LinkType::LinuxSll2, packet, &mut heard);
        }
        decoder.finish(&mut heard);
        best_s = best_s.min(start.elapsed().as_secs_f64());
        assert_eq!(heard.len(), MESSAGES as usize);
        assert!(heard.iter().all(|m| matches!(m.body, Body::Update(_))));
    }
    println!(
        "{MESSAGES} messages in {} packets, {} octets: {:.3} s",
        packets.len(),
        stream.len(),
        best_s
    );
}
