//! All attributes of an entity at once.

use crate::config::Populate;
use crate::error::Result;
use crate::handle::Entity;
use crate::schema::Attribute;
use crate::value::Value;

impl Entity {
    /// The name and value of each attribute, in the order of the schema. Missing values are fetched
    /// in one request, for this entity only; with [`Populate::Off`] they are `None`.
    ///
    /// An entity has dozens of attributes, and collections may be large: prefer
    /// [`read`](Self::read) and [`get`](Self::get), which fetch only what is needed.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let status = session.query("Status")?.first()?.expect("there are statuses");
    /// for (name, value) in status.items()? {
    ///     println!("{name}: {}", value.unwrap_or_default());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`value`](Self::value).
    pub fn items(&self) -> Result<Vec<(&str, Option<Value>)>> {
        let attributes = self.type_info().attributes().iter();
        let names: Vec<&str> = attributes.map(Attribute::name).collect();
        let session = self.session();
        if matches!(session.populate_mode(), Populate::Peers | Populate::One) {
            let store = session.shared.store.lock();
            let place = self.handle.place;
            let is_missing = |name: &&str| store.known(place, name).is_none();
            let missing: Vec<&str> = names.iter().copied().filter(is_missing).collect();
            drop(store);
            if !missing.is_empty() {
                session.populate(self, missing)?;
            }
        }
        let pair = |name| Ok((name, self.value(name)?));
        names.into_iter().map(pair).collect()
    }

    /// Discards all values that were set on this entity since the last commit; a new entity keeps
    /// only its key. [`rollback`](crate::Session::rollback) does it for the whole session.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// task.set("bid", 7200)?;
    /// task.set("name", "animation")?;
    /// task.clear();
    /// assert!(session.recorded_operations().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear(&self) {
        let entity_type = self.type_info();
        let keys = entity_type.primary_key();
        let mut store = self.session.shared.store.lock();
        for attribute in entity_type.attributes() {
            let name = attribute.name();
            if !keys.iter().any(|key| key == name) {
                let known = store.unset(self.handle.place, name);
                known.expect("the attribute is of this type");
            }
        }
    }
}
