//! Streams between real kernels while the application is killed and started again: every octet
//! arrives once, in order, and the peer's socket never sees an error.
//!
//! The instants are random: `TCPR_TEST_SEED` repeats those of a test that has failed, as far as
//! the machine does, and `TCPR_TEST_TIMES=10` makes ten times as many of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use common::application::{self, Progress, Role};
use common::trial::{Placement, Setup, Trial, Victim};
use common::{in_bed, wait_for};
use tcpr_cli::bed::Wire;

const PATIENCE: Duration = Duration::from_secs(30);
/// More than any window.
const MUCH: u64 = 4_000_000;

#[test]
#[ignore = "the process that the other tests kill"]
fn application() {
    application::main();
}

/// Octets pass both ways before, while and after something is killed so many times.
fn survive(setup: Setup, victim: Victim, times: u32) {
    let mut trial = Trial::start(setup);
    trial.wait_for_progress(MUCH);
    trial.torment(victim, times);
    trial.wait_for_progress(MUCH);
    trial.finish();
}

#[test]
fn who_accepts_is_killed_at_random_instants() {
    in_bed(test_name!(), || {
        survive(Setup::default(), Victim::Application, 120);
    });
}

#[test]
fn who_connects_is_killed_at_random_instants() {
    in_bed(test_name!(), || {
        let setup = Setup {
            role: Role::Connect,
            ..Setup::default()
        };
        survive(setup, Victim::Application, 40);
    });
}

#[test]
fn segments_are_lost_besides() {
    in_bed(test_name!(), || {
        let setup = Setup {
            wire: Wire {
                loss_permille: 5,
                ..Wire::default()
            },
            ..Setup::default()
        };
        survive(setup, Victim::Application, 60);
    });
}

#[test]
fn ipv6_and_who_accepts() {
    in_bed(test_name!(), || {
        let setup = Setup {
            v6: true,
            ..Setup::default()
        };
        survive(setup, Victim::Application, 30);
    });
}

#[test]
fn ipv6_and_who_connects() {
    in_bed(test_name!(), || {
        let setup = Setup {
            v6: true,
            role: Role::Connect,
            ..Setup::default()
        };
        survive(setup, Victim::Application, 20);
    });
}

#[test]
fn from_a_middlebox() {
    in_bed(test_name!(), || {
        let setup = Setup {
            placement: Placement::Middlebox,
            ..Setup::default()
        };
        survive(setup, Victim::Application, 30);
    });
}

#[test]
fn from_a_middlebox_over_ipv6_with_losses() {
    in_bed(test_name!(), || {
        let setup = Setup {
            placement: Placement::Middlebox,
            v6: true,
            role: Role::Connect,
            wire: Wire {
                loss_permille: 5,
                ..Wire::default()
            },
            ..Setup::default()
        };
        survive(setup, Victim::Application, 20);
    });
}

fn with_sysctls(sysctls: &'static [(&'static str, &'static str)]) {
    let setup = Setup {
        sysctls,
        ..Setup::default()
    };
    survive(setup, Victim::Application, 20);
}

#[test]
fn without_timestamps() {
    in_bed(test_name!(), || {
        with_sysctls(&[("net.ipv4.tcp_timestamps", "0")])
    });
}

#[test]
fn without_selective_acknowledgments() {
    in_bed(test_name!(), || with_sysctls(&[("net.ipv4.tcp_sack", "0")]));
}

#[test]
fn without_window_scaling() {
    in_bed(test_name!(), || {
        with_sysctls(&[("net.ipv4.tcp_window_scaling", "0")])
    });
}

#[test]
fn with_explicit_congestion_notification() {
    in_bed(test_name!(), || with_sysctls(&[("net.ipv4.tcp_ecn", "1")]));
}

#[test]
fn without_any_option_and_with_losses() {
    in_bed(test_name!(), || {
        let setup = Setup {
            wire: Wire {
                loss_permille: 5,
                ..Wire::default()
            },
            sysctls: &[
                ("net.ipv4.tcp_timestamps", "0"),
                ("net.ipv4.tcp_sack", "0"),
                ("net.ipv4.tcp_window_scaling", "0"),
            ],
            ..Setup::default()
        };
        survive(setup, Victim::Application, 20);
    });
}

#[test]
fn with_another_receive_buffer_each_time() {
    in_bed(test_name!(), || {
        let setup = Setup {
            // Window scales from 0 to what the kernel chooses for megabytes.
            buffers: &[
                400_000, 4_096, 16_384, 65_536, 100_000, 1_000_000, 4_000_000,
            ],
            ..Setup::default()
        };
        survive(setup, Victim::Application, 40);
    });
}

