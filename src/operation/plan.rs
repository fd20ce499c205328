//! What a commit would do, as data and as text for people.

use std::collections::HashMap;
use std::fmt;

use super::optimise::{OperationKind, optimise};
use super::{Operation, apply};
use crate::value::{EntityKey, Value};

/// What a commit would send; made by [`Session::plan`](crate::Session::plan).
///
/// It prints as one line for each entity, with the name of the entity where that is loaded:
///
/// ```text
/// create Task "compositing" (5d1f…): name: "compositing", parent: Shot "sh010" (bad9…)
/// update Shot "sh010" (bad9…): description: "" -> "crane up", notes: + Note(77ab…)
/// delete Note(77aa…)
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The changes, in the order in which they are sent.
    pub changes: Vec<PlannedChange>,
    names: HashMap<EntityKey, String>,
}

/// What a commit would do with one entity.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlannedChange {
    /// Whether the entity is created, changed or deleted.
    pub kind: OperationKind,
    /// The entity.
    pub entity: EntityKey,
    /// Its attributes and their new values; empty for a deletion.
    pub values: Vec<(String, PlannedValue)>,
}

/// What a commit would do with one attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PlannedValue {
    /// It gets a value.
    #[non_exhaustive]
    Set {
        /// The value before; `None` if it is not loaded, or the entity is new.
        before: Option<Value>,
        /// The value after the commit.
        after: Value,
    },
    /// Members are added to the collection and removed from it.
    #[non_exhaustive]
    Extend {
        /// The new members.
        added: Vec<EntityKey>,
        /// The members that leave.
        removed: Vec<EntityKey>,
    },
}

impl Plan {
    /// The plan of a commit of `operations`. `describe` names an entity for people.
    pub(crate) fn new(
        operations: &[Operation],
        describe: impl Fn(&EntityKey) -> Option<String>,
    ) -> Self {
        let before = values_before(operations);
        let mut plan = Self::default();
        let mut latest: HashMap<&EntityKey, usize> = HashMap::new();
        let mut add = |kind, entity, values: Vec<(String, PlannedValue)>| {
            if kind == OperationKind::Update
                && let Some(&index) = latest.get(entity)
            {
                let present: &mut PlannedChange = &mut plan.changes[index];
                present.values.extend(values);
                return;
            }
            latest.insert(entity, plan.changes.len());
            plan.changes.push(PlannedChange {
                kind,
                entity: entity.clone(),
                values,
            });
        };
        for payload in optimise(operations) {
            let values = payload.data.iter().map(|&(name, value, _)| {
                let before = match payload.kind {
                    OperationKind::Update => before.get(&(payload.entity, name)).copied(),
                    _ => None,
                };
                let value = PlannedValue::Set {
                    before: before.flatten().cloned(),
                    after: value.clone(),
                };
                (name.to_owned(), value)
            });
            let values = values.collect();
            add(payload.kind, payload.entity, values);
        }
        for ((entity, name), (added, removed)) in extensions(operations) {
            let value = PlannedValue::Extend { added, removed };
            let values = vec![(name.to_owned(), value)];
            add(OperationKind::Update, entity, values);
        }
        let names = plan.entities();
        let names = names.filter_map(|entity| Some((entity.clone(), describe(entity)?)));
        plan.names = names.collect();
        plan
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The entity as people know it, such as `Shot "sh010" (bad9…)`: with its name, if that is
    /// loaded.
    pub fn describe(&self, entity: &EntityKey) -> String {
        let known = self.names.get(entity);
        known.cloned().unwrap_or_else(|| entity.to_string())
    }

    /// All entities that the plan names.
    fn entities(&self) -> impl Iterator<Item = &EntityKey> {
        self.changes.iter().flat_map(|change| {
            let values = change.values.iter();
            let values = values.flat_map(|(_, value)| match value {
                PlannedValue::Set { before, after } => {
                    let both = before.iter().chain([after]);
                    both.flat_map(Value::references).collect::<Vec<_>>()
                }
                PlannedValue::Extend { added, removed } => added.iter().chain(removed).collect(),
            });
            [&change.entity].into_iter().chain(values)
        })
    }

    fn value(&self, value: &Value) -> String {
        match value {
            Value::Reference(entity) => self.describe(entity),
            Value::Collection(entities) => {
                let members: Vec<String> = entities.iter().map(|one| self.describe(one)).collect();
                format!("[{}]", members.join(", "))
            }
            value => value.quoted().to_string(),
        }
    }
}

type Extensions<'a> = Vec<((&'a EntityKey, &'a str), (Vec<EntityKey>, Vec<EntityKey>))>;

/// The members that are added to and removed from each collection, without those of entities that
/// are deleted.
fn extensions(operations: &[Operation]) -> Extensions<'_> {
    let mut all = Extensions::new();
    for operation in operations {
        match operation {
            Operation::Extend {
                entity,
                attribute_name,
                added,
                removed,
            } => {
                let collection = (entity, attribute_name.as_str());
                match all.iter_mut().find(|(known, _)| *known == collection) {
                    Some((_, (joining, leaving))) => {
                        *joining = apply(joining, added, removed, EntityKey::key);
                        *leaving = apply(leaving, removed, added, EntityKey::key);
                    }
                    None => all.push((collection, (added.clone(), removed.clone()))),
                }
            }
            Operation::Delete { entity } => all.retain(|((known, _), _)| *known != entity),
            // The whole list is sent then.
            Operation::Update {
                entity,
                attribute_name,
                ..
            } => all.retain(|(known, _)| *known != (entity, attribute_name.as_str())),
            Operation::Create { .. } => {}
        }
    }
    all
}

