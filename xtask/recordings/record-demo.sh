#!/bin/bash
# Records the captures of crates/pinhole/demo anew, from real programs. Needs root and: iproute2, ethtool, tcpdump, vsftpd, curl, ngircd, irssi, tmux.
#
#   client 192.0.2.10, 2001:db8:1::10 ── gateway (plain router, no rules, no helpers) ── server 198.51.100.20 (IRC friend .30), 2001:db8:2::20
#
# Three network namespaces; the recording is made at the gateway's client side, offloads off, TCP only. Every run leaves
# nothing behind but the captures. Usage: record-demo.sh [OUTPUT-DIRECTORY]
set -euo pipefail
# None of the programs may speak the recorder's language or ask its name service.
export LC_ALL=C.UTF-8 TERM=xterm TZ=UTC

here=$(cd "$(dirname "$0")" && pwd)
output=$(realpath -m "${1:-$here/../../crates/pinhole/demo}")
[ "$(id -u)" = 0 ] || { echo "record-demo: needs root for network namespaces" >&2; exit 1; }
for program in ip ethtool tcpdump vsftpd curl ngircd irssi tmux; do
    command -v "$program" >/dev/null || { echo "record-demo: $program is not installed" >&2; exit 1; }
done
mkdir -p "$output"

work=$(mktemp -d /tmp/pinhole-demo.XXXXXX)
chmod 755 "$work"
client=pinhole-demo-client gateway=pinhole-demo-gateway server=pinhole-demo-server

remove_namespaces() {
    for namespace in $client $gateway $server; do
        ip netns pids $namespace 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del $namespace 2>/dev/null || true
    done
}
finish() {
    tmux -S "$work/tmux" kill-server 2>/dev/null || true
    remove_namespaces
    rm -rf "$work"
}
trap finish EXIT

# --- the network -----------------------------------------------------------------------------------------------------

# Namespace, device, MAC address (RFC 7042's for documentation), IPv4, IPv6.
interface() {
    ip -n "$1" link set "$2" address "$3" up
    ip -n "$1" addr add "$4" dev "$2"
    ip -n "$1" addr add "$5" dev "$2" nodad
    ip netns exec "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null 2>&1
}

build_network() {
    remove_namespaces
    for namespace in $client $gateway $server; do
        ip netns add $namespace
        ip -n $namespace link set lo up
    done
    ip link add eth0 netns $client type veth peer name client netns $gateway
    ip link add eth0 netns $server type veth peer name server netns $gateway
    interface $client eth0 00:00:5e:00:53:10 192.0.2.10/24 2001:db8:1::10/64
    interface $gateway client 00:00:5e:00:53:01 192.0.2.1/24 2001:db8:1::1/64
    interface $gateway server 00:00:5e:00:53:02 198.51.100.1/24 2001:db8:2::1/64
    interface $server eth0 00:00:5e:00:53:20 198.51.100.20/24 2001:db8:2::20/64
    ip -n $server addr add 198.51.100.30/24 dev eth0
    ip netns exec $gateway sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ip -n $client route add default via 192.0.2.1
    ip -n $client -6 route add default via 2001:db8:1::1
    ip -n $server route add default via 198.51.100.1
    ip -n $server -6 route add default via 2001:db8:2::1
    # The devices' own addresses must be usable before the first packet.
    sleep 1
}

# Records into $output/$1.pcap what the rest of the command line causes.
record() {
    local name=$1 tcpdump_id
    shift
    ip netns exec $gateway tcpdump --immediate-mode -U -s 0 --time-stamp-precision=micro -i client -w "$work/$name.pcap" tcp 2>"$work/tcpdump.log" &
    tcpdump_id=$!
    until grep -q listening "$work/tcpdump.log"; do sleep 0.05; done
    "$@"
    # The last FINs.
    sleep 0.7
    kill -INT $tcpdump_id
    wait $tcpdump_id || true
    install -m 644 "$work/$name.pcap" "$output/$name.pcap"
    echo "$name: $(tail -n 3 "$work/tcpdump.log" | head -n 1)"
}

# --- FTP -------------------------------------------------------------------------------------------------------------

start_ftp_server() {
    mkdir -p "$work/ftp/pub" "$work/empty"
    seq -f 'pinhole demonstration file, line %g' 1 24 >"$work/ftp/pub/report.txt"
    cat >"$work/vsftpd.conf" <<CONFIGURATION
listen=NO
listen_ipv6=YES
background=NO
anonymous_enable=YES
anon_root=$work/ftp
secure_chroot_dir=$work/empty
seccomp_sandbox=NO
connect_from_port_20=YES
xferlog_enable=NO
CONFIGURATION
    ip netns exec $server vsftpd "$work/vsftpd.conf" &
    sleep 1
}

# curl's options, then the URL's host.
download() {
    local host=${*: -1}
    rm -f "$work/got"
    ip netns exec $client curl --silent --show-error --max-time 20 --output "$work/got" "${@:1:$#-1}" "ftp://$host/pub/report.txt"
    cmp "$work/got" "$work/ftp/pub/report.txt"
}

# --- IRC -------------------------------------------------------------------------------------------------------------

start_irc_server() {
    cat >"$work/ngircd.conf" <<CONFIGURATION
[Global]
Name = irc.example.net
Info = pinhole demonstration
Listen = 198.51.100.20
Ports = 6667
ServerUID = irc
ServerGID = irc
MotdPhrase = Welcome
[Options]
DNS = no
Ident = no
PAM = no
CONFIGURATION
    ip netns exec $server ngircd --nodaemon --config "$work/ngircd.conf" >"$work/ngircd.log" 2>&1 &
    sleep 1
}

# Namespace, nick, own address: an irssi in a terminal of its own.
start_irc_client() {
    mkdir -p "$work/$2"
    cat >"$work/$2/config" <<CONFIGURATION
settings = {
  core = { real_name = "$2"; user_name = "$2"; nick = "$2"; hostname = "$3"; };
  "irc/dcc" = {
    dcc_own_ip = "$3"; dcc_autoget = "yes"; dcc_autochat_masks = "*"; dcc_download_path = "$work/$2";
  };
};
CONFIGURATION
    tmux -S "$work/tmux" -f /dev/null new-session -d -x 150 -y 40 -s "$2" \
        "ip netns exec $1 irssi --home=$work/$2 --connect=198.51.100.20 --nick=$2"
}

type_to() {
    tmux -S "$work/tmux" send-keys -t "$1" "$2" Enter
    sleep "$3"
}

# The long pauses are for irssi, which paces what it sends to a server.
irc_session() {
    start_irc_client $server bob 198.51.100.30
    start_irc_client $client alice 192.0.2.10
    sleep 10
    type_to alice '/msg bob here is the report' 3
    type_to alice "/dcc send bob $work/report.txt" 3
    type_to alice '/dcc chat bob' 5
    type_to alice '/msg =bob did it arrive?' 1
    type_to bob '/msg =alice yes, thank you' 1
    type_to alice '/dcc close chat bob' 1
    type_to alice '/quit' 1
    type_to bob '/quit' 1
    cmp "$work/bob/report.txt" "$work/report.txt"
}

build_network
start_ftp_server
record ftp-active download --ftp-port - --disable-eprt 198.51.100.20
record ftp-passive download --disable-epsv --no-ftp-skip-pasv-ip 198.51.100.20
record ftp-eprt-ipv6 download --ftp-port - '[2001:db8:2::20]'
record ftp-epsv-ipv6 download '[2001:db8:2::20]'
cp "$work/ftp/pub/report.txt" "$work/report.txt"
start_irc_server
record irc-dcc irc_session
