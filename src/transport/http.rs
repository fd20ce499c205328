//! HTTP by `ureq`.

use std::io::{self, Read};
use std::sync::{Arc, Weak};

use cookie_store::{CookieStore, RawCookie};
use ureq::http;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, ShutdownHandle};
use ureq::{Agent, Timeout};
use url::Url;

use super::call::Call;
use super::resolve::Later;
use super::seal::{Secrets, Unsealing};
use super::socket::Sockets;
use super::tls::{Tls, tls_failure, tls_hint};
use super::veil::Kept;
use super::{Request, Response, Transport};
use crate::config::{NetworkConfig, is_socks};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;

/// Connections to a server, kept open between requests.
pub(crate) struct Http {
    /// The process that made the connections, and they.
    agent: Mutex<(u32, Agent)>,
    network: NetworkConfig,
    tls: Tls,
    /// What servers have set; `ureq` would print it.
    cookies: Mutex<CookieStore>,
}

impl Http {
    pub(crate) fn new(network: &NetworkConfig, tls: Tls) -> Self {
        Self {
            agent: Mutex::new((std::process::id(), agent_for(network, &tls))),
            network: network.clone(),
            tls,
            cookies: Mutex::default(),
        }
    }

    /// The connections of this process. One that was forked has none: those that it inherited
    /// are its parent's, and two processes that talk on one would read each other's answers.
    fn agent(&self) -> Agent {
        let process = std::process::id();
        let mut agent = self.agent.lock();
        if agent.0 != process {
            *agent = (process, agent_for(&self.network, &self.tls));
        }
        agent.1.clone()
    }
}

fn agent_for(network: &NetworkConfig, tls: &Tls) -> Agent {
    let settings = Agent::config_builder()
        // Error answers have bodies that say what is wrong.
        .http_status_as_error(false)
        // A redirect would carry the API key to wherever it leads.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // Each request has its own.
        .proxy(None)
        .timeout_connect(Some(network.connect_timeout))
        .timeout_per_read(network.idle_timeout)
        .timeout_per_write(network.idle_timeout)
        .user_agent(concat!("ftrack-api-rust/", env!("CARGO_PKG_VERSION")));
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(Sockets::new(network))
            .chain(tls.clone())
            .chain(Unsealing);
    Agent::with_parts(settings.build(), connector, Later)
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
        // `cookie_store` within `ureq` and `ureq` itself print at these levels.
        let kept = (log::max_level() >= log::LevelFilter::Debug).then(Kept::default);
        call.keep_secrets(Secrets::seal(&mut url, &mut headers, kept.clone()));
        let mut builder = http::Request::builder()
            .method(request.method)
            .uri(url.as_str());
        for (name, value) in &headers {
            builder = builder.header(name, value);
        }
        // Those that speak SOCKS are the sockets' business.
        let proxy = self.network.proxy_for(request.url);
        let proxy = proxy.filter(|proxy| !is_socks(proxy)).cloned();
        let answer = builder
            .body(request.body)
            .map_err(ureq::Error::from)
            .and_then(|prepared| {
                let agent = self.agent();
                let configured = agent
                    .configure_request(prepared)
                    .proxy(proxy)
                    .timeout_global(Some(request.timeout))
                    .build();
                agent.run(configured)
            })
            .map_err(|error| self.no_answer(request, error))?;
        let (parts, body) = answer.into_parts();
        let shown = parts.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        let reader = Arriving {
            body: body.into_reader(),
            socket: call.socket(),
        };
        let (headers, body): (_, Box<dyn Read + Send>) = match kept {
            Some(kept) => kept.reveal(reader),
            None => (shown.collect(), Box::new(reader)),
        };
        self.keep_cookies(request.url, &headers);
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
        // A request has one such header (RFC 6265, 5.4).
        match headers.iter_mut().find(|(name, _)| name == "cookie") {
            Some((_, own)) => *own = format!("{own}; {set}"),
            None => headers.push(("cookie".to_owned(), set)),
        }
    }

    fn keep_cookies(&self, url: &Url, headers: &[(String, String)]) {
        let set = headers.iter().filter(|(name, _)| name == "set-cookie");
        for cookie in set.filter_map(|(_, value)| RawCookie::parse(value).ok()) {
            // One that is not for this host is not kept.
            let _ = self.cookies.lock().insert_raw(&cookie, url);
        }
    }

    fn no_answer(&self, request: &Request<'_>, error: ureq::Error) -> Error {
        let mut doing = format!(
            "cannot reach {}",
            request.url.origin().ascii_serialization()
        );
        if let Some(proxy) = self.network.proxy_for(request.url) {
            doing += &format!(" through the proxy {}:{}", proxy.host(), proxy.port());
        }
        match error {
            ureq::Error::Other(ours) => match ours.downcast::<Error>() {
                Ok(ours) => ours.context(doing),
                Err(other) => Error::new(ErrorKind::Connection, format!("{doing}: {other}")),
            },
            error => {
                let (kind, why) = explain(&error, request);
                Error::new(kind, format!("{doing}: {why}")).because(error)
            }
        }
    }
}

/// The body of an answer. Whichever call reads it can be told to break that off.
struct Arriving<R> {
    body: R,
    socket: Option<Weak<dyn ShutdownHandle>>,
}

impl<R: Read> Read for Arriving<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (Some(call), Some(socket)) = (Call::current(), &self.socket) {
            call.attach(socket).map_err(ureq::Error::into_io)?;
        }
        self.body.read(buffer)
    }
}

/// What kind of failure it is, and what to do about it.
fn explain(error: &ureq::Error, request: &Request<'_>) -> (ErrorKind, String) {
    let connection = |why: &str| (ErrorKind::Connection, why.to_owned());
    match error {
        ureq::Error::Timeout(Timeout::Connect) => (
            ErrorKind::Timeout,
            "it accepts no connection in time".to_owned(),
        ),
        ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
            (ErrorKind::Timeout, "it was silent for too long".to_owned())
        }
        ureq::Error::Timeout(_) => late(request),
        ureq::Error::HostNotFound => connection(
            "there is no such host; check the server URL (or the proxy's) and the network",
        ),
        ureq::Error::ConnectProxyFailed(reason) if reason.contains("407") => (
            ErrorKind::Authentication,
            "the proxy wants to know who asks; give user and password in its URL, \
             percent-encoded"
                .to_owned(),
        ),
        ureq::Error::Io(error) => match (tls_failure(error), error.kind()) {
            (Some(failure), _) => (ErrorKind::Tls, format!("{failure}{}", tls_hint(failure))),
            (_, io::ErrorKind::ConnectionRefused) => connection(
                "nothing listens there; check the server URL (or the proxy's) and its port",
            ),
            (_, io::ErrorKind::TimedOut) => late(request),
            _ => connection(&error.to_string()),
        },
        other => connection(&other.to_string()),
    }
}

fn late(request: &Request<'_>) -> (ErrorKind, String) {
    let why = format!(
        "no answer within {:?}; ask for less at once, or allow more with `SessionBuilder::timeout`",
        request.timeout
    );
    (ErrorKind::Timeout, why)
}
