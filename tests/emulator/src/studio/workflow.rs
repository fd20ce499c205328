//! Statuses, types, priorities and kinds of objects, and the project schemas that say which of
//! them a project uses.

use super::{Studio, row, seed::id};

/// The names of the two project schemas; queries return the first one first.
pub(super) const SCHEMAS: [&str; 2] = ["VFX Scheme", "Series Scheme"];

const STATES: [(&str, &str); 4] = [
    ("NOT_STARTED", "Not started"),
    ("IN_PROGRESS", "In progress"),
    ("DONE", "Done"),
    ("BLOCKED", "Blocked"),
];

/// Name, state and colour.
const STATUSES: [(&str, &str, &str); 8] = [
    ("Not started", "NOT_STARTED", "#9B9B9B"),
    ("In progress", "IN_PROGRESS", "#3498DB"),
    ("Awaiting approval", "IN_PROGRESS", "#F5B041"),
    ("Approved", "DONE", "#1CBC90"),
    ("Pending", "IN_PROGRESS", "#F1C40F"),
    ("Normal", "NOT_STARTED", "#BFC9CA"),
    ("Omitted", "BLOCKED", "#7B241C"),
    ("On Hold", "BLOCKED", "#8E44AD"),
];

const TASK_STATUSES: [&str; 4] = [
    "Not started",
    "In progress",
    "Awaiting approval",
    "Approved",
];
const SHORT_STATUSES: [&str; 3] = ["Not started", "In progress", "Approved"];
const VERSION_STATUSES: [&str; 2] = ["Approved", "Pending"];
const OBJECT_STATUSES: [&str; 3] = ["Normal", "Omitted", "On Hold"];

const TASK_TYPES: [(&str, &str); 14] = [
    ("Generic", "#8D99AE"),
    ("Animation", "#E4572E"),
    ("Modeling", "#17BEBB"),
    ("Previz", "#FFC914"),
    ("Lookdev", "#76B041"),
    ("Hair", "#A26769"),
    ("Cloth", "#6D597A"),
    ("FX", "#F3722C"),
    ("Lighting", "#F9C74F"),
    ("Compositing", "#277DA1"),
    ("Tracking", "#43AA8B"),
    ("Rigging", "#577590"),
    ("test 1", "#510100"),
    ("test type 2", "#510100"),
];

const BUILD_TYPES: [(&str, &str); 4] = [
    ("Character", "#B56576"),
    ("Prop", "#E56B6F"),
    ("Environment", "#52796F"),
    ("Matte Painting", "#355070"),
];

/// Task types whose work is not shown to anybody before it is done.
pub(super) const UNREVIEWED_TYPES: [&str; 2] = ["Tracking", "Previz"];

/// Name, colour and value; the default priority comes first.
const PRIORITIES: [(&str, &str, f64); 5] = [
    ("None", "#A0A0A0", 0.0),
    ("Low", "#5DADE2", 1.0),
    ("Medium", "#F4D03F", 2.0),
    ("High", "#E67E22", 3.0),
    ("Urgent", "#E74C3C", 4.0),
];

/// What a kind of object is able to do; it follows from what the schemas let nobody change.
struct Kind {
    name: &'static str,
    label: &'static str,
    icon: &'static str,
    /// Nothing hangs below it.
    is_leaf: bool,
    has_type: bool,
    has_status: bool,
    has_dates: bool,
}

const KINDS: [Kind; 7] = [
    kind("Task", "Task", "task", [true, true, true, true]),
    kind("Shot", "Shot", "shot", [false, false, true, false]),
    kind(
        "Sequence",
        "Sequence",
        "sequence",
        [false, false, false, false],
    ),
    kind(
        "Episode",
        "Episode",
        "episode",
        [false, false, false, false],
    ),
    kind("Folder", "Folder", "folder", [false, false, false, false]),
    kind(
        "AssetBuild",
        "Asset Build",
        "asset_build",
        [false, true, true, false],
    ),
    kind(
        "Milestone",
        "Milestone",
        "milestone",
        [true, true, true, true],
    ),
];

const fn kind(name: &'static str, label: &'static str, icon: &'static str, is: [bool; 4]) -> Kind {
    let [is_leaf, has_type, has_status, has_dates] = is;
    Kind {
        name,
        label,
        icon,
        is_leaf,
        has_type,
        has_status,
        has_dates,
    }
}

const TEMPLATES: [(&str, &[&str]); 2] = [
    (
        "Shot work",
        &["Tracking", "Animation", "FX", "Lighting", "Compositing"],
    ),
    (
        "Character build",
        &["Modeling", "Rigging", "Lookdev", "Hair", "Cloth"],
    ),
];

pub(super) fn rows(studio: &mut Studio<'_>) {
    vocabulary(studio);
    object_types(studio);
    workflows(studio);
    for name in SCHEMAS {
        project_schema(studio, name);
    }
}

fn vocabulary(studio: &mut Studio<'_>) {
    for (short, name) in STATES {
        row!(studio, "State", id: id("State", short), name: name, short: short);
    }
    for (sort, (name, state, color)) in (0i64..).zip(STATUSES) {
        row!(studio, "Status", id: id("Status", name), name: name, color: color, sort: sort,
            is_active: true, state: id("State", state));
    }
    for (sort, (name, color)) in (0i64..).zip(TASK_TYPES.into_iter().chain(BUILD_TYPES)) {
        row!(studio, "Type", id: id("Type", name), name: name, color: color, sort: sort,
            is_billable: true);
    }
    for (sort, (name, color, value)) in (0i64..).zip(PRIORITIES) {
        row!(studio, "Priority", id: id("Priority", name), name: name, color: color, sort: sort,
            value: value);
    }
}

