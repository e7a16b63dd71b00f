//! Places in the source text and what is said about them.
//!
//! Owns `Span` and `Diagnostic`. The one idea: a diagnostic is data (code, place, sentence, help, repair), and every
//! face renders it as it likes; `render_plain` is the rendering that needs nothing but text.
//!
//! Obligations of an adder: a code is one of [`CODES`], refined by `/suffix` where useful; a message is one sentence,
//! and whatever of it comes from the source goes through [`quote`], so that it is short and cannot carry control
//! characters into a terminal. Deliberately does not know what a formula is.

#![forbid(unsafe_code)]

use std::fmt::{self, Write as _};

/// A half-open range of byte offsets in the source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` to `end`.
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    /// The smallest span that covers both.
    #[must_use]
    pub fn join(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The text under the span; empty if the span does not fit the source.
    #[must_use]
    pub fn text(self, source: &str) -> &str {
        source.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

/// A part of a formula, or of a text of definitions that it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The name of the text of definitions; nothing for the formula itself.
    pub name: Option<&'a str>,
    /// The whole text.
    pub text: &'a str,
    /// The part of it.
    pub span: Span,
}

/// Every diagnostic's code is one of these, possibly refined by a suffix: `limit/nesting`.
pub const CODES: [&str; 16] = [
    "syntax",
    "unclosed",
    "char",
    "number",
    "unknown-name",
    "unknown-function",
    "arity",
    "type",
    "duplicate",
    "recursion",
    "limit",
    "empty",
    "utf8",
    "unsupported",
    "input",
    "shadow",
];

/// No message or help line is longer than this, in bytes.
pub const MESSAGE_BYTES: usize = 480;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The formula does not compile.
    Error,
    /// The formula compiles, but probably does not mean what it seems to.
    Warning,
}

/// A replacement that would repair the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What to replace; empty to insert.
    pub span: Span,
    /// What to put there.
    pub replacement: String,
}

/// A second place that explains the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is to be seen there.
    pub text: String,
}

