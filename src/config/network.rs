//! How connections are made: proxies, certificates, time limits. One value for requests and for
//! the event hub.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ureq::{Proxy, ProxyProtocol};
use url::{Host, Url};

use super::LONGEST;
use crate::error::{Error, ErrorKind, Result};

/// How a session, or an [`EventHub`](crate::EventHub) of its own, reaches its server. Give it to
/// [`SessionBuilder::network`](crate::SessionBuilder::network) or
/// [`HubConfig::network`](crate::HubConfig::network).
///
/// What is not set comes from the environment, under the names that the Python client's HTTP
/// library reads:
///
/// * `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in lower case or in capitals; the
///   lower case wins. `HTTP_PROXY` is for servers with an `http` URL. Addresses of this machine
///   itself are never asked for through a proxy of the environment.
/// * `REQUESTS_CA_BUNDLE`, else `SSL_CERT_FILE`: certificate authorities to trust.
///
/// `Debug` shows no URL of a proxy, because these hold passwords.
///
/// ```no_run
/// use ftrack_api::{Network, Session};
///
/// let network = Network::new()
///     .proxy("http://artist:secret@proxy.studio.example:3128")
///     .no_proxy("localhost, .studio.example, 10.0.0.0/8")
///     .ca_file("/studio/certificates/authority.pem");
/// let session = Session::builder().network(network).open()?;
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "give it to a session builder or a hub's configuration"]
pub struct Network {
    proxy: Option<String>,
    no_proxy: Option<String>,
    ca_file: Option<PathBuf>,
    client_cert: Option<(PathBuf, PathBuf)>,
    connect_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    max_answer: Option<u64>,
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

/// A server that does not even accept a connection in this time is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The largest answer that is read; a page of 500 entities has about half a megabyte.
const MAX_ANSWER: u64 = 512 << 20;

impl Network {
    /// The environment's settings, and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects through this proxy, such as `http://user:password@proxy.example:3128`, whatever
    /// the environment says; user and password are percent-encoded and may be left out. It is
    /// asked for a tunnel (`CONNECT`), for `http` servers too. `socks5://` is a SOCKS 5 proxy, as
    /// `ssh -D` makes one; it looks up the server's name itself (so does `socks5h://`).
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Which hosts are connected to directly, instead of what `NO_PROXY` says: names (with all
    /// names below them), names with a port, addresses, ranges such as `10.0.0.0/8`, separated by
    /// commas; `*` is every host.
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.no_proxy = Some(hosts.into());
        self
    }

    /// Trusts the certificate authorities in this PEM file, besides those that the system
    /// trusts.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Shows servers that ask for one this certificate: a PEM file with the certificate and the
    /// chain to its authority, and a PEM file with its private key, which may be the same file.
    pub fn client_cert(
        mut self,
        certificate: impl Into<PathBuf>,
        private_key: impl Into<PathBuf>,
    ) -> Self {
        self.client_cert = Some((certificate.into(), private_key.into()));
        self
    }

    /// The addresses of a host, instead of what the system says: for a server that moves, or whose
    /// name is not known here. They are tried in this order. Certificates are checked against the
    /// name as ever. The host may be that of a proxy.
    ///
    /// ```no_run
    /// use ftrack_api::{Network, Session};
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

    /// How long a connection may take to be there, with TLS and what the proxy does; 15 seconds
    /// unless set. Of a host with several addresses, each next one is tried too when those before
    /// have not answered for 250 milliseconds.
    ///
    /// Looking up a name counts as well, but the system cannot be told to hurry, nor be broken
    /// off: with a name service that does not answer it goes on for as long as the system tries,
    /// on Linux 10 seconds for each name service unless `/etc/resolv.conf` says otherwise, and
    /// only then the call ends. A connection that is still open needs no look-up.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long a server may be silent, before its answer and within it; as long as the whole
    /// answer may take ([`SessionBuilder::timeout`](crate::SessionBuilder::timeout)) unless set.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// How many bytes an answer may have when it is unpacked; 512 MiB unless set. A larger one is
    /// an error of kind [`BadResponse`](crate::ErrorKind::BadResponse).
    pub fn max_answer(mut self, bytes: u64) -> Self {
        self.max_answer = Some(bytes);
        self
    }

