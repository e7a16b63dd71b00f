//! Text to tokens.
//!
//! Owns what the characters mean: tokens, numbers, names, where a newline separates. The one idea: one pass over the
//! bytes with a table of 256 classes; what is not ASCII is looked at one character at a time on a cold path.
//!
//! Obligations of an adder: a character that people type for an operator goes into `LOOKALIKES`, and reads as that
//! operator after an error with a repair. Never fails: what cannot be read is reported and skipped. Deliberately does
//! not know the grammar, except that brackets nest (newlines inside `( )` and `[ ]` do not separate).

#![forbid(unsafe_code)]

use super::Sink;
use super::ast::Literal;
use super::symbols::{Symbol, Symbols};
use crate::span::{Diagnostic, Span, quote};
use crate::types::Type;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum Tok {
    Number, Name, Keyword,
    Plus, Minus, Star, Slash, SlashSlash, Percent, Caret, Shl, Shr, Amp, Pipe, AmpAmp, PipePipe,
    EqEq, NotEq, Lt, Le, Gt, Ge, Bang, Tilde, Eq,
    Question, Colon, Comma, LParen, RParen, LBracket, RBracket, LBrace, RBrace,
    Range, RangeEq, Semicolon, Newline, End,
}

/// A token: kind, place, and a symbol's or literal's number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Tok,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Name or keyword: its symbol. Number: its literal. Open bracket: the index of a `for` directly inside, or 0.
    pub(crate) data: u32,
}

impl Token {
    /// Where the token stands.
    pub(crate) fn span(self) -> Span {
        Span::new(self.start, self.end)
    }
}

/// A literal has no point and no exponent.
pub(crate) const INTEGER: u8 = 1;
/// A literal is written in hexadecimal, binary or octal.
pub(crate) const RADIX: u8 = 2;
/// An integer literal does not fit 64 bits; its value as a float is right.
pub(crate) const HUGE: u8 = 4;

// Classes of bytes.
const OTHER: u8 = 0;
const SPACE: u8 = 1;
const LETTER: u8 = 2;
const DIGIT: u8 = 3;
const PUNCTUATION: u8 = 4;
const LINE: u8 = 5;

const CLASS: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = match b as u8 {
            b' ' | b'\t' | b'\r' => SPACE,
            b'\n' => LINE,
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LETTER,
            b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'&' | b'|' | b'=' | b'!' | b'~' | b'?' | b':'
            | b',' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'.' | b';' => PUNCTUATION,
            _ => OTHER,
        };
        b += 1;
    }
    table
};

/// Characters that are one of the language's own, written differently.
const SYNONYMS: &[(char, Tok)] = &[('≤', Tok::Le), ('≥', Tok::Ge), ('≠', Tok::NotEq)];

/// Characters that look like one of the language's own: what is meant, and the token that is read.
#[rustfmt::skip]
const LOOKALIKES: &[(&[char], &str, Option<Tok>)] = &[
    (&['×', '⋅', '·', '∗', '∙', '•', '＊', '✕', '✖'], "*", Some(Tok::Star)),
    (&['÷', '⁄', '∕', '／', '➗'], "/", Some(Tok::Slash)),
    (&['−', '–', '—', '‐', '‑', '‒', '―', '－', '﹣', '➖'], "-", Some(Tok::Minus)),
    (&['＋', '﹢', '➕'], "+", Some(Tok::Plus)),
    (&['＾', 'ˆ'], "^", Some(Tok::Caret)),
    (&['％', '﹪', '٪'], "%", Some(Tok::Percent)),
    (&['（', '❨', '﹙', '⁽'], "(", Some(Tok::LParen)),
    (&['）', '❩', '﹚', '⁾'], ")", Some(Tok::RParen)),
    (&['［'], "[", Some(Tok::LBracket)),
    (&['］'], "]", Some(Tok::RBracket)),
    (&['｛'], "{", Some(Tok::LBrace)),
    (&['｝'], "}", Some(Tok::RBrace)),
    (&['，', '、', '‚', '،'], ",", Some(Tok::Comma)),
    (&['；', ';'], ";", Some(Tok::Semicolon)),
    (&['：', '∶'], ":", Some(Tok::Colon)),
    (&['？'], "?", Some(Tok::Question)),
    (&['＜', '‹'], "<", Some(Tok::Lt)),
    (&['＞', '›'], ">", Some(Tok::Gt)),
    (&['≦', '⩽'], "<=", Some(Tok::Le)),
    (&['≧', '⩾'], ">=", Some(Tok::Ge)),
    (&['＝'], "=", Some(Tok::Eq)),
    (&['！'], "!", Some(Tok::Bang)),
    (&['∧', '⋀'], "and", Some(Tok::AmpAmp)),
    (&['∨', '⋁'], "or", Some(Tok::PipePipe)),
    (&['¬'], "not ", Some(Tok::Bang)),
    (&['＆'], "&", Some(Tok::Amp)),
    (&['｜', '∣'], "|", Some(Tok::Pipe)),
    (&['～'], "~", Some(Tok::Tilde)),
    (&['…'], "..", Some(Tok::Range)),
    (&['“', '”', '„', '‟', '‘', '’', '‛', '«', '»', '"', '\'', '´', '｀'], "`", None),
    (&['\u{a0}', '\u{2007}', '\u{202f}', '\u{3000}', '\u{2009}', '\u{2002}', '\u{2003}'], " ", None),
    (&['²'], "^2", None), (&['³'], "^3", None), (&['¹'], "^1", None), (&['√'], "sqrt", None), (&['∑'], "sum", None),
];

