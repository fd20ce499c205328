//! The server's own storage.

use std::io::{self, Read};
use std::sync::Arc;

use super::{Accessor, Content, PendingWrite, Prepared};
use crate::api::Api;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Response;

mod upload;

/// Data in the server's storage; the resource identifier is the component's id.
///
/// It holds the connection and not the session, so that a session does not own itself.
pub(crate) struct ServerAccessor {
    api: Arc<Api>,
}

impl ServerAccessor {
    pub(crate) fn new(api: Arc<Api>) -> Self {
        Self { api }
    }
}

impl Accessor for ServerAccessor {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.open_at(resource_identifier, 0)
    }

    fn open_at(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Box<dyn Read + Send>> {
        let mut download = Download {
            api: self.api.clone(),
            id: resource_identifier.to_owned(),
            summary: format!("download {resource_identifier}"),
            position: offset,
            start: offset,
            end: None,
            tag: None,
            piece: None,
            piece_end: 0,
            failures: 0,
        };
        download.request()?;
        Ok(Box::new(download))
    }

    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        Ok(upload::send(&self.api, resource_identifier, content)?)
    }

    fn allows_connections(&self) -> bool {
        true
    }

    fn prepare(&self, files: &[PendingWrite<'_>]) -> anyhow::Result<Vec<Option<Prepared>>> {
        let prepared = upload::prepare(&self.api, files)?.into_iter();
        let boxed = |one| Box::new(one) as Prepared;
        Ok(prepared.map(|one| one.map(boxed)).collect())
    }

    /// The server cannot be asked. Ids are unique, so there is never other data.
    fn exists(&self, _: &str) -> anyhow::Result<bool> {
        Ok(false)
    }

    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        match self.api.remove_file(resource_identifier) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            removed => Ok(removed.map(|()| true)?),
        }
    }

    fn get_url(&self, resource_identifier: &str) -> anyhow::Result<String> {
        let url = self.api.file_url("get", resource_identifier, None);
        Ok(url.into())
    }

    fn get_thumbnail_url(
        &self,
        resource_identifier: &str,
        size: Option<u32>,
    ) -> anyhow::Result<String> {
        let url = self.api.file_url("thumbnail", resource_identifier, size);
        Ok(url.into())
    }
}

/// The bytes that one request asks for. Each request has its own time limit, so files of any size
/// can be read, and a broken connection costs one piece.
const PIECE_SIZE: u64 = 16 << 20;
/// The attempts for a piece without receiving a byte.
const MAX_ATTEMPTS: u32 = 3;

/// Reads data from the server, one piece at a time.
struct Download {
    api: Arc<Api>,
    id: String,
    /// Its name in errors.
    summary: String,
    /// The offset of the next byte.
    position: u64,
    /// The offset of the first byte.
    start: u64,
    /// The size of the file, once it is known.
    end: Option<u64>,
    /// The ETag of the data.
    tag: Option<String>,
    piece: Option<Box<dyn Read + Send>>,
    /// The end of the current piece.
    piece_end: u64,
    /// The attempts since the last byte was received.
    failures: u32,
}

impl Download {
    /// Requests the next piece.
    fn request(&mut self) -> Result<()> {
        let last = self.position + PIECE_SIZE - 1;
        let response = self.api.get_file(&self.id, self.position, last)?;
        let tag = response.header("etag").map(str::to_owned);
        if self.position > self.start && tag != self.tag {
            return Err(self.failed("the data changed while it was read"));
        }
        self.tag = tag;
        match response.status {
            // Nothing begins here: the file is empty, or an earlier attempt read all of it.
            416 if self.position == self.start => self.end = Some(self.position),
            206 => self.end = Some(self.total_size(&response)?),
            // The whole file, from a server without support for ranges.
            200 if self.position == 0 => {
                let length = response.header("content-length");
                let length = length.and_then(|length| length.parse().ok());
                let unknown = || self.failed("the server does not announce its size");
                self.end = Some(length.ok_or_else(unknown)?);
            }
            _ => return Err(self.failed("the server cannot resume it")),
        }
        let end = self.end.unwrap_or(u64::MAX);
        self.piece_end = match response.status {
            206 => end.min(self.position + PIECE_SIZE),
            _ => end,
        };
        self.piece = Some(response.body);
        Ok(())
    }

    /// The size of the whole file: 1234 for `bytes 0-99/1234`.
    fn total_size(&self, response: &Response) -> Result<u64> {
        let range = response.header("content-range").unwrap_or_default();
        let parts = range.strip_prefix("bytes ").and_then(|range| {
            let (range, whole) = range.split_once('/')?;
            let (first, _) = range.split_once('-')?;
            Some((first.parse::<u64>().ok()?, whole.parse::<u64>().ok()?))
        });
        match parts {
            Some((first, whole)) if first == self.position && whole >= first => Ok(whole),
            _ => Err(self.failed(&format!("the server sent the range {range:?}"))),
        }
    }

    fn failed(&self, why: &str) -> Error {
        let (id, position) = (&self.id, self.position);
        let message = format!("the download of {id} failed after {position} bytes: {why}");
        Error::new(ErrorKind::Connection, message)
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.end == Some(self.position) {
                return Ok(0);
            }
            let Some(piece) = &mut self.piece else {
                self.request().map_err(io::Error::other)?;
                continue;
            };
            // The body must not go on beyond the announced size.
            let limit = self.piece_end.saturating_sub(self.position);
            let limit = usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            if limit == 0 {
                self.piece = None;
                continue;
            }
            let buffer = &mut buffer[..limit];
            let outcome = self.api.reading(&self.summary, || piece.read(buffer));
            let why = match outcome.map_err(io::Error::other)? {
                Ok(0) => "the connection was closed".to_owned(),
                Ok(count) => {
                    self.position += count as u64;
                    self.failures = 0;
                    return Ok(count);
                }
                Err(error) => error.to_string(),
            };
            self.piece = None;
            if self.position < self.piece_end {
                self.failures += 1;
            }
            if self.failures >= MAX_ATTEMPTS {
                return Err(io::Error::other(self.failed(&why)));
            }
        }
    }
}
