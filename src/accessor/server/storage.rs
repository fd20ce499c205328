//! The requests of an upload to the server's storage.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use url::Url;

use crate::accessor::PendingWrite;
use crate::accessor::checksum::{Md5Sum, check_sent};
use crate::accessor::upload::{Multipart, Part, PartUrl, Storage, is_whole};
use crate::api::Api;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{modified, open_regular};
use crate::lock::Mutex;
use crate::transport::Response;

/// The reply to `get_upload_metadata`.
#[derive(Deserialize)]
struct UploadMetadata {
    url: Option<String>,
    headers: Option<Map<String, Json>>,
    urls: Option<Vec<PartUrl>>,
    upload_id: Option<String>,
}

/// A signed URL for a file of up to two parts, requested before it is its turn.
pub(super) struct Prepared {
    md5: Md5Sum,
    /// Of the file that has this MD5.
    size: u64,
    modified: u64,
    metadata: UploadMetadata,
}

/// Requests signed URLs for the small files among `pending`, all in one request.
pub(super) fn prepare(api: &Api, pending: &[PendingWrite<'_>]) -> Result<Vec<Option<Prepared>>> {
    let mut actions = Vec::new();
    let mut read = Vec::with_capacity(pending.len());
    for file in pending {
        let found = match (file.size, file.path) {
            (Some(size), Some(path)) if is_whole(size) => read_file(path, size),
            _ => None,
        };
        if let Some((md5, size, _)) = &found {
            let mut action = metadata_action(file.resource_identifier, file.file_name, *size);
            action["checksum"] = STANDARD.encode(md5).into();
            actions.push(action);
        }
        read.push(found);
    }
    if actions.is_empty() {
        return Ok(Vec::new());
    }
    let mut replies = api.call(&actions)?.into_iter();
    let prepared = read.into_iter().map(|found| {
        let (md5, size, modified) = found?;
        let metadata = serde_json::from_value(replies.next()?).ok()?;
        Some(Prepared {
            md5,
            size,
            modified,
            metadata,
        })
    });
    Ok(prepared.collect())
}

/// The MD5 of a file of this size, the size, and when the file changed last; `None` if it cannot be
/// read, which the upload itself reports.
fn read_file(path: &Path, size: u64) -> Option<(Md5Sum, u64, u64)> {
    let mut hash = Md5::new();
    let file = open_regular(path).ok()?;
    let modified = modified(&file.metadata().ok()?);
    let mut file = file.take(size);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Some((hash.finalize().into(), size, modified))
}

fn metadata_action(id: &str, name: &str, size: u64) -> Json {
    json!({
        "action": "get_upload_metadata",
        "component_id": id,
        "file_name": name,
        "file_size": size,
    })
}

/// The place of one file.
pub(super) struct ServerStorage<'a> {
    pub(super) api: &'a Api,
    /// The component, which may be uncommitted.
    pub(super) id: &'a str,
    pub(super) file_name: String,
    pub(super) prepared: Mutex<Option<Box<Prepared>>>,
}

impl Storage for ServerStorage<'_> {
    fn known_md5(&self, size: u64, modified: u64) -> Option<Md5Sum> {
        let prepared = self.prepared.lock();
        let prepared = prepared.as_ref().filter(|prepared| {
            prepared.size == size && prepared.modified == modified && modified > 0
        });
        prepared.map(|prepared| prepared.md5)
    }

    fn send_whole(&self, body: &[u8], md5: &Md5Sum) -> Result<()> {
        // One for other bytes is useless: the file has changed.
        let prepared = self.prepared.lock().take();
        let prepared = prepared.filter(|prepared| prepared.md5 == *md5);
        if let Some(prepared) = prepared {
            match self.put_whole(prepared.metadata, body, md5) {
                // The URL may have expired before its turn.
                Err(error) if error.kind() == ErrorKind::Permission => {
                    log::debug!("{error}; requesting another URL");
                }
                outcome => return outcome,
            }
        }
        let metadata = self.metadata(body.len() as u64, "checksum", json!(STANDARD.encode(md5)))?;
        self.put_whole(metadata, body, md5)
    }

    fn begin(&self, size: u64, parts: u64) -> Result<Option<(String, Vec<PartUrl>)>> {
        let metadata = self.metadata(size, "parts", json!(parts))?;
        // A server without support for parts ignores their number.
        let (Some(mut urls), Some(upload_id)) = (metadata.urls, metadata.upload_id) else {
            return Ok(None);
        };
        urls.sort_by_key(|url| url.part_number);
        if !urls.iter().map(|url| url.part_number).eq(1..=parts) {
            return Err(self.unexpected_reply("with a different number of parts"));
        }
        Ok(Some((upload_id, urls)))
    }

    fn put_part(
        &self,
        multipart: &Multipart,
        index: usize,
        body: &[u8],
        summary: &str,
    ) -> Result<Option<String>> {
        let url = multipart.urls.get(index);
        let url = url.ok_or_else(|| self.unexpected_reply("with a different number of parts"))?;
        let response = self.put(&url.signed_url, &[], body, summary)?;
        Ok(response.header("etag").map(str::to_owned))
    }

    fn complete(&self, multipart: &Multipart, parts: &[Part]) -> Result<()> {
        let parts = parts.iter().map(
            |part| json!({"part_number": part.part_number, "e_tag": part.e_tag.trim_matches('"')}),
        );
        let complete = json!({
            "action": "complete_multipart_upload",
            "upload_id": multipart.upload_id,
            "component_id": self.id,
            "parts": parts.collect::<Vec<_>>(),
        });
        self.api.call(&[complete]).map(drop)
    }
}

impl ServerStorage<'_> {
    fn put_whole(&self, metadata: UploadMetadata, body: &[u8], md5: &Md5Sum) -> Result<()> {
        let url = metadata.url;
        let url = url.ok_or_else(|| self.unexpected_reply("without a URL"))?;
        let headers: Vec<(String, String)> = metadata
            .headers
            .unwrap_or_default()
            .into_iter()
            // The transport sets the length.
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
            .filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
            .collect();
        let summary = format!("upload of {} ({})", self.file_name, self.id);
        let response = self.put(&url, &headers, body, &summary)?;
        check_sent(&summary, md5, &response, false)
    }

    fn metadata(&self, size: u64, name: &str, value: Json) -> Result<UploadMetadata> {
        let mut action = metadata_action(self.id, &self.file_name, size);
        action[name] = value;
        let reply = self.api.call(&[action])?.pop().unwrap_or_default();
        serde_json::from_value(reply).map_err(|error| {
            let error = self.unexpected_reply(&format!("unexpectedly: {error}"));
            self.api.checked(error)
        })
    }

    fn put(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
        summary: &str,
    ) -> Result<Response> {
        let url = Url::parse(url).map_err(|_| self.unexpected_reply("with an invalid URL"))?;
        self.api.put_file(&url, headers, body, summary)
    }

    fn unexpected_reply(&self, how: &str) -> Error {
        let name = &self.file_name;
        let message = format!("the server replied to the upload of {name} {how}");
        Error::new(ErrorKind::BadResponse, message)
    }
}
