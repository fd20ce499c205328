//! Metadata: key-value pairs of an entity, as a dictionary.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::schema::AttributeKind;
use crate::value::EntityKey;

/// The metadata of one entity; made by [`Entity::metadata`].
///
/// Each pair is an entity of type `Metadata` on the server. Setting and removing pairs leaves
/// alone those that others add meanwhile.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadata {
    entity: Entity,
}

impl Entity {
    /// The metadata of this entity. Nothing is loaded until it is read or changed, and then for
    /// all peers of the entity at once.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let metadata = task.metadata()?;
    /// metadata.set("camera", "crane")?;
    /// session.commit()?;
    /// assert_eq!(metadata.get("camera")?.as_deref(), Some("crane"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] if entities of this type have no metadata.
    pub fn metadata(&self) -> Result<Metadata> {
        let attribute = self.type_info().attribute(ATTRIBUTE)?;
        match attribute.kind() {
            AttributeKind::Mapped(target) if target == ROW => Ok(Metadata {
                entity: self.clone(),
            }),
            _ => Err(Error::new(
                ErrorKind::UnknownAttribute,
                format!("{self} keeps no metadata"),
            )),
        }
    }
}

const ATTRIBUTE: &str = "metadata";
const ROW: &str = "Metadata";

impl Metadata {
    /// The value of a key, if there is one.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`].
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        match self.row(key)? {
            Some(row) => row.get("value"),
            None => Ok(None),
        }
    }

    /// Sets the value of a key, whether it is there or not.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`] and [`Entity::set`].
    pub fn set(&self, key: &str, value: impl Into<String>) -> Result<()> {
        let value = value.into();
        if let Some(row) = self.row(key)? {
            return row.set("value", value);
        }
        let session = &self.entity.session;
        if session.shared.store.lock().revive(&self.row_key(key))? {
            let (row, place) = (self.row_key(key), self.entity.handle.place);
            session
                .shared
                .store
                .lock()
                .cancel_removal(place, ATTRIBUTE, &row)?;
            return session.entity(&row)?.set("value", value);
        }
        let row = session.create(
            ROW,
            crate::data! {
                "parent_id": self.entity.id(),
                "parent_type": self.entity.entity_type(),
                "key": key,
                "value": value,
            },
        )?;
        let joined = self.join(&[row.key()], &[]);
        if joined.is_err() {
            session.discard(&[row]);
        }
        joined
    }

    /// Removes a key, and says whether it was there.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`] and [`Session::delete`](crate::Session::delete).
    pub fn remove(&self, key: &str) -> Result<bool> {
        let Some(row) = self.row(key)? else {
            return Ok(false);
        };
        let session = &self.entity.session;
        session.check_writable()?;
        self.join(&[], &[row.key()])?;
        session.delete(&row)?;
        Ok(true)
    }

    /// Whether there is a value for this key.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`].
    pub fn contains(&self, key: &str) -> Result<bool> {
        Ok(self.row(key)?.is_some())
    }

    /// Every pair, sorted by key.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`].
    pub fn to_map(&self) -> Result<BTreeMap<String, String>> {
        let rows = self.entity.get::<Vec<Entity>>(ATTRIBUTE)?;
        let pairs = rows.iter().map(|row| {
            let value: Option<String> = row.get("value")?;
            Ok((row.get("key")?, value.unwrap_or_default()))
        });
        pairs.collect()
    }

    /// Makes these the only pairs.
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set) and [`remove`](Self::remove).
    pub fn replace<K: AsRef<str>, V: Into<String>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let mut gone: Vec<String> = self.to_map()?.into_keys().collect();
        for (key, value) in pairs {
            gone.retain(|old| old != key.as_ref());
            self.set(key.as_ref(), value)?;
        }
        for key in gone {
            self.remove(&key)?;
        }
        Ok(())
    }

    fn row(&self, key: &str) -> Result<Option<Entity>> {
        let wanted = self.row_key(key);
        let rows: Vec<EntityKey> = self.entity.get(ATTRIBUTE)?;
        if rows.contains(&wanted) {
            return self.entity.session.entity(&wanted).map(Some);
        }
        Ok(None)
    }

    /// The key attributes are the parent's id and the key of the pair (`schemas`: Metadata).
    fn row_key(&self, key: &str) -> EntityKey {
        EntityKey::composite(ROW, [self.entity.id(), key.to_owned()])
    }

    /// Only this session's list of pairs changes: the server learns of the pair by itself. Given
    /// the whole list it would delete what others added meanwhile.
    fn join(&self, added: &[EntityKey], removed: &[EntityKey]) -> Result<()> {
        let session = &self.entity.session;
        let (place, recording) = (self.entity.handle.place, session.is_recording());
        let mut store = session.shared.store.lock();
        store.extend_along(place, ATTRIBUTE, added, removed, recording)
    }
}

/// Sets metadata that was given as JSON when its entity was created.
pub(crate) fn set_all(
    entity: &Entity,
    pairs: &serde_json::Map<String, serde_json::Value>,
) -> Result<()> {
    let metadata = entity.metadata()?;
    for (key, value) in pairs {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        metadata.set(key, text)?;
    }
    Ok(())
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
