//! Named sets and maps.

use super::Parser;
use super::expression::Mode;
use crate::ast::{Name, ObjectKind, Set, SetData, SetType};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::lexer::Kind;

impl Parser<'_> {
    /// A set or map after its name.
    pub(super) fn named_set(&mut self, name: Name, is_map: bool) -> Checked<Set> {
        let mut set = Set {
            name,
            is_map,
            key: None,
            data: None,
            interval: false,
            auto_merge: false,
            size: None,
            expires: None,
            counter: false,
            elements: Vec::new(),
        };
        self.block(|p| p.set_statement(&mut set))?;
        if set.key.is_none() {
            return Err(problem(set.name.span, format!("`{}` has no type", set.name.text))
                .hint("say what its elements are, for example `type ipv4_addr`"));
        }
        Ok(set)
    }

    fn set_statement(&mut self, set: &mut Set) -> Checked<()> {
        if let Some(result) = self.shared_statement() {
            return result;
        }
        let word = self.name("type, typeof, flags, elements or another part of a set")?;
        match word.text.as_str() {
            "type" | "typeof" => self.set_type(set, word.text == "typeof")?,
            "flags" => self.set_flags(set)?,
            "elements" => {
                self.expect(Kind::Assign, "`=`")?;
                set.elements.push(self.initializer()?);
            }
            "size" => {
                let at = self.span();
                set.size = Some((self.number("the size of the set")?, at));
            }
            "timeout" => {
                self.constant_word("a duration")?;
                set.expires = Some(word.span);
            }
            "gc-interval" => {
                self.constant_word("a duration")?;
            }
            "policy" => {
                let policy = self.name("performance or memory")?;
                if !matches!(policy.text.as_str(), "performance" | "memory") {
                    return Err(problem(policy.span, "the policies of a set are performance and memory"));
                }
            }
            "auto-merge" => set.auto_merge = true,
            "counter" => set.counter = true,
            "comment" => {
                self.quoted("a quoted comment")?;
            }
            "limit" | "quota" | "last" => {
                return Err(unsupported(
                    word.span,
                    "a statement on every element",
                    "write it in a rule of its own",
                ));
            }
            _ => return Err(problem(word.span, format!("a set has no `{}`", word.text))),
        }
        Ok(())
    }

    fn set_type(&mut self, set: &mut Set, of_expression: bool) -> Checked<()> {
        set.key = Some(self.type_spec(of_expression)?);
        if !set.is_map {
            return Ok(());
        }
        self.expect(Kind::Colon, "`:` and the type of the values")?;
        if self.take_word("verdict") {
            set.data = Some(SetData::Verdict);
            return Ok(());
        }
        // After `typeof` the words `ct helper` select a field; after `type` they name a kind of object.
        let kind = self.object_type_word().filter(|k| !of_expression || *k != ObjectKind::Helper);
        if let Some(kind) = kind {
            self.bump();
            if kind == ObjectKind::Helper {
                self.expect_word("helper")?;
            }
            set.data = Some(SetData::Objects(kind));
            return Ok(());
        }
        // Values may be ranges whether it is said or not.
        self.take_word("interval");
        set.data = Some(SetData::Values(self.type_spec(of_expression)?));
        Ok(())
    }

    fn object_type_word(&self) -> Option<ObjectKind> {
        match () {
            () if self.is_word("counter") => Some(ObjectKind::Counter),
            () if self.is_word("quota") => Some(ObjectKind::Quota),
            () if self.is_word("limit") => Some(ObjectKind::Limit),
            () if self.is_word("ct") && self.is_word_at(1, "helper") => Some(ObjectKind::Helper),
            () => None,
        }
    }

    fn type_spec(&mut self, of_expression: bool) -> Checked<SetType> {
        if of_expression {
            return Ok(SetType::Typeof(self.concat(Mode::Left)?));
        }
        let mut types = vec![self.name("a type, such as ipv4_addr")?];
        while self.take(Kind::Dot) {
            types.push(self.name("a type")?);
        }
        Ok(SetType::Types(types))
    }

    fn set_flags(&mut self, set: &mut Set) -> Checked<()> {
        loop {
            let flag = self.name("interval, constant, timeout or dynamic")?;
            match flag.text.as_str() {
                "interval" => set.interval = true,
                "constant" | "timeout" => {}
                "dynamic" => {
                    return Err(unsupported(
                        flag.span,
                        "a set that rules change",
                        "sets hold what the file says; list the elements",
                    ));
                }
                _ => return Err(problem(flag.span, format!("a set has no flag `{}`", flag.text))),
            }
            if !self.take(Kind::Comma) {
                return Ok(());
            }
        }
    }
}
