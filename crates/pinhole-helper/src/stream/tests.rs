use super::*;
use proptest::prelude::*;

/// Near the wrap of sequence numbers.
const ORIGIN: u32 = u32::MAX - 30;

/// A stream with a reader that consumes whole lines, and keeps what it consumed and where.
struct Lines {
    stream: Stream,
    pickup: Pickup,
    read: Vec<u8>,
    shown: usize,
    gaps: usize,
}

impl Lines {
    fn new(pickup: Pickup) -> Self {
        let mut stream = Stream::default();
        stream.open(ORIGIN);
        Self { stream, pickup, read: Vec::new(), shown: 0, gaps: 0 }
    }

    fn feed(&mut self, offset: u32, bytes: &[u8]) -> Result<(), BlindReason> {
        let Self { stream, pickup, read, shown, gaps } = self;
        stream.feed(ORIGIN.wrapping_add(offset), bytes, *pickup, &mut |readable| {
            let Readable::Bytes { offset, bytes } = readable else {
                *gaps += 1;
                return ControlFlow::Continue(0);
            };
            assert!(!bytes.is_empty());
            if *gaps == 0 {
                assert_eq!(offset, read.len() as u64);
            }
            *shown += 1;
            let consumed = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            read.extend_from_slice(&bytes[..consumed]);
            ControlFlow::Continue(consumed)
        })
    }

    fn acknowledge(&mut self, offset: u32) {
        self.stream.acknowledge(ORIGIN.wrapping_add(offset));
    }
}

#[test]
fn in_order_segments_need_no_more_memory_once_acknowledged() {
    let mut lines = Lines::new(Pickup::Strict);
    for index in 0..1000u32 {
        lines.feed(index * 8, b"a line.\n").unwrap();
        lines.acknowledge((index + 1) * 8);
        assert!(lines.stream.memory() <= KEPT_CAPACITY);
    }
    assert_eq!((lines.read.len(), lines.stream.position(), lines.stream.unread()), (8000, 8000, 0));
    lines.feed(8000, &[b'\n'; 8000]).unwrap();
    lines.acknowledge(16000);
    assert_eq!(lines.stream.memory(), 0);
}

#[test]
fn history_is_bounded_without_acknowledgements() {
    let mut lines = Lines::new(Pickup::Strict);
    for index in 0..1000u32 {
        lines.feed(index * 8, b"a line.\n").unwrap();
        assert!(lines.stream.memory() <= 4 * MAX_HISTORY);
    }
}

#[test]
fn partial_lines_wait_and_are_shown_again() {
    let mut lines = Lines::new(Pickup::Strict);
    for (offset, byte) in b"one\ntwo\n".iter().enumerate() {
        lines.feed(offset as u32, &[*byte]).unwrap();
        lines.acknowledge(offset as u32 + 1);
    }
    assert_eq!((lines.read.as_slice(), lines.shown), (&b"one\ntwo\n"[..], 8));
}

#[test]
fn out_of_order_segments_are_read_in_order() {
    let mut lines = Lines::new(Pickup::Strict);
    lines.feed(8, b"three\n").unwrap();
    lines.feed(4, b"two\n").unwrap();
    assert_eq!(lines.shown, 0);
    lines.feed(0, b"one\n").unwrap();
    assert_eq!(lines.read, b"one\ntwo\nthree\n");
}

#[test]
fn the_first_copy_wins_and_another_is_a_conflict() {
    // Unread, consumed but not acknowledged, and pending bytes are all held.
    for (first, offset) in [(0, 0), (0, 4), (20, 20)] {
        for same in [true, false] {
            let mut lines = Lines::new(Pickup::Strict);
            lines.feed(first, b"one\ntwo").unwrap();
            let copy: &[u8] = match (offset - first, same) {
                (0, true) => b"one\ntwo\n",
                (0, false) => b"one\ntwx\n",
                (_, true) => b"two\n",
                (_, false) => b"tXo\n",
            };
            let expected = if same { Ok(()) } else { Err(BlindReason::Conflict) };
            assert_eq!(lines.feed(offset, copy), expected, "{first} {offset} {same}");
        }
    }
    let mut consumed = Lines::new(Pickup::Strict);
    consumed.feed(0, b"one\n").unwrap();
    assert_eq!(consumed.feed(0, b"two\n"), Err(BlindReason::Conflict));
}

#[test]
fn acknowledged_bytes_may_come_again_as_anything() {
    let mut lines = Lines::new(Pickup::Strict);
    lines.feed(0, b"one\ntw").unwrap();
    lines.acknowledge(6);
    // A keep-alive with its garbage byte, and an old segment that reaches on.
    lines.feed(5, &[0]).unwrap();
    lines.feed(0, b"xxxxxxo\n").unwrap();
    assert_eq!(lines.read, b"one\ntwo\n");
    lines.feed(u32::MAX, &[7]).unwrap();
}

