//! Uploads to the server's storage, whole or in parts.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use url::Url;

use crate::accessor::Content;
use crate::api::Api;
use crate::error::{Error, ErrorKind, Result};
use crate::files::open_regular;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The most parts that storages accept.
const MAX_PARTS: u64 = 10_000;
/// The most bytes that are sent in one piece to a server without support for parts: the body is
/// in memory.
const MAX_WHOLE_SIZE: u64 = GIB;

/// The reply to `get_upload_metadata` (WIRE.md, Actions).
#[derive(Deserialize)]
struct UploadMetadata {
    url: Option<String>,
    headers: Option<Map<String, Json>>,
    urls: Option<Vec<PartUrl>>,
    upload_id: Option<String>,
}

#[derive(Deserialize)]
struct PartUrl {
    signed_url: String,
    part_number: u64,
}

/// Uploads `content` as the data of the component `id`, which may be uncommitted.
///
/// One part at a time is in memory: 8 MiB for files up to 128 MiB, 128 MiB for those over 64 GiB.
/// The server joins the parts when all have arrived, so an incomplete file is never visible.
pub(super) fn send(api: &Api, id: &str, content: &mut Content<'_>) -> Result<()> {
    let mut file = open(content).map_err(|error| unreadable(id, error))?;
    let size = file.seek(SeekFrom::End(0));
    let size = size.map_err(|error| unreadable(id, error))?;
    file.rewind().map_err(|error| unreadable(id, error))?;
    let mut upload = Upload {
        api,
        id,
        name: content.file_name(),
        file,
        size,
    };
    let part = part_size(size);
    if size <= 2 * part {
        return upload.send_whole();
    }
    upload.send_parts(part)
}

/// The content as a file: it is read once for the checksum and once for sending.
fn open(content: &mut Content<'_>) -> io::Result<File> {
    if let Some(Ok(file)) = content.path().map(open_regular) {
        return Ok(file);
    }
    let mut file = tempfile::tempfile()?;
    io::copy(content, &mut file)?;
    Ok(file)
}

/// The size of the parts of a file, as in the JavaScript client (WIRE.md, Actions).
fn part_size(size: u64) -> u64 {
    let usual = match size {
        size if size <= 128 * MIB => 8 * MIB,
        size if size <= GIB => 16 * MIB,
        size if size <= 8 * GIB => 32 * MIB,
        size if size <= 64 * GIB => 64 * MIB,
        _ => 128 * MIB,
    };
    usual.max(size.div_ceil(MAX_PARTS))
}

struct Upload<'a> {
    api: &'a Api,
    id: &'a str,
    name: &'a str,
    file: File,
    size: u64,
}

impl Upload<'_> {
    fn send_whole(&mut self) -> Result<()> {
        let body = self.read(self.size)?;
        let checksum = STANDARD.encode(Md5::digest(&body));
        let metadata = self.metadata(json!({"checksum": checksum}))?;
        let url = metadata
            .url
            .ok_or_else(|| self.unexpected_reply("without a URL"))?;
        let headers: Vec<(String, String)> = metadata
            .headers
            .unwrap_or_default()
            .into_iter()
            // The transport sets the length.
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
            .filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
            .collect();
        self.put(&url, &headers, &body, "upload").map(drop)
    }

    fn send_parts(&mut self, part: u64) -> Result<()> {
        let count = self.size.div_ceil(part);
        let metadata = self.metadata(json!({"parts": count}))?;
        let (Some(mut urls), Some(upload_id)) = (metadata.urls, metadata.upload_id) else {
            // A server without support for parts ignores their number.
            if self.size > MAX_WHOLE_SIZE {
                let message = format!(
                    "{} has {} bytes, which is too large for a server without multipart uploads",
                    self.name, self.size
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            return self.send_whole();
        };
        urls.sort_by_key(|url| url.part_number);
        if urls.len() as u64 != count {
            return Err(self.unexpected_reply("with a different number of parts"));
        }
        let mut left = self.size;
        let mut sent = Vec::with_capacity(urls.len());
        for (index, url) in urls.iter().enumerate() {
            let body = self.read(part.min(left))?;
            left -= body.len() as u64;
            let what = format!("upload part {} of {count}", index + 1);
            let tag = self.put(&url.signed_url, &[], &body, &what)?;
            let tag = tag.ok_or_else(|| self.unexpected_reply("without an ETag for a part"))?;
            sent.push(json!({"part_number": url.part_number, "e_tag": tag.trim_matches('"')}));
        }
        let complete = json!({
            "action": "complete_multipart_upload",
            "upload_id": upload_id,
            "component_id": self.id,
            "parts": sent,
        });
        self.api.call(&[complete]).map(drop)
    }

    /// The next bytes of the file.
    fn read(&mut self, bytes: u64) -> Result<Vec<u8>> {
        let length = usize::try_from(bytes)
            .map_err(|_| self.unexpected_reply("with a part that is too large"))?;
        let mut body = vec![0; length];
        let read = self.file.read_exact(&mut body);
        read.map_err(|error| unreadable(self.id, error))?;
        Ok(body)
    }

    fn metadata(&self, more: Json) -> Result<UploadMetadata> {
        let mut action = json!({
            "action": "get_upload_metadata",
            "component_id": self.id,
            "file_name": self.name,
            "file_size": self.size,
        });
        if let (Some(action), Json::Object(more)) = (action.as_object_mut(), more) {
            action.extend(more);
        }
        let reply = self.api.call(&[action])?.pop().unwrap_or_default();
        serde_json::from_value(reply)
            .map_err(|error| self.unexpected_reply(&format!("unexpectedly: {error}")))
    }

    /// Sends bytes and returns their ETag.
    fn put(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
        what: &str,
    ) -> Result<Option<String>> {
        let url = Url::parse(url).map_err(|_| self.unexpected_reply("with an invalid URL"))?;
        let summary = format!("{what} of {} ({})", self.name, self.id);
        let response = self.api.put_file(&url, headers, body, &summary)?;
        Ok(response.header("etag").map(str::to_owned))
    }

    fn unexpected_reply(&self, how: &str) -> Error {
        let message = format!("the server replied to the upload of {} {how}", self.name);
        Error::new(ErrorKind::BadResponse, message)
    }
}

fn unreadable(id: &str, error: io::Error) -> Error {
    let message = format!("the data for {id} cannot be read: {error}");
    Error::new(ErrorKind::Io, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_large_as_in_javascript_and_never_too_many() {
        for (size, expected) in [
            (0, 8 * MIB),
            (128 * MIB, 8 * MIB),
            (128 * MIB + 1, 16 * MIB),
            (GIB + 1, 32 * MIB),
            (8 * GIB + 1, 64 * MIB),
            (64 * GIB + 1, 128 * MIB),
            (2000 * GIB, 2000 * GIB / MAX_PARTS + 1),
        ] {
            assert_eq!(part_size(size), expected, "{size}");
            assert!(size.div_ceil(part_size(size)) <= MAX_PARTS);
        }
    }
}
