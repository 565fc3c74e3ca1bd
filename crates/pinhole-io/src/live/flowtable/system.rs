//! The calls of bpf(2) that a flowtable needs, and its shared memory.
#![allow(unsafe_code, reason = "bpf(2), mmap(2), setsockopt(2)")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Commands of bpf(2).
const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const MAP_DELETE: libc::c_int = 3;
const PROGRAM_LOAD: libc::c_int = 5;
#[cfg(test)]
const PROGRAM_RUN: libc::c_int = 10;
const LINK_CREATE: libc::c_int = 28;

/// Kinds of maps, and flags.
const HASH: u32 = 1;
const ARRAY: u32 = 2;
const NO_PREALLOCATION: u32 = 1;
const MAPPABLE: u32 = 1 << 10;

/// Kinds of programs, and where one is attached.
pub(super) const SOCKET_FILTER: u32 = 1;
pub(super) const TRAFFIC_CONTROL: u32 = 3;
const TCX_INGRESS: u32 = 46;

/// What a socket's filter is set with (asm-generic/socket.h).
const SO_ATTACH_BPF: libc::c_int = 50;

/// The parts of `union bpf_attr` that are used here (`linux/bpf.h`); what is left out is zero.
#[repr(C)]
#[derive(Clone, Copy)]
struct MapAttributes {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct ElementAttributes {
    map: u32,
    _padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct ProgramAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct LinkAttributes {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// A hash map, which takes memory as it fills.
pub(super) fn hash(key_size: usize, value_size: usize, max_entries: u32) -> io::Result<OwnedFd> {
    create_map(HASH, key_size, value_size, max_entries, NO_PREALLOCATION)
}

fn create_map(
    kind: u32,
    key_size: usize,
    value_size: usize,
    max_entries: u32,
    flags: u32,
) -> io::Result<OwnedFd> {
    let attributes =
        MapAttributes { kind, key_size: key_size as u32, value_size: value_size as u32, max_entries, flags };
    // SAFETY: the attributes hold no pointers.
    own(unsafe { call(MAP_CREATE, &attributes) }?)
}

/// Enters a value, whether or not there is one.
pub(super) fn update<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    key: &[u8; K],
    value: &[u8; V],
) -> io::Result<()> {
    let attributes = ElementAttributes {
        map: map.as_raw_fd() as u32,
        _padding: 0,
        key: address(key),
        value: address(value),
        flags: 0,
    };
    // SAFETY: the kernel reads as many bytes of the key and the value as the map was made for, which are K and V; see `Flowtable::open`.
    unsafe { call(MAP_UPDATE, &attributes) }.map(|_| ())
}

/// Removes a value.
pub(super) fn delete<const K: usize>(map: BorrowedFd<'_>, key: &[u8; K]) -> io::Result<()> {
    let attributes =
        ElementAttributes { map: map.as_raw_fd() as u32, _padding: 0, key: address(key), value: 0, flags: 0 };
    // SAFETY: the kernel reads as many bytes of the key as the map was made for, which are K.
    unsafe { call(MAP_DELETE, &attributes) }.map(|_| ())
}

/// Loads a program. The kernel verifies it; what it says of one that it refuses is in the error.
pub(super) fn load(kind: u32, instructions: &[u64]) -> io::Result<OwnedFd> {
    const LICENSE: &[u8] = b"Dual MIT/GPL\0";
    let mut log = vec![0_u8; 1 << 16];
    let mut attributes = ProgramAttributes {
        kind,
        count: instructions.len() as u32,
        instructions: address(instructions),
        license: address(LICENSE),
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: instructions and licence outlive the call, and are as long as is said (the licence ends with a zero).
    if let Ok(program) = unsafe { call(PROGRAM_LOAD, &attributes) } {
        return own(program);
    }
    (attributes.log_level, attributes.log_size, attributes.log) =
        (1, log.len() as u32, log.as_mut_ptr() as u64);
    // SAFETY: as above; the kernel writes at most `log_size` bytes to `log`, which is so long.
    match unsafe { call(PROGRAM_LOAD, &attributes) } {
        Ok(program) => own(program),
        Err(error) => {
            let text = String::from_utf8_lossy(&log);
            let lines: Vec<&str> = text.trim_end_matches('\0').lines().rev().take(3).collect();
            let told = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
            Err(io::Error::new(error.kind(), format!("{error}: {told}")))
        }
    }
}

/// Attaches a program to what comes in by an interface, for as long as the link lives.
pub(super) fn attach_to_ingress(program: BorrowedFd<'_>, interface: u32) -> io::Result<OwnedFd> {
    let attributes =
        LinkAttributes { program: program.as_raw_fd() as u32, interface, attach_type: TCX_INGRESS, flags: 0 };
    // SAFETY: the attributes hold no pointers.
    own(unsafe { call(LINK_CREATE, &attributes) }?)
}

/// Makes a program the filter of a socket.
pub(super) fn attach_to_socket(program: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> io::Result<()> {
    let program: libc::c_int = program.as_raw_fd();
    // SAFETY: the pointer and length are those of `program`, which is read only.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_ATTACH_BPF,
            ptr::from_ref(&program).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn address<T: ?Sized>(value: &T) -> u64 {
    ptr::from_ref(value).cast::<u8>() as u64
}

/// # Safety
/// Pointers in the attributes must be valid for what the command does with them.
unsafe fn call<T: Copy>(command: libc::c_int, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: the kernel reads as many bytes of the attributes as it is told they have; of pointers in them the caller takes care.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, ptr::from_ref(attributes), size_of::<T>() as libc::c_uint)
    };
    RawFd::try_from(result).ok().filter(|result| *result >= 0).ok_or_else(io::Error::last_os_error)
}

fn own(descriptor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the kernel has just given it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// An array whose values, of `WORDS` words each, lie in memory that the kernel's programs and this process share.
#[derive(Debug)]
pub(super) struct SharedArray<const WORDS: usize> {
    map: OwnedFd,
    memory: *mut AtomicU64,
    entries: usize,
}

// SAFETY: the memory is mapped until it is dropped, whichever thread has it, and is only ever reached as atomic words.
unsafe impl<const WORDS: usize> Send for SharedArray<WORDS> {}
// SAFETY: as above; nothing but atomic words is reached through a shared reference.
unsafe impl<const WORDS: usize> Sync for SharedArray<WORDS> {}

impl<const WORDS: usize> SharedArray<WORDS> {
    pub(super) fn new(entries: u32) -> io::Result<Self> {
        let map = create_map(ARRAY, size_of::<u32>(), WORDS * 8, entries, MAPPABLE)?;
        let entries = entries as usize;
        // SAFETY: a new mapping where the kernel likes; nothing of ours lies there.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                Self::length(entries),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { map, memory: memory.cast(), entries })
    }

    const fn length(entries: usize) -> usize {
        (entries * WORDS * 8).next_multiple_of(4096)
    }

    pub(super) fn map(&self) -> &OwnedFd {
        &self.map
    }

    fn word(&self, entry: usize, word: usize) -> Option<&AtomicU64> {
        if entry >= self.entries || word >= WORDS {
            return None;
        }
        // SAFETY: it lies within the mapping, which lives as long as `self`, is aligned to a page, and is only ever reached as atomic words here.
        Some(unsafe { &*self.memory.add(entry * WORDS + word) })
    }

    /// A value, word by word: what programs do meanwhile may be in one word and not yet in another.
    pub(super) fn read(&self, entry: usize) -> [u64; WORDS] {
        std::array::from_fn(|word| self.word(entry, word).map_or(0, |word| word.load(Ordering::Relaxed)))
    }

    pub(super) fn write(&self, entry: usize, value: [u64; WORDS]) {
        for (number, new) in value.into_iter().enumerate() {
            if let Some(word) = self.word(entry, number) {
                word.store(new, Ordering::Relaxed);
            }
        }
    }
}

impl<const WORDS: usize> Drop for SharedArray<WORDS> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new`, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.memory.cast(), Self::length(self.entries)) };
    }
}

/// Runs a program of a test's on a frame: what it returns, and the frame that it leaves.
#[cfg(test)]
pub(super) fn run(program: BorrowedFd<'_>, frame: &[u8], interface: u32) -> io::Result<(u32, Vec<u8>)> {
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct RunAttributes {
        program: u32,
        result: u32,
        size_in: u32,
        size_out: u32,
        data_in: u64,
        data_out: u64,
        repeat: u32,
        duration: u32,
        context_size_in: u32,
        context_size_out: u32,
        context_in: u64,
        context_out: u64,
    }
    let mut out = vec![0_u8; frame.len() + 256];
    // SAFETY: integers, for which zero is valid.
    let mut attributes: RunAttributes = unsafe { std::mem::zeroed() };
    let mut context = [0_u32; 48];
    if let Some(place) = context.get_mut(10) {
        *place = interface;
    }
    attributes.program = program.as_raw_fd() as u32;
    (attributes.size_in, attributes.data_in) = (frame.len() as u32, frame.as_ptr() as u64);
    (attributes.size_out, attributes.data_out) = (out.len() as u32, out.as_mut_ptr() as u64);
    (attributes.context_size_in, attributes.context_in) = (192, context.as_ptr() as u64);
    let mut written = attributes;
    // SAFETY: frame, room and context outlive the call and are as long as is said. The kernel writes its results into the attributes, which are ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROGRAM_RUN,
            ptr::from_mut(&mut written),
            size_of::<RunAttributes>() as libc::c_uint,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    out.truncate(written.size_out as usize);
    Ok((written.result, out))
}
