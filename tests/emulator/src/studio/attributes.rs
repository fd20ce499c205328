//! Custom attributes: what can be set on which kind of entity, and what is set.

use serde_json::{Value, json};

use super::{Cell, Studio, row, seed::id};

const TYPES: [&str; 7] = [
    "text",
    "boolean",
    "date",
    "enumerator",
    "dynamic enumerator",
    "number",
    "expression",
];

/// One configuration. The entity type is the server's name of the table; the kind of object
/// narrows `task` down.
struct Attribute {
    key: &'static str,
    label: &'static str,
    entity_type: &'static str,
    kind: Option<&'static str>,
    value_type: &'static str,
    default: Option<i64>,
    is_hierarchical: bool,
}

/// The tests of the official clients use the first seven; the others show further types.
const ATTRIBUTES: [Attribute; 9] = [
    Attribute {
        default: Some(123),
        ..on(
            "task",
            Some("Task"),
            "customNumber",
            "Custom number",
            "number",
        )
    },
    on(
        "assetversion",
        None,
        "NumberField",
        "Number field",
        "number",
    ),
    on("task", Some("Shot"), "fstart", "First frame", "number"),
    on(
        "assetversion",
        None,
        "versiontest",
        "Version test",
        "number",
    ),
    Attribute {
        is_hierarchical: true,
        ..on("show", None, "htest", "Inherited number", "number")
    },
    on("list", None, "listbool", "List flag", "boolean"),
    on("user", None, "teststring", "Test text", "text"),
    on("task", Some("Shot"), "shot_size", "Shot size", "enumerator"),
    on("show", None, "delivery_date", "Delivery", "date"),
];

const fn on(
    entity_type: &'static str,
    kind: Option<&'static str>,
    key: &'static str,
    label: &'static str,
    value_type: &'static str,
) -> Attribute {
    Attribute {
        key,
        label,
        entity_type,
        kind,
        value_type,
        default: None,
        is_hierarchical: false,
    }
}

pub(super) const SHOT_SIZES: [(&str, &str); 3] = [
    ("Wide", "wide"),
    ("Medium", "medium"),
    ("Close-up", "close"),
];

pub(super) fn rows(studio: &mut Studio<'_>) {
    for name in TYPES {
        row!(studio, "CustomAttributeType", id: id("CustomAttributeType", name), name: name,
            core: true);
    }
    let group = id("CustomAttributeGroup", "Production");
    row!(studio, "CustomAttributeGroup", id: &group, name: "Production");
    for (sort, attribute) in (0i64..).zip(ATTRIBUTES) {
        row!(studio, "CustomAttributeConfiguration", id: configuration(attribute.key),
            key: attribute.key, label: attribute.label, entity_type: attribute.entity_type,
            object_type_id: attribute.kind.map(|kind| id("ObjectType", kind)),
            project_id: Cell::Null, type_id: id("CustomAttributeType", attribute.value_type),
            default: attribute.default, is_hierarchical: attribute.is_hierarchical, core: false,
            config: config(attribute.value_type).to_string(), group_id: &group, sort: sort);
    }
    links(studio, &group);
}

/// Options of the value type, as the graphical interface keeps them.
fn config(value_type: &str) -> Value {
    match value_type {
        "number" => json!({"isdecimal": false}),
        "text" => json!({"markdown": false}),
        // The entries of a menu are JSON inside the JSON.
        "enumerator" => {
            let data: Vec<_> = SHOT_SIZES
                .iter()
                .map(|(menu, value)| json!({"menu": menu, "value": value}))
                .collect();
            json!({"multiSelect": false, "data": Value::Array(data).to_string()})
        }
        _ => json!({}),
    }
}

/// Attributes whose values are other entities: the supervisor of a shot is a user, and the
/// builds that it needs are contexts.
fn links(studio: &mut Studio<'_>, group: &str) {
    let shot = id("ObjectType", "Shot");
    row!(studio, "CustomAttributeLinkConfiguration", id: link_configuration("supervisor"),
        key: "supervisor", label: "Supervisor", entity_type: "task", object_type_id: &shot,
        entity_type_to: "user", object_type_id_to: Cell::Null, one_to_one: true, core: false,
        config: "{}", group_id: group, sort: 0i64, project_id: Cell::Null);
    row!(studio, "CustomAttributeLinkConfiguration", id: link_configuration("builds"),
        key: "builds", label: "Builds", entity_type: "task", object_type_id: &shot,
        entity_type_to: "task", object_type_id_to: id("ObjectType", "AssetBuild"),
        one_to_one: false, core: false, config: "{}", group_id: group, sort: 1i64,
        project_id: Cell::Null);
}

/// Sets a custom attribute of one entity.
pub(super) fn set(studio: &mut Studio<'_>, key: &str, entity: &str, value: impl Into<Cell>) {
    let value: Cell = value.into();
    row!(studio, "CustomAttributeValue", configuration_id: configuration(key), entity_id: entity,
        value: value);
}

/// Links a shot to another entity.
pub(super) fn link(studio: &mut Studio<'_>, key: &str, shot: &str, to_type: &str, to: &str) {
    row!(studio, "CustomAttributeLinkFrom",
        id: id("CustomAttributeLinkFrom", &format!("{key}/{shot}/{to}")),
        configuration_id: link_configuration(key), from_id: shot, from_entity_type: "Shot",
        to_id: to, to_entity_type: to_type);
}

fn configuration(key: &str) -> String {
    id("CustomAttributeConfiguration", key)
}

fn link_configuration(key: &str) -> String {
    id("CustomAttributeLinkConfiguration", key)
}
