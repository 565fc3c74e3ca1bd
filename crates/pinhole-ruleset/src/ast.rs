//! What was written, before it is known whether it makes sense.

use crate::selector::{CtDirection, Selector};
use crate::source::Span;
use std::rc::Rc;

/// A word and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// Family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TableFamily {
    Ip,
    Ip6,
    Inet,
}

/// A table, by family and name.
#[derive(Clone, Debug)]
pub(crate) struct TableName {
    pub(crate) family: TableFamily,
    pub(crate) name: Name,
}

/// One top-level command, in the order of the text.
#[derive(Debug)]
pub(crate) enum Command {
    FlushRuleset(Option<TableFamily>),
    FlushTable(TableName),
    FlushChain(TableName, Name),
    FlushSet(TableName, Name),
    DeleteTable(TableName),
    DeleteItem(TableName, Item, Name),
    /// `table … { }`, `add` and `create` all come to this.
    Table {
        table: TableName,
        create: bool,
    },
    Chain {
        table: TableName,
        chain: Chain,
        create: bool,
    },
    Rule {
        table: TableName,
        chain: Name,
        rule: Rule,
        first: bool,
    },
    Set {
        table: TableName,
        set: Set,
        create: bool,
    },
    Elements {
        table: TableName,
        set: Name,
        elements: Rc<Expr>,
    },
    Object {
        table: TableName,
        object: Object,
        create: bool,
    },
}

/// Kinds of things in a table that can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Chain,
    Set,
    Object,
}

/// A chain's declaration.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) name: Name,
    pub(crate) base: Option<Base>,
    pub(crate) policy: Option<(Policy, Span)>,
}

/// What makes a chain a base chain.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) kind: Name,
    pub(crate) hook: Name,
    pub(crate) priority: Priority,
}

/// A priority: a number, or a name with an offset.
#[derive(Clone, Debug)]
pub(crate) struct Priority {
    pub(crate) name: Option<String>,
    pub(crate) offset: i32,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Accept,
    Drop,
}

/// A rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) statements: Vec<Statement>,
    pub(crate) comment: Option<String>,
    pub(crate) span: Span,
}

/// A named set or map.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) name: Name,
    pub(crate) is_map: bool,
    pub(crate) key: Option<SetType>,
    pub(crate) data: Option<SetData>,
    pub(crate) interval: bool,
    pub(crate) auto_merge: bool,
    pub(crate) size: Option<(u64, Span)>,
    pub(crate) expires: Option<Span>,
    pub(crate) counter: bool,
    pub(crate) elements: Vec<Rc<Expr>>,
}

/// Type of a set's keys.
#[derive(Clone, Debug)]
pub(crate) enum SetType {
    Types(Vec<Name>),
    Typeof(Rc<Expr>),
}

/// Type of a map's values.
#[derive(Clone, Debug)]
pub(crate) enum SetData {
    Verdict,
    Values(SetType),
    Objects(ObjectKind),
}

/// Kinds of named objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ObjectKind {
    Helper,
    Timeout,
    Expectation,
    Counter,
    Quota,
    Limit,
}

/// A named object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) name: Name,
    pub(crate) body: ObjectBody,
}

#[derive(Clone, Debug)]
pub(crate) enum ObjectBody {
    Helper {
        kind: Option<Name>,
        l4: Option<Name>,
        l3: Option<Name>,
    },
    Timeout {
        l4: Option<Name>,
        l3: Option<Name>,
        policy: Vec<(Name, Name)>,
    },
    Expectation {
        l4: Option<Name>,
        l3: Option<Name>,
        port: Option<Name>,
        timeout: Option<Name>,
        size: Option<Name>,
    },
    Counter {
        packets: u64,
        bytes: u64,
    },
    Quota(Quota),
    Limit(Limit),
}

