//! Sending data to the server's storage, whole or in parts.

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

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Storages take no more parts than these.
const MAX_PARTS: u64 = 10_000;
/// The most that is sent whole to a server that knows no parts: it is held in memory.
const MAX_WHOLE: u64 = GIB;

/// What the server says of an upload (WIRE.md, Actions).
#[derive(Deserialize)]
struct Prepared {
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

/// Sends what `content` holds as the data of the component `id`, which the server need not know
/// yet.
///
/// A part at a time is in memory: 8 MiB of a file up to 128 MiB, 128 MiB of one beyond 64 GiB.
/// The server puts the parts together when all have arrived, so that half a file is never there.
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

/// The content as a file: it is read once for its checksum and once to be sent.
fn open(content: &mut Content<'_>) -> io::Result<File> {
    if let Some(Ok(file)) = content.path().map(File::open) {
        return Ok(file);
    }
    let mut file = tempfile::tempfile()?;
    io::copy(content, &mut file)?;
    Ok(file)
}

/// How large the parts of a file are: as in the JavaScript client (WIRE.md, Actions).
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
        let prepared = self.prepare(json!({"checksum": checksum}))?;
        let url = prepared.url.ok_or_else(|| self.odd("without an address"))?;
        let headers: Vec<(String, String)> = prepared
            .headers
            .unwrap_or_default()
            .into_iter()
            // The transport tells the length itself.
            .filter(|(name, _)| !name.eq_ignore_ascii_case("content-length"))
            .filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
            .collect();
        self.put(&url, &headers, &body, "upload").map(drop)
    }

    fn send_parts(&mut self, part: u64) -> Result<()> {
        let count = self.size.div_ceil(part);
        let prepared = self.prepare(json!({"parts": count}))?;
        let (Some(mut urls), Some(upload_id)) = (prepared.urls, prepared.upload_id) else {
            // A server that knows no parts does not look at their number.
            if self.size > MAX_WHOLE {
                let message = format!(
                    "{} has {} bytes, and the server takes files in one piece only",
                    self.name, self.size
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            return self.send_whole();
        };
        urls.sort_by_key(|url| url.part_number);
        if urls.len() as u64 != count {
            return Err(self.odd("with another number of parts"));
        }
        let mut left = self.size;
        let mut sent = Vec::with_capacity(urls.len());
        for (index, url) in urls.iter().enumerate() {
            let body = self.read(part.min(left))?;
            left -= body.len() as u64;
            let what = format!("upload part {} of {count}", index + 1);
            let tag = self.put(&url.signed_url, &[], &body, &what)?;
            let tag = tag.ok_or_else(|| self.odd("to a part without an ETag"))?;
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
        let length = usize::try_from(bytes).map_err(|_| self.odd("with too large a part"))?;
        let mut body = vec![0; length];
        let read = self.file.read_exact(&mut body);
        read.map_err(|error| unreadable(self.id, error))?;
        Ok(body)
    }

    fn prepare(&self, more: Json) -> Result<Prepared> {
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
        serde_json::from_value(reply).map_err(|error| self.odd(&error.to_string()))
    }

    /// Sends bytes; the answer is what the storage calls them.
    fn put(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
        what: &str,
    ) -> Result<Option<String>> {
        let url = Url::parse(url).map_err(|_| self.odd("with an address that cannot be read"))?;
        let summary = format!("{what} of {} ({})", self.name, self.id);
        let response = self.api.put_file(&url, headers, body, &summary)?;
        Ok(response.header("etag").map(str::to_owned))
    }

    fn odd(&self, how: &str) -> Error {
        let message = format!("the server answers the upload of {} {how}", self.name);
        Error::new(ErrorKind::BadResponse, message)
    }
}

fn unreadable(id: &str, error: io::Error) -> Error {
    let message = format!("the data for {id} cannot be read: {error}");
    Error::new(ErrorKind::Io, message).because(error)
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
