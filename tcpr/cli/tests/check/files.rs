//! Files: captures of every format, and what is none.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use tcpr::core::packet::{Flags, Segment};
use tempfile::TempDir;

use crate::{check, verdict};

const A: &str = "192.0.2.1:179";
const B: &str = "192.0.2.2:4000";

/// An acknowledgment of A for octet `acknowledgment` of B, or one octet of B.
fn packet(from_a: bool, acknowledgment: u32, octet: bool) -> Vec<u8> {
    let (source, destination) = if from_a { (A, B) } else { (B, A) };
    let segment = Segment {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        sequence: if from_a { 5000 } else { 700 },
        acknowledgment,
        flags: Flags::ACK,
        window: 1000,
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        octet,
    };
    let mut octets = [0; Segment::MAX_LEN];
    let length = segment.emit(&mut octets);
    octets[..length].to_vec()
}

/// B sends an octet, A acknowledges it, and then acknowledges less.
fn steps_back() -> Vec<Vec<u8>> {
    vec![
        packet(false, 5000, true),
        packet(true, 701, false),
        packet(true, 700, false),
    ]
}

/// A pcap file of raw IP packets, one each millisecond.
fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 101] {
        file.extend(word.to_le_bytes());
    }
    for (number, packet) in packets.iter().enumerate() {
        let length = packet.len() as u32;
        for word in [1000, number as u32 * 1000, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

/// A block of a pcapng file.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (12 + body.len()) as u32;
    let ends = length.to_le_bytes();
    [&kind.to_le_bytes()[..], &ends, body, &ends].concat()
}

/// A pcapng file of the same packets on Ethernet, whose frames say which way they went.
fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xff; 8]);
    let mut file = block(0x0a0d_0d0a, &section);
    // Nanoseconds (option 9).
    let described = [1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    file.extend(block(1, &described));
    for (number, packet) in packets.iter().enumerate() {
        let frame = [&[2; 12][..], &[8, 0], packet].concat();
        let time = 1_000_000_000_000_u64 + number as u64 * 1_000_000;
        let length = frame.len() as u32;
        let mut body = Vec::new();
        for word in [0, (time >> 32) as u32, time as u32, length, length] {
            body.extend(word.to_le_bytes());
        }
        body.extend(&frame);
        body.resize(body.len().next_multiple_of(4), 0);
        // Flags (option 2): A's packets come out of this host, B's come in.
        let way = if packet[15] == 1 { 2 } else { 1 };
        body.extend([2, 0, 4, 0, way, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(block(6, &body));
    }
    file
}

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, octets).unwrap();
        path
    }
}

fn printed(output: &Output) -> (String, String, Option<i32>) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    (
        text(&output.stdout),
        text(&output.stderr),
        output.status.code(),
    )
}

#[test]
fn a_violation_is_told_with_its_packet_its_rule_and_where_that_is_written() {
    let files = Files::new();
    let file = files.write("a.pcap", &pcap(&steps_back()));
    let (out, err, code) = printed(&check(&file, &["--at", "192.0.2.1"]));
    assert_eq!((err.as_str(), code), ("", Some(1)));
    let expected = "
packet 3  0.002000 s  192.0.2.1:179  acknowledgment-regressed
    seen      acknowledges 1
    expected  2 or more: that was acknowledged before
    What was acknowledged stays acknowledged. RFC 9293, 3.4

connections whose beginning is not in the capture were judged without what their SYNs agree upon
not clean: 1 violation in 1 connection, which no one TCP that never failed can have sent
";
    let (table, rest) = out.split_at(out.find("\npacket").unwrap());
    assert_eq!(rest, expected);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[1],
        [B, A, "1", "1", "2", "0", "0.002s", "no", "1", "violation"]
    );
}

#[test]
fn a_clean_capture_says_so_in_its_last_line() {
    let files = Files::new();
    let file = files.write("a.pcap", &pcap(&steps_back()[..2]));
    let (out, err, code) = printed(&check(&file, &[]));
    assert_eq!((err.as_str(), code), ("", Some(0)));
    assert!(out.ends_with(
        "clean: in 1 connection nothing was seen that TCPs which never failed could not have sent\n"
    ));
}

