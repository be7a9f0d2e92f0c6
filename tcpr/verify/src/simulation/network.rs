//! The way between TCPR and the peer: it loses, doubles and reorders.
//!
//! *Assumes* that time does not go back.
//! *Guarantees* that what becomes of the n-th packet of a direction depends on seed, direction and n
//! alone: two runs that send the same packets have the same weather.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tcpr_core::Direction;

use super::dice::Dice;
use super::scenario::Weather;

/// Arrival, order of sending, whether it is outbound, and the packet.
type Flight = (Duration, u64, bool, Vec<u8>);

/// Packets on their way.
#[derive(Debug)]
pub(super) struct Network {
    weather: Weather,
    seed: u64,
    /// Sent so far: outbound, inbound.
    sent: [u64; 2],
    /// By arrival; those that arrive at one instant, by the order of their sending.
    flying: BinaryHeap<Reverse<Flight>>,
    order: u64,
}

impl Network {
    pub(super) fn new(weather: Weather, seed: u64) -> Network {
        Network {
            weather,
            seed,
            sent: [0; 2],
            flying: BinaryHeap::new(),
            order: 0,
        }
    }

    pub(super) fn send(&mut self, now: Duration, direction: Direction, octets: Vec<u8>) {
        let outbound = direction == Direction::Outbound;
        let count = &mut self.sent[usize::from(outbound)];
        *count += 1;
        let mut dice = Dice::new(self.seed, 4 + 2 * *count + u64::from(outbound));
        if dice.chance(self.weather.lost) {
            return;
        }
        let copy = dice.chance(self.weather.doubled).then(|| octets.clone());
        for octets in [Some(octets), copy].into_iter().flatten() {
            let late = dice.between(0, self.weather.jitter);
            let arrival = now + Duration::from_micros(self.weather.delay + late);
            self.order += 1;
            self.flying
                .push(Reverse((arrival, self.order, outbound, octets)));
        }
    }

    /// When the next packet arrives.
    pub(super) fn next(&self) -> Option<Duration> {
        self.flying.peek().map(|Reverse((arrival, ..))| *arrival)
    }

    /// A packet that has arrived.
    pub(super) fn arrive(&mut self, now: Duration) -> Option<(Direction, Vec<u8>)> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, _, outbound, octets)) = self.flying.pop()?;
        let direction = if outbound {
            Direction::Outbound
        } else {
            Direction::Inbound
        };
        Some((direction, octets))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tcpr_core::Direction;

    use super::{Network, Weather};

    #[test]
    fn every_kind_of_weather_comes() {
        let weather = Weather {
            lost: 100,
            doubled: 100,
            delay: 1000,
            jitter: 9000,
        };
        let mut network = Network::new(weather, 3);
        for number in 0..200_u8 {
            let at = Duration::from_millis(u64::from(number));
            network.send(at, Direction::Outbound, vec![number]);
        }
        let end = Duration::from_secs(1);
        let arrived: Vec<u8> = std::iter::from_fn(|| network.arrive(end))
            .map(|(_, octets)| octets[0])
            .collect();
        let times = |number: u8| arrived.iter().filter(|other| **other == number).count();
        assert!((0..200).any(|number| times(number) == 0), "none is lost");
        assert!((0..200).any(|number| times(number) == 2), "none is doubled");
        assert!(!arrived.is_sorted(), "none is overtaken");
    }
}
