//! Plugins: extensions of sessions, independent of the code that opens them.
//!
#![doc = include_str!(concat!(env!("OUT_DIR"), "/plugins.md"))]

mod arguments;
mod crates;
mod declaration;
mod executable;
mod identity;
mod info;
mod library;
mod path;
mod process;
mod registrar;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::config::Redactor;
use crate::error::{Result, caught};
use crate::event::Event;
use crate::handle::WeakSession;
use crate::hub::{EventHub, SubscriberId};
use crate::schema::{EntityTypeChanges, Schema};

pub use arguments::Arguments;
pub use info::{PluginInfo, PluginOrigin, PluginState};
#[doc(hidden)]
pub use library::{Descriptor, HostAllocator, contain};
pub use registrar::Registrar;

/// What [`contain`] gives, under a name that the macro can write.
#[doc(hidden)]
pub type Contained = anyhow::Result<Box<dyn Plugin>>;

/// The topic of the event at which locations are configured.
pub(crate) const CONFIGURE_LOCATION: &str = "ftrack.api.session.configure-location";
/// The topic of the event that reports an open session.
pub(crate) const READY: &str = "ftrack.api.session.ready";
/// The topic of the event that reports a reset.
pub(crate) const RESET: &str = "ftrack.api.session.reset";
/// The topic of the event at which an entity type can be changed.
const CONSTRUCT_ENTITY_TYPE: &str = "ftrack.api.session.construct-entity-type";
/// The topic of the event that asks for the type of a file.
pub(crate) const FILE_TYPE: &str = "ftrack.api.session.get-file-type-from-string";

/// An extension of sessions, which subscribes to events and registers other things.
///
/// Give it to [`SessionBuilder::plugin`](crate::SessionBuilder::plugin), or export it from a
/// dynamic library with [`export_plugin!`](crate::export_plugin).
///
/// ```
/// use ftrack_api::Session;
/// use ftrack_api::plugin::{Arguments, Plugin, Registrar};
///
/// struct Projects;
///
/// impl Plugin for Projects {
///     fn name(&self) -> &str {
///         "studio.projects"
///     }
///     fn version(&self) -> &str {
///         "1.2.0"
///     }
///     fn register(&self, registrar: &mut Registrar, _: &Arguments) -> anyhow::Result<()> {
///         registrar.subscribe("topic=studio.project-count", |session, _| {
///             Ok(Some(session.query("Project")?.count()?.into()))
///         })
///     }
/// }
///
/// # let server = ftrack_emulator::Emulator::start()?;
/// # let builder = Session::builder()
/// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user());
/// let session = builder.plugin(Projects).open()?;
/// assert_eq!(session.plugins()[0].name, "studio.projects");
/// let event = ftrack_api::Event::new("studio.project-count");
/// assert!(session.event_hub().publish_synchronous(event)[0].as_u64() > Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Plugin: Send + Sync + 'static {
    /// The name, which is unique in a session and appears in logs. Begin it with the studio's name.
    fn name(&self) -> &str;

    /// The version.
    fn version(&self) -> &str;

    /// Registers what the plugin does; called once for each session.
    ///
    /// # Errors
    ///
    /// - Any error: it is logged with the plugin's name, nothing of the plugin takes effect, and the
    ///   session opens without it.
    fn register(&self, registrar: &mut Registrar, arguments: &Arguments) -> anyhow::Result<()>;
}

/// The plugin settings of a session.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) plugins: Vec<Box<dyn Plugin>>,
    /// Instead of those in the environment.
    pub(crate) paths: Option<Vec<PathBuf>>,
    pub(crate) arguments: Map<String, Value>,
}

/// The parts of a session that is being opened which plugins use.
pub(crate) struct Host<'a> {
    pub(crate) hub: &'a EventHub,
    pub(crate) session: WeakSession,
    pub(crate) server_url: &'a str,
    pub(crate) api_user: &'a str,
    pub(crate) redactor: &'a Redactor,
}

