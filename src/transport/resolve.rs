//! Name look-up, in the caller's thread.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::config::NetworkConfig;

/// The most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 16;

/// The addresses of a host in the order in which they are tried: those that the configuration
/// gives, else the system's, whose look-up cannot be interrupted. `host` is a name or an address,
/// with or without brackets.
///
/// # Errors
///
/// - The error of the system; [`io::ErrorKind::NotFound`] if there is no address.
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
    let found: Vec<_> = (bare, port)
        .to_socket_addrs()?
        .take(MAX_ADDRESSES)
        .collect();
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "it has no address")),
        false => Ok(found),
    }
}
