//! Conditions: `or` of `and` of comparisons, negations and groups.

use super::Parser;
use crate::error::Result;
use crate::query::literal::Operator;
use crate::query::operand::{Operand, compare, one_of};
use crate::query::path::Path;
use crate::query::token::Lexeme;
use crate::query::tree::{Criterion, Kind};

impl Parser<'_> {
    pub(super) fn any_of(&mut self) -> Result<Criterion> {
        let first = self.all_of()?;
        if !self.at_keyword("or") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.keyword("or") {
            parts.push(self.all_of()?);
        }
        self.built(Criterion::any_of(parts))
    }

    fn all_of(&mut self) -> Result<Criterion> {
        let first = self.one()?;
        if !self.at_keyword("and") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.keyword("and") {
            parts.push(self.one()?);
        }
        self.built(Criterion::all_of(parts))
    }

    /// What `and` joins: a group, a negation or a comparison.
    fn one(&mut self) -> Result<Criterion> {
        if *self.peek() == Lexeme::Open {
            return self.group();
        }
        if self.keyword("not") {
            let inner = self.nested(Self::one)?;
            return self.built(inner.not());
        }
        if *self.peek() == Lexeme::Hole {
            return self.filled_criterion();
        }
        self.comparison()
    }

    /// `( … )`; empty parentheses stand for a condition that always holds.
    fn group(&mut self) -> Result<Criterion> {
        self.open()?;
        if *self.peek() == Lexeme::Close {
            self.advance();
            return Ok(Kind::And(Vec::new()).into());
        }
        let inner = self.nested(Self::any_of)?;
        self.close()?;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Criterion> {
        let path = self.path()?;
        let place = self.at;
        let word = match *self.peek() {
            Lexeme::Sign(operator) => {
                self.advance();
                return self.compared(path, operator);
            }
            Lexeme::Word(word) => word.to_ascii_lowercase(),
            _ => String::new(),
        };
        self.advance();
        match word.as_str() {
            "is" => self.compared(path, Operator::Is),
            "is_not" => self.compared(path, Operator::IsNot),
            "after" | "greater_than" => self.compared(path, Operator::Greater),
            "before" | "less_than" => self.compared(path, Operator::Less),
            "like" => self.compared(path, Operator::Like),
            "not_like" => self.compared(path, Operator::NotLike),
            "in" => self.looked_up(path, false),
            "not_in" => self.looked_up(path, true),
            "has" => {
                let inner = self.inner()?;
                self.built(Kind::Has { path, inner }.into())
            }
            "any" => {
                let inner = self.inner()?;
                self.built(Kind::Any { path, inner }.into())
            }
            "not" => {
                Err(self.error_at(place, "write `not_in`, `not_like` or `is_not` as one word"))
            }
            _ => Err(self.expected_at(
                place,
                "an operator: `is`, `is_not`, `in`, `not_in`, `like`, `not_like`, `has`, `any`, \
                 `<`, `<=`, `>`, `>=`, `before` or `after`",
            )),
        }
    }

    fn compared(&mut self, path: Path, operator: Operator) -> Result<Criterion> {
        let place = self.at;
        let two_words = operator == Operator::Is && self.at_keyword("not");
        let operand = self.operand()?;
        let value_follows = matches!(self.peek(), Lexeme::Quoted(_) | Lexeme::Hole);
        if two_words && (value_follows || self.at_keyword("none")) {
            return Err(self.error_at(place, "write `is_not` as one word"));
        }
        compare(path, operator, operand).map_err(|error| self.at_value(place, error))
    }

    fn looked_up(&mut self, path: Path, negated: bool) -> Result<Criterion> {
        let place = self.at;
        let operand = if *self.peek() == Lexeme::Hole {
            self.operand()?
        } else {
            self.set()?
        };
        let found = one_of(path, operand, negated).map_err(|error| self.at_value(place, error))?;
        self.built(found)
    }

    /// What stands in the parentheses after `in`.
    fn set(&mut self) -> Result<Operand> {
        self.open()?;
        let operand = if self.at_keyword("select") {
            Operand::Statement(Box::new(self.nested(Self::statement)?))
        } else if *self.peek() == Lexeme::Close {
            Operand::List(Vec::new())
        } else {
            let mut items = self.list(Self::operand)?;
            // `in ({})` is read as `in {}`: a list in parentheses is still that list.
            match items.pop() {
                Some(only @ (Operand::List(_) | Operand::Statement(_))) if items.is_empty() => only,
                last => {
                    items.extend(last);
                    Operand::List(items)
                }
            }
        };
        self.close()?;
        Ok(operand)
    }

    /// The parentheses after `has` and `any`.
    fn inner(&mut self) -> Result<Box<Criterion>> {
        self.group().map(Box::new)
    }

    fn filled_criterion(&mut self) -> Result<Criterion> {
        let place = self.at;
        match self.fill()? {
            Operand::Criterion(criterion) => {
                criterion
                    .verify()
                    .map_err(|error| self.at_value(place, error))?;
                Ok(*criterion)
            }
            _ => Err(self.error_at(
                place,
                "a condition must stand here; an attribute is written into the template, or \
                 given to `field`",
            )),
        }
    }

    /// Refuses a condition that is nested too deep to be traversed.
    fn built(&self, criterion: Criterion) -> Result<Criterion> {
        match criterion.kind() {
            Kind::Invalid(error) => Err(self.error(&error.to_string())),
            _ => Ok(criterion),
        }
    }
}
