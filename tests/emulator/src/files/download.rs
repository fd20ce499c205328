//! Downloads: whole files, thumbnails, and their removal (SERVER.md F).

use std::sync::LazyLock;
use std::time::SystemTime;

use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::task::spawn_blocking;
use tower_http::services::ServeFile;

use crate::files::store::Blob;
use crate::files::{Failure, Files, thumbnail};

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
    ) -> Result<serde_json::Value, Failure> {
        let id = request["component_id"].as_str();
        let id = id.ok_or_else(|| Failure::invalid("generate_signed_url needs a component_id."))?;
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

    /// Checks the credentials and returns the id that is wanted.
    async fn admit(&self, wanted: &Wanted, write: bool) -> Result<String, Failure> {
        let denied = |content| {
            let status = StatusCode::UNAUTHORIZED;
            Failure::new(status, "InvalidCredentialsError", content)
        };
        let (Some(user), Some(key)) = (wanted.username.clone(), wanted.api_key.clone()) else {
            return Err(denied("The query needs id, username and apiKey."));
        };
        let credentials = self.inner.credentials.clone();
        let may = move || {
            // Python puts names into URLs unescaped, where a plus means a blank.
            let raw = user.replace(' ', "+");
            let user = if credentials.authenticate(&user, &key) {
                &user
            } else {
                &raw
            };
            let known = credentials.authenticate(user, &key);
            (
                known,
                known && (!write || credentials.may_write(user, &key)),
            )
        };
        match spawn_blocking(may).await.unwrap_or_default() {
            (true, true) => {}
            (true, false) => return Err(Failure::forbidden("This API key may only read.")),
            _ => return Err(denied("The supplied API key is not valid for this user.")),
        }
        let id = wanted.id.clone().filter(|id| !id.is_empty());
        id.ok_or_else(|| Failure::invalid("The query needs the id of a component."))
    }
}

/// `GET /component/get`.
pub(super) async fn get(
    State(files): State<Files>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Response, Failure> {
    let id = files.admit(&wanted, false).await?;
    send(&files, &Blob::of(&id), request)
        .await
        .ok_or_else(|| nothing_stored(&id))
}

/// `GET` on a URL of [`Files::generate_signed_url`].
pub(super) async fn signed(
    State(files): State<Files>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let (path, query) = (format!("{PATH}{name}"), query.unwrap_or_default());
    let (signer, now) = (&files.inner.signer, SystemTime::now());
    let verdict = signer.verify("GET", &path, &query, now);
    verdict.map_err(Failure::forbidden)?;
    let gone = || Failure::missing("The data of this component has been removed.");
    let blob = Blob::parse(&name).ok_or_else(gone)?;
    send(&files, &blob, request).await.ok_or_else(gone)
}

/// `GET /component/thumbnail`.
///
/// 404 for data that is no image: what a site shows then is not known [?], and clients fall
/// back on a picture of their own.
pub(super) async fn thumbnail(
    State(files): State<Files>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let id = files.admit(&wanted, false).await?;
    let size = match wanted.size.as_deref() {
        None | Some("") => THUMBNAIL_SIZE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=thumbnail::MAX_SIZE).contains(size))
            .ok_or_else(|| {
                let most = thumbnail::MAX_SIZE;
                Failure::invalid(format!("The size is a number of pixels from 1 to {most}."))
            })?,
    };
    let make = move || {
        let missing = || nothing_stored(&id);
        let data = files
            .inner
            .store
            .read(&Blob::of(&id))
            .map_err(|_| missing())?;
        let no_image = |why| Failure::missing(format!("Component {id} is no image: {why}."));
        thumbnail::shrink(&data, size).map_err(no_image)
    };
    let broken = |_| Failure::missing("The image cannot be read.");
    let (data, kind) = spawn_blocking(make).await.map_err(broken)??;
    Ok(([(header::CONTENT_TYPE, kind)], data).into_response())
}

/// `GET /component/remove`: removes the data only. The client deletes the ComponentLocation.
pub(super) async fn remove(
    State(files): State<Files>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let id = files.admit(&wanted, true).await?;
    files.remove(&id)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], "true").into_response())
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

fn nothing_stored(id: &str) -> Failure {
    Failure::missing(format!("Nothing is stored for component {id}."))
}
