//! Notes and replies to them.

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;

use super::Entities;

/// Who gets a note and how it is labelled, for [`Entity::create_note`].
#[derive(Debug)]
#[must_use = "options have no effect until they are passed to `create_note`"]
#[non_exhaustive]
pub struct NoteOptions {
    recipients: Result<Vec<Entity>>,
    labels: Result<Vec<Entity>>,
}

impl Default for NoteOptions {
    fn default() -> Self {
        Self {
            recipients: Ok(Vec::new()),
            labels: Ok(Vec::new()),
        }
    }
}

impl NoteOptions {
    /// No recipients and no labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// The users and groups that get the note. The server adds the author.
    pub fn recipients(mut self, recipients: impl Entities) -> Self {
        self.recipients = recipients.to_entities().map(std::borrow::Cow::into_owned);
        self
    }

    /// The labels of the note: entities of type `NoteLabel` or `NoteCategory`, which are the same.
    /// Servers without labels take one category.
    pub fn labels(mut self, labels: impl Entities) -> Self {
        self.labels = labels.to_entities().map(std::borrow::Cow::into_owned);
        self
    }
}

impl Entity {
    /// Writes a note on this entity: a task, a version, a project, anything that has `notes`. The
    /// note is sent by the next [`commit`](crate::Session::commit).
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let own = ftrack_api::expr!("User where username is {}", session.api_user());
    /// use ftrack_api::entity::NoteOptions;
    ///
    /// let author = session.query(own)?.one()?;
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let labels = session.query("NoteLabel limit 1")?.all()?;
    /// let note = task.create_note("The arm pops.", &author, NoteOptions::new().labels(&labels))?;
    /// let reply = note.create_reply("Fixed.", &author)?;
    /// session.commit()?;
    /// assert_eq!(note.get::<Vec<ftrack_api::Entity>>("replies")?, [reply]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing is recorded after an error.
    ///
    /// - [`ErrorKind::UnknownAttribute`] if such entities have no notes.
    /// - [`ErrorKind::WrongType`] if a recipient is neither user nor group, or a label is not one.
    /// - [`ErrorKind::Duplicate`] if a recipient or a label is given twice.
    /// - [`ErrorKind::Unsupported`] for several labels on a server that has none.
    /// - Any error of [`Session::create`](crate::Session::create).
    pub fn create_note(
        &self,
        content: &str,
        author: &Entity,
        options: NoteOptions,
    ) -> Result<Entity> {
        let session = self.session();
        let notes = self.collection("notes")?;
        let schema = session.schema();
        let (recipients, labels) = (options.recipients?, options.labels?);
        let is_recipient = |one: &Entity| schema.is_kind_of(one.entity_type(), "Resource");
        let why = "cannot receive a note: recipients are users and groups";
        check(&recipients, "recipient", is_recipient, why)?;
        let is_label = |one: &Entity| matches!(one.entity_type(), "NoteLabel" | "NoteCategory");
        let why = "cannot label a note: use a NoteLabel or a NoteCategory";
        check(&labels, "label", is_label, why)?;
        let mut data = crate::data! { "content": content, "author": author };
        let has_labels = schema.entity_type("NoteLabelLink").is_ok();
        match labels.as_slice() {
            [] => {}
            _ if has_labels => {}
            [category] => data.set("category_id", category.id()),
            _ => {
                let message = "this server has no note labels; give one category";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        let mut created = vec![session.create("Note", data)?];
        let note = created[0].clone();
        let id = note.id();
        let mut rest = || {
            for one in &recipients {
                let data = crate::data! { "note_id": id.as_str(), "resource_id": one.id() };
                created.push(session.create("Recipient", data)?);
            }
            for one in labels.iter().filter(|_| has_labels) {
                let data = crate::data! { "note_id": id.as_str(), "label_id": one.id() };
                created.push(session.create("NoteLabelLink", data)?);
            }
            notes.push(&note)
        };
        if let Err(error) = rest() {
            session.discard(&created);
            return Err(error);
        }
        Ok(note)
    }

    /// Replies to this note. The reply is sent by the next [`commit`](crate::Session::commit), and
    /// `replies` of this note contains it then.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if this is not a note.
    /// - Any error of [`Session::create`](crate::Session::create).
    pub fn create_reply(&self, content: &str, author: &Entity) -> Result<Entity> {
        self.check_type("Note")?;
        let data = crate::data! { "content": content, "author": author, "in_reply_to": self };
        self.session().create("Note", data)
    }
}

/// Checks that each entity `fits` its role, and is given once. Compares ids: a `NoteLabel` and the
/// `NoteCategory` with its id are one label.
fn check(given: &[Entity], role: &str, fits: impl Fn(&Entity) -> bool, why: &str) -> Result<()> {
    for (index, one) in given.iter().enumerate() {
        if !fits(one) {
            return Err(Error::new(ErrorKind::WrongType, format!("{one} {why}")));
        }
        if given[..index]
            .iter()
            .any(|earlier| earlier.id() == one.id())
        {
            let message = format!("{one} is given twice as a {role} of the note");
            return Err(Error::new(ErrorKind::Duplicate, message));
        }
    }
    Ok(())
}