/// The names of the studio's kinds.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// Those of the studio, and then those that only the site has.
fn object_types(studio: &mut Studio<'_>) {
    for (sort, kind) in (0i64..).zip(KINDS) {
        let Some(label) = studio.cast.label(kind.name, kind.label) else {
            continue;
        };
        row!(studio, "ObjectType", id: id("ObjectType", kind.name), name: label,
            icon: kind.icon, sort: sort, is_leaf: kind.is_leaf, is_taskable: !kind.is_leaf,
            is_typeable: kind.has_type, is_statusable: kind.has_status, is_prioritizable: true,
            is_schedulable: kind.has_dates, is_time_reportable: kind.has_dates);
    }
    let cast = studio.cast;
    for (sort, other) in (100i64..).zip(cast.others()) {
        row!(studio, "ObjectType", id: &other.id, name: &other.label, icon: "default",
            sort: sort, is_leaf: false, is_taskable: true, is_typeable: other.has_type,
            is_statusable: other.has_status, is_prioritizable: true,
            is_schedulable: other.has_dates, is_time_reportable: other.has_dates);
    }
}

fn workflows(studio: &mut Studio<'_>) {
    let workflows: [(&str, &[&str]); 3] = [
        ("Task workflow", &TASK_STATUSES),
        ("Short workflow", &SHORT_STATUSES),
        ("Version workflow", &VERSION_STATUSES),
    ];
    for (name, statuses) in workflows {
        let workflow = id("WorkflowSchema", name);
        row!(studio, "WorkflowSchema", id: &workflow, name: name);
        for status in statuses {
            row!(studio, "WorkflowSchemaStatus", workflow_schema_id: &workflow,
                status_id: id("Status", status));
        }
    }
    let types = id("TaskTypeSchema", "Task types");
    row!(studio, "TaskTypeSchema", id: &types, name: "Task types");
    for (name, _) in TASK_TYPES {
        row!(studio, "TaskTypeSchemaType", task_type_schema_id: &types, type_id: id("Type", name));
    }
}

fn project_schema(studio: &mut Studio<'_>, name: &str) {
    let schema = id("ProjectSchema", name);
    row!(studio, "ProjectSchema", id: &schema, name: name,
        task_workflow_schema_id: id("WorkflowSchema", "Task workflow"),
        asset_version_workflow_schema_id: id("WorkflowSchema", "Version workflow"),
        task_type_schema_id: id("TaskTypeSchema", "Task types"));
    for kind in KINDS {
        if studio.cast.label(kind.name, kind.label).is_some() {
            row!(studio, "ProjectSchemaObjectType", project_schema_id: &schema,
                object_type_id: id("ObjectType", kind.name));
        }
    }
    for task_type in UNREVIEWED_TYPES {
        row!(studio, "ProjectSchemaOverride",
            id: id("ProjectSchemaOverride", &format!("{name}/{task_type}")),
            project_schema_id: &schema, type_id: id("Type", task_type),
            workflow_schema_id: id("WorkflowSchema", "Short workflow"));
    }
    for (kind, statuses, types) in [
        ("Shot", OBJECT_STATUSES, &[][..]),
        ("AssetBuild", OBJECT_STATUSES, &BUILD_TYPES),
        ("Milestone", SHORT_STATUSES, &TASK_TYPES[..1]),
    ] {
        if studio.cast.label(kind, kind).is_some() {
            object_schema(studio, name, &id("ObjectType", kind), &statuses, types);
        }
    }
    let cast = studio.cast;
    for other in cast.others() {
        row!(studio, "ProjectSchemaObjectType", project_schema_id: &schema,
            object_type_id: &other.id);
        let statuses: &[_] = if other.has_status {
            &OBJECT_STATUSES
        } else {
            &[]
        };
        let types = if other.has_type {
            &TASK_TYPES[..1]
        } else {
            &[]
        };
        object_schema(studio, name, &other.id, statuses, types);
    }
    templates(studio, name);
}

fn object_schema(
    studio: &mut Studio<'_>,
    project_schema: &str,
    object_type: &str,
    statuses: &[&str],
    types: &[(&str, &str)],
) {
    let schema = id("Schema", &format!("{project_schema}/{object_type}"));
    row!(studio, "Schema", id: &schema, project_schema_id: id("ProjectSchema", project_schema),
        type_id: object_type);
    for (sort, status) in (0i64..).zip(statuses) {
        row!(studio, "SchemaStatus", schema_id: &schema, status_id: id("Status", status),
            sort: sort);
    }
    for (sort, (name, _)) in (0i64..).zip(types) {
        row!(studio, "SchemaType", schema_id: &schema, type_id: id("Type", name), sort: sort);
    }
}

fn templates(studio: &mut Studio<'_>, project_schema: &str) {
    for (name, types) in TEMPLATES {
        let path = format!("{project_schema}/{name}");
        let template = id("TaskTemplate", &path);
        row!(studio, "TaskTemplate", id: &template, name: name,
            project_schema_id: id("ProjectSchema", project_schema));
        for task_type in types {
            row!(studio, "TaskTemplateItem",
                id: id("TaskTemplateItem", &format!("{path}/{task_type}")),
                template_id: &template, task_type_id: id("Type", task_type));
        }
    }
}
