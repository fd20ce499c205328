//! Metadata: key-value pairs of an entity, as a dictionary.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::schema::AttributeKind;
use crate::value::{Data, EntityKey, Value};

use super::METADATA;

/// The metadata of one entity; made by [`Entity::metadata`].
///
/// Each pair is an entity of type `Metadata` on the server. Setting and removing pairs does not
/// affect pairs that others add in the meantime.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata {
    entity: Entity,
}

impl Entity {
    /// The metadata of this entity. Nothing is loaded until it is read or changed, and then for
    /// all peers of the entity at once.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let metadata = task.metadata()?;
    /// metadata.set("camera", "crane")?;
    /// metadata.set("take", 3)?;
    /// session.commit()?;
    /// assert_eq!(metadata.get("camera")?.as_deref(), Some("crane"));
    /// assert_eq!(metadata.get("take")?.as_deref(), Some("3"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if entities of this type have no metadata.
    pub fn metadata(&self) -> Result<Metadata> {
        let attribute = self.type_info().attribute(METADATA)?;
        match attribute.kind() {
            AttributeKind::Mapped(target) if target == ROW => Ok(Metadata {
                entity: self.clone(),
            }),
            _ => Err(Error::new(
                ErrorKind::UnknownAttribute,
                format!("{self} has no metadata"),
            )),
        }
    }
}

const ROW: &str = "Metadata";

impl Metadata {
    /// The value of a key; `None` if there is no such key.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`].
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        match self.row(key)? {
            Some(row) => row.get("value"),
            None => Ok(None),
        }
    }

    /// Sets the value of a key, which may be new. Values are texts: numbers, booleans and dates are
    /// stored as they print. The server requires a text, so null is an empty one.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`] and [`Entity::set`].
    pub fn set(&self, key: &str, value: impl Into<Value>) -> Result<()> {
        let value = as_text(value.into());
        if let Some(row) = self.row(key)? {
            return row.set("value", value);
        }
        if let Some(row) = self.entity.revive_row(METADATA, &self.row_key(key))? {
            return row.set("value", value);
        }
        let session = &self.entity.session;
        let row = session.create(
            ROW,
            crate::data! {
                "parent_id": self.entity.id(),
                "parent_type": self.entity.entity_type(),
                "key": key,
                "value": value,
            },
        )?;
        let listed = self.entity.extend_rows(METADATA, &[row.key()], &[]);
        if listed.is_err() {
            session.discard(&[row]);
        }
        listed
    }

    /// Removes a key and returns whether it existed.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`] and [`Session::delete`](crate::Session::delete).
    pub fn remove(&self, key: &str) -> Result<bool> {
        let Some(row) = self.row(key)? else {
            return Ok(false);
        };
        self.entity.delete_row(METADATA, &row)?;
        Ok(true)
    }

    /// Whether a key exists.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`].
    pub fn contains(&self, key: &str) -> Result<bool> {
        Ok(self.row(key)?.is_some())
    }

    /// Every pair, sorted by key. Null values are empty texts.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`].
    pub fn to_map(&self) -> Result<BTreeMap<String, String>> {
        let rows = self.entity.get::<Vec<Entity>>(METADATA)?;
        let pairs = rows.iter().map(|row| {
            let value: Option<String> = row.get("value")?;
            Ok((row.get("key")?, value.unwrap_or_default()))
        });
        pairs.collect()
    }

    /// Sets several pairs; the others stay.
    ///
    /// # Errors
    ///
    /// - Any error of [`set`](Self::set).
    pub fn extend<K: Into<String>, V: Into<Value>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let pairs: Data = pairs.into_iter().collect();
        for (key, value) in pairs {
            self.set(&key, value)?;
        }
        Ok(())
    }

    /// Makes these the only pairs.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let metadata = task.metadata()?;
    /// metadata.set("camera", "crane")?;
    /// metadata.replace(data! { "lens": "50", "take": 3 })?;
    /// assert!(metadata.to_map()?.keys().eq(["lens", "take"]));
    /// # session.rollback();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`set`](Self::set) and [`remove`](Self::remove).
    pub fn replace<K: Into<String>, V: Into<Value>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let pairs: Data = pairs.into_iter().collect();
        for key in self.to_map()?.into_keys() {
            if !pairs.contains(&key) {
                self.remove(&key)?;
            }
        }
        self.extend(pairs)
    }

    fn row(&self, key: &str) -> Result<Option<Entity>> {
        let wanted = self.row_key(key);
        let rows: Vec<EntityKey> = self.entity.get(METADATA)?;
        if rows.contains(&wanted) {
            return self.entity.session.entity(&wanted).map(Some);
        }
        Ok(None)
    }

    /// The key attributes are the parent's id and the key of the pair (`schemas`: Metadata).
    fn row_key(&self, key: &str) -> EntityKey {
        EntityKey::composite(ROW, [self.entity.id(), key.to_owned()])
    }
}

fn as_text(value: Value) -> Value {
    match value {
        Value::Json(json) => match json.scalar() {
            Some(scalar) => as_text(scalar),
            None => Value::Text(json.to_string()),
        },
        Value::Bool(_)
        | Value::Integer(_)
        | Value::Number(_)
        | Value::DateTime(_)
        | Value::Date(_) => Value::Text(value.to_string()),
        // The schema requires a value.
        Value::Null => Value::Text(String::new()),
        // The store refuses references and lists.
        other => other,
    }
}

/// `metadata of Task(…)`.
impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metadata of {}", self.entity)
    }
}

/// Nothing is fetched.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metadata({})", self.entity)
    }
}
