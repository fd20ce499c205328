//! The head of an HTTP response, read from a connection that is then used for something else: a tunnel
//! through a proxy, or a websocket. Written here because libraries that could read it log whole
//! heads, and these may hold credentials.

use std::io::Read;

use super::failure::connect_error;
use crate::error::{Error, ErrorKind, Result};

/// The most bytes that a head may have.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The most headers in it.
pub(super) const MAX_HEADERS: usize = 128;

/// Status and headers of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The first value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads the head of the final response, and returns it with the bytes that were received after it.
/// Interim responses (100 to 199, except 101) are skipped.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] for anything but a response, and for a head of more than 64 KiB;
///   else that of the connection.
pub(crate) fn read_head(connection: &mut impl Read) -> Result<(Head, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = connection.read(&mut piece).map_err(connect_error)?;
        if count == 0 {
            return Err(bad("the connection ended within the response"));
        }
        bytes.extend_from_slice(&piece[..count]);
        while let Some((head, length)) = parse(&bytes)? {
            bytes.drain(..length);
            if !(100..200).contains(&head.status) || head.status == 101 {
                return Ok((head, bytes));
            }
        }
        if bytes.len() > MAX_HEAD_BYTES {
            return Err(bad("the head of the response is larger than 64 KiB"));
        }
    }
}

/// A head at the start of `bytes` and its length, if all of it is there.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .map_err(|error| bad("the response is not HTTP").with_source(error))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let head = Head {
        status: response.code.unwrap_or_default(),
        headers: owned(response.headers),
    };
    Ok(Some((head, length)))
}

/// Names in lower case, and values.
pub(super) fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
    let pair =
        |header: &httparse::Header<'_>| (header.name.to_ascii_lowercase(), text(header.value));
    headers.iter().map(pair).collect()
}

fn bad(message: &str) -> Error {
    Error::new(ErrorKind::BadResponse, message)
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;

    use super::*;

    /// A peer that sends its bytes in pieces of this size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(self.0.len());
            self.0.read(&mut buffer[..size])
        }
    }

    #[test]
    fn heads_are_read_however_they_arrive_and_the_rest_is_kept() {
        for (text, status, rest) in [
            ("HTTP/1.1 101 X\r\nA: b\r\n\r\n", 101, ""),
            ("HTTP/1.1 101 X\r\na:  b \r\n\r\nframe", 101, "frame"),
            (
                "HTTP/1.1 100 C\r\n\r\nHTTP/1.0 200\r\nA: b\r\n\r\nxy",
                200,
                "xy",
            ),
            (
                "HTTP/1.1 102 C\r\n\r\nHTTP/1.1 103 C\r\n\r\nHTTP/1.0 407 N\r\nA: b\r\n\r\n",
                407,
                "",
            ),
        ] {
            for size in [1, 3, 4096] {
                let mut pieces = Pieces(text.as_bytes(), size);
                let (head, mut bytes) = read_head(&mut pieces).unwrap();
                pieces.read_to_end(&mut bytes).unwrap();
                assert_eq!(
                    (head.status, head.header("a")),
                    (status, Some("b")),
                    "{text}"
                );
                assert_eq!(bytes, rest.as_bytes(), "{text}");
            }
        }
    }

    #[test]
    fn anything_but_a_head_is_refused() {
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(100_000));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(200));
        for text in [
            "",
            "hello\r\n",
            "HTTP/1.1 200 OK\r\n",
            "\u{5}\u{0}",
            &endless,
            &many,
        ] {
            let error = read_head(&mut Pieces(text.as_bytes(), 4096)).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_head(&mut bytes.as_slice());
        }
    }
}
