//! The folder of a paper, on disk.

use std::fs;
use std::path::Path;

use results::CampaignDir;
use topologies::Strategy;

use super::disk::{campaign, manifest, write_run};
use super::network::eventful;
use crate::export::{ExportError, export};

fn made(place: &Path) -> CampaignDir {
    let campaign = campaign(place);
    let frame = eventful();
    for strategy in [Strategy::None, Strategy::GracefulRestartF0] {
        for i in 0..3 {
            write_run(&campaign, &frame, manifest(&frame.topology, strategy, i));
        }
    }
    campaign
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn everything_to_redraw_a_figure_is_there_and_named() {
    let place = tempfile::tempdir().unwrap();
    let campaign = made(place.path());
    let out = place.path().join("artefact");
    let files = export(campaign.path(), &out).unwrap();
    for name in [
        "README.md",
        "manifest.json",
        "scenario.yaml",
        "preview.tex",
        "figures/one-column/convergence.pdf",
        "figures/one-column/convergence.svg",
        "figures/two-columns/update-load.pdf",
        "pgfplots/disconnection.tex",
        "pgfplots/convergence-none.dat",
        "pgfplots/convergence-graceful-restart-f0-band.dat",
        "tables/summary.tex",
        "tables/differences.tex",
        "data/metrics.csv",
        "data/metrics.parquet",
        "data/differences.csv",
    ] {
        assert!(files.iter().any(|f| f == name), "{name}: {files:?}");
        assert!(fs::metadata(out.join(name)).unwrap().len() > 0, "{name}");
    }
    let readme = read(&out, "README.md");
    assert!(!readme.contains("{{"), "{readme}");
    assert!(readme.contains("FRRouting 8.4.4, MRAI 5 s"), "{readme}");
    assert!(readme.contains("6 of 6 runs are valid"), "{readme}");
    let manifest: serde_json::Value = serde_json::from_str(&read(&out, "manifest.json")).unwrap();
    let hashed = manifest["files"].as_array().unwrap();
    assert_eq!(hashed.len() + 1, files.len(), "all but the manifest itself");
    assert_eq!(manifest["runs"][0]["run_index"], 0);
    assert_eq!(manifest["hosts"][0]["cpus"], 2);
    let one = read(&out, "figures/one-column/convergence.svg");
    assert!(one.contains("width=\"84mm\""));
    let two = read(&out, "figures/two-columns/convergence.svg");
    assert!(two.contains("width=\"178mm\""));
}

#[test]
fn data_files_have_a_row_per_run_and_tex_names_each_of_them() {
    let place = tempfile::tempdir().unwrap();
    let campaign = made(place.path());
    let out = place.path().join("artefact");
    export(campaign.path(), &out).unwrap();
    // Each run converges after 3 s; the band of three runs is 0.7841 to either side.
    let rows: Vec<Vec<f64>> = read(&out, "pgfplots/convergence-none.dat")
        .lines()
        .skip(1)
        .map(|l| l.split(' ').map(|v| v.parse().unwrap()).collect())
        .collect();
    let starts: Vec<(f64, f64)> = rows.iter().map(|r| (r[0], r[1])).collect();
    let third = 1.0 / 3.0;
    assert_eq!(
        starts[..4],
        [(0.0, 0.0), (3.0, third), (3.0, 2.0 * third), (3.0, 1.0)]
    );
    assert!((rows[1][3] - 1.0).abs() < 1e-9 && rows[1][2] == 0.0);
    assert!((rows[0][3] - 0.7841).abs() < 1e-4);
    let tex = read(&out, "pgfplots/convergence.tex");
    for entry in fs::read_dir(out.join("pgfplots")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("convergence") && name.ends_with(".dat") {
            assert!(tex.contains(&format!("{{\\flaplabdata/{name}}}")), "{name}");
        }
    }
    assert_eq!(tex.matches('{').count(), tex.matches('}').count());
}

#[test]
fn tables_are_booktabs_with_nothing_left_to_escape() {
    let place = tempfile::tempdir().unwrap();
    let campaign = made(place.path());
    let out = place.path().join("artefact");
    export(campaign.path(), &out).unwrap();
    let table = read(&out, "tables/summary.tex");
    assert!(
        table.contains("none & 3 & $3.00$ {\\scriptsize $[3.00, 3.00]$}"),
        "{table}"
    );
    for line in table.lines().filter(|l| l.contains(" & ")) {
        assert_eq!(line.matches(" & ").count(), 4, "{line}");
        assert!(line.ends_with("\\\\"), "{line}");
    }
    assert_eq!(
        crate::latex::escaped("a_b & 5 % <x>"),
        "a\\_b \\& 5 \\% $<$x$>$"
    );
}

#[test]
fn the_same_records_give_the_same_octets_and_stay_as_they_are() {
    let place = tempfile::tempdir().unwrap();
    let campaign = made(place.path());
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    let files = export(campaign.path(), &one).unwrap();
    export(campaign.path(), &two).unwrap();
    for name in files {
        let (a, b) = (fs::read(one.join(&name)), fs::read(two.join(&name)));
        assert_eq!(a.unwrap(), b.unwrap(), "{name}");
    }
    let mut left: Vec<_> = fs::read_dir(campaign.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["runs", "scenario.yaml"]);
}

#[test]
fn nothing_that_is_there_is_overwritten_and_nothing_goes_among_the_runs() {
    let place = tempfile::tempdir().unwrap();
    let campaign = made(place.path());
    let out = place.path().join("mine");
    fs::create_dir(&out).unwrap();
    let error = export(campaign.path(), &out).unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    let dangling = place.path().join("link");
    std::os::unix::fs::symlink("/nowhere", &dangling).unwrap();
    assert!(export(campaign.path(), &dangling).is_err());
    let inside = campaign.runs_dir().join("artefact");
    let error = export(campaign.path(), &inside).unwrap_err();
    assert!(matches!(error, ExportError::AmongRuns { .. }), "{error}");
    assert!(!inside.exists());
}

#[test]
fn a_campaign_without_a_valid_run_has_nothing_to_export() {
    let place = tempfile::tempdir().unwrap();
    let campaign = campaign(place.path());
    let frame = eventful();
    let mut m = manifest(&frame.topology, Strategy::None, 0);
    m.status = results::Status::Failed;
    write_run(&campaign, &frame, m);
    let out = place.path().join("out");
    let error = export(campaign.path(), &out).unwrap_err();
    assert!(matches!(error, ExportError::NoValidRun { .. }), "{error}");
    assert!(!out.exists());
}
