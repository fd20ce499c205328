//! Recorded operations in a file: made without a network, committed later or elsewhere.

mod file;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Write as _;
use std::path::Path;

use super::present::{Present, present};
use super::recording::Recording;
use super::values;
use crate::files::read_regular;
use crate::operation::Operation;
use crate::schema::Schema;
use crate::{Entity, EntityKey, Error, ErrorKind, Result, Session, Value};

/// The largest file that is loaded: operations take several times its size in memory.
const MAX_BYTES: u64 = 256 << 20;

/// What [`Session::load_pending`] has recorded, and what it left to decide.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PendingLoaded {
    /// How many operations were recorded.
    pub recorded: usize,
    /// How many were left out, because the server has what they do.
    pub applied: usize,
    /// Changes of values that others have changed meanwhile. They were not recorded.
    pub conflicts: Vec<PendingConflict>,
}

/// A change of a value that somebody else changed meanwhile.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PendingConflict {
    /// The entity.
    pub entity: Entity,
    /// The attribute.
    pub attribute: String,
    /// The value when the change was made.
    pub before: Value,
    /// The value that the change sets.
    pub wanted: Value,
    /// The value that the server has. `None` if the entity does not exist any more.
    pub current: Option<Value>,
}

impl PendingConflict {
    /// Records the change anyway.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::set`].
    pub fn apply(&self) -> Result<()> {
        self.entity.set(&self.attribute, self.wanted.clone())
    }
}

impl fmt::Display for PendingConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entity, attribute) = (&self.entity, &self.attribute);
        let current = self
            .current
            .as_ref()
            .map_or("deleted".to_owned(), Value::to_string);
        write!(
            f,
            "{entity}: {attribute} was {}, should become {}, is {current}",
            self.before, self.wanted
        )
    }
}

impl Session {
    /// Writes what is recorded to a file, for [`load_pending`](Self::load_pending) in another session:
    /// of this machine or another one, of this version of the crate or a later one. The operations stay
    /// recorded here; [`rollback`](Self::rollback) discards them. An existing file is replaced as a
    /// whole or not at all.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let open = || ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open();
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("pending.json");
    /// # let (session, elsewhere) = (open()?, open()?);
    /// let task = session.query("select bid from Task")?.first()?.expect("there are tasks");
    /// task.set("bid", 7200)?;
    /// session.save_pending(&path)?;
    /// session.rollback();
    ///
    /// let loaded = elsewhere.load_pending(&path)?;
    /// assert_eq!((loaded.recorded, loaded.conflicts.len()), (1, 0));
    /// elsewhere.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Io`] if the file cannot be written.
    pub fn save_pending(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let operations = self.recorded_operations();
        let text = file::to_text(&operations, self.server_url());
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error).map(drop)
        });
        written.map_err(|error| io_error("write", path, error))
    }

    /// Records what [`save_pending`](Self::save_pending) has written. The next
    /// [`commit`](Self::commit), or [`commit_in_chunks`](Self::commit_in_chunks), sends it.
    ///
    /// What the server has already is left out, so a file can be loaded again after a commit that was
    /// interrupted. A change of a value that somebody else has changed since is not recorded, but
    /// returned as a conflict; [`PendingConflict::apply`] records it. One request for every 500 entities
    /// of the largest type.
    ///
    /// # Errors
    ///
    /// After any error nothing of the file is recorded.
    ///
    /// - [`ErrorKind::Io`] if the file cannot be read, is a pipe or a device, or is larger than 256 MiB.
    /// - [`ErrorKind::Validation`] if it is of another kind, damaged, or of another server.
    /// - [`ErrorKind::Unsupported`] if a later version of this crate wrote it.
    /// - [`ErrorKind::Duplicate`] if the session has recorded the same already, and not committed it.
    /// - Any error of [`create`](Self::create) and [`update`](Self::update), and of the request.
    pub fn load_pending(&self, path: impl AsRef<Path>) -> Result<PendingLoaded> {
        let path = path.as_ref();
        let text = read_regular(path, MAX_BYTES).map_err(|error| io_error("read", path, error))?;
        let operations = file::parse(&text, self.server_url())
            .map_err(|error| error.context(format!("cannot load {}", path.display())))?;
        let operations = with_one_update_each(self.schema(), operations);
        let created = self.created();
        let created: HashSet<EntityKey> = created.iter().map(Entity::key).collect();
        let mut own = operations.iter().filter(|one| is_creation(one));
        if let Some(twice) = own.find(|one| created.contains(one.entity())) {
            let message = format!(
                "cannot load {}: this session has recorded {} already; commit or roll back first",
                path.display(),
                twice.entity()
            );
            return Err(Error::new(ErrorKind::Duplicate, message));
        }
        let current = Current::look(self, &operations)?;
        let mut loaded = PendingLoaded::default();
        let mut recording = Recording::new(self);
        for operation in &operations {
            self.replay(operation, &current, &mut loaded, &mut recording)
                .map_err(|error| error.context(format!("cannot load {}", path.display())))?;
        }
        recording.keep();
        Ok(loaded)
    }

    fn replay(
        &self,
        operation: &Operation,
        current: &Current<'_>,
        loaded: &mut PendingLoaded,
        recording: &mut Recording<'_>,
    ) -> Result<()> {
        let key = operation.entity();
        let exists = current.present.has(key);
        let is_applied = match operation {
            Operation::Create { .. } => exists,
            Operation::Delete { .. } => !exists,
            _ => false,
        };
        if is_applied {
            loaded.applied += 1;
            return Ok(());
        }
        match operation {
            Operation::Create { entity_data, .. } => {
                recording.create(key.entity_type(), entity_data.clone())?;
            }
            Operation::Update {
                attribute_name,
                old_value,
                new_value,
                ..
            } => {
                if !current.created.contains(key) {
                    let found = current.present.value(key, attribute_name)?;
                    let is_found = |value| {
                        let found = found.as_ref();
                        found.is_some_and(|found| values::are_same(found, value))
                    };
                    if is_found(new_value) {
                        loaded.applied += 1;
                        return Ok(());
                    }
                    let is_kept = match (&found, old_value) {
                        (Some(_), Some(before)) => is_found(before),
                        // Nobody knows what it was: there is nothing to compare.
                        (Some(_), None) => true,
                        // Custom values exist as soon as they are set.
                        (None, _) => exists || key.parts().len() > 1,
                    };
                    if !is_kept {
                        loaded.conflicts.push(PendingConflict {
                            entity: self.entity(key)?,
                            attribute: attribute_name.clone(),
                            before: old_value.clone().unwrap_or_default(),
                            wanted: new_value.clone(),
                            current: found,
                        });
                        return Ok(());
                    }
                }
                recording.set(key, attribute_name, new_value.clone())?;
            }
            Operation::Extend {
                attribute_name,
                added,
                removed,
                ..
            } => recording.extend(key, attribute_name, added, removed)?,
            Operation::Delete { .. } => recording.delete(key)?,
        }
        loaded.recorded += 1;
        Ok(())
    }
}

