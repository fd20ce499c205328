//! Keeps answers out of the log of `ureq`: at trace level it prints every byte that it receives.
//!
//! While somebody may listen, `ureq` is shown an answer of the same shape, with fillers for all
//! but what says how long it is. What came is kept here, and put in place of the fillers once they
//! have come out of `ureq`.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use ureq::unversioned::transport::{Buffers, LazyBuffers};

use super::seal::is_framing;
use crate::lock::Mutex;

/// As many headers as `ureq` allows, and as many bytes of them.
const MOST_HEADERS: usize = 128;
const LONGEST_HEAD: usize = 1 << 16;

/// An answer as it comes in.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Answer>>);

#[derive(Default)]
struct Answer {
    headers: Vec<(String, String)>,
    body: VecDeque<u8>,
}

impl Kept {
    /// What came, as far as `fillers` for the body come. `ureq` has not unpacked it: it was not
    /// shown how it is packed.
    pub(super) fn reveal(
        self,
        fillers: impl Read + Send + 'static,
    ) -> (Vec<(String, String)>, Box<dyn Read + Send>) {
        let headers = std::mem::take(&mut self.0.lock().headers);
        let is_packed = headers
            .iter()
            .any(|(name, value)| name == "content-encoding" && value.eq_ignore_ascii_case("gzip"));
        let body = Body {
            fillers,
            kept: self,
        };
        match is_packed {
            true => (headers, Box::new(MultiGzDecoder::new(body))),
            false => (headers, Box::new(body)),
        }
    }
}

struct Body<R> {
    fillers: R,
    kept: Kept,
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fillers.read(buffer)?;
        let mut answer = self.kept.0.lock();
        answer.body.read_exact(&mut buffer[..count])?;
        Ok(count)
    }
}

/// What stands between a connection and `ureq` while an answer comes in.
pub(super) struct Veil {
    kept: Kept,
    expected: Expected,
    /// A part of a head, or of a line between chunks.
    begun: Vec<u8>,
    buffers: LazyBuffers,
}

enum Expected {
    Head,
    /// So much of the body, and then nothing.
    Body(u64),
    /// The line with a chunk's size.
    Size,
    Chunk(u64),
    /// The end of a chunk's last line.
    ChunkEnd,
    /// Headers after the last chunk.
    Trailers,
    Nothing,
}

impl Veil {
    /// With buffers of these sizes for what comes in and what goes out.
    pub(super) fn new(kept: Kept, (input, output): (usize, usize)) -> Self {
        Self {
            kept,
            expected: Expected::Head,
            begun: Vec::new(),
            // A head is shown when all of it is there, and `ureq` may leave bytes in the buffer.
            buffers: LazyBuffers::new(2 * input + LONGEST_HEAD, output),
        }
    }

    pub(super) fn buffers(&mut self) -> &mut LazyBuffers {
        &mut self.buffers
    }

