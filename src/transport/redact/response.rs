//! The content of a response.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use ureq::unversioned::transport::{Buffers, LazyBuffers};

use crate::lock::Mutex;
use crate::transport::head::{MAX_HEAD_BYTES, MAX_HEADERS};

/// Whether `ureq` must see the value of a header: how long a message is, and what follows it.
pub(super) fn is_framing(name: &str) -> bool {
    let names = [
        "connection",
        "content-length",
        "expect",
        "transfer-encoding",
    ];
    names
        .iter()
        .any(|framing| framing.eq_ignore_ascii_case(name))
}

/// A response as it is received.
#[derive(Clone, Default)]
pub(in crate::transport) struct OriginalResponse(Arc<Mutex<Parts>>);

#[derive(Default)]
struct Parts {
    headers: Vec<(String, String)>,
    body: VecDeque<u8>,
}

impl OriginalResponse {
    /// The headers, and the body as far as `ureq` returns `placeholders` for it. `ureq` has not
    /// decompressed it, because it was not shown that it is compressed.
    pub(in crate::transport) fn reveal(
        self,
        placeholders: impl Read + Send + 'static,
    ) -> (Vec<(String, String)>, Box<dyn Read + Send>) {
        let headers = std::mem::take(&mut self.0.lock().headers);
        let is_compressed = headers
            .iter()
            .any(|(name, value)| name == "content-encoding" && value.eq_ignore_ascii_case("gzip"));
        let body = Body {
            placeholders,
            original: self,
        };
        match is_compressed {
            true => (headers, Box::new(MultiGzDecoder::new(body))),
            false => (headers, Box::new(body)),
        }
    }
}

struct Body<R> {
    placeholders: R,
    original: OriginalResponse,
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.placeholders.read(buffer)?;
        let mut original = self.original.0.lock();
        original.body.read_exact(&mut buffer[..count])?;
        Ok(count)
    }
}

/// Stands between a connection and `ureq` while a response is received.
pub(in crate::transport) struct RedactedResponse {
    original: OriginalResponse,
    expected: Expected,
    /// A part of a head, or of a line between chunks.
    partial: Vec<u8>,
    buffers: LazyBuffers,
}

enum Expected {
    Head,
    /// This much of the body, and then nothing.
    Body(u64),
    /// The line with the size of a chunk.
    Size,
    Chunk(u64),
    /// The line break after a chunk.
    ChunkEnd,
    /// Headers after the last chunk.
    Trailers,
    Nothing,
}

impl RedactedResponse {
    /// With buffers of these sizes for input and output.
    pub(in crate::transport) fn new(
        original: OriginalResponse,
        (input, output): (usize, usize),
    ) -> Self {
        Self {
            original,
            expected: Expected::Head,
            partial: Vec::new(),
            // A head is shown once it is complete, and `ureq` may leave bytes in the buffer.
            buffers: LazyBuffers::new(2 * input + MAX_HEAD_BYTES, output),
        }
    }

    pub(in crate::transport) fn buffers(&mut self) -> &mut LazyBuffers {
        &mut self.buffers
    }

