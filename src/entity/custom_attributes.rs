//! Custom attributes: what a studio adds to entities, by key.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::handle::Entity;
use crate::schema::AttributeKind;
use crate::session::{Configuration, HIGHEST};
use crate::value::{EntityKey, Value};

use super::FromAttribute;

/// The custom attributes of one entity; made by [`Entity::custom_attributes`].
#[derive(Clone, PartialEq, Eq)]
pub struct CustomAttributes {
    entity: Entity,
}

/// Where the value of a hierarchical custom attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueOrigin {
    /// It is set on the entity itself.
    Own,
    /// It is set on this entity, further up.
    Inherited(Entity),
    /// It is set nowhere on the way up: the configuration's default.
    Default,
}

const ATTRIBUTE: &str = "custom_attributes";

impl Entity {
    /// The custom attributes of this entity. Their values are loaded when they are read, for all
    /// peers of the entity at once.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let shot = session.query("Shot")?.first()?.expect("there are shots");
    /// let attributes = shot.custom_attributes()?;
    /// attributes.set("fstart", 1001)?;
    /// session.commit()?;
    /// assert_eq!(attributes.get::<i64>("fstart")?, 1001);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] if entities of this type have none.
    pub fn custom_attributes(&self) -> Result<CustomAttributes> {
        self.type_info().attribute(ATTRIBUTE)?;
        Ok(CustomAttributes {
            entity: self.clone(),
        })
    }
}

impl CustomAttributes {
    /// The value of a custom attribute. Of a hierarchical one, the effective value: the
    /// entity's own, else the nearest one further up, else the default.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] with the keys that there are, and as for [`Entity::get`].
    pub fn get<T: FromAttribute>(&self, key: &str) -> Result<T> {
        let (value, _) = self.effective(key)?;
        T::from_attribute(value, &self.entity.session).map_err(|mismatch| {
            Error::new(
                ErrorKind::WrongType,
                format!("custom attribute {key:?} of {}: {mismatch}", self.entity),
            )
        })
    }

