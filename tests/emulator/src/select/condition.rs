//! Criteria to SQL conditions.
//!
//! Scalars follow SQL: a comparison with nothing is neither true nor false. Relations are
//! two-valued: a row that is not there does not meet any criterion, so `not x has (…)` is true.

use rusqlite::types::Value as Sql;

use crate::database::model::{Attr, Collection, Model, Reference, Storage, Type, Via};
use crate::database::value::{excerpt, from_literal};
use crate::error::{Fault, Result};
use crate::language::tree::{Comparison, Expression, Literal, Path, Segment, Set, Statement};
use crate::schema::Kind;
use crate::select::scalar::{Scalar, joined, leaf, scalar, scope, target};
use crate::select::{Bound, find, unknown_attribute};

/// Translates criteria into SQL and collects the values to bind.
#[derive(Debug)]
pub struct Compiler<'m> {
    /// Where everything is stored.
    pub model: &'m Model,
    /// The values to bind.
    pub bound: Bound,
}

/// What is asked of the attribute at the end of a path.
enum Test<'t> {
    Compare(Comparison, &'t Literal),
    In(&'t Set, bool),
    Related(Option<&'t Expression>),
}

impl<'m> Compiler<'m> {
    /// A compiler without values.
    pub fn new(model: &'m Model) -> Self {
        Self {
            model,
            bound: Bound::default(),
        }
    }

    /// The condition that the row `alias` of type `ty` meets the criteria.
    ///
    /// # Errors
    ///
    /// If an attribute does not exist or a value does not fit it.
    pub fn condition(&mut self, criteria: &Expression, ty: &Type, alias: &str) -> Result<String> {
        match criteria {
            Expression::And(parts) => self.joined(parts, " AND ", ty, alias),
            Expression::Or(parts) => self.joined(parts, " OR ", ty, alias),
            Expression::Not(inner) => Ok(format!("NOT ({})", self.condition(inner, ty, alias)?)),
            Expression::Compare(path, comparison, literal) => {
                self.follow(path, &Test::Compare(*comparison, literal), ty, alias)
            }
            Expression::In(path, set, is_negated) => {
                self.follow(path, &Test::In(set, *is_negated), ty, alias)
            }
            Expression::Related(path, inner) => {
                self.follow(path, &Test::Related(inner.as_deref()), ty, alias)
            }
        }
    }

    /// Long lists become a balanced tree: the database limits the depth of expressions.
    fn joined(
        &mut self,
        parts: &[Expression],
        sign: &str,
        ty: &Type,
        alias: &str,
    ) -> Result<String> {
        if let [one] = parts {
            return self.condition(one, ty, alias);
        }
        let (left, right) = parts.split_at(parts.len() / 2);
        let left = self.joined(left, sign, ty, alias)?;
        let right = self.joined(right, sign, ty, alias)?;
        Ok(format!("({left}{sign}{right})"))
    }

    fn follow(&mut self, path: &Path, test: &Test<'_>, ty: &Type, alias: &str) -> Result<String> {
        self.step(&path.segments, test, ty, alias)
    }

    fn step(
        &mut self,
        path: &[Segment],
        test: &Test<'_>,
        ty: &Type,
        alias: &str,
    ) -> Result<String> {
        let Some((first, rest)) = path.split_first() else {
            return Err(Fault::syntax("A path is empty"));
        };
        let model = self.model;
        let (owner, attr) = model
            .attribute(ty, &first.name)
            .ok_or_else(|| unknown_attribute(model, ty, &first.name))?;
        if rest.is_empty() {
            return self.test(owner, attr, first, test, alias);
        }
        self.related(
            attr,
            first,
            alias,
            Some(&mut |compiler, target, inner| compiler.step(rest, test, target, inner)),
        )
    }

    fn test(
        &mut self,
        owner: &Type,
        attr: &Attr,
        segment: &Segment,
        test: &Test<'_>,
        alias: &str,
    ) -> Result<String> {
        let is_relation = matches!(attr.storage, Storage::Reference(_) | Storage::Collection(_));
        match test {
            Test::Related(inner) if is_relation => match inner {
                None => self.related(attr, segment, alias, None),
                Some(inner) => self.related(
                    attr,
                    segment,
                    alias,
                    Some(&mut |compiler, ty, alias| compiler.condition(inner, ty, alias)),
                ),
            },
            Test::Related(_) => Err(Fault::validation(format!(
                "{}.{} is a value: has and any need a relation",
                owner.name, segment.name
            ))),
            Test::Compare(comparison, literal)
                if matches!(attr.storage, Storage::Collection(_)) =>
            {
                self.compare_collection(attr, segment, *comparison, literal, alias)
            }
            Test::In(set, is_negated) if matches!(attr.storage, Storage::Collection(_)) => {
                let found = self.related(
                    attr,
                    segment,
                    alias,
                    Some(&mut |compiler, target, inner| {
                        let key = key_of(target, inner)?;
                        compiler.contained(&key, set, false, &segment.name)
                    }),
                )?;
                Ok(if *is_negated {
                    format!("NOT {found}")
                } else {
                    found
                })
            }
            Test::Compare(comparison, literal) => {
                let value = leaf(
                    owner,
                    &attr.storage,
                    &attr.schema.kind,
                    alias,
                    &segment.name,
                )?;
                self.compare(&value, *comparison, literal, &segment.name)
            }
            Test::In(set, is_negated) => {
                let value = leaf(
                    owner,
                    &attr.storage,
                    &attr.schema.kind,
                    alias,
                    &segment.name,
                )?;
                self.contained(&value, set, *is_negated, &segment.name)
            }
        }
    }

    /// `collection is none` asks whether it is empty, `collection is <id>` whether it has the row.
    fn compare_collection(
        &mut self,
        attr: &Attr,
        segment: &Segment,
        comparison: Comparison,
        literal: &Literal,
        alias: &str,
    ) -> Result<String> {
        let found = match literal {
            Literal::None => self.related(attr, segment, alias, None)?,
            Literal::Text(_) => self.related(
                attr,
                segment,
                alias,
                Some(&mut |compiler, target, inner| {
                    let key = key_of(target, inner)?;
                    compiler.compare(&key, Comparison::Equal, literal, &segment.name)
                }),
            )?,
        };
        let is_none = *literal == Literal::None;
        match comparison {
            Comparison::Equal if is_none => Ok(format!("NOT {found}")),
            Comparison::Unequal if is_none => Ok(found),
            Comparison::Equal => Ok(found),
            Comparison::Unequal => Ok(format!("NOT {found}")),
            _ => Err(Fault::validation(format!(
                "{} is a collection: compare one of its attributes",
                segment.name
            ))),
        }
    }

    /// The condition that a related row exists, and meets `inner` if there is one.
    #[allow(clippy::type_complexity, reason = "a callback that is written once")]
    fn related(
        &mut self,
        attr: &Attr,
        segment: &Segment,
        alias: &str,
        inner: Option<&mut dyn FnMut(&mut Self, &Type, &str) -> Result<String>>,
    ) -> Result<String> {
        let declared = match &attr.storage {
            Storage::Reference(reference) => reference.target,
            Storage::Collection(collection) => collection.target,
            _ => {
                return Err(Fault::validation(format!(
                    "{} has no attributes of its own",
                    segment.name
                )));
            }
        };
        let model = self.model;
        let target = target(model, declared, segment)?;
        let row = self.bound.alias();
        let has_inner = inner.is_some();
        let mut conditions = Vec::new();
        if let Some(inner) = inner {
            conditions.push(inner(self, target, &row)?);
        }
        let is_needed = segment.cast.is_some()
            || match &attr.storage {
                Storage::Reference(reference) => reference.is_narrowed,
                _ => true,
            };
        conditions.extend(scope(target, &row).filter(|_| is_needed));
        let table = &model.table(target).name;
        Ok(match &attr.storage {
            Storage::Reference(reference) => {
                by_reference(reference, table, alias, &row, &conditions)
            }
            Storage::Collection(collection) => {
                let is_view = model.table(target).is_view;
                by_collection(
                    &mut self.bound,
                    collection,
                    table,
                    alias,
                    &row,
                    conditions,
                    has_inner && !is_view,
                )
            }
            _ => String::from("0"),
        })
    }

    fn compare(
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
            return Ok(self.like(sql, text, comparison == Comparison::NotLike));
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
    fn like(&mut self, sql: &str, pattern: &str, is_negated: bool) -> String {
        let not = if is_negated { "NOT " } else { "" };
        if pattern.is_ascii() {
            let pattern = self.bound.bind(Sql::Text(pattern.to_owned()));
            return format!("{sql} {not}LIKE {pattern} ESCAPE '\\'");
        }
        let pattern = self.bound.bind(Sql::Text(pattern.to_lowercase()));
        format!("fold({sql}) {not}LIKE {pattern} ESCAPE '\\'")
    }

    /// A custom attribute's value may be a number, an instant, a choice or text: the literal is
    /// compared with each form that it can have.
    fn compare_variable(&mut self, sql: &str, comparison: Comparison, text: &str) -> String {
        let sign = match comparison {
            Comparison::Unequal => "=",
            other => self::sign(other),
        };
        let number = from_literal(&Kind::Number, text);
        let instant = from_literal(&Kind::DateTime, text).filter(|_| number.is_none());
        let flag = from_literal(&Kind::Boolean, text).filter(|_| number.is_none());
        let is_size = sign != "=";
        let mut forms = Vec::new();
        if let Some(number) = number.clone().or(flag) {
            let number = self.bound.bind(number);
            forms.push(format!(
                "(typeof({sql}) IN ('integer', 'real') AND {sql} {sign} {number})"
            ));
        }
        if !is_size || number.is_none() {
            let text = instant.unwrap_or_else(|| Sql::Text(text.to_owned()));
            let text = self.bound.bind(text);
            forms.push(format!(
                "(typeof({sql}) = 'text' AND {sql} {sign} {text} COLLATE FOLD)"
            ));
        }
        if !is_size {
            let choice = serde_json::Value::from(vec![text]).to_string();
            let choice = self.bound.bind(Sql::Text(choice));
            forms.push(format!("{sql} = {choice} COLLATE FOLD"));
        }
        let any = format!("({})", forms.join(" OR "));
        if comparison == Comparison::Unequal {
            format!("({sql} IS NOT NULL AND NOT {any})")
        } else {
            any
        }
    }

    fn contained(
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
        let mut members = Vec::new();
        for literal in list {
            let Literal::Text(text) = literal else {
                continue;
            };
            let bound =
                from_literal(&value.kind, text).ok_or_else(|| misfit(name, &value.kind, text))?;
            members.push(match bound {
                Sql::Integer(number) => serde_json::Value::from(number),
                Sql::Real(number) => serde_json::Value::from(number),
                Sql::Text(text) => serde_json::Value::from(text),
                _ => serde_json::Value::Null,
            });
        }
        let has_none = list.contains(&Literal::None);
        // One bound value holds the whole list, however long it is.
        let members = self
            .bound
            .bind(Sql::Text(serde_json::Value::from(members).to_string()));
        let found = format!("{sql} {not}IN (SELECT value FROM json_each({members}))");
        Ok(match (has_none, is_negated) {
            (false, _) => found,
            (true, false) => format!("({found} OR {sql} IS NULL)"),
            (true, true) => format!("({found} AND {sql} IS NOT NULL)"),
        })
    }

    /// `in (select a.b from Type where …)`; without a projection the key is selected.
    fn subquery(&mut self, statement: &Statement) -> Result<String> {
        use crate::language::tree::Projection;
        let model = self.model;
        let ty = find(model, &statement.entity_type)?;
        let row = self.bound.alias();
        let value = match statement.projections.as_slice() {
            [] => key_of(ty, &row)?,
            [Projection::Path(path)] => scalar(model, &mut self.bound, ty, &row, &path.segments)?,
            _ => {
                return Err(Fault::validation(
                    "A query inside of in (…) selects exactly one attribute",
                ));
            }
        };
        let tail = self.tail(
            statement,
            ty,
            &row,
            Some(&format!("{} IS NOT NULL", value.sql)),
        )?;
        Ok(format!(
            "SELECT {} FROM \"{}\" {row}{tail}",
            value.sql,
            model.table(ty).name
        ))
    }

    /// Everything after the table: criteria, order, offset and limit, each only where needed.
    ///
    /// # Errors
    ///
    /// As [`condition`](Self::condition).
    pub fn tail(
        &mut self,
        statement: &Statement,
        ty: &Type,
        row: &str,
        extra: Option<&str>,
    ) -> Result<String> {
        let mut sql = self.filter(statement, ty, row, extra)?;
        if statement.limit.is_some() || statement.offset > 0 {
            sql.push_str(&self.order(statement, ty, row)?);
            let limit = statement
                .limit
                .map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1));
            let offset = i64::try_from(statement.offset).unwrap_or(i64::MAX);
            let limit = self.bound.bind(Sql::Integer(limit));
            let offset = self.bound.bind(Sql::Integer(offset));
            sql.push_str(&format!(" LIMIT {limit} OFFSET {offset}"));
        }
        Ok(sql)
    }

    /// The criteria of a statement and the scope of its type, from ` WHERE` on.
    ///
    /// # Errors
    ///
    /// As [`condition`](Self::condition).
    pub fn filter(
        &mut self,
        statement: &Statement,
        ty: &Type,
        row: &str,
        extra: Option<&str>,
    ) -> Result<String> {
        let mut conditions: Vec<_> = scope(ty, row).into_iter().collect();
        if let Some(filter) = &statement.filter {
            conditions.push(self.condition(filter, ty, row)?);
        }
        conditions.extend(extra.map(str::to_owned));
        Ok(if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        })
    }

    /// The order of a statement, completed by the key so that it is always the same.
    ///
    /// # Errors
    ///
    /// If an attribute does not exist.
    pub fn order(&mut self, statement: &Statement, ty: &Type, row: &str) -> Result<String> {
        let mut keys = Vec::new();
        for order in &statement.order {
            let value = scalar(self.model, &mut self.bound, ty, row, &order.path.segments)?;
            keys.push(format!(
                "{}{}",
                value.sql,
                if order.is_descending { " DESC" } else { "" }
            ));
        }
        keys.extend(ty.key.iter().map(|key| format!("{row}.\"{key}\"")));
        Ok(format!(" ORDER BY {}", keys.join(", ")))
    }
}

