//! Netlink's netfilter family: sockets, messages, attributes (`linux/netlink.h`, `linux/netfilter/nfnetlink.h`).

pub(super) use crate::netlink::Attributes;
use crate::netlink::Messages;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, recv, send, socket_with, sockopt};

/// Length of `struct nfgenmsg`, behind every header.
const GENERIC: usize = 4;

/// `NLMSG_ERROR`: the answer to a request, zero for success.
const ERROR: u16 = 2;

/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST_WITH_ACK: u16 = 0x01 | 0x04;

/// Room for unread messages in the kernel.
const RECEIVE_BUFFER: usize = 16 << 20;

/// More than the largest message of the subsystems that are read here.
const MESSAGE_BUFFER: usize = 1 << 18;

/// A socket of the netfilter family.
#[derive(Debug)]
pub(super) struct Socket {
    socket: OwnedFd,
    buffer: Box<[u8]>,
}

impl Socket {
    /// Opens a socket that belongs to these multicast groups (a mask, bit 0 for group 1).
    pub(super) fn open(groups: u32) -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(netlink::NETFILTER),
        )?;
        sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)?;
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self { socket, buffer: vec![0; MESSAGE_BUFFER].into_boxed_slice() })
    }

    /// Sends a request and waits for its acknowledgement, which the kernel sends before the call that sends returns.
    pub(super) fn request(&mut self, request: &Request) -> io::Result<()> {
        send(&self.socket, &request.finish(), SendFlags::empty())?;
        let mut outcome = Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        self.receive(|message| {
            if message.kind == ERROR {
                // `struct nlmsgerr` starts with the negative error number, where `nfgenmsg` would be.
                outcome = match i32::from_ne_bytes(message.generic) {
                    0 => Ok(()),
                    code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
                };
            }
        })?;
        outcome
    }

    /// Hands all waiting messages to `each`.
    ///
    /// # Errors
    /// `ENOBUFS` if the kernel had to drop messages because nobody read them in time.
    pub(super) fn receive(&mut self, mut each: impl FnMut(Message<'_>)) -> io::Result<()> {
        loop {
            let length = match recv(&self.socket, &mut *self.buffer, RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            let messages = Messages(self.buffer.get(..length).unwrap_or_default());
            messages.filter_map(Message::read).for_each(&mut each);
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A message of the netfilter family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// Subsystem in the upper byte, the subsystem's message in the lower.
    pub(super) kind: u16,
    /// `struct nfgenmsg`: family, version, resource.
    pub(super) generic: [u8; GENERIC],
    pub(super) attributes: Attributes<'a>,
}

impl<'a> Message<'a> {
    fn read((kind, body): (u16, &'a [u8])) -> Option<Self> {
        let (generic, attributes) = body.split_first_chunk()?;
        Some(Self { kind, generic: *generic, attributes: Attributes(attributes) })
    }
}

/// Numbers of the netfilter family are in network byte order.
impl Attributes<'_> {
    /// A number in network byte order.
    pub(super) fn u32(self, kind: u16) -> Option<u32> {
        self.value(kind)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// A number in network byte order.
    pub(super) fn u16(self, kind: u16) -> Option<u16> {
        self.value(kind)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }
}

/// A request under construction.
pub(super) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request of this kind about this resource.
    pub(super) fn new(kind: u16, resource: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(REQUEST_WITH_ACK.to_ne_bytes());
        // Sequence number and port: one request at a time needs neither.
        bytes.extend([0; 8]);
        // Family unspecified, version 0.
        bytes.extend([0, 0]);
        bytes.extend(resource.to_be_bytes());
        Self { bytes }
    }

    /// Adds an attribute.
    #[must_use]
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend((4 + value.len() as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// The whole message, its length filled in.
    pub(super) fn finish(&self) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        let body = self.bytes.get(4..).unwrap_or_default();
        [&length.to_ne_bytes(), body].concat()
    }
}