/// Something to say about the source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A stable code, one of [`CODES`] or refined by a suffix.
    pub code: &'static str,
    /// Where.
    pub span: Span,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// A replacement that would repair the text.
    pub fix: Option<Fix>,
    /// Other places that matter.
    pub labels: Vec<Label>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        let (help, fix, labels) = (None, None, Vec::new());
        Diagnostic { severity: Severity::Error, code, span, message: bounded(message.into()), help, fix, labels }
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// With a help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(bounded(help.into()));
        self
    }

    /// With a repair.
    #[must_use]
    pub fn fix(mut self, span: Span, replacement: impl Into<String>) -> Diagnostic {
        self.fix = Some(Fix { span, replacement: replacement.into() });
        self
    }

    /// With a second place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: bounded(text.into()) });
        self
    }

    /// Is this an error?
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The diagnostic as plain text: headline, place, source line, caret, help.
    #[must_use]
    pub fn render_plain(&self, source: &str) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_plain(&mut out, source);
        out
    }

    fn write_plain(&self, out: &mut String, source: &str) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "{word}[{}]: {}", self.code, self.message)?;
        excerpt(
            out,
            source,
            self.span,
            self.help.as_deref().filter(|h| h.len() <= 60 && h.starts_with("did you mean")),
        )?;
        for label in &self.labels {
            excerpt(out, source, label.span, Some(&label.text))?;
        }
        if let Some(help) = &self.help {
            writeln!(out, " help: {help}")?;
        }
        if let Some(fix) = &self.fix {
            let old = fix.span.text(source);
            match (old.is_empty(), fix.replacement.is_empty()) {
                (true, _) => writeln!(out, "  fix: insert {}", quote(&fix.replacement))?,
                (false, true) => writeln!(out, "  fix: delete {}", quote(old))?,
                (false, false) => writeln!(out, "  fix: replace {} by {}", quote(old), quote(&fix.replacement))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// Line and column of a byte offset, both from 1; columns count characters.
#[must_use]
pub fn line_column(source: &str, offset: u32) -> (u32, u32) {
    let mut offset = (offset as usize).min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &source[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|&b| b == b'\n').count() as u32 + 1;
    let mut column = before[line_start..].chars().count() as u32 + 1;
    if line_start == 0 && before.starts_with('\u{feff}') {
        column -= 1;
    }
    (line, column)
}

/// How many characters of the source line are shown on each side of the caret.
const EXCERPT_CHARS: usize = 70;

/// Writes the place, its source line (cut to a window around the caret) and carets under the span.
fn excerpt(out: &mut String, source: &str, span: Span, note: Option<&str>) -> fmt::Result {
    let (line, column) = line_column(source, span.start);
    writeln!(out, " --> {line}:{column}")?;
    let mut start = (span.start as usize).min(source.len());
    while !source.is_char_boundary(start) {
        start -= 1;
    }
    let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
    let before: Vec<char> = source[line_start..start].chars().rev().take(EXCERPT_CHARS).collect();
    let cut_left = source[line_start..start].chars().nth(EXCERPT_CHARS).is_some();
    let end = (span.end as usize).clamp(start, line_end);
    let marked = source.get(start..end).map_or(1, |s| s.chars().take(EXCERPT_CHARS).map(width).sum::<usize>());
    let mut text = String::new();
    if cut_left {
        text.push_str("...");
    }
    before.iter().rev().for_each(|&c| push_clean(&mut text, c));
    let indent = text.chars().count();
    let mut rest = source[start..line_end].chars();
    rest.by_ref().take(EXCERPT_CHARS).for_each(|c| push_clean(&mut text, c));
    if rest.next().is_some() {
        text.push_str("...");
    }
    writeln!(out, "  | {text}")?;
    write!(out, "  | {:indent$}{:^<2$}", "", "", marked.max(1))?;
    if let Some(note) = note {
        write!(out, " {note}")?;
    }
    out.push('\n');
    Ok(())
}

/// Characters that a terminal might obey, or that reorder or hide text.
fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn width(c: char) -> usize {
    if c == '\t' {
        1
    } else if is_unsafe_to_show(c) {
        format!("\\u{{{:x}}}", c as u32).len()
    } else {
        1
    }
}

fn push_clean(out: &mut String, c: char) {
    if c == '\t' {
        out.push(' ');
    } else if is_unsafe_to_show(c) {
        let _ = write!(out, "\\u{{{:x}}}", c as u32);
    } else {
        out.push(c);
    }
}

/// `text` between back-ticks, with at most 40 characters, control and invisible characters escaped.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::from("`");
    let mut chars = text.chars();
    chars.by_ref().take(40).for_each(|c| push_clean(&mut out, c));
    if chars.next().is_some() {
        out.push_str("...");
    }
    out.push('`');
    out
}

/// `message` without control characters and cut to [`MESSAGE_BYTES`].
fn bounded(message: String) -> String {
    if message.len() <= MESSAGE_BYTES && !message.chars().any(is_unsafe_to_show) {
        return message;
    }
    let mut out = String::new();
    for c in message.chars() {
        push_clean(&mut out, c);
        if out.len() > MESSAGE_BYTES - 16 {
            out.push_str("...");
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_column("π + 😀x", "π + 😀".len() as u32), (1, 6));
        assert_eq!(line_column("a\nbc", 3), (2, 2));
        assert_eq!(line_column("\u{feff}ab", 4), (1, 2));
        assert_eq!(line_column("π", 1), (1, 1));
        assert_eq!(line_column("", 9), (1, 1));
    }

    #[test]
    fn plain_rendering() {
        let d = Diagnostic::error("unknown-function", Span::new(4, 7), "unknown function `lgo`")
            .help("did you mean `log`?");
        let expected = "error[unknown-function]: unknown function `lgo`\n --> 1:5\n  | 1 + lgo(x)\n  |     ^^^ did you mean `log`?\n help: did you mean `log`?\n";
        assert_eq!(d.render_plain("1 + lgo(x)"), expected);
        let d = Diagnostic::error("syntax", Span::new(5, 7), "wrong").fix(Span::new(5, 7), "*");
        assert_eq!(
            d.render_plain("😀x×y"),
            "error[syntax]: wrong\n --> 1:3\n  | 😀x×y\n  |   ^\n  fix: replace `×` by `*`\n"
        );
    }

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        let evil = "\u{1b}[31m\u{202e}\u{7}";
        let d = Diagnostic::error("char", Span::new(0, 1), format!("bad {evil}")).help(quote(evil));
        let text = d.render_plain(evil);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\u{7}'), "{text}");
        let long = Diagnostic::error("char", Span::new(0, 1), "é".repeat(10_000));
        assert!(long.message.len() < 500);
        let line = "x".repeat(1_000_000);
        assert!(Diagnostic::error("char", Span::new(500_000, 500_001), "m").render_plain(&line).len() < 500);
    }
}
