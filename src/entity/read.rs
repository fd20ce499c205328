//! Entities as structs.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::value::{EntityKey, Value};
use crate::wire::{StructField, fields_of, reference};

impl Entity {
    /// Fills a struct that derives [`serde::Deserialize`] from the entity. Values that are not loaded
    /// are fetched in one request, for the entity's peers too, as the session's
    /// [`Populate`](crate::config::Populate) says.
    ///
    /// Each field is an attribute. A struct in it is a reference, a list of structs a collection, an
    /// [`EntityKey`] the key of a reference. Use `Option` if a value may be null. Local values are
    /// read like any others.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::EntityKey;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Task {
    ///     name: String,
    ///     end_date: Option<jiff::civil::DateTime>,
    ///     parent: EntityKey,
    ///     status: Status,
    /// }
    /// #[derive(serde::Deserialize)]
    /// struct Status {
    ///     name: String,
    /// }
    ///
    /// let tasks = session.query("select id from Task limit 20")?.all()?;
    /// let before = session.statistics().requests;
    /// for task in &tasks {
    ///     let task: Task = task.read()?;
    ///     println!("{} below {}: {}", task.name, task.parent, task.status.name);
    /// }
    /// // One request for all twenty.
    /// assert_eq!(session.statistics().requests, before + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if `T` is not a struct, has no statically known fields
    ///   (`serde(flatten)`), or contains itself.
    /// - [`ErrorKind::WrongType`] if a value does not fit its field.
    /// - Any error of [`get`](Self::get).
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let fields = fields_of::<T>()?;
        if fields.is_empty() {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "{} has no statically known fields; derive `Deserialize` for a struct, \
                     without `flatten`",
                    std::any::type_name::<T>()
                ),
            ));
        }
        let paths = StructField::paths(&fields, self.session.schema(), self.entity_type());
        self.session.load_paths(self.handle.place, &paths)?;
        let json = self.object(&fields)?;
        T::deserialize(json).map_err(|error| {
            Error::new(
                ErrorKind::WrongType,
                format!(
                    "{self} does not fit {}: {error}",
                    std::any::type_name::<T>()
                ),
            )
        })
    }

    /// The values of these fields, structs for references. Values that are not set are left out.
    fn object(&self, fields: &[StructField]) -> Result<Json> {
        let mut object = Map::with_capacity(fields.len());
        for field in fields {
            if field.name == "__entity_type__" {
                object.insert(field.name.to_owned(), self.entity_type().into());
                continue;
            }
            if let Some(value) = self.value(field.name)? {
                object.insert(field.name.to_owned(), self.json(value, &field.fields)?);
            }
        }
        Ok(Json::Object(object))
    }

    fn json(&self, value: Value, fields: &[StructField]) -> Result<Json> {
        Ok(match value {
            Value::Reference(key) => self.referred(&key, fields)?,
            Value::Collection(keys) => {
                let members = keys.iter().map(|key| self.referred(key, fields));
                Json::Array(members.collect::<Result<_>>()?)
            }
            other => other.into(),
        })
    }

    /// A reference as JSON: the fields of a struct, or the form that [`EntityKey`] is read from.
    fn referred(&self, key: &EntityKey, fields: &[StructField]) -> Result<Json> {
        if !fields.is_empty() {
            return self.session.entity(key)?.object(fields);
        }
        reference(self.session.schema(), key).map(Json::Object)
    }
}
