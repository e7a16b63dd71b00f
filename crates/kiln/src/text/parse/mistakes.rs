//! What is said about statements that are not right, and how reading goes on after them.
//!
//! Owns the parser's cold paths in statements, blocks, loops and definitions, among them what people write who come
//! from other languages. The one idea: each reads as if the likeliest meaning had been written, so that one mistake
//! gives one diagnostic. Obligations of an adder: consume a token or pop a frame; look at a bounded number of tokens, or
//! only while the sink wants more. Deliberately does not know what comes after.

#![forbid(unsafe_code)]

use super::{
    Frame, HAS_BEGIN, HAS_RESULT, HAS_UNSUPPORTED, MAYBE_BEGIN, Parser, REPORTED, State, Wait, level, level_of,
};
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{Kind, PARENTHESISED};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;

const LAST_LINE: &str = "the last line of a formula, a function or a block of `if` is its value";

/// Ends a statement, or what it stands in?
fn separates(token: Token) -> bool {
    matches!(token.kind, Tok::Newline | Tok::Semicolon | Tok::RBrace | Tok::End)
}

// Results.

impl Parser<'_> {
    /// The expression before this point is not the last one.
    #[cold]
    pub(super) fn not_last(&mut self) {
        self.top().flags &= !HAS_RESULT;
        let help = match self.token().kind {
            Tok::Plus | Tok::Minus => {
                "to go on with an expression on the next line, end the line with the operator, or use parentheses"
            }
            _ => "give it a name with `let name = ...`, or remove it",
        };
        self.lost("only the last expression of a formula is its result; the value of this one is lost", help);
    }

    /// The expression before this point stands in the block of a loop.
    #[cold]
    pub(super) fn lost_in_loop(&mut self) {
        self.lost("a loop has no result; the value of this expression is lost", "assign it to a `var`: `name = ...`");
    }

    /// The value of the last node is lost; nothing is said if it is an error.
    fn lost(&mut self, message: &str, help: &str) {
        let Some(last) = self.ast.nodes.last().filter(|last| last.kind != Kind::Error) else { return };
        let diagnostic = Diagnostic::error("syntax/not-last", last.span(), message).help(help);
        let diagnostic = self.lost_comparison(self.ast.nodes.len() - 1).unwrap_or(diagnostic);
        self.sink.push(diagnostic);
    }

    /// `x == 1`, of which nothing comes: `x = 1` was meant.
    fn lost_comparison(&self, at: usize) -> Option<Diagnostic> {
        let (node, right) = (self.ast.nodes[at], self.ast.nodes[at.checked_sub(1)?]);
        let left = self.ast.nodes.get((right.first as usize).checked_sub(1)?)?;
        if node.kind != Kind::Eq || node.flags & PARENTHESISED != 0 || left.kind != Kind::Name {
            return None;
        }
        let operator = Span::new(node.data, node.data + 2);
        let message = "`==` compares, and what comes of it is lost";
        let diagnostic = Diagnostic::error("syntax/not-last", operator, message);
        Some(diagnostic.help("`=` assigns a value to a `var`").fix(operator, "="))
    }

    /// The formula ends, and has no result.
    #[cold]
    pub(super) fn no_result(&mut self, end: u32) {
        let span = Span::new(end, end);
        let Some(&last) = self.ast.nodes.last() else {
            return self.error("empty", span, "the formula is empty");
        };
        if last.kind == Kind::Assign && !self.is_declared(Symbol(last.data)) {
            // `a = b`: hardly an assignment.
            let at = self.tokens.partition_point(|token| token.start < last.start);
            let equals = self.tokens.get(at + 1).map_or(span, |token| token.span());
            self.sink.push(single_equals(equals));
            let index = self.ast.nodes.len() - 1;
            self.ast.nodes[index].kind = Kind::Error;
            return;
        }
        let mut help = "the last line is the result: an expression".to_owned();
        if matches!(last.kind, Kind::Let | Kind::Var | Kind::Assign) {
            help = format!("{help}, such as {}", quote(self.symbols.name(last.symbol())));
        }
        self.sink.push(Diagnostic::error("empty/result", span, "the formula has no result").help(help));
    }

    /// Has the formula a `let`, `var` or loop of this name?
    fn is_declared(&self, symbol: Symbol) -> bool {
        let declares = |kind| matches!(kind, Kind::Let | Kind::Var | Kind::ForBegin | Kind::AggregateBegin);
        self.ast.nodes.iter().any(|node| declares(node.kind) && node.symbol() == symbol)
    }

    /// At `return` with something behind it.
    #[cold]
    pub(super) fn return_statement(&mut self, word: Token, next: Token) -> State {
        let spaced = next.start > word.end;
        let returns = match next.kind {
            Tok::Number | Tok::Name | Tok::Bang | Tok::Tilde => true,
            Tok::LParen => spaced,
            Tok::Minus => spaced && self.tokens[self.at + 2].start == next.end,
            Tok::Keyword => matches!(Symbol(next.data), Symbol::IF | Symbol::NOT),
            _ => false,
        };
        if !returns {
            return self.expression_statement();
        }
        self.no_return(word.span(), next);
        self.advance();
        match self.top().wait {
            Wait::Program | Wait::FnBlock => {}
            Wait::Loop => self.skip_statement(),
            _ => self.top().flags |= HAS_UNSUPPORTED,
        }
        State::Statement
    }

    /// `return value`.
    #[cold]
    pub(super) fn no_return(&mut self, word: Span, next: Token) {
        let diagnostic = Diagnostic::error("syntax/return", word, "there is no `return`").help(LAST_LINE);
        self.sink.push(diagnostic.fix(Span::new(word.start, next.start), ""));
    }
}

