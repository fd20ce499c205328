//! The `ftrack.update` event that follows a commit: pure, from changes to payload (SERVER.md E6).
//!
//! Listeners know the database of old: `task` for every kind of context but the project, which
//! is a `show`, and `statusid` where the schema says `status_id`. [`Legacy`] finds those names
//! in the schema, whose `alias_for` gives them away.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

/// What happened to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was created.
    Add,
    /// Some attributes changed. A changed parent makes a "move" of it on the wire.
    Update,
    /// It was deleted.
    Remove,
}

/// One committed change of one entity.
#[derive(Debug, Clone)]
pub struct Change {
    /// What happened.
    pub action: Action,
    /// The concrete schema id, such as `Shot`.
    pub entity_type: String,
    /// The primary key; several parts are joined by commas.
    pub entity_id: String,
    /// The object type of contexts that have one.
    pub object_type_id: Option<String>,
    /// The entity that this one belongs to.
    pub parent_id: Option<String>,
    /// Attribute, old and new value. Attributes without an alias, such as keys of custom
    /// attributes, go out under their own name.
    pub changes: Vec<(String, Value, Value)>,
    /// The ancestors from the direct parent to the project, as they are after the change.
    pub parents: Vec<Parent>,
}

/// An ancestor of a changed entity.
#[derive(Debug, Clone)]
pub struct Parent {
    /// The concrete schema id.
    pub entity_type: String,
    /// Its id.
    pub entity_id: String,
    /// The id of its own parent; none for a project.
    pub parent_id: Option<String>,
}

/// Who caused the changes.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The header `ftrack-Clienttoken` of the request.
    pub client_token: Option<String>,
    /// The header `ftrack-pushtoken` of the request.
    pub push_token: Option<String>,
    /// The name of the user whose key was used.
    pub username: String,
    /// That user's id.
    pub user_id: String,
}

/// The event for one commit; `None` if nothing changed.
///
/// `id` is the new event's id.
pub fn event(legacy: &Legacy, changes: &[Change], origin: &Origin, id: &str) -> Option<Value> {
    if changes.is_empty() {
        return None;
    }
    let entities: Vec<Value> = changes.iter().map(|change| legacy.entity(change)).collect();
    let parents: BTreeSet<&str> = changes
        .iter()
        .flat_map(|change| &change.parents)
        .map(|parent| parent.entity_id.as_str())
        .collect();
    // Both `sent` and `source` of a site's own events are as a site was once seen to send
    // them [?].
    Some(json!({
        "id": id,
        "topic": "ftrack.update",
        "data": {
            "clientToken": origin.client_token,
            "pushToken": origin.push_token,
            "parents": parents,
            "user": {"userid": origin.user_id, "name": origin.username},
            "entities": entities,
        },
        "source": {
            "clientToken": origin.client_token,
            "applicationId": "ftrack.api.server",
            "user": {"username": origin.username, "id": origin.user_id},
            "id": id,
        },
        "target": "",
        "sent": null,
        "inReplyToEvent": null,
    }))
}

/// The old names of entity types and attributes.
#[derive(Debug, Default)]
pub struct Legacy {
    tables: HashMap<String, String>,
    /// By entity type and attribute.
    columns: HashMap<String, HashMap<String, String>>,
}

impl Legacy {
    /// Reads the names from the schemas, a list of objects with `id`, `alias_for` and
    /// `properties` as `query_schemas` sends them. Anything of another shape has no old name.
    pub fn from_schemas(schemas: &[Value]) -> Self {
        let mut legacy = Self::default();
        for schema in schemas {
            let Some(id) = schema["id"].as_str() else {
                continue;
            };
            let alias = &schema["alias_for"];
            let table = alias.as_str().or(alias["id"].as_str()).unwrap_or(id);
            legacy.tables.insert(id.into(), table.to_lowercase());
            let properties = schema["properties"].as_object();
            let columns = properties
                .into_iter()
                .flatten()
                .filter_map(|(name, about)| {
                    Some((name.clone(), about["alias_for"].as_str()?.to_owned()))
                });
            legacy.columns.insert(id.into(), columns.collect());
        }
        legacy
    }

    /// The `entityType` of a schema id: `task` for `Shot`, `show` for `Project`.
    pub fn table(&self, entity_type: &str) -> String {
        match entity_type {
            // These share a table with their base, which the schema does not say.
            "FileComponent" | "SequenceComponent" | "ContainerComponent" => "component".to_owned(),
            "TypedContextStatusChange" | "AssetVersionStatusChange" => "trac".to_owned(),
            _ => self
                .tables
                .get(entity_type)
                .cloned()
                .unwrap_or_else(|| entity_type.to_lowercase()),
        }
    }

