//! What went wrong, and how it is shown.
//!
//! Owns [`Failure`], the one error type of the commands, and [`Printer`], which knows the terminal. The one idea:
//! commands say what is wrong as data, and this file alone chooses words around it, colours and exit codes. Diagnostics
//! of formulas look like those of the Rust compiler, with repairs as patches. An adder of a kind of failure gives it an
//! exit code in [`Printer::failure`].
#![allow(clippy::print_stderr, reason = "this is the module that speaks to the person at the terminal")]

use crate::args::Color;
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};
use anstyle::{AnsiColor, Style};
use kiln::span::Severity;
use kiln::{Diagnostic, Error, Span};
use std::io::{self, IsTerminal as _};
use std::ops::Range;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A formula is wrong; `origin` says which one, for commands with several.
    Formula { origin: Option<String>, error: Error },
    /// Something else is wrong: one sentence, and what to do about it.
    Input { message: String, help: Option<String> },
    /// The command line makes no sense.
    Usage { message: String, help: Option<String> },
    /// It was said already.
    Reported,
    /// Reading or writing failed.
    Io(io::Error),
}

impl Failure {
    /// A wrong input.
    pub(crate) fn input(message: impl Into<String>) -> Failure {
        Failure::Input { message: message.into(), help: None }
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::Usage { message: message.into(), help: None }
    }

    /// With what to do about it.
    pub(crate) fn help(mut self, text: impl Into<String>) -> Failure {
        if let Failure::Input { help, .. } | Failure::Usage { help, .. } = &mut self {
            *help = Some(text.into());
        }
        self
    }

    /// A wrong formula, by a diagnostic of our own.
    pub(crate) fn diagnostic(origin: impl Into<String>, source: &str, diagnostic: Diagnostic) -> Failure {
        let error = Error::Formula { source: source.to_owned(), diagnostics: vec![diagnostic] };
        Failure::Formula { origin: Some(origin.into()), error }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Formula { origin: None, error }
    }
}

/// What kinds of text are coloured, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ink {
    Heading,
    Name,
    Faint,
}

/// Shows results and failures in the way that the terminal allows.
#[derive(Debug)]
pub(crate) struct Printer {
    color_out: bool,
    color_error: bool,
}

/// Longer sources are shown in plain text, which cuts a window out of long lines.
const STYLED_BYTES: usize = 2000;

