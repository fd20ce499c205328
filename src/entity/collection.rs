//! Collections of references.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::value::{EntityKey, Value};

use super::Entities;

/// A collection of one entity, such as the notes of a task; made by [`Entity::collection`].
///
/// Reading loads the collection, for all peers of the entity at once. Adding and removing does
/// not: a commit asks the server for the members at that time, so that members added by others
/// in the meantime stay.
#[derive(Clone, PartialEq, Eq)]
pub struct Collection {
    entity: Entity,
    name: String,
}

impl Entity {
    /// A collection of this entity. Nothing is loaded until it is read.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let scope = session.create("Scope", data! { "name": "night shift" })?;
    /// let scopes = task.collection("scopes")?;
    /// scopes.push(&scope)?;
    /// assert!(scopes.contains(&scope)?);
    /// for scope in &scopes {
    ///     println!("{}", scope?.get::<String>("name")?);
    /// }
    /// session.commit()?;
    /// assert!(scopes.remove(&scope)?);
    /// session.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] with the nearest name if there is no such attribute.
    /// - [`ErrorKind::WrongType`] if the attribute is not a collection.
    pub fn collection(&self, name: &str) -> Result<Collection> {
        let schema = self.session.schema();
        let attribute = schema.attribute_of(self.type_info(), name)?;
        if attribute.members().is_none() {
            let message = format!("{name:?} of {self} is not a collection; read it with `get`");
            return Err(Error::new(ErrorKind::WrongType, message));
        }
        Ok(Collection {
            entity: self.clone(),
            name: name.to_owned(),
        })
    }
}

impl Collection {
    /// The entity that has the collection.
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// The name of the attribute.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The members.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`].
    pub fn all(&self) -> Result<Vec<Entity>> {
        self.entity.get(&self.name)
    }

    /// The members, loaded when the first one is asked for. An error is the only item.
    pub fn iter(&self) -> CollectionIter {
        self.clone().into_iter()
    }

    /// The number of members.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`].
    pub fn len(&self) -> Result<usize> {
        Ok(self.keys()?.len())
    }

    /// Whether there are no members.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.keys()?.is_empty())
    }

    /// Whether `member` is in the collection.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::get`].
    pub fn contains(&self, member: &Entity) -> Result<bool> {
        Ok(has(&self.keys()?, member))
    }

    /// Adds a member at the end, without loading the others; `append` in Python.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if it is known to be a member.
    /// - [`ErrorKind::WrongType`] if it is of a type that the collection does not take.
    /// - Any error of [`Entity::set`].
    pub fn push(&self, member: &Entity) -> Result<()> {
        self.change(&[member.key()], &[])
    }

    /// Adds several members at the end, without loading the others.
    ///
    /// # Errors
    ///
    /// - Any error of [`push`](Self::push); no member is added then.
    pub fn extend(&self, members: impl Entities) -> Result<()> {
        let members: Vec<EntityKey> = members.to_entities()?.iter().map(Entity::key).collect();
        self.change(&members, &[])
    }

    /// Adds a member before the one at `index`. The server does not store an order: this session
    /// shows it until the collection is loaded again.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if it is a member.
    /// - [`ErrorKind::NotFound`] if `index` is beyond the end.
    /// - Any error of [`Entity::set`].
    pub fn insert(&self, index: usize, member: &Entity) -> Result<()> {
        let mut members = self.keys()?;
        if has(&members, member) {
            return Err(Error::new(
                ErrorKind::Duplicate,
                format!("{member} is already in {self}"),
            ));
        }
        if index > members.len() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "{self} has no index {index}; its number of members is {}",
                    members.len()
                ),
            ));
        }
        members.insert(index, member.key());
        self.entity.set(&self.name, members)
    }

    /// Removes a member. Returns false, and records nothing, if it is known not to be one.
    ///
    /// A collection that is not loaded stays so: the removal is recorded, this returns true, and
    /// the commit changes nothing on the server if the entity is not a member there.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::set`].
    pub fn remove(&self, member: &Entity) -> Result<bool> {
        if let Some(Value::Collection(members)) = self.entity.known_value(&self.name)?
            && !has(&members, member)
        {
            return Ok(false);
        }
        self.change(&[], &[member.key()])?;
        Ok(true)
    }

    /// Makes these the only members.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if a member is given twice.
    /// - Any error of [`Entity::set`].
    pub fn replace(&self, members: impl Entities) -> Result<()> {
        let mut keys: Vec<EntityKey> = Vec::new();
        for member in members.to_entities()?.iter() {
            if has(&keys, member) {
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
        let recording = session.is_recording();
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

/// Whether `member` is among `members`. Its type may have another name there: that of a base, or one
/// that another session knows.
fn has(members: &[EntityKey], member: &Entity) -> bool {
    members.iter().any(|one| *one.key() == member.handle.key)
}

/// The members of a [`Collection`]. An error is the only item.
#[derive(Debug)]
pub struct CollectionIter {
    unread: Option<Collection>,
    members: std::vec::IntoIter<Entity>,
}

impl Iterator for CollectionIter {
    type Item = Result<Entity>;

    fn next(&mut self) -> Option<Result<Entity>> {
        if let Some(collection) = self.unread.take() {
            match collection.all() {
                Ok(members) => self.members = members.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
        self.members.next().map(Ok)
    }
}

impl IntoIterator for &Collection {
    type Item = Result<Entity>;
    type IntoIter = CollectionIter;

    fn into_iter(self) -> CollectionIter {
        self.iter()
    }
}

impl IntoIterator for Collection {
    type Item = Result<Entity>;
    type IntoIter = CollectionIter;

    fn into_iter(self) -> CollectionIter {
        CollectionIter {
            unread: Some(self),
            members: Vec::new().into_iter(),
        }
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
