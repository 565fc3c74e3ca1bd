//! Sets and maps: named ones, and those written in a rule.

use super::operand::check_width;
use super::{Compiler, Data, SetInfo, Tuple, index};
use crate::ast::{Expr, ExprKind, MapValue, Set, SetData, SetType};
use crate::datatype::DataType;
use crate::diagnostic::{Checked, Problem, problem, unsupported};
use crate::lookup::{self, Interval, Lookup, MAX_CROSSED, Overlap};
use crate::names::nearest;
use crate::program::{Payload, SetId, SetTable};
use crate::ruleset::ChainId;
use crate::source::Span;

/// What a set is made of.
struct Shape<'a> {
    keys: &'a [DataType],
    data: &'a Data,
    /// Ranges and prefixes may be elements.
    interval: bool,
    /// Overlapping elements are merged.
    merge: bool,
    counter: bool,
    span: Span,
}

/// Elements, typed.
#[derive(Default)]
struct Elements {
    keys: Vec<(Tuple, Span)>,
    payloads: Vec<Payload>,
    otherwise: Option<Payload>,
    targets: Vec<(ChainId, Span)>,
}

impl Compiler {
    pub(super) fn named_set(&mut self, name: &str, set: &Set) -> Checked<()> {
        let keys = match &set.key {
            Some(types) => self.types(types)?,
            None => return Err(problem(set.name.span, "this set has no type")),
        };
        check_width(&keys, set.name.span)?;
        let data = match &set.data {
            None => Data::Nothing,
            Some(SetData::Verdict) => Data::Verdict,
            Some(SetData::Objects(kind)) => Data::Objects(*kind),
            Some(SetData::Values(types)) => Data::Values(self.types(types)?),
        };
        if let (Some(span), false) = (set.expires, set.elements.is_empty()) {
            return Err(unsupported(
                span,
                "a set whose elements expire",
                "leave the timeout out to keep them for ever",
            ));
        }
        let shape = Shape {
            keys: &keys,
            data: &data,
            interval: set.interval,
            merge: set.auto_merge,
            counter: set.counter,
            span: set.name.span,
        };
        let written: Vec<&Expr> = set.elements.iter().map(AsRef::as_ref).collect();
        let info = self.set_of(&written, &shape)?;
        if let Some((size, span)) = set.size {
            let elements = self.ruleset.program.sets.last().map_or(0, |s| s.payloads.len());
            if u64::try_from(elements).unwrap_or(u64::MAX) > size {
                return Err(problem(span, format!("the set has {elements} elements, more than its size")));
            }
        }
        self.scope.sets.insert(name.into(), info);
        Ok(())
    }

    fn types(&self, types: &SetType) -> Checked<Vec<DataType>> {
        match types {
            SetType::Types(names) => names
                .iter()
                .map(|name| {
                    DataType::from_name(&name.text).ok_or_else(|| {
                        problem(name.span, format!("there is no type `{}`", name.text)).hint(
                            "for example ipv4_addr, ipv6_addr, inet_service, inet_proto, ifname or mark",
                        )
                    })
                })
                .collect(),
            SetType::Typeof(expr) => match &expr.kind {
                ExprKind::Concat(parts) => parts.iter().map(|p| Ok(self.selector(p)?.datatype)).collect(),
                _ => Ok(vec![self.selector(expr)?.datatype]),
            },
        }
    }

    /// The set that stands on the right of a match or after `vmap`.
    pub(super) fn set_for(&mut self, expr: &Expr, keys: &[DataType]) -> Checked<SetInfo> {
        let ExprKind::Set(elements) = &expr.kind else { return self.set_by_name(expr, keys) };
        let verdicts = elements.iter().any(|e| matches!(e.value, Some(MapValue::Verdict(..))));
        let data = if verdicts { Data::Verdict } else { Data::Nothing };
        self.anonymous(expr, keys, &data)
    }

    /// The map that stands after `map`, holding `data`.
    pub(super) fn map_for(&mut self, expr: &Expr, keys: &[DataType], data: &Data) -> Checked<SetInfo> {
        if matches!(expr.kind, ExprKind::Set(_)) {
            return self.anonymous(expr, keys, data);
        }
        let info = self.set_by_name(expr, keys)?;
        let fits = match (&info.data, data) {
            (Data::Values(have), Data::Values(want)) => {
                have.len() == want.len() && want.iter().zip(have).all(|(w, h)| w.accepts(*h))
            }
            (have, want) => have == want,
        };
        if !fits {
            return Err(problem(expr.span, "this map holds values of another type than is needed here"));
        }
        Ok(info)
    }

