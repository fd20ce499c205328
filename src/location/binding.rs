//! How a session uses a location.

use std::fmt;
use std::sync::Arc;

use crate::accessor::Accessor;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Location;
use crate::structure::{ResourceIdentifierTransformer, Structure};

use super::contain::Contained;

/// As in the Python client.
const DEFAULT_PRIORITY: i32 = 95;

/// How a session uses a location: through which accessor, with which structure, and at which
/// priority.
///
/// ```
/// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
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
/// assert_eq!(session.pick_location()?, Some(location));
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
    pub(crate) is_in_memory: bool,
    pub(crate) may_link: bool,
}

impl Binding {
    /// An empty binding with priority 95.
    pub fn new() -> Self {
        Self {
            accessor: None,
            structure: None,
            transformer: None,
            priority: DEFAULT_PRIORITY,
            is_managed: true,
            is_in_memory: false,
            may_link: false,
        }
    }

    /// Sets how the data is reached. Without an accessor the location is not accessible.
    pub fn accessor(mut self, accessor: impl Accessor) -> Self {
        self.accessor = Some(Arc::new(Contained(accessor)));
        self
    }

    /// Sets where new components go. Without a structure nothing can be added.
    pub fn structure(mut self, structure: impl Structure) -> Self {
        self.structure = Some(Arc::new(Contained(structure)));
        self
    }

    /// Sets how resource identifiers are converted on their way to the server and back.
    pub fn resource_identifier_transformer(
        mut self,
        transformer: impl ResourceIdentifierTransformer,
    ) -> Self {
        self.transformer = Some(Arc::new(Contained(transformer)));
        self
    }

    /// Sets the priority: of several possible locations, the one with the lowest number is picked.
    /// The built-in locations have 90 (`ftrack.unmanaged`), 100 (`ftrack.origin`),
    /// 110 (`ftrack.review`) and 150 (`ftrack.server`).
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets whether the session manages the data, which is the default. With `false` the location
    /// only records where data is: adding a component copies nothing, and removing it deletes
    /// nothing. `UnmanagedLocationMixin` in Python.
    pub fn managed(mut self, managed: bool) -> Self {
        self.is_managed = managed;
        self
    }

    /// Sets whether this session, and not the server, stores which components are in the
    /// location. `MemoryLocationMixin` in Python.
    pub fn in_memory(mut self, in_memory: bool) -> Self {
        self.is_in_memory = in_memory;
        self
    }

    /// Sets whether a file is added as a hard link to its source if both are on one file system,
    /// instead of a copy. By default it is copied.
    ///
    /// A link takes no time and no space, but the file stays the one of the source: whoever changes
    /// that in place changes the component. It keeps the times and permissions of the source.
    pub fn link_when_possible(mut self, link: bool) -> Self {
        self.may_link = link;
        self
    }
}

impl Default for Binding {
    fn default() -> Self {
        Self::new()
    }
}

/// Which parts are set, not their contents: accessors may hold secrets.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("accessor", &self.accessor.is_some())
            .field("structure", &self.structure.is_some())
            .field("priority", &self.priority)
            .field("is_managed", &self.is_managed)
            .field("is_in_memory", &self.is_in_memory)
            .finish_non_exhaustive()
    }
}

impl Location {
    /// Sets how this session uses the location, and replaces an earlier binding. All handles of
    /// the location see the change. Nothing is sent to the server.
    ///
    /// Studios bind in a plugin so that all their sessions do: see [`Binding`] for an example.
    pub fn bind(&self, binding: Binding) {
        let locations = &self.entity.session.shared.locations;
        locations.bind(&self.entity.id(), binding);
    }

    /// The current binding, or an empty one.
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

    /// The resource identifier transformer, if one is bound.
    pub fn resource_identifier_transformer(
        &self,
    ) -> Option<Arc<dyn ResourceIdentifierTransformer>> {
        self.binding().transformer.clone()
    }

    /// The priority: the lowest is picked first.
    pub fn priority(&self) -> i32 {
        self.binding().priority
    }

    /// Whether an accessor is bound, so that this session can reach the data.
    pub fn is_accessible(&self) -> bool {
        self.binding().accessor.is_some()
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`] if no accessor is bound.
    pub(crate) fn require_accessor(&self) -> Result<Arc<dyn Accessor>> {
        self.accessor().ok_or_else(|| self.missing("accessor"))
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`] if no structure is bound.
    pub(crate) fn require_structure(&self) -> Result<Arc<dyn Structure>> {
        self.structure().ok_or_else(|| self.missing("structure"))
    }

    fn missing(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Configuration,
            format!("{self} has no {what} in this session"),
        )
        .with_remedy("Bind one with `Location::bind`.")
    }
}
