//! What is said about statements that are not right, and how reading goes on after them.
//!
//! Owns the parser's cold paths in statements and definitions, among them what people write who come from other
//! languages; those of blocks and loops are in `heads`. The one idea: each reads as if the likeliest meaning had been written, so that one mistake
//! gives one diagnostic. Obligations of an adder: consume a token or pop a frame; look at a bounded number of tokens, or
//! only while the sink wants more. Deliberately does not know what comes after.

#![forbid(unsafe_code)]

use super::{Frame, HAS_RESULT, HAS_UNSUPPORTED, Parser, REPORTED, State, Wait};
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{Kind, PARENTHESISED};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;

const LAST_LINE: &str = "the last line of a formula, a function or a block of `if` is its value";

/// Ends a statement, or what it stands in?
pub(super) fn separates(token: Token) -> bool {
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
        if self.token().kind == Tok::End {
            // Rather its `}` is missing.
            return;
        }
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
    pub(super) fn lost_comparison(&self, at: usize) -> Option<Diagnostic> {
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

    /// The formula ends, and has no result. After another mistake that may be but its consequence.
    #[cold]
    pub(super) fn no_result(&mut self, end: u32) {
        if self.sink.has_errors() {
            return;
        }
        let span = Span::new(end, end);
        let Some(&last) = self.ast.nodes.last() else {
            return self.error("empty", span, "the formula is empty");
        };
        if last.kind == Kind::Assign && !self.is_declared(Symbol(last.data)) {
            // `a = b`: hardly an assignment.
            let name = self.tokens.iter().rposition(|token| token.start == last.start);
            let equals = name.and_then(|at| self.tokens.get(at + 1)).map_or(span, |token| token.span());
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
        let previous = self.tokens[self.at.saturating_sub(1)];
        match token.kind {
            // After a parenthesis that is not closed a new line is no token.
            _ if self.sink.has_errors() && self.is_below(previous, token) => {}
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
                self.error("syntax/separator", token.span(), format!("unexpected {found} after a statement"));
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

    /// `x++`, if nothing follows on the line.
    #[cold]
    pub(super) fn increment(&mut self, name: Token, operator: Token) -> State {
        let tokens = &self.tokens[self.at..];
        let second = tokens[2];
        let ends = tokens.get(3).is_none_or(|&after| separates(after) || self.is_below(second, after));
        if !ends {
            return self.expression_statement();
        }
        let span = Span::new(operator.start, second.end);
        let (text, sign) = (name.span().text(self.source), operator.span().text(self.source));
        let message = format!("there is no {}", quote(span.text(self.source)));
        let diagnostic = Diagnostic::error("syntax/assign", span, message);
        self.sink.push(diagnostic.fix(span, format!(" = {text} {sign} 1")));
        self.advance();
        self.assignment(name);
        self.leaf(Kind::Error, span, 0);
        self.end_statement()
    }

    /// Stands the second token on a line below the first, of two neighbours?
    fn is_below(&self, first: Token, second: Token) -> bool {
        Span::new(first.end, second.start).text(self.source).contains('\n')
    }

    /// `let a = 1, b = 2`, at the comma.
    #[cold]
    pub(super) fn second_definition(&mut self, frame: Frame, comma: Token) -> State {
        let word = if frame.op == Kind::Assign { "" } else { frame.op.text() };
        let (message, fix) = ("every definition is a statement of its own", format!("; {word}"));
        self.sink.push(Diagnostic::error("syntax/comma", comma.span(), message).fix(comma.span(), fix.trim_end()));
        self.end_statement();
        self.advance();
        let name = self.token();
        self.assignment(name);
        self.top().op = frame.op;
        State::Operand
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
        matches!((self.next_kind(), self.kind_at(2)), (Tok::Name | Tok::Keyword, Tok::Colon) | (Tok::Name, Tok::Comma))
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
                if frame.flags & REPORTED == 0 {
                    self.top().flags |= REPORTED;
                    self.sink.push(diagnostic.help("every result has a name").fix(place, format!("{name}: ")));
                }
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
            let end = self.tokens[self.at.saturating_sub(1)].end;
            self.sink.push(diagnostic.fix(Span::new(end, end), ","));
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
