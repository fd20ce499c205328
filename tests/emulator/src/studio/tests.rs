//! The studio has what the schemas allow and what the tests of clients need.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{check::Checker, *};
use crate::schema::{Schema, compact};

fn studio(tasks: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let schema = Schema::from_json(compact::wire()).unwrap();
    let cast = Cast::new(&schema);
    super::rows(tasks, &cast, &mut |row| rows.push(cast.fit(row)));
    rows
}

impl Row {
    pub(super) fn cell(&self, name: &str) -> &Cell {
        self.values
            .iter()
            .find(|(named, _)| *named == name)
            .map_or(&Cell::Null, |(_, cell)| cell)
    }

    pub(super) fn text(&self, name: &str) -> &str {
        match self.cell(name) {
            Cell::Text(text) | Cell::DateTime(text) => text,
            _ => "",
        }
    }
}

fn of<'a>(rows: &'a [Row], entity_type: &str) -> Vec<&'a Row> {
    rows.iter()
        .filter(|row| row.entity_type == entity_type)
        .collect()
}

/// Rows of a type in the order of their keys, which is the server's default.
fn sorted<'a>(rows: &'a [Row], entity_type: &str, key: &str) -> Vec<&'a Row> {
    let mut rows = of(rows, entity_type);
    rows.sort_by_key(|row| row.text(key));
    rows
}

pub(super) const KINDS: [&str; 7] = [
    "Task",
    "Shot",
    "Sequence",
    "Episode",
    "Folder",
    "AssetBuild",
    "Milestone",
];

#[test]
fn rows_are_what_the_schemas_allow() {
    for tasks in [0, 12, 37, 250, 1_000, 3_333] {
        Checker::check(&studio(tasks));
    }
}

#[test]
fn sizes_follow_from_the_number_of_tasks() {
    for tasks in [0, 12, 13, 999, 1_000, 30_000] {
        assert_eq!(of(&studio(tasks), "Task").len(), tasks.max(12));
    }
    let rows = studio(1_000);
    let counts = ["Project", "Sequence", "Shot", "AssetVersion"].map(|it| of(&rows, it).len());
    // The test project has a sequence and a shot of its own.
    assert_eq!(counts, [3, 21, 201, 300]);
    assert!(of(&studio(12), "AssetVersion").len() == 1);
}

#[test]
fn the_same_size_gives_the_same_rows() {
    assert_eq!(studio(200), studio(200));
}

#[test]
fn names_are_unique_below_one_parent() {
    let mut names = HashSet::new();
    for row in studio(12_000) {
        if row.entity_type == "Project" || KINDS.contains(&row.entity_type) {
            let name = (
                row.text("parent_id").to_owned(),
                row.text("name").to_lowercase(),
            );
            assert!(!name.1.is_empty() && names.insert(name), "{row:?}");
        }
    }
}

