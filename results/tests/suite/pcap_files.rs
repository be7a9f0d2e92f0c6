//! Capture files, whole and broken.

use results::bgp::LinkType;
use results::pcapfile::{self, PcapFileError};

use crate::speaker::pcap_file;

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn two_packets() -> Vec<u8> {
    pcap_file(
        LinkType::LinuxSll2,
        &[
            (1_700_000_000_123_456_789, vec![1; 40]),
            (1_700_000_001_000_000_001, vec![2; 50]),
        ],
    )
}

fn times(bytes: &[u8]) -> Vec<u64> {
    let file = file(bytes);
    let capture = pcapfile::read(file.path()).unwrap();
    capture.packets().map(|p| p.unwrap().t_ns).collect()
}

#[test]
fn nanoseconds_and_microseconds_are_told_apart() {
    let mut bytes = two_packets();
    assert_eq!(
        times(&bytes),
        [1_700_000_000_123_456_789, 1_700_000_001_000_000_001]
    );
    bytes[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    bytes[28..32].copy_from_slice(&123_456_u32.to_le_bytes());
    assert_eq!(times(&bytes)[0], 1_700_000_000_123_456_000);
}

#[test]
fn the_other_byte_order_is_read() {
    let mut bytes = Vec::new();
    bytes.extend(0xa1b2_3c4d_u32.to_be_bytes());
    bytes.extend([0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0]);
    bytes.extend(1_u32.to_be_bytes());
    for n in [7_u32, 9, 3, 60] {
        bytes.extend(n.to_be_bytes());
    }
    bytes.extend([1, 2, 3]);
    let file = file(&bytes);
    let capture = pcapfile::read(file.path()).unwrap();
    let packets: Vec<_> = capture.packets().map(Result::unwrap).collect();
    assert_eq!(capture.link_type(), LinkType::Ethernet);
    assert_eq!(packets[0].t_ns, 7_000_000_009);
    assert_eq!(packets[0].data, [1, 2, 3]);
    assert_eq!(packets[0].original_len, 60);
}

#[test]
fn a_file_cut_short_gives_what_is_whole_and_then_says_where_it_ends() {
    let bytes = two_packets();
    let second = 24 + 16 + 40;
    for end in second + 1..bytes.len() {
        let file = file(&bytes[..end]);
        let capture = pcapfile::read(file.path()).unwrap();
        let mut packets = capture.packets();
        assert_eq!(packets.next().unwrap().unwrap().data, [1; 40]);
        let error = packets.next().unwrap().unwrap_err();
        assert!(
            matches!(error, PcapFileError::CutShort { offset, .. } if offset == second),
            "{error}"
        );
        assert!(packets.next().is_none());
    }
}

#[test]
fn what_is_no_capture_is_refused_by_name() {
    for bytes in [&b""[..], b"\x0a\x0d\x0d\x0a pcapng", &two_packets()[..20]] {
        let file = file(bytes);
        let error = pcapfile::read(file.path()).unwrap_err().to_string();
        assert!(error.contains("is not a pcap file"), "{error}");
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
    let mut odd = two_packets();
    odd[20..24].copy_from_slice(&147_u32.to_le_bytes());
    let error = pcapfile::read(file(&odd).path()).unwrap_err();
    assert!(matches!(
        error,
        PcapFileError::UnknownLinkType { number: 147, .. }
    ));
    let error = pcapfile::read(std::path::Path::new("/nowhere/x.pcap")).unwrap_err();
    assert!(matches!(error, PcapFileError::Io { .. }));
}
