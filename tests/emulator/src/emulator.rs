//! Starting and stopping an emulator inside of a program.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::database::model::Model;
use crate::database::{Database, Place};
use crate::events::Hub;
use crate::faults::Faults;
use crate::files::{self, Files};
use crate::line::{Connection, Lines};
use crate::schema::Schema;
use crate::schema::compact::Edition;
use crate::site::{Parts, Site};
use crate::{seed, server, studio};

/// A running emulator. It stops when it is dropped: its threads end and its port is free.
///
/// ```no_run
/// let emulator = ftrack_emulator::Emulator::start()?;
/// println!("{} {} {}", emulator.url(), emulator.api_user(), emulator.api_key());
/// # anyhow::Ok(())
/// ```
pub struct Emulator {
    site: Arc<Site>,
    api_user: String,
    api_key: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    // Removed last, when nothing uses its files any more.
    _folder: Option<tempfile::TempDir>,
}

/// How an emulator is started.
#[derive(Clone)]
pub struct Builder {
    port: u16,
    data: Option<PathBuf>,
    tasks: usize,
    latency: Duration,
    schemas: Option<Value>,
    edition: Option<Edition>,
    api_user: String,
    api_key: Option<String>,
    server_version: String,
    read_only_key: Option<String>,
    global_key: Option<String>,
    seed: Option<Value>,
    faults: bool,
    enforce_workflows: bool,
    log: bool,
}

impl Emulator {
    /// Starts an emulator with the demo studio on any free port.
    ///
    /// # Errors
    ///
    /// If no port is free or a thread cannot be started.
    pub fn start() -> anyhow::Result<Self> {
        Self::builder().start()
    }

    /// What can be chosen before the start.
    pub fn builder() -> Builder {
        Builder {
            port: 0,
            data: None,
            tasks: 1000,
            latency: Duration::ZERO,
            schemas: None,
            edition: None,
            api_user: "jenkins".to_owned(),
            api_key: None,
            server_version: "dev".to_owned(),
            read_only_key: None,
            global_key: None,
            seed: None,
            faults: false,
            enforce_workflows: false,
            log: false,
        }
    }

