//! `delayed_job`: work that the server does later.

use rusqlite::types::Value as Sql;
use serde_json::Value;
use uuid::Uuid;

use crate::actions::Reply;
use crate::error::{Fault, Result};
use crate::rules::echo::Pending;
use crate::rules::record::Record;
use crate::rules::{Batch, defaults};
use crate::select::find;

/// The one documented kind of work brings users from a directory service; an emulator has none to
/// ask, so the job is done at once.
pub(super) fn run(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let kind = operation["job_type"].as_str().unwrap_or_default();
    if kind != "SYNC_USERS_LDAP" {
        return Err(Fault::validation(format!(
            "There is no delayed job \"{kind}\": use SYNC_USERS_LDAP"
        )));
    }
    let model = batch.model;
    let ty = find(model, "Job")?;
    let id = Sql::Text(Uuid::new_v4().to_string());
    let data = match &operation["data"] {
        Value::Null => "{}".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = |text: &str| Sql::Text(text.to_owned());
    let mut record = Record::from([
        ("id".to_owned(), id.clone()),
        ("user_id".to_owned(), text(&batch.caller.user.id)),
        ("type".to_owned(), text("delayed_job")),
        ("status".to_owned(), text("done")),
        ("finished_at".to_owned(), text(&batch.now)),
        ("data".to_owned(), Sql::Text(data)),
    ]);
    defaults::complete(batch, ty, &mut record)?;
    batch.insert(ty, &record)?;
    let pending = Pending {
        key: vec![id],
        echo: Vec::new(),
        is_new: true,
    };
    Ok(Reply::Row("delayed_job", ty.id, pending))
}
