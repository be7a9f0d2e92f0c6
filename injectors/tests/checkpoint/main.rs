//! Checkpoint files: cut off and corrupted at every octet, compacted at any point.
#![allow(clippy::unwrap_used)]

mod life;

use std::fs;
use std::path::Path;

use injectors::speaker::checkpoint::{Checkpoint, CheckpointError, Entry, Header, Restored};
use injectors::speaker::message::keepalive;
use injectors::speaker::rib::AdjRibOut;
use life::{HEADER, State, Write, announcing, end_of_rib, life, withdrawing};
use proptest::prelude::*;
use tcpr::Durability;

fn open(path: &Path) -> Result<Restored, CheckpointError> {
    Checkpoint::open(path, HEADER, Durability::Process)
}

fn create(path: &Path) -> Checkpoint {
    Checkpoint::create(path, HEADER, Durability::Process).unwrap()
}

#[test]
fn a_file_cut_off_at_any_octet_is_the_state_of_an_earlier_instant_or_refused() {
    for four_octet_as in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer");
        let mut checkpoint = create(&path);
        let writes = life(four_octet_as);
        // The length of the file after each write.
        let mut lengths = vec![fs::metadata(&path).unwrap().len() as usize];
        for write in &writes {
            write.append(&mut checkpoint);
            lengths.push(fs::metadata(&path).unwrap().len() as usize);
        }
        let image = fs::read(&path).unwrap();
        for cut in 0..=image.len() {
            fs::write(&path, &image[..cut]).unwrap();
            let complete = lengths.iter().filter(|&&length| length <= cut).count();
            let Some(done) = complete.checked_sub(1) else {
                let error = open(&path).unwrap_err();
                assert!(
                    matches!(error, CheckpointError::Damaged { at: 0, .. }),
                    "{error}"
                );
                continue;
            };
            let mut restored = open(&path).unwrap();
            assert_eq!(
                State::of(&restored),
                State::after(&writes[..done]),
                "cut at {cut}"
            );
            // And it can be gone on with.
            for write in &writes[done..] {
                write.append(&mut restored.checkpoint);
            }
            assert_eq!(fs::read(&path).unwrap(), image, "gone on with after {cut}");
        }
    }
}

#[test]
fn no_corruption_of_an_octet_is_misread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let mut checkpoint = create(&path);
    let writes = life(true);
    let (before, after) = writes.split_at(9);
    for write in before {
        write.append(&mut checkpoint);
    }
    let told = State::after(before).told;
    for compacted in [false, true] {
        if compacted {
            checkpoint.compact(30, &told).unwrap();
        }
        for write in after {
            write.append(&mut checkpoint);
        }
        let image = fs::read(&path).unwrap();
        for at in 0..image.len() {
            for mask in [1 << (at % 8), 0xff] {
                let mut damaged = image.clone();
                damaged[at] ^= mask;
                fs::write(&path, &damaged).unwrap();
                let error = open(&path).expect_err("it is noticed");
                assert!(
                    matches!(error, CheckpointError::Damaged { .. }),
                    "{at}: {error}"
                );
            }
        }
        fs::write(&path, &image).unwrap();
        checkpoint = open(&path).unwrap().checkpoint;
    }
}

#[test]
fn a_compacted_file_cut_off_is_refused_or_says_nothing_or_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let mut checkpoint = create(&path);
    let header = fs::metadata(&path).unwrap().len() as usize;
    let writes = life(true);
    for write in &writes {
        write.append(&mut checkpoint);
    }
    let whole = State::after(&writes);
    checkpoint
        .compact(whole.sent.len() as u64 - 7, &whole.told)
        .unwrap();
    let image = fs::read(&path).unwrap();
    for cut in 0..image.len() {
        fs::write(&path, &image[..cut]).unwrap();
        match open(&path) {
            Ok(restored) => {
                assert!(cut >= header);
                assert_eq!(State::of(&restored), State::after(&[]), "as it was created");
            }
            Err(error) => {
                assert!(cut < header, "{error}");
            }
        }
    }
}

#[test]
fn a_kill_during_compaction_leaves_the_old_file_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let mut checkpoint = create(&path);
    let writes = life(true);
    for write in &writes {
        write.append(&mut checkpoint);
    }
    let old = fs::read(&path).unwrap();
    let whole = State::after(&writes);
    checkpoint.compact(40, &whole.told).unwrap();
    let new = fs::read(&path).unwrap();
    let beside = folder.path().join("peer.new");
    // Before the rename: whatever was written of the new file, the old one stands.
    for written in 0..=new.len() {
        fs::write(&path, &old).unwrap();
        fs::write(&beside, &new[..written]).unwrap();
        let mut restored = open(&path).unwrap();
        assert_eq!(State::of(&restored), whole);
        // The next compaction is not disturbed by it.
        if written % 50 == 0 {
            restored.checkpoint.compact(40, &whole.told).unwrap();
            assert_eq!(fs::read(&path).unwrap(), new);
            assert!(!beside.exists());
        }
    }
}

