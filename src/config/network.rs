//! How connections are opened: proxies, certificates, time limits. One value for requests and for
//! the event hub.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ureq::Proxy;
use url::Url;

use super::MAX_WAIT;
use super::direct::{Direct, is_this_machine};
use super::problems::Problems;
use super::proxy::{Proxies, parse_proxy};

/// How a session, or an [`EventHub`](crate::EventHub) without a session, reaches its server. Give it to
/// [`SessionBuilder::network`](crate::SessionBuilder::network) or
/// [`HubConfig::network`](crate::hub::HubConfig::network).
///
/// What is not set comes from the environment, under the names that the Python client's HTTP
/// library reads:
///
/// * `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in lower case or in capitals; the
///   lower case wins. `HTTP_PROXY` is for servers with an `http` URL. This machine's own addresses
///   are never reached through a proxy from the environment.
/// * `REQUESTS_CA_BUNDLE`, else `SSL_CERT_FILE`: certificate authorities to trust.
///
/// `Debug` shows no URL of a proxy, because these hold passwords.
///
/// ```no_run
/// use ftrack_api::{Session, config::Network};
///
/// let network = Network::new()
///     .proxy("http://artist:secret@proxy.studio.example:3128")
///     .no_proxy("localhost, .studio.example, 10.0.0.0/8")
///     .ca_file("/studio/certificates/authority.pem");
/// let session = Session::builder().network(network).open()?;
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "pass it to a session builder or to a hub's configuration"]
pub struct Network {
    proxy: Option<String>,
    no_proxy: Option<String>,
    ca_file: Option<PathBuf>,
    client_cert: Option<(PathBuf, PathBuf)>,
    connect_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    max_response: Option<u64>,
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

/// A server that accepts no connection in this time is not reachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The largest response that is read; a page of 500 entities has about half a megabyte.
const MAX_RESPONSE_BYTES: u64 = 512 << 20;

impl Network {
    /// The settings of the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects through this proxy, such as `http://user:password@proxy.example:3128`, instead of
    /// that of the environment; user and password are percent-encoded and may be left out. It
    /// opens a tunnel (`CONNECT`), for `http` servers too. `socks5://` is a SOCKS 5 proxy, such as
    /// that of `ssh -D`; it looks up the server's name itself (so does `socks5h://`).
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Connects to these hosts directly, instead of to those in `NO_PROXY`: names (with all their
    /// subdomains), names with a port, addresses, ranges such as `10.0.0.0/8`, separated by
    /// commas; `*` is every host.
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.no_proxy = Some(hosts.into());
        self
    }

    /// Trusts the certificate authorities in this PEM file, in addition to those of the system.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Presents this certificate to servers that require one: a PEM file with the certificate and the
    /// chain to its authority, and a PEM file with its private key, which may be the same file.
    pub fn client_cert(
        mut self,
        certificate: impl Into<PathBuf>,
        private_key: impl Into<PathBuf>,
    ) -> Self {
        self.client_cert = Some((certificate.into(), private_key.into()));
        self
    }

    /// Connects to these addresses of a host, in this order, instead of looking its name up: for a
    /// server that moves, or whose name cannot be resolved here. Certificates are still checked
    /// against the name. The host may be that of a proxy.
    ///
    /// ```no_run
    /// use ftrack_api::{Session, config::Network};
    ///
    /// let network = Network::new().resolve_to("studio.ftrackapp.com", ["10.1.0.7".parse()?]);
    /// let session = Session::builder().network(network).open()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resolve_to(
        mut self,
        host: impl AsRef<str>,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let host = host.as_ref().to_lowercase();
        self.addresses.insert(host, addresses.into_iter().collect());
        self
    }

    /// How long opening a connection may take, including the proxy and TLS; 15 seconds unless set.
    /// If a host has several addresses, the next one is tried in parallel when those before it have
    /// not accepted within 250 milliseconds.
    ///
    /// Name look-up counts as well, but cannot be interrupted: with a name server that does not
    /// reply it goes on for as long as the system tries, on Linux 10 seconds for each name server
    /// unless `/etc/resolv.conf` says otherwise, and only then does the call end. A connection that is
    /// still open needs no look-up.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long a server may be silent, before its response and within it; as long as the whole
    /// response may take ([`SessionBuilder::timeout`](crate::SessionBuilder::timeout)) unless set.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// The largest response in bytes, decompressed; 512 MiB unless set. A larger one is an error of
    /// kind [`BadResponse`](crate::ErrorKind::BadResponse).
    pub fn max_response(mut self, bytes: u64) -> Self {
        self.max_response = Some(bytes);
        self
    }

    /// Completes the settings from `environment`, and notes a proxy that cannot be used; its URL is
    /// not shown.
    pub(crate) fn resolve(
        self,
        environment: &dyn Fn(&str) -> Option<String>,
        problems: &mut Problems,
    ) -> NetworkConfig {
        let variable = |name: &str| environment(name).or_else(|| environment(&name.to_uppercase()));
        let no_proxy = self.no_proxy.or_else(|| variable("no_proxy"));
        let ca_file = self
            .ca_file
            .or_else(|| environment("REQUESTS_CA_BUNDLE").map(PathBuf::from))
            .or_else(|| environment("SSL_CERT_FILE").map(PathBuf::from));
        let direct = Direct::parse(no_proxy.as_deref().unwrap_or_default());
        let proxies = match &self.proxy {
            _ if direct.is_everything() => Proxies::default(),
            Some(url) => {
                let proxy = problems.note(parse_proxy(url, "the proxy"));
                proxy.map(Proxies::one).unwrap_or_default()
            }
            None => Proxies::from_environment(environment, problems),
        };
        NetworkConfig {
            proxies,
            direct,
            ca_file,
            client_cert: self.client_cert,
            connect_timeout: self
                .connect_timeout
                .unwrap_or(CONNECT_TIMEOUT)
                .min(MAX_WAIT),
            idle_timeout: self.idle_timeout.map(|timeout| timeout.min(MAX_WAIT)),
            max_response: self.max_response.unwrap_or(MAX_RESPONSE_BYTES),
            addresses: self.addresses,
        }
    }
}

