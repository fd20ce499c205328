//! Paths and values, also those of placeholders.

use super::Parser;
use crate::error::Result;
use crate::query::literal::{Literal, PUNCTUATION, Word};
use crate::query::operand::Operand;
use crate::query::path::Path;
use crate::query::token::Lexeme;

impl Parser<'_> {
    pub(super) fn operand(&mut self) -> Result<Operand> {
        if *self.peek() == Lexeme::Hole {
            return self.fill();
        }
        self.literal().map(Operand::Value)
    }

    pub(super) fn literal(&mut self) -> Result<Literal> {
        let literal = match self.peek() {
            Lexeme::Word(word) => bare(word).map_err(|other| {
                self.error(&format!(
                    "a value with {other:?} must be quoted; without quotes, values consist of \
                     letters, digits and {PUNCTUATION}"
                ))
            })?,
            Lexeme::Quoted(value) => Literal::Text(value.clone().into_owned()),
            Lexeme::Hole => return self.filled_literal(),
            _ => return Err(self.expected("a value")),
        };
        self.advance();
        Ok(literal)
    }

    pub(super) fn path(&mut self) -> Result<Path> {
        let path = match self.peek() {
            Lexeme::Word(word) => word.parse().ok(),
            _ => None,
        };
        let Some(path) = path else {
            return Err(self.expected("an attribute"));
        };
        self.advance();
        Ok(path)
    }

    fn filled_literal(&mut self) -> Result<Literal> {
        let place = self.at;
        match self.fill()? {
            Operand::Value(literal) => Ok(literal),
            _ => Err(self.error_at(place, "one plain value must stand here")),
        }
    }

    /// The value of the next placeholder.
    pub(super) fn fill(&mut self) -> Result<Operand> {
        let place = self.at;
        let Some(operand) = self.operands.get(self.filled) else {
            return Err(self.error("there is no value for this placeholder"));
        };
        self.filled += 1;
        self.advance();
        operand
            .clone()
            .map_err(|error| self.at_value(place, error.into()))
    }
}

/// A value without quotes, or the first character that needs them. Keywords are values here, and
/// printed in quotes, as are letters outside ASCII.
fn bare(word: &str) -> Result<Literal, char> {
    let is = |other: &str| word.eq_ignore_ascii_case(other);
    let needs_quotes = |c: &char| !c.is_alphanumeric() && !PUNCTUATION.contains(*c);
    if is("none") || is("null") {
        Ok(Literal::Null)
    } else if is("true") || is("false") {
        Ok(Literal::Bool(is("true")))
    } else if let Some(word) = Word::new(word) {
        Ok(Literal::Word(word))
    } else {
        match word.chars().find(needs_quotes) {
            Some(other) => Err(other),
            None => Ok(Literal::Text(word.to_owned())),
        }
    }
}
