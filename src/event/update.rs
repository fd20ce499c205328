//! `ftrack.update`: what the server reports as changed, under the schema's names.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use crate::error::{Error, ErrorKind, Result};
use crate::event::model::{Event, UPDATE_TOPIC};
use crate::event::names::{attribute_named, entity_type_named};
use crate::schema::{Attribute, AttributeKind, Schema};
use crate::value::{EntityKey, Value, datetime_from_wire, scalar, whole};

/// The content of an `ftrack.update` event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UpdateEvent {
    /// What changed.
    pub entities: Vec<ChangedEntity>,
    /// The ids of all parents of the changed entities.
    pub parents: Vec<String>,
    /// The token of the session that made the change.
    pub client_token: Option<String>,
    /// The push token of the request that made the change.
    pub push_token: Option<String>,
    /// The id of the user who made the change.
    pub user_id: Option<String>,
    /// The name of the user who made the change.
    pub username: Option<String>,
}

/// One entity of an [`UpdateEvent`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChangedEntity {
    /// The schema's name of its type, such as `Shot`.
    pub entity_type: String,
    /// Its id: together with the type, the key to load it.
    pub id: String,
    /// What happened to it.
    pub action: UpdateAction,
    /// Its changed attributes.
    pub changes: Vec<AttributeChange>,
    /// The entity itself, then its parents up to the project.
    pub parents: Vec<UpdateParent>,
    /// The type under the name that the event uses, such as `task` or `show`.
    pub legacy_type: String,
    /// The names of the changed attributes as the event lists them.
    pub keys: Vec<String>,
}

impl ChangedEntity {
    /// Its key, to load it with `session.get`.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::Event;
    ///
    /// let event = Event::new("ftrack.update").with_data(serde_json::json!({ "entities": [{
    ///     "action": "add", "entityType": "task", "entity_type": "Shot", "entityId": "7a" }]}));
    /// let update = event.update(session.schema())?;
    /// assert_eq!(update.entities[0].key().to_string(), "Shot(7a)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(&self) -> EntityKey {
        EntityKey::new(&self.entity_type, &self.id)
    }
}

/// What happened to a [`ChangedEntity`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateAction {
    /// It was created.
    Add,
    /// Attributes changed.
    Update,
    /// It was deleted.
    Remove,
    /// It has another parent.
    Move,
    /// An action that this library does not know.
    Other(String),
}

/// One changed attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AttributeChange {
    /// The schema's name of the attribute; for a custom attribute, its key.
    pub attribute: String,
    /// The attribute under the name that the event uses.
    pub legacy_attribute: String,
    /// The value before: of the attribute's type, although events give most values as text. That of a
    /// custom attribute is as the event gives it, for [`CustomAttribute::typed`]. Null if there was
    /// none.
    ///
    /// [`CustomAttribute::typed`]: crate::entity::CustomAttribute::typed
    pub old: Value,
    /// The value after, in the same form.
    pub new: Value,
}

/// One step from a [`ChangedEntity`] up to its project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpdateParent {
    /// The schema's name of its type.
    pub entity_type: String,
    /// Its id.
    pub id: String,
    /// The id of its own parent; `None` for the project.
    pub parent_id: Option<String>,
}

impl Event {
    /// Reads an `ftrack.update`: types and attributes under the schema's names, values in the
    /// attributes' types.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if the event has another topic.
    /// - [`ErrorKind::BadResponse`] if the data has an unexpected shape.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::{Event, Value};
    /// use serde_json::json;
    ///
    /// let event = Event::new("ftrack.update").with_data(json!({ "entities": [{
    ///     "action": "update", "entityType": "task", "entity_type": "Task", "entityId": "7a",
    ///     "keys": ["statusid", "bid"],
    ///     "changes": { "statusid": { "old": "1", "new": "2" }, "bid": { "old": null, "new": "3600" } },
    /// }]}));
    /// let update = event.update(session.schema())?;
    /// let task = &update.entities[0];
    /// assert_eq!((task.entity_type.as_str(), task.changes.len()), ("Task", 2));
    /// let bid = task.changes.iter().find(|change| change.attribute == "bid");
    /// assert_eq!(bid.map(|change| &change.new), Some(&Value::Number(3600.0)));
    /// assert!(task.changes.iter().any(|change| change.attribute == "status_id"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&self, schema: &Schema) -> Result<UpdateEvent> {
        if self.topic() != UPDATE_TOPIC {
            let message = format!("expected an ftrack.update event, got {}", self.topic());
            return Err(Error::new(ErrorKind::WrongType, message));
        }
        let wire: WireUpdate = self.data_as()?;
        let user = wire.user.unwrap_or_default();
        let entities = wire.entities.into_iter();
        Ok(UpdateEvent {
            entities: entities
                .filter_map(|entity| entity.translate(schema))
                .collect(),
            parents: wire.parents,
            client_token: self.client_token().map(str::to_string),
            push_token: wire.push_token,
            user_id: user.userid,
            username: user.name,
        })
    }
}

