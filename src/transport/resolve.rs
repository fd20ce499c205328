//! Looking up host names in the caller's thread: `ureq` would start one for each.

use std::net::{SocketAddr, ToSocketAddrs};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The most addresses of a host that are tried; `ureq` has room for as many.
const MOST: usize = 16;

#[derive(Debug)]
pub(super) struct System;

impl Resolver for System {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let default = if uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let port = uri.port_u16().unwrap_or(default);
        let mut found = self.empty();
        if let Ok(address) = bare.parse() {
            found.push(SocketAddr::new(address, port));
            return Ok(found);
        }
        let addresses = (bare, port)
            .to_socket_addrs()
            .map_err(|_| ureq::Error::HostNotFound)?;
        for address in addresses.take(MOST) {
            found.push(address);
        }
        if found.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        Ok(found)
    }
}
