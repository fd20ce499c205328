//! What is wrong with a configuration, all of it.

use super::redact::ApiKey;
use super::server_url::are_swapped;
use crate::error::{Error, ErrorKind, Result};

/// Collects what is missing or unusable, so that one error reports all of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// The value; if there is none, the problem is noted.
    pub(crate) fn note<T>(&mut self, result: std::result::Result<T, String>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    /// Notes a server URL and an API key that took each other's place; whether they did.
    pub(crate) fn note_swapped(&mut self, server_url: Option<&str>, key: &ApiKey) -> bool {
        let are_swapped = are_swapped(server_url, key.reveal());
        if are_swapped {
            self.add(
                "the server URL and the API key look swapped, so neither is shown; if they are not, \
                 write the server URL with its scheme, as in https://ftrack.studio.lan",
            );
        }
        are_swapped
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`] if there are problems; its message passes `redact`.
    pub(crate) fn check(self, redact: impl Fn(&str) -> String) -> Result<()> {
        let message = match self.0.as_slice() {
            [] => return Ok(()),
            [only] => only.clone(),
            several => format!(
                "{} settings cannot be used:\n{}",
                several.len(),
                several.join("\n")
            ),
        };
        Err(Error::new(ErrorKind::Configuration, redact(&message)))
    }
}
