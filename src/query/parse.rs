//! Parses tokens into a tree, by recursive descent.
//!
//! Keywords are case-insensitive. Whether a word is a keyword, an attribute or a value depends on
//! its position only.

mod criterion;
mod statement;
mod value;

use std::ops::Range;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::query::operand::Operand;
use crate::query::place::syntax_error;
use crate::query::token::{Braces, Lexeme, Token, tokenize};
use crate::query::tree::{BuildError, Criterion, MAX_DEPTH, Projection, Statement};

impl FromStr for Statement {
    type Err = Error;

    /// Parses `select a, b from Type where … order by … group by … offset N limit N`. Everything but
    /// the type is optional, and the clauses after `where` may have any order.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`](crate::ErrorKind::Syntax): the message shows the position.
    fn from_str(text: &str) -> Result<Self> {
        parse(text, Braces::Plain, &[], Parser::whole_statement)
    }
}

impl FromStr for Criterion {
    type Err = Error;

    /// Parses a condition, which is what follows `where`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`](crate::ErrorKind::Syntax): the message shows the position.
    fn from_str(text: &str) -> Result<Self> {
        parse(text, Braces::Plain, &[], Parser::whole_criterion)
    }
}

impl FromStr for Projection {
    type Err = Error;

    /// Parses `name`, `status.name` or `count(id)`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`](crate::ErrorKind::Syntax): the message shows the position.
    fn from_str(text: &str) -> Result<Self> {
        parse(text, Braces::Plain, &[], Parser::whole_projection)
    }
}

/// Parses a template of a statement, with `operands` for its placeholders.
pub(super) fn statement_of(
    template: &str,
    operands: &[Result<Operand, BuildError>],
) -> Result<Statement> {
    parse(template, Braces::Holes, operands, Parser::whole_statement)
}

/// Parses a template of a condition, with `operands` for its placeholders.
pub(super) fn criterion_of(
    template: &str,
    operands: &[Result<Operand, BuildError>],
) -> Result<Criterion> {
    parse(template, Braces::Holes, operands, Parser::whole_criterion)
}

/// Applies `read` to the whole of `text`.
fn parse<'a, T>(
    text: &'a str,
    braces: Braces,
    operands: &'a [Result<Operand, BuildError>],
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
            "the number of values is {}, and that of placeholders is {}",
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
    operands: &'a [Result<Operand, BuildError>],
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

/// Advancing, and reporting errors.
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
        self.sign(&Lexeme::Open, "`(`")
    }

    fn close(&mut self) -> Result<()> {
        self.sign(&Lexeme::Close, "`)`")
    }

    fn sign(&mut self, sign: &Lexeme<'_>, shown: &str) -> Result<()> {
        if self.peek() != sign {
            return Err(self.expected(shown));
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

    /// What is wrong with a value, of the kind that it has, and where it stands. A value that is a
    /// query itself shows its own place.
    fn at_value(&self, place: usize, error: Error) -> Error {
        if error.kind() == ErrorKind::Syntax {
            return error.context(format_args!("value {}", self.filled));
        }
        let shown = self.error_at(place, &error.to_string());
        Error::new(error.kind(), shown.to_string())
    }
}
