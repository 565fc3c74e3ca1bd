//! Modules that mean harm, or are broken: the host is unharmed, bounded, and says what happened.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_abi::record;
use pinhole_helper::{
    Action, AddressMatch, BlindReason, Context, Expect, Fault, Field, Handle, Helper, Name, NatHelper,
    Pickup, Policy, PortMatch, Progress, Reader, Refusal, Span, Unencodable,
};
use pinhole_modules::{Grant, Limits, LoadSettings, Module, ModuleError, SectionError, seal};
use pinhole_wire::{Direction, Protocol, Time};
use proptest::prelude::*;
use std::time::{Duration, Instant};
use support::{guest, load, master};

const MANIFEST: &str = "contract = 1\nhalf = \"conntrack\"\nname = \"hostile\"\nversion = \"1\"\nlicense = \"MIT\"\n\
                        summary = \"s\"\nprotocols = [\"udp\"]\n[[classes]]\nname = \"data\"\nmax = 8\ntimeout = 300\n";

/// The areas of all modules here.
const EXCHANGE: &str = r#"(func (export "pinhole_exchange") (result i32)
    (i32.store (i32.const 0) (i32.const 1))
    (i32.store (i32.const 4) (i32.const 1024)) (i32.store (i32.const 8) (i32.const 8192))
    (i32.store (i32.const 12) (i32.const 16384)) (i32.store (i32.const 16) (i32.const 32768))
    (i32.store (i32.const 20) (i32.const 65536)) (i32.store (i32.const 24) (i32.const 4096))
    (i32.const 0))"#;

fn module_of(text: &str, manifest: &str) -> Vec<u8> {
    let code = wat::parse_str(format!("(module {text})")).unwrap_or_else(|error| panic!("{error}"));
    seal(&code, manifest.as_bytes()).unwrap()
}

/// A module whose `pinhole_read` has this body.
fn reading(body: &str, beside: &str) -> Vec<u8> {
    let text = format!(
        r#"(memory (export "memory") 2) {EXCHANGE} {beside}
        (func (export "pinhole_attach") (result i32) (i32.const 0))
        (func $read (export "pinhole_read") (param $from i32) (param $length i32) (result i64) {body})"#
    );
    module_of(&text, MANIFEST)
}

/// A module that answers with these bytes.
fn answering(answer: &[u8], progress: i64) -> Vec<u8> {
    let data: String = answer.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let length = answer.len();
    let body = format!(
        "(memory.copy (i32.const 16384) (i32.const 73728) (i32.const {length}))
         (i32.store (i32.const 32) (i32.const {length})) (i64.const {progress})"
    );
    reading(&body, &format!("(data (i32.const 73728) \"{data}\")"))
}

fn asking(actions: &[Action]) -> Vec<u8> {
    let mut answer = Vec::new();
    for action in actions {
        assert!(record::write(action, &mut answer));
    }
    answering(&answer, 0)
}

fn session(module: &Module) -> Reader {
    let helper = module.helper().unwrap();
    let mut master = master("10.0.0.1:40000", "198.51.100.7:4000");
    master.protocol = Protocol::UDP;
    Reader::new(&helper, master, helper.bound(Policy::default()), Pickup::Strict)
}

