//! Uploads: the actions that prepare and complete them, and the `PUT` in between.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::time::{Instant, SystemTime};

use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use md5::{Digest, Md5};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::error::Fault;
use crate::files::signing::parameter;
use crate::files::store::Blob;
use crate::files::{Context, Files, missing, refusal, storage};

/// Where uploads go; the name of the blob follows.
pub(super) const PATH: &str = "/component/upload/";
/// As many as JavaScript ever asks for, and as cloud storages allow.
const MAX_PARTS: u32 = 10_000;
/// How much of a refused body is still read, so that its sender comes to read the response.
const REFUSED_BODY: usize = 16 << 20;

/// The action that ends an upload in many parts.
const COMPLETE: &str = "complete_multipart_upload";

/// Unfinished multi-part uploads.
#[derive(Default)]
pub(super) struct Uploads {
    by_id: Mutex<HashMap<String, Upload>>,
}

struct Upload {
    blob: Blob,
    parts: u32,
    expires: Instant,
    /// The parts that have arrived. Their files go with this.
    arrived: BTreeMap<u32, Part>,
}

struct Part {
    file: TempPath,
    md5: String,
}

#[derive(Deserialize)]
struct Prepare {
    component_id: String,
    file_size: Option<u64>,
    checksum: Option<String>,
    parts: Option<u32>,
}

#[derive(Deserialize)]
struct Complete {
    component_id: String,
    upload_id: String,
    parts: Vec<CompletePart>,
}

#[derive(Deserialize)]
struct CompletePart {
    part_number: u32,
    e_tag: String,
}

impl Files {
    /// The action `get_upload_metadata`. The component need not exist.
    ///
    /// `base` is the server's URL as the client knows it, without a slash at the end.
    ///
    /// # Errors
    ///
    /// `ValidationError` for a malformed request or one beyond the limits.
    pub fn get_upload_metadata(&self, request: &Value, base: &str) -> Result<Value, Fault> {
        let request: Prepare = read("get_upload_metadata", request)?;
        let limit = self.inner.settings.upload_size;
        if request.component_id.is_empty() {
            return Err(Fault::validation(
                "get_upload_metadata needs a component_id.",
            ));
        }
        if request.file_size.is_some_and(|size| size > limit) {
            let message = format!("The file is larger than {limit} bytes, the limit here.");
            return Err(Fault::validation(message));
        }
        match request.parts {
            None | Some(0 | 1) => self.prepare_one(&request, base),
            Some(parts @ 2..=MAX_PARTS) => Ok(self.prepare_many(&request, parts, base)),
            Some(_) => Err(Fault::validation(format!(
                "An upload has at most {MAX_PARTS} parts."
            ))),
        }
    }

    /// Joins the parts of an upload, as `complete_multipart_upload` asks for. Blocks while it
    /// copies. The data is the component's when [`Joined::keep`] is called.
    ///
    /// # Errors
    ///
    /// `ValidationError` if there is no such upload or its parts are others; `ServerError` if the
    /// storage fails. The upload is then as before and can be completed again.
    pub fn join_multipart_upload(&self, request: &Value) -> Result<Joined, Fault> {
        let request: Complete = read(COMPLETE, request)?;
        let blob = Blob::of(&request.component_id);
        let upload = self.inner.uploads.take(&request, &blob)?;
        let mut joined = Joined {
            files: self.clone(),
            upload: Some((request.upload_id, upload)),
            whole: None,
        };
        joined.join().map_err(|error| storage(&error))?;
        Ok(joined)
    }

    /// The reply to `complete_multipart_upload`.
    ///
    /// # Errors
    ///
    /// `ValidationError` for a malformed request.
    pub fn complete_multipart_upload(&self, request: &Value) -> Result<Value, Fault> {
        let request: Complete = read(COMPLETE, request)?;
        Ok(json!({
            "action": COMPLETE,
            "component_id": request.component_id,
            "url": format!("/component/get?id={}", request.component_id),
        }))
    }

