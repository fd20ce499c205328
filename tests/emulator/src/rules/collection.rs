//! Setting a collection: the members that an operation lists are all that it has.

use std::collections::BTreeSet;

use rusqlite::params_from_iter;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::changes::Action;
use crate::database::model::{Storage, Type, Via};
use crate::error::{Fault, Result};
use crate::rules::assign::referred;
use crate::rules::record::{Record, key_of, plain};
use crate::rules::{Batch, effects, remove};

/// Sets the collection `position` of the row `owner` and returns references to its members.
///
/// # Errors
///
/// If a member does not exist or the collection cannot be set.
pub fn set(
    batch: &mut Batch<'_>,
    ty: &Type,
    owner: &Record,
    position: usize,
    members: &[Value],
) -> Result<Vec<Value>> {
    let attr = &ty.attributes[position];
    let Storage::Collection(collection) = &attr.storage else {
        return Ok(Vec::new());
    };
    let model = batch.model;
    let target = &model.types[collection.target];
    let subject = format!("{}.{}", ty.name, attr.name());
    if model.table(target).is_view {
        // Values of custom attributes are written on their own; their rows always exist.
        return Ok(members.to_vec());
    }
    let mut keys = Vec::new();
    let mut references = Vec::new();
    for member in members {
        let key = referred(model, &subject, target, member)?;
        let (concrete, record) = batch.find(target, &key)?.ok_or_else(|| {
            let key: Vec<_> = key.iter().map(plain).collect();
            Fault::validation(format!(
                "{subject} lists a {} that does not exist: {}",
                target.name,
                key.join(", ")
            ))
        })?;
        references.push(reference(concrete, &record));
        keys.push(key_of(target, &record));
    }
    let owner_id = owner.get("id").cloned().unwrap_or(Sql::Null);
    match &collection.via {
        Via::Column(column, extra) => {
            set_owner(batch, ty, target, (column, *extra), &owner_id, &keys)?;
        }
        Via::Through {
            table,
            own,
            other,
            has_id,
        } => {
            let link = Link {
                table,
                own: (own, ty, owner),
                other: (other, target),
                has_id: *has_id,
            };
            set_links(batch, &link, &owner_id, &keys)?;
        }
        Via::Ancestors(..) | Via::Descendants => {
            return Err(Fault::validation(format!(
                "{subject} is calculated: set parent instead"
            )));
        }
    }
    Ok(references)
}

/// A reference to a row.
pub fn reference(ty: &Type, record: &Record) -> Value {
    let mut object = json!({"__entity_type__": ty.name});
    for key in &ty.key {
        object[key] = record
            .get(key)
            .map_or(Value::Null, |value| Value::from(plain(value)));
    }
    object
}

/// Rows that point to their owner: the listed ones point here, the others nowhere. Rows that
/// cannot exist without their owner are deleted.
fn set_owner(
    batch: &mut Batch<'_>,
    ty: &Type,
    target: &Type,
    (column, extra): (&str, Option<&str>),
    owner: &Sql,
    keys: &[Vec<Sql>],
) -> Result<()> {
    let model = batch.model;
    let listed: BTreeSet<_> = keys.iter().map(|key| joined(key)).collect();
    for key in current(batch, target, column, extra, owner)? {
        if listed.contains(&joined(&key)) {
            continue;
        }
        let Some((concrete, record)) = batch.find(target, &key)? else {
            continue;
        };
        let concrete = &model.types[concrete.id];
        let is_bound = target.key.iter().any(|name| name == column)
            || target.get(column).is_some_and(|attr| attr.is_required);
        if is_bound && model.table(target).name != "context" {
            remove::row(batch, concrete, record)?;
        } else {
            write(batch, concrete, &record, column, Sql::Null, None)?;
        }
    }
    for key in keys {
        if let Some((concrete, record)) = batch.find(target, key)? {
            let concrete = &model.types[concrete.id];
            write(
                batch,
                concrete,
                &record,
                column,
                owner.clone(),
                Some(&ty.name),
            )?;
        }
    }
    Ok(())
}

