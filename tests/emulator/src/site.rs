//! What the parts of one emulator share: the database, the users' keys, the listeners.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use md5::{Digest, Md5};
use parking_lot::{Mutex, MutexGuard, RwLock};
use rusqlite::{Connection, OptionalExtension};

use crate::actions::widget::Widgets;
use crate::changes::Commit;
use crate::database::Database;
use crate::database::model::Model;
use crate::error::{Fault, Result};
use crate::events::{self, Hub, update};
use crate::faults::Faults;
use crate::files::{Credentials, Files};
use crate::server::history::History;

/// What is called after each commit that changed something.
pub type Listener = Box<dyn Fn(&Commit) + Send + Sync>;

/// One emulator, as its parts see it. They hold it in an [`Arc`].
pub struct Site {
    /// Where everything is stored.
    pub database: Database,
    /// Where files are stored.
    pub folder: PathBuf,
    /// The data of components.
    pub files: Files,
    /// The event server.
    pub events: Hub,
    /// The address of this server, without a slash at the end.
    pub url: String,
    /// The version that `query_server_information` reports.
    pub version: String,
    /// How long every response is delayed.
    pub latency: Duration,
    /// Addresses of widgets that are valid.
    pub widgets: Widgets,
    /// What goes wrong with the next requests.
    pub faults: Faults,
    /// The latest requests.
    pub history: History,
    /// Whether `/emulator/faults` is served.
    pub offers_faults: bool,
    /// Whether statuses and types outside of the workflow are refused.
    pub enforces_workflows: bool,
    api_user: String,
    api_key: String,
    read_only_key: Option<String>,
    global_key: Option<String>,
    requests: AtomicU64,
    listeners: RwLock<Vec<Listener>>,
    publishing: Mutex<()>,
}

/// A user whose key was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id of the `User` entity.
    pub id: String,
    /// The name that was sent with the key.
    pub username: String,
    /// Whether the key may change anything.
    pub may_write: bool,
}

/// What is known of somebody who wants to connect.
struct Account {
    id: String,
    username: String,
    /// The key, if it was ever reset.
    key: Option<String>,
    is_active: bool,
}

/// What a site is made from.
pub(crate) struct Parts {
    pub(crate) database: Database,
    pub(crate) folder: PathBuf,
    pub(crate) files: Files,
    pub(crate) url: String,
    pub(crate) version: String,
    pub(crate) latency: Duration,
    pub(crate) api_user: String,
    pub(crate) api_key: String,
    pub(crate) read_only_key: Option<String>,
    pub(crate) global_key: Option<String>,
    pub(crate) offers_faults: bool,
    pub(crate) enforces_workflows: bool,
    pub(crate) is_logged: bool,
}

impl Site {
    pub(crate) fn new(parts: Parts) -> Result<Arc<Self>> {
        let site = Self {
            database: parts.database,
            folder: parts.folder,
            files: parts.files,
            events: Hub::new(events::Settings::default()),
            url: parts.url,
            version: parts.version,
            latency: parts.latency,
            widgets: Widgets::default(),
            faults: Faults::default(),
            history: History::new(parts.is_logged),
            offers_faults: parts.offers_faults,
            enforces_workflows: parts.enforces_workflows,
            api_user: parts.api_user,
            api_key: parts.api_key,
            read_only_key: parts.read_only_key,
            global_key: parts.global_key,
            requests: AtomicU64::new(0),
            listeners: RwLock::default(),
            publishing: Mutex::default(),
        };
        site.ensure_api_user()?;
        Ok(Arc::new(site))
    }

    /// The user who may use the API with this key, if the key is right. The comparison takes the
    /// same time wherever the key differs.
    pub fn authenticate(&self, username: &str, key: &str) -> Option<User> {
        let Account {
            id,
            username,
            key: stored,
            is_active,
        } = self.find_user(username)?;
        let is_api_user = username.eq_ignore_ascii_case(&self.api_user);
        let reading = self.read_only_key.as_ref().filter(|_| is_api_user);
        let may_read = reading.is_some_and(|expected| is_same(expected, key));
        let writing = stored.or_else(|| is_api_user.then(|| self.api_key.clone()));
        let global = self.global_key.as_ref().filter(|_| is_active);
        let may_write = writing.is_some_and(|expected| is_same(&expected, key))
            | global.is_some_and(|expected| is_same(expected, key));
        (may_read || may_write).then_some(User {
            id,
            username,
            may_write,
        })
    }

