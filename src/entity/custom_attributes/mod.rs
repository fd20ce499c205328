//! Custom attributes: what a studio adds to entities, by key.

mod configurations;
mod definition;

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::handle::Entity;
use crate::schema::AttributeKind;
use crate::value::{Data, EntityKey, Value};

use super::{CUSTOM_ATTRIBUTES, FromAttribute};
use configurations::MAX_ANCESTORS;

pub(crate) use definition::choices;
pub use definition::{CustomAttribute, CustomAttributeKind};

/// The custom attributes of one entity; made by [`Entity::custom_attributes`].
///
/// A key may be used by several attributes that apply to one entity. Then the key names the first
/// of: one of the entity's project, one of the entity's own type, a hierarchical one. Every method
/// that takes a key also takes the [id](CustomAttribute::id) of a configuration, which names
/// exactly one.
///
/// Values have a natural Rust type in both directions:
///
/// | kind | [`set`](Self::set) takes | [`get`](Self::get) returns |
/// |---|---|---|
/// | text, URL, expression | text | `String` |
/// | number | integers, floats | integers without a fraction, `f64` |
/// | boolean | `bool` | `bool` |
/// | date | `Date`, `DateTime`, `Timestamp` | `Date`, `DateTime`, `Timestamp` |
/// | enumerators | a text or a list of texts | `Vec<String>`; `String` if there is one choice |
///
/// All of them can be set to null, and read as an `Option`.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomAttributes {
    entity: Entity,
}

/// Where the effective value of a custom attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueOrigin {
    /// It is set on the entity itself.
    Own,
    /// It is set on this ancestor.
    Inherited(Entity),
    /// It is the default of the configuration. The value of an attribute that is not hierarchical
    /// counts as the default if it equals it.
    Default,
}

impl Entity {
    /// The custom attributes of this entity. Their values are loaded when they are read, for all
    /// peers of the entity at once.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let shot = session.query("Shot")?.first()?.expect("there are shots");
    /// let attributes = shot.custom_attributes()?;
    /// attributes.set("fstart", 1001)?;
    /// attributes.set("shot_size", ["close"])?;
    /// session.commit()?;
    /// assert_eq!(attributes.get::<i64>("fstart")?, 1001);
    /// assert_eq!(attributes.get::<Vec<String>>("shot_size")?, ["close"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if entities of this type have none.
    pub fn custom_attributes(&self) -> Result<CustomAttributes> {
        self.type_info().attribute(CUSTOM_ATTRIBUTES)?;
        Ok(CustomAttributes {
            entity: self.clone(),
        })
    }
}

impl CustomAttributes {
    /// The effective value of a custom attribute. For a hierarchical one: the entity's own, else
    /// the nearest one further up, else the default.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] with the existing keys if the entity has no such attribute.
    /// - Any error of [`Entity::get`].
    pub fn get<T: FromAttribute>(&self, key: &str) -> Result<T> {
        let definition = self.definition(key)?;
        let (value, _) = self.effective_of(&definition)?;
        let session = &self.entity.session;
        let forms = definition.kind.forms(&value);
        T::from_attribute(value, session).or_else(|mismatch| {
            let mut read = forms
                .into_iter()
                .filter_map(|form| T::from_attribute(form, session).ok());
            read.next().ok_or_else(|| {
                Error::new(
                    ErrorKind::WrongType,
                    format!("custom attribute {key:?} of {}: {mismatch}", self.entity),
                )
            })
        })
    }

    /// The effective value of a custom attribute, and where it comes from.
    ///
    /// # Errors
    ///
    /// - Any error of [`get`](Self::get).
    pub fn effective(&self, key: &str) -> Result<(Value, ValueOrigin)> {
        self.effective_of(&self.definition(key)?)
    }

