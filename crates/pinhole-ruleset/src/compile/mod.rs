//! Commands to a program. Names are resolved, every expression gets a type, families and hooks are checked, and what
//! remains is flat.

mod base;
mod constant;
mod graph;
mod matching;
mod nat;
mod object;
mod operand;
mod set;
mod statement;

use crate::ast::{Command, Rule, TableFamily};
use crate::diagnostic::{Checked, Diagnostic, Problems, problem};
use crate::lookup::Interval;
use crate::model::{Model, Table};
use crate::program::{Instruction, Program, SetId};
use crate::ruleset::{ChainId, ChainInfo, Family, RuleInfo, Ruleset, TableInfo};
use crate::source::{Sources, Span};
use graph::Graph;
use std::collections::HashMap;

/// Most elements of all sets together: variables may repeat each other's elements.
const MAX_ELEMENTS: usize = 2_000_000;

pub(crate) fn compile(
    commands: Vec<Command>,
    sources: Sources,
    mut problems: Problems,
) -> Result<Ruleset, Vec<Diagnostic>> {
    let model = Model::apply(commands, &mut problems);
    if !problems.is_empty() {
        return Err(problems.diagnose(&sources));
    }
    let mut compiler = Compiler::new(sources, problems);
    compiler.model(&model);
    compiler.finish()
}

/// A set or map as rules see it.
#[derive(Clone, Debug)]
struct SetInfo {
    id: SetId,
    keys: Vec<crate::datatype::DataType>,
    data: Data,
    /// The chains that its verdicts lead to.
    targets: Vec<(ChainId, Span)>,
}

/// What a map holds.
#[derive(Clone, Debug, PartialEq)]
enum Data {
    Nothing,
    Verdict,
    Values(Vec<crate::datatype::DataType>),
    Objects(crate::ast::ObjectKind),
}

/// Names of the table being compiled.
#[derive(Default)]
struct TableScope {
    chains: HashMap<String, ChainId>,
    sets: HashMap<String, SetInfo>,
    objects: HashMap<String, crate::object::ObjectId>,
}

/// What is known of the packet in the rule being compiled.
#[derive(Default)]
struct RuleScope {
    chain: Option<ChainId>,
    family: Option<Family>,
    l4: Option<u8>,
    code: Vec<Instruction>,
}

struct Compiler {
    ruleset: Ruleset,
    problems: Problems,
    graph: Graph,
    table: TableFamily,
    scope: TableScope,
    rule: RuleScope,
    elements: usize,
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Compiler {
    fn new(sources: Sources, problems: Problems) -> Self {
        let ruleset = Ruleset {
            sources,
            program: Program::default(),
            tables: Vec::new(),
            chains: Vec::new(),
            rules: Vec::new(),
            bases: Vec::new(),
            order: Default::default(),
            objects: Vec::new(),
            helpers: Vec::new(),
            timeouts: Vec::new(),
            expectations: Vec::new(),
            counters: Vec::new(),
        };
        Self {
            ruleset,
            problems,
            graph: Graph::default(),
            table: TableFamily::Inet,
            scope: TableScope::default(),
            rule: RuleScope::default(),
            elements: 0,
        }
    }

    fn model(&mut self, model: &Model) {
        for table in &model.tables {
            self.table(table);
        }
    }

    fn finish(mut self) -> Result<Ruleset, Vec<Diagnostic>> {
        self.graph.check(&self.ruleset, &mut self.problems);
        if !self.problems.is_empty() {
            return Err(self.problems.diagnose(&self.ruleset.sources));
        }
        self.order_base_chains();
        Ok(self.ruleset)
    }

    fn note(&mut self, result: Checked<()>) {
        if let Err(problem) = result {
            self.problems.push(problem);
        }
    }

    fn table(&mut self, table: &Table) {
        self.table = table.family;
        self.scope = TableScope::default();
        let number = self.ruleset.tables.len();
        self.ruleset.tables.push(TableInfo { family: table.family.text(), name: table.name.clone() });
        for (name, chain) in table.chains.iter() {
            let id = ChainId(index(self.ruleset.chains.len()));
            self.ruleset.chains.push(ChainInfo { table: number, name: name.into(), span: chain.span });
            self.scope.chains.insert(name.into(), id);
            let result = self.base_chain(id, chain);
            self.note(result);
        }
        for (key, object) in table.objects.iter() {
            let result = self.object(key, object, number);
            self.note(result);
        }
        for (name, set) in table.sets.iter() {
            let result = self.named_set(name, set);
            self.note(result);
        }
        for (name, chain) in table.chains.iter() {
            let Some(id) = self.scope.chains.get(name).copied() else { continue };
            self.chain(id, chain.rules.iter());
        }
    }

    fn chain<'r>(&mut self, chain: ChainId, rules: impl Iterator<Item = &'r Rule>) {
        let start = index(self.ruleset.program.rules.len());
        for rule in rules {
            if self.problems.full() {
                break;
            }
            let result = self.rule(chain, rule);
            self.note(result);
        }
        let end = index(self.ruleset.program.rules.len());
        self.ruleset.program.chains.push(start..end);
    }

    fn rule(&mut self, chain: ChainId, rule: &Rule) -> Checked<()> {
        self.rule = RuleScope { chain: Some(chain), family: self.table.only(), ..RuleScope::default() };
        self.ruleset.rules.push(RuleInfo { chain, span: rule.span, comment: rule.comment.clone() });
        let mut decided: Option<Span> = None;
        let mut result = Ok(());
        for statement in &rule.statements {
            if decided.is_some() {
                result = Err(problem(statement.span, "this is never reached")
                    .label("the statement before it always decides")
                    .hint("put the verdict last, or write two rules"));
                break;
            }
            match self.statement(statement) {
                Ok(true) => decided = Some(statement.span),
                Ok(false) => {}
                Err(problem) => {
                    result = Err(problem);
                    break;
                }
            }
        }
        let program = &mut self.ruleset.program;
        let start = index(program.code.len());
        program.code.append(&mut self.rule.code);
        let end = index(program.code.len());
        program.rules.push(start..end);
        result
    }

    fn emit(&mut self, instruction: Instruction) {
        self.rule.code.push(instruction);
    }

    /// Counts set elements, so that variables that repeat each other cannot grow without bound.
    fn count_elements(&mut self, more: usize, span: Span) -> Checked<()> {
        self.elements += more;
        if self.elements > MAX_ELEMENTS {
            return Err(problem(
                span,
                format!("the sets of this ruleset have more than {MAX_ELEMENTS} elements"),
            ));
        }
        Ok(())
    }
}

/// A key of a set: an interval for each component.
type Tuple = Vec<Interval>;

impl TableFamily {
    /// The family of every packet that such a table sees; `None` for inet.
    fn only(self) -> Option<Family> {
        match self {
            Self::Ip => Some(Family::Ip),
            Self::Ip6 => Some(Family::Ip6),
            Self::Inet => None,
        }
    }
}
