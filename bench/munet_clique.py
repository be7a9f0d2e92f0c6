#!/usr/bin/python3 -B
"""Brings up a clique of FRR routers under munet, takes it down again, and prints both times.

Assumes    root; Debian's frr package, and munet in bench/.venv (scripts/setup --bench); a wall clock
           that does not step meanwhile.
Guarantees the daemons, timers and peerings that flaplab's own bring-up has, started as a user of
           munet starts them: by a configuration file and the command `munet`; that afterwards no
           process, namespace, link or file of it is left; and that only processes it started itself
           are killed, by their numbers.

The one line on stdout is a JSON object:
    bring_up_s   from the command (--started-at) to the last session end Established, by the
                 routers' own logs
    teardown_s   from the signal that ends munet until nothing is left
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import clique

MUNET = Path(__file__).resolve().parent / ".venv/bin/munet"
TRIES = 3


def config(routers, links):
    """The network in munet's words: each end of a link names its device and its address."""
    nodes = {}
    for router in routers:
        # munet runs it in the node's namespaces, and forwards packets there of its own accord.
        commands = [router.command(daemon) for daemon in ["zebra", "bgpd"]]
        nodes[router.name] = {"name": router.name, "connections": [], "cmd": "\n".join(commands) + "\n"}
    for a, a_address, b, b_address in links:
        for own, address, other in [(a, a_address, b), (b, b_address, a)]:
            end = {"to": other.name, "name": f"to-{other.name}", "remote-name": f"to-{own.name}"}
            nodes[own.name]["connections"].append({**end, "ip": f"{address}/31"})
    return {"version": 1, "topology": {"ipv6-enable": False, "nodes": list(nodes.values())}}


def namespaces(rundir):
    """The network namespaces of munet's nodes; never our own."""
    spaces = set()
    for file in Path(rundir).glob("**/nspid"):
        try:
            spaces.add(os.readlink(f"/proc/{int(file.read_text())}/ns/net"))
        except (OSError, ValueError):
            pass  # it was being made, or has ended
    return spaces - {os.readlink("/proc/self/ns/net")}


class Ended(Exception):
    """munet has ended before the network was there."""


def measure(size, started_at_s, deadline_s, folder):
    """On a busy machine munet 0.17.3 may look for a process before that is there, and gives up. What
    counts is the first try that comes up, from its own beginning: that is in munet's favour."""
    if not MUNET.exists():
        sys.exit(f"{MUNET} is not there: scripts/setup --bench")
    for number in range(1, TRIES + 1):
        own = os.path.join(folder, str(number))
        os.mkdir(own)
        try:
            return {**measure_once(size, started_at_s, deadline_s, own), "tries": number}
        except Ended as end:
            last = end
        started_at_s = time.time()
    sys.exit(f"munet gave up {TRIES} times: try again on an idle machine, or without it (bench/run --beside mininet)\n{last}")


def measure_once(size, started_at_s, deadline_s, folder):
    routers, links = clique.plan(size, folder)
    for router in routers:
        router.write_config()
    file, rundir = os.path.join(folder, "munet.json"), os.path.join(folder, "munet")
    with open(file, "w") as f:
        json.dump(config(routers, links), f)
    words = [str(MUNET), "-c", file, "-d", rundir, "--no-cli", "--unshare-inline"]
    # munet leaves a mount of /proc behind in the temporary directory: in this one, which is ours alone,
    # nobody will ever try to remove what is in it.
    env = dict(os.environ, TMPDIR="/var/tmp")
    log_path = os.path.join(folder, "munet.log")
    with open(log_path, "w") as log:
        munet = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=env)

    def check():
        if munet.poll() is not None:
            with open(log_path) as log:
                raise Ended("".join(log.readlines()[-4:]))

    try:
        sessions, last_s = clique.wait_established(routers, deadline_s, check)
        spaces = namespaces(rundir)
        begun = time.monotonic()
        munet.send_signal(signal.SIGTERM)
        munet.wait(timeout=deadline_s)
        clique.wait_gone(spaces)
        teardown_s = time.monotonic() - begun
    finally:
        # Whatever happened: what is still in its namespaces is ours, and nothing else is.
        spaces = namespaces(rundir)
        munet.kill()
        munet.wait()
        clique.kill(clique.processes_in(spaces))
    return {
        "tool": "munet",
        "routers": size,
        "sessions": sessions,
        "bring_up_s": round(last_s - started_at_s, 6),
        "teardown_s": round(teardown_s, 6),
    }


def enter_process_space():
    """Begins again as process 1 of a PID namespace, which takes all of munet along when it ends. It is
    also where munet finds a process 1 that it may enter: some machines let nobody enter theirs."""
    words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-B", *sys.argv]
    os.execvp(words[0], words + ["--started-at", str(clique.BEGUN_S)] * ("--started-at" not in sys.argv))


if __name__ == "__main__":
    if os.geteuid() == 0 and os.getpid() != 1:
        enter_process_space()
    clique.main("munet", __doc__, measure)