    /// Completes the settings from `environment`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a proxy that cannot be used; its URL is not shown.
    pub(crate) fn resolve(
        self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<NetworkConfig> {
        let variable = |name: &str| environment(name).or_else(|| environment(&name.to_uppercase()));
        let no_proxy = self.no_proxy.or_else(|| variable("no_proxy"));
        let ca_file = self
            .ca_file
            .or_else(|| environment("REQUESTS_CA_BUNDLE").map(PathBuf::from))
            .or_else(|| environment("SSL_CERT_FILE").map(PathBuf::from));
        let direct = Direct::parse(no_proxy.as_deref().unwrap_or_default());
        let proxies = match &self.proxy {
            _ if direct.0.contains(&Entry::All) => Proxies::default(),
            Some(url) => Proxies::one(parse_proxy(url, "the proxy")?),
            None => Proxies::from_environment(environment)?,
        };
        Ok(NetworkConfig {
            proxies,
            direct,
            ca_file,
            client_cert: self.client_cert,
            connect_timeout: self.connect_timeout.unwrap_or(CONNECT_TIMEOUT).min(LONGEST),
            idle_timeout: self.idle_timeout.map(|timeout| timeout.min(LONGEST)),
            max_answer: self.max_answer.unwrap_or(MAX_ANSWER),
            addresses: self.addresses,
        })
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("proxy", &self.proxy.is_some())
            .field("no_proxy", &self.no_proxy)
            .field("ca_file", &self.ca_file)
            .field("client_cert", &self.client_cert.is_some())
            .finish_non_exhaustive()
    }
}

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
    pub(crate) max_answer: u64,
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

impl NetworkConfig {
    /// The addresses that were given for a host, if any were.
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
        let is_direct = self.direct.matches(url) || (self.proxies.from_environment && is_own(url));
        proxy.filter(|_| !is_direct)
    }
}

#[derive(Clone, Default)]
struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    from_environment: bool,
}

impl Proxies {
    fn one(proxy: Proxy) -> Self {
        Self {
            https: Some(proxy.clone()),
            http: Some(proxy),
            from_environment: false,
        }
    }

    fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        // In a CGI program the capitals hold a header that the other side chose.
        let is_cgi = environment("REQUEST_METHOD").is_some();
        let find = |name: &str| {
            let upper = name.to_uppercase();
            let names = [name, &upper];
            let mut names = names
                .into_iter()
                .filter(|name| !(is_cgi && *name == "HTTP_PROXY"));
            let found = names.find_map(|name| Some((name.to_owned(), environment(name)?)));
            found
                .map(|(name, url)| parse_proxy(&url, &name))
                .transpose()
        };
        let either = |first: &str| match find(first) {
            Ok(None) => find("all_proxy"),
            found => found,
        };
        Ok(Self {
            https: either("https_proxy")?,
            http: either("http_proxy")?,
            from_environment: true,
        })
    }
}

fn parse_proxy(url: &str, name: &str) -> Result<Proxy> {
    let refuse = |why: &str| {
        let message = format!(
            "{name} cannot be used: {why}. It looks like http://proxy.example:3128, or \
             http://user:password@proxy.example:3128 with percent-encoding"
        );
        Error::new(ErrorKind::Configuration, message)
    };
    let proxy = Proxy::new(url.trim()).map_err(|_| refuse("it is no URL of a proxy"))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        _ if is_socks(&proxy) => Ok(proxy),
        _ => Err(refuse(
            "of SOCKS only version 5 is supported: use socks5://proxy.example:1080, or no proxy \
             with `Network::no_proxy(\"*\")`",
        )),
    }
}

