//! Statements, signatures, and what separates them.
//!
//! Owns what an expression is part of. The one idea: a statement that waits for its value, or for its block, is a frame
//! like any other, so that statements in blocks in expressions in statements need no recursion. Obligations of an adder:
//! a statement begins with `begin_statement`, and ends in `end_statement` or in `State::Separator`. Deliberately does
//! not know operators.

#![forbid(unsafe_code)]

use super::{BINARY, HAS_BEGIN, HAS_RESULT, HAS_UNSUPPORTED, MAYBE_BEGIN, Parser, STATEMENT, State, Wait, level};
use crate::span::{Diagnostic, Span};
use crate::text::ast::{Kind, Param};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;
use crate::types::Type;

impl Parser<'_> {
    pub(super) fn signature(&mut self) {
        match self.token().kind {
            Tok::PipePipe => {
                self.ast.has_signature = true;
                self.advance();
            }
            Tok::Pipe => {
                self.ast.has_signature = true;
                let open = self.token();
                self.advance();
                self.at = self.parameters(self.at, Tok::Pipe);
                self.ast.signature = self.ast.params.len() as u32;
                if self.token().kind == Tok::Pipe {
                    self.advance();
                } else {
                    let message =
                        format!("expected `|` at the end of the signature, found {}", self.text(self.token()));
                    let diagnostic = Diagnostic::error("syntax/signature", self.token().span(), message);
                    self.sink.push(diagnostic.label(open.span(), "the signature begins here"));
                }
            }
            _ => {}
        }
    }

    /// Reads `x: f64, n` up to `end`; returns the index of the token that is no part of it.
    pub(in crate::text) fn parameters(&mut self, mut at: usize, end: Tok) -> usize {
        loop {
            let token = self.tokens[at];
            if token.kind == end || token.kind == Tok::End {
                return at;
            }
            if token.kind != Tok::Name {
                let message = format!("expected a parameter name, found {}", self.text(token));
                self.error("syntax/signature", token.span(), message);
                return at;
            }
            let symbol = Symbol(token.data);
            at += 1;
            let mut ty = None;
            if self.tokens[at].kind == Tok::Colon {
                at += 1;
                let token = self.tokens[at];
                ty = Type::from_name(token.span().text(self.source));
                if ty.is_none() {
                    let message = format!("{} is not a type", self.text(token));
                    let diagnostic = Diagnostic::error("type/unknown", token.span(), message);
                    self.sink.push(diagnostic.help("the types are f64, f32, i64, i32 and bool"));
                }
                if matches!(token.kind, Tok::Name | Tok::Keyword) {
                    at += 1;
                }
            }
            self.ast.params.push(Param { symbol, ty, span: token.span() });
            if self.tokens[at].kind != Tok::Comma {
                return at;
            }
            at += 1;
        }
    }

    pub(super) fn statement(&mut self) -> State {
        if self.at == self.formula.0 {
            // The signature has been read.
            self.at = self.formula.1;
        }
        let token = self.token();
        match token.kind {
            Tok::Newline | Tok::Semicolon => {
                self.advance();
                State::Statement
            }
            Tok::End => self.end_of_text(),
            Tok::RBrace => self.close_block(),
            Tok::LBrace => self.brace_statement(),
            Tok::Name => match self.next_kind() {
                Tok::Eq => self.assignment(token),
                _ => self.named_statement(token),
            },
            Tok::Keyword => self.keyword_statement(token),
            _ => self.expression_statement(),
        }
    }

    fn keyword_statement(&mut self, token: Token) -> State {
        match Symbol(token.data) {
            Symbol::LET => self.definition(Kind::Let),
            Symbol::VAR if self.next_kind() != Tok::LParen => self.definition(Kind::Var),
            Symbol::FN => self.function(true),
            Symbol::FOR if self.stopped() => self.end_of_text(),
            Symbol::FOR => self.for_loop(),
            Symbol::WHILE => self.while_loop(),
            Symbol::BREAK | Symbol::CONTINUE => self.jump(token),
            Symbol::IF => {
                if self.top().flags & HAS_RESULT != 0 {
                    self.not_last();
                }
                // A statement or an expression: that shows when its first block is closed.
                self.begin_block(MAYBE_BEGIN, token.span());
                self.if_keyword(STATEMENT)
            }
            _ => self.expression_statement(),
        }
    }

    /// At a name, and not at `name =`: an expression, or what other languages write.
    fn named_statement(&mut self, token: Token) -> State {
        let (next, after) = (self.tokens[self.at + 1], self.tokens.get(self.at + 2).copied());
        let touching = after.filter(|after| after.start == next.end);
        let level = BINARY[next.kind as usize].1;
        if level != level::BARRIER && level != level::COMPARE || next.kind == Tok::Colon {
            if touching.is_some_and(|after| after.kind == Tok::Eq) {
                return self.compound_assignment(token, next);
            }
            if matches!(next.kind, Tok::Plus | Tok::Minus) && touching.is_some_and(|after| after.kind == next.kind) {
                return self.increment(token, next);
            }
        }
        match Symbol(token.data) {
            Symbol::RETURN => self.return_statement(token, next),
            Symbol::DEF | Symbol::FUNCTION if next.kind == Tok::Name => self.foreign_function(token),
            _ => self.expression_statement(),
        }
    }

    pub(super) fn expression_statement(&mut self) -> State {
        if self.top().flags & HAS_RESULT != 0 {
            self.not_last();
        }
        State::Operand
    }

    /// At the first token of a statement that is no expression.
    pub(super) fn begin_statement(&mut self) {
        if self.top().flags & HAS_RESULT != 0 {
            self.not_last();
        }
        let span = self.token().span();
        self.begin_block(HAS_BEGIN, span);
    }

    /// Marks the beginning of a block that has statements: `HAS_BEGIN`, or perhaps: `MAYBE_BEGIN`.
    fn begin_block(&mut self, flag: u8, span: Span) {
        let first = self.ast.nodes.len() as u32;
        let top = self.top();
        if top.wait == Wait::Program || top.flags & HAS_BEGIN != 0 {
            return;
        }
        let there = top.flags & MAYBE_BEGIN != 0;
        top.flags = top.flags & !MAYBE_BEGIN | flag;
        if !there {
            top.first = first;
            self.leaf(Kind::BlockBegin, span, 0);
        }
    }

    /// A statement that ends in a brace is complete.
    pub(super) fn statement_done(&mut self) -> State {
        let top = self.top();
        if top.flags & MAYBE_BEGIN != 0 {
            top.flags = top.flags & !MAYBE_BEGIN | HAS_BEGIN;
        }
        State::Separator
    }

    /// What follows must be a separator.
    pub(super) fn separator(&mut self) -> State {
        let token = self.token();
        let separates = matches!(token.kind, Tok::Newline | Tok::Semicolon | Tok::End | Tok::RBrace);
        if separates || self.stopped() {
            return State::Statement;
        }
        self.no_separator(token)
    }

    /// `let name = value` and `var name = value`.
    fn definition(&mut self, kind: Kind) -> State {
        let keyword = self.token();
        self.begin_statement();
        self.advance();
        if self.token().kind == Tok::Name && Symbol(self.token().data) == Symbol::MUT && self.next_kind() == Tok::Name {
            self.let_mut(keyword);
        }
        let name = self.token();
        if name.kind != Tok::Name && !self.no_name(kind, name) {
            return State::Statement;
        }
        self.advance();
        self.wait(Wait::Value, keyword.start, name.data, 0);
        self.top().op = kind;
        if self.token().kind == Tok::Eq {
            self.advance();
            return State::Operand;
        }
        self.no_equals(kind, name)
    }

    /// `name = value`.
    pub(super) fn assignment(&mut self, name: Token) -> State {
        self.begin_statement();
        self.advance();
        self.advance();
        self.wait(Wait::Value, name.start, name.data, 0);
        self.top().op = Kind::Assign;
        State::Operand
    }

    /// An expression statement, a definition or an assignment ends here. Frames in between are brackets that were never
    /// closed.
    pub(super) fn end_statement(&mut self) -> State {
        self.end_frames(false)
    }

    /// The same; has something been said already?
    pub(super) fn end_frames(&mut self, mut reported: bool) -> State {
        loop {
            let frame = self.barrier();
            match frame.wait {
                Wait::Program | Wait::BlockThen | Wait::BlockElse | Wait::FnBlock => {
                    self.top().flags |= HAS_RESULT;
                    break;
                }
                Wait::Loop => {
                    self.lost_in_loop();
                    break;
                }
                Wait::Value => {
                    self.frames.pop();
                    let end = self.last_end();
                    self.emit(frame.op, frame.first, frame.start, end, frame.data);
                    break;
                }
                Wait::FnValue => {
                    self.frames.pop();
                    let end = self.last_end();
                    self.end_function(frame.first, frame.start, end);
                    break;
                }
                Wait::ResultValue => return self.end_result(frame),
                wait if wait.is_header() && !reported => return self.missing_brace(self.token()),
                _ => {
                    self.unfinished(frame, !reported);
                    reported = true;
                }
            }
        }
        State::Statement
    }

    /// At the end of the text, or of the term of an aggregate, in a block or in the program.
    pub(super) fn end_of_text(&mut self) -> State {
        let frame = *self.top();
        if frame.wait != Wait::Program {
            let here = self.token().span();
            self.unclosed_brace(frame.data, here);
            return self.abandon_blocks();
        }
        let end = self.source.len() as u32;
        if self.definitions {
            self.emit(Kind::Program, 0, 0, end, 0);
            self.only_definitions(frame.flags & HAS_RESULT != 0);
            return State::Done;
        }
        if frame.flags & HAS_RESULT == 0 {
            // After another mistake that may be but a consequence.
            if frame.flags & HAS_UNSUPPORTED == 0 && !self.sink.has_errors() {
                self.no_result(end);
            }
            if !self.ast.nodes.last().is_some_and(|last| last.kind == Kind::Error) {
                self.leaf(Kind::Error, Span::new(end, end), 0);
            }
        }
        self.emit(Kind::Program, 0, 0, end, 0);
        State::Done
    }

    /// Reports what is no definition in a text of definitions: statements, and the result if there is one.
    fn only_definitions(&mut self, has_result: bool) {
        let program = self.ast.nodes.len() as u32 - 1;
        let help = "definitions are `fn name(x) = ...` and `let name = ...`";
        if let Some(result) = program.checked_sub(1).filter(|_| has_result) {
            let span = self.ast.nodes[result as usize].span();
            let message = "definitions have no result, and this expression would be one";
            self.sink.push(Diagnostic::error("syntax/definitions", span, message).help(help));
        }
        for child in self.ast.children_reversed(program) {
            let node = self.ast.nodes[child as usize];
            if matches!(node.kind, Kind::Var | Kind::Assign | Kind::For | Kind::While | Kind::IfDo) {
                let message = "this is a statement, and not a definition";
                self.sink.push(Diagnostic::error("syntax/definitions", node.span(), message).help(help));
            }
        }
    }
}
