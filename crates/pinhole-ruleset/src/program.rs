//! The compiled form: a flat list of instructions, cut into rules, cut into chains.

use crate::field::{Field, Origin};
use crate::lookup::Lookup;
use crate::object::ObjectId;
use crate::ruleset::{ChainId, ChainPolicy};
use std::ops::Range;

/// One step of a rule. A match that fails ends the rule.
#[derive(Clone, Debug)]
pub(crate) enum Instruction {
    /// `x & mask != 0` for one of the first 64 flags: what most packets meet first (`ct state established`).
    AnyFlag {
        field: Field,
        mask: u64,
    },
    /// `x == value`: most of what rules compare.
    Equals {
        field: Field,
        value: u64,
    },
    /// `low <= x <= high`, or its opposite.
    Compare {
        operand: Operand,
        low: u128,
        high: u128,
        negate: bool,
    },
    /// `x & mask == value`, or its opposite.
    Masked {
        operand: Operand,
        mask: u128,
        value: u128,
        negate: bool,
    },
    /// The key is in the set, or not.
    Contains {
        key: Key,
        set: SetId,
        negate: bool,
    },
    /// The verdict that a map holds for the key; no match if it holds none.
    VerdictMap {
        key: Key,
        set: SetId,
    },
    Verdict(VerdictCode),
    Reject(RejectWith),
    Counter(u32),
    Limit(u32),
    Quota(u32),
    UseObject(ObjectSource),
    Log(u32),
    Notrack,
    SetCtMark(ValueSource),
    SetPacketMark(ValueSource),
    SetZone(ValueSource),
    SetLabel(ValueSource),
    Nat(u32),
}

impl Instruction {
    /// The comparison in its shortest form.
    pub(crate) fn compare(operand: Operand, low: u128, high: u128, negate: bool) -> Self {
        match (operand, u64::try_from(low)) {
            (Operand { origin: Origin::Field(field), count: 0, .. }, Ok(value)) if low == high && !negate => {
                Self::Equals { field, value }
            }
            _ => Self::Compare { operand, low, high, negate },
        }
    }

    /// What it loads that stands in itself; keys of sets stand in [`Program::operands`].
    fn origin(&self) -> Option<Origin> {
        match self {
            Self::AnyFlag { field, .. } | Self::Equals { field, .. } => Some(Origin::Field(*field)),
            Self::Compare { operand, .. } | Self::Masked { operand, .. } => Some(operand.origin),
            Self::SetCtMark(source)
            | Self::SetPacketMark(source)
            | Self::SetZone(source)
            | Self::SetLabel(source) => match source {
                ValueSource::Operand(operand) => Some(operand.origin),
                ValueSource::Constant(_) | ValueSource::Map { .. } => None,
            },
            Self::Contains { .. }
            | Self::VerdictMap { .. }
            | Self::Verdict(_)
            | Self::Reject(_)
            | Self::Counter(_)
            | Self::Limit(_)
            | Self::Quota(_)
            | Self::UseObject(_)
            | Self::Log(_)
            | Self::Notrack
            | Self::Nat(_) => None,
        }
    }
}

impl Program {
    /// Whether any rule loads a field of which `is` holds.
    pub(crate) fn loads(&self, is: impl Fn(Field) -> bool) -> bool {
        let keys = self.operands.iter().map(|operand| operand.origin);
        let mut all = self.code.iter().filter_map(Instruction::origin).chain(keys);
        all.any(|origin| matches!(origin, Origin::Field(field) if is(field)))
    }

    /// Whether running it is without consequence but for the verdict, once a packet has its conn.
    pub(crate) fn only_decides(&self) -> bool {
        let is_quiet = |instruction: &Instruction| match instruction {
            Instruction::AnyFlag { .. }
            | Instruction::Equals { .. }
            | Instruction::Compare { .. }
            | Instruction::Masked { .. }
            | Instruction::Contains { .. }
            | Instruction::VerdictMap { .. }
            | Instruction::Verdict(_)
            | Instruction::Reject(_)
            // Only first packets are translated.
            | Instruction::Nat(_) => true,
            // A helper is attached to a new conn, a timeout policy stays what it is.
            Instruction::UseObject(ObjectSource::Fixed(id)) => {
                let state = self.object_state.get(id.0 as usize);
                matches!(state, Some(ObjectState::Helper | ObjectState::Timeout))
            }
            Instruction::UseObject(ObjectSource::Map { .. })
            | Instruction::Counter(_)
            | Instruction::Limit(_)
            | Instruction::Quota(_)
            | Instruction::Log(_)
            | Instruction::Notrack
            | Instruction::SetCtMark(_)
            | Instruction::SetPacketMark(_)
            | Instruction::SetZone(_)
            | Instruction::SetLabel(_) => false,
        };
        self.code.iter().all(is_quiet) && self.sets.iter().all(|set| set.counters.is_none())
    }
}

