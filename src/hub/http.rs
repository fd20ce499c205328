//! The HTTP of opening a connection: one request, one answer, over a non-blocking socket.
//!
//! Written out here because the libraries that could do it log whole requests, and these hold
//! the API key.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::hub::poller::Poller;

/// The most bytes of head and body together.
const LIMIT: usize = 64 * 1024;

/// A request without body.
pub(super) struct Request(String);

impl Request {
    pub(super) fn new(method: &str, path: &str, host: &str) -> Self {
        let agent = concat!("ftrack-api-rust/", env!("CARGO_PKG_VERSION"));
        Self(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n"
        ))
    }

    /// Adds a header; names and values have been checked by the configuration.
    pub(super) fn header(&mut self, name: &str, value: &str) {
        let _ = write!(self.0, "{name}: {value}\r\n");
    }
}

/// An answer; `rest` is the body, or what follows the head of a `CONNECT` or an upgrade.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) rest: Vec<u8>,
}

impl Response {
    /// The values of all headers of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |(given, _): &&(String, String)| given.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
    }
}

/// Sends a request and reads the answer, with its body unless the connection is to be kept.
pub(super) fn exchange(
    stream: &mut (impl Read + Write),
    poller: &mut Poller,
    deadline: Instant,
    request: &Request,
    with_body: bool,
) -> Result<Response> {
    let text = format!("{}\r\n", request.0);
    let mut unsent = text.as_bytes();
    while !unsent.is_empty() {
        let sent = poller.until(deadline, || stream.write(unsent))?;
        unsent = &unsent[sent..];
    }
    poller.until(deadline, || stream.flush())?;
    let mut input = Input {
        bytes: Vec::new(),
        ended: false,
    };
    let mut response = loop {
        input.read(stream, poller, deadline)?;
        if let Some((response, length)) = parse_head(&input.bytes)? {
            input.bytes.drain(..length);
            if (100..200).contains(&response.status) && response.status != 101 {
                continue;
            }
            break response;
        }
        if input.ended {
            return Err(bad("the connection ended within the answer"));
        }
    };
    if with_body {
        while !body_is_complete(&response, &mut input)? {
            input.read(stream, poller, deadline)?;
        }
    }
    response.rest = input.bytes;
    Ok(response)
}

struct Input {
    bytes: Vec<u8>,
    ended: bool,
}

impl Input {
    fn read(
        &mut self,
        stream: &mut impl Read,
        poller: &mut Poller,
        deadline: Instant,
    ) -> Result<()> {
        let mut piece = [0; 4096];
        let length = poller.until(deadline, || stream.read(&mut piece))?;
        self.ended = length == 0;
        self.bytes.extend_from_slice(&piece[..length]);
        if self.bytes.len() > LIMIT {
            return Err(bad("the answer is longer than 64 KiB"));
        }
        Ok(())
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<(Response, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Response::new(&mut headers);
    let status = parsed
        .parse(bytes)
        .map_err(|error| bad("the answer is not HTTP").because(error))?;
    let httparse::Status::Complete(length) = status else {
        return Ok(None);
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    let headers = parsed
        .headers
        .iter()
        .map(|header| (header.name.into(), text(header.value)));
    let headers = headers.collect();
    let status = parsed.code.unwrap_or_default();
    Ok(Some((
        Response {
            status,
            headers,
            rest: Vec::new(),
        },
        length,
    )))
}

/// Whether the body has arrived; if so it stands in `input` without its framing.
fn body_is_complete(response: &Response, input: &mut Input) -> Result<bool> {
    let chunked = response
        .all("transfer-encoding")
        .any(|value| value.to_ascii_lowercase().ends_with("chunked"));
    if chunked {
        return match unchunk(&input.bytes)? {
            Some(body) => {
                input.bytes = body;
                Ok(true)
            }
            None if input.ended => Err(bad("the answer was cut short")),
            None => Ok(false),
        };
    }
    let length = response
        .all("content-length")
        .next()
        .and_then(|value| value.parse().ok());
    match length {
        Some(length) if input.bytes.len() >= length => {
            input.bytes.truncate(length);
            Ok(true)
        }
        Some(_) if input.ended => Err(bad("the answer was cut short")),
        Some(_) => Ok(false),
        None => Ok(input.ended),
    }
}

/// Takes the chunks apart; nothing if the last has not arrived.
fn unchunk(mut bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(bytes).map_err(|_| bad("a chunk without size"))?;
        let httparse::Status::Complete((start, size)) = size else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| start.checked_add(size));
        let end = end
            .filter(|end| *end <= LIMIT)
            .ok_or_else(|| bad("a chunk is too long"))?;
        let (Some(chunk), Some(rest)) = (bytes.get(start..end), bytes.get(end + 2..)) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        bytes = rest;
    }
}

fn bad(message: &str) -> Error {
    Error::new(ErrorKind::BadResponse, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// A server that sends its answer in pieces.
    struct Pieces(Vec<Vec<u8>>, Vec<u8>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(7);
            self.1.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ask(answer: &[u8], size: usize, with_body: bool) -> Result<Response> {
        let pieces = answer.chunks(size).map(<[u8]>::to_vec).collect();
        let mut stream = Pieces(pieces, Vec::new());
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut request = Request::new("GET", "/", "h");
        request.header("A", "b");
        let mut poller = Poller::new().unwrap();
        let response = exchange(&mut stream, &mut poller, deadline, &request, with_body);
        let sent = String::from_utf8(stream.1).unwrap();
        assert!(sent.starts_with("GET / HTTP/1.1\r\nHost: h\r\n"), "{sent}");
        assert!(sent.ends_with("\r\nA: b\r\n\r\n"), "{sent}");
        response
    }

    #[test]
    fn reads_every_framing() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na:b:cXX",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na:b\r\n2;x=y\r\n:c\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na:b:c",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na:b:c",
            "HTTP/1.0 200 OK\r\n\r\na:b:c",
        ] {
            for size in [1, 3, 4096] {
                let response = ask(answer.as_bytes(), size, true).unwrap();
                assert_eq!(response.status, 200, "{answer}");
                assert_eq!(response.rest, b"a:b:c", "{answer}");
            }
        }
    }

    #[test]
    fn keeps_what_follows_an_upgrade() {
        let response = ask(b"HTTP/1.1 101 X\r\nA: b\r\n\r\nframe", 4096, false).unwrap();
        assert_eq!(
            (response.status, response.rest.as_slice()),
            (101, b"frame".as_slice())
        );
        assert_eq!(response.all("a").collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn refuses_what_is_not_http() {
        for answer in [
            "",
            "hello",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        ] {
            let error = ask(answer.as_bytes(), 4096, true).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{answer}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000));
        assert!(ask(endless.as_bytes(), 4096, true).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_chunks_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = unchunk(&bytes);
        }
    }
}
