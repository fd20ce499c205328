//! Invitations by mail: of users, and of guests to review sessions.

use serde_json::json;

use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::store::EntityState;

impl Session {
    /// Sends an invitation by mail to a user; see
    /// [`send_user_invites`](Self::send_user_invites).
    ///
    /// # Errors
    ///
    /// - Any error of [`send_user_invites`](Self::send_user_invites).
    pub fn send_user_invite(&self, user: &Entity) -> Result<()> {
        self.send_user_invites(user)
    }

    /// Sends invitations by mail to users, in one request.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let ada = session.create("User", data! { "username": "ada", "email": "ada@example.com" })?;
    /// session.commit()?;
    /// session.send_user_invites(&ada)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After an error nobody was invited, unless the response was lost.
    ///
    /// - [`ErrorKind::WrongType`] if one is not a user.
    /// - [`ErrorKind::Validation`] if one is not committed.
    /// - [`ErrorKind::Unsupported`] if the server cannot send invitations.
    /// - Any error of [`call`](Self::call).
    pub fn send_user_invites(&self, users: impl Entities) -> Result<()> {
        self.invite(users, "User", "send_user_invite", "user_id")
    }

    /// Sends an invitation by mail to a guest of a review session; see
    /// [`send_review_session_invites`](Self::send_review_session_invites).
    ///
    /// # Errors
    ///
    /// - Any error of [`send_review_session_invites`](Self::send_review_session_invites).
    pub fn send_review_session_invite(&self, invitee: &Entity) -> Result<()> {
        self.send_review_session_invites(invitee)
    }

    /// Sends invitations by mail to guests of review sessions (entities of type
    /// `ReviewSessionInvitee`), in one request.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let project = session.query("Project")?.first()?.expect("there are projects");
    /// let review = session.create("ReviewSession", data! {
    ///     "name": "dailies", "project": &project,
    /// })?;
    /// let guest = session.create("ReviewSessionInvitee", data! {
    ///     "name": "Ada", "email": "ada@example.com", "review_session": &review,
    /// })?;
    /// session.commit()?;
    /// session.send_review_session_invites(&guest)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`send_user_invites`](Self::send_user_invites).
    pub fn send_review_session_invites(&self, invitees: impl Entities) -> Result<()> {
        self.invite(
            invitees,
            "ReviewSessionInvitee",
            "send_review_session_invite",
            "review_session_invitee_id",
        )
    }

    fn invite(
        &self,
        guests: impl Entities,
        entity_type: &str,
        action: &str,
        key: &str,
    ) -> Result<()> {
        let mut actions = Vec::new();
        for guest in guests.to_entities()?.iter() {
            guest.check_type(entity_type)?;
            if guest.state() == Some(EntityState::Created) {
                let message = format!("{guest} is not committed; commit before inviting");
                return Err(Error::new(ErrorKind::Validation, message));
            }
            actions.push(json!({ "action": action, key: guest.id() }));
        }
        if actions.is_empty() {
            return Ok(());
        }
        self.call_if_supported(&actions).map(drop)
    }
}

impl Entity {
    /// Sends this user an invitation by mail; see [`Session::send_user_invites`].
    ///
    /// # Errors
    ///
    /// - Any error of [`Session::send_user_invites`].
    pub fn send_invite(&self) -> Result<()> {
        self.session().send_user_invite(self)
    }
}