/// Something loaded, and the bit operations done to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub(crate) origin: Origin,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// A step of bit arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitOperation {
    And(u128),
    Or(u128),
    Xor(u128),
    /// Shift left, keeping the bits of the mask.
    ShiftLeft(u32, u128),
    ShiftRight(u32),
}

impl BitOperation {
    pub(crate) fn apply(self, value: u128) -> u128 {
        match self {
            Self::And(mask) => value & mask,
            Self::Or(bits) => value | bits,
            Self::Xor(bits) => value ^ bits,
            Self::ShiftLeft(by, mask) => value.checked_shl(by).unwrap_or(0) & mask,
            Self::ShiftRight(by) => value.checked_shr(by).unwrap_or(0),
        }
    }
}

/// The operands that make a set's key: a stretch of [`Program::operands`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// Which compiled set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetId(pub(crate) u32);

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerdictCode {
    Accept,
    Drop,
    Continue,
    Return,
    Jump(ChainId),
    Goto(ChainId),
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectWith {
    /// A TCP reset.
    TcpReset,
    /// ICMP destination unreachable with this code.
    Icmp(u8),
    /// ICMPv6 destination unreachable with this code.
    Icmp6(u8),
    /// The ICMP or ICMPv6 code that says this for the packet's family.
    Icmpx(IcmpxCode),
}

/// The reasons that `reject with icmpx` can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpxCode {
    /// ICMP 0 (network unreachable), ICMPv6 0 (no route).
    NoRoute,
    /// ICMP 3, ICMPv6 4.
    PortUnreachable,
    /// ICMP 1, ICMPv6 3 (address unreachable).
    HostUnreachable,
    /// ICMP 13, ICMPv6 1.
    AdminProhibited,
}

impl IcmpxCode {
    pub(crate) fn from_code(code: u128) -> Option<Self> {
        Some(match code {
            0 => Self::NoRoute,
            1 => Self::PortUnreachable,
            2 => Self::HostUnreachable,
            3 => Self::AdminProhibited,
            _ => return None,
        })
    }

    /// The code in an ICMP destination unreachable message.
    pub const fn icmp(self) -> u8 {
        match self {
            Self::NoRoute => 0,
            Self::PortUnreachable => 3,
            Self::HostUnreachable => 1,
            Self::AdminProhibited => 13,
        }
    }

    /// The code in an ICMPv6 destination unreachable message.
    pub const fn icmp6(self) -> u8 {
        match self {
            Self::NoRoute => 0,
            Self::PortUnreachable => 4,
            Self::HostUnreachable => 3,
            Self::AdminProhibited => 1,
        }
    }
}

/// Where an assigned number comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueSource {
    Constant(u128),
    Operand(Operand),
    Map { key: Key, set: SetId },
}

/// Where a used object comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ObjectSource {
    Fixed(ObjectId),
    Map { key: Key, set: SetId },
}

/// What a set holds for an element.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Payload {
    Nothing,
    Verdict(VerdictCode),
    /// The components of a value, each with its range.
    Data(Box<[(u128, u128)]>),
    Object(ObjectId),
}

/// A compiled set.
#[derive(Clone, Debug)]
pub(crate) struct SetTable {
    pub(crate) lookup: Lookup,
    pub(crate) payloads: Vec<Payload>,
    /// For keys that no element holds (`*`).
    pub(crate) otherwise: Option<Payload>,
    /// Of its elements' counters, the first.
    pub(crate) counters: Option<u32>,
}

