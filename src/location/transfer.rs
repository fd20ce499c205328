//! Moving data between locations: copy, register, roll back.

use std::fmt;
use std::sync::Arc;

use super::members::is_file;
use super::plan::{Transfer, TransferStep};
use crate::accessor::{Accessor, Content};
use crate::entity::Entities;
use crate::error::{Error, Result};
use crate::handle::{Entity, Location};

impl Location {
    /// Adds a component that is in `source`: copies its data to where the structure says, and
    /// registers it with the server when all of it is stored. Members of a sequence or container
    /// are added as well; those that are here already are left out. Commits everything recorded.
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
    /// origin.register_component(&component, path.to_str().expect("the path is Unicode"))?;
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
    /// After an error nothing is registered and copied data is removed, so the call can be
    /// repeated. If the response to the commit was lost, data and rows stay and the next commit
    /// reconciles them; [`Session::is_in_doubt`](crate::Session::is_in_doubt) tells.
    ///
    /// - [`ErrorKind::Duplicate`] if the component and all its members are here, or other data
    ///   has the resource identifier that one of them would get.
    /// - [`ErrorKind::NotFound`] if a component is not in `source`.
    /// - [`ErrorKind::Configuration`] if a location has no accessor or structure.
    /// - Errors of the structure and the accessors; [`ErrorKind::Callback`] unless they are an
    ///   [`Error`](crate::Error) of this crate.
    /// - Errors of [`commit`](crate::Session::commit).
    ///
    /// [`ErrorKind::Duplicate`]: crate::ErrorKind::Duplicate
    /// [`ErrorKind::NotFound`]: crate::ErrorKind::NotFound
    /// [`ErrorKind::Configuration`]: crate::ErrorKind::Configuration
    /// [`ErrorKind::Callback`]: crate::ErrorKind::Callback
    pub fn add_component(&self, component: &Entity, source: &Location) -> Result<()> {
        self.add_components(component, source, true)
    }

    /// Adds several components, all of them or none. `sources` is one location for all, or one
    /// for each; `recursive` is whether members are added as well.
    ///
    /// # Errors
    ///
    /// As [`add_component`](Self::add_component), and:
    ///
    /// - [`ErrorKind::Validation`](crate::ErrorKind::Validation) if the number of sources is
    ///   neither one nor that of the components.
    pub fn add_components(
        &self,
        components: impl Entities,
        sources: impl AsRef<[Location]>,
        recursive: bool,
    ) -> Result<()> {
        let components = &*components.to_entities()?;
        self.plan_transfer(components, sources, recursive)?.run()
    }

    /// Opens a component's data for reading.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the component is not in this
    ///   location.
    /// - [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if no accessor is bound.
    /// - Errors of the accessor.
    pub fn open(&self, component: &Entity) -> Result<Box<dyn std::io::Read + Send>> {
        let accessor = self.require_accessor()?;
        let identifier = self.get_resource_identifier(component)?;
        let opened = accessor.open(&identifier);
        opened.map_err(self.failure(component))
    }
}

impl Transfer {
    /// Copies the data, registers the components and commits.
    ///
    /// # Errors
    ///
    /// As [`Location::add_component`].
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

    fn copy(&self, stored: &mut Stored) -> Result<()> {
        let target = self.target.require_accessor()?;
        stored.accessor = Some(target.clone());
        for step in &self.steps {
            let identifier = step.resource_identifier.as_str();
            let copied = match step.component.entity_type() {
                // Only its members are files.
                "SequenceComponent" => Ok(()),
                _ if !is_file(&step.component) => stored.make_container(identifier),
                _ => step
                    .copy(&*target)
                    .map(|()| stored.files.push(identifier.to_owned())),
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
            let identifier = step.resource_identifier.clone();
            (step.component.clone(), identifier)
        });
        self.target.register(&placed.collect::<Vec<_>>())
    }
}

impl TransferStep {
    fn copy(&self, target: &dyn Accessor) -> anyhow::Result<()> {
        let identifier = self.source_resource_identifier.as_deref();
        let identifier = identifier.unwrap_or_default();
        let source = self.source.require_accessor()?;
        let mut content = Content::new(source.open(identifier)?).with_file_name(self.file_name()?);
        if let Ok(path) = source.get_filesystem_path(identifier) {
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
    fn make_container(&mut self, identifier: &str) -> anyhow::Result<()> {
        let Some(accessor) = &self.accessor else {
            return Ok(());
        };
        // One that may have existed before is never removed.
        let existed = accessor.is_container(identifier).unwrap_or(true);
        accessor.make_container(identifier)?;
        if !existed {
            self.containers.push(identifier.to_owned());
        }
        Ok(())
    }

    /// Removes what was stored, so that the transfer can be repeated.
    fn remove(&self, error: Error) -> Error {
        let Some(accessor) = &self.accessor else {
            return error;
        };
        let identifiers = self.files.iter().chain(&self.containers);
        let stuck = identifiers.filter(|identifier| match accessor.remove(identifier) {
            Ok(_) => false,
            Err(why) => {
                log::warn!("cannot remove {identifier}, left by a failed transfer: {why:#}");
                true
            }
        });
        match stuck.count() {
            0 => error,
            count => error.with_note(&format!(
                "{count} of the copied files could not be removed; the log names them"
            )),
        }
    }
}
