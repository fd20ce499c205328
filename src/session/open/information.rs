//! What a server says about itself.

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Session;

/// The oldest server that works (WIRE.md, Actions).
const OLDEST: (u64, u64, u64) = (3, 3, 11);

/// What a server says about itself: version, schema hash, storage scenario and more.
#[derive(Clone, PartialEq)]
pub struct ServerInformation(Map<String, Json>);

impl Session {
    /// What the server said about itself when the session was opened.
    pub fn server_information(&self) -> &ServerInformation {
        &self.shared.server_information
    }
}

impl ServerInformation {
    pub(crate) fn new(reply: Json) -> Result<Self> {
        match reply {
            Json::Object(map) => Ok(Self(map)),
            other => Err(Error::new(
                ErrorKind::BadResponse,
                format!("the server described itself with {other} instead of an object"),
            )),
        }
    }

    /// The server's version, such as `4.13.8`, or `dev`.
    pub fn version(&self) -> Option<&str> {
        self.0.get("version").and_then(Json::as_str)
    }

    /// The hash of the server's schema.
    pub fn schema_hash(&self) -> Option<&str> {
        self.0.get("schema_hash").and_then(Json::as_str)
    }

    /// Whether the server's date-times are UTC. On those that do not support time zones they are
    /// the server's local time.
    pub fn is_timezone_support_enabled(&self) -> bool {
        self.0.get("is_timezone_support_enabled") == Some(&Json::Bool(true))
    }

    /// Anything else that the server said, by its name on the wire.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the version is missing or too old. A version that is no
    /// number, such as `dev`, is taken to be new.
    pub(crate) fn check_version(&self) -> Result<()> {
        let (a, b, c) = OLDEST;
        let version = self.version().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "the server does not tell its version; is it an ftrack server?",
            )
        })?;
        match numbers(version) {
            Some(found) if found < OLDEST => Err(Error::new(
                ErrorKind::Unsupported,
                format!("the server has version {version}; {a}.{b}.{c} or newer is needed"),
            )),
            _ => Ok(()),
        }
    }
}

/// The first three numbers of a version.
fn numbers(version: &str) -> Option<(u64, u64, u64)> {
    let mut parts = version.splitn(3, '.');
    let mut next = || {
        let part = parts.next()?;
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        part[..digits].parse().ok()
    };
    Some((next()?, next()?, next()?))
}

/// Names what is of use in a log; the rest may be long.
impl fmt::Debug for ServerInformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerInformation")
            .field("version", &self.version())
            .field("schema_hash", &self.schema_hash())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions() {
        for (reply, supported) in [
            (json!({"version": "dev"}), true),
            (json!({"version": "3.3.11"}), true),
            (json!({"version": "4.13.8.12345"}), true),
            (json!({"version": "10.0.0-rc1"}), true),
            (json!({"version": "3.3.10"}), false),
            (json!({"version": "2.9.99"}), false),
            (json!({"version": "next"}), true),
            (json!({"version": null}), false),
            (json!({}), false),
        ] {
            let information = ServerInformation::new(reply.clone()).unwrap();
            let found = information.check_version();
            assert_eq!(found.is_ok(), supported, "{reply}: {found:?}");
        }
    }
}
