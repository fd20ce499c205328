//! Which hosts are connected to without a proxy.

use std::net::IpAddr;

use url::{Host, Url};

/// The hosts that are connected to directly: the list of `NO_PROXY`.
#[derive(Clone, Default)]
pub(super) struct Direct(Vec<Entry>);

#[derive(Clone, PartialEq, Debug)]
enum Entry {
    All,
    /// A name and all its subdomains, at this port or at any.
    Name(String, Option<u16>),
    /// The addresses that begin with this many of these bits.
    Range(IpAddr, u8),
}

impl Direct {
    pub(super) fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ']).map(str::trim);
        Self(entries.filter_map(Entry::parse).collect())
    }

    /// Whether it names every host.
    pub(super) fn is_everything(&self) -> bool {
        self.0.contains(&Entry::All)
    }

    pub(super) fn matches(&self, url: &Url) -> bool {
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
pub(super) fn is_this_machine(url: &Url) -> bool {
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
}
