//! What a commit would do, as a value and as text for people.

use std::collections::HashMap;
use std::fmt;

use super::optimise::{Action, optimise};
use super::{Operation, apply};
use crate::value::{EntityKey, Value};

/// What a commit would send, in order.
///
/// Its text has one line for each entity and one for each attribute:
///
/// ```text
/// create Task(5d1f…)
///   name: "compositing"
/// update Shot(bad9…)
///   description: "" -> "crane up"
/// delete Note(77aa…)
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// One for each action.
    pub changes: Vec<Change>,
}

/// One action of a [`Plan`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// An entity will be created with these attributes.
    Create(EntityKey, Vec<(String, Value)>),
    /// Attributes of an entity will change: name, value before if that is known, value after.
    Update(EntityKey, Vec<(String, Option<Value>, Value)>),
    /// Members will join a collection, and others leave it: entity, attribute, who joins, who
    /// leaves.
    Extend(EntityKey, String, Vec<EntityKey>, Vec<EntityKey>),
    /// An entity will be deleted.
    Delete(EntityKey),
}

impl Plan {
    pub(crate) fn new(operations: &[Operation]) -> Self {
        let before = values_before(operations);
        let changes = optimise(operations).into_iter().map(|payload| {
            let entity = payload.entity.clone();
            let data = payload.data.into_iter();
            match payload.action {
                Action::Create => Change::Create(
                    entity,
                    data.map(|(name, value, _)| (name.to_owned(), value.clone()))
                        .collect(),
                ),
                Action::Update => Change::Update(
                    entity,
                    data.map(|(name, value, _)| {
                        let before = before.get(&(payload.entity, name)).copied();
                        (name.to_owned(), before.flatten().cloned(), value.clone())
                    })
                    .collect(),
                ),
                Action::Delete => Change::Delete(entity),
            }
        });
        let mut changes: Vec<Change> = changes.collect();
        changes.extend(extensions(operations));
        Self { changes }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The changes to collections, one for each, of entities that stay.
fn extensions(operations: &[Operation]) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for operation in operations {
        match operation {
            Operation::Extend {
                entity,
                attribute_name,
                added,
                removed,
            } => {
                let same = |change: &&mut Change| matches!(change, Change::Extend(known, name, ..) if known == entity && name == attribute_name);
                match changes.iter_mut().find(same) {
                    Some(Change::Extend(_, _, joining, leaving)) => {
                        *joining = apply(joining, added, removed);
                        *leaving = apply(leaving, removed, added);
                    }
                    _ => changes.push(Change::Extend(
                        entity.clone(),
                        attribute_name.clone(),
                        added.clone(),
                        removed.clone(),
                    )),
                }
            }
            Operation::Delete { entity } => {
                changes.retain(
                    |change| !matches!(change, Change::Extend(known, ..) if known == entity),
                );
            }
            Operation::Create { .. } | Operation::Update { .. } => {}
        }
    }
    changes
}

/// What each attribute was before the first of its updates.
fn values_before(operations: &[Operation]) -> HashMap<(&EntityKey, &str), Option<&Value>> {
    let mut before = HashMap::new();
    for operation in operations {
        if let Operation::Update {
            entity,
            attribute_name,
            old_value,
            ..
        } = operation
        {
            before
                .entry((entity, attribute_name.as_str()))
                .or_insert(old_value.as_ref());
        }
    }
    before
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            match change {
                Change::Create(entity, data) => {
                    writeln!(f, "create {entity}")?;
                    for (name, value) in data {
                        writeln!(f, "  {name}: {value}")?;
                    }
                }
                Change::Update(entity, data) => {
                    writeln!(f, "update {entity}")?;
                    for (name, before, after) in data {
                        match before {
                            Some(before) => writeln!(f, "  {name}: {before} -> {after}")?,
                            None => writeln!(f, "  {name}: (not loaded) -> {after}")?,
                        }
                    }
                }
                Change::Extend(entity, name, added, removed) => {
                    write!(f, "extend {entity}\n  {name}:")?;
                    added
                        .iter()
                        .try_for_each(|member| write!(f, " + {member}"))?;
                    removed
                        .iter()
                        .try_for_each(|member| write!(f, " - {member}"))?;
                    writeln!(f)?;
                }
                Change::Delete(entity) => writeln!(f, "delete {entity}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    #[test]
    fn shows_the_value_before_the_first_change() {
        let shot = EntityKey::new("Shot", "s");
        let change = |old: &str, new: &str| Operation::Update {
            entity: shot.clone(),
            attribute_name: "name".into(),
            old_value: Some(old.into()),
            new_value: new.into(),
        };
        let note = |id: &str| EntityKey::new("Note", id);
        let extend = |added: &str, removed: Option<&str>| Operation::Extend {
            entity: shot.clone(),
            attribute_name: "notes".into(),
            added: vec![note(added)],
            removed: removed.map(note).into_iter().collect(),
        };
        let plan = Plan::new(&[
            Operation::Create {
                entity: EntityKey::new("Task", "t"),
                entity_data: data! { "name": "anim", "parent": &shot },
            },
            change("one", "two"),
            change("two", "three"),
            extend("a", None),
            extend("b", Some("a")),
            Operation::Delete {
                entity: EntityKey::new("Note", "n"),
            },
        ]);
        assert_eq!(
            plan.to_string(),
            "create Task(t)\n  name: \"anim\"\n  parent: Shot(s)\n\
             update Shot(s)\n  name: \"one\" -> \"three\"\ndelete Note(n)\n\
             extend Shot(s)\n  notes: + Note(b) - Note(a)\n"
        );
    }
}
