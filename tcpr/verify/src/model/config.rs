//! What is explored: how much is sent, and how much may go wrong.
//!
//! *Assumes* that each configuration is small enough to be explored whole.
//! *Guarantees* nothing beyond it: a fault that needs more octets or more failures is not found.

use tcpr_core::Mutation;

/// Who opens the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The application.
    Active,
    /// The peer.
    Passive,
}

/// How a local TCP dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Death {
    /// Without a word: its host is gone.
    Silent,
    /// Its process was killed, and the kernel closes: a FIN.
    Closing,
    /// Its process was killed with input unread, and the kernel resets: a RST.
    Aborting,
    /// It is thought dead, and goes on sending.
    Zombie,
}

/// The ways that leave nothing behind.
const ANY: &[Death] = &[Death::Silent, Death::Closing, Death::Aborting];

/// One exploration.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Its name.
    pub name: &'static str,
    /// Who opens.
    pub opening: Opening,
    /// Octets of the application.
    pub ours: i64,
    /// Octets of the peer.
    pub peers: i64,
    /// What a local TCP has room for.
    pub window: u16,
    /// What the peer has room for.
    pub peer_window: u16,
    /// Whether both close at their end.
    pub closing: bool,
    /// How often the local TCP dies.
    pub deaths: u8,
    /// In which ways.
    pub ways: &'static [Death],
    /// How often the middleware is lost.
    pub losses: u8,
    /// How many segments are lost between the core and the local TCP.
    pub slips: u8,
    /// Segments on their way to the peer at a time.
    pub to_peer: usize,
    /// Segments on their way from the peer at a time.
    pub from_peer: usize,
    /// How many states there are, where that is known. Another number says that the core or the model
    /// behaves in another way: renew it when that is meant.
    pub states: Option<usize>,
}

impl Config {
    /// One octet each way over a network that holds one segment each way. Nothing fails, and nobody
    /// closes.
    pub const BARE: Config = Config {
        name: "one octet each way",
        opening: Opening::Active,
        ours: 1,
        peers: 1,
        window: 1,
        peer_window: 1,
        closing: false,
        deaths: 0,
        ways: &[Death::Silent],
        losses: 0,
        slips: 0,
        to_peer: 1,
        from_peer: 1,
        states: None,
    };

    const fn named(self, name: &'static str) -> Config {
        Config { name, ..self }
    }

    const fn passive(self) -> Config {
        Config {
            opening: Opening::Passive,
            ..self
        }
    }

    const fn octets(self, ours: i64, peers: i64) -> Config {
        Config {
            ours,
            peers,
            ..self
        }
    }

    const fn windows(self, window: u16) -> Config {
        Config {
            window,
            peer_window: window,
            ..self
        }
    }

    const fn closing(self) -> Config {
        Config {
            closing: true,
            ..self
        }
    }

    const fn dying(self, deaths: u8, ways: &'static [Death]) -> Config {
        Config {
            deaths,
            ways,
            ..self
        }
    }

    const fn losing(self, losses: u8) -> Config {
        Config { losses, ..self }
    }

    const fn slipping(self, slips: u8) -> Config {
        Config { slips, ..self }
    }

    const fn counting(self, states: usize) -> Config {
        Config {
            states: Some(states),
            ..self
        }
    }

    /// Room for two segments, so that they can overtake each other.
    const fn reordered(self) -> Config {
        Config {
            to_peer: 2,
            from_peer: 2,
            ..self
        }
    }
}

const BARE: Config = Config::BARE;
const ZOMBIE: &[Death] = &[Death::Zombie];

/// A local TCP dies while one octet goes each way.
const DEATH: Config = BARE.named("one death").dying(1, &[Death::Silent]);

