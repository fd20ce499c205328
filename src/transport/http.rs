//! HTTP by `ureq`.

use std::io;

use ureq::http;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};
use ureq::{Agent, Timeout};

use super::resolve::System;
use super::seal::Secrets;
use super::tls::{Tls, tls_failure, tls_hint};
use super::{Request, Response, Transport};
use crate::config::{Config, NetworkConfig};
use crate::error::{Error, ErrorKind, Result};

/// Connections to a server, kept open between requests.
pub(crate) struct Http {
    agent: Agent,
    network: NetworkConfig,
    secrets: Secrets,
}

impl Http {
    pub(crate) fn new(config: &Config, tls: Tls) -> Self {
        let secrets = Secrets::new(&config.secret_headers());
        let network = config.network.clone();
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
                .chain(TcpConnector::default())
                .chain(tls)
                .chain(secrets.clone());
        Self {
            agent: Agent::with_parts(settings.build(), connector, System),
            network,
            secrets,
        }
    }
}

impl Transport for Http {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let mut builder = http::Request::builder()
            .method(request.method)
            .uri(request.url.as_str());
        for (name, value) in request.headers {
            builder = builder.header(name, self.secrets.sealed(name, value));
        }
        let proxy = self.network.proxy_for(request.url).cloned();
        let answer = builder
            .body(request.body)
            .map_err(ureq::Error::from)
            .and_then(|prepared| {
                let configured = self
                    .agent
                    .configure_request(prepared)
                    .proxy(proxy)
                    .timeout_global(Some(request.timeout))
                    .build();
                self.agent.run(configured)
            })
            .map_err(|error| self.no_answer(request, error))?;
        let (parts, body) = answer.into_parts();
        let headers = parts.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        Ok(Response {
            status: parts.status.as_u16(),
            headers: headers.collect(),
            body: Box::new(body.into_reader()),
        })
    }
}

impl Http {
    fn no_answer(&self, request: &Request<'_>, error: ureq::Error) -> Error {
        let never_sent = was_never_sent(&error);
        let mut doing = format!(
            "cannot reach {}",
            request.url.origin().ascii_serialization()
        );
        if let Some(proxy) = self.network.proxy_for(request.url) {
            doing += &format!(" through the proxy {}:{}", proxy.host(), proxy.port());
        }
        let answer = match error {
            ureq::Error::Other(ours) => match ours.downcast::<Error>() {
                Ok(ours) => ours.context(doing),
                Err(other) => Error::new(ErrorKind::Connection, format!("{doing}: {other}")),
            },
            error => {
                let (kind, why) = explain(&error, request);
                Error::new(kind, format!("{doing}: {why}")).because(error)
            }
        };
        if never_sent { answer.unsent() } else { answer }
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
        ureq::Error::HostNotFound => {
            connection("there is no such host; check the server URL and the network")
        }
        ureq::Error::ConnectProxyFailed(reason) if reason.contains("407") => (
            ErrorKind::Authentication,
            "the proxy wants to know who asks; give user and password in its URL, \
             percent-encoded"
                .to_owned(),
        ),
        ureq::Error::Io(error) => match (tls_failure(error), error.kind()) {
            (Some(failure), _) => (ErrorKind::Tls, format!("{failure}{}", tls_hint(failure))),
            (_, io::ErrorKind::ConnectionRefused) => {
                connection("nothing listens there; check the server URL and its port")
            }
            (_, io::ErrorKind::TimedOut) => late(request),
            _ => connection(&error.to_string()),
        },
        other => connection(&other.to_string()),
    }
}

fn late(request: &Request<'_>) -> (ErrorKind, String) {
    let why = format!("no answer within {:?}", request.timeout);
    (ErrorKind::Timeout, why)
}

/// Whether nothing of the request can have reached the server.
fn was_never_sent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Other(_)
        | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
        ureq::Error::Io(error) => {
            error.kind() == io::ErrorKind::ConnectionRefused || tls_failure(error).is_some()
        }
        _ => false,
    }
}
