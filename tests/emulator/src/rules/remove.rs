//! Deleting a row together with what belongs to it.

use std::collections::HashSet;

use rusqlite::types::Value as Sql;

use crate::changes::Action;
use crate::database::model::{Column, Table, Type, TypeId};
use crate::error::{Fault, Result};
use crate::rules::record::{Record, key_of, keyed, plain};
use crate::rules::{Batch, rollup};

/// What happens to a row when the row that its column points to is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is deleted too.
    Deleted,
    /// It forgets the other.
    Cleared,
    /// It prevents the deletion.
    Prevents,
}

/// Columns whose rows belong to what the column points to.
const OWNED: &[(&str, &[&str])] = &[
    ("context", &["parent_id", "project_id"]),
    ("asset", &["context_id"]),
    ("asset_version", &["asset_id"]),
    ("component", &["version_id", "container_id"]),
    ("component_location", &["component_id"]),
    ("timelog", &["context_id", "user_id"]),
    ("timer", &["context_id", "user_id"]),
    ("appointment", &["context_id", "resource_id"]),
    ("manager", &["context_id", "user_id"]),
    ("membership", &["group_id", "user_id"]),
    ("note", &["parent_id", "in_reply_to_id"]),
    ("metadata", &["parent_id"]),
    ("status_change", &["parent_id"]),
    ("entity_setting", &["parent_id"]),
    ("custom_attribute_value", &["entity_id", "configuration_id"]),
    (
        "custom_attribute_link",
        &["from_id", "to_id", "configuration_id"],
    ),
    ("typed_context_link", &["from_id", "to_id"]),
    ("asset_version_link", &["from_id", "to_id"]),
    ("list", &["project_id"]),
    ("list_object", &["list_id", "entity_id"]),
    ("review_session", &["project_id"]),
    (
        "review_session_object",
        &["review_session_id", "version_id"],
    ),
    ("review_session_invitee", &["review_session_id"]),
    (
        "review_session_object_status",
        &["review_session_object_id", "review_session_invitee_id"],
    ),
    ("calendar_event", &["project_id"]),
    (
        "calendar_event_resource",
        &["calendar_event_id", "resource_id"],
    ),
    ("user_security_role", &["user_id", "security_role_id"]),
    (
        "user_security_role_project",
        &["project_id", "user_security_role_id"],
    ),
    ("task_template", &["project_schema_id"]),
    ("task_template_item", &["template_id"]),
    ("schema", &["project_schema_id"]),
    ("project_schema_override", &["project_schema_id"]),
    ("dashboard_widget", &["dashboard_id"]),
    ("message", &["conversation_id"]),
    ("participant", &["conversation_id", "resource_id"]),
    ("feed", &["social_id"]),
    ("event", &["project_id"]),
    ("split_task_part", &["task_id"]),
    (
        "review_session_object_annotation",
        &["review_session_object_id"],
    ),
    ("status_rule", &["status_rule_group_id"]),
    ("status_rule_group", &["schema_id"]),
    ("trigger", &["automation_id"]),
    ("action", &["automation_id"]),
    ("action_log", &["action_id"]),
    ("user_session", &["user_id"]),
    ("user_view", &["user_id"]),
    ("api_key", &["resource_id"]),
    ("review_session_folder", &["project_id"]),
];

/// Columns that keep the row that they point to, although the schema lets them be empty.
const HOLDING: &[(&str, &str)] = &[
    ("component_location", "location_id"),
    ("context", "status_id"),
    ("context", "type_id"),
    ("context", "priority_id"),
    ("context", "object_type_id"),
    ("context", "project_schema_id"),
    ("asset_version", "status_id"),
];

/// Columns that point to rows of any type: the schema cannot name one.
const ANY: &[(&str, &str)] = &[
    ("note", "parent_id"),
    ("metadata", "parent_id"),
    ("status_change", "parent_id"),
    ("entity_setting", "parent_id"),
    ("list_object", "entity_id"),
    ("custom_attribute_value", "entity_id"),
    ("custom_attribute_link", "from_id"),
    ("custom_attribute_link", "to_id"),
];

