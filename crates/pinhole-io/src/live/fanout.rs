//! Several sockets of one interface, among which the kernel spreads what comes in, by a program (packet(7), `PACKET_FANOUT_CBPF`).
//!
//! Life cycle: the sockets are opened shut, by a filter that takes nothing; join the group one by one, in the order of their numbers; the program is set; they are
//! opened. So no frame comes to two of them, nor to one that is not the program's choice. The program can be exchanged at any time.

use super::packet::{PacketPort, Reach};
use super::system;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// An instruction of classic BPF (bpf(4)): operation, jumps if true and if false, operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What is done.
    pub code: u16,
    /// How many instructions are left out if a comparison holds.
    pub if_true: u8,
    /// And if it does not.
    pub if_false: u8,
    /// What it is done with.
    pub operand: u32,
}

/// A group of sockets, to be given another program.
#[derive(Debug)]
pub struct Fanout(OwnedFd);

impl Fanout {
    /// Spreads frames by this program from now on: it returns the number of a socket.
    ///
    /// # Errors
    /// The kernel refuses the program.
    pub fn spread_by(&self, program: &[Instruction]) -> io::Result<()> {
        system::program_fanout(self.0.as_fd(), program)
    }
}

/// Opens so many ports of the interface of this name.
///
/// # Errors
/// As [`PacketPort::open`]; the kernel refuses the program, or is older than 5.10.
pub fn open(
    name: &str,
    reach: Reach,
    count: usize,
    program: &[Instruction],
) -> io::Result<(Vec<PacketPort>, Fanout)> {
    let mut ports = Vec::with_capacity(count);
    let mut group = None;
    for _ in 0..count {
        let port = PacketPort::open_shut(name, reach)?;
        let socket = port.socket();
        match group {
            None => group = Some(system::begin_fanout(socket)?),
            Some(number) => system::join_fanout(socket, number)?,
        }
        ports.push(port);
    }
    let first = ports.first().ok_or_else(|| io::Error::other("no port is wanted"))?;
    let fanout = Fanout(first.socket().try_clone_to_owned()?);
    fanout.spread_by(program)?;
    ports.iter().try_for_each(|port| system::detach_filter(port.socket()))?;
    Ok((ports, fanout))
}
