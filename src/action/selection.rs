//! What the user had selected when an action was offered or launched.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::Result;
use crate::event::{Event, entity_type_named, or_default};
use crate::handle::{Entity, Session};
use crate::query::{field, select};
use crate::schema::Schema;
use crate::value::EntityKey;

/// One entity that the user has selected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Selected {
    /// Its id.
    #[serde(rename = "entityId")]
    pub id: String,
    /// Its type under the name that the web interface uses, such as `task` or `show`. `task` stands
    /// for every kind of `TypedContext`, shots and sequences included.
    #[serde(rename = "entityType", default, deserialize_with = "or_default")]
    pub legacy_type: String,
}

impl Selected {
    /// Its key under the schema's name of its type; for a `task` that is `TypedContext`. A type
    /// that the schema does not have keeps its name.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let event = Event::new("ftrack.action.launch").with_data(serde_json::json!({
    ///     "actionIdentifier": "studio.rename",
    ///     "selection": [{ "entityId": "7a", "entityType": "review_session" }]
    /// }));
    /// let key = event.selection()?[0].key(session.schema());
    /// assert_eq!(key.to_string(), "ReviewSession(7a)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(&self, schema: &Schema) -> EntityKey {
        let known = entity_type_named(schema, &self.legacy_type);
        let entity_type = known.map_or(self.legacy_type.as_str(), |found| found.name());
        EntityKey::new(entity_type, &self.id)
    }
}

/// Everything that the user has selected, in the order of the selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Selection(Vec<Selected>);

impl Selection {
    /// The selected entities in their actual types (a `task` that is a shot is a `Shot`), loaded in
    /// one request. Entities that do not exist, or that no type of the schema describes, are left
    /// out.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let shot = session.query("Shot")?.first()?.expect("a shot");
    /// let event = Event::new("ftrack.action.discover").with_data(serde_json::json!({
    ///     "selection": [{ "entityId": shot.id(), "entityType": "task" }]
    /// }));
    /// let entities = event.selection()?.entities(&session)?;
    /// assert_eq!(entities[0].entity_type(), "Shot");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`Session::query`] and [`Query::all`](crate::Query::all).
    pub fn entities(&self, session: &Session) -> Result<Vec<Entity>> {
        let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for selected in &self.0 {
            if let Some(known) = entity_type_named(session.schema(), &selected.legacy_type) {
                ids.entry(known.name()).or_default().push(&selected.id);
            }
        }
        let queries = ids.into_iter().map(|(entity_type, ids)| {
            let key = session.schema().entity_type(entity_type)?.primary_key();
            Ok(select(entity_type).filter(field(&*key[0]).is_in(ids)))
        });
        let queries = queries.collect::<Result<Vec<_>>>()?;
        let found = session.query_many(queries)?.into_iter().flatten();
        let mut by_id: BTreeMap<String, Entity> = found
            .map(|entity| (entity.id().to_string(), entity))
            .collect();
        let in_order = self.0.iter();
        Ok(in_order
            .filter_map(|selected| by_id.remove(&selected.id))
            .collect())
    }
}

impl Deref for Selection {
    type Target = [Selected];

    fn deref(&self) -> &[Selected] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Selection {
    type Item = &'a Selected;
    type IntoIter = std::slice::Iter<'a, Selected>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// The content of an `ftrack.action.launch` event.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Launch {
    /// Which action is to run.
    #[serde(rename = "actionIdentifier")]
    pub identifier: String,
    /// What the user has selected.
    #[serde(default, deserialize_with = "or_default")]
    pub selection: Selection,
    /// The answers to a [`Form`](super::Form); empty on the first launch.
    #[serde(default, deserialize_with = "or_default")]
    pub values: Map<String, Value>,
    /// The name of the user who launches it.
    #[serde(skip)]
    pub username: Option<String>,
    /// Everything else that the event contains, such as the label or the application.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Launch {
    /// The answer to one field of a [`Form`](super::Form).
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The selected entities, see [`Selection::entities`].
    ///
    /// # Errors
    ///
    /// - Any error of [`Selection::entities`].
    pub fn entities(&self, session: &Session) -> Result<Vec<Entity>> {
        self.selection.entities(session)
    }
}

impl Event {
    /// What the user has selected, in an `ftrack.action.discover` or `ftrack.action.launch`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`](crate::ErrorKind::BadResponse) if the data has an unexpected
    ///   shape.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// let event = Event::new("ftrack.action.discover").with_data(serde_json::json!({
    ///     "selection": [{ "entityId": "7a", "entityType": "task" }]
    /// }));
    /// assert_eq!(event.selection()?[0].id, "7a");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn selection(&self) -> Result<Selection> {
        #[derive(Deserialize)]
        struct Discover {
            #[serde(default, deserialize_with = "or_default")]
            selection: Selection,
        }
        Ok(self.data_as::<Discover>()?.selection)
    }

    /// The content of an `ftrack.action.launch`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`](crate::ErrorKind::BadResponse) if the data has an unexpected
    ///   shape.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// let event = Event::new("ftrack.action.launch").with_data(serde_json::json!({
    ///     "actionIdentifier": "studio.rename", "values": { "name": "sh020" }
    /// }));
    /// assert_eq!(event.launch()?.value("name").unwrap(), "sh020");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn launch(&self) -> Result<Launch> {
        let launch: Launch = self.data_as()?;
        Ok(Launch {
            username: self.username().map(str::to_owned),
            ..launch
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_launch_keeps_unknown_members() {
        let event = Event::new("ftrack.action.launch").with_data(json!({
            "actionIdentifier": "a", "selection": [{"entityId": "1", "entityType": "task"}],
            "label": "L"
        }));
        let launch = event.launch().unwrap();
        assert_eq!(launch.selection[0].legacy_type, "task");
        assert_eq!(launch.more["label"], "L");
        assert!(Event::new("ftrack.action.launch").launch().is_err());
        let nothing = Event::new("ftrack.action.discover").selection().unwrap();
        assert!(nothing.is_empty());
    }

    #[test]
    fn null_counts_as_missing() {
        let event = Event::new("ftrack.action.launch").with_data(json!({
            "actionIdentifier": "a", "selection": null, "values": null,
        }));
        let launch = event.launch().unwrap();
        assert!(launch.selection.is_empty() && launch.values.is_empty());
        assert!(event.selection().unwrap().is_empty());
        let selected = json!({"selection": [{"entityId": "1", "entityType": null}]});
        let event = Event::new("ftrack.action.discover").with_data(selected);
        assert_eq!(event.selection().unwrap()[0].legacy_type, "");
    }
}