    /// The key in `changes` of an attribute: `statusid` for `status_id`.
    pub fn column<'a>(&'a self, entity_type: &str, attribute: &'a str) -> &'a str {
        let columns = self.columns.get(entity_type);
        columns
            .and_then(|columns| columns.get(attribute))
            .map_or(attribute, String::as_str)
    }

    fn entity(&self, change: &Change) -> Value {
        let mut changes = Map::new();
        for (attribute, old, new) in &change.changes {
            let column = self.column(&change.entity_type, attribute);
            changes.insert(column.to_owned(), json!({"old": old, "new": new}));
        }
        let keys: Vec<&String> = changes.keys().collect();
        let mut parents = vec![self.link(
            &change.entity_type,
            &change.entity_id,
            change.parent_id.as_deref(),
        )];
        parents.extend(change.parents.iter().map(|parent| {
            let up = parent.parent_id.as_deref();
            self.link(&parent.entity_type, &parent.entity_id, up)
        }));
        json!({
            "action": self.action(change),
            "entityType": self.table(&change.entity_type),
            "entity_type": change.entity_type,
            "entityId": change.entity_id,
            "objectTypeId": change.object_type_id,
            "parentId": change.parent_id,
            "keys": keys,
            "changes": changes,
            "parents": parents,
        })
    }

    fn link(&self, entity_type: &str, id: &str, parent_id: Option<&str>) -> Value {
        json!({
            "entityId": id,
            "entityType": self.table(entity_type),
            "entity_type": entity_type,
            "parentId": parent_id,
        })
    }

    fn action(&self, change: &Change) -> &'static str {
        let mut attributes = change.changes.iter().map(|(attribute, ..)| attribute);
        match change.action {
            Action::Add => "add",
            Action::Remove => "remove",
            // Only entities that hang in the tree of contexts move.
            Action::Update if self.table(&change.entity_type) == "task" => {
                if attributes.any(|attribute| attribute == "parent_id") {
                    "move"
                } else {
                    "update"
                }
            }
            Action::Update => "update",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn legacy() -> Legacy {
        Legacy::from_schemas(&[
            json!({"id": "Shot", "alias_for": {"id": "Task", "classifiers": {}}, "properties": {
                "status_id": {"type": "string", "alias_for": "statusid"},
                "parent_id": {"type": "string"}}}),
            json!({"id": "Project", "alias_for": "Show",
                "properties": {"full_name": {"alias_for": "fullname"}}}),
            json!({"id": "Note", "properties": {"content": {"alias_for": "text"}}}),
            json!({"id": "TypedContextLink", "alias_for": "Dependency", "properties": {}}),
            json!("nonsense"),
        ])
    }

    fn change(entity_type: &str, attribute: &str) -> Change {
        Change {
            action: Action::Update,
            entity_type: entity_type.into(),
            entity_id: "s".into(),
            object_type_id: Some("o".into()),
            parent_id: Some("q".into()),
            changes: vec![(attribute.into(), json!("old"), json!("new"))],
            parents: vec![
                Parent {
                    entity_type: "Shot".into(),
                    entity_id: "q".into(),
                    parent_id: Some("p".into()),
                },
                Parent {
                    entity_type: "Project".into(),
                    entity_id: "p".into(),
                    parent_id: None,
                },
            ],
        }
    }

    #[test]
    fn the_documented_payload() {
        let origin = Origin {
            client_token: Some("app--1".into()),
            push_token: None,
            username: "jenkins".into(),
            user_id: "u".into(),
        };
        let event = event(&legacy(), &[change("Shot", "status_id")], &origin, "e").unwrap();
        let parent = |id, table, entity_type, up| {
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
                        parent("q", "task", "Shot", Some("p")),
                        parent("p", "show", "Project", None),
                    ]}]},
        });
        assert_eq!(event, expected);
        assert_eq!(super::event(&legacy(), &[], &origin, "e"), None);
    }

    #[test]
    fn actions_and_names() {
        let legacy = legacy();
        let action = |change: &Change| legacy.entity(change)["action"].clone();
        assert_eq!(action(&change("Shot", "parent_id")), "move");
        assert_eq!(action(&change("Note", "parent_id")), "update");
        for (kind, name) in [(Action::Add, "add"), (Action::Remove, "remove")] {
            let change = Change {
                action: kind,
                ..change("Shot", "parent_id")
            };
            assert_eq!(action(&change), name);
        }
        for (entity_type, table) in [
            ("TypedContextLink", "dependency"),
            ("FileComponent", "component"),
            ("Note", "note"),
            ("Unheard", "unheard"),
        ] {
            assert_eq!(legacy.table(entity_type), table);
        }
        assert_eq!(legacy.column("Note", "content"), "text");
        assert_eq!(legacy.column("Shot", "fstart"), "fstart");
    }
}
