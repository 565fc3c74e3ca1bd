//! `snat`, `dnat`, `masquerade` and `redirect`.

use super::Parser;
use crate::ast::{Expr, NatWord, NatWords, StatementKind, TableFamily};
use crate::diagnostic::{Checked, problem};
use crate::lexer::Kind;
use crate::parser::expression::Mode;
use std::rc::Rc;

impl Parser<'_> {
    pub(super) fn nat_statement(&mut self, word: &str) -> Checked<StatementKind> {
        self.bump();
        let kind = match word {
            "snat" => NatWord::Snat,
            "dnat" => NatWord::Dnat,
            "masquerade" => NatWord::Masquerade,
            _ => NatWord::Redirect,
        };
        let mut nat = NatWords {
            kind,
            family: None,
            prefix: false,
            address: None,
            port: None,
            random: false,
            fully_random: false,
            persistent: false,
        };
        match kind {
            NatWord::Snat | NatWord::Dnat => self.translation(&mut nat)?,
            NatWord::Masquerade | NatWord::Redirect => {
                if self.take_word("to") {
                    self.take(Kind::Colon);
                    nat.port = Some(self.value()?);
                }
            }
        }
        self.nat_flags(&mut nat)?;
        Ok(StatementKind::Nat(nat))
    }

    /// The destination of `snat` and `dnat`. The words before it may be `ip prefix to`, `ip to`, `prefix to` or `to`, or none.
    fn translation(&mut self, nat: &mut NatWords) -> Checked<()> {
        // `ip saddr map {…}` is a destination without any of them.
        if ["to", "prefix", "interval", "addr"].iter().any(|word| self.is_word_at(1, word)) {
            match () {
                () if self.take_word("ip") => nat.family = Some(TableFamily::Ip),
                () if self.take_word("ip6") => nat.family = Some(TableFamily::Ip6),
                () => {}
            }
        }
        nat.prefix = self.take_word("prefix");
        // The map's own values say whether they are ranges.
        let interval = self.take_word("interval");
        let address = self.take_word("addr");
        if self.take(Kind::Dot) {
            self.expect_word("port")?;
        }
        if !self.take_word("to") && (nat.family.is_some() || nat.prefix || interval || address) {
            return Err(self.expected("`to` and an address"));
        }
        if self.kind() == Kind::Colon {
            nat.port = Some(self.port_after_colon()?);
            return Ok(());
        }
        if self.take(Kind::LeftBracket) {
            let address = self.concat(Mode::Value)?;
            self.expect(Kind::RightBracket, "`]`")?;
            nat.address = Some(address);
        } else {
            nat.address = Some(self.value()?);
        }
        if self.kind() == Kind::Colon {
            nat.port = Some(self.port_after_colon()?);
        }
        Ok(())
    }

    fn port_after_colon(&mut self) -> Checked<Rc<Expr>> {
        self.expect(Kind::Colon, "`:` and a port")?;
        self.value()
    }

    fn nat_flags(&mut self, nat: &mut NatWords) -> Checked<()> {
        while self.kind() == Kind::Name {
            let token = self.peek(0);
            let flag = match self.text(token) {
                "random" => &mut nat.random,
                "fully-random" => &mut nat.fully_random,
                "persistent" => &mut nat.persistent,
                _ => return Ok(()),
            };
            *flag = true;
            self.bump();
            if !self.take(Kind::Comma) {
                return Ok(());
            }
            if self.kind() != Kind::Name {
                return Err(problem(self.span(), "expected random, fully-random or persistent"));
            }
        }
        Ok(())
    }
}
