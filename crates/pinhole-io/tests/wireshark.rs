//! The capture code against Wireshark's. Skipped loudly where its programs or the shared captures are missing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pinhole_io::capture::{CaptureReader, PacketDirection, PcapngWriter, Record};
use pinhole_wire::{LinkType, Time};

/// Runs a program of Wireshark's; none, with a notice, if it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).env("LC_ALL", "C").output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("SKIPPED: {program}: {error}");
            None
        }
    }
}

/// The captures beside the checkout, or at `PINHOLE_SHARED`.
fn shared_captures() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = env::var_os("PINHOLE_SHARED").map_or(beside, PathBuf::from);
    let mut captures = Vec::new();
    let mut folders = vec![shared.join("captures"), shared.join("captures-live")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let extension = path.extension().and_then(|extension| extension.to_str());
            match extension {
                _ if path.is_dir() => folders.push(path),
                Some("pcap" | "pcapng" | "snoop" | "cap" | "gz") => captures.push(path),
                _ => {}
            }
        }
    }
    if captures.is_empty() {
        eprintln!("SKIPPED: no captures beside the checkout (../shared) nor at PINHOLE_SHARED");
    }
    captures.sort();
    captures
}

/// Frame number, time in nanoseconds, captured and original length of every frame.
fn ours(path: &Path) -> Vec<(u64, u64, usize, u32)> {
    let mut reader = CaptureReader::open(path).unwrap();
    let mut frames = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                frames.push((frame.number, frame.time.0, frame.bytes.len(), frame.original_length));
            }
            Ok(None) => return frames,
            Err(error) => {
                assert!(error.is_truncation(), "{error}");
                return frames;
            }
        }
    }
}

#[test]
fn as_many_frames_as_capinfos_counts() {
    let captures = shared_captures();
    if captures.is_empty() {
        return;
    }
    let mut arguments = vec!["-T", "-M", "-c", "-r"];
    arguments.extend(captures.iter().filter_map(|path| path.to_str()));
    let Some(output) = run("capinfos", &arguments) else { return };
    let text = String::from_utf8(output.stdout).unwrap();
    let counts: Vec<(&str, usize)> = text
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(name, count)| (name, count.parse().unwrap()))
        .collect();
    assert_eq!(counts.len(), captures.len());
    for (path, (name, count)) in captures.iter().zip(counts) {
        assert_eq!((path.to_str().unwrap(), ours(path).len()), (name, count));
    }
}

#[test]
fn frames_are_tsharks() {
    for (index, path) in shared_captures().into_iter().enumerate() {
        // tshark takes most of a second to start: all of the rare formats, some of the common one.
        if path.extension().is_some_and(|extension| extension == "pcap") && index % 25 != 0 {
            continue;
        }
        let Some(theirs) = tshark_frames(path.to_str().unwrap()) else { return };
        assert_eq!(ours(&path), theirs, "{}", path.display());
    }
}

/// The same as [`ours`], by tshark.
fn tshark_frames(name: &str) -> Option<Vec<(u64, u64, usize, u32)>> {
    let mut arguments = vec!["-n", "-r", name, "--disable-protocol", "eth", "-T", "fields"];
    for field in ["frame.number", "frame.time_epoch", "frame.cap_len", "frame.len"] {
        arguments.extend(["-e", field]);
    }
    let text = String::from_utf8(run("tshark", &arguments)?.stdout).unwrap();
    let frame = |line: &str| {
        let fields: Vec<_> = line.split('\t').collect();
        let (seconds, nanos) = fields[1].split_once('.').unwrap();
        let time = seconds.parse::<u64>().unwrap() * 1_000_000_000 + nanos.parse::<u64>().unwrap();
        (fields[0].parse().unwrap(), time, fields[2].parse().unwrap(), fields[3].parse().unwrap())
    };
    Some(text.lines().map(frame).collect())
}

#[test]
fn written_files_open_in_wireshark() {
    let datagram = [
        0x45, 0, 0, 29, 0, 0, 0x40, 0, 64, 17, 0xec, 0x4d, 192, 0, 2, 10, 198, 51, 100, 20, 0x30, 0x39, 0, 9,
        0, 9, 0, 0, 1,
    ];
    let ethernet = [&[0; 12][..], &[8, 0], &datagram].concat();
    let mut writer = PcapngWriter::new(Vec::new(), "pinhole test").unwrap();
    let raw = writer.add_interface(LinkType(101), "lan").unwrap();
    let wire = writer.add_interface(LinkType(1), "other.pcap").unwrap();
    let time = Time(1_700_000_000_123_456_789);
    let mut first = Record::new(raw, time, &datagram);
    first.comment = Some("new: fw.nft:12 — accept");
    first.direction = Some(PacketDirection::Inbound);
    writer.write(&first).unwrap();
    let mut second = Record::new(wire, time.plus_nanos(1), &ethernet[..30]);
    second.original_length = ethernet.len() as u32;
    second.direction = Some(PacketDirection::Outbound);
    writer.write(&second).unwrap();
    let path = env::temp_dir().join(format!("pinhole-writer-{}.pcapng", std::process::id()));
    fs::write(&path, writer.finish().unwrap()).unwrap();

    let mut arguments = vec!["-n", "-r", path.to_str().unwrap(), "-T", "fields", "-E", "separator=|"];
    let fields = [
        "frame.time_epoch",
        "frame.interface_name",
        "frame.len",
        "frame.packet_flags_direction",
        "frame.comment",
        "udp.dstport",
    ];
    for field in fields {
        arguments.extend(["-e", field]);
    }
    let output = run("tshark", &arguments);
    fs::remove_file(&path).unwrap();
    let Some(output) = output else { return };
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let [first, second] = lines[..] else { panic!("{text}") };
    let expect = |line: &str, start: &str, end: &str| {
        let mut fields = line.split('|');
        assert_eq!(fields.next(), Some(start));
        assert_eq!(fields.collect::<Vec<_>>().join("|"), end);
    };
    expect(first, "1700000000.123456789", "lan|29|0x00000001|new: fw.nft:12 — accept|9");
    expect(second, "1700000000.123456790", "other.pcap|43|0x00000002||");
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success());
    for line in warnings.lines() {
        assert!(line.contains("Running as user"), "tshark warns: {line}");
    }
}
