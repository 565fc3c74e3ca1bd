use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// An Ethernet frame from its EtherType on.
fn ethernet(rest: &[u8]) -> Vec<u8> {
    [&[0xaa; 12], rest].concat()
}

fn found(offset: u32, kind: NetworkKind, vlan: Option<u16>) -> Result<Network, LinkError> {
    Ok(Network { offset, kind, vlan })
}

#[test]
fn plain_ethernet() {
    assert_eq!(strip(LinkType::ETHERNET, &ethernet(&[8, 0])), found(14, NetworkKind::Ipv4, None));
    assert_eq!(strip(LinkType::ETHERNET, &ethernet(&[0x86, 0xdd])), found(14, NetworkKind::Ipv6, None));
    assert_eq!(strip(LinkType::ETHERNET, &ethernet(&[8, 6])), found(14, NetworkKind::Other(0x0806), None));
    assert_eq!(strip(LinkType::ETHERNET, &ethernet(&[8])), Err(LinkError::Cut));
}

#[test]
fn vlan_tags_nest_up_to_the_limit() {
    let frame = ethernet(&[0x88, 0xa8, 0xf0, 0x07, 0x81, 0x00, 0x00, 0x09, 0x91, 0x00, 0, 1, 0x86, 0xdd]);
    assert_eq!(strip(LinkType::ETHERNET, &frame), found(26, NetworkKind::Ipv6, Some(7)));
    let nested = |count: usize| {
        let tags = [0x81, 0, 0, 5].repeat(count);
        strip(LinkType::ETHERNET, &ethernet(&[&tags[..], &[8, 0]].concat()))
    };
    assert_eq!(nested(8), found(14 + 32, NetworkKind::Ipv4, Some(5)));
    assert_eq!(nested(9), Err(LinkError::TooDeep));
    assert_eq!(strip(LinkType::ETHERNET, &ethernet(&[0x81, 0, 0])), Err(LinkError::Cut));
}

#[test]
fn mpls_ends_at_the_bottom_of_the_stack() {
    let frame = ethernet(&[0x88, 0x47, 0, 0, 0x10, 64, 0, 0, 0x21, 64, 0x45]);
    assert_eq!(strip(LinkType::ETHERNET, &frame), found(22, NetworkKind::Ipv4, None));
    let pseudowire = ethernet(&[0x88, 0x47, 0, 0, 1, 64, 0]);
    assert_eq!(strip(LinkType::ETHERNET, &pseudowire), found(18, NetworkKind::Other(0x8847), None));
    let endless = ethernet(&[&[0x88, 0x47][..], &[0; 64]].concat());
    assert_eq!(strip(LinkType::ETHERNET, &endless), Err(LinkError::TooDeep));
}

#[test]
fn pppoe_session() {
    let frame = |protocol: [u8; 2]| {
        ethernet(&[&[0x81, 0, 0, 3, 0x88, 0x64, 0x11, 0, 0, 1, 0, 9][..], &protocol].concat())
    };
    assert_eq!(strip(LinkType::ETHERNET, &frame([0, 0x21])), found(26, NetworkKind::Ipv4, Some(3)));
    assert_eq!(strip(LinkType::ETHERNET, &frame([0, 0x57])), found(26, NetworkKind::Ipv6, Some(3)));
    assert_eq!(strip(LinkType::ETHERNET, &frame([0xc0, 0x21])), found(26, NetworkKind::Other(0), Some(3)));
}

#[test]
fn snap() {
    let frame = ethernet(&[0, 30, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45]);
    assert_eq!(strip(LinkType::ETHERNET, &frame), found(22, NetworkKind::Ipv4, None));
    let spanning_tree = ethernet(&[0, 38, 0x42, 0x42, 3, 0, 0, 0, 0, 0]);
    assert_eq!(strip(LinkType::ETHERNET, &spanning_tree), found(14, NetworkKind::Other(0), None));
}

