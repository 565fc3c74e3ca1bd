//! What a datapath tells: each frame's outcome, each event, and counters.

use pinhole_engine::{Engine, Event, Frame, Outcome};

/// Things that are due, ended at a time.
pub(crate) const EXPIRY: usize = 1024;

/// What happens, for whoever wants to know: called in the order of the frames.
pub trait Observer {
    /// A frame was judged. Its events come with those of its batch.
    fn packet(&mut self, engine: &Engine, frame: &Frame<'_>, outcome: &Outcome);

    /// Something changed.
    fn event(&mut self, engine: &Engine, event: Event);
}

/// Counters of one port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStatistics {
    /// Frames that came in.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames sent.
    pub sent: u64,
    /// Frames that could not be sent.
    pub lost: u64,
}

/// Counters of a datapath, beside the engine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The ports, in their order.
    pub ports: Vec<PortStatistics>,
    /// Frames that link policy passed without asking the rules.
    pub link_passed: u64,
    /// Frames that link policy dropped.
    pub link_dropped: u64,
    /// Answers to packets that were rejected, or could not be passed on.
    pub answers: u64,
    /// Answers not given because there were too many.
    pub answers_suppressed: u64,
    /// Fragments given up before their datagram was complete.
    pub fragments_lost: u64,
    /// Packets dropped while the address of their next hop was unknown.
    pub unresolved: u64,
    /// Packets that the kernel carried, as far as it was asked, and their bytes. They are not among the ports' frames.
    pub carried_packets: u64,
    /// Bytes of their datagrams.
    pub carried_bytes: u64,
}

impl Statistics {
    /// Of so many ports.
    pub(crate) fn new(ports: usize) -> Self {
        Self { ports: vec![PortStatistics::default(); ports], ..Self::default() }
    }

    pub(crate) fn count_received(&mut self, side: usize, frames: usize, bytes: u64) {
        if let Some(port) = self.ports.get_mut(side) {
            port.received += frames as u64;
            port.received_bytes += bytes;
        }
    }

    pub(crate) fn count_sent(&mut self, side: usize, tried: usize, lost: usize) {
        if let Some(port) = self.ports.get_mut(side) {
            port.sent += tried.saturating_sub(lost) as u64;
            port.lost += lost as u64;
        }
    }
}
