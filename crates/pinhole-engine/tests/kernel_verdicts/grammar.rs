//! Random rulesets that `nft` accepts, of values that the traffic has. Every rule counts, and bears its number as a comment.
//!
//! Chains before and after routing begin with rules that let the router's own packets pass: pinhole does not see those.

use crate::support::conversation::Dice;
use std::fmt::Write as _;

const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.1.7",
    "192.0.2.80",
    "192.0.2.53",
    "192.0.2.10",
    "198.51.100.20",
    "198.51.100.1",
];
const NETWORKS: &[&str] =
    &["10.0.0.0/24", "10.0.0.0/8", "192.0.2.0/24", "192.0.2.80/31", "198.51.100.0/25", "0.0.0.0/1"];
const ADDRESSES6: &[&str] =
    &["2001:db8:1::1", "2001:db8:2::80", "2001:db8:2::53", "2001:db8:1::10", "2001:db8:2::20"];
const NETWORKS6: &[&str] = &["2001:db8:1::/48", "2001:db8::/32", "2001:db8:2::80/127", "8000::/1"];
const PORTS: &[u64] =
    &[20, 21, 53, 80, 443, 1024, 4000, 4001, 5353, 6667, 40000, 40001, 40003, 50000, 65535, 0];
const STATES: &[&str] = &["new", "established", "related", "invalid", "untracked"];
const STATUSES: &[&str] = &["expected", "seen-reply", "assured", "confirmed"];
const FLAGS: &[&str] = &["fin", "syn", "rst", "psh", "ack", "urg"];
const TYPES: &[&str] = &["echo-request", "echo-reply", "destination-unreachable", "time-exceeded"];
const TYPES6: &[&str] = &["echo-request", "echo-reply", "destination-unreachable", "packet-too-big"];
const PROTOCOLS: &[&str] = &["tcp", "udp", "icmp", "icmpv6", "sctp", "47", "50"];

#[derive(Clone, Copy, PartialEq)]
enum Family {
    Inet,
    Ip,
    Ip6,
}

/// Draws one ruleset.
pub(crate) fn ruleset(dice: &mut Dice) -> String {
    let mut writer = Writer {
        dice,
        text: String::new(),
        rules: 0,
        family: Family::Inet,
        rejects: true,
        v6: false,
        transport: "tcp",
    };
    let tables = 1 + writer.dice.below(2);
    for table in 0..tables {
        writer.family = [Family::Inet, Family::Inet, Family::Ip, Family::Ip6][writer.dice.below(4)];
        writer.table(table);
    }
    writer.text
}

struct Writer<'a> {
    dice: &'a mut Dice,
    text: String,
    rules: usize,
    family: Family,
    /// Whether a rule of this chain may reject.
    rejects: bool,
    /// What the rule at hand is about: `nft` refuses a rule about two protocols.
    v6: bool,
    transport: &'static str,
}

/// Chains that a rule may go to: `c{first}` up to the last.
const CHAINS: usize = 3;

