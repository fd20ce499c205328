//! The identity of an entity: its type and primary key, detached from any session.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{Text, write_joined};

/// Names one entity: its type and the values of its primary key.
///
/// The detached form of an [`Entity`](crate::Entity): small, comparable, hashable, and valid in any
/// session. Store keys instead of entities if a list must outlive its session or go to another
/// process.
///
/// ```
/// use ftrack_api::EntityKey;
///
/// let key = EntityKey::new("Task", "adb4ad6c-7679-11e2-8df2-f23c91df25eb");
/// assert_eq!(key.entity_type(), "Task");
/// assert_eq!(key.to_string(), "Task(adb4ad6c-7679-11e2-8df2-f23c91df25eb)");
///
/// let setting = EntityKey::composite("Setting", ["storage_scenario", "STORAGE"]);
/// assert_eq!(setting.parts().count(), 2);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityKey {
    entity_type: SmolStr,
    key: Key,
}

impl EntityKey {
    /// The key of an entity whose primary key is one attribute, as most are.
    pub fn new(entity_type: impl AsRef<str>, id: impl AsRef<str>) -> Self {
        Self::from_key(entity_type, Key::single(id.as_ref()))
    }

    /// The key of an entity with several key attributes, in the schema's order.
    pub fn composite<T: AsRef<str>>(
        entity_type: impl AsRef<str>,
        parts: impl IntoIterator<Item = T>,
    ) -> Self {
        let parts = parts.into_iter().map(|part| Text::new(part.as_ref()));
        Self::from_key(entity_type, Key::from_parts(parts.collect()))
    }

    pub(crate) fn from_key(entity_type: impl AsRef<str>, key: Key) -> Self {
        let entity_type = SmolStr::new(entity_type);
        Self { entity_type, key }
    }

    /// The name of the entity type.
    pub fn entity_type(&self) -> &str {
        &self.entity_type
    }

    /// The values of the primary key, in the schema's order; mostly one.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = String> {
        self.key.parts().iter().map(Text::to_text)
    }

    /// The primary key as one text: of a composite key, its parts with commas between.
    pub fn id(&self) -> String {
        match &self.key {
            Key::Single(part) => part.to_text(),
            Key::Composite(_) => self.key.to_string(),
        }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }
}

/// The key of an entity whose type is known: an id, or a whole [`EntityKey`].
///
/// Every function that takes an entity type and a key takes the key as `impl IntoKey`.
///
/// ```
/// use ftrack_api::{EntityKey, IntoKey, uuid::Uuid};
///
/// let id = "adb4ad6c-7679-11e2-8df2-f23c91df25eb";
/// let key = EntityKey::new("Task", id);
/// assert_eq!(id.into_key("Task"), key);
/// assert_eq!(Uuid::parse_str(id)?.into_key("Task"), key);
/// assert_eq!((&key).into_key("Task"), key);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the key of an entity",
    label = "expected a key",
    note = "give an id (`&str`, `String`, `uuid::Uuid`), an `EntityKey`, an entity (`&task`), or an \
            array of texts for a key with several parts"
)]
pub trait IntoKey {
    /// The key, of type `entity_type` unless it names another.
    fn into_key(self, entity_type: &str) -> EntityKey;
}

impl IntoKey for &str {
    fn into_key(self, entity_type: &str) -> EntityKey {
        EntityKey::new(entity_type, self)
    }
}

// Not one implementation for all `&K`, which would clone the `String` and then copy it into the key.
impl IntoKey for &String {
    fn into_key(self, entity_type: &str) -> EntityKey {
        EntityKey::new(entity_type, self)
    }
}

impl IntoKey for String {
    fn into_key(self, entity_type: &str) -> EntityKey {
        EntityKey::new(entity_type, self)
    }
}

impl IntoKey for SmolStr {
    fn into_key(self, entity_type: &str) -> EntityKey {
        EntityKey::new(entity_type, self.as_str())
    }
}

impl IntoKey for &SmolStr {
    fn into_key(self, entity_type: &str) -> EntityKey {
        EntityKey::new(entity_type, self.as_str())
    }
}

