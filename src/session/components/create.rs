//! Creating components from files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::accessor::may_resume;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location, Session};
use crate::location::{
    Journal, MIN_JOURNAL_BYTES, ORIGIN_LOCATION_ID, REVIEW_LOCATION_ID, Target, TransferOptions,
    UNMANAGED_LOCATION_ID,
};
use crate::query::{field, select};
use crate::sequence::Sequence;
use crate::value::{Data, EntityKey, Value};

/// The most members that a sequence component may have.
const MAX_MEMBERS: u64 = 100_000;

/// Names of components for the web player. [`Target::Auto`] puts them into the review location,
/// as in the Python client.
const REVIEW_NAMES: [&str; 3] = [
    "ftrackreview-mp4",
    "ftrackreview-webm",
    "ftrackreview-image",
];

impl Session {
    /// Creates a component from a file or a sequence: `"plate.%04d.exr [1-5, 7]"` becomes a
    /// sequence component with a file component for each member.
    ///
    /// If there is a location, the data is copied there and everything recorded is committed; see
    /// [`Location::add_component`]. [`Target::Auto`] uses the location that
    /// [`pick_location`](Self::pick_location) returns. With [`Target::Nowhere`] the components
    /// are in `ftrack.origin` only, and can be added to a location later.
    ///
    /// Defaults for values that `data` lacks: `size` is that of the file, `file_type` comes from
    /// its name (see [`file_type_from_string`](Self::file_type_from_string)), `padding` from the
    /// pattern, and `name` is `main`.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plate.mov");
    /// # std::fs::write(&path, "not really a movie")?;
    /// use ftrack_api::data;
    ///
    /// let version = session.query("AssetVersion")?.first()?.expect("there are versions");
    /// let location = session.location("ftrack.server")?;
    /// let data = data! { "name": "plate", "version": &version };
    /// let component = session.create_component(&path, data, &location)?;
    /// assert_eq!(component.get::<String>("file_type")?, ".mov");
    /// assert_eq!(component.get::<i64>("size")?, 18);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After an error no component was created, so the call can be repeated. If the response to
    /// the commit was lost, components and data stay and the next commit reconciles them.
    ///
    /// - [`ErrorKind::NotFound`] if a file does not exist; see [`Target::Elsewhere`] for files that
    ///   this machine cannot see.
    /// - [`ErrorKind::Validation`] if the path is not Unicode or not that of a file or folder, or a
    ///   sequence has more than 100,000 members.
    /// - [`ErrorKind::Syntax`] if the numbers of a pattern are invalid.
    /// - Any error of [`create`](Self::create) and [`Location::add_component`].
    pub fn create_component(
        &self,
        path: impl AsRef<Path>,
        data: Data,
        location: impl Into<Target>,
    ) -> Result<Entity> {
        self.create_component_with(path, data, location, TransferOptions::new())
    }

    /// [`create_component`](Self::create_component) with options for the transfer: an observer,
    /// connections.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plate.mov");
    /// # std::fs::write(&path, "not really a movie")?;
    /// use ftrack_api::data;
    /// use ftrack_api::location::TransferOptions;
    ///
    /// let location = session.location("ftrack.server")?;
    /// let options = TransferOptions::new()
    ///     .connections(8)
    ///     .on_progress(|progress| println!("{:.0} bytes a second", progress.rate()));
    /// session.create_component_with(&path, data! { "name": "plate" }, &location, options)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Cancelled`] if the observer cancelled it.
    /// - Any error of [`create_component`](Self::create_component).
    pub fn create_component_with(
        &self,
        path: impl AsRef<Path>,
        data: Data,
        location: impl Into<Target>,
        options: TransferOptions,
    ) -> Result<Entity> {
        let path = path.as_ref();
        let path = path.to_str().ok_or_else(|| {
            let message = format!("{} is not Unicode text", path.display());
            Error::new(ErrorKind::Validation, message)
        })?;
        let target = location.into();
        let is_elsewhere = matches!(target, Target::Elsewhere);
        let name = data.get("name").and_then(Value::as_str);
        let location = self.location_for(&target, name.unwrap_or_default())?;
        let mut new = NewComponents {
            session: self,
            components: Vec::new(),
            ids: Box::new(std::iter::empty()),
            is_elsewhere,
            is_complete: false,
        };
        let journal = self.journal_for(path, location.as_ref())?.map(Arc::new);
        let given = data.clone();
        let mut resumes = false;
        if let Some(journal) = &journal {
            let mut ids = self.ids_in(journal)?;
            resumes = !ids.is_empty();
            // A sequence is created before its members, and comes after them in the list.
            if !ids.is_empty() {
                ids.rotate_right(1);
            }
            new.ids = Box::new(ids.into_iter());
        }
        let component = match Sequence::is_pattern(path) {
            true => new.sequence(&Sequence::parse(path)?, data)?,
            false => new.file(path, data)?,
        };
        let Some(location) = location else {
            new.is_complete = true;
            return Ok(component);
        };
        let origin = self.location_by_id(ORIGIN_LOCATION_ID)?;
        let pairs = new
            .components
            .iter()
            .map(|each| (each.clone(), origin.clone()));
        let pairs: Vec<(Entity, Location)> = pairs.collect();
        if let Some(journal) = &journal {
            let ids: Vec<String> = new.components.iter().map(Entity::id).collect();
            journal.set(COMPONENTS, &serde_json::json!(ids).to_string());
        }
        let outcome = location.plan(&pairs).and_then(|transfer| {
            let transfer = transfer.with_options(options.clone());
            transfer.with_journal(journal.clone()).run()
        });
        if let (Some(journal), Err(error)) = (journal.as_ref().filter(|_| resumes), &outcome)
            && error.kind() == ErrorKind::Duplicate
            && self.ids_in(journal)?.is_empty()
        {
            // The server was still at work on the interrupted call's commit.
            drop(new);
            journal.remove();
            return self.create_component_with(path, given, &location, options);
        }
        if let (Some(journal), Err(error)) = (&journal, &outcome)
            && !may_resume(error)
            && !self.is_in_doubt()
        {
            journal.remove();
        }
        new.is_complete = outcome.is_ok() || self.is_in_doubt();
        outcome.map(|()| component)
    }

