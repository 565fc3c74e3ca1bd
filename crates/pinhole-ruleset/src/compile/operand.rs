//! Left-hand sides: what is loaded, and what it implies of the packet.

use super::{Compiler, index};
use crate::ast::{Expr, ExprKind, Operator};
use crate::datatype::DataType;
use crate::diagnostic::{Checked, problem};
use crate::field::{Field, Origin};
use crate::lookup::MAX_COMPONENTS;
use crate::names;
use crate::program::{BitOperation, Instruction, Key, Operand};
use crate::ruleset::Family;
use crate::selector::{self, Found, Selector};
use crate::source::Span;

/// Most bytes of a concatenation, each part rounded up to four (the kernel's registers).
const MAX_KEY_BYTES: usize = 64;

/// Something loaded and its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed {
    pub(super) operand: Operand,
    pub(super) datatype: DataType,
}

impl Compiler {
    /// The parts of a left-hand side; the matches that they imply are emitted.
    pub(super) fn operands(&mut self, expr: &Expr) -> Checked<Vec<Typed>> {
        let parts = match &expr.kind {
            ExprKind::Concat(parts) => {
                parts.iter().map(|part| self.operand(part)).collect::<Checked<Vec<Typed>>>()?
            }
            _ => vec![self.operand(expr)?],
        };
        check_width(&parts.iter().map(|p| p.datatype).collect::<Vec<_>>(), expr.span)?;
        Ok(parts)
    }

    /// One loaded value.
    pub(super) fn operand(&mut self, expr: &Expr) -> Checked<Typed> {
        let mut operations = Vec::new();
        let selector = self.loaded(expr, &mut operations)?;
        self.imply(&selector, expr.span)?;
        let stored = &mut self.ruleset.program.operations;
        let (first, count) = (index(stored.len()), index(operations.len()));
        stored.append(&mut operations);
        Ok(Typed { operand: Operand { origin: selector.origin, first, count }, datatype: selector.datatype })
    }

    fn loaded(&mut self, expr: &Expr, operations: &mut Vec<BitOperation>) -> Checked<Selector> {
        match &expr.kind {
            ExprKind::Selector(_) | ExprKind::CtAddress { .. } => self.selector(expr),
            ExprKind::Binary(operator, left, right) => {
                let selector = self.loaded(left, operations)?;
                if selector.datatype.is_name() {
                    return Err(problem(expr.span, "a name has no bits to work on"));
                }
                let shift = matches!(operator, Operator::ShiftLeft | Operator::ShiftRight);
                let datatype = if shift { DataType::Integer(32) } else { selector.datatype };
                let value = self.single(right, datatype)?;
                let by = u32::try_from(value).unwrap_or(u32::MAX);
                operations.push(match operator {
                    Operator::And => BitOperation::And(value),
                    Operator::Or => BitOperation::Or(value),
                    Operator::Xor => BitOperation::Xor(value),
                    Operator::ShiftLeft => BitOperation::ShiftLeft(by, selector.datatype.max()),
                    Operator::ShiftRight => BitOperation::ShiftRight(by),
                });
                Ok(selector)
            }
            _ => Err(problem(expr.span, "a match or a statement is needed here")
                .hint("a match begins with what it looks at, such as `tcp dport` or `ct state`")),
        }
    }

    /// The selector that an expression is, with the table's family if it names none.
    pub(super) fn selector(&self, expr: &Expr) -> Checked<Selector> {
        match &expr.kind {
            ExprKind::Selector(selector) => Ok(*selector),
            ExprKind::CtAddress { key, direction } => {
                match selector::ct(key, *direction, self.table.only()) {
                    Found::Selector(selector) => Ok(selector),
                    _ => Err(problem(expr.span, "which protocol's address is meant?").hint(format!(
                        "in an inet table write `ip {key}` or `ip6 {key}` after the direction"
                    ))),
                }
            }
            ExprKind::Binary(_, left, _) => self.selector(left),
            _ => Err(problem(expr.span, "this is nothing that can be loaded from a packet")),
        }
    }

    /// Notes and emits what loading a field implies: the family and the layer 4 protocol.
    fn imply(&mut self, selector: &Selector, span: Span) -> Checked<()> {
        if let Some(family) = selector.family {
            self.imply_family(family, span)?;
        }
        let Some(l4) = selector.l4 else { return Ok(()) };
        let known = self.rule.l4.replace(l4);
        match known {
            Some(known) if known == l4 => Ok(()),
            Some(known) => Err(problem(
                span,
                format!(
                    "this rule can never match: a packet is not both {} and {}",
                    protocol(known),
                    protocol(l4)
                ),
            )),
            None => {
                // The other fields exist only in packets of the protocol; ports exist in many.
                if matches!(selector.origin, Origin::Field(Field::SourcePort | Field::DestinationPort)) {
                    self.emit_l4(l4);
                }
                Ok(())
            }
        }
    }

    pub(super) fn emit_l4(&mut self, l4: u8) {
        let value = u128::from(l4);
        let operand = Operand::plain(Field::L4Protocol);
        self.emit(Instruction::compare(operand, value, value, false));
    }

    pub(super) fn imply_family(&mut self, family: Family, span: Span) -> Checked<()> {
        match self.rule.family.replace(family) {
            Some(known) if known != family => {
                let text = |f| if f == Family::Ip { "IPv4" } else { "IPv6" };
                let message = format!(
                    "this rule can never match: a packet is not both {} and {}",
                    text(known),
                    text(family)
                );
                let problem = problem(span, message);
                Err(if self.table.only().is_some() {
                    problem.hint("this table sees one family only; use an inet table for both")
                } else {
                    problem.hint("write one rule for each family")
                })
            }
            _ => Ok(()),
        }
    }

    /// Stores operands as a set's key.
    pub(super) fn key(&mut self, parts: &[Typed]) -> Key {
        let stored = &mut self.ruleset.program.operands;
        let (first, count) = (index(stored.len()), index(parts.len()));
        stored.extend(parts.iter().map(|p| p.operand));
        Key { first, count }
    }
}

/// Whether a concatenation fits.
pub(super) fn check_width(types: &[DataType], span: Span) -> Checked<()> {
    let bytes: usize = types.iter().map(|t| usize::from(t.bits()).div_ceil(32) * 4).sum();
    if types.len() > MAX_COMPONENTS {
        return Err(problem(span, format!("a concatenation has at most {MAX_COMPONENTS} parts")));
    }
    if bytes > MAX_KEY_BYTES {
        return Err(problem(
            span,
            format!("a concatenation has at most {MAX_KEY_BYTES} bytes; this has {bytes}"),
        ));
    }
    Ok(())
}

fn protocol(number: u8) -> String {
    let name = names::PROTOCOLS.iter().find(|(_, n)| *n == u32::from(number));
    name.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}
