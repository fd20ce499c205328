//! Proxies, as they are given or as the environment names them.

use ureq::{Proxy, ProxyProtocol};

use super::problems::Problems;

/// The proxies of `https` and of `http` URLs.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    pub(super) https: Option<Proxy>,
    pub(super) http: Option<Proxy>,
    pub(super) from_environment: bool,
}

impl Proxies {
    pub(super) fn one(proxy: Proxy) -> Self {
        Self {
            https: Some(proxy.clone()),
            http: Some(proxy),
            from_environment: false,
        }
    }

    /// Notes proxies that cannot be used.
    pub(super) fn from_environment(
        environment: &dyn Fn(&str) -> Option<String>,
        problems: &mut Problems,
    ) -> Self {
        // In a CGI program the upper-case variable holds a header that the client chose.
        let is_cgi = environment("REQUEST_METHOD").is_some();
        // On Windows the names of variables have no case.
        let is_header = |name: &str| {
            name == "HTTP_PROXY" || (cfg!(windows) && name.eq_ignore_ascii_case("http_proxy"))
        };
        let find = |name: &str| {
            let upper = name.to_uppercase();
            let names = [name, &upper];
            let mut names = names
                .into_iter()
                .filter(|name| !(is_cgi && is_header(name)));
            let found = names.find_map(|name| Some((name.to_owned(), environment(name)?)));
            found.map(|(name, url)| parse_proxy(&url, &name))
        };
        let own = ["https_proxy", "http_proxy"].map(find);
        let needs_other = own.iter().any(Option::is_none);
        let other = needs_other.then(|| find("all_proxy")).flatten();
        let other = other.and_then(|found| problems.note(found));
        let [https, http] = own.map(|found| match found {
            Some(found) => problems.note(found),
            None => other.clone(),
        });
        Self {
            https,
            http,
            from_environment: true,
        }
    }
}

/// Reads the URL of a proxy, which `name` gave.
///
/// # Errors
///
/// - Why it cannot be used. Its URL may hold a password and is not shown.
pub(super) fn parse_proxy(url: &str, name: &str) -> Result<Proxy, String> {
    let refuse = |why: &str| {
        format!(
            "{name} cannot be used: {why}. It looks like http://proxy.example:3128, or \
             http://user:password@proxy.example:3128 with percent-encoding"
        )
    };
    let proxy = Proxy::new(url.trim()).map_err(|_| refuse("it is not the URL of a proxy"))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        _ if is_socks(&proxy) => Ok(proxy),
        _ => Err(refuse(
            "of SOCKS only version 5 is supported: use socks5://proxy.example:1080, or no proxy \
             with `Network::no_proxy(\"*\")`",
        )),
    }
}

/// Whether it is a SOCKS 5 proxy rather than an HTTP proxy.
pub(crate) fn is_socks(proxy: &Proxy) -> bool {
    let protocols = [ProxyProtocol::Socks5, ProxyProtocol::Socks5h];
    protocols.contains(&proxy.protocol())
}
