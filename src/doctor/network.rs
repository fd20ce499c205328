//! Between this machine and the server: names, connections, proxy, TLS, and the first answer.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use super::{Exam, Finding, NETWORK, Outcome};
use crate::config::{Config, NetworkConfig};
use crate::error::{Error, ErrorKind};
use crate::transport::{Dialer, Http, Request, Response, Transport};

/// From this much on a clock is said to be wrong. The date of an answer has whole seconds.
const SKEW: Duration = Duration::from_secs(30);

/// Looks at all of it, and says whether the server answers.
pub(super) fn look(exam: &mut Exam, config: &Config, dialer: &Dialer, limit: Duration) -> bool {
    let (host, port) = first_hop(config);
    let addresses = exam.look("name resolution", || {
        addresses_of(&config.network, &host, port, limit)
    });
    let Some(addresses) = addresses else {
        exam.skip(&NETWORK[1..], "the name is not known");
        return false;
    };
    let connected = exam.look("connection", || connect(&addresses, limit));
    if connected.is_none() {
        exam.skip(&NETWORK[2..], "there is no connection");
        return false;
    }
    let http = Http::new(dialer.clone());
    let started = Instant::now();
    let answer = http.send(&Request {
        method: "GET",
        url: &config.server_url,
        // No credentials: whether the other side deserves them is not known yet.
        headers: &[],
        body: &[],
        timeout: limit,
    });
    let took = started.elapsed();
    let blame = answer.as_ref().err().map(Blame::of);
    let error = answer.as_ref().err();
    let findings = [
        proxy(config, error, blame),
        tls_finding(config, error, blame),
    ];
    let is_explained = findings.iter().any(|one| one.status == Outcome::Failed);
    for (name, finding) in ["proxy", "tls"].into_iter().zip(findings) {
        exam.add(name, finding, took);
    }
    match &answer {
        Ok(response) => {
            let words = format!("status {} after {} ms", response.status, took.as_millis());
            exam.add("answer", Finding::passed(words), took);
            exam.add("clock", clock(response, Timestamp::now()), Duration::ZERO);
        }
        Err(error) if !is_explained => {
            let remedy = "check the port and the scheme of the server URL, and whether the server \
                          is up";
            exam.add("answer", Finding::failed(error).remedy(remedy), took);
            exam.skip(&["clock"], "the server does not answer");
        }
        Err(_) => exam.skip(&["answer", "clock"], "no request gets through"),
    }
    answer.is_ok()
}

/// Whose fault it is that no answer came.
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

/// The host to which connections go: the proxy's, if there is one.
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
        let words = format!("{bare} has the addresses that were given with `resolve_to`");
        let given = given.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        return (Finding::passed(words), Some(given));
    }
    if let Ok(address) = bare.parse::<IpAddr>() {
        let words = format!("{address} needs none");
        return (Finding::passed(words), Some(vec![(address, port).into()]));
    }
    let remedy = "check the spelling of the server URL (or of the proxy), the network and the VPN";
    match in_time(limit, (bare.to_owned(), port)) {
        Ok(found) if !found.is_empty() => {
            let shown: Vec<_> = found.iter().map(|one| one.ip().to_string()).collect();
            let words = format!("{bare} is {}", shown.join(", "));
            (Finding::passed(words), Some(found))
        }
        Ok(_) => (
            Finding::failed(format!("{bare} has no address")).remedy(remedy),
            None,
        ),
        Err(why) => (
            Finding::failed(format!("{bare} is not known: {why}")).remedy(remedy),
            None,
        ),
    }
}

/// Looks a name up. The system cannot be told to hurry, so a thread does it, and is left behind
/// if it takes longer.
fn in_time(limit: Duration, host: (String, u16)) -> Result<Vec<SocketAddr>, String> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let look = move || {
        let found = host.to_socket_addrs().map(Iterator::collect);
        // Nobody listens any more if it took too long.
        let _ = sender.send(found.map_err(|error: std::io::Error| error.to_string()));
    };
    let started = thread::Builder::new()
        .name("ftrack-name".to_owned())
        .spawn(look);
    started.map_err(|error| error.to_string())?;
    receiver
        .recv_timeout(limit)
        .unwrap_or_else(|_| Err(format!("the system gave no answer within {limit:?}")))
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
            let words = format!(
                "{} can be reached, but not {}",
                good.join(", "),
                bad.join("; ")
            );
            let remedy = "each connection may lose a quarter of a second on the address that \
                          does not work: take it out of the name service, or open the way to it";
            (Finding::warning(words).remedy(remedy), Some(()))
        }
        (true, _) => {
            let remedy = "check the port, whether the server (or the proxy) is up, and firewalls; \
                          where only a proxy leads out, set HTTPS_PROXY";
            (Finding::failed(bad.join("; ")).remedy(remedy), None)
        }
    }
}

