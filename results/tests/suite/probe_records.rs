//! The probe's two records: written, read back, cut short and damaged.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use results::probe::{Arrival, End, Record, Refusal, Row, Tick, Writer, read};

fn tick(number: u32, refused: &[(u16, &str)]) -> Tick {
    Tick {
        number,
        due_mono_ns: 86_400_000_000_000 + u64::from(number) * 10_000_000,
        late_ns: 61_002,
        took_ns: 250_417,
        refused: refused
            .iter()
            .map(|&(node, errno)| Refusal {
                node,
                errno: errno.to_owned(),
            })
            .collect(),
    }
}

fn arrival(node: u16, number: u32) -> Arrival {
    Arrival {
        node,
        number,
        sent_mono_ns: 86_400_000_071_113,
        delay_ns: 48_771,
    }
}

/// Writes the rows into a folder of its own.
fn written<R: Row>(rows: &[R], dropped: u64) -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("probe.csv");
    let mut writer = Writer::create(&path).unwrap();
    for row in rows {
        writer.append(row).unwrap();
    }
    writer.finish(dropped).unwrap();
    (temp, path)
}

#[test]
fn the_files_are_the_documented_ones_to_the_octet() {
    let rows = [
        tick(0, &[]),
        tick(1, &[(2, "ENETUNREACH"), (15, "EHOSTUNREACH")]),
    ];
    let (_temp, path) = written(&rows, 0);
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        "number,due_mono_ns,late_ns,took_ns,refused\n\
         0,86400000000000,61002,250417,\n\
         1,86400010000000,61002,250417,2:ENETUNREACH 15:EHOSTUNREACH\n\
         # rows 2 dropped 0\n"
    );
    let (_temp, path) = written(&[arrival(3, 7)], 12);
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        "node,number,sent_mono_ns,delay_ns\n3,7,86400000071113,48771\n# rows 1 dropped 12\n"
    );
}

#[test]
fn the_header_is_there_before_the_first_row_and_rows_after_each_flush() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("probe-sent.csv");
    let mut writer = Writer::create(&path).unwrap();
    let header = format!("{}\n", Tick::HEADER);
    assert_eq!(fs::read_to_string(&path).unwrap(), header);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    writer.append(&tick(0, &[])).unwrap();
    writer.flush().unwrap();
    let record: Record<Tick> = read(&path).unwrap();
    assert_eq!((record.rows, record.end), (vec![tick(0, &[])], None));
    Writer::<Tick>::create(&path).unwrap_err();
}

#[test]
fn what_is_no_row_is_named_with_its_line_and_the_rest_is_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("probe-received.csv");
    let header = Arrival::HEADER;
    let text = format!(
        "{header}\n1,2,3\n1,2,3,4\n1,2,3,-4\n70000,2,3,4\n\n# rows x\n2,2,3,5\n# rows 2 dropped 0\n1,3,3,4\n"
    );
    fs::write(&path, text).unwrap();
    let record: Record<Arrival> = read(&path).unwrap();
    assert_eq!(record.rows.len(), 2);
    let numbers: Vec<usize> = record.broken.iter().map(|b| b.number).collect();
    assert_eq!(numbers, [2, 4, 5, 6, 7, 10]);
    let end = End {
        rows: 2,
        dropped: 0,
    };
    assert_eq!(record.end, Some(end));

    fs::write(&path, format!("{}\n", Tick::HEADER)).unwrap();
    let record: Record<Arrival> = read(&path).unwrap();
    assert!(record.broken[0].reason.contains("header"), "{record:?}");
    fs::write(&path, "").unwrap();
    read::<Arrival>(&path).unwrap_err();
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let refused = prop::collection::vec((any::<u16>(), "[A-Z]{2,12}"), 0..4);
    let tick = (any::<u32>(), any::<[u64; 3]>(), refused).prop_map(|(number, ns, refused)| Tick {
        number,
        due_mono_ns: ns[0],
        late_ns: ns[1],
        took_ns: ns[2],
        refused: refused
            .into_iter()
            .map(|(node, errno)| Refusal { node, errno })
            .collect(),
    });
    prop::collection::vec(tick, 0..20)
}

proptest! {
    #[test]
    fn what_was_written_is_read_and_a_cut_never_passes_for_whole(
        ticks in ticks(), dropped: u64, cut: prop::sample::Index,
    ) {
        let (_temp, path) = written(&ticks, dropped);
        let whole: Record<Tick> = read(&path).unwrap();
        prop_assert_eq!(&whole.rows, &ticks);
        prop_assert_eq!(&whole.broken, &[]);
        let end = End { rows: ticks.len() as u64, dropped };
        prop_assert_eq!(whole.end, Some(end));

        let bytes = fs::read(&path).unwrap();
        let keep = 1 + cut.index(bytes.len() - 1);
        fs::write(&path, &bytes[..keep]).unwrap();
        let part: Record<Tick> = read(&path).unwrap();
        prop_assert_eq!(part.end, None);
        prop_assert!(part.broken.len() <= 1);
        prop_assert_eq!(&part.rows[..], &ticks[..part.rows.len()]);
    }
}
