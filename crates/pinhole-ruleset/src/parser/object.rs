//! Bodies of named objects: `ct helper`, `ct timeout`, `ct expectation`, `counter`, `quota`, `limit`.

use super::Parser;
use crate::ast::{Name, Object, ObjectBody, ObjectKind};
use crate::diagnostic::{Checked, problem};
use crate::lexer::Kind;

impl Parser<'_> {
    /// The kind of object that the current words name, which are taken; `None` if they name none.
    pub(super) fn object_kind(&mut self) -> Option<ObjectKind> {
        let (kind, words) = match () {
            () if self.is_word("ct") && self.is_word_at(1, "helper") => (ObjectKind::Helper, 2),
            () if self.is_word("ct") && self.is_word_at(1, "timeout") => (ObjectKind::Timeout, 2),
            () if self.is_word("ct") && self.is_word_at(1, "expectation") => (ObjectKind::Expectation, 2),
            () if self.is_word("counter") => (ObjectKind::Counter, 1),
            () if self.is_word("quota") => (ObjectKind::Quota, 1),
            () if self.is_word("limit") => (ObjectKind::Limit, 1),
            () => return None,
        };
        for _ in 0..words {
            self.bump();
        }
        Some(kind)
    }

    /// An object after its name: in braces, or bare on one line as commands allow.
    pub(super) fn object(&mut self, kind: ObjectKind, name: Name) -> Checked<Object> {
        let mut body = empty(kind);
        if self.kind() == Kind::LeftBrace {
            self.block(|p| p.object_statement(&mut body))?;
        } else if !self.at_end_of_statement() {
            self.object_statement(&mut body)?;
        }
        complete(&name, &body)?;
        Ok(Object { name, body })
    }

    fn object_statement(&mut self, body: &mut ObjectBody) -> Checked<()> {
        if self.take_word("comment") {
            self.quoted("a quoted comment")?;
            return Ok(());
        }
        match body {
            ObjectBody::Helper { kind, l4, l3 } => match () {
                () if self.take_word("type") => {
                    *kind = Some(self.quoted("the name of a helper in quotes, such as \"ftp\"")?);
                    self.expect_word("protocol")?;
                    *l4 = Some(self.name("tcp or udp")?);
                }
                () if self.take_word("l3proto") => *l3 = Some(self.name("ip or ip6")?),
                () => return Err(self.expected("`type \"…\" protocol …` or `l3proto`")),
            },
            ObjectBody::Timeout { l4, l3, policy } => match () {
                () if self.take_word("protocol") => *l4 = Some(self.name("a protocol")?),
                () if self.take_word("l3proto") => *l3 = Some(self.name("ip or ip6")?),
                () if self.take_word("policy") => {
                    self.expect(Kind::Assign, "`=`")?;
                    self.timeout_policy(policy)?;
                }
                () => return Err(self.expected("`protocol`, `l3proto` or `policy`")),
            },
            ObjectBody::Expectation { l4, l3, port, timeout, size } => match () {
                () if self.take_word("protocol") => *l4 = Some(self.name("a protocol")?),
                () if self.take_word("l3proto") => *l3 = Some(self.name("ip or ip6")?),
                () if self.take_word("dport") => *port = Some(self.constant_word("a port")?),
                () if self.take_word("timeout") => *timeout = Some(self.constant_word("a duration")?),
                () if self.take_word("size") => *size = Some(self.constant_word("a number")?),
                () => return Err(self.expected("`protocol`, `l3proto`, `dport`, `timeout` or `size`")),
            },
            ObjectBody::Counter { packets, bytes } => {
                if !self.is_word("packets") {
                    return Err(self.expected("`packets`"));
                }
                (*packets, *bytes) = self.counter_start()?;
            }
            ObjectBody::Quota(quota) => *quota = self.quota()?,
            ObjectBody::Limit(limit) => *limit = self.limit()?,
        }
        Ok(())
    }

    fn timeout_policy(&mut self, policy: &mut Vec<(Name, Name)>) -> Checked<()> {
        self.expect(Kind::LeftBrace, "`{`")?;
        loop {
            self.skip_newlines();
            if self.kind() == Kind::RightBrace {
                break;
            }
            let state = self.name("a state of the protocol, such as established")?;
            self.expect(Kind::Colon, "`:`")?;
            policy.push((state, self.constant_word("a duration in seconds")?));
            self.skip_newlines();
            if !self.take(Kind::Comma) {
                break;
            }
        }
        self.expect(Kind::RightBrace, "`,` or `}`")?;
        Ok(())
    }
}

fn empty(kind: ObjectKind) -> ObjectBody {
    match kind {
        ObjectKind::Helper => ObjectBody::Helper { kind: None, l4: None, l3: None },
        ObjectKind::Timeout => ObjectBody::Timeout { l4: None, l3: None, policy: Vec::new() },
        ObjectKind::Expectation => {
            ObjectBody::Expectation { l4: None, l3: None, port: None, timeout: None, size: None }
        }
        ObjectKind::Counter => ObjectBody::Counter { packets: 0, bytes: 0 },
        ObjectKind::Quota => ObjectBody::Quota(crate::ast::Quota { over: false, bytes: 0, used: 0 }),
        ObjectKind::Limit => ObjectBody::Limit(crate::ast::Limit {
            over: false,
            bytes: false,
            rate: 0,
            per_seconds: 1,
            burst: 0,
        }),
    }
}

/// What an object must say.
fn complete(name: &Name, body: &ObjectBody) -> Checked<()> {
    let missing = match body {
        ObjectBody::Helper { kind: None, .. } => "`type \"…\" protocol …`",
        ObjectBody::Timeout { l4: None, .. } | ObjectBody::Expectation { l4: None, .. } => "`protocol`",
        ObjectBody::Timeout { policy, .. } if policy.is_empty() => "`policy`",
        ObjectBody::Expectation { port: None, .. } => "`dport`",
        ObjectBody::Expectation { timeout: None, .. } => "`timeout`",
        ObjectBody::Expectation { size: None, .. } => "`size`",
        ObjectBody::Limit(limit) if limit.rate == 0 => "`rate`",
        _ => return Ok(()),
    };
    Err(problem(name.span, format!("`{}` lacks {missing}", name.text)))
}
