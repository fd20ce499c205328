//! Faults on demand: what goes wrong with the next requests, so that clients can be tested.
//!
//! [`Faults::push`] queues a [`Fault`]; each request takes the first one that is meant for it.
//! Nothing here touches a socket: the server carries the faults out.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The path of requests that a fault is meant for, unless it says otherwise.
const API: &str = "/api";

/// What goes wrong, with how many requests, and with which.
///
/// ```
/// use ftrack_emulator::faults::Fault;
///
/// let emulator = ftrack_emulator::Emulator::builder().tasks(0).start()?;
/// emulator.faults().push(Fault::unavailable(1).times(2));
/// emulator.faults().push(Fault::no_response().only("create"));
/// assert_eq!(emulator.faults().pending().len(), 2);
/// # anyhow::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    requests: u32,
    action: Option<String>,
    path: String,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// The response is complete, but late by so many milliseconds.
    Slow {
        /// How late it is.
        milliseconds: u64,
    },
    /// The request is carried out; the connection closes after so many bytes of the response, its
    /// head of about 150 bytes included. A shorter response arrives whole.
    Cut {
        /// How many bytes arrive.
        bytes: u64,
    },
    /// The request is carried out; the response is valid HTTP with the first half of its body.
    Truncated {},
    /// Status 502 with a page of HTML, as proxies send it. The request is not carried out.
    BadGateway {},
    /// Status 503. The request is not carried out.
    Unavailable {
        /// The header `Retry-After`, in seconds.
        #[serde(default = "one")]
        retry_after: u32,
    },
    /// Status 429. The request is not carried out.
    TooManyRequests {
        /// The header `Retry-After`, in seconds.
        #[serde(default = "one")]
        retry_after: u32,
    },
    /// Status 500 with an error object. The request is not carried out.
    ServerError {},
    /// The request is carried out, and the connection closes without a response.
    NoResponse {},
    /// The request is not carried out, and the connection closes without a response.
    Dropped {},
}

fn one() -> u32 {
    1
}

impl Fault {
    /// A fault of the next request of the API.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            requests: 1,
            action: None,
            path: API.to_owned(),
        }
    }

    /// The response is late; less than a millisecond is rounded up to one.
    pub fn slow(delay: Duration) -> Self {
        let milliseconds = delay.as_nanos().div_ceil(1_000_000);
        Self::new(Kind::Slow {
            milliseconds: u64::try_from(milliseconds).unwrap_or(u64::MAX),
        })
    }

    /// The connection closes after so many bytes of the response, its head included.
    pub fn cut(bytes: u64) -> Self {
        Self::new(Kind::Cut { bytes })
    }

    /// The response is valid HTTP with the first half of its body.
    pub fn truncated() -> Self {
        Self::new(Kind::Truncated {})
    }

    /// Status 502 with a page of HTML.
    pub fn bad_gateway() -> Self {
        Self::new(Kind::BadGateway {})
    }

    /// Status 503 with `Retry-After` in seconds.
    pub fn unavailable(retry_after: u32) -> Self {
        Self::new(Kind::Unavailable { retry_after })
    }

    /// Status 429 with `Retry-After` in seconds.
    pub fn too_many_requests(retry_after: u32) -> Self {
        Self::new(Kind::TooManyRequests { retry_after })
    }

    /// Status 500 with an error object.
    pub fn server_error() -> Self {
        Self::new(Kind::ServerError {})
    }

    /// The request is carried out, and the connection closes without a response.
    pub fn no_response() -> Self {
        Self::new(Kind::NoResponse {})
    }

    /// The request is not carried out, and the connection closes without a response.
    pub fn dropped() -> Self {
        Self::new(Kind::Dropped {})
    }

    /// How many requests it happens to; one if this is not called.
    #[must_use]
    pub fn times(mut self, requests: u32) -> Self {
        self.requests = requests;
        self
    }

    /// Only for requests to the API that contain this action, such as `create`.
    #[must_use]
    pub fn only(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// For requests whose path begins like this, instead of those to `/api`: `/component/` for
    /// files, `/socket.io/` for event connections.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Reads a fault as the HTTP endpoint takes it: its kind and the kind's numbers, and
    /// `requests`, `action` and `path` if wanted.
    ///
    /// # Errors
    ///
    /// A sentence: a member is missing, unknown, or of the wrong type.
    pub fn from_json(fault: Value) -> Result<Self, String> {
        let Value::Object(mut members) = fault else {
            return Err("A fault is an object with a \"kind\"".to_owned());
        };
        let requests = members.remove("requests").map(|value| {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            let number = number.filter(|number| *number > 0);
            number.ok_or("\"requests\" is a whole number from 1")
        });
        let action = take_text(&mut members, "action")?;
        let path = take_text(&mut members, "path")?;
        if action.is_some() && path.is_some() {
            return Err("Only requests to /api have actions: leave out \"path\"".to_owned());
        }
        let kind: Kind =
            serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())?;
        Ok(Self {
            kind,
            requests: requests.transpose()?.unwrap_or(1),
            action,
            path: path.unwrap_or_else(|| API.to_owned()),
        })
    }

    /// The form that [`Fault::from_json`] reads, with everything in it.
    pub fn to_json(&self) -> Value {
        let mut json = json!(self.kind);
        json["requests"] = self.requests.into();
        match &self.action {
            Some(action) => json["action"] = action.as_str().into(),
            None => json["path"] = self.path.as_str().into(),
        }
        json
    }

    fn is_meant_for(&self, path: &str, actions: &[String]) -> bool {
        let has_action = |action| actions.contains(action);
        path.starts_with(&self.path) && self.action.as_ref().is_none_or(has_action)
    }
}