/// What a session says of eight bytes.
fn said(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<Action>, BlindReason> {
    let mut actions = Vec::new();
    reader.datagram(Time(1), Direction::Original, bytes, &mut actions);
    reader.blind().map_or(Ok(actions), Err)
}

fn fault_of(module: &[u8]) -> Option<Fault> {
    let module = load(module).unwrap();
    match said(&mut session(&module), b"12345678") {
        Ok(_) => None,
        Err(BlindReason::Quarantined(fault)) => {
            assert_eq!((module.status().faults, module.status().latest_fault), (1, Some(fault)));
            Some(fault)
        }
        Err(other) => panic!("{other}"),
    }
}

fn expect() -> Expect {
    let span = Span { start: 0, end: 4 };
    let source = AddressMatch::Exact("198.51.100.7".parse().unwrap());
    Expect::to(Protocol::TCP, source, "10.0.0.1:50000".parse().unwrap(), span)
}

fn asked(change: impl FnOnce(&mut Expect)) -> Option<Fault> {
    let mut expect = expect();
    change(&mut expect);
    fault_of(&asking(&[Action::Expect(Handle(0), expect)]))
}

#[test]
fn code_behind_the_end_of_a_function() {
    let code = wat::parse_str("(module (func))").unwrap();
    // The code section: one body, which is `end`. Another `end` follows.
    let (body, longer) = ([10, 4, 1, 2, 0, 0x0b], [10, 5, 1, 3, 0, 0x0b, 0x0b]);
    let at = code.windows(body.len()).position(|window| window == body).unwrap();
    let code = [&code[..at], &longer, &code[at + body.len()..]].concat();
    let module = seal(&code, MANIFEST.as_bytes()).unwrap();
    let refused = Module::load(&module, &LoadSettings::default()).err().unwrap();
    assert!(matches!(&refused, ModuleError::Code(why) if why.contains("after end of function")), "{refused}");
}

#[test]
fn code_that_does_not_behave() {
    let begin = Instant::now();
    for (body, beside, fault) in [
        ("(loop $l (br $l)) (i64.const 0)", "", Fault::Fuel),
        ("(drop (memory.grow (i32.const 1000))) (i64.const 0)", "", Fault::Memory),
        ("(call $read (local.get 0) (local.get 1))", "", Fault::Stack),
        ("unreachable", "", Fault::Trap),
        ("(drop (i32.load (i32.const 200000))) (i64.const 0)", "", Fault::Trap),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0))) (i64.const 0)", "", Fault::Trap),
        ("(memory.fill (i32.const 0) (i32.const 255) (i32.const 131073)) (i64.const 0)", "", Fault::Trap),
        (
            "(drop (table.grow $t (ref.null func) (i32.const 100000))) (i64.const 0)",
            "(table $t 1 funcref)",
            Fault::Memory,
        ),
    ] {
        assert_eq!(fault_of(&reading(body, beside)), Some(fault), "{body}");
    }
    // Copying costs fuel, too.
    let copies =
        "(loop $l (memory.copy (i32.const 0) (i32.const 1) (i32.const 100000)) (br $l)) (i64.const 0)";
    assert_eq!(fault_of(&reading(copies, "")), Some(Fault::Fuel));
    assert!(begin.elapsed() < Duration::from_secs(20));
}

/// A guest that is shown a part only, and takes a byte of it at a time, has the fuel of one packet for all its turns.
#[test]
fn many_small_answers_cost_no_more_than_one() {
    let spins = "(local $n i32) (local.set $n (i32.const 100000))
        (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i64.const 1)";
    let manifest = MANIFEST.replace("udp", "tcp");
    let text = format!(
        r#"(memory (export "memory") 2) {EXCHANGE} (func (export "pinhole_attach") (result i32) (i32.const 0))
        (func (export "pinhole_read") (param $from i32) (param $length i32) (result i64) {spins})"#
    );
    let module = load(&module_of(&text, &manifest)).unwrap();
    let helper = module.helper().unwrap();
    let master = master("10.0.0.1:40000", "198.51.100.7:4000");
    let mut session = helper.attach(&master, &Policy::default());
    let (policy, mut actions, mut handles) = (Policy::default(), Vec::new(), 0);
    let mut cx = Context::new(&master, &policy, Time(1), 0, &mut actions, &mut handles);
    let bytes = vec![b'x'; 60_000];
    let progress = session.read(&mut cx, Direction::Original, &bytes);
    assert_eq!(progress, Progress::Blind(BlindReason::Quarantined(Fault::Fuel)));
    let limits = Limits::default();
    let most = limits.fuel + limits.fuel_per_byte * bytes.len() as u64;
    assert!(module.status().fuel <= most + limits.fuel, "{}", module.status().fuel);
}

