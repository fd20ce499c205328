//! Seeds: a studio from a JSON description, through the whole server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use client::Site;
use ftrack_emulator::Emulator;
use serde_json::{Value, json};

fn example() -> Value {
    serde_json::from_str(include_str!("../docs/studio.json")).unwrap()
}

fn refused(seed: &Value) -> String {
    let builder = Emulator::builder().tasks(0).seed(seed.clone());
    format!("{:#}", builder.start().unwrap_err())
}

#[test]
fn the_example_is_there_with_everything_in_it() {
    let site = Site::with(Emulator::builder().tasks(0).seed(example()));
    let one = |expression: &str| {
        let found = site.query(expression);
        assert_eq!(found.len(), 1, "{expression}: {found:?}");
        found[0].clone()
    };
    let task = one(
        "select link, status.name, type.name, priority.name, bid, end_date, \
         assignments.resource.username, timelogs.duration, time_logged, project.name \
         from Task where name is anim and project.name is lighthouse",
    );
    let link: Vec<_> = task["link"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["name"])
        .collect();
    assert_eq!(
        json!(link),
        json!(["The Lighthouse Keeper", "sq010", "sh0010", "anim"])
    );
    assert_eq!(task["status"]["name"], "In progress");
    assert_eq!(task["type"]["name"], "Animation");
    assert_eq!(task["priority"]["name"], "High");
    assert_eq!(task["end_date"]["value"], "2026-04-17T16:00:00");
    assert_eq!(task["assignments"][0]["resource"]["username"], "mira");
    assert_eq!(task["time_logged"], 5400.0);

    let version = one(
        "select version, is_latest_version, task_id, user.username, status.name, \
         components.name, components.component_locations.resource_identifier \
         from AssetVersion where asset.name is storm and version is 2 and comment is Splined",
    );
    assert_eq!(version["is_latest_version"], true);
    assert_eq!(version["task_id"], task["id"]);
    assert_eq!(version["user"]["username"], "mira");
    assert_eq!(version["components"].as_array().unwrap().len(), 2);
    let members = one("select members.name from SequenceComponent where name is playblast");
    assert_eq!(members["members"].as_array().unwrap().len(), 2);

    let value = |expression: &str| one(expression)["value"].clone();
    let values = "select value from ContextCustomAttributeValue where key is";
    let shot = one("Shot where name is sh0010 and project.name is lighthouse")["id"].clone();
    let shot = shot.as_str().unwrap();
    assert_eq!(
        value(&format!("{values} lens and entity_id is {shot}")),
        "21 mm"
    );
    assert_eq!(
        value(&format!("{values} fstart and entity_id is {shot}")),
        1001
    );
    let client = "select value from Metadata where key is client and parent_id in \
                  (select id from Project where name is lighthouse)";
    assert_eq!(value(client), "Harbour Films");
    let note = one(
        "select author.username, replies.content, note_label_links.label.name \
         from Note where content like \"Hold the lamp%\"",
    );
    assert_eq!(note["author"]["username"], "mira");
    assert_eq!(note["replies"][0]["content"], "Twelve frames added.");
    assert_eq!(
        note["note_label_links"][0]["label"]["name"],
        "Client feedback"
    );
    let group = one("select memberships.user.username from Group where name is Layout");
    assert_eq!(group["memberships"].as_array().unwrap().len(), 2);
}

#[test]
fn mistakes_are_found_with_their_place() {
    for (pointer, wrong, place, says) in [
        (
            "/projects/0/nme",
            json!(1),
            "projects[0].nme",
            "no such member",
        ),
        ("/porjects", json!([]), "porjects", "no such list"),
        (
            "/projects/0/project_schema",
            json!("Nope"),
            "projects[0].project_schema",
            "VFX Scheme",
        ),
        (
            "/projects/0/sequences/0/shots",
            json!({}),
            "projects[0].sequences[0].shots",
            "a list of objects",
        ),
        (
            "/projects/0/sequences/0/shots/0",
            json!(5),
            "projects[0].sequences[0].shots[0]",
            "a list of objects",
        ),
        (
            "/projects/0/sequences/0/shots/0/tasks/0/status",
            json!("Fine"),
            "projects[0].sequences[0].shots[0].tasks[0].status",
            "In progress",
        ),
        (
            "/projects/0/sequences/0/shots/0/tasks/0/bid",
            json!("long"),
            "projects[0].sequences[0].shots[0].tasks[0]",
            "bid must be a number",
        ),
        (
            "/projects/0/sequences/0/shots/0/tasks/0/assignees/0",
            json!("nobody"),
            "projects[0].sequences[0].shots[0].tasks[0].assignees[0]",
            "no User \"nobody\"",
        ),
        (
            "/projects/0/sequences/0/shots/0/assets/0/versions/0/task",
            json!("model"),
            "projects[0].sequences[0].shots[0].assets[0].versions[0].task",
            "from the project down",
        ),
        (
            "/projects/0/sequences/0/shots/0/custom_attributes",
            json!({"NumberField": 1}),
            "projects[0].sequences[0].shots[0].custom_attributes.NumberField",
            "applies to a Shot",
        ),
        (
            "/projects/0/sequences/0/shots/0/custom_attributes",
            json!({"fstart": "x"}),
            "projects[0].sequences[0].shots[0].custom_attributes.fstart",
            "must be of type number",
        ),
        (
            "/projects/0/metadata",
            json!({"a": []}),
            "projects[0].metadata.a",
            "text, a number or a flag",
        ),
        (
            "/projects/0/asset_builds/0/name",
            json!("SQ010"),
            "projects[0].sequences[0]",
            "exists already",
        ),
        (
            "/projects/0/children",
            json!([]),
            "projects[0].children",
            "cannot set this list",
        ),
        (
            "/users/0/user_type_id",
            json!("00000000-0000-4000-8000-000000000000"),
            "users[0]",
            "does not exist",
        ),
    ] {
        let mut seed = example();
        let (above, name) = pointer.rsplit_once('/').unwrap();
        match seed.pointer_mut(above).unwrap() {
            Value::Array(list) => list[0] = wrong,
            other => other[name] = wrong,
        }
        let error = refused(&seed);
        assert!(error.contains(&format!("at {place}: ")), "{place}: {error}");
        assert!(error.contains(says), "{says}: {error}");
    }
    assert!(refused(&json!([])).contains("a seed is an object"));
}

#[test]
fn a_folder_takes_a_seed_once_and_a_wrong_one_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let start = |seed: &Value| {
        let builder = Emulator::builder().tasks(0).data(folder.path());
        builder.seed(seed.clone()).start()
    };
    let mut wrong = example();
    wrong["projects"][0]["sequences"][0]["shots"][0]["tasks"][0]["bid"] = json!("long");
    assert!(start(&wrong).is_err());
    for _ in 0..2 {
        let emulator = start(&example()).unwrap();
        let count = emulator.site().database.transaction(|connection| {
            let sql = "SELECT COUNT(*) FROM context WHERE name = 'lighthouse'";
            Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(count.unwrap(), 1);
    }
    let more = json!({"projects": [{"name": "second", "project_schema": "VFX Scheme",
        "tasks": [{"name": "one"}]}]});
    drop(start(&more).unwrap());
}

#[test]
fn the_readme_s_seed_is_one() {
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```json\n").unwrap();
    let seed = serde_json::from_str(rest.split_once("```").unwrap().0).unwrap();
    let site = Site::with(Emulator::builder().tasks(0).seed(seed));
    let version = site.query("select task.name from AssetVersion where asset.name is storm");
    assert_eq!(version[0]["task"]["name"], "anim");
}
