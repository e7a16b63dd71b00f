//! Formula texts in their canonical form, for people and tools that keep formulas in files.
//!
//! Owns the choice between the two readings that a text has: a formula, or definitions without a result. The printing
//! itself is `text::print`'s.

#![forbid(unsafe_code)]

use crate::error::Error;
use crate::text::{FrontEnd, Limits};

/// The canonical form of a formula, or of a text of definitions for [`Engine::define`](crate::Engine::define): one
/// spelling for everything that has several, no parenthesis that is not needed, the same meaning. Comments stay, and
/// an empty line between statements. The canonical form of the result is itself.
///
/// ```
/// assert_eq!(kiln::format("a&&b||(!c)")?, "a and b or not c");
/// assert_eq!(kiln::format("let  r=2 # m\n\n(pi*(r^2))")?, "let r = 2 # m\n\npi * r^2");
/// # Ok::<(), kiln::Error>(())
/// ```
///
/// # Errors
/// [`Error::Formula`] if the text cannot be read. Names and types are not looked at.
pub fn format(text: &str) -> Result<String, Error> {
    let mut front = FrontEnd::new(std::iter::empty());
    front.parse(text, Limits::default());
    if front.sink.has_errors() {
        let diagnostics = front.sink.take();
        front.parse_definitions(text, Limits::default());
        if front.sink.has_errors() {
            // The reading with which less is wrong is the one that was meant.
            let others = front.sink.take();
            let diagnostics = if others.len() < diagnostics.len() { others } else { diagnostics };
            return Err(Error::Formula { source: text.to_owned(), diagnostics });
        }
    }
    Ok(front.format(text))
}
