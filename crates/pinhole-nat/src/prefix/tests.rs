use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

fn address(text: &str) -> Address {
    Address::from(text.parse::<IpAddr>().unwrap())
}

fn v6(text: &str, length: u8) -> Prefix {
    Prefix::new(IpVersion::V6, address(text), length).unwrap()
}

#[test]
fn example_of_rfc_6296() {
    let translation = Nptv6::new(v6("fd01:203:405::", 48), v6("2001:db8:1::", 48)).unwrap();
    assert_eq!(translation.adjustment, 0xd54f);
    let (inside, outside) = (address("fd01:203:405:1::1234"), address("2001:db8:1:d550::1234"));
    assert_eq!(translation.outward(inside), Ok(outside));
    assert_eq!(translation.inward(outside), Ok(inside));
}

#[test]
fn what_nptv6_refuses() {
    let translation = Nptv6::new(v6("fd01:203:405::", 48), v6("2001:db8:1::", 48)).unwrap();
    assert_eq!(translation.outward(address("fd01:203:405:ffff::1")), Err(PrefixError::NotAdjustable));
    assert_eq!(translation.outward(address("fd01:203:406:1::1")), Err(PrefixError::Outside));
    let long = Nptv6::new(v6("fd01::", 64), v6("2001:db8::", 64)).unwrap();
    assert_eq!(long.outward(address("fd01::")), Err(PrefixError::NotAdjustable));
    assert_eq!(long.outward(address("fd01::ffff:ffff:ffff:ffff")), Err(PrefixError::NotAdjustable));
    assert_eq!(Nptv6::new(v6("fd01::", 65), v6("2001::", 65)).unwrap_err(), PrefixError::Length);
    assert_eq!(Nptv6::new(v6("fd01::", 48), v6("2001::", 56)).unwrap_err(), PrefixError::Unequal);
    assert_eq!(Prefix::new(IpVersion::V4, address("10.0.0.0"), 33), Err(PrefixError::Length));
}

#[test]
fn netmap_of_ipv4() {
    let prefix = |text| Prefix::new(IpVersion::V4, address(text), 24).unwrap();
    let netmap = Netmap::new(prefix("10.1.2.0"), prefix("203.0.113.77")).unwrap();
    assert_eq!(netmap.outward(address("10.1.2.34")), Ok(address("203.0.113.34")));
    assert_eq!(netmap.inward(address("203.0.113.34")), Ok(address("10.1.2.34")));
    assert_eq!(netmap.outward(address("10.1.3.34")), Err(PrefixError::Outside));
}

proptest! {
    #[test]
    fn netmap_is_invertible(inside: [u8; 16], outside: [u8; 16], host: [u8; 16], length in 0u8..=128, v4: bool) {
        let (version, address): (_, fn([u8; 16]) -> Address) = if v4 {
            (IpVersion::V4, |bytes| Address::v4([bytes[0], bytes[1], bytes[2], bytes[3]]))
        } else {
            (IpVersion::V6, Address)
        };
        let length = if v4 { length / 4 } else { length };
        let prefix = |bytes| Prefix::new(version, address(bytes), length).unwrap();
        let (inside, outside) = (prefix(inside), prefix(outside));
        let netmap = Netmap::new(inside, outside).unwrap();
        let host = Address(inside.put_on(address(host)).to_be_bytes());
        let mapped = netmap.outward(host).unwrap();
        prop_assert!(outside.contains(mapped));
        prop_assert_eq!(netmap.inward(mapped), Ok(host));
    }

    #[test]
    fn nptv6_is_invertible_and_neutral(
        inside: [u8; 16],
        outside: [u8; 16],
        host: [u8; 16],
        ones in 0usize..5,
        length in 0u8..=64,
    ) {
        let prefix = |bytes| Prefix::new(IpVersion::V6, Address(bytes), length).unwrap();
        let (inside, outside) = (prefix(inside), prefix(outside));
        let translation = Nptv6::new(inside, outside).unwrap();
        let mut host = inside.put_on(Address(host)).to_be_bytes();
        host[8..8 + 2 * ones.min(4)].fill(0xff);
        let host = Address(host);
        if let Ok(mapped) = translation.outward(host) {
            prop_assert!(outside.contains(mapped));
            prop_assert_eq!(translation.inward(mapped), Ok(host));
            let sum = |address: Address| Sum::of(&address.0).fold() % 0xffff;
            prop_assert_eq!(sum(mapped), sum(host));
        }
    }
}
