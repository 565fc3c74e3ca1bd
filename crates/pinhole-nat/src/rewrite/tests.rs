//! Single segments and datagrams; streams as a whole are put to the test in `tests/model`.

use super::*;
use crate::ChecksumField;
use pinhole_wire::checksum::{Sum, verify_transport};
use pinhole_wire::{Address, Checksum, Direction, IpVersion, Packet, Protocol, Tcp, Time, Transport};
use pinhole_wire::{TcpFlags, ipv4_header_checksum_ok};

const CLIENT: Direction = Direction::Original;
const SERVER: Direction = Direction::Reply;

/// An IPv4 datagram without link header.
fn datagram(protocol: Protocol, mut upper: Vec<u8>, checksum_at: usize) -> Vec<u8> {
    let (source, destination) = (Address::v4([10, 0, 0, 5]), Address::v4([198, 51, 100, 9]));
    let sum = Sum::pseudo_header(IpVersion::V4, source, destination, protocol, upper.len() as u32);
    let field = sum.add_bytes(&upper).udp_checksum().to_be_bytes();
    upper[checksum_at..checksum_at + 2].copy_from_slice(&field);
    let mut bytes = vec![0x45, 0];
    bytes.extend((20 + upper.len() as u16).to_be_bytes());
    bytes.extend([0x12, 0x34, 0, 0, 64, protocol.0, 0, 0]);
    bytes.extend(source.v4_octets());
    bytes.extend(destination.v4_octets());
    let checksum = Sum::of(&bytes).checksum().to_be_bytes();
    bytes[10..12].copy_from_slice(&checksum);
    bytes.extend(upper);
    bytes
}

fn segment(sequence: u32, acknowledgement: u32, flags: TcpFlags, urgent: u16, payload: &[u8]) -> Vec<u8> {
    let mut tcp = vec![0x9c, 0x40, 0, 21];
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledgement.to_be_bytes());
    tcp.extend([0x50, flags.bits(), 0x20, 0, 0, 0]);
    tcp.extend(urgent.to_be_bytes());
    tcp.extend(payload);
    datagram(Protocol::TCP, tcp, 16)
}

/// Reads a datagram whose lengths and checksums must be right.
fn read(bytes: &[u8]) -> (Tcp, Vec<u8>) {
    let packet = Packet::parse(bytes, 0).unwrap();
    assert_eq!((packet.end as usize, packet.missing), (bytes.len(), 0));
    assert_eq!(verify_transport(&packet, bytes), Checksum::Good);
    assert!(ipv4_header_checksum_ok(bytes));
    let Transport::Tcp(tcp) = packet.transport else { panic!() };
    (tcp, packet.payload_bytes(bytes).to_vec())
}

fn pass(
    conversation: &mut Conversation,
    from: Direction,
    mut frame: Vec<u8>,
    longest: usize,
) -> Vec<Vec<u8>> {
    let packet = Packet::parse(&frame, 0).unwrap();
    let mut further = Vec::new();
    let emitted = conversation
        .translate(from, &mut frame, &packet, ChecksumField::Full, longest, &mut further)
        .unwrap();
    let mut frames = vec![frame];
    if emitted.further_length > 0 {
        frames.extend(further.chunks(emitted.further_length).map(<[u8]>::to_vec));
    }
    frames
}

fn edit(start: u64, end: u64, replacement: &[u8], owed: bool) -> Edit<'_> {
    Edit { span: Span { start, end }, replacement, owed }
}

/// Both SYNs have passed: the client's bytes begin at 1001, the server's at 5001.
fn handshake() -> Conversation {
    let mut conversation = Conversation::default();
    pass(&mut conversation, CLIENT, segment(1000, 0, TcpFlags::SYN, 0, b""), 1460);
    pass(&mut conversation, SERVER, segment(5000, 1001, TcpFlags::SYN | TcpFlags::ACK, 0, b""), 1460);
    conversation
}

const DATA: TcpFlags = TcpFlags::ACK.union(TcpFlags::PSH);

#[test]
fn a_port_command_of_the_kernel_s_oracle() {
    let mut conversation = handshake();
    let command = b"PORT 141,142,220,235,131,46\r\n";
    conversation.edit(CLIENT, &edit(5, 27, b"203,0,113,7,131,46", false)).unwrap();
    for _ in 0..2 {
        let frames = pass(&mut conversation, CLIENT, segment(1001, 5001, DATA, 0, command), 1460);
        let (tcp, payload) = read(&frames[0]);
        assert_eq!(
            (frames.len(), tcp.sequence, &payload[..]),
            (1, 1001, &b"PORT 203,0,113,7,131,46\r\n"[..])
        );
    }
    let (tcp, _) = read(&pass(&mut conversation, CLIENT, segment(1030, 5001, DATA, 0, b"LIST\r\n"), 1460)[0]);
    assert_eq!(tcp.sequence, 1026);
    let answer = segment(5001, 1026, TcpFlags::ACK, 0, b"");
    assert_eq!(read(&pass(&mut conversation, SERVER, answer, 1460)[0]).0.acknowledgement, 1030);
    let reset = segment(1036, 0, TcpFlags::RST, 0, b"");
    let (tcp, _) = read(&pass(&mut conversation, CLIENT, reset, 1460)[0]);
    assert_eq!((tcp.sequence, tcp.acknowledgement), (1032, 0));
    let keep_alive = segment(1035, 5001, TcpFlags::ACK, 0, b"");
    assert_eq!(read(&pass(&mut conversation, CLIENT, keep_alive, 1460)[0]).0.sequence, 1031);
}

