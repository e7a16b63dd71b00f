//! Blocks and the block form of `if`.
//!
//! Owns what a `{` opens and a `}` closes. The one idea: whether a block has a value shows when it is closed, by what
//! was read last, so a block begins with a marker only when a statement is met in it. The one marker that comes too
//! early stands before an `if` that may be a statement; if it is not, a hole is left, and all holes are closed at once
//! at the end. Obligations of an adder: a frame that takes statements is a `Wait::is_container`. Deliberately does not
//! know what is in a block.

#![forbid(unsafe_code)]

use super::{
    BROKEN, DO, Frame, HAS_BEGIN, HAS_RESULT, HAS_UNSUPPORTED, IF_CALL, IF_FLAGS, MAYBE_BEGIN, Parser, STATEMENT,
    State, VALUE, Wait,
};
use crate::span::{Diagnostic, Span};
use crate::text::ast::{HAS_ELSE, Kind};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;

/// A `BlockBegin` that is taken out at the end.
const HOLE: u8 = 16;

impl Parser<'_> {
    /// At `if`: a call or the block form. Which it is shows at the first comma.
    pub(super) fn if_keyword(&mut self, flags: u8) -> State {
        let token = self.token();
        self.wait(Wait::IfCondition, token.start, 0, 0);
        self.top().flags = flags;
        self.advance();
        if self.token().kind == Tok::LParen {
            self.wait(Wait::Call, token.start, Symbol::IF.0, 0);
            self.top().flags = IF_CALL;
            self.advance();
        }
        State::Operand
    }

    /// At `{` after an operand.
    pub(super) fn brace(&mut self, token: Token) -> State {
        match self.barrier().wait {
            Wait::IfCondition | Wait::ForHigh | Wait::WhileCondition => self.open_body(),
            Wait::ForLow => {
                self.no_range(token);
                self.open_body()
            }
            _ => self.unexpected_brace(token),
        }
    }

    /// Opens the block that the frame on top waits for; the token is `{` unless that was forgotten.
    pub(super) fn open_body(&mut self) -> State {
        let (frame, brace) = (*self.top(), self.token());
        let place = Span::new(brace.start, brace.start);
        match frame.wait {
            Wait::IfCondition => {
                self.leaf(Kind::IfThen, place, 0);
                self.open_block(Wait::BlockThen)
            }
            Wait::WhileCondition => {
                self.leaf(Kind::WhileBody, place, 0);
                self.open_loop(Kind::While)
            }
            _ => {
                if !self.begin_range(Kind::ForBegin) {
                    return State::Done;
                }
                self.open_loop(Kind::For)
            }
        }
    }

    /// Turns the frame on top into a block; the token is `{` unless that was forgotten.
    pub(super) fn open_block(&mut self, wait: Wait) -> State {
        let brace = self.token();
        let top = self.top();
        top.wait = wait;
        top.flags &= IF_FLAGS;
        top.data = brace.start;
        // The beginning of the whole is kept here, since the block's first statement sets the block's own.
        top.count = top.first;
        self.blocks += 1;
        if brace.kind == Tok::LBrace {
            self.advance();
        }
        State::Statement
    }

    /// At `}` in a block or in the program.
    pub(super) fn close_block(&mut self) -> State {
        let (frame, brace) = (*self.top(), self.token());
        if frame.wait == Wait::Program {
            self.error("syntax/unmatched", brace.span(), "there is no `{` for this `}`");
            self.advance();
            return State::Statement;
        }
        self.blocks -= 1;
        self.advance();
        match frame.wait {
            Wait::Loop => {
                self.end_without_value(frame, brace);
                self.frames.pop();
                self.end_loop(frame, brace)
            }
            Wait::FnBlock => {
                self.end_with_value(frame, brace);
                self.frames.pop();
                self.end_function(frame.count, frame.start, brace.end);
                State::Separator
            }
            _ => self.close_arm(frame, brace),
        }
    }

    /// The block is a value; if it has none, an error.
    fn end_with_value(&mut self, frame: Frame, brace: Token) {
        if frame.flags & HAS_RESULT == 0 {
            if frame.flags & HAS_UNSUPPORTED == 0 {
                let span = Span::new(frame.data, brace.end);
                let diagnostic = Diagnostic::error("empty/result", span, "this block has no result");
                self.sink.push(diagnostic.help("the last line of a block is its value"));
            }
            self.leaf(Kind::Error, brace.span(), 0);
        }
        if frame.flags & HAS_BEGIN != 0 {
            self.emit(Kind::Block, frame.first, frame.data, brace.end, 0);
        } else if frame.flags & MAYBE_BEGIN != 0 {
            self.ast.nodes[frame.first as usize].flags |= HOLE;
            self.holes = true;
        }
    }

    /// The block is statements only.
    fn end_without_value(&mut self, frame: Frame, brace: Token) {
        let mut first = frame.first;
        if frame.flags & (HAS_BEGIN | MAYBE_BEGIN) == 0 {
            first = self.ast.nodes.len() as u32;
            self.leaf(Kind::BlockBegin, Span::new(frame.data, brace.end), 0);
        }
        self.emit(Kind::BlockEnd, first, frame.data, brace.end, 0);
    }

    /// A block of an `if` was closed. An `if` that began a statement has a value if its blocks have results.
    fn close_arm(&mut self, frame: Frame, brace: Token) -> State {
        let has_value = frame.flags & HAS_RESULT != 0 || frame.flags & STATEMENT == 0;
        if has_value {
            self.end_with_value(frame, brace);
        } else {
            self.end_without_value(frame, brace);
        }
        if frame.flags & STATEMENT != 0 && frame.flags & HAS_UNSUPPORTED != 0 {
            self.top().flags |= BROKEN;
        }
        let (mine, others) = if has_value { (VALUE, DO) } else { (DO, VALUE) };
        if frame.flags & others == 0 {
            self.top().flags |= mine;
        } else {
            self.arms_differ(frame, brace, has_value);
            self.top().flags |= BROKEN;
        }
        if frame.wait == Wait::BlockElse { self.end_if(brace.end) } else { self.after_then(brace) }
    }

    /// After the first block: `else {`, `else if`, or nothing if it was a statement.
    fn after_then(&mut self, brace: Token) -> State {
        let at = self.at + usize::from(self.token().kind == Tok::Newline);
        let token = self.tokens[at];
        let first = self.top().count;
        self.top().first = first;
        let is_else = token.kind == Tok::Keyword && Symbol(token.data) == Symbol::ELSE;
        if !is_else && !self.is_else_if(at) {
            return self.without_else(brace);
        }
        self.at = at;
        self.leaf(Kind::IfElse, token.span(), 0);
        if !is_else {
            return self.foreign_else_if(token);
        }
        self.advance();
        let next = self.token();
        if next.kind == Tok::LBrace {
            return self.open_block(Wait::BlockElse);
        }
        if next.kind == Tok::Keyword && Symbol(next.data) == Symbol::IF {
            return self.else_if();
        }
        self.lone_else(next)
    }

    /// The token is the `if` of an `else if`, or stands for it.
    pub(super) fn else_if(&mut self) -> State {
        let top = self.top();
        top.wait = Wait::ElseIf;
        let flags = top.flags & IF_FLAGS;
        self.if_keyword(flags)
    }

    /// No `else` follows the first block.
    fn without_else(&mut self, brace: Token) -> State {
        let frame = *self.top();
        self.frames.pop();
        if frame.flags & (BROKEN | DO) == DO {
            self.emit(Kind::IfDo, frame.first, frame.start, brace.end, 0);
        } else {
            if frame.flags & BROKEN == 0 {
                self.needs_else(frame, brace);
            }
            self.error_node(frame.first, frame.start);
        }
        self.end_else_if(brace.end)
    }

    /// The block-form `if` on top is complete.
    fn end_if(&mut self, end: u32) -> State {
        let frame = *self.top();
        self.frames.pop();
        self.finish_if(frame, frame.count, end);
        self.end_else_if(end)
    }

    /// Completes the `if`s whose `else if` has just been completed.
    pub(super) fn end_else_if(&mut self, end: u32) -> State {
        while let Some(&frame) = self.frames.last()
            && frame.wait == Wait::ElseIf
        {
            self.frames.pop();
            self.finish_if(frame, frame.first, end);
        }
        if self.ast.nodes.last().is_some_and(|last| last.kind == Kind::IfDo) {
            return self.statement_done();
        }
        State::Operator
    }

    /// An `if` with its `else` is complete; the last node is the second arm.
    fn finish_if(&mut self, frame: Frame, first: u32, end: u32) {
        let second = self.ast.nodes.last().map_or(Kind::Error, |last| last.kind);
        if frame.flags & (BROKEN | DO) == 0 {
            return self.emit(Kind::If, first, frame.start, end, frame.start);
        }
        if frame.flags & BROKEN == 0 && matches!(second, Kind::BlockEnd | Kind::IfDo) {
            self.emit(Kind::IfDo, first, frame.start, end, 0);
            let last = self.ast.nodes.len() - 1;
            self.ast.nodes[last].flags = HAS_ELSE;
            return;
        }
        if frame.flags & BROKEN == 0 && second != Kind::Error {
            // `else if(c, a, b)`, a call.
            self.value_after_statements(frame);
        }
        self.error_node(first, frame.start);
    }

    /// Takes the holes out of the tree.
    pub(super) fn close_holes(&mut self) {
        let moved = &mut *self.scratch;
        moved.clear();
        let mut kept = 0u32;
        for at in 0..self.ast.nodes.len() {
            moved.push(kept);
            let mut node = self.ast.nodes[at];
            if node.kind == Kind::BlockBegin && node.flags & HOLE != 0 {
                continue;
            }
            node.first = moved[node.first as usize];
            self.ast.nodes[kept as usize] = node;
            kept += 1;
        }
        self.ast.nodes.truncate(kept as usize);
        for function in &mut self.ast.functions {
            function.begin = moved[function.begin as usize];
            function.end = moved[function.end as usize];
        }
    }
}
