//! A packet made of a table, and effects that are written down.

use pinhole_ruleset::{
    Decision, Effects, Family, Field, Hook, LogStatement, NameField, NatAction, ObjectId, RuleId, Ruleset,
    RulesetState, Subject, Verdict,
};
use std::collections::HashMap;

#[derive(Clone, Default)]
pub(crate) struct Packet {
    fields: HashMap<Field, u128>,
    names: HashMap<NameField, String>,
}

impl Packet {
    pub(crate) fn with(mut self, field: Field, value: impl Into<u128>) -> Self {
        self.fields.insert(field, value.into());
        self
    }

    pub(crate) fn without(mut self, field: Field) -> Self {
        self.fields.remove(&field);
        self
    }

    pub(crate) fn named(mut self, field: NameField, name: &str) -> Self {
        self.names.insert(field, name.into());
        self
    }
}

impl Subject for Packet {
    fn load(&self, field: Field) -> Option<u128> {
        self.fields.get(&field).copied()
    }

    fn name(&self, field: NameField) -> Option<&str> {
        self.names.get(&field).map(String::as_str)
    }
}

pub(crate) fn v4(text: &str) -> u128 {
    u32::from(text.parse::<std::net::Ipv4Addr>().unwrap()).into()
}

pub(crate) fn v6(text: &str) -> u128 {
    text.parse::<std::net::Ipv6Addr>().unwrap().into()
}

/// A new TCP conn from 10.0.0.1:40000 to 192.0.2.1:22.
pub(crate) fn tcp() -> Packet {
    Packet::default()
        .with(Field::NfProtocol, 2u8)
        .with(Field::EtherProtocol, 0x0800u16)
        .with(Field::L4Protocol, 6u8)
        .with(Field::Ip4Protocol, 6u8)
        .with(Field::Ip4Source, v4("10.0.0.1"))
        .with(Field::Ip4Destination, v4("192.0.2.1"))
        .with(Field::Ip4Ttl, 64u8)
        .with(Field::SourcePort, 40000u16)
        .with(Field::DestinationPort, 22u16)
        .with(Field::TcpFlags, 2u8)
        .with(Field::CtState, 8u8)
        .with(Field::CtStatus, 0u8)
        .with(Field::CtDirection, 0u8)
        .with(Field::CtMark, 0u8)
        .with(Field::Mark, 0u8)
        .with(Field::Length, 60u8)
        .named(NameField::InterfaceIn, "eth0")
        .named(NameField::InterfaceOut, "wan0")
}

/// The same to port 53 over UDP and IPv6.
pub(crate) fn udp6() -> Packet {
    Packet::default()
        .with(Field::NfProtocol, 10u8)
        .with(Field::EtherProtocol, 0x86ddu16)
        .with(Field::L4Protocol, 17u8)
        .with(Field::Ip6NextHeader, 17u8)
        .with(Field::Ip6Source, v6("fd00::1"))
        .with(Field::Ip6Destination, v6("2001:db8::1"))
        .with(Field::SourcePort, 40000u16)
        .with(Field::DestinationPort, 53u16)
        .with(Field::CtState, 8u8)
        .with(Field::HasFragment, 0u8)
        .with(Field::Length, 100u8)
        .named(NameField::InterfaceIn, "eth0")
}

#[derive(Default, Debug)]
pub(crate) struct Recorded(pub(crate) Vec<String>);

impl Effects for Recorded {
    fn set_ct_mark(&mut self, mark: u32) {
        self.0.push(format!("ct mark {mark:#x}"));
    }
    fn set_packet_mark(&mut self, mark: u32) {
        self.0.push(format!("mark {mark:#x}"));
    }
    fn set_zone(&mut self, zone: u16) {
        self.0.push(format!("zone {zone}"));
    }
    fn set_label(&mut self, bits: u128) {
        self.0.push(format!("label {bits:#x}"));
    }
    fn set_helper(&mut self, helper: ObjectId, _: RuleId) {
        self.0.push(format!("helper {}", helper.0));
    }
    fn set_timeout_policy(&mut self, policy: ObjectId, _: RuleId) {
        self.0.push(format!("timeout {}", policy.0));
    }
    fn set_expectation(&mut self, expectation: ObjectId, _: RuleId) {
        self.0.push(format!("expectation {}", expectation.0));
    }
    fn notrack(&mut self) {
        self.0.push("notrack".into());
    }
    fn log(&mut self, statement: &LogStatement, _: RuleId) {
        self.0.push(format!("log {}", statement.prefix));
    }
    fn nat(&mut self, action: &NatAction, _: RuleId) {
        self.0.push(format!("{:?} {:x?} {:?}", action.kind(), action.address, action.port));
    }
}

pub(crate) fn compiled(text: &str) -> Ruleset {
    pinhole_ruleset::compile_text("test.nft", text)
        .unwrap_or_else(|d| panic!("{}\n{text}", d.iter().map(|d| d.render(false)).collect::<String>()))
}

/// Runs every chain of the hook as an engine does.
pub(crate) fn run(
    ruleset: &Ruleset,
    hook: Hook,
    packet: &Packet,
    effects: &mut Recorded,
    state: &mut RulesetState,
) -> Verdict {
    let family = if packet.load(Field::NfProtocol) == Some(10) { Family::Ip6 } else { Family::Ip };
    let mut last = None;
    for chain in ruleset.base_chains(hook, family) {
        let verdict = ruleset.evaluate(chain.id, packet, effects, state, 0);
        last = Some(verdict);
        if verdict.decision != Decision::Accept {
            break;
        }
    }
    last.expect("there is a chain")
}

/// What one rule, in an input chain that otherwise drops, does to a packet.
pub(crate) fn rule(rule: &str, packet: &Packet) -> (Decision, Vec<String>) {
    let ruleset = compiled(&format!(
        "table inet t {{\n chain c {{ type filter hook input priority 0; policy drop;\n {rule}\n }}\n}}\n"
    ));
    let mut effects = Recorded::default();
    let mut state = RulesetState::new(&ruleset);
    let verdict = run(&ruleset, Hook::Input, packet, &mut effects, &mut state);
    (verdict.decision, effects.0)
}

pub(crate) fn accepts(text: &str, packet: &Packet) -> bool {
    rule(text, packet).0 == Decision::Accept
}
