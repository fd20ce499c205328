//! The log of changes, which clients read as entities of type `Event`.
//!
//! The schema says which attributes there are. What a real server logs, and which texts it writes into
//! `action`, `insert` and `data`, is not known [?]: here one row for each changed entity that belongs to a
//! project.

use rusqlite::{Connection, params};
use serde_json::{Map, json};

use crate::changes::{Action, Change};
use crate::database::model::Model;
use crate::error::Result;
use crate::events::update::table;

/// Writes the changes of a batch into the log, in its transaction.
///
/// # Errors
///
/// Those of the database.
pub fn write(
    connection: &Connection,
    model: &Model,
    changes: &[Change],
    user_id: &str,
    now: &str,
) -> Result<()> {
    // Another site's schema may have no log.
    let Some(ty) = model.find("Event") else {
        return Ok(());
    };
    let name = &model.table(ty).name;
    let next = format!("SELECT COALESCE(MAX(id), 0) + 1 FROM \"{name}\"");
    let mut id: i64 = connection.query_row(&next, [], |row| row.get(0))?;
    let insert = format!(
        "INSERT INTO \"{name}\" (id, action, \"insert\", created_at, data, parent_id, parent_type, project_id, \
         user_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    );
    let mut insert = connection.prepare_cached(&insert)?;
    for change in changes {
        let project = change
            .parents
            .last()
            .filter(|last| last.entity_type == "Project");
        let Some(project) = project else {
            continue;
        };
        let kind = match change.action {
            Action::Add => "insert",
            Action::Update => "update",
            Action::Move => "move",
            Action::Remove => "delete",
        };
        let parent_type = table(&model.schema, &change.entity_type);
        let mut data = Map::new();
        for attribute in &change.attributes {
            let values = json!({"old": attribute.old, "new": attribute.new});
            data.insert(attribute.column.clone(), values);
        }
        insert.execute(params![
            id,
            format!("{kind}.{parent_type}"),
            kind,
            now,
            serde_json::Value::Object(data).to_string(),
            change.key.join(","),
            parent_type,
            project.id,
            user_id,
        ])?;
        id += 1;
    }
    Ok(())
}
