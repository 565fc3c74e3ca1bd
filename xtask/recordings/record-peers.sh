#!/bin/bash
# Records the captures of crates/pinhole/tests/recordings anew: protocols of which there is no capture by others. Real programs, but for pppd, whose
# part a script takes. Needs root and: iproute2, ethtool, tcpdump, tmux, talk, talkd, openbsd-inetd, sane-utils, pptpd, pptp-linux, ffmpeg, python3-gi,
# gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good, amanda-client, amanda-server.
#
#   client 192.0.2.10 ── server 192.0.2.20
#
# Two network namespaces; recorded at the server's end, offloads off. Usage: record-peers.sh [OUTPUT-DIRECTORY]
set -euo pipefail
export LC_ALL=C.UTF-8 TERM=xterm TZ=UTC

here=$(cd "$(dirname "$0")" && pwd)
peers=$here/../../crates/pinhole/tests/live/peers
output=$(realpath -m "${1:-$here/../../crates/pinhole/tests/recordings}")
[ "$(id -u)" = 0 ] || { echo "record-peers: needs root for network namespaces" >&2; exit 1; }
for program in ip ethtool tcpdump tmux talk in.ntalkd inetd saned scanimage pptpd pptp ffmpeg amservice; do
    command -v "$program" >/dev/null || { echo "record-peers: $program is not installed" >&2; exit 1; }
done
mkdir -p "$output"
work=$(mktemp -d /tmp/pinhole-peers.XXXXXX)
chmod 755 "$work"
cd "$work"
client=pinhole-peers-client server=pinhole-peers-server

remove_namespaces() {
    for namespace in $client $server; do
        ip netns pids $namespace 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
        ip netns del $namespace 2>/dev/null || true
    done
}
finish() {
    remove_namespaces
    rm -rf "$work"
}
trap finish EXIT

build_network() {
    remove_namespaces
    for namespace in $client $server; do
        ip netns add $namespace
        ip -n $namespace link set lo up
    done
    ip link add eth0 netns $client type veth peer name eth0 netns $server
    # MAC addresses and networks for documentation (RFC 7042, RFC 5737).
    ip -n $client link set eth0 address 00:00:5e:00:53:10 up
    ip -n $server link set eth0 address 00:00:5e:00:53:20 up
    ip -n $client addr add 192.0.2.10/24 dev eth0
    ip -n $server addr add 192.0.2.20/24 dev eth0
    for namespace in $client $server; do
        ip netns exec $namespace ethtool -K eth0 tx off rx off tso off gso off gro off >/dev/null 2>&1
    done
}
on_client() { ip netns exec $client "$@"; }
on_server() { ip netns exec $server "$@"; }

# Records into $output/$1.pcap what the rest of the command line causes, then ends what runs at both ends.
record() {
    local name=$1 tcpdump_id
    shift
    ip netns exec $server tcpdump --immediate-mode -U -s 0 -Z root -i eth0 -w "$name.pcap" 'ip and not arp' 2>tcpdump.log &
    tcpdump_id=$!
    until grep -q listening tcpdump.log; do sleep 0.05; done
    "$@"
    sleep 0.7
    kill -INT $tcpdump_id
    wait $tcpdump_id || true
    install -m 644 "$name.pcap" "$output/$name.pcap"
    for namespace in $client $server; do ip netns pids $namespace | xargs -r kill -KILL 2>/dev/null || true; done
    echo "$name: $(tail -n 3 tcpdump.log | head -n 1)"
}

await() { # PROTOCOL PORT
    for _ in $(seq 100); do
        [ -z "$(on_server ss -Hln"$1" sport = :"$2")" ] || return 0
        sleep 0.1
    done
    echo "record-peers: nobody listens on $1 port $2" >&2
    return 1
}

talk_call() {
    "$peers/talk.sh" "$work" $client $server 192.0.2.20 192.0.2.10
    grep -q 'hello from the callee' caller.txt
}

