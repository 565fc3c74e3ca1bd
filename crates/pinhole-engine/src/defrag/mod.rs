//! Fragments are put together before tracking, as rules and trackers need whole datagrams.
//!
//! A datagram lives from its first fragment to arrive until it is complete, is dropped, is evicted to make room, or its time is up
//! (counted from that first fragment, as RFC 791 §3.2 and RFC 8200 §4.5 have it). Nothing in it is ever overwritten, and there is only
//! one reading of it:
//!
//! * A fragment that repeats a held one byte for byte is ignored. Any other overlap drops the datagram (RFC 5722). Linux ignores
//!   every fragment within the range that it already has, whatever its bytes; here what differs is an attack, and what does not is rare.
//! * A fragment that no honest sender makes (empty, not a multiple of eight bytes before the last, beyond the end, beyond 65535 bytes)
//!   drops the datagram. So does a first IPv6 fragment without all headers (RFC 7112), and a mix of ECN marks that RFC 3168 §5.3 forbids.
//! * A dropped datagram is remembered for another timeout, and all its fragments that arrive meanwhile are dropped.
//! * An atomic IPv6 fragment is whole by itself and meets no other fragment (RFC 6946).
//!
//! Invariants: [`Defragmenter::memory`] never exceeds [`DefragSettings::memory`]; every key in `datagrams` is in `deadlines` exactly once.
//!
//! Maps are ordered, not hashed: an attacker chooses every key, and the table is small.

mod datagram;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use datagram::{Arrival, Datagram};
use pinhole_wire::{Address, IpVersion, Packet, Protocol, Time};

/// Limits of reassembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefragSettings {
    /// Most bytes that all incomplete datagrams together may occupy, bookkeeping included. At this limit the datagrams nearest
    /// their end are evicted. Linux: `nf_conntrack_frag6_high_thresh`, 4 MiB.
    pub memory: usize,
    /// Most fragments of one datagram. 128 are enough for the longest datagram over links with an MTU of 576 bytes.
    pub max_fragments: u16,
    /// Least data bytes of a fragment that is not the last. Linux takes the protocol's own minimum, 8.
    pub smallest_fragment: u16,
    /// Seconds that an incomplete IPv4 datagram waits for its fragments.
    pub timeout_v4: u32,
    /// Seconds that an incomplete IPv6 datagram waits for its fragments.
    pub timeout_v6: u32,
}

impl Default for DefragSettings {
    fn default() -> Self {
        Self { memory: 4 << 20, max_fragments: 128, smallest_fragment: 8, timeout_v4: 30, timeout_v6: 60 }
    }
}

/// Why a fragment was dropped. All but [`Duplicate`](Self::Duplicate) drop its datagram as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DefragDrop {
    /// It repeats a fragment that is held.
    #[error("duplicate")]
    Duplicate,
    /// Its datagram was dropped because of an earlier fragment.
    #[error("its datagram was dropped before")]
    DatagramDropped,
    /// It overlaps a fragment that is held.
    #[error("overlaps another fragment")]
    Overlap,
    /// It holds no data.
    #[error("empty")]
    Empty,
    /// It is shorter than [`DefragSettings::smallest_fragment`].
    #[error("too short")]
    Tiny,
    /// It is not the last one, and its length is not a multiple of eight.
    #[error("length is not a multiple of eight")]
    Ragged,
    /// The datagram would be longer than 65535 bytes.
    #[error("datagram would exceed 65535 bytes")]
    Oversize,
    /// Fragments disagree about the end of the datagram.
    #[error("fragments disagree about the end of the datagram")]
    End,
    /// More than [`DefragSettings::max_fragments`].
    #[error("too many fragments")]
    TooMany,
    /// The first IPv6 fragment lacks some header (RFC 7112).
    #[error("first fragment lacks headers")]
    Headers,
    /// ECN-capable and not ECN-capable fragments, one of them marked (RFC 3168 §5.3).
    #[error("fragments disagree about ECN")]
    Ecn,
    /// The capture holds only a part of it.
    #[error("cut short by the capture")]
    Truncated,
    /// The datagram alone would need more than [`DefragSettings::memory`].
    #[error("no memory for its datagram")]
    Memory,
}

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It waits for the others.
    Held,
    /// It was the last one missing: the whole datagram, from its IP header on. The header is that of the first fragment, made good
    /// for the whole: lengths, fragment fields or header, IPv4 header checksum.
    Complete(&'a [u8]),
    /// It is dropped.
    Dropped(DefragDrop),
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefragStatistics {
    /// Fragments pushed.
    pub fragments: u64,
    /// Datagrams completed.
    pub completed: u64,
    /// Duplicate fragments ignored.
    pub duplicates: u64,
    /// Datagrams dropped for what one of their fragments was.
    pub dropped: u64,
    /// Datagrams whose time was up.
    pub expired: u64,
    /// Datagrams evicted to make room.
    pub evicted: u64,
}

/// Which datagram a fragment belongs to (RFC 791 §3.2; RFC 8200 §4.5 leaves the protocol out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    identification: u32,
    source: Address,
    destination: Address,
    version: IpVersion,
    protocol: Protocol,
    zone: u16,
}

