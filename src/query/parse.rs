//! Tokens to a tree, by recursive descent.
//!
//! `or` is read by a function that reads `and`, which reads `not`, parentheses and comparisons.
//! Keywords are told from attributes and values by their place, whatever their case.

use std::ops::Range;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::query::operand::{Operand, compare, one_of};
use crate::query::place::syntax_error;
use crate::query::token::{Braces, Lexeme, Token, tokenize};
use crate::query::tree::{
    Aggregate, Criterion, Kind, Literal, MAX_DEPTH, Operator, Order, Path, Projection, Refusal,
    Statement, Word,
};

impl FromStr for Statement {
    type Err = Error;

    /// Reads `select a, b from Type where … order by … group by … offset N limit N`; everything
    /// but the type may be left out, and the clauses after `where` may stand in any order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Syntax`](crate::ErrorKind::Syntax), showing the place.
    fn from_str(text: &str) -> Result<Self> {
        parse(text, Braces::Plain, &[], Parser::whole_statement)
    }
}

impl FromStr for Criterion {
    type Err = Error;

    /// Reads what stands after `where`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Syntax`](crate::ErrorKind::Syntax), showing the place.
    fn from_str(text: &str) -> Result<Self> {
        parse(text, Braces::Plain, &[], Parser::whole_criterion)
    }
}

impl FromStr for Projection {
    type Err = Error;

    /// Reads `name`, `status.name` or `count(id)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Syntax`](crate::ErrorKind::Syntax), showing the place.
    fn from_str(text: &str) -> Result<Self> {
        parse(text, Braces::Plain, &[], Parser::whole_projection)
    }
}

/// A template, as a statement, with `operands` in its holes.
pub(super) fn statement_of(
    template: &str,
    operands: &[Result<Operand, Refusal>],
) -> Result<Statement> {
    parse(template, Braces::Holes, operands, |parser| {
        parser.statement()
    })
}

/// A template, as a condition, with `operands` in its holes.
pub(super) fn criterion_of(
    template: &str,
    operands: &[Result<Operand, Refusal>],
) -> Result<Criterion> {
    parse(template, Braces::Holes, operands, Parser::whole_criterion)
}

/// Applies `read` to the whole of `text`.
fn parse<'a, T>(
    text: &'a str,
    braces: Braces,
    operands: &'a [Result<Operand, Refusal>],
    read: fn(&mut Parser<'a>) -> Result<T>,
) -> Result<T> {
    let tokens = tokenize(text, braces)?;
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
        operands,
        filled: 0,
    };
    let result = read(&mut parser)?;
    if parser.filled < operands.len() {
        let message = format!(
            "{} values are given for {} places `{{}}`",
            operands.len(),
            parser.filled
        );
        return Err(parser.error(&message));
    }
    Ok(result)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    operands: &'a [Result<Operand, Refusal>],
    filled: usize,
}

/// Whole texts.
impl Parser<'_> {
    fn whole_statement(&mut self) -> Result<Statement> {
        let statement = self.statement()?;
        self.end("the end")?;
        Ok(statement)
    }

    fn whole_criterion(&mut self) -> Result<Criterion> {
        let criterion = self.any_of()?;
        self.end("`and`, `or` or the end")?;
        Ok(criterion)
    }

    fn whole_projection(&mut self) -> Result<Projection> {
        let projection = self.projection()?;
        self.end("the end")?;
        Ok(projection)
    }

    fn end(&self, expected: &str) -> Result<()> {
        if *self.peek() == Lexeme::End {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }
}

