//! Writes seeds for the targets: `seed CORPUS CAPTURES` reads every capture below the directory CAPTURES and writes one file a seed below
//! CORPUS/TARGET/. Used by `cargo xtask fuzz`.

use pinhole_fuzz::module::parrot;
use pinhole_fuzz::{script, timed, traffic};
use pinhole_helper::{Action, AddressMatch, Expect, Handle, Lifetime, PortMatch, Refusal, Span};
use pinhole_io::capture::CaptureReader;
use pinhole_wire::{Direction, IpVersion, LinkType, Packet, Protocol, TcpFlags, Transport, link};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Captures larger than this make slow seeds.
const LARGEST_CAPTURE: u64 = 64 * 1024;
/// Frames of one capture that go into seeds.
const FRAMES: usize = 128;

/// What the target `nat` is told: captures of one side, as netfilter translates, with all other options, without NAT halves.
const NAT_OPTIONS: [u8; 3] = [0x01, 0x3f, 0x41];

/// Control conns by their client and server, with what each end sent.
type Scripts = BTreeMap<(SocketAddr, SocketAddr), Vec<u8>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(corpus), Some(captures)) = (arguments.next(), arguments.next()) else {
        return Err("usage: seed CORPUS CAPTURES".into());
    };
    dialogues(&corpus)?;
    messages(&corpus)?;
    modules(&corpus)?;
    for capture in captures_below(&captures)? {
        seed(&corpus, &capture)?;
    }
    Ok(())
}

/// Whole conns for the targets that read [`traffic`]: a control conn, an announcement, the conn that it announces.
fn dialogues(corpus: &Path) -> Result<(), Box<dyn Error>> {
    use Direction::{Original, Reply};
    let cases: [(&str, u8, u8, Direction, &[(Direction, &str)]); 4] = [
        (
            "ftp-active",
            0,
            6,
            Reply,
            &[(Reply, "220 hi\r\n"), (Original, "PORT 10,0,0,1,195,80\r\n"), (Reply, "200 ok\r\n")],
        ),
        ("ftp-passive", 0, 4, Original, &[(Original, "PASV\r\n"), (Reply, "227 ok (10,0,0,2,195,80)\r\n")]),
        ("ftp-extended", 1, 5, Original, &[(Original, "EPSV\r\n"), (Reply, "229 ok (|||50000|)\r\n")]),
        (
            "irc-chat",
            2,
            4,
            Original,
            &[(Original, "NICK a\r\n"), (Reply, ":b PRIVMSG a :\u{1}DCC CHAT chat 167772162 50000\u{1}\r\n")],
        ),
    ];
    for (name, control, data, opener, lines) in cases {
        let mut input = Vec::new();
        open(&mut input, control, Original);
        for (from, line) in lines {
            traffic::append(&mut input, control, *from, TcpFlags::PSH | TcpFlags::ACK, line.as_bytes());
        }
        open(&mut input, data, opener);
        write(corpus, "engine", &format!("dialogue-{name}"), &[&[1], input.as_slice()].concat())?;
        for options in NAT_OPTIONS {
            write(corpus, "nat", &format!("{name}-{options:02x}"), &[&[options], input.as_slice()].concat())?;
        }
        let choices: Vec<u8> = (0..64).map(|index: u8| index.wrapping_mul(38)).collect();
        write(corpus, "tracker", name, &[choices, input].concat())?;
    }
    Ok(())
}

