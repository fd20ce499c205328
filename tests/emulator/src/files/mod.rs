//! The data of components: upload, download, thumbnails, encoding (SERVER.md B3 and F).
//!
//! [`router`] holds the endpoints that clients call directly, [`Files`] the actions of the API
//! that go with them. Nothing here knows the database: [`encode`] asks a [`encode::Catalogue`].
//!
//! A component's data is stored under the hash of the component's id, so that no text of a
//! client ever becomes part of a path. Everything is written to a temporary file first and
//! renamed when it is complete and verified.

pub mod encode;

mod download;
mod signing;
mod store;
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
use serde_json::json;

use crate::files::signing::Signer;
use crate::files::store::Store;
use crate::files::upload::Uploads;

/// Who may read and write the data of components.
pub trait Credentials: Send + Sync {
    /// Whether the user name and the API key belong together.
    fn authenticate(&self, user: &str, key: &str) -> bool;

    /// Whether the key may change anything as well.
    fn may_write(&self, user: &str, key: &str) -> bool {
        self.authenticate(user, key)
    }
}

impl<F: Fn(&str, &str) -> bool + Send + Sync> Credentials for F {
    fn authenticate(&self, user: &str, key: &str) -> bool {
        self(user, key)
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
    credentials: Arc<dyn Credentials>,
}

impl Files {
    /// Storage under `folder`, or in a temporary folder that goes with the last clone.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or written to.
    pub fn new(
        folder: Option<&Path>,
        credentials: Arc<dyn Credentials>,
        settings: Settings,
    ) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                store: Store::open(folder)?,
                signer: Signer::random(),
                uploads: Uploads::default(),
                credentials,
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

/// The endpoints that carry component data.
pub fn router(files: Files) -> Router {
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
        .with_state(files)
}

/// Why a request about component data fails, in the API's words (SERVER.md B1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status of an endpoint. Actions are answered as the API answers errors.
    pub status: StatusCode,
    /// The kind: `ValidationError`, `InvalidCredentialsError`, `PermissionError`, `ServerError`.
    pub exception: &'static str,
    /// A sentence for a person. It holds no braces, which official clients choke on.
    pub content: String,
}

impl Failure {
    fn new(status: StatusCode, exception: &'static str, content: impl Into<String>) -> Self {
        Self {
            status,
            exception,
            content: content.into().replace(['{', '}'], "'"),
        }
    }

    fn invalid(content: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationError", content)
    }

    fn missing(content: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFoundError", content)
    }

    fn forbidden(content: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "PermissionError", content)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let content = format!("The storage failed: {error}.");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ServerError", content)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({
            "exception": self.exception,
            "content": self.content,
            "error_code": null,
        });
        let headers = [("content-type", "application/json")];
        (self.status, headers, body.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests;