/// Statements.
impl Parser<'_> {
    fn statement(&mut self) -> Result<Statement> {
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
        let text = self.text;
        let path = self
            .peeked_path()
            .filter(|path| path.segments().len() == 1 && path.segments()[0].cast().is_none());
        if path.is_none() {
            return Err(self.expected("an entity type"));
        }
        Ok(text[self.advance()].to_owned())
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

    fn projection(&mut self) -> Result<Projection> {
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
        let word = match self.literal() {
            Ok(Literal::Word(word)) => word,
            Err(error) if *self.peek() == Lexeme::Hole => return Err(error),
            _ => return Err(self.expected_at(place, &format!("a number after `{clause}`"))),
        };
        let digits = word.as_str().strip_prefix('-').unwrap_or(word.as_str());
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.expected_at(place, &format!("a whole number after `{clause}`")));
        }
        word.as_str().parse().map_err(|_| {
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

/// Conditions.
impl Parser<'_> {
    fn any_of(&mut self) -> Result<Criterion> {
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

    /// `( … )`; nothing between the parentheses is no condition.
    fn group(&mut self) -> Result<Criterion> {
        self.advance();
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
        let (word, length) = match *self.peek() {
            Lexeme::Sign(operator) => {
                self.advance();
                return self.compared(path, operator);
            }
            Lexeme::Word(word) => (word.to_ascii_lowercase(), 1),
            _ => (String::new(), 0),
        };
        let place = self.at;
        self.at += length;
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
        compare(path, operator, operand).map_err(|error| self.at_value(place, &error))
    }

    fn looked_up(&mut self, path: Path, negated: bool) -> Result<Criterion> {
        let place = self.at;
        let operand = if *self.peek() == Lexeme::Hole {
            self.operand()?
        } else {
            self.set()?
        };
        let found = one_of(path, operand, negated).map_err(|error| self.at_value(place, &error))?;
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
        if *self.peek() != Lexeme::Open {
            return Err(self.expected("`(`"));
        }
        self.group().map(Box::new)
    }

    fn operand(&mut self) -> Result<Operand> {
        if *self.peek() == Lexeme::Hole {
            return self.fill();
        }
        self.literal().map(Operand::Value)
    }

    fn literal(&mut self) -> Result<Literal> {
        let literal = match self.peek() {
            Lexeme::Word(word) => bare(word),
            Lexeme::Quoted(value) => Literal::Text(value.clone().into_owned()),
            Lexeme::Hole => {
                let place = self.at;
                return match self.fill()? {
                    Operand::Value(literal) => Ok(literal),
                    _ => Err(self.error_at(place, "one plain value must stand here")),
                };
            }
            _ => return Err(self.expected("a value")),
        };
        self.advance();
        Ok(literal)
    }

    fn path(&mut self) -> Result<Path> {
        let Some(path) = self.peeked_path() else {
            return Err(self.expected("an attribute"));
        };
        self.advance();
        Ok(path)
    }

    fn peeked_path(&self) -> Option<Path> {
        match self.peek() {
            Lexeme::Word(word) => word.parse().ok(),
            _ => None,
        }
    }

    /// Nothing is built that could not be taken apart again.
    fn built(&self, criterion: Criterion) -> Result<Criterion> {
        match criterion.kind() {
            Kind::Refused(refusal) => Err(self.error(&refusal.to_string())),
            _ => Ok(criterion),
        }
    }
}

/// Values in holes.
impl Parser<'_> {
    fn fill(&mut self) -> Result<Operand> {
        let place = self.at;
        let Some(operand) = self.operands.get(self.filled) else {
            return Err(self.error("there is no value for this `{}`"));
        };
        self.filled += 1;
        self.advance();
        operand
            .clone()
            .map_err(|refusal| self.at_value(place, &refusal.into()))
    }

    fn filled_criterion(&mut self) -> Result<Criterion> {
        let place = self.at;
        match self.fill()? {
            Operand::Criterion(criterion) => Ok(*criterion),
            _ => Err(self.error_at(
                place,
                "a condition must stand here; an attribute is written into the template, or \
                 given to `field`",
            )),
        }
    }
}

/// Reading on, and saying why not.
impl<'a> Parser<'a> {
    fn peek(&self) -> &Lexeme<'a> {
        &self.tokens[self.at].lexeme
    }

    fn peek_after(&self) -> &Lexeme<'a> {
        let next = (self.at + 1).min(self.tokens.len() - 1);
        &self.tokens[next].lexeme
    }

    /// Reads past one token, but never past the end.
    fn advance(&mut self) -> Range<usize> {
        let span = self.tokens[self.at].span.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        span
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Lexeme::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn require(&mut self, keyword: &str, expected: &str) -> Result<()> {
        if self.keyword(keyword) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn open(&mut self) -> Result<()> {
        if *self.peek() != Lexeme::Open {
            return Err(self.expected("`(`"));
        }
        self.advance();
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if *self.peek() != Lexeme::Close {
            return Err(self.expected("`)`"));
        }
        self.advance();
        Ok(())
    }

    fn list<T>(&mut self, item: fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while *self.peek() == Lexeme::Comma {
            self.advance();
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reads one level deeper. A tree of the greatest depth may end in `not ()`, which is two
    /// levels of text.
    fn nested<T>(&mut self, read: fn(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH + 2 {
            return Err(self.error(&format!("this is nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn expected(&self, what: &str) -> Error {
        self.expected_at(self.at, what)
    }

    fn expected_at(&self, place: usize, what: &str) -> Error {
        let found = match &self.tokens[place].lexeme {
            Lexeme::End => "the end".to_owned(),
            Lexeme::Quoted(_) => "a quoted text".to_owned(),
            _ => format!("`{}`", &self.text[self.tokens[place].span.clone()]),
        };
        self.error_at(place, &format!("expected {what}, found {found}"))
    }

    fn error(&self, message: &str) -> Error {
        self.error_at(self.at, message)
    }

    fn error_at(&self, place: usize, message: &str) -> Error {
        syntax_error(self.text, self.tokens[place].span.clone(), message)
    }

    /// What is wrong with a value, of the kind that it has, and where it stands.
    fn at_value(&self, place: usize, error: &Error) -> Error {
        let shown = self.error_at(place, &error.to_string());
        Error::new(error.kind(), shown.to_string())
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
