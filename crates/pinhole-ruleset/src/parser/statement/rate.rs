//! `counter`, `limit` and `quota`, as statements and as the bodies of named objects.

use super::Parser;
use crate::ast::{Limit, ObjectKind, Quota, StatementKind};
use crate::diagnostic::{Checked, problem};
use crate::lexer::Kind;
use crate::source::Span;

/// Packets in a burst when none is given, as in nft.
const DEFAULT_BURST: u64 = 5;

impl Parser<'_> {
    pub(super) fn counter_statement(&mut self) -> Checked<StatementKind> {
        self.bump();
        if self.take_word("name") {
            return self.object_use(ObjectKind::Counter);
        }
        let (packets, bytes) = self.counter_start()?;
        Ok(StatementKind::Counter { packets, bytes })
    }

    /// `packets N bytes M`, or nothing.
    pub(in crate::parser) fn counter_start(&mut self) -> Checked<(u64, u64)> {
        if !self.take_word("packets") {
            return Ok((0, 0));
        }
        let packets = self.number("a count of packets")?;
        self.expect_word("bytes")?;
        Ok((packets, self.number("a count of bytes")?))
    }

    pub(super) fn limit_statement(&mut self) -> Checked<StatementKind> {
        self.bump();
        if self.take_word("name") {
            return self.object_use(ObjectKind::Limit);
        }
        Ok(StatementKind::Limit(self.limit()?))
    }

    /// `rate [over] 10/second [burst 5 packets]`.
    pub(in crate::parser) fn limit(&mut self) -> Checked<Limit> {
        self.expect_word("rate")?;
        let over = self.over();
        let at = self.span();
        let count: u64 = self.number("a rate, such as 10/second")?;
        let (scale, per_seconds) = self.rate_units()?;
        let bytes = scale.is_some();
        let rate =
            count.checked_mul(scale.unwrap_or(1)).ok_or_else(|| problem(at, "this rate is too large"))?;
        if rate == 0 {
            return Err(problem(at, "a rate must be larger than zero"));
        }
        let burst = self.burst(bytes)?;
        Ok(Limit { over, bytes, rate, per_seconds, burst })
    }

    fn burst(&mut self, bytes: bool) -> Checked<u64> {
        if !self.take_word("burst") {
            return Ok(if bytes { 0 } else { DEFAULT_BURST });
        }
        let at = self.span();
        let count: u64 = self.number("the size of the burst")?;
        if self.take_word("packets") {
            if bytes {
                return Err(problem(at, "a rate in bytes needs a burst in bytes"));
            }
            return Ok(count);
        }
        match self.byte_unit()? {
            Some(scale) if bytes => {
                count.checked_mul(scale).ok_or_else(|| problem(at, "this burst is too large"))
            }
            Some(_) => Err(problem(at, "a rate in packets needs a burst in packets")),
            None => Err(self.expected("`packets` or `bytes`")),
        }
    }

    pub(super) fn quota_statement(&mut self) -> Checked<StatementKind> {
        self.bump();
        if self.take_word("name") {
            return self.object_use(ObjectKind::Quota);
        }
        Ok(StatementKind::Quota(self.quota()?))
    }

    /// `[over|until] 10 mbytes [used 3 mbytes]`.
    pub(in crate::parser) fn quota(&mut self) -> Checked<Quota> {
        let over = self.over();
        let bytes = self.amount()?;
        let used = if self.take_word("used") { self.amount()? } else { 0 };
        Ok(Quota { over, bytes, used })
    }

    fn over(&mut self) -> bool {
        let over = self.take_word("over");
        if !over {
            self.take_word("until");
        }
        over
    }

    fn amount(&mut self) -> Checked<u64> {
        let at = self.span();
        let count: u64 = self.number("an amount, such as 10 mbytes")?;
        let scale = self.byte_unit()?.ok_or_else(|| self.expected("bytes, kbytes or mbytes"))?;
        count.checked_mul(scale).ok_or_else(|| problem(at, "this amount is too large"))
    }

    fn byte_unit(&mut self) -> Checked<Option<u64>> {
        if self.kind() != Kind::Name {
            return Ok(None);
        }
        let unit = self.name("a unit")?;
        byte_unit(&unit.text, unit.span).map(Some)
    }

    /// `/second`, `mbytes/second` (one word to the lexer) or `mbytes /second`.
    fn rate_units(&mut self) -> Checked<(Option<u64>, u64)> {
        let mut scale = None;
        if self.kind() == Kind::Name {
            let units = self.name("a unit")?;
            if let Some((bytes, time)) = units.text.split_once('/').filter(|(_, time)| !time.is_empty()) {
                return Ok((Some(byte_unit(bytes, units.span)?), time_unit(time, units.span)?));
            }
            scale = Some(byte_unit(units.text.trim_end_matches('/'), units.span)?);
            if units.text.ends_with('/') {
                let time = self.name("a unit of time")?;
                return Ok((scale, time_unit(&time.text, time.span)?));
            }
        }
        self.expect(Kind::Slash, "`/` and a unit of time")?;
        let time = self.name("a unit of time")?;
        Ok((scale, time_unit(&time.text, time.span)?))
    }
}

fn byte_unit(unit: &str, span: Span) -> Checked<u64> {
    match unit {
        "bytes" => Ok(1),
        "kbytes" => Ok(1 << 10),
        "mbytes" => Ok(1 << 20),
        _ => Err(problem(span, "the units are bytes, kbytes and mbytes")),
    }
}

fn time_unit(unit: &str, span: Span) -> Checked<u64> {
    match unit {
        "second" => Ok(1),
        "minute" => Ok(60),
        "hour" => Ok(3600),
        "day" => Ok(86_400),
        "week" => Ok(604_800),
        _ => Err(problem(span, "the units of time are second, minute, hour, day and week")),
    }
}
