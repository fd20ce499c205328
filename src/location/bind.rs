//! What a session binds to a location.

use std::fmt;
use std::sync::Arc;

use crate::accessor::Accessor;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Location;
use crate::structure::{ResourceIdentifierTransformer, Structure};

use super::contain::Contained;

/// The priority of a location that nobody gave one: as in the Python client.
const PRIORITY: i32 = 95;

/// How a session uses a location: by which accessor, with which structure, and how gladly.
///
/// ```
/// # let server = ftrack_emulator::Emulator::start()?;
/// # let session = ftrack_api::Session::builder()
/// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
/// use ftrack_api::accessor::DiskAccessor;
/// use ftrack_api::data;
/// use ftrack_api::location::Binding;
/// use ftrack_api::structure::StandardStructure;
///
/// # let mount = tempfile::tempdir()?;
/// session.ensure("Location", data! { "name": "studio.main" }, &["name"])?;
/// let location = session.location("studio.main")?;
/// location.bind(
///     Binding::new()
///         .accessor(DiskAccessor::new(mount.path())?)
///         .structure(StandardStructure::new())
///         .priority(10),
/// );
/// assert_eq!(session.pick_location(None)?, Some(location));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "give it to `Location::bind`"]
pub struct Binding {
    pub(crate) accessor: Option<Arc<dyn Accessor>>,
    pub(crate) structure: Option<Arc<dyn Structure>>,
    pub(crate) transformer: Option<Arc<dyn ResourceIdentifierTransformer>>,
    pub(crate) priority: i32,
    pub(crate) is_managed: bool,
    pub(crate) is_remembered: bool,
}

impl Binding {
    /// Nothing, with priority 95.
    pub fn new() -> Self {
        Self {
            accessor: None,
            structure: None,
            transformer: None,
            priority: PRIORITY,
            is_managed: true,
            is_remembered: false,
        }
    }

    /// How the data is reached. Without one the location is not accessible.
    pub fn accessor(mut self, accessor: impl Accessor) -> Self {
        self.accessor = Some(Arc::new(Contained(accessor)));
        self
    }

    /// Where new components go. Without one nothing can be added.
    pub fn structure(mut self, structure: impl Structure) -> Self {
        self.structure = Some(Arc::new(Contained(structure)));
        self
    }

    /// What is done to resource identifiers on their way to the server and back.
    pub fn resource_identifier_transformer(
        mut self,
        transformer: impl ResourceIdentifierTransformer,
    ) -> Self {
        self.transformer = Some(Arc::new(Contained(transformer)));
        self
    }

    /// Which location is picked where several could be: the one with the lowest number. The
    /// built-in ones have 90 (`ftrack.unmanaged`), 100 (`ftrack.origin`), 110 (`ftrack.review`)
    /// and 150 (`ftrack.server`).
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Only notes where data is: adding a component copies nothing, and removing it deletes
    /// nothing. `UnmanagedLocationMixin` in Python.
    pub fn unmanaged(mut self) -> Self {
        self.is_managed = false;
        self
    }

    /// Keeps in this session, and not on the server, which components are in the location.
    /// `MemoryLocationMixin` in Python.
    pub fn in_memory(mut self) -> Self {
        self.is_remembered = true;
        self
    }
}

impl Default for Binding {
    fn default() -> Self {
        Self::new()
    }
}

/// What is set, not what it is: accessors may hold secrets.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("accessor", &self.accessor.is_some())
            .field("structure", &self.structure.is_some())
            .field("priority", &self.priority)
            .field("is_managed", &self.is_managed)
            .field("is_remembered", &self.is_remembered)
            .finish_non_exhaustive()
    }
}

impl Location {
    /// Says how this session uses the location; all its handles see it from now on, and it
    /// replaces what was bound before. The server is not told.
    ///
    /// Studios do this in a plug-in, so that every session of theirs has it: see
    /// [`Binding`] for an example.
    pub fn bind(&self, binding: Binding) {
        let locations = &self.entity.session.shared.locations;
        locations.bind(&self.entity.id(), binding);
    }

    /// What is bound, or an empty [`Binding`].
    pub fn binding(&self) -> Arc<Binding> {
        let locations = &self.entity.session.shared.locations;
        locations.get(&self.entity.id()).unwrap_or_default()
    }

    /// The accessor, if one is bound.
    pub fn accessor(&self) -> Option<Arc<dyn Accessor>> {
        self.binding().accessor.clone()
    }

    /// The structure, if one is bound.
    pub fn structure(&self) -> Option<Arc<dyn Structure>> {
        self.binding().structure.clone()
    }

    /// The transformer of resource identifiers, if one is bound.
    pub fn resource_identifier_transformer(
        &self,
    ) -> Option<Arc<dyn ResourceIdentifierTransformer>> {
        self.binding().transformer.clone()
    }

    /// The priority: the lower, the sooner it is picked.
    pub fn priority(&self) -> i32 {
        self.binding().priority
    }

    /// Whether an accessor is bound, so that this session can reach the data.
    pub fn is_accessible(&self) -> bool {
        self.binding().accessor.is_some()
    }

    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if no accessor is bound.
    pub(crate) fn need_accessor(&self) -> Result<Arc<dyn Accessor>> {
        self.accessor().ok_or_else(|| self.lacks("accessor"))
    }

    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if no structure is bound.
    pub(crate) fn need_structure(&self) -> Result<Arc<dyn Structure>> {
        self.structure().ok_or_else(|| self.lacks("structure"))
    }

    fn lacks(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Configuration,
            format!("{self} has no {what} in this session; bind one with `Location::bind`"),
        )
    }
}
