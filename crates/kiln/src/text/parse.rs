//! Tokens to syntax tree.
//!
//! Owns the grammar: precedence, statements, what an unexpected token means and how reading goes on after it. The one
//! idea: operator precedence with an explicit stack of frames instead of recursion, so that a million parentheses need
//! a million frames on the heap and no Rust stack. A frame of level 0 is a barrier (a bracket, a block, a statement);
//! the others are operators that wait for their right operand.
//!
//! Obligations of an adder: an operator is one row in `BINARY` or `PREFIX`; every path must consume a token or pop a
//! frame, and looks at a bounded number of tokens, so that time stays linear whatever the text. Never fails: what
//! cannot be read is reported, and an `Error` node stands in its place. Deliberately does not know types, nor what a
//! name means, except keywords and `where`.

#![forbid(unsafe_code)]

mod block;
mod define;
mod frame;
mod heads;
mod loops;
mod mistakes;
mod recover;
mod statement;

use super::ast::{Ast, FIRST, Kind, Node, PARENTHESISED};

use super::lex::{Tok, Token};
use super::symbols::{Symbol, Symbols};
use super::{Limits, Sink};
use crate::span::{Diagnostic, Span, quote};
pub(super) use frame::Frame;
use frame::{
    BROKEN, DO, HAS_BEGIN, HAS_RESULT, HAS_UNSUPPORTED, IF_CALL, IF_FLAGS, LOOPS, MAYBE_BEGIN, PARENTHESES, REPORTED,
    STATEMENT, VALUE, Wait,
};

/// Levels of precedence, low to high; 0 is a barrier.
pub(super) mod level {
    pub(in crate::text) const BARRIER: u8 = 0;
    pub(in crate::text) const TERNARY: u8 = 1;
    pub(in crate::text) const OR: u8 = 2;
    pub(in crate::text) const AND: u8 = 3;
    pub(in crate::text) const NOT: u8 = 4;
    pub(in crate::text) const COMPARE: u8 = 5;
    pub(in crate::text) const BIT_OR: u8 = 6;
    pub(in crate::text) const BIT_AND: u8 = 7;
    pub(in crate::text) const SHIFT: u8 = 8;
    pub(in crate::text) const ADD: u8 = 9;
    pub(in crate::text) const MUL: u8 = 10;
    pub(in crate::text) const UNARY: u8 = 11;
    pub(in crate::text) const POW: u8 = 12;
}

/// The operators between operands: token, node, level.
const BINARY_ROWS: &[(Tok, Kind, u8)] = &[
    (Tok::PipePipe, Kind::Or, level::OR),
    (Tok::AmpAmp, Kind::And, level::AND),
    (Tok::EqEq, Kind::Eq, level::COMPARE),
    (Tok::NotEq, Kind::Ne, level::COMPARE),
    (Tok::Lt, Kind::Lt, level::COMPARE),
    (Tok::Le, Kind::Le, level::COMPARE),
    (Tok::Gt, Kind::Gt, level::COMPARE),
    (Tok::Ge, Kind::Ge, level::COMPARE),
    (Tok::Pipe, Kind::BitOr, level::BIT_OR),
    (Tok::Amp, Kind::BitAnd, level::BIT_AND),
    (Tok::Shl, Kind::Shl, level::SHIFT),
    (Tok::Shr, Kind::Shr, level::SHIFT),
    (Tok::Plus, Kind::Add, level::ADD),
    (Tok::Minus, Kind::Sub, level::ADD),
    (Tok::Star, Kind::Mul, level::MUL),
    (Tok::Slash, Kind::Div, level::MUL),
    (Tok::SlashSlash, Kind::FloorDiv, level::MUL),
    (Tok::Percent, Kind::Mod, level::MUL),
    (Tok::Caret, Kind::Pow, level::POW),
];

/// The same rows by token.
const BINARY: [(Kind, u8); Tok::End as usize + 1] = {
    let mut table = [(Kind::Error, level::BARRIER); Tok::End as usize + 1];
    let mut i = 0;
    while i < BINARY_ROWS.len() {
        table[BINARY_ROWS[i].0 as usize] = (BINARY_ROWS[i].1, BINARY_ROWS[i].2);
        i += 1;
    }
    table
};