/// Letters of other scripts that look like a Latin letter. A name made of these and ASCII only is an error.
const CONFUSABLE: (&str, &str) =
    ("аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧοᴏɡıℓ", "aeopcyxijshdqwABEKMHOPCTYXIJSABEZHIKMNOPTYXoogil");

/// The lexer over one source; the vectors belong to the caller, who reuses them.
pub(crate) struct Lexer<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    symbols: &'a mut Symbols,
    tokens: &'a mut Vec<Token>,
    literals: &'a mut Vec<Literal>,
    /// Open brackets, as indexes into `tokens`.
    open: &'a mut Vec<u32>,
    braces: usize,
    sink: &'a mut Sink,
}

/// Reads all tokens of `source`; the last one is `End`.
pub(crate) fn lex(
    source: &str,
    symbols: &mut Symbols,
    tokens: &mut Vec<Token>,
    literals: &mut Vec<Literal>,
    open: &mut Vec<u32>,
    sink: &mut Sink,
) {
    lex_behind(source, source.len(), symbols, tokens, literals, open, sink);
}

/// The same for a formula, the first `formula` bytes of `source`, with definitions behind it: their tokens come first.
/// Gives the number of the formula's first token.
pub(crate) fn lex_behind(
    source: &str,
    formula: usize,
    symbols: &mut Symbols,
    tokens: &mut Vec<Token>,
    literals: &mut Vec<Literal>,
    open: &mut Vec<u32>,
    sink: &mut Sink,
) -> usize {
    tokens.clear();
    literals.clear();
    let mut part = |at: usize, end: usize, tokens: &mut Vec<Token>| {
        open.clear();
        let at = if source[at..].starts_with('\u{feff}') { at + 3 } else { at };
        Lexer { source, bytes: &source.as_bytes()[..end], at, symbols, tokens, literals, open, braces: 0, sink }.run();
    };
    if formula < source.len() {
        part(formula, source.len(), tokens);
        if let Some(end) = tokens.last_mut() {
            end.kind = Tok::Newline;
        }
    }
    let first = tokens.len();
    part(0, formula, tokens);
    first
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match CLASS[byte as usize] {
                SPACE => self.at += 1,
                LETTER => self.name(),
                DIGIT => self.number(),
                PUNCTUATION => self.punctuation(byte),
                LINE => {
                    if self.newline_separates() {
                        self.push(Tok::Newline, self.at, self.at + 1, 0);
                    }
                    self.at += 1;
                }
                _ => self.other(byte),
            }
        }
        let end = self.bytes.len();
        self.push(Tok::End, end, end, 0);
    }

    #[inline]
    fn push(&mut self, kind: Tok, start: usize, end: usize, data: u32) {
        self.tokens.push(Token { kind, start: start as u32, end: end as u32, data });
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Not inside `( )` and `[ ]`, and not after an operator, a comma or another separator.
    fn newline_separates(&self) -> bool {
        if let Some(&open) = self.open.last()
            && self.tokens[open as usize].kind != Tok::LBrace
        {
            return false;
        }
        match self.tokens.last() {
            None => false,
            Some(last) => match last.kind {
                Tok::Keyword => matches!(Symbol(last.data), Symbol::BREAK | Symbol::CONTINUE),
                Tok::Number | Tok::Name | Tok::RParen | Tok::RBracket | Tok::RBrace => true,
                _ => false,
            },
        }
    }

    #[inline]
    fn name(&mut self) {
        let start = self.at;
        let mut at = start + 1;
        while at < self.bytes.len() && matches!(CLASS[self.bytes[at] as usize], LETTER | DIGIT) {
            at += 1;
        }
        if at < self.bytes.len() && self.bytes[at] >= 0x80 {
            return self.unicode_name(start);
        }
        self.at = at;
        let symbol = self.symbols.intern(&self.source[start..at]);
        self.word(symbol, start, at);
    }

    /// A name or keyword token.
    #[inline]
    fn word(&mut self, symbol: Symbol, start: usize, end: usize) {
        let kind = if symbol.is_keyword() { Tok::Keyword } else { Tok::Name };
        if symbol == Symbol::FOR
            && let Some(&open) = self.open.last()
        {
            self.tokens[open as usize].data = self.tokens.len() as u32;
        }
        self.push(kind, start, end, symbol.0);
    }

    /// A name with letters outside ASCII.
    #[cold]
    fn unicode_name(&mut self, start: usize) {
        let rest = &self.source[start..];
        let len = rest.find(|c| c != '_' && !unicode_ident::is_xid_continue(c)).unwrap_or(rest.len());
        self.at = start + len;
        let name = &rest[..len];
        let span = Span::new(start as u32, self.at as u32);
        let mut meant = None;
        if !unicode_normalization::is_nfc(name) {
            let normal: String = unicode_normalization::UnicodeNormalization::nfc(name).collect();
            let message = format!("the name {} is not in normal form C", quote(name));
            let help = "another spelling of the same letters would be another name";
            self.sink.push(Diagnostic::error("char/not-normal", span, message).help(help).fix(span, normal.clone()));
            meant = Some(normal);
        } else if looks_latin(name) {
            let latin: String = name.chars().map(latin).collect();
            let message = format!("the name {} contains letters that only look Latin", quote(name));
            let help = format!("write {} with Latin letters, or put the name in back-ticks", quote(&latin));
            self.sink.push(Diagnostic::error("char/look-alike", span, message).help(help).fix(span, latin.clone()));
            meant = Some(latin);
        }
        let symbol = self.symbols.intern(meant.as_deref().unwrap_or(name));
        self.word(symbol, start, start + len);
    }

    fn punctuation(&mut self, byte: u8) {
        let (second, third) = (self.byte(1), self.byte(2));
        let (kind, len) = match (byte, second) {
            (b'+', _) => (Tok::Plus, 1),
            (b'-', _) => (Tok::Minus, 1),
            (b'*', b'*') => (Tok::Caret, 2),
            (b'*', _) => (Tok::Star, 1),
            (b'/', b'/') => (Tok::SlashSlash, 2),
            (b'/', _) => (Tok::Slash, 1),
            (b'%', _) => (Tok::Percent, 1),
            (b'^', _) => (Tok::Caret, 1),
            (b'<', b'<') => (Tok::Shl, 2),
            (b'<', b'=') => (Tok::Le, 2),
            (b'<', b'>') => return self.other_operator(Tok::NotEq, "!="),
            (b'<', _) => (Tok::Lt, 1),
            (b'>', b'>') => (Tok::Shr, 2),
            (b'>', b'=') => (Tok::Ge, 2),
            (b'>', _) => (Tok::Gt, 1),
            (b'&', b'&') => (Tok::AmpAmp, 2),
            (b'&', _) => (Tok::Amp, 1),
            (b'|', b'|') => (Tok::PipePipe, 2),
            (b'|', _) => (Tok::Pipe, 1),
            (b'=', b'=') => (Tok::EqEq, 2),
            (b'=', _) => (Tok::Eq, 1),
            (b'!', b'=') => (Tok::NotEq, 2),
            (b'!', _) => (Tok::Bang, 1),
            (b'~', _) => (Tok::Tilde, 1),
            (b'?', _) => (Tok::Question, 1),
            (b':', _) => (Tok::Colon, 1),
            (b',', _) => (Tok::Comma, 1),
            (b';', _) => (Tok::Semicolon, 1),
            (b'.', b'.') if third == b'=' => (Tok::RangeEq, 3),
            (b'.', b'.') => (Tok::Range, 2),
            (b'.', b'0'..=b'9') => return self.number(),
            (b'.', _) => return self.lone_dot(),
            _ => return self.bracket(byte),
        };
        self.push(kind, self.at, self.at + len, 0);
        self.at += len;
    }

    fn bracket(&mut self, byte: u8) {
        let (kind, opening) = match byte {
            b'(' => (Tok::LParen, None),
            b'[' => (Tok::LBracket, None),
            b'{' => (Tok::LBrace, None),
            b')' => (Tok::RParen, Some(Tok::LParen)),
            b']' => (Tok::RBracket, Some(Tok::LBracket)),
            _ => (Tok::RBrace, Some(Tok::LBrace)),
        };
        self.bracket_token(kind, opening, 1);
    }

    fn bracket_token(&mut self, kind: Tok, opening: Option<Tok>, len: usize) {
        match opening {
            None => {
                self.open.push(self.tokens.len() as u32);
                self.braces += usize::from(kind == Tok::LBrace);
            }
            // A closing brace ends every bracket inside it, if there is a brace to close.
            Some(Tok::LBrace) if self.braces > 0 => {
                while let Some(open) = self.open.pop() {
                    if self.tokens[open as usize].kind == Tok::LBrace {
                        break;
                    }
                }
                self.braces -= 1;
            }
            Some(opening) => {
                if self.open.last().is_some_and(|&o| self.tokens[o as usize].kind == opening) {
                    self.open.pop();
                }
            }
        }
        self.push(kind, self.at, self.at + len, 0);
        self.at += len;
    }

    #[cold]
    fn other_operator(&mut self, kind: Tok, written: &str) {
        let span = Span::new(self.at as u32, self.at as u32 + 2);
        let message = format!("{} is written {}", quote(span.text(self.source)), quote(written));
        self.sink.push(Diagnostic::error("syntax/operator", span, message).fix(span, written));
        self.push(kind, self.at, self.at + 2, 0);
        self.at += 2;
    }

    #[cold]
    fn lone_dot(&mut self) {
        let span = Span::new(self.at as u32, self.at as u32 + 1);
        let message = "a point needs a digit beside it";
        self.sink.push(
            Diagnostic::error("syntax/point", span, message)
                .help("names have no members; `2.5`, `.5` and `5.` are numbers"),
        );
        self.at += 1;
    }

    /// Comments, quoted names, and everything outside ASCII.
    fn other(&mut self, byte: u8) {
        match byte {
            b'#' => {
                let rest = &self.bytes[self.at..];
                self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
            }
            b'`' => self.quoted_name(),
            _ => self.character(),
        }
    }

    #[cold]
    fn quoted_name(&mut self) {
        let start = self.at;
        let inner = &self.source[start + 1..];
        let len = inner.find(['`', '\n']).unwrap_or(inner.len());
        let closed = inner[len..].starts_with('`');
        let name = &inner[..len];
        self.at = start + 1 + len + usize::from(closed);
        let span = Span::new(start as u32, self.at as u32);
        if !closed {
            let span = Span::new(start as u32, start as u32 + 1);
            self.sink.push(Diagnostic::error("unclosed/name", span, "this back-tick name is never closed"));
        } else if name.is_empty() {
            self.sink.push(Diagnostic::error("syntax/name", span, "a name in back-ticks cannot be empty"));
        } else if let Some(bad) = name.chars().find(|c| c.is_control()) {
            let message = format!("the control character {} cannot be part of a name", describe(bad));
            self.sink.push(Diagnostic::error("char/control", span, message));
        }
        let symbol = self.symbols.intern(name);
        // Quoting makes a keyword a name.
        self.push(Tok::Name, start, self.at, symbol.0);
    }

    /// One character that is not a letter, digit or operator in ASCII.
    #[cold]
    fn character(&mut self) {
        let start = self.at;
        let Some(c) = self.source[start..].chars().next() else { return };
        self.at += c.len_utf8();
        if unicode_ident::is_xid_start(c) {
            return self.unicode_name(start);
        }
        if c == '∞' {
            return self.push(Tok::Name, start, self.at, Symbol::INFINITY.0);
        }
        if let Some(&(_, kind)) = SYNONYMS.iter().find(|(s, _)| *s == c) {
            return self.push(kind, start, self.at, 0);
        }
        let span = Span::new(start as u32, self.at as u32);
        if let Some(&(_, meant, kind)) = LOOKALIKES.iter().find(|(all, ..)| all.contains(&c)) {
            return self.lookalike(c, span, meant, kind);
        }
        if let Some(digit) = c.to_digit(10).or_else(|| digit_of_another_script(c)) {
            let message = format!("{} is a digit of another script", describe(c));
            self.sink.push(Diagnostic::error("char/digit", span, message).fix(span, digit.to_string()));
            self.literals.push(Literal {
                value: f64::from(digit),
                int: u64::from(digit),
                flags: INTEGER,
                suffix: None,
            });
            return self.push(Tok::Number, start, self.at, self.literals.len() as u32 - 1);
        }
        if self.sink.is_full() {
            // Megabytes of such characters are counted, not described.
            return self.sink.count_error();
        }
        let diagnostic = match c {
            '\0' => Diagnostic::error("char/nul", span, "the formula contains a NUL byte"),
            '\u{feff}' => Diagnostic::error("char/bom", span, "a byte order mark stands inside the formula"),
            '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                Diagnostic::error("char/bidi", span, format!("{} changes the direction of the text", describe(c)))
                    .help("such characters can make a formula look like another one")
            }
            c if c.is_control() => {
                Diagnostic::error("char/control", span, format!("unexpected control character {}", describe(c)))
            }
            c if c.is_whitespace() => {
                return self.sink.push(
                    Diagnostic::error("char/space", span, format!("unusual white space {}", describe(c)))
                        .fix(span, " "),
                );
            }
            c => Diagnostic::error("char", span, format!("unexpected character {}", describe(c))),
        };
        self.sink.push(diagnostic.fix(span, ""));
    }

    #[cold]
    fn lookalike(&mut self, c: char, span: Span, meant: &str, kind: Option<Tok>) {
        let (start, end) = (span.start as usize, span.end as usize);
        let message = match meant {
            "`" => "there are no strings in formulas".to_owned(),
            " " => format!("unusual white space {}", describe(c)),
            _ => format!("{} is not {}", describe(c), quote(meant.trim_end())),
        };
        let mut diagnostic = Diagnostic::error("char/look-alike", span, message).fix(span, meant);
        if meant == "`" {
            diagnostic = diagnostic.help("put a name with unusual characters in back-ticks: `any name`");
        }
        self.sink.push(diagnostic);
        match kind {
            None => {}
            Some(kind @ (Tok::LParen | Tok::LBracket | Tok::LBrace)) => {
                self.at = start;
                self.bracket_token(kind, None, end - start);
            }
            Some(kind @ (Tok::RParen | Tok::RBracket | Tok::RBrace)) => {
                self.at = start;
                let opening = match kind {
                    Tok::RParen => Tok::LParen,
                    Tok::RBracket => Tok::LBracket,
                    _ => Tok::LBrace,
                };
                self.bracket_token(kind, Some(opening), end - start);
            }
            Some(kind) => self.push(kind, start, end, 0),
        }
    }
}

