//! Formula text: from bytes to a typed function.
//!
//! Owns the order of the front end's steps: lex, parse, check. The one idea: nothing here fails. Each step returns what
//! it could make and adds to the diagnostics, and a caller that needs a function asks whether there are errors.
//!
//! Obligations of an adder: every vector is reused, so that a steady state allocates nothing. Deliberately does not
//! know machine code.

#![forbid(unsafe_code)]

pub(crate) mod ast;
pub(crate) mod check;
mod comments;
pub(crate) mod lex;
pub(crate) mod parse;
pub(crate) mod print;
pub(crate) mod suggest;
pub(crate) mod symbols;

#[cfg(test)]
mod tests;

use crate::span::{Diagnostic, Span, quote};
use crate::types::Type;
use ast::Ast;
use symbols::Symbols;

/// What a formula may cost before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest source text, in bytes. Default: 64 MiB.
    pub source_bytes: u32,
    /// Deepest nesting of brackets, operators and blocks. Default: 1,000,000.
    pub nesting: u32,
    /// Most parts (names, numbers, operators). Default: 8,388,608, which take some 800 MiB while they are compiled.
    pub nodes: u32,
    /// Most iterations of all loops together in one evaluation. Default: 100,000,000.
    pub steps: u64,
    /// Most operations that calls of a formula's own functions may expand to. Default: 1,048,576.
    pub inline: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { source_bytes: 64 << 20, nesting: 1_000_000, nodes: 1 << 23, steps: 100_000_000, inline: 1 << 20 }
    }
}

/// Most diagnostics that are kept; one more says that there were others.
const DIAGNOSTICS: usize = 50;

/// Collects diagnostics, up to a number.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    list: Vec<Diagnostic>,
    /// Errors among all that came, kept or not.
    errors: usize,
    all: usize,
    /// The same may have been said already: about a function's body, which is checked for several types.
    again: bool,
    /// The call from which the types come about which something is said.
    call: Option<Span>,
}

impl Sink {
    /// Adds one.
    #[cold]
    pub(crate) fn push(&mut self, mut diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.is_error());
        if self.again {
            if self.list.iter().any(|d| d.code == diagnostic.code && d.span == diagnostic.span) {
                return;
            }
            if let Some(call) = self.call {
                diagnostic = diagnostic.label(call, "as it is called here");
            }
        }
        self.all += 1;
        if self.list.len() < DIAGNOSTICS {
            self.list.push(diagnostic);
        }
    }

    /// Will the next one only be counted?
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= DIAGNOSTICS
    }

    /// What follows is about a body that was perhaps checked before (with the types of `call`), or no longer.
    pub(crate) fn set_again(&mut self, again: bool, call: Option<Span>) {
        (self.again, self.call) = (again, call);
    }

    /// Counts an error that would not be kept.
    pub(crate) fn count_error(&mut self) {
        self.errors += 1;
        self.all += 1;
    }

    /// How many errors came, the same ones counted again.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Were there errors?
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Would another one be kept? If not, nobody needs its help line.
    pub(crate) fn wants_more(&self) -> bool {
        self.list.len() < DIAGNOSTICS
    }

    /// How many came.
    pub(crate) fn count(&self) -> usize {
        self.all
    }

    /// All diagnostics in the order of their places, and forgets them.
    pub(crate) fn take(&mut self) -> Vec<Diagnostic> {
        let mut list = std::mem::take(&mut self.list);
        list.sort_by_key(|d| d.span.start);
        if self.all > list.len() {
            let span = list.last().map_or(Span::default(), |d| d.span);
            let message = format!("too many errors: {} more are not shown", self.all - list.len());
            list.push(Diagnostic::error("limit/diagnostics", span, message));
        }
        (self.errors, self.all) = (0, 0);
        list
    }
}

/// The front end, with all the memory that it reuses.
pub(crate) struct FrontEnd {
    pub(crate) symbols: Symbols,
    pub(crate) ast: Ast,
    pub(crate) sink: Sink,
    tokens: Vec<lex::Token>,
    open: Vec<u32>,
    frames: Vec<parse::Frame>,
    state: check::State,
}

