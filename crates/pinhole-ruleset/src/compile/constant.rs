//! Constants: words of a type, to numbers and intervals.

use super::Compiler;
use crate::ast::{Expr, ExprKind, Operator};
use crate::datatype::{DataType, ValueError};
use crate::diagnostic::{Checked, Problem, problem};
use crate::lookup::Interval;
use crate::names::nearest;
use crate::source::Span;

impl Compiler {
    /// The values that `expr` stands for in a type.
    pub(super) fn interval(&self, expr: &Expr, datatype: DataType) -> Checked<Interval> {
        match &expr.kind {
            ExprKind::Prefix(base, length) => self.prefix(base, *length, datatype, expr.span),
            ExprKind::Range(low, high) => {
                let (low_value, high_value) = (self.single(low, datatype)?, self.single(high, datatype)?);
                if low_value > high_value {
                    return Err(problem(expr.span, "this range ends before it begins"));
                }
                if datatype.is_name() || datatype.is_bitmask() {
                    return Err(problem(
                        expr.span,
                        format!("values of type {} have no order", datatype.text()),
                    ));
                }
                Ok((low_value, high_value))
            }
            ExprKind::Word(text) if datatype.is_name() && text.ends_with('*') => {
                self.wildcard(text, expr.span)
            }
            _ => self.single(expr, datatype).map(|value| (value, value)),
        }
    }

    fn prefix(&self, base: &Expr, length: u32, datatype: DataType, span: Span) -> Checked<Interval> {
        let bits = u32::from(datatype.bits());
        if !datatype.has_prefixes() {
            return Err(problem(span, format!("a value of type {} has no prefix length", datatype.text())));
        }
        let value = self.single(base, datatype)?;
        if length > bits {
            return Err(problem(
                span,
                format!("a prefix of type {} has at most {bits} bits", datatype.text()),
            ));
        }
        let host = if length == 0 { datatype.max() } else { datatype.max() >> length };
        Ok((value & !host, value | host))
    }

    fn wildcard(&self, text: &str, span: Span) -> Checked<Interval> {
        let stem = text.trim_end_matches('*').trim_end_matches('\\');
        let low = crate::field::name_value(stem).ok_or_else(|| too_long(span))?;
        if stem.is_empty() {
            return Err(problem(span, "this matches every name").hint("leave the condition out"));
        }
        let free = 128 - 8 * u32::try_from(stem.len()).unwrap_or(16);
        Ok((low, low | u128::MAX.checked_shr(128 - free).unwrap_or(0)))
    }

    /// The one value that `expr` stands for in a type.
    pub(super) fn single(&self, expr: &Expr, datatype: DataType) -> Checked<u128> {
        match &expr.kind {
            ExprKind::Word(text) => self.word(text, datatype, expr.span),
            ExprKind::List(parts) if datatype.is_bitmask() => {
                parts.iter().try_fold(0, |bits, part| Ok(bits | self.single(part, datatype)?))
            }
            ExprKind::List(_) => {
                Err(problem(expr.span, format!("a value of type {} is no set of flags", datatype.text()))
                    .hint("to match several values, put them in braces: { a, b }"))
            }
            ExprKind::Binary(operator, left, right) => {
                let left = self.single(left, datatype)?;
                let shift = matches!(operator, Operator::ShiftLeft | Operator::ShiftRight);
                let right = self.single(right, if shift { DataType::Integer(32) } else { datatype })?;
                Ok(constant_operation(*operator, left, right) & datatype.max())
            }
            ExprKind::Set(_) | ExprKind::SetName(_) => Err(problem(expr.span, "a set cannot stand here")),
            ExprKind::Range(..) | ExprKind::Prefix(..) => {
                Err(problem(expr.span, "a single value is needed here"))
            }
            ExprKind::Concat(_) => Err(problem(expr.span, "a concatenation cannot stand here")
                .hint("the left side has only one part")),
            ExprKind::Any => Err(problem(expr.span, "`*` can only be an element of a set")),
            ExprKind::Selector(_) | ExprKind::CtAddress { .. } | ExprKind::Map(..) => {
                Err(problem(expr.span, "a constant is needed here"))
            }
        }
    }

    fn word(&self, text: &str, datatype: DataType, span: Span) -> Checked<u128> {
        if datatype == DataType::InterfaceIndex && text == "lo" {
            return Ok(1);
        }
        datatype.value(text).map_err(|error| self.bad_value(error, text, datatype, span))
    }

    fn bad_value(&self, error: ValueError, text: &str, datatype: DataType, span: Span) -> Box<Problem> {
        match error {
            ValueError::TooLong => too_long(span),
            ValueError::TooLarge { max } => {
                problem(span, format!("`{text}` is too large for type {}", datatype.text()))
                    .hint(format!("at most {max}"))
            }
            ValueError::Unknown { suggestion } => {
                let unknown = problem(span, format!("`{text}` is no value of type {}", datatype.text()));
                let statement = nearest(text, ["accept", "drop", "return", "counter"].into_iter());
                match (suggestion, statement) {
                    (Some(near), _) => unknown.hint(format!("did you mean `{near}`?")),
                    (None, Some(near)) => {
                        unknown.hint(format!("did you mean `{near}`, and forget the value?"))
                    }
                    (None, None) => unknown.hint(format!("expected {}", datatype.example())),
                }
            }
        }
    }
}

fn too_long(span: Span) -> Box<Problem> {
    problem(span, "this name is longer than 15 bytes")
}

fn constant_operation(operator: Operator, left: u128, right: u128) -> u128 {
    let by = u32::try_from(right).unwrap_or(u32::MAX);
    match operator {
        Operator::And => left & right,
        Operator::Or => left | right,
        Operator::Xor => left ^ right,
        Operator::ShiftLeft => left.checked_shl(by).unwrap_or(0),
        Operator::ShiftRight => left.checked_shr(by).unwrap_or(0),
    }
}