#[test]
fn nothing_is_changed_before_an_edit() {
    let mut conversation = handshake();
    let frame = segment(1001, 5001, DATA, 0, b"NOOP\r\n");
    assert_eq!(pass(&mut conversation, CLIENT, frame.clone(), 1), [frame]);
}

#[test]
fn a_stray_syn_moves_nothing() {
    let mut conversation = handshake();
    pass(&mut conversation, CLIENT, segment(77, 0, TcpFlags::SYN, 0, b""), 1460);
    conversation.edit(CLIENT, &edit(0, 1, b"xy", false)).unwrap();
    let (tcp, payload) =
        read(&pass(&mut conversation, CLIENT, segment(1001, 5001, DATA, 0, b"abc"), 1460)[0]);
    assert_eq!((tcp.sequence, &payload[..]), (1001, &b"xybc"[..]));
}

#[test]
fn growth_beyond_the_segment_size() {
    let mut conversation = handshake();
    conversation.edit(CLIENT, &edit(2, 4, &[b'x'; 25], false)).unwrap();
    let flags = DATA | TcpFlags::FIN | TcpFlags::CWR | TcpFlags::URG;
    let frames = pass(&mut conversation, CLIENT, segment(1001, 5001, flags, 5, b"ab12cd"), 10);
    let parts: Vec<_> = frames.iter().map(|frame| read(frame)).collect();
    let payload: Vec<u8> = parts.iter().flat_map(|(_, payload)| payload.clone()).collect();
    assert_eq!(payload, [&b"ab"[..], &[b'x'; 25], b"cd"].concat());
    let numbers: Vec<_> = parts.iter().map(|(tcp, _)| (tcp.sequence, tcp.urgent, tcp.flags)).collect();
    let urgent = TcpFlags::ACK | TcpFlags::URG;
    assert_eq!(
        numbers,
        [
            (1001, 28, urgent | TcpFlags::CWR),
            (1011, 18, urgent),
            (1021, 8, urgent | TcpFlags::FIN | TcpFlags::PSH),
        ]
    );
    let identifications: Vec<_> = frames.iter().map(|frame| frame[4..6].to_vec()).collect();
    assert_eq!(identifications, [[0x12, 0x34], [0x12, 0x35], [0x12, 0x36]]);
    // The FIN counts behind the data.
    let answer = segment(5001, 1031, TcpFlags::ACK, 0, b"");
    assert_eq!(read(&pass(&mut conversation, SERVER, answer, 10)[0]).0.acknowledgement, 1008);
}

#[test]
fn a_superframe_that_grows_beyond_an_ip_datagram() {
    let mut conversation = handshake();
    conversation.edit(CLIENT, &edit(0, 1, &[b'x'; 100], false)).unwrap();
    let payload = vec![b'y'; 65_535 - 40];
    let frames = pass(&mut conversation, CLIENT, segment(1001, 5001, DATA, 0, &payload), usize::MAX);
    let lengths: Vec<_> = frames.iter().map(|frame| read(frame).1.len()).collect();
    assert_eq!(lengths, [65_495, 99]);
}

