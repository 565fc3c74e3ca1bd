//! Tables.

use super::Parser;
use crate::ast::{Command, Name, TableFamily, TableName};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::lexer::Kind;
use std::collections::HashMap;

impl Parser<'_> {
    /// `[family]`; ip if none is written.
    pub(super) fn family(&mut self) -> Checked<Option<TableFamily>> {
        let token = self.peek(0);
        let family = match self.text(token) {
            _ if token.kind != Kind::Name => None,
            "ip" => Some(TableFamily::Ip),
            "ip6" => Some(TableFamily::Ip6),
            "inet" => Some(TableFamily::Inet),
            word @ ("arp" | "bridge" | "netdev") => {
                return Err(unsupported(
                    token.span,
                    format!("a table of family {word}"),
                    "only IPv4 and IPv6 datagrams reach the rules: use ip, ip6 or inet",
                ));
            }
            _ => None,
        };
        if family.is_some() {
            self.bump();
        }
        Ok(family)
    }

    /// `[family] name`.
    pub(super) fn table_name(&mut self) -> Checked<TableName> {
        let family = self.family()?.unwrap_or(TableFamily::Ip);
        Ok(TableName { family, name: self.name("the name of a table")? })
    }

    /// A table after the word `table`.
    pub(super) fn table(&mut self, create: bool) -> Checked<()> {
        let table = self.table_name()?;
        self.commands.push(Command::Table { table: table.clone(), create });
        if self.kind() != Kind::LeftBrace {
            return Ok(());
        }
        self.scopes.push(HashMap::new());
        let result = self.block(|p| p.table_statement(&table));
        self.scopes.pop();
        result
    }

    fn table_statement(&mut self, table: &TableName) -> Checked<()> {
        if let Some(result) = self.shared_statement() {
            return result;
        }
        if let Some(kind) = self.object_kind() {
            let name = self.item_name()?;
            let object = self.object(kind, name)?;
            self.commands.push(Command::Object { table: table.clone(), object, create: false });
            return Ok(());
        }
        let word = self.name("chain, set, map or another part of a table")?;
        match word.text.as_str() {
            "chain" => {
                let name = self.item_name()?;
                self.chain_block(table, &name, false)
            }
            "set" | "map" => {
                let name = self.item_name()?;
                let set = self.named_set(name, word.text == "map")?;
                self.commands.push(Command::Set { table: table.clone(), set, create: false });
                Ok(())
            }
            "comment" => self.quoted("a quoted comment").map(|_| ()),
            "flags" => {
                Err(unsupported(word.span, "a table with flags", "a dormant table does nothing; remove it"))
            }
            "flowtable" => Err(unsupported(word.span, "a flowtable", "there is no flow offload; remove it")),
            "secmark" | "synproxy" => Err(unsupported(
                word.span,
                format!("a {} object", word.text),
                "the engine has no such thing; remove it",
            )),
            _ => Err(problem(word.span, format!("a table has no `{}`", word.text))
                .hint("rules stand in a chain; a table holds chains, sets, maps and named objects")),
        }
    }

    pub(super) fn item_name(&mut self) -> Checked<Name> {
        self.name_or_quoted("a name")
    }
}
