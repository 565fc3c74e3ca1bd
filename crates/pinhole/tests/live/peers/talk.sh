#!/bin/bash
# Two users on two hosts talk (netkit's talk and talkd); both screens are left in the folder.
#   talk.sh FOLDER CALLER-NAMESPACE CALLEE-NAMESPACE CALLEE-ADDRESS CALLER-ADDRESS-AS-THE-CALLEE-SEES-IT
set -eu
cd "$1"
caller=$2 callee=$3 called=$4 calling=$5
touch /run/utmp
rm -f caller.txt callee.txt
echo 'ntalk dgram udp wait root /usr/sbin/in.ntalkd in.ntalkd' >inetd.conf
on() { tmux -S "$PWD/tmux-$1" "${@:2}"; }
daemons=
trap 'on a kill-server 2>/dev/null || true; on b kill-server 2>/dev/null || true; kill $daemons' EXIT
for user in "a $caller" "b $callee"; do
    set -- $user
    : >utmp.$1
    # Each host sees its own users: `ip netns exec` has mounts of its own.
    see="mount --bind '$PWD/utmp.$1' /run/utmp"
    ip netns exec "$2" bash -c "$see; exec /usr/sbin/inetd -i '$PWD/inetd.conf'" >/dev/null 2>&1 &
    daemons="$daemons $!"
    on $1 -f /dev/null new-session -d -x 100 -y 30 -s talk "ip netns exec $2 bash -c \"$see; exec bash --norc\""
    tty=$(on $1 display-message -p -t talk '#{pane_tty}')
    chmod go+w "$tty"
    # One utmp(5) record: a user process of root's.
    perl -e 'my ($tty) = @ARGV; print pack("s x2 l a32 a4 a32 a256 s s l l l L4 x20", 7, $$, $tty, substr($tty, -4), "root", "", 0, 0, 0, time, 0, 0, 0, 0, 0)' \
        "${tty#/dev/}" >utmp.$1
done
sleep 0.5
type() { on $1 send-keys -t talk "$2" Enter; }
type a "talk root@$called"
sleep 2
type b ""
type b "talk root@$calling"
sleep 2
type a "hello from the caller"
type b "hello from the callee"
sleep 1
on a capture-pane -p -t talk >caller.txt
on b capture-pane -p -t talk >callee.txt
