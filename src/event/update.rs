//! `ftrack.update`: what the server says has changed, under today's names.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::event::model::Event;
use crate::schema::{EntityType, Schema};
use crate::value::EntityKey;

/// Translates the names that the server uses in events.
///
/// The [`Schema`] can; so can a pair of closures. A name that is not known stays as it is.
pub trait Names {
    /// Today's name of an entity type, given the event's `entityType`, such as `show`.
    fn entity_type(&self, legacy: &str) -> Option<String>;

    /// Today's name of an attribute of this entity type, given the event's, such as `statusid`.
    fn attribute(&self, entity_type: &str, legacy: &str) -> Option<String>;
}

impl<T, A> Names for (T, A)
where
    T: Fn(&str) -> Option<String>,
    A: Fn(&str, &str) -> Option<String>,
{
    fn entity_type(&self, legacy: &str) -> Option<String> {
        self.0(legacy)
    }

    fn attribute(&self, entity_type: &str, legacy: &str) -> Option<String> {
        self.1(entity_type, legacy)
    }
}

impl Names for Schema {
    fn entity_type(&self, legacy: &str) -> Option<String> {
        let matches = |entity_type: &&EntityType| {
            let name = entity_type.alias().unwrap_or(entity_type.name());
            name.eq_ignore_ascii_case(legacy)
        };
        let candidates: Vec<&EntityType> = self.entity_types().iter().filter(matches).collect();
        // `task` is the alias of every kind of `TypedContext`: what all of them are is meant.
        let is_base = |entity_type: &&&EntityType| {
            let base = entity_type.base();
            !candidates.iter().any(|other| Some(other.name()) == base)
        };
        let found = candidates.iter().find(is_base)?;
        Some(found.name().to_string())
    }

    fn attribute(&self, entity_type: &str, legacy: &str) -> Option<String> {
        let attributes = self.entity_type(entity_type).ok()?.attributes();
        let found = attributes
            .iter()
            .find(|attribute| attribute.alias() == Some(legacy))?;
        Some(found.name().to_string())
    }
}

/// The content of an `ftrack.update` event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// What changed.
    pub entities: Vec<ChangedEntity>,
    /// The ids of everything above what changed.
    pub parents: Vec<String>,
    /// The token of the session that made the change.
    pub client_token: Option<String>,
    /// The push token that the change was made with.
    pub push_token: Option<String>,
    /// The id of the user who made the change.
    pub user_id: Option<String>,
    /// The name of the user who made the change.
    pub username: Option<String>,
}

/// One entity in an [`Update`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChangedEntity {
    /// Today's name of its type, such as `Shot`.
    pub entity_type: String,
    /// Its id: with the type, the key to load it.
    pub id: String,
    /// What happened to it.
    pub action: UpdateAction,
    /// Its changed attributes.
    pub changes: Vec<Change>,
    /// The entity itself, then what it is in, up to the project.
    pub parents: Vec<Parent>,
    /// The type as the event names it, such as `task` or `show`.
    pub legacy_type: String,
    /// The names of the changed attributes as the event lists them.
    pub keys: Vec<String>,
}

impl ChangedEntity {
    /// Its key, to load it with `session.get`.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// # let event = Event::new("ftrack.update").data(serde_json::json!({ "entities": [{
    /// #     "action": "add", "entityType": "task", "entity_type": "Shot", "entityId": "7a" }]}));
    /// # let names = (|_: &str| None, |_: &str, _: &str| None);
    /// let update = event.update(&names)?;
    /// assert_eq!(update.entities[0].key().to_string(), "Shot(7a)");
    /// # Ok::<(), ftrack_api::Error>(())
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
    /// Something newer than this library.
    Other(String),
}

/// One changed attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// Today's name of the attribute; the key of a custom attribute.
    pub attribute: String,
    /// The attribute as the event names it.
    pub legacy_attribute: String,
    /// The value before, usually as text; null if there was none.
    pub old: Value,
    /// The value after, usually as text; null if there is none.
    pub new: Value,
}

/// One step from a [`ChangedEntity`] up to its project.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parent {
    /// Today's name of its type.
    pub entity_type: String,
    /// Its id.
    pub id: String,
    /// The id of what it is in; none for the project.
    pub parent_id: Option<String>,
}

impl Event {
    /// Reads an `ftrack.update` with its types and attributes under today's names.
    ///
    /// # Errors
    ///
    /// `WrongType` for any other topic, `BadResponse` if the data has another shape.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// use serde_json::json;
    ///
    /// let event = Event::new("ftrack.update").data(json!({ "entities": [{
    ///     "action": "update", "entityType": "task", "entity_type": "Shot", "entityId": "7a",
    ///     "keys": ["statusid"], "changes": { "statusid": { "old": "1", "new": "2" } },
    /// }]}));
    /// let names = (|_: &str| None, |_: &str, old: &str| {
    ///     (old == "statusid").then(|| "status_id".to_string())
    /// });
    /// let update = event.update(&names)?;
    /// assert_eq!(update.entities[0].entity_type, "Shot");
    /// assert_eq!(update.entities[0].changes[0].attribute, "status_id");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn update(&self, names: &(impl Names + ?Sized)) -> Result<Update> {
        if self.topic() != "ftrack.update" {
            let message = format!("event {} is no ftrack.update", self.topic());
            return Err(Error::new(ErrorKind::WrongType, message));
        }
        let wire: WireUpdate = self.data_as()?;
        let (user_id, username) = match wire.user {
            Some(user) => (user.userid, user.name),
            None => (None, None),
        };
        Ok(Update {
            entities: wire
                .entities
                .into_iter()
                .map(|entity| entity.translate(names))
                .collect(),
            parents: wire.parents,
            client_token: self.client_token().map(str::to_string),
            push_token: wire.push_token,
            user_id,
            username,
        })
    }
}

