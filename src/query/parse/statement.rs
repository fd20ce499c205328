//! Statements: what to select, from what, and the clauses after the condition.

use super::Parser;
use crate::error::Result;
use crate::query::literal::Literal;
use crate::query::path::is_name;
use crate::query::token::Lexeme;
use crate::query::tree::{Aggregate, MAX_ROWS, Order, Projection, Statement};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        let mut statement = Statement::default();
        if self.keyword("select") {
            statement.projections = self.list(Self::projection)?;
            self.require("from", "`,` or `from`")?;
        }
        statement.entity_type = self.entity_type()?;
        if self.keyword("where") {
            statement.filter = Some(self.any_of()?);
        }
        while let Some(clause) = self.clause(&statement)? {
            match clause {
                Clause::Order => statement.order = self.list(Self::order)?,
                Clause::Group => statement.group = self.list(Self::path)?,
                Clause::Offset => statement.offset = Some(self.number("offset")?),
                Clause::Limit => statement.limit = Some(self.number("limit")?),
            }
        }
        Ok(statement)
    }

    fn entity_type(&mut self) -> Result<String> {
        match *self.peek() {
            Lexeme::Word(word) if is_name(word) => {
                self.advance();
                Ok(word.to_owned())
            }
            _ => Err(self.expected("an entity type")),
        }
    }

    /// The keyword of the next clause after `where`, read past.
    fn clause(&mut self, so_far: &Statement) -> Result<Option<Clause>> {
        let start = self.at;
        let (clause, given) = if self.keyword("order") {
            (Clause::Order, !so_far.order.is_empty())
        } else if self.keyword("group") {
            (Clause::Group, !so_far.group.is_empty())
        } else if self.keyword("offset") {
            (Clause::Offset, so_far.offset.is_some())
        } else if self.keyword("limit") {
            (Clause::Limit, so_far.limit.is_some())
        } else if matches!(self.peek(), Lexeme::End | Lexeme::Close) {
            return Ok(None);
        } else if so_far.filter.is_some() {
            return Err(
                self.expected("`and`, `or`, `order by`, `group by`, `offset`, `limit` or the end")
            );
        } else {
            return Err(
                self.expected("`where`, `order by`, `group by`, `offset`, `limit` or the end")
            );
        };
        if given {
            self.at = start;
            return Err(self.error("this clause is given twice"));
        }
        if matches!(clause, Clause::Order | Clause::Group) {
            self.require("by", "`by`")?;
        }
        Ok(Some(clause))
    }

    pub(super) fn projection(&mut self) -> Result<Projection> {
        let function = match (self.peek(), self.peek_after()) {
            (Lexeme::Word(word), Lexeme::Open) => aggregate(word),
            (_, Lexeme::Open) => None,
            _ => return self.path().map(Projection::Attribute),
        };
        let Some(function) = function else {
            return Err(self.expected("`count`, `sum`, `avg`, `min` or `max` before `(`"));
        };
        self.advance();
        self.advance();
        let path = self.path()?;
        self.close()?;
        Ok(Projection::Aggregate(function, path))
    }

    fn order(&mut self) -> Result<Order> {
        let path = self.path()?;
        let descending = self.keyword("descending") || self.keyword("desc");
        if !descending && !self.keyword("ascending") {
            self.keyword("asc");
        }
        Ok(Order { path, descending })
    }

    fn number(&mut self, clause: &str) -> Result<u64> {
        let place = self.at;
        let value = match self.peek() {
            Lexeme::Word(_) | Lexeme::Hole => self.literal()?,
            _ => Literal::Null,
        };
        let Literal::Word(word) = value else {
            return Err(self.expected_at(place, &format!("a number after `{clause}`")));
        };
        let digits = word.as_str().strip_prefix('-').unwrap_or(word.as_str());
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.expected_at(place, &format!("a whole number after `{clause}`")));
        }
        let rows = word.as_str().parse().ok().filter(|&rows| rows <= MAX_ROWS);
        rows.ok_or_else(|| {
            let problem = if digits == word.as_str() {
                "too large"
            } else {
                "below zero"
            };
            self.error_at(place, &format!("the number after `{clause}` is {problem}"))
        })
    }
}

#[derive(Clone, Copy)]
enum Clause {
    Order,
    Group,
    Offset,
    Limit,
}

fn aggregate(word: &str) -> Option<Aggregate> {
    match word.to_ascii_lowercase().as_str() {
        "count" => Some(Aggregate::Count),
        "sum" => Some(Aggregate::Sum),
        "avg" => Some(Aggregate::Avg),
        "min" => Some(Aggregate::Min),
        "max" => Some(Aggregate::Max),
        _ => None,
    }
}
