//! What is explored: how much is sent, how much may go wrong.
//!
//! *Assumes* that each configuration is small enough to be explored whole.
//! *Guarantees* nothing beyond it: a failure that needs more octets or more failures is not found.

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
}

impl Config {
    /// One octet each way, over a network that holds one segment each way, and nothing fails.
    pub const BARE: Config = Config {
        name: "bare",
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
    };
}
