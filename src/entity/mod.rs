//! What an entity can do: read and write its attributes, and what only entities of one type do.

mod attribute;
mod collection;
mod convert;
mod custom_attributes;
mod entities;
mod items;
mod mapping;
mod metadata;
mod notes;
mod read;
mod several;
mod statuses;
mod timer;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::schema::EntityType;
use crate::store::EntityState;
use crate::value::EntityKey;

pub use crate::value::{DataIter, FromValue, Json, JsonText, Mismatch};
pub use collection::{Collection, CollectionIter};
pub use convert::FromAttribute;

pub(crate) use custom_attributes::choices;
pub use custom_attributes::{CustomAttribute, CustomAttributeKind, CustomAttributes, ValueOrigin};
pub use entities::Entities;
pub(crate) use mapping::{CUSTOM_ATTRIBUTES, METADATA, take_mappings};
pub use metadata::Metadata;
pub use notes::NoteOptions;
pub use several::FromAttributes;
pub use timer::TimerOptions;

impl Entity {
    /// The session that the entity belongs to.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The type and primary key, detached from the session.
    pub fn key(&self) -> EntityKey {
        EntityKey::from_key(self.entity_type(), self.handle.key.clone())
    }

    /// The primary key as text; of a composite key, its parts with commas between.
    pub fn id(&self) -> String {
        self.handle.key.to_string()
    }

    /// The name of the entity type, such as `Task`.
    pub fn entity_type(&self) -> &str {
        self.type_info().name()
    }

    /// The entity type in the schema.
    pub fn type_info(&self) -> &EntityType {
        self.session.schema().by_id(self.handle.type_id())
    }

    /// Whether the entity was created, changed or deleted since the last commit.
    pub fn state(&self) -> Option<EntityState> {
        self.session.shared.store.lock().state(self.handle.place)
    }

    /// For methods of one entity type.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if the entity is of another type.
    pub(crate) fn check_type(&self, wanted: &str) -> Result<()> {
        if self.entity_type() == wanted {
            return Ok(());
        }
        let message = format!("expected an entity of type {wanted}, got {self}");
        Err(Error::new(ErrorKind::WrongType, message))
    }
}

/// The same entity of the same session, whatever its values.
impl PartialEq for Entity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }
}

impl Eq for Entity {}

impl Hash for Entity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.handle).hash(state);
    }
}

/// `Task(adb4ad6c-…)`; nothing is fetched.
impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.entity_type(), self.handle.key)
    }
}

/// Type, key, state and known values; nothing is fetched.
impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.session.shared.store.lock();
        let place = self.handle.place;
        let known: Vec<_> = store
            .known_names(place)
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), store.known(place, name)?)))
            .collect();
        let state = store.state(place);
        drop(store);
        let mut out = f.debug_struct(self.entity_type());
        out.field("key", &format_args!("{}", self.handle.key));
        if let Some(state) = state {
            out.field("state", &state);
        }
        for (name, value) in &known {
            out.field(name, &format_args!("{}", value.quoted()));
        }
        out.finish()
    }
}