fn take_text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("\"{name}\" is a text")),
    }
}

/// The faults that wait for requests.
#[derive(Debug, Default)]
pub struct Faults {
    pending: Mutex<VecDeque<Fault>>,
}

impl Faults {
    /// Queues a fault behind those that wait. One that is meant for no request is left out.
    pub fn push(&self, fault: Fault) {
        if fault.requests > 0 {
            self.pending.lock().push_back(fault);
        }
    }

    /// The faults that wait, each with the number of requests that it still has to happen to.
    pub fn pending(&self) -> Vec<Fault> {
        self.pending.lock().iter().cloned().collect()
    }

    /// Forgets all faults that wait.
    pub fn clear(&self) {
        self.pending.lock().clear();
    }

    /// Whether a fault waits for a certain action, so that the server has to look for them.
    pub(crate) fn asks_for_actions(&self) -> bool {
        let pending = self.pending.lock();
        pending.iter().any(|fault| fault.action.is_some())
    }

    /// The fault of a request, which has then happened once more.
    pub(crate) fn take(&self, path: &str, actions: &[String]) -> Option<Kind> {
        let mut pending = self.pending.lock();
        let index = pending
            .iter()
            .position(|fault| fault.is_meant_for(path, actions))?;
        let fault = &mut pending[index];
        let kind = fault.kind;
        fault.requests -= 1;
        if fault.requests == 0 {
            pending.remove(index);
        }
        Some(kind)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn faults_are_taken_in_order_by_the_requests_that_they_are_meant_for() {
        let faults = Faults::default();
        faults.push(Fault::server_error().only("create"));
        faults.push(Fault::cut(7).times(2));
        faults.push(Fault::truncated().at("/component/"));
        faults.push(Fault::dropped().times(0));
        let (create, query) = (["query".into(), "create".into()], ["query".into()]);
        assert_eq!(faults.take("/img/x.png", &[]), None);
        assert_eq!(faults.take("/api", &query), Some(Kind::Cut { bytes: 7 }));
        assert_eq!(faults.take("/api", &create), Some(Kind::ServerError {}));
        assert!(!faults.asks_for_actions());
        assert_eq!(faults.take("/api", &create), Some(Kind::Cut { bytes: 7 }));
        assert_eq!(faults.take("/api", &create), None);
        assert_eq!(faults.take("/component/get", &[]), Some(Kind::Truncated {}));
        assert_eq!(faults.pending(), []);
    }

    #[test]
    fn json_and_back() {
        for fault in [
            Fault::slow(Duration::from_micros(1500)),
            Fault::cut(0).times(3),
            Fault::truncated().at("/component/"),
            Fault::bad_gateway(),
            Fault::unavailable(5).only("update"),
            Fault::too_many_requests(2),
            Fault::server_error(),
            Fault::no_response(),
            Fault::dropped(),
        ] {
            assert_eq!(Fault::from_json(fault.to_json()), Ok(fault));
        }
        let slow = json!({"kind": "slow", "milliseconds": 2});
        let expected = Fault::slow(Duration::from_micros(1500));
        assert_eq!(Fault::from_json(slow), Ok(expected));
        for bad in [
            json!([]),
            json!({}),
            json!({"kind": "fire"}),
            json!({"kind": "slow"}),
            json!({"kind": "slow", "milliseconds": -1}),
            json!({"kind": "truncated", "bytes": 5}),
            json!({"kind": "truncated", "requests": 0}),
            json!({"kind": "truncated", "requests": 1.5}),
            json!({"kind": "truncated", "action": 5}),
            json!({"kind": "truncated", "action": "query", "path": "/component/"}),
        ] {
            assert!(Fault::from_json(bad.clone()).is_err(), "{bad}");
        }
    }
}