    /// Keeps what came, and shows something of the same shape.
    pub(super) fn cover(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (shown, taken) = match self.expected {
                Expected::Head => self.head(bytes),
                Expected::Body(left) => {
                    let taken = self.keep(bytes, left);
                    self.expected = match left - taken as u64 {
                        0 => Expected::Nothing,
                        left => Expected::Body(left),
                    };
                    (fillers(taken), taken)
                }
                Expected::Chunk(left) => {
                    let taken = self.keep(bytes, left);
                    self.expected = match left - taken as u64 {
                        0 => Expected::ChunkEnd,
                        left => Expected::Chunk(left),
                    };
                    (fillers(taken), taken)
                }
                Expected::Size | Expected::ChunkEnd | Expected::Trailers => self.line(bytes),
                Expected::Nothing => (fillers(bytes.len()), bytes.len()),
            };
            self.show(&shown)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn keep(&self, bytes: &[u8], most: u64) -> usize {
        let count = usize::try_from(most).map_or(bytes.len(), |most| bytes.len().min(most));
        self.kept.0.lock().body.extend(&bytes[..count]);
        count
    }

    fn show(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = self.buffers.input_append_buf();
            let count = bytes.len().min(room.len());
            if count == 0 {
                return Err(io::Error::other("more came than there is room for"));
            }
            room[..count].copy_from_slice(&bytes[..count]);
            self.buffers.input_appended(count);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Shows a head once it is there as a whole.
    fn head(&mut self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let before = self.begun.len();
        self.begun.extend_from_slice(bytes);
        let head = std::mem::take(&mut self.begun);
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        match answer.parse(&head) {
            Ok(httparse::Status::Complete(length)) => (self.covered_head(&answer), length - before),
            Ok(httparse::Status::Partial) if head.len() <= LONGEST_HEAD => {
                self.begun = head;
                (Vec::new(), bytes.len())
            }
            // Fillers are no more an answer than what came is.
            _ => {
                self.expected = Expected::Nothing;
                (fillers(head.len()), bytes.len())
            }
        }
    }

    fn covered_head(&mut self, answer: &httparse::Response<'_, '_>) -> Vec<u8> {
        let (version, status) = (
            answer.version.unwrap_or_default(),
            answer.code.unwrap_or_default(),
        );
        let mut shown = format!("HTTP/1.{version} {status} \r\n").into_bytes();
        let mut kept = Vec::new();
        for header in answer.headers.iter() {
            shown.extend_from_slice(header.name.as_bytes());
            shown.extend_from_slice(b": ");
            if is_framing(header.name) {
                shown.extend_from_slice(header.value);
            } else {
                shown.resize(shown.len() + header.value.len(), b'x');
            }
            shown.extend_from_slice(b"\r\n");
            let value = String::from_utf8_lossy(header.value).into_owned();
            kept.push((header.name.to_ascii_lowercase(), value));
        }
        shown.extend_from_slice(b"\r\n");
        self.expected = match status {
            100..200 => Expected::Head,
            204 | 304 => Expected::Nothing,
            _ => body_of(&kept, version),
        };
        self.kept.0.lock().headers = kept;
        shown
    }

    /// Shows a line between chunks: its end, and the size in it.
    fn line(&mut self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        let is_size = matches!(self.expected, Expected::Size);
        let shown = bytes[..taken].iter().map(|byte| {
            self.begun.push(*byte);
            let is_plain = is_size && !self.begun.contains(&b';');
            match byte {
                b'\r' | b'\n' | b':' | b';' => *byte,
                digit if is_plain && digit.is_ascii_hexdigit() => *digit,
                _ => b'x',
            }
        });
        let shown = shown.collect();
        if end.is_some() {
            let line = std::mem::take(&mut self.begun);
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

/// How long the body is after these headers (RFC 9112, 6.3).
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

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(text, 16).ok()
}

fn fillers(count: usize) -> Vec<u8> {
    vec![b'x'; count]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `ureq` sees of an answer that comes in parts of this length, and what is kept.
    fn covered(answer: &str, part: usize) -> (String, Vec<(String, String)>, String) {
        let kept = Kept::default();
        let mut veil = Veil::new(kept.clone(), (1 << 16, 1));
        for part in answer.as_bytes().chunks(part) {
            veil.cover(part).unwrap();
        }
        let shown = String::from_utf8(veil.buffers.input().to_vec()).unwrap();
        let mut body = String::new();
        let length = kept.0.lock().body.len() as u64;
        let (headers, mut reader) = kept.reveal(io::repeat(b'x').take(length));
        reader.read_to_string(&mut body).unwrap();
        (shown, headers, body)
    }

    #[test]
    fn what_is_shown_has_the_same_shape_however_it_comes() {
        for (answer, shown, body) in [
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
            for part in [1, 2, 5, answer.len()] {
                let (seen, _, kept) = covered(answer, part);
                assert_eq!((&*seen, &*kept), (shown, body), "{part} bytes at once");
            }
        }
        let (_, headers, _) = covered("HTTP/1.1 200 OK\r\nETag: \"a\"\r\n\r\n", 100);
        assert_eq!(headers, [("etag".to_owned(), "\"a\"".to_owned())]);
    }

    #[test]
    fn a_head_without_an_end_is_not_kept_for_ever() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(LONGEST_HEAD));
        let (shown, ..) = covered(&endless, 1000);
        assert!(shown.starts_with("xxxx"));
    }
}
