//! Uploads, whole or in parts, to any storage.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::checksum::{Md5Sum, hex};
use super::part::io_error;
use super::{Content, Notes, Work, may_resume};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{modified, open_regular};
use crate::lock::Mutex;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The most parts that storages accept.
const MAX_PARTS: u64 = 10_000;
/// The most bytes that are sent in one piece to a server without support for parts: the body is
/// in memory.
const MAX_WHOLE_BYTES: u64 = GIB;

/// The requests that store one file.
pub(super) trait Storage: Sync {
    /// The MD5 of a file of this size, last changed at this time, if it was computed before.
    fn known_md5(&self, size: u64, modified: u64) -> Option<Md5Sum> {
        let _ = (size, modified);
        None
    }

    /// Stores a file in one piece.
    fn send_whole(&self, body: &[u8], md5: &Md5Sum) -> Result<()>;

    /// Begins an upload in parts: its id, and the URLs of the parts if the storage gives them.
    /// `None` if it does not support parts.
    fn begin(&self, size: u64, parts: u64) -> Result<Option<(String, Vec<PartUrl>)>>;

    /// Stores a part and returns its ETag. `summary` names it in the log and in errors.
    fn put_part(
        &self,
        multipart: &Multipart,
        index: usize,
        body: &[u8],
        summary: &str,
    ) -> Result<Option<String>>;

    /// Joins the parts, which are in their order.
    fn complete(&self, multipart: &Multipart, parts: &[Part]) -> Result<()>;

    /// Drops the parts of an upload that is not resumed.
    fn abort(&self, multipart: &Multipart) {
        let _ = multipart;
    }
}

/// The signed URL of a part.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct PartUrl {
    pub(super) signed_url: String,
    pub(super) part_number: u64,
}

/// An upload in parts that the storage has begun. It is noted, so that it can be resumed.
#[derive(Deserialize, Serialize)]
pub(super) struct Multipart {
    pub(super) upload_id: String,
    size: u64,
    /// When the source changed last, in nanoseconds.
    modified: u64,
    part_size: u64,
    pub(super) urls: Vec<PartUrl>,
}

#[cfg(feature = "s3")]
impl Multipart {
    /// The bytes of all parts.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

/// A part that the storage has acknowledged.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Part {
    pub(super) part_number: u64,
    pub(super) e_tag: String,
    pub(super) md5: String,
}

/// Stores `content`. `id` names it in the log and in errors.
///
/// The storage joins the parts when all have arrived, so an incomplete file is never visible.
pub(super) fn send(storage: &dyn Storage, id: &str, content: &mut Content<'_>) -> Result<()> {
    let name = match content.path() {
        Some(path) => path.display().to_string(),
        None => format!("the data for {id}"),
    };
    let mut file = open(content, &name)?;
    let size = file.seek(SeekFrom::End(0));
    let size = size.map_err(io_error("read", &name))?;
    let upload = Upload {
        storage,
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
        return upload.send_whole();
    }
    if let Some(multipart) = upload.resumable() {
        match upload.send_parts(&multipart) {
            // The URLs may have expired, or the storage may have dropped the parts.
            Err(error) if !may_resume(&error) && error.kind() != ErrorKind::Io => {
                log::info!(
                    "cannot resume the {}, starting anew: {error}",
                    upload.summary()
                );
                storage.abort(&multipart);
            }
            outcome => return outcome,
        }
    }
    let Some(multipart) = upload.begin_parts()? else {
        return upload.send_whole();
    };
    let outcome = upload.send_parts(&multipart);
    if let Err(error) = &outcome
        && !(upload.notes.is_some() && may_resume(error))
    {
        storage.abort(&multipart);
    }
    outcome
}

/// The content as a file: it is read once for the checksum and once for sending.
fn open(content: &mut Content<'_>, name: &str) -> Result<File> {
    let failed = io_error("read", name);
    if let Some(path) = content.path() {
        return open_regular(path).map_err(failed);
    }
    let announced = content.size();
    // One byte more shows that there are more, and the disk is not filled.
    let most = announced.map_or(u64::MAX, |size| size.saturating_add(1));
    let mut file = tempfile::tempfile().map_err(&failed)?;
    let read = io::copy(&mut content.take(most), &mut file).map_err(failed)?;
    match announced {
        Some(size) if read != size => {
            let more = if read > size { "at least " } else { "" };
            let message = format!("{name} has {more}{read} bytes, and {size} were announced");
            Err(Error::new(ErrorKind::Io, message))
        }
        _ => Ok(file),
    }
}

/// The size of the parts of a file, as in the JavaScript client.
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
pub(super) fn is_whole(size: u64) -> bool {
    size <= 2 * part_size(size)
}

struct Upload<'a> {
    storage: &'a dyn Storage,
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

impl Upload<'_> {
    fn send_whole(&self) -> Result<()> {
        let body = self.read(0, self.size)?;
        let known = self.storage.known_md5(self.size, self.modified());
        let md5 = known.unwrap_or_else(|| Md5::digest(&body).into());
        self.storage.send_whole(&body, &md5)?;
        // It is stored: the next job finds out that the transfer was cancelled.
        let _ = self.advance(body.len());
        Ok(())
    }

    /// Begins an upload in parts; `None` if the storage does not support it.
    fn begin_parts(&self) -> Result<Option<Multipart>> {
        let part_size = part_size(self.size);
        let count = self.size.div_ceil(part_size);
        let Some((upload_id, urls)) = self.storage.begin(self.size, count)? else {
            if self.size > MAX_WHOLE_BYTES {
                let message = format!(
                    "{} has {} bytes, which is too large for a server without multipart uploads",
                    self.file_name, self.size
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            return Ok(None);
        };
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
            && self.has_path;
        is_same.then_some(multipart)
    }

    fn modified(&self) -> u64 {
        self.file.metadata().map_or(0, |found| modified(&found))
    }

    fn send_parts(&self, multipart: &Multipart) -> Result<()> {
        let count = usize::try_from(self.size.div_ceil(multipart.part_size)).unwrap_or(usize::MAX);
        let notes = self.notes.map(Notes::all).unwrap_or_default();
        let stored: Vec<Part> = notes
            .iter()
            .filter_map(|note| serde_json::from_str(note).ok())
            .collect();
        let sent = Mutex::new(Vec::with_capacity(count));
        let send = |index: usize| {
            let start = index as u64 * multipart.part_size;
            let body = self.read(start, multipart.part_size.min(self.size - start))?;
            let md5: String = hex(&Md5::digest(&body));
            let number = index as u64 + 1;
            let known = stored.iter().rfind(|part| part.part_number == number);
            let part = match known {
                Some(part) if part.md5 == md5 => {
                    if let Some(work) = self.work {
                        work.resume(body.len() as u64);
                    }
                    part.clone()
                }
                _ => self.put_part(multipart, index, count, &body, md5)?,
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
        self.storage.complete(multipart, &sent)
    }

    fn put_part(
        &self,
        multipart: &Multipart,
        index: usize,
        count: usize,
        body: &[u8],
        md5: String,
    ) -> Result<Part> {
        let (name, id, number) = (self.file_name, self.id, index + 1);
        let summary = format!("upload part {number} of {count} of {name} ({id})");
        let e_tag = self.storage.put_part(multipart, index, body, &summary)?;
        let e_tag = e_tag.ok_or_else(|| self.unexpected_reply("without an ETag for a part"))?;
        let part = Part {
            part_number: number as u64,
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
            _ => io_error("read", &self.source)(error),
        })?;
        Ok(body)
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
