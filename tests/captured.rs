//! Responses captured from a real server decode to the right entities.
//!
//! The captures are not part of the repository; where they are missing there is nothing to test. The
//! unit tests of the decoder have responses that every machine can check.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::path::PathBuf;

use ftrack_api::{
    Entity, EntityKey, Session, config::SchemaCache, data, transport::ScriptedTransport,
};
use support::secret;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference");

/// A session on the real schema, and the script of its server.
fn session() -> Option<(Session, ScriptedTransport)> {
    let schemas = std::fs::read_to_string(PathBuf::from(FOLDER).join("schemas.json")).ok()?;
    let information = captured("query_server_information").unwrap();
    let script = ScriptedTransport::new();
    script.respond(200, format!("[{information}, {schemas}]"));
    let session = Session::builder()
        .server_url("https://studio.example")
        .api_key(secret("s3cret-key"))
        .api_user("u")
        .schema_cache(SchemaCache::Off)
        .transport(script.clone())
        .open()
        .unwrap();
    assert_eq!(session.server_information().version(), Some("dev"));
    assert_eq!(
        session.schema().hash(),
        session.server_information().schema_hash().unwrap()
    );
    Some((session, script))
}

fn captured(name: &str) -> Option<String> {
    std::fs::read_to_string(PathBuf::from(FOLDER).join(format!("responses/{name}.json"))).ok()
}

fn query(name: &str, expression: &str) -> Option<(Session, Vec<Entity>)> {
    let (session, script) = session()?;
    script.respond(200, format!("[{}]", captured(name)?));
    let found = session.query_raw(expression).unwrap();
    Some((session, found))
}

#[test]
fn a_task_with_its_date() {
    let name = "query_select_name,_created_at_from_task_limit_1";
    let Some((_, found)) = query(name, "select name, created_at from Task limit 1") else {
        return;
    };
    assert_eq!(
        found[0].key().to_string(),
        "Task(00a574b0-1c44-11e2-a9da-f23c91df25eb)"
    );
    let created: jiff::civil::DateTime = found[0].get("created_at").unwrap();
    assert_eq!(created.to_string(), "2022-10-10T10:12:09");
    assert!(
        found[0]
            .get::<String>("name")
            .unwrap()
            .starts_with("Filters via \"At a glance\"")
    );
    let project: String = found[0].get("project_id").unwrap();
    assert_eq!(project, "95f5c536-4e65-11e1-afaa-f23c91df25eb");
}

#[test]
fn an_entity_that_is_complete_only_once() {
    let name =
        "query_select_status.state.short_from_task_where_status.state.short_is_not_started_limit_2";
    let Some((session, found)) = query(name, "select status.state.short from Task limit 2") else {
        return;
    };
    let before = session.statistics().requests;
    let states = found
        .iter()
        .map(|task| task.get::<String>("status.state.short").unwrap());
    assert_eq!(states.collect::<Vec<_>>(), ["NOT_STARTED", "NOT_STARTED"]);
    assert_eq!(
        found[0].get::<Entity>("status").unwrap(),
        found[1].get::<Entity>("status").unwrap()
    );
    assert_eq!(session.statistics().requests, before);
}

#[test]
fn a_circle_of_versions_and_their_asset() {
    let name = "query_select_version,_asset.versions.version_from_assetversion_where_asset_id_is_not_none_limit_1";
    let Some((_, found)) = query(
        name,
        "select version, asset.versions.version from AssetVersion limit 1",
    ) else {
        return;
    };
    let versions: Vec<Entity> = found[0]
        .get::<Entity>("asset")
        .unwrap()
        .get("versions")
        .unwrap();
    let numbers = versions
        .iter()
        .map(|version| version.get::<i64>("version").unwrap());
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(versions[0], found[0]);
}

#[test]
fn created_and_updated_entities() {
    let Some((session, _)) = session() else {
        return;
    };
    for (name, id, attribute, value) in [
        (
            "create_filecomponent",
            "ebc0ace8-fe6f-497b-bf87-54f6f318014a",
            "file_type",
            ".json",
        ),
        (
            "create_user",
            "5c6060d1-2dc7-11ec-b3b6-1e00da110726",
            "last_name",
            "last",
        ),
        (
            "update_user",
            "8b0cabd6-2b93-4a6e-9aff-e163bea8844e",
            "resource_type",
            "user",
        ),
        (
            "create_componentlocation",
            "beedc0e5-95f1-4902-a43e-6df5cc0ccf48",
            "id",
            "beedc0e5-95f1-4902-a43e-6df5cc0ccf48",
        ),
    ] {
        let response: serde_json::Value = serde_json::from_str(&captured(name).unwrap()).unwrap();
        let entity = session.decode(&response["data"]).unwrap().remove(0);
        assert_eq!(entity.id(), id);
        assert_eq!(entity.get::<String>(attribute).unwrap(), value);
    }
}

#[test]
fn replies_to_commits_confirm_them() {
    let Some((session, script)) = session() else {
        return;
    };
    let update = |id: &str| session.entity(EntityKey::new("User", id)).unwrap();
    for (name, entity_type, id) in [
        (
            "create_componentlocation",
            "ComponentLocation",
            "beedc0e5-95f1-4902-a43e-6df5cc0ccf48",
        ),
        (
            "create_filecomponent",
            "FileComponent",
            "ebc0ace8-fe6f-497b-bf87-54f6f318014a",
        ),
        (
            "create_user",
            "User",
            "5c6060d1-2dc7-11ec-b3b6-1e00da110726",
        ),
        (
            "update_user",
            "User",
            "8b0cabd6-2b93-4a6e-9aff-e163bea8844e",
        ),
    ] {
        let data = data! { "id": id };
        match name.starts_with("update") {
            true => update(id).set("username", "new").unwrap(),
            false => drop(session.create(entity_type, data).unwrap()),
        }
        script.respond(200, format!("[{}]", captured(name).unwrap()));
        session.commit().unwrap();
        assert!(session.recorded_operations().is_empty(), "{name}");
    }
}
