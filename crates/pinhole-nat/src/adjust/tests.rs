use super::*;
use proptest::prelude::*;

/// A ledger with replaced runs of (gap before it, removed, inserted), forwarded to the end of the last.
fn ledger(next: u32, runs: &[(u32, u16, u16)]) -> Ledger {
    let mut ledger = Ledger::new(runs.len());
    ledger.open(next);
    let mut at = next;
    for &(gap, removed, inserted) in runs {
        at = at.wrapping_add(gap);
        ledger.enter(at, usize::from(removed), usize::from(inserted), false).unwrap();
        at = at.wrapping_add(u32::from(removed));
    }
    ledger.forwarded(at);
    ledger
}

#[test]
fn numbers_around_two_runs() {
    // 100..110 became 4 bytes, 120..121 became 30.
    let ledger = ledger(90, &[(10, 10, 4), (10, 1, 30)]);
    assert_eq!([90, 99, 100].map(|n| ledger.edited(n)), [90, 99, 100]);
    assert_eq!([101, 109].map(|n| ledger.edited(n)), [100, 100]);
    assert_eq!([101, 109].map(|n| ledger.edited_ceiling(n)), [104, 104]);
    assert_eq!([110, 120, 121, 200].map(|n| ledger.edited(n)), [104, 114, 144, 223]);
    assert_eq!([100, 101, 103, 104, 114].map(|n| ledger.original(n)), [100, 100, 100, 110, 120]);
    assert_eq!([115, 143, 144, 223].map(|n| ledger.original(n)), [120, 120, 121, 200]);
    assert_eq!([100, 101, 104, 115].map(|n| ledger.original_ceiling(n)), [100, 110, 110, 121]);
    assert_eq!(ledger.difference(), 23);
}

#[test]
fn a_keep_alive_stays_below_the_next_number() {
    let ledger = ledger(90, &[(10, 10, 4)]);
    let next = ledger.edited(110);
    assert!(ledger.edited(109) < next);
}

#[test]
fn a_run_that_is_cut_through_is_carried_whole() {
    let mut ledger = Ledger::new(1);
    ledger.open(90);
    ledger.enter(100, 10, 4, false).unwrap();
    for (forwarded, carried) in [(95, 95), (100, 100), (101, 110), (110, 110), (111, 111)] {
        ledger.forwarded(forwarded);
        assert_eq!((ledger.frontier(), ledger.carried()), (forwarded, carried));
    }
}

#[test]
fn what_cannot_be_entered() {
    let mut closed = Ledger::new(1);
    assert_eq!(closed.enter(0, 1, 1, false), Err(LedgerError::NotOpen));
    let mut ledger = Ledger::new(2);
    ledger.open(u32::MAX - 5);
    ledger.forwarded(4);
    assert_eq!(ledger.enter(3, 1, 1, false), Err(LedgerError::Passed));
    assert_eq!(ledger.enter(u32::MAX, 9, 1, false), Err(LedgerError::Passed));
    assert_eq!(ledger.enter(4, 0, 1, false), Err(LedgerError::Length));
    assert_eq!(ledger.enter(4, 1, 0, false), Err(LedgerError::Length));
    assert_eq!(ledger.enter(4, 1, 65536, false), Err(LedgerError::Length));
    assert_eq!(ledger.enter((1 << 30) + 5, 1, 1, false), Err(LedgerError::Beyond));
    assert_eq!(ledger.enter(4, 2, 1, false), Ok(()));
    assert_eq!(ledger.enter(5, 2, 1, false), Err(LedgerError::Passed));
    assert_eq!(ledger.enter(6, 2, 1, false), Ok(()));
    assert_eq!(ledger.enter(8, 2, 1, false), Err(LedgerError::Full));
}

#[test]
fn only_acknowledged_runs_are_forgotten() {
    let mut ledger = ledger(0, &[(0, 10, 4), (10, 1, 30)]);
    ledger.acknowledge(3);
    assert_eq!(ledger.forget_acknowledged(), None);
    // Beyond what was forwarded: a forged acknowledgement.
    ledger.acknowledge(1000);
    assert_eq!(ledger.acknowledged(), 3);
    ledger.acknowledge(4);
    assert_eq!(ledger.forget_acknowledged().map(|run| run.start), Some(0));
    assert_eq!(ledger.forget_acknowledged(), None);
    // What comes after is as before; what was before is still below the acknowledgement.
    assert_eq!((ledger.edited(15), ledger.original(9)), (9, 15));
    assert!(ledger.edited(9) < 4);
    assert_eq!(ledger.difference(), 23);
}

