//! Reading and writing attributes.

use crate::config::Populate;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::store::Store;
use crate::value::{FromValue, Lent, Value};

use super::FromAttribute;

impl Entity {
    /// Reads an attribute, or follows references to one: `"status.state.short"`. A path through a
    /// collection gives the values of all members that have it.
    ///
    /// A value that is not loaded is fetched, as the session's [`Populate`](crate::config::Populate) says.
    /// Ask for an `Option` if the value may be null, for an [`Entity`] to follow a reference, for
    /// a `Vec<Entity>` to read a collection.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::Entity;
    ///
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let name: String = task.get("name")?;
    /// let state: Option<String> = task.get("status.state.short")?;
    /// let project: Entity = task.get("project")?;
    /// let notes: Vec<Entity> = task.get("notes")?;
    /// let artists: Vec<String> = task.get("assignments.resource.username")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] with the nearest name if the path does not exist.
    /// - [`ErrorKind::WrongType`] if the value is null or of another type.
    /// - [`ErrorKind::NotLoaded`] if the value is not loaded and must not be fetched.
    /// - [`ErrorKind::NotFound`] if the entity does not exist any more and the value is not loaded.
    ///   Loaded values stay readable, so a program can still name what it deleted.
    /// - Any error of a request.
    pub fn get<T: FromAttribute>(&self, path: &str) -> Result<T> {
        // A caller's own conversion runs after the lock is released, on a value that is found once.
        let found = self.lent(path, |lent| match T::read_lent(lent) {
            Some(converted) => Some(Ok(converted)),
            None => Value::from_lent(lent).map(Err),
        });
        let value = match found {
            Some(Ok(converted)) => return Ok(converted),
            Some(Err(value)) => Some(value),
            None => self.session.read(self.handle.place, path)?,
        };
        let is_set = value.is_some();
        T::from_attribute(value.unwrap_or_default(), &self.session).map_err(|mismatch| {
            if is_set {
                Error::new(
                    ErrorKind::WrongType,
                    format!("{path:?} of {self}: {mismatch}"),
                )
            } else {
                Error::new(
                    ErrorKind::NotLoaded,
                    format!("{path:?} of {self} is not set; ask for an Option to allow it"),
                )
            }
        })
    }

    /// Reads an attribute as [`get`](Self::get) does. For this call, `populate` says what happens
    /// if it is not loaded.
    ///
    /// # Errors
    ///
    /// - Any error of [`get`](Self::get).
    pub fn get_with<T: FromAttribute>(&self, path: &str, populate: Populate) -> Result<T> {
        let _this_call = self.session.auto_populating(populate);
        self.get(path)
    }

    /// The value at a path; `None` if it is not set, which is not the same as null.
    ///
    /// # Errors
    ///
    /// - Any error of [`get`](Self::get), but a value is never of a wrong type.
    pub fn value(&self, path: &str) -> Result<Option<Value>> {
        match self.lent(path, Value::from_lent) {
            Some(value) => Ok(Some(value)),
            None => self.session.read(self.handle.place, path),
        }
    }

    /// Converts a loaded value in place, without a [`Value`] in between. `read` must not call
    /// anything outside this crate: the store is locked.
    fn lent<T>(&self, path: &str, read: impl FnOnce(Lent<'_>) -> Option<T>) -> Option<T> {
        let mut store = self.session.shared.store.lock();
        store.lend(self.handle.place, path, read)
    }

    /// Sets an attribute; the next [`commit`](crate::Session::commit) sends it. Setting the value
    /// that it already has does nothing. JSON scalars are taken as the scalars that they are; a
    /// text attribute takes other JSON as its text; `metadata` and `custom_attributes` take a JSON
    /// object as their new content, with a request if they are not loaded.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::ErrorKind;
    ///
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// task.set("bid", 3600)?;
    /// assert_eq!(task.get::<f64>("bid")?, 3600.0);
    /// assert_eq!(task.set("bid", "much").unwrap_err().kind(), ErrorKind::WrongType);
    /// session.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing is recorded after an error.
    ///
    /// - [`ErrorKind::UnknownAttribute`] with the nearest name if there is no such attribute.
    /// - [`ErrorKind::Immutable`] if the attribute cannot be changed.
    /// - [`ErrorKind::WrongType`] if the value is of another type, or is a number that is not
    ///   finite or too large for an integer.
    /// - [`ErrorKind::Validation`] for a reference with too few or too many key values.
    /// - [`ErrorKind::NotFound`] if the entity is deleted.
    /// - [`ErrorKind::ReadOnly`] or [`ErrorKind::Closed`] if the session is.
    pub fn set(&self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.session.check_writable()?;
        let value = value.into();
        if self.set_mapping(name, &value)? {
            return Ok(());
        }
        let recording = self.session.is_recording();
        let mut store = self.session.shared.store.lock();
        store.set(self.handle.place, name, value, recording)
    }

    /// Discards the value that was set on an attribute since the last commit; `del entity[name]` in
    /// Python. A reference and its key belong together: `status` discards `status_id` too. Values
    /// that a commit is sending at this moment stay.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] with the nearest name if there is no such attribute.
    pub fn unset(&self, name: &str) -> Result<()> {
        self.session
            .shared
            .store
            .lock()
            .unset(self.handle.place, name)
    }

    /// The value that is set locally or loaded, without a request; `None` if there is neither.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] with the nearest name if there is no such attribute.
    pub fn known_value(&self, name: &str) -> Result<Option<Value>> {
        self.without_request(name, Store::known)
    }

    /// The value that the server had when it was loaded, whatever was set since; nothing is
    /// fetched.
    ///
    /// # Errors
    ///
    /// - Any error of [`known_value`](Self::known_value).
    pub fn remote_value(&self, name: &str) -> Result<Option<Value>> {
        self.without_request(name, Store::remote)
    }

    /// The value that was set and is not committed yet.
    ///
    /// # Errors
    ///
    /// - Any error of [`known_value`](Self::known_value).
    pub fn local_value(&self, name: &str) -> Result<Option<Value>> {
        self.without_request(name, Store::local)
    }

    fn without_request(
        &self,
        name: &str,
        read: impl FnOnce(&Store, u32, &str) -> Option<Value>,
    ) -> Result<Option<Value>> {
        self.session.schema().attribute_of(self.type_info(), name)?;
        let store = self.session.shared.store.lock();
        Ok(read(&store, self.handle.place, name))
    }
}
