//! What a person types into a session: is it whole, and does it define something?
//!
//! Owns the little that must be known of a text before the compiler sees it. The one idea: only brackets, comments,
//! names in back-ticks and the words `let` and `fn` are looked at; whether a longer text consists of definitions is
//! asked of the compiler.

/// Definitions to be kept for later entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// The text to be kept.
    pub(crate) text: String,
    /// The names that have a value, as they are written.
    pub(crate) lets: Vec<String>,
    /// The names of functions.
    pub(crate) functions: Vec<String>,
}

impl Definition {
    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.lets.iter().chain(&self.functions).map(String::as_str)
    }
}

/// The characters that are neither in comments nor between back-ticks, with their places.
fn significant(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let (mut comment, mut ticked) = (false, false);
    text.char_indices().filter(move |&(_, c)| {
        match c {
            '\n' => (comment, ticked) = (false, false),
            '`' if !comment => ticked = !ticked,
            '#' if !ticked => comment = true,
            _ => {}
        }
        !comment && !ticked
    })
}

/// How much deeper in brackets the end of the text is than its beginning; less than nothing if it closes more.
pub(crate) fn depth(text: &str) -> i32 {
    significant(text).map(|(_, c)| step(c)).sum()
}

fn step(c: char) -> i32 {
    match c {
        '(' | '[' | '{' => 1,
        ')' | ']' | '}' => -1,
        _ => 0,
    }
}

/// The parts between separators that stand in no brackets.
fn statements(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in significant(text) {
        depth += step(c);
        if depth <= 0 && matches!(c, ';' | '\n') {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty() && !part.starts_with('#')).collect()
}

/// A name at the beginning of the text, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = match text.strip_prefix('`') {
        Some(rest) => rest.find('`')? + 2,
        None => text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len()),
    };
    let first = text.chars().next()?;
    (first.is_alphabetic() || matches!(first, '_' | '`')).then(|| text.split_at(end))
}

/// What follows a word and white space at the beginning of the text.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.strip_prefix(word).filter(|rest| rest.starts_with(char::is_whitespace)).map(str::trim_start)
}

/// The definition that an entry is, if it is one: `let r = 2`, `fn f(x) = x^2`, several of these; `r = 2` is taken for
/// `let r = 2`.
pub(crate) fn definition(entry: &str) -> Option<Definition> {
    let assigned = |(_, rest): (&str, &str)| {
        let rest = rest.trim_start();
        rest.starts_with('=') && !rest.starts_with("==")
    };
    let text = if name(entry).is_some_and(assigned) { format!("let {entry}") } else { entry.to_owned() };
    let (mut lets, mut functions) = (Vec::new(), Vec::new());
    let statements = statements(&text);
    for (i, statement) in statements.iter().enumerate() {
        if let Some((name, _)) = after_word(statement, "let").and_then(name) {
            lets.push(name.to_owned());
        } else if let Some((name, _)) = after_word(statement, "fn").and_then(name) {
            functions.push(name.to_owned());
        } else if i == 0 {
            return None;
        }
    }
    // A text that goes on after its definitions is a formula.
    let alone = statements.len() == 1 || kiln::Engine::new().define("", &text).is_ok();
    (alone && !statements.is_empty()).then_some(Definition { text, lets, functions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_told_from_formulas() {
        // entry, text to be kept, names
        #[rustfmt::skip]
        let definitions: [(&str, &str, &[&str]); 8] = [
            ("let r = 2", "let r = 2", &["r"]),
            ("r = 2", "let r = 2", &["r"]),
            ("`a = b` = 2", "let `a = b` = 2", &["`a = b`"]),
            ("letter = 1", "let letter = 1", &["letter"]),
            ("fn f(x) = x", "fn f(x) = x", &["f"]),
            ("fn f(x) {\n  let y = x; # )\n  y\n}", "fn f(x) {\n  let y = x; # )\n  y\n}", &["f"]),
            ("let a = (1 +\n2);", "let a = (1 +\n2);", &["a"]),
            ("let a = 1; let b = 2", "let a = 1; let b = 2", &["a", "b"]),
        ];
        for (entry, text, names) in definitions {
            let found = definition(entry).unwrap_or_else(|| panic!("{entry}"));
            assert_eq!((found.text.as_str(), found.names().collect::<Vec<_>>()), (text, names.to_vec()), "{entry}");
        }
        for formula in ["r == 2", "2 = x", "let a = 1; a + 1", "let a = 1\na", "x", "f(x) = 2", "fnord(1)", "", "`x"] {
            assert_eq!(definition(formula), None, "{formula}");
        }
    }

    #[test]
    fn brackets_in_comments_and_names_do_not_count() {
        for (text, expected) in [("f(x", 1), ("{ (", 2), (") # ((", -1), ("`a(b` + (", 1), ("# `\n(", 1), ("[{()}]", 0)]
        {
            assert_eq!(depth(text), expected, "{text}");
        }
    }
}
