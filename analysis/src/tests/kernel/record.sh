#!/bin/bash
# Makes routes.rtmon and tables.txt beside this file: what a kernel says of its routes while they
# come, change and vanish, and what its table is after each step. Needs iproute2 and no privilege:
#   unshare --user --map-root-user --net bash record.sh
set -euo pipefail
cd "$(dirname "$0")"
rm -f routes.rtmon tables.txt
ip link set lo up
rtmon file routes.rtmon &
recorder=$!
trap 'kill $recorder' EXIT
until [ -s routes.rtmon ]; do sleep 0.05; done

step() {
    eval "$*"
    sleep 0.05 # the carrier's loss is told by the kernel in its own time
    {
        echo "$(date +%s%N) $*"
        ip -4 route show 198.51.100.0/24 | sed 's/^/    /'
    } >>tables.txt
    sleep 0.05
}

prefix=198.51.100.0/24
step 'ip link add name va type veth peer name vb; ip link add name vc type veth peer name vd; ip addr add 198.18.0.0/31 dev va; ip addr add 198.18.0.2/31 dev vc; for d in va vb vc vd; do ip link set $d up; done; sleep 0.3'
step ip nexthop add id 10 via 198.18.0.1 dev va proto zebra
step ip route add $prefix nhid 10 proto bgp metric 20
step ip nexthop add id 11 via 198.18.0.3 dev vc proto zebra
step ip route replace $prefix nhid 11 proto bgp metric 20
step ip nexthop del id 10
step ip link set vd down
step ip link set vd up
step ip nexthop add id 12 via 198.18.0.3 dev vc proto zebra
step ip route add $prefix nhid 12 proto bgp metric 20
step ip nexthop replace id 12 via 198.18.0.1 dev va proto zebra
step ip nexthop del id 12
step ip route add $prefix via 198.18.0.1 dev va metric 20
step ip route append $prefix via 198.18.0.3 dev vc metric 20
step ip route del $prefix via 198.18.0.1 dev va metric 20
step ip route add $prefix via 198.18.0.1 dev va metric 10
step ip link set vb down
step ip link set vb up
step ip link set va down
step ip route replace unreachable $prefix metric 5
step ip route replace blackhole $prefix metric 5
step ip route del $prefix metric 5
step ip link del vc
