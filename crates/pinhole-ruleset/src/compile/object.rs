//! Named objects.

use super::{Compiler, index};
use crate::ast::{Expr, ExprKind, Name, Object, ObjectBody, ObjectKind};
use crate::datatype::{DataType, duration};
use crate::diagnostic::{Checked, problem};
use crate::model::object_key;
use crate::names::nearest;
use crate::object::{ExpectationObject, HelperObject, ObjectId, TimeoutObject};
use crate::program::ObjectState;
use crate::ruleset::{Family, ObjectInfo};

impl Compiler {
    pub(super) fn object(&mut self, key: &str, object: &Object, table: usize) -> Checked<()> {
        let id = ObjectId(index(self.ruleset.objects.len()));
        let state = self.object_state(id, object)?;
        self.ruleset.program.object_state.push(state);
        self.ruleset.objects.push(ObjectInfo {
            table,
            kind: object.body.kind(),
            name: object.name.text.clone(),
            span: object.name.span,
        });
        self.scope.objects.insert(key.into(), id);
        Ok(())
    }

    fn object_state(&mut self, id: ObjectId, object: &Object) -> Checked<ObjectState> {
        let name = object.name.text.clone();
        let span = object.name.span;
        let (file, line) =
            (self.ruleset.sources.name(span.file).to_owned(), self.ruleset.sources.position(span).0);
        let location = (file, line);
        match &object.body {
            ObjectBody::Helper { kind, l4, l3 } => {
                let helper = kind.as_ref().map(|k| k.text.clone()).unwrap_or_default();
                if helper.is_empty() || helper.len() > crate::field::LONGEST_NAME {
                    return Err(problem(
                        kind.as_ref().map_or(span, |k| k.span),
                        "a helper's name has 1 to 15 bytes",
                    ));
                }
                let l4_protocol = protocol(l4.as_ref(), &["tcp", "udp"], span)?;
                let family = self.object_family(l3.as_ref())?;
                self.ruleset.helpers.push(HelperObject { id, name, helper, l4_protocol, family, location });
                Ok(ObjectState::Helper)
            }
            ObjectBody::Timeout { l4, l3, policy } => {
                let all = ["tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "gre"];
                let l4_protocol = protocol(l4.as_ref(), &all, span)?;
                let family = self.object_family(l3.as_ref())?;
                let policy = timeout_policy(l4_protocol, policy)?;
                self.ruleset.timeouts.push(TimeoutObject { id, name, l4_protocol, family, policy, location });
                Ok(ObjectState::Timeout)
            }
            ObjectBody::Expectation { l4, l3, port, timeout, size } => {
                let l4_protocol = protocol(l4.as_ref(), &["tcp", "udp", "udplite", "sctp", "dccp"], span)?;
                let family = self.object_family(l3.as_ref())?;
                let value = |word: &Option<Name>, datatype| match word {
                    Some(word) => self
                        .single(&Expr { kind: ExprKind::Word(word.text.clone()), span: word.span }, datatype),
                    None => Ok(0),
                };
                let port = value(port, DataType::Service)? as u16;
                let timeout_milliseconds = value(timeout, DataType::Time)? as u32;
                let size = value(size, DataType::Integer(8))? as u8;
                let expectation = ExpectationObject {
                    id,
                    name,
                    l4_protocol,
                    family,
                    port,
                    timeout_milliseconds,
                    size,
                    location,
                };
                self.ruleset.expectations.push(expectation);
                Ok(ObjectState::Expectation)
            }
            ObjectBody::Counter { packets, bytes } => {
                Ok(ObjectState::Counter(self.new_counter((*packets, *bytes), span, Some(name))))
            }
            ObjectBody::Quota(quota) => Ok(ObjectState::Quota(self.new_quota(*quota))),
            ObjectBody::Limit(limit) => Ok(ObjectState::Rate(self.new_rate(limit, span)?)),
        }
    }

    fn object_family(&self, l3: Option<&Name>) -> Checked<Option<Family>> {
        let Some(word) = l3 else { return Ok(self.table.only()) };
        let family = match word.text.as_str() {
            "ip" => Family::Ip,
            "ip6" => Family::Ip6,
            "inet" => return Ok(self.table.only()),
            _ => return Err(problem(word.span, "l3proto is ip or ip6")),
        };
        if self.table.only().is_some_and(|only| only != family) {
            return Err(problem(word.span, "this table sees the other family only").hint("use an inet table"));
        }
        Ok(Some(family))
    }

    /// The object that a name in a rule or a map means.
    pub(super) fn object_named(&self, expr: &Expr, kind: ObjectKind) -> Checked<ObjectId> {
        let ExprKind::Word(name) = &expr.kind else {
            return Err(problem(expr.span, format!("the name of a {} is needed here", kind.text())));
        };
        if let Some(id) = self.scope.objects.get(&object_key(kind, name)) {
            return Ok(*id);
        }
        let unknown = problem(expr.span, format!("there is no {} `{name}` in this table", kind.text()));
        let of_kind = self
            .ruleset
            .objects
            .iter()
            .filter(|o| o.kind == kind && o.table + 1 == self.ruleset.tables.len());
        Err(match nearest(name, of_kind.map(|o| o.name.as_str())) {
            Some(near) => unknown.hint(format!("did you mean \"{near}\"?")),
            None if kind == ObjectKind::Helper => unknown
                .hint(format!("declare it in this table: ct helper {name} {{ type \"ftp\" protocol tcp; }}")),
            None => unknown.hint(format!("declare it in this table: {} {name} {{ … }}", kind.text())),
        })
    }
}

impl ObjectKind {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Helper => "ct helper",
            Self::Timeout => "ct timeout",
            Self::Expectation => "ct expectation",
            Self::Counter => "counter",
            Self::Quota => "quota",
            Self::Limit => "limit",
        }
    }
}

