//! Handshakes that wait for their WebSocket.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Who may connect under which session id, and until when.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    waiting: HashMap<String, (String, Instant)>,
}

impl Sessions {
    /// A new session id for `user`; forgets those that have expired.
    pub(super) fn open(&mut self, user: &str, now: Instant, lifetime: Duration) -> String {
        self.waiting.retain(|_, (_, expires)| *expires > now);
        let id = Uuid::new_v4().simple().to_string();
        let session = (user.to_owned(), now + lifetime);
        self.waiting.insert(id.clone(), session);
        id
    }

    /// The user of a session, which is used up by that; `None` if there is none or it is late.
    pub(super) fn take(&mut self, id: &str, now: Instant) -> Option<String> {
        let (user, expires) = self.waiting.remove(id)?;
        (expires > now).then_some(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_used_once_and_in_time() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let second = Duration::from_secs(1);
        let id = sessions.open("ada", now, second);
        assert_eq!(sessions.take(&id, now).as_deref(), Some("ada"));
        assert_eq!(sessions.take(&id, now), None);

        let late = sessions.open("ada", now, second);
        assert_eq!(sessions.take(&late, now + second), None);
        sessions.open("ada", now, second);
        sessions.open("ada", now + 2 * second, second);
        assert_eq!(sessions.waiting.len(), 1);
    }
}
