//! The `ftrack.update` event that follows a commit: pure, from changes to payload.
//!
//! Listeners know the database of old: `task` for every kind of context but the project, which
//! is a `show`, and `statusid` where the schema says `status_id`. The schema's `alias_for` gives
//! the old names away.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::changes::{Action, Change, Commit, Parent};
use crate::schema::Schema;

/// The topic of the event.
pub const TOPIC: &str = "ftrack.update";

/// The event for one commit, under a new event's `id`.
///
/// `sent` and `source` of a site's own events are as they were once seen, which may not be
/// everywhere so [?].
pub fn event(schema: &Schema, commit: &Commit, id: &str) -> Value {
    let entities: Vec<Value> = commit
        .changes
        .iter()
        .map(|change| entity(schema, change))
        .collect();
    // Of each entity what is above it; the entity itself is first in its list.
    let parents: BTreeSet<&str> = commit
        .changes
        .iter()
        .flat_map(|change| change.parents.iter().skip(1))
        .map(|parent| parent.id.as_str())
        .collect();
    let client_token = token(&commit.client_token);
    json!({
        "id": id,
        "topic": TOPIC,
        "data": {
            "clientToken": client_token,
            "pushToken": token(&commit.push_token),
            "parents": parents,
            "user": {"userid": commit.user_id, "name": commit.username},
            "entities": entities,
        },
        "source": {
            "clientToken": client_token,
            "applicationId": "ftrack.api.server",
            "user": {"username": commit.username, "id": commit.user_id},
            "id": id,
        },
        "target": "",
        "sent": null,
        "inReplyToEvent": null,
    })
}

/// A header that was not sent is null.
fn token(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn entity(schema: &Schema, change: &Change) -> Value {
    let mut changes = Map::new();
    for attribute in &change.attributes {
        let values = json!({"old": plain(&attribute.old), "new": plain(&attribute.new)});
        changes.insert(attribute.column.clone(), values);
    }
    let keys: Vec<&String> = changes.keys().collect();
    let itself = change.parents.first();
    let parents: Vec<Value> = change
        .parents
        .iter()
        .map(|parent| link(schema, parent))
        .collect();
    json!({
        "action": match change.action {
            Action::Add => "add",
            Action::Update => "update",
            Action::Move => "move",
            Action::Remove => "remove",
        },
        "entityType": table(schema, &change.entity_type),
        "entity_type": change.entity_type,
        // Only link tables have keys of several values.
        "entityId": change.key.join(","),
        "objectTypeId": itself.and_then(|itself| itself.object_type_id.as_deref()),
        "parentId": itself.and_then(|itself| itself.parent_id.as_deref()),
        "keys": keys,
        "changes": changes,
        "parents": parents,
    })
}

/// Events have date-times as bare text, where responses wrap them.
fn plain(value: &Value) -> Value {
    match value["__type__"].is_string() {
        true => value["value"].clone(),
        false => value.clone(),
    }
}

/// The value of a custom attribute as events have it: text, whatever its type; public handlers
/// parse it. A flag is `"1"` or `"0"`, several entries of a menu are separated by commas.
pub fn custom_value(value: &Value) -> Value {
    match plain(value) {
        Value::Null => Value::Null,
        Value::Bool(flag) => json!(if flag { "1" } else { "0" }),
        Value::Number(number) => json!(number.to_string()),
        Value::Array(entries) => {
            let texts: Vec<_> = entries.iter().filter_map(Value::as_str).collect();
            json!(texts.join(", "))
        }
        other => other,
    }
}

fn link(schema: &Schema, parent: &Parent) -> Value {
    json!({
        "entityId": parent.id,
        "entityType": table(schema, &parent.entity_type),
        "entity_type": parent.entity_type,
        "parentId": parent.parent_id,
    })
}

/// The `entityType` of a schema id: `task` for `Shot`, `show` for `Project`.
pub fn table(schema: &Schema, entity_type: &str) -> String {
    match entity_type {
        // These share a table with their base, which the schema does not say.
        "FileComponent" | "SequenceComponent" | "ContainerComponent" => "component".to_owned(),
        "TypedContextStatusChange" | "AssetVersionStatusChange" => "trac".to_owned(),
        _ => {
            let alias = schema.get(entity_type).and_then(|ty| ty.alias.as_ref());
            alias.map_or(entity_type, |(table, _)| table).to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::AttributeChange;
    use crate::schema::compact;

    fn commit() -> Commit {
        let parent = |entity_type: &str, id: &str, up: Option<&str>, object: Option<&str>| Parent {
            entity_type: entity_type.into(),
            id: id.into(),
            parent_id: up.map(Into::into),
            object_type_id: object.map(Into::into),
        };
        let attribute = |name: &str, column: &str| AttributeChange {
            name: name.into(),
            column: column.into(),
            old: json!("old"),
            new: json!("new"),
        };
        Commit {
            changes: vec![Change {
                action: Action::Update,
                entity_type: "Shot".into(),
                key: vec!["s".into()],
                attributes: vec![attribute("status_id", "statusid")],
                parents: vec![
                    parent("Shot", "s", Some("q"), Some("o")),
                    parent("Sequence", "q", Some("p"), Some("r")),
                    parent("Project", "p", None, None),
                ],
            }],
            user_id: "u".into(),
            username: "jenkins".into(),
            client_token: "app--1".into(),
            push_token: String::new(),
        }
    }

    #[test]
    fn custom_values_are_text() {
        for (value, text) in [
            (json!(true), json!("1")),
            (json!(false), json!("0")),
            (json!(256), json!("256")),
            (json!(24.5), json!("24.5")),
            (json!("word"), json!("word")),
            (json!(["a", "b"]), json!("a, b")),
            (
                json!({"__type__": "datetime", "value": "2024-10-29T22:00:00"}),
                json!("2024-10-29T22:00:00"),
            ),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(custom_value(&value), text);
        }
    }

    #[test]
    #[allow(clippy::unwrap_used, reason = "tests")]
    fn the_documented_payload() {
        let schema = Schema::from_json(compact::wire()).unwrap();
        let parent = |id, table, entity_type, up: Option<&str>| {
            json!({"entityId": id, "entityType": table, "entity_type": entity_type,
                "parentId": up})
        };
        let expected = json!({
            "topic": "ftrack.update", "id": "e", "sent": null, "target": "",
            "inReplyToEvent": null,
            "source": {"clientToken": "app--1", "applicationId": "ftrack.api.server",
                "user": {"username": "jenkins", "id": "u"}, "id": "e"},
            "data": {"clientToken": "app--1", "pushToken": null, "parents": ["p", "q"],
                "user": {"userid": "u", "name": "jenkins"},
                "entities": [{"action": "update", "entityType": "task", "entity_type": "Shot",
                    "entityId": "s", "objectTypeId": "o", "parentId": "q", "keys": ["statusid"],
                    "changes": {"statusid": {"old": "old", "new": "new"}},
                    "parents": [
                        parent("s", "task", "Shot", Some("q")),
                        parent("q", "task", "Sequence", Some("p")),
                        parent("p", "show", "Project", None),
                    ]}]},
        });
        assert_eq!(event(&schema, &commit(), "e"), expected);
        for (entity_type, name) in [
            ("TypedContextLink", "dependency"),
            ("AssetVersion", "assetversion"),
            ("TypedContextList", "list"),
            ("ListObject", "listobject"),
            ("FileComponent", "component"),
            ("Note", "note"),
            ("Unheard", "unheard"),
        ] {
            assert_eq!(table(&schema, entity_type), name);
        }
    }
}
