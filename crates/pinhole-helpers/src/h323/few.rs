//! A short list in place: what one message holds, or what a session remembers.

use serde::{Deserialize, Serialize};

/// At most `N` values, in order. A value too many is not taken, and the list remembers that.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(
    into = "Values<T>",
    try_from = "Values<T>",
    bound(serialize = "T: Copy + Serialize", deserialize = "T: Copy + Deserialize<'de>")
)]
pub(super) struct Few<T, const N: usize> {
    values: [Option<T>; N],
    count: usize,
    overflown: bool,
}

impl<T: Copy, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self { values: [None; N], count: 0, overflown: false }
    }
}

impl<T: Copy, const N: usize> Few<T, N> {
    pub(super) fn push(&mut self, value: T) {
        match self.values.get_mut(self.count) {
            Some(place) => {
                *place = Some(value);
                self.count += 1;
            }
            None => self.overflown = true,
        }
    }

    /// Takes a value, for which the oldest one has to go if there is no room.
    pub(super) fn push_over(&mut self, value: T) {
        if self.count == N {
            self.values.rotate_left(1);
            self.count = N.saturating_sub(1);
        }
        self.push(value);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.values.iter().take(self.count).flatten().copied()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> + '_ {
        self.values.iter_mut().take(self.count).flatten()
    }

    /// Keeps the values that pass.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let mut kept = 0;
        for index in 0..self.count {
            let value = self.values.get_mut(index).and_then(Option::take);
            if let Some(value) = value.filter(&keep)
                && let Some(place) = self.values.get_mut(kept)
            {
                *place = Some(value);
                kept += 1;
            }
        }
        self.count = kept;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn is_overflown(&self) -> bool {
        self.overflown
    }
}

/// As a list is saved.
#[derive(Serialize, Deserialize)]
struct Values<T> {
    values: Vec<T>,
    overflown: bool,
}

impl<T: Copy, const N: usize> From<Few<T, N>> for Values<T> {
    fn from(few: Few<T, N>) -> Self {
        Self { values: few.iter().collect(), overflown: few.overflown }
    }
}

impl<T: Copy, const N: usize> TryFrom<Values<T>> for Few<T, N> {
    type Error = &'static str;

    fn try_from(saved: Values<T>) -> Result<Self, Self::Error> {
        if saved.values.len() > N {
            return Err("more values than a list holds");
        }
        let mut few = Self { overflown: saved.overflown, ..Self::default() };
        saved.values.into_iter().for_each(|value| few.push(value));
        Ok(few)
    }
}
