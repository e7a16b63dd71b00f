//! Loops and aggregates over a range.
//!
//! Owns `for`, `while`, `break`, `continue` and `sum(k^2 for k in 1..=n)`. The one idea: the lexer has noted at the
//! parenthesis of a call which `for` stands in it, so an aggregate is read from there: its range first, as it is
//! computed, then the term before it, up to the `for`, which the parser does not pass until the term is complete. No
//! token is read twice. Obligations of an adder: what is repeated is counted in `loops`. Deliberately does not know what
//! is computed.

#![forbid(unsafe_code)]

use super::{Frame, HAS_BEGIN, HAS_UNSUPPORTED, LOOPS, PARENTHESES, Parser, REPORTED, State, Wait};
use crate::span::Span;
use crate::text::ast::{INCLUSIVE, Kind, Node};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;

impl Parser<'_> {
    /// `for name in low..high { ... }`.
    pub(super) fn for_loop(&mut self) -> State {
        let keyword = self.at;
        let start = self.token().start;
        self.begin_statement();
        self.advance();
        let mut flags = 0;
        if self.token().kind == Tok::LParen {
            if !self.head_in_parentheses() {
                return self.foreign_for(keyword, start);
            }
            flags = PARENTHESES;
        }
        self.wait(Wait::ForLow, start, 0, 0);
        self.top().flags = flags;
        self.loop_name(keyword)
    }

    /// At what follows `for`: `name in`. The frame on top takes the name.
    fn loop_name(&mut self, keyword: usize) -> State {
        let token = self.token();
        let is_in = |token: Token| token.kind == Tok::Keyword && Symbol(token.data) == Symbol::IN;
        self.top().count = if token.kind == Tok::Name { self.at } else { keyword } as u32;
        if token.kind == Tok::Name {
            self.advance();
            if is_in(self.token()) {
                self.advance();
                return State::Operand;
            }
        }
        self.wrong_head(token);
        self.top().flags |= REPORTED;
        if is_in(self.token()) {
            self.advance();
        }
        let here = self.token();
        let nothing =
            matches!(here.kind, Tok::LBrace | Tok::RParen | Tok::RBrace | Tok::Newline | Tok::Semicolon | Tok::End);
        if nothing {
            self.leaf(Kind::Error, here.span(), 0);
            return State::Operator;
        }
        State::Operand
    }

    /// At `..` or `..=`.
    pub(super) fn range(&mut self, token: Token) -> State {
        let frame = self.barrier();
        let next = match frame.wait {
            Wait::ForLow => Wait::ForHigh,
            Wait::AggregateLow => Wait::AggregateHigh,
            _ => return self.misplaced_range(frame, token),
        };
        self.check_bound();
        let top = self.top();
        top.wait = next;
        top.flags |= if token.kind == Tok::RangeEq { INCLUSIVE } else { 0 };
        self.advance();
        State::Operand
    }

    /// The range of the frame on top is complete: makes the marker with the loop's name. False if the loops nest too
    /// deep.
    pub(super) fn begin_range(&mut self, kind: Kind) -> bool {
        self.check_bound();
        let frame = *self.top();
        let name = self.tokens[frame.count as usize];
        let (first, flags) = (self.ast.nodes.len() as u32, frame.flags & INCLUSIVE);
        let (start, end) = (name.start, name.end);
        self.ast.nodes.push(Node { kind, flags, count: 0, data: name.data, start, end, first });
        self.enter_loop()
    }

    /// Counts a loop; false if that is one too many.
    fn enter_loop(&mut self) -> bool {
        if self.loops >= LOOPS {
            self.give_up("limit/loops", &format!("the loops nest deeper than the limit of {LOOPS}"));
            return false;
        }
        self.loops += 1;
        true
    }

    /// `while condition { ... }`.
    pub(super) fn while_loop(&mut self) -> State {
        let keyword = self.token();
        self.begin_statement();
        self.wait(Wait::WhileCondition, keyword.start, 0, 0);
        self.leaf(Kind::WhileBegin, keyword.span(), 0);
        self.advance();
        if self.enter_loop() { State::Operand } else { State::Done }
    }

    /// Opens the block of a loop whose head is complete.
    pub(super) fn open_loop(&mut self, kind: Kind) -> State {
        let (brace, first) = (self.token(), self.ast.nodes.len() as u32);
        self.open_block(Wait::Loop);
        let top = self.top();
        top.op = kind;
        top.flags = HAS_BEGIN;
        top.first = first;
        self.leaf(Kind::BlockBegin, Span::new(brace.start, brace.start), 0);
        self.bodies += 1;
        State::Statement
    }

    /// The block of a loop was closed, and its frame is gone.
    pub(super) fn end_loop(&mut self, frame: Frame, brace: Token) -> State {
        self.bodies -= 1;
        self.loops -= 1;
        self.emit(frame.op, frame.count, frame.start, brace.end, 0);
        self.statement_done()
    }

    /// `break` and `continue`.
    pub(super) fn jump(&mut self, token: Token) -> State {
        self.begin_statement();
        self.advance();
        if self.bodies > 0 {
            let kind = if Symbol(token.data) == Symbol::BREAK { Kind::Break } else { Kind::Continue };
            self.leaf(kind, token.span(), 0);
        } else {
            let message = format!("{} stands outside of every loop", self.text(token));
            self.error("syntax/loop", token.span(), message);
            self.top().flags |= HAS_UNSUPPORTED;
            self.skip_statement();
        }
        let next = self.token();
        if matches!(next.kind, Tok::Number | Tok::Name) || next.kind == Tok::Keyword && Symbol(next.data) == Symbol::IF
        {
            self.no_jump_value(token, next);
        }
        State::Separator
    }

    /// After `name(`, with a `for` before its `)`: reads `name in low..high` first.
    pub(super) fn aggregate(&mut self, inner_for: usize) -> State {
        let name = self.at - 2;
        self.wait(Wait::AggregateLow, self.tokens[name].start, name as u32, 0);
        self.at = inner_for;
        self.advance();
        self.loop_name(inner_for)
    }

    /// At the `)` of an aggregate: its range is complete, and the term is read.
    pub(super) fn begin_term(&mut self) -> State {
        if self.top().wait == Wait::AggregateLow {
            let close = self.token();
            self.no_range(close);
        }
        if !self.begin_range(Kind::AggregateBegin) {
            return State::Done;
        }
        let frame = *self.top();
        let name = frame.data as usize;
        self.wait(Wait::AggregateTerm, frame.start, self.stop as u32, self.at as u32);
        self.stop = self.tokens[name + 1].data as usize;
        self.at = name + 2;
        State::Operand
    }

    /// At the `for` after the term of an aggregate.
    pub(super) fn end_term(&mut self) -> State {
        let mut report = true;
        loop {
            let frame = self.barrier();
            if frame.wait == Wait::AggregateTerm {
                break;
            }
            self.unfinished(frame, report);
            report = false;
        }
        let close = self.leave_term();
        // The frame of the range is always below that of the term.
        let Some(frame) = self.frames.pop() else { return State::Operator };
        let name = self.tokens[frame.data as usize];
        let symbol = Symbol(name.data);
        if symbol.is_aggregate() {
            self.emit(Kind::Aggregate, frame.first, name.start, close.end, symbol.0);
        } else {
            self.no_aggregate(name);
            self.emit(Kind::Error, frame.first, name.start, close.end, 0);
        }
        State::Operator
    }

    /// Goes on behind the `)` of the aggregate whose term ends; its frame goes. Returns the `)`.
    pub(super) fn leave_term(&mut self) -> Token {
        let Some(frame) = self.frames.pop() else { return self.token() };
        self.stop = frame.data as usize;
        self.at = frame.count as usize;
        let close = self.token();
        self.advance();
        self.loops -= 1;
        close
    }
}