    /// The location of a new component with this name.
    pub(crate) fn location_for(&self, target: &Target, name: &str) -> Result<Option<Location>> {
        Ok(match target {
            Target::Nowhere => None,
            Target::Elsewhere => Some(self.location_by_id(UNMANAGED_LOCATION_ID)?),
            Target::In(location) => Some(location.clone()),
            Target::Auto if REVIEW_NAMES.contains(&name) => {
                Some(self.location_by_id(REVIEW_LOCATION_ID)?)
            }
            Target::Auto => self.pick_location()?,
        })
    }

    /// Records new components under these ids, that of a sequence before those of its members.
    /// Nothing is stored. Members come before their sequence in the result.
    pub(crate) fn record_components(
        &self,
        path: &str,
        data: Data,
        ids: impl Iterator<Item = String> + 'static,
        is_elsewhere: bool,
    ) -> Result<Vec<Entity>> {
        let mut new = NewComponents {
            session: self,
            components: Vec::new(),
            ids: Box::new(ids),
            is_elsewhere,
            is_complete: false,
        };
        match Sequence::is_pattern(path) {
            true => new.sequence(&Sequence::parse(path)?, data)?,
            false => new.file(path, data)?,
        };
        new.is_complete = true;
        Ok(std::mem::take(&mut new.components))
    }

    /// The journal of a transfer that is large enough to be resumed.
    fn journal_for(&self, path: &str, location: Option<&Location>) -> Result<Option<Journal>> {
        let Some(location) = location.filter(|location| location.binding().is_managed) else {
            return Ok(None);
        };
        let size = std::fs::metadata(path).map_or(0, |found| found.len());
        if !Sequence::is_pattern(path) && size < MIN_JOURNAL_BYTES {
            return Ok(None);
        }
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        // If the same file is being published by somebody else, that is another component.
        Ok(location
            .open_journal(&path.to_string_lossy())
            .ok()
            .flatten())
    }

    /// The ids of the components that an interrupted call was creating, in their order.
    fn ids_in(&self, journal: &Journal) -> Result<Vec<String>> {
        let notes = journal.notes(COMPONENTS);
        let ids = notes
            .last()
            .and_then(|note| serde_json::from_str(note).ok());
        let ids: Vec<String> = ids.unwrap_or_default();
        let Some(last) = ids.last() else {
            return Ok(Vec::new());
        };
        // That call may have reached the commit, which creates all of them or none.
        let query = select("Component")
            .fields(["id"])
            .filter(field("id").eq(last.as_str()));
        if self.query(query)?.first()?.is_some() {
            journal.reset();
            return Ok(Vec::new());
        }
        log::info!(
            "resuming an interrupted transfer; number of components: {}",
            ids.len()
        );
        Ok(ids)
    }
}

/// The subject of the note with the components' ids.
const COMPONENTS: &str = "components";

impl Entity {
    /// Creates a component of this version from a file or a sequence; see
    /// [`Session::create_component`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if this is not a version.
    /// - Any error of [`Session::create_component`].
    pub fn create_component(
        &self,
        path: impl AsRef<Path>,
        data: Data,
        location: impl Into<Target>,
    ) -> Result<Entity> {
        self.create_component_with(path, data, location, TransferOptions::new())
    }

    /// [`create_component`](Self::create_component) with options for the transfer; see
    /// [`Session::create_component_with`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if this is not a version.
    /// - Any error of [`Session::create_component_with`].
    pub fn create_component_with(
        &self,
        path: impl AsRef<Path>,
        mut data: Data,
        location: impl Into<Target>,
        options: TransferOptions,
    ) -> Result<Entity> {
        self.check_type("AssetVersion")?;
        data.remove("version_id");
        data.set("version", self);
        let session = self.session();
        session.create_component_with(path, data, location, options)
    }

