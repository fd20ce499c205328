//! A small schema for tests of the modules that need one, and tests of the schema itself.

use serde_json::{Value as Json, json};

use super::*;

/// A handful of types in the server's own form: contexts, statuses, users, metadata.
pub(crate) fn schema() -> Schema {
    let wire = wire();
    let hash = schema_hash(&wire).0;
    Schema::from_wire(serde_json::from_value(wire).unwrap(), hash).unwrap()
}

fn reference(name: &str) -> Json {
    json!({"$ref": name})
}

fn list(name: &str) -> Json {
    json!({"type": "array", "items": {"$ref": name}})
}

fn mapped(name: &str) -> Json {
    json!({"type": "mapped_array", "items": {"$ref": name}})
}

#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
fn entity(id: &str, key: &[&str], alias: Json, properties: Json) -> Json {
    json!({
        "id": id, "type": "object", "primary_key": key, "alias_for": alias,
        "default_projections": key, "immutable": key, "required": key,
        "properties": properties,
    })
}

fn context() -> Json {
    let text = json!({"type": "string"});
    json!({
        "id": {"type": "string", "default": "{uid}"}, "name": {"type": "string", "default": ""},
        "description": text, "context_type": text, "link": text,
        "parent_id": {"type": "string", "format": "foreign_key"}, "parent": reference("Context"),
        "project_id": {"type": "string", "format": "foreign_key"}, "project": reference("Project"),
        "status_id": {"type": "string", "format": "foreign_key"}, "status": reference("Status"),
        "children": list("Context"), "assignments": list("Appointment"),
        "metadata": mapped("Metadata"),
        "custom_attributes": mapped("ContextCustomAttributeValue"),
        "bid": {"type": "number"}, "sort": {"type": "integer"},
        "start_date": {"type": "string", "format": "date-time"},
        "thumbnail_url": {"type": "object"},
    })
}

fn wire() -> Json {
    let text = json!({"type": "string"});
    let uid = json!({"type": "string", "default": "{uid}"});
    json!([
        entity("Context", &["id"], Json::Null, context()),
        entity("TypedContext", &["id"], json!("Task"), context()),
        entity(
            "Task",
            &["id"],
            json!({"id": "Task", "classifiers": {}}),
            context()
        ),
        entity(
            "Shot",
            &["id"],
            json!({"id": "Task", "classifiers": {}}),
            context()
        ),
        entity("Project", &["id"], json!("Show"), context()),
        entity(
            "Status",
            &["id"],
            json!("TaskStatus"),
            json!({"id": uid, "name": text, "color": text, "state": reference("State")})
        ),
        entity(
            "State",
            &["id"],
            Json::Null,
            json!({"id": uid, "name": text, "short": text})
        ),
        entity(
            "User",
            &["id"],
            Json::Null,
            json!({"id": uid, "username": text})
        ),
        entity(
            "Appointment",
            &["id"],
            Json::Null,
            json!({"id": uid, "context": reference("Context"), "resource": reference("User")})
        ),
        entity(
            "AssetVersion",
            &["id"],
            Json::Null,
            json!({"id": uid, "version": {"type": "integer"}})
        ),
        entity(
            "Metadata",
            &["parent_id", "key"],
            Json::Null,
            json!({"parent_id": text, "key": text, "value": text, "parent_type": text})
        ),
        entity(
            "ContextCustomAttributeValue",
            &["configuration_id", "entity_id"],
            Json::Null,
            json!({"configuration_id": text, "entity_id": text, "key": text,
                   "value": {"type": "variable"}})
        ),
    ])
}

#[test]
fn unknown_names_come_with_the_nearest_known() {
    let schema = schema();
    let error = schema.entity_type("task").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
    assert!(
        error.to_string().contains("did you mean \"Task\"?"),
        "{error}"
    );
    let error = schema
        .entity_type("Task")
        .unwrap()
        .attribute("nmae")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownAttribute);
    assert_eq!(
        error.to_string(),
        "Task has no attribute \"nmae\"; did you mean \"name\"?"
    );
}