    /// The user to connect as, for what the emulator does on its own.
    pub(crate) fn operator(&self) -> Option<User> {
        let account = self.find_user(&self.api_user)?;
        Some(User {
            id: account.id,
            username: account.username,
            may_write: true,
        })
    }

    fn find_user(&self, username: &str) -> Option<Account> {
        let found = self.database.read(|connection| {
            let sql = "SELECT r.id, r.username, k.key, COALESCE(r.is_active, 0) FROM resource r \
                       LEFT JOIN _api_key k ON k.user_id = r.id WHERE r.username = ?1 LIMIT 1";
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Account {
                    id: row.get(0)?,
                    username: row.get(1)?,
                    key: row.get(2)?,
                    is_active: row.get(3)?,
                })
            };
            Ok(connection
                .prepare_cached(sql)?
                .query_row([username], row)
                .optional()?)
        });
        found.ok()?
    }

    /// The name of the user to connect as.
    pub fn api_user(&self) -> &str {
        &self.api_user
    }

    /// The key that this user has now: it may have been reset.
    pub(crate) fn current_key(&self) -> String {
        let stored = self.find_user(&self.api_user).and_then(|user| user.key);
        stored.unwrap_or_else(|| self.api_key.clone())
    }

    /// Gives a user a new random key, which replaces the one before.
    ///
    /// # Errors
    ///
    /// If there is no such user.
    pub fn reset_key(&self, connection: &Connection, user_id: &str) -> Result<String> {
        let find = "SELECT id FROM resource WHERE id = ?1 AND _type = 'User'";
        let id: Option<String> = connection
            .query_row(find, [user_id], |row| row.get(0))
            .optional()?;
        let id =
            id.ok_or_else(|| Fault::validation(format!("There is no user with the id {user_id}")))?;
        let key = format!(
            "{}{}",
            uuid::Uuid::new_v4().simple(),
            uuid::Uuid::new_v4().simple()
        );
        let sql = "INSERT INTO _api_key (user_id, key) VALUES (?1, ?2) \
                   ON CONFLICT (user_id) DO UPDATE SET key = excluded.key";
        connection.execute(sql, [&id, &key])?;
        Ok(key)
    }

    /// Calls `listener` after each commit that changed something, in the order of the commits.
    /// It must not change anything itself: the next commit waits for it.
    pub fn on_commit(&self, listener: Listener) {
        self.listeners.write().push(listener);
    }

    /// Waits until all earlier commits are published. Taken before the database is released, it
    /// puts events in the order of their commits.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.publishing.lock()
    }

    pub(crate) fn publish(&self, commit: &Commit) {
        // The event of a large batch is large itself.
        if self.events.subscriptions() > 0 {
            let id = uuid::Uuid::new_v4().simple().to_string();
            let event = update::event(&self.model().schema, commit, &id);
            self.events
                .publish(event)
                .expect("the event was made here, with a topic and no target");
        }
        for listener in self.listeners.read().iter() {
            listener(commit);
        }
    }

    /// Counts one `POST /api`.
    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// How many `POST /api` were served.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Where everything is stored.
    pub fn model(&self) -> &Arc<Model> {
        &self.database.model
    }

    /// The API user may be another than the studio's own.
    fn ensure_api_user(&self) -> Result<()> {
        self.database.transaction(|connection| {
            let find = "SELECT COUNT(*) FROM resource WHERE username = ?1 AND _type = 'User'";
            let count: i64 = connection.query_row(find, [&self.api_user], |row| row.get(0))?;
            if count == 0 {
                let sql = "INSERT INTO resource (id, _type, username, resource_type, is_active) \
                           VALUES (?1, 'User', ?2, 'user', 1)";
                connection.execute(
                    sql,
                    [uuid::Uuid::new_v4().to_string(), self.api_user.clone()],
                )?;
            }
            Ok(())
        })
    }
}

impl Credentials for Site {
    fn authenticate(&self, user: &str, key: &str) -> bool {
        self.authenticate(user, key).is_some()
    }

    fn may_write(&self, user: &str, key: &str) -> bool {
        self.authenticate(user, key)
            .is_some_and(|user| user.may_write)
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("url", &self.url)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Compares two texts without telling by its time where they differ: their salted hashes are
/// compared, all bytes of them.
fn is_same(left: &str, right: &str) -> bool {
    let salt = uuid::Uuid::new_v4();
    let hash = |text: &str| {
        Md5::new()
            .chain_update(salt.as_bytes())
            .chain_update(text)
            .finalize()
    };
    let (left, right) = (hash(left), hash(right));
    left.iter()
        .zip(right.iter())
        .fold(0, |all, (left, right)| all | (left ^ right))
        == 0
}