    fn set_by_name(&self, expr: &Expr, keys: &[DataType]) -> Checked<SetInfo> {
        let ExprKind::SetName(name) = &expr.kind else {
            return Err(problem(expr.span, "a set is needed here: `{ … }` or `@name`"));
        };
        let Some(info) = self.scope.sets.get(name) else {
            let unknown = problem(expr.span, format!("there is no set `{name}` in this table"));
            return Err(match nearest(name, self.scope.sets.keys().map(String::as_str)) {
                Some(near) => unknown.hint(format!("did you mean `@{near}`?")),
                None => unknown,
            });
        };
        if info.keys.len() != keys.len()
            || !info.keys.iter().zip(keys).all(|(have, want)| want.accepts(*have))
        {
            return Err(problem(
                expr.span,
                format!("the elements of this set are of type {}, not {}", text(&info.keys), text(keys)),
            ));
        }
        Ok(info.clone())
    }

    fn anonymous(&mut self, expr: &Expr, keys: &[DataType], data: &Data) -> Checked<SetInfo> {
        let shape = Shape { keys, data, interval: true, merge: true, counter: false, span: expr.span };
        self.set_of(&[expr], &shape)
    }

    fn store(&mut self, table: SetTable) -> SetId {
        let sets = &mut self.ruleset.program.sets;
        sets.push(table);
        SetId(index(sets.len() - 1))
    }

    fn set_of(&mut self, written: &[&Expr], shape: &Shape<'_>) -> Checked<SetInfo> {
        let mut elements = Elements::default();
        for expr in written {
            self.collect(expr, None, shape, &mut elements)?;
        }
        let targets = std::mem::take(&mut elements.targets);
        let table = self.table_of(elements, shape)?;
        let id = self.store(table);
        Ok(SetInfo { id, keys: shape.keys.to_vec(), data: shape.data.clone(), targets })
    }

    /// Adds what `expr` stands for: an element, or the elements of a variable.
    fn collect(
        &mut self,
        expr: &Expr,
        value: Option<&MapValue>,
        shape: &Shape<'_>,
        out: &mut Elements,
    ) -> Checked<()> {
        if let ExprKind::Set(elements) = &expr.kind {
            if value.is_some() {
                return Err(problem(expr.span, "a set cannot be the key of one element"));
            }
            // An empty variable costs work too.
            self.count_elements(1, expr.span)?;
            return elements.iter().try_for_each(|e| self.collect(&e.key, e.value.as_ref(), shape, out));
        }
        self.count_elements(1, expr.span)?;
        let payload = self.payload(expr.span, value, shape, out)?;
        if matches!(expr.kind, ExprKind::Any) {
            return match out.otherwise.replace(payload) {
                Some(_) => Err(problem(expr.span, "there is already an element `*`")),
                None => Ok(()),
            };
        }
        let tuple = self.tuple(expr, shape.keys)?;
        let wildcard_names = shape.keys.iter().any(|t| t.is_name());
        if !shape.interval && !wildcard_names && tuple.iter().any(|(low, high)| low != high) {
            return Err(problem(expr.span, "this set holds single values only")
                .hint("add `flags interval` to the set to allow ranges and prefixes"));
        }
        out.keys.push((tuple, expr.span));
        out.payloads.push(payload);
        Ok(())
    }

    /// The intervals that a key stands for, one for each part.
    fn tuple(&self, expr: &Expr, types: &[DataType]) -> Checked<Tuple> {
        match (&expr.kind, types) {
            (ExprKind::Concat(parts), _) if parts.len() == types.len() => {
                parts.iter().zip(types).map(|(part, datatype)| self.interval(part, *datatype)).collect()
            }
            (ExprKind::Concat(parts), _) => Err(problem(
                expr.span,
                format!("this has {} parts, but {} are needed: {}", parts.len(), types.len(), text(types)),
            )),
            (_, [single]) => Ok(vec![self.interval(expr, *single)?]),
            _ => Err(problem(expr.span, format!("this needs {} parts: {}", types.len(), text(types)))
                .hint("join the parts with ` . `")),
        }
    }

