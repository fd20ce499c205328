//! What follows from a write: project ids, version numbers, recipients, status changes.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use crate::database::model::Type;
use crate::error::{Fault, Result};
use crate::rules::record::{Record, is_missing, text};
use crate::rules::{Batch, defaults, rollup, workflow};

/// After a row was inserted.
///
/// # Errors
///
/// If the row may not exist beside others.
pub fn inserted(batch: &mut Batch<'_>, ty: &Type, record: &Record) -> Result<()> {
    match batch.model.table(ty).name.as_str() {
        "note" => batch
            .notes
            .push(text(record, "id").unwrap_or_default().to_owned()),
        "note_label_link" => label(batch, record)?,
        "timer" => only_timer(batch, record)?,
        _ => {}
    }
    settle(batch, ty, record)?;
    if batch.model.table(ty).name == "context" {
        let parent = text(record, "parent_id").or(text(record, "project_id"));
        batch.rollups.extend(parent.map(str::to_owned));
    }
    Ok(())
}

/// After values of a row changed.
///
/// # Errors
///
/// If a context would be below itself.
pub fn changed(batch: &mut Batch<'_>, ty: &Type, before: &Record, values: &Record) -> Result<()> {
    let differs = |column: &str| {
        values
            .get(column)
            .is_some_and(|value| before.get(column) != Some(value))
    };
    let table = batch.model.table(ty).name.clone();
    if differs("status_id") && matches!(table.as_str(), "context" | "asset_version") {
        workflow::check_rules(batch, ty, before, values)?;
        record_status(batch, ty, before, values)?;
    }
    if table == "context" && differs("parent_id") {
        move_subtree(batch, ty, before)?;
    }
    if table == "context"
        && ["bid", "start_date", "end_date", "parent_id"]
            .into_iter()
            .any(differs)
    {
        rollup::mark(batch, before);
        rollup::mark(batch, values);
    }
    if table == "note" && differs("in_reply_to_id") {
        adopt_reply(batch, ty, before)?;
    }
    let mut after = before.clone();
    after.extend(values.clone());
    // What was made without its parent gets its defaults when the parent is known.
    let parent = match table.as_str() {
        "asset_version" => "asset_id",
        _ => "project_id",
    };
    if is_missing(before, parent) {
        after.retain(|column, value| *value != Sql::Null || values.contains_key(column));
    }
    settle(batch, ty, &after)
}

/// What depends on a parent, once it is known: it may come with a later operation.
fn settle(batch: &mut Batch<'_>, ty: &Type, record: &Record) -> Result<()> {
    match batch.model.table(ty).name.as_str() {
        "context" if ty.name != "Project" => settle_context(batch, ty, record),
        "asset_version" => settle_version(batch, ty, record),
        "note" if !is_missing(record, "in_reply_to_id") => adopt_reply(batch, ty, record),
        _ => Ok(()),
    }
}

fn settle_context(batch: &mut Batch<'_>, ty: &Type, record: &Record) -> Result<()> {
    let mut values = Record::new();
    let mut current = record.clone();
    if let Some(parent) = text(record, "parent_id") {
        let project = project_of(batch, parent)?;
        if let Some(project) = project.filter(|project| text(record, "project_id") != Some(project))
        {
            values.insert("project_id".to_owned(), Sql::Text(project));
        }
    } else if let Some(project) = text(record, "project_id") {
        // Without a parent a context hangs directly below its project.
        values.insert("parent_id".to_owned(), Sql::Text(project.to_owned()));
    }
    current.extend(values.clone());
    values.extend(defaults::workflow(batch, ty, &current)?);
    batch.change(ty, record, &values)
}

fn project_of(batch: &Batch<'_>, context: &str) -> Result<Option<String>> {
    let find = "SELECT project_id FROM context WHERE id = ?1";
    let mut statement = batch.connection.prepare_cached(find)?;
    Ok(statement
        .query_row([context], |row| row.get(0))
        .optional()?
        .flatten())
}

/// The number of a version is the next one of its asset.
fn settle_version(batch: &mut Batch<'_>, ty: &Type, record: &Record) -> Result<()> {
    let Some(asset) = text(record, "asset_id") else {
        return Ok(());
    };
    let mut values = Record::new();
    // A client cannot ask for number zero with a number: that means "the next one".
    if matches!(record.get("version"), None | Some(Sql::Null)) {
        let find = "SELECT COALESCE(MAX(version), 0) + 1 FROM asset_version WHERE asset_id = ?1 AND id <> ?2";
        let next: i64 = batch
            .connection
            .prepare_cached(find)?
            .query_row(params![asset, text(record, "id")], |row| row.get(0))?;
        values.insert("version".to_owned(), Sql::Integer(next));
    }
    if !record.contains_key("status_id") {
        let find = "SELECT c.project_id FROM asset a JOIN context c ON c.id = a.context_id WHERE a.id = ?1";
        let project: Option<String> = batch
            .connection
            .prepare_cached(find)?
            .query_row([asset], |row| row.get(0))
            .optional()?;
        let status = match project {
            Some(project) => defaults::version_status(batch, &project)?,
            None => None,
        };
        values.extend(status.map(|status| ("status_id".to_owned(), Sql::Text(status))));
    }
    batch.change(ty, record, &values)
}

