//! `ftrack assign`: who works on a task.

use ftrack_api::data;
use ftrack_api::query::{field, select};

use crate::app::App;
use crate::change::{self, Consent};
use crate::failure::Result;
use crate::locate;

/// Assign users to a task, or unassign them
///
/// Users who are assigned already stay assigned, so the command can be repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack assign \"test/Import camera\" jenkins --yes
  ftrack assign \"test/Import camera\" jenkins --remove --yes")]
pub(crate) struct Assign {
    /// The task, as a path, TYPE:ID or ID
    task: String,
    /// The names of the users
    #[arg(required = true, value_name = "USER")]
    users: Vec<String>,
    /// Unassign them
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    consent: Consent,
}

impl Assign {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let task = locate::entity(&session, &self.task)?;
        session.populate(&task, "name")?;
        let users = self.users.iter().map(|name| locate::user(&session, name));
        let users = users.collect::<Result<Vec<_>>>()?;
        let of_task = select("Appointment")
            .fields(["resource_id"])
            .filter(field("type").eq("assignment"))
            .filter(field("context_id").eq(task.id()));
        let assigned = session.query(of_task)?.all()?;
        for user in &users {
            let mut present = Vec::new();
            for one in &assigned {
                if one.get::<Option<String>>("resource_id")?.as_deref() == Some(&user.id()) {
                    present.push(one);
                }
            }
            match (self.remove, present.as_slice()) {
                (true, present) => present.iter().try_for_each(|one| session.delete(one))?,
                (false, []) => {
                    let data = data! { "context": &task, "resource": user, "type": "assignment" };
                    session.create("Appointment", data)?;
                }
                (false, _) => {}
            }
        }
        change::apply(app, &session, self.consent).map(drop)
    }
}
