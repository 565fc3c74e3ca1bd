//! The system calls of packet sockets for which there is no safe wrapper.
#![allow(unsafe_code, reason = "setsockopt(2), bind(2), recvmmsg(2), sendmmsg(2)")]

use super::fanout::Instruction;
use super::offload::HEADER;
use super::{Buffer, Offload};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Most frames that one call receives or sends.
pub(super) const AT_ONCE: usize = 64;

/// Room for control messages: one `struct tpacket_auxdata` (20 bytes) and its header (16).
const CONTROL: usize = 64;

/// Where a control message's header starts, `struct cmsghdr` is aligned.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Sets an option of a packet socket to 1.
pub(super) fn enable_packet_option(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let one: libc::c_int = 1;
    set_packet_option(socket, option, &one)
}

/// Sees all frames that come in by an interface, as long as the socket lives.
pub(super) fn make_promiscuous(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: interface as libc::c_int,
        mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set_packet_option(socket, libc::PACKET_ADD_MEMBERSHIP, &request)
}

/// Marks all that the socket sends (socket(7), `SO_MARK`).
pub(super) fn mark(socket: BorrowedFd<'_>, mark: u32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_MARK, &mark)
}

/// What a fanout group is: by a classic program, without what the host sends.
const FANOUT: u32 = (libc::PACKET_FANOUT_CBPF | FANOUT_IGNORE_OUTGOING) << 16;
/// `PACKET_FANOUT_FLAG_IGNORE_OUTGOING` and `PACKET_FANOUT_FLAG_UNIQUEID` (linux/if_packet.h).
const FANOUT_IGNORE_OUTGOING: u32 = 0x4000;
const FANOUT_UNIQUE: u32 = 0x2000 << 16;

/// Makes a fanout group of one socket; returns its number.
pub(super) fn begin_fanout(socket: BorrowedFd<'_>) -> io::Result<u16> {
    set_packet_option(socket, libc::PACKET_FANOUT, &(FANOUT | FANOUT_UNIQUE))?;
    let mut group: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `group`, an integer.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            ptr::from_mut(&mut group).cast(),
            &mut length,
        )
    })?;
    Ok(group as u16)
}

/// Adds a socket to a group, behind those that are in it.
pub(super) fn join_fanout(socket: BorrowedFd<'_>, group: u16) -> io::Result<()> {
    set_packet_option(socket, libc::PACKET_FANOUT, &(FANOUT | u32::from(group)))
}

/// Sets the program by which the group of this socket is spread.
pub(super) fn program_fanout(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    with_program(program, |program| set_packet_option(socket, libc::PACKET_FANOUT_DATA, program))
}

/// A filter that takes nothing.
pub(super) fn attach_shut_filter(socket: BorrowedFd<'_>) -> io::Result<()> {
    let nothing =
        Instruction { code: (libc::BPF_RET | libc::BPF_K) as u16, if_true: 0, if_false: 0, operand: 0 };
    with_program(&[nothing], |program| set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, program))
}

/// Takes the filter away.
pub(super) fn detach_filter(socket: BorrowedFd<'_>) -> io::Result<()> {
    let unused: libc::c_int = 0;
    set_option(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &unused)
}

/// The kernel copies a program while it is set.
fn with_program(
    program: &[Instruction],
    set: impl FnOnce(&libc::sock_fprog) -> io::Result<()>,
) -> io::Result<()> {
    let mut code: Vec<libc::sock_filter> = program
        .iter()
        .map(|i| libc::sock_filter { code: i.code, jt: i.if_true, jf: i.if_false, k: i.operand })
        .collect();
    let length = u16::try_from(code.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    set(&libc::sock_fprog { len: length, filter: code.as_mut_ptr() })
}

fn set_packet_option<T: Copy>(socket: BorrowedFd<'_>, option: libc::c_int, value: &T) -> io::Result<()> {
    set_option(socket, libc::SOL_PACKET, option, value)
}

fn set_option<T: Copy>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the pointer and length are those of `value`, which is read only.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    })
}

/// Frames that the kernel dropped for want of room since the last call.
pub(super) fn packet_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `statistics`, two integers for which any bytes are valid.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            ptr::from_mut(&mut statistics).cast(),
            &mut length,
        )
    })?;
    Ok(statistics.tp_drops)
}

/// Binds a packet socket to an interface, for frames of all protocols.
pub(super) fn bind_to_interface(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::c_ushort,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: interface as libc::c_int,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer and length are those of `address`, which is read only.
    check(unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), length) })
}