/// `=` where `==` was meant.
pub(super) fn single_equals(span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::error("syntax/equals", span, "a single `=` does not compare");
    diagnostic.help("write `==` to compare, or `let name = ...` to name a value").fix(span, "==")
}

// Definitions and assignments.

impl Parser<'_> {
    /// Something else than a separator follows a statement.
    #[cold]
    pub(super) fn no_separator(&mut self, token: Token) -> State {
        let found = self.text(token);
        let place = Span::new(token.start, token.start);
        match token.kind {
            Tok::Keyword if Symbol(token.data) == Symbol::ELSE => {
                self.error("syntax/else", token.span(), "there is no `if` for this `else`");
                self.top().flags |= HAS_UNSUPPORTED;
                self.skip_statement();
            }
            Tok::RParen | Tok::RBracket => {
                let open = if token.kind == Tok::RParen { "(" } else { "[" };
                self.error("syntax/unmatched", token.span(), format!("there is no `{open}` for this {found}"));
                self.advance();
                return State::Separator;
            }
            Tok::Name | Tok::Number | Tok::Keyword | Tok::LParen | Tok::LBrace | Tok::LBracket => {
                let message = format!("expected `;` or a new line before {found}");
                self.sink.push(Diagnostic::error("syntax/separator", token.span(), message).fix(place, "; "));
            }
            _ => {
                let message = format!("unexpected {found} after a statement, which has no value");
                self.error("syntax/separator", token.span(), message);
                self.skip_statement();
            }
        }
        State::Statement
    }

    /// At the `mut` of `let mut name`, which is passed.
    #[cold]
    pub(super) fn let_mut(&mut self, keyword: Token) {
        let span = Span::new(keyword.start, self.token().end);
        let message = "a name whose value changes is declared with `var`";
        self.sink.push(Diagnostic::error("syntax/let", span, message).fix(span, "var"));
        self.advance();
    }

    /// No name follows `let` or `var`. Is it read as one?
    #[cold]
    pub(super) fn no_name(&mut self, kind: Kind, found: Token) -> bool {
        let code = if kind == Kind::Let { "syntax/let" } else { "syntax/var" };
        let message = format!("expected a name after `{}`, found {}", kind.text(), self.text(found));
        let diagnostic = Diagnostic::error(code, found.span(), message);
        if found.kind == Tok::Keyword {
            self.sink.push(diagnostic.help("a reserved word is a name in back-ticks"));
            return true;
        }
        self.sink.push(diagnostic);
        self.top().flags |= HAS_UNSUPPORTED;
        self.skip_statement();
        false
    }

    /// No `=` follows the name of a definition.
    #[cold]
    pub(super) fn no_equals(&mut self, kind: Kind, name: Token) -> State {
        let (word, token, next) = (kind.text(), self.token(), self.next_kind());
        let code = if kind == Kind::Let { "syntax/let" } else { "syntax/var" };
        let name = name.span().text(self.source);
        let message = format!("expected `=` after `{word} {name}`, found {}", self.text(token));
        let mut diagnostic = Diagnostic::error(code, token.span(), message);
        let mut state = State::Operand;
        match token.kind {
            Tok::LParen => {
                diagnostic = diagnostic.help("a function is defined with `fn name(x) = ...`");
                self.skip_statement();
                state = State::Operator;
            }
            Tok::EqEq => {
                diagnostic = diagnostic.fix(token.span(), "=");
                self.advance();
            }
            Tok::Colon if next == Tok::Eq => {
                diagnostic = diagnostic.fix(Span::new(token.start, self.tokens[self.at + 1].end), "=");
                self.advance();
                self.advance();
            }
            Tok::Colon => {
                diagnostic = diagnostic.help(format!("a type is given by a conversion: `{word} name = f32(...)`"));
                self.advance();
                self.advance();
                if self.token().kind == Tok::Eq {
                    self.advance();
                }
            }
            _ if separates(token) => {
                diagnostic = diagnostic.help(format!("a value is given at once: `{word} name = 0`"));
                state = State::Operator;
            }
            _ => {}
        }
        self.sink.push(diagnostic);
        if state == State::Operator {
            self.leaf(Kind::Error, token.span(), 0);
        }
        state
    }

    /// `x += 1`, `x := 1`.
    #[cold]
    pub(super) fn compound_assignment(&mut self, name: Token, operator: Token) -> State {
        let tokens = &self.tokens[self.at..];
        let span = Span::new(operator.start, tokens[2].end);
        let (text, sign) = (name.span().text(self.source), operator.span().text(self.source));
        let message = format!("there is no {}", quote(span.text(self.source)));
        let mut diagnostic = Diagnostic::error("syntax/assign", span, message);
        if operator.kind == Tok::Colon {
            diagnostic = diagnostic.help("a name is given with `let`, a `var` is assigned with `=`").fix(span, "=");
        } else {
            diagnostic = diagnostic.help(format!("write `{text} = {text} {sign} ...`"));
            // Of a longer value it would have to be seen whether it needs parentheses.
            let single =
                matches!(tokens[3].kind, Tok::Name | Tok::Number) && tokens.get(4).is_some_and(|&t| separates(t));
            if single {
                diagnostic = diagnostic.fix(span, format!("= {text} {sign}"));
            }
        }
        self.sink.push(diagnostic);
        self.advance();
        self.assignment(name)
    }

    /// `x++`, if nothing follows.
    #[cold]
    pub(super) fn increment(&mut self, name: Token, operator: Token) -> State {
        let tokens = &self.tokens[self.at..];
        if tokens.get(3).is_none_or(|&after| !separates(after)) {
            return self.expression_statement();
        }
        let span = Span::new(operator.start, tokens[2].end);
        let (text, sign) = (name.span().text(self.source), operator.span().text(self.source));
        let diagnostic =
            Diagnostic::error("syntax/assign", span, format!("there is no {}", quote(span.text(self.source))));
        self.sink.push(diagnostic.fix(span, format!(" = {text} {sign} 1")));
        self.advance();
        let state = self.assignment(name);
        self.leaf(Kind::Error, span, 0);
        if state == State::Operand { State::Operator } else { state }
    }
}

