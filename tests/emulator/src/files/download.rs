//! Downloads: whole files, thumbnails, and their removal.

use std::sync::LazyLock;
use std::time::SystemTime;

use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use tower_http::services::ServeFile;

use crate::error::Fault;
use crate::files::store::Blob;
use crate::files::{Context, Files, missing, refusal, storage, thumbnail};

/// Where signed downloads are; the name of the blob follows.
pub(super) const PATH: &str = "/component/signed/";
/// JavaScript's own default.
const THUMBNAIL_SIZE: u32 = 300;

/// What a client asks for, and as whom. Every part comes in the query.
#[derive(Deserialize)]
pub(super) struct Wanted {
    id: Option<String>,
    username: Option<String>,
    #[serde(rename = "apiKey")]
    api_key: Option<String>,
    size: Option<String>,
}

impl Files {
    /// The action `generate_signed_url`: a URL for a component's data that works without
    /// credentials for a while. What a site takes here is not known; `component_id` is what
    /// the other actions take [?].
    ///
    /// # Errors
    ///
    /// `ValidationError` without a component id, `NotFoundError` without data.
    pub fn generate_signed_url(
        &self,
        request: &serde_json::Value,
        base: &str,
    ) -> Result<serde_json::Value, Fault> {
        let id = request["component_id"].as_str();
        let id =
            id.ok_or_else(|| Fault::validation("generate_signed_url needs a component_id."))?;
        let blob = Blob::of(id);
        if self.inner.store.size(&blob).is_none() {
            return Err(nothing_stored(id));
        }
        let path = format!("{PATH}{}", blob.name());
        let (now, lifetime) = (SystemTime::now(), self.inner.settings.url_lifetime);
        let signed = self.inner.signer.sign("GET", &path, "", now, lifetime);
        let url = format!("{}{signed}", base.trim_end_matches('/'));
        Ok(serde_json::json!({"signed_url": url}))
    }
}

impl Context {
    /// Checks the credentials and returns the id that is wanted.
    async fn admit(&self, wanted: &Wanted, write: bool) -> Result<String, Fault> {
        let (Some(user), Some(key)) = (wanted.username.clone(), wanted.api_key.clone()) else {
            return Err(Fault::credentials());
        };
        let credentials = self.credentials.clone();
        let may = move || {
            // Python puts names into URLs unescaped, where a plus means a blank.
            let raw = user.replace(' ', "+");
            let mut names = [user, raw].into_iter();
            let known = names.find(|user| credentials.authenticate(user, &key))?;
            Some(!write || credentials.may_write(&known, &key))
        };
        match spawn_blocking(may).await.unwrap_or_default() {
            Some(true) => {}
            Some(false) => return Err(Fault::permission("This API key may only read.")),
            None => return Err(Fault::credentials()),
        }
        let id = wanted.id.clone().filter(|id| !id.is_empty());
        id.ok_or_else(|| Fault::validation("The query needs the id of a component."))
    }
}

/// `GET /component/get`.
pub(super) async fn get(
    State(context): State<Context>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Response {
    let found = async {
        let id = context.admit(&wanted, false).await?;
        let response = send(&context.files, &Blob::of(&id), request).await;
        response.ok_or_else(|| nothing_stored(&id))
    };
    found.await.unwrap_or_else(|fault| refusal(&fault))
}

/// `GET` on a URL of [`Files::generate_signed_url`].
pub(super) async fn signed(
    State(context): State<Context>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let (path, query) = (format!("{PATH}{name}"), query.unwrap_or_default());
    let signer = &context.files.inner.signer;
    if let Err(reason) = signer.verify("GET", &path, &query, SystemTime::now()) {
        return refusal(&Fault::permission(reason));
    }
    let sent = match Blob::parse(&name) {
        Some(blob) => send(&context.files, &blob, request).await,
        None => None,
    };
    sent.unwrap_or_else(|| refusal(&missing("The data of this component has been removed.")))
}

/// `GET /component/thumbnail`.
///
/// 404 for data that is no image: what a site shows then is not known [?], and clients fall
/// back on a picture of their own.
pub(super) async fn thumbnail(
    State(context): State<Context>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let made = async {
        let id = context.admit(&wanted, false).await?;
        let size = size(&wanted)?;
        let broken = |_| missing("The image cannot be read.");
        spawn_blocking(move || shrink(&context.files, &id, size))
            .await
            .map_err(broken)?
    };
    match made.await {
        Ok((data, kind)) => ([(header::CONTENT_TYPE, kind)], data).into_response(),
        Err(fault) => refusal(&fault),
    }
}

/// `GET /component/remove`: removes the data only. The client deletes the ComponentLocation.
pub(super) async fn remove(
    State(context): State<Context>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let removed = async {
        let id = context.admit(&wanted, true).await?;
        context.files.remove(&id).map_err(|error| storage(&error))
    };
    match removed.await {
        Ok(()) => ([(header::CONTENT_TYPE, "application/json")], "true").into_response(),
        Err(fault) => refusal(&fault),
    }
}

/// `GET /img/thumbnail2.png`: what JavaScript shows for things without a thumbnail.
pub(super) async fn default_thumbnail() -> Response {
    static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(thumbnail::placeholder);
    ([(header::CONTENT_TYPE, "image/png")], PICTURE.as_slice()).into_response()
}

/// Streams a file, with ranges; `None` if there is none.
async fn send(files: &Files, blob: &Blob, request: Request) -> Option<Response> {
    files.inner.store.size(blob)?;
    let mut file = ServeFile::new(files.inner.store.path(blob));
    let response = file.try_call(request).await.ok()?;
    // It may have been removed since.
    (response.status() != StatusCode::NOT_FOUND).then(|| response.into_response())
}

fn size(wanted: &Wanted) -> Result<u32, Fault> {
    let text = wanted.size.as_deref().filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Ok(THUMBNAIL_SIZE);
    };
    let most = thumbnail::MAX_SIZE;
    let size = text.parse().ok().filter(|size| (1..=most).contains(size));
    let message = || format!("The size is a number of pixels from 1 to {most}.");
    size.ok_or_else(|| Fault::validation(message()))
}

fn shrink(files: &Files, id: &str, size: u32) -> Result<(Vec<u8>, &'static str), Fault> {
    let data = files.inner.store.read(&Blob::of(id));
    let data = data.map_err(|_| nothing_stored(id))?;
    thumbnail::shrink(&data, size)
        .map_err(|why| missing(format!("Component {id} is no image: {why}.")))
}

fn nothing_stored(id: &str) -> Fault {
    missing(format!("Nothing is stored for component {id}."))
}
