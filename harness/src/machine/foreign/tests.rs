use super::*;

fn process(parent: i32, own: u64, children: u64) -> Process {
    Process {
        name: "x".to_owned(),
        parent,
        kernel: false,
        own,
        children,
        started: 5,
    }
}

#[test]
fn a_process_is_read_whatever_its_name() {
    let text = "4242 (a) b (c) S 17 4242 4242 0 -1 4194560 10 20 0 0 7 8 30 40 20 0 1 0 9999 1 2 3";
    let expected = Process {
        name: "a) b (c".to_owned(),
        parent: 17,
        kernel: false,
        own: 15,
        children: 70,
        started: 9999,
    };
    assert_eq!(Process::parse(text), Some(expected));
    let kernel = "12 (ksoftirqd/0) S 2 0 0 0 -1 69238848 0 0 0 0 0 91 0 0 20 0 1 0 23 0 0";
    assert!(Process::parse(kernel).is_some_and(|p| p.kernel && p.own == 91));
    assert_eq!(Process::parse("12 (cut off) S 2"), None);
}

#[test]
fn the_cpus_are_counted_and_their_idleness_is_read() {
    let text = "cpu  10 20 30 400 50 60 70 80 0 0\ncpu0 5 10 15 200 25 30 35 40 0 0\n\
                cpu1 5 10 15 200 25 30 35 40 0 0\nintr 1 2\nctxt 3\n";
    assert_eq!(parse_idle(text), Some((2, 450)));
    assert_eq!(parse_idle("intr 1"), None);
}

#[test]
fn a_family_has_children_of_children_and_no_neighbours() {
    let processes = Processes::from([
        (1, process(0, 0, 0)),
        (50, process(1, 0, 0)),
        (51, process(50, 0, 0)),
        // Its number is below its parent's: numbers have gone round.
        (7, process(51, 0, 0)),
        (60, process(1, 0, 0)),
    ]);
    assert_eq!(family(&processes, 50), BTreeSet::from([7, 50, 51]));
    assert_eq!(family(&processes, 99), BTreeSet::new());
}

/// A machine of two CPUs: flaplab (50) with a lab (51, 52), the kernel's (2), others (60, 61).
fn machine() -> Processes {
    let mut kernel = process(0, 10, 0);
    kernel.kernel = true;
    Processes::from([
        (2, kernel),
        (50, process(1, 100, 1000)),
        (51, process(50, 20, 0)),
        (52, process(51, 30, 3)),
        (60, process(1, 500, 0)),
        (61, process(1, 700, 4000)),
    ])
}

#[test]
fn what_is_neither_ours_nor_the_kernels_is_foreign() {
    let mut processes = machine();
    let before = Snapshot::of(&processes, 50, 2, 10_000, 1_000_000_000);
    // Ten seconds of two CPUs are 2000 ticks. The lab has ended meanwhile, with 47 ticks more than
    // it had before; another has begun.
    processes.retain(|pid, _| *pid != 51 && *pid != 52);
    processes.insert(50, process(1, 110, 1000 + 100));
    processes.insert(53, process(50, 40, 0));
    for (pid, more) in [(2, 50), (60, 600)] {
        processes.entry(pid).and_modify(|p| p.own += more);
    }
    let after = Snapshot::of(&processes, 50, 2, 11_000, 11_000_000_000);
    let foreign = before.until_in(&after, 100.0).expect("it is known");
    // Used 1000; ours 10 + 100 + 40 - 53, the kernel's 50.
    let expected = (1000.0 - 97.0 - 50.0) / 2000.0;
    assert!((foreign.share - expected).abs() < 1e-9, "{foreign:?}");
    assert_eq!(foreign.most, Some(("x".to_owned(), 0.3)));
}

#[test]
fn the_same_number_anew_is_another_process() {
    let mut processes = machine();
    let before = Snapshot::of(&processes, 50, 2, 0, 0);
    let mut anew = process(1, 400, 0);
    (anew.started, anew.name) = (77, "y".to_owned());
    processes.insert(61, anew);
    let after = Snapshot::of(&processes, 50, 2, 0, 10_000_000_000);
    let foreign = before.until_in(&after, 100.0).expect("it is known");
    assert_eq!(foreign.most, Some(("y".to_owned(), 0.2)));
}

#[test]
fn only_a_share_above_the_limit_is_found_and_who_it_was_is_said() {
    let of = |share| Foreign {
        share,
        cpus: 2,
        most: Some(("rustc".to_owned(), 0.2)),
    };
    assert_eq!(judge(&of(LIMIT)), None);
    let finding = judge(&of(0.5)).expect("it is above");
    for part in ["50 %", "2 CPUs", "`rustc` (20 %)"] {
        assert!(finding.message.contains(part), "{}", finding.message);
    }
}

#[test]
fn this_machine_tells() {
    let first = Snapshot::take().expect("no process of this test ends");
    let second = Snapshot::take().expect("nor now");
    assert!(first.cpus > 0);
    assert!(second.at_mono_ns > first.at_mono_ns);
    assert!(second.ours >= first.ours && second.idle >= first.idle);
    assert!(first.until(&second).is_some());
}
