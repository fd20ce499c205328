//! What undoes a plan after it was committed.

mod deleted;
mod json;
mod steps;
mod undo;

use std::collections::HashSet;

use super::present::present;
use crate::operation::{OperationKind, Plan, PlannedValue};
use crate::{EntityKey, Error, ErrorKind, Result, Session, Value};
use deleted::Deleted;
pub use steps::{Inverse, InverseStep};

impl Plan {
    /// The plan that undoes this one once it is committed: it deletes what is created, creates what is
    /// deleted, sets back what is set, and gives collections their members back. Make it before the
    /// commit, as it reads what it needs.
    ///
    /// Reading costs no request if the plan deletes nothing and the values before it are loaded, else one.
    /// For deletions it reads what the server deletes with an entity, level by level, and who refers to
    /// it: one request for each level, and memory for all of it. Everything gets its id, its attributes,
    /// metadata, values of custom attributes, links and places in lists back. Not undone are:
    ///
    /// - the data of components that `ftrack.server` deletes with them, dates that nobody can set, such as
    ///   when a milestone begins, and that the server makes the user who undoes it a recipient of the notes;
    ///   [`lost`](Inverse::lost) names them
    /// - who created an entity and when
    /// - the history: status changes and events
    /// - what this session's user may not read
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("select bid from Task")?.first()?.expect("there are tasks");
    /// let before: f64 = task.get("bid")?;
    /// task.set("bid", 7200)?;
    /// let inverse = session.plan().inverse(&session)?;
    /// session.commit()?;
    ///
    /// session.undo(&inverse)?;
    /// session.commit()?;
    /// assert_eq!(task.get::<f64>("bid")?, before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if an entity that the plan changes does not exist any more.
    /// - Errors of the requests.
    pub fn inverse(&self, session: &Session) -> Result<Inverse> {
        let roots = self.changes.iter();
        let roots = roots.filter(|change| change.kind == OperationKind::Delete);
        let deleted = Deleted::read(session, roots.map(|change| &change.entity))?;
        let unknown = self.changes.iter().flat_map(|change| {
            let values = change.values.iter();
            let unknown = values.filter(|(_, value)| {
                let is_unknown = matches!(value, PlannedValue::Set { before: None, .. });
                is_unknown && change.kind == OperationKind::Update
            });
            unknown.map(|(name, _)| (&change.entity, Some(name.as_str())))
        });
        let current = present(session, unknown)?;
        let mut steps = Vec::new();
        for change in self.changes.iter().rev() {
            let entity = &change.entity;
            match change.kind {
                OperationKind::Create => steps.push(InverseStep::Delete {
                    entity: entity.clone(),
                }),
                OperationKind::Delete => {}
                OperationKind::Update => {
                    for (attribute, value) in change.values.iter().rev() {
                        let read = current.value(entity, attribute)?;
                        steps.push(self.undoing(entity, attribute, value, read)?);
                    }
                }
            }
        }
        // What a deletion takes along comes back as it was before all changes.
        let gone: HashSet<&EntityKey> = deleted.entities().collect();
        steps.retain(|step| match step {
            InverseStep::Set { entity, .. } | InverseStep::Members { entity, .. } => {
                !gone.contains(entity)
            }
            _ => true,
        });
        let mut inverse = Inverse {
            lost: deleted.lost(),
            steps: deleted.into_steps(session)?,
        };
        inverse.steps.extend(steps);
        Ok(inverse)
    }

    fn undoing(
        &self,
        entity: &EntityKey,
        attribute: &str,
        value: &PlannedValue,
        read: Option<Value>,
    ) -> Result<InverseStep> {
        let (entity, attribute) = (entity.clone(), attribute.to_owned());
        match value {
            PlannedValue::Set { before, after } => match before.clone().or(read) {
                Some(before) => Ok(InverseStep::Set {
                    entity,
                    attribute,
                    expected: after.clone(),
                    before,
                }),
                None => {
                    let message = format!(
                        "{} does not exist, so {attribute} cannot be set back",
                        self.describe(&entity)
                    );
                    Err(Error::new(ErrorKind::NotFound, message))
                }
            },
            PlannedValue::Extend { added, removed } => Ok(InverseStep::Members {
                entity,
                attribute,
                added: removed.clone(),
                removed: added.clone(),
            }),
        }
    }
}
