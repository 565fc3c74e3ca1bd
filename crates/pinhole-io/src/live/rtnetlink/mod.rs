//! What the kernel knows of the network: interfaces, addresses, routes and neighbours, through rtnetlink(7).
//!
//! * [`read`]: messages as data; every byte of them is looked at with care, though only the kernel sends them.
//! * [`RouteSocket`]: dumps, notifications, and the two requests that a router makes: to resolve a neighbour, and to make or remove pairs
//!   of devices.
//!
//! Life cycle: a [`RouteSocket`] is opened and subscribed before the first [`RouteSocket::dump`], so that no change falls between the two;
//! [`RouteSocket::changes`] then tells what changed. When the kernel had to drop notifications everything is to be read again.

pub mod read;
#[cfg(test)]
mod tests;

use read::{Change, InterfaceAddress, Link, Neighbour, Route};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, recv, send, socket_with, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// `RTMGRP_LINK`, `RTMGRP_NEIGH`, and addresses and routes of both families: bit 0 for group 1.
const GROUPS: u32 = 1 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10;

/// `RTM_*` requests.
const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const NEW_NEIGHBOUR: u16 = 28;
const DUMPS: [u16; 4] = [18, 22, 26, 30];

/// `NLM_F_*`.
const REQUEST: u16 = 0x01;
const ACKNOWLEDGE: u16 = 0x04;
const DUMP: u16 = 0x300;
const CREATE: u16 = 0x400;
const EXCLUSIVE: u16 = 0x200;

/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;

const FAMILY_INET: u8 = 2;
const FAMILY_INET6: u8 = 10;

/// Room for unread notifications in the kernel, and for one datagram of them.
const RECEIVE_BUFFER: usize = 4 << 20;
const MESSAGE_BUFFER: usize = 1 << 16;

/// All of it at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Interfaces.
    pub links: Vec<Link>,
    /// Their addresses, as the kernel orders them: the first of an interface is its primary one.
    pub addresses: Vec<InterfaceAddress>,
    /// Routes of all tables.
    pub routes: Vec<Route>,
    /// Neighbours.
    pub neighbours: Vec<Neighbour>,
}

impl Snapshot {
    /// The interface of this name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    fn add(&mut self, change: Change) {
        match change {
            Change::Link(link) => self.links.push(link),
            Change::Address(address) => self.addresses.push(address),
            Change::Route(route) => self.routes.push(route),
            Change::Neighbour(neighbour) => self.neighbours.push(neighbour),
            Change::Layout => {}
        }
    }
}

/// What has happened since somebody last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Interfaces, addresses or routes changed, or notifications were lost: a new [`Snapshot`] is to be taken.
    pub layout: bool,
    /// Neighbours that changed.
    pub neighbours: Vec<Neighbour>,
}

/// A socket of the route family. Nothing here waits for anything but the kernel's own answer.
#[derive(Debug)]
pub struct RouteSocket {
    notifications: OwnedFd,
    requests: OwnedFd,
    buffer: Box<[u8]>,
}