impl ObjectBody {
    pub(crate) fn kind(&self) -> ObjectKind {
        match self {
            Self::Helper { .. } => ObjectKind::Helper,
            Self::Timeout { .. } => ObjectKind::Timeout,
            Self::Expectation { .. } => ObjectKind::Expectation,
            Self::Counter { .. } => ObjectKind::Counter,
            Self::Quota(_) => ObjectKind::Quota,
            Self::Limit(_) => ObjectKind::Limit,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub(crate) over: bool,
    pub(crate) bytes: u64,
    pub(crate) used: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) over: bool,
    /// Counts bytes instead of packets.
    pub(crate) bytes: bool,
    pub(crate) rate: u64,
    pub(crate) per_seconds: u64,
    pub(crate) burst: u64,
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// A symbol whose meaning depends on the type that is wanted.
    Word(String),
    Selector(Selector),
    /// `ct original saddr` without a family: the table tells.
    CtAddress {
        key: String,
        direction: CtDirection,
    },
    /// `*` as the key of a catch-all element.
    Any,
    Prefix(Rc<Expr>, u32),
    Range(Rc<Expr>, Rc<Expr>),
    List(Vec<Rc<Expr>>),
    Concat(Vec<Rc<Expr>>),
    Set(Vec<Element>),
    SetName(String),
    Binary(Operator, Rc<Expr>, Rc<Expr>),
    Map(Rc<Expr>, Rc<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

/// An element of a set or map.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) key: Rc<Expr>,
    pub(crate) value: Option<MapValue>,
}

#[derive(Clone, Debug)]
pub(crate) enum MapValue {
    Verdict(VerdictWord, Span),
    Value(Rc<Expr>),
}

/// A verdict as written.
#[derive(Clone, Debug)]
pub(crate) enum VerdictWord {
    Accept,
    Drop,
    Continue,
    Return,
    Jump(Name),
    Goto(Name),
}

/// How the two sides of a match are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Nothing was written.
    Implicit,
    Equal,
    NotEqual,
    /// `!`: none of these flags.
    None,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A statement.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) kind: StatementKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) enum StatementKind {
    Match {
        left: Rc<Expr>,
        comparison: Comparison,
        right: Rc<Expr>,
        mask: Option<Rc<Expr>>,
    },
    VerdictMap {
        key: Rc<Expr>,
        map: Rc<Expr>,
    },
    Verdict(VerdictWord),
    Reject(Option<RejectWord>),
    Counter {
        packets: u64,
        bytes: u64,
    },
    Limit(Limit),
    Quota(Quota),
    /// `counter name X`, `limit name X`, `ct helper set X` and the like.
    UseObject {
        kind: ObjectKind,
        object: Rc<Expr>,
    },
    Log(LogWords),
    Notrack,
    Assign {
        target: AssignTarget,
        value: Rc<Expr>,
    },
    Nat(NatWords),
}

#[derive(Clone, Debug)]
pub(crate) enum RejectWord {
    TcpReset,
    Icmp(Name),
    Icmp6(Name),
    Icmpx(Name),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct LogWords {
    pub(crate) prefix: Option<String>,
    pub(crate) level: Option<Name>,
    pub(crate) flags: Vec<String>,
    pub(crate) group: Option<u16>,
    pub(crate) snaplen: Option<u32>,
    pub(crate) queue_threshold: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AssignTarget {
    CtMark,
    PacketMark,
    CtZone,
    CtLabel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NatWord {
    Snat,
    Dnat,
    Masquerade,
    Redirect,
}

#[derive(Clone, Debug)]
pub(crate) struct NatWords {
    pub(crate) kind: NatWord,
    pub(crate) family: Option<TableFamily>,
    pub(crate) prefix: bool,
    pub(crate) address: Option<Rc<Expr>>,
    pub(crate) port: Option<Rc<Expr>>,
    pub(crate) random: bool,
    pub(crate) fully_random: bool,
    pub(crate) persistent: bool,
}
