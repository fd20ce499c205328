//! Opening a session: everything that can be set, and what is done with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::api::Api;
use crate::cache::python::KeyMaker;
use crate::cache::{Cache, Counters};
use crate::calls::Calls;
use crate::config::{self, ApiKey, Config, Network, Populate, Retry, SchemaCache, Settings};
use crate::error::Result;
use crate::handle::{Session, Shared, WeakSession};
use crate::location::Bindings;
use crate::lock::Mutex;
use crate::plugin::{self, Plugin, Plugins};
use crate::store::Store;
use crate::transport::{Dialer, Http, Transport};

use super::events::hub_for;
use super::introduction::introduce;
use crate::session::memory::CacheSettings;

type WrapTransport = Box<dyn FnOnce(Box<dyn Transport>) -> Box<dyn Transport> + Send>;

/// Collects the settings of a session, then opens it; made by [`Session::builder`].
///
/// No setter fails: [`open`](Self::open) reports everything that is wrong at once. What is not set
/// comes from the environment.
#[must_use = "nothing happens until `open` is called"]
#[derive(Default)]
pub struct SessionBuilder {
    settings: Settings,
    transport: Option<Box<dyn Transport>>,
    wrap_transport: Option<WrapTransport>,
    auto_connect_event_hub: bool,
    plugins: plugin::Settings,
    caching: CacheSettings,
}

impl Session {
    /// Starts to build a session.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// Opens a session with nothing but the environment: `FTRACK_SERVER`, `FTRACK_API_KEY` and
    /// `FTRACK_API_USER`.
    ///
    /// # Errors
    ///
    /// - Any error of [`SessionBuilder::open`].
    pub fn from_env() -> Result<Self> {
        Self::builder().open()
    }
}

/// Who connects to which server.
impl SessionBuilder {
    /// The server, such as `https://studio.ftrackapp.com`; else `FTRACK_SERVER`.
    pub fn server_url(mut self, url: impl Into<String>) -> Self {
        self.settings.server_url = Some(url.into());
        self
    }

    /// The API key; else `FTRACK_API_KEY`, else `FTRACK_APIKEY`.
    pub fn api_key(mut self, key: impl Into<ApiKey>) -> Self {
        self.settings.api_key = Some(key.into());
        self
    }

    /// The user to act as; else `FTRACK_API_USER`, else the user who is logged in. White space
    /// around it does not count.
    pub fn api_user(mut self, user: impl Into<String>) -> Self {
        self.settings.api_user = Some(user.into());
        self
    }

    /// Adds a header to every request to the server.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into().to_lowercase();
        self.settings.headers.push((name, value.into()));
        self
    }

    /// Adds a cookie to every request to the server.
    pub fn cookie(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.cookies.push((name.into(), value.into()));
        self
    }
}

/// How requests are sent.
impl SessionBuilder {
    /// How long a request may take until its response is decoded; 60 seconds unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Proxies, certificates and the limits of connections, for requests and for the event hub. What
    /// is not set in it comes from the environment.
    pub fn network(mut self, network: Network) -> Self {
        self.settings.network = network;
        self
    }

    /// When failed requests are sent again; [`Retry::new`] unless set.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.settings.retry = retry;
        self
    }

    /// Whether the server gives failures an HTTP status of their own. Errors are the same either
    /// way.
    pub fn strict_api(mut self, strict: bool) -> Self {
        self.settings.strict_api = strict;
        self
    }

    /// Sets the number of connections of a transfer; 1 by default. See
    /// [`TransferOptions::connections`](crate::location::TransferOptions::connections).
    pub fn transfer_connections(mut self, connections: usize) -> Self {
        self.settings.transfer_connections = connections;
        self
    }

    /// Whether the session refuses to change anything: an attempt is an error of kind
    /// [`ReadOnly`](crate::ErrorKind::ReadOnly), and nothing is sent. Raw actions are refused
    /// as well unless they are known to read only; events can be published.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.settings.read_only = read_only;
        self
    }

    /// Whether the session works without a connection, with the cached schema of an earlier session: to read
    /// cached entities and to record operations. Everything that needs the server fails with
    /// [`ErrorKind::Connection`](crate::ErrorKind::Connection). Of the server's information only the
    /// schema's hash is known.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// # let folder = tempfile::tempdir()?;
    /// use ftrack_api::{Session, config::SchemaCache, data};
    ///
    /// let builder = || Session::builder().server_url(url).api_key(key).api_user(user)
    ///     .schema_cache(SchemaCache::Dir(folder.path().into()));
    /// builder().open()?;
    ///
    /// let session = builder().offline(true).open()?;
    /// session.create("Task", data! { "name": "lighting" })?;
    /// assert_eq!(session.recorded_operations().len(), 1);
    /// assert!(session.commit().is_err());
    /// assert_eq!(session.recorded_operations().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn offline(mut self, offline: bool) -> Self {
        self.settings.offline = offline;
        self
    }

    /// Sends requests through `transport` instead of HTTP.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Sends requests through what `wrap` returns for the transport, which is HTTP unless another one
    /// was set: to record traffic, to count it, to refuse some of it.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    /// use ftrack_api::{Session, transport::{Request, Response, Transport}};
    ///
    /// struct Counting(Box<dyn Transport>, Arc<AtomicUsize>);
    ///
    /// impl Transport for Counting {
    ///     fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
    ///         self.1.fetch_add(request.body.len(), Ordering::Relaxed);
    ///         self.0.send(request)
    ///     }
    ///     fn close(&self) {
    ///         self.0.close();
    ///     }
    /// }
    ///
    /// let bytes = Arc::new(AtomicUsize::new(0));
    /// let counter = bytes.clone();
    /// let session = Session::builder()
    ///     .server_url(url).api_key(key).api_user(user)
    ///     .wrap_transport(|http| Counting(http, counter))
    ///     .open()?;
    /// let before = bytes.load(Ordering::Relaxed);
    /// session.query("Task")?.first()?;
    /// assert!(bytes.load(Ordering::Relaxed) > before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wrap_transport<T: Transport>(
        mut self,
        wrap: impl FnOnce(Box<dyn Transport>) -> T + Send + 'static,
    ) -> Self {
        self.wrap_transport = Some(Box::new(|inner| Box::new(wrap(inner))));
        self
    }
}

