//! MRT files, written by bgpkit-parser's encoders.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bgpkit_parser::encoder::{MrtRibEncoder, MrtUpdatesEncoder};
use bgpkit_parser::models::{AsPath, AsPathSegment, BgpElem, Origin};

use super::*;

fn elem(prefix: &str, peer: u8, as_path: AsPath) -> BgpElem {
    BgpElem {
        timestamp: 1_700_000_000.0,
        peer_ip: Ipv4Addr::new(192, 0, 2, peer).into(),
        peer_asn: 64500.into(),
        prefix: prefix.parse().unwrap(),
        next_hop: Some(Ipv4Addr::new(192, 0, 2, peer).into()),
        as_path: Some(as_path),
        origin: Some(Origin::IGP),
        med: Some(5),
        ..BgpElem::default()
    }
}

fn rib(elems: &[BgpElem]) -> Vec<u8> {
    let mut encoder = MrtRibEncoder::new();
    for elem in elems {
        encoder.process_elem(elem).unwrap();
    }
    encoder.export_bytes().unwrap().to_vec()
}

fn written(folder: &Path, name: &str, octets: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, octets).unwrap();
    path
}

fn transferred(path: PathBuf) -> BTreeMap<Ipv4Net, Vec<u32>> {
    let mut told = AdjRibOut::new();
    run(&[Source::Mrt { path }], &mut told, usize::MAX);
    assert!(
        told.iter()
            .all(|(_, a)| a.med.is_none() && a.next_hop == LOCAL.next_hop)
    );
    told.iter().map(|(p, a)| (p, a.as_path.clone())).collect()
}

#[test]
fn the_ipv4_routes_of_a_table_are_announced_after_our_own_number() {
    let folder = tempfile::tempdir().unwrap();
    let set = AsPath::from_segments(vec![AsPathSegment::set([3, 4])]);
    let octets = rib(&[
        elem(
            "10.1.0.0/16",
            1,
            AsPath::from_sequence([64500, 4_200_000_001]),
        ),
        elem("10.2.0.0/24", 1, AsPath::from_sequence([64500, 2, 2])),
        elem(
            "10.3.0.0/24",
            1,
            AsPath::from_sequence([64500, 4_200_000_001]),
        ),
        elem("2001:db8::/32", 1, AsPath::from_sequence([64500, 6])),
        elem("10.4.0.0/24", 1, set),
    ]);
    let expected = BTreeMap::from([
        (net("10.1.0.0/16"), vec![OWN, 64500, 4_200_000_001]),
        (net("10.2.0.0/24"), vec![OWN, 64500, 2, 2]),
        (net("10.3.0.0/24"), vec![OWN, 64500, 4_200_000_001]),
    ]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&octets).unwrap();
    let mut bz2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz2.write_all(&octets).unwrap();
    for (name, octets) in [
        ("rib", octets),
        ("rib.gz", gz.finish().unwrap()),
        ("rib.bz2", bz2.finish().unwrap()),
    ] {
        let path = written(folder.path(), name, &octets);
        assert_eq!(transferred(path), expected, "{name}");
    }
}

#[test]
fn of_several_routes_to_a_prefix_the_first_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut encoder = MrtUpdatesEncoder::new();
    for (peer, path) in [(1, [64500, 1]), (2, [64500, 2])] {
        encoder.process_elem(&elem("10.1.0.0/16", peer, AsPath::from_sequence(path)));
    }
    let octets = encoder.export_bytes().unwrap();
    let path = written(folder.path(), "updates", &octets);
    let expected = BTreeMap::from([(net("10.1.0.0/16"), vec![OWN, 64500, 1])]);
    assert_eq!(transferred(path), expected);
}

#[test]
fn files_that_cannot_be_announced_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: PathBuf| {
        let error = Sources::load(&[Source::Mrt { path }], OWN).unwrap_err();
        (error.to_string(), error)
    };
    let missing = folder.path().join("missing");
    assert!(
        matches!(refused(missing), (text, SourceError::File { .. }) if text.contains("missing"))
    );
    let text = written(
        folder.path(),
        "text",
        b"neighbor 192.0.2.1 announce route 10.0.0.0/8\n",
    );
    assert!(matches!(
        refused(text).1,
        SourceError::NotMrt { routes: 0, .. }
    ));
    let empty = written(folder.path(), "empty", b"");
    assert!(matches!(
        refused(empty).1,
        SourceError::NoRoute { left_out: 0, .. }
    ));
    let six = rib(&[elem("2001:db8::/32", 1, AsPath::from_sequence([64500]))]);
    let six = written(folder.path(), "six", &six);
    assert!(matches!(refused(six).1, SourceError::NoRoute { .. }));
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let octets = rib(&[
        elem("10.1.0.0/16", 1, AsPath::from_sequence([64500, 1])),
        elem("10.2.0.0/16", 1, AsPath::from_sequence([64500, 2])),
    ]);
    let path = written(folder.path(), "cut", &octets[..octets.len() - 3]);
    let error = Sources::load(&[Source::Mrt { path }], OWN).unwrap_err();
    assert!(matches!(error, SourceError::NotMrt { .. }), "{error}");
}
