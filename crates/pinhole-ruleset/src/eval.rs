//! Running a base chain over a packet. No allocation, no formatting; bounded by the program's length, because jumps
//! form no cycles (the checker sees to that).

use crate::field::{Field, NameField, Origin, name_value};
use crate::lookup::MAX_COMPONENTS;
use crate::object::ObjectId;
use crate::program::{
    Instruction, Key, LogStatement, NatKind, NatProgram, NatStatement, ObjectSource, ObjectState, Operand,
    Payload, Program, RangeSource, RejectWith, SetId, ValueSource, VerdictCode,
};
use crate::ruleset::{BaseChainId, ChainPolicy, Family, RuleId, Ruleset};
use crate::state::RulesetState;

/// Deepest nesting of jumps, as in the kernel.
pub(crate) const MAX_JUMPS: usize = 16;

/// What rules look at.
pub trait Subject {
    /// The value of a field; `None` if the packet has no such field, which fails the match.
    fn load(&self, field: Field) -> Option<u128>;

    /// The same for what rules look at most, in a register; `None` also if the value is longer than 64 bits.
    #[inline]
    fn load_narrow(&self, field: Field) -> Option<u64> {
        u64::try_from(self.load(field)?).ok()
    }

    /// A name; `None` if there is none, which fails the match.
    fn name(&self, field: NameField) -> Option<&str>;
}

/// What rules do besides deciding. Every method does nothing unless it is overridden.
pub trait Effects {
    /// `ct mark set`.
    fn set_ct_mark(&mut self, _mark: u32) {}
    /// `meta mark set`.
    fn set_packet_mark(&mut self, _mark: u32) {}
    /// `ct zone set`.
    fn set_zone(&mut self, _zone: u16) {}
    /// `ct label set`: these bits are added to the labels.
    fn set_label(&mut self, _bits: u128) {}
    /// `ct helper set`.
    fn set_helper(&mut self, _helper: ObjectId, _rule: RuleId) {}
    /// `ct timeout set`.
    fn set_timeout_policy(&mut self, _policy: ObjectId, _rule: RuleId) {}
    /// `ct expectation set`.
    fn set_expectation(&mut self, _expectation: ObjectId, _rule: RuleId) {}
    /// `notrack`.
    fn notrack(&mut self) {}
    /// `log`.
    fn log(&mut self, _statement: &LogStatement, _rule: RuleId) {}
    /// A NAT statement; evaluation of the chain ends with accept after it.
    fn nat(&mut self, _action: &NatAction, _rule: RuleId) {}
}

/// Effects that nobody wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEffects;

impl Effects for NoEffects {}

/// A NAT statement with its target for this packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatAction {
    /// Which translation, and its flags.
    pub statement: NatStatement,
    /// Addresses to choose from (first and last), as integers of the packet's family; `None` keeps the address.
    pub address: Option<(u128, u128)>,
    /// Ports to choose from (first and last); `None` keeps the port if possible.
    pub port: Option<(u16, u16)>,
}

impl NatAction {
    /// Which translation.
    pub const fn kind(&self) -> NatKind {
        self.statement.kind
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It passes this chain; chains of the same hook with higher priorities, and later hooks, still see it.
    Accept,
    /// It is gone. Final.
    Drop,
    /// It is gone and its sender is told. Final.
    Reject(RejectWith),
}

/// A decision and who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// What becomes of the packet.
    pub decision: Decision,
    /// The rule that decided; `None` if it was the policy of [`chain`](Self::chain).
    pub rule: Option<RuleId>,
    /// The base chain that was run.
    pub chain: BaseChainId,
}

/// What a step does to the flow of control.
enum Flow {
    Next,
    /// The rule does not match.
    Break,
    Decided(Decision),
    Return,
    Jump(Position),
    Goto(Position),
}

/// Rules still to be run: the next and the one after the last.
#[derive(Clone, Copy, Default)]
struct Position {
    next: u32,
    end: u32,
}