fn proxy(config: &Config, error: Option<&Error>, blame: Option<Blame>) -> Finding {
    let Some(proxy) = config.network.proxy_for(&config.server_url) else {
        return Finding::passed("none: the connection is direct");
    };
    let words = format!("{}:{}", proxy.host(), proxy.port());
    match (error, blame) {
        (Some(error), Some(Blame::Proxy | Blame::Server)) => Finding::failed(error).remedy(
            "check the URL of the proxy with its user and password, and whether it lets requests \
             to this server through; hosts in NO_PROXY are reached without it",
        ),
        _ => Finding::passed(format!("{words} lets requests through")),
    }
}

fn tls_finding(config: &Config, error: Option<&Error>, blame: Option<Blame>) -> Finding {
    if config.server_url.scheme() != "https" {
        let host = config.server_url.host_str().unwrap_or_default();
        return match host {
            "localhost" | "127.0.0.1" | "[::1]" => {
                Finding::passed("none, and none is needed on this machine")
            }
            _ => Finding::warning("none: the API key travels so that others can read it")
                .remedy("use an https URL"),
        };
    }
    match (error, blame) {
        (None, _) => Finding::passed("the certificate is trusted"),
        (Some(error), Some(Blame::Tls)) => Finding::failed(error).remedy(
            "if the studio signs its certificates itself, name its authority's file in \
             REQUESTS_CA_BUNDLE; else the certificate is out of date, for another name, or \
             somebody listens in",
        ),
        _ => Finding::skipped("no request gets so far"),
    }
}

/// Compares the time of an answer with the time here.
fn clock(response: &Response, now: Timestamp) -> Finding {
    let date = response.header("date").unwrap_or_default();
    let Ok(there) = DateTimeParser::new().parse_timestamp(date) else {
        return Finding::skipped("the server does not tell its time");
    };
    let off = now.duration_since(there);
    let size = off.unsigned_abs();
    if size < SKEW {
        return Finding::passed("the same as the server's");
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
        "let this machine set its clock by the network (NTP): certificates and signed links to \
         files seem not to be valid when it is wrong",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_of(date: &str, now: &str) -> (Outcome, String) {
        let response = Response {
            status: 200,
            headers: vec![("date".to_owned(), date.to_owned())],
            body: Box::new(std::io::empty()),
        };
        let finding = clock(&response, now.parse().unwrap());
        (finding.status, finding.words)
    }

    #[test]
    fn clocks() {
        let date = "Tue, 24 Nov 2026 10:00:00 GMT";
        for (date, now, status, words) in [
            (date, "2026-11-24T10:00:29Z", Outcome::Passed, "the same"),
            (date, "2026-11-24T09:59:31Z", Outcome::Passed, "the same"),
            (
                date,
                "2026-11-24T10:01:00Z",
                Outcome::Warning,
                "60 seconds ahead",
            ),
            (
                date,
                "2026-11-24T08:00:00Z",
                Outcome::Warning,
                "7200 seconds behind",
            ),
            (
                "yesterday",
                "2026-11-24T08:00:00Z",
                Outcome::Skipped,
                "does not tell",
            ),
        ] {
            let found = clock_of(date, now);
            assert_eq!(found.0, status, "{found:?}");
            assert!(found.1.contains(words), "{found:?}");
        }
    }

    #[test]
    fn addresses_that_do_not_answer_are_named() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = open.local_addr().unwrap();
        // A port that was just closed may be another test's by now; nobody listens at this one.
        let free: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let limit = Duration::from_secs(5);
        let (finding, connected) = connect(&[at, free], limit);
        assert_eq!((finding.status, connected), (Outcome::Warning, Some(())));
        assert!(
            finding.words.contains(&free.to_string()),
            "{}",
            finding.words
        );
        let (finding, connected) = connect(&[free], limit);
        assert_eq!((finding.status, connected), (Outcome::Failed, None));
    }
}