/// The plugins of a session, and their changes to its schema.
pub(crate) struct Plugins {
    pub(crate) found: Vec<PluginInfo>,
    changes: Vec<(String, Option<String>, registrar::Change)>,
}

impl Plugins {
    /// Registers the plugins given in code, then those on the paths, in order.
    pub(crate) fn register(settings: &Settings, paths: &[PathBuf], host: &Host<'_>) -> Self {
        let mut this = Self {
            found: Vec::new(),
            changes: Vec::new(),
        };
        let arguments = &settings.arguments;
        let mut known = Known::default();
        for plugin in &settings.plugins {
            this.one(
                PluginOrigin::Code,
                plugin.as_ref(),
                arguments,
                &mut known,
                host,
            );
        }
        for found in path::discover(paths) {
            match (found.problem, found.origin) {
                (Some(problem), origin) => this.refuse(origin, problem),
                (None, PluginOrigin::Library(path)) => match library::load(&found.root, &path) {
                    Ok(plugin) => {
                        let origin = PluginOrigin::Library(path);
                        this.one(origin, plugin.as_ref(), arguments, &mut known, host);
                    }
                    Err(problem) => this.refuse(PluginOrigin::Library(path), problem),
                },
                (None, origin) => {
                    known.may_be_unseen = true;
                    this.executable(&found.root, origin, arguments, host);
                }
            }
        }
        known.warn(arguments);
        this
    }

    /// Registers one plugin. If it fails, nothing of it takes effect.
    fn one(
        &mut self,
        origin: PluginOrigin,
        plugin: &dyn Plugin,
        values: &Map<String, Value>,
        known: &mut Known,
        host: &Host<'_>,
    ) {
        let named = caught(|| Ok((plugin.name().to_owned(), plugin.version().to_owned())));
        let (name, version) = match named {
            Ok(named) => named,
            Err(error) => {
                return self.refuse(origin, format!("its name cannot be read: {error:#}"));
            }
        };
        let info = PluginInfo {
            name,
            version: Some(version),
            origin,
            state: PluginState::Loaded,
        };
        let Some(info) = self.unless_known(info) else {
            return;
        };
        let arguments = Arguments::new(&info.name, values);
        let mut registrar = Registrar::new(host.session.clone(), host.api_user);
        let registered = caught(|| plugin.register(&mut registrar, &arguments));
        known.add(arguments);
        let Registrar {
            subscriptions,
            changes,
            ..
        } = registrar;
        let subscribed = registered.and_then(|()| {
            let subscribe = |one: registrar::Subscription| {
                one.subscribe(host.hub, host.session.clone(), &info.name)
            };
            all_or_none(host.hub, subscriptions.into_iter().map(subscribe))
        });
        if subscribed.is_ok() {
            let changes = changes.into_iter();
            self.changes
                .extend(changes.map(|(on, change)| (info.name.clone(), on, change)));
        }
        self.finish(info, subscribed);
    }

    fn executable(
        &mut self,
        root: &Path,
        origin: PluginOrigin,
        arguments: &Map<String, Value>,
        host: &Host<'_>,
    ) {
        let path = origin.path().expect("an executable is a file").to_owned();
        let executable = match executable::Executable::new(root, &path, arguments, host) {
            Ok(executable) => executable,
            Err(problem) => return self.refuse(origin, problem),
        };
        let info = PluginInfo {
            name: executable.name().to_owned(),
            version: executable.version().map(str::to_owned),
            origin,
            state: PluginState::Loaded,
        };
        if let Some(info) = self.unless_known(info) {
            let subscribed = all_or_none(host.hub, executable.subscribe(host.hub));
            self.finish(info, subscribed);
        }
    }

