//! Conns whose packets somebody else carries for a while (netfilter's flow offload), and what is to be known of them again.
//!
//! The tracker is not told of each such packet. Whoever carries them counts them, keeps the windows of TCP, and tells from time to time
//! ([`Tracker::credit`]), so that the conn lives on; at the latest before a packet of the conn is to be tracked that is no plain data.

use super::Tracker;
use crate::l4::{L4, tcp::TcpWindow};
use crate::timeouts::Timeout;
use crate::{ConnId, Counters, Status, Tuple};
use pinhole_wire::Time;

/// What is to be known of a conn to carry its packets.
#[derive(Clone, Copy, Debug)]
pub struct Carriage {
    /// Tuple of the original direction.
    pub original: Tuple,
    /// Tuple of the reply direction; not the inverse of the other one if the conn is translated.
    pub reply: Tuple,
    /// Of TCP: what is known of both ends, original and reply.
    pub windows: Option<[TcpWindow; 2]>,
}

/// What was carried since the last time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried {
    /// Packets and bytes, original and reply.
    pub counters: [Counters; 2],
    /// When the last packet passed.
    pub last: Time,
    /// Of TCP: what has become of the windows.
    pub windows: Option<[TcpWindow; 2]>,
}

impl Tracker {
    /// What is to be known to carry a conn's packets. `None`: more is to be done for them than to translate and count them, and (TCP) to hold them to the
    /// windows; or it is not a conn of TCP or UDP with packets both ways or one.
    pub fn carriage(&self, id: ConnId) -> Option<Carriage> {
        const NEEDS_MORE: Status = Status::DYING
            .union(Status::SEQ_ADJUST)
            .union(Status::FIXED_TIMEOUT)
            .union(Status::TEMPLATE)
            .union(Status::HELPER);
        let index = self.resolve(id)?;
        let entry = &self.conns[index];
        let status = entry.status();
        if !status.contains(Status::CONFIRMED) || status.intersects(NEEDS_MORE) || entry.key().zone() != 0 {
            return None;
        }
        if entry.cold.is_some_and(|number| !self.cold.is_left_alone(number)) {
            return None;
        }
        let windows = match &entry.l4 {
            L4::Tcp(tcp) => Some(tcp.windows()?),
            L4::Udp(_) => None,
            _ => return None,
        };
        Some(Carriage { original: entry.original().tuple(), reply: self.reply_key(index).tuple(), windows })
    }

    /// Says of a conn whether somebody carries its packets.
    pub fn set_offloaded(&mut self, id: ConnId, offloaded: bool) {
        if let Some(entry) = self.entry_mut(id) {
            entry.set_offloaded(offloaded);
        }
    }

    /// Enters what was carried of a conn. `false`: there is no such conn any more.
    pub fn credit(&mut self, now: Time, id: ConnId, carried: &Carried) -> bool {
        let Some(index) = self.resolve(id) else { return false };
        let timeouts = &self.settings.timeouts;
        let entry = &mut self.conns[index];
        if entry.status().contains(Status::DYING) {
            return false;
        }
        for (counters, more) in entry.counters.iter_mut().zip(carried.counters) {
            counters.packets += more.packets;
            counters.bytes += more.bytes;
        }
        let (answered, mut assures) = (entry.status().contains(Status::SEEN_REPLY), entry.is_assured());
        let was_assured = assures;
        let seconds = match (&mut entry.l4, carried.windows) {
            (L4::Tcp(tcp), Some(windows)) => {
                tcp.take_windows(windows);
                timeouts[tcp.state().timeout()]
            }
            (L4::Udp(udp), _) if answered => {
                let (seconds, stream) = udp.go_on(carried.last, timeouts);
                assures |= stream;
                seconds
            }
            (L4::Udp(_), _) => timeouts[Timeout::UdpUnreplied],
            _ => return true,
        };
        let entry = &mut self.conns[index];
        entry.deadline = entry.deadline.max(carried.last.plus_seconds(u64::from(seconds)));
        if assures && !was_assured {
            self.note(now, index, Status::ASSURED);
        }
        true
    }
}
