//! What an event hub is told when it is made.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::config::{self, ApiKey, Config, Network, NetworkConfig, Problems};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Dialer;

/// Where an [`EventHub`](crate::EventHub) connects to, as whom and how.
///
/// `Debug` shows neither the key nor headers, cookies and the proxy, which may hold secrets.
#[derive(Clone)]
pub struct HubConfig {
    pub(crate) server_url: Url,
    pub(crate) api_user: String,
    pub(crate) api_key: ApiKey,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) cookies: Vec<(String, String)>,
    pub(crate) dialer: Dialer,
    pub(crate) client_token: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) publish_timeout: Duration,
    pub(crate) attempts: Option<u32>,
    pub(crate) outgoing_limit: usize,
    pub(crate) incoming_limit: usize,
    /// How long the thread leaves the socket alone after a packet that nobody waits for.
    pub(crate) rest: Duration,
    /// How long the server may take to acknowledge an event.
    pub(crate) ack_timeout: Duration,
}

/// The most bytes of unacknowledged events that are kept.
pub(crate) const OUTGOING_BYTES: usize = 64 * 1024 * 1024;
/// The most bytes of one event; servers close the connection at 100 MB.
pub(crate) const EVENT_BYTES: usize = 16 * 1024 * 1024;

impl HubConfig {
    /// A configuration with the proxy and the certificates of the environment (see [`Network`]),
    /// 30 seconds to connect, and queues of 65,536 events in each direction.
    ///
    /// # Errors
    ///
    /// `Configuration` if the URL is none of http or https (a missing scheme means https), or if
    /// the environment names a proxy that cannot be used.
    ///
    /// ```
    /// let config = ftrack_api::HubConfig::new("https://studio.example.com", "ada", "secret")?;
    /// assert!(!format!("{config:?}").contains("secret"));
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn new(server_url: &str, api_user: &str, api_key: &str) -> Result<Self> {
        let server_url = config::parse_server_url(server_url)
            .map_err(|problem| Error::new(ErrorKind::Configuration, problem))?;
        Ok(Self {
            server_url,
            api_user: sendable("API user", api_user)?,
            api_key: ApiKey::new(sendable("API key", api_key)?),
            ..Self::with(Dialer::new(resolve(Network::new())?))
        })
    }

    /// The defaults.
    fn with(dialer: Dialer) -> Self {
        Self {
            server_url: Url::parse("http://localhost").expect("it is a URL"),
            api_user: String::new(),
            api_key: ApiKey::new(""),
            headers: Vec::new(),
            cookies: Vec::new(),
            dialer,
            client_token: None,
            connect_timeout: Duration::from_secs(30),
            publish_timeout: Duration::from_secs(30),
            attempts: None,
            outgoing_limit: 65_536,
            incoming_limit: 65_536,
            rest: Duration::from_millis(10),
            ack_timeout: Duration::from_secs(30),
        }
    }

    /// That of a session, whose settings were checked before.
    pub(crate) fn of_session(config: &Config, dialer: Dialer) -> Self {
        Self {
            server_url: config.server_url.clone(),
            api_user: config.api_user.clone(),
            api_key: config.api_key.clone(),
            headers: config.headers.clone(),
            client_token: Some(config.client_token.clone()),
            connect_timeout: config.timeout,
            ..Self::with(dialer)
        }
    }

