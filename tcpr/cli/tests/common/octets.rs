//! The streams that are sent: every octet is known from its offset.

/// A prime, so that no common segment size divides it: octets that are out of place show.
const PERIOD: usize = 65_521;

/// A stream of octets without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Octets {
    period: &'static [u8],
}

// Known before the process starts: one that lives for milliseconds gets to take its input.
static APPLICATIONS: [u8; PERIOD] = random(1);
static PEERS: [u8; PERIOD] = random(2);

/// What the application sends.
pub(crate) fn from_application() -> Octets {
    Octets {
        period: &APPLICATIONS,
    }
}

/// What its peer sends.
pub(crate) fn from_peer() -> Octets {
    Octets { period: &PEERS }
}

/// The numbers of splitmix64.
const fn random(seed: u64) -> [u8; PERIOD] {
    let mut octets = [0; PERIOD];
    let mut state = seed;
    let mut at = 0;
    while at < PERIOD {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        octets[at] = ((z ^ (z >> 31)) >> 56) as u8;
        at += 1;
    }
    octets
}

impl Octets {
    /// Octets from this offset on, at most `limit` and at least one.
    pub(crate) fn from(self, offset: u64, limit: usize) -> &'static [u8] {
        let start = (offset % self.period.len() as u64) as usize;
        let rest = &self.period[start..];
        &rest[..rest.len().min(limit)]
    }

    /// Panics unless these are the octets from this offset on.
    pub(crate) fn check(self, mut offset: u64, mut octets: &[u8]) {
        while !octets.is_empty() {
            let wanted = self.from(offset, octets.len());
            let (found, rest) = octets.split_at(wanted.len());
            if found != wanted {
                let at = found.iter().zip(wanted).position(|(a, b)| a != b).unwrap();
                panic!(
                    "octet {} of the stream is wrong{}",
                    offset + at as u64,
                    self.whereabouts(&found[at..])
                );
            }
            offset += wanted.len() as u64;
            octets = rest;
        }
    }

    /// Where in the stream these octets are, for a message.
    fn whereabouts(self, octets: &[u8]) -> String {
        if octets.len() < 8 {
            return String::new();
        }
        match self.period.windows(8).position(|w| w == &octets[..8]) {
            Some(at) => format!(": what came stands at {at} modulo {PERIOD}"),
            None => format!(": what came, {:02x?}, is nowhere in it", &octets[..8]),
        }
    }
}

/// A checksum over a stream that is taken up again where it was left (Fletcher's, 64 bits each).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sum(u64, u64);

impl Sum {
    pub(crate) fn add(&mut self, octets: &[u8]) {
        let (mut sum, mut sums) = (self.0, self.1);
        for octet in octets {
            sum = sum.wrapping_add(u64::from(*octet) + 1);
            sums = sums.wrapping_add(sum);
        }
        *self = Sum(sum, sums);
    }
}