    fn effective_of(&self, definition: &CustomAttribute) -> Result<(Value, ValueOrigin)> {
        let default = || (definition.default.clone(), ValueOrigin::Default);
        let row = self.row(definition)?;
        let own = row.as_ref().map(|row| row.value("value")).transpose()?;
        let own = own.flatten().unwrap_or_default();
        if !definition.is_hierarchical {
            let Some(row) = row else {
                return Ok(default());
            };
            let is_own = own != definition.default || row.local_value("value")?.is_some();
            let origin = match is_own {
                true => ValueOrigin::Own,
                false => ValueOrigin::Default,
            };
            return Ok((own, origin));
        }
        if !own.is_null() {
            return Ok((own, ValueOrigin::Own));
        }
        let mut ancestor = parent_of(&self.entity)?;
        for _ in 0..MAX_ANCESTORS {
            let Some(entity) = ancestor else {
                break;
            };
            if entity.type_info().attribute(CUSTOM_ATTRIBUTES).is_ok() {
                let row = entity.custom_attributes()?.row(definition)?;
                let value = row.map(|row| row.value("value")).transpose()?;
                let value = value.flatten().unwrap_or_default();
                if !value.is_null() {
                    return Ok((value, ValueOrigin::Inherited(entity)));
                }
            }
            ancestor = parent_of(&entity)?;
        }
        Ok(default())
    }

    /// Sets the value of a custom attribute on this entity; the next
    /// [`commit`](crate::Session::commit) sends it.
    ///
    /// # Errors
    ///
    /// Nothing is recorded after an error.
    ///
    /// - [`ErrorKind::UnknownAttribute`] with the existing keys if the entity has no such attribute.
    /// - [`ErrorKind::WrongType`] if the value is not of the attribute's kind.
    /// - Any error of [`Entity::set`].
    pub fn set(&self, key: &str, value: impl Into<Value>) -> Result<()> {
        let definition = self.definition(key)?;
        let value = definition.check(&self.entity, value.into())?;
        self.write(&definition, value)
    }

    /// Sets several custom attributes, or none if one of them cannot be set.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let shot = session.query("Shot")?.first()?.expect("there are shots");
    /// let attributes = shot.custom_attributes()?;
    /// attributes.extend(data! { "fstart": 1001, "shot_size": "close" })?;
    /// assert!(attributes.extend(data! { "fstart": 1, "shot_size": 2 }).is_err());
    /// assert_eq!(attributes.get::<i64>("fstart")?, 1001);
    /// # session.rollback();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`set`](Self::set).
    pub fn extend<K: Into<String>, V: Into<Value>>(
        &self,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let values: Data = values.into_iter().collect();
        for (definition, value) in self.checked(values)? {
            self.write(&definition, value)?;
        }
        Ok(())
    }

    /// Makes these the only values that the entity has itself: sets them and
    /// [removes](Self::remove) the others.
    ///
    /// # Errors
    ///
    /// - Any error of [`extend`](Self::extend) and [`remove`](Self::remove).
    pub fn replace<K: Into<String>, V: Into<Value>>(
        &self,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        let values: Data = values.into_iter().collect();
        let values = self.checked(values)?;
        for definition in self.entity.session.custom_attributes_of(&self.entity)? {
            if values.iter().all(|(kept, _)| kept.id != definition.id)
                && matches!(self.effective_of(&definition)?, (_, ValueOrigin::Own))
            {
                self.erase(&definition)?;
            }
        }
        for (definition, value) in values {
            self.write(&definition, value)?;
        }
        Ok(())
    }

    fn checked(&self, values: Data) -> Result<Vec<(CustomAttribute, Value)>> {
        let checked = values.into_iter().map(|(key, value)| {
            let definition = self.definition(&key)?;
            let value = definition.check(&self.entity, value)?;
            Ok((definition, value))
        });
        checked.collect()
    }

    /// Removes the value that the entity has itself and returns whether it had one. Then the
    /// attribute has the default, or the inherited value. The next
    /// [`commit`](crate::Session::commit) sends it.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let shot = session.query("Shot")?.first()?.expect("there are shots");
    /// let attributes = shot.custom_attributes()?;
    /// attributes.set("fstart", 1001)?;
    /// session.commit()?;
    /// assert!(attributes.remove("fstart")?);
    /// session.commit()?;
    /// assert_eq!(attributes.get::<Option<i64>>("fstart")?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`set`](Self::set).
    pub fn remove(&self, key: &str) -> Result<bool> {
        let definition = self.definition(key)?;
        let (_, origin) = self.effective_of(&definition)?;
        self.erase(&definition)?;
        Ok(origin == ValueOrigin::Own)
    }

