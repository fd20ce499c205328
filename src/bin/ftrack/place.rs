//! `--stream`: where a stream of events is.

use std::path::Path;

use ftrack_api::relay::Stream;

use crate::failure::{Failure, Result};

/// How the URLs of Redis and Valkey begin.
const SCHEMES: [&str; 5] = ["redis", "redis+unix", "unix", "valkey", "valkey+unix"];

/// The same, with encryption.
const TLS_SCHEMES: [&str; 2] = ["rediss", "valkeys"];

/// What to write instead of what is neither.
const REMEDY: &str =
    "write redis://HOST:PORT for a Redis or Valkey server; for a file of such a name, ./NAME";

/// Where the stream is.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The URL of a Redis server, such as redis://host, or a file for one machine
    #[arg(
        long,
        env = "FTRACK_STREAM",
        hide_env_values = true,
        value_name = "URL|FILE"
    )]
    stream: String,
    /// The name of the stream
    #[arg(long, default_value = "ftrack:events", value_name = "NAME")]
    stream_name: String,
}

impl Place {
    pub(crate) fn open(&self) -> Result<Stream> {
        let stream = match is_redis(&self.stream)? {
            true => redis(&self.stream)?,
            false => local(&self.stream)?,
        };
        Ok(stream.name(&self.stream_name))
    }

    /// The file of a local stream that does not exist yet. Opening it makes it.
    pub(crate) fn new_file(&self) -> Result<Option<&str>> {
        let is_there = is_redis(&self.stream)? || Path::new(&self.stream).exists();
        Ok((!is_there).then_some(&self.stream))
    }

    /// A new file is no help to somebody who has mistyped the name of one that exists.
    pub(crate) fn check_exists(&self) -> Result<()> {
        match self.new_file()? {
            None => Ok(()),
            Some(file) => Err(Failure::not_found(format!("there is no stream at {file}"))),
        }
    }
}

pub(crate) fn no_group(name: &str) -> Failure {
    let failure = Failure::not_found(format!("the stream has no group {name}"));
    failure.with_remedy("the name is that of `ftrack events work --group`")
}

/// Whether it is the URL of a server rather than a file. What may be meant as one, and is none, must not become a
/// file that nobody else uses. The messages leave out what may be a password.
fn is_redis(stream: &str) -> Result<bool> {
    let scheme = stream.split_once(':').map(|(scheme, _)| scheme);
    let is = |known: &str| scheme.is_some_and(|scheme| known.eq_ignore_ascii_case(scheme));
    if TLS_SCHEMES.iter().any(|known| is(known)) {
        let failure = Failure::usage("--stream: TLS to Redis is not compiled into this program");
        return Err(failure.with_remedy("write redis://, through a tunnel such as stunnel"));
    }
    if SCHEMES.iter().any(|known| is(known)) {
        return Ok(true);
    }
    if stream.contains("://") {
        let message = "--stream: this is not the URL of a Redis server";
        return Err(Failure::usage(message).with_remedy(REMEDY));
    }
    if is_host_and_port(stream) && !Path::new(stream).exists() {
        let message = "--stream: a host and a port are not a URL";
        return Err(Failure::usage(message).with_remedy(REMEDY));
    }
    Ok(false)
}

/// `host:6379`, `[::1]:6379/0`, `user:password@host:6379`; not `C:\events.db`, nor anything in a folder.
fn is_host_and_port(stream: &str) -> bool {
    let address = stream.rsplit_once('@').map_or(stream, |(_, after)| after);
    let (address, database) = address.split_once('/').unwrap_or((address, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    address.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host = !host.is_empty() && !host.contains(['\\', '/']);
        is_host && !port.is_empty() && is_number(port) && is_number(database)
    })
}

#[cfg(feature = "redis")]
#[allow(clippy::unnecessary_wraps, reason = "its twin fails")]
fn redis(url: &str) -> Result<Stream> {
    Ok(Stream::redis(url))
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str) -> Result<Stream> {
    Err(Failure::usage(
        "this program was built without the feature `redis`",
    ))
}

#[cfg(feature = "file-cache")]
#[allow(clippy::unnecessary_wraps, reason = "its twin fails")]
fn local(path: &str) -> Result<Stream> {
    Ok(Stream::local(path))
}

#[cfg(not(feature = "file-cache"))]
fn local(_: &str) -> Result<Stream> {
    Err(Failure::usage(
        "this program was built without the feature `file-cache`",
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_from_a_file() {
        let check = |expected: Option<bool>, streams: &[&str]| {
            for stream in streams {
                assert_eq!(is_redis(stream).ok(), expected, "{stream}");
            }
        };
        let urls = [
            "redis://events.studio",
            "Redis://events.studio:6379/1",
            "valkey://events.studio",
            "redis+unix:///run/redis.sock",
            "unix:///run/redis.sock",
        ];
        check(Some(true), &urls);
        let files = [
            "events.db",
            "/var/lib/ftrack/events.db",
            "./redis.studio:6379",
            "shows/ep01:2",
            r"C:\ftrack\events.db",
            "C:/ftrack/events.db",
            "C:events.db",
            r"\\nas\share:1\events.db",
        ];
        check(Some(false), &files);
        let neither = [
            "http://events.studio",
            "reddis://events.studio",
            "rediss://ada:secret@events.studio",
            "://events.studio",
            "redis.studio:6379",
            "redis.studio:6379/0",
            "[::1]:6379",
            "ada:secret@redis.studio:6379",
        ];
        check(None, &neither);
    }

    #[test]
    fn no_password_is_printed() {
        for stream in [
            "http://ada:secret@redis.studio",
            "rediss://ada:secret@redis.studio",
            "ada:secret@redis.studio:6379",
        ] {
            let failure = is_redis(stream).unwrap_err();
            assert!(!failure.to_string().contains("secret"), "{failure}");
        }
    }
}
