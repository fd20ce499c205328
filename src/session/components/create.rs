//! Making components of files.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location, Session};
use crate::location::{ORIGIN_LOCATION_ID, REVIEW_LOCATION_ID, Target, Transfer};
use crate::sequence::Sequence;
use crate::value::{Data, EntityKey, Value};

/// The most members of a sequence that components are made of.
const MAX_MEMBERS: u64 = 100_000;

/// What the web player shows: these go to the review location by themselves, as in Python.
const REVIEW_NAMES: [&str; 3] = [
    "ftrackreview-mp4",
    "ftrackreview-webm",
    "ftrackreview-image",
];

impl Session {
    /// Makes a component of a file, or of a sequence: `"plate.%04d.exr [1-5, 7]"` becomes a
    /// sequence component with a file component for each member.
    ///
    /// With a location, the data is brought there and everything is committed; see
    /// [`Location::add_component`]. [`Target::Auto`] takes the location that
    /// [`pick_location`](Self::pick_location) would, [`Target::Nowhere`] none: the components
    /// are then known to be in `ftrack.origin`, and can be added to a location later.
    ///
    /// What `data` does not say is found out: `size` from the file, `file_type` from its name
    /// (see [`file_type_from_string`](Self::file_type_from_string)),
    /// `padding` from the pattern. `name` is `main` unless given.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// [`ErrorKind::Validation`] for a path that is not Unicode, and for a sequence with more
    /// than 100,000 members; [`ErrorKind::Syntax`] for a pattern whose numbers cannot be read;
    /// else as for [`create`](Self::create) and [`Location::add_component`]. After an error the
    /// components are gone, unless it says that nobody knows what became of the commit.
    pub fn create_component(
        &self,
        path: impl AsRef<Path>,
        data: Data,
        location: impl Into<Target>,
    ) -> Result<Entity> {
        let path = path.as_ref();
        let path = path.to_str().ok_or_else(|| {
            let message = format!("{} is not Unicode text", path.display());
            Error::new(ErrorKind::Validation, message)
        })?;
        let location = match location.into() {
            Target::Nowhere => None,
            Target::In(location) => Some(location),
            Target::Auto if is_for_review(&data) => Some(self.location_by_id(REVIEW_LOCATION_ID)?),
            Target::Auto => self.pick_location(None)?,
        };
        let mut made = Made {
            session: self,
            components: Vec::new(),
            is_kept: false,
        };
        let component = match Sequence::is_pattern(path) {
            true => made.sequence(&Sequence::parse(path)?, data)?,
            false => made.file(path, data)?,
        };
        let Some(location) = location else {
            made.is_kept = true;
            return Ok(component);
        };
        let origin = self.location_by_id(ORIGIN_LOCATION_ID)?;
        let pairs = made
            .components
            .iter()
            .map(|each| (each.clone(), origin.clone()));
        let pairs: Vec<(Entity, Location)> = pairs.collect();
        let outcome = location.plan(&pairs).and_then(Transfer::run);
        made.is_kept = outcome.is_ok() || self.is_in_doubt();
        outcome.map(|()| component)
    }
}

impl Entity {
    /// Makes a component of a file or a sequence for this version; see
    /// [`Session::create_component`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this is no version; else as for
    /// [`Session::create_component`].
    pub fn create_component(
        &self,
        path: impl AsRef<Path>,
        mut data: Data,
        location: impl Into<Target>,
    ) -> Result<Entity> {
        self.check_type("AssetVersion")?;
        data.remove("version_id");
        data.set("version", self);
        self.session().create_component(path, data, location)
    }

    /// How much of this component is in which location; see
    /// [`Session::get_component_availability`].
    ///
    /// # Errors
    ///
    /// As for [`Session::get_component_availability`].
    pub fn get_availability(
        &self,
        locations: Option<&[Location]>,
    ) -> Result<std::collections::BTreeMap<String, f64>> {
        self.session().get_component_availability(self, locations)
    }
}

/// Components that were made and are taken back unless they are kept.
struct Made<'a> {
    session: &'a Session,
    /// Members before what they are in.
    components: Vec<Entity>,
    is_kept: bool,
}

impl Made<'_> {
    fn file(&mut self, path: &str, mut data: Data) -> Result<Entity> {
        default(&mut data, "size", || size_of_file(path));
        default(&mut data, "file_type", || {
            self.session.file_type_from_string(path)
        });
        self.create("FileComponent", path, data)
    }

    fn sequence(&mut self, sequence: &Sequence, mut data: Data) -> Result<Entity> {
        let count = sequence.len();
        if count > MAX_MEMBERS {
            let message = format!("{sequence} has {count} members; {MAX_MEMBERS} are possible");
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let path = sequence.pattern();
        let given = match data.get("size") {
            Some(Value::Integer(size)) => Some(*size as f64),
            Some(Value::Number(size)) => Some(*size),
            _ => None,
        };
        let share = |size: f64| (size / count as f64).round() as i64;
        let sizes: Vec<i64> = match given {
            Some(size) => sequence.members().map(|_| share(size)).collect(),
            None => sequence.members().map(|path| size_of_file(&path)).collect(),
        };
        default(&mut data, "size", || sizes.iter().sum::<i64>());
        default(&mut data, "padding", || sequence.padding() as i64);
        let file_type = self.session.file_type_from_string(&path);
        default(&mut data, "file_type", || file_type.clone());
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
        self.join(&container)?;
        // The sequence is complete when its members are.
        self.components.rotate_left(1);
        Ok(container)
    }

    /// Shows the members in the sequence before they are committed. The server learns of it by
    /// the `container` of each.
    fn join(&self, sequence: &Entity) -> Result<()> {
        let members: Vec<EntityKey> = self.components[1..].iter().map(Entity::key).collect();
        let (place, recording) = (sequence.handle.place, self.session.is_recording());
        let mut store = self.session.shared.store.lock();
        store.extend_along(place, "members", &members, &[], recording)
    }

    fn create(&mut self, entity_type: &str, path: &str, data: Data) -> Result<Entity> {
        let component = self.session.create(entity_type, data)?;
        self.components.push(component.clone());
        let origin = self.session.location_by_id(ORIGIN_LOCATION_ID)?;
        origin.register(&[(component.clone(), path.to_owned())])?;
        Ok(component)
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.session.discard(&self.components);
        }
    }
}

fn is_for_review(data: &Data) -> bool {
    match data.get("name") {
        Some(Value::Text(name)) => REVIEW_NAMES.contains(&name.as_str()),
        _ => false,
    }
}

fn default<V: Into<Value>>(data: &mut Data, name: &str, value: impl FnOnce() -> V) {
    if !data.contains(name) {
        data.set(name, value());
    }
}

/// In bytes; 0 for what cannot be seen from here, as in Python.
fn size_of_file(path: &str) -> i64 {
    let found = std::fs::metadata(path);
    found.map_or(0, |found| i64::try_from(found.len()).unwrap_or(i64::MAX))
}
