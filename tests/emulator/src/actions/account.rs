//! `reset_remote`, `send_user_invite`, `send_review_session_invite` and `permissions`.

use rusqlite::OptionalExtension;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use crate::actions::Reply;
use crate::error::{Fault, Result};
use crate::rules::Batch;
use crate::rules::record::Record;

/// A new API key. The key of the entity is a plain text here.
pub(super) fn reset_remote(batch: &Batch<'_>, operation: &Value) -> Result<Reply> {
    if operation["reset_type"] != "api_key" {
        return Err(Fault::validation("reset_type must be the text \"api_key\""));
    }
    let user = match &operation["entity_key"] {
        Value::Array(list) => list.first().and_then(Value::as_str),
        one => one.as_str(),
    };
    let user =
        user.ok_or_else(|| Fault::validation("reset_remote needs the user's id as entity_key"))?;
    let key = batch.site.reset_key(batch.connection, user)?;
    Ok(Reply::Done(
        json!({"action": "reset_remote", "data": {"api_key": key}}),
    ))
}

/// Nothing is sent: an emulator has no mail.
pub(super) fn user_invite(batch: &Batch<'_>, operation: &Value) -> Result<Reply> {
    let id = operation["user_id"].as_str().unwrap_or_default();
    let find = "SELECT 1 FROM resource WHERE id = ?1 AND _type = 'User'";
    let found: Option<i64> = batch
        .connection
        .query_row(find, [id], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| Fault::validation(format!("There is no user with the id \"{id}\"")))?;
    Ok(Reply::Done(json!({"sent": true})))
}

/// Nothing is sent, but the invitee remembers the time.
pub(super) fn review_invite(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let id = operation["review_session_invitee_id"]
        .as_str()
        .unwrap_or_default();
    let model = batch.model;
    let ty = crate::select::find(model, "ReviewSessionInvitee")?;
    let (_, before) = batch
        .find(ty, &[Sql::Text(id.to_owned())])?
        .ok_or_else(|| {
            Fault::validation(format!(
                "There is no review session invitee with the id \"{id}\""
            ))
        })?;
    let values = Record::from([("last_sent_at".to_owned(), Sql::Text(batch.now.clone()))]);
    batch.change(ty, &before, &values)?;
    Ok(Reply::Done(json!({"sent": true})))
}

/// What the user may do: here, everything. No source shows the shape of the data [?].
pub(super) fn permissions(batch: &Batch<'_>) -> Result<Reply> {
    let roles = "SELECT r.name FROM user_security_role u JOIN security_role r \
                 ON r.id = u.security_role_id WHERE u.user_id = ?1 ORDER BY r.name";
    let mut statement = batch.connection.prepare_cached(roles)?;
    let rows = statement.query_map([&batch.caller.user.id], |row| {
        row.get::<_, Option<String>>(0)
    })?;
    let roles = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let data =
        json!({"user_id": batch.caller.user.id, "security_roles": roles, "is_restricted": false});
    Ok(Reply::Done(json!({"action": "permissions", "data": data})))
}