// Blocks.

impl Parser<'_> {
    /// The `{` at `open` is never closed.
    #[cold]
    pub(super) fn unclosed_brace(&mut self, open: u32, here: Span) {
        let diagnostic = Diagnostic::error("unclosed", Span::new(open, open + 1), "this `{` is never closed");
        self.sink.push(diagnostic.fix(Span::new(here.start, here.start), " }"));
    }

    /// Can no expression go on with this token, but a statement begin?
    pub(super) fn begins_statement(&self, token: Token) -> bool {
        match token.kind {
            Tok::Name => self.next_kind() == Tok::Eq,
            Tok::Keyword => matches!(
                Symbol(token.data),
                Symbol::LET | Symbol::FN | Symbol::VAR | Symbol::FOR | Symbol::WHILE | Symbol::BREAK | Symbol::CONTINUE
            ),
            _ => false,
        }
    }

    /// The head on top is complete, and no `{` follows.
    #[cold]
    pub(super) fn missing_brace(&mut self, here: Token) -> State {
        let frame = *self.top();
        let found = self.text(here);
        if here.kind == Tok::Newline && self.next_kind() == Tok::LBrace {
            self.advance();
            let brace = self.token();
            let message = "the `{` of a block stands on the line that it belongs to";
            let gap = Span::new(here.start, brace.start);
            self.sink.push(Diagnostic::error("syntax/brace", brace.span(), message).fix(gap, " "));
            return self.brace(brace);
        }
        let (code, help) = match frame.wait {
            Wait::IfCondition => ("syntax/if", "write `if(c, a, b)` or `if c { a } else { b }`"),
            Wait::WhileCondition => ("syntax/while", "write `while condition { ... }`"),
            _ => ("syntax/for", "write `for k in a..b { ... }`"),
        };
        if frame.flags & REPORTED == 0 || !matches!(frame.wait, Wait::ForLow | Wait::ForHigh) {
            let wanted = if frame.wait == Wait::ForLow { "`..`" } else { "`{`" };
            let mut diagnostic =
                Diagnostic::error(code, here.span(), format!("expected {wanted}, found {found}")).help(help);
            if here.kind == Tok::Colon {
                diagnostic = diagnostic.fix(here.span(), " {");
            } else if frame.wait != Wait::ForLow && frame.wait != Wait::IfCondition {
                diagnostic = diagnostic.fix(Span::new(here.start, here.start), " { ");
            }
            self.sink.push(diagnostic);
        }
        if here.kind == Tok::Colon {
            self.advance();
        }
        if self.has_surplus_brace() {
            if frame.wait == Wait::ForLow {
                self.leaf(Kind::Error, here.span(), 0);
            }
            return self.open_body();
        }
        self.unfinished(frame, false);
        self.end_frames(true)
    }

    /// Is there a `}` more than blocks are open?
    fn has_surplus_brace(&self) -> bool {
        if self.sink.is_full() {
            return false;
        }
        let (mut depth, mut surplus) = (0u32, 0u32);
        for token in &self.tokens[self.at..=self.stop] {
            match token.kind {
                Tok::LBrace => depth += 1,
                Tok::RBrace if depth > 0 => depth -= 1,
                Tok::RBrace => surplus += 1,
                _ => {}
            }
        }
        surplus > self.blocks
    }

    /// At `{` after an operand, and no block is expected here; perhaps one is after a bracket that is not closed.
    #[cold]
    pub(super) fn unexpected_brace(&mut self, token: Token) -> State {
        let brackets =
            [Wait::Paren, Wait::Call, Wait::Bracket, Wait::TernaryThen, Wait::AggregateLow, Wait::AggregateHigh];
        let mut below = self.frames.iter().rev().filter(|f| f.level == level::BARRIER && !brackets.contains(&f.wait));
        if self.sink.wants_more() && below.next().is_some_and(|frame| frame.wait.is_header()) {
            let mut report = true;
            loop {
                let frame = self.barrier();
                if frame.wait.is_header() {
                    return self.brace(token);
                }
                self.unfinished(frame, report);
                report = false;
            }
        }
        self.error("syntax/operator", token.span(), "unexpected `{` after an expression");
        self.infix(Wait::Binary, Kind::Error, level::POW, token);
        self.skip_braces()
    }

    /// At `{` where nothing takes a block.
    #[cold]
    pub(super) fn misplaced_brace(&mut self, open: Token) -> State {
        let diagnostic = if self.looks_like_results() {
            let message = "several results can only be the last line of the whole formula";
            Diagnostic::error("syntax/results", open.span(), message)
        } else {
            let message = "a block stands after `if`, `else`, `for`, `while` or `fn` only";
            let help = "parentheses group an expression; several results have names: `{ a: x, b: y }`";
            Diagnostic::error("syntax/block", open.span(), message).help(help)
        };
        self.sink.push(diagnostic);
        self.skip_braces()
    }

    /// Of two blocks of an `if` one has a result and one has none; the frame's is the later.
    #[cold]
    pub(super) fn arms_differ(&mut self, frame: Frame, brace: Token, has_value: bool) {
        if self.top().flags & super::BROKEN != 0 {
            return;
        }
        let later = Span::new(frame.data, brace.end);
        let last = self.ast.nodes.last().map_or(0, |last| last.first);
        let first = match frame.wait {
            // The condition of an `else if`.
            Wait::BlockThen => frame.count,
            _ if frame.flags & (HAS_BEGIN | MAYBE_BEGIN) != 0 => frame.first,
            _ => last,
        };
        // Before it stands `IfElse`, and before that the other block.
        let earlier = (first as usize).checked_sub(2).map_or(later, |at| self.ast.nodes[at].span());
        let (without, with) = if has_value { (earlier, later) } else { (later, earlier) };
        let message = "this block has no result, but another one of its `if` has";
        let diagnostic = Diagnostic::error("empty/result", without, message).label(with, "this has a result");
        self.sink.push(diagnostic.help("the last line of a block is its value"));
    }

    /// After statements comes `else if(c, a, b)`.
    #[cold]
    pub(super) fn value_after_statements(&mut self, frame: Frame) {
        let span = self.ast.nodes.last().map_or(Span::default(), |last| last.span());
        let message = "this has a value, but the first block of the `if` has none";
        let place = Span::new(frame.start, frame.start + 2);
        self.sink.push(Diagnostic::error("empty/result", span, message).label(place, "of this `if`"));
    }

    /// An `if` whose block has a result ends without `else`.
    #[cold]
    pub(super) fn needs_else(&mut self, frame: Frame, brace: Token) {
        let index = self.ast.nodes.len() - 1;
        let value = if self.ast.nodes[index].kind == Kind::Block { index.saturating_sub(1) } else { index };
        let message = "an `if` needs an `else`: it is an expression and must have a value";
        let mut diagnostic = Diagnostic::error("syntax/else", brace.span(), message)
            .label(Span::new(frame.start, frame.start + 2), "of this `if`");
        if frame.flags & super::STATEMENT != 0 {
            diagnostic = self.lost_comparison(value).unwrap_or_else(|| {
                diagnostic.help("without `else` a block holds statements only, such as `name = ...`")
            });
        }
        self.sink.push(diagnostic);
    }

    /// Is the token after a block the `elif` of another language?
    pub(super) fn is_else_if(&self, at: usize) -> bool {
        let token = self.tokens[at];
        if token.kind != Tok::Name || !matches!(Symbol(token.data), Symbol::ELIF | Symbol::ELSEIF | Symbol::ELSIF) {
            return false;
        }
        match self.tokens[at + 1].kind {
            Tok::Name | Tok::Number | Tok::Keyword | Tok::Bang | Tok::Tilde => true,
            // On a line of its own it is a call.
            Tok::LParen => at == self.at,
            _ => false,
        }
    }

    #[cold]
    pub(super) fn foreign_else_if(&mut self, token: Token) -> State {
        let message = format!("{} is written `else if`", self.text(token));
        self.sink.push(Diagnostic::error("syntax/else", token.span(), message).fix(token.span(), "else if"));
        self.else_if()
    }

    /// After `else` comes neither `{` nor `if`.
    #[cold]
    pub(super) fn lone_else(&mut self, next: Token) -> State {
        let message = format!("expected `{{` or `if` after `else`, found {}", self.text(next));
        self.error("syntax/else", next.span(), message);
        self.leaf(Kind::Error, next.span(), 0);
        self.skip_in_brackets();
        self.top().wait = Wait::ElseIf;
        self.end_else_if(next.end)
    }
}

