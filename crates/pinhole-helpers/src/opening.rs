//! Openings of other protocols. A browser can be made to talk to any port, and to send text that looks like a command somewhere in
//! its body (NAT slipstreaming); the first bytes give it away.

use pinhole_helper::BlindReason;

/// Record types of TLS (RFC 8446 §5.1) and the heartbeat (RFC 6520).
pub(crate) const TLS_RECORD_TYPES: core::ops::RangeInclusive<u8> = 20..=24;

/// What the first byte alone gives away: text protocols open with a printable character (Telnet's IAC is left to the caller).
pub(crate) fn foreign_byte(first: u8) -> Option<BlindReason> {
    match first {
        first if TLS_RECORD_TYPES.contains(&first) => Some(BlindReason::Encrypted),
        b'\t' | b'\r' | b'\n' | 0x20..=0x7e | 0xff => None,
        _ => Some(BlindReason::NotThisProtocol),
    }
}

/// Whether a first line (without its line end) opens HTTP, RTSP, SIP, SSH or SMTP.
pub(crate) fn foreign_line(line: &[u8]) -> bool {
    const WORDS: [&[u8]; 17] = [
        b"GET",
        b"HEAD",
        b"POST",
        b"PUT",
        b"DELETE",
        b"OPTIONS",
        b"PATCH",
        b"PRI",
        b"PROPFIND",
        b"REGISTER",
        b"SUBSCRIBE",
        b"DESCRIBE",
        b"SETUP",
        b"ANNOUNCE",
        b"EHLO",
        b"HELO",
        b"LHLO",
    ];
    let word = line.split(|&b| b == b' ' || b == b'\t').next().unwrap_or_default();
    let names = |needle: &[u8]| line.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle));
    WORDS.iter().any(|foreign| word.eq_ignore_ascii_case(foreign))
        || line.starts_with(b"SSH-")
        || [&b" HTTP/"[..], b" SIP/2.0", b" RTSP/"].iter().any(|needle| names(needle))
        || [&b"HTTP/"[..], b"SIP/2.0", b"RTSP/"].iter().any(|needle| line.starts_with(needle))
}
