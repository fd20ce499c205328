//! The words, values and signs of a query.

use crate::error::{Fault, Result};

/// One token and where it begins, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Sign<'a>,
    /// Its first byte in the text.
    pub start: usize,
}

/// The kinds of tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Sign<'a> {
    /// A bare word: a keyword, a path or a value, by its place.
    Word(&'a str),
    /// A quoted value, without quotes and escapes.
    Quoted(String),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Operator(&'static str),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// The end of the text.
    End,
}

/// More tokens are refused: they take forty times the space of the text.
const LIMIT: usize = 1_000_000;

/// Splits a query into tokens. The last one is [`Sign::End`].
///
/// # Errors
///
/// If a quoted value does not end, or a character has no meaning.
pub fn tokens(text: &str) -> Result<Vec<Token<'_>>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let start = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            found.push(Token {
                kind: Sign::End,
                start,
            });
            return Ok(found);
        };
        let (kind, length) = match first {
            '(' => (Sign::Open, 1),
            ')' => (Sign::Close, 1),
            ',' => (Sign::Comma, 1),
            '"' | '\'' => quoted(text, start, first)?,
            '=' | '!' | '<' | '>' => operator(text, start)?,
            _ => word(text, start)?,
        };
        if found.len() == LIMIT {
            return Err(at(text, start, "the query is too long, split it"));
        }
        found.push(Token { kind, start });
        rest = &rest[length..];
    }
}

/// A backslash makes a quote or a backslash part of the value; before anything else it stays, so
/// that `like "100\%"` keeps its meaning.
fn quoted(text: &str, start: usize, quote: char) -> Result<(Sign<'static>, usize)> {
    let mut value = String::new();
    let mut characters = text[start + 1..].char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some(&(_, next @ ('"' | '\'' | '\\')))) => {
                characters.next();
                // An escaped backslash before a wildcard would otherwise lose its meaning.
                value.push(next);
            }
            (end, _) if end == quote => return Ok((Sign::Quoted(value), offset + 2)),
            (other, _) => value.push(other),
        }
    }
    Err(at(text, start, "this quoted value does not end"))
}

fn operator(text: &str, start: usize) -> Result<(Sign<'static>, usize)> {
    const OPERATORS: [&str; 7] = ["==", "!=", "<=", ">=", "=", "<", ">"];
    let found = OPERATORS
        .into_iter()
        .find(|sign| text[start..].starts_with(sign));
    match found {
        Some("==") => Ok((Sign::Operator("="), 2)),
        Some(sign) => Ok((Sign::Operator(sign), sign.len())),
        None => Err(at(text, start, "this sign has no meaning")),
    }
}

fn word(text: &str, start: usize) -> Result<(Sign<'_>, usize)> {
    let is_end = |c: char| c.is_whitespace() || "()=!<>,\"'".contains(c) || c.is_control();
    let rest = &text[start..];
    let length = rest.find(is_end).unwrap_or(rest.len());
    let is_strange = |c: char| !c.is_alphanumeric() && !"_-.@+:*%/[]".contains(c);
    if let Some(offset) = rest[..length]
        .find(is_strange)
        .or((length == 0).then_some(0))
    {
        return Err(at(text, start + offset, "this character has no meaning"));
    }
    Ok((Sign::Word(&rest[..length]), length))
}

/// An error that shows the place.
pub fn at(text: &str, position: usize, what: &str) -> Fault {
    let mut from = position.saturating_sub(20);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = (position + 30).min(text.len());
    while !text.is_char_boundary(to) {
        to += 1;
    }
    let (before, after) = (&text[from..position.min(to)], &text[position.min(to)..to]);
    let dots = |is_cut| if is_cut { "…" } else { "" };
    Fault::syntax(format!(
        "Cannot read the query at position {position}: {what}. Here: {}{before}⟶{after}{}",
        dots(from > 0),
        dots(to < text.len()),
    ))
}
