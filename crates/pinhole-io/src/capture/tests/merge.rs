//! Several captures by time.

use super::build::*;
use super::reader;
use crate::capture::Merge;

fn capture(times: &[u32]) -> crate::capture::CaptureReader {
    let mut file = pcap(Order::Little, MICROS, (2, 4), 1);
    for time in times {
        file.extend(record(Order::Little, *time, 0, &time.to_le_bytes(), 4));
    }
    reader(file).unwrap()
}

fn order(captures: &[&[u32]]) -> Vec<(usize, u64, u64)> {
    let mut merge = Merge::new(captures.iter().map(|times| capture(times)).collect());
    let mut order = Vec::new();
    while let Some(merged) = merge.next().unwrap() {
        let second = u64::from(u32::from_le_bytes(merged.frame.bytes.try_into().unwrap()));
        assert_eq!(merged.frame.time.seconds(), second);
        order.push((merged.capture, merged.frame.number, second));
    }
    order
}

#[test]
fn by_time_and_then_by_file() {
    assert_eq!(order(&[]), []);
    assert_eq!(order(&[&[], &[1]]), [(1, 1, 1)]);
    assert_eq!(
        order(&[&[1, 3, 3, 9], &[], &[1, 2, 3]]),
        [(0, 1, 1), (2, 1, 1), (2, 2, 2), (0, 2, 3), (0, 3, 3), (2, 3, 3), (0, 4, 9)]
    );
}

#[test]
fn a_file_keeps_its_own_order() {
    assert_eq!(order(&[&[5, 1], &[2]]), [(1, 1, 2), (0, 1, 5), (0, 2, 1)]);
}
