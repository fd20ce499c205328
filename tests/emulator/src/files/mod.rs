//! The data of components: upload, download, thumbnails, encoding.
//!
//! [`router`] holds the endpoints that clients call directly, [`Files`] the actions of the API
//! that go with them. Nothing here knows the database: [`encode`] asks a [`encode::Catalogue`].
//!
//! A component's data is stored under the hash of the component's id, so that no text of a
//! client ever becomes part of a path. Everything is written to a temporary file first and
//! renamed when it is complete and verified.

pub mod encode;

mod download;
mod movie;
mod signing;
mod store;
#[cfg(feature = "images")]
mod thumbnail;
#[cfg(not(feature = "images"))]
#[path = "thumbnail_without_images.rs"]
mod thumbnail;
mod upload;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};

use crate::error::Fault;
use crate::files::signing::Signer;
use crate::files::store::Store;
use crate::files::upload::Uploads;

pub use crate::files::upload::Joined;

/// Who may read and write the data of components.
pub trait Credentials: Send + Sync {
    /// Whether the user name and the API key belong together.
    fn authenticate(&self, user: &str, key: &str) -> bool;

    /// Whether the key may change anything as well.
    fn may_write(&self, user: &str, key: &str) -> bool {
        self.authenticate(user, key)
    }
}

/// Limits of the storage.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest upload, and the largest part of one, in bytes.
    pub upload_size: u64,
    /// How long a signed URL and an unfinished multi-part upload live.
    pub url_lifetime: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            upload_size: 64 << 30,
            url_lifetime: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// The storage of component data. Clones are the same storage.
#[derive(Clone)]
pub struct Files {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    store: Store,
    signer: Signer,
    uploads: Uploads,
}

impl Files {
    /// Storage under `folder`, or in a temporary folder that goes with the last clone.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or written to.
    pub fn new(folder: Option<&Path>, settings: Settings) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                store: Store::open(folder)?,
                signer: Signer::random(),
                uploads: Uploads::default(),
            }),
        })
    }

    /// The size in bytes of a component's data; `None` if nothing is stored.
    pub fn size(&self, component_id: &str) -> Option<u64> {
        self.inner.store.size(&store::Blob::of(component_id))
    }

    /// Stores data for a component, instead of what was there.
    ///
    /// # Errors
    ///
    /// The file system refuses.
    pub fn write(&self, component_id: &str, data: &[u8]) -> io::Result<()> {
        let mut file = self.inner.store.incoming()?;
        file.write_all(data)?;
        let blob = store::Blob::of(component_id);
        self.inner.store.keep(file.into_temp_path(), &blob)
    }

    /// Removes a component's data. It is no error if there is none.
    ///
    /// # Errors
    ///
    /// The file system refuses.
    pub fn remove(&self, component_id: &str) -> io::Result<()> {
        self.inner.store.remove(&store::Blob::of(component_id))
    }
}

/// What the endpoints share.
#[derive(Clone)]
struct Context {
    files: Files,
    credentials: Arc<dyn Credentials>,
}

/// The endpoints that carry component data. `credentials` may block: they are asked on a thread
/// that may.
pub fn router(files: Files, credentials: Arc<dyn Credentials>) -> Router {
    Router::new()
        .route(&format!("{}{{blob}}", upload::PATH), put(upload::put))
        .route(
            &format!("{}{{blob}}", download::PATH),
            get(download::signed),
        )
        .route("/component/get", get(download::get))
        .route("/component/thumbnail", get(download::thumbnail))
        .route("/component/remove", get(download::remove))
        .route("/img/thumbnail2.png", get(download::default_thumbnail))
        .with_state(Context { files, credentials })
}

/// There is no such data.
fn missing(content: impl Into<String>) -> Fault {
    Fault {
        exception: "NotFoundError",
        content: content.into(),
        code: None,
        status: 404,
        operation: None,
    }
}

fn storage(error: &io::Error) -> Fault {
    Fault::internal(format!("The storage failed: {error}"))
}

/// The endpoints' response to a refused request. Unlike that of the API, it always has the status
/// of the fault: clients go by nothing else here.
fn refusal(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [("content-type", "application/json")];
    (status, headers, fault.to_json().to_string()).into_response()
}

#[cfg(test)]
mod tests;
