//! An engine with a clock, fed with raw IP datagrams.

use super::conversation::{Conversation, syn};
use super::shadow::Shadow;
use pinhole_engine::{
    EmissionKind, Engine, Event, ExpectationRecord, Frame, InterfaceId, Outcome, RefusalRecord, RuleRef,
    Settings, Verdict,
};
use pinhole_helper::{BlindReason, Refusal};
use pinhole_track::{ConnSnapshot, State};
use pinhole_wire::{Direction, LinkType, Time};
use std::net::SocketAddr;

/// An engine, its time, and what it has told.
pub(crate) struct Lab {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
    pub(crate) events: Vec<Event>,
    /// What left with the packet that was sent last, where NAT may change it; nothing if it did not survive.
    pub(crate) left: Vec<Vec<u8>>,
    number: u64,
    /// An engine that is restarted after every packet, and must do the same.
    shadow: Option<Box<Shadow>>,
}

/// Between two packets.
const STEP_NANOS: u64 = 100_000;

impl Lab {
    pub(crate) fn new(settings: Settings, rules: Option<&str>) -> Self {
        let compile = |text| match pinhole_ruleset::compile_text("firewall.nft", text) {
            Ok(rules) => rules,
            Err(errors) => panic!("{errors:#?}"),
        };
        let mut engine = Engine::new(settings, pinhole_helpers::registry(), rules.map(compile)).unwrap();
        super::modules::put_in(&mut engine);
        Self {
            engine,
            now: Time::from_seconds(1_700_000_000),
            events: Vec::new(),
            left: Vec::new(),
            number: 0,
            shadow: None,
        }
    }

    /// A lab in which everything must come out alike although the engine is restarted after every packet.
    pub(crate) fn with_restarts(settings: Settings, rules: Option<&str>) -> Self {
        let shadow = Some(Box::new(Shadow::new(settings.clone(), rules)));
        Self { shadow, ..Self::new(settings, rules) }
    }

    pub(crate) fn send(&mut self, datagram: &[u8]) -> Outcome {
        self.send_by(None, datagram)
    }

    /// A datagram as a frame of this moment.
    pub(crate) fn frame<'a>(&self, datagram: &'a [u8]) -> Frame<'a> {
        Frame {
            number: self.number,
            time: self.now,
            link: LinkType::RAW,
            bytes: datagram,
            ingress: None,
            egress: None,
            checksum: pinhole_engine::FrameChecksum::Unknown,
        }
    }

    /// Sends a datagram that comes in by an interface.
    pub(crate) fn send_by(&mut self, ingress: Option<InterfaceId>, datagram: &[u8]) -> Outcome {
        self.number += 1;
        self.now = self.now.plus_nanos(STEP_NANOS);
        let frame = Frame { ingress, ..self.frame(datagram) };
        let outcome = self.engine.handle(&frame);
        self.left = self.engine.output().map(|made| made.packet(datagram)).collect();
        if self.left.is_empty() && outcome.verdict == Verdict::Accept {
            self.left.push(datagram.to_vec());
        }
        let told = self.take_events();
        if let Some(shadow) = &mut self.shadow {
            shadow.follow(&frame, &outcome, &self.engine, &told, true);
        }
        outcome
    }

    /// Sends a datagram; what leaves, if it is accepted.
    pub(crate) fn forward(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let outcome = self.send(datagram);
        let made = self.engine.output().find(|made| made.kind == EmissionKind::Translated);
        assert_eq!(made.is_some(), outcome.rewritten);
        match (outcome.verdict, made) {
            (Verdict::Accept, Some(made)) => Some(made.packet(datagram)),
            (Verdict::Accept, None) => Some(datagram.to_vec()),
            _ => None,
        }
    }

    pub(crate) fn send_all<'a>(&mut self, datagrams: impl IntoIterator<Item = &'a Vec<u8>>) {
        for datagram in datagrams {
            let outcome = self.send(datagram);
            assert_eq!(outcome.verdict, Verdict::Accept, "{outcome:?}");
        }
    }

    /// Lets time pass without packets.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus_seconds(seconds);
        while self.engine.advance(self.now, 1000) {}
        let told = self.take_events();
        if let Some(shadow) = &mut self.shadow {
            shadow.pass(self.now, &self.engine, &told);
        }
    }

    /// Lets time pass and tells the engine nothing of it: the next packet does.
    pub(crate) fn jump(&mut self, seconds: u64) {
        self.now = self.now.plus_seconds(seconds);
    }

    /// Lets time pass; the engine is told of it, or must find out with the next packet.
    pub(crate) fn pass(&mut self, seconds: u64, told: bool) {
        if told {
            self.wait(seconds);
        } else {
            self.jump(seconds);
        }
    }

    /// Opens a conn; every packet must be accepted.
    pub(crate) fn connect(&mut self, client: &str, server: &str) -> Conversation {
        let conversation = Conversation::new(client.parse().unwrap(), server.parse().unwrap());
        self.send_all(&conversation.handshake());
        conversation
    }

    /// One side of a conn says something; the packet must be accepted.
    pub(crate) fn say(&mut self, conversation: &mut Conversation, from: Direction, bytes: &[u8]) -> Outcome {
        let outcome = self.send(&conversation.say(from, bytes));
        assert_eq!(outcome.verdict, Verdict::Accept, "{outcome:?}");
        outcome
    }

    /// A SYN from one end to another.
    pub(crate) fn syn(&mut self, source: &str, destination: &str) -> Outcome {
        self.send(&syn(address(source), address(destination)))
    }

    pub(crate) fn expected(&self) -> impl Iterator<Item = &ExpectationRecord> {
        self.events.iter().filter_map(|event| match event {
            Event::ExpectationNew(record) => Some(&**record),
            _ => None,
        })
    }

    pub(crate) fn refused(&self) -> impl Iterator<Item = &RefusalRecord> {
        self.events.iter().filter_map(|event| match event {
            Event::Refusal(record) => Some(&**record),
            _ => None,
        })
    }

    /// Reasons and quoted bytes of all refusals.
    pub(crate) fn refusals(&self) -> Vec<(Refusal, String)> {
        self.refused().map(|record| (record.reason, text(&record.provenance.bytes))).collect()
    }

    /// Reasons of the helpers that went blind.
    pub(crate) fn blind(&self) -> Vec<BlindReason> {
        let reason = |event: &Event| match event {
            Event::HelperBlind { reason, .. } => Some(*reason),
            _ => None,
        };
        self.events.iter().filter_map(reason).collect()
    }

    /// Where the rule or policy that decided is written.
    pub(crate) fn decided_at(&self, outcome: &Outcome) -> (String, u32) {
        let ruleset = self.engine.ruleset().unwrap();
        let location = match outcome.rule.unwrap() {
            RuleRef::Rule(rule) => ruleset.location(rule),
            RuleRef::Policy(chain) => ruleset.policy_location(chain),
        };
        location.map(|location| (location.file.to_owned(), location.line)).unwrap()
    }

    /// No expectation is left that matches anything, and none ever brought a conn in.
    pub(crate) fn assert_nothing_open(&self) {
        let open: Vec<_> = self.engine.tracker().expectations().filter(|e| e.active).collect();
        assert!(open.is_empty(), "{open:?}");
        let hits = self.events.iter().filter(|event| matches!(event, Event::ExpectationHit { .. })).count();
        assert_eq!(hits, 0);
    }

    /// A SYN is an unknown new conn, and the policy of the chain drops it.
    pub(crate) fn assert_shut(&mut self, source: &str, destination: &str) {
        let outcome = self.syn(source, destination);
        assert_eq!(outcome.verdict, Verdict::Drop, "{source} > {destination}: {outcome:?}");
        assert_eq!(outcome.state, Some(State::New), "{source} > {destination}: {outcome:?}");
        assert!(matches!(outcome.rule, Some(RuleRef::Policy(_))), "{outcome:?}");
        assert_eq!(self.decided_at(&outcome).0, "firewall.nft");
    }

    /// Takes the events in; what they tell.
    fn take_events(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(event) = self.engine.next_event() {
            lines.push(told(&self.engine, &event));
            self.events.push(event);
        }
        lines
    }
}

