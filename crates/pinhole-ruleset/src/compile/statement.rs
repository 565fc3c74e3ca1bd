//! Statements to instructions.

use super::operand::Typed;
use super::{Compiler, Data, index};
use crate::ast::{
    AssignTarget, Expr, ExprKind, LogWords, Name, ObjectKind, Quota, RejectWord, Statement, StatementKind,
    TableFamily, VerdictWord,
};
use crate::datatype::DataType;
use crate::diagnostic::{Checked, problem};
use crate::names::nearest;
use crate::program::{
    IcmpxCode, Instruction, LogStatement, ObjectSource, QuotaLimit, Rate, RejectWith, ValueSource,
    VerdictCode,
};
use crate::ruleset::{ChainId, Family};
use crate::source::Span;

/// Longest log prefix, in bytes (`NF_LOG_PREFIXLEN` is 128 with the final zero).
const MAX_LOG_PREFIX: usize = 127;
const NANOSECONDS: u64 = 1_000_000_000;

impl Compiler {
    /// Compiles a statement; true if no statement after it can be reached.
    pub(super) fn statement(&mut self, statement: &Statement) -> Checked<bool> {
        let span = statement.span;
        match &statement.kind {
            StatementKind::Match { left, comparison, right, mask } => {
                self.matching(left, *comparison, right, mask.as_deref())?;
            }
            StatementKind::VerdictMap { key, map } => self.verdict_map(key, map)?,
            StatementKind::Verdict(word) => return self.verdict(word, span),
            StatementKind::Reject(word) => {
                let before = self.rule.code.len();
                let with = self.reject(word.as_ref(), span)?;
                // As nft does, ask for the protocol first of all: what stands before does not count other packets.
                let implied = self.rule.code.len() - before;
                self.rule.code.rotate_right(implied);
                self.graph.restrict(self.rule.chain, super::graph::Restriction::Reject, span);
                self.emit(Instruction::Reject(with));
                return Ok(true);
            }
            StatementKind::Counter { packets, bytes } => {
                let number = self.new_counter((*packets, *bytes), self.rule_span(), None);
                self.emit(Instruction::Counter(number));
            }
            StatementKind::Limit(limit) => {
                let number = self.new_rate(limit, span)?;
                self.emit(Instruction::Limit(number));
            }
            StatementKind::Quota(quota) => {
                let number = self.new_quota(*quota);
                self.emit(Instruction::Quota(number));
            }
            StatementKind::UseObject { kind, object } => self.use_object(*kind, object)?,
            StatementKind::Log(words) => self.log(words, span)?,
            StatementKind::Notrack => self.emit(Instruction::Notrack),
            StatementKind::Assign { target, value } => self.assign(*target, value)?,
            StatementKind::Nat(words) => {
                self.nat(words, span)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn rule_span(&self) -> Span {
        // A rule is registered before its statements are compiled.
        self.ruleset
            .rules
            .last()
            .map_or(Span { file: crate::source::FileId(0), start: 0, end: 0 }, |r| r.span)
    }

    fn verdict_map(&mut self, key: &Expr, map: &Expr) -> Checked<()> {
        let parts = self.operands(key)?;
        let types: Vec<DataType> = parts.iter().map(|p| p.datatype).collect();
        let set = self.set_for(map, &types)?;
        if set.data != Data::Verdict {
            return Err(problem(map.span, "this holds no verdicts").hint("write `key : accept` and the like"));
        }
        for (target, span) in &set.targets {
            self.graph.jump(self.rule.chain, *target, *span);
        }
        let key = self.key(&parts);
        self.emit(Instruction::VerdictMap { key, set: set.id });
        Ok(())
    }

    fn verdict(&mut self, word: &VerdictWord, span: Span) -> Checked<bool> {
        let (code, target) = self.verdict_code(word)?;
        if let Some(target) = target {
            self.graph.jump(self.rule.chain, target, span);
        }
        self.emit(Instruction::Verdict(code));
        Ok(true)
    }

    /// A verdict, and the chain it leads to.
    pub(super) fn verdict_code(&self, word: &VerdictWord) -> Checked<(VerdictCode, Option<ChainId>)> {
        Ok(match word {
            VerdictWord::Accept => (VerdictCode::Accept, None),
            VerdictWord::Drop => (VerdictCode::Drop, None),
            VerdictWord::Continue => (VerdictCode::Continue, None),
            VerdictWord::Return => (VerdictCode::Return, None),
            VerdictWord::Jump(name) => {
                let chain = self.jump_target(name)?;
                (VerdictCode::Jump(chain), Some(chain))
            }
            VerdictWord::Goto(name) => {
                let chain = self.jump_target(name)?;
                (VerdictCode::Goto(chain), Some(chain))
            }
        })
    }

    fn jump_target(&self, name: &Name) -> Checked<ChainId> {
        let Some(chain) = self.scope.chains.get(&name.text).copied() else {
            let unknown = problem(name.span, format!("there is no chain `{}` in this table", name.text));
            let is_base = |id: &ChainId| self.ruleset.bases.iter().any(|b| b.chain == *id);
            let regular =
                self.scope.chains.iter().filter(|(_, id)| !is_base(id)).map(|(name, _)| name.as_str());
            return Err(match nearest(&name.text, regular) {
                Some(near) => unknown.hint(format!("did you mean `{near}`?")),
                None => unknown.hint(format!("declare it: chain {} {{ … }}", name.text)),
            });
        };
        if self.ruleset.bases.iter().any(|b| b.chain == chain) {
            return Err(problem(
                name.span,
                format!("`{}` is a base chain, which cannot be jumped to", name.text),
            )
            .hint("move its rules to a chain without type and hook, and jump to that from both"));
        }
        Ok(chain)
    }

    fn reject(&mut self, word: Option<&RejectWord>, span: Span) -> Checked<RejectWith> {
        let code = |this: &Self, name: &Name, datatype| this.single(&word_expr(name), datatype);
        match word {
            None => Ok(match self.rule.family {
                Some(Family::Ip) => RejectWith::Icmp(3),
                Some(Family::Ip6) => RejectWith::Icmp6(4),
                None => RejectWith::Icmpx(IcmpxCode::PortUnreachable),
            }),
            Some(RejectWord::TcpReset) => {
                const TCP: u8 = 6;
                match self.rule.l4.replace(TCP) {
                    None => self.emit_l4(TCP),
                    Some(TCP) => {}
                    Some(_) => return Err(problem(span, "only TCP can be reset")),
                }
                Ok(RejectWith::TcpReset)
            }
            Some(RejectWord::Icmp(name)) => {
                self.require_family(Family::Ip, span)?;
                Ok(RejectWith::Icmp(code(self, name, DataType::IcmpCode)? as u8))
            }
            Some(RejectWord::Icmp6(name)) => {
                self.require_family(Family::Ip6, span)?;
                Ok(RejectWith::Icmp6(code(self, name, DataType::Icmp6Code)? as u8))
            }
            Some(RejectWord::Icmpx(name)) => {
                if self.table != TableFamily::Inet {
                    return Err(problem(span, "icmpx is for inet tables").hint("write icmp or icmpv6"));
                }
                let code = code(self, name, DataType::IcmpxCode)?;
                let code = IcmpxCode::from_code(code)
                    .ok_or_else(|| problem(name.span, "there is no such icmpx code"))?;
                Ok(RejectWith::Icmpx(code))
            }
        }
    }

    /// Emits a match on the family, unless it is known.
    fn require_family(&mut self, family: Family, span: Span) -> Checked<()> {
        let known = self.rule.family;
        self.imply_family(family, span)?;
        if known.is_none() {
            let operand = crate::program::Operand::plain(crate::field::Field::NfProtocol);
            let value = family.number();
            self.emit(Instruction::compare(operand, value, value, false));
        }
        Ok(())
    }

    pub(super) fn new_counter(&mut self, start: (u64, u64), span: Span, name: Option<String>) -> u32 {
        let counters = &mut self.ruleset.program.counters;
        counters.push(start);
        let number = index(counters.len() - 1);
        self.ruleset.counters.push((number, span, name));
        number
    }

    pub(super) fn new_rate(&mut self, limit: &crate::ast::Limit, span: Span) -> Checked<u32> {
        let nanoseconds = limit.per_seconds * NANOSECONDS;
        let units = if limit.bytes { limit.rate.saturating_add(limit.burst) } else { limit.burst };
        let mut rate =
            Rate { over: limit.over, bytes: limit.bytes, rate: limit.rate, nanoseconds, capacity: 0 };
        let capacity = u128::from(nanoseconds) * u128::from(units) / u128::from(limit.rate.max(1));
        rate.capacity =
            u64::try_from(capacity).map_err(|_| problem(span, "this burst is too large for its rate"))?;
        let rates = &mut self.ruleset.program.rates;
        rates.push(rate);
        Ok(index(rates.len() - 1))
    }

    pub(super) fn new_quota(&mut self, quota: Quota) -> u32 {
        let program = &mut self.ruleset.program;
        program.quotas.push(QuotaLimit { over: quota.over, bytes: quota.bytes });
        program.quota_used.push(quota.used);
        index(program.quotas.len() - 1)
    }

    fn use_object(&mut self, kind: ObjectKind, object: &Expr) -> Checked<()> {
        let source = match &object.kind {
            ExprKind::Map(key, map) => {
                let parts = self.operands(key)?;
                let types: Vec<DataType> = parts.iter().map(|p| p.datatype).collect();
                let set = self.map_for(map, &types, &Data::Objects(kind))?.id;
                ObjectSource::Map { key: self.key(&parts), set }
            }
            _ => ObjectSource::Fixed(self.object_named(object, kind)?),
        };
        self.emit(Instruction::UseObject(source));
        Ok(())
    }

    fn log(&mut self, words: &LogWords, span: Span) -> Checked<()> {
        const LEVELS: [&str; 9] =
            ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit"];
        let mut log = LogStatement { level: 4, ..LogStatement::default() };
        if let Some(level) = &words.level {
            let number = LEVELS.iter().position(|l| *l == level.text);
            let number = number.ok_or_else(|| {
                problem(level.span, format!("there is no log level `{}`", level.text))
                    .hint(format!("the levels are {}", LEVELS.join(", ")))
            })?;
            log.level = u8::try_from(number).unwrap_or(4);
        }
        let packet_log = words.group.is_some() || words.snaplen.is_some() || words.queue_threshold.is_some();
        if packet_log && (words.level.is_some() || !words.flags.is_empty()) {
            return Err(problem(span, "level and flags go with the system log, group with nfnetlink_log")
                .hint("use one or the other"));
        }
        log.prefix = words.prefix.clone().unwrap_or_default();
        if log.prefix.len() > MAX_LOG_PREFIX {
            return Err(problem(span, format!("a log prefix has at most {MAX_LOG_PREFIX} bytes")));
        }
        log.flags.clone_from(&words.flags);
        (log.group, log.snaplen, log.queue_threshold) = (words.group, words.snaplen, words.queue_threshold);
        let logs = &mut self.ruleset.program.logs;
        logs.push(log);
        let number = index(logs.len() - 1);
        self.emit(Instruction::Log(number));
        Ok(())
    }

    fn assign(&mut self, target: AssignTarget, value: &Expr) -> Checked<()> {
        let datatype = match target {
            AssignTarget::CtMark | AssignTarget::PacketMark => DataType::Mark,
            AssignTarget::CtZone => DataType::Integer(16),
            AssignTarget::CtLabel => DataType::CtLabel,
        };
        let source = self.value_source(value, datatype)?;
        self.emit(match target {
            AssignTarget::CtMark => Instruction::SetCtMark(source),
            AssignTarget::PacketMark => Instruction::SetPacketMark(source),
            AssignTarget::CtZone => Instruction::SetZone(source),
            AssignTarget::CtLabel => Instruction::SetLabel(source),
        });
        Ok(())
    }

    fn value_source(&mut self, value: &Expr, datatype: DataType) -> Checked<ValueSource> {
        match &value.kind {
            ExprKind::Map(key, map) => {
                let parts = self.operands(key)?;
                let types: Vec<DataType> = parts.iter().map(|p| p.datatype).collect();
                let set = self.map_for(map, &types, &Data::Values(vec![datatype]))?.id;
                Ok(ValueSource::Map { key: self.key(&parts), set })
            }
            _ if is_constant(value) => Ok(ValueSource::Constant(self.single(value, datatype)?)),
            _ => {
                let Typed { operand, datatype: have } = self.operand(value)?;
                if !datatype.accepts(have) {
                    return Err(problem(
                        value.span,
                        format!(
                            "a value of type {} cannot be set to one of type {}",
                            datatype.text(),
                            have.text()
                        ),
                    ));
                }
                Ok(ValueSource::Operand(operand))
            }
        }
    }
}

fn word_expr(name: &Name) -> Expr {
    Expr { kind: ExprKind::Word(name.text.clone()), span: name.span }
}

/// Whether nothing has to be loaded for a value.
fn is_constant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Selector(_) | ExprKind::CtAddress { .. } | ExprKind::Map(..) => false,
        ExprKind::Binary(_, left, right) => is_constant(left) && is_constant(right),
        _ => true,
    }
}
