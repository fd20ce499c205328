//! Tokens to a syntax tree, by recursive descent with a limited depth.

use crate::error::{Fault, Result};
use crate::language::token::{Sign, Token, at, tokens};
use crate::language::tree::{
    Aggregate, Comparison, Expression, Literal, Order, Path, Projection, Segment, Set, Statement,
};

/// Deeper nesting is refused before it can exhaust a stack.
const DEPTH: usize = 100;
/// Longer queries are refused; ten thousand ids take a twentieth of it.
const LENGTH: usize = 16 << 20;

/// Parses a query.
///
/// # Errors
///
/// If the text is no query; the error says where.
pub fn parse(text: &str) -> Result<Statement> {
    if text.len() > LENGTH {
        return Err(Fault::syntax(format!(
            "The query is longer than {LENGTH} bytes: split it"
        )));
    }
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
    };
    let statement = parser.statement()?;
    match parser.peek() {
        Sign::End => Ok(statement),
        _ => Err(parser.error("expected the end of the query")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn statement(&mut self) -> Result<Statement> {
        self.enter()?;
        let mut projections = Vec::new();
        // A type could be called "select", but not be followed by anything but a clause.
        if self.is_word("select") {
            self.next += 1;
            projections = self.list(Self::projection)?;
            self.expect_word("from")?;
        }
        let entity_type = self.name("the name of an entity type")?;
        let mut statement = Statement {
            projections,
            entity_type,
            filter: None,
            order: Vec::new(),
            group: Vec::new(),
            offset: 0,
            limit: None,
        };
        if self.take_word("where") {
            statement.filter = Some(self.any()?);
        }
        while self.clause(&mut statement)? {}
        self.depth -= 1;
        Ok(statement)
    }

    /// The clauses after the criteria, in any order.
    fn clause(&mut self, statement: &mut Statement) -> Result<bool> {
        if self.take_word("order") {
            self.expect_word("by")?;
            statement.order = self.list(Self::order)?;
        } else if self.take_word("group") {
            self.expect_word("by")?;
            statement.group = self.list(Self::path)?;
        } else if self.take_word("offset") {
            statement.offset = self.count()?;
        } else if self.take_word("limit") {
            statement.limit = Some(self.count()?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while *self.peek() == Sign::Comma {
            self.next += 1;
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn projection(&mut self) -> Result<Projection> {
        let function = match (self.peek(), self.sign(1)) {
            (Sign::Word(word), Sign::Open) => Some(aggregate(word)),
            _ => None,
        };
        match function {
            None => Ok(Projection::Path(self.path()?)),
            Some(None) => Err(self.error("expected count, sum, avg, min or max")),
            Some(Some(function)) => {
                self.next += 2;
                let path = self.path()?;
                self.expect(&Sign::Close, "\")\"")?;
                Ok(Projection::Aggregate(function, path))
            }
        }
    }

    fn order(&mut self) -> Result<Order> {
        let path = self.path()?;
        let is_descending = self.take_word("desc") || self.take_word("descending");
        if !is_descending {
            let _ = self.take_word("asc") || self.take_word("ascending");
        }
        Ok(Order {
            path,
            is_descending,
        })
    }

    fn path(&mut self) -> Result<Path> {
        let start = self.start();
        let Sign::Word(word) = *self.peek() else {
            return Err(self.error("expected an attribute"));
        };
        self.next += 1;
        let segments = word.split('.').map(segment).collect::<Option<Vec<_>>>();
        let segments = segments.ok_or_else(|| at(self.text, start, "this is no attribute"))?;
        if segments.len() > DEPTH {
            return Err(at(self.text, start, "this path is too long"));
        }
        Ok(Path { segments, start })
    }

    /// `and` binds tighter than `or`.
    fn any(&mut self) -> Result<Expression> {
        self.enter()?;
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expression::Or(parts)
        })
    }

    fn all(&mut self) -> Result<Expression> {
        let mut parts = vec![self.negated()?];
        while self.take_word("and") {
            parts.push(self.negated()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expression::And(parts)
        })
    }

    fn negated(&mut self) -> Result<Expression> {
        let mut is_negated = false;
        // An attribute may be called "not"; then an operator follows.
        while self.is_word("not") && !matches!(self.sign(1), Sign::Operator(_)) {
            self.next += 1;
            is_negated = !is_negated;
        }
        let inner = if *self.peek() == Sign::Open {
            self.next += 1;
            let inner = self.any()?;
            self.expect(&Sign::Close, "\")\"")?;
            inner
        } else {
            self.criterion()?
        };
        Ok(if is_negated {
            Expression::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn criterion(&mut self) -> Result<Expression> {
        let path = self.path()?;
        let word = match *self.peek() {
            Sign::Operator(sign) => sign.to_owned(),
            Sign::Word(word) => word.to_ascii_lowercase(),
            _ => return Err(self.error("expected an operator")),
        };
        if let Some(comparison) = comparison(&word) {
            self.next += 1;
            return Ok(Expression::Compare(path, comparison, self.literal()?));
        }
        match word.as_str() {
            "in" | "not_in" => {
                self.next += 1;
                Ok(Expression::In(path, self.set()?, word == "not_in"))
            }
            "has" | "any" => {
                self.next += 1;
                self.related(path)
            }
            _ => Err(self.error("expected an operator such as is, is_not, like, in, has or any")),
        }
    }

    fn related(&mut self, path: Path) -> Result<Expression> {
        self.expect(&Sign::Open, "\"(\"")?;
        if *self.peek() == Sign::Close {
            self.next += 1;
            return Ok(Expression::Related(path, None));
        }
        let inner = self.any()?;
        self.expect(&Sign::Close, "\")\"")?;
        Ok(Expression::Related(path, Some(Box::new(inner))))
    }

    fn set(&mut self) -> Result<Set> {
        self.expect(&Sign::Open, "\"(\"")?;
        let set = if self.is_word("select") && !matches!(self.sign(1), Sign::Comma | Sign::Close) {
            Set::Query(Box::new(self.statement()?))
        } else if *self.peek() == Sign::Close {
            Set::List(Vec::new())
        } else {
            Set::List(self.list(Self::literal)?)
        };
        self.expect(&Sign::Close, "\")\"")?;
        Ok(set)
    }

    fn literal(&mut self) -> Result<Literal> {
        let literal = match self.peek() {
            Sign::Quoted(text) => Literal::Text(text.clone()),
            Sign::Word(word) if matches!(word.to_ascii_lowercase().as_str(), "none" | "null") => {
                Literal::None
            }
            Sign::Word(word) => Literal::Text((*word).to_owned()),
            _ => return Err(self.error("expected a value")),
        };
        self.next += 1;
        Ok(literal)
    }

    fn count(&mut self) -> Result<u64> {
        let digits = match self.peek() {
            Sign::Word(word) if word.bytes().all(|byte| byte.is_ascii_digit()) => *word,
            _ => return Err(self.error("expected a whole number")),
        };
        let number = digits.parse::<i64>();
        let number = number.map_err(|_| self.error("expected a number below 2^63"))?;
        self.next += 1;
        Ok(number.unsigned_abs())
    }

    fn name(&mut self, what: &str) -> Result<String> {
        match *self.peek() {
            Sign::Word(word) => {
                self.next += 1;
                Ok(word.to_owned())
            }
            _ => Err(self.error(&format!("expected {what}"))),
        }
    }

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error("the criteria are nested too deeply"));
        }
        Ok(())
    }

    fn peek(&self) -> &Sign<'a> {
        self.sign(0)
    }

    /// Beyond the end there is nothing but the end.
    fn sign(&self, ahead: usize) -> &Sign<'a> {
        &self.tokens[(self.next + ahead).min(self.tokens.len() - 1)].kind
    }

    fn start(&self) -> usize {
        self.tokens[self.next.min(self.tokens.len() - 1)].start
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Sign::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_there = self.is_word(word);
        self.next += usize::from(is_there);
        is_there
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.take_word(word) {
            Ok(())
        } else {
            Err(self.error(&format!("expected \"{word}\"")))
        }
    }

    fn expect(&mut self, sign: &Sign<'_>, what: &str) -> Result<()> {
        if self.peek() != sign {
            return Err(self.error(&format!("expected {what}")));
        }
        self.next += 1;
        Ok(())
    }

    fn error(&self, what: &str) -> Fault {
        at(self.text, self.start(), what)
    }
}

fn aggregate(word: &str) -> Option<Aggregate> {
    Some(match word.to_ascii_lowercase().as_str() {
        "count" => Aggregate::Count,
        "sum" => Aggregate::Sum,
        "avg" => Aggregate::Avg,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        _ => return None,
    })
}

fn comparison(word: &str) -> Option<Comparison> {
    Some(match word {
        "=" | "is" => Comparison::Equal,
        "!=" | "is_not" => Comparison::Unequal,
        ">" | "after" | "greater_than" => Comparison::Greater,
        "<" | "before" | "less_than" => Comparison::Less,
        ">=" => Comparison::GreaterOrEqual,
        "<=" => Comparison::LessOrEqual,
        "like" => Comparison::Like,
        "not_like" => Comparison::NotLike,
        _ => return None,
    })
}

/// `parent` or `parent[Folder]`.
fn segment(text: &str) -> Option<Segment> {
    let (name, cast) = match text.split_once('[') {
        Some((name, cast)) => (name, Some(cast.strip_suffix(']')?)),
        None => (text, None),
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    (is_name(name) && cast.is_none_or(is_name)).then(|| Segment {
        name: name.to_owned(),
        cast: cast.map(str::to_owned),
    })
}
