//! A server of prepared responses: it reads a request and writes bytes that lie ready.
//!
//! It takes as little time as it can, so that it does not measure itself, and it is strict: what
//! it has no response for is an error, so that no contender asks for more than the others unseen.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::contender::{PAGE, Work};
use crate::record::{Recording, record};

/// What the driver learns when the server listens.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) url: String,
    /// The same server at the end of a slow link.
    pub(crate) slow_url: String,
    pub(crate) work: Work,
    /// The size of all tasks' pages that are asked for first, and of the same in full.
    pub(crate) bytes: usize,
    pub(crate) full_bytes: usize,
    /// That of all tasks with what users read besides.
    pub(crate) users_bytes: usize,
}

/// What a request waits for at the end of the slow link.
pub(crate) const LATENCY: Duration = Duration::from_millis(50);

/// Whole HTTP responses, but the bodies of pages, of which one response may have several.
struct Responses {
    information: Vec<u8>,
    schemas: Vec<u8>,
    both: Vec<u8>,
    pages: Vec<Vec<u8>>,
    full_pages: Vec<Vec<u8>>,
    users_pages: Vec<Vec<u8>>,
    configurations: Vec<u8>,
    updated: Vec<u8>,
    created: Vec<u8>,
    changes: usize,
}

/// Records, says where it listens, and serves until its input ends.
pub(crate) fn serve(tasks: usize, changes: usize) -> Result<()> {
    let recording = record(tasks, changes).context("recording the emulator")?;
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (listener, slow_listener) = (listen()?, listen()?);
    let size = |pages: &[String]| pages.iter().map(String::len).sum();
    let ready = Ready {
        url: format!("http://{}", listener.local_addr()?),
        slow_url: format!("http://{}", slow_listener.local_addr()?),
        bytes: size(&recording.pages[..tasks / PAGE]),
        full_bytes: size(&recording.full_pages),
        users_bytes: size(&recording.users_pages),
        work: recording.work.clone(),
    };
    let responses = Arc::new(Responses::new(&recording, changes));
    drop(recording);
    for (listener, latency) in [(listener, Duration::ZERO), (slow_listener, LATENCY)] {
        let responses = responses.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let responses = responses.clone();
                thread::spawn(move || {
                    if let Err(error) = responses.converse(&stream, latency) {
                        eprintln!("the replaying server: {error:#}");
                    }
                });
            }
        });
    }
    println!("{}", serde_json::to_string(&ready)?);
    // The driver's end, however it comes, is this server's end.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

impl Responses {
    fn new(recording: &Recording, changes: usize) -> Self {
        let (information, schemas) = (&recording.information, &recording.schemas);
        let bodies =
            |pages: &[String]| pages.iter().map(|page| page.clone().into_bytes()).collect();
        Self {
            information: response(200, &json!([information]).to_string()),
            schemas: response(200, &json!([schemas]).to_string()),
            both: response(200, &json!([information, schemas]).to_string()),
            pages: bodies(&recording.pages),
            full_pages: bodies(&recording.full_pages),
            users_pages: bodies(&recording.users_pages),
            configurations: recording.configurations.clone().into_bytes(),
            updated: response(200, &recording.updated),
            created: response(200, &recording.created),
            changes,
        }
    }

