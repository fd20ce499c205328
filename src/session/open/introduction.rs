//! The first exchange with a server: its information and its schema.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::ServerInformation;
use crate::api::Api;
use crate::cache::schema as schema_cache;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Schema;

/// Asks for both; for the schema only if it is not cached.
pub(super) fn introduce(api: &Api) -> Result<(ServerInformation, Schema)> {
    let file = schema_cache::file_for(api.config());
    if api.config().offline {
        return introduce_offline(file.as_deref());
    }
    let ask_both = !file.as_ref().is_some_and(|file| file.exists());
    let values = [
        "version",
        "schema_hash",
        "is_timezone_support_enabled",
        "storage_scenario",
        "user_information",
    ];
    let mut actions = vec![json!({"action": "query_server_information", "values": values})];
    if ask_both {
        actions.push(json!({"action": "query_schemas"}));
    }
    let mut replies = api.call(&actions)?.into_iter();
    let information = ServerInformation::new(replies.next().unwrap_or_default())?;
    information.check_version()?;
    let hash = information.schema_hash();
    let cached = match (&file, hash, ask_both) {
        (Some(file), Some(hash), false) => schema_cache::read(file, hash),
        _ => None,
    };
    if let Some(schema) = cached {
        return Ok((information, schema));
    }
    let schemas = match replies.next() {
        Some(schemas) => schemas,
        None => fetch_schemas(api)?,
    };
    let (schema, text) = schema_cache::from_server(schemas)?;
    if let Some(file) = &file {
        schema_cache::write(file, &text);
    }
    Ok((information, schema))
}

/// What is known of a server without asking it: its schema.
fn introduce_offline(file: Option<&Path>) -> Result<(ServerInformation, Schema)> {
    let schema = schema_cache::read_offline(file)?;
    let information = json!({"schema_hash": schema.hash()});
    Ok((ServerInformation::new(information)?, schema))
}

fn fetch_schemas(api: &Api) -> Result<Json> {
    let mut replies = api.call(&[json!({"action": "query_schemas"})])?;
    replies
        .pop()
        .ok_or_else(|| Error::new(ErrorKind::BadResponse, "the server gave no schema"))
}
