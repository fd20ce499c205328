//! Bringing components from one location into another: plan, copy, register.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::accessor::{Accessor, Content};
use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location};
use crate::structure::StructureContext;
use crate::value::EntityKey;

/// What adding components to a location will do; made by [`Location::plan_transfer`].
///
/// Everything that can be known beforehand was checked, and nothing is done yet.
#[derive(Clone)]
#[must_use = "nothing is copied before `run`"]
pub struct Transfer {
    target: Location,
    steps: Vec<TransferStep>,
}

/// One component of a [`Transfer`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransferStep {
    /// The component.
    pub component: Entity,
    /// Where its data comes from.
    pub source: Location,
    /// Where it is there, if it is.
    pub source_resource_identifier: Option<String>,
    /// Where it will be.
    pub resource_identifier: String,
}

impl Location {
    /// Adds a component that is in `source`: copies its data here, to where the structure says,
    /// and registers it with the server once all is stored. Members of a sequence or container
    /// come along. Commits what is recorded.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.txt");
    /// # std::fs::write(&path, "bring the green screen")?;
    /// use std::io::Read;
    /// use ftrack_api::data;
    ///
    /// let (origin, server) = (session.location("ftrack.origin")?, session.location("ftrack.server")?);
    /// let component = session.create("FileComponent", data! { "name": "notes", "file_type": ".txt" })?;
    /// origin.register_component(&component, path.to_str().expect("a path of letters"))?;
    /// server.add_component(&component, &origin)?;
    ///
    /// let mut text = String::new();
    /// server.open(&component)?.read_to_string(&mut text)?;
    /// assert_eq!(text, "bring the green screen");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Duplicate`] if the component is here already, or if other data is where its
    /// data would go; [`ErrorKind::NotFound`] if it is not in `source`;
    /// [`ErrorKind::Configuration`] if an accessor or the structure is missing; what the
    /// structure and the accessors say; as for [`commit`](crate::Session::commit).
    ///
    /// After an error nothing is registered, and what was copied is removed again. Only when the
    /// answer to the commit was lost both stay, and the error says so: the next commit finds out.
    pub fn add_component(&self, component: &Entity, source: &Location) -> Result<()> {
        self.add_components(
            std::slice::from_ref(component),
            std::slice::from_ref(source),
            true,
        )
    }

    /// Adds several components, all of them or none. `sources` is one location for all of them,
    /// or one for each; `recursive` says whether members come along.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Validation`] for another number of sources; else as for
    /// [`add_component`](Self::add_component).
    pub fn add_components(
        &self,
        components: impl Entities,
        sources: &[Location],
        recursive: bool,
    ) -> Result<()> {
        let components = &*components.to_entities()?;
        self.plan_transfer(components, sources, recursive)?.run()
    }

