use super::*;
use proptest::prelude::*;

fn interval() -> impl Strategy<Value = Interval> {
    (0u128..60, 0u128..12).prop_map(|(low, length)| (low, low + length))
}

proptest! {
    #[test]
    fn values_as_a_scan_finds_them(keys in prop::collection::vec(interval(), 0..40), probe in 0u128..80) {
        let merged = merged(keys.clone());
        prop_assert!(merged.windows(2).all(|w| w[0].1 + 1 < w[1].0), "disjoint and not adjacent");
        let numbered: Vec<(Interval, u32)> = merged.iter().copied().zip(0..).collect();
        let lookup = Lookup::of_values(&numbered);
        let expected = keys.iter().any(|(low, high)| (*low..=*high).contains(&probe));
        prop_assert_eq!(lookup.value(probe).is_some(), expected);
        if let Some(n) = lookup.value(probe) {
            let (low, high) = merged[n as usize];
            prop_assert!((low..=high).contains(&probe));
        }
    }

    #[test]
    fn exact_values_of_any_number(keys in prop::collection::btree_set(0u128..1000, 0..200), probe in 0u128..1000) {
        let numbered: Vec<(Interval, u32)> = keys.iter().map(|k| (*k, *k)).zip(0..).collect();
        prop_assert_eq!(Lookup::of_values(&numbered).value(probe).is_some(), keys.contains(&probe));
    }

    #[test]
    fn tuples_as_a_scan_finds_them(
        keys in prop::collection::vec(prop::collection::vec(interval(), 3), 0..150),
        probe in prop::collection::vec(0u128..80, 3),
    ) {
        let numbered: Vec<(Vec<Interval>, u32)> = keys.iter().cloned().zip(0..).collect();
        let lookup = Lookup::of_tuples(3, &numbered);
        let holds = |key: &Vec<Interval>| key.iter().zip(&probe).all(|((low, high), v)| (low..=high).contains(&v));
        let expected = keys.iter().position(holds);
        prop_assert_eq!(lookup.tuple(&probe).map(|n| n as usize), expected);
    }

    #[test]
    fn overlaps_are_found(keys in prop::collection::vec(interval(), 0..12)) {
        let meet = |a: &Interval, b: &Interval| a.0 <= b.1 && b.0 <= a.1;
        let expected = (0..keys.len()).any(|i| (0..i).any(|j| meet(&keys[i], &keys[j])));
        let found = overlap(&keys);
        prop_assert_eq!(found.is_some(), expected);
        if let Some(Overlap(a, b)) = found {
            prop_assert!(a != b && meet(&keys[a], &keys[b]));
        }
    }
}

#[test]
fn the_largest_value_has_no_successor() {
    let all = Lookup::of_values(&[((0, u128::MAX), 7)]);
    assert_eq!((all.value(0), all.value(u128::MAX)), (Some(7), Some(7)));
    let tuples = Lookup::of_tuples(2, &[(vec![(5, u128::MAX), (1, 2)], 3)]);
    assert_eq!((tuples.tuple(&[u128::MAX, 2]), tuples.tuple(&[4, 2])), (Some(3), None));
}
