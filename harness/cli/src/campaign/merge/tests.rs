#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use super::*;

const TEXT: &str = "schema: 1\nname: four\ntopology: {kind: clique, size: 4}\nfailure: {kind: control}\nruns: 2\nseed: 7\n";

#[test]
fn a_merge_tells_what_it_left_and_what_is_next() {
    let dir = tempfile::tempdir().unwrap();
    let campaign = CampaignDir::create(dir.path().join("c"), TEXT).unwrap();
    let scenario = Scenario::parse(TEXT, "four.yaml").unwrap();
    let census = Census::take(&campaign, &scenario).unwrap();
    let left = |n: usize| -> Vec<Left> {
        let one = |i| Left {
            path: PathBuf::from(format!("/other/runs/r{i}")),
            reason: "because".to_owned(),
        };
        (0..n).map(one).collect()
    };
    let merged = Merged {
        there: vec!["a".to_owned()],
        second: left(1),
        refused: left(12),
        ..Merged::default()
    };
    let text = describe(&merged, &census, "c");
    let arms = scenario.strategies().len();
    for part in [
        "merged 0 runs; 1 more were there already\n",
        "1 left, because the campaign has them:\n  /other/runs/r0: because\n",
        "12 REFUSED:\n",
        "  and 2 more\n",
        &format!("0 of {} runs in the campaign\n", 2 * arms),
        "flaplab campaign status c",
    ] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    assert!(!text.contains("did not end as planned"), "{text}");
}