    /// The effective value of a custom attribute, and where it comes from.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn effective(&self, key: &str) -> Result<(Value, ValueOrigin)> {
        let own = self.own(key)?;
        let configuration = self.configuration(key)?;
        if !configuration.is_hierarchical || !own.is_null() {
            return Ok((own, ValueOrigin::Own));
        }
        let mut above = self.clone();
        for _ in 0..HIGHEST {
            let Some(entity) = parent_of(&above.entity)? else {
                break;
            };
            above = Self { entity };
            let value = match above.own(key) {
                Err(error) if error.kind() == ErrorKind::UnknownAttribute => Value::Null,
                found => found?,
            };
            if !value.is_null() {
                return Ok((value, ValueOrigin::Inherited(above.entity)));
            }
        }
        Ok((configuration.default, ValueOrigin::Default))
    }

    /// Sets the value of a custom attribute on this entity; the server learns of it at the next
    /// [`commit`](crate::Session::commit).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] with the keys that there are, and as for [`Entity::set`].
    /// Whether the value is of the configured type is checked by the server.
    pub fn set(&self, key: &str, value: impl Into<Value>) -> Result<()> {
        let row = match self.row(key)? {
            Some(row) => row,
            None => self.new_row(key)?,
        };
        row.set("value", value)
    }

    /// Takes the value of a custom attribute back: the entity has the default again, or what it
    /// inherits. The server learns of it at the next [`commit`](crate::Session::commit).
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let shot = session.query("Shot")?.first()?.expect("there are shots");
    /// let attributes = shot.custom_attributes()?;
    /// attributes.set("fstart", 1001)?;
    /// session.commit()?;
    /// attributes.remove("fstart")?;
    /// session.commit()?;
    /// assert_eq!(attributes.get::<Option<i64>>("fstart")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set).
    pub fn remove(&self, key: &str) -> Result<()> {
        let Some(row) = self.row(key)? else {
            return Ok(());
        };
        let session = &self.entity.session;
        session.check_writable()?;
        self.join(&[], &[row.key()])?;
        session.delete(&row)
    }

    /// Whether the entity has a custom attribute of this key, set or not.
    ///
    /// # Errors
    ///
    /// What kept the server's answer from arriving.
    pub fn contains(&self, key: &str) -> Result<bool> {
        Ok(self.keys()?.iter().any(|known| known == key))
    }

    /// Every custom attribute with its effective value, sorted by key.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn to_map(&self) -> Result<BTreeMap<String, Value>> {
        let keys = self.keys()?.into_iter();
        keys.map(|key| Ok((key.clone(), self.get(&key)?))).collect()
    }

    /// The keys of the custom attributes that this entity has, sorted.
    ///
    /// # Errors
    ///
    /// What kept the server's answer from arriving.
    pub fn keys(&self) -> Result<Vec<String>> {
        let configurations = self.entity.session.configurations_for(&self.entity)?;
        let mut keys: Vec<String> = configurations.into_iter().map(|one| one.key).collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// The key of the `CustomAttributeConfiguration` that a custom attribute of this entity has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] with the keys that there are, and what kept the server's
    /// answer from arriving.
    pub fn get_configuration_id_from_key(&self, key: &str) -> Result<String> {
        Ok(self.configuration(key)?.id)
    }

    /// The value that the entity has itself; null for a hierarchical one that is not set here.
    fn own(&self, key: &str) -> Result<Value> {
        match self.row(key)? {
            Some(row) => Ok(row.value("value")?.unwrap_or_default()),
            None => {
                let configuration = self.configuration(key)?;
                Ok(match configuration.is_hierarchical {
                    true => Value::Null,
                    false => configuration.default,
                })
            }
        }
    }

    /// The row that holds the value of `key`: the server has one for each attribute.
    fn row(&self, key: &str) -> Result<Option<Entity>> {
        let session = &self.entity.session;
        let rows: Vec<EntityKey> = self.entity.get(ATTRIBUTE)?;
        let wanted = self.configuration(key)?.id;
        let row = rows
            .into_iter()
            .find(|row| row.parts().next().as_ref() == Some(&wanted));
        row.map(|row| session.entity(&row)).transpose()
    }

    /// The row of an entity that is not committed yet: the server will have made it by the time
    /// that the change arrives, so it is changed and never created (SERVER.md B4).
    fn new_row(&self, key: &str) -> Result<Entity> {
        let attribute = self.entity.type_info().attribute(ATTRIBUTE)?;
        let AttributeKind::Mapped(target) = attribute.kind() else {
            return Err(self.unknown(key));
        };
        let configuration = self.configuration(key)?.id;
        let session = &self.entity.session;
        let key = EntityKey::composite(target, [configuration, self.entity.id()]);
        let mut store = session.shared.store.lock();
        if store.revive(&key)? {
            store.cancel_removal(self.entity.handle.place, ATTRIBUTE, &key)?;
            drop(store);
            return session.entity(&key);
        }
        drop(store);
        let row = session.entity(&key)?;
        self.join(&[row.key()], &[])?;
        Ok(row)
    }

    /// Changes what this session knows of the rows: the server learns of each by itself.
    fn join(&self, added: &[EntityKey], removed: &[EntityKey]) -> Result<()> {
        let session = &self.entity.session;
        let (place, recording) = (self.entity.handle.place, session.is_recording());
        let mut store = session.shared.store.lock();
        store.extend_along(place, ATTRIBUTE, added, removed, recording)
    }

    fn configuration(&self, key: &str) -> Result<Configuration> {
        let configurations = self.entity.session.configurations_for(&self.entity)?;
        let found = configurations.into_iter().find(|one| one.key == key);
        found.ok_or_else(|| self.unknown(key))
    }

    fn unknown(&self, key: &str) -> Error {
        let keys = self.keys().unwrap_or_default();
        let hint = did_you_mean(key, keys.iter().map(String::as_str));
        let list = match keys.is_empty() {
            true => "none".to_owned(),
            false => keys.join(", "),
        };
        let message = format!(
            "{} has no custom attribute {key:?}; it has: {list}{hint}",
            self.entity
        );
        Error::new(ErrorKind::UnknownAttribute, message)
    }
}

fn parent_of(entity: &Entity) -> Result<Option<Entity>> {
    match entity.entity_type() {
        "Project" => Ok(None),
        "AssetVersion" => entity.get("asset"),
        _ => entity.get("parent"),
    }
}

/// `custom attributes of Task(…)`.
impl fmt::Display for CustomAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "custom attributes of {}", self.entity)
    }
}

/// Nothing is fetched.
impl fmt::Debug for CustomAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomAttributes({})", self.entity)
    }
}
