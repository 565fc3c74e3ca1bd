//! What the commands of a ruleset leave behind, applied in the order of the text, as nft does.

use crate::ast::{Base, Command, Expr, Item, Name, Object, Policy, Rule, Set, TableFamily, TableName};
use crate::diagnostic::{Checked, Problem, Problems, problem};
use crate::names::nearest;
use crate::source::Span;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Things by name, in the order of their declaration.
#[derive(Debug)]
pub(crate) struct Named<T> {
    items: Vec<(String, T)>,
    index: HashMap<String, usize>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { items: Vec::new(), index: HashMap::new() }
    }
}

impl<T> Named<T> {
    pub(crate) fn find(&self, name: &str) -> Option<&T> {
        self.index.get(name).and_then(|i| self.items.get(*i)).map(|(_, item)| item)
    }

    fn find_mut(&mut self, name: &str) -> Option<&mut T> {
        self.index.get(name).and_then(|i| self.items.get_mut(*i)).map(|(_, item)| item)
    }

    fn insert(&mut self, name: &str, item: T) {
        self.index.insert(name.into(), self.items.len());
        self.items.push((name.into(), item));
    }

    fn remove(&mut self, name: &str) -> Option<T> {
        let at = self.index.remove(name)?;
        let (_, item) = self.items.remove(at);
        self.index.values_mut().filter(|i| **i > at).for_each(|i| *i -= 1);
        Some(item)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.items.iter().map(|(name, item)| (name.as_str(), item))
    }

    pub(crate) fn unknown(&self, what: &str, name: &Name) -> Box<Problem> {
        let unknown = problem(name.span, format!("there is no {what} `{}` in this table", name.text));
        match nearest(&name.text, self.items.iter().map(|(n, _)| n.as_str())) {
            Some(near) => unknown.hint(format!("did you mean `{near}`?")),
            None => unknown,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) family: TableFamily,
    pub(crate) name: String,
    pub(crate) chains: Named<ChainModel>,
    pub(crate) sets: Named<Set>,
    /// By kind and name: a counter and a quota may share a name.
    pub(crate) objects: Named<Object>,
}

#[derive(Debug)]
pub(crate) struct ChainModel {
    pub(crate) span: Span,
    pub(crate) base: Option<Base>,
    pub(crate) policy: Option<(Policy, Span)>,
    pub(crate) rules: VecDeque<Rule>,
}

/// Every table, in the order of declaration.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) tables: Vec<Table>,
}

/// Objects of different kinds may share a name.
pub(crate) fn object_key(kind: crate::ast::ObjectKind, name: &str) -> String {
    format!("{kind:?} {name}")
}

impl Model {
    pub(crate) fn apply(commands: Vec<Command>, problems: &mut Problems) -> Self {
        let mut model = Self::default();
        for command in commands {
            if let Err(problem) = model.command(command) {
                problems.push(problem);
            }
        }
        model
    }

    fn command(&mut self, command: Command) -> Checked<()> {
        match command {
            Command::FlushRuleset(None) => self.tables.clear(),
            Command::FlushRuleset(Some(family)) => self.tables.retain(|t| t.family != family),
            Command::DeleteTable(name) => {
                let at = self.position(&name)?;
                self.tables.remove(at);
            }
            Command::FlushTable(name) => {
                let table = self.table(&name)?;
                table.chains.items.iter_mut().for_each(|(_, chain)| chain.rules.clear());
            }
            Command::FlushChain(table, name) => {
                let chains = &mut self.table(&table)?.chains;
                match chains.find_mut(&name.text) {
                    Some(chain) => chain.rules.clear(),
                    None => return Err(chains.unknown("chain", &name)),
                }
            }
            Command::FlushSet(table, name) => {
                let sets = &mut self.table(&table)?.sets;
                match sets.find_mut(&name.text) {
                    Some(set) => set.elements.clear(),
                    None => return Err(sets.unknown("set", &name)),
                }
            }
            Command::DeleteItem(table, item, name) => self.table(&table)?.delete(item, &name)?,
            Command::Table { table, create } => self.add_table(&table, create)?,
            Command::Chain { table, chain, create } => self.table(&table)?.add_chain(chain, create)?,
            Command::Rule { table, chain, rule, first } => {
                self.table(&table)?.add_rule(&chain, rule, first)?;
            }
            Command::Set { table, set, create } => self.table(&table)?.add_set(set, create)?,
            Command::Elements { table, set, elements } => self.table(&table)?.add_elements(&set, elements)?,
            Command::Object { table, object, create } => self.table(&table)?.add_object(object, create)?,
        }
        Ok(())
    }

