//! The information that a server gives about itself.

use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Session;

/// The oldest version that works.
const MIN_VERSION: (u64, u64, u64) = (3, 3, 11);

/// The information that a server gives about itself: version, schema hash, storage scenario and more.
#[derive(Clone, PartialEq)]
pub struct ServerInformation(Map<String, Json>);

impl Session {
    /// The server's information about itself, as of when the session was opened.
    pub fn server_information(&self) -> &ServerInformation {
        &self.shared.server_information
    }
}

impl ServerInformation {
    pub(crate) fn new(reply: Json) -> Result<Self> {
        match reply {
            Json::Object(map) => Ok(Self(map)),
            _ => Err(Error::new(
                ErrorKind::BadResponse,
                "the server's information about itself is not an object",
            )),
        }
    }

    /// The server's version, such as `4.13.8` or `dev`.
    pub fn version(&self) -> Option<&str> {
        self.0.get("version").and_then(Json::as_str)
    }

    /// The hash of the server's schema.
    pub fn schema_hash(&self) -> Option<&str> {
        self.0.get("schema_hash").and_then(Json::as_str)
    }

    /// Whether the server's date-times are in UTC, as they are unless it says otherwise; else they are
    /// in the server's local time.
    pub fn is_timezone_support_enabled(&self) -> bool {
        self.0.get("is_timezone_support_enabled") != Some(&Json::Bool(false))
    }

    /// The zone of its date-times: UTC, or its own, which is taken to be that of this machine.
    pub(crate) fn time_zone(&self) -> TimeZone {
        match self.is_timezone_support_enabled() {
            true => TimeZone::UTC,
            false => TimeZone::system(),
        }
    }

    /// The name of the user, as the server spells it.
    pub(super) fn username(&self) -> Option<&str> {
        self.0.get("user_information")?.get("username")?.as_str()
    }

    /// All of it, as the server sent it.
    pub fn as_object(&self) -> &Map<String, Json> {
        &self.0
    }

    /// Any other member, by its name in the protocol.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Unsupported`] if the version is missing or too old. A version that is no
    ///   number, such as `dev`, counts as new.
    pub(crate) fn check_version(&self) -> Result<()> {
        let (a, b, c) = MIN_VERSION;
        let version = self.version().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "the server does not report its version; check that it is an ftrack server",
            )
        })?;
        match numbers(version) {
            Some(found) if found < MIN_VERSION => Err(Error::new(
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

// Only what is useful in a log; the rest may be long.
debug_fields!(ServerInformation, |this| version: this.version(), schema_hash: this.schema_hash());

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
