//! One value of each kind that a run directory holds.

use std::collections::BTreeMap;

use results::machine::{Delayed, Lateness, RunQueue};
use results::{
    Clock, Event, EventKind, Finding, FindingKind, Host, LinkRef, Machine, Manifest, Phase,
    RecorderStats, SCHEMA_VERSION, Severity, Status,
};
use topologies::{
    Cell, Deadlines, FailureKind, FailureSettings, FailureTime, Filler, InjectorKind,
    InjectorSettings, Link, LinkRole, Node, NodeRole, ResolvedScenario, RouterKind, RouterSettings,
    Span, Strategy, TcprFate, Topology, TopologyKind,
};

fn delayed(node: &str) -> Delayed {
    Delayed {
        node: node.to_owned(),
        process: "bgpd".to_owned(),
        delay_s: 0.125,
    }
}

pub(crate) fn manifest() -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: "none-0000-0000000000000001".into(),
        address: None,
        attempt: 1,
        scenario: "s".into(),
        cell: Cell::default(),
        topology: "clique".into(),
        size: 1,
        failure: FailureKind::Control,
        strategy: Strategy::GracefulRestart,
        run_index: 0,
        seed: u64::MAX,
        failure_phase_s: 1.25,
        router: "frr".into(),
        router_version: "8.4.4".into(),
        injector: "exabgp".into(),
        injector_version: "4.2.21".into(),
        mrai_s: 5.0,
        realised_mrai: None,
        jobs: None,
        lab_cost: None,
        shared_lab: None,
        tool_version: "0.1.0".into(),
        tool_commit: "unknown".into(),
        host: Host {
            name: "h".into(),
            kernel: "6.18".into(),
            cpus: 2,
            memory_mib: 1024,
        },
        clock: Clock {
            wall_minus_mono_ns: 1_700_000_000_000_000_000,
        },
        sysctls: BTreeMap::from([("net.ipv4.ip_forward".into(), "1".into())]),
        status: Status::Running,
        error: None,
        started_at: "2026-01-02T03:04:05Z".into(),
        ended_at: None,
        recorders: BTreeMap::from([("r1".into(), RecorderStats::default())]),
        machine: Some(Machine {
            measured_s: 7.5,
            cpu_pressure_share: Some(0.25),
            run_queue: Some(RunQueue {
                delay_s: 0.5,
                most: delayed("r1"),
                worst: delayed("r2"),
            }),
            lateness: Some(Lateness {
                ticks: 750,
                p99_s: 0.004,
                max_s: 0.02,
            }),
            foreign_cpu_share: None,
        }),
        findings: vec![],
    }
}

pub(crate) fn topology() -> Topology {
    let node = |name: &str, role, asn, last| Node {
        name: name.into(),
        role,
        asn,
        router_id: [192, 0, 2, last].into(),
        addresses: vec![[10, 0, 0, last].into()],
    };
    Topology {
        destination: "198.51.100.0/24".parse().unwrap(),
        nodes: vec![
            node("r1", NodeRole::Router, 64512, 1),
            node("injector", NodeRole::Injector, 65000, 0),
        ],
        links: vec![Link {
            a: "injector".into(),
            b: "r1".into(),
            a_addr: [10, 0, 0, 0].into(),
            b_addr: [10, 0, 0, 1].into(),
            a_dev: "r1".into(),
            b_dev: "injector".into(),
            role: LinkRole::Primary,
        }],
    }
}

pub(crate) fn scenario() -> ResolvedScenario {
    let span = Span::from_secs_f64;
    ResolvedScenario {
        scenario: "s: # a name that YAML must quote".into(),
        cell: Cell::default(),
        topology_kind: TopologyKind::BClique,
        size: 1,
        strategy: Strategy::None,
        run_index: 3,
        seed: u64::MAX,
        router: RouterSettings {
            kind: RouterKind::Frr,
            path: None,
            mrai: span(5.0),
            connect_retry: span(1.0),
            keepalive: span(30.0),
            hold_time: span(90.0),
            stale_path_time: span(360.0),
            extra_config: BTreeMap::from([("r1".into(), vec!["no: yes".into(), " a\nb".into()])]),
        },
        injector: InjectorSettings {
            kind: InjectorKind::Exabgp,
            restart_time: span(120.0),
            backup_path_length: 17,
            filler: Some(Filler {
                count: 20_000,
                rate_per_s: 200,
                initial_rate_per_s: 2_000,
            }),
        },
        failure: FailureSettings {
            kind: FailureKind::Correlated,
            phase: span(4.321_987_654),
            detect_delay: Span::ZERO,
            when: FailureTime::Settled,
            restart_delay: Span::ZERO,
            kills: 1,
            kill_interval: Span::ZERO,
            tcpr: TcprFate::Survives,
            rounds: 5,
        },
        deadlines: Deadlines {
            established: span(30.0),
            settled: span(60.0),
            quiet: span(600.0),
        },
        data_plane_probe: false,
        fresh: true,
        topology: topology(),
    }
}

pub(crate) fn event(t_mono_ns: u64) -> Event {
    Event {
        kind: EventKind::Failure,
        phase: Phase::Applied,
        t_mono_ns,
        t_wall_ns: t_mono_ns + 9,
        target: "injector".into(),
        failure: Some("control".into()),
        dead_link: Some(LinkRef {
            a: "injector".into(),
            b: "r1".into(),
        }),
        detail: serde_json::Map::from_iter([("pid".into(), 17.into())]),
    }
}

pub(crate) fn finding() -> Finding {
    Finding {
        kind: FindingKind::ClockStep,
        severity: Severity::Invalidating,
        place: "run".into(),
        message: "the wall clock stepped by 2 s".into(),
    }
}