fn write(
    batch: &mut Batch<'_>,
    ty: &Type,
    record: &Record,
    column: &str,
    owner: Sql,
    owner_type: Option<&str>,
) -> Result<()> {
    let mut values = Record::from([(column.to_owned(), owner)]);
    if column == "parent_id"
        && ty.column("parent_type").is_some()
        && let Some(owner_type) = owner_type
    {
        values.insert("parent_type".to_owned(), Sql::Text(owner_type.to_owned()));
    }
    batch.change(ty, record, &values)?;
    batch.touch(ty, record, values.keys().cloned(), false);
    effects::changed(batch, ty, record, &values)
}

fn current(
    batch: &Batch<'_>,
    target: &Type,
    column: &str,
    extra: Option<&str>,
    owner: &Sql,
) -> Result<Vec<Vec<Sql>>> {
    let columns: Vec<_> = target
        .key
        .iter()
        .map(|key| format!("t.\"{key}\""))
        .collect();
    let extra = extra.map_or_else(String::new, |extra| {
        format!(" AND {}", extra.replace("{}", "t"))
    });
    let sql = format!(
        "SELECT {} FROM \"{}\" t WHERE t.\"{column}\" = ?1{extra}",
        columns.join(", "),
        batch.model.table(target).name
    );
    let mut statement = batch.connection.prepare_cached(&sql)?;
    let read = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|index| row.get(index)).collect();
    let rows = statement.query_map([owner], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

struct Link<'a> {
    table: &'a str,
    own: (&'a str, &'a Type, &'a Record),
    other: (&'a str, &'a Type),
    has_id: bool,
}

/// Rows of a connecting table: those of listed members exist, others do not. Where the table is
/// an entity type of its own, its rows are written as such.
fn set_links(batch: &mut Batch<'_>, link: &Link<'_>, owner: &Sql, keys: &[Vec<Sql>]) -> Result<()> {
    let (table, own, other) = (link.table, link.own.0, link.other.0);
    let model = batch.model;
    let listed: BTreeSet<_> = keys.iter().map(|key| joined(key)).collect();
    let sql = format!("SELECT \"{other}\" FROM \"{table}\" WHERE \"{own}\" = ?1");
    let present: Vec<Sql> = {
        let mut statement = batch.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([owner], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let kind = model.types.iter().find(|ty| model.table(ty).name == table);
    let gone = |value: &Sql| !listed.contains(&plain(value).to_lowercase());
    match kind {
        Some(kind) => {
            for (concrete, record) in remove::rows(batch, kind, own, owner)? {
                if gone(&record[other]) {
                    remove::row(batch, &model.types[concrete], record)?;
                }
            }
        }
        None => {
            let sql = format!("DELETE FROM \"{table}\" WHERE \"{own}\" = ?1 AND \"{other}\" = ?2");
            for value in present.iter().filter(|value| gone(value)) {
                batch
                    .connection
                    .prepare_cached(&sql)?
                    .execute(params_from_iter([owner, value]))?;
                batch.note_link(Action::Remove, table, link.own, (link.other, value))?;
            }
        }
    }
    let present: BTreeSet<_> = present
        .iter()
        .map(|value| plain(value).to_lowercase())
        .collect();
    for key in keys.iter().filter(|key| !present.contains(&joined(key))) {
        let value = key.first().cloned().unwrap_or(Sql::Null);
        match kind {
            Some(kind) => {
                let mut record =
                    Record::from([(own.to_owned(), owner.clone()), (other.to_owned(), value)]);
                if link.has_id {
                    record.insert("id".to_owned(), Sql::Text(Uuid::new_v4().to_string()));
                }
                batch.insert(kind, &record)?;
            }
            None => {
                let sql =
                    format!("INSERT INTO \"{table}\" (\"{own}\", \"{other}\") VALUES (?1, ?2)");
                batch
                    .connection
                    .prepare_cached(&sql)?
                    .execute(params_from_iter([owner, &value]))?;
                batch.note_link(Action::Add, table, link.own, (link.other, &value))?;
            }
        }
    }
    Ok(())
}

fn joined(key: &[Sql]) -> String {
    key.iter()
        .map(|part| plain(part).to_lowercase())
        .collect::<Vec<_>>()
        .join("\u{1f}")
}
