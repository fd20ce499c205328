//! Syntax errors that show the position in the text.

use std::fmt::Write as _;
use std::ops::Range;

use crate::error::{Error, ErrorKind};

/// How many characters of the line are shown on each side of the error.
const CONTEXT_CHARS: usize = 40;

/// `message`, and below it the line of `text` with the characters of `span` underlined.
pub(super) fn syntax_error(text: &str, span: Range<usize>, message: &str) -> Error {
    let line_start = text[..span.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line = text[line_start..].split('\n').next().unwrap_or_default();
    let before = text[line_start..span.start].chars().count();
    let width = text[span].chars().take_while(|&c| c != '\n').count().max(1);

    let skipped = before.saturating_sub(CONTEXT_CHARS);
    let mut shown = line.chars().skip(skipped).map(visible);
    let mut excerpt = String::from(if skipped > 0 { "…" } else { "" });
    excerpt.extend(shown.by_ref().take(before - skipped + CONTEXT_CHARS));
    if shown.next().is_some() {
        excerpt.push('…');
    }
    let indent = before - skipped + usize::from(skipped > 0);
    let width = width
        .min(excerpt.chars().count().saturating_sub(indent))
        .max(1);

    let mut full = format!("cannot parse the query: {message}, at ");
    let row = text[..line_start].matches('\n').count() + 1;
    if row > 1 {
        // Writing to a string does not fail.
        let _ = write!(full, "line {row}, ");
    }
    let _ = write!(
        full,
        "column {}\n  {excerpt}\n  {}{}",
        before + 1,
        " ".repeat(indent),
        "^".repeat(width)
    );
    Error::new(ErrorKind::Syntax, full)
}

/// Replaces control characters by one of one column, so that the underline is aligned.
fn visible(c: char) -> char {
    if c.is_control() { '·' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, span: Range<usize>, expected: &str) {
        assert_eq!(syntax_error(text, span, "no").to_string(), expected);
    }

    #[test]
    fn underlines_the_place() {
        check(
            "a bc d",
            2..4,
            "cannot parse the query: no, at column 3\n  a bc d\n    ^^",
        );
        check("", 0..0, "cannot parse the query: no, at column 1\n  \n  ^");
        check(
            "åå bb",
            5..7,
            "cannot parse the query: no, at column 4\n  åå bb\n     ^^",
        );
        check(
            "one\ntwo\tx\nthree",
            8..9,
            "cannot parse the query: no, at line 2, column 5\n  two·x\n      ^",
        );
    }

    #[test]
    fn shortens_long_lines() {
        let text = format!("{}X{}", "a".repeat(100), "b".repeat(100));
        let expected = format!(
            "cannot parse the query: no, at column 101\n  …{}X{}…\n  {}^",
            "a".repeat(40),
            "b".repeat(39),
            " ".repeat(41)
        );
        check(&text, 100..101, &expected);
    }

    #[test]
    fn a_span_over_several_lines_is_underlined_on_its_first() {
        check(
            "\"ab\ncd",
            0..6,
            "cannot parse the query: no, at column 1\n  \"ab\n  ^^^",
        );
    }
}
