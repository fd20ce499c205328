//! A transport that answers from a script, for tests.

use std::io::Cursor;
use std::sync::Arc;

use super::{Request, Response, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;

/// Answers requests from a script and remembers what was asked.
///
/// ```
/// use ftrack_api::{Canned, ErrorKind, Session};
///
/// let canned = Canned::new();
/// canned.answer(200, r#"{"exception": "InvalidCredentialsError", "content": "no"}"#);
/// let refused = Session::builder()
///     .server_url("https://studio.example").api_key("wrong").api_user("ada")
///     .transport(canned.clone())
///     .open()
///     .unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Authentication);
/// assert!(canned.requests()[0].contains("query_server_information"));
/// ```
#[derive(Clone, Default)]
pub struct Canned(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    answers: std::collections::VecDeque<(u16, Vec<u8>)>,
    requests: Vec<String>,
}

impl Canned {
    /// A transport without answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer to the end of the script.
    pub fn answer(&self, status: u16, body: impl Into<Vec<u8>>) -> &Self {
        self.0.lock().answers.push_back((status, body.into()));
        self
    }

    /// The bodies of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.0.lock().requests.clone()
    }
}

impl Transport for Canned {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let mut script = self.0.lock();
        let body = String::from_utf8_lossy(request.body).into_owned();
        script.requests.push(body);
        let (status, body) = script
            .answers
            .pop_front()
            .ok_or_else(|| Error::new(ErrorKind::Connection, "the script has no answer left"))?;
        Ok(Response {
            status,
            headers: Vec::new(),
            body: Box::new(Cursor::new(body)),
        })
    }
}