/// The precedence level of a node's operator, for the printer; operands without operators bind tightest.
pub(super) fn level_of(kind: Kind) -> u8 {
    match kind {
        Kind::Neg | Kind::Plus | Kind::Complement => level::UNARY,
        Kind::Not => level::NOT,
        Kind::Chain => level::COMPARE,
        _ => BINARY_ROWS.iter().find(|row| row.1 == kind).map_or(u8::MAX, |row| row.2),
    }
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Statement,
    /// After a statement that ends in a brace, or after `break`.
    Separator,
    Operand,
    Operator,
    Done,
}

/// The parser over one list of tokens; the vectors belong to the caller, who reuses them.
pub(super) struct Parser<'a> {
    source: &'a str,
    tokens: &'a [Token],
    symbols: &'a Symbols,
    ast: &'a mut Ast,
    frames: &'a mut Vec<Frame>,
    /// Any numbers.
    scratch: &'a mut Vec<u32>,
    sink: &'a mut Sink,
    limits: Limits,
    at: usize,
    /// The token that is not passed: `End`, or the `for` after the term of an aggregate, whose range was read before.
    stop: usize,
    /// Braces that are open.
    blocks: u32,
    /// Blocks of loops that are open: `break` leaves the innermost.
    bodies: u32,
    /// What is repeated around this point: bodies, conditions of `while`, terms of aggregates.
    loops: u32,
    /// There are nodes to be taken out at the end.
    holes: bool,
    /// The formula's first token, and the first one after its signature; definitions stand before them.
    formula: (usize, usize),
    /// The text is to consist of definitions.
    definitions: bool,
}

impl<'a> Parser<'a> {
    #[allow(clippy::too_many_arguments, reason = "the parts of a front end, named once")]
    pub(super) fn new(
        source: &'a str,
        tokens: &'a [Token],
        symbols: &'a Symbols,
        ast: &'a mut Ast,
        frames: &'a mut Vec<Frame>,
        scratch: &'a mut Vec<u32>,
        sink: &'a mut Sink,
        limits: Limits,
    ) -> Parser<'a> {
        let stop = tokens.len().saturating_sub(1);
        let (at, blocks, bodies, loops, holes) = (0, 0, 0, 0, false);
        Parser {
            source,
            tokens,
            symbols,
            ast,
            frames,
            scratch,
            sink,
            limits,
            at,
            stop,
            blocks,
            bodies,
            loops,
            holes,
            formula: (0, 0),
            definitions: false,
        }
    }
}

