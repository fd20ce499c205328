//! What a new row gets that its creator did not say.

use jiff::civil;
use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params};

use crate::database::family::{TYPE, TYPE_FROM};
use crate::database::load;
use crate::database::model::{Storage, Type};
use crate::error::Result;
use crate::rules::Batch;
use crate::rules::record::{Record, text};
use crate::schema::Kind;

/// The user type of new users.
const USER_TYPE: &str = "ac9fa5aa-4361-11e0-b7cc-0019bb4983d8";

/// Fills what is missing in a new row, as far as it does not depend on other new rows.
///
/// # Errors
///
/// Those of the database.
pub fn complete(batch: &Batch<'_>, ty: &Type, record: &mut Record) -> Result<()> {
    let table = batch.model.table(ty).name.as_str();
    for (column, value) in load::defaults(ty) {
        record.entry(column).or_insert(value);
    }
    let now = Sql::Text(batch.now.clone());
    let user = Sql::Text(batch.caller.user.id.clone());
    let mut fill = |column: &str, value: Sql| {
        // An explicit null is what the client wants.
        if ty.column(column).is_some() && !record.contains_key(column) {
            record.insert(column.to_owned(), value);
        }
    };
    fill("created_at", now.clone());
    fill("created_by_id", user.clone());
    match table {
        "context" => {
            fill("bid", Sql::Real(0.0));
            fill("description", Sql::Text(String::new()));
            if ty.name == "Project" {
                fill("status", Sql::Text("active".to_owned()));
            }
        }
        "asset_version" | "list" => {
            fill("date", now);
            fill("user_id", user);
        }
        "note" => {
            fill("date", now.clone());
            fill("thread_activity", now);
            fill("user_id", user);
        }
        "timelog" => {
            fill("start", now);
            fill("user_id", user);
            fill("duration", Sql::Real(0.0));
        }
        "timer" => {
            fill("start", now);
            fill("user_id", user);
        }
        "resource" => fill("user_type_id", Sql::Text(USER_TYPE.to_owned())),
        "review_session" => {
            fill("start_date", now);
            fill("end_date", Sql::Text(in_a_month(&batch.now)));
        }
        "automation" => fill("created_by", user),
        "user_session" => {
            fill("creation_time", now.clone());
            fill("accessed_time", now);
            fill("user_id", user);
        }
        "user_view" => fill("user_id", user),
        "status" => fill("is_active", Sql::Integer(1)),
        "custom_configuration" => fill("config", Sql::Text("{}".to_owned())),
        "appointment" => fill("type", Sql::Text("assignment".to_owned())),
        "metadata" => fill("value", Sql::Text(String::new())),
        "status_change" => fill("date", now),
        _ => {}
    }
    complete_booleans(ty, record);
    if table == "context" && ty.name == "Project" {
        record.insert("project_id".to_owned(), record["id"].clone());
    }
    if table == "custom_attribute_link" {
        link_ends(batch, record)?;
    }
    Ok(())
}

/// A new review session is open; for how long is our choice [?].
fn in_a_month(now: &str) -> String {
    let month = jiff::Span::new().days(30);
    let later = now
        .parse::<civil::DateTime>()
        .and_then(|now| now.checked_add(month));
    later.map_or_else(
        |_| now.to_owned(),
        |later| later.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
    )
}

/// A flag that nobody set is off: real responses for new users show it.
fn complete_booleans(ty: &Type, record: &mut Record) {
    for attr in &ty.attributes {
        let is_flag = attr.is_required || matches!(ty.name.as_str(), "User" | "Timelog");
        if let Storage::Column(column) = &attr.storage
            && attr.schema.kind == Kind::Boolean
            && is_flag
            && !record.contains_key(column)
        {
            record.insert(column.clone(), Sql::Integer(0));
        }
    }
}

