//! Values by address range: the longest prefix wins, as in a routing table.
//!
//! Ranges of the same length lie together, sorted, and lengths are tried from the longest on. A gateway has few lengths and few ranges of each; a
//! table of a million routes takes twenty comparisons for each length.

use crate::topology::Cidr;
use pinhole_wire::{Address, IpVersion};

/// Values by address range.
#[derive(Clone, Debug)]
pub struct PrefixMap<T> {
    /// By IP version; the longest prefixes first.
    families: [Vec<Level<T>>; 2],
}

/// Ranges whose prefixes have the same length.
#[derive(Clone, Debug)]
struct Level<T> {
    length: u8,
    mask: u128,
    /// Sorted by network.
    ranges: Vec<(u128, T)>,
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        Self { families: [Vec::new(), Vec::new()] }
    }
}

impl<T> PrefixMap<T> {
    /// Gives a range its value. Returns the value that it had.
    pub fn insert(&mut self, range: Cidr, value: T) -> Option<T> {
        let place = self.place(range);
        match place.ranges.binary_search_by_key(&range.network(), |(network, _)| *network) {
            Ok(found) => place.ranges.get_mut(found).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                place.ranges.insert(at, (range.network(), value));
                None
            }
        }
    }

    /// The value of the smallest range that holds an address.
    #[inline]
    pub fn lookup(&self, version: IpVersion, address: Address) -> Option<&T> {
        let number = u128::from_be_bytes(address.0);
        self.family(version).iter().find_map(|level| {
            let found =
                level.ranges.binary_search_by_key(&(number & level.mask), |(network, _)| *network).ok()?;
            level.ranges.get(found).map(|(_, value)| value)
        })
    }

    /// The value of this very range.
    pub fn get(&self, range: Cidr) -> Option<&T> {
        let version = if range.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        let level = self.family(version).iter().find(|level| level.length == range.prefix_length())?;
        let found = level.ranges.binary_search_by_key(&range.network(), |(network, _)| *network).ok()?;
        level.ranges.get(found).map(|(_, value)| value)
    }

    /// Whether there is no range.
    pub fn is_empty(&self) -> bool {
        self.families.iter().all(Vec::is_empty)
    }

    fn family(&self, version: IpVersion) -> &[Level<T>] {
        let [four, six] = &self.families;
        if version == IpVersion::V4 { four } else { six }
    }

    fn place(&mut self, range: Cidr) -> &mut Level<T> {
        let [four, six] = &mut self.families;
        let levels = if range.is_ipv4() { four } else { six };
        let length = range.prefix_length();
        let index =
            match levels.binary_search_by_key(&std::cmp::Reverse(length), |l| std::cmp::Reverse(l.length)) {
                Ok(found) => found,
                Err(at) => {
                    levels.insert(at, Level { length, mask: range.mask(), ranges: Vec::new() });
                    at
                }
            };
        &mut levels[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn ranges() -> impl Strategy<Value = Vec<Cidr>> {
        // Few bits, so that ranges overlap.
        let four =
            (0u32..64, 26u8..=32).prop_map(|(bits, length)| (IpAddr::V4(Ipv4Addr::from(bits)), length));
        let short = (0u8..4).prop_map(|length| (IpAddr::V4(Ipv4Addr::UNSPECIFIED), length));
        let six =
            (0u128..64, 122u8..=128).prop_map(|(bits, length)| (IpAddr::V6(Ipv6Addr::from(bits)), length));
        proptest::collection::vec(prop_oneof![four, short, six], 0..40)
            .prop_map(|all| all.into_iter().map(|(ip, length)| Cidr::new(ip, length)).collect())
    }

    proptest! {
        #[test]
        fn the_longest_of_all_ranges_that_fit_is_found(ranges in ranges(), bits in 0u8..64, six: bool) {
            let mut map = PrefixMap::default();
            for (index, range) in ranges.iter().enumerate() {
                map.insert(*range, index);
            }
            let (version, ip) = if six {
                (IpVersion::V6, IpAddr::V6(Ipv6Addr::from(u128::from(bits))))
            } else {
                (IpVersion::V4, IpAddr::V4(Ipv4Addr::from(u32::from(bits))))
            };
            let fits = |(_, range): &(usize, &Cidr)| range.contains(version, ip.into());
            let best = ranges.iter().enumerate().filter(fits).max_by_key(|(index, range)| (range.prefix_length(), *index));
            prop_assert_eq!(map.lookup(version, ip.into()).copied(), best.map(|(index, _)| index));
        }
    }

    #[test]
    fn a_range_has_one_value() {
        let mut map = PrefixMap::default();
        let range: Cidr = "10.0.0.0/8".parse().unwrap();
        assert_eq!(map.insert(range, 1), None);
        assert_eq!(map.insert(range, 2), Some(1));
        assert_eq!(map.get(range), Some(&2));
        assert_eq!(map.get("10.0.0.0/9".parse().unwrap()), None);
        assert_eq!(map.lookup(IpVersion::V4, Address::v4([10, 1, 2, 3])), Some(&2));
        assert!(!map.is_empty());
    }
}
