//! The contract of ports.

use super::Batch;
use pinhole_wire::Time;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::BorrowedFd;

/// Something that Ethernet frames come in by and go out of. Nothing here waits.
pub trait Port: Send {
    /// Its name, for rules (`iifname`) and output.
    fn name(&self) -> &str;

    /// Adds frames that have come in to the batch, as many as are there and as it has room for.
    ///
    /// # Errors
    /// The port is gone, or down; it may come back.
    fn receive(&mut self, now: Time, batch: &mut Batch) -> io::Result<()>;

    /// Sends frames of a batch, in the order of these indices. Returns how many could not be sent: as on any wire, those are lost.
    fn send(&mut self, now: Time, batch: &Batch, which: &[u16]) -> usize;

    /// To be waited on for frames; `None` if frames come by other means.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// When a frame that the port holds back itself is due.
    fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// Frames that came in and were lost because nobody took them in time, since the port was opened.
    fn overruns(&mut self) -> u64 {
        0
    }
}

impl Port for Box<dyn Port> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn receive(&mut self, now: Time, batch: &mut Batch) -> io::Result<()> {
        (**self).receive(now, batch)
    }

    fn send(&mut self, now: Time, batch: &Batch, which: &[u16]) -> usize {
        (**self).send(now, batch, which)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (**self).descriptor()
    }

    fn next_deadline(&self) -> Option<Time> {
        (**self).next_deadline()
    }

    fn overruns(&mut self) -> u64 {
        (**self).overruns()
    }
}

/// What a descriptor is waited on for.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'a> {
    /// The descriptor.
    pub descriptor: BorrowedFd<'a>,
    /// For something to read.
    pub read: bool,
    /// For room to write.
    pub write: bool,
}

impl<'a> Interest<'a> {
    /// For something to read.
    pub const fn reading(descriptor: BorrowedFd<'a>) -> Self {
        Self { descriptor, read: true, write: false }
    }
}

/// Waits until one of the descriptors is ready or `nanos` have passed.
///
/// # Errors
/// The system's; an interruption by a signal is none.
pub fn wait(interests: &[Interest<'_>], nanos: u64) -> io::Result<()> {
    let mut polled: Vec<PollFd<'_>> = interests
        .iter()
        .map(|interest| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, interest.read);
            flags.set(PollFlags::OUT, interest.write);
            PollFd::from_borrowed_fd(interest.descriptor, flags)
        })
        .collect();
    let timeout = Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (nanos % 1_000_000_000) as _,
    };
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
