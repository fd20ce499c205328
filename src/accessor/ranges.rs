//! Data in a storage, read by range requests: one after the other, or several at once.

use std::io::{self, Read};
use std::sync::Arc;

use md5::{Digest, Md5};

use super::Pieces;
use super::checksum::{self, Md5Sum, md5_in};
use crate::api::Api;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use crate::transport::Response;

/// The bytes that one request asks for. Each request has its own time limit, so files of any size
/// can be read, and a broken connection costs one piece.
pub(super) const PIECE_BYTES: u64 = 16 << 20;
/// The attempts for a piece without receiving a byte.
const MAX_ATTEMPTS: u32 = 3;

/// Requests the bytes from the first to the last offset; `None` if none begin there.
type Fetch = Box<dyn Fn(u64, u64) -> Result<Option<Response>> + Send + Sync>;

/// Data that can be requested in ranges.
pub(super) struct Ranged {
    api: Arc<Api>,
    /// Its name in errors.
    id: String,
    /// Whether the storage is of the kind of S3.
    is_s3: bool,
    fetch: Fetch,
}

/// The response to a request for a range.
struct Piece {
    body: Box<dyn Read + Send>,
    /// The offset at which it ends.
    end: u64,
    /// The size of all data.
    size: u64,
    /// The ETag of the data.
    tag: Option<String>,
    /// The MD5 of all data.
    md5: Option<Md5Sum>,
    /// Whether the server says where the body ends.
    is_delimited: bool,
}

impl Ranged {
    pub(super) fn new(
        api: Arc<Api>,
        id: &str,
        is_s3: bool,
        fetch: impl Fn(u64, u64) -> Result<Option<Response>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            api,
            id: id.to_owned(),
            is_s3,
            fetch: Box::new(fetch),
        }
    }

    /// Reads from an offset to the end.
    ///
    /// # Errors
    ///
    /// - Any error of the first request.
    pub(super) fn read_from(self, offset: u64) -> Result<impl Read + Send + 'static> {
        let first = self.request(offset)?;
        let md5 = first.md5.filter(|_| offset == 0);
        Ok(Reader {
            summary: format!("download {}", self.id),
            position: offset,
            size: first.size,
            tag: first.tag.clone(),
            sum: md5.map(|md5| (Md5::new(), md5)),
            piece: Some(first),
            failures: 0,
            source: Arc::new(self),
        })
    }

    /// The pieces from an offset to the end; a single one if the server has no ranges.
    ///
    /// # Errors
    ///
    /// - Any error of the first request.
    pub(super) fn pieces_from(self, offset: u64) -> Result<impl Pieces + 'static> {
        let first = self.request(offset)?;
        let left = first.size - offset;
        Ok(RangedPieces {
            start: offset,
            size: first.size,
            piece_bytes: match first.end > offset + PIECE_BYTES {
                true => left,
                false => PIECE_BYTES,
            },
            tag: first.tag.clone(),
            md5: first.md5,
            first: Mutex::new(Some(first)),
            source: Arc::new(self),
        })
    }

    /// Requests the piece that begins at an offset.
    fn request(&self, position: u64) -> Result<Piece> {
        let last = position + PIECE_BYTES - 1;
        let Some(response) = (self.fetch)(position, last)? else {
            // Nothing begins here: the file is empty, or an earlier attempt read all of it.
            return Ok(Piece {
                body: Box::new(io::empty()),
                end: position,
                size: position,
                tag: None,
                md5: None,
                is_delimited: false,
            });
        };
        let length = response.header("content-length");
        let length = length.and_then(|length| length.parse::<u64>().ok());
        let size = match response.status {
            206 => self.total_size(&response, position)?,
            // The whole file, from a server without support for ranges.
            200 if position == 0 => {
                let why = "the server does not announce its size";
                length.ok_or_else(|| self.failed(position, why))?
            }
            _ => return Err(self.failed(position, "the server cannot resume it")),
        };
        let end = match response.status {
            206 => size.min(position + PIECE_BYTES),
            _ => size,
        };
        Ok(Piece {
            tag: response.header("etag").map(str::to_owned),
            md5: md5_in(&response, self.is_s3),
            is_delimited: length == Some(end - position),
            body: response.body,
            end,
            size,
        })
    }

    /// Requests a piece of the same data as the first one.
    fn request_more(&self, position: u64, size: u64, tag: Option<&str>) -> Result<Piece> {
        let piece = self.request(position)?;
        if piece.tag.as_deref() != tag || piece.size != size {
            return Err(self.failed(position, "the data changed while it was read"));
        }
        Ok(piece)
    }

    /// The size of the whole file: 1234 for `bytes 0-99/1234`.
    fn total_size(&self, response: &Response, position: u64) -> Result<u64> {
        let range = response.header("content-range").unwrap_or_default();
        let parts = range.strip_prefix("bytes ").and_then(|range| {
            let (range, whole) = range.split_once('/')?;
            let (first, _) = range.split_once('-')?;
            Some((first.parse::<u64>().ok()?, whole.parse::<u64>().ok()?))
        });
        match parts {
            Some((first, whole)) if first == position && whole >= first => Ok(whole),
            _ => Err(self.failed(position, &format!("the server sent the range {range:?}"))),
        }
    }

    /// The same call can resume it.
    fn interrupted(&self, position: u64, why: &str) -> Error {
        Error::new(ErrorKind::Connection, self.message(position, why))
    }

    /// What was received is of no use.
    fn failed(&self, position: u64, why: &str) -> Error {
        Error::new(ErrorKind::BadResponse, self.message(position, why))
    }

    fn message(&self, position: u64, why: &str) -> String {
        let id = &self.id;
        format!("the download of {id} failed at byte {position}: {why}")
    }
}

