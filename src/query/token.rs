//! Splits text into tokens, each with its position.
//!
//! The parser decides what a word means: `order` may be a keyword, an attribute or a value.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::Result;
use crate::query::literal::Operator;
use crate::query::place::syntax_error;

/// A token and the range of the text that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) lexeme: Lexeme<'a>,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Lexeme<'a> {
    /// A keyword, a path or a bare value.
    Word(&'a str),
    /// The text between quotes, with escapes resolved.
    Quoted(Cow<'a, str>),
    /// An operator that consists of signs.
    Sign(Operator),
    Open,
    Close,
    Comma,
    /// A placeholder in a template: `{}` or `{name}`.
    Hole,
    /// After the last token.
    End,
}

/// Whether `{}` is a placeholder, and `{{` and `}}` stand for braces.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Braces {
    Plain,
    Holes,
}

/// Splits `text` into tokens; the last one is [`Lexeme::End`].
pub(super) fn tokenize(text: &str, braces: Braces) -> Result<Vec<Token<'_>>> {
    let mut lexer = Lexer {
        text,
        at: 0,
        braces,
    };
    let mut tokens = Vec::with_capacity(text.len() / 5 + 1);
    loop {
        let token = lexer.next()?;
        let ended = token.lexeme == Lexeme::End;
        tokens.push(token);
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    braces: Braces,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Token<'a>> {
        let text = self.text;
        self.at = text.len() - text[self.at..].trim_start().len();
        let start = self.at;
        let rest = &text[start..];
        let mut chars = rest.chars();
        let (lexeme, length) = match (chars.next(), chars.next()) {
            (None, _) => (Lexeme::End, 0),
            (Some('('), _) => (Lexeme::Open, 1),
            (Some(')'), _) => (Lexeme::Close, 1),
            (Some(','), _) => (Lexeme::Comma, 1),
            // Not documented, but accepted by servers.
            (Some('='), Some('=')) => (Lexeme::Sign(Operator::Is), 2),
            (Some('<'), Some('>')) => return self.error(2, "write `<>` as `!=` or `is_not`"),
            (Some('='), _) => (Lexeme::Sign(Operator::Is), 1),
            (Some('!'), Some('=')) => (Lexeme::Sign(Operator::IsNot), 2),
            (Some('>'), Some('=')) => (Lexeme::Sign(Operator::GreaterOrEqual), 2),
            (Some('<'), Some('=')) => (Lexeme::Sign(Operator::LessOrEqual), 2),
            (Some('>'), _) => (Lexeme::Sign(Operator::Greater), 1),
            (Some('<'), _) => (Lexeme::Sign(Operator::Less), 1),
            (Some(quote @ ('"' | '\'')), _) => self.quoted(quote)?,
            (Some('\\'), _) => {
                return self.error(1, "a value with a backslash must stand in quotes");
            }
            (Some('{' | '}'), _) if self.braces == Braces::Holes => match hole_length(rest) {
                Some(length) => (Lexeme::Hole, length),
                None => {
                    let message = "a value is written as `{}`, a variable as `{name}`; a text with \
                         braces must be quoted";
                    return self.error(1, message);
                }
            },
            _ => {
                let length = self.word_length(rest);
                (Lexeme::Word(&rest[..length]), length)
            }
        };
        self.at += length;
        Ok(Token {
            lexeme,
            span: start..self.at,
        })
    }

    /// A word ends where another token can begin: `key=value`, `(a,b)`, `"x"and`.
    fn word_length(&self, rest: &str) -> usize {
        let ends = |c: char| {
            c.is_whitespace()
                || matches!(c, '(' | ')' | ',' | '"' | '\'' | '=' | '<' | '>' | '\\')
                || (matches!(c, '{' | '}') && self.braces == Braces::Holes)
        };
        let length = rest.find(ends).unwrap_or(rest.len());
        // `!` belongs to the operator in `name!=x`, but to the word in `hello!`.
        if length > 1 && rest[length..].starts_with('=') && rest[..length].ends_with('!') {
            length - 1
        } else {
            length
        }
    }

    /// A backslash escapes a quote or a backslash. Before any other character it stands for itself,
    /// because the official clients send Windows paths that way.
    fn quoted(&self, quote: char) -> Result<(Lexeme<'a>, usize)> {
        let rest = &self.text[self.at..];
        let mut value = Cow::Borrowed("");
        let mut from = 1;
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                append(&mut value, &rest[from..at]);
                return Ok((Lexeme::Quoted(value), at + 1));
            }
            let next = chars.peek().map(|&(_, next)| next);
            let escaped = match c {
                '\\' => matches!(next, Some('"' | '\'' | '\\')),
                '{' | '}' if self.braces == Braces::Holes => {
                    if next != Some(c) {
                        let message = "a placeholder is between quotes: remove the quotes, because \
                             values are quoted as needed; a brace is written `{{` or `}}`";
                        let start = self.at + at;
                        return Err(syntax_error(self.text, start..start + 1, message));
                    }
                    true
                }
                _ => false,
            };
            if escaped {
                append(&mut value, &rest[from..at]);
                from = at + 1;
                chars.next();
            }
        }
        self.error(
            rest.len(),
            &format!("the text that starts here has no closing {quote}"),
        )
    }

    fn error<T>(&self, length: usize, message: &str) -> Result<T> {
        Err(syntax_error(self.text, self.at..self.at + length, message))
    }
}