#[test]
fn a_held_line_is_carried_once_and_owed_bytes_again() {
    let mut conversation = handshake();
    // "PORT 10,0," was acknowledged by the gateway; the rest came then.
    let edited = b"PORT 203,0,113,7,4,1\r\n";
    conversation.edit(CLIENT, &edit(0, 19, edited, true)).unwrap();
    let (first, rest) = (b"PORT 10,0,", b"0,5,4,1\r\n");
    let (tcp, payload) = read(&pass(&mut conversation, CLIENT, segment(1001, 5001, DATA, 0, first), 1460)[0]);
    assert_eq!((tcp.sequence, &payload[..]), (1001, &edited[..]));
    let (tcp, payload) = read(&pass(&mut conversation, CLIENT, segment(1011, 5001, DATA, 0, rest), 1460)[0]);
    assert_eq!((tcp.sequence, &payload[..]), (1023, &b""[..]));
    // Its sender repeats the rest only: the receiver gets all.
    let (tcp, payload) = read(&pass(&mut conversation, CLIENT, segment(1011, 5001, DATA, 0, rest), 1460)[0]);
    assert_eq!((tcp.sequence, &payload[..]), (1001, &edited[..]));
    // Data right behind: alone when it is new, with what is owed when it is repeated, alone once that was acknowledged.
    let next = || segment(1020, 5001, DATA, 0, b"LIST\r\n");
    assert_eq!(read(&pass(&mut conversation, CLIENT, next(), 1460)[0]).1, b"LIST\r\n");
    let (tcp, payload) = read(&pass(&mut conversation, CLIENT, next(), 1460)[0]);
    assert_eq!((tcp.sequence, payload), (1001, [&edited[..], b"LIST\r\n"].concat()));
    pass(&mut conversation, SERVER, segment(5001, 1023, TcpFlags::ACK, 0, b""), 1460);
    assert_eq!(read(&pass(&mut conversation, CLIENT, next(), 1460)[0]).1, b"LIST\r\n");
}

#[test]
fn a_stream_remembers_a_bounded_number_of_edits() {
    let mut conversation = handshake();
    let mut entered = 0;
    while conversation.edit(CLIENT, &edit(entered * 2, entered * 2 + 1, b"xyz", false)).is_ok() {
        entered += 1;
    }
    assert_eq!(entered, 64);
    let full = conversation.edit(CLIENT, &edit(entered * 2, entered * 2 + 1, b"xyz", false));
    assert_eq!(full, Err(LedgerError::Full));
    pass(&mut conversation, CLIENT, segment(1001, 5001, DATA, 0, &[b'-'; 128]), 1460);
    pass(&mut conversation, SERVER, segment(5001, 1005, TcpFlags::ACK, 0, b""), 1460);
    conversation.edit(CLIENT, &edit(128, 129, b"xyz", false)).unwrap();
    let huge = conversation.edit(CLIENT, &edit(130, 131, &[0; 20 * 1024 + 1], false));
    assert_eq!(huge, Err(LedgerError::Length));
    let passed = conversation.edit(CLIENT, &edit(3, 4, b"x", false));
    assert_eq!(passed, Err(LedgerError::Passed));
}

#[test]
fn a_cut_frame_is_not_rewritten() {
    let mut conversation = handshake();
    conversation.edit(CLIENT, &edit(0, 1, b"xy", false)).unwrap();
    let mut frame = segment(1001, 5001, DATA, 0, b"abc");
    frame.pop();
    let packet = Packet::parse(&frame, 0).unwrap();
    let before = frame.clone();
    let mut further = Vec::new();
    let result = conversation.translate(CLIENT, &mut frame, &packet, ChecksumField::Full, 1460, &mut further);
    assert_eq!((result, frame), (Err(RewriteError::Missing), before));
}

