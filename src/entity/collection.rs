//! Collections of references.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::schema::AttributeKind;
use crate::value::EntityKey;

use super::Entities;

/// A collection of one entity, such as the notes of a task; made by [`Entity::collection`].
///
/// Reading loads the collection, for all peers of the entity at once. Adding and removing does
/// not: the commit asks the server who is in the collection by then, so that members whom
/// somebody else added meanwhile stay.
#[derive(Clone, PartialEq, Eq)]
pub struct Collection {
    entity: Entity,
    name: String,
}

impl Entity {
    /// A collection of this entity. Nothing is loaded until it is read.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// use ftrack_api::data;
    ///
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let scope = session.create("Scope", data! { "name": "night shift" })?;
    /// let scopes = task.collection("scopes")?;
    /// scopes.push(&scope)?;
    /// assert!(scopes.contains(&scope)?);
    /// session.commit()?;
    /// scopes.remove(&scope)?;
    /// session.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] with the nearest name, and [`ErrorKind::WrongType`] if the
    /// attribute is no collection.
    pub fn collection(&self, name: &str) -> Result<Collection> {
        let schema = self.session.schema();
        let attribute = schema.attribute_of(self.type_info(), name)?;
        match attribute.kind() {
            AttributeKind::Collection(_) | AttributeKind::Mapped(_) => Ok(Collection {
                entity: self.clone(),
                name: name.to_owned(),
            }),
            _ => Err(Error::new(
                ErrorKind::WrongType,
                format!("{name:?} of {self} is no collection"),
            )),
        }
    }
}

impl Collection {
    /// The entity whose collection it is.
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// The members.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`].
    pub fn all(&self) -> Result<Vec<Entity>> {
        self.entity.get(&self.name)
    }

    /// How many members there are.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`].
    pub fn len(&self) -> Result<usize> {
        Ok(self.keys()?.len())
    }

    /// Whether there are no members.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.keys()?.is_empty())
    }

    /// Whether `member` is in the collection.
    ///
    /// # Errors
    ///
    /// As for [`Entity::get`].
    pub fn contains(&self, member: &Entity) -> Result<bool> {
        Ok(self.keys()?.contains(&member.key()))
    }

    /// Adds a member at the end, without loading the others; `append` in Python.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Duplicate`] if it is known to be a member, [`ErrorKind::WrongType`] for an
    /// entity of another type, and as for [`Entity::set`].
    pub fn push(&self, member: &Entity) -> Result<()> {
        self.change(&[member.key()], &[])
    }

    /// Adds several members at the end, without loading the others.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn extend(&self, members: impl Entities) -> Result<()> {
        let members: Vec<EntityKey> = members.to_entities()?.iter().map(Entity::key).collect();
        self.change(&members, &[])
    }

    /// Adds a member before the one at `index`. The server keeps no order; until the collection
    /// is loaded again, this session does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Duplicate`] if it is a member, [`ErrorKind::NotFound`] if `index` is beyond
    /// the end, and as for [`Entity::set`].
    pub fn insert(&self, index: usize, member: &Entity) -> Result<()> {
        let mut members = self.keys()?;
        if members.contains(&member.key()) {
            return Err(Error::new(
                ErrorKind::Duplicate,
                format!("{member} is in {self} already"),
            ));
        }
        if index > members.len() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("{self} has {} members and no place {index}", members.len()),
            ));
        }
        members.insert(index, member.key());
        self.entity.set(&self.name, members)
    }

    /// Removes a member. Unless the collection is loaded, nobody checks that it was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if it is known to be no member, and as for [`Entity::set`].
    pub fn remove(&self, member: &Entity) -> Result<()> {
        let store = self.entity.session.shared.store.lock();
        let known = store.known(self.entity.handle.place, &self.name);
        drop(store);
        if let Some(crate::Value::Collection(members)) = known
            && !members.contains(&member.key())
        {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("{member} is not in {self}"),
            ));
        }
        self.change(&[], &[member.key()])
    }

    /// Makes these the only members.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Duplicate`] if one is given twice, and as for [`Entity::set`].
    pub fn replace(&self, members: impl Entities) -> Result<()> {
        let mut keys: Vec<EntityKey> = Vec::new();
        for member in members.to_entities()?.iter() {
            if keys.contains(&member.key()) {
                return Err(Error::new(
                    ErrorKind::Duplicate,
                    format!("{member} is given twice for {self}"),
                ));
            }
            keys.push(member.key());
        }
        self.entity.set(&self.name, keys)
    }

    fn change(&self, added: &[EntityKey], removed: &[EntityKey]) -> Result<()> {
        let session = &self.entity.session;
        session.check_writable()?;
        let recording = session.record_operations();
        let mut store = session.shared.store.lock();
        store.extend(
            self.entity.handle.place,
            &self.name,
            added,
            removed,
            recording,
        )
    }

    fn keys(&self) -> Result<Vec<EntityKey>> {
        self.entity.get(&self.name)
    }
}

/// `notes of Task(…)`.
impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, self.entity)
    }
}

/// Nothing is fetched.
impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collection({self})")
    }
}