    /// Whether the entity has a custom attribute with this key, set or not.
    ///
    /// # Errors
    ///
    /// - Any error of a request.
    pub fn contains(&self, key: &str) -> Result<bool> {
        Ok(!self.configurations(key)?.is_empty())
    }

    /// Every custom attribute with its effective value, sorted by key.
    ///
    /// # Errors
    ///
    /// - Any error of [`get`](Self::get).
    pub fn to_map(&self) -> Result<BTreeMap<String, Value>> {
        let keys = self.keys()?.into_iter();
        keys.map(|key| Ok((key.clone(), self.get(&key)?))).collect()
    }

    /// The keys of the custom attributes that this entity has, sorted.
    ///
    /// # Errors
    ///
    /// - Any error of a request.
    pub fn keys(&self) -> Result<Vec<String>> {
        let definitions = self.entity.session.custom_attributes_of(&self.entity)?;
        let mut keys: Vec<String> = definitions.into_iter().map(|one| one.key).collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// The custom attributes of this entity that have a key, the one that the key names first;
    /// empty if there is none.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let shot = session.query("Shot")?.first()?.expect("there are shots");
    /// let attributes = shot.custom_attributes()?;
    /// for attribute in attributes.configurations("fstart")? {
    ///     let value: Option<i64> = attributes.get(attribute.id())?;
    ///     println!("{}, {}: {value:?}", attribute.key(), attribute.kind());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of a request.
    pub fn configurations(&self, key: &str) -> Result<Vec<CustomAttribute>> {
        let mut found = self.entity.session.custom_attributes_of(&self.entity)?;
        found.retain(|one| one.key == key || one.id == key);
        Ok(found)
    }

    /// The id of the `CustomAttributeConfiguration` that a key names.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] with the existing keys if the entity has no such attribute.
    /// - Any error of a request.
    pub fn get_configuration_id_from_key(&self, key: &str) -> Result<String> {
        Ok(self.definition(key)?.id)
    }

    /// The entity that holds the value. The server has one for each attribute of an entity, except
    /// for hierarchical ones that are not set.
    fn row(&self, definition: &CustomAttribute) -> Result<Option<Entity>> {
        let rows: Vec<EntityKey> = self.entity.get(CUSTOM_ATTRIBUTES)?;
        let is_wanted = |row: &EntityKey| row.parts().next().as_ref() == Some(&definition.id);
        let row = rows.into_iter().find(is_wanted);
        row.map(|row| self.entity.session.entity(&row)).transpose()
    }

    fn write(&self, definition: &CustomAttribute, value: Value) -> Result<()> {
        let row = match self.row(definition)? {
            Some(row) => row,
            None => self.new_row(definition)?,
        };
        row.set("value", value)
    }

    fn erase(&self, definition: &CustomAttribute) -> Result<()> {
        let Some(row) = self.row(definition)? else {
            return Ok(());
        };
        self.entity.delete_row(CUSTOM_ATTRIBUTES, &row)
    }

    /// The row of an entity that is not committed yet. The server makes it with the entity, before
    /// the change arrives, so that it is updated and never created.
    fn new_row(&self, definition: &CustomAttribute) -> Result<Entity> {
        let attribute = self.entity.type_info().attribute(CUSTOM_ATTRIBUTES)?;
        let AttributeKind::Mapped(target) = attribute.kind() else {
            return Err(self.unknown(&definition.key));
        };
        let key = EntityKey::composite(target, [definition.id.clone(), self.entity.id()]);
        if let Some(row) = self.entity.revive_row(CUSTOM_ATTRIBUTES, &key)? {
            return Ok(row);
        }
        let row = self.entity.session.entity(&key)?;
        self.entity
            .extend_rows(CUSTOM_ATTRIBUTES, &[row.key()], &[])?;
        Ok(row)
    }

    fn definition(&self, key: &str) -> Result<CustomAttribute> {
        let mut found = self.configurations(key)?.into_iter();
        found.next().ok_or_else(|| self.unknown(key))
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