impl Parser<'_> {
    /// Reads the formula that begins with token `first`, and the definitions before it, into `ast`.
    pub(super) fn run(mut self, first: usize) {
        self.at = first;
        self.signature();
        self.formula = (first, self.at);
        if first > 0 {
            self.at = 0;
        }
        self.program();
    }

    /// Reads definitions into `ast`.
    pub(super) fn run_definitions(mut self) {
        self.definitions = true;
        self.program();
    }

    fn program(mut self) {
        self.ast.nodes.clear();
        self.frames.clear();
        self.wait(Wait::Program, 0, 0, 0);
        let mut state = State::Statement;
        let (nesting, nodes) = (self.limits.nesting as usize, self.limits.nodes as usize);
        while state != State::Done {
            // The program's own frame is not counted.
            if self.frames.len() > nesting.saturating_add(1) {
                let message = format!("the formula nests deeper than the limit of {nesting}");
                self.give_up("limit/nesting", &message);
                return;
            }
            if self.ast.nodes.len() > nodes {
                self.give_up("limit/nodes", &format!("the formula has more parts than the limit of {nodes}"));
                return;
            }
            state = match state {
                State::Statement => self.statement(),
                State::Operand => self.operand(),
                State::Operator => self.operator(),
                State::Separator => self.separator(),
                State::Done => State::Done,
            };
        }
        if self.holes {
            self.close_holes();
        }
    }

    #[inline]
    fn token(&self) -> Token {
        self.tokens[self.at]
    }

    fn next_kind(&self) -> Tok {
        self.kind_at(1)
    }

    fn kind_at(&self, ahead: usize) -> Tok {
        self.tokens.get(self.at + ahead).map_or(Tok::End, |token| token.kind)
    }

    #[inline]
    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.stop);
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.sink.push(Diagnostic::error(code, span, message));
    }

    /// At the `for` after the term of an aggregate?
    #[inline]
    fn stopped(&self) -> bool {
        self.at == self.stop && self.token().kind != Tok::End
    }

    fn text(&self, token: Token) -> String {
        match token.kind {
            Tok::End => "the end of the formula".to_owned(),
            Tok::Newline => "the end of the line".to_owned(),
            _ => quote(token.span().text(self.source)),
        }
    }

    #[inline]
    fn emit(&mut self, kind: Kind, first: u32, start: u32, end: u32, data: u32) {
        self.ast.nodes.push(Node { kind, flags: 0, count: 0, data, start, end, first });
    }

    #[inline]
    fn leaf(&mut self, kind: Kind, span: Span, data: u32) {
        let first = self.ast.nodes.len() as u32;
        self.emit(kind, first, span.start, span.end, data);
    }

    /// The end of the text read so far.
    #[inline]
    fn last_end(&self) -> u32 {
        self.ast.nodes.last().map_or(0, |n| n.end)
    }

    /// Pushes a barrier whose subtree begins with the next node.
    fn wait(&mut self, wait: Wait, start: u32, data: u32, count: u32) {
        let first = self.ast.nodes.len() as u32;
        self.frames.push(Frame { wait, op: Kind::Error, level: level::BARRIER, flags: 0, count, first, start, data });
    }

    /// Pushes an operator whose left operand is the last node.
    #[inline]
    fn infix(&mut self, wait: Wait, op: Kind, level: u8, token: Token) {
        let (first, start) = self.ast.nodes.last().map_or((0, 0), |n| (n.first, n.start));
        self.frames.push(Frame { wait, op, level, flags: 0, count: 0, first, start, data: token.start });
    }

    /// Completes the operators of at least `level`.
    #[inline]
    fn reduce(&mut self, level: u8) {
        while let Some(&top) = self.frames.last()
            && top.level >= level
        {
            self.frames.pop();
            self.complete(top);
        }
    }

    /// Completes one operator.
    fn complete(&mut self, frame: Frame) {
        let end = self.last_end();
        match frame.wait {
            Wait::Compare if frame.count > 0 => {
                self.link(frame);
                self.emit(Kind::Chain, frame.first, frame.start, end, 0);
            }
            Wait::TernaryElse => self.emit(Kind::If, frame.first, frame.start, end, frame.data),
            _ => self.emit(frame.op, frame.first, frame.start, end, frame.data),
        }
    }

    /// Emits the marker for one comparison of a chain.
    fn link(&mut self, frame: Frame) {
        let at = self.ast.nodes.len() as u32;
        let (count, flags) = (frame.op as u16, if frame.count <= 1 { FIRST } else { 0 });
        let end = self.last_end();
        self.ast.nodes.push(Node { kind: Kind::Link, flags, count, data: frame.data, start: end, end, first: at });
    }

    /// Replaces everything from `first` on by an error node's children.
    fn error_node(&mut self, first: u32, start: u32) {
        let end = self.last_end().max(start);
        self.emit(Kind::Error, first, start, end, 0);
    }

    /// The barrier on top, after completing all operators above it.
    #[inline]
    fn barrier(&mut self) -> Frame {
        self.reduce(1);
        // The program's frame is always there.
        self.frames[self.frames.len() - 1]
    }

    fn top(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn operand(&mut self) -> State {
        let token = self.token();
        match token.kind {
            Tok::Number => {
                self.leaf(Kind::Number, token.span(), token.data);
                self.advance();
                State::Operator
            }
            Tok::Name => self.name(token),
            Tok::LParen => {
                self.wait(Wait::Paren, token.start, 0, 0);
                self.advance();
                State::Operand
            }
            Tok::Minus => self.prefix(Kind::Neg, level::UNARY),
            Tok::Plus => self.prefix(Kind::Plus, level::UNARY),
            Tok::Tilde => self.prefix(Kind::Complement, level::UNARY),
            Tok::Bang => self.prefix(Kind::Not, level::UNARY),
            Tok::Keyword => match Symbol(token.data) {
                Symbol::NOT => self.prefix(Kind::Not, level::NOT),
                Symbol::IF => self.if_keyword(0),
                Symbol::VAR if self.next_kind() == Tok::LParen => self.name(token),
                _ => self.no_operand(token),
            },
            _ => self.no_operand(token),
        }
    }

    #[inline]
    fn name(&mut self, token: Token) -> State {
        self.advance();
        if self.token().kind != Tok::LParen {
            self.leaf(Kind::Name, token.span(), token.data);
            return State::Operator;
        }
        let inner_for = self.token().data;
        self.advance();
        if inner_for != 0 && (inner_for as usize) < self.stop {
            return self.aggregate(inner_for as usize);
        }
        self.wait(Wait::Call, token.start, token.data, 0);
        if self.token().kind == Tok::RParen {
            let frame = *self.top();
            self.frames.pop();
            return self.call(frame, 0, self.token());
        }
        State::Operand
    }

    fn prefix(&mut self, op: Kind, level: u8) -> State {
        let token = self.token();
        let first = self.ast.nodes.len() as u32;
        let (wait, start) = (Wait::Prefix, token.start);
        self.frames.push(Frame { wait, op, level, flags: 0, count: 0, first, start, data: token.start });
        self.advance();
        State::Operand
    }

    fn operator(&mut self) -> State {
        let token = self.token();
        let (op, level) = BINARY[token.kind as usize];
        if level != level::BARRIER {
            return self.binary(op, level, token);
        }
        match token.kind {
            Tok::RParen => self.close_paren(token),
            Tok::Comma => self.comma(token),
            Tok::LBrace => self.brace(token),
            Tok::Range | Tok::RangeEq => self.range(token),
            Tok::Newline | Tok::Semicolon | Tok::End => {
                if token.kind == Tok::Semicolon && matches!(self.barrier().wait, Wait::Call | Wait::ResultValue) {
                    return self.semicolon_for_comma(token);
                }
                self.end_statement()
            }
            Tok::RBrace => {
                if self.blocks > 0 {
                    return self.end_statement();
                }
                self.error("syntax/unmatched", token.span(), "there is no `{` for this `}`");
                self.advance();
                State::Operator
            }
            Tok::Question => {
                self.reduce(level::TERNARY + 1);
                self.infix(Wait::TernaryThen, Kind::Error, level::BARRIER, token);
                self.leaf(Kind::IfThen, token.span(), 0);
                self.advance();
                State::Operand
            }
            Tok::Colon => self.colon(token),
            Tok::RBracket => self.close_bracket(token),
            Tok::Keyword => match Symbol(token.data) {
                Symbol::AND => self.binary(Kind::And, level::AND, token),
                Symbol::OR => self.binary(Kind::Or, level::OR, token),
                Symbol::FOR if self.stopped() => self.end_term(),
                _ => self.no_operator(token),
            },
            _ => self.no_operator(token),
        }
    }

    #[inline]
    fn binary(&mut self, op: Kind, level: u8, token: Token) -> State {
        if level == level::COMPARE {
            return self.comparison(op, token);
        }
        // Power is right-associative.
        self.reduce(if level == level::POW { level + 1 } else { level });
        self.infix(Wait::Binary, op, level, token);
        if level <= level::AND {
            // What stands on the right may have to be skipped.
            self.leaf(Kind::Right, token.span(), op as u32);
        }
        self.advance();
        State::Operand
    }

    fn comparison(&mut self, op: Kind, token: Token) -> State {
        self.reduce(level::COMPARE + 1);
        let top = *self.top();
        if top.wait == Wait::Compare {
            let middle = self.ast.nodes[self.ast.nodes.len() - 1];
            if matches!(middle.kind, Kind::BitAnd | Kind::BitOr) && middle.flags & PARENTHESISED == 0 {
                self.bit_operator_in_chain(middle);
            }
            self.top().count = (top.count + 1).max(1);
            let frame = *self.top();
            self.link(frame);
            let top = self.top();
            top.count = frame.count + 1;
            top.op = op;
            top.data = token.start;
        } else {
            self.infix(Wait::Compare, op, level::COMPARE, token);
        }
        self.advance();
        State::Operand
    }

    fn comma(&mut self, token: Token) -> State {
        let frame = self.barrier();
        if frame.wait == Wait::ResultValue {
            return self.end_result(frame);
        }
        if frame.wait == Wait::Value && self.next_kind() == Tok::Name && self.kind_at(2) == Tok::Eq {
            return self.second_definition(frame, token);
        }
        if frame.wait != Wait::Call {
            let mut diagnostic = Diagnostic::error("syntax/comma", token.span(), "unexpected comma");
            let previous = self.tokens[self.at.saturating_sub(1)];
            if previous.kind == Tok::Number && self.next_kind() == Tok::Number {
                diagnostic = diagnostic.help("decimals are written with a point: `3.5`").fix(token.span(), ".");
            }
            return self.as_error_operator(diagnostic, token);
        }
        let is_if = frame.flags & IF_CALL != 0;
        if is_if && frame.count == 0 {
            // It is a call: the frame that waits for `{` below it goes.
            self.frames.pop();
            self.frames.pop();
            self.frames.push(frame);
        }
        if frame.count >= u32::from(u16::MAX) - 1 {
            return self.give_up("limit/arguments", "a call has more arguments than the limit of 65534");
        }
        self.top().count += 1;
        if is_if || Symbol(frame.data) == Symbol::WHERE {
            match frame.count {
                0 => self.leaf(Kind::IfThen, token.span(), 0),
                1 => self.leaf(Kind::IfElse, token.span(), 0),
                _ => {}
            }
        }
        self.advance();
        State::Operand
    }

    fn close_paren(&mut self, token: Token) -> State {
        let frame = self.barrier();
        match frame.wait {
            Wait::Paren => {
                self.frames.pop();
                self.in_parentheses(frame.start, token);
                State::Operator
            }
            Wait::Call if frame.flags & IF_CALL != 0 && frame.count == 0 => self.close_condition(frame, token),
            Wait::Call => self.close_call(frame, token),
            Wait::AggregateLow | Wait::AggregateHigh => self.begin_term(),
            Wait::ForLow | Wait::ForHigh if frame.flags & PARENTHESES != 0 => {
                self.top().flags &= !PARENTHESES;
                self.advance();
                State::Operator
            }
            Wait::TernaryThen | Wait::Bracket => {
                self.unfinished(frame, true);
                State::Operator
            }
            _ => {
                self.error("syntax/unmatched", token.span(), "there is no `(` for this `)`");
                self.advance();
                State::Operator
            }
        }
    }

    /// The last node stood in parentheses.
    #[inline]
    fn in_parentheses(&mut self, start: u32, close: Token) {
        if let Some(node) = self.ast.nodes.last_mut() {
            node.flags |= PARENTHESISED;
            node.start = start;
            node.end = close.end;
        }
        self.advance();
    }

    /// `if (c)` without a comma: the parenthesis belongs to the condition of the block form.
    fn close_condition(&mut self, frame: Frame, close: Token) -> State {
        self.frames.pop();
        self.in_parentheses(self.call_paren_end(frame).saturating_sub(1), close);
        let next = self.token();
        let brace_below = next.kind == Tok::Newline && self.next_kind() == Tok::LBrace;
        let goes_on = BINARY[next.kind as usize].1 > 0
            || matches!(next.kind, Tok::LBrace | Tok::Question | Tok::Keyword)
            || brace_below;
        if goes_on {
            return State::Operator;
        }
        self.frames.pop();
        self.wrong_if(frame, 1, close);
        self.end_else_if(close.end)
    }

    /// At the `)` of a call that has an argument.
    #[inline]
    fn close_call(&mut self, frame: Frame, close: Token) -> State {
        self.frames.pop();
        self.call(frame, frame.count + 1, close)
    }

    #[inline]
    fn call(&mut self, frame: Frame, count: u32, close: Token) -> State {
        let symbol = Symbol(frame.data);
        self.advance();
        let (kind, first, start, end) = (Kind::Call, frame.first, frame.start, close.end);
        if frame.flags & IF_CALL == 0 && symbol != Symbol::WHERE {
            let count = count as u16;
            self.ast.nodes.push(Node { kind, flags: 0, count, data: symbol.0, start, end, first });
            return State::Operator;
        }
        if count == 3 {
            self.emit(Kind::If, first, start, end, start);
        } else {
            self.wrong_if(frame, count, close);
        }
        self.end_else_if(end)
    }

    fn colon(&mut self, token: Token) -> State {
        let wait = self.barrier().wait;
        if wait.is_header() {
            return self.missing_brace(token);
        }
        if wait != Wait::TernaryThen {
            let diagnostic = Diagnostic::error("syntax/colon", token.span(), "there is no `?` for this `:`");
            return self.as_error_operator(diagnostic, token);
        }
        let top = self.top();
        top.wait = Wait::TernaryElse;
        top.level = level::TERNARY;
        self.leaf(Kind::IfElse, token.span(), 0);
        self.advance();
        State::Operand
    }
}
