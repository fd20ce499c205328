//! Schemas of other sites, and what newer servers offer beyond the classic schema.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use client::Site;
use ftrack_emulator::Emulator;
use ftrack_emulator::schema::compact::Edition;
use serde_json::{Value, json};

const PROJECT: &str = "5671dcb0-66de-11e1-8e6e-f23c91df25eb";
const SHOT: &str = "bad911de-3bd6-47b9-8b46-3476e237cb36";
const SEQUENCE: &str = "e5139355-61da-4c8f-9db4-3abc870166bc";
const PRIORITY: &str = "0f0e3a52-5c6b-4f6b-9a55-3d2f6d1c7a10";

fn project() -> Value {
    json!({"__entity_type__": "Project", "id": PROJECT})
}

/// A studio that makes no films: its kinds of objects have other names, there is one that nobody
/// knows, and a type of its own whose relations no foreign key explains.
fn other_studio() -> Value {
    let mut types = Edition::Current.wire();
    let types = types.as_array_mut().unwrap();
    types.retain(|ty| {
        !matches!(
            ty["id"].as_str(),
            Some("Episode" | "Manager" | "Conversation")
        )
    });
    types.retain(|ty| !matches!(ty["id"].as_str(), Some("Message" | "Participant")));
    for ty in types.iter_mut() {
        match ty["id"].as_str().unwrap() {
            "Shot" => ty["id"] = json!("Story"),
            "Sequence" => ty["id"] = json!("Epic"),
            // The key without the relation.
            "Asset" => drop(ty["properties"].as_object_mut().unwrap().remove("project")),
            "DashboardResource" => {
                let properties = ty["properties"].as_object_mut().unwrap();
                properties.remove("is_shared_with_everyone");
            }
            _ => {}
        }
        if ty["properties"]["priority_id"]["default"].is_string() {
            ty["properties"]["priority_id"]["default"] = json!(PRIORITY);
        }
    }
    let story = types.iter().find(|ty| ty["id"] == "Story").unwrap();
    let mut article = story.clone();
    article["id"] = json!("Article");
    let own = "d514614c-90d9-11e8-a95e-0a580aa00360";
    article["alias_for"]["classifiers"]["object_typeid"] = json!(own);
    article["properties"]["object_type_id"]["default"] = json!(own);
    types.push(article);
    types.push(json!({
        "id": "Gadget", "type": "object", "primary_key": ["id"],
        "properties": {
            "id": {"type": "string", "default": "{uid}"},
            "weight": {"type": "number"},
            "shape": {"type": "object"},
            "parts": {"type": "array", "items": {"$ref": "Gadget"}},
            "stranger": {"$ref": "NoSuchType"},
        },
    }));
    Value::Array(types.clone())
}

/// Everything that a client does first, on any schema.
fn check(site: &Site, kinds: &[&str]) {
    let schemas = site.call(&json!([{"action": "query_schemas"}]));
    assert!(schemas[0].as_array().unwrap().len() > 100);
    assert_eq!(site.query("Project where name is test").len(), 1);
    assert!(site.query("Task").len() >= 12);
    let asset = site.create("Asset", json!({"name": "plate", "parent": project()}));
    assert_eq!(asset["context_id"], PROJECT);
    let found = site.query("select assets.name from Project where name is test");
    let found = found[0]["assets"].as_array().unwrap();
    assert!(found.iter().any(|it| it["id"] == asset["id"]));
    for lost in ["object_type", "priority"] {
        let expression = format!("TypedContext where not {lost} has (name like \"%\")");
        assert!(site.query(&expression).is_empty(), "{expression}");
    }
    for kind in kinds {
        let entity = site.create(
            kind,
            json!({"name": format!("a {kind}"), "parent": project()}),
        );
        assert_eq!(entity["__entity_type__"], *kind);
        assert_eq!(entity["project_id"], PROJECT);
        let found = site.query(&format!("{kind} where name is \"a {kind}\""));
        assert_eq!(found.len(), 1, "{kind}");
    }
}

#[test]
fn each_built_in_schema_starts_with_any_size() {
    let kinds = [
        "Task",
        "Shot",
        "Sequence",
        "Episode",
        "Folder",
        "AssetBuild",
        "Milestone",
    ];
    for edition in [Edition::Classic, Edition::Current] {
        for tasks in [0, 12, 100] {
            check(
                &Site::with(Emulator::builder().tasks(tasks).edition(edition)),
                &kinds,
            );
        }
    }
}