fn protocol(word: Option<&Name>, allowed: &[&str], span: crate::source::Span) -> Checked<u8> {
    let Some(word) = word else { return Err(problem(span, "this lacks a protocol")) };
    if !allowed.contains(&word.text.as_str()) {
        return Err(problem(word.span, format!("`{}` cannot stand here", word.text))
            .hint(format!("the protocols are {}", allowed.join(", "))));
    }
    let value = DataType::Protocol.value(&word.text).ok().and_then(|v| u8::try_from(v).ok());
    value.ok_or_else(|| problem(word.span, "there is no such protocol"))
}

const TCP_STATES: &[&str] = &[
    "syn_sent",
    "syn_recv",
    "established",
    "fin_wait",
    "close_wait",
    "last_ack",
    "time_wait",
    "close",
    "syn_sent2",
    "retrans",
    "unack",
];
const UDP_STATES: &[&str] = &["unreplied", "replied"];

fn timeout_policy(l4: u8, policy: &[(Name, Name)]) -> Checked<Vec<(String, u32)>> {
    let states = match l4 {
        6 => TCP_STATES,
        17 | 136 => UDP_STATES,
        _ => {
            let span = policy.first().map(|(state, _)| state.span);
            return match span {
                Some(span) => Err(problem(span, "only tcp, udp and udplite have states to set here")),
                None => Ok(Vec::new()),
            };
        }
    };
    policy
        .iter()
        .map(|(state, time)| {
            if !states.contains(&state.text.as_str()) {
                let unknown = problem(state.span, format!("this protocol has no state `{}`", state.text));
                return Err(match nearest(&state.text, states.iter().copied()) {
                    Some(near) => unknown.hint(format!("did you mean `{near}`?")),
                    None => unknown.hint(format!("the states are {}", states.join(", "))),
                });
            }
            let seconds = duration(&time.text).map(|milliseconds| milliseconds / 1000);
            let seconds = seconds.and_then(|s| u32::try_from(s).ok());
            let seconds = seconds.ok_or_else(|| problem(time.span, "a number of seconds is needed here"))?;
            Ok((state.text.clone(), seconds))
        })
        .collect()
}
