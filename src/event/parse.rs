//! Parsing the text form of a filter.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::event::filter::Filter;
use crate::event::lexical::{MAX_DEPTH, is_name, is_plain, quoted_end, too_deep};
use crate::event::matching::Comparison;

/// What a subscription takes as its filter: a text or a [`Filter`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event filter",
    label = "expected a text such as \"topic=ftrack.update\", or an `event::Filter`"
)]
pub trait IntoFilter {
    /// Parses or checks the filter.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`] if it is not a valid filter: the message says where and why.
    fn into_filter(self) -> Result<Filter>;
}

impl IntoFilter for &str {
    fn into_filter(self) -> Result<Filter> {
        parse(self)
    }
}

impl IntoFilter for String {
    fn into_filter(self) -> Result<Filter> {
        parse(&self)
    }
}

impl IntoFilter for Filter {
    fn into_filter(self) -> Result<Filter> {
        self.check()
    }
}

impl<F: IntoFilter + Clone> IntoFilter for &F {
    fn into_filter(self) -> Result<Filter> {
        self.clone().into_filter()
    }
}

impl FromStr for Filter {
    type Err = Error;

    /// Parses the text form.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`] if it is not a valid filter: the message says where and why.
    fn from_str(text: &str) -> Result<Self> {
        parse(text)
    }
}

