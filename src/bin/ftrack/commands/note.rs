//! `ftrack note`: writes a note on something.

use ftrack_api::entity::NoteOptions;
use ftrack_api::query::{field, select};

use crate::app::App;
use crate::change::{self, Consent};
use crate::failure::Result;
use crate::locate;

/// Write a note, and print its key
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack note \"test/Import camera\" \"The arm pops.\" --yes
  ftrack note \"test/Import camera\" \"Please look.\" --to jenkins --dry-run")]
pub(crate) struct Note {
    /// What the note is on, as a path, TYPE:ID or ID
    entity: String,
    /// The text
    text: String,
    /// A user to notify; may be given several times
    #[arg(long, value_name = "USER")]
    to: Vec<String>,
    /// The name of a label
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    #[command(flatten)]
    consent: Consent,
}

impl Note {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let entity = locate::entity(&session, &self.entity)?;
        let author = session.user()?;
        let recipients = self.to.iter().map(|name| locate::user(&session, name));
        let recipients = recipients.collect::<Result<Vec<_>>>()?;
        let mut options = NoteOptions::new().recipients(&recipients);
        if let Some(name) = &self.label {
            let label = select("NoteCategory")
                .fields(["name"])
                .filter(field("name").eq(name.as_str()));
            options = options.labels(&session.query(label)?.one()?);
        }
        let note = entity.create_note(&self.text, &author, options)?;
        if change::apply(app, &session, self.consent)? {
            app.print(&format!("Note:{}", note.id()))?;
        }
        Ok(())
    }
}