start_scanner() {
    mkdir -p saned scanimage
    echo test >saned/dll.conf
    echo 192.0.2.0/24 >saned/saned.conf
    echo net >scanimage/dll.conf
    : >scanimage/net.conf
    SANE_CONFIG_DIR=$work/saned on_server saned -l -b 192.0.2.20 >/dev/null 2>&1 &
    await t 6566
}
scan() { SANE_CONFIG_DIR=$work/scanimage on_client scanimage -d net:192.0.2.20:test:0 --format=pnm -x 20 -y 20 >picture.pnm; }

start_pptpd() {
    # LCP's Configure-Request, until the tunnel is there, and back whatever comes.
    cat >pppd <<'SCRIPT'
#!/bin/sh
stty raw -echo
for time in 1 2 3 4 5; do
    printf '\176\377\175\043\300\041\175\041\175\041\175\040\175\052\175\045\175\046\175\061\042\063\104\372\226\176'
    sleep 0.2
done &
exec cat
SCRIPT
    chmod 755 pppd
    echo 'name pptpd' >options
    printf 'ppp %s/pppd\noption %s/options\nlocalip 192.168.77.1\nremoteip 192.168.77.10-20\n' "$work" "$work" >pptpd.conf
    on_server pptpd -f -c pptpd.conf -p "$work/pptpd.pid" -l 192.0.2.20 >/dev/null 2>&1 &
    await t 1723
}
pptp_call() {
    # Standard input and output are one socket, as pppd would have it.
    on_client python3 -c '
import os, socket, subprocess, time
own, theirs = socket.socketpair()
pptp = subprocess.Popen(["pptp", "192.0.2.20", "--nolaunchpppd"], stdin=theirs, stdout=theirs)
frame = bytes.fromhex("7eff7d23c0217d217d217d207d2a7d257d2655667788d0ba7e")
for _ in range(3):
    own.recv(4096)
    own.send(frame)
    time.sleep(0.2)
pptp.terminate()
pptp.wait()
'
}

start_rtsp() {
    on_server /usr/bin/python3 "$peers/rtsp_server.py" 192.0.2.20 >/dev/null 2>&1 &
    await t 554
}
listen() { on_client ffmpeg -nostdin -v error -rtsp_transport udp -i rtsp://192.0.2.20:554/tone -t 1 -y -f wav tone.wav; }

start_amanda() {
    printf '192.0.2.10 asker\n192.0.2.20 keeper\n127.0.0.1 localhost\n' >hosts
    echo 'amanda 10080/udp' >services
    mkdir -p home dumped
    printf 'asker root amdump\nasker backup amdump\n' >home/.amandahosts
    seq -f 'pinhole demonstration file, line %g' 1 24 >dumped/report.txt
    chown -R backup home
    chmod 600 home/.amandahosts
    chmod 755 dumped
    echo "amanda dgram udp wait backup /usr/lib/amanda/amandad amandad -auth=bsd amdump" >inetd.conf
    on_server sh -c "mount --bind hosts /etc/hosts; mount --bind services /etc/services; mount --bind home '$(getent passwd backup | cut -d: -f6)'; exec inetd -i '$work/inetd.conf'" &
    await u 10080
}
dump() {
    printf '<dle>\n <program>GNUTAR</program>\n <disk>%s/dumped</disk>\n <level>0</level>\n <auth>bsd</auth>\n <index>YES</index>\n</dle>\n' "$work" >request
    on_client bash -c "mount --bind hosts /etc/hosts; mount --bind services /etc/services; amservice -f request --stream DATA,10,11 --stream MESG,10,12 \
        --stream INDEX,10,13 --stream STATE,10,14 keeper bsd sendbackup 10< <(exec sleep 2) 11>dump.tar 12>messages 13>index 14>state" >/dev/null 2>&1 || true
    tar --list --file dump.tar | grep -q report.txt
}

build_network
sleep 1
record talk talk_call
start_scanner && record sane scan
start_pptpd && record pptp pptp_call
start_rtsp && record rtsp listen
start_amanda && record amanda dump