#[test]
fn a_segment_without_the_end_of_its_payload_is_the_shorter_one() {
    let whole = segment(1001, 5001, TcpFlags::ACK, 0, b"PORT 10,0,0,5");
    for keep in 0..=13u32 {
        // An Ethernet trailer goes with it.
        let (mut frame, mut packet) = (whole.clone(), Packet::parse(&whole, 0).unwrap());
        frame.extend([0; 5]);
        assert!(cut(&mut frame, &mut packet, keep, ChecksumField::Full));
        assert_eq!(
            frame,
            segment(1001, 5001, TcpFlags::ACK, 0, &b"PORT 10,0,0,5"[..keep as usize]),
            "{keep}"
        );
        let (tcp, _) = read(&frame);
        assert_eq!((tcp.payload_length, packet.end as usize), (keep, frame.len()));
    }
    let (mut frame, mut packet) = (whole.clone(), Packet::parse(&whole, 0).unwrap());
    assert!(!cut(&mut frame, &mut packet, 14, ChecksumField::Full));
    assert_eq!(frame, whole);
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut udp = vec![0x9c, 0x40, 0, 69];
    udp.extend((8 + payload.len() as u16).to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    datagram(Protocol::UDP, udp, 6)
}

#[test]
fn edits_of_a_datagram() {
    let edits = [edit(0, 1, b"AAA", false), edit(2, 5, b"", false), edit(6, 7, b"Gg", false)];
    let mut frame = udp(b"abcdefgh");
    frame.extend([0; 6]);
    let packet = Packet::parse(&frame, 0).unwrap();
    edit_datagram(&mut frame, &packet, &edits, ChecksumField::Full).unwrap();
    assert_eq!(frame, udp(b"AAAbfGgh"));
    let packet = Packet::parse(&frame, 0).unwrap();
    assert_eq!(packet.payload_bytes(&frame), b"AAAbfGgh");
    assert_eq!(verify_transport(&packet, &frame), Checksum::Good);
    assert!(ipv4_header_checksum_ok(&frame));

    let mut frame = udp(b"abc");
    frame[26..28].fill(0);
    let packet = Packet::parse(&frame, 0).unwrap();
    edit_datagram(&mut frame, &packet, &edits[..1], ChecksumField::Full).unwrap();
    assert_eq!((&frame[24..28], &frame[28..]), (&[0, 13, 0, 0][..], &b"AAAbc"[..]));
}

#[test]
fn a_partial_checksum_of_a_datagram_holds_the_new_length() {
    let sum = |length| {
        let (source, destination) = (Address::v4([10, 0, 0, 5]), Address::v4([198, 51, 100, 9]));
        Sum::pseudo_header(IpVersion::V4, source, destination, Protocol::UDP, length).fold().to_be_bytes()
    };
    let mut frame = udp(b"abc");
    frame[26..28].copy_from_slice(&sum(11));
    let packet = Packet::parse(&frame, 0).unwrap();
    edit_datagram(&mut frame, &packet, &[edit(1, 2, b"four", false)], ChecksumField::Partial).unwrap();
    assert_eq!(frame[26..28], sum(14));
}

#[test]
fn edits_of_a_datagram_that_are_out_of_place() {
    let frame = udp(b"abcdef");
    let packet = Packet::parse(&frame, 0).unwrap();
    let result = |edits: &[Edit<'_>]| {
        let mut changed = frame.clone();
        let result = edit_datagram(&mut changed, &packet, edits, ChecksumField::Full);
        assert!(result.is_ok() || changed == frame);
        result
    };
    assert_eq!(result(&[edit(5, 7, b"x", false)]), Err(RewriteError::Misplaced));
    assert_eq!(result(&[edit(2, 2, b"x", false)]), Err(RewriteError::Misplaced));
    assert_eq!(result(&[edit(3, 2, b"x", false)]), Err(RewriteError::Misplaced));
    assert_eq!(result(&[edit(2, 4, b"x", false), edit(3, 5, b"x", false)]), Err(RewriteError::Misplaced));
    assert_eq!(result(&[edit(0, 1, &[0; 65_535], false)]), Err(RewriteError::TooLong));
    assert_eq!(result(&[]), Ok(()));
}

#[test]
fn holding_ends_in_one_of_four_ways() {
    let policy = HoldPolicy { bytes: 100, acknowledge_after: 40, release_after: 1000 };
    let at = Time;
    let mut hold = Hold::default();
    assert_eq!(hold.arrive(at(0), &policy, 60, false), Decision::Forward);
    assert_eq!((hold.deadline(&policy), hold.expire(at(9999), &policy)), (None, None));
    // The line is completed in time.
    assert_eq!(hold.arrive(at(10), &policy, 60, true), Decision::Hold);
    assert_eq!((hold.bytes(), hold.deadline(&policy)), (60, Some(at(50))));
    assert_eq!(hold.expire(at(49), &policy), None);
    assert_eq!(hold.arrive(at(49), &policy, 60, false), Decision::Complete { owed: false });
    // After the gateway has acknowledged.
    assert_eq!(hold.arrive(at(100), &policy, 60, true), Decision::Hold);
    assert_eq!(hold.expire(at(140), &policy), Some(Due::Acknowledge));
    assert_eq!((hold.expire(at(141), &policy), hold.deadline(&policy)), (None, Some(at(1100))));
    assert_eq!(hold.arrive(at(150), &policy, 9, false), Decision::Complete { owed: true });
    // A line in several pieces, whose sender waits for each to be acknowledged, and loses one acknowledgement.
    assert_eq!(hold.arrive(at(160), &policy, 5, true), Decision::Hold);
    assert_eq!(hold.expire(at(200), &policy), Some(Due::Acknowledge));
    assert_eq!(hold.arrive(at(210), &policy, 5, true), Decision::Hold);
    assert_eq!(
        (hold.expire(at(249), &policy), hold.expire(at(250), &policy)),
        (None, Some(Due::Acknowledge))
    );
    hold.repeat(at(450));
    hold.repeat(at(460));
    assert_eq!(
        (hold.deadline(&policy), hold.expire(at(490), &policy)),
        (Some(at(490)), Some(Due::Acknowledge))
    );
    assert_eq!(hold.arrive(at(500), &policy, 9, false), Decision::Complete { owed: true });
    // Too long, too much.
    assert_eq!(hold.arrive(at(200), &policy, 60, true), Decision::Hold);
    assert_eq!(hold.expire(at(1200), &policy), Some(Due::Release { owed: false }));
    assert_eq!(hold.bytes(), 0);
    assert_eq!(hold.arrive(at(2000), &policy, 60, true), Decision::Hold);
    assert_eq!(hold.arrive(at(2001), &policy, 41, true), Decision::Overflow { owed: false });
    assert_eq!(hold.deadline(&policy), None);
}
