//! A port whose frames are written to a capture as they come and go.

use super::{Batch, Port};
use crate::capture::{PacketDirection, PcapngWriter, Record};
use pinhole_wire::{LinkType, Time};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A capture that several ports are written to, perhaps of several threads.
pub struct Recording<W: Write>(Mutex<Writing<W>>);

struct Writing<W: Write> {
    writer: Option<PcapngWriter<W>>,
    error: Option<io::Error>,
}

impl<W: Write> Recording<W> {
    /// Starts a capture; `application` is named in it as its author.
    ///
    /// # Errors
    /// The sink's.
    pub fn new(sink: W, application: &str) -> io::Result<Arc<Self>> {
        let writer = Some(PcapngWriter::new(sink, application)?);
        Ok(Arc::new(Self(Mutex::new(Writing { writer, error: None }))))
    }

    /// Writes what is buffered and ends the capture.
    ///
    /// # Errors
    /// The first error of the sink. Nothing was recorded after it, and the traffic went on.
    pub fn finish(&self) -> io::Result<()> {
        let mut writing = self.writing();
        match (writing.error.take(), writing.writer.take()) {
            (Some(error), _) => Err(error),
            (None, Some(writer)) => writer.finish().map(|_| ()),
            (None, None) => Ok(()),
        }
    }

    fn writing(&self) -> MutexGuard<'_, Writing<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> Writing<W> {
    fn attempt<T>(&mut self, write: impl FnOnce(&mut PcapngWriter<W>) -> io::Result<T>) -> Option<T> {
        match write(self.writer.as_mut()?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.writer = None;
                self.error = Some(error);
                None
            }
        }
    }
}

/// A port that is recorded.
pub struct Recorded<P, W: Write> {
    inner: P,
    recording: Arc<Recording<W>>,
    interface: u32,
}

impl<P: Port, W: Write> Recorded<P, W> {
    /// Adds a port to a recording.
    pub fn new(inner: P, recording: &Arc<Recording<W>>) -> Self {
        let name = inner.name();
        let interface = recording.writing().attempt(|w| w.add_interface(LinkType::ETHERNET, name));
        Self { inner, recording: recording.clone(), interface: interface.unwrap_or(0) }
    }

    fn write(&self, time: Time, bytes: &[u8], direction: PacketDirection) {
        let record = Record { direction: Some(direction), ..Record::new(self.interface, time, bytes) };
        self.recording.writing().attempt(|writer| writer.write(&record));
    }
}

impl<P: Port, W: Write + Send> Port for Recorded<P, W> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn receive(&mut self, now: Time, batch: &mut Batch) -> io::Result<()> {
        let before = batch.len();
        let result = self.inner.receive(now, batch);
        for frame in batch.frames().iter().skip(before) {
            self.write(now, frame.bytes(), PacketDirection::Inbound);
        }
        result
    }

    fn send(&mut self, now: Time, batch: &Batch, which: &[u16]) -> usize {
        for frame in which.iter().filter_map(|&index| batch.frames().get(usize::from(index))) {
            self.write(now, frame.bytes(), PacketDirection::Outbound);
        }
        self.inner.send(now, batch, which)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor()
    }

    fn next_deadline(&self) -> Option<Time> {
        self.inner.next_deadline()
    }

    fn overruns(&mut self) -> u64 {
        self.inner.overruns()
    }
}
