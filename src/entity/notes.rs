//! Notes and replies to them.

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;

use super::Entities;

impl Entity {
    /// Writes a note on this entity: a task, a version, a project, whatever has `notes`. The
    /// server learns of it at the next [`commit`](crate::Session::commit).
    ///
    /// `recipients` are users and groups; the server adds the user of the session to them. `labels`
    /// are of type `NoteLabel` or, what is the same, `NoteCategory`; servers without labels take
    /// one category.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// # let own = ftrack_api::expr!("User where username is {}", session.api_user());
    /// let author = session.query(own)?.one()?;
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let labels = session.query("NoteLabel limit 1")?.all()?;
    /// let note = task.create_note("The arm pops.", &author, &[], &labels)?;
    /// let reply = note.create_reply("Fixed.", &author)?;
    /// session.commit()?;
    /// assert_eq!(note.get::<Vec<ftrack_api::Entity>>("replies")?, [reply]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] if such entities have no notes; [`ErrorKind::WrongType`] for
    /// a recipient that is no user or group, and a label that is none;
    /// [`ErrorKind::Unsupported`] for several labels where the server has none; else as for
    /// [`Session::create`](crate::Session::create). Nothing is recorded then.
    pub fn create_note(
        &self,
        content: &str,
        author: &Entity,
        recipients: impl Entities,
        labels: impl Entities,
    ) -> Result<Entity> {
        let (recipients, labels) = (&*recipients.to_entities()?, &*labels.to_entities()?);
        let session = self.session();
        let notes = self.collection("notes")?;
        let schema = session.schema();
        let wrong = |message: String| Err(Error::new(ErrorKind::WrongType, message));
        for one in recipients {
            if !schema.is_kind_of(one.entity_type(), "Resource") {
                return wrong(format!(
                    "{one} cannot get a note: recipients are users and groups"
                ));
            }
        }
        for label in labels {
            if !matches!(label.entity_type(), "NoteLabel" | "NoteCategory") {
                return wrong(format!(
                    "{label} labels no note: use a NoteLabel or a NoteCategory"
                ));
            }
        }

        let mut data = crate::data! { "content": content, "author": author };
        let has_labels = schema.entity_type("NoteLabelLink").is_ok();
        match labels {
            [] => {}
            _ if has_labels => {}
            [category] => data.set("category_id", category.id()),
            _ => {
                let message = "the server has no note labels; a note has one category there";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        let mut made = vec![session.create("Note", data)?];
        let note = made[0].clone();
        let id = note.id();
        let mut rest = || {
            for one in recipients {
                let data = crate::data! { "note_id": id.clone(), "resource_id": one.id() };
                made.push(session.create("Recipient", data)?);
            }
            for one in labels.iter().filter(|_| has_labels) {
                let data = crate::data! { "note_id": id.clone(), "label_id": one.id() };
                made.push(session.create("NoteLabelLink", data)?);
            }
            notes.push(&note)
        };
        if let Err(error) = rest() {
            session.take_back(&made);
            return Err(error);
        }
        Ok(note)
    }

    /// Replies to this note. The server learns of it at the next
    /// [`commit`](crate::Session::commit), and `replies` of this note tells of it then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this is no note; else as for
    /// [`Session::create`](crate::Session::create).
    pub fn create_reply(&self, content: &str, author: &Entity) -> Result<Entity> {
        self.check_type("Note", "which could be replied to")?;
        let data = crate::data! { "content": content, "author": author, "in_reply_to": self };
        self.session().create("Note", data)
    }
}