/// Receives frames that are waiting into buffers, at most [`AT_ONCE`]. A frame that is too long for its buffer becomes an empty one.
pub(super) fn receive_frames(socket: BorrowedFd<'_>, buffers: &mut [Buffer]) -> io::Result<usize> {
    let count = buffers.len().min(AT_ONCE);
    let mut headers = [[0_u8; HEADER]; AT_ONCE];
    let mut controls = [Control([0; CONTROL]); AT_ONCE];
    // SAFETY: all-zero bytes are valid for these C structs of integers and pointers.
    let (mut vectors, mut messages): ([[libc::iovec; 2]; AT_ONCE], [libc::mmsghdr; AT_ONCE]) =
        unsafe { (zeroed(), zeroed()) };
    let parts = vectors.iter_mut().zip(&mut messages).zip(headers.iter_mut().zip(&mut controls));
    for (buffer, ((vector, message), (header, control))) in buffers.iter_mut().zip(parts) {
        let room = buffer.room();
        *vector = [part(header.as_mut_ptr(), HEADER), part(room.as_mut_ptr(), room.len())];
        message.msg_hdr.msg_iov = vector.as_mut_ptr();
        message.msg_hdr.msg_iovlen = 2;
        message.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
        message.msg_hdr.msg_controllen = CONTROL as _;
    }
    // SAFETY: the first `count` messages point to `vectors`, `headers`, `controls` and the rooms of `buffers`, each with its own length; all
    // outlive the call, none overlaps another, and nothing else uses them meanwhile.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let results = messages.iter().zip(headers.iter().zip(&controls));
    for (buffer, (message, (header, control))) in buffers.iter_mut().zip(results).take(received) {
        let whole = message.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
        let length = if whole { (message.msg_len as usize).saturating_sub(HEADER) } else { 0 };
        buffer.received(length, Offload::decode(header));
        let filled = control.0.get(..message.msg_hdr.msg_controllen).unwrap_or_default();
        if let Some((protocol, tag)) = vlan_tag(filled) {
            buffer.insert_tag(protocol, tag);
        }
    }
    Ok(received)
}

/// Sends frames, at most [`AT_ONCE`]; returns how many the kernel took. An error is about the first of them.
pub(super) fn send_frames(socket: BorrowedFd<'_>, frames: &[Buffer], which: &[u16]) -> io::Result<usize> {
    let mut headers = [[0_u8; HEADER]; AT_ONCE];
    // SAFETY: all-zero bytes are valid for these C structs of integers and pointers.
    let (mut vectors, mut messages): ([[libc::iovec; 2]; AT_ONCE], [libc::mmsghdr; AT_ONCE]) =
        unsafe { (zeroed(), zeroed()) };
    let mut count = 0;
    let chosen = which.iter().filter_map(|&index| frames.get(usize::from(index)));
    for (frame, ((vector, message), header)) in
        chosen.zip(vectors.iter_mut().zip(&mut messages).zip(&mut headers))
    {
        *header = frame.offload.encode();
        let bytes = frame.bytes();
        *vector = [part(header.as_mut_ptr(), HEADER), part(bytes.as_ptr().cast_mut(), bytes.len())];
        message.msg_hdr.msg_iov = vector.as_mut_ptr();
        message.msg_hdr.msg_iovlen = 2;
        count += 1;
    }
    // SAFETY: the first `count` messages point to `vectors`, `headers` and the bytes of `frames`, each with its own length; all outlive the
    // call, and sendmmsg only reads what they point to. It writes the messages' own `msg_len`.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

const fn part(base: *mut u8, length: usize) -> libc::iovec {
    libc::iovec { iov_base: base.cast(), iov_len: length }
}

/// The tag that `struct tpacket_auxdata` tells of (`linux/if_packet.h`), the only control message that was asked for.
fn vlan_tag(control: &[u8]) -> Option<(u16, u16)> {
    const TAG_VALID: u32 = 1 << 4;
    const PROTOCOL_VALID: u32 = 1 << 6;
    // `struct cmsghdr`: a length, level and type; the data is aligned as the length is.
    let data = control.get(size_of::<usize>() + 8..)?;
    let status = u32::from_ne_bytes(*data.first_chunk()?);
    let field = |offset: usize| Some(u16::from_ne_bytes(*data.get(offset..)?.first_chunk()?));
    if status & TAG_VALID == 0 {
        return None;
    }
    let protocol = if status & PROTOCOL_VALID != 0 { field(18)? } else { libc::ETH_P_8021Q as u16 };
    Some((protocol, field(16)?))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