    fn payload(
        &mut self,
        key: Span,
        value: Option<&MapValue>,
        shape: &Shape<'_>,
        out: &mut Elements,
    ) -> Checked<Payload> {
        match (shape.data, value) {
            (Data::Nothing, None) => Ok(Payload::Nothing),
            (Data::Nothing, Some(MapValue::Verdict(_, span))) => {
                Err(problem(*span, "an element of a set has no value").hint("for verdicts use `vmap`"))
            }
            (Data::Nothing, Some(MapValue::Value(value))) => {
                Err(problem(value.span, "an element of a set has no value").hint("declare a map instead"))
            }
            (_, None) => Err(problem(key, "this element of a map has no value").hint("write `key : value`")),
            (Data::Verdict, Some(MapValue::Verdict(word, span))) => {
                let (code, target) = self.verdict_code(word)?;
                out.targets.extend(target.map(|chain| (chain, *span)));
                Ok(Payload::Verdict(code))
            }
            (Data::Verdict, Some(MapValue::Value(value))) => {
                Err(problem(value.span, "a verdict is needed here")
                    .hint("accept, drop, return, or jump and a chain"))
            }
            (_, Some(MapValue::Verdict(_, span))) => Err(problem(*span, "this map does not hold verdicts")),
            (Data::Objects(kind), Some(MapValue::Value(value))) => {
                Ok(Payload::Object(self.object_named(value, *kind)?))
            }
            (Data::Values(types), Some(MapValue::Value(value))) => {
                Ok(Payload::Data(self.tuple(value, types)?.into_boxed_slice()))
            }
        }
    }

    fn table_of(&mut self, elements: Elements, shape: &Shape<'_>) -> Checked<SetTable> {
        let Elements { keys, payloads, otherwise, .. } = elements;
        let counters = shape.counter.then(|| {
            let counters = &mut self.ruleset.program.counters;
            let first = index(counters.len());
            counters.resize(counters.len() + payloads.len(), (0, 0));
            for (number, (_, span)) in (first..).zip(&keys) {
                self.ruleset.counters.push((number, *span, None));
            }
            first
        });
        let lookup = if shape.keys.len() == 1 {
            values(&keys, &payloads, shape)?
        } else {
            tuples(&keys, &payloads, shape)?
        };
        Ok(SetTable { lookup, payloads, otherwise, counters })
    }
}

fn values(keys: &[(Tuple, Span)], payloads: &[Payload], shape: &Shape<'_>) -> Checked<Lookup> {
    let intervals: Vec<Interval> = keys.iter().filter_map(|(key, _)| key.first().copied()).collect();
    let exact = intervals.iter().all(|(low, high)| low == high);
    if !exact && shape.merge && *shape.data == Data::Nothing && !shape.counter {
        let merged: Vec<(Interval, u32)> = lookup::merged(intervals).into_iter().map(|i| (i, 0)).collect();
        return Ok(Lookup::of_values(&merged));
    }
    let mut numbered: Vec<(Interval, u32)> = intervals.into_iter().zip(0..).collect();
    numbered.sort_unstable();
    numbered.dedup_by(|b, a| a.0 == b.0 && payloads.get(a.1 as usize) == payloads.get(b.1 as usize));
    let kept: Vec<Interval> = numbered.iter().map(|(interval, _)| *interval).collect();
    if let Some(Overlap(a, b)) = lookup::overlap(&kept) {
        let place =
            |i: usize| numbered.get(i).and_then(|(_, n)| keys.get(*n as usize)).map(|(_, span)| *span);
        return Err(conflict(place(a.max(b)).unwrap_or(shape.span), shape));
    }
    Ok(Lookup::of_values(&numbered))
}

fn conflict(span: Span, shape: &Shape<'_>) -> Box<Problem> {
    let problem = problem(span, "this element overlaps another one");
    if *shape.data == Data::Nothing {
        problem.hint("add `auto-merge` to the set to join them")
    } else {
        problem
    }
}

fn tuples(keys: &[(Tuple, Span)], payloads: &[Payload], shape: &Shape<'_>) -> Checked<Lookup> {
    let mut numbered: Vec<(&Tuple, u32)> = keys.iter().map(|(key, _)| key).zip(0..).collect();
    numbered.sort_unstable();
    numbered.dedup_by(|b, a| a.0 == b.0 && payloads.get(a.1 as usize) == payloads.get(b.1 as usize));
    for pair in numbered.windows(2) {
        let [(a, _), (b, number)] = pair else { continue };
        if a == b {
            let span = keys.get(*number as usize).map_or(shape.span, |(_, span)| *span);
            return Err(problem(span, "this key is already in the map, with another value"));
        }
    }
    let exact = numbered.iter().all(|(key, _)| key.iter().all(|(low, high)| low == high));
    if !exact && numbered.len() > MAX_CROSSED {
        return Err(unsupported(
            shape.span,
            format!("a set of more than {MAX_CROSSED} concatenations with ranges"),
            "split it, or use single values",
        ));
    }
    let owned: Vec<(Tuple, u32)> = numbered.into_iter().map(|(key, n)| (key.clone(), n)).collect();
    Ok(Lookup::of_tuples(shape.keys.len(), &owned))
}

fn text(types: &[DataType]) -> String {
    types.iter().map(|t| t.text()).collect::<Vec<_>>().join(" . ")
}