impl Printer {
    pub(crate) fn new(color: Color) -> Printer {
        let allowed = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
                    && std::env::var_os("TERM").is_none_or(|v| v != "dumb")
            }
        };
        Printer { color_out: allowed(io::stdout().is_terminal()), color_error: allowed(io::stderr().is_terminal()) }
    }

    /// `text` for standard output, coloured if it may be.
    pub(crate) fn ink(&self, ink: Ink, text: &str) -> String {
        if !self.color_out {
            return text.to_owned();
        }
        let style = match ink {
            Ink::Heading => Style::new().bold().fg_color(Some(AnsiColor::Green.into())),
            Ink::Name => Style::new().bold().fg_color(Some(AnsiColor::Cyan.into())),
            Ink::Faint => Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }

    /// Shows warnings about a formula.
    pub(crate) fn warnings(&self, origin: Option<&str>, source: &str, warnings: &[Diagnostic]) {
        for warning in warnings {
            eprintln!("{}", self.render(origin, source, warning));
        }
    }

    /// Shows a failure and says which exit code it gives.
    pub(crate) fn failure(&self, failure: &Failure) -> u8 {
        match failure {
            Failure::Formula { origin, error: Error::Formula { source, diagnostics } } => {
                self.warnings(origin.as_deref(), source, diagnostics);
            }
            Failure::Formula { origin: Some(origin), error } => self.headline(&format!("{origin}: {error}"), None),
            Failure::Formula { origin: None, error } => self.headline(&error.to_string(), None),
            Failure::Input { message, help } => self.headline(message, help.as_deref()),
            Failure::Usage { message, help } => {
                self.headline(message, help.as_deref());
                eprintln!("\nFor more information, try '--help'.");
                return 2;
            }
            Failure::Reported => {}
            // Whoever read our output has seen enough.
            Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => return 0,
            Failure::Io(error) => self.headline(&error.to_string(), None),
        }
        1
    }

    /// Says something that is no failure.
    pub(crate) fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    fn headline(&self, message: &str, help: Option<&str>) {
        let mut report = vec![Group::with_title(Level::ERROR.primary_title(message))];
        report.extend(help.map(|help| Group::with_title(Level::HELP.secondary_title(help))));
        eprintln!("{}", self.renderer().render(&report));
    }

    fn renderer(&self) -> Renderer {
        if self.color_error { Renderer::styled() } else { Renderer::plain() }
    }

    /// A diagnostic with the line it is about.
    pub(crate) fn render(&self, origin: Option<&str>, source: &str, diagnostic: &Diagnostic) -> String {
        let shown = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
        if source.len() > STYLED_BYTES || !source.chars().all(shown) {
            let text = diagnostic.render_plain(source);
            return match origin {
                Some(origin) => format!("in {origin}:\n{}", text.trim_end()),
                None => text.trim_end().to_owned(),
            };
        }
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
        if diagnostic.span == Span::default() && diagnostic.fix.is_none() {
            // It has no place, or one in another text, which the message names.
            let help = diagnostic.help.as_deref().map(|help| Level::HELP.message(help));
            return self.renderer().render(&[Group::with_title(title).elements(help)]);
        }
        let suggestion = suggestion(diagnostic);
        let mut place = Snippet::source(source)
            .path(origin)
            .annotation(AnnotationKind::Primary.span(range(source, diagnostic.span)).label(suggestion));
        for label in diagnostic.labels.iter().filter(|label| Some(label.text.as_str()) != suggestion) {
            let label_span = range(source, label.span);
            place = place.annotation(AnnotationKind::Context.span(label_span).label(label.text.as_str()));
        }
        let mut report = vec![title.element(place)];
        let help = diagnostic.help.as_deref().filter(|help| Some(*help) != suggestion);
        match (&diagnostic.fix, help) {
            (Some(fix), help) if suggestion.is_none() => {
                let patch = Patch::new(range(source, fix.span), fix.replacement.as_str());
                let title = Level::HELP.secondary_title(help.unwrap_or("this would be right"));
                report.push(title.element(Snippet::source(source).path(origin).patch(patch)));
            }
            (_, Some(help)) => {
                report[0] = std::mem::replace(&mut report[0], Group::with_level(Level::HELP))
                    .element(Level::HELP.message(help));
            }
            _ => {}
        }
        self.renderer().render(&report)
    }
}

/// Says once that formulas are interpreted although nobody asked for it: the system refuses executable memory.
pub(crate) fn say_if_interpreted(engine: &kiln::Engine, function: &kiln::Function) {
    static SAID: std::sync::Once = std::sync::Once::new();
    if function.engine() == kiln::EngineKind::Interpreter && engine.options().engine.is_none() {
        SAID.call_once(|| eprintln!("note: executable memory is not to be had here, so formulas are interpreted"));
    }
}

/// What the thing at the diagnostic's place may have been meant for: it is shown under it.
pub(crate) fn suggestion(diagnostic: &Diagnostic) -> Option<&str> {
    let here = diagnostic.labels.iter().filter(|label| label.span == diagnostic.span).map(|label| label.text.as_str());
    here.chain(diagnostic.help.as_deref()).find(|text| text.starts_with("did you mean"))
}

/// The span as a range that fits the source and does not cut characters.
fn range(source: &str, span: Span) -> Range<usize> {
    let floor = |at: u32| {
        let mut at = (at as usize).min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

/// The names of `known` that are most like `name`, if any is like it.
pub(crate) fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    // Any two names of one or two letters are alike.
    let allowed = match lower.chars().count() {
        0..=2 => 0,
        length => (length / 3).max(1),
    };
    known
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// How many insertions, deletions, replacements and swaps of neighbours make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names() {
        let names = ["latitude", "longitude", "name"];
        assert_eq!(similar("lattitude", names.into_iter()), Some("latitude"));
        assert_eq!(similar("nmae", names.into_iter()), Some("name"));
        assert_eq!(similar("Name", names.into_iter()), Some("name"));
        assert_eq!(similar("speed", names.into_iter()), None);
    }

    #[test]
    fn spans_that_do_not_fit_are_cut() {
        assert_eq!(range("aπ", Span::new(2, 90)), 1..3);
        assert_eq!(range("", Span::new(5, 4)), 0..0);
    }
}
