//! For every parser, the inputs that cost most for their length: what has many parts, nests, or has to be looked at again.

use pinhole_helper::{Helper, Master, Pickup, Policy, Reader};
use pinhole_wire::{Direction, IpVersion, Protocol, Tcp, TcpFlags, Time};
use std::net::SocketAddr;

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

/// One input.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) helper: &'static str,
    pub(crate) protocol: Protocol,
    /// Longest segment that a stream comes in.
    pub(crate) segment: usize,
    /// What comes first, and is not counted.
    pub(crate) opening: &'static [(Direction, &'static [u8])],
    pub(crate) from: Direction,
    /// About so many bytes.
    pub(crate) bytes: fn(usize) -> Vec<u8>,
}

fn filled(head: &str, part: &str, tail: &str, size: usize) -> Vec<u8> {
    format!("{head}{}{tail}", part.repeat(size / part.len())).into_bytes()
}

fn sip(fields: &str, body: &str) -> Vec<u8> {
    format!(
        "INVITE sip:b@x SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn register(size: usize) -> Vec<u8> {
    let contacts = "<sip:10.0.0.1:40000>, <sip:10.0.0.9>, ".repeat(size / 38);
    format!("REGISTER sip:x SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: {contacts}x\r\n\r\n")
        .into_bytes()
}

fn description(line: &str, size: usize) -> Vec<u8> {
    let body =
        format!("v=0\r\nc=IN IP4 10.0.0.9\r\nm=audio 30000 RTP/AVP 0\r\n{}", line.repeat(size / line.len()));
    sip("Content-Type: application/sdp\r\n", &body)
}

fn parts(size: usize) -> Vec<u8> {
    let body = "--b\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n".repeat(size / 52);
    sip("Content-Type: multipart/mixed; boundary=b\r\n", &body)
}

/// Records of the same bytes.
fn repeated(record: &[u8], size: usize) -> Vec<u8> {
    record.iter().copied().cycle().take(size / record.len() * record.len()).collect()
}

/// A SNAC that holds an ICBM of channel 2 with a block of empty TLVs.
fn rendezvous(size: usize) -> Vec<u8> {
    let tlvs = repeated(&[0, 9, 0, 0], size.min(7800));
    let block = [&[0; 26][..], &tlvs].concat();
    let head = b"\0\x04\0\x06\0\0\0\0\0\x01cookie!!\0\x02\x01a";
    let data = [&head[..], &[0, 5], &(block.len() as u16).to_be_bytes(), &block].concat();
    let frame = [&[0x2a, 2, 0, 1][..], &(data.len() as u16).to_be_bytes(), &data].concat();
    repeated(&frame, size.max(frame.len()))
}

/// A stream of Q.931 messages, each with a user-user element that begins like a Setup and goes on with ones.
fn q931(size: usize) -> Vec<u8> {
    let user = [&[5, 0x20, 0xa0, 6, 0, 8, 0x91, 0x4a, 0, 4][..], &[0xff; 500]].concat();
    let message = [&[8, 2, 0, 1, 5, 0x7e][..], &(user.len() as u16).to_be_bytes(), &user].concat();
    let packet = [&[3, 0][..], &(message.len() as u16 + 4).to_be_bytes(), &message].concat();
    repeated(&packet, size.max(packet.len()))
}

/// Several of a server's smallest packets in one.
fn icq(size: usize) -> Vec<u8> {
    let mut packet = vec![5, 0, 0, 1, 2, 3, 4, 0x12, 2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255];
    let inner = [&[21, 0][..], &[5, 0, 0, 1, 2, 3, 4, 0x6e, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    packet.extend(repeated(&inner, size));
    packet
}

/// Sequences within sequences, all of them to the end of the message.
fn nested(size: usize) -> Vec<u8> {
    let mut message = Vec::new();
    let mut rest = size;
    while rest > 300 {
        rest -= 4;
        message.extend([0x30, 0x82]);
        message.extend((rest as u16).to_be_bytes());
    }
    message.extend(vec![0; rest]);
    message
}

/// A response with as many addresses as fit.
fn addresses(size: usize) -> Vec<u8> {
    let bindings = repeated(b"\x30\x0b\x06\x03\x2b\x06\x01\x40\x04\x0a\0\0\x01", size);
    let of =
        |tag: u8, content: &[u8]| [&[tag, 0x82][..], &(content.len() as u16).to_be_bytes(), content].concat();
    let unit = [&b"\x02\x01\x01\x02\x01\0\x02\x01\0"[..], &of(0x30, &bindings)].concat();
    of(0x30, &[&b"\x02\x01\x01\x04\x06public"[..], &of(0xa2, &unit)].concat())
}

const OSCAR: &[(Direction, &[u8])] =
    &[(S, b"\x2a\x01\0\0\0\x04\0\0\0\x01"), (C, b"\x2a\x01\0\0\0\x04\0\0\0\x01")];
const FTP: &[(Direction, &[u8])] = &[(S, b"220 ready\r\n"), (C, b"NOOP\r\n")];
const IRC: &[(Direction, &[u8])] = &[(C, b"NICK a\r\nUSER a 0 * :a\r\n")];
const RTSP: &[(Direction, &[u8])] = &[(C, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")];
const SANE: &[(Direction, &[u8])] =
    &[(C, b"\0\0\0\0\x01\0\0\x03\0\0\0\x05user\0"), (S, b"\0\0\0\0\x01\0\0\x03")];
const SIP: &[(Direction, &[u8])] = &[(C, b"OPTIONS sip:x SIP/2.0\r\n\r\n")];
const SNMP: &[(Direction, &[u8])] =
    &[(C, b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x01\x02\x01\0\x02\x01\0\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\0\x05\0")];
const ICQ: &[(Direction, &[u8])] = &[(C, b"\x02\0\x2e\x04\x01\0\x01\0\0\0")];
const AMANDA: &[(Direction, &[u8])] = &[(C, b"Amanda 2.6 REQ HANDLE 1 SEQ 1\nSERVICE a\n")];
const PPTP: &[(Direction, &[u8])] = &[];

const fn stream(
    name: &'static str,
    helper: &'static str,
    opening: &'static [(Direction, &'static [u8])],
    bytes: fn(usize) -> Vec<u8>,
) -> Input {
    Input { name, helper, protocol: Protocol::TCP, segment: 1400, opening, from: C, bytes }
}

const fn datagram(
    name: &'static str,
    helper: &'static str,
    opening: &'static [(Direction, &'static [u8])],
    bytes: fn(usize) -> Vec<u8>,
) -> Input {
    Input { protocol: Protocol::UDP, ..stream(name, helper, opening, bytes) }
}

/// All inputs.
pub(crate) const INPUTS: &[Input] = &[
    datagram("contacts", "sip", SIP, register),
    datagram("routes", "sip", SIP, |n| {
        sip(&format!("Route: {}\r\n", "<sip:10.0.0.1:40000>,".repeat(n / 21)), "")
    }),
    datagram("empty fields", "sip", SIP, |n| sip(&"v:\r\n".repeat(n / 4), "")),
    datagram("folds", "sip", SIP, |n| sip(&format!("Via: a{}\r\n", "\r\n a".repeat(n / 4)), "")),
    datagram("open quotes", "sip", SIP, |n| sip(&"m: \"<\r\n".repeat(n / 7), "")),
    datagram("parameters", "sip", SIP, |n| sip(&format!("v: SIP/2.0/UDP a{}\r\n", ";x".repeat(n / 2)), "")),
    datagram("media", "sip", SIP, |n| description("m=audio 30000 RTP/AVP 0\r\n", n)),
    datagram("candidates", "sip", SIP, |n| description("a=candidate:1 1 UDP 1 10.0.0.9 1 typ host\r\n", n)),
    datagram("blanks", "sip", SIP, |n| description(&format!("a=rtcp:{}1\r\n", " ".repeat(200)), n)),
    datagram("parts", "sip", SIP, parts),
    Input {
        segment: 1,
        ..stream("a head byte by byte", "sip", SIP, |n| sip(&"a: b\r\n".repeat(n.min(12_000) / 6), ""))
    },
    stream("small messages", "sip", SIP, |n| filled("", "ACK a SIP/2.0\r\n\r\n", "", n)),
    stream("transports", "rtsp", RTSP, |n| {
        filled(
            "SETUP a RTSP/1.0\r\nCSeq: 2\r\nTransport: ",
            "RTP/AVP;client_port=1-2,",
            "\r\n\r\n",
            n.min(15_000),
        )
    }),
    stream("frames", "rtsp", RTSP, |n| repeated(b"$\0\0\0", n)),
    stream("setups", "rtsp", RTSP, |n| {
        filled("", "SETUP a RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP;client_port=5000\r\n\r\n", "", n)
    }),
    stream("empty lines", "ftp", FTP, |n| repeated(b"\n", n)),
    stream("commands", "ftp", FTP, |n| repeated(b"PASV\n", n)),
    stream("announcements", "ftp", FTP, |n| repeated(b"PORT 10,0,0,9,9,9\n", n)),
    Input { segment: 1, ..stream("a line byte by byte", "ftp", FTP, |n| repeated(b"x", n)) },
    stream("empty lines", "irc", IRC, |n| repeated(b"\n", n)),
    stream("offers", "irc", IRC, |n| {
        repeated(b"PRIVMSG b :\x01DCC SEND a 1 1\x01\x01DCC SEND a 1 1\x01\n", n)
    }),
    stream("marks", "irc", IRC, |n| repeated(&[b"PRIVMSG b :", &[1; 480][..], b"\n"].concat(), n)),
    stream("empty frames", "oscar", OSCAR, |n| repeated(&[0x2a, 2, 0, 0, 0, 0], n)),
    stream("empty values", "oscar", OSCAR, rendezvous),
    stream("empty packets", "Q.931", &[(C, &[3, 0, 0, 9, 8, 2, 0, 1, 1])], |n| repeated(&[3, 0, 0, 4], n)),
    stream("long lists", "Q.931", &[(C, &[3, 0, 0, 9, 8, 2, 0, 1, 1])], q931),
    datagram("noise", "RAS", &[], |n| vec![0x0e; n]),
    stream("echoes", "pptp", PPTP, |n| {
        let mut start = vec![0, 156, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1];
        start.resize(156, 0);
        start.extend(repeated(&[0, 16, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, 5, 0, 0, 0, 0, 0, 0], n));
        start
    }),
    stream("requests", "sane", SANE, |n| repeated(&[0, 0, 0, 7, 0, 0, 0, 0], n)),
    Input {
        from: S,
        ..datagram("lines", "amanda", AMANDA, |n| {
            filled("Amanda 2.6 REP HANDLE 1 SEQ 1\n", "CONNECT DATA 1 MESG 1\n", "", n)
        })
    },
    Input { from: S, ..datagram("packets", "icq", ICQ, icq) },
    datagram("options", "tftp", &[], |n| [&b"\0\x01a\0octet\0"[..], &repeated(b"a\0b\0", n)].concat()),
    datagram("nesting", "snmp", SNMP, nested),
    Input { from: S, ..datagram("addresses", "snmp", SNMP, addresses) },
];

/// A conn that is read.
pub(crate) struct Conn {
    reader: Reader,
    sent: [u32; 2],
    /// Actions of the latest call.
    pub(crate) actions: usize,
    pub(crate) most_actions: usize,
}

impl Conn {
    /// Up to what the input is.
    pub(crate) fn open(helper: &dyn Helper, input: &Input) -> Self {
        let client = SocketAddr::from(([10, 0, 0, 1], 40_000));
        let server = SocketAddr::from(([192, 0, 2, 1], 5060));
        let master = Master {
            version: IpVersion::V4,
            protocol: input.protocol,
            original: (client, server),
            reply: (server, client),
        };
        let reader = Reader::new(helper, master, Policy::default(), Pickup::Strict);
        let mut conn = Self { reader, sent: [0; 2], actions: 0, most_actions: 0 };
        if input.protocol == Protocol::TCP {
            conn.segment(C, TcpFlags::SYN, &[]);
            conn.segment(S, TcpFlags::SYN | TcpFlags::ACK, &[]);
        }
        for (from, bytes) in input.opening {
            conn.say(input, *from, bytes);
        }
        conn
    }

    /// Whether what comes is still read.
    pub(crate) fn is_reading(&self) -> bool {
        self.reader.is_reading()
    }

    pub(crate) fn memory(&self) -> usize {
        self.reader.memory()
    }

    pub(crate) fn say(&mut self, input: &Input, from: Direction, bytes: &[u8]) {
        if input.protocol == Protocol::TCP {
            bytes.chunks(input.segment).for_each(|bytes| self.segment(from, TcpFlags::ACK, bytes));
        } else {
            let mut actions = Vec::new();
            self.reader.datagram(Time(1), from, bytes, &mut actions);
            self.note(actions.len());
        }
    }

    fn segment(&mut self, from: Direction, flags: TcpFlags, bytes: &[u8]) {
        let tcp = Tcp {
            source_port: 0,
            destination_port: 0,
            sequence: self.sent[from.index()],
            acknowledgement: self.sent[from.opposite().index()],
            window: 65535,
            flags,
            header_length: 20,
            checksum: 0,
            urgent: 0,
            payload_length: bytes.len() as u32,
        };
        let mut actions = Vec::new();
        self.reader.segment(Time(1), from, &tcp, bytes, 0, &mut actions);
        let syn = u32::from(flags.contains(TcpFlags::SYN));
        self.sent[from.index()] = tcp.sequence + bytes.len() as u32 + syn;
        self.note(actions.len());
    }

    fn note(&mut self, actions: usize) {
        self.actions = actions;
        self.most_actions = self.most_actions.max(actions);
    }
}