/// What is loaded and remembered.
impl SessionBuilder {
    /// What happens when an attribute is read that is not loaded.
    pub fn populate(mut self, populate: Populate) -> Self {
        self.settings.populate = populate;
        self
    }

    /// Where the schema is cached between sessions.
    pub fn schema_cache(mut self, cache: SchemaCache) -> Self {
        self.settings.schema_cache = cache;
        self
    }

    /// Limits memory to this number of entities. The least recently used are evicted when a
    /// response arrives, unless they are part of it, have a live handle or are needed for
    /// uncommitted changes.
    pub fn memory_limit(mut self, entities: usize) -> Self {
        self.caching.memory_limit = Some(entities);
        self
    }

    /// Sets the backing cache: the session looks in it before it asks the server, and writes to it
    /// what the server sends.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// use std::sync::Arc;
    /// use ftrack_api::Session;
    /// use ftrack_api::cache::MemoryCache;
    ///
    /// let cache: Arc<MemoryCache> = Arc::default();
    /// let builder = || Session::builder().server_url(url).api_key(key).api_user(user);
    /// let task = builder().cache(cache.clone()).open()?.query("Task")?.first()?.expect("a task");
    ///
    /// let session = builder().cache(cache).open()?;
    /// session.with_request_budget(0, || session.get("Task", task.id()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache(self, cache: impl Cache) -> Self {
        self.cache_maker(|_| Ok(Some(Arc::new(cache))))
    }

    /// Sets a function that makes the [backing cache](Self::cache) once the session is open; `None`
    /// means no cache. An error is logged, and the session has no backing cache then.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// use std::sync::Arc;
    /// use ftrack_api::Session;
    /// use ftrack_api::cache::MemoryCache;
    ///
    /// let session = Session::builder().server_url(url).api_key(key).api_user(user)
    ///     .cache_maker(|session| match session.api_user() {
    ///         "render" => Ok(None),
    ///         _ => Ok(Some(Arc::new(MemoryCache::new()))),
    ///     })
    ///     .open()?;
    /// assert_eq!(session.cache().statistics().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cache_maker(
        mut self,
        make: impl FnOnce(&Session) -> anyhow::Result<Option<Arc<dyn Cache>>> + Send + 'static,
    ) -> Self {
        self.caching.maker = Some(Box::new(make));
        self
    }

    /// Sets how the keys of the backing cache are made from these items: the server's URL, the hash
    /// of its schema, the user, the entity type and the values of the entity's key. A
    /// [`StringKeyMaker`](crate::cache::python::StringKeyMaker) unless set.
    pub fn cache_key_maker(mut self, key_maker: impl KeyMaker) -> Self {
        self.caching.key_maker = Some(Box::new(key_maker));
        self
    }

    /// Ignores values in the backing cache that are older than this, whatever its own time to live.
    /// The age counts from the server's response, in whole seconds, by the clocks of the machines
    /// that share the cache. Values in the session's memory do not age; see [`Session::refresh`].
    pub fn cache_max_age(mut self, age: Duration) -> Self {
        self.caching.max_age = Some(age);
        self
    }

    /// Whether all users share the entries of the backing cache; off unless set. Only for users who
    /// may all see the same: one user's session returns what the server sent to another user.
    pub fn cache_for_all_users(mut self, shared: bool) -> Self {
        self.caching.is_shared = shared;
        self
    }
}

/// Plugins and events.
impl SessionBuilder {
    /// Whether the event hub connects, in the background, as soon as the session is open. What is
    /// published meanwhile is sent in order.
    pub fn auto_connect_event_hub(mut self, connect: bool) -> Self {
        self.auto_connect_event_hub = connect;
        self
    }

