//! Flows that the kernel carries by itself, from port to port, without a word to the gateway: netfilter's flowtable, made of two eBPF programs.
//!
//! A gateway that has judged the packets of a conn for a while, and would go on to accept each of them unread, enters its two flows here. From then on the
//! kernel rewrites and forwards them where they come in (`program`), counts them and keeps the windows of TCP; the gateway sees only what is not plain
//! data: the end of the conn, fragments, anything that does not fit. What was counted and learned is read back
//! ([`Carrier::state`]).
//!
//! Life cycle: opened before privileges are given up, as loading takes more of them than using does; its filter is given to each port's socket,
//! its carrier attached to each port's interface; flows come and go. When it is dropped, or the process dies, the kernel detaches the programs and the
//! guard holds what comes in.
//!
//! Invariants: a flow is entered after its state was written; a slot is given to another conn after both flows of the last one were removed.

mod assembler;
mod layout;
mod program;
mod system;
#[cfg(test)]
mod tests;

pub use layout::{Carried, Flow, FlowKey, FlowState, Translation, Window};

use layout::{flow, key, state};
use program::{Purpose, program};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use system::SharedArray;

/// Words of a state.
const WORDS: usize = state::SIZE / 8;

/// The two maps, and the programs that read them.
#[derive(Debug)]
pub struct Flowtable {
    flows: OwnedFd,
    states: SharedArray<WORDS>,
    filter: OwnedFd,
    carrier: OwnedFd,
    /// What holds the carrier to the interfaces.
    links: Vec<OwnedFd>,
    conns: u32,
}

impl Flowtable {
    /// Makes the maps, with room for so many conns, and loads the programs. It takes `CAP_BPF` and `CAP_NET_ADMIN` (or `CAP_SYS_ADMIN`).
    ///
    /// # Errors
    /// The kernel's: a privilege is missing, or it is older than 5.11. Processors of the other byte order are not supported.
    pub fn open(conns: u32) -> io::Result<Self> {
        if cfg!(target_endian = "big") {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this processor's byte order"));
        }
        let flows = system::hash(key::SIZE, flow::SIZE, conns.saturating_mul(2))?;
        let states = SharedArray::new(conns)?;
        let load = |purpose, kind| {
            system::load(kind, &program(purpose, flows.as_raw_fd(), states.map().as_raw_fd()))
        };
        let filter = load(Purpose::Filter, system::SOCKET_FILTER)?;
        let carrier = load(Purpose::Carrier, system::TRAFFIC_CONTROL)?;
        Ok(Self { flows, states, filter, carrier, links: Vec::new(), conns })
    }

    /// Keeps what will be carried from a packet socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn filter(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        system::attach_to_socket(self.filter.as_fd(), socket)
    }

    /// Begins to carry what comes in by this interface.
    ///
    /// # Errors
    /// The kernel's: it is older than 6.6.
    pub fn attach(&mut self, interface: u32) -> io::Result<()> {
        self.links.push(system::attach_to_ingress(self.carrier.as_fd(), interface)?);
        Ok(())
    }
}

/// The part of a flowtable that one of several routers fills: slots of its own.
#[derive(Debug)]
pub struct Part {
    table: Arc<Flowtable>,
    first: u32,
    count: u32,
}

impl Flowtable {
    /// Divides the table among so many routers.
    pub fn divided(self, parts: u32) -> Vec<Part> {
        let count = self.conns / parts.max(1);
        let table = Arc::new(self);
        (0..parts).map(|part| Part { table: table.clone(), first: part * count, count }).collect()
    }
}

impl Carrier for Part {
    fn capacity(&self) -> u32 {
        self.count
    }

    fn insert(&self, key: &FlowKey, flow: &Flow) -> io::Result<()> {
        self.table.insert(key, &Flow { slot: self.first + flow.slot, ..*flow })
    }

    fn remove(&self, key: &FlowKey) {
        self.table.remove(key);
    }

    fn state(&self, slot: u32) -> FlowState {
        self.table.state(self.first + slot)
    }

    fn set_state(&self, slot: u32, state: &FlowState) {
        self.table.set_state(self.first + slot, state);
    }

    fn clock(&self) -> u64 {
        self.table.clock()
    }
}

/// Something that carries flows: a [`Flowtable`], or what a test has in its place.
pub trait Carrier: Send {
    /// Conns for which there is room.
    fn capacity(&self) -> u32;

    /// Enters a flow.
    ///
    /// # Errors
    /// There is no room.
    fn insert(&self, key: &FlowKey, flow: &Flow) -> io::Result<()>;

    /// Removes a flow, if it is there.
    fn remove(&self, key: &FlowKey);

    /// The state of the conn in a slot.
    fn state(&self, slot: u32) -> FlowState;

    /// Makes this the state of a slot.
    fn set_state(&self, slot: u32, state: &FlowState);

    /// The time of the clock by which [`Carried::seen`] is told.
    fn clock(&self) -> u64;
}

impl Carrier for Flowtable {
    fn capacity(&self) -> u32 {
        self.conns
    }

    fn insert(&self, key: &FlowKey, flow: &Flow) -> io::Result<()> {
        system::update(self.flows.as_fd(), &key.0, &flow.bytes())
    }

    fn remove(&self, key: &FlowKey) {
        let _ = system::delete(self.flows.as_fd(), &key.0);
    }

    fn state(&self, slot: u32) -> FlowState {
        FlowState::of_words(self.states.read(slot as usize))
    }

    fn set_state(&self, slot: u32, state: &FlowState) {
        self.states.write(slot as usize, state.words());
    }

    fn clock(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
    }
}