#[test]
fn answers_that_are_nonsense() {
    let set = |at: u32, value: u32| format!("(i32.store (i32.const {at}) (i32.const {value})) (i64.const 0)");
    assert_eq!(fault_of(&reading(&set(32, u32::MAX), "")), Some(Fault::Output));
    assert_eq!(fault_of(&reading(&set(32, 32769), "")), Some(Fault::Output));
    assert_eq!(fault_of(&reading(&set(28, u32::MAX), "")), Some(Fault::State));
    assert_eq!(fault_of(&reading(&set(28, 4097), "")), Some(Fault::State));
    assert_eq!(fault_of(&reading(&set(28, 4096), "")), None);
    // The rest of the block says nothing any more.
    assert_eq!(fault_of(&reading(&set(4, u32::MAX), "")), None);
    assert_eq!(fault_of(&answering(b"", 9)), Some(Fault::Malformed));
    assert_eq!(fault_of(&answering(b"", 8)), None);
    assert_eq!(fault_of(&answering(b"", -1)), Some(Fault::Malformed));
    assert_eq!(fault_of(&answering(b"", 1 << 32 | 3)), Some(Fault::Malformed));
    for record in
        [&b"\0"[..], b"\x04\0\x08\0", b"\x04\0\0\0", b"\x63\0\x08\0\0\0\0\0", b"\x0c\0\x08\0\x09\0\0\0"]
    {
        assert_eq!(fault_of(&answering(record, 0)), Some(Fault::Malformed), "{record:?}");
    }
    let refusals = |count: usize| vec![Action::Refuse(Refusal::Malformed, Span::default()); count];
    assert_eq!(fault_of(&asking(&refusals(256))), None);
    assert_eq!(fault_of(&asking(&refusals(257))), Some(Fault::Output));
}

#[test]
fn requests_that_are_nonsense() {
    let span = |start, end| Span { start, end };
    assert_eq!(asked(|_| ()), None);
    for outside in [span(0, 9), span(5, 4), span(0, u64::from(u32::MAX)), span(9, 9)] {
        assert_eq!(asked(|expect| expect.span = outside), Some(Fault::Span));
        let field = Field::Port(0);
        for action in [
            Action::Refuse(Refusal::Malformed, outside),
            Action::Length(span(0, 1), outside),
            Action::Length(outside, span(0, 1)),
            Action::Mention(pinhole_helper::End::Sender, outside, field),
            Action::Renumber(outside, field, 1),
        ] {
            assert_eq!(fault_of(&asking(&[action])), Some(Fault::Span));
        }
        let locate = Action::Locate(Handle(0), outside, field);
        assert_eq!(fault_of(&asking(&[Action::Expect(Handle(0), expect()), locate])), Some(Fault::Span));
    }
    assert_eq!(asked(|expect| expect.class = 1), Some(Fault::Class));
    assert_eq!(asked(|expect| expect.destination_port = PortMatch::Exact(0)), Some(Fault::PortZero));
    assert_eq!(asked(|expect| expect.destination_port = PortMatch::Range(0, 9)), Some(Fault::PortZero));
    for action in [
        Action::Expect(Handle(1), expect()),
        Action::Activate(Handle(0)),
        Action::Cancel(Handle(0)),
        Action::Extend(Handle(0), 1),
        Action::Aim(Handle(0), AddressMatch::Exact("198.51.100.7".parse().unwrap())),
        Action::Lead(Handle(0), 1, 1),
        Action::Locate(Handle(0), span(0, 1), Field::Port(0)),
    ] {
        assert_eq!(fault_of(&asking(&[action])), Some(Fault::Handle));
    }
    // Nothing of an answer counts if a part of it is nonsense.
    let module = load(&asking(&[Action::Expect(Handle(0), expect()), Action::Cancel(Handle(7))])).unwrap();
    let mut actions = Vec::new();
    session(&module).datagram(Time(1), Direction::Original, b"12345678", &mut actions);
    assert_eq!(actions, []);
}