/// Parses a whole filter.
fn parse(text: &str) -> Result<Filter> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    parser.skip_blanks();
    if parser.at == text.len() {
        return Err(Error::new(ErrorKind::Syntax, "the event filter is empty"));
    }
    let filter = parser.any()?;
    if parser.at < text.len() {
        return Err(parser.expected("'and', 'or' or the end"));
    }
    filter.check()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// `or` binds loosest.
    fn any(&mut self) -> Result<Filter> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(Filter::any(parts))
    }

    fn all(&mut self) -> Result<Filter> {
        let mut parts = vec![self.not()?];
        while self.keyword("and") {
            parts.push(self.not()?);
        }
        Ok(Filter::all(parts))
    }

    fn not(&mut self) -> Result<Filter> {
        let start = self.at;
        if self.keyword("not") {
            // A field may be called "not": then an operator follows.
            if self.peek().is_some_and(|byte| b"=!<>".contains(&byte)) {
                self.at = start;
                return self.condition();
            }
            return Ok(!self.nested(Self::not)?);
        }
        if self.peek() != Some(b'(') {
            return self.condition();
        }
        self.at += 1;
        self.skip_blanks();
        let inner = self.nested(Self::any)?;
        if self.peek() != Some(b')') {
            return Err(self.expected("')'"));
        }
        self.at += 1;
        self.skip_blanks();
        Ok(inner)
    }

    /// Keeps the parser's own recursion within bounds.
    fn nested(&mut self, inner: fn(&mut Self) -> Result<Filter>) -> Result<Filter> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::Syntax, too_deep()));
        }
        let filter = inner(self)?;
        self.depth -= 1;
        Ok(filter)
    }

    fn condition(&mut self) -> Result<Filter> {
        let field = self.word(is_name);
        if field.is_empty() {
            return Err(self.expected("a field such as topic"));
        }
        self.skip_blanks();
        let operator = self.operator()?;
        self.skip_blanks();
        let value = self.value()?;
        self.skip_blanks();
        Ok(Filter::compare(field, operator, value))
    }

    fn operator(&mut self) -> Result<Comparison> {
        let rest = &self.text.as_bytes()[self.at..];
        let (operator, length) = match rest {
            [b'!', b'=', ..] => (Comparison::NotEqual, 2),
            [b'>', b'=', ..] => (Comparison::AtLeast, 2),
            [b'<', b'=', ..] => (Comparison::AtMost, 2),
            [b'=', ..] => (Comparison::Equal, 1),
            [b'>', ..] => (Comparison::Greater, 1),
            [b'<', ..] => (Comparison::Less, 1),
            _ => return Err(self.expected("one of = != >= <= > <")),
        };
        self.at += length;
        Ok(operator)
    }

    fn value(&mut self) -> Result<&'a str> {
        let Some(quote @ (b'"' | b'\'')) = self.peek() else {
            let word = self.word(is_plain);
            if word.is_empty() {
                return Err(self.expected("a value; quote it if it contains blanks"));
            }
            return Ok(word);
        };
        let start = self.at + 1;
        let Some(end) = quoted_end(self.text.as_bytes(), start, quote) else {
            return Err(self.expected("a closing quote after this one"));
        };
        self.at = end + 1;
        Ok(&self.text[start..end])
    }

    /// Takes a keyword in any case, if it stands here as a whole word.
    fn keyword(&mut self, word: &str) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let Some(head) = rest.get(..word.len()) else {
            return false;
        };
        let ends = rest.get(word.len()).is_none_or(|byte| !is_name(*byte));
        if !ends || !head.eq_ignore_ascii_case(word.as_bytes()) {
            return false;
        }
        self.at += word.len();
        self.skip_blanks();
        true
    }

    fn word(&mut self, accept: fn(u8) -> bool) -> &'a str {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest
            .iter()
            .position(|byte| !accept(*byte))
            .unwrap_or(rest.len());
        let word = &self.text[self.at..self.at + length];
        self.at += length;
        word
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn expected(&self, what: &str) -> Error {
        let found = match self.text.get(self.at..) {
            Some("") | None => "found the end".to_string(),
            Some(rest) => format!("found {:?}", rest.chars().take(20).collect::<String>()),
        };
        let at = self
            .text
            .get(..self.at)
            .map_or(self.at, |before| before.chars().count())
            + 1;
        let text: String = self.text.chars().take(200).collect();
        let message = format!("event filter {text:?}, character {at}: expected {what}, {found}");
        Error::new(ErrorKind::Syntax, message)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn reads_the_official_language() {
        for (text, printed) in [
            ("topic=a", "topic=a"),
            ("  topic = a  ", "topic=a"),
            ("topic=\"a b\"", "topic=\"a b\""),
            ("topic='a b'", "topic=\"a b\""),
            ("a=1 AND b=2 Or c=3", "a=1 and b=2 or c=3"),
            ("a=1 and (b=2 or c=3)", "a=1 and (b=2 or c=3)"),
            ("(a=1 and b=2) or c=3", "a=1 and b=2 or c=3"),
            ("not(a=1)and b=2", "not a=1 and b=2"),
            ("not not a=1", "a=1"),
            ("not (a=1 or b=2)", "not (a=1 or b=2)"),
            (
                "a!=1 and b>=2 and c<=3 and d>4 and e<5",
                "a!=1 and b>=2 and c<=3 and d>4 and e<5",
            ),
            ("not=1", "not=1"),
            ("and=or", "and=or"),
            ("order=1 or android=2", "order=1 or android=2"),
            (r"path='C:\temp\x'", r#"path="C:\temp\x""#),
            ("t=a@b.c-d/e,f+g*", "t=a@b.c-d/e,f+g*"),
            ("n='Ä'", "n=\"Ä\""),
            (r#"n="it's \"x\"""#, r#"n="it's \"x\"""#),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn says_where_it_cannot_read() {
        for (text, expected) in [
            ("", "empty"),
            ("   ", "empty"),
            ("topic", "character 6: expected one of ="),
            ("topic=", "character 7: expected a value"),
            ("=a", "character 1: expected a field"),
            (
                "topic=a b=c",
                "character 9: expected 'and', 'or' or the end",
            ),
            ("topic='a", "character 7: expected a closing quote"),
            ("topic='a\nb'", "closing quote"),
            ("(topic=a", "character 9: expected ')', found the end"),
            ("topic=a)", "character 8: expected 'and'"),
            ("topic=a and", "character 12: expected a field"),
            ("töpic=a", "character 2"),
            ("topic=ä", "character 7: expected a value"),
            ("a=\"\"b\"\"", "character 5"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Syntax);
            assert!(error.to_string().contains(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn refuses_to_nest_without_end() {
        for text in ["(".repeat(100_000), "not ".repeat(100_000)] {
            let error = parse(&format!("{text}a=1")).unwrap_err();
            assert!(
                error.to_string().contains("nests deeper than 64"),
                "{error}"
            );
        }
    }
}