/// Every configuration of the tests, for half a minute together.
#[must_use]
pub fn small() -> Vec<Config> {
    vec![
        BARE.counting(775),
        BARE.named("closing, opened by the peer")
            .passive()
            .closing()
            .counting(11_668),
        BARE.named("closing, reordered")
            .octets(1, 0)
            .closing()
            .reordered()
            .counting(107_928),
        BARE.named("three octets, windows of two, one death")
            .octets(2, 1)
            .windows(2)
            .dying(1, ANY)
            .counting(116_954),
        BARE.named("one death, reordered")
            .dying(1, &[Death::Silent])
            .reordered()
            .counting(315_559),
        BARE.named("two deaths")
            .passive()
            .dying(2, ANY)
            .counting(135_848),
        BARE.named("a zombie").dying(1, ZOMBIE).counting(80_495),
        BARE.named("a zombie, closing")
            .octets(0, 0)
            .closing()
            .dying(1, ZOMBIE)
            .counting(234_730),
        BARE.named("one death, closing after output")
            .octets(1, 0)
            .closing()
            .dying(1, ANY)
            .counting(272_900),
        BARE.named("one death, closing after input")
            .octets(0, 1)
            .passive()
            .closing()
            .dying(1, ANY)
            .counting(260_148),
        BARE.named("middleware lost, closing")
            .passive()
            .closing()
            .losing(1)
            .counting(149_100),
        BARE.named("middleware lost, one death")
            .dying(1, ANY)
            .losing(1)
            .counting(198_274),
        BARE.named("middleware lost, one death, closing")
            .octets(0, 0)
            .passive()
            .closing()
            .dying(1, &[Death::Silent])
            .losing(1)
            .counting(508_926),
        BARE.named("middleware lost, a zombie")
            .octets(0, 1)
            .dying(1, ZOMBIE)
            .losing(1)
            .counting(67_298),
        BARE.named("middleware lost twice, a segment lost inside")
            .passive()
            .losing(2)
            .slipping(1)
            .counting(33_101),
        BARE.named("one death, a segment lost inside")
            .dying(1, ANY)
            .slipping(1)
            .counting(67_895),
        BARE.named("closing, a segment lost inside")
            .closing()
            .slipping(1)
            .counting(38_220),
    ]
}

/// Larger bounds, for some minutes together.
#[must_use]
pub fn larger() -> Vec<Config> {
    vec![
        BARE.named("two octets each way, windows of two, reordered")
            .octets(2, 2)
            .windows(2)
            .reordered()
            .counting(2_772_723),
        BARE.named("two octets each way, two deaths")
            .octets(2, 2)
            .passive()
            .dying(2, ANY)
            .counting(1_976_800),
        BARE.named("one death, closing")
            .passive()
            .closing()
            .dying(1, ANY)
            .counting(1_231_845),
        BARE.named("two deaths, closing")
            .octets(0, 0)
            .closing()
            .dying(2, ANY)
            .counting(325_767),
        BARE.named("a zombie, closing after output")
            .octets(1, 0)
            .closing()
            .dying(1, ZOMBIE)
            .counting(1_111_963),
        BARE.named("a zombie, closing after input")
            .octets(0, 1)
            .closing()
            .dying(1, ZOMBIE)
            .counting(1_350_454),
        BARE.named("middleware lost, one death, closing after output")
            .octets(1, 0)
            .passive()
            .closing()
            .dying(1, ANY)
            .losing(1)
            .counting(2_966_046),
        BARE.named("middleware lost, one death, closing after input")
            .octets(0, 1)
            .closing()
            .dying(1, ANY)
            .losing(1)
            .counting(2_832_971),
        BARE.named("middleware lost twice, two deaths")
            .passive()
            .dying(2, ANY)
            .losing(2)
            .counting(5_392_379),
    ]
}

/// The cheapest configuration in which a core with this mutation is caught. `None`: it conducts
/// itself as it should in all of them.
#[must_use]
pub fn catching(mutation: Mutation) -> Option<Config> {
    use Mutation as M;
    Some(match mutation {
        M::AcknowledgmentNotDelayed
        | M::AcknowledgmentPlusOne
        | M::NoAcknowledgmentOnCheckpoint
        | M::WindowInflated
        | M::WindowNotGivenBack => BARE,
        M::AcknowledgmentFlagNotSet
        | M::AcknowledgmentNotClamped
        | M::DeltaMinusOne
        | M::DeltaMissingInbound
        | M::DeltaPlusOne
        | M::DeltaStale
        | M::MssNotReplayed
        | M::OffsetReadTooEarly
        | M::OffsetReadTooLate
        | M::RecoveryWindowAbsolute
        | M::SynAckSequenceOffByOne
        | M::SynAckWithoutSyn
        | M::SynForwarded => DEATH,
        M::FinForwarded => DEATH.named("one FIN").dying(1, &[Death::Closing]),
        M::NoReplyWhileGone | M::ResetForwarded => {
            DEATH.named("one RST").dying(1, &[Death::Aborting])
        }
        M::GuardOnReceiveAcknowledgment => BARE.named("opened by the peer").passive(),
        M::AcknowledgedMovedBack => DEATH
            .named("one death, old acknowledgments")
            .passive()
            .octets(1, 0)
            .reordered(),
        M::AcknowledgedFinSplicedWrongly => {
            DEATH.named("one death, closing").octets(0, 0).closing()
        }
        M::DoneWritingNotCleared => BARE
            .named("two FINs, closing")
            .octets(0, 0)
            .closing()
            .dying(2, &[Death::Closing]),
        // No SACK is in the model: nothing is kept behind a hole.
        M::SackUnshifted => return None,
    })
}
