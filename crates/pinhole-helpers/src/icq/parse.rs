//! Packets of ICQ. All numbers are little-endian, but IPv4 addresses stand as they are in network order.
//!
//! Headers, by version and sender (offsets of command and data; bytes before):
//!
//! | | client | server |
//! |---|---|---|
//! | 2 | command 2, data 10 | command 2, data 6 |
//! | 3 | command 2, data 12 or 16 (with a check code) | command 2, data 16 |
//! | 4 | command 6, data 20 | as version 3's |
//! | 5 | command 14, data 24 | command 7, data 21 |

use super::scramble::{Version, unscramble};
use crate::binary::array;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

/// Longest password, its final zero included; ICQ allowed eight characters.
const PASSWORD: usize = 64;

/// As much of a client's packet as can matter: header, fields before the password, password, address.
pub(super) const BEGINNING: usize = 128;

/// A client's packet that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Login(Login),
    KeepAlive,
    LogOut,
    Other,
}

/// A login: the port at which the client listens (32 bits in the packet), its own idea of its address, and where both stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) port: u32,
    pub(super) address: Ipv4Addr,
    pub(super) port_place: Range<usize>,
    pub(super) address_place: Range<usize>,
}

/// A server's packet that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Server {
    LoginReply,
    /// The login failed, or the server knows of none.
    NotLoggedIn,
    /// A user's address and port, and where both stand together.
    User(SocketAddrV4, Range<usize>),
    /// A user whose port is none.
    BadUser(Range<usize>),
    Other,
}

/// Which scrambling a client's packet has.
pub(super) fn scrambling(packet: &[u8]) -> Option<Version> {
    match version(packet)? {
        4 => Some(Version::Four),
        5 => Some(Version::Five),
        _ => None,
    }
}

/// The beginning of a client's packet without scrambling; `room` is for it to be written to. `None`: it is none of ICQ's.
pub(super) fn plain<'a>(packet: &'a [u8], room: &'a mut [u8; BEGINNING]) -> Option<&'a [u8]> {
    let Some(scrambling) = scrambling(packet) else { return Some(packet) };
    let length = packet.len().min(BEGINNING);
    let beginning = room.get_mut(..length)?;
    beginning.copy_from_slice(packet.get(..length)?);
    unscramble(scrambling, beginning, packet.len())?;
    Some(beginning)
}

/// Reads a client's packet, unscrambled. `None`: it is none of ICQ's.
pub(super) fn client(plain: &[u8]) -> Option<Client> {
    let version = version(plain)?;
    let (command, data) = match version {
        2 => (2, 10),
        3 => (2, 12),
        4 => (6, 20),
        5 => (14, 24),
        _ => return None,
    };
    if plain.len() < data {
        return None;
    }
    Some(match u16::from_le_bytes(array(plain, command)?) {
        0x03e8 => {
            let login = if version == 2 {
                login(plain, data)
            } else {
                // After the time. Some clients of version 3 sent a check code before it.
                login(plain, data + 4).or_else(|| (version == 3).then(|| login(plain, data + 8)).flatten())
            };
            Client::Login(login?)
        }
        0x042e | 0x051e => Client::KeepAlive,
        0x0438 => Client::LogOut,
        _ => Client::Other,
    })
}

/// `port (4), length of the password (2), password, 4 bytes, address (4), …`
fn login(plain: &[u8], at: usize) -> Option<Login> {
    let port = u32::from_le_bytes(array(plain, at)?);
    let password = usize::from(u16::from_le_bytes(array(plain, at + 4)?));
    if password > PASSWORD {
        return None;
    }
    let address_at = at + 6 + password + 4;
    let address = Ipv4Addr::from(array::<4>(plain, address_at)?);
    // The password ends with its zero; this tells a login from one that stands elsewhere.
    if password > 0 && plain.get(at + 6 + password - 1) != Some(&0) {
        return None;
    }
    Some(Login { port, address, port_place: at..at + 4, address_place: address_at..address_at + 4 })
}

/// Reads a server's packet at a place of a datagram, and shows what matters of it. `false`: it is none of ICQ's.
pub(super) fn server(datagram: &[u8], place: Range<usize>, visit: &mut impl FnMut(Server)) -> bool {
    let Some(packet) = datagram.get(place.clone()) else { return false };
    let Some((command, data)) = server_header(packet) else { return false };
    let start = place.start + data;
    match command {
        // SRV_MULTI: a count, then packets with their lengths before them.
        0x0212 => {
            let (mut at, mut left) = (start + 1, packet.get(data).copied().unwrap_or_default());
            while let Some(length) = array(datagram, at).map(u16::from_le_bytes).filter(|_| left > 0) {
                let inner = at + 2..(at + 2 + usize::from(length)).min(place.end);
                let Some((command, data)) = datagram.get(inner.clone()).and_then(server_header) else {
                    break;
                };
                visit(message(datagram, command, inner.start + data..inner.end));
                at = inner.end;
                left -= 1;
            }
        }
        _ => visit(message(datagram, command, start..place.end)),
    }
    true
}

fn server_header(packet: &[u8]) -> Option<(u16, usize)> {
    let (command, data) = match version(packet)? {
        2 => (2, 6),
        3 | 4 => (2, 16),
        5 => (7, 21),
        _ => return None,
    };
    if packet.len() < data {
        return None;
    }
    Some((u16::from_le_bytes(array(packet, command)?), data))
}

fn message(datagram: &[u8], command: u16, data: Range<usize>) -> Server {
    match command {
        0x005a => Server::LoginReply,
        // Go away, wrong password, not connected, try again.
        0x0028 | 0x0064 | 0x00f0 | 0x00fa => Server::NotLoggedIn,
        0x006e | 0x024e => user(datagram, data),
        _ => Server::Other,
    }
}

/// `number of the user (4), address (4), port (4, of which 2 count), …`
fn user(datagram: &[u8], data: Range<usize>) -> Server {
    let place = data.start + 4..data.start + 12;
    let fields = datagram.get(place.clone()).filter(|_| place.end <= data.end);
    let Some(&[a, b, c, d, low, high, ..]) = fields.and_then(<[u8]>::first_chunk::<8>) else {
        return Server::BadUser(data.start.min(data.end)..data.end);
    };
    Server::User(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_le_bytes([low, high])), place)
}

fn version(packet: &[u8]) -> Option<u16> {
    array(packet, 0).map(u16::from_le_bytes)
}
