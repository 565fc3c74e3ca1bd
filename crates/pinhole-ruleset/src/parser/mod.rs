//! Tokens to commands. Recursive descent; an error ends its statement, and reading goes on after it, so that one run
//! reports many errors. Nesting, files and bytes are bounded: rulesets may come from strangers.

mod chain;
mod command;
mod cursor;
mod expression;
mod object;
mod select;
mod set;
mod statement;
mod table;
mod variable;

use crate::ast::{Command, Expr};
use crate::diagnostic::{Problems, problem};
use crate::lexer::{self, Kind, Token};
use crate::source::{Loader, Sources, Span};
use std::collections::HashMap;
use std::rc::Rc;

/// Deepest nesting of expressions, variables included.
const MAX_NESTING: usize = 64;
/// Deepest nesting of `include`, as in nft.
const MAX_INCLUDE_DEPTH: usize = 16;
/// Most files of one ruleset.
const MAX_FILES: usize = 512;
/// Most bytes of one ruleset, all files together.
const MAX_BYTES: usize = 16 << 20;

/// Reads the file `root` and what it includes. Errors go to `problems`; what could be read is returned.
pub(crate) fn parse(
    root: &str,
    loader: &dyn Loader,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Result<Vec<Command>, String> {
    let text = loader.read(root, MAX_BYTES).map_err(|e| e.0)?;
    Ok(parse_text(root, text, loader, sources, problems))
}

/// Reads `text` as if it were the file `name`.
pub(crate) fn parse_text(
    name: &str,
    text: String,
    loader: &dyn Loader,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Vec<Command> {
    let mut parser = Parser {
        loader,
        sources,
        problems,
        frames: Vec::new(),
        scopes: vec![HashMap::new()],
        commands: Vec::new(),
        braces: 0,
        nesting: 0,
        deepest: 0,
        files: 0,
        bytes: 0,
    };
    parser.open(name, text, 0);
    parser.file();
    parser.commands
}

/// A file being read.
struct Frame {
    tokens: Vec<Token>,
    at: usize,
    include_depth: usize,
}

/// A `define`d value.
struct Variable {
    value: Rc<Expr>,
    /// How deep its expression nests, its own variables included.
    nesting: usize,
}

struct Parser<'a> {
    loader: &'a dyn Loader,
    sources: &'a mut Sources,
    problems: &'a mut Problems,
    /// The file being read is last; those that include it are before it.
    frames: Vec<Frame>,
    /// Variables: global, of the table, of the chain.
    scopes: Vec<HashMap<String, Variable>>,
    commands: Vec<Command>,
    /// Open braces.
    braces: usize,
    /// Current nesting of expressions.
    nesting: usize,
    /// Deepest nesting since the last `define` began.
    deepest: usize,
    files: usize,
    bytes: usize,
}

impl Parser<'_> {
    fn open(&mut self, name: &str, text: String, include_depth: usize) {
        self.files += 1;
        self.bytes += text.len();
        let file = self.sources.add(name, text);
        let mut tokens = match lexer::tokens(file, self.sources.text(file)) {
            Ok(tokens) => tokens,
            Err(e) => {
                self.problems.push(e);
                vec![Token { kind: Kind::End, span: Span { file, start: 0, end: 0 } }]
            }
        };
        if let (Some(first), Some(end)) = (tokens.first().copied(), tokens.last().copied()) {
            // A file begins and ends its own lines, whatever stands around the `include`.
            tokens.insert(tokens.len() - 1, Token { kind: Kind::Newline, span: end.span });
            tokens
                .insert(0, Token { kind: Kind::Newline, span: Span { end: first.span.start, ..first.span } });
        }
        self.frames.push(Frame { tokens, at: 0, include_depth });
    }

    fn file(&mut self) {
        while !self.problems.full() {
            self.skip_separators();
            if self.kind() == Kind::End {
                return;
            }
            if self.kind() == Kind::RightBrace {
                let span = self.bump().span;
                self.braces = 0;
                self.problems.push(problem(span, "this brace closes nothing"));
                continue;
            }
            let result = self.command();
            self.recover(result, 0);
        }
    }
}
