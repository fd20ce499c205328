//! Criteria to SQL conditions.
//!
//! Scalars follow SQL: a comparison with nothing is neither true nor false. Relations are
//! two-valued: a row that is not there does not meet any criterion, so `not x has (…)` is true.

use crate::database::model::{Attr, Model, Storage, Type};
use crate::error::{Fault, Result};
use crate::language::tree::{Comparison, Expression, Literal, Path, Segment, Set};
use crate::schema::Kind;
use crate::select::relate::{by_collection, by_reference};
use crate::select::scalar::{Scalar, leaf, scope, target};
use crate::select::{Bound, unknown_attribute};

/// The most criteria of a statement: the database's time grows faster than their number, and it limits
/// the values to bind. Clients name 500 composite keys in one query.
const MAX_CRITERIA: usize = 2000;

/// Translates criteria into SQL and collects the values to bind.
#[derive(Debug)]
pub struct Compiler<'m> {
    /// Where everything is stored.
    pub model: &'m Model,
    /// The values to bind.
    pub bound: Bound,
    criteria: usize,
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
            criteria: 0,
        }
    }

    /// The condition that the row `alias` of type `ty` meets the criteria.
    ///
    /// # Errors
    ///
    /// If an attribute does not exist, a value does not fit it, or there are too many criteria.
    pub fn condition(&mut self, criteria: &Expression, ty: &Type, alias: &str) -> Result<String> {
        let is_joined = matches!(criteria, Expression::And(_) | Expression::Or(_));
        self.criteria += usize::from(!is_joined);
        if self.criteria > MAX_CRITERIA {
            return Err(Fault::validation(format!(
                "The query has more than {MAX_CRITERIA} criteria: look for several values of an \
                 attribute with in, or ask for less at once"
            )));
        }
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
}

pub(super) fn key_of(ty: &Type, alias: &str) -> Result<Scalar> {
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