impl Writer<'_> {
    fn pick<'s>(&mut self, list: &[&'s str]) -> &'s str {
        list[self.dice.below(list.len())]
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }

    fn table(&mut self, number: usize) {
        let family = match self.family {
            Family::Inet => "inet",
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
        };
        self.line(&format!("table {family} t{number} {{"));
        self.sets();
        // What is jumped to stands first.
        for chain in (0..CHAINS).rev() {
            self.line(&format!(" chain c{chain} {{"));
            self.body(chain + 1, 1, 3);
        }
        if self.dice.one_in(3) {
            self.base("raw", "prerouting", &["raw", "-250", "-201"], true);
        }
        if self.dice.one_in(2) {
            self.base("early", "prerouting", &["mangle", "filter", "-10"], false);
        }
        self.base("main", "forward", &["filter", "0", "5", "-20"], false);
        if self.dice.one_in(3) {
            self.base("late", "postrouting", &["filter", "mangle", "100"], false);
        }
        self.line("}");
    }

    fn sets(&mut self) {
        let ports = self.elements(Self::port_element);
        self.line(&format!(
            " set ports {{ type inet_service; flags interval; auto-merge; elements = {{ {ports} }}\n }}"
        ));
        let exact: Vec<_> = (0..3).map(|_| self.port().to_string()).collect();
        self.line(&format!(" set few {{ type inet_service; elements = {{ {} }}\n }}", exact.join(", ")));
        let (kind, list) =
            if self.family == Family::Ip6 { ("ipv6_addr", NETWORKS6) } else { ("ipv4_addr", NETWORKS) };
        let network = self.pick(list);
        self.line(&format!(" set net {{ type {kind}; flags interval; elements = {{ {network} }}\n }}"));
    }

    fn base(&mut self, name: &str, hook: &str, priorities: &[&str], before_tracking: bool) {
        let priority = self.pick(priorities);
        let policy = if self.dice.one_in(4) && hook == "forward" { "drop" } else { "accept" };
        self.line(&format!(" chain {name} {{ type filter hook {hook} priority {priority}; policy {policy};"));
        if hook == "postrouting" {
            self.line("  iifname != \"tin\" accept");
        }
        if hook != "forward" && self.family != Family::Ip {
            self.line("  ip6 daddr ff00::/8 accept");
        }
        self.rejects = !before_tracking && hook == "forward";
        let most = if before_tracking { 2 } else { 5 };
        self.body(0, 1, most);
        self.rejects = true;
    }

    fn body(&mut self, first_chain: usize, least: usize, most: usize) {
        for _ in 0..least + self.dice.below(most - least + 1) {
            let rule = self.rule(first_chain);
            self.line(&format!("  {rule}"));
        }
        self.line(" }");
    }

    fn rule(&mut self, first_chain: usize) -> String {
        self.v6 = match self.family {
            Family::Inet => self.dice.one_in(3),
            family => family == Family::Ip6,
        };
        self.transport = self.pick(&["tcp", "tcp", "tcp", "udp", "udp", "sctp", "icmp"]);
        let mut parts = Vec::new();
        for _ in 0..[0, 1, 1, 1, 2, 2, 3][self.dice.below(7)] {
            let part = self.matching();
            // nft 1.0.6 makes one inequality of two about neighbouring fields, which is something else.
            let second = parts.iter().any(|part: &String| part.contains("!="));
            parts.push(if second { part.replace("!=", "==") } else { part });
        }
        if self.dice.one_in(4) {
            parts.push(self.statement());
        }
        parts.push("counter".to_owned());
        if self.dice.one_in(4) {
            parts.push(self.statement());
        }
        parts.push(self.verdict(first_chain, !parts.is_empty()));
        self.rules += 1;
        parts.push(format!("comment \"r{}\"", self.rules));
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }

    fn port(&mut self) -> u64 {
        PORTS[self.dice.below(PORTS.len())]
    }

    fn port_element(&mut self) -> String {
        let (a, b) = (self.port(), self.port());
        if self.dice.one_in(2) || a == b { a.to_string() } else { format!("{}-{}", a.min(b), a.max(b)) }
    }

    /// One to four elements, without a value twice.
    fn elements(&mut self, draw: impl Fn(&mut Self) -> String) -> String {
        let mut elements: Vec<_> = (0..=self.dice.below(4)).map(|_| draw(self)).collect();
        elements.sort();
        elements.dedup();
        elements.join(", ")
    }

    fn number(&mut self, key: &str, values: &[u64], bits: u32) -> String {
        let mut value = values[self.dice.below(values.len())];
        if self.dice.one_in(4) {
            value = (value + 1).min((1 << bits) - 1);
        }
        let other = values[self.dice.below(values.len())];
        let (low, high) = (value.min(other), value.max(other));
        match self.dice.below(9) {
            0 => format!("{key} != {value}"),
            1 if value > 0 => format!("{key} < {value}"),
            2 => format!("{key} >= {value}"),
            3 if value > 0 => format!("{key} <= {value}"),
            4 if low < high => format!("{key} {low}-{high}"),
            5 if low < high => format!("{key} != {low}-{high}"),
            6 if low < high => format!("{key} {{ {low}, {high} }}"),
            7 if low < high => format!("{key} != {{ {low}, {high} }}"),
            8 if value > 0 && value + 1 < 1 << bits => format!("{key} > {value}"),
            _ => format!("{key} {value}"),
        }
    }

    fn address(&mut self, key: &str, v6: bool) -> String {
        let (addresses, networks) = if v6 { (ADDRESSES6, NETWORKS6) } else { (ADDRESSES, NETWORKS) };
        let not = self.pick(&["", "", "!= "]);
        let (a, b) = (self.pick(addresses), self.pick(addresses));
        let network = self.pick(networks);
        match self.dice.below(5) {
            0 => format!("{key} {not}{network}"),
            1 if a != b => format!("{key} {not}{{ {a}, {b} }}"),
            2 if !v6 => format!("{key} & 255.255.255.0 == 10.0.0.0"),
            3 => format!("{key} {not}{{ {network} }}"),
            _ => format!("{key} {not}{a}"),
        }
    }

    fn words(&mut self, key: &str, words: &[&str], flags: bool) -> String {
        let (a, b) = (self.pick(words), self.pick(words));
        match self.dice.below(6) {
            0 => format!("{key} != {a}"),
            1 if flags && a != b => format!("{key} {a},{b}"),
            2 if a != b => format!("{key} {{ {a}, {b} }}"),
            3 if a != b => format!("{key} != {{ {a}, {b} }}"),
            4 if flags => format!("{key} & {a} == {a}"),
            5 if flags => format!("{key} ! {a}"),
            _ => format!("{key} {a}"),
        }
    }

    /// A match on the protocol: if on one alone, then the rule's own.
    fn protocol(&mut self, key: &str, protocols: &[&str]) -> String {
        let text = self.words(key, protocols, false);
        if text.contains(['{', '!']) {
            return text;
        }
        let own = if self.transport == "icmp" && self.v6 { "icmpv6" } else { self.transport };
        format!("{key} {own}")
    }

    fn tcp_flags(&mut self) -> String {
        let (a, b, c) = (self.pick(FLAGS), self.pick(FLAGS), self.pick(FLAGS));
        match self.dice.below(7) {
            0 => format!("tcp flags {a}"),
            1 => format!("tcp flags == {a}"),
            2 => format!("tcp flags != {a}"),
            3 if a != b => format!("tcp flags & ({a} | {b}) == {a}"),
            4 if a != b => format!("tcp flags & ({a} | {b}) != 0"),
            5 if a != b && b != c && a != c => format!("tcp flags {a},{b} / {a},{b},{c}"),
            _ => format!("tcp flags ! {a}"),
        }
    }

    fn matching(&mut self) -> String {
        match self.dice.below(9) {
            0 | 1 => self.of_conn(),
            2 => self.of_meta(),
            3 => self.of_network(),
            4 | 5 => self.of_transport(),
            6 => self.of_icmp(),
            7 => self.joined(),
            _ => self.words("ct state", STATES, true),
        }
    }

    fn of_conn(&mut self) -> String {
        let ports = "meta l4proto { tcp, udp }";
        let side = self.pick(&["original", "reply"]);
        match self.dice.below(12) {
            0 => self.words("ct state", STATES, true),
            1 => self.words("ct status", STATUSES, true),
            2 => self
                .pick(&["ct direction original", "ct direction reply", "ct direction != reply"])
                .to_owned(),
            3 => self.number("ct mark", &[0, 1, 2, 3, 16], 32),
            4 => self.number(&format!("ct {side} packets"), &[0, 1, 2, 3, 5], 64 - 1),
            5 => self.number(&format!("ct {side} bytes"), &[0, 40, 100, 300, 1000], 64 - 1),
            6 => self.number("ct packets", &[1, 2, 4, 8], 64 - 1),
            7 => self.number("ct avgpkt", &[40, 60, 100, 300], 64 - 1),
            8 if !self.v6 => {
                let end = self.pick(&["saddr", "daddr"]);
                self.address(&format!("ct {side} ip {end}"), false)
            }
            8 => {
                let end = self.pick(&["saddr", "daddr"]);
                self.address(&format!("ct {side} ip6 {end}"), true)
            }
            9 => {
                let key = self.pick(&["proto-src", "proto-dst"]);
                let port = self.port();
                format!("{ports} ct {side} {key} {port}")
            }
            10 => self.words("ct protocol", PROTOCOLS, false),
            _ => self.number("ct mark & 3", &[0, 1, 2], 32),
        }
    }

    fn of_meta(&mut self) -> String {
        match self.dice.below(8) {
            0 => self.protocol("meta l4proto", PROTOCOLS),
            1 => self.number("meta length", &[28, 40, 52, 60, 100, 229, 300], 16),
            2 => self.number("meta mark", &[0, 1, 2, 3, 16], 32),
            3 => self
                .words("iifname", &["\"tin\"", "\"tout\"", "\"t*\"", "\"lo\""], false)
                .replace("\"t*\" }", "\"tx\" }")
                .replace("{ \"t*\"", "{ \"ty\""),
            4 => self.words("oifname", &["\"tin\"", "\"tout\"", "\"x0\""], false),
            5 if self.family == Family::Inet => {
                let own = if self.v6 { "ipv6" } else { "ipv4" };
                format!("meta nfproto {}{own}", self.pick(&["", "!= "]))
            }
            6 => self.pick(&["meta pkttype host", "meta pkttype != host", "iif lo", "oif != lo"]).to_owned(),
            _ => self.words("meta protocol", &["ip", "ip6"], false),
        }
    }

    fn of_network(&mut self) -> String {
        let v6 = self.v6;
        let end = self.pick(&["saddr", "daddr"]);
        if v6 {
            match self.dice.below(6) {
                0 => self.number("ip6 length", &[8, 20, 40, 100], 16),
                1 => self.protocol("ip6 nexthdr", &["tcp", "udp", "icmpv6"]),
                2 if self.family == Family::Ip6 => format!("ip6 {end} @net"),
                3 => self.number("ip6 dscp", &[0, 46], 6),
                _ => self.address(&format!("ip6 {end}"), true),
            }
        } else {
            match self.dice.below(9) {
                0 => self.number("ip length", &[28, 40, 52, 60, 100], 16),
                1 => self.protocol("ip protocol", &["tcp", "udp", "icmp", "sctp"]),
                2 if self.family != Family::Ip6 => format!("ip {end} @net"),
                3 => self.number("ip dscp", &[0, 46], 6),
                4 => self
                    .pick(&[
                        "ip frag-off & 0x1fff == 0",
                        "ip frag-off & 0x4000 != 0",
                        "ip ecn ect1",
                        "ip hdrlength 5",
                        "ip version 4",
                    ])
                    .to_owned(),
                5 => self.number("ip id", &[0, 1, 77], 16),
                _ => self.address(&format!("ip {end}"), false),
            }
        }
    }

    fn of_transport(&mut self) -> String {
        let protocol = self.transport;
        if protocol == "icmp" {
            return self.of_icmp();
        }
        let end = self.pick(&["sport", "dport"]);
        match self.dice.below(10) {
            0 => format!("{protocol} {end} {}@ports", self.pick(&["", "!= "])),
            1 => format!("{protocol} {end} {}@few", self.pick(&["", "!= "])),
            2 if protocol == "tcp" => self.tcp_flags(),
            3 => {
                let elements = self.elements(|this| this.port().to_string());
                format!("{protocol} {end} {{ {elements} }}")
            }
            4 => self.number(&format!("th {end}"), PORTS, 16),
            5 if protocol == "tcp" => self.number("tcp window", &[0, 1000, 65535, 512], 16),
            6 if protocol == "udp" => self.number("udp length", &[8, 18, 100, 208], 16),
            7 if protocol == "tcp" => {
                self.pick(&["tcp option maxseg size 1460", "tcp doff 5", "tcp urgptr 0"]).to_owned()
            }
            _ => self.number(&format!("{protocol} {end}"), PORTS, 16),
        }
    }

    fn of_icmp(&mut self) -> String {
        let v6 = self.v6;
        let name = if v6 { "icmpv6" } else { "icmp" };
        if self.transport != "icmp" {
            return self.of_transport();
        }
        match self.dice.below(5) {
            0 => self.number(&format!("{name} code"), &[0, 1, 3, 4], 8),
            1 => self.number(&format!("{name} id"), &[7, 0x1234], 16),
            2 => self.number(&format!("{name} sequence"), &[0, 1], 16),
            _ if v6 => self.words("icmpv6 type", TYPES6, false),
            _ => self.words("icmp type", TYPES, false),
        }
    }

    /// A concatenation.
    fn joined(&mut self) -> String {
        let v6 = self.v6;
        let protocol = match self.transport {
            "icmp" => return self.of_icmp(),
            other => other,
        };
        let (key, list) = if v6 { ("ip6 daddr", ADDRESSES6) } else { ("ip daddr", ADDRESSES) };
        match self.dice.below(4) {
            0 => {
                let elements = self.elements(|this| format!("{} . {}", this.pick(list), this.port()));
                format!("{key} . {protocol} dport {}{{ {elements} }}", self.pick(&["", "!= "]))
            }
            1 => {
                let elements =
                    self.elements(|this| format!("{} . {}", this.pick(&["tcp", "udp"]), this.port()));
                format!("meta l4proto . th dport {{ {elements} }}")
            }
            2 => {
                let low = self.port();
                let network = self.pick(if v6 { NETWORKS6 } else { NETWORKS });
                format!("{key} . {protocol} sport {{ {network} . {low}-65535 }}")
            }
            _ => {
                let elements = self.elements(|this| {
                    format!("{} . {}", this.pick(&["original", "reply"]), this.pick(&["0", "1", "2"]))
                });
                format!("ct direction . ct mark {{ {elements} }}")
            }
        }
    }

    fn statement(&mut self) -> String {
        let mark = self.dice.below(4);
        match self.dice.below(14) {
            0 | 1 => format!("ct mark set {mark}"),
            2 | 3 => format!("meta mark set {mark}"),
            4 => self.pick(&["ct mark set meta mark", "meta mark set ct mark"]).to_owned(),
            5 => self
                .pick(&["ct mark set ct mark | 2", "ct mark set ct mark & 1", "meta mark set meta mark ^ 3"])
                .to_owned(),
            6 if self.transport == "tcp" => {
                format!("ct mark set tcp dport map {{ 21 : {mark}, 80 : 2, 1024-65535 : 3 }}")
            }
            7 => format!("meta mark set ct direction map {{ original : {mark}, reply : 2 }}"),
            8 => format!(
                "limit rate {}1/day burst {} packets",
                self.pick(&["", "over "]),
                1 + self.dice.below(9)
            ),
            9 | 10 => {
                // Multiples of 20: sums of lengths hit such numbers exactly.
                let bytes = 40 + 20 * self.dice.below(40);
                format!("quota {}{bytes} bytes", self.pick(&["", "over "]))
            }
            11 => "notrack".to_owned(),
            12 => format!(
                "limit rate {}1 bytes/day burst {} bytes",
                self.pick(&["", "over "]),
                50 + self.dice.below(900)
            ),
            _ => String::new(),
        }
    }

    fn verdict(&mut self, first_chain: usize, _has_match: bool) -> String {
        let chains = CHAINS - first_chain.min(CHAINS);
        let chain = if chains == 0 { None } else { Some(first_chain + self.dice.below(chains)) };
        match self.dice.below(12) {
            0..=2 => "accept".to_owned(),
            3 => self.pick(&["drop", "drop", "accept"]).to_owned(),
            4 => self.pick(&["return", "continue"]).to_owned(),
            5 | 6 => chain.map_or_else(String::new, |chain| format!("jump c{chain}")),
            7 => chain.map_or_else(String::new, |chain| format!("goto c{chain}")),
            8 if self.rejects && first_chain == 0 => self.reject(),
            9 | 10 => self.verdict_map(chain),
            _ => String::new(),
        }
    }

    fn reject(&mut self) -> String {
        match self.family {
            Family::Inet => self.pick(&[
                "reject",
                "reject with icmpx admin-prohibited",
                "reject with icmpx host-unreachable",
                "reject with icmpx no-route",
                if self.transport == "tcp" { "meta l4proto tcp reject with tcp reset" } else { "reject" },
                if self.v6 {
                    "reject with icmpv6 addr-unreachable"
                } else {
                    "reject with icmp port-unreachable"
                },
            ]),
            Family::Ip => self.pick(&[
                "reject",
                "reject with icmp net-unreachable",
                "reject with icmp prot-unreachable",
                if self.transport == "tcp" { "meta l4proto tcp reject with tcp reset" } else { "reject" },
            ]),
            Family::Ip6 => self.pick(&[
                "reject",
                "reject with icmpv6 no-route",
                "reject with icmpv6 reject-route",
                if self.transport == "tcp" { "meta l4proto tcp reject with tcp reset" } else { "reject" },
            ]),
        }
        .to_owned()
    }

    fn verdict_map(&mut self, chain: Option<usize>) -> String {
        let jump = chain.map_or_else(|| "return".to_owned(), |chain| format!("jump c{chain}"));
        match self.dice.below(5) {
            0 if self.transport == "tcp" => {
                format!("tcp dport vmap {{ 21 : accept, 80 : {jump}, 443 : drop, 1024-65535 : {jump} }}")
            }
            1 => format!("ct state vmap {{ established : accept, invalid : drop, new : {jump} }}"),
            2 => format!(
                "meta l4proto vmap {{ tcp : {jump}, udp : accept, icmp : continue, icmpv6 : accept }}"
            ),
            3 if !self.v6 => {
                format!("ip saddr vmap {{ 10.0.0.0/24 : {jump}, 192.0.2.80 : accept }}")
            }
            _ => format!(
                "ct direction . th dport vmap {{ original . 80 : {jump}, reply . 40000 : accept, original . 53 : drop }}"
            ),
        }
    }
}
