//! HTTP by `ureq`.

mod socket;

use std::io::{self, Read};
use std::sync::{Arc, Weak};

use cookie_store::{CookieStore, RawCookie};
use ureq::http;
use ureq::{Agent, Timeout};
use url::Url;

use super::dial::Dialer;
use super::redact::redact;
use super::{Request, Response, Transport, USER_AGENT, failure};
use crate::calls::{Call, Interrupt};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use socket::NoLookUp;

/// Connections to a server, kept open between requests.
pub(crate) struct Http {
    /// The process that opened the connections, and the connections.
    agent: Mutex<(u32, Agent)>,
    dialer: Dialer,
    /// Those that servers set. `ureq` would log them.
    cookies: Mutex<CookieStore>,
}

impl Http {
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self {
            agent: Mutex::new((std::process::id(), agent_for(&dialer))),
            dialer,
            cookies: Mutex::default(),
        }
    }

    /// The connections of this process. A forked process starts without any: those that it inherited
    /// belong to its parent, and two processes on one connection would read each other's responses.
    fn agent(&self) -> Agent {
        let process = std::process::id();
        let mut agent = self.agent.lock();
        if agent.0 != process {
            *agent = (process, agent_for(&self.dialer));
        }
        agent.1.clone()
    }
}

fn agent_for(dialer: &Dialer) -> Agent {
    let network = dialer.network();
    let settings = Agent::config_builder()
        // The body of a failure says what is wrong.
        .http_status_as_error(false)
        // A redirect would carry the API key to wherever it leads.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The dialer knows the proxy.
        .proxy(None)
        .timeout_connect(Some(network.connect_timeout))
        .timeout_per_read(network.idle_timeout)
        .timeout_per_write(network.idle_timeout)
        .user_agent(USER_AGENT);
    Agent::with_parts(settings.build(), dialer.clone(), NoLookUp)
}

impl Transport for Http {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let Some(call) = Call::current() else {
            return Arc::new(Call::default()).run(|| self.send(request));
        };
        call.set_sent(false);
        let outcome = self.exchange(request, &call);
        outcome.map_err(|error| match call.was_sent() {
            true => error,
            false => error.unsent(),
        })
    }

    fn close(&self) {
        self.agent().shutdown();
    }
}

impl Http {
    fn exchange(&self, request: &Request<'_>, call: &Call) -> Result<Response> {
        let (mut url, mut headers) = (request.url.clone(), request.headers.to_vec());
        self.add_cookies(&url, &mut headers);
        let original = redact(&mut url, &mut headers);
        let mut builder = http::Request::builder()
            .method(request.method)
            .uri(url.as_str());
        for (name, value) in &headers {
            builder = builder.header(name, value);
        }
        let response = builder
            .body(request.body)
            .map_err(ureq::Error::from)
            .and_then(|prepared| {
                let agent = self.agent();
                let configured = agent
                    .configure_request(prepared)
                    .timeout_global(Some(request.timeout))
                    .build();
                agent.run(configured)
            })
            .map_err(|error| self.failure(request, error))?;
        let (parts, body) = response.into_parts();
        let shown = parts.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        let reader = Arriving {
            body: body.into_reader(),
            connection: call.connection(),
        };
        let (headers, body): (_, Box<dyn Read + Send>) = match original {
            Some(original) => original.reveal(reader),
            None => (shown.collect(), Box::new(reader)),
        };
        self.store_cookies(request.url, &headers);
        Ok(Response {
            status: parts.status.as_u16(),
            headers,
            body,
        })
    }

    fn add_cookies(&self, url: &Url, headers: &mut Vec<(String, String)>) {
        let cookies = self.cookies.lock();
        let set = cookies.get_request_values(url);
        let set: Vec<_> = set.map(|(name, value)| format!("{name}={value}")).collect();
        if set.is_empty() {
            return;
        }
        let set = set.join("; ");
        // A request has one such header at most (RFC 6265, section 5.4).
        match headers.iter_mut().find(|(name, _)| name == "cookie") {
            Some((_, own)) => *own = format!("{own}; {set}"),
            None => headers.push(("cookie".to_owned(), set)),
        }
    }

    fn store_cookies(&self, url: &Url, headers: &[(String, String)]) {
        let set = headers.iter().filter(|(name, _)| name == "set-cookie");
        for cookie in set.filter_map(|(_, value)| RawCookie::parse(value).ok()) {
            // One that is for another host is refused.
            let _ = self.cookies.lock().insert_raw(&cookie, url);
        }
    }

    /// Why there is no response.
    fn failure(&self, request: &Request<'_>, error: ureq::Error) -> Error {
        let doing = self.dialer.cannot_reach(request.url);
        match error {
            ureq::Error::Other(ours) => match ours.downcast::<Error>() {
                Ok(ours) => ours.context(doing),
                Err(other) => Error::new(ErrorKind::Connection, format!("{doing}: {other}")),
            },
            error => {
                let (kind, why) = explain(&error, request);
                Error::new(kind, format!("{doing}: {why}")).with_source(error)
            }
        }
    }
}

/// The body of a response. Interrupting the call that reads it ends the read.
struct Arriving<R> {
    body: R,
    connection: Option<Weak<Interrupt>>,
}

impl<R: Read> Read for Arriving<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (Some(call), Some(connection)) = (Call::current(), &self.connection) {
            call.attach(connection)?;
        }
        self.body.read(buffer)
    }
}

/// The kind of a failure, and what to do about it.
fn explain(error: &ureq::Error, request: &Request<'_>) -> (ErrorKind, String) {
    let timeout = |why: &str| (ErrorKind::Timeout, why.to_owned());
    match error {
        ureq::Error::Timeout(Timeout::Connect) => timeout("timed out while connecting"),
        ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
            timeout("it was silent for too long")
        }
        ureq::Error::Timeout(_) => late(request),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => late(request),
        ureq::Error::Io(error) => failure::explain(error),
        // Possibly damaged on its way, so that the request may be repeated.
        ureq::Error::Protocol(error) => (
            ErrorKind::Connection,
            format!("the response is not HTTP: {error}"),
        ),
        other => (ErrorKind::Connection, other.to_string()),
    }
}

fn late(request: &Request<'_>) -> (ErrorKind, String) {
    let why = format!(
        "no response within {:?}; ask for less at once, or allow more with \
         `SessionBuilder::timeout`",
        request.timeout
    );
    (ErrorKind::Timeout, why)
}
