//! Mails that the server sends: invitations of users, and of guests to review sessions.

use serde_json::json;

use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::store::EntityState;

impl Session {
    /// Lets the server send an invitation to a user, by mail; see
    /// [`send_user_invites`](Self::send_user_invites).
    ///
    /// # Errors
    ///
    /// As for [`send_user_invites`](Self::send_user_invites).
    pub fn send_user_invite(&self, user: &Entity) -> Result<()> {
        self.send_user_invites(user)
    }

    /// Lets the server send an invitation to each of several users, in one request.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// [`ErrorKind::WrongType`] for what is no user; [`ErrorKind::Validation`] for users that are
    /// not committed; [`ErrorKind::Unsupported`] on servers that cannot do it;
    /// [`ErrorKind::ReadOnly`]; else as for [`call`](Self::call). Nobody is invited then.
    pub fn send_user_invites(&self, users: impl Entities) -> Result<()> {
        self.invite(users, "User", "send_user_invite", "user_id")
    }

    /// Lets the server send an invitation to a guest of a review session, by mail; see
    /// [`send_review_session_invites`](Self::send_review_session_invites).
    ///
    /// # Errors
    ///
    /// As for [`send_review_session_invites`](Self::send_review_session_invites).
    pub fn send_review_session_invite(&self, invitee: &Entity) -> Result<()> {
        self.send_review_session_invites(invitee)
    }

    /// Lets the server send an invitation to each of several guests of review sessions, which are
    /// entities of type `ReviewSessionInvitee`, in one request.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// As for [`send_user_invites`](Self::send_user_invites).
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
    /// Lets the server send this user an invitation; see [`Session::send_user_invites`].
    ///
    /// # Errors
    ///
    /// As for [`Session::send_user_invites`].
    pub fn send_invite(&self) -> Result<()> {
        self.session().send_user_invite(self)
    }
}