/// Makes of several changes of one value the last one, with the value before the first one: that is
/// what the server has.
fn with_one_update_each(schema: &Schema, operations: Vec<Operation>) -> Vec<Operation> {
    let mut befores: HashMap<(EntityKey, String), Option<Value>> = HashMap::new();
    let mut merged = Vec::with_capacity(operations.len());
    // From the last one on: a value before replaces those of later changes.
    for operation in operations.into_iter().rev() {
        if let Operation::Update {
            entity,
            attribute_name,
            old_value,
            ..
        } = &operation
        {
            let value = (entity.clone(), one_name(schema, entity, attribute_name));
            if befores.insert(value, old_value.clone()).is_some() {
                continue;
            }
        }
        merged.push(operation);
    }
    for operation in &mut merged {
        if let Operation::Update {
            entity,
            attribute_name,
            old_value,
            ..
        } = operation
        {
            let value = (entity.clone(), one_name(schema, entity, attribute_name));
            *old_value = befores.remove(&value).flatten();
        }
    }
    merged.reverse();
    merged
}

/// The name of an attribute, the same one for a reference and its key.
fn one_name(schema: &Schema, entity: &EntityKey, name: &str) -> String {
    let twin = schema
        .entity_type(entity.entity_type())
        .ok()
        .and_then(|one| one.counterpart(one.attribute(name).ok()?));
    twin.map_or(name, |twin| name.min(twin.name())).to_owned()
}

/// What the server has of the entities that are changed.
struct Current<'s> {
    present: Present<'s>,
    /// Those that are created by the operations.
    created: HashSet<EntityKey>,
}

impl<'s> Current<'s> {
    fn look(session: &'s Session, operations: &[Operation]) -> Result<Self> {
        let wanted = operations.iter().map(|operation| match operation {
            Operation::Update { attribute_name, .. } => {
                (operation.entity(), Some(attribute_name.as_str()))
            }
            _ => (operation.entity(), None),
        });
        let present = present(session, wanted)?;
        // What exists already is not created again: changes of it are compared.
        let created = operations.iter().filter(|one| is_creation(one));
        let created = created.map(Operation::entity);
        let created = created.filter(|key| !present.has(key)).cloned();
        Ok(Self {
            created: created.collect(),
            present,
        })
    }
}

fn is_creation(operation: &Operation) -> bool {
    matches!(operation, Operation::Create { .. })
}

fn io_error(doing: &str, path: &Path, error: std::io::Error) -> Error {
    let message = format!("cannot {doing} {}: {error}", path.display());
    Error::new(ErrorKind::Io, message).with_source(error)
}