// Loops.

impl Parser<'_> {
    /// At the `(` after `for`. Is it `(k in a..b)`? Then the parenthesis is passed.
    #[cold]
    pub(super) fn head_in_parentheses(&mut self) -> bool {
        let (open, name, word) = (self.token(), self.tokens.get(self.at + 1), self.tokens.get(self.at + 2));
        let is_head = name.is_some_and(|name| name.kind == Tok::Name)
            && word.is_some_and(|word| word.kind == Tok::Keyword && Symbol(word.data) == Symbol::IN);
        if is_head {
            let message = "what follows `for` stands without parentheses";
            self.sink.push(Diagnostic::error("syntax/for", open.span(), message).help("write `for k in a..b { ... }`"));
            self.advance();
        }
        is_head
    }

    /// `for (k = 0; k < n; k++)`.
    #[cold]
    pub(super) fn foreign_for(&mut self, keyword: usize, start: u32) -> State {
        let span = self.tokens[keyword].span();
        let help = "write `for k in a..b { ... }` or `while condition { ... }`";
        self.sink.push(Diagnostic::error("syntax/for", span, "a `for` goes over a range").help(help));
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Tok::LParen => depth += 1,
                Tok::RParen => depth -= 1,
                _ => {}
            }
            if self.at == self.stop || self.token().kind == Tok::LBrace {
                break;
            }
            self.advance();
            if depth == 0 {
                break;
            }
        }
        self.wait(Wait::ForHigh, start, 0, keyword as u32);
        self.top().flags = REPORTED;
        self.leaf(Kind::Error, span, 0);
        self.leaf(Kind::Error, span, 0);
        State::Operator
    }

    /// After `for` comes no name, or after the name no `in`.
    #[cold]
    pub(super) fn wrong_head(&mut self, first: Token) {
        let here = self.token();
        let found = self.text(here);
        if first.kind != Tok::Name {
            self.error("syntax/for", here.span(), format!("expected a name after `for`, found {found}"));
            if !separates(here) && !matches!(here.kind, Tok::Keyword | Tok::LBrace | Tok::RParen) {
                self.advance();
            }
            return;
        }
        let name = first.span().text(self.source);
        let message = format!("expected `in` after `for {name}`, found {found}");
        let diagnostic = Diagnostic::error("syntax/for", here.span(), message);
        let diagnostic = match here.kind {
            Tok::Colon if self.next_kind() == Tok::Eq => {
                self.advance();
                diagnostic.fix(Span::new(here.start, self.token().end), "in")
            }
            Tok::Eq | Tok::EqEq | Tok::Colon => diagnostic.fix(here.span(), "in"),
            Tok::Comma => {
                while self.token().kind == Tok::Comma && self.next_kind() == Tok::Name {
                    self.advance();
                    self.advance();
                }
                self.sink.push(diagnostic.help("a loop has one name"));
                return;
            }
            Tok::Number | Tok::Name | Tok::LParen | Tok::Minus => {
                self.sink.push(diagnostic.fix(Span::new(here.start, here.start), "in "));
                return;
            }
            _ => {
                self.sink.push(diagnostic.help("write `for k in a..b { ... }`"));
                return;
            }
        };
        self.sink.push(diagnostic);
        self.advance();
    }

    /// After `in` comes no range; an error stands for its end.
    #[cold]
    pub(super) fn no_range(&mut self, here: Token) {
        let (frame, low) = (*self.top(), self.ast.nodes[self.ast.nodes.len() - 1]);
        if frame.flags & REPORTED == 0 && low.kind != Kind::Error {
            let message = "a loop goes over a range of ints";
            let diagnostic = Diagnostic::error("syntax/range", low.span(), message);
            let help = "`0..n` goes from 0 to n - 1, `1..=n` from 1 to n";
            let range = self.foreign_range().unwrap_or_else(|| format!("0..{}", low.span().text(self.source)));
            self.sink.push(diagnostic.help(help).fix(low.span(), range));
            if low.kind == Kind::Call && low.symbol() == Symbol::RANGE {
                // No function of this name is looked for.
                self.ast.nodes.truncate(low.first as usize);
                self.leaf(Kind::Error, low.span(), 0);
            }
        }
        self.leaf(Kind::Error, Span::new(here.start, here.start), 0);
    }

    /// The last node is `range(n)` or `range(a, b)`: as a range.
    fn foreign_range(&self) -> Option<String> {
        let call = self.ast.nodes.last()?;
        if call.kind != Kind::Call || call.symbol() != Symbol::RANGE {
            return None;
        }
        let last = self.ast.nodes[self.ast.nodes.len().checked_sub(2)?];
        let high = last.span().text(self.source);
        match call.count {
            1 => Some(format!("0..{high}")),
            2 => {
                let low = self.ast.nodes.get((last.first as usize).checked_sub(1)?)?;
                Some(format!("{}..{high}", low.span().text(self.source)))
            }
            _ => None,
        }
    }

    /// A bound was read: it binds tighter than a comparison, or stands in parentheses.
    pub(super) fn check_bound(&mut self) {
        let Some(&bound) = self.ast.nodes.last() else { return };
        // Where a ternary is, the node remembers the place of its `?`.
        let loose = level_of(bound.kind) < level::BIT_OR || bound.kind == Kind::If && bound.data != bound.start;
        if !loose || bound.flags & PARENTHESISED != 0 {
            return;
        }
        let message = "a bound of a range that compares or chooses stands in parentheses";
        self.error("syntax/range", bound.span(), message);
        self.error_node(bound.first, bound.start);
    }

    /// `..` where no range is read.
    #[cold]
    pub(super) fn misplaced_range(&mut self, frame: Frame, token: Token) -> State {
        let message = match frame.wait {
            Wait::ForHigh | Wait::AggregateHigh => "a range has two ends and no step",
            _ => "a range stands after `in` only",
        };
        let help = "as in `for k in 0..n { ... }` and `sum(k^2 for k in 1..=n)`";
        self.as_error_operator(Diagnostic::error("syntax/range", token.span(), message).help(help), token)
    }

    /// `mean(x for k in 0..n)`.
    #[cold]
    pub(super) fn no_aggregate(&mut self, name: Token) {
        let message = format!("{} is not computed over a range", self.text(name));
        let help = "over a range there are sum, prod, min, max, any, all and count";
        self.sink.push(Diagnostic::error("syntax/aggregate", name.span(), message).help(help));
    }

    /// Inside parentheses or brackets of an expression?
    pub(super) fn in_brackets(&mut self) -> bool {
        let wait = self.barrier().wait;
        let is_if = Symbol(self.token().data) == Symbol::IF;
        match wait {
            Wait::AggregateLow | Wait::AggregateHigh => true,
            Wait::Paren | Wait::Call | Wait::Bracket | Wait::AggregateTerm => !is_if,
            _ => false,
        }
    }

    /// A `for` inside brackets that is not that of an aggregate, or an `if` after its range.
    #[cold]
    pub(super) fn for_in_brackets(&mut self, token: Token) -> State {
        let wait = self.barrier().wait;
        let is_if = Symbol(token.data) == Symbol::IF;
        let (message, help) = match wait {
            _ if is_if => ("an aggregate has no filter", "choose in the term: `sum(if(c, x, 0) for k in a..b)`"),
            Wait::AggregateLow | Wait::AggregateHigh | Wait::AggregateTerm => (
                "an aggregate has one `for`",
                "put one aggregate in the other: `sum(sum(x for j in a..b) for k in c..d)`",
            ),
            _ => ("only an aggregate takes a `for`", "as in `sum(k^2 for k in 1..=n)`"),
        };
        self.sink.push(Diagnostic::error("syntax/for", token.span(), message).help(help));
        if wait == Wait::AggregateTerm {
            self.at = self.stop;
        } else {
            self.skip_in_brackets();
        }
        State::Operator
    }
}

