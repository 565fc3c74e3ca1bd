//! Runs the binary, and makes captures to run it on.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use assert_cmd::Command;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A demo capture.
pub(crate) fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(name)
}

/// Runs `pinhole` in the folder of the demo captures, so that paths in its output are the same everywhere.
pub(crate) fn pinhole(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

pub(crate) fn command() -> Command {
    let mut command = Command::cargo_bin("pinhole").unwrap();
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo")).env_remove("NO_COLOR");
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// Compares with a file under `tests/golden`; with `PINHOLE_UPDATE=1` writes it instead.
#[track_caller]
pub(crate) fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("PINHOLE_UPDATE").is_some_and(|v| v == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; PINHOLE_UPDATE=1 writes it", path.display()));
    for (number, (e, a)) in (1..).zip(expected.lines().zip(actual.lines())) {
        assert_eq!(e, a, "{name}:{number} (PINHOLE_UPDATE=1 accepts the change)");
    }
    assert_eq!(expected.lines().count(), actual.lines().count(), "{name}: number of lines");
}

/// A pcap file (Ethernet, microseconds) of these frames, a millisecond apart.
pub(crate) fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    file.extend_from_slice(&[2, 0, 4, 0]);
    file.extend_from_slice(&[0; 8]);
    file.extend_from_slice(&65_535_u32.to_le_bytes());
    file.extend_from_slice(&1_u32.to_le_bytes());
    for (number, frame) in (0_u32..).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        file.extend_from_slice(&1_700_000_000_u32.to_le_bytes());
        file.extend_from_slice(&(number * 1000).to_le_bytes());
        file.extend_from_slice(&length);
        file.extend_from_slice(&length);
        file.extend_from_slice(frame);
    }
    file
}

/// TCP flags.
pub(crate) const SYN: u8 = 2;
pub(crate) const SYN_ACK: u8 = 0x12;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const PSH_ACK: u8 = 0x18;

/// One end of a TCP conversation between two IPv4 hosts.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) address: [u8; 4],
    pub(crate) port: u16,
}

/// A frame with a TCP segment; checksums are zero.
pub(crate) fn tcp(
    from: End,
    to: End,
    flags: u8,
    sequence: u32,
    acknowledgement: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend_from_slice(&[8, 0, 0x45, 0]);
    frame.extend_from_slice(&u16::try_from(40 + payload.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 0, 64, 6, 0, 0]);
    frame.extend_from_slice(&from.address);
    frame.extend_from_slice(&to.address);
    frame.extend_from_slice(&from.port.to_be_bytes());
    frame.extend_from_slice(&to.port.to_be_bytes());
    frame.extend_from_slice(&sequence.to_be_bytes());
    frame.extend_from_slice(&acknowledgement.to_be_bytes());
    frame.extend_from_slice(&[0x50, flags]);
    frame.extend_from_slice(&60_000_u16.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A TCP conversation: a handshake, then lines from one end or the other.
pub(crate) struct Conversation {
    ends: [End; 2],
    next: [u32; 2],
    pub(crate) frames: Vec<Vec<u8>>,
}

impl Conversation {
    /// The handshake of a conn.
    pub(crate) fn open(client: End, server: End) -> Self {
        let frames = vec![
            tcp(client, server, SYN, 100, 0, b""),
            tcp(server, client, SYN_ACK, 500, 101, b""),
            tcp(client, server, ACK, 101, 501, b""),
        ];
        Self { ends: [client, server], next: [101, 501], frames }
    }

    fn say(&mut self, who: usize, line: &str) -> &mut Self {
        let (own, other) = (who, 1 - who);
        self.frames.push(tcp(
            self.ends[own],
            self.ends[other],
            PSH_ACK,
            self.next[own],
            self.next[other],
            line.as_bytes(),
        ));
        self.next[own] += u32::try_from(line.len()).unwrap();
        self
    }

    pub(crate) fn client(&mut self, line: &str) -> &mut Self {
        self.say(0, line)
    }

    pub(crate) fn server(&mut self, line: &str) -> &mut Self {
        self.say(1, line)
    }
}