/// The value of each attribute before the first of its updates.
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
            write!(
                f,
                "{} {}",
                change.kind.verb(),
                self.describe(&change.entity)
            )?;
            let mut separator = ":";
            for (name, value) in &change.values {
                write!(f, "{separator} {name}:")?;
                separator = ",";
                match value {
                    PlannedValue::Set { before, after } => {
                        match before {
                            Some(before) => write!(f, " {} ->", self.value(before))?,
                            None if change.kind == OperationKind::Update => {
                                f.write_str(" (not loaded) ->")?;
                            }
                            None => {}
                        }
                        write!(f, " {}", self.value(after))?;
                    }
                    PlannedValue::Extend { added, removed } => {
                        for member in added {
                            write!(f, " + {}", self.describe(member))?;
                        }
                        for member in removed {
                            write!(f, " - {}", self.describe(member))?;
                        }
                    }
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    #[test]
    fn one_line_for_each_entity_with_the_value_before_the_first_change() {
        let shot = EntityKey::new("Shot", "s");
        let change = |name: &str, old: &str, new: &str| Operation::Update {
            entity: shot.clone(),
            attribute_name: name.into(),
            old_value: (!old.is_empty()).then(|| old.into()),
            new_value: new.into(),
        };
        let note = |id: &str| EntityKey::new("Note", id);
        let extend = |added: &str, removed: Option<&str>| Operation::Extend {
            entity: shot.clone(),
            attribute_name: "notes".into(),
            added: vec![note(added)],
            removed: removed.map(note).into_iter().collect(),
        };
        let operations = [
            Operation::Create {
                entity: EntityKey::new("Task", "t"),
                entity_data: data! { "name": "anim", "parent": &shot },
            },
            change("name", "one", "two"),
            change("name", "two", "three"),
            extend("a", None),
            extend("b", Some("a")),
            Operation::Delete { entity: note("n") },
            change("description", "", "crane up"),
        ];
        let describe = |entity: &EntityKey| {
            (entity.entity_type() == "Shot").then(|| "Shot \"sh010\" (s)".to_owned())
        };
        let plan = Plan::new(&operations, describe);
        assert_eq!(
            plan.to_string(),
            "create Task(t): name: \"anim\", parent: Shot \"sh010\" (s)\n\
             update Shot \"sh010\" (s): name: \"one\" -> \"three\", \
             description: (not loaded) -> \"crane up\", notes: + Note(b) - Note(a)\n\
             delete Note(n)\n"
        );
        assert!(!plan.is_empty());
        assert!(Plan::default().is_empty());
        // The whole list replaces what was added to it.
        let whole = Operation::Update {
            entity: shot.clone(),
            attribute_name: "notes".into(),
            old_value: None,
            new_value: Value::Collection(vec![note("c")]),
        };
        let plan = Plan::new(&[extend("a", None), whole], describe).to_string();
        assert_eq!(plan.matches("notes").count(), 1, "{plan}");
    }

    #[test]
    fn what_a_value_refers_to_is_named() {
        let set = |name: &str, new_value: Value| Operation::Update {
            entity: EntityKey::new("Shot", "s"),
            attribute_name: name.into(),
            old_value: None,
            new_value,
        };
        let (note, status) = (EntityKey::new("Note", "n"), EntityKey::new("Status", "t"));
        let notes = vec![note, EntityKey::new("Note", "m")];
        let operations = [set("notes", notes.into()), set("status", status.into())];
        let describe = |entity: &EntityKey| {
            let name = match entity.entity_type() {
                "Note" => format!("Note \"{}\"", entity.id()),
                "Status" => "Status \"done\"".to_owned(),
                _ => return None,
            };
            Some(name)
        };
        assert_eq!(
            Plan::new(&operations, describe).to_string(),
            "update Shot(s): notes: (not loaded) -> [Note \"n\", Note \"m\"], \
             status: (not loaded) -> Status \"done\"\n"
        );
    }

    #[test]
    fn an_entity_that_takes_over_a_key_has_a_line_of_its_own() {
        let task = EntityKey::new("Task", "t");
        let extend = Operation::Extend {
            entity: task.clone(),
            attribute_name: "notes".into(),
            added: vec![EntityKey::new("Note", "a")],
            removed: Vec::new(),
        };
        let plan = Plan::new(
            &[
                extend,
                Operation::Delete {
                    entity: task.clone(),
                },
                Operation::Create {
                    entity: task.clone(),
                    entity_data: data! { "name": "new" },
                },
            ],
            |_| None,
        );
        let expected = "delete Task(t)\ncreate Task(t): name: \"new\"\n";
        assert_eq!(plan.to_string(), expected);
    }
}
