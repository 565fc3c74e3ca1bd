#!/bin/bash
# Two users on two hosts talk (netkit's talk and talkd), through a router that forwards everything; what passes is recorded.
#   talk.sh DIRECTORY     needs root; leaves DIRECTORY/talk.pcap, and the callers' screens in DIRECTORY/{caller,callee}.txt
set -eu
cd "$1"
caller=ph-$$-a router=ph-$$-r callee=ph-$$-b
clean() {
    for host in a b; do tmux -L ph-$$-$host kill-server 2>/dev/null || true; done
    for host in $caller $router $callee; do
        ip netns pids $host 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del $host 2>/dev/null || true
    done
}
trap clean EXIT
clean
for host in $caller $router $callee; do ip netns add $host; ip -n $host link set lo up; done
wire() { # NAMESPACE NETWORK ROUTER'S-INTERFACE
    ip link add "$3" netns $router type veth peer name eth0 netns "$1"
    ip -n "$1" addr add "$2.2/24" dev eth0
    ip -n $router addr add "$2.1/24" dev "$3"
    ip -n "$1" link set eth0 up
    ip -n $router link set "$3" up
    ip -n "$1" route add default via "$2.1"
    # Checksums are to be right in the recording.
    ip netns exec "$1" ethtool -K eth0 tx off rx off >/dev/null 2>&1 || true
}
wire $caller 10.1.0 near
wire $callee 10.2.0 far
ip netns exec $router sysctl -qw net.ipv4.ip_forward=1

touch /run/utmp
echo 'ntalk dgram udp wait root /usr/sbin/in.ntalkd in.ntalkd' >inetd.conf
for host in a b; do
    : >utmp.$host
    # Each host sees its own users: namespaces have mounts of their own.
    ip netns exec ph-$$-$host bash -c "mount --bind '$1/utmp.$host' /run/utmp; exec /usr/sbin/inetd -i '$1/inetd.conf'" >/dev/null 2>&1 &
    tmux -L ph-$$-$host -f /dev/null new-session -d -x 100 -y 30 -s talk \
        "ip netns exec ph-$$-$host bash -c \"mount --bind '$1/utmp.$host' /run/utmp; exec bash --norc\""
done
sleep 1
for host in a b; do
    tty=$(tmux -L ph-$$-$host display-message -p -t talk '#{pane_tty}')
    chmod go+w "$tty"
    # One utmp(5) record: a user process of root's.
    perl -e 'my ($tty) = @ARGV; print pack("s x2 l a32 a4 a32 a256 s s l l l L4 x20", 7, $$, $tty, substr($tty, -4), "root", "", 0, 0, 0, time, 0, 0, 0, 0, 0)' \
        "${tty#/dev/}" >utmp.$host
done
type() { tmux -L ph-$$-$1 send-keys -t talk "$2" Enter; }
ip netns exec $router tcpdump -U -i near -w talk.pcap ip 2>/dev/null &
sleep 1
type a "talk root@10.2.0.2"
sleep 4
type b ""
type b "talk root@10.1.0.2"
sleep 4
type a "hello from the caller"
type b "hello from the callee"
sleep 2
tmux -L ph-$$-a capture-pane -p -t talk >caller.txt
tmux -L ph-$$-b capture-pane -p -t talk >callee.txt
sleep 1
