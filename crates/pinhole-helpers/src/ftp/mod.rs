//! FTP (RFC 959, RFC 1123 §4.1.2; security RFC 2228, 4217; IPv6 RFC 2428; long addresses RFC 1639).
//!
//! The conn's originator is the client. It sends commands, the server answers each with one final reply, in order; the helper keeps
//! the commands that are not answered yet and honours a reply only as the answer to the command that it belongs to:
//!
//! | dialogue | what is expected |
//! |---|---|
//! | `PORT`, `EPRT`, `LPRT`, then 2yz | the server connects to the client's announced port |
//! | `PASV` then 227, `EPSV` then 229, `LPSV` then 228 | the client connects to the server's announced port |
//!
//! An expectation of the first kind is entered at the command, so that its NAT half can act on the command; a negative reply cancels it.
//! Some servers connect before they reply, so it matches at once, but only a conn from the very server that the command went to; under
//! [`Policy::wait_for_answer`] it matches nothing before its 2yz. Commands may be pipelined, and each announcement stands on its own: one that is replaced by a later one
//! before it was used stays until its timeout, or until the host evicts it as the oldest of its class.
//!
//! *Lines* end with LF, a CR before it is dropped. Telnet commands (RFC 854) are removed before a line is understood, spans are of
//! the raw bytes. A verb stands at the beginning of its line; spaces or tabs may separate it from its argument. Longer lines than
//! [`LINE_LIMIT`] are skipped to their end: they take part in the matching, but announce nothing.
//!
//! *Encryption.* After `AUTH TLS` and 234 both directions carry TLS records, whose headers are followed (nothing else of them can be
//! read), so that plain text is found again after `CCC`.

mod nat;
mod outstanding;
mod parse;
mod session;
#[cfg(test)]
mod tests;

pub use nat::FtpNat;
pub use outstanding::OUTSTANDING_LIMIT;
pub use parse::LINE_LIMIT;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use pinhole_helper::{Class, Helper, Master, Name, Policy, Session, Spec, Texts, saved};
use pinhole_wire::Protocol;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// `h1,h2,h3,h4,p1,p2`: IPv4 address and port in decimal octets (PORT and 227).
    pub const OCTETS: Field = Field::Endpoint(0);
    /// `|1|address|port|` or `|2|address|port|`, delimiters included; the first byte is the delimiter (EPRT).
    pub const EXTENDED: Field = Field::Endpoint(1);
    /// `af,hal,h1,…,pal,p1,p2`: address family, lengths and octets in decimal (LPRT and 228).
    pub const LONG: Field = Field::Endpoint(2);
    /// `port`: the decimal digits alone (229).
    pub const PORT: Field = Field::Port(0);
}

/// The FTP helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ftp;

/// Its description.
pub const SPEC: Spec = Spec {
    name: Name::new("ftp"),
    aliases: Texts::Built(&["ip_conntrack_ftp", "nf_conntrack_ftp"]),
    protocols: Cow::Borrowed(&[Protocol::TCP]),
    ports: Cow::Borrowed(&[21]),
    classes: Cow::Borrowed(&[Class { name: Name::new("data"), max: 8, timeout: 300 }]),
    summary: Cow::Borrowed("File Transfer Protocol: opens its data connections"),
    reads: Texts::Built(&[
        "commands PORT, EPRT, LPRT, PASV, EPSV, EPSV ALL, LPSV, AUTH (any case, pipelined)",
        "replies 227, 228, 229, 234 and the classes of all others; multi-line replies",
        "Telnet commands inside lines; CRLF and LF line ends",
        "TLS record headers after AUTH TLS, until plain text resumes after CCC",
    ]),
    creates: Texts::Built(&[
        "active: TCP from the server, any port, to the client's announced port, unless the reply is negative",
        "passive: TCP from the client, any port, to the server's announced port",
    ]),
    refuses: Texts::Built(&[
        "addresses that are not the sender's own (FTP bounce)",
        "ports below 1024, port 0, octets above 255, signs, junk",
        "227, 228 or 229 that answer no PASV, LPSV or EPSV",
        "PORT, EPRT, LPRT, PASV, LPSV after EPSV ALL",
        "an address family other than the control connection's; IPv4-mapped IPv6",
        "connections that do not open as FTP (HTTP, TLS, SIP, SSH), for ever",
    ]),
    limits: Texts::Built(&[
        "lines of 512 bytes; longer ones are skipped",
        "32 unanswered announcements",
        "8 expectations a connection, 300 s each, one connection each",
    ]),
    nat: Cow::Borrowed(
        "rewrites address and port of PORT, EPRT, LPRT, 227, 228 and 229, IPv4 and IPv6; texts may grow or shrink",
    ),
    ipv6: Cow::Borrowed("EPRT, EPSV, LPRT, LPSV"),
    references: Texts::Built(&["RFC 959", "RFC 1123 §4.1.2", "RFC 1639", "RFC 2228", "RFC 2428", "RFC 4217"]),
};

impl Helper for Ftp {
    fn spec(&self) -> &'static Spec {
        static DESCRIPTION: Spec = SPEC;
        &DESCRIPTION
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(session::FtpSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<session::FtpSession>(saved)
    }
}
