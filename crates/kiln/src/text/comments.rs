//! Comments and empty lines of a source text, for the printer that keeps them.
//!
//! Owns where they stand; no tree knows them. The one idea: comments are handed out in the order of the text, each once,
//! up to a place or at the end of a line, so that a printer that asks at the end for the rest loses none.
//!
//! Meant for texts that were read without errors. Knows nothing of the grammar but `#` and back-ticks.

#![forbid(unsafe_code)]

/// A comment, from its `#` to the end of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Comment {
    start: usize,
    end: usize,
}

/// The comments that were not handed out yet.
#[derive(Debug, Default)]
pub(super) struct Comments<'a> {
    source: &'a str,
    all: Vec<Comment>,
    next: usize,
}

impl<'a> Comments<'a> {
    /// The comments of a text.
    pub(super) fn of(source: &'a str) -> Comments<'a> {
        let mut all = Vec::new();
        let bytes = source.as_bytes();
        let (mut at, mut ticked) = (0, false);
        while at < bytes.len() {
            match bytes[at] {
                b'`' => ticked = !ticked,
                b'#' if !ticked => {
                    let end = bytes[at..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |len| at + len);
                    all.push(Comment { start: at, end });
                    at = end;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        Comments { source, all, next: 0 }
    }

    /// The next comment, if it begins before this place: where, and its text.
    pub(super) fn before(&mut self, place: u32) -> Option<(u32, &'a str)> {
        let comment = *self.all.get(self.next).filter(|comment| comment.start < place as usize)?;
        self.next += 1;
        Some((comment.start as u32, self.source[comment.start..comment.end].trim_end()))
    }

    /// The next comment, if only white space and separators stand between this place and it, on one line.
    pub(super) fn beside(&mut self, place: u32) -> Option<&'a str> {
        let comment = self.all.get(self.next)?;
        let between = self.source.get(place as usize..comment.start)?;
        let is_beside = between.bytes().all(|b| matches!(b, b' ' | b'\t' | b';'));
        if is_beside { self.before(u32::MAX).map(|(_, text)| text) } else { None }
    }

    /// Does the next comment begin before this place?
    pub(super) fn any_before(&self, place: u32) -> bool {
        self.all.get(self.next).is_some_and(|comment| comment.start < place as usize)
    }

    /// Is the line above the one of this place empty, with nothing else between?
    pub(super) fn empty_line_above(&self, place: u32) -> bool {
        let before = self.source.get(..place as usize).unwrap_or_default();
        let space = before.bytes().rev().take_while(|b| b.is_ascii_whitespace());
        space.filter(|&b| b == b'\n').count() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_handed_out_in_order_and_once() {
        let source = "# a \nlet `x # y` = 1 ; # b\r\n\n \n z # c";
        let mut comments = Comments::of(source);
        assert_eq!(comments.beside(0), Some("# a"));
        let value = source.find('1').unwrap() as u32 + 1;
        assert!(!comments.any_before(value));
        assert_eq!(comments.before(value), None);
        assert_eq!(comments.beside(value - 1), None);
        assert_eq!(comments.beside(value), Some("# b"));
        let last = source.find('z').unwrap() as u32;
        assert_eq!(comments.beside(value), None);
        assert!(comments.empty_line_above(last) && !comments.empty_line_above(value));
        assert!(comments.any_before(u32::MAX));
        assert_eq!(comments.before(u32::MAX).map(|(_, text)| text), Some("# c"));
        assert_eq!(comments.before(u32::MAX), None);
        assert_eq!(Comments::of("").before(u32::MAX), None);
    }
}
