//! What is said to whom who cannot have a dataplane.

use std::process::Command;

use tcpr::Pattern;
use tcpr::dataplane::nfqueue::{Nfqueue, OpenError, Options};
use tcpr::dataplane::{Dataplane, RulesError};

use crate::bed::{both, inside, open};

#[test]
fn a_queue_in_use_is_named_with_who_has_it() {
    inside("open::a_queue_in_use_is_named_with_who_has_it", || {
        let first = open(&[]);
        let error = Nfqueue::open(&Options::default()).unwrap_err();
        assert!(
            matches!(error, OpenError::Taken { queue: 7900, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("--queue"));
        let error = Nfqueue::release_left_behind(7900).unwrap_err();
        assert!(matches!(error, OpenError::Taken { .. }), "{error:?}");
        // Its own numbers are free.
        let beside = Options {
            queue: 7904,
            ..Options::default()
        };
        Nfqueue::open(&beside).unwrap();
        drop(first);
        Nfqueue::open(&Options::default()).unwrap();
        let beyond = Options {
            queue: 65_533,
            ..Options::default()
        };
        let error = Nfqueue::open(&beyond).unwrap_err();
        assert!(matches!(error, OpenError::QueueNumber { first: 65_533 }));
    });
}

#[test]
fn without_iptables_its_package_is_named() {
    inside("open::without_iptables_its_package_is_named", || {
        let mut dataplane = open(&[]);
        // An empty folder where the programs are looked for.
        crate::bed::sh(
            "mkdir /run/none; for d in /usr/sbin /sbin /usr/local/sbin; do
                          ! test -d $d || mount --bind /run/none $d; done",
        );
        // SAFETY: this process runs one test, and it has no other thread that reads the
        // environment now.
        unsafe { std::env::set_var("PATH", "/run/none") };
        let [(server, _), _] = both(1);
        let error = dataplane.protect(&[Pattern::Local(server)]).unwrap_err();
        assert!(
            error.to_string().contains("install the package iptables"),
            "{error}"
        );
        let error = Nfqueue::open(&Options {
            queue: 1,
            ..Options::default()
        })
        .unwrap_err();
        assert!(
            matches!(error, OpenError::Rules(RulesError::Missing { .. })),
            "{error:?}"
        );
    });
}

#[test]
fn without_privilege_the_way_to_it_is_named() {
    const NAME: &str = "open::without_privilege_the_way_to_it_is_named";
    if std::env::var_os("TCPR_TEST_POWERLESS").is_some() {
        let error = Nfqueue::open(&Options::default()).unwrap_err();
        assert!(matches!(error, OpenError::Privilege { .. }), "{error:?}");
        assert!(error.to_string().contains("unshare -Urn"));
        return;
    }
    // Root of a user namespace, but not of the network namespace.
    let output = Command::new("unshare")
        .args(["-Ur", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env("TCPR_TEST_POWERLESS", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{output:?}"
    );
}
