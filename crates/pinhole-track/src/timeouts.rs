//! Timeouts in seconds; the defaults are netfilter's.
//!
//! One [`Timeouts`] is a complete policy: the tracker's own, or one that a ruleset's `ct timeout` object overrides in part. Names are
//! those of nft's `ct timeout` policies; [`Timeouts::set_sysctl`] takes the kernel's `nf_conntrack_*` names.

use serde::{Deserialize, Serialize};
use std::ops::{Index, IndexMut};

/// Declares [`Timeout`] and [`Entry`]'s table from one list, so that neither can lack a line.
macro_rules! timeouts {
    ($($variant:ident: $protocol:literal $key:literal $sysctl:literal = $seconds:literal, $doc:literal;)+) => {
        /// Names one timeout.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Timeout {
            $(#[doc = $doc] $variant,)+
        }

        /// Every timeout, in the order of [`Timeout`].
        const ENTRIES: &[Entry] = &[
            $(Entry { timeout: Timeout::$variant, protocol: $protocol, key: $key, sysctl: $sysctl, default: $seconds },)+
        ];
        const COUNT: usize = ENTRIES.len();
    };
}

timeouts! {
    TcpSynSent: "tcp" "syn_sent" "tcp_timeout_syn_sent" = 120, "TCP: a SYN, no answer yet.";
    TcpSynRecv: "tcp" "syn_recv" "tcp_timeout_syn_recv" = 60, "TCP: the SYN is answered, the handshake not complete.";
    TcpEstablished: "tcp" "established" "tcp_timeout_established" = 432_000, "TCP: open both ways.";
    TcpFinWait: "tcp" "fin_wait" "tcp_timeout_fin_wait" = 120, "TCP: one end has sent FIN.";
    TcpCloseWait: "tcp" "close_wait" "tcp_timeout_close_wait" = 60, "TCP: that FIN is acknowledged.";
    TcpLastAck: "tcp" "last_ack" "tcp_timeout_last_ack" = 30, "TCP: both ends have sent FIN.";
    TcpTimeWait: "tcp" "time_wait" "tcp_timeout_time_wait" = 120, "TCP: closed in order.";
    TcpClose: "tcp" "close" "tcp_timeout_close" = 10, "TCP: reset.";
    TcpSynSent2: "tcp" "syn_sent2" "tcp_timeout_syn_sent2" = 120, "TCP: both ends have sent a SYN (simultaneous open).";
    TcpRetrans: "tcp" "retrans" "tcp_timeout_max_retrans" = 300, "TCP: retransmitted too often, or zero window.";
    TcpUnack: "tcp" "unack" "tcp_timeout_unacknowledged" = 300, "TCP: data not yet acknowledged.";
    UdpUnreplied: "udp" "unreplied" "udp_timeout" = 30, "UDP: not yet a stream.";
    UdpReplied: "udp" "replied" "udp_timeout_stream" = 120, "UDP: packets both ways for more than two seconds.";
    UdpliteUnreplied: "udplite" "unreplied" "udp_timeout" = 30, "UDP-Lite: no answer yet.";
    UdpliteReplied: "udplite" "replied" "udp_timeout_stream" = 120, "UDP-Lite: packets both ways.";
    Icmp: "icmp" "timeout" "icmp_timeout" = 30, "ICMP queries.";
    Icmpv6: "icmpv6" "timeout" "icmpv6_timeout" = 30, "ICMPv6 queries.";
    SctpClosed: "sctp" "closed" "sctp_timeout_closed" = 10, "SCTP: INIT sent, or over.";
    SctpCookieWait: "sctp" "cookie_wait" "sctp_timeout_cookie_wait" = 3, "SCTP: INIT ACK seen.";
    SctpCookieEchoed: "sctp" "cookie_echoed" "sctp_timeout_cookie_echoed" = 3, "SCTP: COOKIE ECHO seen.";
    SctpEstablished: "sctp" "established" "sctp_timeout_established" = 210, "SCTP: COOKIE ACK seen.";
    SctpShutdownSent: "sctp" "shutdown_sent" "sctp_timeout_shutdown_sent" = 3, "SCTP: SHUTDOWN from the original side.";
    SctpShutdownRecd: "sctp" "shutdown_recd" "sctp_timeout_shutdown_recd" = 3, "SCTP: SHUTDOWN from the reply side.";
    SctpShutdownAckSent: "sctp" "shutdown_ack_sent" "sctp_timeout_shutdown_ack_sent" = 3, "SCTP: SHUTDOWN ACK seen.";
    SctpHeartbeatSent: "sctp" "heartbeat_sent" "sctp_timeout_heartbeat_sent" = 30, "SCTP: a secondary path, HEARTBEAT not yet answered.";
    DccpRequest: "dccp" "request" "dccp_timeout_request" = 240, "DCCP: Request sent.";
    DccpRespond: "dccp" "respond" "dccp_timeout_respond" = 480, "DCCP: Response sent.";
    DccpPartopen: "dccp" "partopen" "dccp_timeout_partopen" = 480, "DCCP: Response acknowledged.";
    DccpOpen: "dccp" "open" "dccp_timeout_open" = 43_200, "DCCP: open.";
    DccpClosereq: "dccp" "closereq" "dccp_timeout_closereq" = 64, "DCCP: CloseReq sent.";
    DccpClosing: "dccp" "closing" "dccp_timeout_closing" = 64, "DCCP: Close sent.";
    DccpTimewait: "dccp" "timewait" "dccp_timeout_timewait" = 240, "DCCP: Reset sent.";
    GreUnreplied: "gre" "unreplied" "gre_timeout" = 30, "GRE: no answer yet.";
    GreReplied: "gre" "replied" "gre_timeout_stream" = 180, "GRE: packets both ways.";
    Generic: "generic" "timeout" "generic_timeout" = 600, "Protocols without a state machine.";
}

