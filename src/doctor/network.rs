//! Checks of the network: names, connections, proxy, TLS, and the first response.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::{CheckStatus, Exam, Finding, NETWORK};
use crate::config::{Config, NetworkConfig};
use crate::error::{Error, ErrorKind};
use crate::transport::{Dialer, Http, Request, Response, Transport};

/// The clock skew that is reported. The date of a response has whole seconds.
const MAX_SKEW: Duration = Duration::from_secs(30);

/// Runs the checks; returns whether the server responds.
pub(super) fn check(exam: &mut Exam, config: &Config, dialer: &Dialer, limit: Duration) -> bool {
    let (host, port) = first_hop(config);
    let addresses = exam.run("name resolution", || {
        addresses_of(&config.network, &host, port, limit)
    });
    let Some(addresses) = addresses else {
        exam.skip(&NETWORK[1..], "the name cannot be resolved");
        return false;
    };
    let connected = exam.run("connection", || connect(&addresses, limit));
    if connected.is_none() {
        exam.skip(&NETWORK[2..], "there is no connection");
        return false;
    }
    let http = Http::new(dialer.clone());
    let started = Instant::now();
    let response = http.send(&Request {
        method: "GET",
        url: &config.server_url,
        // Without credentials: it is not known yet whether this is an ftrack server.
        headers: &[],
        body: &[],
        timeout: limit,
    });
    let took = started.elapsed();
    let blame = response.as_ref().err().map(Blame::of);
    let error = response.as_ref().err();
    let findings = [
        proxy(config, error, blame),
        tls_finding(config, error, blame),
    ];
    let is_explained = findings.iter().any(|one| one.status == CheckStatus::Failed);
    for (name, finding) in ["proxy", "tls"].into_iter().zip(findings) {
        exam.add(name, finding, took);
    }
    match &response {
        Ok(response) => {
            let text = format!("status {} after {} ms", response.status, took.as_millis());
            exam.add("response", Finding::passed(text), took);
            exam.add("clock", clock(response, Timestamp::now()), Duration::ZERO);
        }
        Err(error) if !is_explained => {
            let remedy = "check the port and the scheme of the server URL, and whether the server \
                          is running";
            exam.add("response", Finding::failed(error).remedy(remedy), took);
            exam.skip(&["clock"], "the server does not respond");
        }
        Err(_) => exam.skip(&["response", "clock"], "no request reaches the server"),
    }
    response.is_ok()
}

/// Where a request without a response failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    Proxy,
    Tls,
    Server,
}

impl Blame {
    fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Authentication => Self::Proxy,
            // A configured certificate that cannot be read.
            ErrorKind::Tls | ErrorKind::Configuration => Self::Tls,
            _ => Self::Server,
        }
    }
}

/// The host to connect to: that of the proxy, if there is one.
fn first_hop(config: &Config) -> (String, u16) {
    let url = &config.server_url;
    match config.network.proxy_for(url) {
        Some(proxy) => (proxy.host().to_owned(), proxy.port()),
        None => (
            url.host_str().unwrap_or_default().to_owned(),
            url.port_or_known_default().unwrap_or(443),
        ),
    }
}

fn addresses_of(
    network: &NetworkConfig,
    host: &str,
    port: u16,
    limit: Duration,
) -> (Finding, Option<Vec<SocketAddr>>) {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Some(given) = network.addresses_of(bare) {
        let text = format!("{bare} has the addresses that were given with `resolve_to`");
        let given = given.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        return (Finding::passed(text), Some(given));
    }
    if let Ok(address) = bare.parse::<IpAddr>() {
        let text = format!("{address} is an address");
        return (Finding::passed(text), Some(vec![(address, port).into()]));
    }
    let remedy = "check the spelling of the server URL (or of the proxy), the network and the VPN";
    match resolve_in_time(limit, (bare.to_owned(), port)) {
        Ok(found) if !found.is_empty() => {
            let shown: Vec<_> = found.iter().map(|one| one.ip().to_string()).collect();
            let text = format!("{bare} is {}", shown.join(", "));
            (Finding::passed(text), Some(found))
        }
        Ok(_) => (
            Finding::failed(format!("{bare} has no address")).remedy(remedy),
            None,
        ),
        Err(why) => (
            Finding::failed(format!("{bare} cannot be resolved: {why}")).remedy(remedy),
            None,
        ),
    }
}

/// Resolves a name. The system's look-up has no time limit, so a thread runs it, which is left behind
/// if it takes longer.
fn resolve_in_time(limit: Duration, host: (String, u16)) -> Result<Vec<SocketAddr>, String> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let look = move || {
        let found = host.to_socket_addrs().map(Iterator::collect);
        // After the time limit nobody receives it.
        let _ = sender.send(found.map_err(|error: std::io::Error| error.to_string()));
    };
    let started = thread::Builder::new()
        .name("ftrack-name".to_owned())
        .spawn(look);
    started.map_err(|error| error.to_string())?;
    receiver
        .recv_timeout(limit)
        .unwrap_or_else(|_| Err(format!("the look-up took longer than {limit:?}")))
}