/// What an event tells, without ids of conns, which are an engine's own.
pub(crate) fn told(engine: &Engine, event: &Event) -> String {
    let of = |conn| engine.tracker().original(conn);
    let conn_text = |kind: &str, conn: &ConnSnapshot| {
        let ConnSnapshot { original, reply, status, l4, counters, mark, helper, start, timeout, .. } = conn;
        format!(
            "{kind} {original:?} {reply:?} {status:?} {l4:?} {counters:?} {mark} {helper:?} {start:?} {timeout}"
        )
    };
    match event {
        Event::ConnNew { conn, .. } => conn_text("new", conn),
        Event::ConnUpdate { conn, .. } => conn_text("update", conn),
        Event::ConnDestroy { conn, cause, .. } => conn_text(&format!("destroy {cause:?}"), conn),
        Event::HelperAttached { conn, helper, rule, .. } => {
            format!("attached {:?} {helper} {rule:?}", of(*conn))
        }
        Event::HelperBlind { conn, helper, reason, .. } => {
            format!("blind {:?} {helper} {reason:?}", of(*conn))
        }
        Event::HelperCondition { conn, condition, .. } => format!("condition {:?} {condition:?}", of(*conn)),
        Event::ExpectationNew(record) => {
            let (it, mut origin) = (&record.expectation, record.provenance.clone());
            if origin.time < it.created {
                // It is entered anew, and the number of a packet before a restart is forgotten.
                origin.packet = 0;
            }
            format!("expectation {:?} {:?} {} {origin:?}", it.expect, it.deadline, it.active)
        }
        Event::ExpectationHit { id, conn, .. } => format!("hit {id:?} {:?}", of(*conn)),
        Event::Refusal(record) => format!("refusal {:?} {:?}", record.reason, record.provenance),
        Event::ConnTranslated { conn, source, destination, .. } => {
            format!("translated {:?} {source:?} {destination:?}", of(*conn))
        }
        Event::NatHelperMissing { conn, helper, .. } => format!("missing {:?} {helper}", of(*conn)),
        other => format!("{other:?}"),
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
