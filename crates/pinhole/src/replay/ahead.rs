//! What is told of a conn before the conn itself.
//!
//! The conn follows at once, so there is hardly ever more than one entry, and the last one is the one that is asked for. If the news of
//! a conn is lost, its entry is forgotten in time.

use std::collections::VecDeque;

/// Entries that may wait for their conns.
const MOST: usize = 64;

/// Things told of conns, by their numbers.
#[derive(Debug)]
pub(super) struct Ahead<T>(VecDeque<(u32, T)>);

impl<T> Default for Ahead<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Ahead<T> {
    /// Told of this conn; what was told of it before is replaced.
    pub(super) fn put(&mut self, conn: u32, told: T) {
        self.take(conn);
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((conn, told));
    }

    /// The conn is there: what was told of it.
    pub(super) fn take(&mut self, conn: u32) -> Option<T> {
        let position = self.0.iter().rposition(|&(number, _)| number == conn)?;
        self.0.remove(position).map(|(_, told)| told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_waits_for_its_conn_and_not_for_ever() {
        let mut ahead = Ahead::default();
        ahead.put(1, "one");
        ahead.put(2, "two");
        ahead.put(1, "another");
        assert_eq!((ahead.take(1), ahead.take(1), ahead.take(2)), (Some("another"), None, Some("two")));
        (0..=MOST as u32).for_each(|conn| ahead.put(conn, "lost"));
        assert_eq!((ahead.take(0), ahead.take(1)), (None, Some("lost")));
    }
}