#[test]
fn an_acknowledged_hole_is_a_gap() {
    let mut strict = Lines::new(Pickup::Strict);
    strict.feed(0, b"one\ntw").unwrap();
    strict.acknowledge(12);
    for index in 0..u32::from(GAP_PATIENCE) {
        strict.feed(8 + 4 * index, b"xyz\n").unwrap();
    }
    assert_eq!(strict.feed(100, b"end\n"), Err(BlindReason::Gap));

    let mut lenient = Lines::new(Pickup::Lenient);
    lenient.feed(0, b"one\ntw").unwrap();
    lenient.feed(8, b"xyz\n").unwrap();
    assert_eq!(lenient.gaps, 0);
    lenient.acknowledge(12);
    lenient.feed(20, b"far\n").unwrap();
    assert_eq!((lenient.gaps, lenient.read.as_slice()), (1, &b"one\nxyz\n"[..]));
    lenient.acknowledge(24);
    lenient.feed(24, b"end\n").unwrap();
    assert_eq!((lenient.gaps, lenient.read.as_slice()), (2, &b"one\nxyz\nfar\nend\n"[..]));
    // What was skipped is not wanted any more.
    lenient.feed(6, b"o\n").unwrap();
    assert_eq!(lenient.gaps, 2);
}

#[test]
fn a_hole_that_is_not_acknowledged_may_fill_late() {
    let mut lines = Lines::new(Pickup::Strict);
    for index in 1..200u32 {
        lines.feed(4 * index, b"xyz\n").unwrap();
    }
    lines.feed(0, b"one\n").unwrap();
    assert_eq!(lines.read.len(), 800);
}

#[test]
fn the_acknowledgement_of_a_fin_is_no_gap() {
    let mut lines = Lines::new(Pickup::Strict);
    lines.feed(0, b"one\n").unwrap();
    lines.stream.finish(ORIGIN.wrapping_add(4));
    lines.acknowledge(5);
    assert_eq!(lines.stream.acknowledged, 4);
}

#[test]
fn out_of_order_data_is_bounded() {
    let flood = |pickup, step: u32, size: usize| {
        let mut lines = Lines::new(pickup);
        let mut peak = 0;
        for index in 1..2000 {
            if let Err(reason) = lines.feed(index * step, &vec![b'\n'; size]) {
                return (Some(reason), peak, lines.gaps);
            }
            peak = peak.max(lines.stream.memory());
        }
        (None, peak, lines.gaps)
    };
    for (step, size) in [(2, 1), (2000, 1400), (100, 100)] {
        let (reason, peak, _) = flood(Pickup::Strict, step, size);
        assert_eq!(reason, Some(BlindReason::BufferFull));
        assert!(peak < 3 * MAX_PENDING_BYTES, "{peak}");
        let (reason, peak, gaps) = flood(Pickup::Lenient, step, size);
        assert_eq!(reason, None);
        assert!(gaps > 0 && peak < 4 * MAX_PENDING_BYTES, "{gaps} {peak}");
    }
}

#[test]
fn a_new_attempt_anchors_anew() {
    let mut stream = Stream::default();
    assert!(!stream.is_open());
    assert!(stream.open(1) && stream.open(ORIGIN));
    let mut lines = Lines { stream, pickup: Pickup::Strict, read: Vec::new(), shown: 0, gaps: 0 };
    lines.feed(0, b"one\n").unwrap();
    lines.acknowledge(4);
    assert!(lines.stream.open(ORIGIN) && !lines.stream.open(7));
    lines.feed(4, b"two\n").unwrap();
    assert_eq!(lines.read, b"one\ntwo\n");
}

proptest! {
    /// Any cover of the stream by segments, in any order, with any overlap and with acknowledgements in between, is read as the
    /// stream itself; at every moment exactly the whole lines of the bytes received in order are.
    #[test]
    fn every_cover_reads_as_the_stream(
        bytes in prop::collection::vec(prop_oneof![1 => Just(b'\n'), 5 => 97u8..100], 1..300),
        pieces in prop::collection::vec((0usize..300, 1usize..60, any::<bool>()), 0..60),
        order in any::<u64>(),
    ) {
        let mut lines = Lines::new(Pickup::Strict);
        let mut segments: Vec<_> = pieces
            .into_iter()
            .map(|(start, length, acknowledge)| {
                let start = start % bytes.len();
                (start..(start + length).min(bytes.len()), acknowledge)
            })
            .collect();
        segments.extend((0..bytes.len()).step_by(20).map(|at| (at..(at + 20).min(bytes.len()), order % 2 == 0)));
        let count = segments.len();
        let mut seen = vec![false; bytes.len()];
        for index in 0..count {
            let pick = (order as usize).wrapping_mul(31).wrapping_add(index * 7919) % segments.len();
            let (range, acknowledge) = segments.swap_remove(pick);
            prop_assert_eq!(lines.feed(range.start as u32, &bytes[range.clone()]), Ok(()));
            seen[range].fill(true);
            let received = seen.iter().take_while(|seen| **seen).count();
            let whole = bytes[..received].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            prop_assert_eq!(&lines.read, &bytes[..whole]);
            if acknowledge {
                lines.acknowledge(received as u32);
            }
        }
        prop_assert_eq!(lines.stream.unread() + lines.read.len(), bytes.len());
    }

    /// A segment that contradicts a held byte is always noticed, and nothing panics whatever comes.
    #[test]
    fn hostile_segments_are_bounded(
        lenient: bool,
        segments in prop::collection::vec((any::<u32>(), any::<bool>(), 0u32..5000, prop::collection::vec(any::<u8>(), 0..900)), 0..100),
    ) {
        let mut lines = Lines::new(if lenient { Pickup::Lenient } else { Pickup::Strict });
        for (wild, near, offset, bytes) in segments {
            lines.acknowledge(if near { offset } else { wild });
            if lines.feed(if near { offset } else { wild }, &bytes).is_err() {
                break;
            }
            // The reader's unread bytes are the session's to bound.
            prop_assert!(lines.stream.memory() < 256 * 1024);
        }
    }
}
