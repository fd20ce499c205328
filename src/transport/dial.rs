//! Opening connections, for requests and for the event hub alike: name look-up, proxy, TLS.

use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::ClientConfig;
use ureq::{Proxy, ProxyProtocol};
use url::Url;

use super::USER_AGENT;
use super::connection::Connection;
use super::failure::connect_error;
use super::head::read_head;
use super::resolve::look_up;
use super::socks;
use super::tls;
use crate::calls::Call;
use crate::config::{NetworkConfig, is_socks};
use crate::error::{Error, ErrorKind, Result};

/// Opens connections as one network configuration says. Clones share its certificates.
#[derive(Clone)]
pub(crate) struct Dialer(Arc<Inner>);

struct Inner {
    network: NetworkConfig,
    /// Made for the first connection that needs it, because that reads the system's certificates.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Dialer {
    pub(crate) fn new(network: NetworkConfig) -> Self {
        Self(Arc::new(Inner {
            network,
            tls: OnceLock::new(),
        }))
    }

    pub(crate) fn network(&self) -> &NetworkConfig {
        &self.0.network
    }

    /// Opens a connection to the host of `url`: through the proxy that the configuration gives for
    /// it, and with TLS if its scheme is `https`. What the peer sends and receives from then on is
    /// that of the server.
    ///
    /// Interrupting the [`Call`] that this thread is in ends it at once, but for the system's name
    /// look-up, which nothing can interrupt ([`Call::is_looking_up`]).
    ///
    /// # Errors
    ///
    /// - Any error of [`open`](Self::open); the message names the server and the proxy.
    pub(crate) fn dial(&self, url: &Url, deadline: Option<Instant>) -> Result<Connection> {
        let opened = self.open(url, deadline);
        opened.map_err(|error| error.context(self.cannot_reach(url)))
    }

    /// [`dial`](Self::dial), with an error that does not name the server.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Timeout`] at the deadline.
    /// - [`ErrorKind::Connection`] if the name, the server or the proxy cannot be reached.
    /// - [`ErrorKind::Authentication`] if the proxy requires (other) credentials.
    /// - [`ErrorKind::BadResponse`] if what listens there is not such a proxy.
    /// - [`ErrorKind::Tls`] if a certificate is refused.
    /// - [`ErrorKind::Configuration`] if a certificate file cannot be used.
    /// - The reason of the interruption, [`ErrorKind::Closed`] or [`ErrorKind::Cancelled`].
    pub(super) fn open(&self, url: &Url, deadline: Option<Instant>) -> Result<Connection> {
        let host = url.host_str().unwrap_or_default();
        let connection = match self.0.network.proxy_for(url) {
            None => self.connect(host, port_of(url), deadline)?,
            Some(proxy) if is_socks(proxy) => {
                let mut connection = self.connect(proxy.host(), proxy.port(), deadline)?;
                socks::open_tunnel(&mut connection, proxy, host, port_of(url))?;
                connection
            }
            Some(proxy) => {
                let mut connection = self.connect(proxy.host(), proxy.port(), deadline)?;
                if proxy.protocol() == ProxyProtocol::Https {
                    connection = self.encrypt(connection, proxy.host())?;
                }
                open_tunnel(&mut connection, proxy, &format!("{host}:{}", port_of(url)))?;
                connection
            }
        };
        match url.scheme() {
            "https" => self.encrypt(connection, host),
            _ => Ok(connection),
        }
    }

    /// `cannot reach https://studio.example through the proxy 10.0.0.1:3128`.
    pub(super) fn cannot_reach(&self, url: &Url) -> String {
        let origin = url.origin().ascii_serialization();
        match self.0.network.proxy_for(url) {
            None => format!("cannot reach {origin}"),
            Some(proxy) => {
                let (host, port) = (proxy.host(), proxy.port());
                format!("cannot reach {origin} through the proxy {host}:{port}")
            }
        }
    }

    fn connect(&self, host: &str, port: u16, deadline: Option<Instant>) -> Result<Connection> {
        let found = match Call::current() {
            Some(call) => call.while_looking_up(|| look_up(&self.0.network, host, port)),
            None => look_up(&self.0.network, host, port),
        };
        let addresses = found.map_err(no_such_host)?;
        Connection::open(&addresses, deadline).map_err(connect_error)
    }

    fn encrypt(&self, connection: Connection, host: &str) -> Result<Connection> {
        let config = match self.0.tls.get() {
            Some(config) => config.clone(),
            None => {
                let made = Arc::new(tls::client_config(&self.0.network)?);
                self.0.tls.get_or_init(|| made).clone()
            }
        };
        let client = tls::client(config, host)?;
        connection.encrypt(client).map_err(connect_error)
    }
}

/// Asks an HTTP proxy for a connection to `target`, a host and a port.
fn open_tunnel(connection: &mut (impl Read + Write), proxy: &Proxy, target: &str) -> Result<()> {
    let mut request =
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n");
    if let Some(user) = proxy.username() {
        let pair = format!("{user}:{}", proxy.password().unwrap_or_default());
        request += &format!(
            "Proxy-Authorization: Basic {}\r\n",
            BASE64_STANDARD.encode(pair)
        );
    }
    request += "\r\n";
    let sent = connection.write_all(request.as_bytes());
    sent.and_then(|()| connection.flush())
        .map_err(connect_error)?;
    let (head, early) = read_head(connection)?;
    let (kind, why) = match head.status {
        200..=299 if early.is_empty() => return Ok(()),
        200..=299 => (
            ErrorKind::BadResponse,
            "the proxy sent data before it was asked for any".to_owned(),
        ),
        407 => (
            ErrorKind::Authentication,
            "the proxy requires authentication; give user and password in its URL, \
             percent-encoded"
                .to_owned(),
        ),
        status => (
            ErrorKind::Connection,
            format!("the proxy refused to connect to it with status {status}"),
        ),
    };
    Err(Error::new(kind, why).with_status(head.status))
}

fn no_such_host(error: io::Error) -> Error {
    let message =
        format!("no such host; check the server URL (or the proxy's) and the network ({error})");
    Error::new(ErrorKind::Connection, message).with_source(error)
}

fn port_of(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or(443)
}

debug_fields!(Dialer);