    /// Adds a plugin. Those in code register before those on the plugin paths, in the order in
    /// which they were added.
    pub fn plugin(mut self, plugin: impl Plugin) -> Self {
        self.plugins.plugins.push(Box::new(plugin));
        self
    }

    /// The folders that are searched for plugins; else those in `FTRACK_EVENT_PLUGIN_PATH`. With
    /// no folders, no plugins are loaded. An empty path is ignored.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let builder = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user());
    /// let session = builder.plugin_paths(["/studio/ftrack/plugins"]).open()?;
    /// for plugin in session.plugins() {
    ///     println!("{plugin}: {:?}", plugin.state);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn plugin_paths<T: Into<PathBuf>>(mut self, paths: impl IntoIterator<Item = T>) -> Self {
        self.plugins.paths = Some(paths.into_iter().map(Into::into).collect());
        self
    }

    /// The arguments that every plugin receives when it registers: an object, of which each plugin
    /// reads what it knows. An argument that no plugin knows is logged as a warning when the session
    /// opens. Anything but an object is an error of [`open`](Self::open).
    pub fn plugin_arguments(mut self, arguments: impl Into<Json>) -> Self {
        match arguments.into() {
            Json::Object(arguments) => self.plugins.arguments = arguments,
            Json::Null => self.plugins.arguments = Map::new(),
            _ => {
                let problem = "the plugin arguments are not a JSON object";
                self.settings.problems.add(problem);
            }
        }
        self
    }
}

impl SessionBuilder {
    /// Opens the session: asks the server for its information, which checks the credentials, and
    /// loads the schema.
    ///
    /// That takes one request with a warm schema cache, else one or two.
    ///
    /// # Errors
    ///
    /// No session is opened:
    /// - [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if settings are missing or
    ///   unusable: the message names all of them.
    /// - [`ErrorKind::Authentication`](crate::ErrorKind::Authentication) if the server refuses the
    ///   key or the user.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the server is older than
    ///   3.3.11.
    /// - [`ErrorKind::Connection`](crate::ErrorKind::Connection),
    ///   [`ErrorKind::Timeout`](crate::ErrorKind::Timeout),
    ///   [`ErrorKind::Tls`](crate::ErrorKind::Tls) if it cannot be reached.
    /// - [`ErrorKind::BadResponse`](crate::ErrorKind::BadResponse) if it is not an ftrack server.
    pub fn open(mut self) -> Result<Session> {
        let config = Config::resolve(self.settings, &config::variable)?;
        let dialer = Dialer::new(config.network.clone());
        let transport = self
            .transport
            .unwrap_or_else(|| Box::new(Http::new(dialer.clone())));
        let transport = match self.wrap_transport {
            Some(wrap) => wrap(transport),
            None => transport,
        };
        let (auto_connect, caching) = (self.auto_connect_event_hub, self.caching);
        let mut api = Api::new(config, transport);
        let (server_information, mut schema) =
            introduce(&api).map_err(|error| api.checked(error))?;
        if let Some(name) = server_information.username() {
            api.set_user(name);
        }
        let event_hub = hub_for(api.config(), dialer);
        let api = Arc::new(api);
        let weak = WeakSession::default();
        let host = plugin::Host {
            hub: &event_hub,
            session: weak.clone(),
            server_url: api.config().base_url(),
            api_user: &api.config().api_user,
            redactor: api.config().redactor(),
        };
        let paths = match self.plugins.paths.take() {
            Some(paths) => paths,
            None => config::plugin_paths(),
        };
        let mut plugins = Plugins::register(&self.plugins, &paths, &host);
        plugins.change_types(&event_hub, &mut schema);
        let schema = Arc::new(schema);
        let shared = Shared {
            store: Mutex::new(Store::new(schema.clone())),
            backing: std::sync::OnceLock::new(),
            memory_counters: Counters::default(),
            event_hub,
            user: std::sync::OnceLock::new(),
            custom_attributes: Mutex::new(None),
            locations: Bindings::default(),
            committers: Calls::default(),
            plugins: plugins.found,
            api,
            schema,
            server_information,
        };
        log::debug!("session open: {:?}", shared.server_information);
        let session = Session {
            shared: Arc::new(shared),
        };
        weak.fill(&session);
        caching.apply(&session);
        session.configure_locations()?;
        if auto_connect && !session.shared.api.config().offline {
            session.event_hub().connect_in_background()?;
        }
        session.announce(plugin::READY);
        Ok(session)
    }

    /// The settings, and the transport if one was set.
    pub(crate) fn into_parts(self) -> (Settings, Option<Box<dyn Transport>>) {
        (self.settings, self.transport)
    }
}

// The API key is left out.
debug_fields!(SessionBuilder, |this|
    server_url: this.settings.server_url.is_some(),
    api_user: this.settings.api_user.as_deref().map(config::shown_user),
);