/// Is the name made of ASCII and letters that look like it, and not of ASCII alone?
pub(super) fn looks_latin(name: &str) -> bool {
    !name.is_ascii() && name.chars().all(|c| c.is_ascii() || CONFUSABLE.0.contains(c))
}

/// The Latin letter that `c` looks like.
fn latin(c: char) -> char {
    let position = CONFUSABLE.0.chars().position(|x| x == c);
    position.and_then(|at| CONFUSABLE.1.chars().nth(at)).unwrap_or(c)
}

/// Decimal digits outside ASCII come in runs of ten.
fn digit_of_another_script(c: char) -> Option<u32> {
    const ZEROS: [char; 14] = ['٠', '۰', '߀', '०', '০', '੦', '૦', '୦', '௦', '౦', '๐', '໐', '༠', '０'];
    ZEROS.iter().find_map(|&zero| (c as u32).checked_sub(zero as u32).filter(|&d| d < 10))
}

/// A character for a message: itself where it can be shown, and its code point.
fn describe(c: char) -> String {
    format!("{} (U+{:04X})", quote(c.encode_utf8(&mut [0; 4])), c as u32)
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

impl Lexer<'_> {
    #[inline]
    fn number(&mut self) {
        let start = self.at;
        if self.bytes[start] == b'0' && matches!(self.byte(1) | 0x20, b'x' | b'b' | b'o') {
            return self.radix_number();
        }
        let mut mantissa = 0u64;
        let mut digits = 0u32; // significant ones, so that the mantissa is exact up to 19
        let mut plain = true; // no `_`, so that the text can be given to the standard library
        let mut at = self.digits(start, &mut mantissa, &mut digits, &mut plain);
        let mut flags = INTEGER;
        let mut exponent = 0i32;
        if self.bytes.get(at) == Some(&b'.') && self.bytes.get(at + 1) != Some(&b'.') {
            flags = 0;
            let point = at + 1;
            let (mut fraction_plain, before) = (true, at);
            at = self.digits(point, &mut mantissa, &mut digits, &mut fraction_plain);
            plain &= fraction_plain;
            exponent = (before + 1) as i32 - at as i32;
            if !fraction_plain {
                exponent += self.bytes[point..at].iter().filter(|&&b| b == b'_').count() as i32;
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(at) {
            let sign = usize::from(matches!(self.bytes.get(at + 1), Some(b'+' | b'-')));
            if self.bytes.get(at + 1 + sign).is_some_and(u8::is_ascii_digit) {
                flags = 0;
                let (mut value, mut count) = (0u64, 0u32);
                let negative = self.bytes[at + 1] == b'-';
                at = self.digits(at + 1 + sign, &mut value, &mut count, &mut plain);
                let value = if count > 9 { 99_999_999 } else { value as i32 };
                exponent = exponent.saturating_add(if negative { -value } else { value });
            } else if self.bytes.get(at + 1 + sign).is_none_or(|&b| CLASS[b as usize] != LETTER) || sign == 1 {
                let end = at + 1 + sign;
                let span = Span::new(start as u32, end as u32);
                let help = "write `1e3`, or `2*e` for a multiple of the constant e";
                self.sink.push(Diagnostic::error("number/exponent", span, "the exponent has no digits").help(help));
                flags = 0;
                self.at = end;
                return self.push_number(start, Literal { value: mantissa as f64, int: mantissa, flags, suffix: None });
            }
        }
        self.at = at;
        let exact = digits <= 19 && mantissa <= 1 << 53 && (-22..=22).contains(&exponent);
        let value = if exact && exponent < 0 {
            mantissa as f64 / POWERS[-exponent as usize]
        } else if exact {
            mantissa as f64 * POWERS[exponent as usize]
        } else {
            parse_decimal(&self.source[start..at], plain)
        };
        if flags == INTEGER && digits > 19 {
            match self.source[start..at]
                .bytes()
                .filter(|&b| b != b'_')
                .try_fold(0u64, |v, b| v.checked_mul(10)?.checked_add(u64::from(b - b'0')))
            {
                Some(v) => mantissa = v,
                None => flags |= HUGE,
            }
        }
        if value.is_infinite() || (value == 0.0 && digits > 0) {
            self.out_of_range(start, value);
        }
        self.push_number(start, Literal { value, int: mantissa, flags, suffix: None });
    }

    /// Reads digits and `_` between digits; returns where they end.
    #[inline]
    fn digits(&self, mut at: usize, mantissa: &mut u64, digits: &mut u32, plain: &mut bool) -> usize {
        let start = at;
        while let Some(&b) = self.bytes.get(at) {
            let digit = b.wrapping_sub(b'0');
            if digit < 10 {
                *digits += u32::from(*digits > 0 || digit != 0);
                *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
                at += 1;
            } else if b == b'_' && at > start && self.bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
                *plain = false;
                at += 1;
            } else {
                break;
            }
        }
        at
    }

    #[cold]
    fn out_of_range(&mut self, start: usize, value: f64) {
        let span = Span::new(start as u32, self.at as u32);
        let text = quote(span.text(self.source));
        self.sink.push(if value == 0.0 {
            Diagnostic::warning("number/underflow", span, format!("{text} is too small for f64 and becomes 0"))
        } else {
            Diagnostic::error("number/too-large", span, format!("{text} is too large for f64"))
                .help("write `inf` for infinity; the largest f64 is about 1.797e308")
        });
    }

    #[cold]
    fn radix_number(&mut self) {
        let start = self.at;
        let (radix, kind) = match self.bytes[start + 1] | 0x20 {
            b'x' => (16, "hexadecimal"),
            b'b' => (2, "binary"),
            _ => (8, "octal"),
        };
        let (mut value, mut flags, mut count, mut at, mut bad) = (0u64, INTEGER | RADIX, 0, start + 2, None);
        while let Some(&b) = self.bytes.get(at) {
            // Hexadecimal takes `b`, `f` and so on; the others stop at a letter, but not at a wrong digit.
            let digit = match (b as char).to_digit(if radix == 16 { 16 } else { 10 }) {
                Some(digit) => digit,
                None if b == b'_' && count > 0 && self.bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit) => {
                    at += 1;
                    continue;
                }
                None => break,
            };
            if digit >= radix {
                bad = bad.or(Some(at));
            }
            match value.checked_mul(u64::from(radix)) {
                Some(product) => value = product + u64::from(digit.min(radix - 1)),
                None => flags |= HUGE,
            }
            count += 1;
            at += 1;
        }
        self.at = at;
        let span = Span::new(start as u32, at as u32);
        if count == 0 {
            self.sink.push(Diagnostic::error("number/digits", span, format!("a {kind} number needs digits")));
        } else if let Some(bad) = bad {
            let span = Span::new(bad as u32, bad as u32 + 1);
            let message = format!("{} is not a {kind} digit", quote(span.text(self.source)));
            self.sink.push(Diagnostic::error("number/digits", span, message));
        } else if flags & HUGE != 0 {
            let message = format!("{} does not fit 64 bits", quote(span.text(self.source)));
            self.sink.push(Diagnostic::error("number/too-large", span, message));
            flags &= !HUGE;
        }
        self.push_number(start, Literal { value: value as f64, int: value, flags, suffix: None });
    }

    /// Reads a suffix such as `i32` and pushes the token.
    #[inline]
    fn push_number(&mut self, start: usize, mut literal: Literal) {
        if let Some(b'f' | b'i') = self.bytes.get(self.at) {
            let text = self.bytes.get(self.at..self.at + 3).unwrap_or(b"");
            let next = self.source.get(self.at + 3..).and_then(|rest| rest.chars().next());
            let ends = next.is_none_or(|c| c != '_' && !unicode_ident::is_xid_continue(c));
            if ends && let Some(ty) = std::str::from_utf8(text).ok().and_then(Type::from_name) {
                self.at += 3;
                literal.suffix = Some(ty);
            }
        }
        if self.bytes.get(self.at) == Some(&b'.') && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) {
            self.second_point(start);
        }
        self.literals.push(literal);
        self.push(Tok::Number, start, self.at, self.literals.len() as u32 - 1);
    }

    #[cold]
    fn second_point(&mut self, start: usize) {
        while matches!(self.byte(0), b'.' | b'0'..=b'9') {
            self.at += 1;
        }
        let span = Span::new(start as u32, self.at as u32);
        let message = format!("{} is not a number: it has two points", quote(span.text(self.source)));
        self.sink.push(Diagnostic::error("number", span, message));
    }
}

/// The correctly rounded value of a decimal number's text.
#[cold]
fn parse_decimal(text: &str, plain: bool) -> f64 {
    // The text is a number by construction; the standard library reads all of `5.`, `.5` and `1e9999`.
    if plain { text.parse().unwrap_or(f64::NAN) } else { text.replace('_', "").parse().unwrap_or(f64::NAN) }
}