/// One timeout as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which one.
    pub timeout: Timeout,
    /// Protocol, as `conntrack` and nft name it.
    pub protocol: &'static str,
    /// Key in an nft `ct timeout` policy.
    pub key: &'static str,
    /// Name of the sysctl, without `nf_conntrack_`.
    pub sysctl: &'static str,
    /// netfilter's default in seconds.
    pub default: u32,
}

/// No timeout has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no timeout `{key}` for protocol `{protocol}`")]
pub struct UnknownTimeout {
    /// The protocol asked for.
    pub protocol: String,
    /// The key asked for.
    pub key: String,
}

/// Timeouts of every protocol and state, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u32>", into = "Vec<u32>")]
pub struct Timeouts {
    seconds: [u32; COUNT],
}

impl Timeouts {
    /// Every timeout with its names and default, grouped by protocol.
    pub fn entries() -> &'static [Entry] {
        ENTRIES
    }

    /// Sets the timeout that nft's policies call `key` (for `tcp`: `established`, …).
    ///
    /// # Errors
    /// The protocol has no such timeout.
    pub fn set(&mut self, protocol: &str, key: &str, seconds: u32) -> Result<(), UnknownTimeout> {
        let entry = ENTRIES
            .iter()
            .find(|entry| entry.protocol == protocol && entry.key == key)
            .ok_or_else(|| UnknownTimeout { protocol: protocol.to_owned(), key: key.to_owned() })?;
        self[entry.timeout] = seconds;
        Ok(())
    }

    /// Sets a timeout by its sysctl's name, with or without `nf_conntrack_` (`tcp_timeout_established`, …). UDP's also set
    /// UDP-Lite's, which has none of its own.
    ///
    /// # Errors
    /// There is no such sysctl.
    pub fn set_sysctl(&mut self, name: &str, seconds: u32) -> Result<(), UnknownTimeout> {
        let short = name.strip_prefix("nf_conntrack_").unwrap_or(name);
        let mut known = false;
        for entry in ENTRIES.iter().filter(|entry| entry.sysctl == short) {
            self[entry.timeout] = seconds;
            known = true;
        }
        if known { Ok(()) } else { Err(UnknownTimeout { protocol: "any".to_owned(), key: name.to_owned() }) }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let mut seconds = [0; COUNT];
        for (slot, entry) in seconds.iter_mut().zip(ENTRIES) {
            *slot = entry.default;
        }
        Self { seconds }
    }
}

impl From<Timeouts> for Vec<u32> {
    fn from(timeouts: Timeouts) -> Self {
        timeouts.seconds.to_vec()
    }
}

/// There are more or fewer timeouts than this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not as many timeouts as there are")]
pub struct WrongCount;

impl TryFrom<Vec<u32>> for Timeouts {
    type Error = WrongCount;

    fn try_from(seconds: Vec<u32>) -> Result<Self, WrongCount> {
        seconds.try_into().map(|seconds| Self { seconds }).map_err(|_| WrongCount)
    }
}

impl Index<Timeout> for Timeouts {
    type Output = u32;

    fn index(&self, timeout: Timeout) -> &u32 {
        &self.seconds[timeout as usize]
    }
}

impl IndexMut<Timeout> for Timeouts {
    fn index_mut(&mut self, timeout: Timeout) -> &mut u32 {
        &mut self.seconds[timeout as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_stands_at_its_own_index_and_has_its_own_names() {
        for (index, entry) in ENTRIES.iter().enumerate() {
            assert_eq!(entry.timeout as usize, index);
            let same = |other: &&Entry| (other.protocol, other.key) == (entry.protocol, entry.key);
            assert_eq!(ENTRIES.iter().filter(same).count(), 1, "{entry:?}");
        }
    }

    #[test]
    fn set_changes_one_timeout_only() {
        let mut timeouts = Timeouts::default();
        timeouts.set("tcp", "established", 7).unwrap();
        assert_eq!(timeouts[Timeout::TcpEstablished], 7);
        timeouts.set("tcp", "established", 432_000).unwrap();
        assert_eq!(timeouts, Timeouts::default());
        assert!(timeouts.set("tcp", "stream", 7).is_err());
        assert!(timeouts.set("tpc", "established", 7).is_err());
    }

    #[test]
    fn sysctl_names_are_the_kernels() {
        let mut timeouts = Timeouts::default();
        timeouts.set_sysctl("nf_conntrack_udp_timeout_stream", 9).unwrap();
        timeouts.set_sysctl("tcp_timeout_max_retrans", 8).unwrap();
        assert_eq!((timeouts[Timeout::UdpReplied], timeouts[Timeout::TcpRetrans]), (9, 8));
        assert_eq!(timeouts[Timeout::UdpliteReplied], 9);
        assert!(timeouts.set_sysctl("nf_conntrack_max", 1).is_err());
    }
}