    fn prepare_one(&self, request: &Prepare, base: &str) -> Result<Value, Fault> {
        let mut headers = Map::new();
        headers.insert("Content-Type".into(), "application/octet-stream".into());
        if let Some(checksum) = &request.checksum {
            parse_md5(checksum)?;
            headers.insert("Content-MD5".into(), checksum.as_str().into());
        }
        let url = self.signed_upload(base, &Blob::of(&request.component_id), "");
        Ok(json!({"url": url, "headers": headers, "component_id": request.component_id}))
    }

    fn prepare_many(&self, request: &Prepare, parts: u32, base: &str) -> Value {
        let (id, blob) = (
            Uuid::new_v4().simple().to_string(),
            Blob::of(&request.component_id),
        );
        let urls: Vec<Value> = (1..=parts)
            .map(|part| {
                let query = format!("upload={id}&part={part}");
                let url = self.signed_upload(base, &blob, &query);
                json!({"signed_url": url, "part_number": part})
            })
            .collect();
        let now = Instant::now();
        let mut uploads = self.inner.uploads.by_id.lock();
        uploads.retain(|_, upload| upload.expires > now);
        let upload = Upload {
            blob,
            parts,
            expires: now + self.inner.settings.url_lifetime,
            arrived: BTreeMap::new(),
        };
        uploads.insert(id.clone(), upload);
        json!({"component_id": request.component_id, "upload_id": id, "urls": urls})
    }

    fn signed_upload(&self, base: &str, blob: &Blob, query: &str) -> String {
        let path = format!("{PATH}{}", blob.name());
        let (now, lifetime) = (SystemTime::now(), self.inner.settings.url_lifetime);
        let signed = self.inner.signer.sign("PUT", &path, query, now, lifetime);
        format!("{}{signed}", base.trim_end_matches('/'))
    }
}

/// An upload in many parts, put together. Unless it is kept, it can be completed again.
pub struct Joined {
    files: Files,
    /// The upload and its id, until it is kept.
    upload: Option<(String, Upload)>,
    whole: Option<TempPath>,
}

impl Joined {
    /// Makes it the data of the component, instead of what was there.
    ///
    /// # Errors
    ///
    /// `ServerError` if the storage fails; the upload can then be completed again.
    pub fn keep(mut self) -> Result<(), Fault> {
        if let (Some(whole), Some((_, upload))) = (self.whole.take(), &self.upload) {
            let kept = self.files.inner.store.keep(whole, &upload.blob);
            kept.map_err(|error| storage(&error))?;
        }
        self.upload = None;
        Ok(())
    }

    fn join(&mut self) -> io::Result<()> {
        let mut whole = self.files.inner.store.incoming()?;
        let parts = self
            .upload
            .iter()
            .flat_map(|(_, upload)| upload.arrived.values());
        for part in parts {
            io::copy(&mut File::open(&part.file)?, &mut whole)?;
        }
        self.whole = Some(whole.into_temp_path());
        Ok(())
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some((id, upload)) = self.upload.take() {
            let mut uploads = self.files.inner.uploads.by_id.lock();
            uploads.insert(id, upload);
        }
    }
}

impl Uploads {
    /// Takes the upload out if the parts named are exactly those that arrived.
    fn take(&self, request: &Complete, blob: &Blob) -> Result<Upload, Fault> {
        let mut uploads = self.by_id.lock();
        let unknown = || Fault::validation("There is no such upload; it may have expired.");
        let upload = uploads.get(&request.upload_id).ok_or_else(unknown)?;
        if upload.blob != *blob {
            return Err(Fault::validation("The upload is one of another component."));
        }
        let arrived = u32::try_from(upload.arrived.len()).unwrap_or(u32::MAX);
        if arrived != upload.parts || request.parts.len() != upload.arrived.len() {
            let message = format!(
                "The upload has {} parts, of which {arrived} arrived and {} are named.",
                upload.parts,
                request.parts.len()
            );
            return Err(Fault::validation(message));
        }
        for ((number, part), named) in upload.arrived.iter().zip(&request.parts) {
            let e_tag = named.e_tag.trim_matches('"');
            if *number != named.part_number || !part.md5.eq_ignore_ascii_case(e_tag) {
                let message = format!("Part {number} is missing, out of order, or has changed.");
                return Err(Fault::validation(message));
            }
        }
        uploads.remove(&request.upload_id).ok_or_else(unknown)
    }
}

