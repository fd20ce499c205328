//! A transport that responds from a script, for tests.

use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

use super::{Request, Response, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;

/// Responds to requests from a script, and remembers the requests.
///
/// ```
/// use ftrack_api::transport::ScriptedTransport;
/// use ftrack_api::{ErrorKind, Session};
///
/// let script = ScriptedTransport::new();
/// script.respond(200, r#"{"exception": "InvalidCredentialsError", "content": "no"}"#);
/// let refused = Session::builder()
///     .server_url("https://studio.example").api_key("wrong").api_user("ada")
///     .transport(script.clone())
///     .open()
///     .unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Authentication);
/// assert!(script.requests()[0].contains("query_server_information"));
/// ```
#[derive(Clone, Default)]
pub struct ScriptedTransport(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    responses: std::collections::VecDeque<(u16, Vec<u8>)>,
    requests: Vec<String>,
}

impl ScriptedTransport {
    /// A transport with an empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a response to the end of the script.
    pub fn respond(&self, status: u16, body: impl Into<Vec<u8>>) -> &Self {
        self.0.lock().responses.push_back((status, body.into()));
        self
    }

    /// The bodies of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.0.lock().requests.clone()
    }
}

impl Transport for ScriptedTransport {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let mut script = self.0.lock();
        let body = String::from_utf8_lossy(request.body).into_owned();
        script.requests.push(body);
        let (status, body) = script
            .responses
            .pop_front()
            .ok_or_else(|| Error::new(ErrorKind::Connection, "the script has no response left"))?;
        Ok(Response {
            status,
            headers: Vec::new(),
            body: Box::new(Cursor::new(body)),
        })
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.0.lock();
        f.debug_struct("ScriptedTransport")
            .field("responses", &script.responses.len())
            .field("requests", &script.requests.len())
            .finish()
    }
}
