//! The handles that users hold, and what they share: types only, no behaviour.

use std::sync::{Arc, OnceLock, Weak};

use crate::api::Api;
use crate::cache::{BackingCache, Counters};
use crate::calls::Calls;
use crate::entity::CustomAttribute;
use crate::hub::EventHub;
use crate::location::Bindings;
use crate::lock::Mutex;
use crate::plugin::PluginInfo;
use crate::schema::Schema;
use crate::session::ServerInformation;
use crate::store::{Handle, Store};
use crate::value::EntityKey;

/// An open connection to an ftrack server, with everything that was loaded and changed in it.
///
/// A session is a handle: clones are the same session, and may be used from several threads. It
/// closes when [`close`](Session::close) is called or its last handle and entity are dropped.
///
/// ```
/// use ftrack_api::Session;
/// # let server = ftrack_emulator::Emulator::start()?;
/// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
///
/// let session = Session::builder().server_url(url).api_key(key).api_user(user).open()?;
/// let project = session.query("Project where status is active")?.first()?;
/// if let Some(project) = project {
///     println!("{}", project.get::<String>("full_name")?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Session {
    pub(crate) shared: Arc<Shared>,
}

/// One entity of a session: a task, a version, a user.
///
/// An entity is a handle: clones, and all entities with the same key in one session, are the
/// same entity and see the same values. It keeps its session open. [`EntityKey`] is the form to
/// keep when the session is not needed.
///
/// [`EntityKey`]: crate::EntityKey
#[derive(Clone)]
pub struct Entity {
    pub(crate) session: Session,
    pub(crate) handle: Arc<Handle>,
}

/// A place where the data of components is kept: a disk in the studio, the server, a cloud.
///
/// A location is an [`Entity`] of the type `Location` with what this session has
/// [bound](Location::bind) to it: an accessor, a structure, a priority. It reads and writes like
/// any entity.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location {
    pub(crate) entity: Entity,
}

/// A session that may be gone, or not be open yet; see [`Session::downgrade`].
#[derive(Clone)]
pub struct WeakSession {
    pub(crate) shared: Arc<OnceLock<Weak<Shared>>>,
}

/// What all handles of one session share.
pub(crate) struct Shared {
    /// Shared with the accessor of the server's location.
    pub(crate) api: Arc<Api>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) server_information: ServerInformation,
    /// Locked for one call to the store at a time, never across I/O.
    pub(crate) store: Mutex<Store>,
    /// The cache that the user gave, set once the session is open.
    pub(crate) backing: OnceLock<BackingCache>,
    pub(crate) memory_counters: Counters,
    pub(crate) event_hub: EventHub,
    /// The user of the session, once it was asked for.
    pub(crate) user: OnceLock<EntityKey>,
    /// The custom attribute configurations, once they were needed.
    pub(crate) custom_attributes: Mutex<Option<Arc<Vec<CustomAttribute>>>>,
    pub(crate) locations: Bindings,
    /// Who waits for the end of another's commit, without holding the lock.
    pub(crate) committers: Calls,
    /// What was found when it was opened.
    pub(crate) plugins: Vec<PluginInfo>,
}
