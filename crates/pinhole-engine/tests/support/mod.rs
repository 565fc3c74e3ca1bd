//! Runs captures through an engine, and finds the shared captures.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod conversation;
pub(crate) mod lab;
pub(crate) mod modules;
pub(crate) mod shadow;
pub(crate) mod transports;

use pinhole_engine::{Attachment, ChecksumPolicy, Engine, Event, Frame, Outcome, Settings};
use pinhole_helper::Pickup;
use pinhole_io::capture::CaptureReader;
use pinhole_wire::{LinkType, Time};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A captured frame, owned.
pub(crate) struct Captured {
    pub(crate) number: u64,
    pub(crate) time: Time,
    pub(crate) link: LinkType,
    pub(crate) bytes: Vec<u8>,
}

/// The folder of shared captures; `None`, said aloud, if this checkout has none.
pub(crate) fn shared(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PINHOLE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    if path.join("captures").is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED {test}: no shared captures at {}", path.display());
    None
}

/// Capture files of a folder, by name.
pub(crate) fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "snoop"))
        .collect();
    files.sort();
    files
}

/// All frames of a capture, as far as it can be read.
pub(crate) fn frames(path: &Path) -> Vec<Captured> {
    let mut reader = CaptureReader::new(path.display().to_string(), File::open(path).unwrap()).unwrap();
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next() {
        frames.push(Captured {
            number: frame.number,
            time: frame.time,
            link: frame.link,
            bytes: frame.bytes.to_vec(),
        });
    }
    frames
}

/// Settings for comparing with recordings: helpers by port, checksums not looked at.
pub(crate) fn settings(pickup: Pickup, helpers: &[(&str, &[u16])]) -> Settings {
    Settings {
        checksums: ChecksumPolicy::Ignore,
        pickup,
        attachments: helpers
            .iter()
            .map(|(helper, ports)| Attachment { helper: (*helper).to_owned(), ports: ports.to_vec() })
            .collect(),
        ..Settings::default()
    }
}

/// Runs frames through a fresh engine; `frozen` stops the clock at the first frame's time.
pub(crate) fn run(settings: Settings, frames: &[Captured], frozen: bool) -> (Vec<Outcome>, Vec<Event>) {
    let mut engine = Engine::new(settings, pinhole_helpers::registry(), None).unwrap();
    modules::put_in(&mut engine);
    let start = frames.first().map_or(Time(0), |f| f.time);
    let (mut outcomes, mut events) = (Vec::new(), Vec::new());
    for frame in frames {
        let time = if frozen { start } else { frame.time };
        outcomes.push(engine.handle(&Frame {
            number: frame.number,
            time,
            link: frame.link,
            bytes: &frame.bytes,
            ingress: None,
            egress: None,
            checksum: pinhole_engine::FrameChecksum::Unknown,
        }));
        while let Some(event) = engine.next_event() {
            events.push(event);
        }
    }
    (outcomes, events)
}
