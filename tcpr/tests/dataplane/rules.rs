//! Rules: put in place in one step, kept, taken over, taken away.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tcpr::Pattern;
use tcpr::core::Flow;
use tcpr::dataplane::nfqueue::{Nfqueue, Options, Placement};
use tcpr::dataplane::{Dataplane, Decision};

use crate::bed::{Pump, both, connect, inside, open, pair, sh};

/// The rules without counters and comments, tables in order of their names.
fn saved() -> String {
    sh(
        "for table in mangle raw; do iptables-save -t $table; ip6tables-save -t $table; done \
        | sed 's/\\[.*\\]//; /^#/d'",
    )
}

const USERS_RULES: &str = "for t in iptables ip6tables; do
     $t -t mangle -A INPUT -p udp --dport 53 -j MARK --set-mark 7
     $t -t mangle -N mine; $t -t mangle -A OUTPUT -j mine
     $t -t raw -A PREROUTING -p udp --dport 53 -j CT --notrack
   done";

fn leaves_the_users_rules() {
    sh(USERS_RULES);
    let before = saved();
    let mut dataplane = open(&[]);
    assert_eq!(saved(), before, "rules though nothing is protected");
    let [(v4, peer), (v6, _)] = both(179);
    let flow = Flow {
        local: v4,
        remote: SocketAddr::new(peer.ip(), 9),
    };
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 80);
    let patterns = [
        Pattern::Local(any),
        Pattern::Local(v4),
        Pattern::Local(v6),
        Pattern::Remote(v4),
        Pattern::Flow(flow),
    ];
    dataplane.protect(&patterns).unwrap();
    // Again, and with another set: the rules of before are not added to.
    dataplane.protect(&patterns).unwrap();
    let rules = saved();
    assert_eq!(rules.matches("-A INPUT -j TCPR-IN").count(), 2, "{rules}");
    assert_eq!(rules.matches("--dport 80 -j NFQUEUE").count(), 1, "{rules}");
    // Of connections to the application and of its own: untracked, and segments of bounded size.
    assert!(
        rules.contains("--notrack") && rules.contains("TCPMSS"),
        "{rules}"
    );
    dataplane.protect(&patterns[..1]).unwrap();
    assert!(!saved().contains("179"));
    dataplane.protect(&patterns).unwrap();

    // Killed: its rules are found by the next one, which stands elsewhere.
    drop(dataplane);
    assert_eq!(saved(), rules);
    let (mut successor, found) = Nfqueue::open(&Options {
        placement: Placement::Middlebox,
        queue: 100,
        ..Options::default()
    })
    .unwrap();
    let mut found = found.unwrap();
    found.sort_unstable();
    let mut expected = patterns.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(saved(), rules, "opening changes nothing");
    successor.protect(&found).unwrap();
    let rules = saved();
    assert!(
        !rules.contains("-A INPUT -j TCPR") && !rules.contains("7900"),
        "{rules}"
    );
    assert!(
        rules.contains("-A FORWARD -j TCPR-IN\n-A FORWARD -j TCPR-OUT"),
        "{rules}"
    );
    successor.release().unwrap();
    assert_eq!(saved(), before);
    assert!(!Nfqueue::release_left_behind(7900).unwrap());
    drop(open(&patterns));
    assert!(Nfqueue::release_left_behind(7900).unwrap());
    assert_eq!(saved(), before);
}

#[test]
fn rules_are_replaced_taken_over_and_taken_away_without_a_trace() {
    inside(
        "rules::rules_are_replaced_taken_over_and_taken_away_without_a_trace",
        leaves_the_users_rules,
    );
}

#[test]
fn the_same_holds_with_legacy_tables() {
    inside("rules::the_same_holds_with_legacy_tables", || {
        // As update-alternatives would do it.
        sh(
            "mkdir /run/legacy && cd /run/legacy && for p in iptables ip6tables; do
              for s in '' -save -restore; do ln -s $(which $p-legacy$s) $p$s; done; done",
        );
        let path = format!("/run/legacy:{}", std::env::var("PATH").unwrap());
        // SAFETY: this process runs one test, and it has no other thread that reads the
        // environment now.
        unsafe { std::env::set_var("PATH", path) };
        assert!(sh("iptables --version").contains("legacy"));
        leaves_the_users_rules();
    });
}

