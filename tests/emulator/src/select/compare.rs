//! One value compared with a literal, a pattern, a list or a sub-select.

use rusqlite::types::Value as Sql;

use crate::database::value::{excerpt, from_literal};
use crate::error::{Fault, Result};
use crate::language::tree::{Comparison, Literal, Set};
use crate::schema::Kind;
use crate::select::condition::Compiler;
use crate::select::scalar::Scalar;

/// What the database takes at most.
const LONGEST_PATTERN: usize = 50_000;

impl Compiler<'_> {
    pub(super) fn compare(
        &mut self,
        value: &Scalar,
        comparison: Comparison,
        literal: &Literal,
        name: &str,
    ) -> Result<String> {
        let sql = &value.sql;
        let text = match (literal, comparison) {
            (Literal::None, Comparison::Equal) => return Ok(format!("{sql} IS NULL")),
            (Literal::None, Comparison::Unequal) => return Ok(format!("{sql} IS NOT NULL")),
            (Literal::None, _) => {
                return Err(Fault::validation(format!(
                    "{name} cannot be compared with none by size: use is or is_not"
                )));
            }
            (Literal::Text(text), _) => text,
        };
        if matches!(comparison, Comparison::Like | Comparison::NotLike) {
            return self.like(sql, text, comparison == Comparison::NotLike);
        }
        if value.kind == Kind::Variable {
            return Ok(self.compare_variable(sql, comparison, text));
        }
        let bound =
            from_literal(&value.kind, text).ok_or_else(|| misfit(name, &value.kind, text))?;
        Ok(format!(
            "{sql} {} {}",
            sign(comparison),
            self.bound.bind(bound)
        ))
    }

    /// The built-in `LIKE` knows the case of ASCII letters only.
    fn like(&mut self, sql: &str, pattern: &str, is_negated: bool) -> Result<String> {
        let not = if is_negated { "NOT " } else { "" };
        let (sql, pattern) = if pattern.is_ascii() {
            (sql.to_owned(), pattern.to_owned())
        } else {
            (format!("fold({sql})"), pattern.to_lowercase())
        };
        if pattern.len() > LONGEST_PATTERN {
            return Err(Fault::validation(format!(
                "The pattern \"{}\" is longer than {LONGEST_PATTERN} bytes",
                excerpt(&pattern)
            )));
        }
        let pattern = self.bound.bind(Sql::Text(pattern));
        Ok(format!("{sql} {not}LIKE {pattern} ESCAPE '\\'"))
    }

    /// A custom attribute's value may be a number, an instant, a choice or text: the literal is
    /// compared with each form that it can have.
    fn compare_variable(&mut self, sql: &str, comparison: Comparison, text: &str) -> String {
        match comparison {
            Comparison::Equal => return self.any_form(sql, std::iter::once(text)),
            Comparison::Unequal => return self.no_form(sql, std::iter::once(text)),
            _ => {}
        }
        let sign = sign(comparison);
        let number = from_literal(&Kind::Number, text);
        let flag = from_literal(&Kind::Boolean, text).filter(|_| number.is_none());
        let mut forms = Vec::new();
        if number.is_none() {
            let instant = from_literal(&Kind::DateTime, text);
            let text = instant.unwrap_or_else(|| Sql::Text(text.to_owned()));
            let text = self.bound.bind(text);
            forms.push(format!(
                "(typeof({sql}) = 'text' AND {sql} {sign} {text} COLLATE FOLD)"
            ));
        }
        if let Some(number) = number.or(flag) {
            let number = self.bound.bind(number);
            forms.push(format!(
                "(typeof({sql}) IN ('integer', 'real') AND {sql} {sign} {number})"
            ));
        }
        format!("({})", forms.join(" OR "))
    }

    /// Whether it is one of several literals, in any form. A day is kept as it is written.
    fn any_form<'t>(&mut self, sql: &str, texts: impl Iterator<Item = &'t str>) -> String {
        let (mut numbers, mut others) = (Vec::new(), Vec::new());
        for text in texts {
            let number = from_literal(&Kind::Number, text);
            let instant = from_literal(&Kind::DateTime, text).filter(|_| number.is_none());
            numbers.extend(number.or_else(|| from_literal(&Kind::Boolean, text)));
            others.extend(instant);
            others.push(Sql::Text(text.to_owned()));
            others.push(Sql::Text(serde_json::Value::from(vec![text]).to_string()));
        }
        let (numbers, others) = (self.list(numbers), self.list(others));
        format!(
            "(typeof({sql}) IN ('integer', 'real') AND {sql} IN {numbers} \
             OR typeof({sql}) = 'text' AND ({sql} COLLATE FOLD) IN {others})"
        )
    }

    /// Whether there is a value that is none of them.
    fn no_form<'t>(&mut self, sql: &str, texts: impl Iterator<Item = &'t str>) -> String {
        let any = self.any_form(sql, texts);
        format!("({sql} IS NOT NULL AND NOT {any})")
    }

    /// One bound value holds the whole list, however long it is.
    fn list(&mut self, members: Vec<Sql>) -> String {
        let members = members.into_iter().map(|member| match member {
            Sql::Integer(number) => serde_json::Value::from(number),
            Sql::Real(number) => serde_json::Value::from(number),
            Sql::Text(text) => serde_json::Value::from(text),
            _ => serde_json::Value::Null,
        });
        let members = serde_json::Value::from_iter(members).to_string();
        let members = self.bound.bind(Sql::Text(members));
        format!("(SELECT value FROM json_each({members}))")
    }

    pub(super) fn contained(
        &mut self,
        value: &Scalar,
        set: &Set,
        is_negated: bool,
        name: &str,
    ) -> Result<String> {
        let not = if is_negated { "NOT " } else { "" };
        let sql = &value.sql;
        let list = match set {
            Set::Query(statement) => {
                return Ok(format!("{sql} {not}IN ({})", self.subquery(statement)?));
            }
            Set::List(list) => list,
        };
        let texts = list.iter().filter_map(|literal| match literal {
            Literal::Text(text) => Some(text.as_str()),
            Literal::None => None,
        });
        let has_none = list.contains(&Literal::None);
        let found = if value.kind == Kind::Variable {
            match is_negated {
                true => self.no_form(sql, texts),
                false => self.any_form(sql, texts),
            }
        } else {
            let bound = texts.map(|text| {
                from_literal(&value.kind, text).ok_or_else(|| misfit(name, &value.kind, text))
            });
            let members = self.list(bound.collect::<Result<_>>()?);
            format!("{sql} {not}IN {members}")
        };
        Ok(match (has_none, is_negated) {
            (false, _) => found,
            (true, false) => format!("({found} OR {sql} IS NULL)"),
            (true, true) => format!("({found} AND {sql} IS NOT NULL)"),
        })
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Unequal => "<>",
        Comparison::Greater => ">",
        Comparison::Less => "<",
        Comparison::GreaterOrEqual => ">=",
        Comparison::LessOrEqual => "<=",
        Comparison::Like => "LIKE",
        Comparison::NotLike => "NOT LIKE",
    }
}

fn misfit(name: &str, kind: &Kind, text: &str) -> Fault {
    let expected = match kind {
        Kind::Boolean => "true or false",
        Kind::DateTime => "a date-time such as 2026-01-31T12:00:00",
        _ => "a number",
    };
    Fault::validation(format!(
        "{name} is compared with \"{}\", which is not {expected}",
        excerpt(text)
    ))
}