    /// Adds a header to the requests that open a connection.
    ///
    /// # Errors
    ///
    /// `Configuration` if it cannot stand in a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            let message = format!("{name:?} is no header name");
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let value = sendable(&format!("header {name}"), value)?;
        self.headers.push((name.to_string(), value));
        Ok(self)
    }

    /// Adds a cookie to the requests that open a connection.
    ///
    /// # Errors
    ///
    /// `Configuration` if it cannot stand in a header.
    pub fn cookie(mut self, name: &str, value: &str) -> Result<Self> {
        let name = sendable("cookie name", name)?;
        let value = sendable(&format!("cookie {name}"), value)?;
        self.cookies.push((name, value));
        Ok(self)
    }

    /// Uses this proxy and these certificates, the same as for HTTP. The limits of a request do
    /// not count here.
    ///
    /// # Errors
    ///
    /// `Configuration` for a proxy that cannot be used.
    pub fn network(self, network: Network) -> Result<Self> {
        Ok(self.dialer(Dialer::new(resolve(network)?)))
    }

    /// Opens connections with this one.
    pub(crate) fn dialer(mut self, dialer: Dialer) -> Self {
        self.dialer = dialer;
        self
    }

    /// The token that marks changes of the same session; see `EventHub::is_own`.
    #[must_use]
    pub fn client_token(mut self, token: impl Into<String>) -> Self {
        self.client_token = Some(token.into());
        self
    }

    /// Gives `connect`, and each later attempt, so long.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Lets `publish` wait so long for room when the queue of outgoing events is full.
    #[must_use]
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.publish_timeout = timeout;
        self
    }

    /// Gives up after so many failed attempts to reconnect in a row; by default never.
    #[must_use]
    pub fn reconnect_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts.max(1));
        self
    }

    /// Keeps at most so many events that the server has not acknowledged yet.
    #[must_use]
    pub fn outgoing_limit(mut self, events: usize) -> Self {
        self.outgoing_limit = events.max(1);
        self
    }

    /// Keeps at most so many events that nobody has waited for yet; then the oldest is dropped.
    #[must_use]
    pub fn incoming_limit(mut self, events: usize) -> Self {
        self.incoming_limit = events.max(1);
        self
    }

    /// Host and port as a `Host` header and a `CONNECT` request name them.
    pub(crate) fn authority(&self, always_port: bool) -> String {
        let host = self.server_url.host_str().unwrap_or_default();
        match self.server_url.port() {
            Some(port) => format!("{host}:{port}"),
            None if always_port => format!("{host}:{}", self.port()),
            None => host.to_string(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server_url.port_or_known_default().unwrap_or(443)
    }
}

impl fmt::Debug for HubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubConfig")
            .field("server", &self.authority(true))
            .field("api_user", &self.api_user)
            .field(
                "proxy",
                &self.dialer.network().proxy_for(&self.server_url).is_some(),
            )
            .field("client_token", &self.client_token)
            .finish_non_exhaustive()
    }
}

fn resolve(network: Network) -> Result<NetworkConfig> {
    let mut problems = Problems::default();
    let network = network.resolve(&config::variable, &mut problems);
    problems.check(str::to_owned).map(|()| network)
}

/// What can stand in a header; the value itself stays out of the message.
fn sendable(what: &str, value: &str) -> Result<String> {
    if value.chars().any(char::is_control) {
        let message = format!("the {what} holds a control character, maybe a line break");
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    Ok(value.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_used() {
        for url in [
            "",
            "ftp://studio",
            "http://",
            "file:///x",
            "http://me:pass@h",
        ] {
            let error = HubConfig::new(url, "u", "k").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
            assert!(!error.to_string().contains("pass"), "{error}");
        }
        let error = HubConfig::new("http://h", "u", "sec\nret").unwrap_err();
        assert!(!error.to_string().contains("sec"), "{error}");
        let config = HubConfig::new("http://h", "u", "k").unwrap();
        assert!(config.clone().header("a b", "x").is_err());
        assert!(config.clone().header("a", "x\r\nb: c").is_err());
        assert!(config.cookie("a", "\n").is_err());
    }

    #[test]
    fn authorities() {
        for (url, short, long) in [
            ("http://h", "h", "h:80"),
            ("https://h/path", "h", "h:443"),
            ("https://h:8443", "h:8443", "h:8443"),
            ("http://[::1]:90", "[::1]:90", "[::1]:90"),
        ] {
            let config = HubConfig::new(url, "u", "k").unwrap();
            assert_eq!(config.authority(false), short, "{url}");
            assert_eq!(config.authority(true), long, "{url}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = HubConfig::new("http://h", "u", "top-secret").unwrap();
        let config = config
            .header("x", "top-secret")
            .unwrap()
            .cookie("y", "top-secret")
            .unwrap();
        let network = Network::new().proxy("http://me:top-secret@proxy:3128");
        let config = config.network(network).unwrap();
        assert!(!format!("{config:?}").contains("top-secret"));
    }
}
