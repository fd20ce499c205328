//! The configuration of an event hub.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::config::{self, ApiKey, Config, Network, Problems, Redactor};
use crate::error::Result;
use crate::transport::Dialer;

/// Where an [`EventHub`](crate::EventHub) connects to, as whom and how.
///
/// The setters accept everything; what is invalid is reported by
/// [`connect`](crate::EventHub::connect), all of it at once. `Debug` shows neither the key nor
/// headers, cookies and the proxy, which may contain secrets.
///
/// ```
/// use ftrack_api::hub::HubConfig;
/// use ftrack_api::{ErrorKind, EventHub};
///
/// let config = HubConfig::new("ftp://studio", "ada", "secret").header("bad name", "x");
/// assert!(!format!("{config:?}").contains("secret"));
/// let error = EventHub::new(config).connect().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Configuration);
/// assert!(error.to_string().contains("ftp") && error.to_string().contains("bad name"));
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until an `EventHub` is created from it"]
pub struct HubConfig {
    server_url: String,
    api_user: String,
    api_key: ApiKey,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
    reached_by: ReachedBy,
    pub(super) client_token: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) publish_timeout: Duration,
    pub(super) attempts: Option<u32>,
    pub(super) outgoing_limit: usize,
    pub(super) incoming_limit: usize,
    pub(super) incoming_bytes: usize,
}

/// How the server is reached.
#[derive(Clone)]
enum ReachedBy {
    /// Completed from the environment when the hub is created.
    Network(Network),
    /// As the session reaches it: the environment is not read again.
    Session(Dialer),
}

/// The most bytes of events that wait to be handled, by default.
const DEFAULT_INCOMING_BYTES: usize = 64 * 1024 * 1024;
/// The most bytes of unacknowledged events.
pub(super) const MAX_OUTGOING_BYTES: usize = 64 * 1024 * 1024;
/// The most bytes of one published event; servers close the connection at 100 MB.
pub(super) const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

impl HubConfig {
    /// A configuration with the proxy and the certificates of the environment (see [`Network`]),
    /// 30 seconds to connect, and queues of 65,536 events and 64 MiB in each direction. A server URL without
    /// a scheme is taken as https.
    pub fn new(
        server_url: impl Into<String>,
        api_user: impl Into<String>,
        api_key: impl Into<ApiKey>,
    ) -> Self {
        Self {
            server_url: server_url.into(),
            api_user: api_user.into(),
            api_key: api_key.into(),
            headers: Vec::new(),
            cookies: Vec::new(),
            reached_by: ReachedBy::Network(Network::new()),
            client_token: None,
            connect_timeout: Duration::from_secs(30),
            publish_timeout: Duration::from_secs(30),
            attempts: None,
            outgoing_limit: 65_536,
            incoming_limit: 65_536,
            incoming_bytes: DEFAULT_INCOMING_BYTES,
        }
    }

    /// Adds a header to the requests that open a connection.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a cookie to the requests that open a connection.
    pub fn cookie(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.cookies.push((name.into(), value.into()));
        self
    }

    /// Sets the proxy and the certificates, as for requests. The limits of a request have no
    /// effect here.
    pub fn network(mut self, network: Network) -> Self {
        self.reached_by = ReachedBy::Network(network);
        self
    }

    /// The server, the credentials, the headers and the connections of a session.
    pub(crate) fn of_session(config: &Config, dialer: Dialer) -> Self {
        let this = Self::new(
            config.server_url.as_str(),
            &config.api_user,
            config.api_key.reveal(),
        );
        Self {
            headers: config.headers.clone(),
            reached_by: ReachedBy::Session(dialer),
            client_token: Some(config.client_token.clone()),
            connect_timeout: config.timeout,
            ..this
        }
    }

    /// Sets the token that marks changes of the same session; see
    /// [`is_own`](crate::EventHub::is_own).
    pub fn client_token(mut self, token: impl Into<String>) -> Self {
        self.client_token = Some(token.into());
        self
    }

