"""The clique of FRR routers that every testbed of the benchmark brings up, and what its scripts share.

Assumes    root; Debian's frr package; a wall clock that does not step meanwhile.
Guarantees the daemons, timers and peerings that flaplab's own bring-up has; that the time of a session
           is that of the router's own log; and that nothing here ends a process but by its number.
"""

import time

BEGUN_S = time.time()

import argparse
import calendar
import ctypes
import itertools
import json
import os
import pwd
import re
import shutil
import signal
import sys
import tempfile
from ipaddress import IPv4Address

DAEMONS = "/usr/lib/frr"
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000  # sched.h, sys/mount.h
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

# 2026/11/20 10:49:24.123456 BGP: [M59KS-A3ZXZ] %ADJCHANGE: neighbor 10.0.0.1(r2) in vrf default Up
ADJCHANGE = re.compile(
    rb"^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d)(\.\d{6}) BGP: .*%ADJCHANGE: neighbor ([0-9.]+)\S* in vrf \S+ (Up|Down)"
)


class Router:
    """One router: its plan, the folder of its files, and what its log has said so far."""

    def __init__(self, number, folder):
        self.name = f"r{number}"
        self.asn = 64512 + number
        self.router_id = IPv4Address("10.255.0.0") + number
        self.folder = os.path.join(folder, self.name)
        self.peers = []  # (address, ASN)
        self.established = {}  # peer address -> seconds since the epoch
        self.said = ""  # what the daemons wrote to their terminal
        self._read = 0
        os.mkdir(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_config(self):
        log = f"log file {self.path('bgpd.log')} informational\nlog timestamp precision 6\n"
        lines = [
            f"router bgp {self.asn}",
            f" bgp router-id {self.router_id}",
            " bgp log-neighbor-changes",
            " no bgp ebgp-requires-policy",
            " no bgp network import-check",
        ]
        for address, asn in self.peers:
            lines.append(f" neighbor {address} remote-as {asn}")
            lines.append(f" neighbor {address} timers connect 1")
            lines.append(f" neighbor {address} advertisement-interval 5")
            if asn > self.asn:  # started after this one: as in flaplab, so that no two open at once
                lines.append(f" neighbor {address} passive")
        lines += [" address-family ipv4 unicast", "  maximum-paths 1", " exit-address-family"]
        with open(self.path("bgpd.conf"), "w") as f:
            f.write(f"hostname {self.name}\n{log}" + "\n".join(lines) + "\n")
        with open(self.path("zebra.conf"), "w") as f:
            f.write(f"hostname {self.name}\n")
        user = pwd.getpwnam("frr")
        for path in [self.folder, self.path("bgpd.conf"), self.path("zebra.conf")]:
            os.chown(path, user.pw_uid, user.pw_gid)

    def command(self, daemon):
        # With -z, -i and --vty_socket nothing lands in /run/frr, so that a machine's own FRR and
        # another round are no matter.
        return (
            f"TZ=UTC {DAEMONS}/{daemon} -d -A 127.0.0.1 -f {self.path(daemon + '.conf')}"
            f" -i {self.path(daemon + '.pid')} -z {self.path('zserv.sock')} --vty_socket {self.folder}"
        )

    def read_log(self):
        """Takes in what bgpd has logged since the last call."""
        try:
            with open(self.path("bgpd.log"), "rb") as f:
                f.seek(self._read)
                text = f.read()
        except FileNotFoundError:
            return
        whole = text.rfind(b"\n") + 1
        self._read += whole
        for line in text[:whole].splitlines():
            if found := ADJCHANGE.match(line):
                day_and_time, fraction, peer, state = found.groups()
                at_s = calendar.timegm(time.strptime(day_and_time.decode(), "%Y/%m/%d %H:%M:%S"))
                if state == b"Up":
                    self.established[peer] = at_s + float(fraction)
                else:
                    self.established.pop(peer, None)

    def last_words(self):
        try:
            with open(self.path("bgpd.log"), errors="replace") as f:
                log = f.readlines()[-10:]
        except FileNotFoundError:
            log = ["bgpd has written no log"]
        return f"{self.name}:\n{self.said}{''.join(log)}"

    def pids(self):
        for daemon in ["bgpd", "zebra"]:
            try:
                with open(self.path(daemon + ".pid")) as f:
                    pid = int(f.read())
                if os.readlink(f"/proc/{pid}/exe") == f"{DAEMONS}/{daemon}":
                    yield pid
            except (FileNotFoundError, ValueError):
                pass


def plan(size, folder):
    """The routers of a clique, and its links as (router, address, router, address)."""
    routers = [Router(i + 1, folder) for i in range(size)]
    links = []
    for n, (a, b) in enumerate(itertools.combinations(routers, 2)):
        a_address = IPv4Address("10.0.0.0") + 2 * n
        a.peers.append((a_address + 1, b.asn))
        b.peers.append((a_address, a.asn))
        links.append((a, a_address, b, a_address + 1))
    return routers, links


def wait_established(routers, deadline_s, check=lambda: None):
    """Waits for every session end; gives the time of the last one. `check` ends it early if there is
    nothing to wait for any more."""
    wanted = sum(len(r.peers) for r in routers)
    until_s = time.monotonic() + deadline_s
    while True:
        for router in routers:
            router.read_log()
        ends = sum(len(r.established) for r in routers)
        if ends == wanted:
            return ends, max(t for r in routers for t in r.established.values())
        check()
        if time.monotonic() > until_s:
            lacking = [r for r in routers if len(r.established) < len(r.peers)]
            raise SystemExit(
                f"{ends} of {wanted} session ends Established after {deadline_s:g} s; not complete:"
                f" {' '.join(r.name for r in lacking)}\n{lacking[0].last_words()}"
            )
        # Seldom enough to cost the daemons nothing: the time is taken from their logs.
        time.sleep(0.1)


def processes_in(spaces):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/net") in spaces:
                found.append(int(pid))
        except OSError:
            pass  # it has ended
    return found


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def wait_gone(spaces, deadline_s=10.0):
    until_s = time.monotonic() + deadline_s
    while left := processes_in(spaces):
        if time.monotonic() > until_s:
            raise SystemExit(f"processes left in the testbed's namespaces: {left}")
        time.sleep(0.005)


def hide_crash_logs():
    """Gives us and our hosts a /var/tmp of our own: each FRR daemon leaves a folder there, named
    by a process that has ended, so that nobody could tell afterwards whose it was."""
    libc = ctypes.CDLL(None, use_errno=True)
    for done in [
        libc.unshare(CLONE_NEWNS),
        libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None),
        libc.mount(b"tmpfs", b"/var/tmp", b"tmpfs", 0, None),
    ]:
        if done != 0:
            raise OSError(ctypes.get_errno(), "a private /var/tmp cannot be mounted")


def heed_signals():
    for number in SIGNALS:
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def ignore_signals():
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def main(tool, description, measure):
    """Measures one bring-up and teardown of a clique, and prints the JSON object that bench/run reads."""
    arguments = argparse.ArgumentParser(description=description.splitlines()[0])
    arguments.add_argument("--routers", type=int, default=16, help="size of the clique, 2 to 128")
    arguments.add_argument("--deadline-s", type=float, default=120.0)
    arguments.add_argument("--started-at", type=float, default=BEGUN_S, help="time of the command, epoch seconds")
    chosen = arguments.parse_args()
    if not 2 <= chosen.routers <= 128:
        arguments.error("a clique has 2 to 128 routers")
    if os.geteuid() != 0:
        sys.exit(f"{tool} needs root: run this with sudo")
    heed_signals()
    hide_crash_logs()
    folder = tempfile.mkdtemp(prefix=f"{tool.lower()}-clique-")
    os.chmod(folder, 0o755)  # the daemons drop to user frr
    try:
        print(json.dumps(measure(chosen.routers, chosen.started_at, chosen.deadline_s, folder)))
    finally:
        ignore_signals()
        shutil.rmtree(folder)
