//! A location as an entity, and an entity as a location.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location, Session};
use crate::value::Value;

impl Entity {
    /// This entity as a location.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// for location in &session.query("select name from Location")? {
    ///     let location = location?.as_location()?;
    ///     println!("{location}: {}", location.is_accessible());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if its entity type is not `Location`.
    pub fn as_location(&self) -> Result<Location> {
        if self.entity_type() != "Location" {
            let message = format!("expected a Location, got {self}");
            return Err(Error::new(ErrorKind::WrongType, message));
        }
        Ok(Location {
            entity: self.clone(),
        })
    }
}

impl Location {
    /// The entity: use it to read and set attributes.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let location = session.location("ftrack.server")?;
    /// assert_eq!(location.entity().get::<String>("name")?, location.name()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// The primary key.
    pub fn id(&self) -> String {
        self.entity.id()
    }

    /// The name, such as `studio.main`.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`]; no request is sent if the name is loaded.
    pub fn name(&self) -> Result<String> {
        self.entity.get("name")
    }

    /// The session that this location belongs to.
    pub fn session(&self) -> &Session {
        &self.entity.session
    }
}

impl AsRef<[Location]> for Location {
    fn as_ref(&self) -> &[Location] {
        std::slice::from_ref(self)
    }
}

impl From<&Location> for Value {
    fn from(location: &Location) -> Self {
        Self::from(&location.entity)
    }
}

impl From<Location> for Entity {
    fn from(location: Location) -> Self {
        location.entity
    }
}

/// The name if it is loaded, else `Location(<id>)`; nothing is fetched.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entity.known_value("name") {
            Ok(Some(Value::Text(name))) => f.write_str(&name),
            _ => write!(f, "{}", self.entity),
        }
    }
}

/// The entity, and what is bound; nothing is fetched.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location")
            .field("entity", &self.entity)
            .field("priority", &self.priority())
            .field("is_accessible", &self.is_accessible())
            .finish()
    }
}
