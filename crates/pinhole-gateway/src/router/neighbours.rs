//! Hardware addresses of hosts on the ports' links, as the kernel knows them, and packets that wait for one.
//!
//! Life cycle of an entry: made by the kernel's notification, or by the first packet to a host of which nothing is known: the kernel is asked, and
//! packets wait. The answer sends them on; without one they are given up, and who asks next begins anew. A stale address is used, and the
//! kernel is asked to see whether it still holds. So is one that the kernel has forgotten: it forgets what it does not use itself when many
//! are asked for, and a flood of made-up hosts must not cut off those that are there.
//!
//! Invariants: at most [`MOST_HOSTS`] hosts are waited for, with packets of at most [`MOST_EACH`] bytes each, or one longer one, and at most [`MOST_FORGOTTEN`] are kept that the
//! kernel has forgotten, for [`MEMORY`]; all else that is kept is what the kernel keeps.

use pinhole_io::live::Offload;
use pinhole_io::live::rtnetlink::read::{Neighbour, NeighbourState};
use pinhole_wire::{Address, Time};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Hosts that are waited for at a time.
pub(super) const MOST_HOSTS: usize = 256;

/// Bytes of packets that wait for one host: Linux's `unres_qlen_bytes`.
pub(super) const MOST_EACH: usize = 212_992;

/// What a packet counts for besides its bytes.
pub(super) const OVERHEAD: usize = 256;

/// Hosts that are kept though the kernel has forgotten them.
pub(super) const MOST_FORGOTTEN: usize = 4096;

/// How long they are kept.
pub(super) const MEMORY: u64 = 60_000_000_000;

/// How long the kernel asks before it gives up (three times, a second each), and a little.
const PATIENCE: u64 = 3_500_000_000;

/// The kernel is not asked about a host more often.
const PAUSE: u64 = 1_000_000_000;

/// A packet that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The frame as it will be sent, but for hardware addresses.
    pub(super) frame: Vec<u8>,
    pub(super) offload: Offload,
    /// The beginning of the frame as it came, and by which side, for an answer.
    pub(super) came: Vec<u8>,
    pub(super) side: usize,
}

impl Waiting {
    /// Bytes that it counts for.
    fn memory(&self) -> usize {
        OVERHEAD + self.frame.len() + self.came.len()
    }
}

/// A question to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The link, by the kernel's number.
    pub interface: u32,
    /// The host.
    pub address: IpAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    interface: u32,
    /// IPv4-mapped for IPv4: the two families do not meet.
    address: Address,
}

impl Key {
    fn new(interface: u32, address: IpAddr) -> Self {
        Self { interface, address: address.into() }
    }
}

#[derive(Debug)]
struct Entry {
    address: [u8; 6],
    known: bool,
    /// To be asked about again, next at this time.
    ask: Option<Time>,
    since: Time,
    waiting: Vec<Waiting>,
    /// Bytes of what waits.
    held: usize,
}

/// What is known of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This address; it should be asked about again if `stale`.
    Known { address: [u8; 6], stale: bool },
    /// Nothing yet.
    Unknown,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    entries: HashMap<Key, Entry>,
    /// Entries that are waited for.
    pending: Vec<Key>,
    /// Entries that the kernel has forgotten, and when; one that it knows again is of another time.
    forgotten: VecDeque<(Time, Key)>,
    questions: Vec<Resolve>,
}

impl Neighbours {
    #[inline]
    pub(super) fn find(&self, now: Time, interface: u32, address: IpAddr) -> Found {
        match self.entries.get(&Key::new(interface, address)) {
            Some(entry) if entry.known => {
                Found::Known { address: entry.address, stale: entry.ask.is_some_and(|ask| ask <= now) }
            }
            _ => Found::Unknown,
        }
    }

    /// A stale address is used: the kernel shall see whether it still holds.
    pub(super) fn ask_again(&mut self, now: Time, interface: u32, address: IpAddr) {
        if let Some(entry) = self.entries.get_mut(&Key::new(interface, address)) {
            entry.ask = Some(now.plus_nanos(PAUSE));
            self.questions.push(Resolve { interface, address });
        }
    }

    /// Keeps a packet until the host's address is known. `false`: there is no room for it.
    pub(super) fn wait(&mut self, now: Time, interface: u32, address: IpAddr, packet: Waiting) -> bool {
        let key = Key::new(interface, address);
        if !self.pending.contains(&key) {
            if self.pending.len() >= MOST_HOSTS {
                return false;
            }
            self.pending.push(key);
            self.questions.push(Resolve { interface, address });
            self.entries.insert(
                key,
                Entry { address: [0; 6], known: false, ask: None, since: now, waiting: Vec::new(), held: 0 },
            );
        }
        let Some(entry) = self.entries.get_mut(&key) else { return false };
        let held = entry.held + packet.memory();
        let room = entry.waiting.is_empty() || held <= MOST_EACH;
        if room {
            entry.held = held;
            entry.waiting.push(packet);
        }
        room
    }