/// A list that can be made once beats a look-up per row, as the inner criteria may be rare.
fn by_reference(
    reference: &Reference,
    table: &str,
    alias: &str,
    row: &str,
    conditions: &[String],
) -> String {
    let [own] = reference.own.as_slice() else {
        return exists(table, row, joined(reference, alias, row), conditions);
    };
    if reference.is_latest_version {
        return exists(table, row, joined(reference, alias, row), conditions);
    }
    if conditions.is_empty() {
        return format!("{alias}.\"{own}\" IS NOT NULL");
    }
    format!(
        "({alias}.\"{own}\" IS NOT NULL AND {alias}.\"{own}\" IN (SELECT {row}.\"{}\" FROM \"{table}\" {row} WHERE {}))",
        reference.theirs[0],
        conditions.join(" AND ")
    )
}

fn by_collection(
    bound: &mut Bound,
    collection: &Collection,
    table: &str,
    alias: &str,
    row: &str,
    mut conditions: Vec<String>,
    is_listed: bool,
) -> String {
    match &collection.via {
        Via::Column(column, extra) => {
            conditions.extend(extra.map(|extra| extra.replace("{}", row)));
            if !is_listed {
                return exists(
                    table,
                    row,
                    format!("{row}.\"{column}\" = {alias}.id"),
                    &conditions,
                );
            }
            conditions.push(format!("{row}.\"{column}\" IS NOT NULL"));
            format!(
                "{alias}.id IN (SELECT {row}.\"{column}\" FROM \"{table}\" {row} WHERE {})",
                conditions.join(" AND ")
            )
        }
        Via::Through {
            table: link,
            own,
            other,
            ..
        } => {
            let between = bound.alias();
            let join =
                format!("{between}.\"{own}\" = {alias}.id AND {row}.id = {between}.\"{other}\"");
            let tables = format!("{link}\" {between}, \"{table}");
            exists(&tables, row, join, &conditions)
        }
        Via::Ancestors => {
            let up = bound.alias();
            conditions.push(format!("{row}.id = {up}.id"));
            format!(
                "EXISTS (WITH RECURSIVE {up}(id) AS (SELECT {alias}.parent_id UNION \
                 SELECT c.parent_id FROM {up} CROSS JOIN context c ON c.id = {up}.id) \
                 SELECT 1 FROM {up} CROSS JOIN \"{table}\" {row} WHERE {})",
                conditions.join(" AND ")
            )
        }
        Via::Descendants => {
            let down = bound.alias();
            conditions.push(format!("{row}.id = {down}.id"));
            format!(
                "EXISTS (WITH RECURSIVE {down}(id) AS (SELECT c.id FROM context c WHERE \
                 c.parent_id = {alias}.id UNION SELECT c.id FROM {down} CROSS JOIN context c ON \
                 c.parent_id = {down}.id) SELECT 1 FROM {down} CROSS JOIN \"{table}\" {row} WHERE {})",
                conditions.join(" AND ")
            )
        }
    }
}

fn exists(table: &str, row: &str, join: String, conditions: &[String]) -> String {
    let mut all = vec![join];
    all.extend_from_slice(conditions);
    format!(
        "EXISTS (SELECT 1 FROM \"{table}\" {row} WHERE {})",
        all.join(" AND ")
    )
}

fn key_of(ty: &Type, alias: &str) -> Result<Scalar> {
    match ty.key.as_slice() {
        [key] => Ok(Scalar {
            sql: format!("{alias}.\"{key}\""),
            kind: Kind::Key,
        }),
        _ => Err(Fault::validation(format!(
            "{} has no single key: select one of its attributes",
            ty.name
        ))),
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
