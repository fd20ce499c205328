//! What changes refer to must exist.

use std::collections::{BTreeMap, HashSet};

use super::{Check, by_id};
use crate::operation::{OperationKind, PlannedChange, PlannedValue};
use crate::query::Statement;
use crate::schema::{AttributeKind, EntityType};
use crate::{ErrorKind, Value};

/// What must exist.
#[derive(Default)]
pub(super) struct References<'a> {
    /// By the type to ask for, ids.
    wanted: BTreeMap<String, Vec<String>>,
    /// Who refers to an id by which attribute; without one, the entity itself is changed.
    by: Vec<(&'a PlannedChange, Option<&'a str>, String)>,
}

impl<'a> Check<'a> {
    pub(super) fn references(&self) -> References<'a> {
        let mut found = References::default();
        for change in &self.plan.changes {
            if change.kind == OperationKind::Delete {
                continue;
            }
            let Ok(entity_type) = self.schema.entity_type(change.entity.entity_type()) else {
                continue;
            };
            if change.kind == OperationKind::Update && change.entity.parts().len() == 1 {
                let id = change.entity.id();
                if !self.created.contains(&id) {
                    found.add(entity_type.name(), id, change, None);
                }
            }
            for (name, value) in &change.values {
                let PlannedValue::Set { after, .. } = value else {
                    continue;
                };
                if let Some((target, id)) = target_of(entity_type, name, after)
                    && !self.created.contains(&id)
                    && self
                        .schema
                        .entity_type(&target)
                        .is_ok_and(|one| one.primary_key().len() == 1)
                {
                    found.add(&target, id, change, Some(name));
                }
            }
        }
        found
    }

    pub(super) fn missing(&mut self, references: &References<'a>, existing: &HashSet<String>) {
        for (change, attribute, id) in &references.by {
            if existing.contains(id) || self.deleted.contains(&change.entity.id()) {
                continue;
            }
            match attribute {
                Some(name) => {
                    let what = format!("{name} refers to {id}, which does not exist");
                    self.problem(change, Some(name), ErrorKind::Validation, &what);
                }
                None => self.problem(
                    change,
                    None,
                    ErrorKind::Validation,
                    "it does not exist any more",
                ),
            }
        }
    }
}

impl<'a> References<'a> {
    fn add(
        &mut self,
        target: &str,
        id: String,
        change: &'a PlannedChange,
        attribute: Option<&'a str>,
    ) {
        self.wanted
            .entry(target.to_owned())
            .or_default()
            .push(id.clone());
        self.by.push((change, attribute, id));
    }

    pub(super) fn statements(&self) -> Vec<Statement> {
        let wanted = self.wanted.iter();
        wanted
            .flat_map(|(target, ids)| by_id(target, "id", ids))
            .collect()
    }
}

/// What a value refers to: the type to ask for, and the id.
fn target_of(entity_type: &EntityType, name: &str, value: &Value) -> Option<(String, String)> {
    let stem = match name {
        "context_id" if entity_type.name() == "Asset" => "parent",
        _ => name.strip_suffix("_id").unwrap_or(name),
    };
    let AttributeKind::Reference(target) = entity_type.attribute(stem).ok()?.kind() else {
        return None;
    };
    let id = match value {
        Value::Reference(key) => key.id(),
        Value::Text(id) if name != stem => id.clone(),
        _ => return None,
    };
    Some((target.to_string(), id))
}