/// Reads data, one piece at a time.
struct Reader {
    source: Arc<Ranged>,
    summary: String,
    /// The offset of the next byte.
    position: u64,
    size: u64,
    tag: Option<String>,
    /// Of what was read so far, and of all data, if the storage gives that and all is read.
    sum: Option<(Md5, Md5Sum)>,
    piece: Option<Piece>,
    /// The attempts since the last byte was received.
    failures: u32,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.position == self.size {
                return Ok(0);
            }
            let Some(piece) = &mut self.piece else {
                let more = self
                    .source
                    .request_more(self.position, self.size, self.tag.as_deref());
                self.piece = Some(more.map_err(io::Error::other)?);
                continue;
            };
            // The body must not go on beyond the announced size.
            let limit = piece.end.saturating_sub(self.position);
            let limit = usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            if limit == 0 {
                self.piece = None;
                continue;
            }
            let (buffer, end) = (&mut buffer[..limit], piece.end);
            let read = || {
                let count = piece.body.read(buffer)?;
                if self.position + count as u64 == end && piece.is_delimited {
                    // The connection can be used again when the end was read.
                    let _ = piece.body.read(&mut [0]);
                }
                Ok(count)
            };
            let outcome = self.source.api.reading(&self.summary, read);
            let why = match outcome.map_err(io::Error::other)? {
                Ok(0) => "the connection was closed".to_owned(),
                Ok(count) => {
                    self.position += count as u64;
                    self.failures = 0;
                    self.check_sum(&buffer[..count]).map_err(io::Error::other)?;
                    return Ok(count);
                }
                Err(error) => error.to_string(),
            };
            self.piece = None;
            if self.position < end {
                self.failures += 1;
            }
            if self.failures >= MAX_ATTEMPTS {
                let error = self.source.interrupted(self.position, &why);
                return Err(io::Error::other(error));
            }
        }
    }
}

impl Reader {
    fn check_sum(&mut self, read: &[u8]) -> Result<()> {
        let Some((hash, md5)) = &mut self.sum else {
            return Ok(());
        };
        hash.update(read);
        if self.position < self.size {
            return Ok(());
        }
        checksum::check(&self.source.id, &hash.finalize_reset(), md5)
    }
}

struct RangedPieces {
    source: Arc<Ranged>,
    start: u64,
    size: u64,
    piece_bytes: u64,
    tag: Option<String>,
    md5: Option<Md5Sum>,
    /// The piece that told the size.
    first: Mutex<Option<Piece>>,
}

impl Pieces for RangedPieces {
    fn count(&self) -> usize {
        let left = self.size - self.start;
        usize::try_from(left.div_ceil(self.piece_bytes)).unwrap_or(usize::MAX)
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn md5(&self) -> Option<[u8; 16]> {
        self.md5
    }

    fn open(&self, index: usize) -> anyhow::Result<Box<dyn Read + Send>> {
        let start = self.start + index as u64 * self.piece_bytes;
        let end = self.size.min(start + self.piece_bytes);
        let first = match index {
            0 => self.first.lock().take(),
            _ => None,
        };
        let reader = Reader {
            summary: format!("download {}", self.source.id),
            position: start,
            size: self.size,
            tag: self.tag.clone(),
            sum: None,
            piece: first,
            failures: 0,
            source: self.source.clone(),
        };
        Ok(Box::new(reader.take(end - start)))
    }
}
