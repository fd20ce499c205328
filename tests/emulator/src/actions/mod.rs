//! The operations of `POST /api`: one file per action.

mod account;
mod create;
mod delete;
mod encode;
mod information;
mod job;
mod query;
mod roles;
mod search;
mod update;
mod upload;
pub mod widget;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::changes::{Changes, Commit};
use crate::database::model::TypeId;
use crate::error::{Fault, Result};
use crate::files::Joined;
use crate::rules::echo::{self, Pending};
use crate::rules::{Batch, Caller, check, effects, log};
use crate::site::Site;

/// The reply to one operation.
pub enum Reply {
    /// It is complete.
    Done(Value),
    /// It is complete, as JSON text: pages are too large to be built twice.
    Text(String),
    /// It is written at the end of the batch, when the row is complete.
    Row(&'static str, TypeId, Pending),
}

/// Runs a list of operations in one transaction; the replies are the text of a list.
///
/// # Errors
///
/// If one of them is refused; then none of them happened.
pub fn run(site: &Arc<Site>, caller: &Caller, operations: &[Value]) -> Result<String> {
    check_permission(caller, operations)?;
    let is_reading = |operation: &Value| READING.contains(&action(operation));
    if operations.iter().all(is_reading) {
        return read(site, caller, operations);
    }
    let uploads = upload::join(site, operations)?;
    let media = encode::look(site, operations);
    let (replies, changes, encodings, discarded, turn) =
        site.database.transaction(|connection| {
            let mut batch = Batch::new(site, connection, caller);
            batch.media = media;
            let mut replies = Vec::with_capacity(operations.len());
            for (index, operation) in operations.iter().enumerate() {
                batch.operation = index;
                let reply = dispatch(&mut batch, operation);
                replies.push(reply.map_err(|fault| fault.of_operation(index))?);
            }
            effects::finish(&mut batch)?;
            check::check(&batch)?;
            let replies = replies.into_iter().map(|reply| complete(&mut batch, reply));
            let replies = replies.collect::<Result<Vec<_>>>()?;
            let changes = batch.changes.take().map(Changes::into_vec);
            let changes = changes.filter(|changes| !changes.is_empty());
            if let Some(changes) = &changes {
                log::write(
                    connection,
                    site.model(),
                    changes,
                    &caller.user.id,
                    &batch.now,
                )?;
            }
            let turn = changes.is_some().then(|| site.turn());
            Ok((replies, changes, batch.encodings, batch.discarded, turn))
        })?;
    let kept = uploads.into_iter().try_for_each(Joined::keep);
    upload::discard(site, &discarded);
    if let Some(changes) = changes {
        site.publish(&Commit {
            changes,
            user_id: caller.user.id.clone(),
            username: caller.user.username.clone(),
            client_token: caller.client_token.clone(),
            push_token: caller.push_token.clone(),
        });
    }
    drop(turn);
    encode::start(site, caller, encodings);
    kept.map(|()| format!("[{}]", replies.join(",")))
}

/// Operations that change nothing, beside whoever writes.
fn read(site: &Arc<Site>, caller: &Caller, operations: &[Value]) -> Result<String> {
    let replies = site.database.read(|connection| {
        let mut batch = Batch::new(site, connection, caller);
        let replies = operations.iter().enumerate().map(|(index, operation)| {
            let reply = dispatch(&mut batch, operation);
            complete(
                &mut batch,
                reply.map_err(|fault| fault.of_operation(index))?,
            )
        });
        replies.collect::<Result<Vec<_>>>()
    })?;
    Ok(format!("[{}]", replies.join(",")))
}

fn action(operation: &Value) -> &str {
    operation["action"].as_str().unwrap_or_default()
}

/// What a key that can only read may do. Whatever is not here counts as a change.
const READING: [&str; 9] = [
    "query",
    "search",
    "parse_query",
    "query_server_information",
    "query_schemas",
    "permissions",
    "compute_rollups",
    "get_widget_url",
    "generate_signed_url",
];

fn check_permission(caller: &Caller, operations: &[Value]) -> Result<()> {
    let is_reading =
        |operation: &&Value| caller.user.may_write || READING.contains(&action(operation));
    match operations.iter().find(|operation| !is_reading(operation)) {
        None => Ok(()),
        Some(operation) => Err(Fault::permission(format!(
            "This API key may only read: the action \"{}\" needs another key",
            crate::database::value::excerpt(action(operation))
        ))),
    }
}

fn dispatch(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let action = operation["action"]
        .as_str()
        .ok_or_else(|| Fault::request("Every operation is an object with an \"action\""))?;
    match action {
        "query" => query::run(batch, operation),
        "create" => create::run(batch, operation),
        "update" => update::run(batch, operation),
        "delete" => delete::run(batch, operation),
        "query_server_information" => information::server(batch, operation),
        "query_schemas" => information::schemas(batch),
        "get_upload_metadata" => upload::prepare(batch, operation),
        "complete_multipart_upload" => upload::complete(batch, operation),
        "generate_signed_url" => upload::sign(batch, operation),
        "encode_media" => encode::queue(batch, operation),
        "search" => search::search(batch, operation),
        "parse_query" => search::parse_query(batch, operation),
        "reset_remote" => account::reset_remote(batch, operation),
        "permissions" => account::permissions(batch),
        "send_user_invite" => account::user_invite(batch, operation),
        "send_review_session_invite" => account::review_invite(batch, operation),
        "get_widget_url" => widget::run(batch, operation),
        "delayed_job" => job::run(batch, operation),
        // The rollups are calculated on reading: there is nothing to do.
        "compute_rollups" => Ok(Reply::Done(json!({"data": []}))),
        "add_user_security_role"
        | "remove_user_security_role"
        | "update_user_security_role"
        | "grant_user_security_role_project"
        | "revoke_user_security_role_project" => roles::run(batch, action, operation),
        // Clients look for this text to recognise servers without an action.
        unknown => Err(Fault::request(format!(
            "Invalid action u'{}'",
            crate::database::value::excerpt(unknown)
        ))),
    }
}

fn complete(batch: &mut Batch<'_>, reply: Reply) -> Result<String> {
    match reply {
        Reply::Done(value) => Ok(value.to_string()),
        Reply::Text(text) => Ok(text),
        Reply::Row(action, id, pending) => {
            let model = batch.model;
            let data = echo::reply(batch, &model.types[id], &pending)?;
            Ok(json!({"action": action, "data": data}).to_string())
        }
    }
}
