//! The names that events use for entity types and attributes: those of the server's database.

use crate::schema::{Attribute, EntityType, Schema};

/// The entity type that events and the web interface call `legacy`, such as `task`, `show` or
/// `review_session`; case and underscores do not matter.
///
/// `task` is the alias of every kind of `TypedContext`, so the most general type is returned.
pub(crate) fn entity_type_named<'s>(schema: &'s Schema, legacy: &str) -> Option<&'s EntityType> {
    let wanted = normal(legacy);
    let by_alias = |entity_type: &EntityType| {
        normal(entity_type.alias().unwrap_or(entity_type.name())) == wanted
    };
    let by_name = |entity_type: &EntityType| normal(entity_type.name()) == wanted;
    most_general(schema, by_alias)
        .or_else(|| most_general(schema, by_name))
        .or_else(|| match wanted.as_str() {
            "lists" => entity_type_named(schema, "list"),
            _ => None,
        })
}

/// The attribute of this type that events call `legacy`, such as `statusid`.
pub(crate) fn attribute_named<'s>(
    schema: &'s Schema,
    entity_type: &str,
    legacy: &str,
) -> Option<&'s Attribute> {
    let entity_type = schema.entity_type(entity_type).ok()?;
    let mut attributes = entity_type.attributes().iter();
    let by_alias = attributes.find(|attribute| attribute.alias() == Some(legacy));
    by_alias.or_else(|| entity_type.attribute(legacy).ok())
}

fn normal(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

/// Of the types that match, one that is not derived from another of them.
fn most_general(schema: &Schema, matches: impl Fn(&EntityType) -> bool) -> Option<&EntityType> {
    let all = schema.entity_types().iter();
    let candidates: Vec<&EntityType> = all.filter(|entity_type| matches(entity_type)).collect();
    let is_general = |entity_type: &&EntityType| {
        let base = entity_type.base();
        !candidates.iter().any(|other| Some(other.name()) == base)
    };
    candidates.iter().copied().find(is_general)
}

/// Types under all kinds of names, in the server's own form.
#[cfg(test)]
pub(super) fn schema_for_tests() -> Schema {
    use serde_json::{Value as Json, json};

    let text = || json!({"type": "string"});
    let context = json!({
        "id": text(), "name": text(), "bid": {"type": "number"}, "sort": {"type": "integer"},
        "status_id": {"type": "string", "alias_for": "statusid"},
        "is_open": {"type": "boolean", "alias_for": "isopen"},
        "start_date": {"type": "string", "format": "date-time", "alias_for": "startdate"},
    });
    let part_of = |table: &str| json!({"id": table, "classifiers": {}});
    let other = json!({"id": text()});
    let entity = |id: &str, alias: Json, properties: &Json| json!({"id": id, "alias_for": alias, "primary_key": ["id"], "properties": properties});
    let wire = json!([
        entity("Shot", part_of("Task"), &context),
        entity("TypedContext", json!("Task"), &context),
        entity("Milestone", part_of("Task"), &context),
        entity("Project", json!("Show"), &other),
        entity("ReviewSession", Json::Null, &other),
        entity("CalendarEvent", Json::Null, &other),
        entity("TypedContextList", part_of("List"), &other),
        entity("List", Json::Null, &other),
    ]);
    let wire = serde_json::from_value(wire).expect("schemas");
    Schema::from_wire(wire, String::new()).expect("a schema")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_type() {
        let schema = schema_for_tests();
        for (legacy, expected) in [
            ("task", Some("TypedContext")),
            ("Task", Some("TypedContext")),
            ("show", Some("Project")),
            ("review_session", Some("ReviewSession")),
            ("reviewsession", Some("ReviewSession")),
            ("calendar_event", Some("CalendarEvent")),
            ("typedcontext", Some("TypedContext")),
            ("typed_context", Some("TypedContext")),
            ("shot", Some("Shot")),
            ("milestone", Some("Milestone")),
            ("list", Some("List")),
            ("lists", Some("List")),
            ("project", Some("Project")),
            ("", None),
            ("nonsense", None),
        ] {
            let found = entity_type_named(&schema, legacy);
            assert_eq!(found.map(EntityType::name), expected, "{legacy}");
        }
    }
}