/// A member that may be missing or null.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A list that may be missing or null, without those of its members that are null.
fn without_null<'de, D, T>(deserializer: D) -> std::result::Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let members: Vec<Option<T>> = or_default(deserializer)?;
    Ok(members.into_iter().flatten().collect())
}

/// The data as the server sends it.
#[derive(Deserialize)]
struct WireUpdate {
    #[serde(default, deserialize_with = "without_null")]
    entities: Vec<WireEntity>,
    #[serde(default, deserialize_with = "without_null")]
    parents: Vec<String>,
    #[serde(rename = "pushToken")]
    push_token: Option<String>,
    user: Option<WireUser>,
}

#[derive(Default, Deserialize)]
struct WireUser {
    userid: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct WireEntity {
    /// Without it the entry says nothing about anything.
    #[serde(rename = "entityId")]
    id: Option<String>,
    #[serde(rename = "entityType", default, deserialize_with = "or_default")]
    legacy_type: String,
    /// The schema's name, where the server gives it.
    entity_type: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    action: String,
    #[serde(default, deserialize_with = "without_null")]
    keys: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    changes: Map<String, Json>,
    #[serde(default, deserialize_with = "without_null")]
    parents: Vec<WireParent>,
}

#[derive(Deserialize)]
struct WireParent {
    #[serde(rename = "entityId")]
    id: Option<String>,
    #[serde(rename = "entityType", default, deserialize_with = "or_default")]
    legacy_type: String,
    entity_type: Option<String>,
    #[serde(rename = "parentId")]
    parent_id: Option<String>,
}

impl WireEntity {
    fn translate(self, schema: &Schema) -> Option<ChangedEntity> {
        let id = self.id?;
        let entity_type = type_name(self.entity_type, &self.legacy_type, schema);
        let changes = self.changes.into_iter();
        let parents = self.parents.into_iter();
        Some(ChangedEntity {
            changes: changes
                .map(|(name, change)| translate(&entity_type, name, change, schema))
                .collect(),
            parents: parents
                .filter_map(|parent| parent.translate(schema))
                .collect(),
            id,
            action: UpdateAction::from(self.action),
            keys: self.keys,
            entity_type,
            legacy_type: self.legacy_type,
        })
    }
}

impl WireParent {
    fn translate(self, schema: &Schema) -> Option<UpdateParent> {
        Some(UpdateParent {
            entity_type: type_name(self.entity_type, &self.legacy_type, schema),
            id: self.id?,
            parent_id: self.parent_id,
        })
    }
}

impl From<String> for UpdateAction {
    fn from(name: String) -> Self {
        match name.as_str() {
            "add" => Self::Add,
            "update" => Self::Update,
            "remove" => Self::Remove,
            "move" => Self::Move,
            _ => Self::Other(name),
        }
    }
}

fn type_name(given: Option<String>, legacy: &str, schema: &Schema) -> String {
    let known = || entity_type_named(schema, legacy).map(|found| found.name().to_string());
    given.or_else(known).unwrap_or_else(|| legacy.to_string())
}

fn translate(
    entity_type: &str,
    legacy_attribute: String,
    mut change: Json,
    schema: &Schema,
) -> AttributeChange {
    let known = attribute_named(schema, entity_type, &legacy_attribute);
    let mut take = |name: &str| {
        let value = change.get_mut(name).map(Json::take).unwrap_or_default();
        value_of(known.map(Attribute::kind), value)
    };
    AttributeChange {
        old: take("old"),
        new: take("new"),
        attribute: known.map_or_else(
            || legacy_attribute.clone(),
            |attribute| attribute.name().to_string(),
        ),
        legacy_attribute,
    }
}

/// A value of an event in the type of its attribute. Older servers give the database's text for
/// everything (`"1"` for true), newer ones JSON's own types; what fits neither stays as it is.
pub(crate) fn value_of(kind: Option<&AttributeKind>, value: Json) -> Value {
    let read = match (kind, &value) {
        (Some(AttributeKind::Bool), Json::String(text)) => boolean(text),
        (Some(AttributeKind::Bool), Json::Number(number)) => boolean(&number.to_string()),
        (Some(AttributeKind::Integer), Json::String(text)) => integer(text).map(Value::Integer),
        (Some(AttributeKind::Integer), Json::Number(number)) => {
            integer(&number.to_string()).map(Value::Integer)
        }
        (Some(AttributeKind::Number), Json::String(text)) => number(text),
        (Some(AttributeKind::Number), Json::Number(given)) => number(&given.to_string()),
        (Some(AttributeKind::DateTime), Json::String(text)) => datetime(text),
        (_, Json::Object(object)) => match (object.get("__type__"), object.get("value")) {
            (Some(Json::String(kind)), Some(Json::String(text))) if kind == "datetime" => {
                datetime(text)
            }
            _ => None,
        },
        _ => None,
    };
    let is_typed = !matches!(
        kind,
        None | Some(AttributeKind::Text | AttributeKind::Variable)
    );
    match (read, &value) {
        (Some(read), _) => read,
        // The database's text for no value.
        (None, Json::String(text)) if text.is_empty() && is_typed => Value::Null,
        (None, _) => scalar(&value).unwrap_or_else(|| value.into()),
    }
}

fn boolean(text: &str) -> Option<Value> {
    match text {
        "1" | "true" | "True" => Some(Value::Bool(true)),
        "0" | "false" | "False" => Some(Value::Bool(false)),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    text.parse()
        .ok()
        .or_else(|| text.parse().ok().and_then(whole))
}

fn number(text: &str) -> Option<Value> {
    let number = text.parse().ok();
    number
        .filter(|number: &f64| number.is_finite())
        .map(Value::Number)
}

/// With a `T` or a blank between date and time, or a date alone.
fn datetime(text: &str) -> Option<Value> {
    datetime_from_wire(&text.replacen(' ', "T", 1)).map(Value::DateTime)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use jiff::civil::datetime;
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        crate::event::names::schema_for_tests()
    }

    #[test]
    fn translates_names() {
        let event = Event::new("ftrack.update").with_data(json!({
            "clientToken": "me--1", "pushToken": "p", "parents": ["s", "p"],
            "user": {"userid": "u1", "name": "ada"},
            "entities": [
                {"action": "move", "entityType": "task", "entity_type": "Shot", "entityId": "s",
                 "keys": ["statusid", "fstart"],
                 "changes": {"statusid": {"old": "1", "new": null}, "fstart": {"new": 3}},
                 "parents": [{"entityId": "s", "entityType": "task", "entity_type": "Shot",
                              "parentId": "p"},
                             {"entityId": "p", "entityType": "show", "parentId": null}]},
                {"action": "glow", "entityType": "show", "entityId": "p", "changes": null}
            ]
        }));
        let update = event.update(&schema()).unwrap();
        let [shot, project] = &update.entities[..] else {
            unreachable!("two entities");
        };
        assert_eq!(
            (shot.entity_type.as_str(), &shot.action),
            ("Shot", &UpdateAction::Move)
        );
        let of = |name: &str| {
            let mut changes = shot.changes.iter();
            changes.find(|change| change.attribute == name).unwrap()
        };
        assert_eq!(
            (&of("status_id").old, &of("status_id").new),
            (&Value::from("1"), &Value::Null)
        );
        assert_eq!(
            (&of("fstart").old, &of("fstart").new),
            (&Value::Null, &Value::Integer(3))
        );
        assert_eq!(shot.parents[1].entity_type, "Project");
        assert_eq!(
            (project.entity_type.as_str(), project.changes.len()),
            ("Project", 0)
        );
        assert_eq!(project.action, UpdateAction::Other("glow".into()));
        assert_eq!(update.client_token.as_deref(), Some("me--1"));
        assert_eq!(update.username.as_deref(), Some("ada"));
    }

    #[test]
    fn what_names_no_entity_is_left_out() {
        let event = Event::new("ftrack.update").with_data(json!({
            "parents": [null, "p"],
            "entities": [
                null,
                {"action": "update", "entityType": "task", "entityId": null, "keys": ["bid"]},
                {"action": "update", "entityType": "task"},
                {"action": "update", "entityType": "task", "entityId": "t", "keys": [null, "bid"],
                 "parents": [null, {"entityId": null, "entityType": "task"},
                             {"entityId": "p", "entityType": "show"}]},
            ]
        }));
        let update = event.update(&schema()).unwrap();
        let [task] = &update.entities[..] else {
            unreachable!("one entity: {:?}", update.entities);
        };
        assert_eq!(
            (task.id.as_str(), &task.keys[..]),
            ("t", &["bid".to_owned()][..])
        );
        assert_eq!(task.parents.len(), 1);
        assert_eq!(task.parents[0].id, "p");
        assert_eq!(update.parents, ["p"]);
    }

    #[test]
    fn values_have_the_types_of_their_attributes() {
        let when = Value::DateTime(datetime(2024, 10, 29, 22, 0, 0, 0));
        let day = Value::DateTime(datetime(2024, 10, 29, 0, 0, 0, 0));
        for (column, given, expected) in [
            ("isopen", json!("1"), Value::Bool(true)),
            ("isopen", json!("0"), Value::Bool(false)),
            ("isopen", json!(1), Value::Bool(true)),
            ("isopen", json!(true), Value::Bool(true)),
            ("isopen", json!("perhaps"), Value::from("perhaps")),
            ("isopen", json!(""), Value::Null),
            ("sort", json!("256"), Value::Integer(256)),
            ("sort", json!("256.0"), Value::Integer(256)),
            ("sort", json!(256), Value::Integer(256)),
            ("sort", json!("256.5"), Value::from("256.5")),
            ("bid", json!("256"), Value::Number(256.0)),
            ("bid", json!(256), Value::Number(256.0)),
            ("bid", json!("2.5"), Value::Number(2.5)),
            ("bid", json!("inf"), Value::from("inf")),
            ("bid", json!(""), Value::Null),
            ("startdate", json!("2024-10-29T22:00:00"), when.clone()),
            ("startdate", json!("2024-10-29 22:00:00"), when.clone()),
            (
                "startdate",
                json!({"__type__": "datetime", "value": "2024-10-29T22:00:00"}),
                when,
            ),
            ("startdate", json!("2024-10-29"), day),
            ("name", json!("256"), Value::from("256")),
            ("name", json!(""), Value::from("")),
            ("statusid", json!("2"), Value::from("2")),
            ("custom", json!("1"), Value::from("1")),
            ("custom", json!(["a"]), Value::from(json!(["a"]))),
            ("bid", Json::Null, Value::Null),
        ] {
            let changes = json!({column: {"old": given, "new": given}});
            let event = Event::new("ftrack.update").with_data(json!({"entities": [
                {"entityType": "task", "entity_type": "Shot", "entityId": "s", "changes": changes}
            ]}));
            let update = event.update(&schema()).unwrap();
            let change = &update.entities[0].changes[0];
            assert_eq!(change.new, expected, "{column} {given}");
            assert_eq!(change.old, expected, "{column} {given}");
        }
    }

    #[test]
    fn null_counts_as_missing() {
        let nulls = json!({"clientToken": null, "pushToken": null, "parents": null, "user": null,
            "entities": [{"entityId": "s", "entityType": null, "entity_type": null, "action": null,
                          "keys": null, "changes": null, "parents": null}]});
        let update = Event::new("ftrack.update").with_data(nulls);
        let update = update.update(&schema()).unwrap();
        assert_eq!(update.entities[0].id, "s");
        let none = Event::new("ftrack.update").with_data(json!({"entities": null}));
        assert!(none.update(&schema()).unwrap().entities.is_empty());
    }

    #[test]
    fn rejects_other_topics_and_shapes() {
        let other = Event::new("ftrack.upgrade").update(&schema()).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::WrongType);
        let data = json!({"entities": [{"entityId": 5}]});
        let bad = Event::new("ftrack.update").with_data(data);
        let bad = bad.update(&schema()).unwrap_err();
        assert_eq!(bad.kind(), ErrorKind::BadResponse);
        let empty = Event::new("ftrack.update").update(&schema()).unwrap();
        assert!(empty.entities.is_empty());
    }
}
