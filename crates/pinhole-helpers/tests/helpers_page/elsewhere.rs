//! What other systems have: facts from their sources and documentation, for the table in `docs/helpers.md`.

/// One protocol in other systems.
pub(crate) struct Row {
    pub(crate) protocol: &'static str,
    /// Our helpers for it; the first that a build has speaks for all.
    pub(crate) helpers: &'static [&'static str],
    pub(crate) linux: &'static str,
    pub(crate) tools: &'static str,
    pub(crate) modules: &'static str,
    pub(crate) ovs: &'static str,
    pub(crate) libalias: &'static str,
    pub(crate) commercial: &'static str,
}

const fn row(protocol: &'static str, helpers: &'static [&'static str], systems: [&'static str; 6]) -> Row {
    let [linux, tools, modules, ovs, libalias, commercial] = systems;
    Row { protocol, helpers, linux, tools, modules, ovs, libalias, commercial }
}

pub(crate) const ELSEWHERE: &[Row] = &[
    row("FTP", &["ftp"], ["N6", "N", "–", "N6, address only", "N", "all three"]),
    row("IRC DCC", &["irc"], ["N, to be removed", "–", "–", "–", "N", "ASA (IM)"]),
    row("talk, ntalk", &["talk"], ["–", "–", "N", "–", "–", "SRX"]),
    row("ICQ v2–v5", &["icq"], ["–", "–", "N (Linux 2.2, 2.4)", "–", "–", "ASA (IM)"]),
    row("OSCAR (AIM, ICQ ≥ 2000b)", &["oscar"], ["–", "–", "–", "–", "–", "ASA (IM)"]),
    row("H.323", &["Q.931", "RAS", "H.245", "h323"], ["N, T6", "–", "N", "–", "–", "all three"]),
    row("SIP", &["sip"], ["N6", "–", "–", "–", "–", "all three"]),
    row("RTSP", &["rtsp"], ["–", "–", "N", "–", "N", "all three"]),
    row("TFTP", &["tftp"], ["N6", "N", "–", "N6, on any packet", "N", "all three"]),
    row("PPTP", &["pptp"], ["N, one call, to be removed", "–", "N", "–", "N", "all three"]),
    row("Amanda", &["amanda"], ["N6", "N, no STATE", "–", "–", "–", "–"]),
    row("SANE", &["sane"], ["T6", "T", "–", "–", "–", "–"]),
    row("NetBIOS name service", &["netbios-ns"], ["T, own queries only", "–", "–", "–", "N", "ASA"]),
    row("SNMP", &["snmp"], ["T, own queries only; N for traps", "–", "–", "–", "–", "ASA, no NAT"]),
];