    /// Finds out what adding components would do, without doing it; the arguments are those of
    /// [`add_components`](Self::add_components).
    ///
    /// # Errors
    ///
    /// As for [`add_components`](Self::add_components).
    pub fn plan_transfer(
        &self,
        components: impl Entities,
        sources: &[Location],
        recursive: bool,
    ) -> Result<Transfer> {
        let components = &*components.to_entities()?;
        if sources.len() != 1 && sources.len() != components.len() {
            let message = format!(
                "{} components take one source or {0}, not {}",
                components.len(),
                sources.len()
            );
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let mut pairs = Vec::new();
        let mut seen = HashSet::new();
        for (component, source) in components.iter().zip(sources.iter().cycle()) {
            let mut all = Vec::new();
            with_members(component, recursive, &mut seen, &mut all)?;
            pairs.extend(all.into_iter().map(|each| (each, source.clone())));
        }
        self.plan(&pairs)
    }

    /// Plans to bring each component from its location.
    pub(crate) fn plan(&self, pairs: &[(Entity, Location)]) -> Result<Transfer> {
        self.check_writable()?;
        let structure = self.need_structure()?;
        let is_managed = self.binding().is_managed;
        let components: Vec<Entity> = pairs
            .iter()
            .map(|(component, _)| component.clone())
            .collect();
        self.refuse_present(&components)?;
        let mut steps = Vec::with_capacity(pairs.len());
        for ((component, source), found) in pairs.iter().zip(places(pairs)?) {
            if is_managed && is_file(component) && found.is_none() {
                let message = format!("{component} is not in {source}, so it cannot come from it");
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            let context = StructureContext {
                source_resource_identifier: found.clone(),
            };
            let identifier = structure.get_resource_identifier(component, &context);
            let identifier = identifier.map_err(self.failure(component))?;
            steps.push(TransferStep {
                component: component.clone(),
                source: source.clone(),
                source_resource_identifier: found,
                resource_identifier: identifier,
            });
        }
        let transfer = Transfer {
            target: self.clone(),
            steps,
        };
        if is_managed {
            transfer.check_targets()?;
        }
        Ok(transfer)
    }

    /// Opens a component's data for reading.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the component is not in this location;
    /// [`ErrorKind::Configuration`] if no accessor is bound; what the accessor says.
    pub fn open(&self, component: &Entity) -> Result<Box<dyn std::io::Read + Send>> {
        let accessor = self.need_accessor()?;
        let identifier = self.get_resource_identifier(component)?;
        let opened = accessor.open(&identifier);
        opened.map_err(self.failure(component))
    }
}

/// Adds a component to `all`, after its members: a container is registered when it is complete,
/// and a folder is removed when it is empty.
pub(super) fn with_members(
    component: &Entity,
    recursive: bool,
    seen: &mut HashSet<EntityKey>,
    all: &mut Vec<Entity>,
) -> Result<()> {
    if !seen.insert(component.key()) {
        return Ok(());
    }
    if recursive {
        for member in members(component)? {
            with_members(&member, recursive, seen, all)?;
        }
    }
    all.push(component.clone());
    Ok(())
}

/// The members of a sequence or container; those of a file are none.
fn members(component: &Entity) -> Result<Vec<Entity>> {
    if component.type_info().attribute("members").is_err() {
        return Ok(Vec::new());
    }
    match component.value("members")? {
        Some(_) => component.get("members"),
        None => Ok(Vec::new()),
    }
}

/// Whether a component has data of its own.
pub(super) fn is_file(component: &Entity) -> bool {
    component.type_info().attribute("members").is_err()
}

/// Where each component is in its source, with few requests.
fn places(pairs: &[(Entity, Location)]) -> Result<Vec<Option<String>>> {
    let mut by_source: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, (_, source)) in pairs.iter().enumerate() {
        by_source.entry(source.id()).or_default().push(index);
    }
    let mut found = vec![None; pairs.len()];
    for indexes in by_source.into_values() {
        let source = &pairs[indexes[0]].1;
        let these: Vec<Entity> = indexes
            .iter()
            .map(|index| pairs[*index].0.clone())
            .collect();
        let identifiers = source.find_resource_identifiers(&these)?;
        for (index, identifier) in indexes.into_iter().zip(identifiers) {
            found[index] = identifier;
        }
    }
    Ok(found)
}

impl Transfer {
    /// The components in the order in which they will be stored.
    pub fn steps(&self) -> &[TransferStep] {
        &self.steps
    }

    /// Copies the data, registers the components and commits.
    ///
    /// # Errors
    ///
    /// As for [`Location::add_component`].
    pub fn run(self) -> Result<()> {
        if self.steps.is_empty() {
            return Ok(());
        }
        let mut stored = Stored::default();
        if self.target.binding().is_managed
            && let Err(error) = self.copy(&mut stored)
        {
            return Err(stored.remove(error));
        }
        let session = self.target.session().clone();
        self.register()
            .map_err(|error| match session.is_in_doubt() {
                true => error,
                false => stored.remove(error),
            })
    }

