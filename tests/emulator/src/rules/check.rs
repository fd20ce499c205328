//! Checks at the end of a batch: an entity may be created incomplete and completed later in the
//! same batch.

use std::collections::HashSet;

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params};

use crate::database::model::{Storage, Type};
use crate::error::{Fault, Result};
use crate::rules::batch::Touched;
use crate::rules::record::{Record, is_missing, plain, text};
use crate::rules::{Batch, configuration, workflow};

/// Attributes that the schema calls required although real servers take rows without them.
const TOLERATED: [&str; 8] = [
    "sort",
    "status_id",
    "type_id",
    "bid",
    "username",
    "sort_order",
    "priority_id",
    "parent_type",
];

/// Rows that are known to exist, by the positions of their tables and their keys.
type Present = HashSet<(usize, String)>;

/// Checks every row that the batch touched.
///
/// # Errors
///
/// If a required value is missing, a reference leads nowhere, or a unique value exists twice.
pub fn check(batch: &Batch<'_>) -> Result<()> {
    // Nothing changes while this checks.
    let mut present = HashSet::new();
    for touched in &batch.touched {
        check_one(batch, touched, &mut present)
            .map_err(|fault| fault.of_operation(touched.operation))?;
    }
    Ok(())
}

fn check_one(batch: &Batch<'_>, touched: &Touched, present: &mut Present) -> Result<()> {
    let declared = &batch.model.types[touched.ty];
    // What was deleted meanwhile need not be complete.
    let Some((ty, record)) = batch.find(declared, &touched.key)? else {
        return Ok(());
    };
    required(batch, ty, &record)?;
    references(batch, ty, &record, touched, present)?;
    workflow::check(batch, ty, &record, touched)?;
    if touched.is_new && batch.model.table(ty).name == "custom_configuration" {
        configuration::check_new(batch, ty, &record)?;
    }
    unique(batch, ty, &record, touched)
}

fn required(batch: &Batch<'_>, ty: &Type, record: &Record) -> Result<()> {
    for attr in &ty.attributes {
        if let Storage::Column(column) = &attr.storage
            && attr.is_required
            && is_missing(record, column)
            && !TOLERATED.contains(&attr.name())
        {
            return Err(Fault::validation(format!(
                "{} needs a value for {}",
                ty.name,
                attr.name()
            )));
        }
    }
    let needed = match batch.model.table(ty).name.as_str() {
        "context" if ty.name != "Project" => Some(("parent_id", "parent")),
        "asset" => Some(("context_id", "parent")),
        "asset_version" => Some(("asset_id", "asset")),
        _ => None,
    };
    match needed {
        Some((column, name)) if is_missing(record, column) => Err(Fault::validation(format!(
            "{} needs a value for {name}",
            ty.name
        ))),
        _ => Ok(()),
    }
}

fn references(
    batch: &Batch<'_>,
    ty: &Type,
    record: &Record,
    touched: &Touched,
    present: &mut Present,
) -> Result<()> {
    let table = batch.model.table(ty);
    for column in table
        .columns
        .iter()
        .filter(|column| touched.columns.contains(&column.name))
    {
        let Some(value) = record
            .get(&column.name)
            .filter(|value| **value != Sql::Null)
        else {
            continue;
        };
        let Some(target) = column
            .foreign
            .as_deref()
            .and_then(|name| batch.model.find(name))
        else {
            continue;
        };
        let [key] = target.key.as_slice() else {
            continue;
        };
        let identity = (target.table, plain(value));
        if present.contains(&identity) {
            continue;
        }
        let sql = format!(
            "SELECT 1 FROM \"{}\" WHERE \"{key}\" = ?1",
            batch.model.table(target).name
        );
        let found = batch.connection.prepare_cached(&sql)?.exists([value])?;
        if !found {
            return Err(Fault::validation(format!(
                "{}.{} refers to a {} that does not exist: {}",
                ty.name,
                column.name,
                target.name,
                plain(value)
            )));
        }
        present.insert(identity);
    }
    Ok(())
}

fn unique(batch: &Batch<'_>, ty: &Type, record: &Record, touched: &Touched) -> Result<()> {
    let is_set = |columns: &[&str]| {
        columns
            .iter()
            .any(|column| touched.columns.contains(*column))
    };
    match batch.model.table(ty).name.as_str() {
        // Asset names may repeat under one parent; those of contexts may not.
        "context" if ty.name == "Project" && is_set(&["name"]) => {
            let sql = "SELECT name FROM context WHERE _type = 'Project' AND name = ?1 AND id <> ?2 AND ?3 IS NULL";
            twice(batch, sql, ty, record, "name", "a project")
        }
        "context" if is_set(&["name", "parent_id"]) => {
            let sql = "SELECT name FROM context WHERE parent_id = ?3 AND name = ?1 AND id <> ?2";
            twice(
                batch,
                sql,
                ty,
                record,
                "name",
                "an entity below the same parent",
            )
        }
        "resource" if ty.name == "User" => {
            for column in ["username", "email"] {
                if is_set(&[column]) {
                    let sql = format!(
                        "SELECT {column} FROM resource WHERE {column} = ?1 AND id <> ?2 AND ?3 IS NULL"
                    );
                    twice(batch, &sql, ty, record, column, "a user")?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn twice(
    batch: &Batch<'_>,
    sql: &str,
    ty: &Type,
    record: &Record,
    column: &str,
    what: &str,
) -> Result<()> {
    let Some(value) = text(record, column) else {
        return Ok(());
    };
    let parent = text(record, "parent_id").filter(|_| ty.name != "Project");
    let bound = params![value, text(record, "id"), parent];
    let found: Option<String> = batch
        .connection
        .prepare_cached(sql)?
        .query_row(bound, |row| row.get(0))
        .optional()?;
    match found {
        Some(_) => Err(Fault::integrity(format!(
            "IntegrityError: {} cannot be called \"{value}\": {what} with this {column} exists already",
            ty.name
        ))),
        None => Ok(()),
    }
}