#[test]
fn kinds_of_types() {
    let schema = schema();
    for (name, base, expected) in [
        ("Task", "Task", true),
        ("Task", "TypedContext", true),
        ("Shot", "Context", true),
        ("Project", "Context", true),
        ("Project", "TypedContext", false),
        ("Context", "Task", false),
        ("User", "Context", false),
        ("Nothing", "Context", false),
    ] {
        assert_eq!(schema.is_kind_of(name, base), expected, "{name} {base}");
    }
}

#[test]
fn newer_schemas_say_what_a_type_extends() {
    let id = json!({"id": {"type": "string", "default": "{uid}"}});
    let mut types: Vec<Json> = ["Resource", "BaseUser", "User"]
        .map(|name| entity(name, &["id"], Json::Null, id.clone()))
        .into();
    let kinds = |types: &[Json]| {
        let types = serde_json::from_value(json!(types)).unwrap();
        let schema = Schema::from_wire(types, String::new()).unwrap();
        ["BaseUser", "Resource"].map(|base| schema.is_kind_of("User", base))
    };
    assert_eq!(kinds(&types), [false, true]);
    types[1]["$mixin"] = reference("Resource");
    types[2]["$mixin"] = reference("BaseUser");
    assert_eq!(kinds(&types), [true, true]);
}

#[test]
fn a_schema_that_contradicts_itself_is_refused() {
    for (wire, says) in [
        (
            json!([
                entity("A", &["id"], Json::Null, json!({})),
                entity("A", &["id"], Json::Null, json!({}))
            ]),
            "A is described twice",
        ),
        (
            json!([entity("A", &[], Json::Null, json!({}))]),
            "A has no primary key",
        ),
        (
            json!([
                entity("A", &["id"], json!({"id": "B"}), json!({})),
                entity("B", &["id"], json!({"id": "A"}), json!({}))
            ]),
            "A is derived from itself",
        ),
    ] {
        let wire = serde_json::from_value(wire).unwrap();
        let error = Schema::from_wire(wire, String::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse);
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// Thirty thousand types of their own names each, and a type with as many attributes: neither may
/// take memory by their square.
#[test]
fn a_huge_schema_takes_its_share() {
    let property = json!({"type": "string"});
    let many: Vec<Json> = (0..30_000)
        .map(|number| {
            let properties = json!({"id": property, format!("a{number}"): property});
            json!({"id": format!("T{number}"), "primary_key": ["id"], "properties": properties})
        })
        .collect();
    let names: Vec<String> = (0..30_000).map(|number| format!("b{number}")).collect();
    let wide: serde_json::Map<String, Json> = names
        .iter()
        .map(|name| (name.clone(), property.clone()))
        .collect();
    let wide = json!({"id": "Wide", "primary_key": ["b0"], "immutable": names, "computed": names,
        "required": names, "properties": wide});
    let wire = many.into_iter().chain([wide]).collect::<Vec<_>>();
    let wire = serde_json::from_value(Json::Array(wire)).unwrap();
    let schema = Schema::from_wire(wire, String::new()).unwrap();
    let one = schema.entity_type("T29999").unwrap();
    let id = schema.name_id("a29999").unwrap();
    assert_eq!(one.by_id(id).unwrap().name(), "a29999");
    assert!(one.by_id(schema.name_id("a29998").unwrap()).is_none());
    let indexes: usize = schema
        .entity_types()
        .iter()
        .map(|one| one.index.bytes())
        .sum();
    assert!(indexes < 1 << 20, "{indexes} bytes");
}

/// A chain of bases is followed for many questions about a type.
#[test]
fn a_long_chain_of_bases_is_refused() {
    let chain: Vec<Json> = (0..20_000)
        .map(|number| {
            json!({"id": format!("T{number}"), "primary_key": ["id"],
                "alias_for": {"id": format!("T{}", number + 1)}, "properties": {}})
        })
        .collect();
    let wire = serde_json::from_value(Json::Array(chain)).unwrap();
    let error = Schema::from_wire(wire, String::new()).unwrap_err();
    assert!(error.to_string().contains("too many bases"), "{error}");
}
