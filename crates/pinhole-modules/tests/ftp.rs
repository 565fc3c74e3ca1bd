//! FTP as a module is FTP: whatever is said, the module and the built-in helper ask for the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_helper::{Action, Context, Handle, Helper, NatHelper, Pickup, Policy, Reader, Session};
use pinhole_helpers::ftp::{Ftp, FtpNat};
use pinhole_modules::Module;
use pinhole_wire::{Direction, Tcp, TcpFlags, Time};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use support::{guest, load, master, policies};

static CONNTRACK: LazyLock<Option<Module>> =
    LazyLock::new(|| Some(load(&guest("FTP as a module", "conntrack_ftp")?).unwrap()));
static NAT: LazyLock<Option<Module>> =
    LazyLock::new(|| Some(load(&guest("FTP's NAT half as a module", "nat_ftp")?).unwrap()));

const LINES: [&str; 30] = [
    "220 ready\r\n",
    "USER anonymous\r\n",
    "331 password\r\n",
    "PORT 10,0,0,1,200,10\r\n",
    "PORT 10,0,0,2,200,10\r\n",
    "PORT 10,0,0,1,0,21\r\n",
    "PORT 10,0,0,1,256,10\r\n",
    "EPRT |1|10.0.0.1|50000|\r\n",
    "EPRT |2|fd00::1|50000|\r\n",
    "LPRT 4,4,10,0,0,1,2,200,10\r\n",
    "200 ok\r\n",
    "500 no\r\n",
    "PASV\r\n",
    "EPSV\r\n",
    "EPSV ALL\r\n",
    "LPSV\r\n",
    "227 Entering Passive Mode (198,51,100,7,200,10)\r\n",
    "228 Entering Long Passive Mode (4,4,198,51,100,7,2,200,10)\r\n",
    "229 Extended (|||50000|)\r\n",
    "230-many\r\nlines\r\n230 done\r\n",
    "AUTH TLS\r\n",
    "234 go on\r\n",
    "\x16\x03\x01\0\x02ab",
    "CCC\r\n",
    "GET / HTTP/1.1\r\n",
    "ABOR\r\n",
    "\u{7f}\r\n",
    "\r\n",
    "QUIT",
    "\n",
];

/// A conn that two helpers read at once.
struct Both {
    readers: [Reader; 2],
    actions: [Vec<Action>; 2],
    sequence: [u32; 2],
}

impl Both {
    fn new(module: &Module, policy: Policy, ends: (&str, &str), pickup: Pickup) -> Self {
        let master = master(ends.0, ends.1);
        let helper = module.helper().unwrap();
        let mut both = Self {
            readers: [
                Reader::new(&Ftp, master, policy, pickup),
                Reader::new(&helper, master, helper.bound(policy), pickup),
            ],
            actions: Default::default(),
            sequence: [0; 2],
        };
        if pickup == Pickup::Strict {
            for from in [Direction::Original, Direction::Reply] {
                both.segment(from, b"", TcpFlags::SYN);
            }
        }
        both
    }

    fn segment(&mut self, from: Direction, bytes: &[u8], flags: TcpFlags) {
        let tcp = tcp(self.sequence[from.index()], 0, flags);
        for (reader, actions) in self.readers.iter_mut().zip(&mut self.actions) {
            actions.clear();
            reader.segment(Time(1), from, &tcp, bytes, 0, actions);
        }
        let length = bytes.len() as u32 + u32::from(flags.contains(TcpFlags::SYN));
        self.sequence[from.index()] = self.sequence[from.index()].wrapping_add(length);
        let [built_in, module] = &self.readers;
        assert_eq!(built_in.blind(), module.blind());
        assert_eq!(
            self.actions[0],
            self.actions[1],
            "after {:?}",
            bytes[..bytes.len().min(100)].escape_ascii().to_string()
        );
        assert_eq!(built_in.condition(), module.condition());
        for from in [Direction::Original, Direction::Reply] {
            assert_eq!(built_in.awaits_announcement(from), module.awaits_announcement(from));
        }
    }
}

fn tcp(sequence: u32, acknowledgement: u32, flags: TcpFlags) -> Tcp {
    Tcp {
        source_port: 1,
        destination_port: 2,
        sequence,
        acknowledgement,
        window: 0,
        flags,
        header_length: 20,
        checksum: 0,
        urgent: 0,
        payload_length: 0,
    }
}

fn direction(reply: bool) -> Direction {
    if reply { Direction::Reply } else { Direction::Original }
}

