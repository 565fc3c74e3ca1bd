//! The other port of a source whose own was taken: its next conns get it too, where it is free (netfilter's way).
//!
//! Only sources are kept here of which a conn has another port than their own, or one of several addresses; to others the same happens anyway.
//! Of several ends of one source the latest counts.

use super::mappings::End;
use super::pools::Keyed;
use pinhole_wire::Address;
use std::collections::HashMap;

pub(crate) struct Reuse {
    latest: HashMap<End, Outer, Keyed>,
}

struct Outer {
    address: Address,
    port: u16,
    conns: u32,
}

impl Reuse {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self { latest: HashMap::with_hasher(keyed) }
    }

    /// What a source is known as.
    pub(crate) fn of(&self, source: &End) -> Option<(Address, u16)> {
        self.latest.get(source).map(|outer| (outer.address, outer.port))
    }

    /// A conn of this source bears that end outside.
    pub(crate) fn enter(&mut self, source: End, address: Address, port: u16) {
        let latest = self.latest.entry(source).or_insert(Outer { address, port, conns: 0 });
        if (latest.address, latest.port) == (address, port) {
            latest.conns += 1;
        } else {
            *latest = Outer { address, port, conns: 1 };
        }
    }

    /// Such a conn is over.
    pub(crate) fn leave(&mut self, source: &End, address: Address, port: u16) {
        if let Some(latest) = self.latest.get_mut(source)
            && (latest.address, latest.port) == (address, port)
        {
            latest.conns -= 1;
            if latest.conns == 0 {
                self.latest.remove(source);
            }
        }
    }
}