    /// Serves one connection to its end.
    fn converse(&self, mut stream: &TcpStream, latency: Duration) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        while let Some(request) = Request::read(&mut reader)? {
            thread::sleep(latency);
            let refused;
            let pieces = match self.find(&request) {
                Ok(pieces) => pieces,
                Err(error) => {
                    eprintln!("the replaying server: {error:#}");
                    let content = json!({"exception": "Unprepared", "content": error.to_string()});
                    refused = response(400, &content.to_string());
                    vec![Cow::from(refused.as_slice())]
                }
            };
            for piece in pieces {
                stream.write_all(&piece)?;
            }
        }
        Ok(())
    }

    /// The pieces of the response.
    fn find(&self, request: &Request) -> Result<Vec<Cow<'_, [u8]>>> {
        #[derive(Deserialize)]
        struct Action {
            action: String,
            expression: Option<String>,
        }
        let actions: Vec<Action> = serde_json::from_slice(&request.body)?;
        let names: Vec<&str> = actions
            .iter()
            .map(|action| action.action.as_str())
            .collect();
        match names[..] {
            ["query_server_information"] => Ok(vec![Cow::from(&self.information)]),
            ["query_schemas"] => Ok(vec![Cow::from(&self.schemas)]),
            ["query_server_information", "query_schemas"] => Ok(vec![Cow::from(&self.both)]),
            ["query", ..] if names.iter().all(|name| *name == "query") => {
                let page = |action: &Action| {
                    let expression = action.expression.as_deref().unwrap_or_default();
                    if expression.contains(" from CustomAttributeConfiguration ") {
                        return Ok(self.configurations.as_slice());
                    }
                    let pages = match request.wants_full {
                        true => &self.full_pages,
                        false if expression.contains("thumbnail_id") => &self.users_pages,
                        false => &self.pages,
                    };
                    page_of(expression)
                        .and_then(|number| pages.get(number))
                        .map(Vec::as_slice)
                        .with_context(|| format!("no response to {expression:?} was prepared"))
                };
                Ok(joined(
                    &actions.iter().map(page).collect::<Result<Vec<_>>>()?,
                ))
            }
            [first, ..]
                if names.iter().all(|name| *name == first) && names.len() == self.changes =>
            {
                match first {
                    "create" => Ok(vec![Cow::from(&self.created)]),
                    "update" => Ok(vec![Cow::from(&self.updated)]),
                    _ => bail!("no response to {first} was prepared"),
                }
            }
            _ => bail!(
                "no response to {} actions was prepared: {:?} …",
                names.len(),
                names.first()
            ),
        }
    }
}

/// The number of the page that a query asks for: each client has words of its own around the
/// offset and the limit.
fn page_of(expression: &str) -> Option<usize> {
    let words: Vec<&str> = expression.split_whitespace().collect();
    let after = |name: &str| {
        let place = words.iter().position(|word| *word == name)?;
        words.get(place + 1).copied()
    };
    let offset: usize = after("offset").unwrap_or("0").parse().ok()?;
    let is_page = after("limit")? == PAGE.to_string() && offset.is_multiple_of(PAGE);
    (after("from")? == "Task" && is_page).then_some(offset / PAGE)
}

fn response(status: u16, body: &str) -> Vec<u8> {
    [head(status, body.len()).as_bytes(), body.as_bytes()].concat()
}

fn head(status: u16, length: usize) -> String {
    format!(
        "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// One response with the replies of several.
fn joined<'a>(bodies: &[&'a [u8]]) -> Vec<Cow<'a, [u8]>> {
    // Without the brackets of each, with commas between and brackets around.
    let length: usize = bodies.iter().map(|body| body.len() - 1).sum();
    let mut pieces = vec![Cow::from(head(200, length + 1).into_bytes())];
    for (number, body) in bodies.iter().enumerate() {
        pieces.push(Cow::from(if number > 0 { &b","[..] } else { &b"["[..] }));
        pieces.push(Cow::from(&body[1..body.len() - 1]));
    }
    pieces.push(Cow::from(&b"]"[..]));
    pieces
}

/// As much of a request as matters.
struct Request {
    wants_full: bool,
    body: Vec<u8>,
}

impl Request {
    /// The next one, or `None` at the end of the connection.
    fn read(reader: &mut BufReader<&TcpStream>) -> Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head)? == 0 {
                return Ok(None);
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        ensure!(parsed.parse(&head)?.is_complete(), "half a request");
        let value = |name: &str| {
            let header = parsed
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let length = value("content-length").context("a request without a length")?;
        let mut body = vec![0; length.parse()?];
        reader.read_exact(&mut body)?;
        let options = value("ftrack-api-options").unwrap_or_default();
        Ok(Some(Self {
            wants_full: options.contains("denormalize:1"),
            body,
        }))
    }
}
