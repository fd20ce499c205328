//! Looking up host names, in the caller's thread and only where a connection is opened: `ureq`
//! would do it for every request, and start a thread for each.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::config::NetworkConfig;

/// The most addresses of a host that are tried.
const MOST: usize = 16;

/// The addresses of a host, a name or an address with brackets or without, in the order in which
/// they are tried: those that the configuration gives, else the system's, which may take its time
/// and cannot be told to hurry.
///
/// # Errors
///
/// The system's; one of its own if there is no address.
pub(crate) fn look_up(
    network: &NetworkConfig,
    host: &str,
    port: u16,
) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Some(addresses) = network.addresses_of(bare) {
        let at = |ip: &IpAddr| SocketAddr::new(*ip, port);
        return Ok(addresses.iter().map(at).collect());
    }
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found: Vec<_> = (bare, port).to_socket_addrs()?.take(MOST).collect();
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "it has no address")),
        false => Ok(found),
    }
}

/// Leaves it to who opens the connection.
#[derive(Debug)]
pub(super) struct Later;

impl Resolver for Later {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}