#[test]
fn fixed_entities_exist() {
    let rows = studio(1_000);
    let expected = [
        (
            "User",
            "d07ae5d0-66e1-11e1-b5e9-f23c91df25eb",
            "username",
            "jenkins",
        ),
        (
            "ProjectSchema",
            "69cb7f92-4dbf-11e1-9902-f23c91df25eb",
            "name",
            "VFX Scheme",
        ),
        (
            "Project",
            "5671dcb0-66de-11e1-8e6e-f23c91df25eb",
            "full_name",
            "Tests (do not delete)",
        ),
        (
            "Task",
            "adb4ad6c-7679-11e2-8df2-f23c91df25eb",
            "context_type",
            "task",
        ),
        (
            "Location",
            "ce9b348f-8809-11e3-821c-20c9d081909b",
            "name",
            "ftrack.origin",
        ),
        (
            "Location",
            "cb268ecc-8809-11e3-a7e2-20c9d081909b",
            "name",
            "ftrack.unmanaged",
        ),
        (
            "Location",
            "cd41be70-8809-11e3-b98a-20c9d081909b",
            "name",
            "ftrack.review",
        ),
        (
            "Location",
            "07b82a97-8cf9-11e3-9383-20c9d081909b",
            "name",
            "ftrack.connect",
        ),
        (
            "Location",
            "3a372bde-05bc-11e4-8908-20c9d081909b",
            "name",
            "ftrack.server",
        ),
        (
            "ObjectType",
            "4be63b64-5010-42fb-bf1f-428af9d638f0",
            "name",
            "Asset Build",
        ),
        (
            "ObjectType",
            "01decdd1-51cb-11e3-9d5b-20c9d0831e59",
            "name",
            "Milestone",
        ),
        (
            "State",
            "6c59abf8-4dbf-11e1-9902-f23c91df25eb",
            "short",
            "NOT_STARTED",
        ),
        (
            "Status",
            "44dd9fb2-4164-11df-9218-0019bb4983d8",
            "name",
            "Not started",
        ),
        (
            "Status",
            "a0bc2444-15e2-11e1-b21a-0019bb4983d8",
            "name",
            "On Hold",
        ),
        (
            "Type",
            "44dbfca2-4164-11df-9218-0019bb4983d8",
            "name",
            "Generic",
        ),
        (
            "AssetType",
            "44eb3ca8-4164-11df-9218-0019bb4983d8",
            "name",
            "Generic",
        ),
        (
            "ListCategory",
            "87d974d2-d6f7-11e1-8930-f23c91df25eb",
            "name",
            "Generic",
        ),
    ];
    for (entity_type, id, name, value) in expected {
        let found = of(&rows, entity_type)
            .into_iter()
            .find(|row| row.text("id") == id);
        assert_eq!(
            found.map(|row| row.text(name)),
            Some(value),
            "{entity_type} {id}"
        );
    }
    assert!(
        of(&rows, "Priority")
            .iter()
            .any(|row| row.text("id").starts_with("9661b320-3a0c"))
    );
    assert!(
        of(&rows, "UserType")
            .iter()
            .any(|row| row.text("id").starts_with("ac9fa5aa-4361"))
    );
    let first = sorted(&rows, "ProjectSchema", "id")[0];
    assert_eq!(first.text("name"), "VFX Scheme");
}

#[test]
fn object_types_are_those_of_the_schemas() {
    let Value::Array(schemas) = compact::wire() else {
        panic!("schemas are an array")
    };
    let defaults: HashSet<_> = schemas
        .iter()
        .filter_map(|it| it["properties"]["object_type_id"]["default"].as_str())
        .map(str::to_owned)
        .collect();
    let rows = studio(12);
    let ids = of(&rows, "ObjectType")
        .iter()
        .map(|row| row.text("id").to_owned())
        .collect();
    assert_eq!(defaults, ids);
    for row in rows.iter().filter(|row| KINDS.contains(&row.entity_type)) {
        let schema = schemas
            .iter()
            .find(|it| it["id"] == row.entity_type)
            .unwrap();
        let default = &schema["properties"]["object_type_id"]["default"];
        assert_eq!(row.text("object_type_id"), default, "{row:?}");
    }
}

#[test]
fn the_test_project_suits_published_examples() {
    let rows = studio(1_000);
    let project = "5671dcb0-66de-11e1-8e6e-f23c91df25eb";
    let mut tasks = sorted(&rows, "Task", "id");
    tasks.retain(|row| row.text("project_id") == project);
    assert!(tasks.iter().any(|row| row.text("parent_id") == project));
    let statuses: HashSet<_> = tasks[..10]
        .iter()
        .map(|row| row.text("status_id"))
        .collect();
    assert!(statuses.len() <= 4);
    let fixed = tasks
        .iter()
        .find(|row| row.text("id").starts_with("adb4ad6c"))
        .unwrap();
    let logs = of(&rows, "Timelog");
    let jenkins = "d07ae5d0-66e1-11e1-b5e9-f23c91df25eb";
    assert!(logs.iter().any(|row| {
        row.text("user_id") == jenkins && row.text("context_id") == fixed.text("id")
    }));
}

#[test]
fn users_may_lack_a_name_and_an_address() {
    let rows = studio(12);
    let users = of(&rows, "User");
    assert!(users.len() >= 10);
    for name in ["username", "email"] {
        let given: Vec<_> = users
            .iter()
            .map(|row| row.text(name))
            .filter(|it| !it.is_empty())
            .collect();
        assert!(given.len() < users.len(), "everybody has {name}");
        assert_eq!(
            given.iter().collect::<HashSet<_>>().len(),
            given.len(),
            "{name} is unique"
        );
    }
}