#[test]
fn cooked() {
    let v1 = [&[0; 14][..], &[8, 0, 0x45]].concat();
    assert_eq!(strip(LinkType::LINUX_SLL, &v1), found(16, NetworkKind::Ipv4, None));
    let tagged = [&[0; 14][..], &[0x81, 0, 0, 4, 0x86, 0xdd]].concat();
    assert_eq!(strip(LinkType::LINUX_SLL, &tagged), found(20, NetworkKind::Ipv6, Some(4)));
    let v2 = [&[0x86, 0xdd][..], &[0; 18]].concat();
    assert_eq!(strip(LinkType::LINUX_SLL2, &v2), found(20, NetworkKind::Ipv6, None));
    assert_eq!(strip(LinkType::LINUX_SLL2, &v2[..19]), Err(LinkError::Cut));
}

#[test]
fn raw() {
    for link in [LinkType::RAW, LinkType::RAW_12, LinkType::RAW_14] {
        assert_eq!(strip(link, &[0x45]), found(0, NetworkKind::Ipv4, None));
        assert_eq!(strip(link, &[0x60]), found(0, NetworkKind::Ipv6, None));
        assert_eq!(strip(link, &[0x20]), found(0, NetworkKind::Other(0), None));
        assert_eq!(strip(link, &[]), Err(LinkError::Cut));
    }
    assert_eq!(strip(LinkType::IPV4, &[0x45]), found(0, NetworkKind::Ipv4, None));
    assert_eq!(strip(LinkType::IPV6, &[0x60]), found(0, NetworkKind::Ipv6, None));
}

#[test]
fn loopback_families_in_either_byte_order() {
    for family in [2u32, 10, 24, 28, 30] {
        let kind = if family == 2 { NetworkKind::Ipv4 } else { NetworkKind::Ipv6 };
        assert_eq!(strip(LinkType::NULL, &family.to_le_bytes()), found(4, kind, None));
        assert_eq!(strip(LinkType::NULL, &family.to_be_bytes()), found(4, kind, None));
        assert_eq!(strip(LinkType::LOOP, &family.to_be_bytes()), found(4, kind, None));
    }
    assert_eq!(strip(LinkType::NULL, &[7, 0, 0, 0]), found(4, NetworkKind::Other(0), None));
}

#[test]
fn ppp_with_and_without_framing_and_compression() {
    for (frame, offset) in
        [(&[0xff, 3, 0, 0x21][..], 4), (&[0, 0x21], 2), (&[0x21], 1), (&[0xff, 3, 0x21], 3)]
    {
        assert_eq!(strip(LinkType::PPP, frame), found(offset, NetworkKind::Ipv4, None), "{frame:x?}");
    }
    assert_eq!(strip(LinkType::PPP, &[0xff, 3]), Err(LinkError::Cut));
}

#[test]
fn unknown_links_are_named() {
    let error = strip(LinkType(147), &[0; 64]).unwrap_err();
    assert_eq!(error.to_string(), "link type 147 is not supported");
    assert_eq!(LinkType::LINUX_SLL2.to_string(), "LINUX_SLL2 (276)");
}

proptest! {
    #[test]
    fn offset_is_within_the_frame(
        link in prop::sample::select(vec![0u16, 1, 9, 12, 14, 50, 101, 108, 113, 228, 229, 276]),
        mut frame in vec(any::<u8>(), 0..80),
        tags in vec(prop::sample::select(vec![0x8100u16, 0x88a8, 0x9100, 0x8847, 0x8864, 0x0800, 0x0010]), 0..10),
    ) {
        let start = match link { 113 => 14, 276 => 0, _ => 12 };
        for (index, tag) in tags.iter().enumerate() {
            if let Some(field) = frame.get_mut(start + 4 * index..start + 4 * index + 2) {
                field.copy_from_slice(&tag.to_be_bytes());
            }
        }
        if let Ok(network) = strip(LinkType(link), &frame) {
            assert!(network.offset as usize <= frame.len());
            assert!(network.vlan.is_none_or(|vlan| vlan < 4096));
        }
    }
}
