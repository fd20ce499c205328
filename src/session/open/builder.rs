//! Opening a session.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::api::Api;
use crate::cache::MemoryCounters;
use crate::cache::schema as schema_cache;
use crate::calls::Calls;
use crate::config::{self, ApiKey, Config, Populate, SchemaCache, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Session, Shared, WeakSession};
use crate::location::Locations;
use crate::lock::Mutex;
use crate::plugin::{self, Plugins};
use crate::schema::Schema;
use crate::store::Store;
use crate::transport::{Dialer, Http, Transport};

use super::ServerInformation;
use super::events::hub_for;
use crate::session::memory::CacheSettings;

type WrapTransport = Box<dyn FnOnce(Box<dyn Transport>) -> Box<dyn Transport> + Send>;

/// Collects what a session needs, then opens it; made by [`Session::builder`].
#[must_use = "nothing happens until `open` is called"]
#[derive(Default)]
pub struct SessionBuilder {
    pub(crate) settings: Settings,
    transport: Option<Box<dyn Transport>>,
    wrap_transport: Option<WrapTransport>,
    auto_connect_event_hub: bool,
    pub(crate) plugins: plugin::Settings,
    pub(crate) caching: CacheSettings,
}

impl Session {
    /// Starts to build a session. What is not given comes from the environment.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// Opens a session with nothing but the environment: `FTRACK_SERVER`, `FTRACK_API_KEY` and
    /// `FTRACK_API_USER`.
    ///
    /// # Errors
    ///
    /// As for [`SessionBuilder::open`].
    pub fn from_env() -> Result<Self> {
        Self::builder().open()
    }
}

impl SessionBuilder {
    /// The server, such as `https://studio.ftrackapp.com`; else `FTRACK_SERVER`.
    pub fn server_url(mut self, url: impl Into<String>) -> Self {
        self.settings.server_url = Some(url.into());
        self
    }

    /// The API key; else `FTRACK_API_KEY`, else `FTRACK_APIKEY`.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.settings.api_key = Some(ApiKey::new(key));
        self
    }

    /// The user name to act as; else `FTRACK_API_USER`, else the name of the login.
    pub fn api_user(mut self, user: impl Into<String>) -> Self {
        self.settings.api_user = Some(user.into());
        self
    }

    /// What happens when an attribute is read that is not loaded.
    pub fn populate(mut self, populate: Populate) -> Self {
        self.settings.populate = populate;
        self
    }

    /// Where the schema is kept between sessions.
    pub fn schema_cache(mut self, cache: SchemaCache) -> Self {
        self.settings.schema_cache = cache;
        self
    }

    /// How long the server may take for one answer; 60 seconds unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
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

    /// Whether the server answers failures with an HTTP status of their own. Errors are the same
    /// either way.
    pub fn strict_api(mut self, strict: bool) -> Self {
        self.settings.strict_api = strict;
        self
    }

    /// Whether the event hub connects, in the background, as soon as the session is open. What is
    /// published meanwhile is sent in order.
    pub fn auto_connect_event_hub(mut self, connect: bool) -> Self {
        self.auto_connect_event_hub = connect;
        self
    }

    /// Sends requests through `transport` instead of HTTP.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Sends requests through what `wrap` makes of the transport, HTTP unless another one was
    /// given: to record traffic, to count it, to refuse some of it.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
    /// use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
    /// use ftrack_api::{Request, Response, Session, Transport};
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

    /// Asks the server who it is, checks the credentials by that, and loads the schema.
    ///
    /// One request with a warm schema cache; when the cache is cold, the schema comes in the
    /// same or in a second one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for what is missing or unusable;
    /// [`ErrorKind::Authentication`] for a key or user that the server refuses;
    /// [`ErrorKind::Unsupported`] for servers older than 3.3.11;
    /// [`ErrorKind::Connection`], [`ErrorKind::Timeout`] and [`ErrorKind::Tls`] if the server
    /// cannot be reached; [`ErrorKind::BadResponse`] if something else answers.
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
        let event_hub = hub_for(&config, dialer);
        let (auto_connect, caching) = (self.auto_connect_event_hub, self.caching);
        let api = Arc::new(Api::new(config, transport));
        let (server_information, mut schema) = introduce(&api)?;
        let weak = WeakSession::default();
        let host = plugin::Host {
            hub: &event_hub,
            session: weak.clone(),
            server_url: api.config().base_url(),
            api_user: &api.config().api_user,
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
            memory_counters: MemoryCounters::default(),
            event_hub,
            configurations: Mutex::new(None),
            locations: Locations::default(),
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
}

impl SessionBuilder {
    /// What was collected, and the transport if there is one.
    pub(crate) fn into_parts(self) -> (Settings, Option<Box<dyn Transport>>) {
        (self.settings, self.transport)
    }
}

/// The first exchange with a server.
fn introduce(api: &Api) -> Result<(ServerInformation, Schema)> {
    let file = schema_cache::file_for(api.config());
    if api.config().offline {
        return introduce_offline(file.as_deref());
    }
    let ask_both = !file.as_ref().is_some_and(|file| file.exists());
    let mut actions = vec![json!({"action": "query_server_information"})];
    if ask_both {
        actions.push(json!({"action": "query_schemas"}));
    }
    let mut replies = api.call(&actions)?.into_iter();
    let information = ServerInformation::new(replies.next().unwrap_or_default())?;
    information.check_version()?;
    let hash = information.schema_hash();
    let cached = match (&file, hash, ask_both) {
        (Some(file), Some(hash), false) => schema_cache::read(file, hash),
        _ => None,
    };
    if let Some(schema) = cached {
        return Ok((information, schema));
    }
    let schemas = match replies.next() {
        Some(schemas) => schemas,
        None => fetch_schemas(api)?,
    };
    let (schema, text) = schema_cache::from_server(schemas)?;
    if let Some(file) = &file {
        schema_cache::write(file, &text);
    }
    Ok((information, schema))
}

/// What is known of a server that is not asked: its schema.
fn introduce_offline(file: Option<&Path>) -> Result<(ServerInformation, Schema)> {
    let schema = schema_cache::read_offline(file)?;
    let information = json!({"schema_hash": schema.hash()});
    Ok((ServerInformation::new(information)?, schema))
}

fn fetch_schemas(api: &Api) -> Result<Json> {
    let mut replies = api.call(&[json!({"action": "query_schemas"})])?;
    replies
        .pop()
        .ok_or_else(|| Error::new(ErrorKind::BadResponse, "the server gave no schema"))
}

/// The API key is left out.
impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("server_url", &self.settings.server_url.is_some())
            .field("api_user", &self.settings.api_user)
            .finish_non_exhaustive()
    }
}