#[test]
fn the_peer_is_told_the_window_of_the_new_receive_buffer() {
    in_bed(test_name!(), || {
        let mut trial = Trial::start(Setup::default());
        trial.wait_for_progress(MUCH);
        let window = |trial: &Trial| trial.peer.info().tcpi_snd_wnd;
        let before = window(&trial);
        assert!(before > 4 * 65_536, "{before}");
        trial.kill();
        trial.restart_with_buffer(32_768);
        trial.wait_for_incarnation(1);
        // More than was promised before, which cannot be taken back (RFC 9293, 3.8.6).
        trial.wait_for_progress(MUCH);
        for _ in 0..50 {
            let small = window(&trial);
            // What is read and not checkpointed yet is given back as window: as much again.
            assert!(
                small <= 4 * 65_536,
                "{small} octets into a buffer of 64 KiB"
            );
            trial.wait_for_progress(10_000);
        }
        trial.kill();
        trial.restart_with_buffer(2_000_000);
        wait_for("a wide window", PATIENCE, || {
            trial.assert_well();
            (window(&trial) > 500_000).then_some(())
        });
        trial.finish();
    });
}

#[test]
fn a_small_receive_buffer_behind_a_large_window_scale() {
    in_bed(test_name!(), || {
        let mut trial = Trial::start(Setup {
            // The window scale is 14: the peer is told windows in units of 16 KiB.
            sysctls: &[("net.ipv4.tcp_rmem", "4096 131072 1073741824")],
            ..Setup::default()
        });
        let scales = trial.summary().hard.scales.unwrap();
        assert_eq!(scales.ours, 14);
        trial.wait_for_progress(MUCH);
        trial.quiet_peer();
        trial.kill();
        // The new TCP never has room for a unit; the first not even for two segments.
        for (incarnation, octets) in [(1, 4_096), (2, 8_000), (3, 16_384)] {
            trial.restart_with_buffer(octets);
            trial.wait_for_incarnation(incarnation);
            let taken = |trial: &Trial| Progress::load(&trial.job.dir).offset;
            let before = taken(&trial);
            trial.peer.controls.silent.store(false, Relaxed);
            wait_for("input through a small buffer", PATIENCE, || {
                trial.assert_well();
                (taken(&trial) > before + 200_000).then_some(())
            });
            trial.kill();
        }
        trial.restart_with_buffer(4_000_000);
        trial.wait_for_progress(MUCH);
        trial.finish();
    });
}

#[test]
fn with_another_clock_each_time() {
    in_bed(test_name!(), || {
        let setup = Setup {
            clocks: true,
            ..Setup::default()
        };
        survive(setup, Victim::Application, 40);
    });
}

#[test]
fn our_sequence_numbers_wrap() {
    in_bed(test_name!(), || {
        let setup = Setup {
            role: Role::Connect,
            initial: Some(u32::MAX - 6_000_000),
            ..Setup::default()
        };
        survive(setup, Victim::Application, 20);
    });
}

#[test]
fn the_peers_sequence_numbers_wrap() {
    in_bed(test_name!(), || {
        let setup = Setup {
            initial: Some(u32::MAX - 6_000_000),
            ..Setup::default()
        };
        survive(setup, Victim::Application, 20);
    });
}

#[test]
fn the_server_is_killed_while_the_application_lives() {
    in_bed(test_name!(), || {
        survive(Setup::default(), Victim::Server, 20)
    });
}

#[test]
fn the_server_and_the_application_are_killed_together() {
    in_bed(test_name!(), || survive(Setup::default(), Victim::Both, 25));
}

/// The clock without an offset is the time since boot: whatever TSval TCPR makes up, 0 for one,
/// is either older than the peer's last or makes what follows older.
#[test]
fn the_server_and_the_application_are_killed_together_whose_clock_has_no_offset() {
    in_bed(test_name!(), || {
        let setup = Setup {
            sysctls: &[("net.ipv4.tcp_timestamps", "2")],
            ..Setup::default()
        };
        survive(setup, Victim::Both, 10);
    });
}

#[test]
fn the_server_or_the_application_is_killed_while_the_other_recovers() {
    in_bed(test_name!(), || {
        survive(Setup::default(), Victim::Either, 60)
    });
}

#[test]
fn killed_to_the_very_end() {
    in_bed(test_name!(), || {
        let mut trial = Trial::start(Setup {
            output: Some(20_000_000),
            ..Setup::default()
        });
        trial.torment(Victim::Application, 10);
        trial.close_peer();
        trial.torment(Victim::Application, 30);
        trial.finish();
    });
}

#[test]
fn killed_with_a_full_send_buffer_and_a_peer_that_does_not_read() {
    in_bed(test_name!(), || {
        let mut trial = Trial::start(Setup {
            deaf: true,
            silent: true,
            ..Setup::default()
        });
        trial.wait_for_full_buffers();
        trial.kill();
        // It has data to send still, and would not go away for minutes.
        const FIN_WAIT_1: u8 = 4;
        assert_eq!(trial.socket_states(), [FIN_WAIT_1]);
        trial.restart();
        trial.wait_for_incarnation(1);
        trial.kill();
        trial.restart();
        trial.wait_for_incarnation(2);
        trial.peer.controls.deaf.store(false, Relaxed);
        trial.peer.controls.silent.store(false, Relaxed);
        trial.wait_for_progress(MUCH);
        trial.finish();
    });
}