#[test]
fn requests_beyond_what_was_granted() {
    let foreign = "203.0.113.9".parse().unwrap();
    assert_eq!(asked(|expect| expect.destination = foreign), Some(Fault::Grant));
    // The other end's address is not the announcer's.
    assert_eq!(asked(|expect| expect.destination = "198.51.100.7".parse().unwrap()), Some(Fault::Grant));
    assert_eq!(asked(|expect| expect.source = AddressMatch::Exact(foreign)), Some(Fault::Grant));
    assert_eq!(asked(|expect| expect.source = AddressMatch::Any), Some(Fault::Grant));
    assert_eq!(asked(|expect| expect.source = AddressMatch::Prefix(foreign, 8)), Some(Fault::Grant));
    assert_eq!(asked(|expect| expect.helper = Some(Name::new("ftp"))), Some(Fault::Grant));
    for source in [AddressMatch::Exact(foreign), AddressMatch::Any, AddressMatch::Prefix(foreign, 8)] {
        let aimed = [Action::Expect(Handle(0), expect()), Action::Aim(Handle(0), source)];
        assert_eq!(fault_of(&asking(&aimed)), Some(Fault::Grant));
    }

    let back = Action::Aim(Handle(0), AddressMatch::Exact("10.0.0.1".parse().unwrap()));
    let module = load(&asking(&[Action::Expect(Handle(0), expect()), back.clone()])).unwrap();
    assert_eq!(said(&mut session(&module), b"12345678").unwrap().get(1), Some(&back));

    let wanting = |grants: &str| format!("{MANIFEST}[grants]\n{grants}\n");
    let code = asking(&[Action::Expect(Handle(0), Expect { destination: foreign, ..expect() })]);
    let module = seal(&code, wanting("third-party = true\nattaches = [\"ftp\"]").as_bytes()).unwrap();
    assert_eq!(load(&module).err(), Some(ModuleError::NotAllowed(vec![Grant::ThirdParty, Grant::Attach])));
    let allowed = [Grant::ThirdParty, Grant::Attach].into_iter().collect();
    let module = Module::load(&module, &LoadSettings { allowed, ..LoadSettings::default() }).unwrap();
    assert_eq!(said(&mut session(&module), b"12345678").unwrap().len(), 1);
    // The operator's policy holds besides.
    let helper = module.helper().unwrap();
    let policy = Policy { third_party: true, lowest_port: 1, any_caller: true, ..Policy::default() };
    let bound = helper.bound(policy);
    assert_eq!((bound.third_party, bound.lowest_port, bound.any_caller), (true, 1024, false));
    assert!(!helper.bound(Policy::default()).third_party);
}

/// Counts its reads in its state, traps at an `x`, and is done with the third read.
const COUNTING: &str = "
    (i32.store (i32.const 28) (i32.const 4))
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 120)) (then unreachable))
    (i32.store (i32.const 65536) (i32.add (i32.load (i32.const 65536)) (i32.const 1)))
    (if (result i64) (i32.ge_u (i32.load (i32.const 65536)) (i32.const 3))
        (then (i64.const 0x200000000)) (else (i64.const 0)))";

#[test]
fn sessions_do_not_share_what_they_remember() {
    let module = load(&reading(COUNTING, "")).unwrap();
    let (mut first, mut second) = (session(&module), session(&module));
    // The state area is not cleared for a new session, and this module counts on a zero: sessions begin with what is there.
    for reader in [&mut first, &mut second] {
        said(reader, b"-").unwrap();
    }
    let mut victim = session(&module);
    assert_eq!(said(&mut victim, b"x"), Err(BlindReason::Quarantined(Fault::Trap)));
    assert!(first.is_reading() && second.is_reading());
    said(&mut first, b"-").unwrap();
    assert!(first.is_reading());
    said(&mut first, b"-").unwrap();
    assert!(!first.is_reading() && first.blind().is_none());
}

#[test]
fn too_many_faults_quarantine_the_module() {
    let settings =
        LoadSettings { limits: Limits { faults: 3, ..Limits::default() }, ..LoadSettings::default() };
    let module = Module::load(&reading(COUNTING, ""), &settings).unwrap();
    let mut bystander = session(&module);
    for _ in 0..3 {
        assert!(!module.status().quarantined);
        assert_eq!(said(&mut session(&module), b"x"), Err(BlindReason::Quarantined(Fault::Trap)));
    }
    assert!(module.status().quarantined);
    assert_eq!(said(&mut bystander, b"-"), Err(BlindReason::Quarantined(Fault::Module)));
    assert_eq!(said(&mut session(&module), b"-"), Err(BlindReason::Quarantined(Fault::Module)));
}

