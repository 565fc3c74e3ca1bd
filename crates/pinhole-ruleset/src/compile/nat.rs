//! NAT statements: checked and compiled here; what they do is for the engine.

use super::graph::Restriction;
use super::{Compiler, Data, index};
use crate::ast::{Expr, ExprKind, NatWord, NatWords, TableFamily};
use crate::datatype::DataType;
use crate::diagnostic::{Checked, problem};
use crate::program::{Instruction, NatKind, NatProgram, NatStatement, RangeSource};
use crate::ruleset::Family;
use crate::source::Span;

impl Compiler {
    pub(super) fn nat(&mut self, words: &NatWords, span: Span) -> Checked<()> {
        let (kind, restriction) = match words.kind {
            NatWord::Snat => (NatKind::Snat, Restriction::Snat),
            NatWord::Dnat => (NatKind::Dnat, Restriction::Dnat),
            NatWord::Masquerade => (NatKind::Masquerade, Restriction::Masquerade),
            NatWord::Redirect => (NatKind::Redirect, Restriction::Dnat),
        };
        self.graph.restrict(self.rule.chain, restriction, span);
        let family = self.nat_family(words, span)?;
        let statement = NatStatement {
            kind,
            prefix: words.prefix,
            random: words.random,
            fully_random: words.fully_random,
            persistent: words.persistent,
        };
        let mut program = NatProgram { statement, family, address: None, port: None, joined: false };
        if let Some(address) = &words.address {
            program.address = Some(self.nat_address(address, family, &mut program.joined)?);
        }
        if let Some(port) = &words.port {
            let types = Data::Values(vec![DataType::Service]);
            program.port = Some(self.nat_range(port, DataType::Service, &types)?);
        }
        // A map from ports says the protocol as a match before does.
        if words.port.is_some() && self.rule.l4.is_none() && !self.matches_ports() {
            return Err(problem(
                span,
                "ports can be translated only where the rule matches a protocol that has them",
            )
            .hint("match `tcp dport`, `udp dport` or `meta l4proto { tcp, udp }` before"));
        }
        let nats = &mut self.ruleset.program.nats;
        nats.push(program);
        let number = index(nats.len() - 1);
        self.emit(Instruction::Nat(number));
        Ok(())
    }

    /// Whether the rule looks at the protocol in a way that says nothing of which it is (`meta l4proto { tcp, udp }`).
    fn matches_ports(&self) -> bool {
        use crate::field::{Field, Origin};
        let operands = &self.ruleset.program.operands;
        self.rule.code.iter().any(|instruction| match instruction {
            Instruction::Contains { key, .. } | Instruction::VerdictMap { key, .. } => {
                let keys = operands.iter().skip(key.first as usize).take(key.count as usize);
                keys.into_iter()
                    .any(|o| matches!(o.origin, Origin::Field(Field::L4Protocol | Field::Ip4Protocol)))
            }
            _ => false,
        })
    }

    fn nat_family(&self, words: &NatWords, span: Span) -> Checked<Option<Family>> {
        let written = match words.family {
            Some(TableFamily::Ip) => Some(Family::Ip),
            Some(TableFamily::Ip6) => Some(Family::Ip6),
            _ => None,
        };
        if written.is_some() && self.table.only().is_some_and(|only| Some(only) != written) {
            return Err(problem(span, "this table sees the other family only"));
        }
        if words.address.is_none() {
            return Ok(written);
        }
        let family = written.or(self.rule.family);
        family.map(Some).ok_or_else(|| {
            problem(span, "which protocol's addresses are these?")
                .hint("in an inet table write `dnat ip to` or `dnat ip6 to`")
        })
    }

    fn nat_address(
        &mut self,
        expr: &Expr,
        family: Option<Family>,
        joined: &mut bool,
    ) -> Checked<RangeSource> {
        let datatype = if family == Some(Family::Ip6) { DataType::Ipv6 } else { DataType::Ipv4 };
        let single = Data::Values(vec![datatype]);
        let ExprKind::Map(_, map) = &expr.kind else { return self.nat_range(expr, datatype, &single) };
        let pair = Data::Values(vec![datatype, DataType::Service]);
        // A map may hold addresses with ports; what its first value looks like tells.
        *joined = match &map.kind {
            ExprKind::Set(elements) => elements.first().is_some_and(|e| {
                matches!(&e.value, Some(crate::ast::MapValue::Value(v)) if matches!(v.kind, ExprKind::Concat(_)))
            }),
            ExprKind::SetName(name) => {
                self.scope.sets.get(name).is_some_and(|s| matches!(&s.data, Data::Values(types) if types.len() == 2))
            }
            _ => false,
        };
        let data = if *joined { pair } else { single };
        self.nat_range(expr, datatype, &data)
    }

    fn nat_range(&mut self, expr: &Expr, datatype: DataType, data: &Data) -> Checked<RangeSource> {
        if let ExprKind::Map(key, map) = &expr.kind {
            let parts = self.operands(key)?;
            let types: Vec<DataType> = parts.iter().map(|p| p.datatype).collect();
            let set = self.map_for(map, &types, data)?.id;
            return Ok(RangeSource::Map { key: self.key(&parts), set });
        }
        let (low, high) = self.interval(expr, datatype)?;
        Ok(RangeSource::Constant(low, high))
    }
}