/// Position in the order of deadlines; the serial number tells equal times apart.
type Deadline = (Time, u64);

/// Work that one call of [`Defragmenter::advance`] may do, so that it never stalls a batch.
const EXPIRY_PER_CALL: usize = 256;

/// Puts fragments together. Sans-IO: time comes in with the packets.
#[derive(Debug)]
pub struct Defragmenter {
    settings: DefragSettings,
    datagrams: BTreeMap<Key, Datagram>,
    deadlines: BTreeMap<Deadline, Key>,
    serial: u64,
    memory: usize,
    statistics: DefragStatistics,
    /// The last datagram completed.
    output: Vec<u8>,
}

impl Defragmenter {
    /// An empty one.
    pub const fn new(settings: DefragSettings) -> Self {
        Self {
            settings,
            datagrams: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            serial: 0,
            memory: 0,
            statistics: DefragStatistics {
                fragments: 0,
                completed: 0,
                duplicates: 0,
                dropped: 0,
                expired: 0,
                evicted: 0,
            },
            output: Vec::new(),
        }
    }

    /// Takes a fragment: `packet` as [`Packet::parse`] read it from `bytes`. A packet that is no fragment is complete as it is.
    pub fn push(&mut self, now: Time, packet: &Packet, bytes: &[u8], zone: u16) -> Outcome<'_> {
        self.advance(now);
        let Some(arrival) = Arrival::of(packet, bytes) else {
            self.output.clear();
            self.output.extend_from_slice(packet.datagram_bytes(bytes));
            return Outcome::Complete(&self.output);
        };
        self.statistics.fragments += 1;
        if arrival.is_atomic() {
            return self.pass_atomic(&arrival);
        }
        match self.gather(now, packet, bytes, zone, &arrival) {
            Ok(true) => Outcome::Complete(&self.output),
            Ok(false) => Outcome::Held,
            Err(why) => Outcome::Dropped(why),
        }
    }

    /// Gives up datagrams whose time is up; a bounded number in each call.
    pub fn advance(&mut self, now: Time) {
        for _ in 0..EXPIRY_PER_CALL {
            match self.deadlines.first_key_value() {
                Some((&(deadline, _), &key)) if deadline <= now => self.expire(&key),
                _ => break,
            }
        }
    }

    /// When [`advance`](Self::advance) next has something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// Counters.
    pub const fn statistics(&self) -> &DefragStatistics {
        &self.statistics
    }

    /// Bytes that incomplete and remembered datagrams occupy.
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// Incomplete and remembered datagrams.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    fn pass_atomic(&mut self, arrival: &Arrival<'_>) -> Outcome<'_> {
        arrival.write_atomic(&mut self.output);
        self.statistics.completed += 1;
        Outcome::Complete(&self.output)
    }

    /// Adds a fragment to its datagram. True if the datagram is now complete and in `output`.
    fn gather(
        &mut self,
        now: Time,
        packet: &Packet,
        bytes: &[u8],
        zone: u16,
        arrival: &Arrival<'_>,
    ) -> Result<bool, DefragDrop> {
        let key = Key::of(packet, zone);
        if self.datagrams.get(&key).is_some_and(|datagram| datagram.deadline.0 <= now) {
            self.expire(&key);
        }
        if self.datagrams.get(&key).is_some_and(Datagram::is_dropped) {
            return Err(DefragDrop::DatagramDropped);
        }
        let checked = arrival.check(&self.settings, packet, bytes);
        match checked.and_then(|()| self.insert(now, key, arrival)) {
            Err(DefragDrop::Duplicate) => {
                self.statistics.duplicates += 1;
                Err(DefragDrop::Duplicate)
            }
            Err(why) => {
                self.remember_dropped(now, key);
                Err(why)
            }
            Ok(complete) => Ok(complete),
        }
    }

    fn insert(&mut self, now: Time, key: Key, arrival: &Arrival<'_>) -> Result<bool, DefragDrop> {
        if !self.datagrams.contains_key(&key) {
            self.enter(now, key, Datagram::default());
        }
        let Some(datagram) = self.datagrams.get_mut(&key) else { return Ok(false) };
        let before = datagram.memory();
        let result = datagram.insert(arrival, &self.settings);
        self.memory = self.memory + datagram.memory() - before;
        result?;
        if datagram.is_complete() {
            datagram.write_whole(key.version, &mut self.output)?;
            self.remove(&key);
            self.statistics.completed += 1;
            return Ok(true);
        }
        self.make_room(&key)?;
        Ok(false)
    }

    /// Replaces the datagram by a note that it was dropped.
    fn remember_dropped(&mut self, now: Time, key: Key) {
        self.statistics.dropped += 1;
        self.remove(&key);
        self.enter(now, key, Datagram::dropped());
        if self.make_room(&key).is_err() {
            self.remove(&key);
        }
    }

    fn enter(&mut self, now: Time, key: Key, mut datagram: Datagram) {
        let timeout = match key.version {
            IpVersion::V4 => self.settings.timeout_v4,
            IpVersion::V6 => self.settings.timeout_v6,
        };
        self.serial += 1;
        datagram.deadline = (now.plus_seconds(u64::from(timeout)), self.serial);
        self.memory += datagram.memory();
        self.deadlines.insert(datagram.deadline, key);
        self.datagrams.insert(key, datagram);
    }

    fn expire(&mut self, key: &Key) {
        if self.remove(key).is_some_and(|datagram| !datagram.is_dropped()) {
            self.statistics.expired += 1;
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.deadlines.remove(&datagram.deadline);
        self.memory -= datagram.memory();
        Some(datagram)
    }

    /// Evicts datagrams other than `keep`, those nearest their end first, until memory is below its limit.
    fn make_room(&mut self, keep: &Key) -> Result<(), DefragDrop> {
        while self.memory > self.settings.memory {
            let Some(victim) = self.deadlines.values().find(|key| *key != keep).copied() else {
                return Err(DefragDrop::Memory);
            };
            self.remove(&victim);
            self.statistics.evicted += 1;
        }
        Ok(())
    }
}

impl Key {
    fn of(packet: &Packet, zone: u16) -> Self {
        let protocol = match packet.version {
            IpVersion::V4 => packet.protocol,
            IpVersion::V6 => Protocol::default(),
        };
        Self {
            identification: packet.fragment.map_or(0, |fragment| fragment.identification),
            source: packet.source,
            destination: packet.destination,
            version: packet.version,
            protocol,
            zone,
        }
    }
}