proptest! {
    /// Lines of the protocol, from the right side or the wrong one, cut anywhere, with holes.
    #[test]
    fn dialogues(
        said in proptest::collection::vec((0..LINES.len(), any::<bool>(), 0..40usize), 1..40),
        policy in 0..2usize,
        lenient in any::<bool>(),
        six in any::<bool>(),
        gap in proptest::option::of(0..40usize),
    ) {
        let Some(module) = CONNTRACK.as_ref() else { return Ok(()) };
        let ends = if six { ("[fd00::1]:40000", "[fd00::7]:21") } else { ("10.0.0.1:40000", "198.51.100.7:21") };
        let pickup = if lenient { Pickup::Lenient } else { Pickup::Strict };
        let mut both = Both::new(module, policies()[policy], ends, pickup);
        for (index, (line, odd, cut)) in said.into_iter().enumerate() {
            let line = LINES[line].as_bytes();
            // Numbers answer, words ask; now and then it is the other way round.
            let answers = line[0].is_ascii_digit() != (odd && cut > 36);
            let from = direction(answers);
            if gap == Some(index) {
                both.sequence[from.index()] += 7;
                for reader in &mut both.readers {
                    let tcp = tcp(both.sequence[1 - from.index()], both.sequence[from.index()], TcpFlags::ACK);
                    reader.segment(Time(1), from.opposite(), &tcp, b"", 0, &mut Vec::new());
                }
            }
            let (first, second) = line.split_at(cut.min(line.len()));
            for part in [first, second] {
                if !part.is_empty() {
                    both.segment(from, part, TcpFlags::ACK);
                }
            }
        }
    }

    /// Bytes of no protocol.
    #[test]
    fn noise(said in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 1..2000)), 1..6)) {
        let Some(module) = CONNTRACK.as_ref() else { return Ok(()) };
        let mut both = Both::new(module, Policy::default(), ("10.0.0.1:40000", "198.51.100.7:21"), Pickup::Strict);
        both.segment(Direction::Reply, b"220 ready\r\n", TcpFlags::ACK);
        for (reply, bytes) in said {
            both.segment(direction(reply), &bytes, TcpFlags::ACK);
        }
    }

    #[test]
    fn endpoints_are_written_alike(
        kind in 0..3u8,
        notation in 0..5u8,
        four in any::<bool>(),
        address in any::<[u8; 16]>(),
        port in any::<u16>(),
        old in "[ -~]{0,60}",
    ) {
        let Some(module) = NAT.as_ref() else { return Ok(()) };
        let half = module.nat().unwrap();
        prop_assert_eq!(half.name(), FtpNat.name());
        let [a, b, c, d, ..] = address;
        let ip = if four { IpAddr::from([a, b, c, d]) } else { IpAddr::from(address) };
        let field = pinhole_abi::record::read_field(kind, notation).unwrap();
        let (mut built_in, mut written) = (b"before".to_vec(), b"before".to_vec());
        let endpoint = SocketAddr::new(ip, port);
        let results = [
            FtpNat.encode(field, endpoint, old.as_bytes(), &mut built_in),
            half.encode(field, endpoint, old.as_bytes(), &mut written),
        ];
        prop_assert_eq!(results[0], results[1]);
        prop_assert_eq!(built_in, written);
    }
}

#[test]
fn longer_than_the_input_area() {
    let Some(module) = CONNTRACK.as_ref() else { return };
    let mut both =
        Both::new(module, Policy::default(), ("10.0.0.1:40000", "198.51.100.7:21"), Pickup::Strict);
    both.segment(Direction::Reply, b"220 ready\r\n", TcpFlags::ACK);
    let mut text = b"NOOP\r\n".repeat(20_000);
    text.extend_from_slice(b"PORT 10,0,0,1,200,10\r\n");
    both.segment(Direction::Original, &text, TcpFlags::ACK);
    assert_eq!(both.actions[0].len(), 2);
    both.segment(Direction::Original, &vec![b'x'; 200_000], TcpFlags::ACK);
    both.segment(Direction::Original, b"\r\nPORT 10,0,0,1,200,11\r\n", TcpFlags::ACK);
    assert_eq!(both.actions[0].len(), 2);
}

#[test]
fn sessions_are_saved_and_restored() {
    let Some(module) = CONNTRACK.as_ref() else { return };
    let (master, policy, mut next) = (master("10.0.0.1:40000", "198.51.100.7:21"), Policy::default(), 0);
    let helper = module.helper().unwrap();
    let mut session = helper.attach(&master, &policy);
    let mut say = |session: &mut Box<dyn Session>, from, text: &[u8]| {
        let mut actions = Vec::new();
        session.read(&mut Context::new(&master, &policy, Time(1), 0, &mut actions, &mut next), from, text);
        actions
    };
    say(&mut session, Direction::Reply, b"220 ready\r\n");
    say(&mut session, Direction::Original, b"PORT 10,0,0,1,200,10\r\nPASV\r\n");
    let saved = session.save().unwrap();
    let mut restored = load(&guest("saved sessions", "conntrack_ftp").unwrap())
        .unwrap()
        .helper()
        .unwrap()
        .restore(&saved)
        .unwrap();
    let cancelled = say(&mut restored, Direction::Reply, b"500 no\r\n");
    assert_eq!(cancelled, [Action::Cancel(Handle(0))]);
    let passive = b"227 Entering Passive Mode (198,51,100,7,200,10)\r\n";
    let actions = say(&mut restored, Direction::Reply, passive);
    assert!(
        matches!(actions[..], [Action::Expect(Handle(1), _), Action::Locate(Handle(1), ..)]),
        "{actions:?}"
    );
    // Of another module, or cut off.
    let mut other = saved.clone();
    other[0] ^= 1;
    for bad in [&other[..], &saved[..40], &saved[..130], b""] {
        assert!(helper.restore(bad).is_none());
    }
}

#[test]
fn it_says_what_the_built_in_says() {
    let Some(module) = CONNTRACK.as_ref() else { return };
    let (built_in, loaded) = (Ftp.spec(), &module.manifest().spec);
    assert_eq!(format!("{:?}", built_in.classes), format!("{:?}", loaded.classes));
    assert_eq!((&*built_in.ports, &*built_in.protocols), (&*loaded.ports, &*loaded.protocols));
    for (ours, theirs) in [
        (&built_in.aliases, &loaded.aliases),
        (&built_in.reads, &loaded.reads),
        (&built_in.creates, &loaded.creates),
        (&built_in.refuses, &loaded.refuses),
        (&built_in.limits, &loaded.limits),
        (&built_in.references, &loaded.references),
    ] {
        assert_eq!(ours.join("\n"), theirs.join("\n"));
    }
    assert_eq!(
        [&built_in.summary, &built_in.nat, &built_in.ipv6],
        [&loaded.summary, &loaded.nat, &loaded.ipv6]
    );
}