    /// The address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.site.url
    }

    /// The user to connect as.
    pub fn api_user(&self) -> &str {
        &self.api_user
    }

    /// That user's key.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// How many `POST /api` were served so far.
    pub fn requests(&self) -> u64 {
        self.site.requests()
    }

    /// The event server, to publish through or to switch faults on.
    pub fn events(&self) -> &Hub {
        &self.site.events
    }

    /// What goes wrong with the next requests. Works without [`Builder::faults`], which is about
    /// the HTTP endpoint.
    pub fn faults(&self) -> &Faults {
        &self.site.faults
    }

    /// What the parts of the emulator share.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator")
            .field("url", &self.site.url)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("port", &self.port)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Builder {
    /// The port; 0 means any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// A folder in which everything is kept until the next start. Without one nothing is kept.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// About how many tasks the demo studio has. A folder that holds data keeps its own.
    #[must_use]
    pub fn tasks(mut self, tasks: usize) -> Self {
        self.tasks = tasks;
        self
    }

    /// How long every response is delayed.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Another site's schemas, as `query_schemas` returns them.
    #[must_use]
    pub fn schemas(mut self, schemas: Value) -> Self {
        self.schemas = Some(schemas);
        self
    }

    /// One of the built-in schemas; without a choice the one of the server's version.
    #[must_use]
    pub fn edition(mut self, edition: Edition) -> Self {
        self.edition = Some(edition);
        self
    }

    /// The user to connect as; made if the studio has no such user.
    #[must_use]
    pub fn api_user(mut self, user: impl Into<String>) -> Self {
        self.api_user = user.into();
        self
    }

    /// That user's key; without one a random key is made.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The version that the server says it has: `dev`, or three numbers. It chooses the built-in
    /// schema: the classic one below 4.0.0.
    #[must_use]
    pub fn server_version(mut self, version: impl Into<String>) -> Self {
        self.server_version = version.into();
        self
    }

    /// A second key of that user, with which it can only read.
    #[must_use]
    pub fn read_only_key(mut self, key: impl Into<String>) -> Self {
        self.read_only_key = Some(key.into());
        self
    }

    /// A key that belongs to nobody: with it one acts as any active user.
    #[must_use]
    pub fn global_key(mut self, key: impl Into<String>) -> Self {
        self.global_key = Some(key.into());
        self
    }

    /// A studio to add to the demo studio; [`crate::seed`] tells the form. A folder takes each
    /// seed once.
    #[must_use]
    pub fn seed(mut self, seed: Value) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether `/emulator/faults` lets everybody on this machine queue faults.
    #[must_use]
    pub fn faults(mut self, on: bool) -> Self {
        self.faults = on;
        self
    }

    /// Whether statuses and types that the schema of a project does not allow are refused. Servers
    /// are assumed to accept them.
    #[must_use]
    pub fn enforce_workflows(mut self, on: bool) -> Self {
        self.enforce_workflows = on;
        self
    }

    /// Whether each request is printed to stderr with its time.
    #[must_use]
    pub fn log(mut self, on: bool) -> Self {
        self.log = on;
        self
    }

    /// Starts the emulator. It accepts connections when this returns.
    ///
    /// # Errors
    ///
    /// If the port is taken, the folder cannot be used, the schemas or the seed cannot be read,
    /// or both keys are the same.
    pub fn start(self) -> anyhow::Result<Emulator> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let listener = TcpListener::bind(address)
            .with_context(|| format!("{address} cannot be listened on"))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let (folder, temporary) = match &self.data {
            Some(data) => (data.clone(), None),
            None => {
                let temporary = tempfile::tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let files = Files::new(Some(&folder.join("files")), files::Settings::default())
            .with_context(|| format!("files cannot be kept in {}", folder.display()))?;
        let edition = self
            .edition
            .unwrap_or_else(|| Edition::of_version(&self.server_version));
        let schema = self.schemas.unwrap_or_else(|| edition.wire());
        let model = Arc::new(Model::complete(Schema::from_json(schema)?));
        let tasks = self.tasks;
        let place = Place {
            folder: &folder,
            is_kept: self.data.is_some(),
        };
        let database = Database::open(model, place, |cast, emit| {
            studio::rows(tasks, cast, emit);
        })?;
        let api_key = self
            .api_key
            .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let read_only = self.read_only_key.as_ref();
        if read_only == Some(&api_key)
            || read_only.is_some() && read_only == self.global_key.as_ref()
        {
            anyhow::bail!("the key that can only read must differ from the others");
        }
        if self.global_key.as_ref().is_some_and(String::is_empty) {
            anyhow::bail!("the global key must not be empty");
        }
        let site = Site::new(Parts {
            database,
            folder,
            files,
            url,
            version: self.server_version,
            latency: self.latency,
            api_user: self.api_user.clone(),
            api_key: api_key.clone(),
            read_only_key: self.read_only_key,
            global_key: self.global_key,
            offers_faults: self.faults,
            enforces_workflows: self.enforce_workflows,
            is_logged: self.log,
        })?;
        if let Some(seed) = self.seed {
            seed::plant(&site, &seed)?;
        }
        let (stop, stopped) = oneshot::channel();
        let thread = serve(Arc::clone(&site), listener, stopped)?;
        Ok(Emulator {
            site,
            api_user: self.api_user,
            api_key,
            stop: Some(stop),
            thread: Some(thread),
            _folder: temporary,
        })
    }
}

/// Serves on threads of its own until `stopped`. Open connections are closed then, not waited for.
fn serve(
    site: Arc<Site>,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("ftrack-emulator")
        .enable_all()
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let thread = std::thread::Builder::new().name("ftrack-emulator".to_owned());
    Ok(thread.spawn(move || {
        runtime.block_on(async move {
            let router = server::router(site).into_make_service_with_connect_info::<Connection>();
            let serving = async { axum::serve(Lines(listener), router).await };
            tokio::select! {
                _ = serving => {}
                _ = stopped => {}
            }
        });
        // A request that is being worked on finishes its transaction.
        runtime.shutdown_timeout(Duration::from_secs(5));
    })?)
}