impl IntoKey for Uuid {
    fn into_key(self, entity_type: &str) -> EntityKey {
        let mut text = Uuid::encode_buffer();
        EntityKey::new(entity_type, self.hyphenated().encode_lower(&mut text))
    }
}

impl IntoKey for EntityKey {
    fn into_key(self, _: &str) -> EntityKey {
        self
    }
}

impl IntoKey for &Uuid {
    fn into_key(self, entity_type: &str) -> EntityKey {
        (*self).into_key(entity_type)
    }
}

impl IntoKey for &EntityKey {
    fn into_key(self, _: &str) -> EntityKey {
        self.clone()
    }
}

impl<T: AsRef<str>, const N: usize> IntoKey for [T; N] {
    fn into_key(self, entity_type: &str) -> EntityKey {
        EntityKey::composite(entity_type, self)
    }
}

impl From<&EntityKey> for EntityKey {
    fn from(key: &EntityKey) -> Self {
        key.clone()
    }
}

impl fmt::Display for EntityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.entity_type, self.key)
    }
}

impl fmt::Debug for EntityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Read from a reference as it stands in a typed row: `{"__entity_type__": "Status", "id": …}`.
/// The reference must have its key only; keys of several attributes cannot be told apart.
impl<'de> Deserialize<'de> for EntityKey {
    fn deserialize<D: Deserializer<'de>>(row: D) -> Result<Self, D::Error> {
        let mut members: BTreeMap<String, Option<String>> = Deserialize::deserialize(row)?;
        let entity_type = members.remove("__entity_type__").flatten();
        let id = match members.remove("id") {
            Some(id) => id,
            None if members.len() == 1 => members.into_values().next().flatten(),
            None => None,
        };
        match (entity_type, id) {
            (Some(entity_type), Some(id)) => Ok(Self::new(entity_type, id)),
            _ => Err(D::Error::custom(
                "no reference to an entity with one key attribute",
            )),
        }
    }
}

/// The values of a primary key, without the type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Single(Text),
    Composite(Box<[Text]>),
}

impl Key {
    pub(crate) fn single(id: &str) -> Self {
        Self::Single(Text::new(id))
    }

    /// One part makes the same key as [`Key::single`].
    pub(crate) fn from_parts(mut parts: Vec<Text>) -> Self {
        if parts.len() == 1
            && let Some(part) = parts.pop()
        {
            return Self::Single(part);
        }
        Self::Composite(parts.into())
    }

    pub(crate) fn parts(&self) -> &[Text] {
        match self {
            Self::Single(part) => std::slice::from_ref(part),
            Self::Composite(parts) => parts,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_joined(f, self.parts(), ", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_is_a_single_key() {
        assert_eq!(
            EntityKey::composite("Task", ["a"]),
            EntityKey::new("Task", "a")
        );
        assert_eq!(EntityKey::composite("Setting", ["a", "b"]).id(), "a, b");
    }

    #[test]
    fn references_of_rows() {
        let read = |json: &str| serde_json::from_str::<EntityKey>(json);
        let status = EntityKey::new("Status", "a");
        assert_eq!(
            read(r#"{"id":"a","__entity_type__":"Status"}"#).unwrap(),
            status
        );
        let task = r#"{"__entity_type__":"Task","id":"a","context_type":"task","thumb":null}"#;
        assert_eq!(read(task).unwrap(), EntityKey::new("Task", "a"));
        let other = r#"{"__entity_type__":"Disk","diskid":"a"}"#;
        assert_eq!(read(other).unwrap(), EntityKey::new("Disk", "a"));
        for wrong in [
            "{}",
            r#"{"id":"a"}"#,
            r#"{"__entity_type__":"Metadata","key":"a","parent_id":"b"}"#,
            r#"{"__entity_type__":"Status","id":null}"#,
            r#""a""#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn keys_are_small() {
        assert!(size_of::<Key>() <= 24);
        assert!(size_of::<EntityKey>() <= 48);
    }
}