#[test]
fn a_studio_with_other_kinds_gets_a_demo_studio_of_what_it_has() {
    for tasks in [0, 12, 100] {
        let site = Site::with(Emulator::builder().tasks(tasks).schemas(other_studio()));
        check(
            &site,
            &[
                "Task",
                "Story",
                "Epic",
                "Article",
                "Folder",
                "AssetBuild",
                "Milestone",
            ],
        );
        let names = site.query("select name from ObjectType");
        let names: Vec<_> = names
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        for name in ["Story", "Epic", "Article", "Asset Build"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(!names.contains(&"Shot") && names.len() == 7, "{names:?}");
        assert!(
            !site
                .query(&format!("Story where object_type_id is {SHOT}"))
                .is_empty()
        );
        assert!(
            !site
                .query(&format!("Epic where object_type_id is {SEQUENCE}"))
                .is_empty()
        );
        assert!(site.query("Note where parent_type is Shot").is_empty());
        let found = site.query(&format!("Priority where id is {PRIORITY}"));
        assert_eq!(found.len(), 1);
    }
}

#[test]
fn unknown_types_are_stored_and_served_by_what_the_schema_says() {
    let site = Site::with(Emulator::builder().tasks(12).schemas(other_studio()));
    let [one, two] = ["a", "b"].map(|id| {
        site.create(
            "Gadget",
            json!({"id": id, "weight": 2, "shape": {"sides": [3, 4]}}),
        )
    });
    assert_eq!(one["shape"], json!({"sides": [3, 4]}));
    let part = json!({"__entity_type__": "Gadget", "id": two["id"]});
    site.update("Gadget", &json!(["a"]), json!({"parts": [part]}));
    let found = site.query(
        "select weight, shape, parts.weight, stranger from Gadget where parts any (id is b)",
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["weight"], 2.0);
    assert_eq!(found[0]["shape"], json!({"sides": [3, 4]}));
    assert_eq!(found[0]["parts"][0]["weight"], 2.0);
    site.delete("Gadget", &json!(["b"]));
    assert!(site.query("Gadget where parts any ()").is_empty());
}

#[test]
fn the_version_chooses_the_schema() {
    let classic = "23a1157b8b1730fd91c76f63dcd67a8f";
    for (version, is_classic) in [("3.5.1", true), ("4.13.8", false), ("dev", false)] {
        let site = Site::with(Emulator::builder().tasks(0).server_version(version));
        let information = site.call(&json!([{"action": "query_server_information"}]));
        assert_eq!(information[0]["version"], version);
        assert_eq!(information[0]["schema_hash"] == classic, is_classic);
    }
}

#[test]
fn the_project_of_assets_versions_and_notes_follows_from_what_they_belong_to() {
    let site = Site::start();
    for kind in ["Asset", "AssetVersion", "Note"] {
        let lacking = site.query(&format!("select id from {kind} where project_id is none"));
        assert!(lacking.is_empty(), "{kind}: {}", lacking.len());
    }
    let folder = site.create("Folder", json!({"name": "moving", "parent": project()}));
    let parent = json!({"__entity_type__": "Folder", "id": folder["id"]});
    let asset = site.create("Asset", json!({"name": "plate", "parent": parent}));
    let version = site.create("AssetVersion", json!({"asset_id": asset["id"]}));
    site.create(
        "Note",
        json!({"content": "n", "parent_id": version["id"],
        "parent_type": "AssetVersion", "frame_number": 12}),
    );
    assert_eq!(
        (&asset["project_id"], &version["project_id"]),
        (&json!(PROJECT), &json!(PROJECT))
    );
    let projects = |expected: &Value| {
        let expression = format!(
            "select project.id, versions.project.id, ancestors.name from Asset where id is {}",
            asset["id"]
        );
        let found = &site.query(&expression)[0];
        assert_eq!(found["project"]["id"], *expected);
        assert_eq!(found["versions"][0]["project"]["id"], *expected);
        let note = format!(
            "select frame_number from Note where project_id is {expected} and frame_number is 12"
        );
        assert_eq!(site.query(&note)[0]["frame_number"], 12);
        found["ancestors"].clone()
    };
    let ancestors = projects(&json!(PROJECT));
    assert_eq!(ancestors[0]["name"], "moving");
    let other =
        site.query("select id from Project where name is_not test limit 1")[0]["id"].clone();
    let target = json!({"__entity_type__": "Project", "id": other});
    site.update("Folder", &json!([folder["id"]]), json!({"parent": target}));
    projects(&other);
}

#[test]
fn what_newer_servers_offer_can_be_made_and_read() {
    let site = Site::start();
    let user = site.query("select id from User where username is jenkins")[0]["id"].clone();
    assert!(
        site.query("select is_prioritizable from ObjectType")[0]["is_prioritizable"].is_boolean()
    );
    let tasks = site.query("select id from Task limit 2");
    let (from, to) = (&tasks[0]["id"], &tasks[1]["id"]);

    let link = site.create(
        "TypedContextLink",
        json!({"from_id": from, "to_id": to, "lag": 1.5}),
    );
    assert_eq!(
        (&link["type"], &link["lag"]),
        (&json!("end_to_start"), &json!(1.5))
    );
    site.create(
        "SplitTaskPart",
        json!({"task_id": from, "start_date": "2026-01-01",
        "end_date": "2026-01-02", "label": "first half"}),
    );
    let parts = site.query(&format!(
        "select split_parts.label from Task where id is {from}"
    ));
    assert_eq!(parts[0]["split_parts"][0]["label"], "first half");

    let folder = site.create(
        "ReviewSessionFolder",
        json!({"name": "week", "project_id": PROJECT}),
    );
    let session = site.create(
        "ReviewSession",
        json!({"name": "monday", "description": "",
        "project_id": PROJECT, "review_session_folder_id": folder["id"]}),
    );
    let query =
        "select review_session_folders.review_sessions.name from Project where name is test";
    assert_eq!(
        site.query(query)[0]["review_session_folders"][0]["review_sessions"][0]["name"],
        "monday"
    );
    site.create(
        "ReviewSessionInvitee",
        json!({"name": "Jo", "email": "jo@example.com",
        "review_session_id": session["id"], "resource_id": user}),
    );
    assert_eq!(
        site.query("select resource.username from ReviewSessionInvitee where name is Jo")[0]["resource"]
            ["username"],
        "jenkins"
    );

    let role = site.query("select id from SecurityRole limit 1")[0]["id"].clone();
    let key = site.create("ApiKey", json!({"identifier": "ci", "resource_id": user}));
    let roles = json!([{"__entity_type__": "SecurityRole", "id": role}]);
    site.update(
        "ApiKey",
        &json!([key["id"]]),
        json!({"roles": roles, "projects": [project()]}),
    );
    let found =
        site.query("select roles.id, projects.name from ApiKey where projects any (name is test)");
    assert_eq!(
        (
            &found[0]["roles"][0]["id"],
            &found[0]["projects"][0]["name"]
        ),
        (&role, &json!("test"))
    );

    let guest = site.create(
        "Collaborator",
        json!({"first_name": "Guest", "email": "guest@example.com"}),
    );
    assert_eq!(guest["resource_type"], "collaborator");
    let found = site.query("select first_name from BaseUser where first_name is Guest");
    assert_eq!(found[0]["__entity_type__"], "Collaborator");
    assert!(
        site.query("select author.first_name from Note limit 1")[0]["author"]["__entity_type__"]
            == "User"
    );
    assert!(
        site.query("User where email is \"guest@example.com\"")
            .is_empty()
    );
}

#[test]
fn types_that_extend_others_are_found_as_both() {
    let site = Site::start();
    let user = site.query("select id from User where username is jenkins")[0]["id"].clone();
    let status = "44dd9fb2-4164-11df-9218-0019bb4983d8";
    let schema = "69cb7f92-4dbf-11e1-9902-f23c91df25eb";
    let group = site.create(
        "TypedContextStatusRuleGroup",
        json!({"status_id": status,
        "schema_id": schema, "entity_type": "task", "object_type_id": SHOT}),
    );
    site.create(
        "StatusRule",
        json!({"status_id": status, "status_rule_group_id": group["id"]}),
    );
    let found = site.query("select status_rules.status.name from StatusRuleGroup");
    assert_eq!(found[0]["__entity_type__"], "TypedContextStatusRuleGroup");
    assert_eq!(found[0]["status_rules"][0]["status"]["name"], "Not started");
    assert!(site.query("AssetVersionStatusRuleGroup").is_empty());

    let automation = site.create("Automation", json!({"name": "notify", "enabled": true}));
    assert_eq!(automation["created_by"], user);
    site.create(
        "Trigger",
        json!({"automation_id": automation["id"], "filter": "topic=ftrack.update"}),
    );
    site.create(
        "WebhookAction",
        json!({"automation_id": automation["id"],
        "webhook_url": "https://example.com/hook"}),
    );
    let found = site.query("select actions.webhook_url, triggers.filter from Automation");
    assert_eq!(found[0]["actions"][0]["__entity_type__"], "WebhookAction");
    assert_eq!(found[0]["triggers"][0]["filter"], "topic=ftrack.update");

    let note = site.create(
        "Note",
        json!({"content": "see", "parent_id": PROJECT, "parent_type": "Project"}),
    );
    for (kind, name) in [
        ("NoteComponent", "plain"),
        ("NoteAnnotationComponent", "drawn"),
    ] {
        let component = site.create("FileComponent", json!({"name": name}));
        let mut data = json!({"note_id": note["id"], "component_id": component["id"]});
        if kind == "NoteAnnotationComponent" {
            data["data"] = json!({"strokes": [1, 2]});
        }
        site.create(kind, data);
    }
    let found = site.query(&format!(
        "select note_components.data from Note where id is {}",
        note["id"]
    ));
    let kinds: Vec<_> = found[0]["note_components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["__entity_type__"].as_str().unwrap(), &it["data"]))
        .collect();
    assert!(
        kinds.contains(&("NoteAnnotationComponent", &json!({"strokes": [1, 2]}))),
        "{kinds:?}"
    );
    assert!(
        kinds.iter().any(|(kind, _)| *kind == "NoteComponent"),
        "{kinds:?}"
    );
}

#[test]
fn values_that_do_not_fit_newer_attributes_are_refused() {
    let site = Site::start();
    let tasks = site.query("select id from Task limit 2");
    let task = &tasks[0]["id"];
    let sql = "x'; DROP TABLE context; --";
    let before = site.query("select id from TypedContext").len();
    for (entity_type, data) in [
        (
            "TypedContextLink",
            json!({"from_id": task, "to_id": tasks[1]["id"], "type": sql}),
        ),
        (
            "TypedContextLink",
            json!({"from_id": task, "to_id": tasks[1]["id"], "lag": "long"}),
        ),
        (
            "Note",
            json!({"content": "n", "parent_id": task, "parent_type": "Task", "frame_number": 1.5}),
        ),
        (
            "SplitTaskPart",
            json!({"task_id": sql, "start_date": "2026-01-01", "end_date": "2026-01-02"}),
        ),
        (
            "SplitTaskPart",
            json!({"task_id": task, "start_date": "never", "end_date": "2026-01-02"}),
        ),
        (
            "ReviewSessionFolder",
            json!({"name": "n", "project_id": sql}),
        ),
        ("ApiKey", json!({"identifier": "x", "roles": sql})),
        ("Automation", json!({"name": ["a"]})),
        (
            "WebhookAction",
            json!({"webhook_url": "https://example.com"}),
        ),
        ("ActionLog", json!({"status": "perhaps"})),
        (
            "NoteAnnotationComponent",
            json!({"note_id": "n", "component_id": "c", "data": "text"}),
        ),
        (
            "Task",
            json!({"name": "t", "parent_id": PROJECT, "thumbnail_source_id": task}),
        ),
    ] {
        let mut data = data;
        data["__entity_type__"] = json!(entity_type);
        let operation =
            json!([{"action": "create", "entity_type": entity_type, "entity_data": data}]);
        let (exception, _) = site.refused(&operation);
        assert_ne!(exception, "ServerError", "{operation}");
    }
    assert_eq!(site.query("select id from TypedContext").len(), before);
}

#[test]
fn a_context_shows_the_picture_of_the_nearest_that_has_one() {
    let site = Site::start();
    let component = site.create("FileComponent", json!({"name": "thumb"}));
    let folder = site.create("Folder", json!({"name": "pictured", "parent": project()}));
    let parent = json!({"__entity_type__": "Folder", "id": folder["id"]});
    site.create("Task", json!({"name": "below", "parent": parent}));
    let source = || {
        let found = site.query("select thumbnail_source_id from Task where name is below");
        found[0]["thumbnail_source_id"].clone()
    };
    assert_eq!(source(), Value::Null);
    site.update(
        "Folder",
        &json!([folder["id"]]),
        json!({"thumbnail_id": component["id"]}),
    );
    assert_eq!(source(), folder["id"]);
}
