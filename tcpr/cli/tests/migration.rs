//! Migration: the application comes back on another host that has the same address, behind the
//! router that TCPR stands on, and carries on. Its peer notices nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::atomic::Ordering::Relaxed;

use common::application::{self, Role};
use common::in_bed;
use common::trial::{Channel, Placement, Setup, Trial, Victim};
use tcpr_cli::bed::Wire;

const MUCH: u64 = 4_000_000;

#[test]
#[ignore = "the process that the other tests kill"]
fn application() {
    application::main();
}

fn migrate(setup: Setup) {
    let mut trial = Trial::start(Setup {
        placement: Placement::Middlebox,
        ..setup
    });
    trial.wait_for_progress(MUCH);
    trial.torment(Victim::Application, 3);
    trial.migrate();
    trial.wait_for_progress(MUCH);
    trial.torment(Victim::Application, 5);
    trial.finish();
}

#[test]
fn an_accepted_connection_moves_to_another_host() {
    in_bed(test_name!(), || migrate(Setup::default()));
}

#[test]
fn over_udp_as_between_machines() {
    in_bed(test_name!(), || {
        migrate(Setup {
            channel: Channel::Udp,
            ..Setup::default()
        });
    });
}

#[test]
fn an_opened_connection_moves_to_another_host_with_losses_over_ipv6() {
    in_bed(test_name!(), || {
        migrate(Setup {
            channel: Channel::Udp,
            role: Role::Connect,
            v6: true,
            wire: Wire {
                loss_permille: 5,
                ..Wire::default()
            },
            ..Setup::default()
        });
    });
}

#[test]
fn the_host_is_lost_with_full_buffers_and_the_router_with_it() {
    in_bed(test_name!(), || {
        let mut trial = Trial::start(Setup {
            placement: Placement::Middlebox,
            channel: Channel::Udp,
            deaf: true,
            ..Setup::default()
        });
        trial.wait_for_full_buffers();
        trial.served.restart().unwrap();
        trial.migrate();
        trial.wait_for_incarnation(1);
        trial.peer.controls.deaf.store(false, Relaxed);
        trial.wait_for_progress(MUCH);
        trial.finish();
    });
}
