//! A port whose other end is in memory.

use super::{Batch, Offload, Port};
use pinhole_wire::Time;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// A frame on its way.
pub type Carried = (Vec<u8>, Offload);

type Lane = Rc<RefCell<VecDeque<Carried>>>;

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
        self.inbound.borrow_mut().push_back((frame.to_vec(), offload));
    }

    /// The oldest frame that the port sent.
    pub fn receive(&self) -> Option<Carried> {
        self.outbound.borrow_mut().pop_front()
    }
}

impl Port for MemoryPort {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, _now: Time, batch: &mut Batch) -> io::Result<()> {
        let mut lane = self.inbound.borrow_mut();
        while !batch.is_full()
            && let Some((bytes, offload)) = lane.pop_front()
        {
            batch.push(&bytes, offload);
        }
        Ok(())
    }

    fn send(&mut self, _now: Time, batch: &Batch, which: &[u16]) -> usize {
        let frames = which.iter().filter_map(|&index| batch.frames().get(usize::from(index)));
        self.outbound.borrow_mut().extend(frames.map(|frame| (frame.bytes().to_vec(), frame.offload)));
        0
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