/// The names that `link` rows of one owner lead to, in the order of the rows.
fn linked<'a>(rows: &'a [Row], link: &str, owner: [&str; 2], to: [&str; 2]) -> Vec<&'a str> {
    let [attribute, owner] = owner;
    let [key, entity_type] = to;
    let names: HashMap<_, _> = of(rows, entity_type)
        .iter()
        .map(|row| (row.text("id"), row.text("name")))
        .collect();
    let links = of(rows, link)
        .into_iter()
        .filter(|row| row.text(attribute) == owner);
    links.map(|row| names[row.text(key)]).collect()
}

#[test]
fn the_vfx_scheme_has_exactly_the_workflow_of_the_reference() {
    let rows = studio(12);
    let scheme = sorted(&rows, "ProjectSchema", "id")[0];
    let workflow = |name: &str| {
        let owner = ["workflow_schema_id", scheme.text(name)];
        linked(
            &rows,
            "WorkflowSchemaStatus",
            owner,
            ["status_id", "Status"],
        )
    };
    let task_statuses = [
        "Not started",
        "In progress",
        "Awaiting approval",
        "Approved",
    ];
    assert_eq!(workflow("task_workflow_schema_id"), task_statuses);
    assert_eq!(
        workflow("asset_version_workflow_schema_id"),
        ["Approved", "Pending"]
    );
    let owner = ["task_type_schema_id", scheme.text("task_type_schema_id")];
    assert_eq!(
        linked(&rows, "TaskTypeSchemaType", owner, ["type_id", "Type"]),
        [
            "Generic",
            "Animation",
            "Modeling",
            "Previz",
            "Lookdev",
            "Hair",
            "Cloth",
            "FX",
            "Lighting",
            "Compositing",
            "Tracking",
            "Rigging",
            "test 1",
            "test type 2",
        ]
    );
    let schema = |kind: &str| {
        let object_type = seed::id("ObjectType", kind);
        let mut schemas = of(&rows, "Schema").into_iter();
        let is_it = |row: &&Row| {
            row.text("project_schema_id") == scheme.text("id") && row.text("type_id") == object_type
        };
        schemas.find(is_it).unwrap().text("id").to_owned()
    };
    for kind in ["Shot", "AssetBuild"] {
        let statuses = linked(
            &rows,
            "SchemaStatus",
            ["schema_id", &schema(kind)],
            ["status_id", "Status"],
        );
        assert_eq!(statuses, ["Normal", "Omitted", "On Hold"]);
    }
    let types = linked(
        &rows,
        "SchemaType",
        ["schema_id", &schema("AssetBuild")],
        ["type_id", "Type"],
    );
    assert_eq!(
        types,
        ["Character", "Prop", "Environment", "Matte Painting"]
    );
    let mut overrides = of(&rows, "ProjectSchemaOverride").into_iter();
    assert!(overrides.any(|row| row.text("project_schema_id") == scheme.text("id")));
}

/// A status that its project does not offer would vanish from every menu.
#[test]
fn statuses_are_those_of_the_workflow() {
    let rows = studio(1_000);
    let mut by_kind: BTreeMap<(&str, &str), HashSet<&str>> = BTreeMap::new();
    for row in &rows {
        let task_type = if row.entity_type == "Task" {
            row.text("type_id")
        } else {
            ""
        };
        if !row.text("status_id").is_empty() && row.text("parent_type").is_empty() {
            let statuses = by_kind.entry((row.entity_type, task_type)).or_default();
            statuses.insert(row.text("status_id"));
        }
    }
    let ids = |names: &[&str]| {
        names
            .iter()
            .map(|name| seed::id("Status", name))
            .collect::<Vec<_>>()
    };
    let short: Vec<_> = workflow::UNREVIEWED_TYPES
        .iter()
        .map(|name| seed::id("Type", name))
        .collect();
    for ((kind, task_type), statuses) in by_kind {
        let allowed = match kind {
            "Task" if short.iter().any(|it| it == task_type) => {
                ids(&["Not started", "In progress", "Approved"])
            }
            "Task" => ids(&[
                "Not started",
                "In progress",
                "Awaiting approval",
                "Approved",
            ]),
            "Milestone" => ids(&["Not started", "In progress", "Approved"]),
            "Shot" | "AssetBuild" => ids(&["Normal", "Omitted", "On Hold"]),
            "AssetVersion" => ids(&["Approved", "Pending"]),
            "Sequence" | "Episode" | "Folder" => ids(&["Normal"]),
            _ => continue,
        };
        for status in statuses {
            assert!(
                allowed.iter().any(|it| it == status),
                "{kind} {task_type}: {status}"
            );
        }
    }
}

