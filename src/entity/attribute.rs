//! Reading and writing attributes.

use crate::config::Populate;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::value::{FromValue, Lent, Value};

use super::FromAttribute;

impl Entity {
    /// Reads an attribute, or follows references to one: `"status.state.short"`.
    ///
    /// What is not loaded is fetched, as the session's [`Populate`](crate::Populate) says. Ask
    /// for an `Option` where the value may be null, for an [`Entity`] to follow a reference, for
    /// a `Vec<Entity>` to read a collection.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// use ftrack_api::Entity;
    ///
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let name: String = task.get("name")?;
    /// let state: Option<String> = task.get("status.state.short")?;
    /// let project: Entity = task.get("project")?;
    /// let notes: Vec<Entity> = task.get("notes")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] with the nearest name; [`ErrorKind::WrongType`] if the
    /// value is of another type, or null; [`ErrorKind::NotLoaded`] if it is not loaded and may
    /// not be; [`ErrorKind::NotFound`] if the entity is gone; and what kept the server's answer
    /// from arriving.
    pub fn get<T: FromAttribute>(&self, path: &str) -> Result<T> {
        if let Some(value) = self.lent(path, T::read_lent) {
            return Ok(value);
        }
        let value = self.session.read(self.handle.place, path)?;
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

    /// Reads an attribute as [`get`](Self::get) does, with `populate` saying for this one call
    /// what happens if it is not loaded.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub fn get_with<T: FromAttribute>(&self, path: &str, populate: Populate) -> Result<T> {
        let _this_call = self.session.auto_populating(populate);
        self.get(path)
    }

    /// The value of an attribute, or of what references lead to; `None` if it is not set, which
    /// is not the same as null.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get), but no value is of a wrong type.
    pub fn value(&self, path: &str) -> Result<Option<Value>> {
        match self.lent(path, Value::from_lent) {
            Some(value) => Ok(Some(value)),
            None => self.session.read(self.handle.place, path),
        }
    }

    /// What `read` makes of a loaded value, without a [`Value`] between. It may not call anything
    /// outside this crate: the store is locked.
    fn lent<T>(&self, path: &str, read: impl FnOnce(Lent<'_>) -> Option<T>) -> Option<T> {
        let mut store = self.session.shared.store.lock();
        store.lend(self.handle.place, path, read)
    }

    /// Sets an attribute; the server learns of it at the next
    /// [`commit`](crate::Session::commit). Setting what it is already does nothing. Scalars given as
    /// JSON are taken as what they are; a text attribute takes other JSON as its text.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// [`ErrorKind::UnknownAttribute`] with the nearest name; [`ErrorKind::Immutable`];
    /// [`ErrorKind::WrongType`], also for numbers that are not finite or too large for an integer;
    /// [`ErrorKind::Validation`] for a reference with too few or too many key values;
    /// [`ErrorKind::NotFound`] if the entity is deleted; [`ErrorKind::ReadOnly`] and
    /// [`ErrorKind::Closed`].
    pub fn set(&self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.session.check_writable()?;
        let recording = self.session.record_operations();
        let mut store = self.session.shared.store.lock();
        store.set(self.handle.place, name, value.into(), recording)
    }

    /// Takes back what was set on an attribute since the last commit; `del entity[name]` in
    /// Python. A reference and its key are one: `status` takes back `status_id` as well. What a
    /// commit is sending at this moment stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] with the nearest name.
    pub fn unset(&self, name: &str) -> Result<()> {
        self.session
            .shared
            .store
            .lock()
            .unset(self.handle.place, name)
    }

    /// The value as the server last gave it, whatever was set since; nothing is fetched.
    pub fn remote_value(&self, name: &str) -> Option<Value> {
        self.session
            .shared
            .store
            .lock()
            .remote(self.handle.place, name)
    }

    /// The value that was set and not yet committed; nothing is fetched.
    pub fn local_value(&self, name: &str) -> Option<Value> {
        self.session
            .shared
            .store
            .lock()
            .local(self.handle.place, name)
    }
}
