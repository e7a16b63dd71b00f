//! What is said about `if`, `for` and `while`, their heads and blocks, and how reading goes on.
//!
//! Owns the parser's cold paths there, and those of aggregates. The one idea: a `{` that was forgotten is read as if it
//! stood there if a `}` is left over for it; otherwise the head alone is wrong. Obligations of an adder: consume a token
//! or pop a frame; look at a bounded number of tokens, or only while the sink wants more. Deliberately does not know
//! what is in the blocks.

#![forbid(unsafe_code)]

use super::mistakes::separates;
use super::{BROKEN, Frame, HAS_BEGIN, MAYBE_BEGIN, Parser, REPORTED, STATEMENT, State, Wait, level, level_of};
use crate::span::{Diagnostic, Span};
use crate::text::ast::{Kind, PARENTHESISED};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;

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
        let surplus = self.has_surplus_brace();
        let (code, help) = match frame.wait {
            Wait::IfCondition => ("syntax/if", "write `if(c, a, b)` or `if c { a } else { b }`"),
            Wait::WhileCondition => ("syntax/while", "write `while condition { ... }`"),
            _ => ("syntax/for", "write `for k in a..b { ... }`"),
        };
        if frame.flags & REPORTED == 0 || !matches!(frame.wait, Wait::ForLow | Wait::ForHigh) {
            let wanted = if frame.wait == Wait::ForLow { "`..`" } else { "`{`" };
            let mut diagnostic =
                Diagnostic::error(code, here.span(), format!("expected {wanted}, found {found}")).help(help);
            if surplus && frame.wait != Wait::ForLow {
                let place = if here.kind == Tok::Colon { here.end } else { here.start };
                diagnostic = diagnostic.fix(Span::new(here.start, place), " { ");
            }
            self.sink.push(diagnostic);
        }
        if here.kind == Tok::Colon {
            self.advance();
        }
        if surplus {
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
        self.leaf(Kind::Error, token.span(), 0);
        self.skip_braces();
        State::Operator
    }

    /// At `{` where nothing takes a block; what is in it is passed.
    #[cold]
    pub(super) fn misplaced_brace(&mut self) {
        let open = self.token().span();
        let diagnostic = if self.looks_like_results() {
            Diagnostic::error("syntax/results", open, "several results can only be the last line of the whole formula")
        } else {
            let message = "a block stands after `if`, `else`, `for`, `while` or `fn` only";
            let help = "parentheses group an expression; several results have names: `{ a: x, b: y }`";
            Diagnostic::error("syntax/block", open, message).help(help)
        };
        self.sink.push(diagnostic);
        self.skip_braces();
    }

    /// Of two blocks of an `if` one has a result and one has none; the frame's is the later.
    #[cold]
    pub(super) fn arms_differ(&mut self, frame: Frame, brace: Token, has_value: bool) {
        if self.top().flags & BROKEN != 0 {
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
        if frame.flags & STATEMENT != 0 {
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

    /// `if c then a else b`, at `then`.
    #[cold]
    pub(super) fn no_then(&mut self, token: Token) -> State {
        let diagnostic = Diagnostic::error("syntax/if", token.span(), "there is no `then`");
        self.sink.push(diagnostic.help("write `if(c, a, b)` or `if c { a } else { b }`"));
        let frame = self.barrier();
        self.unfinished(frame, false);
        self.skip_in_brackets();
        State::Operator
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
    /// `break 1`, `break if c`.
    #[cold]
    pub(super) fn no_jump_value(&mut self, word: Token, next: Token) {
        let word = word.span().text(self.source);
        let diagnostic = Diagnostic::error("syntax/loop", next.span(), format!("`{word}` stands alone"));
        self.sink.push(diagnostic.help(format!("with a condition it is `if c {{ {word} }}`")));
        self.skip_statement();
    }

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
            let in_follows = self.next_kind() == Tok::Keyword && Symbol(self.tokens[self.at + 1].data) == Symbol::IN;
            if in_follows || !separates(here) && !matches!(here.kind, Tok::Keyword | Tok::LBrace | Tok::RParen) {
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
        // That there are no lists has been said.
        if wait != Wait::Bracket {
            self.sink.push(Diagnostic::error("syntax/for", token.span(), message).help(help));
        }
        if wait == Wait::AggregateTerm {
            self.at = self.stop;
        } else {
            self.skip_in_brackets();
        }
        State::Operator
    }
}
