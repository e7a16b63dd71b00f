//! Functions and several results.
//!
//! Owns what stands in a program only: `fn f(x) = ...` and `{ a: ..., b: ... }`. The one idea: both are a name before a
//! value, so both wait for it as a frame that remembers the name. Obligations of an adder: every function of the list
//! has its two nodes. Deliberately does not know what is called.

#![forbid(unsafe_code)]

use super::{Frame, HAS_RESULT, Parser, State, Wait};
use crate::span::Span;
use crate::text::ast::{FunctionDef, Kind, Node};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;

impl Parser<'_> {
    /// `fn name(parameters) = value` or `fn name(parameters) { ... }`; was it `fn`?
    pub(super) fn function(&mut self, fine: bool) -> State {
        let keyword = self.token();
        if self.top().wait != Wait::Program {
            return self.misplaced_function(keyword);
        }
        self.begin_statement();
        self.advance();
        let name = self.token();
        if name.kind != Tok::Name {
            return self.no_function_name(name);
        }
        self.advance();
        let (begin, index) = (self.ast.nodes.len() as u32, self.ast.functions.len() as u32);
        let from = self.ast.params.len() as u32;
        let fine = self.function_parameters(name) && fine;
        let (symbol, params) = (Symbol(name.data), (from, self.ast.params.len() as u32));
        self.ast.functions.push(FunctionDef { symbol, params, begin, end: begin, name: name.span() });
        self.wait(Wait::FnValue, keyword.start, index, 0);
        self.leaf(Kind::FnBegin, name.span(), index);
        self.function_body(fine)
    }

    /// Reads `(x, n: i32)`; were there no errors?
    fn function_parameters(&mut self, name: Token) -> bool {
        let open = self.token();
        if open.kind != Tok::LParen {
            return self.no_parameters(name);
        }
        self.advance();
        let before = self.sink.count();
        self.at = self.parameters(self.at, Tok::RParen);
        if self.token().kind == Tok::RParen {
            self.advance();
            return self.sink.count() == before;
        }
        if self.sink.count() == before {
            self.unclosed_parameters(open);
        }
        self.skip_to_body();
        false
    }

    /// At `=` or `{`, if nothing is wrong.
    fn function_body(&mut self, fine: bool) -> State {
        match self.token().kind {
            Tok::Eq if self.next_kind() != Tok::LBrace => {
                self.advance();
                State::Operand
            }
            Tok::LBrace => self.open_block(Wait::FnBlock),
            _ => self.wrong_body(fine),
        }
    }

    /// The function that begins at node `begin` is complete, and its frame is gone.
    pub(super) fn end_function(&mut self, begin: u32, start: u32, end: u32) {
        let index = self.ast.nodes[begin as usize].data;
        if let Some(function) = self.ast.functions.get_mut(index as usize) {
            function.end = self.ast.nodes.len() as u32;
        }
        self.emit(Kind::Fn, begin, start, end, index);
    }

    /// At `{` where a statement may begin: several results, or a mistake.
    pub(super) fn brace_statement(&mut self) -> State {
        let open = self.token();
        if self.top().flags & HAS_RESULT != 0 {
            self.not_last();
        }
        if self.top().wait != Wait::Program || !self.looks_like_results() {
            self.leaf(Kind::Error, open.span(), 0);
            self.misplaced_brace();
            return State::Operator;
        }
        self.wait(Wait::Results, open.start, open.start, 0);
        self.blocks += 1;
        self.advance();
        self.next_result()
    }

    /// After `{` or a comma: another result or the end.
    pub(super) fn next_result(&mut self) -> State {
        if self.token().kind == Tok::Newline {
            self.advance();
        }
        let name = self.token();
        match (name.kind, self.next_kind()) {
            (Tok::RBrace, _) => self.end_results(name),
            (Tok::Name, Tok::Colon) => {
                self.wait(Wait::ResultValue, name.start, name.data, name.end);
                self.advance();
                self.advance();
                State::Operand
            }
            _ => self.wrong_result(name),
        }
    }

    /// A result's value is complete.
    pub(super) fn end_result(&mut self, frame: Frame) -> State {
        self.frames.pop();
        self.add_result(Symbol(frame.data), Span::new(frame.start, frame.count));
        if self.top().count > u32::from(u16::MAX) - 1 {
            return self.give_up("limit/results", "the formula has more results than the limit of 65534");
        }
        if self.token().kind == Tok::Newline && matches!(self.next_kind(), Tok::Comma | Tok::RBrace) {
            self.advance();
        }
        let token = self.token();
        match token.kind {
            Tok::Comma => self.advance(),
            Tok::RBrace | Tok::End => {}
            _ => self.no_comma(token),
        }
        self.next_result()
    }

    /// Marks the last node as the result of this name.
    pub(super) fn add_result(&mut self, name: Symbol, span: Span) {
        self.leaf(Kind::Result, span, name.0);
        self.top().count += 1;
    }

    /// At the `}` after all results.
    fn end_results(&mut self, brace: Token) -> State {
        let Some(frame) = self.frames.pop() else { return State::Separator };
        self.blocks -= 1;
        self.advance();
        let (first, start, end, count) = (frame.first, frame.start, brace.end, frame.count as u16);
        self.ast.nodes.push(Node { kind: Kind::Results, flags: 0, count, data: 0, start, end, first });
        self.top().flags |= HAS_RESULT;
        State::Separator
    }
}