/// Whether it speaks SOCKS 5 rather than HTTP.
pub(crate) fn is_socks(proxy: &Proxy) -> bool {
    let protocols = [ProxyProtocol::Socks5, ProxyProtocol::Socks5h];
    protocols.contains(&proxy.protocol())
}

/// The hosts that are connected to directly.
#[derive(Clone, Default)]
struct Direct(Vec<Entry>);

#[derive(Clone, PartialEq, Debug)]
enum Entry {
    All,
    /// A name and all names below it, at this port or any.
    Name(String, Option<u16>),
    /// The addresses that begin with so many of these bits.
    Range(IpAddr, u8),
}

impl Direct {
    fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ']).map(str::trim);
        Self(entries.filter_map(Entry::parse).collect())
    }

    fn matches(&self, url: &Url) -> bool {
        self.0.iter().any(|entry| entry.matches(url))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Self::All);
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::Range(address, bits_of(address)));
        }
        if let Some((address, bits)) = text.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse(), bits.parse())
        {
            return Some(Self::Range(address, bits_of(address).min(bits)));
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let name = name.trim_start_matches('*').trim_matches('.');
        Some(Self::Name(name.to_lowercase(), port))
    }

    fn matches(&self, url: &Url) -> bool {
        match (self, url.host()) {
            (Self::All, _) => true,
            (Self::Range(range, bits), Some(Host::Ipv4(ip))) => {
                begins_with(*range, *bits, ip.into())
            }
            (Self::Range(range, bits), Some(Host::Ipv6(ip))) => {
                begins_with(*range, *bits, ip.into())
            }
            (Self::Name(name, port), Some(host)) => {
                let host = host.to_string().to_lowercase();
                let is_below = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                is_below && (port.is_none() || *port == url.port_or_known_default())
            }
            _ => false,
        }
    }
}

fn bits_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether `address` begins with the first `bits` bits of `range`.
fn begins_with(range: IpAddr, bits: u8, address: IpAddr) -> bool {
    let same = |one: u128, other: u128, width: u8| {
        let rest = u32::from(width - bits);
        one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
    };
    match (range, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            same(one.to_bits().into(), other.to_bits().into(), 32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
        _ => false,
    }
}

/// Whether the host is this machine itself.
fn is_own(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(network: Network, variables: &[(&str, &str)]) -> Result<NetworkConfig> {
        network.resolve(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
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
    fn direct_hosts() {
        for (list, url, expected) in [
            ("", "http://a", false),
            (" , ,", "http://a", false),
            ("*", "http://a", true),
            ("a.b", "http://a.b:99/x", true),
            ("A.B", "http://x.A.b", true),
            (".a.b", "http://a.b", true),
            ("*.a.b", "http://x.a.b", true),
            ("a.b", "http://xa.b", false),
            ("a.b:80", "http://a.b", true),
            ("a.b:81", "http://a.b", false),
            ("c, a.b", "http://a.b", true),
            ("10.0.0.0/8", "http://10.200.3.4", true),
            ("10.0.0.0/8", "http://11.0.0.1", false),
            ("10.0.0.7", "http://10.0.0.7:8000", true),
            ("10.0.0.7", "http://10.0.0.77", false),
            ("10.0.0.0/0", "http://1.2.3.4", true),
            ("10.0.0.0/99", "http://10.0.0.0", true),
            ("::1", "http://[::1]:80", true),
            ("fd00::/8", "http://[fd12::1]", true),
            ("fd00::/8", "http://[fe12::1]", false),
            ("10.0.0.0/8", "http://[::1]", false),
            ("a:b:c", "http://a", false),
        ] {
            let found = Direct::parse(list).matches(&Url::parse(url).unwrap());
            assert_eq!(found, expected, "{list:?} and {url}");
        }
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