/// Control conns of protocols that no capture here has. The client is 10.0.0.1 at port 40000, the server 10.0.0.2.
fn messages(corpus: &Path) -> Result<(), Box<dyn Error>> {
    use Direction::{Original, Reply};
    /// Options of `conversation`: every piece is a datagram.
    const DATAGRAMS: u8 = 16;
    let described = |start: &str, address: &str, media: &str| {
        let body =
            format!("v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n{media}");
        let head = "Via: SIP/2.0/UDP 10.0.0.1:40000;rport\r\nFrom: <sip:a@10.0.0.1>;tag=a\r\nTo: <sip:b@c>;tag=b\r\n\
                    Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n";
        format!("{start}\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let invite = "INVITE sip:b@10.0.0.2 SIP/2.0";
    let call = [
        (
            Original,
            described(invite, "10.0.0.1", "m=audio 30000 RTP/AVP 0\r\na=rtcp-mux\r\nm=video 0 RTP/AVP 9\r\n"),
        ),
        (Reply, described("SIP/2.0 200 OK", "10.0.0.2", "m=audio 40000 RTP/AVP 0\r\na=rtcp:40003\r\n")),
        (
            Original,
            "BYE sip:b SIP/2.0\r\nf: <sip:a>;tag=a\r\nt: b;tag=b\r\ni: x\r\nCSeq: 2 BYE\r\nl: 0\r\n\r\n"
                .to_owned(),
        ),
    ];
    let register = "REGISTER sip:c SIP/2.0\r\ni: r\r\nCSeq: 1 REGISTER\r\nm: <sip:a@10.0.0.1:5070>;expires=60\r\nl: 0\r\n\r\n";
    let granted =
        "SIP/2.0 200 OK\r\ni: r\r\nCSeq: 1 REGISTER\r\nm: <sip:a@10.0.0.1:5070>;expires=30\r\nl: 0\r\n\r\n";
    let registration = [(Original, register.to_owned()), (Reply, granted.to_owned())];
    let setup = "SETUP rtsp://10.0.0.2/a RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=4588-4589\r\n\r\n";
    let choice = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 4;timeout=60\r\n\
                  Transport: RTP/AVP;client_port=4588-4589;server_port=6256-6257;source=10.0.0.2\r\n\r\n$\0\0\u{2}ab";
    let teardown = "TEARDOWN rtsp://10.0.0.2/a RTSP/1.0\r\nCSeq: 2\r\nSession: 4\r\n\r\n";
    let stream = [(Original, setup.to_owned()), (Reply, choice.to_owned()), (Original, teardown.to_owned())];
    let cases: [(&str, &str, u8, &[(Direction, String)]); 5] = [
        ("sip", "call-datagrams", DATAGRAMS, &call),
        ("sip", "call-stream", 0, &call),
        ("sip", "registration-datagrams", DATAGRAMS, &registration),
        ("sip", "registration-stream", 0, &registration),
        ("rtsp", "stream", 0, &stream),
    ];
    for (target, name, options, pieces) in cases {
        let mut input = vec![options];
        for (from, text) in pieces {
            script::append(&mut input, *from, text.as_bytes());
        }
        write(corpus, target, name, &input)?;
    }
    Ok(())
}

/// A module, and what one may answer.
fn modules(corpus: &Path) -> Result<(), Box<dyn Error>> {
    let (client, server) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
    let expect = Expect {
        class: 0,
        protocol: Protocol::UDP,
        source: AddressMatch::Exact(server),
        source_port: PortMatch::Any,
        destination: client,
        destination_port: PortMatch::Exact(50_000),
        lifetime: Lifetime::OneShot,
        active: true,
        group: None,
        timeout: None,
        helper: None,
        span: Span { start: 0, end: 4 },
    };
    let actions = [
        Action::Expect(Handle(0), expect),
        Action::Extend(Handle(0), 60),
        Action::Cancel(Handle(0)),
        Action::Refuse(Refusal::ForeignAddress, Span { start: 0, end: 4 }),
    ];
    let mut all = Vec::new();
    for (number, action) in actions.iter().enumerate() {
        let mut records = Vec::new();
        pinhole_abi::record::write(action, &mut records);
        all.extend_from_slice(&records);
        let alone = [&[0; 9], records.as_slice()].concat();
        let mut input = Vec::new();
        script::append(&mut input, Direction::Original, &alone);
        write(corpus, "answers", &format!("action-{number}"), &input)?;
    }
    let mut input = Vec::new();
    script::append(&mut input, Direction::Original, &[&[0; 9], all.as_slice()].concat());
    script::append(&mut input, Direction::Reply, &[1, 0, 0, 0, 0, 2, 0, 0, 0]);
    write(corpus, "answers", "all", &input)?;
    let length = u16::try_from(input.len())?.to_le_bytes();
    write(corpus, "module", "parrot", &[&length, input.as_slice(), &parrot()].concat())
}

fn open(input: &mut Vec<u8>, flow: u8, from: Direction) {
    traffic::append(input, flow, from, TcpFlags::SYN, &[]);
    traffic::append(input, flow, from.opposite(), TcpFlags::SYN | TcpFlags::ACK, &[]);
    traffic::append(input, flow, from, TcpFlags::ACK, &[]);
}

fn captures_below(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(captures_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng")
            && path.metadata()?.len() <= LARGEST_CAPTURE
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A capture is a seed itself; its frames, and what its control conns said, make others.
fn seed(corpus: &Path, capture: &Path) -> Result<(), Box<dyn Error>> {
    let name = capture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(mut reader) = CaptureReader::open(capture) else { return Ok(()) };
    let mut packets = Vec::new();
    let mut engine = Vec::new();
    let mut scripts = Scripts::new();
    while let Ok(Some(frame)) = reader.next() {
        if packets.len() == FRAMES {
            break;
        }
        timed::append(&mut engine, frame.link, frame.bytes);
        packets.push(one_packet(frame.link, frame.bytes));
        overhear(&mut scripts, frame.link, frame.bytes);
    }
    write(corpus, "capture", &name, &fs::read(capture)?)?;
    write(corpus, "engine", &name, &[&[0], engine.as_slice()].concat())?;
    let distinct: BTreeMap<(usize, u8), Vec<u8>> =
        packets.into_iter().filter_map(|p| Some(((p.len(), *p.get(48)?), p))).collect();
    for (index, packet) in distinct.values().enumerate().take(3) {
        write(corpus, "packet", &format!("{name}-{index}"), packet)?;
    }
    for (index, ((_, server), text)) in scripts.into_iter().filter(|(_, text)| text.len() > 1).enumerate() {
        let helper = match server.port() {
            21 | 2121 => "ftp",
            6665..=6669 | 7000 => "irc",
            554 | 8554 => "rtsp",
            5060 => "sip",
            _ => continue,
        };
        write(corpus, helper, &format!("{name}-{index}"), &text)?;
    }
    Ok(())
}

fn one_packet(link: LinkType, bytes: &[u8]) -> Vec<u8> {
    let mut input = Vec::new();
    timed::append(&mut input, link, bytes);
    // The target takes the byte of the link type and the frame.
    [input.get(1..2).unwrap_or_default(), input.get(4..).unwrap_or_default()].concat()
}

/// Adds a TCP segment's payload to its conn's script. The client is the end with the higher port.
fn overhear(scripts: &mut Scripts, link: LinkType, bytes: &[u8]) {
    let Ok(network) = link::strip(link, bytes) else { return };
    let Ok(packet) = Packet::parse(bytes, network.offset) else { return };
    let Transport::Tcp(tcp) = &packet.transport else { return };
    let source = SocketAddr::new(packet.source.ip(packet.version), tcp.source_port);
    let destination = SocketAddr::new(packet.destination.ip(packet.version), tcp.destination_port);
    let from = if tcp.source_port > tcp.destination_port { Direction::Original } else { Direction::Reply };
    let ends = if from == Direction::Original { (source, destination) } else { (destination, source) };
    let options = u8::from(packet.version == IpVersion::V6);
    let script = scripts.entry(ends).or_insert_with(|| vec![options]);
    let payload = packet.payload_bytes(bytes);
    if !payload.is_empty() {
        script::append(script, from, payload);
    }
}

fn write(corpus: &Path, target: &str, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let directory = corpus.join(target);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), bytes)?;
    Ok(())
}