/// `PUT` on a signed URL: a whole file, or a part of one.
///
/// Responds with 200 and nothing else on success: JavaScript takes no other status for parts.
pub(super) async fn put(
    State(context): State<Context>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut body = body.into_data_stream();
    let query = query.unwrap_or_default();
    match store(&context.files, &name, &query, &headers, &mut body).await {
        Ok(md5) => (StatusCode::OK, [("etag", format!("\"{md5}\""))]).into_response(),
        Err(fault) => {
            drain(&mut body).await;
            refusal(&fault)
        }
    }
}

async fn store(
    files: &Files,
    name: &str,
    query: &str,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
) -> Result<String, Fault> {
    let path = format!("{PATH}{name}");
    let verdict = files
        .inner
        .signer
        .verify("PUT", &path, query, SystemTime::now());
    verdict.map_err(Fault::permission)?;
    let blob = Blob::parse(name).ok_or_else(|| missing("There is no such upload."))?;
    let (file, md5) = receive(files, headers, body).await?;
    let Some(upload) = parameter(query, "upload") else {
        let kept = files.inner.store.keep(file, &blob);
        kept.map_err(|error| storage(&error))?;
        return Ok(md5);
    };
    let part = parameter(query, "part").and_then(|part| part.parse().ok());
    let mut uploads = files.inner.uploads.by_id.lock();
    let (Some(upload), Some(part)) = (uploads.get_mut(upload), part) else {
        return Err(missing(
            "There is no such upload; it is complete or expired.",
        ));
    };
    let md5_of_part = md5.clone();
    upload.arrived.insert(part, Part { file, md5 });
    Ok(md5_of_part)
}

/// Writes a body to a file that vanishes if anything goes wrong, and returns its MD5.
async fn receive(
    files: &Files,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
) -> Result<(TempPath, String), Fault> {
    let limit = files.inner.settings.upload_size;
    let too_large = || {
        let message = format!("The upload is larger than {limit} bytes, the limit here.");
        Fault::validation(message).with_status(413)
    };
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let announced = header("content-length").and_then(|size| size.parse::<u64>().ok());
    if announced.is_some_and(|size| size > limit) {
        return Err(too_large());
    }
    let expected = header("content-md5").map(parse_md5).transpose()?;
    let incoming = files.inner.store.incoming();
    let (file, path) = incoming.map_err(|error| storage(&error))?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let (mut hash, mut size) = (Md5::new(), 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Fault::validation("The upload broke off."))?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_large());
        }
        hash.update(&chunk);
        let written = file.write_all(&chunk).await;
        written.map_err(|error| storage(&error))?;
    }
    file.flush().await.map_err(|error| storage(&error))?;
    // Windows renames only closed files.
    drop(file.into_std().await);
    let md5 = hash.finalize();
    if expected.is_some_and(|expected| expected[..] != md5[..]) {
        return Err(Fault::validation(
            "The data does not have the MD5 in Content-MD5.",
        ));
    }
    Ok((path, md5.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Reads what a refused client still sends, within limits.
async fn drain(body: &mut BodyDataStream) {
    let mut left = REFUSED_BODY;
    while let Some(Ok(chunk)) = body.next().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            return;
        }
    }
}

fn parse_md5(base64: &str) -> Result<[u8; 16], Fault> {
    let bytes = BASE64_STANDARD.decode(base64.trim()).ok();
    let digest = bytes.and_then(|bytes| bytes.try_into().ok());
    digest.ok_or_else(|| Fault::validation("The checksum is no MD5 in base64."))
}

fn read<T: serde::de::DeserializeOwned>(action: &str, request: &Value) -> Result<T, Fault> {
    T::deserialize(request).map_err(|error| Fault::validation(format!("{action}: {error}.")))
}