/// A rate as the kernel's token bucket has it: tokens are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) over: bool,
    /// Counts bytes instead of packets.
    pub(crate) bytes: bool,
    pub(crate) rate: u64,
    pub(crate) nanoseconds: u64,
    /// Most tokens.
    pub(crate) capacity: u64,
}

impl Rate {
    /// Tokens that a packet of `length` bytes costs.
    pub(crate) fn cost(&self, length: u64) -> u64 {
        let units = if self.bytes { length } else { 1 };
        let cost = u128::from(self.nanoseconds) * u128::from(units) / u128::from(self.rate.max(1));
        u64::try_from(cost).unwrap_or(u64::MAX)
    }
}

/// A quota.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuotaLimit {
    pub(crate) over: bool,
    pub(crate) bytes: u64,
}

/// What `log` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStatement {
    /// Put before the line.
    pub prefix: String,
    /// Level from 0 (emerg) to 7 (debug), or 8 (audit); 4 (warn) if none was written.
    pub level: u8,
    /// `tcp sequence`, `tcp options`, `ip options`, `skuid`, `ether`, `all`.
    pub flags: Vec<String>,
    /// The nfnetlink_log group, if the log goes there.
    pub group: Option<u16>,
    /// Bytes of the packet to copy to the group.
    pub snaplen: Option<u32>,
    /// Packets to queue before the group is told.
    pub queue_threshold: Option<u16>,
}

/// Which translation a NAT statement asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NatKind {
    /// Of the source.
    Snat,
    /// Of the destination.
    Dnat,
    /// Of the source, to the address of the outgoing interface.
    Masquerade,
    /// Of the destination, to this host.
    Redirect,
}

/// A NAT statement, without the addresses and ports, which may depend on the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatStatement {
    /// Which translation.
    pub kind: NatKind,
    /// Translate the network part of the address and keep the host part.
    pub prefix: bool,
    /// Choose ports at random.
    pub random: bool,
    /// Choose ports at random, without regard to the original one.
    pub fully_random: bool,
    /// Give a client the same address for each of its conns.
    pub persistent: bool,
}

/// A NAT statement and where its target comes from.
#[derive(Clone, Debug)]
pub(crate) struct NatProgram {
    pub(crate) statement: NatStatement,
    /// Family the addresses are of; packets of the other are not translated.
    pub(crate) family: Option<crate::ruleset::Family>,
    pub(crate) address: Option<RangeSource>,
    pub(crate) port: Option<RangeSource>,
    /// The map named by `address` holds addresses and ports.
    pub(crate) joined: bool,
}

/// Where a range comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RangeSource {
    Constant(u128, u128),
    Map { key: Key, set: SetId },
}

/// Everything that evaluation reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    /// Where each base chain begins.
    pub(crate) bases: Vec<BaseStart>,
    /// The rules of each chain.
    pub(crate) chains: Vec<Range<u32>>,
    /// The instructions of each rule.
    pub(crate) rules: Vec<Range<u32>>,
    pub(crate) code: Vec<Instruction>,
    pub(crate) operations: Vec<BitOperation>,
    pub(crate) operands: Vec<Operand>,
    pub(crate) sets: Vec<SetTable>,
    pub(crate) logs: Vec<LogStatement>,
    pub(crate) nats: Vec<NatProgram>,
    pub(crate) rates: Vec<Rate>,
    pub(crate) quotas: Vec<QuotaLimit>,
    /// Packets and bytes that counters start with.
    pub(crate) counters: Vec<(u64, u64)>,
    /// Bytes that quotas start with.
    pub(crate) quota_used: Vec<u64>,
    /// What a named object's state is: index by object.
    pub(crate) object_state: Vec<ObjectState>,
}

/// The rules and the policy of a base chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseStart {
    /// Set if the first rule is `ct state established accept` or its like, which decides most packets: any of these
    /// flags, and they are accepted. Rules are then run from the second.
    pub(crate) shortcut: Option<(Field, u64)>,
    pub(crate) next: u32,
    pub(crate) end: u32,
    pub(crate) policy: ChainPolicy,
}

/// What using an object does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ObjectState {
    Helper,
    Timeout,
    Expectation,
    Counter(u32),
    Rate(u32),
    Quota(u32),
}

impl Operand {
    pub(crate) const fn plain(field: Field) -> Self {
        Self { origin: Origin::Field(field), first: 0, count: 0 }
    }
}
