#!/bin/sh
# An application dies on one host and comes back on another one with the same address, in the middle
# of a connection, and its peer does not notice.
#
#     old (198.18.0.2) --+
#                        +-- middle, `tcpr serve --middlebox` --- peer (198.18.1.2)
#     new (198.18.0.2) --+
#
# The hosts are network namespaces: no root is needed, and nothing stays. Needs tcpr in $PATH, ip and
# tc (iproute2), iptables, socat.
set -eu
if [ "${1-}" != inside ]; then
    exec unshare --user --map-root-user --net --mount --pid --fork --kill-child \
        sh "$0" inside "$(mktemp -d)"
fi
cd "$2"
mount -t tmpfs tmpfs /run
mount -t proc proc /proc

for host in old new middle peer; do
    ip netns add $host
    ip -n $host link set lo up
done
# host, its address, the router's device and address
wire() {
    ip -n "$1" link add eth0 type veth peer name "$3" netns middle
    ip -n "$1" addr add "$2/24" dev eth0
    ip -n "$1" link set eth0 up
    ip -n middle addr add "$4/24" dev "$3"
    ip -n middle link set "$3" up
    ip -n "$1" route add default via "$4"
}
wire old 198.18.0.2 old0 198.18.0.1
wire peer 198.18.1.2 peer0 198.18.1.1
ip netns exec middle sysctl -q net.ipv4.ip_forward=1
ip netns exec peer tc qdisc add dev eth0 root tbf rate 400mbit burst 256k latency 20ms

export TCPR_SOCKET="$PWD/tcpr.sock"
mkfifo ready
tcpr serve --netns middle --middlebox --ready-fd 3 3>ready >/dev/null &
read -r _ <ready

# The peer is an ordinary program that sends a file.
head -c 60000000 /dev/urandom >sent
ip netns exec peer socat -u OPEN:sent TCP-LISTEN:5000 &
peer=$!
application() {
    ip netns exec "$1" tcpr nc 198.18.1.2 5000 --record record --out received </dev/null
}
application_pid() { cat record.lock; }
arrived() { stat -c %s received 2>/dev/null || echo 0; }

until ip netns exec peer ss -Hltn 'sport = 5000' | grep -q .; do sleep 0.01; done
application old &
until [ "$(arrived)" -gt 20000000 ]; do sleep 0.01; done
kill -9 "$(application_pid)"
wait $! || true
echo "killed on the old host when $(arrived) octets had arrived"

# The address moves: the old host is unplugged, and the router finds it at the new one.
ip -n old link set eth0 down
ip -n middle link del old0
wire new 198.18.0.2 new0 198.18.0.1
tcpr state list
application new
echo "finished on the new host with $(arrived) octets"
wait $peer
echo "the peer's socat ended with status $?"
cmp sent received
echo "what was received is what was sent"
rm -r "$PWD"