    /// What the kernel says. Returns the packets that waited for it, and the address that they are to be sent to; `None`: the host does not answer.
    pub(super) fn update(&mut self, now: Time, neighbour: &Neighbour) -> (Vec<Waiting>, Option<[u8; 6]>) {
        let key = Key::new(neighbour.interface, neighbour.address);
        let (address, ask) = match neighbour.state {
            NeighbourState::Reachable(address) => (address, None),
            NeighbourState::Stale(address) => (address, Some(now)),
            NeighbourState::Incomplete => return (Vec::new(), None),
            NeighbourState::Failed => return (self.forget(key), None),
            NeighbourState::Gone => {
                self.outlive(now, key);
                return (Vec::new(), None);
            }
        };
        let waiting = self.forget(key);
        let entry = Entry { address, known: true, ask, since: now, waiting: Vec::new(), held: 0 };
        self.entries.insert(key, entry);
        (waiting, Some(address))
    }

    /// Keeps an address that the kernel has forgotten. Who waits for one may still be answered: the kernel forgets before it asks anew.
    fn outlive(&mut self, now: Time, key: Key) {
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.known) else { return };
        (entry.ask, entry.since) = (Some(now), now);
        self.forgotten.push_back((now, key));
        if self.forgotten.len() > MOST_FORGOTTEN {
            self.drop_oldest_forgotten();
        }
    }

    fn drop_oldest_forgotten(&mut self) {
        let Some((since, key)) = self.forgotten.pop_front() else { return };
        if self.entries.get(&key).is_some_and(|entry| entry.known && entry.since == since) {
            self.entries.remove(&key);
        }
    }

    /// Forgets all hosts but those that are waited for: a new snapshot tells of them.
    pub(super) fn clear_known(&mut self) {
        self.entries.retain(|_, entry| !entry.known);
        self.forgotten.clear();
    }

    /// Gives up what waited too long.
    pub(super) fn expire(&mut self, now: Time) -> Vec<Waiting> {
        while self.forgotten.front().is_some_and(|(since, _)| now.since(*since) >= MEMORY) {
            self.drop_oldest_forgotten();
        }
        let is_over = |entry: &Entry| now.since(entry.since) >= PATIENCE;
        let over: Vec<Key> =
            self.pending.iter().filter(|key| self.entries.get(key).is_none_or(is_over)).copied().collect();
        over.into_iter().flat_map(|key| self.forget(key)).collect()
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let since = self.pending.iter().filter_map(|key| self.entries.get(key)).map(|entry| entry.since);
        let pending = since.min().map(|since| since.plus_nanos(PATIENCE));
        let forgotten = self.forgotten.front().map(|(since, _)| since.plus_nanos(MEMORY));
        pending.into_iter().chain(forgotten).min()
    }

    /// Questions to the kernel since the last call.
    pub(super) fn take_questions(&mut self) -> Vec<Resolve> {
        std::mem::take(&mut self.questions)
    }

    fn forget(&mut self, key: Key) -> Vec<Waiting> {
        self.pending.retain(|pending| *pending != key);
        self.entries.remove(&key).map_or_else(Vec::new, |entry| entry.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const SECOND: u64 = 1_000_000_000;

    fn host(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    fn told(neighbours: &mut Neighbours, now: Time, n: u32, state: NeighbourState) {
        neighbours.update(now, &Neighbour { interface: 1, address: host(n), state });
    }

    #[test]
    fn what_the_kernel_forgets_is_stale_for_a_while() {
        let mut neighbours = Neighbours::default();
        told(&mut neighbours, Time(0), 1, NeighbourState::Reachable(ADDRESS));
        told(&mut neighbours, Time(0), 2, NeighbourState::Reachable(ADDRESS));
        told(&mut neighbours, Time(SECOND), 1, NeighbourState::Gone);
        told(&mut neighbours, Time(SECOND), 2, NeighbourState::Gone);
        let stale = Found::Known { address: ADDRESS, stale: true };
        assert_eq!(neighbours.find(Time(2 * SECOND), 1, host(1)), stale);
        // It is asked about, and the answer counts: one is there, one is not.
        neighbours.ask_again(Time(2 * SECOND), 1, host(1));
        assert_eq!(neighbours.take_questions(), [Resolve { interface: 1, address: host(1) }]);
        told(&mut neighbours, Time(3 * SECOND), 1, NeighbourState::Reachable(ADDRESS));
        assert_eq!(neighbours.next_deadline(), Some(Time(SECOND + MEMORY)));
        neighbours.expire(Time(SECOND + MEMORY));
        assert_eq!(
            neighbours.find(Time(70 * SECOND), 1, host(1)),
            Found::Known { address: ADDRESS, stale: false }
        );
        assert_eq!(neighbours.find(Time(70 * SECOND), 1, host(2)), Found::Unknown);
        told(&mut neighbours, Time(71 * SECOND), 1, NeighbourState::Failed);
        assert_eq!(neighbours.find(Time(71 * SECOND), 1, host(1)), Found::Unknown);
        assert_eq!(neighbours.next_deadline(), None);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let mut neighbours = Neighbours::default();
        let most = u32::try_from(MOST_FORGOTTEN).unwrap();
        for n in 0..3 * most {
            told(&mut neighbours, Time(u64::from(n)), n, NeighbourState::Reachable(ADDRESS));
            told(&mut neighbours, Time(u64::from(n)), n, NeighbourState::Gone);
        }
        assert_eq!((neighbours.entries.len(), neighbours.forgotten.len()), (MOST_FORGOTTEN, MOST_FORGOTTEN));
        assert_eq!(neighbours.find(Time(0), 1, host(0)), Found::Unknown);
    }
}