impl RouteSocket {
    /// Opens and subscribes.
    ///
    /// # Errors
    /// The system's.
    pub fn open() -> io::Result<Self> {
        let notifications = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, GROUPS)?;
        // It takes CAP_NET_ADMIN; with less, a storm of changes is read again from the start sooner.
        let _ = sockopt::set_socket_recv_buffer_size_force(&notifications, RECEIVE_BUFFER);
        let requests = socket(SocketFlags::CLOEXEC, 0)?;
        Ok(Self { notifications, requests, buffer: vec![0; MESSAGE_BUFFER].into_boxed_slice() })
    }

    /// Reads everything.
    ///
    /// # Errors
    /// The system's.
    pub fn dump(&mut self) -> io::Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for kind in DUMPS {
            send(&self.requests, &Message::new(kind, REQUEST | DUMP, &[0; 16]).finish(), SendFlags::empty())?;
            self.receive_dump(&mut snapshot)?;
        }
        Ok(snapshot)
    }

    fn receive_dump(&mut self, snapshot: &mut Snapshot) -> io::Result<()> {
        loop {
            let length = self.receive_answer()?;
            let datagram = self.buffer.get(..length).unwrap_or_default();
            let mut outcome = None;
            read::messages(datagram, |kind, body| match kind {
                DONE => outcome = Some(Ok(())),
                ERROR => outcome = Some(error(body)),
                _ => {
                    if let Some(change) = read::message(kind, body) {
                        snapshot.add(change);
                    }
                }
            });
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// What was notified since the last call.
    ///
    /// # Errors
    /// The system's.
    pub fn changes(&mut self) -> io::Result<News> {
        let mut news = News::default();
        loop {
            let length = match recv(&self.notifications, &mut *self.buffer, RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(rustix::io::Errno::AGAIN) => return Ok(news),
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::NOBUFS) => {
                    news.layout = true;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let datagram = self.buffer.get(..length).unwrap_or_default();
            read::messages(datagram, |kind, body| match read::message(kind, body) {
                Some(Change::Neighbour(neighbour)) => news.neighbours.push(neighbour),
                Some(_) => news.layout = true,
                None => {}
            });
        }
    }

    /// Asks the kernel to find out the hardware address of a neighbour, or whether the one that it knows still holds. The answer is a
    /// notification.
    ///
    /// # Errors
    /// The kernel's.
    pub fn resolve(&mut self, interface: u32, address: IpAddr) -> io::Result<()> {
        const DESTINATION: u16 = 1;
        /// `NTF_USE`: as if a packet were sent to it.
        const USE: u8 = 1;
        let family = if address.is_ipv4() { FAMILY_INET } else { FAMILY_INET6 };
        let [i0, i1, i2, i3] = interface.to_ne_bytes();
        // `struct ndmsg` (`linux/neighbour.h`): family, padding, interface, state, flags, type.
        let header = [family, 0, 0, 0, i0, i1, i2, i3, 0, 0, USE, 0];
        let message = Message::new(NEW_NEIGHBOUR, REQUEST | ACKNOWLEDGE | CREATE, &header);
        let message = match address {
            IpAddr::V4(ip) => message.with(DESTINATION, &ip.octets()),
            IpAddr::V6(ip) => message.with(DESTINATION, &ip.octets()),
        };
        self.request(&message)
    }

    /// Makes a pair of virtual Ethernet devices, wired to each other (veth(4)), still down. Neither resolves neighbours or joins groups.
    ///
    /// # Errors
    /// The kernel's: there is such a device, or it knows no such devices.
    pub fn add_pair(&mut self, one: &str, other: &str, mtu: u32) -> io::Result<()> {
        const PEER: u16 = 1;
        const KIND: u16 = 1;
        const DATA: u16 = 2;
        const LINK_INFO: u16 = 18;
        let side = |name: &str| {
            let mut attributes = attribute(IFLA_NAME, &zero_terminated(name));
            attributes.extend(attribute(IFLA_MTU, &mtu.to_ne_bytes()));
            attributes
        };
        let peer = attribute(PEER, &[&interface_header(QUIET)[..], &side(other)].concat());
        let info = [attribute(KIND, b"veth\0"), attribute(DATA, &peer)].concat();
        let flags = REQUEST | ACKNOWLEDGE | CREATE | EXCLUSIVE;
        let mut message = Message::new(NEW_LINK, flags, &interface_header(QUIET));
        message.bytes.extend(side(one));
        self.request(&message.with(LINK_INFO, &info))
    }

    /// Sets a device up.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_up(&mut self, name: &str) -> io::Result<()> {
        let message = Message::new(NEW_LINK, REQUEST | ACKNOWLEDGE, &interface_header((UP, UP)));
        self.request(&message.with(IFLA_NAME, &zero_terminated(name)))
    }

    /// Gives a device an IPv4 address that is of no use beyond this host.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_host_address(&mut self, interface: u32, address: Ipv4Addr) -> io::Result<()> {
        /// `RT_SCOPE_HOST`.
        const HOST: u8 = 254;
        const ADDRESS: u16 = 1;
        const LOCAL: u16 = 2;
        let [i0, i1, i2, i3] = interface.to_ne_bytes();
        // `struct ifaddrmsg`: family, prefix length, flags, scope, index.
        let header = [FAMILY_INET, 32, 0, HOST, i0, i1, i2, i3];
        let message = Message::new(NEW_ADDRESS, REQUEST | ACKNOWLEDGE | CREATE, &header);
        self.request(&message.with(LOCAL, &address.octets()).with(ADDRESS, &address.octets()))
    }

    /// Removes a device; with one of a pair the other goes too.
    ///
    /// # Errors
    /// The kernel's, also if there is none.
    pub fn remove_link(&mut self, name: &str) -> io::Result<()> {
        let message = Message::new(DELETE_LINK, REQUEST | ACKNOWLEDGE, &[0; 16]);
        self.request(&message.with(IFLA_NAME, &zero_terminated(name)))
    }

    fn request(&mut self, message: &Message) -> io::Result<()> {
        send(&self.requests, &message.finish(), SendFlags::empty())?;
        loop {
            let length = self.receive_answer()?;
            let mut outcome = None;
            read::messages(self.buffer.get(..length).unwrap_or_default(), |kind, body| {
                if kind == ERROR {
                    outcome = Some(error(body));
                }
            });
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    fn receive_answer(&mut self) -> io::Result<usize> {
        loop {
            match recv(&self.requests, &mut *self.buffer, RecvFlags::empty()) {
                Ok((length, _)) => return Ok(length),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// To be waited on for changes.
impl AsFd for RouteSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifications.as_fd()
    }
}

fn socket(flags: SocketFlags, groups: u32) -> io::Result<OwnedFd> {
    // The route family is protocol 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// `struct nlmsgerr` starts with the negative error number, zero for success.
fn error(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

const IFLA_NAME: u16 = 3;
const IFLA_MTU: u16 = 4;

/// `IFF_*` flags, and which of them are to be changed (`linux/if.h`).
const UP: u32 = 1;
const NO_ARP: u32 = 1 << 7;
const MULTICAST: u32 = 1 << 12;
const QUIET: (u32, u32) = (NO_ARP, NO_ARP | MULTICAST);

/// `struct ifinfomsg` of a device that is found by its name.
fn interface_header((flags, changed): (u32, u32)) -> [u8; 16] {
    let mut header = [0; 16];
    let fields = [flags, changed].map(u32::to_ne_bytes);
    header.iter_mut().skip(8).zip(fields.as_flattened()).for_each(|(place, byte)| *place = *byte);
    header
}

fn zero_terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A request under construction.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        // Sequence number and port: one request at a time needs neither.
        bytes.extend([0; 8]);
        bytes.extend(header);
        Self { bytes }
    }

    fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend(attribute(kind, value));
        self
    }

    /// The whole message, its length filled in.
    fn finish(&self) -> Vec<u8> {
        let body = self.bytes.get(4..).unwrap_or_default();
        [&(self.bytes.len() as u32).to_ne_bytes(), body].concat()
    }
}
