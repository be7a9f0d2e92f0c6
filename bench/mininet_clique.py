#!/usr/bin/python3 -B
"""Brings up a clique of FRR routers under Mininet, takes it down again, and prints both times.

Assumes    root; Debian's mininet and frr packages, and the interpreter they are made for
           (/usr/bin/python3); a wall clock that does not step meanwhile.
Guarantees the daemons, timers and peerings that flaplab's own bring-up has, started as a user of
           Mininet starts them; that afterwards no process, namespace, link, file or sysctl of it
           is left; and that only processes it started itself are killed, by their numbers.

The one line on stdout is a JSON object:
    bring_up_s   from the command (--started-at) to the last session end Established, by the
                 routers' own logs
    network_s    the part of it until namespaces, links and addresses are there
    teardown_s   from the first kill until nothing is left
"""

import os
import sys
import time

import clique

try:
    from mininet.net import Mininet
    from mininet.log import setLogLevel
except ImportError:
    sys.exit("Mininet is not there for this Python: scripts/setup --bench; run it as /usr/bin/python3")

# Mininet raises these for the whole machine (mininet.util.fixLimits) and leaves them so.
SYSCTLS = """
    fs/file-max net/core/wmem_max net/core/rmem_max net/ipv4/tcp_rmem net/ipv4/tcp_wmem
    net/core/netdev_max_backlog net/ipv4/neigh/default/gc_thresh1 net/ipv4/neigh/default/gc_thresh2
    net/ipv4/neigh/default/gc_thresh3 net/ipv4/route/max_size kernel/pty/max
""".split()


def build(net, routers, links):
    hosts = {r.name: net.addHost(r.name, ip=None) for r in routers}
    for a, a_address, b, b_address in links:
        net.addLink(
            hosts[a.name],
            hosts[b.name],
            params1={"ip": f"{a_address}/31"},
            params2={"ip": f"{b_address}/31"},
        )
    net.build()
    for host in net.hosts:
        host.cmd("sysctl -w net.ipv4.ip_forward=1")


def start(net, routers):
    for router in routers:
        for daemon in ["zebra", "bgpd"]:
            router.said += net.get(router.name).cmd(router.command(daemon))


def namespaces(net):
    """The network namespaces that Mininet has made for its hosts; never our own."""
    spaces = {os.readlink(f"/proc/{host.pid}/ns/net") for host in net.hosts if host.shell}
    return spaces - {os.readlink("/proc/self/ns/net")}


def take_down(net, daemons):
    """Kills the daemons at once, then lets Mininet stop: the quickest that its user can do."""
    clique.kill(daemons)
    net.stop()


def read_sysctls():
    values = {}
    for name in SYSCTLS:
        try:
            with open(f"/proc/sys/{name}") as f:
                values[name] = f.read()
        except OSError:
            pass  # not on this kernel
    return values


def restore_sysctls(before):
    for name, value in read_sysctls().items():
        if value != before[name]:
            with open(f"/proc/sys/{name}", "w") as f:
                f.write(before[name])


def measure(size, started_at_s, deadline_s, folder):
    setLogLevel("warning")
    routers, links = clique.plan(size, folder)
    for router in routers:
        router.write_config()
    sysctls = read_sysctls()
    net = Mininet(controller=None, build=False)
    try:
        build(net, routers, links)
        network_s = time.time() - started_at_s
        start(net, routers)
        sessions, last_s = clique.wait_established(routers, deadline_s)
        spaces = namespaces(net)
        daemons = [pid for r in routers for pid in r.pids()]
        begun = time.monotonic()
        take_down(net, daemons)
        clique.wait_gone(spaces)
        teardown_s = time.monotonic() - begun
    finally:
        # Whatever happened: what is still in our namespaces is ours, and nothing else is. With
        # its last process a namespace ends, and its links with it.
        clique.ignore_signals()
        restore_sysctls(sysctls)
        clique.kill(clique.processes_in(namespaces(net)))
    return {
        "tool": "mininet",
        "routers": size,
        "sessions": sessions,
        "bring_up_s": round(last_s - started_at_s, 6),
        "network_s": round(network_s, 6),
        "teardown_s": round(teardown_s, 6),
    }


if __name__ == "__main__":
    clique.main("Mininet", __doc__, measure)