impl Ruleset {
    /// Runs one base chain over a packet.
    ///
    /// `now_nanos` is the time that limits go by; it must not go backwards (if it does, no tokens are added).
    /// Accept ends this chain only: the caller goes on with [`base_chains`](Self::base_chains) of the same hook and
    /// then of later hooks. Drop and reject are final.
    #[inline(always)]
    pub fn evaluate(
        &self,
        chain: BaseChainId,
        subject: &impl Subject,
        effects: &mut impl Effects,
        state: &mut RulesetState,
        now_nanos: u64,
    ) -> Verdict {
        let start = self.base_start(chain);
        if let Some((field, mask)) = start.shortcut {
            let accepted = subject.load_narrow(field).is_some_and(|flags| flags & mask != 0);
            if accepted {
                // The rule before the one at which the others begin.
                return Verdict { decision: Decision::Accept, rule: Some(RuleId(start.next - 1)), chain };
            }
        }
        let mut run = Run { program: &self.program, subject, effects, state, now_nanos };
        match run.chain(start.next, start.end) {
            Some((decision, rule)) => Verdict { decision, rule: Some(rule), chain },
            None => {
                let decision = match start.policy {
                    ChainPolicy::Accept => Decision::Accept,
                    ChainPolicy::Drop => Decision::Drop,
                };
                Verdict { decision, rule: None, chain }
            }
        }
    }
}

struct Run<'a, S, E> {
    program: &'a Program,
    subject: &'a S,
    effects: &'a mut E,
    state: &'a mut RulesetState,
    now_nanos: u64,
}

impl<'a, S: Subject, E: Effects> Run<'a, S, E> {
    /// The decision and the rule that made it; `None` if the chain came to its end.
    #[inline(never)]
    fn chain(&mut self, mut next: u32, end: u32) -> Option<(Decision, RuleId)> {
        // Most packets are decided before the first jump, and need no stack.
        while next < end {
            let rule = RuleId(next);
            next += 1;
            match self.rule(rule) {
                Flow::Next | Flow::Break => {}
                Flow::Decided(decision) => return Some((decision, rule)),
                Flow::Return => return None,
                Flow::Goto(position) => return self.nested(position, Position::default()),
                Flow::Jump(position) => return self.nested(position, Position { next, end }),
            }
        }
        None
    }

    /// Runs the rules at `at`, and then those at `after`, where the jump came from.
    #[inline(never)]
    fn nested(&mut self, mut at: Position, after: Position) -> Option<(Decision, RuleId)> {
        let mut stack = [Position::default(); MAX_JUMPS];
        stack[0] = after;
        let mut depth = 1;
        loop {
            if at.next >= at.end {
                depth = usize::checked_sub(depth, 1)?;
                at = *stack.get(depth)?;
                continue;
            }
            let rule = RuleId(at.next);
            at.next += 1;
            match self.rule(rule) {
                Flow::Next | Flow::Break => {}
                Flow::Decided(decision) => return Some((decision, rule)),
                Flow::Return => at.next = at.end,
                Flow::Goto(position) => at = position,
                Flow::Jump(position) => {
                    // The checker bounds the depth, so there is room.
                    *stack.get_mut(depth)? = at;
                    depth += 1;
                    at = position;
                }
            }
        }
    }

    #[inline]
    fn rule(&mut self, rule: RuleId) -> Flow {
        let program = self.program;
        let Some(range) = program.rules.get(rule.0 as usize) else { return Flow::Break };
        let code = program.code.get(range.start as usize..range.end as usize).unwrap_or(&[]);
        for instruction in code {
            match self.step(instruction, rule) {
                Flow::Next => {}
                other => return other,
            }
        }
        Flow::Next
    }

    #[inline]
    fn step(&mut self, instruction: &Instruction, rule: RuleId) -> Flow {
        match instruction {
            Instruction::AnyFlag { field, mask } => match self.subject.load_narrow(*field) {
                Some(x) if x & mask != 0 => Flow::Next,
                _ => Flow::Break,
            },
            Instruction::Equals { field, value } => match self.subject.load_narrow(*field) {
                Some(x) if x == *value => Flow::Next,
                _ => Flow::Break,
            },
            Instruction::Verdict(VerdictCode::Accept) => Flow::Decided(Decision::Accept),
            Instruction::Verdict(VerdictCode::Drop) => Flow::Decided(Decision::Drop),
            Instruction::Masked { operand, mask, value, negate } => match self.load(operand) {
                Some(x) if (x & mask == *value) != *negate => Flow::Next,
                _ => Flow::Break,
            },
            Instruction::Compare { operand, low, high, negate } => match self.load(operand) {
                Some(x) if (*low <= x && x <= *high) != *negate => Flow::Next,
                _ => Flow::Break,
            },
            other => self.rare_step(other, rule),
        }
    }