#[test]
fn runs_that_are_far_behind_are_forgotten() {
    let mut ledger = ledger(0, &[(0, 10, 4)]);
    ledger.forwarded(1 << 30);
    assert_eq!(ledger.forget_stale(), None);
    ledger.forwarded((1 << 30) + 11);
    assert_eq!(ledger.forget_stale().map(|run| run.start), Some(0));
    assert_eq!(ledger.edited(1 << 30), (1 << 30) - 6);
}

/// Attack: a conn whose length difference passes 2^31 and 2^32 (Linux once kept 16 bits of it).
#[test]
fn the_difference_never_overflows() {
    let mut ledger = Ledger::new(1);
    ledger.open(7);
    let (mut original, mut edited) = (7u64, 7u64);
    for _ in 0..70_000 {
        ledger.enter(original as u32, 1, 65_535, false).unwrap();
        original += 1;
        edited += 65_535;
        ledger.forwarded(original as u32);
        assert_eq!(ledger.edited(original as u32), edited as u32);
        assert_eq!(ledger.original(edited as u32), original as u32);
        ledger.acknowledge(edited as u32);
        ledger.forget_acknowledged().unwrap();
    }
    assert!(edited - original > 1 << 32);
}

fn option(blocks: &[(u32, u32)]) -> Vec<u8> {
    let mut bytes = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
    for (left, right) in blocks {
        bytes.extend(left.to_be_bytes());
        bytes.extend(right.to_be_bytes());
    }
    bytes
}

#[test]
fn sack_blocks_shrink_to_whole_runs() {
    // 100..110 became 100..104; 120..121 became 114..144.
    let ledger = ledger(90, &[(10, 10, 4), (10, 1, 30)]);
    let translated = |blocks: &[(u32, u32)]| {
        let mut bytes = option(blocks);
        translate_sack(&mut bytes, &ledger);
        bytes
    };
    assert_eq!(translated(&[(95, 104), (114, 144)]), option(&[(95, 110), (120, 121)]));
    assert_eq!(translated(&[(95, 102), (103, 120)]), option(&[(95, 100), (110, 120)]));
    // Nothing is left of a block inside a run.
    let mut expected = option(&[(104 + 6, 112 + 6)]);
    expected.extend([1; 8]);
    assert_eq!(translated(&[(101, 103), (104, 112)]), expected);
    assert_eq!(translated(&[(101, 103)]), [1; 12]);
}

#[test]
fn options_that_make_no_sense_are_left_alone() {
    let ledger = ledger(90, &[(10, 10, 4)]);
    for bytes in [
        &[5][..],
        &[5, 0],
        &[5, 1, 5, 10],
        &[5, 3, 9],
        &[8, 40, 1],
        &[0, 5, 10, 0, 0, 0, 200],
        &[2, 4, 5, 180],
    ] {
        let mut translated = bytes.to_vec();
        translate_sack(&mut translated, &ledger);
        assert_eq!(translated, bytes);
    }
}

proptest! {
    #[test]
    fn mappings_are_monotone_and_inverse_outside_of_runs(
        next: u32,
        runs in prop::collection::vec((0u32..50, 1u16..40, 1u16..40), 0..10),
    ) {
        let ledger = ledger(next, &runs);
        let end = runs.iter().map(|(gap, removed, _)| gap + u32::from(*removed)).sum::<u32>() + 20;
        let mut last = (0, 0);
        for offset in 0..end {
            let number = next.wrapping_add(offset);
            let relative = |n: u32| n.wrapping_sub(next);
            let (low, high) = (relative(ledger.edited(number)), relative(ledger.edited_ceiling(number)));
            prop_assert!(last.0 <= low && last.1 <= high && low <= high);
            last = (low, high);
            let inside = ledger.runs().iter().any(|run| {
                let at = number.wrapping_sub(run.start);
                0 < at && at < u32::from(run.removed)
            });
            prop_assert_eq!(inside, low != high);
            if !inside {
                prop_assert_eq!(ledger.original(ledger.edited(number)), number);
            }
        }
        for offset in 0..last.0 {
            let number = next.wrapping_add(offset);
            let (low, high) = (ledger.original(number), ledger.original_ceiling(number));
            // The acknowledged bytes, edited, are among those that the receiver has.
            prop_assert!(ledger.edited(low).wrapping_sub(next) <= offset);
            prop_assert!(ledger.edited(high).wrapping_sub(next) >= offset);
        }
    }

    #[test]
    fn hostile_options_never_panic(mut bytes in prop::collection::vec(0u8..12, 0..40)) {
        let ledger = ledger(0, &[(10, 10, 4)]);
        translate_sack(&mut bytes, &ledger);
    }
}
