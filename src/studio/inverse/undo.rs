//! Recording what undoes a plan.

use std::collections::HashSet;

use super::steps::{Inverse, InverseStep};
use crate::query::{Statement, select};
use crate::studio::present::present;
use crate::studio::recording::Recording;
use crate::studio::rows::{by_key, rows_of};
use crate::studio::values;
use crate::{Data, EntityKey, Error, ErrorKind, Result, Session};

impl Session {
    /// Records what undoes a committed plan; the next [`commit`](Self::commit) does it. First one request
    /// checks that nobody has changed the values since, and one more that nobody has added contexts,
    /// assets, versions, components, notes or time to what the plan has created, which would be deleted
    /// with it.
    ///
    /// # Errors
    ///
    /// After any error nothing is recorded.
    ///
    /// - [`ErrorKind::Validation`] if somebody has changed a value, deleted an entity, created a deleted
    ///   one again, or added something to a new one: the message names all of them.
    /// - Any error of [`Entity::set`](crate::Entity::set) and of the requests.
    pub fn undo(&self, inverse: &Inverse) -> Result<()> {
        // What is created again has no values that somebody could have changed.
        let created = inverse.steps.iter().filter_map(|step| match step {
            InverseStep::Create { entity, .. } => Some(entity),
            _ => None,
        });
        let created: Vec<&EntityKey> = created.collect();
        let new: HashSet<String> = created.iter().map(|entity| entity.id()).collect();
        let is_new = |entity: &EntityKey| entity.parts().any(|part| new.contains(&part));
        let set = inverse.steps.iter().filter_map(|step| match step {
            InverseStep::Set {
                entity,
                attribute,
                expected,
                ..
            } if !is_new(entity) => Some((entity, attribute.as_str(), expected)),
            _ => None,
        });
        let set: Vec<_> = set.collect();
        let values = set.iter().map(|(entity, name, _)| (*entity, Some(*name)));
        let existing = created.iter().map(|entity| (*entity, None));
        let current = present(self, values.chain(existing))?;
        let deleted = inverse.steps.iter().filter_map(|step| match step {
            InverseStep::Delete { entity } => Some(entity.id()),
            _ => None,
        });
        let mut changed = added_below(self, &deleted.collect())?;
        for entity in created.iter().filter(|one| current.has(one)) {
            changed.push(format!("{entity} exists again"));
        }
        for (entity, attribute, expected) in set {
            match current.value(entity, attribute)? {
                Some(found) if values::are_same(&found, expected) => {}
                Some(found) => changed.push(format!(
                    "{attribute} of {entity} is {found}, not {expected}"
                )),
                None => changed.push(format!(
                    "{entity}, whose {attribute} was {expected}, does not exist any more"
                )),
            }
        }
        if !changed.is_empty() {
            let message = format!("this cannot be undone: {}", changed.join("; "));
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let mut recording = Recording::new(self);
        for step in &inverse.steps {
            self.record_step(step, &mut recording)?;
        }
        recording.keep();
        Ok(())
    }

    fn record_step(&self, step: &InverseStep, recording: &mut Recording<'_>) -> Result<()> {
        match step {
            InverseStep::Delete { entity } => recording.delete(entity),
            InverseStep::Create { entity, values } => {
                // What the server has deleted along with others is still known here.
                let is_known = self.shared.store.lock().find_key(entity).is_some();
                if is_known {
                    match recording.delete(entity) {
                        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
                let data: Data = values.iter().cloned().collect();
                recording.create(entity.entity_type(), data).map(drop)
            }
            InverseStep::Set {
                entity,
                attribute,
                before,
                ..
            } => recording.set(entity, attribute, before.clone()),
            InverseStep::Members {
                entity,
                attribute,
                added,
                removed,
            } => recording.extend(entity, attribute, added, removed),
        }
    }
}

/// What people make below an entity, and the attribute with its id.
const WORK: [(&str, &str); 6] = [
    ("TypedContext", "parent_id"),
    ("Asset", "context_id"),
    ("AssetVersion", "asset_id"),
    ("Component", "version_id"),
    ("Note", "parent_id"),
    ("Timelog", "context_id"),
];

/// What would be deleted with these entities, and was made by others.
fn added_below(session: &Session, deleted: &HashSet<String>) -> Result<Vec<String>> {
    let ids: Vec<&String> = deleted.iter().collect();
    let statements = WORK.iter().flat_map(|(entity_type, column)| {
        by_key(&select(*entity_type).fields(["id", *column]), column, &ids)
    });
    let statements: Vec<Statement> = statements.collect();
    let rows = rows_of(session, &statements)?.into_iter().flatten();
    let keys = rows.filter_map(|row| values::key_of(session.schema(), &row));
    let others = keys.filter(|key| !deleted.contains(&key.id()));
    let others = others.map(|key| format!("{key} was added to what would be deleted"));
    Ok(others.collect())
}
