//! A checkpoint on a disk that is full: its own program, since it limits the size of its files.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::Ipv4Addr;

use injectors::speaker::checkpoint::{Checkpoint, CheckpointError, Entry, Header};
use injectors::speaker::message::keepalive;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use tcpr::Durability;

#[test]
fn an_entry_that_does_not_fit_leaves_nothing_and_the_next_one_follows_the_last_complete_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let header = Header {
        peer: Ipv4Addr::new(198, 18, 0, 1),
        peer_asn: 65001,
        asn: 65000,
        router_id: Ipv4Addr::new(198, 18, 0, 0),
    };
    let mut checkpoint = Checkpoint::create(&path, header, Durability::Process).unwrap();
    checkpoint.append(Entry::Sent(&keepalive())).unwrap();
    let before = fs::read(&path).unwrap();

    // A write that would go beyond the limit is done in part, and the rest refused (write(2)).
    // SAFETY: the signal is ignored; no handler runs.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, before.len() as u64 + 100, hard).unwrap();
    let appended = checkpoint.append(Entry::Sent(&keepalive().repeat(100)));
    // Standard output may be a file too.
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
    let error = appended.unwrap_err();
    assert!(matches!(error, CheckpointError::Io { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(checkpoint.sent(), 19);

    checkpoint.append(Entry::Established).unwrap();
    let restored = Checkpoint::open(&path, header, Durability::Process).unwrap();
    assert!(restored.established);
    assert_eq!(restored.sent.end(), 19);
}