/// Both ends of a custom attribute link name the kind of row that they point to; the
/// configuration says which.
fn link_ends(batch: &Batch<'_>, record: &mut Record) -> Result<()> {
    let find = "SELECT entity_type, entity_type_to FROM custom_configuration WHERE id = ?1";
    let ends: Option<(Option<String>, Option<String>)> = batch
        .connection
        .prepare_cached(find)?
        .query_row(
            [text(record, "configuration_id").unwrap_or_default()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (from, to) = ends.unwrap_or_default();
    for (entity, column, kind_column, suffix) in [
        (
            from,
            "from_entity_type",
            TYPE_FROM,
            "CustomAttributeLinkFrom",
        ),
        (to, "to_entity_type", TYPE, "CustomAttributeLink"),
    ] {
        let Some(entity) = entity else { continue };
        let kind = load::link_end(batch.model, &entity);
        record
            .entry(column.to_owned())
            .or_insert_with(|| Sql::Text(kind.to_owned()));
        record.insert(kind_column.to_owned(), Sql::Text(format!("{kind}{suffix}")));
    }
    Ok(())
}

/// The status and type that a workflow gives a new context, where it has none.
///
/// # Errors
///
/// Those of the database.
pub fn workflow(batch: &Batch<'_>, ty: &Type, record: &Record) -> Result<Record> {
    let mut found = Record::new();
    let Some(project) = text(record, "project_id") else {
        return Ok(found);
    };
    let mut object = text(record, "object_type_id")
        .unwrap_or_default()
        .to_owned();
    if !record.contains_key("type_id") && ty.column("type_id").is_some() {
        let sql = if ty.name == "Task" {
            TASK_TYPE
        } else {
            OTHER_TYPE
        };
        if let Some(id) = first(batch, sql, project, &object)? {
            found.insert("type_id".to_owned(), Sql::Text(id));
        }
    }
    if !record.contains_key("status_id") && ty.column("status_id").is_some() {
        let sql = if ty.name == "Task" {
            TASK_STATUS
        } else {
            OTHER_STATUS
        };
        if ty.name == "Task" {
            let chosen = found.get("type_id").or_else(|| record.get("type_id"));
            object = chosen.map(super::record::plain).unwrap_or_default();
        }
        if let Some(id) = first(batch, sql, project, &object)? {
            found.insert("status_id".to_owned(), Sql::Text(id));
        }
    }
    Ok(found)
}

/// The status of a new version.
///
/// # Errors
///
/// Those of the database.
pub fn version_status(batch: &Batch<'_>, project: &str) -> Result<Option<String>> {
    first(batch, VERSION_STATUS, project, "")
}

const TASK_TYPE: &str = "SELECT t.id FROM context p JOIN project_schema s ON s.id = p.project_schema_id \
    JOIN task_type_schema_type x ON x.task_type_schema_id = s.task_type_schema_id \
    JOIN type t ON t.id = x.type_id WHERE p.id = ?1 AND ?2 IS NOT NULL ORDER BY t.sort, t.id LIMIT 1";
const OTHER_TYPE: &str = "SELECT x.type_id FROM context p JOIN schema s \
    ON s.project_schema_id = p.project_schema_id AND s.object_type_id = ?2 \
    JOIN schema_type x ON x.schema_id = s.id WHERE p.id = ?1 ORDER BY x.sort, x.type_id LIMIT 1";
const OTHER_STATUS: &str = "SELECT x.status_id FROM context p JOIN schema s \
    ON s.project_schema_id = p.project_schema_id AND s.object_type_id = ?2 \
    JOIN schema_status x ON x.schema_id = s.id WHERE p.id = ?1 ORDER BY x.sort, x.status_id LIMIT 1";
/// A task type may have a workflow of its own.
const TASK_STATUS: &str = "SELECT st.id FROM context p JOIN project_schema s ON s.id = p.project_schema_id \
    LEFT JOIN project_schema_override o ON o.project_schema_id = s.id AND o.type_id = ?2 \
    JOIN workflow_schema_status x ON x.workflow_schema_id = COALESCE(o.workflow_schema_id, s.task_workflow_schema_id) \
    JOIN status st ON st.id = x.status_id WHERE p.id = ?1 ORDER BY st.sort, st.id LIMIT 1";
const VERSION_STATUS: &str = "SELECT st.id FROM context p JOIN project_schema s ON s.id = p.project_schema_id \
    JOIN workflow_schema_status x ON x.workflow_schema_id = s.asset_version_workflow_schema_id \
    JOIN status st ON st.id = x.status_id WHERE p.id = ?1 AND ?2 IS NOT NULL ORDER BY st.sort, st.id LIMIT 1";

fn first(
    batch: &Batch<'_>,
    sql: &'static str,
    project: &str,
    second: &str,
) -> Result<Option<String>> {
    let asked = (sql, project.to_owned(), second.to_owned());
    if let Some(known) = batch.memory.workflow.borrow().get(&asked) {
        return Ok(known.clone());
    }
    let mut statement = batch.connection.prepare_cached(sql)?;
    let found: Option<String> = statement
        .query_row(params![project, second], |row| row.get(0))
        .optional()?;
    let mut known = batch.memory.workflow.borrow_mut();
    known.insert(asked, found.clone());
    Ok(found)
}
