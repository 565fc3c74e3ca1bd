//! TUN devices: network interfaces whose packets a program reads and writes.
#![allow(unsafe_code, reason = "ioctl(2)")]

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};

use rustix::ioctl::{self, Opcode, Updater, opcode};

/// `TUNSETIFF`, declared by the kernel with an `int` though it takes a `struct ifreq`.
const TUNSETIFF: Opcode = opcode::write::<u32>(b'T', 202);

/// `IFF_TUN | IFF_NO_PI`: datagrams without a link layer and without a header in front.
const FLAGS: u16 = 0x0001 | 0x1000;

/// `struct ifreq`: the name, then a union of which the flags are the first two bytes.
const REQUEST: usize = 40;
const NAME: usize = 16;

/// The longest packet that a device hands out.
const LONGEST: usize = 1 << 16;

/// A TUN device. It vanishes when this is dropped.
#[derive(Debug)]
pub(super) struct Tun {
    file: File,
    buffer: Box<[u8]>,
}

impl Tun {
    /// Creates a device of this name (at most 15 bytes) in the thread's network namespace.
    pub(super) fn create(name: &str) -> io::Result<Self> {
        let mut request = [0; REQUEST];
        // The name's last byte stays zero.
        if name.is_empty() || name.len() >= NAME {
            return Err(io::Error::new(ErrorKind::InvalidInput, "a device name has 1 to 15 bytes"));
        }
        for (field, byte) in request.iter_mut().zip(name.bytes()) {
            *field = byte;
        }
        for (field, byte) in request.iter_mut().skip(NAME).zip(FLAGS.to_ne_bytes()) {
            *field = byte;
        }
        let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
        // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, for which `request` has exactly the room; all its bytes
        // are initialised, and any bytes that the kernel writes back are valid for `[u8; REQUEST]`. The opcode is TUNSETIFF's.
        unsafe { ioctl::ioctl(&file, Updater::<TUNSETIFF, [u8; REQUEST]>::new(&mut request)) }?;
        rustix::io::ioctl_fionbio(&file, true)?;
        Ok(Self { file, buffer: vec![0; LONGEST].into_boxed_slice() })
    }

    /// Hands a datagram to the kernel as received by the device. All of its way through the kernel is done on return.
    pub(super) fn write(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.file.write_all(datagram)
    }

    /// The next datagram that the kernel sent out by the device, if there is one.
    pub(super) fn read(&mut self) -> io::Result<Option<&[u8]>> {
        match self.file.read(&mut self.buffer) {
            Ok(length) => Ok(self.buffer.get(..length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
