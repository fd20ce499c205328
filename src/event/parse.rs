//! Reading the text form of an expression.

use crate::error::{Error, ErrorKind, Result};
use crate::event::expression::{Expression, MAX_DEPTH, Operator};

/// Reads a whole expression.
pub(crate) fn parse(text: &str) -> Result<Expression> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    parser.skip_blanks();
    if parser.at == text.len() {
        return Err(Error::new(
            ErrorKind::Syntax,
            "the event expression is empty",
        ));
    }
    let expression = parser.any()?;
    if parser.at < text.len() {
        return Err(parser.expected("'and', 'or' or the end"));
    }
    expression.check()
}

/// The quote that a value needs: none if it is plain, `None` if there is no way to write it.
///
/// The official client takes what stands between the quotes as it is, without escapes, so a
/// value with both quotes cannot be written.
pub(crate) fn quote_for(value: &str) -> Option<&'static str> {
    if !value.is_empty() && value.bytes().all(is_plain) {
        return Some("");
    }
    ["\"", "'"].into_iter().find(|quote| {
        let closed = [value, quote].concat();
        quoted_end(closed.as_bytes(), 0, quote.as_bytes()[0]) == Some(value.len())
    })
}

/// Whether a name can be written as a field.
pub(crate) fn is_field(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name)
}

pub(crate) fn too_deep() -> String {
    format!("the event expression nests deeper than {MAX_DEPTH}")
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// `or` binds loosest.
    fn any(&mut self) -> Result<Expression> {
        let first = self.all()?;
        if !self.keyword("or") {
            return Ok(first);
        }
        let mut parts = vec![first, self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(Expression::any(parts))
    }

    fn all(&mut self) -> Result<Expression> {
        let first = self.not()?;
        if !self.keyword("and") {
            return Ok(first);
        }
        let mut parts = vec![first, self.not()?];
        while self.keyword("and") {
            parts.push(self.not()?);
        }
        Ok(Expression::all(parts))
    }

    fn not(&mut self) -> Result<Expression> {
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
    fn nested(&mut self, inner: fn(&mut Self) -> Result<Expression>) -> Result<Expression> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::Syntax, too_deep()));
        }
        let expression = inner(self)?;
        self.depth -= 1;
        Ok(expression)
    }

    fn condition(&mut self) -> Result<Expression> {
        let field = self.word(is_name);
        if field.is_empty() {
            return Err(self.expected("a field such as topic"));
        }
        self.skip_blanks();
        let operator = self.operator()?;
        self.skip_blanks();
        let value = self.value()?;
        self.skip_blanks();
        Ok(Expression::compare(field, operator, value))
    }

    fn operator(&mut self) -> Result<Operator> {
        let rest = &self.text.as_bytes()[self.at..];
        let (operator, length) = match rest {
            [b'!', b'=', ..] => (Operator::NotEqual, 2),
            [b'>', b'=', ..] => (Operator::AtLeast, 2),
            [b'<', b'=', ..] => (Operator::AtMost, 2),
            [b'=', ..] => (Operator::Equal, 1),
            [b'>', ..] => (Operator::Greater, 1),
            [b'<', ..] => (Operator::Less, 1),
            _ => return Err(self.expected("one of = != >= <= > <")),
        };
        self.at += length;
        Ok(operator)
    }

    fn value(&mut self) -> Result<&'a str> {
        let Some(quote @ (b'"' | b'\'')) = self.peek() else {
            let word = self.word(is_plain);
            if word.is_empty() {
                return Err(self.expected("a value; put it into quotes if it has blanks"));
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
            Some("") | None => "it ends".to_string(),
            Some(rest) => format!(
                "{:?} stands there",
                rest.chars().take(20).collect::<String>()
            ),
        };
        let at = self
            .text
            .get(..self.at)
            .map_or(self.at, |before| before.chars().count())
            + 1;
        let text: String = self.text.chars().take(200).collect();
        let message =
            format!("event expression {text:?}, character {at}: expected {what}, {found}");
        Error::new(ErrorKind::Syntax, message)
    }
}

/// Where a quoted value that starts at `start` ends: doubled quotes and quotes after a
/// backslash belong to it, line breaks do not, as in the official client's parser.
fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            // What follows is part of the value, whatever it is.
            b'\\' => at += 2,
            b'\n' | b'\r' => return None,
            byte if *byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if *byte == quote => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

fn is_plain(byte: u8) -> bool {
    is_name(byte) || matches!(byte, b'-' | b',' | b'/' | b'*' | b'@' | b'+')
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
            ("(topic=a", "character 9: expected ')', it ends"),
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