#[test]
fn custom_attributes_are_configured_and_set() {
    let rows = studio(1_000);
    let configurations = of(&rows, "CustomAttributeConfiguration");
    let types: HashMap<_, _> = of(&rows, "CustomAttributeType")
        .iter()
        .map(|row| (row.text("id"), row.text("name")))
        .collect();
    let expected = [
        ("customNumber", "task", "number", Some("Task"), false),
        ("NumberField", "assetversion", "number", None, false),
        ("fstart", "task", "number", Some("Shot"), false),
        ("versiontest", "assetversion", "number", None, false),
        ("htest", "show", "number", None, true),
        ("listbool", "list", "boolean", None, false),
        ("teststring", "user", "text", None, false),
    ];
    for (key, entity_type, value_type, kind, is_hierarchical) in expected {
        let row = configurations
            .iter()
            .find(|row| row.text("key") == key)
            .unwrap();
        assert_eq!(row.text("entity_type"), entity_type, "{key}");
        assert_eq!(types[row.text("type_id")], value_type, "{key}");
        assert_eq!(
            row.text("object_type_id"),
            kind.map_or(String::new(), |it| seed::id("ObjectType", it))
        );
        assert_eq!(
            row.cell("is_hierarchical"),
            &Cell::Bool(is_hierarchical),
            "{key}"
        );
        assert_eq!(row.cell("project_id"), &Cell::Null);
        let _: Value = serde_json::from_str(row.text("config")).unwrap();
    }
    let values = sorted(&rows, "CustomAttributeValue", "configuration_id");
    let number = configurations
        .iter()
        .find(|row| row.text("key") == "customNumber")
        .unwrap();
    assert_eq!(number.cell("default"), &Cell::Int(123));
    assert_eq!(values[0].text("configuration_id"), number.text("id"));
    let tasks: HashSet<_> = of(&rows, "Task").iter().map(|row| row.text("id")).collect();
    assert!(tasks.contains(values[0].text("entity_id")));
    let versions: HashSet<_> = of(&rows, "AssetVersion")
        .iter()
        .map(|row| row.text("id"))
        .collect();
    let field = configurations
        .iter()
        .find(|row| row.text("key") == "NumberField")
        .unwrap();
    let mut set = values
        .iter()
        .filter(|row| row.text("configuration_id") == field.text("id"));
    assert!(versions.contains(set.next().unwrap().text("entity_id")));
}

#[test]
fn every_area_is_populated() {
    let rows = studio(1_000);
    for entity_type in [
        "Setting",
        "SecurityRole",
        "UserSecurityRole",
        "UserSecurityRoleProject",
        "Group",
        "Membership",
        "Episode",
        "Folder",
        "AssetBuild",
        "Milestone",
        "TypedContextLink",
        "Manager",
        "Appointment",
        "Timelog",
        "TypedContextStatusChange",
        "TaskTemplateItem",
        "Asset",
        "AssetVersionLink",
        "FileComponent",
        "SequenceComponent",
        "ComponentLocation",
        "Note",
        "NoteCategory",
        "NoteLabelLink",
        "Recipient",
        "TypedContextList",
        "AssetVersionList",
        "ListObject",
        "ReviewSessionObject",
        "ReviewSessionInvitee",
        "ReviewSessionObjectStatus",
        "Job",
        "Metadata",
        "Scope",
        "Dashboard",
        "DashboardResource",
        "DashboardWidget",
        "CustomAttributeLinkConfiguration",
        "CustomAttributeLinkFrom",
        "CalendarEventResource",
        "Message",
        "Participant",
        "Disk",
    ] {
        assert!(!of(&rows, entity_type).is_empty(), "no {entity_type}");
    }
    let setting = |row: &&&Row| row.text("group") == "STORAGE";
    let settings = of(&rows, "Setting");
    assert_eq!(
        settings.iter().find(setting).unwrap().text("name"),
        "storage_scenario"
    );
    assert!(
        of(&rows, "Note")
            .iter()
            .any(|row| !row.text("in_reply_to_id").is_empty())
    );
    let members = of(&rows, "FileComponent");
    assert!(
        members
            .iter()
            .any(|row| !row.text("container_id").is_empty())
    );
    let ids: HashSet<_> = rows.iter().map(|row| row.text("id")).collect();
    for (context, scope) in scope_links() {
        assert!(ids.contains(context.as_str()) && ids.contains(scope.as_str()));
    }
}