    /// Refuses a plugin if another has its name.
    fn unless_known(&mut self, info: PluginInfo) -> Option<PluginInfo> {
        let same =
            |other: &&PluginInfo| other.state == PluginState::Loaded && other.name == info.name;
        let Some(other) = self.found.iter().find(same) else {
            return Some(info);
        };
        let problem = match other.origin.path() {
            Some(path) => format!("{} has the same name and came first", path.display()),
            None => "a plugin in code has the same name".to_owned(),
        };
        self.note(PluginInfo {
            state: PluginState::Refused(problem),
            ..info
        });
        None
    }

    fn refuse(&mut self, origin: PluginOrigin, problem: String) {
        let stem = origin.path().and_then(Path::file_stem);
        let name = stem.map_or_else(
            || "unnamed".to_owned(),
            |stem| stem.to_string_lossy().into(),
        );
        self.note(PluginInfo {
            name,
            version: None,
            origin,
            state: PluginState::Refused(problem),
        });
    }

    fn finish(&mut self, info: PluginInfo, registered: anyhow::Result<()>) {
        let state = match registered {
            Ok(()) => PluginState::Loaded,
            Err(error) => PluginState::Failed(format!("{error:#}")),
        };
        self.note(PluginInfo { state, ..info });
    }

    fn note(&mut self, info: PluginInfo) {
        match &info.state {
            PluginState::Loaded => log::debug!("plugin {info} is registered"),
            PluginState::Refused(why) => log::warn!("plugin {info} is not used: {why}"),
            PluginState::Failed(why) => log::warn!("plugin {info} failed to register: {why}"),
        }
        self.found.push(info);
    }

    /// Lets the plugins change the entity types; failures are logged.
    pub(crate) fn change_types(&mut self, hub: &EventHub, schema: &mut Schema) {
        let changes = std::mem::take(&mut self.changes);
        let is_heard = hub.has_subscribers();
        if changes.is_empty() && !is_heard {
            return;
        }
        for (plugin, name, _) in &changes {
            let unknown = name.as_ref().filter(|name| schema.find(name).is_none());
            if let Some(name) = unknown {
                log::warn!(
                    "plugin {plugin} changes the entity type {name:?}, which does not exist"
                );
            }
        }
        for place in 0..schema.entity_types().len() {
            let mut one = EntityTypeChanges::new(schema, place);
            for (plugin, name, change) in &changes {
                if name.as_deref().is_some_and(|name| name != one.name()) {
                    continue;
                }
                if let Err(error) = change(&mut one) {
                    log::warn!("plugin {plugin} failed to change {}: {error:#}", one.name());
                }
            }
            if is_heard {
                let event = Event::new(CONSTRUCT_ENTITY_TYPE).with_data(one.describe());
                for reply in hub.publish_synchronous(event) {
                    if let Err(error) = one.apply(reply) {
                        let name = one.name();
                        log::warn!(
                            "ignored a reply to {CONSTRUCT_ENTITY_TYPE} for {name}: {error}"
                        );
                    }
                }
            }
        }
    }
}

/// The arguments that some plugin has read.
#[derive(Default)]
struct Known {
    names: std::collections::BTreeSet<String>,
    /// Executables get all arguments; which ones they use is not known.
    may_be_unseen: bool,
}

impl Known {
    fn add(&mut self, arguments: Arguments) {
        self.names.extend(arguments.known());
    }

    fn warn(&self, arguments: &Map<String, Value>) {
        if self.may_be_unseen {
            return;
        }
        for name in arguments.keys().filter(|name| !self.names.contains(*name)) {
            log::warn!("no plugin uses the plugin argument {name:?}");
        }
    }
}

/// Makes all subscriptions, or none if one fails.
fn all_or_none(
    hub: &EventHub,
    subscriptions: impl Iterator<Item = Result<SubscriberId>>,
) -> anyhow::Result<()> {
    let mut made = Vec::new();
    for subscription in subscriptions {
        match subscription {
            Ok(id) => made.push(id),
            Err(error) => {
                for id in made {
                    // It exists: it was made above.
                    let _ = hub.unsubscribe(&id);
                }
                return Err(error.into());
            }
        }
    }
    Ok(())
}
