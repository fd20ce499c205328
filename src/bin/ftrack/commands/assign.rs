//! `ftrack assign`: who works on a task.

use std::collections::HashMap;

use ftrack_api::Entity;
use ftrack_api::data;
use ftrack_api::query::{field, select};

use crate::app::App;
use crate::change::{self, Consent};
use crate::failure::{Failure, Result};
use crate::locate;

/// Assign users to a task, or unassign them
///
/// Users who are assigned already stay assigned, so the command can be repeated. A project has a team instead
/// of assignments: allocations, which `ftrack create Appointment` makes.
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
        if !session
            .schema()
            .is_kind_of(task.entity_type(), "TypedContext")
        {
            return Err(not_assignable(&task, &self.users[0]));
        }
        let name: String = task.get("name")?;
        let users = self.users.iter().map(|name| locate::user(&session, name));
        let users = users.collect::<Result<Vec<_>>>()?;
        let of_task = select("Appointment")
            .fields(["resource_id"])
            .filter(field("type").eq("assignment"))
            .filter(field("context_id").eq(task.id()));
        let assigned = session.query(of_task)?.all()?;
        let mut removed = HashMap::new();
        for (user, username) in users.iter().zip(&self.users) {
            let mut present = Vec::new();
            for one in &assigned {
                if one.get::<Option<String>>("resource_id")?.as_deref() == Some(&user.id()) {
                    present.push(one);
                }
            }
            match (self.remove, present.as_slice()) {
                (true, present) => {
                    for one in present {
                        let what = format!("the assignment of {username} to {name:?}");
                        removed.insert(one.id(), what);
                        session.delete(one)?;
                    }
                }
                (false, []) => {
                    let data = data! { "context": &task, "resource": user, "type": "assignment" };
                    session.create("Appointment", data)?;
                }
                (false, _) => {}
            }
        }
        change::apply_named(app, &session, self.consent, removed).map(drop)
    }
}

/// The server would take it for a project too, but an assignment there means nothing.
fn not_assignable(entity: &Entity, user: &str) -> Failure {
    let (entity_type, id) = (entity.entity_type(), entity.id());
    let message = format!("users are assigned to tasks, not to a {entity_type}");
    let failure = Failure::invalid(message);
    match entity_type {
        "Project" => failure.with_remedy(format!(
            "for its team: ftrack create Appointment context={id} resource={user} type=allocation"
        )),
        _ => failure,
    }
}