    /// The share of this component that is in each location; see
    /// [`Session::get_component_availability`].
    ///
    /// # Errors
    ///
    /// - Any error of [`Session::get_component_availability`].
    pub fn get_availability(&self) -> Result<std::collections::BTreeMap<String, f64>> {
        self.session().get_component_availability(self)
    }
}

/// Components that are discarded when this is dropped, unless it is complete.
struct NewComponents<'a> {
    session: &'a Session,
    /// Members come before their sequence.
    components: Vec<Entity>,
    /// Ids that they get, in the order in which they are created; the rest get random ones.
    ids: Box<dyn Iterator<Item = String>>,
    /// Whether the files are not on this machine.
    is_elsewhere: bool,
    is_complete: bool,
}

impl NewComponents<'_> {
    fn file(&mut self, path: &str, mut data: Data) -> Result<Entity> {
        let size = self.size_of_file(path)?;
        set_default(&mut data, "size", || size);
        set_default(&mut data, "file_type", || {
            self.session.file_type_from_string(path)
        });
        self.create("FileComponent", path, data)
    }

    fn sequence(&mut self, sequence: &Sequence, mut data: Data) -> Result<Entity> {
        let count = sequence.len();
        if count > MAX_MEMBERS {
            let message = format!("{sequence} has {count} members; the limit is {MAX_MEMBERS}");
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let path = sequence.pattern();
        let given = match data.get("size") {
            Some(Value::Integer(size)) => Some(*size as f64),
            Some(Value::Number(size)) => Some(*size),
            _ => None,
        };
        let share = |size: f64| (size / count as f64).round() as i64;
        let found = sequence.members().map(|path| self.size_of_file(&path));
        let mut sizes = found.collect::<Result<Vec<i64>>>()?;
        if let Some(size) = given {
            sizes.fill(share(size));
        }
        set_default(&mut data, "size", || sizes.iter().sum::<i64>());
        set_default(&mut data, "padding", || sequence.padding() as i64);
        let file_type = self.session.file_type_from_string(&path);
        set_default(&mut data, "file_type", || file_type.clone());
        let container = self.create("SequenceComponent", &path, data)?;
        let members = sequence.indexes().zip(sequence.members()).zip(sizes);
        for ((index, path), size) in members {
            let data = crate::data! {
                "name": sequence.number(index),
                "container": &container,
                "size": size,
                "file_type": file_type.as_str(),
            };
            self.create("FileComponent", &path, data)?;
        }
        self.add_members(&container)?;
        // The sequence is complete when its members are.
        self.components.rotate_left(1);
        Ok(container)
    }

    /// Adds the members to the local collection of the sequence. Their `container` is what the
    /// server stores.
    fn add_members(&self, sequence: &Entity) -> Result<()> {
        let members: Vec<EntityKey> = self.components[1..].iter().map(Entity::key).collect();
        let (place, recording) = (sequence.handle.place, self.session.is_recording());
        let mut store = self.session.shared.store.lock();
        store.extend_along(place, "members", &members, &[], recording)
    }

    /// The size of a file in bytes; 0 if it is not on this machine, as in the Python client.
    fn size_of_file(&self, path: &str) -> Result<i64> {
        if self.is_elsewhere {
            return Ok(0);
        }
        let found = std::fs::metadata(path).map_err(|error| {
            let kind = match error.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                io::ErrorKind::PermissionDenied => ErrorKind::Permission,
                _ => ErrorKind::Io,
            };
            let message = format!(
                "cannot create a component from {path}: {error}; if the file is not on this \
                 machine, use `Target::Elsewhere`"
            );
            Error::new(kind, message).with_source(error)
        })?;
        if !found.is_file() && !found.is_dir() {
            let message = format!("{path} is not a file, so it cannot be a component");
            return Err(Error::new(ErrorKind::Validation, message));
        }
        Ok(i64::try_from(found.len()).unwrap_or(i64::MAX))
    }

    fn create(&mut self, entity_type: &str, path: &str, mut data: Data) -> Result<Entity> {
        if let Some(id) = self.ids.next()
            && !data.contains("id")
        {
            data.set("id", id);
        }
        let component = self.session.create(entity_type, data)?;
        self.components.push(component.clone());
        let origin = self.session.location_by_id(ORIGIN_LOCATION_ID)?;
        origin.register(&[(component.clone(), path.to_owned())])?;
        Ok(component)
    }
}

impl Drop for NewComponents<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            let locations = &self.session.shared.locations;
            for component in &self.components {
                locations.remove(ORIGIN_LOCATION_ID, &component.id());
            }
            self.session.discard(&self.components);
        }
    }
}

fn set_default<V: Into<Value>>(data: &mut Data, name: &str, value: impl FnOnce() -> V) {
    if !data.contains(name) {
        data.set(name, value());
    }
}
