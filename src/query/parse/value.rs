//! Paths and values, those in holes included.

use super::Parser;
use crate::error::Result;
use crate::query::literal::{Literal, Word};
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
            Lexeme::Word(word) => bare(word),
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

    /// The next value that was given.
    pub(super) fn fill(&mut self) -> Result<Operand> {
        let place = self.at;
        let Some(operand) = self.operands.get(self.filled) else {
            return Err(self.error("there is no value for this `{}`"));
        };
        self.filled += 1;
        self.advance();
        operand
            .clone()
            .map_err(|error| self.at_value(place, error.into()))
    }
}

/// A value without quotes. What is neither a constant nor a plain word is as good as quoted.
fn bare(word: &str) -> Literal {
    let is = |other: &str| word.eq_ignore_ascii_case(other);
    if is("none") || is("null") {
        Literal::Null
    } else if is("true") || is("false") {
        Literal::Bool(is("true"))
    } else {
        Word::new(word).map_or_else(|| Literal::Text(word.to_owned()), Literal::Word)
    }
}