/// Deletes a row and what belongs to it.
///
/// # Errors
///
/// If a row that does not belong to it needs it.
pub fn row(batch: &mut Batch<'_>, ty: &Type, record: Record) -> Result<()> {
    let mut seen = HashSet::new();
    let mut queue = vec![(ty.id, record)];
    let mut doomed = Vec::new();
    while let Some((id, record)) = queue.pop() {
        let ty = &batch.model.types[id];
        let key = key_of(ty, &record);
        let name: Vec<_> = key.iter().map(plain).collect();
        if !seen.insert((ty.table, name.join("\u{1f}").to_lowercase())) {
            continue;
        }
        if let [Sql::Text(_) | Sql::Integer(_)] = key.as_slice() {
            dependents(batch, ty, &key[0], &mut queue)?;
        }
        doomed.push((id, record));
    }
    let model = batch.model;
    if batch.changes.is_some() {
        // While everything still exists, the way to the project can be found.
        for (id, record) in &doomed {
            batch.note_change(Action::Remove, &model.types[*id], record, &Record::new())?;
        }
    }
    for (id, record) in doomed {
        let ty = &model.types[id];
        if model.table(ty).name == "context" {
            rollup::mark(batch, &record);
        }
        let sql = format!(
            "DELETE FROM \"{}\" WHERE {}",
            model.table(ty).name,
            keyed(ty, 1)
        );
        batch
            .connection
            .prepare_cached(&sql)?
            .execute(rusqlite::params_from_iter(key_of(ty, &record)))?;
        if model.table(ty).name == "component" {
            batch
                .discarded
                .extend(key_of(ty, &record).iter().map(plain));
        }
    }
    Ok(())
}

/// Finds the rows that point to a row, and lets each meet its fate.
fn dependents(
    batch: &mut Batch<'_>,
    ty: &Type,
    id: &Sql,
    queue: &mut Vec<(TypeId, Record)>,
) -> Result<()> {
    let model = batch.model;
    for table in model.tables.iter().filter(|table| !table.is_view) {
        for column in &table.columns {
            if !points(batch, ty, table, column) {
                continue;
            }
            let owner = model
                .types
                .iter()
                .find(|other| model.tables[other.table].name == table.name);
            let Some(owner) = owner else {
                // A connecting table that is no entity type.
                let sql = format!(
                    "DELETE FROM \"{}\" WHERE \"{}\" = ?1",
                    table.name, column.name
                );
                batch.connection.prepare_cached(&sql)?.execute([id])?;
                continue;
            };
            for record in rows(batch, owner, &column.name, id)? {
                let (concrete, record) = record;
                match fate(table, column, &model.types[concrete]) {
                    Fate::Deleted => queue.push((concrete, record)),
                    Fate::Cleared => {
                        let values = Record::from([(column.name.clone(), Sql::Null)]);
                        batch.change(&model.types[concrete], &record, &values)?;
                    }
                    Fate::Prevents => {
                        return Err(Fault::integrity(format!(
                            "IntegrityError: the {} {} cannot be deleted: {} {} refers to it by {}",
                            ty.name,
                            plain(id),
                            model.types[concrete].name,
                            key_of(&model.types[concrete], &record)
                                .iter()
                                .map(plain)
                                .collect::<Vec<_>>()
                                .join(", "),
                            column.name
                        )));
                    }
                }
            }
        }
    }
    Ok(())
}

fn points(batch: &Batch<'_>, ty: &Type, table: &Table, column: &Column) -> bool {
    // A project's own id in `project_id` is no reason to look at its rows twice.
    let named = column
        .foreign
        .as_deref()
        .and_then(|name| batch.model.find(name));
    let is_own_key = table.key.len() == 1 && table.key[0] == column.name;
    !is_own_key
        && (named.is_some_and(|target| target.table == ty.table)
            || ANY.contains(&(table.name.as_str(), column.name.as_str())))
}

fn fate(table: &Table, column: &Column, concrete: &Type) -> Fate {
    let name = column.name.as_str();
    let owned = OWNED.iter().find(|(owner, _)| *owner == table.name);
    if owned.is_some_and(|(_, columns)| columns.contains(&name)) || table.key.contains(&column.name)
    {
        return Fate::Deleted;
    }
    let is_required = concrete.get(name).is_some_and(|attr| attr.is_required);
    if is_required || HOLDING.contains(&(table.name.as_str(), name)) {
        return Fate::Prevents;
    }
    Fate::Cleared
}

/// The rows of a type's table whose column has this value, with their concrete types.
///
/// # Errors
///
/// Those of the database.
pub fn rows(
    batch: &Batch<'_>,
    owner: &Type,
    column: &str,
    id: &Sql,
) -> Result<Vec<(TypeId, Record)>> {
    let columns: Vec<_> = owner.key.iter().map(|key| format!("\"{key}\"")).collect();
    let table = &batch.model.table(owner).name;
    let sql = format!(
        "SELECT {} FROM \"{table}\" WHERE \"{column}\" = ?1",
        columns.join(", ")
    );
    let keys: Vec<Vec<Sql>> = {
        let mut statement = batch.connection.prepare_cached(&sql)?;
        let read =
            |row: &rusqlite::Row<'_>| (0..columns.len()).map(|index| row.get(index)).collect();
        let rows = statement.query_map([id], read)?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let mut found = Vec::new();
    for key in keys {
        if let Some((concrete, record)) = batch.find(owner, &key)? {
            found.push((concrete.id, record));
        }
    }
    Ok(found)
}
