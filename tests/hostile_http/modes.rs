//! What a hostile server responds.

use std::io::Write;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use crate::server::{Respond, gzipped, ok, send};

/// The key of the session, which the server echoes.
pub(crate) const KEY: &str = "a-key-that-n0body-may-see";

/// 64 MB, compressed.
pub(crate) static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| gzipped(&[b' '; 64 << 20]));

/// Those that refuse a request do so before it reaches the emulator: whatever a server has applied and
/// then refuses cannot be told from what it has refused.
pub(crate) const REFUSALS: &[&str] = &[
    "an error that names the key",
    "a redirect that names the key",
    "401",
    "404",
    "429, and a date far away",
];

/// Those that only the time limit of a request ends.
pub(crate) const WAITED_OUT: &[&str] = &[
    "100 Continue without end",
    "no response at all",
    "a byte a second",
];

pub(crate) const MODES: &[(&str, Respond)] = &[
    ("closes the connection", |_, _| Ok(())),
    ("a banner of another protocol", |client, _| {
        client.write_all(b"SSH-2.0-OpenSSH_9.6\r\n")
    }),
    ("half a head", |client, _| {
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Len")
    }),
    ("a head without end", |client, _| {
        client.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            client.write_all(b"x-filler: 0123456789012345678901234567890123456789\r\n")?;
        }
    }),
    ("100 Continue without end", |client, _| {
        loop {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            thread::sleep(Duration::from_millis(1));
        }
    }),
    ("no response at all", |_, _| {
        thread::sleep(Duration::from_secs(8));
        Ok(())
    }),
    ("a byte a second", |client, body| {
        write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        for byte in body {
            client.write_all(&[*byte])?;
            thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    }),
    ("a length that is too large", |client, body| {
        write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            body.len() + 1
        )?;
        client.write_all(body)
    }),
    ("a length that is too small", |client, body| {
        let length = body.len().saturating_sub(1);
        write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        )?;
        client.write_all(body)
    }),
    ("a length that is no number", |client, body| {
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")?;
        client.write_all(body)
    }),
    ("two lengths", |client, body| {
        let length = body.len();
        write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Length: 1\r\n\r\n"
        )?;
        client.write_all(body)
    }),
    ("chunks of a bad size", |client, body| {
        client.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")?;
        client.write_all(body)
    }),
    ("chunks of a huge size", |client, body| {
        client.write_all(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        )?;
        client.write_all(body)
    }),
    ("chunks without end", |client, body| {
        client.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        write!(client, "{:x}\r\n", body.len())?;
        client.write_all(body)?;
        client.write_all(b"\r\n")
    }),
    ("gzip that is none", |client, body| {
        send(client, "200 OK", "Content-Encoding: gzip\r\n", body)
    }),
    ("gzip that is cut", |client, body| {
        let packed = gzipped(body);
        send(
            client,
            "200 OK",
            "Content-Encoding: gzip\r\n",
            &packed[..packed.len() / 2],
        )
    }),
    ("gzip of 64 MB", |client, _| {
        send(client, "200 OK", "Content-Encoding: gzip\r\n", &BOMB)
    }),
    ("a body without end", |client, _| {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n[")?;
        loop {
            client.write_all(&[b' '; 4096])?;
        }
    }),
    ("objects that are mostly memory", |client, _| {
        ok(
            client,
            format!("[{}{{}}]", "{\"\":0},".repeat(700_000)).as_bytes(),
        )
    }),
    ("lists in lists", |client, _| {
        ok(client, "[".repeat(1 << 20).as_bytes())
    }),
    ("nothing", |client, _| ok(client, b"")),
    ("null", |client, _| ok(client, b"null")),
    ("[]", |client, _| ok(client, b"[]")),
    ("[null]", |client, _| ok(client, b"[null]")),
    ("[true]", |client, _| ok(client, b"[true]")),
    ("[[]]", |client, _| ok(client, b"[[]]")),
    ("[{}]", |client, _| ok(client, b"[{}]")),
    ("[{\"data\": null}]", |client, _| {
        ok(client, br#"[{"data": null}]"#)
    }),
    ("[{\"data\": [7]}]", |client, _| {
        ok(client, br#"[{"data": [7]}]"#)
    }),
    ("a reply too many", |client, body| {
        let text = String::from_utf8_lossy(body);
        let list = text.trim().trim_end_matches(']').to_owned();
        ok(client, format!("{list},{{}}]").as_bytes())
    }),
    ("text that is not UTF-8", |client, _| {
        ok(client, b"[{\"data\": \"\xff\xfe\"}]")
    }),
    ("an error that names the key", |client, _| {
        let text =
            format!(r#"{{"exception": "{KEY}", "content": "{KEY}", "error_code": "{KEY}"}}"#);
        ok(client, text.as_bytes())
    }),
    (
        "an exception in the list that names the key",
        |client, _| {
            let text = format!(r#"[{{"exception": "no access for {KEY}"}}]"#);
            ok(client, text.as_bytes())
        },
    ),
    ("an entity type that names the key", |client, _| {
        let text = format!(r#"[{{"data": [{{"__entity_type__": "{KEY}", "id": "x"}}]}}]"#);
        ok(client, text.as_bytes())
    }),
    ("a page that names the key", |client, _| {
        ok(
            client,
            format!("<html>{}{KEY}{KEY}", " ".repeat(65_500)).as_bytes(),
        )
    }),
    ("a redirect that names the key", |client, _| {
        let to = format!("Location: https://elsewhere.example/{KEY}?apiKey={KEY}\r\n");
        send(client, "302 Found", &to, KEY.as_bytes())
    }),
    ("401", |client, _| {
        send(client, "401 Unauthorized", "", KEY.as_bytes())
    }),
    ("404", |client, _| {
        send(client, "404 Not Found", "", KEY.as_bytes())
    }),
    ("429, and a date far away", |client, _| {
        send(
            client,
            "429 Slow",
            "Retry-After: 99999999999999999999\r\n",
            b"",
        )
    }),
    ("500", |client, _| {
        send(client, "500 Oops", "", KEY.as_bytes())
    }),
    ("503", |client, _| {
        send(client, "503 Away", "Retry-After: -1\r\n", KEY.as_bytes())
    }),
];