    /// Sets how long an attempt to connect may take, from the look-up of the host name until the
    /// server has accepted the connection. 30 seconds by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long `publish` waits for room when the queue of outgoing events is full. 30
    /// seconds by default.
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.publish_timeout = timeout;
        self
    }

    /// Sets how many attempts to reconnect may fail in a row before the hub gives up, at least
    /// one. By default it never does.
    pub fn reconnect_attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts.max(1));
        self
    }

    /// Sets how many published events may wait for the server's acknowledgement, at least one.
    pub fn outgoing_limit(mut self, events: usize) -> Self {
        self.outgoing_limit = events.max(1);
        self
    }

    /// Sets how many events may wait to be handled, 65,536 by default and at least one; beyond that
    /// the oldest are dropped.
    pub fn incoming_limit(mut self, events: usize) -> Self {
        self.incoming_limit = events.max(1);
        self
    }

    /// Sets how many bytes of events, as JSON, may wait to be handled, 64 MiB by default; beyond
    /// that the oldest are dropped. A single event may be larger: then it waits alone.
    pub fn incoming_bytes(mut self, bytes: usize) -> Self {
        self.incoming_bytes = bytes;
        self
    }

    pub(super) fn api_user(&self) -> &str {
        &self.api_user
    }

    /// What a thread needs to connect.
    ///
    /// # Errors
    ///
    /// - `Configuration` with everything that is invalid.
    pub(super) fn resolve(&self) -> Result<Endpoint> {
        let mut problems = Problems::default();
        let key = self.api_key.reveal();
        let url = match problems.note_swapped(Some(&self.server_url), &self.api_key) {
            true => None,
            false => problems.note(config::parse_server_url(&self.server_url)),
        };
        let dialer = match &self.reached_by {
            ReachedBy::Session(dialer) => dialer.clone(),
            ReachedBy::Network(network) => {
                let network = network.clone();
                Dialer::new(network.resolve(&config::variable, &mut problems))
            }
        };
        problems.note(config::check_value("user name", &self.api_user));
        problems.note(config::check_value("API key", key));
        config::check_headers(&self.headers, &mut problems);
        for (name, value) in &self.cookies {
            problems.note(config::check_value("name of a cookie", name));
            problems.note(config::check_value(&format!("cookie {name:?}"), value));
        }
        let secrets = self.headers.iter().cloned();
        let secrets: Vec<_> = secrets
            .chain(config::cookie_header(&self.cookies))
            .collect();
        let redactor = Redactor::new(&self.api_key, &secrets);
        problems.check(|text| redactor.redact(text))?;
        Ok(Endpoint {
            url: url.expect("a missing one is a problem"),
            api_user: self.api_user.clone(),
            api_key: self.api_key.clone(),
            headers: self.headers.clone(),
            cookies: self.cookies.clone(),
            dialer,
            connect_timeout: self.connect_timeout,
            redactor,
        })
    }
}

/// A valid configuration, as far as connecting needs it.
pub(super) struct Endpoint {
    pub(super) url: Url,
    pub(super) api_user: String,
    pub(super) api_key: ApiKey,
    pub(super) headers: Vec<(String, String)>,
    pub(super) cookies: Vec<(String, String)>,
    pub(super) dialer: Dialer,
    pub(super) connect_timeout: Duration,
    pub(super) redactor: Redactor,
}

impl Endpoint {
    /// Host and port as a `Host` header names them; always with the port if wanted.
    pub(super) fn authority(&self, with_port: bool) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match (self.url.port(), self.url.port_or_known_default()) {
            (Some(port), _) => format!("{host}:{port}"),
            (None, Some(port)) if with_port => format!("{host}:{port}"),
            _ => host.to_string(),
        }
    }
}

impl fmt::Debug for HubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = config::parse_server_url(&self.server_url).ok();
        f.debug_struct("HubConfig")
            .field("server", &url.as_ref().and_then(Url::host_str))
            .field("api_user", &config::shown_user(&self.api_user))
            .field("client_token", &self.client_token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn problems(config: &HubConfig) -> String {
        let error = config.resolve().err().expect("an invalid configuration");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.to_string()
    }

    #[test]
    fn reports_everything_that_is_invalid() {
        for url in [
            "",
            "ftp://studio",
            "http://",
            "file:///x",
            "http://me:pass@h",
        ] {
            let problem = problems(&HubConfig::new(url, "u", "k"));
            assert!(!problem.contains("pass"), "{problem}");
        }
        let config = HubConfig::new("http://h", "u\n", "sec\nret")
            .header("a b", "x")
            .header("a", "x\r\nb: c")
            .cookie("c", "\n")
            .network(Network::new().proxy("gopher://proxy"));
        let all = problems(&config);
        for expected in [
            "user name",
            "API key",
            "header \"a b\"",
            "header \"a\"",
            "cookie \"c\"",
            "proxy",
        ] {
            assert!(all.contains(expected), "{expected}: {all}");
        }
        assert!(
            !all.contains("ret cannot") && !all.contains("sec\n"),
            "{all}"
        );
    }

    #[test]
    fn authorities() {
        for (url, short, long) in [
            ("http://h", "h", "h:80"),
            ("https://h/path", "h", "h:443"),
            ("https://h:8443", "h:8443", "h:8443"),
            ("http://[::1]:90", "[::1]:90", "[::1]:90"),
        ] {
            let endpoint = HubConfig::new(url, "u", "k").resolve().unwrap();
            assert_eq!(endpoint.authority(false), short, "{url}");
            assert_eq!(endpoint.authority(true), long, "{url}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_the_url_is_not_shown() {
        let swapped = problems(&HubConfig::new("top-secret", "u", "https://studio.example"));
        assert!(swapped.contains("swapped"), "{swapped}");
        for (url, key) in [
            ("top-secret", "https://studio.example"),
            ("https://studio.example:top-secret", "top-secret"),
            ("ftp://studio.example/top-secret", "top-secret"),
            ("ftp://studio.example/?key=top-secret", "k"),
        ] {
            let shown = problems(&HubConfig::new(url, "u", key));
            assert!(!shown.contains("top-secret"), "{url}: {shown}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = HubConfig::new("http://h", "u", "top-secret")
            .header("x", "top-secret")
            .cookie("y", "top-secret")
            .network(Network::new().proxy("http://me:top-secret@proxy:3128"));
        assert!(!format!("{config:?}").contains("top-secret"));
        // Both in the wrong place.
        let swapped = HubConfig::new("top-secret", "u", "http://h");
        let in_url = HubConfig::new("http://h/?key=top-secret", "u", "k");
        assert!(!format!("{in_url:?}").contains("top-secret"));
        assert!(!format!("{swapped:?}").contains("http://h"));
    }
}
