//! How a shard that waits for frames learns that another one, or its daemon, has something for it.
//!
//! Who has put something into a letter box rings; that costs a system call only if the shard is about to wait. It says so *before* it looks into its boxes
//! for the last time, and who rings looks *after* the box was filled: so one of the two sees the other.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// A shard's bell.
#[derive(Debug)]
pub struct Bell {
    rope: UnixStream,
    ear: UnixStream,
    is_waiting: AtomicBool,
}

impl Bell {
    /// A bell.
    ///
    /// # Errors
    /// The system's: there are no descriptors left.
    pub fn new() -> io::Result<Self> {
        let (rope, ear) = UnixStream::pair()?;
        rope.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self { rope, ear, is_waiting: AtomicBool::new(false) })
    }

    /// Something is there. If the bell is full it rings already.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.is_waiting.swap(false, Ordering::SeqCst) {
            let _ = (&self.rope).write(&[1]);
        }
    }

    /// The shard is about to wait: it looks once more what there is, and then waits for the bell, too.
    pub fn listen(&self) {
        self.is_waiting.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The shard is at work again.
    pub fn silence(&self) {
        if !self.is_waiting.swap(false, Ordering::SeqCst) {
            while (&self.ear).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        }
    }

    /// To be waited for.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.ear.as_fd()
    }
}
