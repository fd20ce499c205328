//! What undoes a plan after it was committed.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value as Json, json};

use super::rows::{Row, rows_of};
use super::values;
use crate::operation::{OperationKind, Plan, PlannedValue};
use crate::query::{field, select};
use crate::{Entity, EntityKey, Error, ErrorKind, Result, Session, SmolStr, Value};

/// How many entities one query asks for.
const MAX_KEYS: usize = 500;

/// What undoes a [`Plan`]; made by [`Plan::inverse`] before the commit, recorded by
/// [`Session::undo`] after it. It is data: [`to_json`](Self::to_json) and
/// [`from_json`](Self::from_json) keep it for later.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Inverse {
    /// The steps, in the order in which they are recorded.
    pub steps: Vec<InverseStep>,
}

/// One step of an [`Inverse`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InverseStep {
    /// Deletes what was created.
    #[non_exhaustive]
    Delete {
        /// The entity.
        entity: EntityKey,
    },
    /// Sets a value back.
    #[non_exhaustive]
    Set {
        /// The entity.
        entity: EntityKey,
        /// The attribute.
        attribute: String,
        /// The value that the plan sets, which must still be there.
        expected: Value,
        /// The value before.
        before: Value,
    },
    /// Gives a collection its members back.
    #[non_exhaustive]
    Members {
        /// The entity that has the collection.
        entity: EntityKey,
        /// The collection.
        attribute: String,
        /// Members that the plan removes.
        added: Vec<EntityKey>,
        /// Members that the plan adds.
        removed: Vec<EntityKey>,
    },
}

impl Plan {
    /// The plan that undoes this one once it is committed: it deletes what is created, sets back what is
    /// set, and gives collections their members back. Make it before the commit.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// let task = session.query("select bid from Task")?.first()?.expect("there are tasks");
    /// let before: f64 = task.get("bid")?;
    /// task.set("bid", 7200)?;
    /// let inverse = session.plan().inverse()?;
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
    /// - [`ErrorKind::NotLoaded`] if a value before the plan is not known: load it before it is set.
    /// - [`ErrorKind::Unsupported`] if the plan deletes something: what goes with it is gone.
    pub fn inverse(&self) -> Result<Inverse> {
        let mut steps = Vec::new();
        for change in self.changes.iter().rev() {
            let entity = &change.entity;
            match change.kind {
                OperationKind::Create => steps.push(InverseStep::Delete {
                    entity: entity.clone(),
                }),
                OperationKind::Delete => {
                    let message = format!(
                        "deleting {} cannot be undone: the server deletes what belongs to it too",
                        self.describe(entity)
                    );
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
                OperationKind::Update => {
                    for (attribute, value) in change.values.iter().rev() {
                        steps.push(self.undoing(entity, attribute, value)?);
                    }
                }
            }
        }
        Ok(Inverse { steps })
    }

    fn undoing(
        &self,
        entity: &EntityKey,
        attribute: &str,
        value: &PlannedValue,
    ) -> Result<InverseStep> {
        let (entity, attribute) = (entity.clone(), attribute.to_owned());
        match value {
            PlannedValue::Set {
                before: Some(before),
                after,
            } => Ok(InverseStep::Set {
                entity,
                attribute,
                expected: after.clone(),
                before: before.clone(),
            }),
            PlannedValue::Set { before: None, .. } => {
                let message = format!(
                    "{attribute} of {} was not loaded before it was set, so it cannot be set back",
                    self.describe(&entity)
                );
                Err(Error::new(ErrorKind::NotLoaded, message))
            }
            PlannedValue::Extend { added, removed } => Ok(InverseStep::Members {
                entity,
                attribute,
                added: removed.clone(),
                removed: added.clone(),
            }),
        }
    }
}

impl Inverse {
    /// As JSON, for a file.
    pub fn to_json(&self) -> Json {
        let keys = |keys: &[EntityKey]| keys.iter().map(values::key_to_json).collect::<Vec<Json>>();
        let steps = self.steps.iter().map(|step| match step {
            InverseStep::Delete { entity } => json!({ "delete": values::key_to_json(entity) }),
            InverseStep::Set {
                entity,
                attribute,
                expected,
                before,
            } => json!({
                "set": values::key_to_json(entity),
                "attribute": attribute,
                "expected": values::to_json(expected),
                "before": values::to_json(before),
            }),
            InverseStep::Members {
                entity,
                attribute,
                added,
                removed,
            } => json!({
                "members": values::key_to_json(entity),
                "attribute": attribute,
                "added": keys(added),
                "removed": keys(removed),
            }),
        });
        json!({ "version": 1, "steps": steps.collect::<Vec<Json>>() })
    }

