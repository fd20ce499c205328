//! Asking a SOCKS proxy for a connection (RFC 1928, RFC 1929).

use std::io::{Read, Write};

use ureq::Proxy;

use super::failure::connect_error;
use crate::error::{Error, ErrorKind, Result};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Asks `proxy` for a connection to `host`, a name, which the proxy looks up, or an address.
///
/// # Errors
///
/// - [`ErrorKind::Authentication`] if the proxy requires (other) credentials.
/// - [`ErrorKind::Connection`] if it cannot connect, or its connection breaks.
/// - [`ErrorKind::BadResponse`] if it is no SOCKS 5 proxy.
/// - [`ErrorKind::Configuration`] for texts that are too long for the protocol.
pub(super) fn open_tunnel(
    connection: &mut (impl Read + Write),
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<()> {
    let mut exchange = |sent: &[u8], received: &mut [u8]| {
        let sent = connection.write_all(sent);
        let sent = sent.and_then(|()| connection.flush());
        sent.and_then(|()| connection.read_exact(received))
            .map_err(connect_error)
    };
    let login = proxy
        .username()
        .map(|user| (user, proxy.password().unwrap_or_default()));
    let methods: &[u8] = match login {
        Some(_) => &[VERSION, 2, NO_LOGIN, LOGIN],
        None => &[VERSION, 1, NO_LOGIN],
    };
    let mut chosen = [0; 2];
    exchange(methods, &mut chosen)?;
    match (chosen, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, LOGIN], Some((user, password))) => {
            let mut request = vec![LOGIN_VERSION];
            for text in [user, password] {
                request.extend(with_length(text, "user and password of the proxy")?);
            }
            let mut reply = [0; 2];
            exchange(&request, &mut reply)?;
            if reply[1] != 0 {
                return refused(ErrorKind::Authentication, "refuses its user and password");
            }
        }
        ([VERSION, _], _) => {
            let why = "requires authentication; give user and password in its URL, percent-encoded";
            return refused(ErrorKind::Authentication, why);
        }
        _ => return refused(ErrorKind::BadResponse, "does not speak SOCKS 5"),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    request.extend(address(host)?);
    request.extend(port.to_be_bytes());
    let mut reply = [0; 4];
    exchange(&request, &mut reply)?;
    if reply[1] != 0 {
        return refused(ErrorKind::Connection, reason(reply[1]));
    }
    // The address from which the proxy connects, and its port.
    let length = match reply[3] {
        IPV4 => 4,
        IPV6 => 16,
        _ => {
            let mut length = [0];
            exchange(&[], &mut length)?;
            usize::from(length[0])
        }
    };
    exchange(&[], &mut vec![0; length + 2])
}

fn address(host: &str) -> Result<Vec<u8>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let with = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    match bare.parse() {
        Ok(std::net::IpAddr::V4(ip)) => Ok(with(IPV4, &ip.octets())),
        Ok(std::net::IpAddr::V6(ip)) => Ok(with(IPV6, &ip.octets())),
        Err(_) => Ok(with(NAME, &with_length(bare, "the host name")?)),
    }
}

/// A text after its length.
fn with_length(text: &str, what: &str) -> Result<Vec<u8>> {
    match u8::try_from(text.len()) {
        Ok(length) => Ok([&[length], text.as_bytes()].concat()),
        Err(_) => {
            let message = format!("{what}: SOCKS allows 255 bytes at most");
            Err(Error::new(ErrorKind::Configuration, message))
        }
    }
}

fn refused(kind: ErrorKind, why: &str) -> Result<()> {
    Err(Error::new(kind, format!("the SOCKS proxy {why}")))
}

/// The reply codes of RFC 1928, section 6.
fn reason(code: u8) -> &'static str {
    match code {
        2 => "does not allow connections to it",
        3 => "cannot reach its network",
        4 => "cannot reach it, or cannot resolve its name",
        5 => "reports that nothing listens there; check the server URL and its port",
        6 | 1 => "could not connect to it",
        7 | 8 => "cannot make such connections",
        _ => "failed",
    }
}