    fn position(&self, name: &TableName) -> Checked<usize> {
        let found = self.tables.iter().position(|t| t.family == name.family && t.name == name.name.text);
        found.ok_or_else(|| {
            let family = name.family.text();
            problem(name.name.span, format!("there is no table `{family} {}`", name.name.text))
                .hint(format!("declare it above: table {family} {}", name.name.text))
        })
    }

    fn table(&mut self, name: &TableName) -> Checked<&mut Table> {
        let at = self.position(name)?;
        self.tables.get_mut(at).ok_or_else(|| problem(name.name.span, "there is no such table"))
    }

    fn add_table(&mut self, name: &TableName, create: bool) -> Checked<()> {
        if self.position(name).is_ok() {
            return if create { Err(exists(&name.name)) } else { Ok(()) };
        }
        self.tables.push(Table {
            family: name.family,
            name: name.name.text.clone(),
            chains: Named::default(),
            sets: Named::default(),
            objects: Named::default(),
        });
        Ok(())
    }
}

fn exists(name: &Name) -> Box<Problem> {
    problem(name.span, format!("`{}` already exists", name.text)).hint("use `add` if that is meant")
}

impl Table {
    fn delete(&mut self, item: Item, name: &Name) -> Checked<()> {
        let gone = match item {
            Item::Chain => match self.chains.find(&name.text) {
                Some(chain) if !chain.rules.is_empty() => {
                    return Err(problem(name.span, "this chain is not empty").hint("flush it first"));
                }
                _ => self.chains.remove(&name.text).is_some(),
            },
            Item::Set => self.sets.remove(&name.text).is_some(),
            Item::Object => {
                let key =
                    self.objects.iter().find(|(_, o)| o.name.text == name.text).map(|(k, _)| k.to_owned());
                key.is_some_and(|k| self.objects.remove(&k).is_some())
            }
        };
        if gone { Ok(()) } else { Err(problem(name.span, format!("there is no `{}` to delete", name.text))) }
    }

    fn add_chain(&mut self, chain: crate::ast::Chain, create: bool) -> Checked<()> {
        let Some(known) = self.chains.find_mut(&chain.name.text) else {
            let model = ChainModel {
                span: chain.name.span,
                base: chain.base,
                policy: chain.policy,
                rules: VecDeque::new(),
            };
            self.chains.insert(&chain.name.text, model);
            return Ok(());
        };
        if create {
            return Err(exists(&chain.name));
        }
        if let Some(base) = chain.base {
            let same = |old: &Base| {
                (&old.kind.text, &old.hook.text, &old.priority.name, old.priority.offset)
                    == (&base.kind.text, &base.hook.text, &base.priority.name, base.priority.offset)
            };
            if !known.base.as_ref().is_some_and(same) {
                return Err(problem(
                    chain.name.span,
                    format!("`{}` is already declared differently", chain.name.text),
                )
                .hint("a chain keeps its type, hook and priority"));
            }
        }
        known.policy = chain.policy.or(known.policy);
        Ok(())
    }

    fn add_rule(&mut self, chain: &Name, rule: Rule, first: bool) -> Checked<()> {
        let Some(known) = self.chains.find_mut(&chain.text) else {
            return Err(self.chains.unknown("chain", chain));
        };
        if first {
            known.rules.push_front(rule);
        } else {
            known.rules.push_back(rule);
        }
        Ok(())
    }

    fn add_set(&mut self, set: Set, create: bool) -> Checked<()> {
        let Some(known) = self.sets.find_mut(&set.name.text) else {
            self.sets.insert(&set.name.text.clone(), set);
            return Ok(());
        };
        if create {
            return Err(exists(&set.name));
        }
        if known.is_map != set.is_map || known.interval != set.interval {
            return Err(problem(
                set.name.span,
                format!("`{}` is already declared differently", set.name.text),
            ));
        }
        known.elements.extend(set.elements);
        Ok(())
    }

    fn add_elements(&mut self, set: &Name, elements: Rc<Expr>) -> Checked<()> {
        match self.sets.find_mut(&set.text) {
            Some(known) => {
                known.elements.push(elements);
                Ok(())
            }
            None => Err(self.sets.unknown("set", set)),
        }
    }

    fn add_object(&mut self, object: Object, create: bool) -> Checked<()> {
        let key = object_key(object.body.kind(), &object.name.text);
        if self.objects.find(&key).is_some() {
            return if create { Err(exists(&object.name)) } else { Ok(()) };
        }
        self.objects.insert(&key, object);
        Ok(())
    }
}

impl TableFamily {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
        }
    }
}