    #[inline(never)]
    fn rare_step(&mut self, instruction: &Instruction, rule: RuleId) -> Flow {
        match instruction {
            Instruction::Contains { key, set, negate } => match self.find(*key, *set) {
                Some(found) if found.is_some() != *negate => Flow::Next,
                _ => Flow::Break,
            },
            Instruction::VerdictMap { key, set } => match self.find(*key, *set).flatten() {
                Some(Payload::Verdict(code)) => self.verdict(*code),
                _ => Flow::Break,
            },
            Instruction::Reject(with) => Flow::Decided(Decision::Reject(*with)),
            Instruction::Counter(index) => {
                self.count(*index);
                Flow::Next
            }
            Instruction::Limit(index) => self.limit(*index),
            Instruction::Quota(index) => self.quota(*index),
            Instruction::UseObject(source) => self.use_object(source, rule),
            Instruction::Log(index) => {
                if let Some(statement) = self.program.logs.get(*index as usize) {
                    self.effects.log(statement, rule);
                }
                Flow::Next
            }
            Instruction::Notrack => {
                self.effects.notrack();
                Flow::Next
            }
            Instruction::SetCtMark(source) => self.assign(source, |e, v| e.set_ct_mark(v as u32)),
            Instruction::SetPacketMark(source) => self.assign(source, |e, v| e.set_packet_mark(v as u32)),
            Instruction::SetZone(source) => self.assign(source, |e, v| e.set_zone(v as u16)),
            Instruction::SetLabel(source) => self.assign(source, Effects::set_label),
            Instruction::Nat(index) => self.nat(*index, rule),
            Instruction::Verdict(code) => self.verdict(*code),
            // Those of `step`.
            Instruction::AnyFlag { .. }
            | Instruction::Equals { .. }
            | Instruction::Masked { .. }
            | Instruction::Compare { .. } => Flow::Break,
        }
    }

    fn verdict(&self, code: VerdictCode) -> Flow {
        let position = |chain: crate::ruleset::ChainId| {
            let range = self.program.chains.get(chain.0 as usize);
            range.map_or(Position::default(), |r| Position { next: r.start, end: r.end })
        };
        match code {
            VerdictCode::Accept => Flow::Decided(Decision::Accept),
            VerdictCode::Drop => Flow::Decided(Decision::Drop),
            VerdictCode::Continue => Flow::Next,
            VerdictCode::Return => Flow::Return,
            VerdictCode::Jump(chain) => Flow::Jump(position(chain)),
            VerdictCode::Goto(chain) => Flow::Goto(position(chain)),
        }
    }

    #[inline]
    fn load(&self, operand: &Operand) -> Option<u128> {
        let value = match operand.origin {
            Origin::Field(field) => self.subject.load(field)?,
            Origin::Name(field) => name_value(self.subject.name(field)?)?,
        };
        if operand.count == 0 {
            return Some(value);
        }
        let operations =
            self.program.operations.get(operand.first as usize..)?.get(..operand.count as usize)?;
        Some(operations.iter().fold(value, |value, operation| operation.apply(value)))
    }

