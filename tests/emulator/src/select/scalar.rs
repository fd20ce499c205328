//! Paths that end at one value: for `order by`, `group by`, sub-selects and comparisons.

use crate::database::model::{Collection, Model, Reference, Storage, Type, Via};
use crate::error::{Fault, Result};
use crate::language::tree::Segment;
use crate::schema::Kind;
use crate::select::{Bound, computed, find, unknown_attribute};

/// A value in SQL and its type.
#[derive(Debug)]
pub struct Scalar {
    /// The expression.
    pub sql: String,
    /// How to read its value.
    pub kind: Kind,
}

/// The value at the end of a path that begins at the row `alias`.
///
/// # Errors
///
/// If an attribute does not exist or is calculated outside the database.
pub fn scalar(
    model: &Model,
    bound: &mut Bound,
    ty: &Type,
    alias: &str,
    path: &[Segment],
) -> Result<Scalar> {
    let Some((first, rest)) = path.split_first() else {
        return Err(Fault::syntax("A path is empty"));
    };
    let (owner, attr) = model
        .attribute(ty, &first.name)
        .ok_or_else(|| unknown_attribute(model, ty, &first.name))?;
    if rest.is_empty() {
        return leaf(owner, &attr.storage, &attr.schema.kind, alias, &first.name);
    }
    match &attr.storage {
        Storage::Reference(reference) => {
            let target = target(model, reference.target, first)?;
            let inner = bound.alias();
            let value = scalar(model, bound, target, &inner, rest)?;
            let table = &model.table(target).name;
            let join = joined(reference, alias, &inner);
            let scope =
                scope(target, &inner).map_or_else(String::new, |scope| format!(" AND {scope}"));
            let sql = format!(
                "(SELECT {} FROM \"{table}\" {inner} WHERE {join}{scope})",
                value.sql
            );
            Ok(Scalar {
                sql,
                kind: value.kind,
            })
        }
        // Of several values the smallest counts [?].
        Storage::Collection(Collection {
            target: id,
            via: Via::Column(column, condition),
        }) => {
            let target = target(model, *id, first)?;
            let inner = bound.alias();
            let value = scalar(model, bound, target, &inner, rest)?;
            let table = &model.table(target).name;
            let condition = condition.map_or_else(String::new, |text| {
                format!(" AND {}", text.replace("{}", &inner))
            });
            let sql = format!(
                "(SELECT MIN({}) FROM \"{table}\" {inner} WHERE {inner}.\"{column}\" = {alias}.id{condition})",
                value.sql
            );
            Ok(Scalar {
                sql,
                kind: value.kind,
            })
        }
        _ => Err(Fault::validation(format!(
            "{}.{} cannot be followed here: use one of its own attributes",
            owner.name, first.name
        ))),
    }
}

/// The value of an attribute of the row `alias`; for a reference, its key.
///
/// # Errors
///
/// If the attribute has no single value in the database.
pub fn leaf(
    owner: &Type,
    storage: &Storage,
    kind: &Kind,
    alias: &str,
    name: &str,
) -> Result<Scalar> {
    let sql = match storage {
        Storage::Column(column) => Some(format!("{alias}.\"{column}\"")),
        Storage::Computed(computed) => computed::sql(*computed, alias),
        Storage::Reference(reference) if reference.is_latest_version => {
            Some(computed::latest_version(alias))
        }
        Storage::Reference(reference) => Some(format!("{alias}.\"{}\"", reference.own[0])),
        Storage::Collection(_) => None,
    };
    let kind = if matches!(storage, Storage::Reference(_)) {
        Kind::Key
    } else {
        kind.clone()
    };
    let sql = sql.ok_or_else(|| {
        Fault::validation(format!(
            "{}.{name} cannot be compared, sorted or grouped: use one of its attributes",
            owner.name
        ))
    })?;
    Ok(Scalar { sql, kind })
}

/// The condition that joins a reference with its target.
pub fn joined(reference: &Reference, alias: &str, inner: &str) -> String {
    if reference.is_latest_version {
        return format!("{inner}.id = {}", computed::latest_version(alias));
    }
    let pairs = reference.theirs.iter().zip(&reference.own);
    let pairs: Vec<_> = pairs
        .map(|(theirs, own)| format!("{inner}.\"{theirs}\" = {alias}.\"{own}\""))
        .collect();
    pairs.join(" AND ")
}

/// The type at the other end of a relation: the cast's, if there is one.
///
/// # Errors
///
/// If the cast names a type that the relation cannot hold.
pub fn target<'m>(model: &'m Model, declared: usize, segment: &Segment) -> Result<&'m Type> {
    let declared = &model.types[declared];
    let Some(cast) = &segment.cast else {
        return Ok(declared);
    };
    let cast = find(model, cast)?;
    if cast.table != declared.table {
        return Err(Fault::validation(format!(
            "{}[{}] is not possible: it holds {}",
            segment.name, cast.name, declared.name
        )));
    }
    Ok(cast)
}

/// The condition that a row of the table is one of the type's.
pub fn scope(ty: &Type, alias: &str) -> Option<String> {
    let discriminator = ty.discriminator?;
    let quoted: Vec<_> = ty
        .kinds
        .iter()
        .map(|kind| format!("'{}'", kind.replace('\'', "''")))
        .collect();
    match quoted.as_slice() {
        [] => None,
        [one] => Some(format!("{alias}.\"{discriminator}\" = {one}")),
        // The sign keeps the planner from collecting most of the table through an index.
        _ => Some(format!(
            "+{alias}.\"{discriminator}\" IN ({})",
            quoted.join(", ")
        )),
    }
}
