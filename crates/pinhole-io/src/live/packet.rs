//! A network interface as a port: `AF_PACKET` with `PACKET_VNET_HDR` (packet(7)).
//!
//! The socket sees what comes in by the interface, whoever it is for (promiscuous), and not what the host sends by it; what it sends goes past
//! queueing disciplines, and bears a mark by which [`super::guard`] knows it. That the host's own stack sees the same frames is for the guard to prevent.

use super::flowtable::Flowtable;
use super::guard::MARK;
use super::{Batch, Port, system};
use pinhole_wire::Time;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of frames that may wait in the kernel.
const RECEIVE_BUFFER: usize = 32 << 20;

/// Which frames a port takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All frames, as a bridge does.
    Everything,
    /// Those for the interface's own address, for groups, and for all.
    Own,
}

/// An interface.
#[derive(Debug)]
pub struct PacketPort {
    name: String,
    socket: OwnedFd,
    overruns: u64,
}

impl PacketPort {
    /// Opens the interface of this name. It takes `CAP_NET_RAW` and `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// There is no such interface, a privilege is missing, or the kernel is too old for an option (4.20 has them all).
    pub fn open(name: &str, reach: Reach) -> io::Result<Self> {
        Self::open_after(name, reach, |_| Ok(()))
    }

    /// As [`open`](Self::open), but it takes nothing until its filter is taken away.
    pub(super) fn open_shut(name: &str, reach: Reach) -> io::Result<Self> {
        Self::open_after(name, reach, system::attach_shut_filter)
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn open_after(
        name: &str,
        reach: Reach,
        prepare: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<Self> {
        // Of no protocol, so that it receives nothing before it is bound.
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        let index = netdevice::name_to_index(&socket, name)?;
        let fd = socket.as_fd();
        for option in [
            libc::PACKET_VNET_HDR,
            libc::PACKET_AUXDATA,
            libc::PACKET_IGNORE_OUTGOING,
            libc::PACKET_QDISC_BYPASS,
        ] {
            system::enable_packet_option(fd, option)?;
        }
        system::mark(fd, MARK)?;
        // It takes CAP_NET_ADMIN; with less a burst is lost sooner.
        let _ = set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER);
        if reach == Reach::Everything {
            system::make_promiscuous(fd, index)?;
        }
        prepare(fd)?;
        system::bind_to_interface(fd, index)?;
        Ok(Self { name: name.to_owned(), socket, overruns: 0 })
    }

    /// Leaves what a flowtable carries to it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn leave_to(&self, flowtable: &Flowtable) -> io::Result<()> {
        flowtable.filter(self.socket.as_fd())
    }

    /// The same port, known to its gateway by another name than its interface's.
    #[must_use]
    pub fn named(self, name: String) -> Self {
        Self { name, ..self }
    }
}

impl Port for PacketPort {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, _now: Time, batch: &mut Batch) -> io::Result<()> {
        while !batch.is_full() {
            let count = match system::receive_frames(self.socket.as_fd(), batch.spare()) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            batch.filled(count);
            if count < system::AT_ONCE {
                return Ok(());
            }
        }
        Ok(())
    }

    fn send(&mut self, _now: Time, batch: &Batch, which: &[u16]) -> usize {
        let mut lost = 0;
        let mut rest = which;
        while !rest.is_empty() {
            let sent = match system::send_frames(self.socket.as_fd(), batch.frames(), rest) {
                Ok(sent) if sent > 0 => sent,
                // The first of them cannot be sent: too long for the interface, no room in its queue, or the link is down.
                _ => {
                    lost += 1;
                    1
                }
            };
            rest = rest.get(sent..).unwrap_or_default();
        }
        lost
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn overruns(&mut self) -> u64 {
        self.overruns += u64::from(system::packet_drops(self.socket.as_fd()).unwrap_or(0));
        self.overruns
    }
}