    /// # Errors
    ///
    /// [`ErrorKind::Duplicate`] if two files would go to one place, or data is there already.
    fn check_targets(&self) -> Result<()> {
        let accessor = self.target.need_accessor()?;
        let mut seen: HashMap<&str, &Entity> = HashMap::new();
        for step in self.steps.iter().filter(|step| is_file(&step.component)) {
            let (component, place) = (&step.component, step.resource_identifier.as_str());
            if let Some(other) = seen.insert(place, component) {
                let message = format!(
                    "{component} and {other} would both be {place:?} in {}; give them other names",
                    self.target
                );
                return Err(Error::new(ErrorKind::Duplicate, message));
            }
            let exists = accessor.exists(place);
            if exists.map_err(self.target.failure(component))? {
                let message = format!(
                    "{component} would be {place:?} in {}, where there is data already, which \
                     would be lost; remove it, or give the component another name",
                    self.target
                );
                return Err(Error::new(ErrorKind::Duplicate, message));
            }
        }
        Ok(())
    }

    fn copy(&self, stored: &mut Stored) -> Result<()> {
        let target = self.target.need_accessor()?;
        stored.accessor = Some(target.clone());
        for step in &self.steps {
            let place = step.resource_identifier.as_str();
            let copied = match step.component.entity_type() {
                // The frames are what is stored; their pattern names no file.
                "SequenceComponent" => Ok(()),
                _ if !is_file(&step.component) => stored.make_container(place),
                _ => step
                    .copy(&*target)
                    .map(|()| stored.files.push(place.to_owned())),
            };
            copied.map_err(|error| {
                let error = Error::from_callback(error);
                error.context(format!("{step} to {}", self.target))
            })?;
        }
        Ok(())
    }

    fn register(&self) -> Result<()> {
        let placed = self.steps.iter().map(|step| {
            let place = step.resource_identifier.clone();
            (step.component.clone(), place)
        });
        self.target.register(&placed.collect::<Vec<_>>())
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("target", &self.target)
            .field("steps", &self.steps)
            .finish()
    }
}

impl TransferStep {
    fn copy(&self, target: &dyn Accessor) -> anyhow::Result<()> {
        let place = self.source_resource_identifier.as_deref();
        let place = place.unwrap_or_default();
        let source = self.source.need_accessor()?;
        let mut content = Content::new(source.open(place)?).with_file_name(self.file_name()?);
        if let Ok(path) = source.get_filesystem_path(place) {
            if let Ok(found) = path.metadata() {
                content = content.with_size(found.len());
            }
            content = content.with_path(path);
        }
        target.write(&self.resource_identifier, &mut content)
    }

    fn file_name(&self) -> Result<String> {
        let name: Option<String> = self.component.get("name")?;
        let file_type: Option<String> = self.component.get("file_type")?;
        let file_type = file_type.unwrap_or_default();
        let file_type = file_type.trim_start_matches('.');
        let name = name.unwrap_or_else(|| "data".to_owned());
        Ok(match file_type {
            "" => name,
            _ => format!("{name}.{file_type}"),
        })
    }
}

impl fmt::Display for TransferStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "copying {} from {}", self.component, self.source)
    }
}

/// What a transfer has stored so far.
#[derive(Default)]
struct Stored {
    accessor: Option<Arc<dyn Accessor>>,
    files: Vec<String>,
    containers: Vec<String>,
}

impl Stored {
    fn make_container(&mut self, place: &str) -> anyhow::Result<()> {
        let Some(accessor) = &self.accessor else {
            return Ok(());
        };
        // Where it cannot be told, it is not removed later either.
        let was_there = accessor.is_container(place).unwrap_or(true);
        accessor.make_container(place)?;
        if !was_there {
            self.containers.push(place.to_owned());
        }
        Ok(())
    }

    /// Removes what was stored, so that the transfer can be tried again.
    fn remove(&self, error: Error) -> Error {
        let Some(accessor) = &self.accessor else {
            return error;
        };
        let places = self.files.iter().chain(&self.containers);
        let stuck = places.filter(|place| match accessor.remove(place) {
            Ok(()) => false,
            Err(why) => {
                log::warn!("{place} is left over from a transfer that failed: {why:#}");
                true
            }
        });
        match stuck.count() {
            0 => error,
            count => error.and(&format!(
                "{count} of the files that were copied could not be removed; the log names them"
            )),
        }
    }
}
