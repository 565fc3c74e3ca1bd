//! Matches: how the two sides are compared. What nft does with flags is in the head of [`Compiler::flags`].

use super::operand::Typed;
use super::{Compiler, Data};
use crate::ast::{Comparison, Expr, ExprKind};
use crate::datatype::DataType;
use crate::diagnostic::{Checked, problem};
use crate::field::{Field, Origin};
use crate::program::Instruction;
use crate::source::Span;

impl Compiler {
    pub(super) fn matching(
        &mut self,
        left: &Expr,
        comparison: Comparison,
        right: &Expr,
        mask: Option<&Expr>,
    ) -> Checked<()> {
        let parts = self.operands(left)?;
        if let Some(mask) = mask {
            return self.masked(&parts, comparison, right, mask);
        }
        if matches!(right.kind, ExprKind::Set(_) | ExprKind::SetName(_)) {
            return self.membership(&parts, comparison, right);
        }
        match parts.as_slice() {
            [single] => self.single_match(single, left, comparison, right),
            _ => Err(problem(right.span, "a concatenation can be compared with a set only")
                .hint("put the value in braces: { a . b }")),
        }
    }

    fn membership(&mut self, parts: &[Typed], comparison: Comparison, right: &Expr) -> Checked<()> {
        let negate = match comparison {
            Comparison::Implicit | Comparison::Equal => false,
            Comparison::NotEqual => true,
            _ => return Err(problem(right.span, "a set can be compared with == and != only")),
        };
        let types: Vec<DataType> = parts.iter().map(|p| p.datatype).collect();
        let set = self.set_for(right, &types)?;
        if set.data != Data::Nothing {
            return Err(problem(right.span, "this is a map, not a set")
                .hint("use `vmap` for verdicts, `map` for values"));
        }
        let key = self.key(parts);
        self.emit(Instruction::Contains { key, set: set.id, negate });
        Ok(())
    }

    fn single_match(
        &mut self,
        part: &Typed,
        left: &Expr,
        comparison: Comparison,
        right: &Expr,
    ) -> Checked<()> {
        if part.datatype.is_bitmask() && matches!(left.kind, ExprKind::Selector(_)) {
            return self.flags(part, comparison, right);
        }
        let (operand, max) = (part.operand, part.datatype.max());
        let (low, high) = self.interval(right, part.datatype)?;
        let ordered = !part.datatype.is_name() && low == high;
        let (low, high, negate) = match comparison {
            Comparison::Implicit | Comparison::Equal => (low, high, false),
            Comparison::NotEqual => (low, high, true),
            Comparison::None => {
                return Err(problem(
                    right.span,
                    format!("a value of type {} is no set of flags", part.datatype.text()),
                )
                .hint("write != instead of !"));
            }
            _ if !ordered => return Err(problem(right.span, "this has no order; use == or !=")),
            Comparison::Less if low == 0 => return Err(problem(right.span, "nothing is less than zero")),
            Comparison::Less => (0, low - 1, false),
            Comparison::LessEqual => (0, low, false),
            Comparison::Greater if low >= max => {
                return Err(problem(right.span, format!("nothing is greater: {max} is the largest value")));
            }
            Comparison::Greater => (low + 1, max, false),
            Comparison::GreaterEqual => (low, max, false),
        };
        self.learn(part, low, high, negate, right.span)?;
        self.emit(Instruction::compare(operand, low, high, negate));
        Ok(())
    }

    /// Matches on protocol fields tell what later ports mean.
    fn learn(&mut self, part: &Typed, low: u128, high: u128, negate: bool, span: Span) -> Checked<()> {
        if negate || low != high || part.operand.count > 0 {
            return Ok(());
        }
        match part.operand.origin {
            Origin::Field(Field::L4Protocol | Field::Ip4Protocol) => self.rule.l4 = u8::try_from(low).ok(),
            Origin::Field(Field::NfProtocol) => {
                for family in [crate::ruleset::Family::Ip, crate::ruleset::Family::Ip6] {
                    if family.number() == low {
                        self.imply_family(family, span)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Flags (`ct state`, `tcp flags`): without an operator, any of the flags; with == or !=, all bits are compared;
    /// with `!`, none of the flags.
    fn flags(&mut self, part: &Typed, comparison: Comparison, right: &Expr) -> Checked<()> {
        let operand = part.operand;
        let value = self.single(right, part.datatype)?;
        self.emit(match comparison {
            Comparison::Implicit => any_flag(part, value).unwrap_or(Instruction::Masked {
                operand,
                mask: value,
                value: 0,
                negate: true,
            }),
            Comparison::None => Instruction::Masked { operand, mask: value, value: 0, negate: false },
            Comparison::Equal => Instruction::compare(operand, value, value, false),
            Comparison::NotEqual => Instruction::compare(operand, value, value, true),
            _ => return Err(problem(right.span, "flags have no order; use ==, != or !")),
        });
        Ok(())
    }

    /// `tcp flags syn / syn,ack`: of the flags after the slash, exactly those before it.
    fn masked(&mut self, parts: &[Typed], comparison: Comparison, right: &Expr, mask: &Expr) -> Checked<()> {
        let [part] = parts else {
            return Err(problem(mask.span, "a concatenation has no mask"));
        };
        if !part.datatype.is_bitmask() {
            return Err(problem(
                mask.span,
                format!("a value of type {} is no set of flags", part.datatype.text()),
            )
            .hint("use `&` to mask numbers"));
        }
        let negate = match comparison {
            Comparison::Implicit | Comparison::Equal => false,
            Comparison::NotEqual => true,
            _ => return Err(problem(right.span, "a mask goes with == and != only")),
        };
        let value = self.single(right, part.datatype)?;
        let mask = self.single(mask, part.datatype)?;
        self.emit(Instruction::Masked { operand: part.operand, mask, value, negate });
        Ok(())
    }
}

/// The quick form of "any of these flags", if they are plain and few.
fn any_flag(part: &Typed, flags: u128) -> Option<Instruction> {
    match (part.operand.origin, part.operand.count, u64::try_from(flags)) {
        // Labels are 128 flags.
        (Origin::Field(field), 0, Ok(mask)) if field != Field::CtLabel => {
            Some(Instruction::AnyFlag { field, mask })
        }
        _ => None,
    }
}