/// The length of the placeholder at the beginning of `text`: `{}` or `{name}`.
fn hole_length(text: &str) -> Option<usize> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then_some(name.len() + 2)
}

/// Appends `piece`, copying only if `value` is not empty.
fn append<'a>(value: &mut Cow<'a, str>, piece: &'a str) {
    if value.is_empty() {
        *value = Cow::Borrowed(piece);
    } else {
        value.to_mut().push_str(piece);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Words as they are, quoted texts in guillemets, everything else as one writes it.
    fn show(text: &str, braces: Braces) -> String {
        let tokens = tokenize(text, braces).unwrap();
        let shown = tokens.iter().map(|token| match &token.lexeme {
            Lexeme::Word(word) => (*word).to_owned(),
            Lexeme::Quoted(value) => format!("«{value}»"),
            Lexeme::Sign(operator) => format!("<{operator}>"),
            Lexeme::Open => "(".to_owned(),
            Lexeme::Close => ")".to_owned(),
            Lexeme::Comma => ",".to_owned(),
            Lexeme::Hole => "{}".to_owned(),
            Lexeme::End => "$".to_owned(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tokens() {
        for (text, expected) in [
            ("", "$"),
            ("  \t\n ", "$"),
            ("Task where name is x", "Task where name is x $"),
            (r#""x"and key is "y""#, "«x» and key is «y» $"),
            ("key=some_key", "key <is> some_key $"),
            (
                "a!=b c>=1 d<=-2 e<3 f>4",
                "a <is_not> b c <>=> 1 d <<=> -2 e <<> 3 f <>> 4 $",
            ),
            ("name is hello! ", "name is hello! $"),
            ("in (a,b, c)", "in ( a , b , c ) $"),
            ("parent[Folder].name", "parent[Folder].name $"),
            ("2018-05-25T10:00:00+02:00", "2018-05-25T10:00:00+02:00 $"),
            ("a@b.c %x_y* 50% 1/2 {}", "a@b.c %x_y* 50% 1/2 {} $"),
            (
                r#""a\"b" 'a\'b' "a'b" 'a"b'"#,
                "«a\"b» «a'b» «a'b» «a\"b» $",
            ),
            (r#""C:\temp\\x\%""#, r"«C:\temp\x\%» $"),
            (r#""\\" "" ''"#, r"«\» «» «» $"),
            ("\"line\nbreak\u{0}\"", "«line\nbreak\u{0}» $"),
        ] {
            assert_eq!(show(text, Braces::Plain), expected, "{text}");
        }
    }

    #[test]
    fn holes() {
        for (text, expected) in [
            (
                "name is {} and id in ({},{})",
                "name is {} and id in ( {} , {} ) $",
            ),
            ("x={}and", "x <is> {} and $"),
            (r#"a is "{{}}" "#, "a is «{}» $"),
            (r#"a is "x{{""#, "a is «x{» $"),
            ("a is {name}and", "a is {} and $"),
        ] {
            assert_eq!(show(text, Braces::Holes), expected, "{text}");
        }
        for text in [
            "name is \"{}\"",
            "name is '{x}'",
            "name is {a.b}",
            "{{",
            "}",
        ] {
            tokenize(text, Braces::Holes).unwrap_err();
        }
    }

    #[test]
    fn spans_cover_the_text_of_their_token() {
        let text = "name is \"å\\\"x\"and b>= 3";
        let spans: Vec<_> = tokenize(text, Braces::Plain)
            .unwrap()
            .into_iter()
            .map(|token| &text[token.span])
            .collect();
        assert_eq!(
            spans,
            ["name", "is", "\"å\\\"x\"", "and", "b", ">=", "3", ""]
        );
    }
}