    /// What a set holds for a key. The outer `None`: the packet has no such key.
    fn find(&mut self, key: Key, set: SetId) -> Option<Option<&'a Payload>> {
        let program = self.program;
        let operands = program.operands.get(key.first as usize..)?.get(..key.count as usize)?;
        let table = program.sets.get(set.0 as usize)?;
        let found = match operands {
            [single] => table.lookup.value(self.load(single)?),
            many => {
                let mut values = [0; MAX_COMPONENTS];
                for (value, operand) in values.iter_mut().zip(many) {
                    *value = self.load(operand)?;
                }
                table.lookup.tuple(values.get(..many.len())?)
            }
        };
        if let (Some(element), Some(first)) = (found, table.counters) {
            self.count(first + element);
        }
        Some(match found {
            Some(element) => table.payloads.get(element as usize),
            None => table.otherwise.as_ref(),
        })
    }

    fn length(&self) -> u64 {
        self.subject.load(Field::Length).and_then(|l| u64::try_from(l).ok()).unwrap_or(0)
    }

    fn count(&mut self, index: u32) {
        let length = self.length();
        self.state.count(index, length);
    }

    fn limit(&mut self, index: u32) -> Flow {
        let Some(rate) = self.program.rates.get(index as usize) else { return Flow::Break };
        let within = self.state.within(index, rate, self.length(), self.now_nanos);
        if within != rate.over { Flow::Next } else { Flow::Break }
    }

    fn quota(&mut self, index: u32) -> Flow {
        let Some(quota) = self.program.quotas.get(index as usize) else { return Flow::Break };
        let used = self.state.consume(index, self.length());
        // A quota that is just used up still lets its last packet pass, since Linux 6.11.
        if (used > quota.bytes) == quota.over { Flow::Next } else { Flow::Break }
    }

    fn use_object(&mut self, source: &ObjectSource, rule: RuleId) -> Flow {
        let object = match source {
            ObjectSource::Fixed(object) => *object,
            ObjectSource::Map { key, set } => match self.find(*key, *set).flatten() {
                Some(Payload::Object(object)) => *object,
                _ => return Flow::Break,
            },
        };
        match self.program.object_state.get(object.0 as usize) {
            Some(ObjectState::Helper) => self.effects.set_helper(object, rule),
            Some(ObjectState::Timeout) => self.effects.set_timeout_policy(object, rule),
            Some(ObjectState::Expectation) => self.effects.set_expectation(object, rule),
            Some(ObjectState::Counter(index)) => self.count(*index),
            Some(ObjectState::Rate(index)) => return self.limit(*index),
            Some(ObjectState::Quota(index)) => return self.quota(*index),
            None => return Flow::Break,
        }
        Flow::Next
    }

    fn assign(&mut self, source: &ValueSource, set: impl FnOnce(&mut E, u128)) -> Flow {
        let value = match source {
            ValueSource::Constant(value) => Some(*value),
            ValueSource::Operand(operand) => self.load(operand),
            ValueSource::Map { key, set } => self.mapped(*key, *set, 0).map(|(low, _)| low),
        };
        match value {
            Some(value) => {
                set(self.effects, value);
                Flow::Next
            }
            None => Flow::Break,
        }
    }

    /// A component of the value that a map holds for the packet.
    fn mapped(&mut self, key: Key, set: SetId, component: usize) -> Option<(u128, u128)> {
        match self.find(key, set)?? {
            Payload::Data(values) => values.get(component).copied(),
            _ => None,
        }
    }

    fn nat(&mut self, index: u32, rule: RuleId) -> Flow {
        match self.nat_action(index) {
            Some(action) => {
                self.effects.nat(&action, rule);
                Flow::Decided(Decision::Accept)
            }
            None => Flow::Break,
        }
    }

    fn nat_action(&mut self, index: u32) -> Option<NatAction> {
        let NatProgram { statement, family, address, port, joined } =
            self.program.nats.get(index as usize)?.clone();
        let other_family = |f: Family| self.subject.load(Field::NfProtocol) != Some(f.number());
        if family.is_some_and(other_family) {
            return None;
        }
        let address_range = self.range(address.as_ref(), 0)?;
        let port_range =
            if joined { self.range(address.as_ref(), 1)? } else { self.range(port.as_ref(), 0)? };
        let port = match port_range {
            Some((low, high)) => Some((u16::try_from(low).ok()?, u16::try_from(high).ok()?)),
            None => None,
        };
        Some(NatAction { statement, address: address_range, port })
    }

    /// A range, if one is asked for. The outer `None`: it depends on the packet, and the map holds nothing for it.
    fn range(&mut self, source: Option<&RangeSource>, component: usize) -> Option<Option<(u128, u128)>> {
        match source {
            None => Some(None),
            Some(RangeSource::Constant(low, high)) => Some(Some((*low, *high))),
            Some(RangeSource::Map { key, set }) => self.mapped(*key, *set, component).map(Some),
        }
    }
}

impl Family {
    /// The family as [`Field::NfProtocol`] has it.
    pub const fn number(self) -> u128 {
        match self {
            Self::Ip => 2,
            Self::Ip6 => 10,
        }
    }
}
