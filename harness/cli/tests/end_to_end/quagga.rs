//! Routers of kind `quagga`, with FRR's daemons in Quagga's place: they are its descendants, and take
//! the same command line and, but for a policy, the same configuration.

use super::campaign::Campaign;
use super::program::{RUN_LIMIT, SHORT_LIMIT, finish, run_once, workspace};

fn scenario(folder: &str) -> String {
    format!(
        "name: quagga
topology: {{kind: chain, size: 2}}
router:
  kind: quagga
  path: {folder}
  mrai: 1s
  extra_config:
    r1: [router bgp 65001, \" no bgp ebgp-requires-policy\"]
    r2: [router bgp 65002, \" no bgp ebgp-requires-policy\"]
injector: {{kind: exabgp}}
failure: {{kind: control}}
strategies: [graceful-restart]
"
    )
}

#[test]
fn a_lab_runs_on_daemons_that_are_started_as_quaggas_are() {
    let dir = workspace();
    let (file, out) = (dir.path().join("quagga.yaml"), dir.path().join("campaign"));
    let folders = ["/usr/lib/frr", "/usr/libexec/frr"];
    let folder = folders.iter().find(|f| std::path::Path::new(f).exists());
    let folder = folder.expect("FRR is installed; run scripts/setup");
    std::fs::write(&file, scenario(folder)).unwrap();
    finish(&mut run_once(&file, &out), RUN_LIMIT).exits_with(0);
    let run = Campaign::at(&out).run("graceful-restart");
    assert_eq!(run.manifest().unwrap().router, "quagga");
    let log = std::fs::read_to_string(run.log_dir("r2").join("bgpd.log")).unwrap();
    assert!(log.contains("%ADJCHANGE"), "{log}");
}

#[test]
fn a_folder_without_daemons_is_named_before_anything_is_made() {
    let dir = workspace();
    let (file, out) = (dir.path().join("quagga.yaml"), dir.path().join("campaign"));
    std::fs::write(&file, scenario("/nowhere/sbin")).unwrap();
    finish(&mut run_once(&file, &out), SHORT_LIMIT)
        .exits_with(1)
        .says_one_error(&["/nowhere/sbin/bgpd is not installed", "docs/routers.md"]);
    assert!(!out.exists(), "nothing was made");
}
