//! What is said about tokens that do not fit, and how reading goes on after them.
//!
//! Owns the parser's cold paths in expressions; those of statements are in `mistakes`. The one idea: each reads as if the likeliest meaning had been written, so that one
//! mistake gives one diagnostic. Obligations of an adder: consume a token or pop a frame. Deliberately does not know
//! what comes after.

#![forbid(unsafe_code)]

use super::mistakes::single_equals;
use super::{Frame, HAS_RESULT, IF_CALL, Parser, REPORTED, State, Wait, level};
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{Kind, Node};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;

impl Parser<'_> {
    /// Reports a limit; the tree is a single error.
    #[cold]
    pub(super) fn give_up(&mut self, code: &'static str, message: &str) -> State {
        self.sink.push(Diagnostic::error(code, self.token().span(), message).help("limits are options"));
        self.ast.nodes.clear();
        self.ast.functions.clear();
        self.holes = false;
        self.leaf(Kind::Error, Span::default(), 0);
        self.emit(Kind::Program, 0, 0, self.source.len() as u32, 0);
        State::Done
    }

    /// Skips to the end of the statement, braces and what is in them included.
    pub(super) fn skip_statement(&mut self) {
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Tok::Newline | Tok::Semicolon | Tok::RBrace if depth == 0 => return,
                Tok::RBrace => depth -= 1,
                Tok::LBrace => depth += 1,
                _ => {}
            }
            if self.at == self.stop {
                return;
            }
            self.advance();
        }
    }

    /// Skips to what closes the brackets around this point, or ends the statement.
    pub(super) fn skip_in_brackets(&mut self) {
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Tok::Newline | Tok::Semicolon | Tok::RParen | Tok::RBracket | Tok::RBrace if depth == 0 => return,
                Tok::RParen | Tok::RBracket | Tok::RBrace => depth -= 1,
                Tok::LParen | Tok::LBracket | Tok::LBrace => depth += 1,
                _ => {}
            }
            if self.at == self.stop {
                return;
            }
            self.advance();
        }
    }

    /// Gives up a frame that waits for something that does not come.
    #[cold]
    pub(super) fn unfinished(&mut self, frame: Frame, report: bool) {
        if report {
            self.report_unfinished(frame);
        }
        if frame.wait == Wait::AggregateTerm {
            self.leave_term();
            let below = *self.top();
            self.frames.pop();
            return self.error_node(below.first, below.start);
        }
        self.frames.pop();
        let container = frame.wait.is_container() || frame.wait == Wait::Results;
        self.blocks -= u32::from(container);
        self.bodies -= u32::from(frame.wait == Wait::Loop);
        self.loops -= u32::from(matches!(frame.wait, Wait::Loop | Wait::WhileCondition));
        match frame.wait {
            Wait::Value => {
                self.error_node(frame.first, frame.start);
                let end = self.last_end();
                self.emit(frame.op, frame.first, frame.start, end, frame.data);
            }
            Wait::FnValue | Wait::FnBlock => {
                let begin = if frame.wait == Wait::FnBlock { frame.count } else { frame.first };
                self.error_node(begin + 1, frame.start);
                let end = self.last_end();
                self.end_function(begin, frame.start, end);
            }
            Wait::BlockThen | Wait::BlockElse | Wait::Loop => self.error_node(frame.count, frame.start),
            _ => self.error_node(frame.first, frame.start),
        }
    }

    fn report_unfinished(&mut self, frame: Frame) {
        let here = self.token();
        let found = self.text(here);
        let open = Span::new(frame.start, frame.start + 1);
        let place = Span::new(here.start, here.start);
        let unclosed = |what: &str, open: Span| {
            Diagnostic::error("unclosed", open, format!("this {what} is never closed"))
                .label(here.span(), format!("{found} comes before its end"))
        };
        let diagnostic = match frame.wait {
            Wait::Paren => unclosed("`(`", open).fix(place, ")"),
            Wait::Bracket => unclosed("`[`", open).fix(place, "]"),
            Wait::Call if frame.flags & IF_CALL != 0 => {
                let paren = self.call_paren_end(frame);
                unclosed("`(`", Span::new(paren - 1, paren)).fix(place, ")")
            }
            Wait::Call | Wait::AggregateLow | Wait::AggregateHigh => {
                if frame.wait != Wait::Call && frame.flags & REPORTED != 0 {
                    return;
                }
                let data = if frame.wait == Wait::Call { frame.data } else { self.tokens[frame.data as usize].data };
                let name = self.symbols.name(Symbol(data));
                unclosed(&format!("call of {}", quote(name)), Span::new(frame.start, self.call_paren_end(frame)))
                    .fix(place, ")")
            }
            Wait::TernaryThen => {
                Diagnostic::error("syntax/ternary", here.span(), format!("expected `:`, found {found}"))
                    .help("a condition is `c ? a : b`")
            }
            Wait::BlockThen | Wait::BlockElse | Wait::Loop | Wait::FnBlock | Wait::Results => {
                return self.unclosed_brace(frame.data, here.span());
            }
            _ => Diagnostic::error("syntax", here.span(), format!("unexpected {found}")),
        };
        self.sink.push(diagnostic);
    }

    /// The end of a call's name and opening parenthesis.
    pub(super) fn call_paren_end(&self, frame: Frame) -> u32 {
        let after = &self.source[frame.start as usize..];
        frame.start + after.find('(').map_or(1, |at| at as u32 + 1)
    }

    /// Leaves all blocks at the end of the text, or of the term of an aggregate.
    #[cold]
    pub(super) fn abandon_blocks(&mut self) -> State {
        loop {
            let frame = self.barrier();
            match frame.wait {
                Wait::Program => {
                    self.top().flags |= HAS_RESULT;
                    return State::Statement;
                }
                Wait::AggregateTerm => return State::Operator,
                _ => self.unfinished(frame, false),
            }
        }
    }

    /// No operand begins with this token.
    #[cold]
    pub(super) fn no_operand(&mut self, token: Token) -> State {
        let found = self.text(token);
        let previous = self.at.checked_sub(1).map(|at| self.tokens[at]);
        let top = *self.top();
        let message = match previous {
            Some(p) if top.level > 0 || matches!(p.kind, Tok::LParen | Tok::Comma | Tok::Eq) => {
                format!("expected an expression after {}, found {found}", self.text(p))
            }
            _ => format!("expected an expression, found {found}"),
        };
        let mut diagnostic = Diagnostic::error("syntax/operand", token.span(), message);
        let mut consume = false;
        match token.kind {
            _ if (token.kind == Tok::End || self.stopped())
                && matches!(top.wait, Wait::Paren | Wait::Call | Wait::Bracket) =>
            {
                // The bracket that is never closed is reported instead.
                self.leaf(Kind::Error, token.span(), 0);
                return State::Operator;
            }
            Tok::RParen if top.wait == Wait::Paren => {
                diagnostic.message = "nothing stands between these parentheses".to_owned();
                diagnostic.span = Span::new(top.start, token.end);
            }
            Tok::LBracket => {
                diagnostic = Diagnostic::error("unsupported", token.span(), "there are no lists in formulas");
                self.sink.push(diagnostic);
                self.wait(Wait::Bracket, token.start, 0, 0);
                self.advance();
                return State::Operand;
            }
            Tok::LBrace => return self.brace_for_operand(diagnostic),
            Tok::Eq | Tok::Colon | Tok::Question | Tok::Range | Tok::RangeEq => consume = true,
            Tok::Keyword => {
                consume = !matches!(Symbol(token.data), Symbol::AND | Symbol::OR);
                if self.stopped() {
                    diagnostic.message = "expected an expression before the `for` of an aggregate".to_owned();
                } else if consume {
                    diagnostic.message = format!("{found} is a reserved word");
                    diagnostic = diagnostic.help("a reserved word is a name in back-ticks");
                }
            }
            _ => {}
        }
        if previous.is_some_and(|p| p.kind == Tok::Percent) {
            diagnostic = diagnostic.help("`%` is the remainder of a division; write `x / 100` for per cent");
        }
        self.sink.push(diagnostic);
        self.leaf(Kind::Error, token.span(), 0);
        if consume {
            self.advance();
        }
        State::Operator
    }

    /// At `{` where an operand is expected: it is missing before the block, or this is no place for a block.
    #[cold]
    fn brace_for_operand(&mut self, missing: Diagnostic) -> State {
        let brace = self.token();
        self.leaf(Kind::Error, brace.span(), 0);
        if self.barrier().wait.is_header() {
            self.sink.push(missing);
        } else {
            self.misplaced_brace();
        }
        State::Operator
    }

    /// Skips from `{` to its `}`.
    #[cold]
    pub(super) fn skip_braces(&mut self) {
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Tok::LBrace => depth += 1,
                Tok::RBrace => depth -= 1,
                _ => {}
            }
            if self.at == self.stop {
                return;
            }
            self.advance();
            if depth == 0 {
                return;
            }
        }
    }

    /// `a > 0 & b > 0` compares `0 & b` with both.
    #[cold]
    pub(super) fn bit_operator_in_chain(&mut self, middle: Node) {
        let (symbol, word) = if middle.kind == Kind::BitAnd { ("&", "and") } else { ("|", "or") };
        let span = Span::new(middle.data, middle.data + 1);
        let message = format!("`{symbol}` binds tighter than a comparison");
        let help = format!("write `{word}` between conditions; put the bits in parentheses if bits are meant");
        self.sink.push(Diagnostic::error("type/and", span, message).help(help).fix(span, word));
    }

    #[cold]
    pub(super) fn wrong_if(&mut self, frame: Frame, count: u32, close: Token) {
        let name = self.symbols.name(Symbol(frame.data)).to_owned();
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("`{name}` takes 3 arguments, and this call has {count} argument{plural}");
        let diagnostic = Diagnostic::error("arity", Span::new(frame.start, close.end), message);
        self.sink.push(diagnostic.help(format!("{name}(condition, value, otherwise)")));
        self.error_node(frame.first, frame.start);
    }

    pub(super) fn close_bracket(&mut self, token: Token) -> State {
        let frame = self.barrier();
        match frame.wait {
            Wait::Bracket => {
                self.frames.pop();
                self.advance();
                self.error_node(frame.first, frame.start);
                State::Operator
            }
            Wait::Paren | Wait::Call => {
                let open = Span::new(self.call_paren_end(frame).saturating_sub(1), self.call_paren_end(frame));
                let diagnostic = Diagnostic::error("syntax/unmatched", token.span(), "expected `)`, found `]`");
                self.sink.push(diagnostic.fix(token.span(), ")").label(open, "to close this"));
                self.close_paren(token)
            }
            _ => {
                self.error("syntax/unmatched", token.span(), "there is no `[` for this `]`");
                self.advance();
                State::Operator
            }
        }
    }

    /// Reads on as if the token were an operator whose result is an error.
    #[cold]
    pub(super) fn as_error_operator(&mut self, diagnostic: Diagnostic, token: Token) -> State {
        self.sink.push(diagnostic);
        self.infix(Wait::Binary, Kind::Error, level::TERNARY, token);
        self.advance();
        State::Operand
    }

    /// An operand is complete, and this token cannot follow it.
    #[cold]
    pub(super) fn no_operator(&mut self, token: Token) -> State {
        let span = token.span();
        let found = self.text(token);
        if self.begins_statement(token) && self.barrier().wait.is_header() {
            return self.missing_brace(token);
        }
        if token.kind == Tok::Name && self.next_kind() == Tok::Colon && self.barrier().wait == Wait::ResultValue {
            let frame = *self.top();
            return self.end_result(frame);
        }
        if token.kind == Tok::Name && Symbol(token.data) == Symbol::THEN && self.barrier().wait == Wait::IfCondition {
            return self.no_then(token);
        }
        match token.kind {
            Tok::Eq => {
                self.sink.push(single_equals(span));
                self.comparison(Kind::Eq, token)
            }
            Tok::Number | Tok::Name | Tok::LParen => self.juxtaposition(token),
            Tok::Keyword => match Symbol(token.data) {
                Symbol::FOR | Symbol::IF if self.in_brackets() => self.for_in_brackets(token),
                Symbol::LET
                | Symbol::FN
                | Symbol::VAR
                | Symbol::FOR
                | Symbol::WHILE
                | Symbol::BREAK
                | Symbol::CONTINUE => {
                    let message = format!("expected `;` or a new line before {found}");
                    let at = Span::new(token.start, token.start);
                    self.sink.push(Diagnostic::error("syntax/separator", span, message).fix(at, "; "));
                    self.end_statement()
                }
                Symbol::NOT | Symbol::IF => self.juxtaposition(token),
                _ => {
                    self.error("syntax/operator", span, format!("unexpected {found} after an expression"));
                    self.advance();
                    State::Operator
                }
            },
            Tok::Bang => {
                let diagnostic = Diagnostic::error("syntax/operator", span, "`!` does not follow an operand");
                self.sink.push(diagnostic.help("the factorial is `fact(n)`"));
                self.advance();
                State::Operator
            }
            Tok::LBracket => {
                self.error("syntax/operator", span, "formulas have no indexing with `[ ]`");
                self.infix(Wait::Binary, Kind::Error, level::POW, token);
                self.wait(Wait::Bracket, token.start, 0, 0);
                self.advance();
                State::Operand
            }
            _ => {
                self.error("syntax/operator", span, format!("unexpected {found} after an expression"));
                self.advance();
                State::Operator
            }
        }
    }

    /// Two operands side by side: read as a product.
    #[cold]
    pub(super) fn juxtaposition(&mut self, token: Token) -> State {
        if let Some(last) = self.ast.nodes.last()
            && last.kind == Kind::Name
            && last.symbol() == Symbol::RETURN
        {
            let word = last.span();
            self.ast.nodes.pop();
            self.no_return(word, token);
            return State::Operand;
        }
        let previous = self.tokens[self.at.saturating_sub(1)];
        let (left, right) = (self.text(previous), self.text(token));
        let gap = Span::new(previous.end, token.start);
        let mut diagnostic = Diagnostic::error(
            "syntax/juxtaposition",
            token.span(),
            format!("expected an operator between {left} and {right}"),
        );
        let product = token.kind != Tok::Keyword
            && (previous.kind == Tok::Number || previous.kind == Tok::RParen || token.kind == Tok::LParen);
        if product {
            let word = |t: Token| t.span().text(self.source).trim_matches('`').chars().take(20).collect::<String>();
            let (l, r) = (word(previous), word(token));
            let help = match (previous.kind, token.kind) {
                (Tok::Number, Tok::Name) => format!("a product needs its sign: `{l}*{r}`"),
                _ => "a product needs its sign: `a*b`".to_owned(),
            };
            diagnostic = diagnostic.help(help).fix(gap, "*");
        } else if token.kind == Tok::Name {
            let name = token.span().text(self.source);
            if matches!(name, "xor" | "mod" | "div" | "rem") {
                diagnostic = diagnostic.help(format!("{name} is a function: `{name}(a, b)`"));
            }
        }
        self.sink.push(diagnostic);
        self.reduce(level::MUL);
        self.infix(Wait::Binary, if product { Kind::Mul } else { Kind::Error }, level::MUL, token);
        State::Operand
    }
}
