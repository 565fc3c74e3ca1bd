//! Sets and maps, compiled: hashing for exact keys, binary search for intervals, and for concatenations with intervals
//! one bit per element and component, intersected.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Most components of a concatenation.
pub(crate) const MAX_COMPONENTS: usize = 8;
/// Most elements of a set that has both concatenations and intervals (its table grows with their square).
pub(crate) const MAX_CROSSED: usize = 4096;
/// Up to this many keys a scan is faster than a hash.
const SCANNED: usize = 8;

/// An interval, both ends included.
pub(crate) type Interval = (u128, u128);

/// A compiled set: finds the number of the element that holds a key.
#[derive(Clone, Debug)]
pub(crate) enum Lookup {
    Scan(Vec<(u128, u32)>),
    Hash(HashMap<u128, u32, BuildHasherDefault<Mixer>>),
    /// Disjoint, by rising low end.
    Intervals {
        lows: Vec<u128>,
        rest: Vec<(u128, u32)>,
    },
    Tuples(HashMap<Box<[u128]>, u32, BuildHasherDefault<Mixer>>),
    Crossed {
        components: Vec<Component>,
        elements: Vec<u32>,
    },
}

/// One component of a crossed set: between two boundaries the same elements can match.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    boundaries: Vec<u128>,
    /// A row of words per boundary: the elements that hold the values from it to the next.
    rows: Vec<u64>,
}

/// Two elements that cannot stand in one set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overlap(pub(crate) usize, pub(crate) usize);

impl Lookup {
    /// A lookup over single values. Intervals must be disjoint (see [`disjoint`]).
    pub(crate) fn of_values(elements: &[(Interval, u32)]) -> Self {
        let exact = elements.iter().all(|((low, high), _)| low == high);
        if exact && elements.len() <= SCANNED {
            return Self::Scan(elements.iter().map(|((low, _), n)| (*low, *n)).collect());
        }
        if exact {
            return Self::Hash(elements.iter().map(|((low, _), n)| (*low, *n)).collect());
        }
        let mut sorted = elements.to_vec();
        sorted.sort_unstable();
        let lows = sorted.iter().map(|((low, _), _)| *low).collect();
        let rest = sorted.iter().map(|((_, high), n)| (*high, *n)).collect();
        Self::Intervals { lows, rest }
    }

    /// A lookup over concatenations of `width` components.
    pub(crate) fn of_tuples(width: usize, elements: &[(Vec<Interval>, u32)]) -> Self {
        if elements.iter().all(|(key, _)| key.iter().all(|(low, high)| low == high)) {
            let key = |k: &Vec<Interval>| k.iter().map(|(low, _)| *low).collect::<Box<[u128]>>();
            return Self::Tuples(elements.iter().map(|(k, n)| (key(k), *n)).collect());
        }
        let column =
            |i: usize| elements.iter().filter_map(move |(key, _)| key.get(i).copied()).collect::<Vec<_>>();
        let components = (0..width).map(|i| Component::new(&column(i))).collect();
        Self::Crossed { components, elements: elements.iter().map(|(_, n)| *n).collect() }
    }

    /// The element that holds a single value.
    #[inline]
    pub(crate) fn value(&self, value: u128) -> Option<u32> {
        match self {
            Self::Scan(elements) => elements.iter().find(|(v, _)| *v == value).map(|(_, n)| *n),
            Self::Hash(elements) => elements.get(&value).copied(),
            Self::Intervals { lows, rest } => {
                let index = lows.partition_point(|low| *low <= value).checked_sub(1)?;
                rest.get(index).filter(|(high, _)| value <= *high).map(|(_, n)| *n)
            }
            Self::Tuples(_) | Self::Crossed { .. } => self.tuple(&[value]),
        }
    }

    /// The element that holds a concatenation.
    pub(crate) fn tuple(&self, key: &[u128]) -> Option<u32> {
        match self {
            Self::Tuples(elements) => elements.get(key).copied(),
            Self::Crossed { components, elements } => {
                let words = elements.len().div_ceil(64);
                let mut rows: [&[u64]; MAX_COMPONENTS] = [&[]; MAX_COMPONENTS];
                for ((row, component), value) in rows.iter_mut().zip(components).zip(key) {
                    *row = component.row(*value, words)?;
                }
                let rows = rows.get(..components.len())?;
                (0..words).find_map(|w| {
                    let all = rows.iter().fold(u64::MAX, |bits, row| bits & row.get(w).copied().unwrap_or(0));
                    let index = w * 64 + all.trailing_zeros() as usize;
                    if all == 0 { None } else { elements.get(index).copied() }
                })
            }
            _ => key.first().and_then(|value| self.value(*value)),
        }
    }
}

impl Component {
    fn new(column: &[Interval]) -> Self {
        let mut boundaries: Vec<u128> =
            column.iter().flat_map(|(low, high)| [Some(*low), high.checked_add(1)]).flatten().collect();
        boundaries.sort_unstable();
        boundaries.dedup();
        let words = column.len().div_ceil(64);
        let mut rows = vec![0; boundaries.len() * words];
        for (element, (low, high)) in column.iter().enumerate() {
            let from = boundaries.partition_point(|b| b < low);
            let to = boundaries.partition_point(|b| b <= high);
            for row in from..to {
                if let Some(word) = rows.get_mut(row * words + element / 64) {
                    *word |= 1 << (element % 64);
                }
            }
        }
        Self { boundaries, rows }
    }

    fn row(&self, value: u128, words: usize) -> Option<&[u64]> {
        let row = self.boundaries.partition_point(|b| *b <= value).checked_sub(1)?;
        self.rows.get(row * words..(row + 1) * words)
    }
}

/// Makes intervals disjoint by merging those that overlap.
pub(crate) fn merged(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut out: Vec<Interval> = Vec::with_capacity(intervals.len());
    for (low, high) in intervals {
        match out.last_mut() {
            Some((_, last)) if low <= last.saturating_add(1) => *last = high.max(*last),
            _ => out.push((low, high)),
        }
    }
    out
}

/// The first two intervals that overlap, by their positions in `intervals`.
pub(crate) fn overlap(intervals: &[Interval]) -> Option<Overlap> {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|i| intervals.get(*i));
    order.windows(2).find_map(|pair| {
        let (&[a, b], [x, y]) = (pair.first_chunk::<2>()?, [pair.first()?, pair.last()?]);
        let ((_, high), (low, _)) = (intervals.get(*x)?, intervals.get(*y)?);
        (low <= high).then_some(Overlap(a, b))
    })
}

/// A quick hash. The keys in the table are the ruleset's own, so an attacker cannot choose which collide.
#[derive(Debug, Default)]
pub(crate) struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(self.0 ^ word) * u128::from(ODD);
        self.0 = (product as u64) ^ ((product >> 64) as u64).rotate_left(32) ^ ODD;
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn write_u128(&mut self, value: u128) {
        self.mix(value as u64);
        self.mix((value >> 64) as u64);
    }
}

#[cfg(test)]
mod tests;
