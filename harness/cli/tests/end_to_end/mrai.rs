//! The MRAI probe: what FRR makes of the MRAI that it is told.

use results::Status;
use results::realised::Spread;

use super::campaign::Campaign;
use super::program::{RUN_LIMIT, finish, run_once, workspace};

const SCENARIO: &str = "name: mrai
topology: {kind: chain, size: 3}
router: {mrai: 2s}
injector: {kind: exabgp}
failure: {kind: mrai-probe, rounds: 2}
strategies: [none]
";
const MRAI_S: f64 = 2.0;
/// FRR's timer counts whole seconds, and its decisions take some 50 ms each; the rest is for a
/// machine that is busy with something else.
const GRANULARITY_S: f64 = 1.0;

fn within(spread: Spread, least_s: f64, most_s: f64, what: &str) {
    assert!(
        least_s <= spread.min_s
            && spread.min_s <= spread.median_s
            && spread.median_s <= spread.max_s
            && spread.max_s <= most_s,
        "{what}: {spread:?}, not within {least_s} to {most_s} s"
    );
}

#[test]
fn frr_tells_at_once_after_idle_and_then_holds_announcements_and_what_is_behind_them_back() {
    let dir = workspace();
    let (scenario, out) = (dir.path().join("mrai.yaml"), dir.path().join("campaign"));
    std::fs::write(&scenario, SCENARIO).unwrap();
    let finished = finish(&mut run_once(&scenario, &out), RUN_LIMIT).exits_with(0);

    let run = Campaign::at(&out).run("none");
    let manifest = run.manifest().unwrap();
    assert_eq!(manifest.status, Status::Complete);
    let realised = manifest.realised_mrai.unwrap();
    assert_eq!(
        (
            realised.router.as_str(),
            realised.peer.as_str(),
            realised.rounds
        ),
        ("r1", "r2", 2)
    );
    within(realised.first_announcement, 0.0, 0.5 * MRAI_S, "first");
    let held = (MRAI_S - GRANULARITY_S, MRAI_S + GRANULARITY_S);
    within(realised.second_announcement, held.0 - 0.5, held.1, "second");
    within(realised.announcement_interval, held.0, held.1, "interval");
    // The timer runs only while an announcement waits: a withdrawal waits behind one, or not at all.
    within(realised.withdrawal, 0.0, 0.5 * MRAI_S, "withdrawal");
    let behind = realised.withdrawal_behind_announcement;
    within(behind, held.0 - 0.5, held.1, "withdrawal behind");

    for words in [
        "failure `mrai-probe`",
        "realised MRAI",
        "first announcement",
        "interval between them",
        "told an MRAI of 2 s; r1 to r2, 2 rounds",
    ] {
        assert!(
            finished.stdout.contains(words),
            "no `{words}` in:\n{}",
            finished.stdout
        );
    }
    assert!(
        !finished.stdout.contains("convergence"),
        "nothing failed:\n{}",
        finished.stdout
    );
}