    /// What [`to_json`](Self::to_json) has made.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] for other JSON, and that of later versions.
    pub fn from_json(json: &Json) -> Result<Self> {
        let key = |step: &Json, name: &str| step.get(name).and_then(values::key_from_json);
        let keys = |step: &Json, name: &str| -> Option<Vec<EntityKey>> {
            step.get(name)?
                .as_array()?
                .iter()
                .map(values::key_from_json)
                .collect()
        };
        let step = |step: &Json| -> Option<InverseStep> {
            if let Some(entity) = key(step, "delete") {
                return Some(InverseStep::Delete { entity });
            }
            let attribute = step.get("attribute")?.as_str()?.to_owned();
            if let Some(entity) = key(step, "set") {
                let expected = values::from_json(step.get("expected")?)?;
                let before = values::from_json(step.get("before")?)?;
                return Some(InverseStep::Set {
                    entity,
                    attribute,
                    expected,
                    before,
                });
            }
            Some(InverseStep::Members {
                entity: key(step, "members")?,
                attribute,
                added: keys(step, "added")?,
                removed: keys(step, "removed")?,
            })
        };
        let steps = json["steps"].as_array().filter(|_| json["version"] == 1);
        let steps = steps.and_then(|steps| steps.iter().map(step).collect::<Option<_>>());
        let wrong = || {
            Error::new(
                ErrorKind::Validation,
                "this JSON is not the inverse of a plan",
            )
        };
        steps.map(|steps| Self { steps }).ok_or_else(wrong)
    }
}

impl Session {
    /// Records what undoes a committed plan; the next [`commit`](Self::commit) does it. First one request
    /// checks that nobody has changed the values since.
    ///
    /// # Errors
    ///
    /// After any error nothing is recorded.
    ///
    /// - [`ErrorKind::Validation`] if somebody has changed a value, or deleted an entity: the message
    ///   names all of them.
    /// - Errors of [`Entity::set`] and of the request.
    pub fn undo(&self, inverse: &Inverse) -> Result<()> {
        let current = self.values_to_restore(inverse)?;
        let mut changed = Vec::new();
        for step in &inverse.steps {
            let InverseStep::Set {
                entity,
                attribute,
                expected,
                ..
            } = step
            else {
                continue;
            };
            let found = current.get(entity).and_then(|row| row.get(attribute));
            let found =
                found.map(|found| values::from_wire(self.schema(), entity, attribute, found));
            match found.transpose()? {
                Some(found) if values::are_same(&found, expected) => {}
                Some(found) => changed.push(format!(
                    "{attribute} of {entity} is {found}, not {expected}"
                )),
                None => changed.push(format!("{entity} does not exist any more")),
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

    /// The present rows of the entities whose values are set back.
    fn values_to_restore(&self, inverse: &Inverse) -> Result<HashMap<EntityKey, Row>> {
        let mut wanted: BTreeMap<&str, (Vec<String>, Vec<&str>)> = BTreeMap::new();
        for step in &inverse.steps {
            if let InverseStep::Set {
                entity, attribute, ..
            } = step
            {
                let (ids, names) = wanted.entry(entity.entity_type()).or_default();
                ids.push(entity.parts().next().unwrap_or_default());
                names.push(attribute);
            }
        }
        let mut statements = Vec::new();
        for (name, (mut ids, mut names)) in wanted {
            // Of keys with several parts, the first one finds a few entities too many.
            let primary_key = self.schema().entity_type(name)?.primary_key();
            names.extend(primary_key.iter().map(SmolStr::as_str));
            names.sort_unstable();
            names.dedup();
            ids.sort_unstable();
            ids.dedup();
            for some in ids.chunks(MAX_KEYS) {
                let these = field(&primary_key[0]).is_in(some);
                statements.push(select(name).fields(names.as_slice()).filter(these));
            }
        }
        let rows = rows_of(self, &statements)?.into_iter().flatten();
        let keyed = rows.filter_map(|row| Some((values::key_of(self.schema(), &row)?, row)));
        Ok(keyed.collect())
    }
}
