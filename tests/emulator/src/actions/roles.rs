//! The actions that give and take security roles. No source shows their replies [?]: they say
//! with their name and `true`, as a delete does.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::actions::Reply;
use crate::error::{Fault, Result};
use crate::rules::record::Record;
use crate::rules::{Batch, defaults, remove};
use crate::select::find;

/// Runs one of the actions on `user_id`, `role_id`, `new_role_id` and `project_id`.
pub(super) fn run(batch: &mut Batch<'_>, action: &str, operation: &Value) -> Result<Reply> {
    let text = |name: &str| {
        operation[name]
            .as_str()
            .ok_or_else(|| Fault::validation(format!("{action} needs {name}")))
    };
    let (user, role) = (text("user_id")?, text("role_id")?);
    match action {
        "add_user_security_role" => add(batch, user, role)?,
        "remove_user_security_role" => change(batch, user, role, None)?,
        "update_user_security_role" => change(batch, user, role, Some(text("new_role_id")?))?,
        "grant_user_security_role_project" => grant(batch, user, role, text("project_id")?)?,
        _ => revoke(batch, user, role, text("project_id")?)?,
    }
    Ok(Reply::Done(json!({"action": action, "data": true})))
}

fn add(batch: &mut Batch<'_>, user: &str, role: &str) -> Result<()> {
    if link(batch, user, role)?.is_some() {
        return Ok(());
    }
    insert(
        batch,
        "UserSecurityRole",
        &[("user_id", user), ("security_role_id", role)],
    )
}

fn change(batch: &mut Batch<'_>, user: &str, role: &str, new: Option<&str>) -> Result<()> {
    let id = needed(batch, user, role)?;
    let model = batch.model;
    let ty = find(model, "UserSecurityRole")?;
    let Some((_, record)) = batch.find(ty, &[Sql::Text(id)])? else {
        return Ok(());
    };
    let Some(new) = new else {
        return remove::row(batch, ty, record);
    };
    let values = Record::from([("security_role_id".to_owned(), Sql::Text(new.to_owned()))]);
    batch.change(ty, &record, &values)?;
    batch.touch(ty, &record, values.keys().cloned(), false);
    Ok(())
}

fn grant(batch: &mut Batch<'_>, user: &str, role: &str, project: &str) -> Result<()> {
    let id = needed(batch, user, role)?;
    insert(
        batch,
        "UserSecurityRoleProject",
        &[("user_security_role_id", &id), ("project_id", project)],
    )
}

fn revoke(batch: &mut Batch<'_>, user: &str, role: &str, project: &str) -> Result<()> {
    let id = needed(batch, user, role)?;
    let sql = "DELETE FROM user_security_role_project WHERE user_security_role_id = ?1 AND project_id = ?2";
    batch.connection.execute(sql, params![id, project])?;
    Ok(())
}

fn insert(batch: &mut Batch<'_>, name: &str, values: &[(&str, &str)]) -> Result<()> {
    let model = batch.model;
    let ty = find(model, name)?;
    let text = |text: &str| Sql::Text(text.to_owned());
    let mut record: Record = values
        .iter()
        .map(|(column, value)| ((*column).to_owned(), text(value)))
        .collect();
    record.insert("id".to_owned(), text(&Uuid::new_v4().to_string()));
    defaults::complete(batch, ty, &mut record)?;
    batch.insert(ty, &record)?;
    batch.touch(ty, &record, record.keys().cloned(), true);
    Ok(())
}

fn link(batch: &Batch<'_>, user: &str, role: &str) -> Result<Option<String>> {
    let sql = "SELECT id FROM user_security_role WHERE user_id = ?1 AND security_role_id = ?2";
    Ok(batch
        .connection
        .query_row(sql, [user, role], |row| row.get(0))
        .optional()?)
}

fn needed(batch: &Batch<'_>, user: &str, role: &str) -> Result<String> {
    link(batch, user, role)?.ok_or_else(|| {
        Fault::validation(format!(
            "The user {user} does not have the security role {role}"
        ))
    })
}