#[test]
fn another_sessions_file_and_another_format_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let missing = open(&path).unwrap_err();
    assert!(matches!(missing, CheckpointError::Missing { .. }));
    create(&path);
    for other in [
        Header {
            peer: [198, 18, 0, 9].into(),
            ..HEADER
        },
        Header {
            peer_asn: 1,
            ..HEADER
        },
        Header { asn: 1, ..HEADER },
        Header {
            router_id: [1, 1, 1, 1].into(),
            ..HEADER
        },
    ] {
        let error = Checkpoint::open(&path, other, Durability::Process).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Another { given: HEADER, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("198.18.0.1"), "{error}");
    }
    let mut image = fs::read(&path).unwrap();
    let at = image
        .windows(10)
        .position(|w| w == b"\"format\":1")
        .unwrap()
        + 9;
    image[at] = b'2';
    let crc = crc32fast::hash(&image[13..]).to_be_bytes();
    image[5..9].copy_from_slice(&crc);
    let crc = crc32fast::hash(&image[..9]).to_be_bytes();
    image[9..13].copy_from_slice(&crc);
    fs::write(&path, &image).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Version { given: 2, .. }),
        "{error}"
    );
}

#[test]
fn output_that_is_not_kept_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let mut checkpoint = create(&path);
    let writes = life(true);
    for write in &writes {
        write.append(&mut checkpoint);
    }
    let whole = State::after(&writes);
    let end = whole.sent.len() as u64;
    checkpoint.compact(40, &whole.told).unwrap();
    let sent = open(&path).unwrap().sent;
    assert_eq!((sent.begin(), sent.end()), (40, end));
    assert!(sent.octets(end).unwrap().is_empty());
    assert_eq!(sent.octets(55).unwrap(), whole.sent[55..]);
    for from in [39, end + 1] {
        let error = sent.octets(from).unwrap_err();
        assert!(matches!(error, CheckpointError::NotKept { .. }), "{error}");
    }
}

#[test]
fn a_log_of_changes_that_cancel_out_becomes_worth_compacting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let mut checkpoint = create(&path);
    let change = [announcing(1, 1, 2, true), withdrawing(1)]
        .concat()
        .repeat(1000);
    while !checkpoint.is_worth_compacting(checkpoint.sent()) {
        checkpoint.append(Entry::Sent(&change)).unwrap();
        assert!(checkpoint.sent() < 10 << 20, "it never is");
        assert!(
            !checkpoint.is_worth_compacting(0),
            "the peer may ask for all of it"
        );
    }
    checkpoint
        .compact(checkpoint.sent(), &AdjRibOut::new())
        .unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 1000);
    assert!(!checkpoint.is_worth_compacting(checkpoint.sent()));
}

#[test]
fn it_is_its_owners_alone_durable_if_asked_and_goes_with_its_session() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let writes = life(true);
    let mut checkpoint = Checkpoint::create(&path, HEADER, Durability::Machine).unwrap();
    for write in &writes {
        write.append(&mut checkpoint);
    }
    let whole = State::after(&writes);
    checkpoint.compact(0, &whole.told).unwrap();
    let restored = Checkpoint::open(&path, HEADER, Durability::Machine).unwrap();
    assert_eq!(State::of(&restored), whole);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    restored.checkpoint.remove().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_new_session_takes_the_place_of_the_old_ones_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer");
    let mut checkpoint = create(&path);
    for write in &life(true) {
        write.append(&mut checkpoint);
    }
    create(&path);
    assert_eq!(State::of(&open(&path).unwrap()), State::after(&[]));
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        (0u8..20, 1u8..9, 1u32..4).prop_map(|(n, c, asn)| Write::Sent(announcing(n, c, asn, true))),
        (0u8..30).prop_map(|n| Write::Sent(withdrawing(n))),
        Just(Write::Sent(end_of_rib())),
        Just(Write::Sent(keepalive())),
        any::<u64>().prop_map(Write::Received),
        any::<u64>().prop_map(Write::Record),
        Just(Write::Established),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn compaction_at_any_point_loses_nothing(
        parts in prop::collection::vec((prop::collection::vec(write(), 0..20), 0.0f64..=1.0), 1..5)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer");
        let mut checkpoint = create(&path);
        let mut writes = vec![Write::Negotiated(true)];
        writes[0].append(&mut checkpoint);
        let mut acknowledged = 0;
        for (part, share) in parts {
            for write in &part {
                write.append(&mut checkpoint);
            }
            writes.extend(part);
            let state = State::after(&writes);
            // The peer acknowledges at any octet, and never takes it back.
            acknowledged += ((state.sent.len() - acknowledged) as f64 * share) as usize;
            checkpoint.compact(acknowledged as u64, &state.told).unwrap();
            let restored = open(&path).unwrap();
            prop_assert_eq!(restored.sent.begin(), acknowledged as u64);
            prop_assert_eq!(restored.sent.end(), checkpoint.sent());
            let expected = State { sent: state.sent[acknowledged..].to_vec(), ..state };
            prop_assert_eq!(State::of(&restored), expected);
        }
    }
}
