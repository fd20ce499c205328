//! `encode_media`: the job, and what encoding does to the database on the user's behalf.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::actions::{Reply, create, run};
use crate::error::{Fault, Result};
use crate::files::encode::{Catalogue, EncodeRequest, Encoder, Media, Output, Source};
use crate::rules::batch::now;
use crate::rules::record::text;
use crate::rules::{Batch, Caller};
use crate::select::find;
use crate::site::Site;

/// The location `ftrack.server`.
const SERVER_LOCATION: &str = "3a372bde-05bc-11e4-8908-20c9d081909b";
/// How long a job is queued, and how long it runs, at least.
const DELAY: Duration = Duration::from_millis(200);

/// Creates the job in the batch; it starts when the batch is committed.
pub(super) fn queue(batch: &mut Batch<'_>, operation: &Value) -> Result<Reply> {
    let mut request = EncodeRequest::parse(operation)?;
    let ty = find(batch.model, "FileComponent")?;
    let key = [rusqlite::types::Value::Text(request.component_id.clone())];
    let Some((_, component)) = batch.find(ty, &key)? else {
        let id = &request.component_id;
        return Err(Fault::validation(format!(
            "encode_media: there is no FileComponent {id}"
        )));
    };
    let media = batch.media.get(&request.component_id);
    let file_type = text(&component, "file_type").unwrap_or_default();
    request.plan(media.copied().unwrap_or(Media::Missing), file_type);
    let job_id = Uuid::new_v4().to_string();
    let job = json!({
        "__entity_type__": "Job",
        "id": job_id,
        "type": "api_job",
        "status": "queued",
        "user_id": batch.caller.user.id,
        "data": request.job_data(),
        "created_at": now(),
    });
    let operation = json!({"action": "create", "entity_type": "Job", "entity_data": job});
    create::run(batch, &operation)?;
    batch.encodings.push((request, job_id.clone()));
    Ok(Reply::Done(json!({"job_id": job_id})))
}

/// Looks at the data of all components that a batch wants encoded. This starts programs, so it
/// comes before the transaction.
pub(super) fn look(site: &Site, operations: &[Value]) -> HashMap<String, Media> {
    let is_meant = |operation: &&Value| operation["action"] == "encode_media";
    let ids = operations
        .iter()
        .filter(is_meant)
        .filter_map(|operation| operation["component_id"].as_str());
    ids.map(|id| (id.to_owned(), site.files.media(id)))
        .collect()
}

/// Starts the jobs of a batch that has been committed.
pub(super) fn start(site: &Arc<Site>, caller: &Caller, encodings: Vec<(EncodeRequest, String)>) {
    if encodings.is_empty() {
        return;
    }
    let desk = Desk {
        site: Arc::clone(site),
        caller: caller.clone(),
    };
    let encoder = Encoder::new(site.files.clone(), Arc::new(desk), DELAY);
    for (request, job_id) in encodings {
        encoder.start(request, job_id, &Handle::current());
    }
}

/// Works on the database as the user who asked for the encoding does: through the API's own
/// operations, so that every rule holds and every change is announced.
struct Desk {
    site: Arc<Site>,
    caller: Caller,
}

impl Desk {
    fn run(&self, operations: &[Value]) -> Result<Vec<Value>, String> {
        let replies =
            run(&self.site, &self.caller, operations).map_err(|fault| fault.to_string())?;
        serde_json::from_str(&replies).map_err(|error| error.to_string())
    }

    fn first(&self, expression: &str) -> Result<Option<Value>, String> {
        let replies = self.run(&[json!({"action": "query", "expression": expression})])?;
        let data = replies.first().and_then(|reply| reply["data"].get(0));
        Ok(data.cloned())
    }
}

impl Catalogue for Desk {
    fn component(&self, component_id: &str) -> Result<Option<Source>, String> {
        let id = quoted(component_id);
        let query = format!("select file_type from FileComponent where id is {id}");
        let found = self.first(&query)?;
        Ok(found.map(|component| Source {
            file_type: component["file_type"].as_str().unwrap_or("").to_owned(),
        }))
    }

    fn update_job(&self, job_id: &str, status: &str, data: &str) -> Result<(), String> {
        let mut changes = json!({"__entity_type__": "Job", "status": status, "data": data});
        if status != "running" {
            changes["finished_at"] = now().into();
        }
        self.run(&[update("Job", job_id, &changes)]).map(drop)
    }

    fn create_output(&self, job_id: &str, output: &Output) -> Result<(), String> {
        let id = &output.component_id;
        let mut operations = vec![
            create_one(&json!({
                "__entity_type__": "FileComponent",
                "id": id,
                "name": output.name,
                "file_type": output.file_type,
                "size": output.size,
                "system_type": "file",
                "version_id": output.version_id,
            })),
            create_one(&json!({
                "__entity_type__": "ComponentLocation",
                "id": Uuid::new_v4().to_string(),
                "component_id": id,
                "location_id": SERVER_LOCATION,
                "resource_identifier": id,
            })),
            create_one(&json!({
                "__entity_type__": "JobComponent",
                "component_id": id,
                "job_id": job_id,
            })),
        ];
        operations.extend(output.metadata.iter().map(|(key, value)| {
            create_one(&json!({
                "__entity_type__": "Metadata",
                "parent_id": id,
                "parent_type": "FileComponent",
                "key": key,
                "value": value,
            }))
        }));
        self.run(&operations).map(drop)
    }

    fn set_thumbnail(&self, version_id: &str, component_id: &str) -> Result<(), String> {
        let id = quoted(version_id);
        if self
            .first(&format!("select id from AssetVersion where id is {id}"))?
            .is_none()
        {
            return Ok(());
        }
        let changes = json!({"__entity_type__": "AssetVersion", "thumbnail_id": component_id});
        self.run(&[update("AssetVersion", version_id, &changes)])
            .map(drop)
    }

    fn delete_component(&self, component_id: &str) -> Result<(), String> {
        let operation = json!({
            "action": "delete",
            "entity_type": "FileComponent",
            "entity_key": [component_id],
        });
        self.run(&[operation]).map(drop)
    }

    fn note(&self, text: &str) {
        self.site.history.note(text);
    }
}

fn create_one(data: &Value) -> Value {
    json!({"action": "create", "entity_type": data["__entity_type__"], "entity_data": data})
}

fn update(entity_type: &str, id: &str, data: &Value) -> Value {
    json!({"action": "update", "entity_type": entity_type, "entity_key": [id], "entity_data": data})
}

/// A value in the text of a query.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
