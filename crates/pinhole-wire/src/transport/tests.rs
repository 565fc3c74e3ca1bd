use super::*;
use crate::{ParseError, Protocol};

fn whole(protocol: Protocol, data: &[u8]) -> Result<(Transport, u32), ParseError> {
    decode(protocol, data, 0, Scope::Whole)
}

fn dccp(data: &[u8]) -> Result<(Dccp, u32), ParseError> {
    match whole(Protocol::DCCP, data)? {
        (Transport::Dccp(dccp), length) => Ok((dccp, length)),
        other => panic!("{other:?}"),
    }
}

fn gre(data: &[u8]) -> Result<(Gre, u32), ParseError> {
    match whole(Protocol::GRE, data)? {
        (Transport::Gre(gre), length) => Ok((gre, length)),
        other => panic!("{other:?}"),
    }
}

/// A DCCP packet with numbers counting up from 1, and one word of data.
fn dccp_bytes(kind: u8, extended: bool, header: u8) -> Vec<u8> {
    let mut bytes = vec![0, 80, 0, 90, header / 4, 0, 0, 0, kind << 1 | u8::from(extended)];
    bytes.extend(if extended {
        vec![0, 1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12]
    } else {
        vec![1, 2, 3, 0, 7, 8, 9]
    });
    bytes.resize(usize::from(header) + 4, 0xee);
    bytes
}

#[test]
fn dccp_request_has_no_acknowledgement() {
    let (dccp, length) = dccp(&dccp_bytes(0, true, 20)).unwrap();
    assert_eq!((dccp.source_port, dccp.destination_port, dccp.kind), (80, 90, 0));
    assert_eq!((dccp.sequence, dccp.acknowledgement, length), (0x0102_0304_0506, None, 20));
}

#[test]
fn dccp_numbers_by_type() {
    for kind in [1, 3, 4, 5, 6, 7, 8, 9] {
        let (dccp, length) = dccp(&dccp_bytes(kind, true, 28)).unwrap();
        assert_eq!(dccp.sequence, 0x0102_0304_0506, "type {kind}");
        assert_eq!(dccp.acknowledgement, Some(0x0708_090a_0b0c), "type {kind}");
        assert_eq!(length, 28);
    }
    let (ack, _) = dccp(&dccp_bytes(3, false, 16)).unwrap();
    assert_eq!((ack.sequence, ack.acknowledgement), (0x01_0203, Some(0x07_0809)));
    let (data, _) = dccp(&dccp_bytes(2, false, 12)).unwrap();
    assert_eq!((data.sequence, data.acknowledgement), (0x01_0203, None));
}

#[test]
fn bad_dccp() {
    assert_eq!(dccp(&dccp_bytes(0, false, 20)).unwrap_err(), ParseError::Transport, "short Request");
    assert_eq!(dccp(&dccp_bytes(10, true, 28)).unwrap_err(), ParseError::Transport, "reserved type");
    assert_eq!(dccp(&dccp_bytes(0, true, 16)).unwrap_err(), ParseError::Transport, "header too short");
    let mut long = dccp_bytes(0, true, 20);
    long[4] = 7;
    assert_eq!(dccp(&long).unwrap_err(), ParseError::Transport, "header beyond the datagram");
    assert_eq!(dccp(&dccp_bytes(0, true, 20)[..11]).unwrap_err(), ParseError::TransportCut);
}

#[test]
fn sctp_needs_its_common_header() {
    let bytes = [0, 1, 0, 2, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0];
    let Ok((Transport::Sctp(sctp), 12)) = whole(Protocol::SCTP, &bytes) else { panic!() };
    assert_eq!((sctp.source_port, sctp.destination_port, sctp.verification_tag), (1, 2, 0xdead_beef));
    assert_eq!(whole(Protocol::SCTP, &bytes[..11]).unwrap_err(), ParseError::TransportCut);
    assert!(decode(Protocol::SCTP, &bytes[..8], 0, Scope::Quoted).is_ok());
}

#[test]
fn gre_version_0_with_all_fields() {
    let bytes = [0xb0, 0, 8, 0, 0xcc, 0xcc, 0, 0, 0, 0, 0, 99, 0, 0, 0, 1, 0x45];
    let (header, length) = gre(&bytes).unwrap();
    assert_eq!((header.version, header.key, header.protocol_type, length), (0, Some(99), 0x0800, 16));
    assert_eq!(gre(&bytes[..15]).unwrap_err(), ParseError::TransportCut);
    let (header, length) = gre(&[0x20, 0, 8, 0, 0, 0, 0, 7]).unwrap();
    assert_eq!((header.key, length), (Some(7), 8));
    let (header, length) = gre(&[0, 0, 8, 0]).unwrap();
    assert_eq!((header.key, length), (None, 4));
}

#[test]
fn gre_version_1_has_a_call_id() {
    let bytes = [0x30, 0x81, 0x88, 0x0b, 0, 4, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, 0x21];
    let (header, length) = gre(&bytes).unwrap();
    assert_eq!((header.version, header.call_id, header.key, length), (1, 0x1234, None, 16));
    assert_eq!(gre(&bytes[..12]).unwrap_err(), ParseError::TransportCut);
    assert_eq!(gre(&[0x30, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err(), ParseError::Transport, "not PPP");
}

#[test]
fn other_gre_versions_are_opaque() {
    assert!(matches!(whole(Protocol::GRE, &[0, 2, 8, 0]), Ok((Transport::Other, 0))));
}

#[test]
fn icmp_errors_by_version() {
    let error = |kind, version| Icmp { kind, code: 0, checksum: 0, identifier: 0 }.is_error(version);
    for kind in 0..=255 {
        assert_eq!(error(kind, IpVersion::V4), [3, 4, 5, 11, 12].contains(&kind), "ICMP type {kind}");
        assert_eq!(error(kind, IpVersion::V6), kind < 128, "ICMPv6 type {kind}");
    }
}

#[test]
fn options_end_at_nonsense() {
    let kinds = |bytes: &[u8]| TcpOptions::new(bytes).map(|option| option.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&[1, 1, 3, 3, 7, 0, 2, 4, 5, 0xb4]), [3], "end of list");
    assert_eq!(kinds(&[3, 3, 7, 9, 0, 9, 1]), [3], "length 0");
    assert_eq!(kinds(&[3, 3, 7, 9, 1, 9, 1]), [3], "length 1");
    assert_eq!(kinds(&[3, 3, 7, 9, 5, 9, 1]), [3], "length beyond the header");
    assert_eq!(kinds(&[3, 3, 7, 9]), [3], "no length");
    assert_eq!(kinds(&[4, 2, 253, 3, 0]), [4, 253]);
}

#[test]
fn options_of_wrong_length_mean_nothing() {
    let scale = TcpOption { kind: 3, data: &[1, 2] };
    assert_eq!(scale.window_scale(), None);
    assert!(!TcpOption { kind: 4, data: &[1] }.is_sack_permitted());
    assert_eq!(TcpOption { kind: 5, data: &[0; 15] }.sack_blocks().count(), 1);
    assert_eq!(TcpOption { kind: 8, data: &[0; 16] }.sack_blocks().count(), 0);
}

#[test]
fn timestamps_alone_are_recognised() {
    let bytes = [1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6];
    assert_eq!(TcpOptions::new(&bytes).only_timestamps(), Some((5, 6)));
    assert_eq!(TcpOptions::new(&bytes[1..]).only_timestamps(), None);
    assert_eq!(TcpOptions::new(&[]).only_timestamps(), None);
}