impl FrontEnd {
    /// A front end that knows `functions` by name.
    pub(crate) fn new<'a>(functions: impl Iterator<Item = &'a str>) -> FrontEnd {
        let (ast, sink) = (Ast::default(), Sink::default());
        let builtins = crate::math::all().iter().flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()));
        FrontEnd {
            symbols: Symbols::new(builtins.chain(functions)),
            ast,
            sink,
            tokens: Vec::new(),
            open: Vec::new(),
            frames: Vec::new(),
            state: check::State::default(),
        }
    }

    /// Reads a formula into `self.ast`; what is wrong with it is in `self.sink`.
    pub(crate) fn parse(&mut self, source: &str, limits: Limits) {
        self.parse_behind(source, source.len(), limits);
    }

    /// The same for a formula, the first `formula` bytes of `source`, with definitions behind it, which are read first.
    pub(crate) fn parse_behind(&mut self, source: &str, formula: usize, limits: Limits) {
        self.symbols.reset();
        self.ast.clear();
        let (source, formula) = self.accept(source, formula, limits);
        let FrontEnd { symbols, ast, sink, tokens, open, .. } = self;
        let first = lex::lex_behind(source, formula, symbols, tokens, &mut ast.literals, open, sink);
        self.parser(source, limits).run(first);
    }

    /// Reads a list of parameters, `x, n: i32`.
    pub(crate) fn parse_list(&mut self, list: &str) -> Result<Vec<(String, Option<Type>)>, Vec<Diagnostic>> {
        self.symbols.reset();
        self.ast.clear();
        let (list, _) = self.accept(list, list.len(), Limits::default());
        let FrontEnd { symbols, ast, sink, tokens, open, .. } = self;
        lex::lex(list, symbols, tokens, &mut ast.literals, open, sink);
        let end = self.parser(list, Limits::default()).parameters(0, lex::Tok::End);
        let rest = self.tokens[end];
        if rest.kind != lex::Tok::End && !self.sink.has_errors() {
            let message = format!("expected `,` or the end of the list, found {}", quote(rest.span().text(list)));
            self.sink.push(Diagnostic::error("syntax/signature", rest.span(), message));
        }
        if self.sink.has_errors() {
            return Err(self.sink.take());
        }
        Ok(self.ast.params.iter().map(|p| (self.symbols.name(p.symbol).to_owned(), p.ty)).collect())
    }

    /// Reads a text that is to consist of definitions.
    pub(crate) fn parse_definitions(&mut self, source: &str, limits: Limits) {
        self.symbols.reset();
        self.ast.clear();
        let (source, _) = self.accept(source, source.len(), limits);
        let FrontEnd { symbols, ast, sink, tokens, open, .. } = self;
        lex::lex(source, symbols, tokens, &mut ast.literals, open, sink);
        self.parser(source, limits).run_definitions();
    }

    /// For each loop in the text the whole of it and the part that is repeated.
    pub(crate) fn loops(&self) -> Vec<(Span, Span)> {
        let nodes = self.ast.nodes.iter().enumerate();
        let loops =
            nodes.filter(|(_, node)| matches!(node.kind, ast::Kind::For | ast::Kind::While | ast::Kind::Aggregate));
        let parts = loops.map(|(at, node)| {
            let mut children = self.ast.children_reversed(at as u32).map(|child| self.ast.nodes[child as usize].span());
            let block = children.next().unwrap_or_default();
            // The condition of a `while` is repeated too; a marker stands between.
            let condition = children.nth(1).filter(|_| node.kind == ast::Kind::While);
            (node.span(), condition.map_or(block, |condition| condition.join(block)))
        });
        parts.collect()
    }

    /// The tree as S-expressions.
    pub(crate) fn dump(&self, _source: &str) -> String {
        self.ast.dump(&self.symbols)
    }

    /// The formula in its canonical form.
    pub(crate) fn print(&self, source: &str) -> String {
        print::print(&self.ast, &self.symbols, source)
    }

    /// The same with comments and empty lines.
    pub(crate) fn format(&self, source: &str) -> String {
        print::format(&self.ast, &self.symbols, source)
    }

    fn parser<'a>(&'a mut self, source: &'a str, limits: Limits) -> parse::Parser<'a> {
        let FrontEnd { symbols, ast, sink, tokens, frames, open, .. } = self;
        parse::Parser::new(source, tokens, symbols, ast, frames, open, sink, limits)
    }

    /// The source if its formula is not too long, otherwise an error and nothing; and where its formula ends.
    fn accept<'a>(&mut self, source: &'a str, formula: usize, limits: Limits) -> (&'a str, usize) {
        // Offsets are 32 bits wide.
        let limit = limits.source_bytes.min(u32::MAX / 2);
        if formula <= limit as usize && source.len() <= u32::MAX as usize {
            return (source, formula);
        }
        let message = format!("the formula has {formula} bytes, and the limit is {limit}");
        self.sink.push(Diagnostic::error("limit/source", Span::default(), message).help("limits are options"));
        ("0", 1)
    }
}

/// `bytes` as text, or the error that they are not UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Box<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() as u32;
        let message =
            format!("the formula is not UTF-8 text: byte {at} (0x{:02x}) begins no character", bytes[at as usize]);
        Box::new(Diagnostic::error("utf8", Span::new(at, at + 1), message))
    })
}

/// [`FrontEnd::parse_list`] where there is no front end yet.
#[cfg(test)]
pub(crate) fn parse_params(list: &str) -> Result<Vec<(String, Option<Type>)>, Vec<Diagnostic>> {
    FrontEnd::new(std::iter::empty()).parse_list(list)
}

/// Does the text begin with a signature, `|x: f64| ...`?
pub(crate) fn has_signature(source: &[u8]) -> bool {
    let mut rest = source.strip_prefix("\u{feff}".as_bytes()).unwrap_or(source).trim_ascii_start();
    while rest.starts_with(b"#") {
        let line = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        rest = rest[line..].trim_ascii_start();
    }
    rest.starts_with(b"|")
}

/// Can `name` be called in a formula without back-ticks?
pub(crate) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c));
    let word = symbols::FIXED.iter().position(|&fixed| fixed == name);
    let reserved = word.is_some_and(|at| symbols::Symbol(at as u32).is_keyword());
    first && chars.all(unicode_ident::is_xid_continue) && unicode_normalization::is_nfc(name) && !reserved
}