fn connect(addresses: &[SocketAddr], limit: Duration) -> (Finding, Option<()>) {
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let attempts = addresses.iter().map(|address| {
        let outcome = TcpStream::connect_timeout(address, limit / count);
        outcome
            .map(|_| *address)
            .map_err(|error| format!("{address}: {error}"))
    });
    let (good, bad): (Vec<_>, Vec<_>) = attempts.partition(Result::is_ok);
    let good: Vec<_> = good
        .into_iter()
        .flatten()
        .map(|one| one.to_string())
        .collect();
    let bad: Vec<_> = bad.into_iter().filter_map(Result::err).collect();
    match (good.is_empty(), bad.is_empty()) {
        (false, true) => (
            Finding::passed(format!("{} can be reached", good.join(", "))),
            Some(()),
        ),
        (false, false) => {
            let text = format!(
                "{} can be reached, but not {}",
                good.join(", "),
                bad.join("; ")
            );
            let remedy = "each connection may lose a quarter of a second on the address that \
                          does not work: remove it from the name service, or open the firewall";
            (Finding::warning(text).remedy(remedy), Some(()))
        }
        (true, _) => {
            let remedy = "check the port, whether the server (or the proxy) is running, and firewalls; \
                          if this network needs a proxy, set HTTPS_PROXY";
            (Finding::failed(bad.join("; ")).remedy(remedy), None)
        }
    }
}

fn proxy(config: &Config, error: Option<&Error>, blame: Option<Blame>) -> Finding {
    let Some(proxy) = config.network.proxy_for(&config.server_url) else {
        return Finding::passed("none: the connection is direct");
    };
    let text = format!("{}:{}", proxy.host(), proxy.port());
    match (error, blame) {
        (Some(error), Some(Blame::Proxy | Blame::Server)) => Finding::failed(error).remedy(
            "check the URL of the proxy with its user and password, and whether it allows requests \
             to this server; hosts in NO_PROXY are reached directly",
        ),
        _ => Finding::passed(format!("{text} forwards requests")),
    }
}

fn tls_finding(config: &Config, error: Option<&Error>, blame: Option<Blame>) -> Finding {
    if config.server_url.scheme() != "https" {
        let host = config.server_url.host_str().unwrap_or_default();
        return match host {
            "localhost" | "127.0.0.1" | "[::1]" => {
                Finding::passed("none, and none is needed on this machine")
            }
            _ => Finding::warning("none: others can read the API key on its way")
                .remedy("use an https URL"),
        };
    }
    match (error, blame) {
        (None, _) => Finding::passed("the certificate is trusted"),
        (Some(error), Some(Blame::Tls)) => Finding::failed(error).remedy(
            "if the studio has its own certificate authority, set REQUESTS_CA_BUNDLE to its file; \
             otherwise the certificate has expired, is for another name, or the connection is \
             intercepted",
        ),
        _ => Finding::skipped("no request gets this far"),
    }
}

/// Compares the date of a response with this machine's clock.
fn clock(response: &Response, now: Timestamp) -> Finding {
    let date = response.header("date").unwrap_or_default();
    let Ok(there) = DateTimeParser::new().parse_timestamp(date) else {
        return Finding::skipped("the response has no date");
    };
    let off = now.duration_since(there);
    let size = off.unsigned_abs();
    if size < MAX_SKEW {
        return Finding::passed("agrees with the server's");
    }
    let direction = if off.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    Finding::warning(format!(
        "{} seconds {direction} the server's",
        size.as_secs()
    ))
    .remedy(
        "set this machine's clock by NTP: with a wrong one, certificates and signed URLs of files \
         seem invalid",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_of(date: &str, now: &str) -> (CheckStatus, String) {
        let response = Response {
            status: 200,
            headers: vec![("date".to_owned(), date.to_owned())],
            body: Box::new(std::io::empty()),
        };
        let finding = clock(&response, now.parse().unwrap());
        (finding.status, finding.text)
    }

    #[test]
    fn clocks() {
        let date = "Tue, 24 Nov 2026 10:00:00 GMT";
        for (date, now, status, text) in [
            (date, "2026-11-24T10:00:29Z", CheckStatus::Passed, "agrees"),
            (date, "2026-11-24T09:59:31Z", CheckStatus::Passed, "agrees"),
            (
                date,
                "2026-11-24T10:01:00Z",
                CheckStatus::Warning,
                "60 seconds ahead",
            ),
            (
                date,
                "2026-11-24T08:00:00Z",
                CheckStatus::Warning,
                "7200 seconds behind",
            ),
            (
                "yesterday",
                "2026-11-24T08:00:00Z",
                CheckStatus::Skipped,
                "has no date",
            ),
        ] {
            let found = clock_of(date, now);
            assert_eq!(found.0, status, "{found:?}");
            assert!(found.1.contains(text), "{found:?}");
        }
    }

    #[test]
    fn addresses_that_do_not_respond_are_named() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = open.local_addr().unwrap();
        // A port that was just closed may be another test's by now; nobody listens at this one.
        let free: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let limit = Duration::from_secs(5);
        let (finding, connected) = connect(&[at, free], limit);
        assert_eq!(
            (finding.status, connected),
            (CheckStatus::Warning, Some(()))
        );
        assert!(finding.text.contains(&free.to_string()), "{}", finding.text);
        let (finding, connected) = connect(&[free], limit);
        assert_eq!((finding.status, connected), (CheckStatus::Failed, None));
    }
}
