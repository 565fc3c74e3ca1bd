//! A port whose other end is in memory.

use super::{Batch, Offload, Port};
use pinhole_wire::Time;
use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A frame on its way.
pub type Carried = (Vec<u8>, Offload);

type Lane = Arc<Mutex<VecDeque<Carried>>>;

fn open(lane: &Lane) -> MutexGuard<'_, VecDeque<Carried>> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port of this name, and the far end of its wire.
pub fn port(name: &str) -> (MemoryPort, Wire) {
    let (inbound, outbound) = (Lane::default(), Lane::default());
    let wire = Wire { inbound: inbound.clone(), outbound: outbound.clone() };
    (MemoryPort { name: name.to_owned(), inbound, outbound }, wire)
}

/// A port without a network.
#[derive(Debug)]
pub struct MemoryPort {
    name: String,
    inbound: Lane,
    outbound: Lane,
}

/// The far end of a [`MemoryPort`]'s wire.
#[derive(Clone, Debug)]
pub struct Wire {
    inbound: Lane,
    outbound: Lane,
}

impl Wire {
    /// Sends a whole frame towards the port.
    pub fn send(&self, frame: &[u8]) {
        self.send_offloaded(frame, Offload::NONE);
    }

    /// Sends a frame of which something is left to hardware.
    pub fn send_offloaded(&self, frame: &[u8], offload: Offload) {
        open(&self.inbound).push_back((frame.to_vec(), offload));
    }

    /// The oldest frame that the port sent.
    pub fn receive(&self) -> Option<Carried> {
        open(&self.outbound).pop_front()
    }
}

impl Port for MemoryPort {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, _now: Time, batch: &mut Batch) -> io::Result<()> {
        let mut lane = open(&self.inbound);
        while !batch.is_full()
            && let Some((bytes, offload)) = lane.pop_front()
        {
            batch.push(&bytes, offload);
        }
        Ok(())
    }

    fn send(&mut self, _now: Time, batch: &Batch, which: &[u16]) -> usize {
        let frames = which.iter().filter_map(|&index| batch.frames().get(usize::from(index)));
        open(&self.outbound).extend(frames.map(|frame| (frame.bytes().to_vec(), frame.offload)));
        0
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
