//! Asking a SOCKS proxy for a connection (RFC 1928, RFC 1929).

use ureq::Proxy;

use crate::error::{Error, ErrorKind};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Why there is no connection.
pub(crate) enum Failure<E> {
    /// That to the proxy broke.
    Broken(E),
    /// The proxy said no.
    Refused(Error),
}

/// Sends all of the first argument and fills all of the second one.
pub(crate) type Exchange<'a, E> = dyn FnMut(&[u8], &mut [u8]) -> Result<(), E> + 'a;

/// Asks `proxy` for a connection to `host`, a name, which the proxy looks up, or an address.
pub(crate) fn open_tunnel<E>(
    proxy: &Proxy,
    host: &str,
    port: u16,
    exchange: &mut Exchange<'_, E>,
) -> Result<(), Failure<E>> {
    let mut exchange =
        |sent: &[u8], answer: &mut [u8]| exchange(sent, answer).map_err(Failure::Broken);
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
                request.extend(counted(text, "user and password of the proxy")?);
            }
            let mut answer = [0; 2];
            exchange(&request, &mut answer)?;
            if answer[1] != 0 {
                return refused(ErrorKind::Authentication, "refuses its user and password");
            }
        }
        ([VERSION, _], _) => {
            let why = "wants to know who asks; give user and password in its URL, percent-encoded";
            return refused(ErrorKind::Authentication, why);
        }
        _ => return refused(ErrorKind::BadResponse, "does not speak SOCKS 5"),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    request.extend(address(host)?);
    request.extend(port.to_be_bytes());
    let mut answer = [0; 4];
    exchange(&request, &mut answer)?;
    if answer[1] != 0 {
        return refused(ErrorKind::Connection, reason(answer[1]));
    }
    // The address from which it connects, and its port.
    let length = match answer[3] {
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

fn address<E>(host: &str) -> Result<Vec<u8>, Failure<E>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let with = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    match bare.parse() {
        Ok(std::net::IpAddr::V4(ip)) => Ok(with(IPV4, &ip.octets())),
        Ok(std::net::IpAddr::V6(ip)) => Ok(with(IPV6, &ip.octets())),
        Err(_) => Ok(with(NAME, &counted(bare, "the host name")?)),
    }
}

/// A text behind its length.
fn counted<E>(text: &str, what: &str) -> Result<Vec<u8>, Failure<E>> {
    match u8::try_from(text.len()) {
        Ok(length) => Ok([&[length], text.as_bytes()].concat()),
        Err(_) => {
            let message = format!("{what}: SOCKS takes 255 bytes at most");
            Err(Failure::Refused(Error::new(
                ErrorKind::Configuration,
                message,
            )))
        }
    }
}

fn refused<E>(kind: ErrorKind, why: &str) -> Result<(), Failure<E>> {
    let message = format!("the SOCKS proxy {why}");
    Err(Failure::Refused(Error::new(kind, message)))
}

/// The reply codes of RFC 1928, section 6.
fn reason(code: u8) -> &'static str {
    match code {
        2 => "does not allow connections to it",
        3 => "cannot reach its network",
        4 => "cannot reach it, or does not know its name",
        5 => "says that nothing listens there; check the server URL and its port",
        6 | 1 => "could not connect to it",
        7 | 8 => "cannot make such connections",
        _ => "failed",
    }
}