/// Moves a context's project with it, for everything below too.
fn move_subtree(batch: &mut Batch<'_>, ty: &Type, before: &Record) -> Result<()> {
    let id = text(before, "id").unwrap_or_default();
    let climb = "WITH RECURSIVE up(id, depth) AS (SELECT parent_id, 0 FROM context WHERE id = ?1 \
        UNION ALL SELECT c.parent_id, up.depth + 1 FROM up JOIN context c ON c.id = up.id \
        WHERE up.depth < 200 AND c.id <> ?1) SELECT COUNT(*) FROM up WHERE id = ?1";
    let is_ring: i64 = batch
        .connection
        .prepare_cached(climb)?
        .query_row([id], |row| row.get(0))?;
    if is_ring > 0 {
        return Err(Fault::validation(format!(
            "{} {id} cannot be moved below itself",
            ty.name
        )));
    }
    let spread = "WITH RECURSIVE down(id) AS (SELECT id FROM context WHERE parent_id = ?1 \
        UNION SELECT c.id FROM context c JOIN down ON c.parent_id = down.id) \
        UPDATE context SET project_id = (SELECT p.project_id FROM context s JOIN context p \
        ON p.id = s.parent_id WHERE s.id = ?1) WHERE id IN (SELECT id FROM down)";
    batch.connection.prepare_cached(spread)?.execute([id])?;
    Ok(())
}

/// Status changes are recorded with the user and the time.
fn record_status(batch: &mut Batch<'_>, ty: &Type, before: &Record, values: &Record) -> Result<()> {
    let is_version = batch.model.table(ty).name == "asset_version";
    let name = if is_version {
        "AssetVersionStatusChange"
    } else {
        "TypedContextStatusChange"
    };
    let model = batch.model;
    let Some(change) = model.find(name) else {
        return Ok(());
    };
    let text = |text: &str| Sql::Text(text.to_owned());
    let mut record = Record::from([
        ("id".to_owned(), text(&Uuid::new_v4().to_string())),
        ("parent_id".to_owned(), before["id"].clone()),
        // The schema does not translate this attribute: it holds the server's own word.
        (
            "parent_type".to_owned(),
            text(if is_version { "assetversion" } else { "task" }),
        ),
        ("status_id".to_owned(), values["status_id"].clone()),
        (
            "from_status_id".to_owned(),
            before.get("status_id").cloned().unwrap_or(Sql::Null),
        ),
        ("user_id".to_owned(), text(&batch.caller.user.id)),
        ("date".to_owned(), text(&batch.now)),
    ]);
    defaults::complete(batch, change, &mut record)?;
    batch.insert(change, &record)
}

/// The label of a note is its category too: they are one table.
fn label(batch: &mut Batch<'_>, record: &Record) -> Result<()> {
    let model = batch.model;
    let (Some(ty), Some(note)) = (model.find("Note"), record.get("note_id")) else {
        return Ok(());
    };
    let Some((_, before)) = batch.find(ty, std::slice::from_ref(note))? else {
        return Ok(());
    };
    let values = Record::from([("category_id".to_owned(), record["label_id"].clone())]);
    batch.change(ty, &before, &values)
}

fn only_timer(batch: &Batch<'_>, record: &Record) -> Result<()> {
    let count = "SELECT COUNT(*) FROM timer WHERE user_id = ?1";
    let count: i64 = batch
        .connection
        .prepare_cached(count)?
        .query_row([text(record, "user_id")], |row| row.get(0))?;
    if count > 1 {
        return Err(Fault::duplicate(
            "the user has a running timer already: stop it first",
        ));
    }
    Ok(())
}

/// A reply belongs to what the note that it replies to belongs to.
fn adopt_reply(batch: &mut Batch<'_>, ty: &Type, reply: &Record) -> Result<()> {
    let id = reply["id"].clone();
    let model = batch.model;
    let Some((_, reply)) = batch.find(ty, &[id])? else {
        return Ok(());
    };
    let Some(note) = reply.get("in_reply_to_id").filter(|id| **id != Sql::Null) else {
        return Ok(());
    };
    let Some((_, note)) = batch.find(&model.types[ty.id], std::slice::from_ref(note))? else {
        return Ok(());
    };
    let values: Record = ["parent_id", "parent_type"]
        .into_iter()
        .filter_map(|column| Some((column.to_owned(), note.get(column)?.clone())))
        .collect();
    batch.change(ty, &reply, &values)
}

/// At the end of the batch: authors of new notes become recipients, after any operation that sets
/// the recipients.
///
/// # Errors
///
/// Those of the database.
pub fn finish(batch: &mut Batch<'_>) -> Result<()> {
    rollup::finish(batch)?;
    let model = batch.model;
    let (Some(note), Some(recipient)) = (model.find("Note"), model.find("Recipient")) else {
        return Ok(());
    };
    let user = Sql::Text(batch.caller.user.id.clone());
    for id in std::mem::take(&mut batch.notes) {
        let id = Sql::Text(id);
        let key = [id.clone(), user.clone()];
        if batch.find(note, std::slice::from_ref(&id))?.is_none()
            || batch.find(recipient, &key)?.is_some()
        {
            continue;
        }
        let record = Record::from([
            ("note_id".to_owned(), id),
            ("resource_id".to_owned(), user.clone()),
        ]);
        batch.insert(recipient, &record)?;
    }
    Ok(())
}
