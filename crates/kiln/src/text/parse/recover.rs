//! What is said about tokens that do not fit, and how reading goes on after them.
//!
//! Owns the parser's cold paths. The one idea: each reads as if the likeliest meaning had been written, so that one
//! mistake gives one diagnostic. Obligations of an adder: consume a token or pop a frame. Deliberately does not know
//! what comes after.

#![forbid(unsafe_code)]

use super::{Frame, HAS_RESULT, HAS_UNSUPPORTED, Parser, State, Wait, level};
use crate::span::{Diagnostic, Span, quote};
use crate::text::ast::{Kind, Node};
use crate::text::lex::{Tok, Token};
use crate::text::symbols::Symbol;

impl Parser<'_> {
    /// Reports a limit; the tree is a single error.
    #[cold]
    pub(super) fn give_up(&mut self, code: &'static str, message: &str) {
        self.sink.push(Diagnostic::error(code, self.token().span(), message).help("limits are options"));
        self.ast.nodes.clear();
        self.leaf(Kind::Error, Span::default(), 0);
        self.emit(Kind::Program, 0, 0, self.source.len() as u32, 0);
    }

    /// The expression before this point is not the last one.
    pub(super) fn not_last(&mut self) {
        self.top().flags &= !HAS_RESULT;
        let span = self.ast.nodes.last().map_or(Span::default(), |n| n.span());
        let next = self.token();
        let mut help = "give it a name with `let name = ...`, or remove it";
        if matches!(next.kind, Tok::Plus | Tok::Minus) {
            help = "to go on with an expression on the next line, end the line with the operator, or use parentheses";
        }
        let message = "only the last expression of a formula is its result; the value of this one is lost";
        self.sink.push(Diagnostic::error("syntax/not-last", span, message).help(help));
    }

    #[cold]
    pub(super) fn unsupported_statement(&mut self) -> State {
        let token = self.token();
        let message = format!("{} is reserved, but not supported yet", self.text(token));
        self.error("unsupported", token.span(), message);
        self.top().flags |= HAS_UNSUPPORTED;
        self.advance();
        self.skip_statement();
        State::Statement
    }

    /// Skips to the end of the statement, braces and what is in them included.
    pub(super) fn skip_statement(&mut self) {
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Tok::End => return,
                Tok::Newline | Tok::Semicolon if depth == 0 => return,
                Tok::RBrace if depth == 0 => return,
                Tok::RBrace => depth -= 1,
                Tok::LBrace => depth += 1,
                _ => {}
            }
            self.advance();
        }
    }

    /// Gives up a frame that waits for something that does not come.
    #[cold]
    pub(super) fn unfinished(&mut self, frame: Frame, report: bool) {
        self.frames.pop();
        let here = self.token();
        let found = self.text(here);
        if report {
            let open = Span::new(frame.start, frame.start + 1);
            let unclosed = |what: &str, open: Span| {
                Diagnostic::error("unclosed", open, format!("this {what} is never closed"))
                    .label(here.span(), format!("{found} comes before its end"))
            };
            let diagnostic = match frame.wait {
                Wait::Paren => unclosed("`(`", open).fix(Span::new(here.start, here.start), ")"),
                Wait::Bracket => unclosed("`[`", open).fix(Span::new(here.start, here.start), "]"),
                Wait::Call => {
                    let name = self.symbols.name(Symbol(frame.data));
                    unclosed(&format!("call of {}", quote(name)), Span::new(frame.start, self.call_paren_end(frame)))
                        .fix(Span::new(here.start, here.start), ")")
                }
                Wait::TernaryThen => {
                    Diagnostic::error("syntax/ternary", here.span(), format!("expected `:`, found {found}"))
                        .help("a condition is `c ? a : b`")
                }
                Wait::IfCondition => {
                    Diagnostic::error("syntax/if", here.span(), format!("expected `{{`, found {found}"))
                        .help("write `if(c, a, b)` or `if c { a } else { b }`")
                }
                _ => Diagnostic::error("syntax", here.span(), format!("unexpected {found}")),
            };
            self.sink.push(diagnostic);
        }
        self.error_node(frame.first, frame.start);
    }

    /// The end of a call's name and opening parenthesis.
    pub(super) fn call_paren_end(&self, frame: Frame) -> u32 {
        let after = &self.source[frame.start as usize..];
        frame.start + after.find('(').map_or(1, |at| at as u32 + 1)
    }

    /// Leaves all blocks at the end of the text.
    #[cold]
    pub(super) fn abandon_block(&mut self) -> State {
        while self.top().wait != Wait::Program {
            let frame = *self.top();
            self.frames.pop();
            match frame.wait {
                Wait::Let => {
                    self.error_node(frame.first, frame.start);
                    let end = self.last_end();
                    self.emit(Kind::Let, frame.first, frame.start, end, frame.data);
                }
                _ => self.error_node(frame.first, frame.start),
            }
        }
        self.blocks = 0;
        self.top().flags |= HAS_RESULT;
        State::Statement
    }

    /// `sum(... for k in a..b)`.
    #[cold]
    pub(super) fn aggregate(&mut self, name: Token, inner_for: usize) -> State {
        let word = self.tokens[inner_for];
        let message = "loops inside calls, as in `sum(k for k in 1..10)`, are not supported yet";
        self.error("unsupported", word.span(), message);
        let mut depth = 0u32;
        while self.token().kind != Tok::End {
            match self.token().kind {
                Tok::LParen => depth += 1,
                Tok::RParen if depth == 0 => break,
                Tok::RParen => depth -= 1,
                _ => {}
            }
            self.advance();
        }
        let span = Span::new(name.start, self.token().end);
        self.advance();
        self.leaf(Kind::Error, span, 0);
        State::Operator
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
            Tok::End if matches!(top.wait, Wait::Paren | Wait::Call | Wait::Bracket) => {
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
            Tok::LBrace => return self.several_results(),
            Tok::Eq | Tok::Colon | Tok::Question | Tok::Range | Tok::RangeEq => consume = true,
            Tok::Keyword => {
                consume = !matches!(Symbol(token.data), Symbol::AND | Symbol::OR);
                if consume {
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

    /// `{ a: ..., b: ... }`.
    #[cold]
    pub(super) fn several_results(&mut self) -> State {
        let open = self.token();
        self.error("unsupported", open.span(), "several results, as in `{ a: x, b: y }`, are not supported yet");
        self.skip_braces()
    }

    /// Skips from `{` to its `}`; an error node stands for it.
    #[cold]
    pub(super) fn skip_braces(&mut self) -> State {
        let open = self.token();
        let mut depth = 0u32;
        loop {
            match self.token().kind {
                Tok::End => break,
                Tok::LBrace => depth += 1,
                Tok::RBrace => depth -= 1,
                _ => {}
            }
            self.advance();
            if depth == 0 {
                break;
            }
        }
        self.leaf(Kind::Error, open.span(), 0);
        State::Operator
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
        match token.kind {
            Tok::Eq => {
                let diagnostic = Diagnostic::error("syntax/equals", span, "a single `=` does not compare");
                let help = "write `==` to compare, or `let name = ...` to name a value";
                self.sink.push(diagnostic.help(help).fix(span, "=="));
                self.comparison(Kind::Eq, token)
            }
            Tok::Number | Tok::Name | Tok::LParen => self.juxtaposition(token),
            Tok::Keyword => match Symbol(token.data) {
                Symbol::LET | Symbol::FN | Symbol::VAR | Symbol::FOR | Symbol::WHILE => {
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
            Tok::LBrace => {
                self.error("syntax/operator", span, "unexpected `{` after an expression");
                self.infix(Wait::Binary, Kind::Error, level::POW, token);
                self.skip_braces()
            }
            Tok::Range | Tok::RangeEq => {
                let diagnostic = Diagnostic::error("unsupported", span, "ranges and loops are not supported yet");
                self.as_error_operator(diagnostic, token)
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
