//! What a helper asks for, as lines that can be compared and read.
//!
//! Lines tell what is asked for, not in which segment: only with which turn. Bytes are written as text, with escapes for what is none.

use pinhole_helper::{
    Action, AddressMatch, Condition, End, Expect, Field, GroupRule, Handle, Lifetime, Master, Name,
    NatHelper, PortMatch, Reader, Span, Spec,
};
use pinhole_wire::Direction;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Writes down what one helper asks for.
pub(super) struct Recorder<'a> {
    spec: &'a Spec,
    half: Option<&'a dyn NatHelper>,
    master: Master,
    /// Where peers find what was announced.
    announced: Vec<(Handle, SocketAddr)>,
    lines: Vec<String>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(spec: &'a Spec, half: Option<&'a dyn NatHelper>, master: Master) -> Self {
        Self { spec, half, master, announced: Vec::new(), lines: Vec::new() }
    }

    /// Notes what a read of direction `from`, up to line `number` of the script, came to.
    pub(super) fn note(&mut self, number: usize, from: Direction, actions: &[Action], reader: &Reader) {
        for action in actions {
            let mut line = self.line(from, action, reader);
            if let Value::Object(fields) = &mut line {
                fields.shift_insert(0, "turn_to_line".to_owned(), json!(number));
                fields.shift_insert(
                    1,
                    "from".to_owned(),
                    json!(if from == Direction::Original { "client" } else { "server" }),
                );
            }
            self.lines.push(line.to_string());
        }
    }

    /// All lines, with how the reading ended.
    pub(super) fn finish(mut self, reader: &Reader) -> Vec<String> {
        let end = match (reader.blind(), reader.is_reading()) {
            (Some(reason), _) => json!({"end": "blind", "reason": reason.name()}),
            (None, true) => json!({"end": "reading"}),
            (None, false) => json!({"end": "done"}),
        };
        self.lines.push(end.to_string());
        self.lines
    }

    fn line(&mut self, from: Direction, action: &Action, reader: &Reader) -> Value {
        let bytes = |span: Span| text(reader.quote(from, span));
        match action {
            Action::Expect(handle, expect) => {
                if let PortMatch::Exact(port) | PortMatch::Range(port, _) = expect.destination_port {
                    self.announced.push((*handle, SocketAddr::new(expect.destination, port)));
                }
                self.expectation(*handle, expect, &bytes(expect.span))
            }
            Action::Activate(Handle(handle)) => json!({"action": "activate", "handle": handle}),
            Action::Extend(Handle(handle), seconds) => {
                json!({"action": "extend", "handle": handle, "seconds": seconds})
            }
            Action::Prolong(seconds) => json!({"action": "prolong", "seconds": seconds}),
            Action::Aim(Handle(handle), source) => {
                json!({"action": "aim", "handle": handle, "source": self::source(*source)})
            }
            Action::Cancel(Handle(handle)) => json!({"action": "cancel", "handle": handle}),
            Action::Locate(handle, span, field) => {
                let endpoint = self.announced.iter().rev().find(|(known, _)| known == handle);
                let becomes =
                    endpoint.and_then(|(_, end)| self.written(*field, *end, reader.quote(from, *span)));
                json!({"action": "locate", "handle": handle.0, "field": name(*field), "bytes": bytes(*span), "becomes": becomes})
            }
            Action::Mention(end, span, field) => {
                let (who, endpoint) = match end {
                    End::Sender => ("sender", self.master.sender_seen_by_peer(from)),
                    End::Peer => ("peer", self.master.receiver(from)),
                };
                let becomes = self.written(*field, endpoint, reader.quote(from, *span));
                json!({"action": "mention", "end": who, "field": name(*field), "bytes": bytes(*span), "becomes": becomes})
            }
            Action::Length(digits, body) => {
                json!({"action": "length", "bytes": bytes(*digits), "of": body.end.saturating_sub(body.start)})
            }
            Action::Renumber(span, field, number) => {
                json!({"action": "renumber", "field": name(*field), "bytes": bytes(*span), "number": number})
            }
            Action::Lead(Handle(handle), source, destination) => {
                json!({"action": "lead", "handle": handle, "source_key": source, "destination_key": destination})
            }
            Action::Refuse(reason, span) => {
                json!({"action": "refuse", "reason": reason.name(), "bytes": bytes(*span)})
            }
            Action::Condition(condition) => {
                let encrypted = *condition == Condition::Encrypted;
                json!({"action": "condition", "encrypted": encrypted})
            }
            other => json!({"action": format!("{other:?}")}),
        }
    }

    fn expectation(&self, Handle(handle): Handle, expect: &Expect, bytes: &str) -> Value {
        let class = self.spec.classes.get(usize::from(expect.class));
        json!({
            "action": "expect",
            "handle": handle,
            "class": class.map(|class| class.name.as_str()),
            "protocol": expect.protocol.to_string(),
            "source": source(expect.source),
            "source_port": ports(expect.source_port),
            "destination": expect.destination.to_string(),
            "destination_port": ports(expect.destination_port),
            "lifetime": match expect.lifetime {
                Lifetime::OneShot => "once",
                Lifetime::Permanent => "permanent",
            },
            "active": expect.active,
            "timeout": expect.timeout.or(class.map(|class| class.timeout)),
            "group": expect.group.map(|(group, rule)| json!([group, match rule {
                GroupRule::Independent => "independent",
                GroupRule::FirstHitCancels => "first-hit-cancels",
            }])),
            "helper": expect.helper.as_ref().map(Name::as_str),
            "bytes": bytes,
        })
    }

    /// What the NAT half writes in place of old bytes; `None` without one.
    fn written(&self, field: Field, endpoint: SocketAddr, old: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        Some(match self.half?.encode(field, endpoint, old, &mut out) {
            Ok(()) => text(&out),
            Err(error) => format!("error: {}", error.name()),
        })
    }
}

fn ports(ports: PortMatch) -> String {
    match ports {
        PortMatch::Exact(port) => port.to_string(),
        PortMatch::Range(first, last) => format!("{first}-{last}"),
        PortMatch::Any => "any".to_owned(),
    }
}

fn name(field: Field) -> String {
    match field {
        Field::Endpoint(notation) => format!("endpoint {notation}"),
        Field::Address(notation) => format!("address {notation}"),
        Field::Port(notation) => format!("port {notation}"),
        other => format!("{other:?}"),
    }
}

/// Bytes as text, with escapes for what is none.
fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn source(of: AddressMatch) -> String {
    match of {
        AddressMatch::Exact(address) => address.to_string(),
        AddressMatch::Prefix(address, length) => format!("{address}/{length}"),
        AddressMatch::Any => "any".to_owned(),
    }
}