debug_fields!(Network, |this|
    proxy: this.proxy.is_some(),
    no_proxy: this.no_proxy,
    ca_file: this.ca_file,
    client_cert: this.client_cert.is_some(),
);

/// [`Network`], complete and checked.
#[derive(Clone)]
pub(crate) struct NetworkConfig {
    proxies: Proxies,
    direct: Direct,
    pub(crate) ca_file: Option<PathBuf>,
    /// Certificate and private key.
    pub(crate) client_cert: Option<(PathBuf, PathBuf)>,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_response: u64,
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

impl NetworkConfig {
    /// The addresses that were configured for a host, if any were.
    pub(crate) fn addresses_of(&self, host: &str) -> Option<&[IpAddr]> {
        let found = self.addresses.get(&host.to_lowercase())?;
        Some(found)
    }

    /// The proxy through which `url` is reached, if it is not reached directly.
    pub(crate) fn proxy_for(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "https" => self.proxies.https.as_ref(),
            _ => self.proxies.http.as_ref(),
        };
        let is_direct =
            self.direct.matches(url) || (self.proxies.from_environment && is_this_machine(url));
        proxy.filter(|_| !is_direct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Result};

    fn resolve(network: Network, variables: &[(&str, &str)]) -> Result<NetworkConfig> {
        let mut problems = Problems::default();
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let resolved = network.resolve(&environment, &mut problems);
        problems.check(str::to_owned).map(|()| resolved)
    }

    fn proxy_of(config: &NetworkConfig, url: &str) -> Option<String> {
        let proxy = config.proxy_for(&Url::parse(url).unwrap())?;
        Some(format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn proxies_of_the_environment() {
        let all = [
            ("http_proxy", "plain:1"),
            ("HTTP_PROXY", "http://loud:2"),
            ("HTTPS_PROXY", "http://me:p%40ss@secure:3"),
            ("ALL_PROXY", "socks5://never:4"),
            ("NO_PROXY", "near.example"),
        ];
        let config = resolve(Network::new(), &all).unwrap();
        for (url, expected) in [
            ("http://far.example", Some("plain:1")),
            ("https://far.example", Some("secure:3")),
            ("https://near.example", None),
            ("https://a.near.example", None),
            ("https://nearnear.example", Some("secure:3")),
            ("http://localhost:8090", None),
            ("http://127.0.0.1:8090", None),
            ("http://[::1]:8090", None),
        ] {
            assert_eq!(proxy_of(&config, url).as_deref(), expected, "{url}");
        }
        let secure = config.proxies.https.as_ref().unwrap();
        assert_eq!(
            (secure.username(), secure.password()),
            (Some("me"), Some("p@ss"))
        );
        let config = resolve(Network::new(), &[("ALL_PROXY", "any:5")]).unwrap();
        assert_eq!(proxy_of(&config, "https://a").as_deref(), Some("any:5"));
        let error = resolve(Network::new(), &[("ALL_PROXY", "gopher://any")]);
        let error = error.err().unwrap().to_string();
        assert_eq!(error.matches("ALL_PROXY").count(), 1, "{error}");
        let cgi = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(
            proxy_of(&resolve(Network::new(), &cgi).unwrap(), "http://a"),
            None
        );
    }

    #[test]
    fn arguments_come_before_the_environment() {
        let variables = [("https_proxy", "http://other:1"), ("NO_PROXY", "*")];
        let network = Network::new().proxy("http://mine:2").no_proxy("b.example");
        let config = resolve(network, &variables).unwrap();
        assert_eq!(
            proxy_of(&config, "https://a.example").as_deref(),
            Some("mine:2")
        );
        assert_eq!(
            proxy_of(&config, "http://127.0.0.1").as_deref(),
            Some("mine:2")
        );
        assert_eq!(proxy_of(&config, "https://b.example"), None);
    }

    #[test]
    fn bad_proxies_are_refused_without_their_secrets() {
        for url in [
            "http://me:s3cret@",
            "socks4://me:s3cret@host:1",
            "me:s3cret@ho st",
            "ftp://s3cret",
        ] {
            let error = resolve(Network::new().proxy(url), &[]).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
            let error = resolve(Network::new(), &[("HTTPS_PROXY", url)])
                .err()
                .unwrap();
            assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
        }
        let old = [("ALL_PROXY", "socks4a://host:1")];
        let error = resolve(Network::new(), &old).err().unwrap();
        assert!(error.to_string().contains("socks5://"), "{error}");
        assert!(resolve(Network::new().no_proxy("*"), &old).is_ok());
        let network = Network::new().proxy("http://me:s3cret@host");
        assert!(!format!("{network:?}").contains("s3cret"));
    }

    #[test]
    fn certificates_of_the_environment() {
        let both = [("REQUESTS_CA_BUNDLE", "/one"), ("SSL_CERT_FILE", "/two")];
        let given = resolve(Network::new().ca_file("/three"), &both).unwrap();
        assert_eq!(given.ca_file, Some("/three".into()));
        assert_eq!(
            resolve(Network::new(), &both).unwrap().ca_file,
            Some("/one".into())
        );
        assert_eq!(
            resolve(Network::new(), &both[1..]).unwrap().ca_file,
            Some("/two".into())
        );
    }
}