#[test]
fn pcapng_is_read_and_tells_where_the_capture_was_made() {
    let files = Files::new();
    let file = files.write("a.pcapng", &pcapng(&steps_back()));
    let (verdict, code) = verdict(&file, &[]);
    assert_eq!(code, Some(1));
    let course = &verdict["verdict"]["connections"][0];
    assert_eq!(course["findings"][0]["severity"], "violation");
    assert_eq!(course["findings"][0]["packet"], 3);
    assert_eq!(course["ends"][1]["from_here"], true);
    assert_eq!(verdict["verdict"]["began_s"], 1000.0);
    assert_eq!(course["findings"][0]["time_s"], 1000.002);
}

#[test]
fn a_file_cut_short_is_judged_as_far_as_it_goes() {
    let files = Files::new();
    for whole in [pcap(&steps_back()), pcapng(&steps_back())] {
        let file = files.write("cut", &whole[..whole.len() - 5]);
        let (out, err, code) = printed(&check(&file, &[]));
        assert_eq!((err.as_str(), code), ("", Some(0)));
        assert!(
            out.contains("the file ends inside what begins at octet "),
            "{out}"
        );
        assert!(out.contains(": the 2 packets before were judged"), "{out}");
        let (verdict, _) = verdict(&file, &[]);
        assert!(verdict["stopped"]["cut_short"].is_number());
    }
}

#[test]
fn what_cannot_be_judged_is_told_and_is_not_called_clean() {
    let files = Files::new();
    let empty = files.write("empty", b"");
    let text = files.write(
        "text",
        b"this is no capture, however long it may be, is it?",
    );
    let nothing = files.write("nothing.pcap", &pcap(&[]));
    let mut radio = pcap(&steps_back());
    radio[20] = 105;
    let radio = files.write("radio.pcap", &radio);
    let whole = files.write("whole.pcap", &pcap(&steps_back()));
    let missing = files.0.path().join("missing");
    let directory = files.0.path().to_owned();
    for (file, arguments, message) in [
        (
            &empty,
            &[][..],
            "is no capture: it begins neither as pcap nor as pcapng",
        ),
        (&text, &[], "is no capture"),
        (
            &nothing,
            &[],
            "has 0 packets, and no TCP connection among them",
        ),
        (&radio, &[], "has link type 105, which is not known here"),
        (&missing, &[], "No such file or directory"),
        (&directory, &[], "Is a directory"),
        (
            &whole,
            &["--connection", "192.0.2.1:179-192.0.2.2:4001"],
            "has no packet between 192.0.2.1:179 and 192.0.2.2:4001; it has 1 other connections",
        ),
    ] {
        let (out, err, code) = printed(&check(file, arguments));
        assert_eq!((out.as_str(), code), ("", Some(2)), "{err}");
        let name = file.display().to_string();
        assert!(err.starts_with("error: ") && err.contains(&name), "{err}");
        assert!(err.contains(message), "{err}");
    }
}

#[test]
fn one_connection_can_be_asked_for_from_either_end() {
    let files = Files::new();
    let mut packets = steps_back();
    let mut other = packet(true, 701, false);
    other[23] = 99; // Another port of B.
    packets.push(other);
    let file = files.write("a.pcap", &pcap(&packets));
    for flow in [format!("{A}-{B}"), format!("{B}-{A}")] {
        let (verdict, _) = verdict(&file, &["--connection", &flow]);
        let courses = verdict["verdict"]["connections"].as_array().unwrap();
        assert_eq!(courses.len(), 1);
        assert_eq!(courses[0]["ends"][0]["address"], B);
    }
}

#[test]
fn standard_input_is_read() {
    let files = Files::new();
    let file = files.write("a.pcap", &pcap(&steps_back()));
    let mut command = std::process::Command::new(crate::program());
    command
        .args(["check", "-"])
        .stdin(fs::File::open(file).unwrap());
    let (out, _, code) = printed(&command.output().unwrap());
    assert_eq!(code, Some(0));
    assert!(out.contains("acknowledgment-regressed (note)"), "{out}");
}
