//! The rendezvous of a conn, by their cookies.

use pinhole_helper::Handle;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::Ipv4Addr;

/// Most that are remembered; the oldest is forgotten first. What it expects lives on until its timeout.
const MOST: usize = 16;

/// What is known of one rendezvous.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Rendezvous {
    cookie: [u8; 8],
    /// The expectation of the latest proposal.
    pub(super) expected: Option<Handle>,
    /// Where the other user is, as the server verified it.
    pub(super) peer: Option<Ipv4Addr>,
}

/// Those that were proposed and neither cancelled nor forgotten.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Table(VecDeque<Rendezvous>);

impl Table {
    /// The one with a cookie; a new one if there is none.
    pub(super) fn entry(&mut self, cookie: [u8; 8]) -> Option<&mut Rendezvous> {
        let known = self.0.iter().position(|known| known.cookie == cookie);
        let position = known.unwrap_or_else(|| {
            if self.0.len() >= MOST {
                self.0.pop_front();
            }
            self.0.push_back(Rendezvous { cookie, expected: None, peer: None });
            self.0.len() - 1
        });
        self.0.get_mut(position)
    }

    /// Forgets the one with a cookie, and returns what it expected.
    pub(super) fn end(&mut self, cookie: [u8; 8]) -> Option<Handle> {
        let position = self.0.iter().position(|known| known.cookie == cookie)?;
        self.0.remove(position)?.expected
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<Rendezvous>()
    }
}
