//! Formula text: from bytes to a typed function.
//!
//! Owns the order of the front end's steps: lex, parse, check. The one idea: nothing here fails. Each step returns what
//! it could make and adds to the diagnostics, and a caller that needs a function asks whether there are errors.
//!
//! Obligations of an adder: every vector is reused, so that a steady state allocates nothing. Deliberately does not
//! know machine code.

#![forbid(unsafe_code)]

pub(crate) mod ast;
mod check;
pub(crate) mod lex;
pub(crate) mod parse;
pub(crate) mod symbols;

#[cfg(test)]
mod tests;

use crate::span::{Diagnostic, Span};
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
    /// Most parts (names, numbers, operators). Default: 16,777,216.
    pub nodes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { source_bytes: 64 << 20, nesting: 1_000_000, nodes: 1 << 24 }
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
}

impl Sink {
    /// Adds one.
    #[cold]
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.is_error());
        self.all += 1;
        if self.list.len() < DIAGNOSTICS {
            self.list.push(diagnostic);
        }
    }

    /// Were there errors?
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
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
    pub(crate) state: check::State,
}

impl FrontEnd {
    /// A front end that knows `functions` by name.
    pub(crate) fn new<'a>(functions: impl Iterator<Item = &'a str>) -> FrontEnd {
        let (ast, sink) = (Ast::default(), Sink::default());
        FrontEnd { symbols: Symbols::new(functions), ast, sink, tokens: Vec::new(), open: Vec::new(), frames: Vec::new(), state: check::State::default() }
    }

    /// Reads `source` into `self.ast`; what is wrong with it is in `self.sink`.
    pub(crate) fn parse(&mut self, source: &str, limits: Limits) {
        self.symbols.reset();
        self.ast.clear();
        let source = self.accept(source, limits);
        lex::lex(source, &mut self.symbols, &mut self.tokens, &mut self.ast.literals, &mut self.open, &mut self.sink);
        self.parser(source, limits).run();
    }

    fn parser<'a>(&'a mut self, source: &'a str, limits: Limits) -> parse::Parser<'a> {
        let FrontEnd { symbols, ast, sink, tokens, frames, .. } = self;
        parse::Parser { source, tokens, symbols, ast, frames, sink, limits, at: 0, blocks: 0 }
    }

    /// The source if it is not too long, otherwise an error and nothing.
    fn accept<'a>(&mut self, source: &'a str, limits: Limits) -> &'a str {
        // Offsets are 32 bits wide.
        let limit = limits.source_bytes.min(u32::MAX / 2);
        if source.len() <= limit as usize {
            return source;
        }
        let message = format!("the formula has {} bytes, and the limit is {limit}", source.len());
        self.sink.push(Diagnostic::error("limit/source", Span::default(), message).help("limits are options"));
        "0"
    }
}

/// `bytes` as text, or the error that they are not UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Diagnostic> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() as u32;
        let message = format!("the formula is not UTF-8 text: byte {at} (0x{:02x}) begins no character", bytes[at as usize]);
        Diagnostic::error("utf8", Span::new(at, at + 1), message)
    })
}

pub(crate) fn parse_params(list: &str) -> Result<Vec<(String, Option<Type>)>, Vec<Diagnostic>> {
    Ok(list
        .split(',')
        .map(|p| {
            let (n, t) = p.split_once(':').map_or((p, None), |(n, t)| (n, Type::from_name(t.trim())));
            (n.trim().to_owned(), t)
        })
        .collect())
}
pub(crate) fn has_signature(source: &[u8]) -> bool {
    source.trim_ascii_start().starts_with(b"|")
}
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
}