    /// Stores what was received, and shows `ureq` something of the same shape.
    pub(in crate::transport) fn receive(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (shown, taken) = match self.expected {
                Expected::Head => self.head(bytes),
                Expected::Body(left) => {
                    let taken = self.store(bytes, left);
                    self.expected = match left - taken as u64 {
                        0 => Expected::Nothing,
                        left => Expected::Body(left),
                    };
                    (placeholders(taken), taken)
                }
                Expected::Chunk(left) => {
                    let taken = self.store(bytes, left);
                    self.expected = match left - taken as u64 {
                        0 => Expected::ChunkEnd,
                        left => Expected::Chunk(left),
                    };
                    (placeholders(taken), taken)
                }
                Expected::Size | Expected::ChunkEnd | Expected::Trailers => self.line(bytes),
                Expected::Nothing => (placeholders(bytes.len()), bytes.len()),
            };
            self.show(&shown)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn store(&self, bytes: &[u8], most: u64) -> usize {
        let count = usize::try_from(most).map_or(bytes.len(), |most| bytes.len().min(most));
        self.original.0.lock().body.extend(&bytes[..count]);
        count
    }

    fn show(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.buffers.input_append_buf();
            let count = bytes.len().min(room.len());
            if count == 0 {
                return Err(io::Error::other("more was received than fits"));
            }
            room[..count].copy_from_slice(&bytes[..count]);
            self.buffers.input_appended(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Shows a head once it is complete.
    fn head(&mut self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let head = std::mem::take(&mut self.partial);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&head) {
            Ok(httparse::Status::Complete(length)) => {
                (self.redacted_head(&response), length - before)
            }
            Ok(httparse::Status::Partial) if head.len() <= MAX_HEAD_BYTES => {
                self.partial = head;
                (Vec::new(), bytes.len())
            }
            // Placeholders are as little a response as the original.
            _ => {
                self.expected = Expected::Nothing;
                (placeholders(head.len()), bytes.len())
            }
        }
    }

    fn redacted_head(&mut self, response: &httparse::Response<'_, '_>) -> Vec<u8> {
        let (version, status) = (
            response.version.unwrap_or_default(),
            response.code.unwrap_or_default(),
        );
        let mut shown = format!("HTTP/1.{version} {status} \r\n").into_bytes();
        let mut headers = Vec::new();
        for header in response.headers.iter() {
            shown.extend_from_slice(header.name.as_bytes());
            shown.extend_from_slice(b": ");
            if is_framing(header.name) {
                shown.extend_from_slice(header.value);
            } else {
                shown.resize(shown.len() + header.value.len(), b'x');
            }
            shown.extend_from_slice(b"\r\n");
            let value = String::from_utf8_lossy(header.value).into_owned();
            headers.push((header.name.to_ascii_lowercase(), value));
        }
        shown.extend_from_slice(b"\r\n");
        self.expected = match status {
            100..200 => Expected::Head,
            204 | 304 => Expected::Nothing,
            _ => body_of(&headers, version),
        };
        self.original.0.lock().headers = headers;
        shown
    }

    /// Shows a line between chunks: its end, and the size in it.
    fn line(&mut self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        let is_size = matches!(self.expected, Expected::Size);
        let shown = bytes[..taken].iter().map(|byte| {
            self.partial.push(*byte);
            let is_plain = is_size && !self.partial.contains(&b';');
            match byte {
                b'\r' | b'\n' | b':' | b';' => *byte,
                digit if is_plain && digit.is_ascii_hexdigit() => *digit,
                _ => b'x',
            }
        });
        let shown = shown.collect();
        if end.is_some() {
            let line = std::mem::take(&mut self.partial);
            let digits = line.split(|byte| !byte.is_ascii_hexdigit()).next();
            self.expected = match self.expected {
                Expected::ChunkEnd => Expected::Size,
                Expected::Size => match hexadecimal(digits.unwrap_or_default()) {
                    Some(0) => Expected::Trailers,
                    Some(size) => Expected::Chunk(size),
                    None => Expected::Nothing,
                },
                _ if matches!(&*line, b"\r\n" | b"\n") => Expected::Nothing,
                _ => Expected::Trailers,
            };
        }
        (shown, taken)
    }
}

/// The body that follows these headers (RFC 9112, section 6.3).
fn body_of(headers: &[(String, String)], version: u8) -> Expected {
    let values = |name| {
        headers
            .iter()
            .filter(move |(have, _)| have == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
    };
    if version > 0 && values("transfer-encoding").any(|value| value.eq_ignore_ascii_case("chunked"))
    {
        return Expected::Size;
    }
    match values("content-length").find_map(|value| value.parse().ok()) {
        Some(0) => Expected::Nothing,
        Some(length) => Expected::Body(length),
        None => Expected::Body(u64::MAX),
    }
}

debug_fields!(RedactedResponse);

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(text, 16).ok()
}

fn placeholders(count: usize) -> Vec<u8> {
    vec![b'x'; count]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `ureq` sees of a response that is received in parts of this length, and what is stored.
    fn received(response: &str, part: usize) -> (String, Vec<(String, String)>, String) {
        let original = OriginalResponse::default();
        let mut redacted = RedactedResponse::new(original.clone(), (1 << 16, 1));
        for part in response.as_bytes().chunks(part) {
            redacted.receive(part).unwrap();
        }
        let shown = String::from_utf8(redacted.buffers.input().to_vec()).unwrap();
        let mut body = String::new();
        let length = original.0.lock().body.len() as u64;
        let (headers, mut reader) = original.reveal(io::repeat(b'x').take(length));
        reader.read_to_string(&mut body).unwrap();
        (shown, headers, body)
    }

    #[test]
    fn the_shown_response_has_the_shape_of_the_original() {
        for (response, shown, body) in [
            (
                "HTTP/1.1 200 OK\r\nSet-Cookie:a=b\r\nContent-Length: 3\r\n\r\nabcZZ",
                "HTTP/1.1 200 \r\nSet-Cookie: xxx\r\nContent-Length: 3\r\n\r\nxxxxx",
                "abc",
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oh\r\n\r\nuntil the end",
                "HTTP/1.1 100 \r\n\r\nHTTP/1.1 500 \r\n\r\nxxxxxxxxxxxxx",
                "until the end",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n\
                 3;k=5\r\nabc\r\n0C\r\n0\r\n\r\n2\r\nab\r\n\r\n0\r\nk: 1\r\n\r\n",
                "HTTP/1.1 200 \r\nTransfer-Encoding: gzip, chunked\r\n\r\n\
                 3;xxx\r\nxxx\r\n0C\r\nxxxxxxxxxxxx\r\n0\r\nx:xx\r\n\r\n",
                "abc0\r\n\r\n2\r\nab\r\n",
            ),
            ("HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 \r\n\r\n", ""),
            ("garbage", "xxxxxxx", ""),
        ] {
            for part in [1, 2, 5, response.len()] {
                let (seen, _, stored) = received(response, part);
                assert_eq!((&*seen, &*stored), (shown, body), "{part} bytes at once");
            }
        }
        let (_, headers, _) = received("HTTP/1.1 200 OK\r\nETag: \"a\"\r\n\r\n", 100);
        assert_eq!(headers, [("etag".to_owned(), "\"a\"".to_owned())]);
    }

    #[test]
    fn a_head_without_an_end_is_not_stored_for_ever() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_HEAD_BYTES));
        let (shown, ..) = received(&endless, 1000);
        assert!(shown.starts_with("xxxx"));
    }
}
