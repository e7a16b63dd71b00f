//! Statements, blocks and signatures.
//!
//! Owns what separates and encloses expressions. The one idea: a block is a frame like any other, so blocks inside
//! expressions inside blocks need no recursion. Obligations of an adder: a statement ends in `end_statement`.
//! Deliberately does not know operators.

#![forbid(unsafe_code)]

use super::{HAS_BEGIN, HAS_RESULT, HAS_UNSUPPORTED, Parser, State, Wait};
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
            Tok::Keyword => match Symbol(token.data) {
                Symbol::LET => self.let_statement(),
                Symbol::FN | Symbol::VAR | Symbol::FOR | Symbol::WHILE | Symbol::BREAK | Symbol::CONTINUE
                    if self.next_kind() != Tok::LParen || Symbol(token.data) != Symbol::VAR =>
                {
                    self.unsupported_statement()
                }
                _ => self.expression_statement(),
            },
            _ => self.expression_statement(),
        }
    }

    pub(super) fn expression_statement(&mut self) -> State {
        if self.top().flags & HAS_RESULT != 0 {
            self.not_last();
        }
        State::Operand
    }

    pub(super) fn let_statement(&mut self) -> State {
        let keyword = self.token();
        if self.top().flags & HAS_RESULT != 0 {
            self.not_last();
        }
        self.advance();
        let name = self.token();
        if name.kind != Tok::Name {
            let message = format!("expected a name after `let`, found {}", self.text(name));
            let reserved = name.kind == Tok::Keyword;
            let diagnostic = Diagnostic::error("syntax/let", name.span(), message);
            self.sink.push(if reserved {
                diagnostic.help("a reserved word is a name in back-ticks")
            } else {
                diagnostic
            });
            if !reserved {
                self.top().flags |= HAS_UNSUPPORTED;
                self.skip_statement();
                return State::Statement;
            }
        }
        self.advance();
        let equals = self.token();
        if equals.kind == Tok::Eq {
            self.advance();
        } else {
            let message =
                format!("expected `=` after `let {}`, found {}", name.span().text(self.source), self.text(equals));
            let mut diagnostic = Diagnostic::error("syntax/let", equals.span(), message);
            if equals.kind == Tok::LParen {
                diagnostic = diagnostic.help("a function is defined with `fn name(x) = ...`");
            } else if equals.kind == Tok::EqEq {
                diagnostic = diagnostic.fix(equals.span(), "=");
                self.advance();
            }
            self.sink.push(diagnostic);
        }
        if self.blocks > 0 && self.top().wait != Wait::Program && self.top().flags & HAS_BEGIN == 0 {
            self.top().flags |= HAS_BEGIN;
            let first = self.ast.nodes.len() as u32;
            self.top().first = first;
            self.leaf(Kind::BlockBegin, keyword.span(), 0);
        }
        self.wait(Wait::Let, keyword.start, name.data, name.start);
        State::Operand
    }

    /// An expression statement or `let` ends here. Frames in between are brackets that were never closed.
    pub(super) fn end_statement(&mut self) -> State {
        let mut unclosed = 0u32;
        loop {
            let frame = self.barrier();
            match frame.wait {
                Wait::Program | Wait::BlockThen | Wait::BlockElse => {
                    self.top().flags |= HAS_RESULT;
                    break;
                }
                Wait::Let => {
                    self.frames.pop();
                    let end = self.last_end();
                    self.emit(Kind::Let, frame.first, frame.start, end, frame.data);
                    break;
                }
                _ => {
                    unclosed += 1;
                    self.unfinished(frame, unclosed == 1);
                }
            }
        }
        State::Statement
    }

    pub(super) fn end_of_text(&mut self) -> State {
        let frame = *self.top();
        if matches!(frame.wait, Wait::BlockThen | Wait::BlockElse) {
            let open = Span::new(frame.data, frame.data + 1);
            let here = self.token().span();
            let diagnostic = Diagnostic::error("unclosed", open, "this `{` is never closed");
            self.sink.push(diagnostic.fix(Span::new(here.start, here.start), " }"));
            return self.abandon_block();
        }
        let end = self.source.len() as u32;
        if self.definitions {
            if frame.flags & HAS_RESULT != 0 {
                let span = self.ast.nodes.last().map_or(Span::default(), |n| n.span());
                let message = "definitions have no result, and this expression would be one";
                let help = "definitions are `fn name(x) = ...` and `let name = ...`";
                self.sink.push(Diagnostic::error("syntax/definitions", span, message).help(help));
            }
        } else if frame.flags & HAS_RESULT == 0 {
            if frame.flags & HAS_UNSUPPORTED == 0 {
                let span = Span::new(end, end);
                let diagnostic = if self.ast.nodes.is_empty() {
                    Diagnostic::error("empty", span, "the formula is empty")
                } else {
                    Diagnostic::error("empty/result", span, "the formula has no result")
                        .help("the last line is the result: an expression without `let`")
                };
                self.sink.push(diagnostic);
            }
            self.leaf(Kind::Error, Span::new(end, end), 0);
        }
        self.emit(Kind::Program, 0, 0, end, 0);
        State::Done
    }

    /// Opens the block of an `if`; the token is `{`.
    pub(super) fn open_block(&mut self, wait: Wait) -> State {
        let brace = self.token().start;
        self.top().wait = wait;
        self.top().flags = 0;
        self.top().data = brace;
        // The condition's beginning is kept here, since the block's first statement sets the block's own.
        self.top().count = self.top().first;
        self.blocks += 1;
        self.advance();
        State::Statement
    }

    /// At `}` in a block or in the program.
    pub(super) fn close_block(&mut self) -> State {
        let frame = *self.top();
        let brace = self.token();
        if frame.wait == Wait::Program {
            self.error("syntax/unmatched", brace.span(), "there is no `{` for this `}`");
            self.advance();
            return State::Statement;
        }
        if frame.flags & HAS_RESULT == 0 {
            if frame.flags & HAS_UNSUPPORTED == 0 {
                let message = "this block has no result";
                let span = Span::new(frame.data, brace.end);
                self.sink.push(
                    Diagnostic::error("empty/result", span, message).help("the last line of a block is its value"),
                );
            }
            self.leaf(Kind::Error, brace.span(), 0);
        }
        if frame.flags & HAS_BEGIN != 0 {
            self.emit(Kind::Block, frame.first, frame.data, brace.end, 0);
        }
        self.blocks -= 1;
        self.advance();
        if frame.wait == Wait::BlockElse { self.end_if(brace.end) } else { self.expect_else(brace) }
    }

    /// After the first block: `else {` or `else if`.
    pub(super) fn expect_else(&mut self, brace: Token) -> State {
        let mut at = self.at;
        while self.tokens[at].kind == Tok::Newline {
            at += 1;
        }
        let token = self.tokens[at];
        let first = self.top().count;
        self.top().first = first;
        if token.kind != Tok::Keyword || Symbol(token.data) != Symbol::ELSE {
            let frame = *self.top();
            let span = Span::new(brace.start, brace.end);
            let diagnostic = Diagnostic::error(
                "syntax/else",
                span,
                "an `if` needs an `else`: it is an expression and must have a value",
            );
            self.sink.push(diagnostic.label(Span::new(frame.start, frame.start + 2), "of this `if`"));
            self.frames.pop();
            self.error_node(first, frame.start);
            return self.end_else_if(brace.end);
        }
        self.at = at;
        self.advance();
        self.leaf(Kind::IfElse, token.span(), 0);
        let next = self.token();
        if next.kind == Tok::LBrace {
            return self.open_block(Wait::BlockElse);
        }
        self.top().wait = Wait::ElseIf;
        if next.kind == Tok::Keyword && Symbol(next.data) == Symbol::IF {
            return self.if_keyword();
        }
        let message = format!("expected `{{` or `if` after `else`, found {}", self.text(next));
        self.error("syntax/else", next.span(), message);
        self.leaf(Kind::Error, next.span(), 0);
        self.end_else_if(brace.end)
    }

    /// The block-form `if` on top is complete.
    pub(super) fn end_if(&mut self, end: u32) -> State {
        let frame = *self.top();
        self.frames.pop();
        self.emit(Kind::If, frame.count, frame.start, end, frame.start);
        self.end_else_if(end)
    }

    /// Completes the `if`s whose `else if` has just been completed.
    pub(super) fn end_else_if(&mut self, end: u32) -> State {
        while let Some(&frame) = self.frames.last()
            && frame.wait == Wait::ElseIf
        {
            self.frames.pop();
            self.emit(Kind::If, frame.first, frame.start, end, frame.start);
        }
        State::Operator
    }

    /// At `if`: a call or the block form. Which it is shows at the first comma.
    pub(super) fn if_keyword(&mut self) -> State {
        let token = self.token();
        self.wait(Wait::IfCondition, token.start, 0, 0);
        self.advance();
        if self.token().kind == Tok::LParen {
            self.wait(Wait::Call, token.start, Symbol::IF.0, 0);
            self.advance();
        }
        State::Operand
    }
}
