//! The blocking Rust SDK for ftrack, the production tracker of film, television and games.
//!
//! It does what the official Python client does, under the same names and with the same query
//! strings, in fewer requests. It needs no async runtime, and starts threads only for what says so:
//! a connected event hub, transfers on several connections, live views.
//!
//! ```
//! # let server = ftrack_emulator::Emulator::start()?;
//! # let (url, key, user) = (server.url(), server.api_key(), server.api_user());
//! use ftrack_api::{Session, expr};
//!
//! // With FTRACK_SERVER, FTRACK_API_KEY and FTRACK_API_USER set: `Session::from_env()?`
//! let session = Session::builder().server_url(url).api_key(key).api_user(user).open()?;
//! for task in session.query(expr!("Task where project.name is {} limit 3", "test"))? {
//!     let task = task?;
//!     println!("{}: {}", task.get::<String>("name")?, task.get::<String>("status.name")?);
//!     task.set("bid", 8 * 3600)?;
//! }
//! session.commit()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! That costs one request for the tasks, one for all their statuses, and one to commit; a result of
//! more than 500 rows comes in several pages. If the commit fails, every change stays recorded for
//! the next try.
//!
//! # Where to begin
//!
//! [`Session`] opens, queries, creates and commits; [`Entity`] reads and writes; [`Error`] says what
//! went wrong and what to do. The chapters of the documentation are in the modules of their subjects:
//!
//! | chapter | what it explains |
//! |---|---|
//! | [`session`] | opening a session, what it remembers, changing things, closing it |
//! | [`query`] | the query language, and how values get into it |
//! | [`_cookbook`] | recipes of a few lines |
//! | [`studio`] | a studio's daily jobs: hierarchies, publishing, waiting, live views, undoing |
//! | [`location`] | components, and where their data is |
//! | [`event`] | the event hub, and actions of ftrack's menu |
//! | `relay` | events that are kept, and shared among workers |
//! | [`plugin`] | extending sessions |
//! | [`cache`] | caches, how fresh they are, opening offline |
//! | [`_errors`] | what to do about errors; logging, cancelling, recording, async programs |
//!
//! # Features
//!
//! - `file-cache`: [`cache`]s and `relay` streams in files
//! - `redis`: [`cache`]s and `relay` streams in Redis or Valkey
//! - `s3`: S3-compatible storage as a [`location`]
//! - `cli`: the program `ftrack`

/// Implements `Debug` with some facts about a type: its other fields are large, secret or functions.
macro_rules! debug_fields {
    (
        $(<$($parameter:ident),*>)? $name:ident $(<$($argument:tt),*>)?
        $(, |$this:ident| $($field:ident: $value:expr),* $(,)?)?
    ) => {
        impl $(<$($parameter),*>)? std::fmt::Debug for $name $(<$($argument),*>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $(let $this = self;)?
                f.debug_struct(stringify!($name))
                    $($(.field(stringify!($field), &$value))*)?
                    .finish_non_exhaustive()
            }
        }
    };
}

pub mod accessor;
pub mod action;
mod api;
pub mod cache;
mod calls;
pub mod codegen;
pub mod config;
pub mod doctor;
pub mod entity;
mod error;
pub mod event;
mod files;
mod handle;
pub mod hub;
pub mod location;
mod lock;
pub mod operation;
pub mod plugin;
pub mod query;
#[cfg(any(feature = "file-cache", feature = "redis"))]
pub mod relay;
pub mod schema;
pub mod sequence;
pub mod session;
mod socketio;
mod store;
pub mod structure;
pub mod studio;
pub mod table;
pub mod transport;
mod value;
mod wire;

/// The crates whose types stand in signatures here, in the versions that fit.
pub use {anyhow, jiff, serde_json, url, uuid};

pub use calls::CancelToken;
pub use config::ApiKey;
pub use entity::{Collection, CustomAttributes, Entities, Metadata};
pub use error::{Error, ErrorKind, Result, ServerError};
pub use event::Event;
pub use handle::{Entity, Location, Session, WeakSession};
pub use hub::EventHub;
pub use session::{Query, SessionBuilder};
/// A text that [`Entity::get`] returns without allocating, if it has fewer than 24 bytes.
pub use smol_str::SmolStr;
pub use store::EntityState;
pub use value::{Data, EntityKey, IntoKey, Paths, Value};

/// For the fuzzer in `tests/fuzz` only: packets have no other way in.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use socketio::fuzz::fuzz_socketio;

/// The README's script, compiled.
#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/README.md"))]
struct Readme;

/// Recipes; this module holds documentation only.
#[cfg(any(doc, doctest))]
#[doc = ""]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/cookbook.md"))]
pub mod _cookbook {}

/// Errors, and what to do about them; this module holds documentation only.
#[cfg(any(doc, doctest))]
#[doc = ""]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/errors.md"))]
pub mod _errors {}
