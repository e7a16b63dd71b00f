//! Names of columns in texts of formulas.
//!
//! Owns the search for a name in a text, for messages that point at it. The one idea: this never decides what a formula
//! means, which the compiler alone does; it finds the place to point at when that is known.

use kiln::Span;

/// Is this a name that formulas can use without back-ticks?
pub(crate) fn is_word(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_numeric()) && name.chars().all(is_word_part)
}

pub(crate) fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `formula` uses `name` as a word of its own that is not called, or in back-ticks.
#[must_use]
pub fn mention(formula: &str, name: &str) -> Option<Span> {
    let span = |start: usize, len: usize| Span::new(start as u32, (start + len) as u32);
    let ticked = format!("`{name}`");
    if let Some(at) = formula.find(&ticked) {
        return Some(span(at, ticked.len()));
    }
    let word = |(at, _): &(usize, &str)| {
        let (before, after) = (&formula[..*at], &formula[at + name.len()..]);
        // In `{ r: ... }` and `|r: f64|` the name is the formula's own.
        let named = after.trim_start().starts_with(':') && before.trim_end().ends_with(['{', ',', '|']);
        !before.ends_with(is_word_part)
            && !after.starts_with(is_word_part)
            && !after.trim_start().starts_with('(')
            && !named
    };
    let found = if name.is_empty() { None } else { formula.match_indices(name).find(word) };
    found.map(|(at, _)| span(at, name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_whole_words() {
        assert_eq!(mention("max(x1, x)", "x"), Some(Span::new(8, 9)));
        assert_eq!(mention("max(1, 2)", "max"), None);
        assert_eq!(mention("2 * `a b`", "a b"), Some(Span::new(4, 9)));
        assert_eq!(mention("x", ""), None);
        assert_eq!(mention("{ x: y, xy: 2 * x }", "x"), Some(Span::new(16, 17)));
        assert_eq!(mention("if y {x} else {0}", "x"), Some(Span::new(6, 7)));
    }
}
