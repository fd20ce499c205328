//! Uploads to the server's storage, whole or in parts.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use url::Url;

use crate::accessor::{Content, Notes, PendingWrite, Work, may_resume};
use crate::api::Api;
use crate::error::{Error, ErrorKind, Result};
use crate::files::open_regular;
use crate::lock::Mutex;

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

#[derive(Clone, Deserialize, Serialize)]
struct PartUrl {
    signed_url: String,
    part_number: u64,
}

/// A signed URL for a file of up to two parts, requested before it is its turn.
pub(super) struct Prepared {
    checksum: String,
    metadata: UploadMetadata,
}

/// Requests signed URLs for the small files among `pending`, all in one request.
pub(super) fn prepare(api: &Api, pending: &[PendingWrite<'_>]) -> Result<Vec<Option<Prepared>>> {
    let mut actions = Vec::new();
    let mut checksums: Vec<Option<String>> = Vec::with_capacity(pending.len());
    for file in pending {
        let checksum = match (file.size, file.path) {
            (Some(size), Some(path)) if is_whole(size) => checksum_of(path, size),
            _ => None,
        };
        if let (Some(checksum), Some(size)) = (&checksum, file.size) {
            let mut action = metadata_action(file.resource_identifier, file.file_name, size);
            action["checksum"] = checksum.as_str().into();
            actions.push(action);
        }
        checksums.push(checksum);
    }
    if actions.is_empty() {
        return Ok(Vec::new());
    }
    let mut replies = api.call(&actions)?.into_iter();
    let prepared = checksums.into_iter().map(|checksum| {
        let checksum = checksum?;
        let metadata = serde_json::from_value(replies.next()?).ok()?;
        Some(Prepared { checksum, metadata })
    });
    Ok(prepared.collect())
}

/// The checksum of a file; `None` if it cannot be read, which the upload itself reports.
fn checksum_of(path: &Path, size: u64) -> Option<String> {
    let mut hash = Md5::new();
    let mut file = open_regular(path).ok()?.take(size);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Some(STANDARD.encode(hash.finalize()))
}

fn metadata_action(id: &str, name: &str, size: u64) -> Json {
    json!({
        "action": "get_upload_metadata",
        "component_id": id,
        "file_name": name,
        "file_size": size,
    })
}

/// Uploads `content` as the data of the component `id`, which may be uncommitted.
///
/// The server joins the parts when all have arrived, so an incomplete file is never visible.
pub(super) fn send(api: &Api, id: &str, content: &mut Content<'_>) -> Result<()> {
    let prepared = content.take_prepared::<Prepared>();
    let name = match content.path() {
        Some(path) => path.display().to_string(),
        None => format!("the data for {id}"),
    };
    let mut file = open(content).map_err(|error| unreadable(&name, error))?;
    let size = file.seek(SeekFrom::End(0));
    let size = size.map_err(|error| unreadable(&name, error))?;
    let upload = Upload {
        api,
        id,
        source: name,
        file_name: content.file_name(),
        // Otherwise the bytes were read from the content, and counted.
        has_path: content.path().is_some(),
        work: content.work(),
        notes: content.notes(),
        file,
        size,
    };
    if is_whole(size) {
        return upload.send_whole(prepared);
    }
    if let Some(multipart) = upload.resumable() {
        match upload.send_parts(&multipart) {
            // The URLs may have expired, or the storage may have dropped the parts.
            Err(error) if !may_resume(&error) && error.kind() != ErrorKind::Io => {
                log::info!(
                    "cannot resume the {}, starting anew: {error}",
                    upload.summary()
                );
            }
            outcome => return outcome,
        }
    }
    match upload.begin_parts()? {
        Some(multipart) => upload.send_parts(&multipart),
        None => upload.send_whole(None),
    }
}

/// The content as a file: it is read once for the checksum and once for sending.
fn open(content: &mut Content<'_>) -> io::Result<File> {
    if let Some(path) = content.path() {
        return open_regular(path);
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

/// Whether a file is sent in one piece.
fn is_whole(size: u64) -> bool {
    size <= 2 * part_size(size)
}

struct Upload<'a> {
    api: &'a Api,
    id: &'a str,
    /// The name of the source in errors.
    source: String,
    file_name: &'a str,
    has_path: bool,
    work: Option<&'a Work>,
    notes: Option<&'a dyn Notes>,
    file: File,
    size: u64,
}

/// A multipart upload that the server has begun. It is noted, so that it can be resumed.
#[derive(Deserialize, Serialize)]
struct Multipart {
    upload_id: String,
    size: u64,
    /// When the source changed last, in nanoseconds.
    modified: u64,
    part_size: u64,
    urls: Vec<PartUrl>,
}

/// A part that the storage has acknowledged.
#[derive(Clone, Deserialize, Serialize)]
struct Part {
    part_number: u64,
    e_tag: String,
    md5: String,
}

impl Upload<'_> {
    fn send_whole(&self, prepared: Option<Box<Prepared>>) -> Result<()> {
        let body = self.read(0, self.size)?;
        let checksum = STANDARD.encode(Md5::digest(&body));
        // One for other bytes is useless: the file has changed.
        let prepared = prepared.filter(|prepared| prepared.checksum == checksum);
        if let Some(prepared) = prepared {
            match self.put_whole(prepared.metadata, &body) {
                // The URL may have expired before its turn.
                Err(error) if error.kind() == ErrorKind::Permission => {
                    log::debug!("{error}; requesting another URL");
                }
                outcome => return outcome,
            }
        }
        let metadata = self.metadata(json!({"checksum": checksum}))?;
        self.put_whole(metadata, &body)
    }

    fn put_whole(&self, metadata: UploadMetadata, body: &[u8]) -> Result<()> {
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
        self.put(&url, &headers, body, "upload")?;
        self.advance(body.len())
    }

    /// Begins an upload in parts; `None` if the server does not support it.
    fn begin_parts(&self) -> Result<Option<Multipart>> {
        let part_size = part_size(self.size);
        let count = self.size.div_ceil(part_size);
        let metadata = self.metadata(json!({"parts": count}))?;
        let (Some(mut urls), Some(upload_id)) = (metadata.urls, metadata.upload_id) else {
            // A server without support for parts ignores their number.
            if self.size > MAX_WHOLE_SIZE {
                let message = format!(
                    "{} has {} bytes, which is too large for a server without multipart uploads",
                    self.file_name, self.size
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            return Ok(None);
        };
        urls.sort_by_key(|url| url.part_number);
        if urls.len() as u64 != count {
            return Err(self.unexpected_reply("with a different number of parts"));
        }
        let multipart = Multipart {
            upload_id,
            size: self.size,
            modified: self.modified(),
            part_size,
            urls,
        };
        if let Some(notes) = self.notes {
            notes.clear();
            notes.add(&json!(multipart).to_string());
        }
        Ok(Some(multipart))
    }

    /// The upload that an earlier attempt began, if it was of the same file.
    fn resumable(&self) -> Option<Multipart> {
        let notes = self.notes?.all();
        let multipart: Multipart = serde_json::from_str(notes.first()?).ok()?;
        let is_same = multipart.size == self.size
            && multipart.modified == self.modified()
            && multipart.part_size == part_size(self.size)
            && multipart.urls.len() as u64 == self.size.div_ceil(multipart.part_size)
            && self.has_path;
        is_same.then_some(multipart)
    }

    /// When the source changed last, in nanoseconds; 0 if that is not known.
    fn modified(&self) -> u64 {
        let time = self.file.metadata().and_then(|found| found.modified()).ok();
        let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
    }

    fn send_parts(&self, multipart: &Multipart) -> Result<()> {
        let count = multipart.urls.len();
        let notes = self.notes.map(Notes::all).unwrap_or_default();
        let stored: Vec<Part> = notes
            .iter()
            .filter_map(|note| serde_json::from_str(note).ok())
            .collect();
        let sent = Mutex::new(Vec::with_capacity(count));
        let send = |index: usize| {
            let url = &multipart.urls[index];
            let start = index as u64 * multipart.part_size;
            let body = self.read(start, multipart.part_size.min(self.size - start))?;
            let md5: String = hex(&Md5::digest(&body));
            let known = stored
                .iter()
                .rfind(|part| part.part_number == url.part_number);
            let part = match known {
                Some(part) if part.md5 == md5 => {
                    if let Some(work) = self.work {
                        work.resume(body.len() as u64);
                    }
                    part.clone()
                }
                _ => self.put_part(url, &body, md5, count)?,
            };
            sent.lock().push(part);
            Ok::<(), Error>(())
        };
        match self.work {
            Some(work) => work.run(count, send)?,
            None => (0..count).try_for_each(send)?,
        }
        let mut sent = std::mem::take(&mut *sent.lock());
        sent.sort_by_key(|part| part.part_number);
        self.check_sums(&sent)?;
        let parts = sent.iter().map(
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

    fn put_part(&self, url: &PartUrl, body: &[u8], md5: String, count: usize) -> Result<Part> {
        let what = format!("upload part {} of {count}", url.part_number);
        let e_tag = self.put(&url.signed_url, &[], body, &what)?;
        let e_tag = e_tag.ok_or_else(|| self.unexpected_reply("without an ETag for a part"))?;
        let part = Part {
            part_number: url.part_number,
            e_tag,
            md5,
        };
        if let Some(notes) = self.notes {
            notes.add(&json!(part).to_string());
        }
        self.advance(body.len())?;
        Ok(part)
    }

    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if the storage gives checksums, and one is not that of the part.
    fn check_sums(&self, parts: &[Part]) -> Result<()> {
        let tag = |part: &Part| part.e_tag.trim_matches('"').to_ascii_lowercase();
        // Storages that encrypt give other ETags, of all parts.
        if !parts.iter().any(|part| tag(part) == part.md5) {
            return Ok(());
        }
        match parts.iter().find(|part| tag(part) != part.md5) {
            None => Ok(()),
            Some(part) => Err(self.unexpected_reply(&format!(
                "with the checksum of other bytes for part {}",
                part.part_number
            ))),
        }
    }

    /// Some bytes of the file.
    fn read(&self, start: u64, bytes: u64) -> Result<Vec<u8>> {
        let length = usize::try_from(bytes)
            .map_err(|_| self.unexpected_reply("with a part that is too large"))?;
        let mut body = vec![0; length];
        let read = read_exact_at(&self.file, &mut body, start);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let message = format!(
                    "{} became smaller while it was uploaded: it had {} bytes",
                    self.source, self.size
                );
                Error::new(ErrorKind::Io, message)
            }
            _ => unreadable(&self.source, error),
        })?;
        Ok(body)
    }

    fn metadata(&self, more: Json) -> Result<UploadMetadata> {
        let mut action = metadata_action(self.id, self.file_name, self.size);
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
        let summary = format!("{what} of {} ({})", self.file_name, self.id);
        let response = self.api.put_file(&url, headers, body, &summary)?;
        Ok(response.header("etag").map(str::to_owned))
    }

    fn advance(&self, bytes: usize) -> Result<()> {
        match self.work {
            Some(work) if self.has_path => work.advance(bytes as u64),
            _ => Ok(()),
        }
    }

    fn summary(&self) -> String {
        format!("upload of {} ({})", self.file_name, self.id)
    }

    fn unexpected_reply(&self, how: &str) -> Error {
        let name = self.file_name;
        let message = format!("the server replied to the upload of {name} {how}");
        Error::new(ErrorKind::BadResponse, message)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads at an offset; several threads may do so at once.
#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Reads at an offset; several threads may do so at once.
#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        let count = file.seek_read(buffer, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[count..];
        offset += count as u64;
    }
    Ok(())
}

fn unreadable(source: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Permission,
        io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => ErrorKind::Validation,
        _ => ErrorKind::Io,
    };
    let message = format!("cannot read {source}: {error}");
    Error::new(kind, message).with_source(error)
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