// Functions and several results.

impl Parser<'_> {
    /// Functions are defined beside each other.
    #[cold]
    pub(super) fn misplaced_function(&mut self, keyword: Token) -> State {
        let diagnostic = Diagnostic::error("syntax/fn", keyword.span(), "a function is defined outside of all blocks");
        self.sink.push(diagnostic.help("move the definition to the beginning of the formula"));
        self.top().flags |= HAS_UNSUPPORTED;
        self.skip_statement();
        State::Statement
    }

    /// `def f(x)`.
    #[cold]
    pub(super) fn foreign_function(&mut self, word: Token) -> State {
        let diagnostic = Diagnostic::error("syntax/fn", word.span(), "a function is defined with `fn`");
        self.sink.push(diagnostic.help("as in `fn f(x, y) = x + y`").fix(word.span(), "fn"));
        self.function(false)
    }

    #[cold]
    pub(super) fn no_function_name(&mut self, found: Token) -> State {
        let message = format!("expected a name after `fn`, found {}", self.text(found));
        let mut diagnostic = Diagnostic::error("syntax/fn", found.span(), message);
        if found.kind == Tok::Keyword {
            diagnostic = diagnostic.help("a reserved word is a name in back-ticks");
        }
        self.sink.push(diagnostic);
        self.top().flags |= HAS_UNSUPPORTED;
        self.skip_statement();
        State::Statement
    }

    /// No `(` follows the function's name. Returns that something is wrong.
    #[cold]
    pub(super) fn no_parameters(&mut self, name: Token) -> bool {
        let (token, name) = (self.token(), name.span().text(self.source));
        let message = format!("expected `(` after `fn {name}`, found {}", self.text(token));
        let help = "a function is `fn f(x) = ...`, a value `let f = ...`";
        self.sink.push(Diagnostic::error("syntax/fn", token.span(), message).help(help));
        if token.kind == Tok::Name {
            self.at = self.parameters(self.at, Tok::Eq);
        }
        false
    }

    /// The list of parameters is not closed where it should be.
    #[cold]
    pub(super) fn unclosed_parameters(&mut self, open: Token) {
        let token = self.token();
        let message = format!("expected `,` or `)` after a parameter, found {}", self.text(token));
        let mut diagnostic = Diagnostic::error("syntax/fn", token.span(), message).label(open.span(), "to close this");
        if token.kind == Tok::Eq {
            diagnostic = diagnostic.help("parameters have no default values");
        }
        self.sink.push(diagnostic);
    }

    /// Skips the rest of the parameters.
    pub(super) fn skip_to_body(&mut self) {
        self.skip_in_brackets();
        if self.token().kind == Tok::RParen {
            self.advance();
        }
    }

    /// Neither `=` with an expression nor `{` follows the parameters; nothing more is said if something was wrong before.
    #[cold]
    pub(super) fn wrong_body(&mut self, fine: bool) -> State {
        let (token, next) = (self.token(), self.tokens[(self.at + 1).min(self.stop)]);
        let message = format!("expected `=` or `{{` after the parameters, found {}", self.text(token));
        let mut diagnostic = Diagnostic::error("syntax/fn", token.span(), message);
        match token.kind {
            Tok::Eq => {
                diagnostic.message = "a block follows the parameters without `=`".to_owned();
                diagnostic = diagnostic.fix(Span::new(token.start, next.start), "");
                self.advance();
            }
            Tok::Newline if matches!(next.kind, Tok::Eq | Tok::LBrace) => {
                diagnostic = diagnostic.fix(Span::new(token.start, next.start), " ");
                self.advance();
            }
            Tok::EqEq => {
                diagnostic = diagnostic.fix(token.span(), "=");
                self.advance();
            }
            Tok::Colon | Tok::Minus => {
                let arrow = token.kind == Tok::Minus && next.kind == Tok::Gt;
                if arrow || next.kind == Tok::Name {
                    diagnostic = diagnostic.help("the type of the value follows from the expression");
                    self.skip_type(arrow);
                } else if token.kind == Tok::Colon {
                    diagnostic = diagnostic.fix(token.span(), " =");
                    self.advance();
                }
            }
            _ if separates(token) => diagnostic = diagnostic.help("as in `fn f(x, y) = x + y`"),
            _ => diagnostic = diagnostic.fix(Span::new(token.start, token.start), "= "),
        }
        if fine {
            self.sink.push(diagnostic);
        }
        self.body_anyway()
    }

    /// Passes `: f64` or `-> f64` before a body.
    fn skip_type(&mut self, arrow: bool) {
        let name = self.at + 1 + usize::from(arrow);
        let body = self.tokens.get(name + 1).is_some_and(|token| matches!(token.kind, Tok::Eq | Tok::LBrace));
        self.at = if body { name + 1 } else { name }.min(self.stop);
    }

    /// Reads the body of a function after a mistake before it.
    fn body_anyway(&mut self) -> State {
        if self.token().kind == Tok::Eq {
            self.advance();
        }
        match self.token() {
            token if token.kind == Tok::LBrace => self.open_block(Wait::FnBlock),
            token if separates(token) => {
                self.leaf(Kind::Error, token.span(), 0);
                State::Operator
            }
            _ => State::Operand,
        }
    }

    /// At `{`: does `name:` follow, or `name,`?
    pub(super) fn looks_like_results(&self) -> bool {
        let kind = |ahead: usize| self.tokens.get(self.at + ahead).map_or(Tok::End, |token| token.kind);
        matches!((kind(1), kind(2)), (Tok::Name | Tok::Keyword, Tok::Colon) | (Tok::Name, Tok::Comma))
    }

    /// No `name:` stands where a result begins.
    #[cold]
    pub(super) fn wrong_result(&mut self, token: Token) -> State {
        let frame = *self.top();
        let next = self.tokens[(self.at + 1).min(self.stop)];
        let message = format!("expected `name: value`, found {}", self.text(token));
        let diagnostic = Diagnostic::error("syntax/results", token.span(), message);
        let named = |parser: &mut Self, skip: bool| {
            parser.wait(Wait::ResultValue, token.start, token.data, token.end);
            for _ in 0..if skip { 2 } else { 0 } {
                parser.advance();
            }
            State::Operand
        };
        match (token.kind, next.kind) {
            (Tok::End, _) => {
                self.unclosed_brace(frame.data, token.span());
                return self.abandon_blocks();
            }
            (Tok::Keyword, Tok::Colon) => {
                self.sink.push(diagnostic.help("a reserved word is a name in back-ticks"));
                return named(self, true);
            }
            (Tok::Name, Tok::Eq) => {
                self.sink.push(diagnostic.fix(next.span(), ":"));
                return named(self, true);
            }
            (Tok::Name, Tok::Comma | Tok::RBrace | Tok::Newline) => {
                let name = token.span().text(self.source);
                let place = Span::new(token.start, token.start);
                self.sink.push(diagnostic.help("every result has a name").fix(place, format!("{name}: ")));
                return named(self, false);
            }
            _ => self.sink.push(diagnostic.help("every result has a name")),
        }
        let mut depth = 0u32;
        while self.token().kind != Tok::End {
            match self.token().kind {
                Tok::LBrace => depth += 1,
                Tok::RBrace if depth == 0 => break,
                Tok::RBrace => depth -= 1,
                _ => {}
            }
            self.advance();
        }
        self.unfinished(frame, false);
        self.top().flags |= HAS_RESULT;
        if self.token().kind == Tok::RBrace {
            self.advance();
        }
        State::Separator
    }

    /// No comma stands between two results.
    #[cold]
    pub(super) fn no_comma(&mut self, token: Token) {
        let diagnostic = Diagnostic::error("syntax/comma", token.span(), "results are separated by commas");
        if token.kind == Tok::Semicolon {
            self.sink.push(diagnostic.fix(token.span(), ","));
        } else {
            self.sink.push(diagnostic.fix(Span::new(token.start, token.start), ","));
        }
        if matches!(token.kind, Tok::Semicolon | Tok::Newline) {
            self.advance();
        }
    }

    /// `f(a; b)`, `{ a: x; b: y }`.
    #[cold]
    pub(super) fn semicolon_for_comma(&mut self, token: Token) -> State {
        let frame = self.barrier();
        if frame.wait == Wait::ResultValue {
            return self.end_result(frame);
        }
        let diagnostic = Diagnostic::error("syntax/comma", token.span(), "arguments are separated by commas");
        self.sink.push(diagnostic.fix(token.span(), ","));
        self.comma(token)
    }
}
