//! Recording what undoes a plan.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::steps::{Inverse, InverseStep};
use crate::query::select;
use crate::studio::rows::{Row, by_key, rows_of};
use crate::studio::values;
use crate::{Data, Entity, EntityKey, Error, ErrorKind, Result, Session, SmolStr};

impl Session {
    /// Records what undoes a committed plan; the next [`commit`](Self::commit) does it. First one request
    /// checks that nobody has changed the values since.
    ///
    /// # Errors
    ///
    /// After any error nothing is recorded.
    ///
    /// - [`ErrorKind::Validation`] if somebody has changed a value, deleted an entity, or created a deleted
    ///   one again: the message names all of them.
    /// - Any error of [`Entity::set`] and of the request.
    pub fn undo(&self, inverse: &Inverse) -> Result<()> {
        // What is created anew has no values that somebody could have changed.
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
        let names: Vec<_> = set
            .iter()
            .map(|(entity, name, _)| (*entity, *name))
            .collect();
        let current = current_values(self, &names, &created)?;
        let mut changed = Vec::new();
        for entity in created.iter().filter(|one| current.contains_key(**one)) {
            changed.push(format!("{entity} exists again"));
        }
        for (entity, attribute, expected) in set {
            let found = current.get(entity).and_then(|row| row.get(attribute));
            let found =
                found.map(|found| values::from_wire(self.schema(), entity, attribute, found));
            match found.transpose()? {
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
        let mut recorded: Vec<Entity> = Vec::new();
        let outcome = inverse
            .steps
            .iter()
            .try_for_each(|step| self.record_step(step, &mut recorded));
        if outcome.is_err() {
            self.discard(&recorded);
            recorded.iter().for_each(Entity::clear);
        }
        outcome
    }

    fn record_step(&self, step: &InverseStep, recorded: &mut Vec<Entity>) -> Result<()> {
        match step {
            InverseStep::Delete { entity } => {
                let entity = self.entity(entity)?;
                self.delete(&entity)?;
                recorded.push(entity);
            }
            InverseStep::Create { entity, values } => {
                // What the server has deleted along with others is still known here.
                let is_known = self.shared.store.lock().find_key(entity).is_some();
                if is_known {
                    match self.delete(&self.entity(entity)?) {
                        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
                let data: Data = values.iter().cloned().collect();
                recorded.push(self.create(entity.entity_type(), data)?);
            }
            InverseStep::Set {
                entity,
                attribute,
                before,
                ..
            } => {
                let entity = self.entity(entity)?;
                entity.set(attribute, before.clone())?;
                recorded.push(entity);
            }
            InverseStep::Members {
                entity,
                attribute,
                added,
                removed,
            } => {
                let entity = self.entity(entity)?;
                let collection = entity.collection(attribute)?;
                let added = added.iter().map(|key| self.entity(key));
                collection.extend(&added.collect::<Result<Vec<_>>>()?)?;
                for key in removed {
                    collection.remove(&self.entity(key)?)?;
                }
                recorded.push(entity);
            }
        }
        Ok(())
    }
}

/// The present rows of entities: those attributes of some, and of others only whether they exist.
pub(super) fn current_values(
    session: &Session,
    attributes: &[(&EntityKey, &str)],
    existing: &[&EntityKey],
) -> Result<HashMap<EntityKey, Row>> {
    let mut wanted: BTreeMap<&str, (Vec<String>, Vec<&str>)> = BTreeMap::new();
    let existing = existing.iter().map(|entity| (*entity, None));
    let attributes = attributes
        .iter()
        .map(|(entity, name)| (*entity, Some(*name)));
    for (entity, name) in attributes.chain(existing) {
        let (ids, names) = wanted.entry(entity.entity_type()).or_default();
        ids.push(entity.parts().next().unwrap_or_default());
        names.extend(name);
    }
    let mut statements = Vec::new();
    for (name, (mut ids, mut names)) in wanted {
        // Of keys with several parts, the first one finds a few entities too many.
        let primary_key = session.schema().entity_type(name)?.primary_key();
        names.extend(primary_key.iter().map(SmolStr::as_str));
        names.sort_unstable();
        names.dedup();
        ids.sort_unstable();
        ids.dedup();
        let these = select(name).fields(names.as_slice());
        statements.extend(by_key(&these, &primary_key[0], &ids));
    }
    if statements.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = rows_of(session, &statements)?.into_iter().flatten();
    let keyed = rows.filter_map(|row| Some((values::key_of(session.schema(), &row)?, row)));
    Ok(keyed.collect())
}
