//! HTTP by `ureq`.

use std::time::Duration;

use ureq::http;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, DefaultConnector};
use ureq::{Agent, Timeout};

use super::seal::Secrets;
use super::{Request, Response, Transport};
use crate::error::{Error, ErrorKind, Result};

/// Connections to a server, kept open between requests.
pub(crate) struct Http {
    agent: Agent,
    secrets: Secrets,
}

/// A server that does not even accept a connection in this time is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

impl Http {
    /// `secrets` are headers whose values must not reach a log.
    pub(crate) fn new(secrets: &[(String, String)]) -> Self {
        let secrets = Secrets::new(secrets);
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
        let config = Agent::config_builder()
            // Error answers have bodies that say what is wrong.
            .http_status_as_error(false)
            // A redirect would carry the API key to wherever it leads.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent(concat!("ftrack-api-rust/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build());
        let connector = DefaultConnector::new().chain(secrets.clone());
        let resolver = DefaultResolver::default();
        Self {
            agent: Agent::with_parts(config.build(), connector, resolver),
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
        let answer = builder
            .body(request.body)
            .map_err(ureq::Error::from)
            .and_then(|prepared| {
                let configured = self
                    .agent
                    .configure_request(prepared)
                    .timeout_global(Some(request.timeout))
                    .build();
                self.agent.run(configured)
            })
            .map_err(|error| no_answer(request, error))?;
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

fn no_answer(request: &Request<'_>, error: ureq::Error) -> Error {
    use std::io::ErrorKind as Io;

    let server = request.url.origin().ascii_serialization();
    let (kind, why) = match &error {
        ureq::Error::Timeout(_) => (
            ErrorKind::Timeout,
            format!("no answer within {:?}", request.timeout),
        ),
        ureq::Error::HostNotFound => (
            ErrorKind::Connection,
            "there is no such host; check the server URL and the network".to_owned(),
        ),
        ureq::Error::Io(io) if io.kind() == Io::ConnectionRefused => (
            ErrorKind::Connection,
            "nothing listens there; check the server URL and its port".to_owned(),
        ),
        ureq::Error::Io(io) if io.kind() == Io::TimedOut => (
            ErrorKind::Timeout,
            format!("no answer within {:?}", request.timeout),
        ),
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => (ErrorKind::Tls, error.to_string()),
        other => (ErrorKind::Connection, other.to_string()),
    };
    let never_sent = match &error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        ureq::Error::Timeout(phase) => matches!(phase, Timeout::Resolve | Timeout::Connect),
        ureq::Error::Io(io) => io.kind() == Io::ConnectionRefused,
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        _ => false,
    };
    let answer = Error::new(kind, format!("cannot reach {server}: {why}")).because(error);
    if never_sent { answer.unsent() } else { answer }
}