/// The data as the server sends it (SERVER.md E6).
#[derive(Deserialize)]
struct WireUpdate {
    #[serde(default)]
    entities: Vec<WireEntity>,
    #[serde(default)]
    parents: Vec<String>,
    #[serde(rename = "pushToken")]
    push_token: Option<String>,
    user: Option<WireUser>,
}

#[derive(Deserialize)]
struct WireUser {
    userid: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct WireEntity {
    #[serde(rename = "entityId")]
    id: String,
    #[serde(rename = "entityType")]
    legacy_type: Option<String>,
    /// Today's name, where the server gives it.
    entity_type: Option<String>,
    #[serde(default)]
    action: String,
    keys: Option<Vec<String>>,
    changes: Option<Map<String, Value>>,
    parents: Option<Vec<WireParent>>,
}

#[derive(Deserialize)]
struct WireParent {
    #[serde(rename = "entityId")]
    id: String,
    #[serde(rename = "entityType")]
    legacy_type: Option<String>,
    entity_type: Option<String>,
    #[serde(rename = "parentId")]
    parent_id: Option<String>,
}

impl WireEntity {
    fn translate(self, names: &(impl Names + ?Sized)) -> ChangedEntity {
        let legacy_type = self.legacy_type.unwrap_or_default();
        let entity_type = type_name(self.entity_type, &legacy_type, names);
        let changes = self.changes.unwrap_or_default().into_iter();
        let parents = self.parents.unwrap_or_default().into_iter();
        ChangedEntity {
            changes: changes
                .map(|(name, change)| translate(&entity_type, name, change, names))
                .collect(),
            parents: parents.map(|parent| parent.translate(names)).collect(),
            id: self.id,
            action: UpdateAction::from(self.action),
            keys: self.keys.unwrap_or_default(),
            entity_type,
            legacy_type,
        }
    }
}

impl WireParent {
    fn translate(self, names: &(impl Names + ?Sized)) -> Parent {
        let legacy = self.legacy_type.unwrap_or_default();
        Parent {
            entity_type: type_name(self.entity_type, &legacy, names),
            id: self.id,
            parent_id: self.parent_id,
        }
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

fn type_name(given: Option<String>, legacy: &str, names: &(impl Names + ?Sized)) -> String {
    given
        .or_else(|| names.entity_type(legacy))
        .unwrap_or_else(|| legacy.to_string())
}

fn translate(
    entity_type: &str,
    legacy_attribute: String,
    mut change: Value,
    names: &(impl Names + ?Sized),
) -> Change {
    let known = names.attribute(entity_type, &legacy_attribute);
    Change {
        attribute: known.unwrap_or_else(|| legacy_attribute.clone()),
        old: change.get_mut("old").map(Value::take).unwrap_or_default(),
        new: change.get_mut("new").map(Value::take).unwrap_or_default(),
        legacy_attribute,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn names() -> impl Names {
        let types = |legacy: &str| (legacy == "show").then(|| "Project".to_string());
        let attributes = |entity_type: &str, legacy: &str| match (entity_type, legacy) {
            ("Shot", "statusid") => Some("status_id".to_string()),
            _ => None,
        };
        (types, attributes)
    }

    #[test]
    fn translates_names() {
        let event = Event::new("ftrack.update").data(json!({
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
        let update = event.update(&names()).unwrap();
        let [shot, project] = &update.entities[..] else {
            unreachable!("two entities");
        };
        assert_eq!(
            (shot.entity_type.as_str(), &shot.action),
            ("Shot", &UpdateAction::Move)
        );
        let status = shot
            .changes
            .iter()
            .find(|change| change.attribute == "status_id")
            .unwrap();
        assert_eq!((&status.old, &status.new), (&json!("1"), &Value::Null));
        let custom = shot
            .changes
            .iter()
            .find(|change| change.attribute == "fstart")
            .unwrap();
        assert_eq!((&custom.old, &custom.new), (&Value::Null, &json!(3)));
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
    fn refuses_other_topics_and_shapes() {
        let other = Event::new("ftrack.upgrade").update(&names()).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::WrongType);
        let data = json!({"entities": [{"entityId": 5}]});
        let bad = Event::new("ftrack.update")
            .data(data)
            .update(&names())
            .unwrap_err();
        assert_eq!(bad.kind(), ErrorKind::BadResponse);
        let empty = Event::new("ftrack.update").update(&names()).unwrap();
        assert!(empty.entities.is_empty());
    }
}
