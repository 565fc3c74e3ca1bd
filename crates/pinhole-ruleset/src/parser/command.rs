//! Top-level commands: `table`, `add`, `create`, `insert`, `delete`, `flush`.

use super::Parser;
use crate::ast::{Chain, Command, Item, TableFamily};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::lexer::Kind;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Create,
    Insert,
}

impl Parser<'_> {
    pub(super) fn command(&mut self) -> Checked<()> {
        if let Some(result) = self.shared_statement() {
            return result.and_then(|()| self.end_of_statement());
        }
        let word = self.name("a command, such as `table`")?;
        match word.text.as_str() {
            "table" => self.table(false)?,
            "add" => self.add(Verb::Add)?,
            "create" => self.add(Verb::Create)?,
            "insert" => self.add(Verb::Insert)?,
            "delete" => self.delete()?,
            "flush" => self.flush()?,
            "list" | "reset" | "monitor" | "describe" | "export" | "get" => {
                return Err(unsupported(
                    word.span,
                    format!("`{}`", word.text),
                    "a ruleset says what to add, not what to show",
                ));
            }
            "replace" | "rename" | "destroy" | "import" => {
                return Err(unsupported(
                    word.span,
                    format!("`{}`", word.text),
                    "write the ruleset as it is meant to be",
                ));
            }
            // As in nft, `add` may be left out.
            "rule" | "chain" | "set" | "map" | "element" | "ct" | "counter" | "quota" | "limit" => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.at = frame.at.saturating_sub(1);
                }
                self.add(Verb::Add)?;
            }
            _ => {
                return Err(problem(word.span, format!("`{}` is not a command", word.text))
                    .hint("a ruleset begins with `table`, `flush`, `define`, `include` or `add`"));
            }
        }
        self.end_of_statement()
    }

    fn add(&mut self, verb: Verb) -> Checked<()> {
        let create = verb == Verb::Create;
        if let Some(kind) = self.object_kind() {
            let table = self.table_name()?;
            let name = self.item_name()?;
            let object = self.object(kind, name)?;
            self.commands.push(Command::Object { table, object, create });
            return Ok(());
        }
        let token = self.peek(0);
        let word = if token.kind == Kind::Name { self.text(token).to_owned() } else { String::new() };
        match word.as_str() {
            "table" if verb != Verb::Insert => {
                self.bump();
                self.table(create)
            }
            "chain" if verb != Verb::Insert => {
                self.bump();
                self.add_chain(create)
            }
            "set" | "map" if verb != Verb::Insert => {
                self.bump();
                let table = self.table_name()?;
                let name = self.item_name()?;
                let set = self.named_set(name, word == "map")?;
                self.commands.push(Command::Set { table, set, create });
                Ok(())
            }
            "element" if verb != Verb::Insert => {
                self.bump();
                let table = self.table_name()?;
                let set = self.item_name()?;
                let elements = self.set_or_name()?;
                self.commands.push(Command::Elements { table, set, elements });
                Ok(())
            }
            "flowtable" => Err(unsupported(token.span, "a flowtable", "there is no flow offload; remove it")),
            "rule" => {
                self.bump();
                self.add_rule(verb)
            }
            _ if verb == Verb::Create => Err(self.expected("table, chain, set, map, element or an object")),
            // As in nft, `rule` may be left out.
            _ => self.add_rule(verb),
        }
    }

    fn add_rule(&mut self, verb: Verb) -> Checked<()> {
        let table = self.table_name()?;
        let chain = self.item_name()?;
        for position in ["handle", "position", "index"] {
            if self.is_word(position) {
                return Err(unsupported(
                    self.span(),
                    format!("`{position}`"),
                    "write the rules in their order",
                ));
            }
        }
        let rule = self.rule()?;
        if rule.statements.is_empty() {
            return Err(self.expected("a rule"));
        }
        self.commands.push(Command::Rule { table, chain, rule, first: verb == Verb::Insert });
        Ok(())
    }

    fn add_chain(&mut self, create: bool) -> Checked<()> {
        let table = self.table_name()?;
        let name = self.item_name()?;
        if self.kind() == Kind::LeftBrace {
            return self.chain_block(&table, &name, create);
        }
        self.commands.push(Command::Chain { table, chain: Chain { name, base: None, policy: None }, create });
        Ok(())
    }

    fn delete(&mut self) -> Checked<()> {
        if self.object_kind().is_some() {
            let table = self.table_name()?;
            let name = self.item_name()?;
            self.commands.push(Command::DeleteItem(table, Item::Object, name));
            return Ok(());
        }
        let word = self.name("table, chain, set, map or an object")?;
        let item = match word.text.as_str() {
            "table" => {
                let table = self.table_name()?;
                self.commands.push(Command::DeleteTable(table));
                return Ok(());
            }
            "chain" => Item::Chain,
            "set" | "map" => Item::Set,
            _ => {
                return Err(unsupported(
                    word.span,
                    format!("`delete {}`", word.text),
                    "leave out of the file what is not wanted",
                ));
            }
        };
        let table = self.table_name()?;
        let name = self.item_name()?;
        self.commands.push(Command::DeleteItem(table, item, name));
        Ok(())
    }

    fn flush(&mut self) -> Checked<()> {
        let word = self.name("ruleset, table, chain, set or map")?;
        match word.text.as_str() {
            "ruleset" => {
                let family: Option<TableFamily> = self.family()?;
                self.commands.push(Command::FlushRuleset(family));
            }
            "table" => {
                let table = self.table_name()?;
                self.commands.push(Command::FlushTable(table));
            }
            "chain" => {
                let table = self.table_name()?;
                let chain = self.item_name()?;
                self.commands.push(Command::FlushChain(table, chain));
            }
            "set" | "map" => {
                let table = self.table_name()?;
                let set = self.item_name()?;
                self.commands.push(Command::FlushSet(table, set));
            }
            _ => return Err(problem(word.span, format!("`{}` cannot be flushed", word.text))),
        }
        Ok(())
    }
}
