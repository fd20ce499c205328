//! Prints trees; the only place that quotes values.

use std::fmt::{self, Display, Formatter, Write as _};

use crate::query::literal::{Literal, Operator};
use crate::query::path::{Path, Segment};
use crate::query::tree::{Aggregate, Criterion, Kind, Order, Projection, Set, Statement};
use crate::value::write_joined;

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.projections.is_empty() {
            f.write_str("select ")?;
            write_joined(f, &self.projections, ", ")?;
            f.write_str(" from ")?;
        }
        f.write_str(&self.entity_type)?;
        if let Some(filter) = &self.filter {
            write!(f, " where {filter}")?;
        }
        if !self.order.is_empty() {
            f.write_str(" order by ")?;
            write_joined(f, &self.order, ", ")?;
        }
        if !self.group.is_empty() {
            f.write_str(" group by ")?;
            write_joined(f, &self.group, ", ")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " offset {offset}")?;
        }
        if let Some(limit) = self.limit {
            write!(f, " limit {limit}")?;
        }
        Ok(())
    }
}

impl Display for Criterion {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::And(parts) => joined(
                f,
                parts,
                " and ",
                "()",
                |part| matches!(part.unwrapped(), Kind::Or(parts) if !parts.is_empty()),
            ),
            Kind::Or(parts) => joined(f, parts, " or ", "not ()", |_| false),
            Kind::Not(inner) => {
                f.write_str("not ")?;
                let compound = matches!(
                    inner.unwrapped(),
                    Kind::And(parts) | Kind::Or(parts) if !parts.is_empty()
                );
                grouped(f, inner, compound)
            }
            Kind::Compare {
                path,
                operator,
                value,
            } => write!(f, "{path} {operator} {value}"),
            Kind::In { path, set, negated } => {
                write!(
                    f,
                    "{path} {} ({set})",
                    if *negated { "not_in" } else { "in" }
                )
            }
            Kind::Has { path, inner } => related(f, path, "has", inner),
            Kind::Any { path, inner } => related(f, path, "any", inner),
            // Not part of the language and never sent: `Statement::expression` returns the error.
            Kind::Invalid(error) => write!(f, "<{error}>"),
        }
    }
}

impl Criterion {
    /// What is printed: a single part of `and` or `or` is printed as itself.
    fn unwrapped(&self) -> &Kind {
        match self.kind() {
            Kind::And(parts) | Kind::Or(parts) if parts.len() == 1 => parts[0].unwrapped(),
            kind => kind,
        }
    }
}

impl Display for Set {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => write_joined(f, values, ", "),
            Self::Select(statement) => statement.fmt(f),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("none"),
            Self::Bool(value) => value.fmt(f),
            Self::Word(word) => f.write_str(word.as_str()),
            Self::Text(text) => quoted(f, text),
        }
    }
}

/// Only quotes and backslashes are escaped: line breaks, control characters and everything else
/// stand for themselves between quotes.
fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        // Both are one byte long.
        let (plain, special) = rest.split_at(at);
        write!(f, "{plain}\\{}", &special[..1])?;
        rest = &special[1..];
    }
    write!(f, "{rest}\"")
}

impl Display for Projection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(path) => path.fmt(f),
            Self::Aggregate(function, path) => write!(f, "{function}({path})"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        })
    }
}

impl Display for Order {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}",
            self.path,
            if self.descending { " descending" } else { "" }
        )
    }
}

impl Display for Operator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Is => "is",
            Self::IsNot => "is_not",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Like => "like",
            Self::NotLike => "not_like",
        })
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_joined(f, self.segments(), ".")
    }
}

impl Display for Segment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.cast().map_or(Ok(()), |cast| write!(f, "[{cast}]"))
    }
}

fn joined(
    f: &mut Formatter<'_>,
    parts: &[Criterion],
    word: &str,
    none: &str,
    binds_weaker: fn(&Criterion) -> bool,
) -> fmt::Result {
    if parts.is_empty() {
        return f.write_str(none);
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        grouped(f, part, parts.len() > 1 && binds_weaker(part))?;
    }
    Ok(())
}

fn grouped(f: &mut Formatter<'_>, inner: &Criterion, parentheses: bool) -> fmt::Result {
    if parentheses {
        write!(f, "({inner})")
    } else {
        inner.fmt(f)
    }
}

fn related(f: &mut Formatter<'_>, path: &Path, word: &str, inner: &Criterion) -> fmt::Result {
    match inner.kind() {
        Kind::And(parts) if parts.is_empty() => write!(f, "{path} {word} ()"),
        _ => write!(f, "{path} {word} ({inner})"),
    }
}