#[test]
fn nothing_passes_while_rules_are_replaced() {
    inside("rules::nothing_passes_while_rules_are_replaced", || {
        let [(server, client), _] = both(5101);
        let listener = TcpListener::bind(server).unwrap();
        let patterns = [Pattern::Local(server), Pattern::Local(both(5102)[0].0)];
        let mut dataplane = open(&patterns);
        // The other side of loss: what is not queued reaches the listener.
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let prober = thread::spawn(move || {
            let mut probes = 0;
            while !stopped.load(Ordering::Relaxed) {
                use socket2::{Domain, Socket, Type};
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.bind(&client.into()).unwrap();
                socket.set_nonblocking(true).unwrap();
                // One SYN.
                socket.connect(&server.into()).unwrap_err();
                probes += 1;
            }
            probes
        });
        let (mut seen, mut replaced) = (0, 0);
        while replaced < 30 {
            dataplane.protect(&patterns[..1 + replaced % 2]).unwrap();
            replaced += 1;
            let mut waiting = true;
            while waiting {
                let decided = dataplane.receive(&mut |_| Decision::Drop).unwrap();
                seen += decided;
                waiting = decided > 0 && seen < replaced * 100_000;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let probes = prober.join().unwrap();
        loop {
            match dataplane.receive(&mut |_| Decision::Drop).unwrap() {
                0 => break,
                decided => seen += decided,
            }
        }
        assert!(probes > 1000, "{probes}");
        assert_eq!(seen as u64 + dataplane.lost(), probes);
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        dataplane.release().unwrap();
    });
}

#[test]
fn without_anybody_at_the_queue_nothing_passes_until_a_successor_comes() {
    inside(
        "rules::without_anybody_at_the_queue_nothing_passes_until_a_successor_comes",
        || {
            for (server, client) in both(5103) {
                let pump = Pump::start(open(&[Pattern::Local(server)]), |_| Decision::Accept);
                let (mut near, mut far) = pair(server, client);
                near.write_all(b"a").unwrap();
                far.read_exact(&mut [0]).unwrap();
                // Killed.
                drop(pump.stop());
                near.write_all(b"b").unwrap();
                far.set_read_timeout(Some(Duration::from_millis(700)))
                    .unwrap();
                let error = far.read(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert!(connect(server, client).is_err());
                // The rules lead to the same queues again.
                let (successor, found) = Nfqueue::open(&Options::default()).unwrap();
                assert_eq!(found, Some(vec![Pattern::Local(server)]));
                let pump = Pump::start(successor, |_| Decision::Accept);
                far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let mut octet = [0];
                far.read_exact(&mut octet).unwrap();
                assert_eq!(octet, *b"b");
                pump.stop().release().unwrap();
            }
        },
    );
}

#[test]
fn forwarded_packets_are_taken_in_both_directions() {
    inside(
        "rules::forwarded_packets_are_taken_in_both_directions",
        || {
            // one - here - two, and the two ends in namespaces of their own.
            sh("set -e; sysctl -qw net.ipv4.ip_forward=1
            mkdir -p /run/netns
            for n in 1 2; do
              ip netns add end$n
              ip link add name to$n type veth peer name port netns end$n
              ip addr add 198.18.1$n.1/24 dev to$n; ip link set to$n up
              ip -n end$n addr add 198.18.1$n.2/24 dev port
              ip -n end$n link set port up
              ip -n end$n route add default via 198.18.1$n.1
            done");
            let server: SocketAddr = "198.18.12.2:5104".parse().unwrap();
            let (mut dataplane, _) = Nfqueue::open(&Options {
                placement: Placement::Middlebox,
                ..Options::default()
            })
            .unwrap();
            dataplane.protect(&[Pattern::Local(server)]).unwrap();
            let seen = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
            let directions = seen.clone();
            let pump = Pump::start(dataplane, move |arrival| {
                let packet = tcpr::core::packet::Packet::parse(arrival.packet).unwrap();
                assert_eq!(arrival.hook, tcpr::dataplane::Hook::Forward);
                directions[usize::from(packet.source() == server)].store(true, Ordering::Relaxed);
                Decision::Accept
            });
            let at = |n: u8, what: &mut (dyn FnMut() -> std::io::Result<()> + Send)| {
                thread::scope(|scope| {
                    let run = scope.spawn(|| {
                        let file = std::fs::File::open(format!("/run/netns/end{n}")).unwrap();
                        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                        what()
                    });
                    run.join().unwrap()
                })
                .unwrap();
            };
            let (mut listener, mut near) = (None, None);
            at(2, &mut || {
                TcpListener::bind(server).map(|l| listener = Some(l))
            });
            at(1, &mut || {
                connect(server, "198.18.11.2:0".parse().unwrap()).map(|c| near = Some(c))
            });
            let (far, _) = listener.unwrap().accept().unwrap();
            crate::bed::carry(near.as_ref().unwrap(), &far, 5 << 20);
            crate::bed::carry(&far, near.as_ref().unwrap(), 5 << 20);
            assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed)));
            // From another namespace too, the rules are those of where it was opened.
            let dataplane = pump.stop();
            let mut dataplane = Some(dataplane);
            at(1, &mut || {
                dataplane.take().unwrap().release().unwrap();
                Ok(())
            });
            assert!(!saved().contains("TCPR"));
        },
    );
}