#[test]
fn faults_where_none_can_be_told() {
    let beside = r#"(func (export "pinhole_may_announce") (param i32 i32) (result i32) unreachable)
                    (func (export "pinhole_pick_up") (param i32) (result i32) unreachable)"#;
    let module = load(&reading("(i64.const 0)", beside)).unwrap();
    let helper = module.helper().unwrap();
    let mut session = helper.attach(&master("10.0.0.1:1", "10.0.0.2:2"), &Policy::default());
    assert!(!session.may_announce(Direction::Original, b"x"));
    let master = master("10.0.0.1:1", "10.0.0.2:2");
    let (policy, mut actions, mut next) = (Policy::default(), Vec::new(), 0);
    let mut cx = pinhole_helper::Context::new(&master, &policy, Time(1), 0, &mut actions, &mut next);
    let trap = pinhole_helper::Progress::Blind(BlindReason::Quarantined(Fault::Trap));
    assert_eq!(session.read(&mut cx, Direction::Original, b"x"), trap);
    let mut session = helper.attach(&master, &policy);
    assert!(session.pick_up(Direction::Original));
    assert_eq!(session.read(&mut cx, Direction::Original, b"x"), trap);
}

#[test]
fn sessions_outlive_a_restart_only_if_the_module_says_so() {
    let restore = |body: &str| format!(r#"(func (export "pinhole_restore") (result i32) {body})"#);
    for (beside, is_saved, goes_on) in [
        (String::new(), false, false),
        (restore("(i32.const 0)"), true, false),
        (restore("unreachable"), true, false),
        (restore("(loop (br 0)) (i32.const 1)"), true, false),
        (restore("(i32.const 1)"), true, true),
    ] {
        let helper = load(&reading("(i64.const 0)", &beside)).unwrap().helper().unwrap();
        let session = helper.attach(&master("10.0.0.1:1", "10.0.0.2:2"), &Policy::default());
        let saved = session.save();
        assert_eq!(saved.is_some(), is_saved, "{beside}");
        assert_eq!(saved.is_some_and(|saved| helper.restore(&saved).is_some()), goes_on, "{beside}");
    }
    let wrong = reading(
        "(i64.const 0)",
        r#"(func (export "pinhole_restore") (param i32) (result i32) (i32.const 1))"#,
    );
    assert_eq!(load(&wrong).err(), Some(ModuleError::Export { name: "pinhole_restore" }));
}

#[test]
fn files_that_are_no_modules() {
    let memory = r#"(memory (export "memory") 2)"#;
    let attach = r#"(func (export "pinhole_attach") (result i32) (i32.const 0))"#;
    let read = r#"(func (export "pinhole_read") (param i32 i32) (result i64) (i64.const 0))"#;
    let all = format!("{memory} {EXCHANGE} {attach} {read}");
    let error = |text: &str| load(&module_of(text, MANIFEST)).err();
    assert_eq!(error(&all), None);
    let export = |name| Some(ModuleError::Export { name });
    assert_eq!(error(&format!("{EXCHANGE} {attach} {read} (memory 2)")), export("memory"));
    assert_eq!(error(&format!("{memory} {attach} {read}")), export("pinhole_exchange"));
    assert_eq!(error(&format!("{memory} {EXCHANGE} {attach}")), export("pinhole_read"));
    let wrong = r#"(func (export "pinhole_pick_up") (result i64) (i64.const 0))"#;
    assert_eq!(error(&format!("{all} {wrong}")), export("pinhole_pick_up"));
    let import = r#"(import "env" "clock" (func))"#;
    assert_eq!(error(&format!("{import} {all}")), Some(ModuleError::Import("env.clock".to_owned())));
    assert_eq!(
        error(&format!("{all} (func $s (loop $l (br $l))) (start $s)")),
        Some(ModuleError::Start(Fault::Fuel))
    );
    assert_eq!(
        error(&format!("{all} (func $s unreachable) (start $s)")),
        Some(ModuleError::Start(Fault::Trap))
    );
    let float = "(func (result f32) (f32.const 1))";
    assert!(matches!(error(&format!("{all} {float}")), Some(ModuleError::Code(_))));
    let large = all.replacen("\"memory\") 2", "\"memory\") 1000", 1);
    assert_eq!(error(&large), Some(ModuleError::Start(Fault::Memory)));
    for (from, to) in [
        ("(i32.const 4) (i32.const 1024)", "(i32.const 4) (i32.const 16000)"),
        ("(i32.const 8192)", "(i32.const 100)"),
    ] {
        assert!(matches!(error(&all.replacen(from, to, 1)), Some(ModuleError::Areas(_))), "{to}");
    }
    let other = MANIFEST.replacen("contract = 1", "contract = 2", 1);
    let Err(ModuleError::Manifest(error)) = load(&module_of(&all, &other)) else {
        panic!("contract 2 was loaded")
    };
    assert!(error.to_string().contains("line 1") && error.to_string().contains("contract 2"), "{error}");
    let bare = wat::parse_str(format!("(module {all})")).unwrap();
    assert_eq!(load(&bare).err(), Some(ModuleError::Section(SectionError::Missing)));
    let limit = Limits::default().file;
    assert_eq!(load(&vec![0; limit + 1]).err(), Some(ModuleError::TooLarge { size: limit + 1, limit }));
}

#[test]
fn a_nat_half_that_does_not_behave() {
    let manifest = "contract = 1\nhalf = \"nat\"\nname = \"hostile\"\nversion = \"1\"\nlicense = \"MIT\"\n\
                    summary = \"s\"\ndepends = \"conntrack_hostile\"\n";
    let encode = |body: &str| {
        let text = format!(
            r#"(memory (export "memory") 2) {EXCHANGE}
               (func (export "pinhole_encode") (param i32 i32 i32) (result i32) {body})"#
        );
        let module = load(&module_of(&text, manifest)).unwrap();
        let mut out = Vec::new();
        let endpoint = "10.0.0.1:1".parse().unwrap();
        let result = module.nat().unwrap().encode(Field::Port(0), endpoint, b"old", &mut out);
        (result, out, module.status().latest_fault)
    };
    let length = |length: u32, result: i32| {
        format!("(i32.store (i32.const 32) (i32.const {length})) (i32.const {result})")
    };
    assert_eq!(encode(&length(512, 0)), (Ok(()), vec![0; 512], None));
    assert_eq!(encode(&length(513, 0)), (Err(Unencodable::Notation), vec![], Some(Fault::Output)));
    assert_eq!(encode(&length(1, 2)), (Err(Unencodable::AddressFamily), vec![], None));
    assert_eq!(encode(&length(1, 3)), (Err(Unencodable::Notation), vec![], Some(Fault::Malformed)));
    assert_eq!(encode("unreachable"), (Err(Unencodable::Notation), vec![], Some(Fault::Trap)));
}

#[test]
fn truncated_files() {
    let whole = guest("truncated files", "nat_ftp").unwrap_or_else(|| answering(b"", 0));
    let step = whole.len() / 200 + 1;
    for length in (0..whole.len()).step_by(step) {
        assert!(load(&whole[..length]).is_err(), "{length} bytes of {}", whole.len());
    }
}

proptest! {
    #[test]
    fn damaged_files(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = reading(COUNTING, "");
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(module) = load(&bytes)
            && module.helper().is_some()
        {
            let mut session = session(&module);
            for _ in 0..3 {
                let _ = said(&mut session, b"12345678");
            }
        }
    }

    #[test]
    fn any_answer(answer in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..14u8, progress in any::<i64>()) {
        let mut answer = answer;
        if let [first, second, ..] = &mut answer[..] {
            (*first, *second) = (kind, 0);
        }
        let module = load(&answering(&answer, progress)).unwrap();
        let _ = said(&mut session(&module), b"12345678");
    }
}