#[test]
fn what_the_peer_sends_to_a_dead_application_waits_for_the_next_one() {
    in_bed(test_name!(), || {
        // One segment: of several the peer would repeat some that have arrived.
        let quota = 1_000;
        let mut trial = Trial::start(Setup {
            silent: true,
            quota,
            ..Setup::default()
        });
        trial.kill();
        trial.peer.controls.silent.store(false, Relaxed);
        // The next one comes 0.8 s later: the wait has doubled twice (RFC 6298, 5.5).
        let repeated = |trial: &Trial| trial.peer.info().tcpi_total_retrans;
        wait_for("the third retransmission", PATIENCE, || {
            (repeated(&trial) >= 3).then_some(())
        });
        let before = repeated(&trial);
        trial.restart();
        let dir = trial.job.dir.clone();
        wait_for("the input", PATIENCE, || {
            (Progress::load(&dir).offset == quota).then_some(())
        });
        assert_eq!(repeated(&trial), before, "it had to be sent again");
        trial.finish();
    });
}

/// The application has taken 100,000 octets and the peer's FIN, and has output left of 40,000,000.
fn after_the_peers_fin() -> Trial {
    // A peer that does not read keeps our side from closing.
    let mut trial = Trial::start(Setup {
        deaf: true,
        output: Some(40_000_000),
        quota: 100_000,
        ..Setup::default()
    });
    trial.wait_for_full_buffers();
    trial.close_peer();
    let dir = trial.job.dir.clone();
    wait_for("the peer's end", PATIENCE, || {
        Progress::load(&dir).ended.then_some(())
    });
    trial
}

#[test]
fn killed_after_the_peers_fin_that_was_checkpointed() {
    in_bed(test_name!(), || {
        let mut trial = after_the_peers_fin();
        for incarnation in 1..4 {
            trial.kill();
            trial.restart();
            trial.wait_for_incarnation(incarnation);
        }
        let totals = trial.finish();
        assert_eq!((totals.sent, totals.received), (100_000, 40_000_000));
    });
}

/// What TCPR knew of the peer's end goes with it: only the application can say that there was one.
#[test]
fn the_server_is_killed_after_the_peers_fin_while_the_application_lives() {
    in_bed(test_name!(), || {
        let mut trial = after_the_peers_fin();
        trial.served.kill();
        trial.served.restart().unwrap();
        let totals = trial.finish();
        assert_eq!((totals.sent, totals.received), (100_000, 40_000_000));
    });
}

#[test]
fn killed_after_the_peers_fin_that_was_not_checkpointed() {
    in_bed(test_name!(), || {
        // Within the peer's first flight: of more it would wait for acknowledgments in vain.
        let quota = 10_000;
        let mut trial = Trial::start(Setup {
            hoard: true,
            quota,
            ..Setup::default()
        });
        trial.close_peer();
        let heard = trial.job.heard();
        // The quota may not be sent when the peer is told to close.
        let all = || {
            let heard = std::fs::read_to_string(&heard).ok()?;
            heard.parse::<u64>().ok()
        };
        let heard = wait_for("all input to be read", PATIENCE, all);
        trial.kill();
        assert_eq!(trial.summary().hard.checkpoint, 0);
        trial.job.hoard = false;
        trial.restart();
        assert_eq!(trial.finish().sent, heard);
    });
}

#[test]
fn killed_after_its_own_fin() {
    in_bed(test_name!(), || {
        let output = 3_000_000;
        let mut trial = Trial::start(Setup {
            output: Some(output),
            ..Setup::default()
        });
        let controls = std::sync::Arc::clone(&trial.peer.controls);
        wait_for("our end", PATIENCE, || {
            controls.heard_end.load(Relaxed).then_some(())
        });
        trial.torment(Victim::Application, 15);
        let before = controls.sent.load(Relaxed);
        wait_for("more of the peer's octets", PATIENCE, || {
            trial.assert_well();
            (controls.sent.load(Relaxed) > before + MUCH).then_some(())
        });
        assert_eq!(trial.finish().received, output);
    });
}

#[test]
fn killed_with_its_own_fin_behind_data_that_the_peer_does_not_take() {
    in_bed(test_name!(), || {
        let output = 100_000;
        let mut trial = Trial::start(Setup {
            output: Some(output),
            deaf: true,
            ..Setup::default()
        });
        let dir = trial.job.dir.clone();
        wait_for("all to be written", PATIENCE, || {
            Progress::load(&dir).output
        });
        for incarnation in 1..4 {
            trial.kill();
            trial.restart();
            trial.wait_for_incarnation(incarnation);
        }
        assert_eq!(trial.finish().received, output);
    });
}

#[test]
fn killed_before_it_registered_and_recovered_from_the_beginning() {
    in_bed(test_name!(), || {
        let mut trial = Trial::start(Setup {
            unregistered: true,
            ..Setup::default()
        });
        trial.kill();
        trial.job.unregistered = false;
        trial.restart();
        trial.wait_for_progress(MUCH);
        trial.torment(Victim::Application, 5);
        trial.finish();
    });
}

#[test]
fn an_application_that_wants_no_input() {
    in_bed(test_name!(), || {
        let setup = Setup {
            one_way: true,
            ..Setup::default()
        };
        survive(setup, Victim::Application, 20);
    });
}
