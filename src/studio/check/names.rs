//! Names that are taken.

use std::collections::{HashMap, HashSet};

use super::Check;
use crate::operation::{OperationKind, PlannedChange};
use crate::query::{Statement, field, select};
use crate::studio::rows::{Row, text};
use crate::{ErrorKind, Value};

/// Names that must be free.
#[derive(Default)]
pub(super) struct Names<'a> {
    contexts: Vec<&'a PlannedChange>,
    parents: Vec<String>,
    names: Vec<String>,
    /// Changed contexts, of which the name or the parent is not in the plan.
    renamed: Vec<String>,
    projects: Vec<(&'a PlannedChange, String)>,
    users: Vec<(&'a PlannedChange, &'static str, String)>,
}

impl<'a> Check<'a> {
    pub(super) fn names(&self) -> Names<'a> {
        let mut names = Names::default();
        for change in &self.plan.changes {
            if change.kind == OperationKind::Delete || self.deleted.contains(&change.entity.id()) {
                continue;
            }
            let name = self.value(change, "name").and_then(Value::as_str);
            if self.is_kind(change, "Project") {
                names
                    .projects
                    .extend(name.map(|name| (change, name.to_owned())));
            } else if self.is_kind(change, "User") {
                for attribute in ["username", "email"] {
                    let value = self.value(change, attribute).and_then(Value::as_str);
                    names
                        .users
                        .extend(value.map(|value| (change, attribute, value.to_owned())));
                }
            } else if self.is_kind(change, "TypedContext") {
                let parent = self.id_of(change, "parent", "parent_id");
                if name.is_none() && parent.is_none() {
                    continue;
                }
                names.contexts.push(change);
                names.names.extend(name.map(str::to_owned));
                names.parents.extend(parent);
                if change.kind == OperationKind::Update {
                    names.renamed.push(change.entity.id());
                }
            }
        }
        names
    }

    pub(super) fn taken(&mut self, names: &Names<'a>, rows: &[Row]) {
        // Where every context is after the plan: those of the server, then those of the plan.
        let mut places: HashMap<String, (String, String)> = HashMap::new();
        let mut taken: HashMap<(String, String), (String, String)> = HashMap::new();
        for row in rows {
            let id = text(row, "id").to_owned();
            if self.deleted.contains(&id) {
                continue;
            }
            let place = (
                text(row, "parent_id").to_owned(),
                text(row, "name").to_owned(),
            );
            places.insert(id, place);
        }
        for change in &names.contexts {
            let place = places.entry(change.entity.id()).or_default();
            place.0 = self
                .id_of(change, "parent", "parent_id")
                .unwrap_or(std::mem::take(&mut place.0));
            if let Some(name) = self.value(change, "name").and_then(Value::as_str) {
                name.clone_into(&mut place.1);
            }
        }
        let changed: HashSet<String> = names.contexts.iter().map(|one| one.entity.id()).collect();
        for (id, (parent, name)) in places.iter().filter(|(id, _)| !changed.contains(*id)) {
            taken.insert(
                (parent.clone(), name.to_lowercase()),
                (id.clone(), name.clone()),
            );
        }
        for change in &names.contexts {
            let (parent, name) = places[&change.entity.id()].clone();
            let place = (parent, name.to_lowercase());
            let own = (change.entity.id(), name);
            if let Some((_, other)) = taken.get(&place).filter(|(id, _)| *id != own.0) {
                let what = format!("there is {other:?} in the same place already");
                self.problem(change, Some("name"), ErrorKind::Duplicate, &what);
            } else {
                taken.insert(place, own);
            }
        }
        let mut unique: HashMap<(&str, String), String> = HashMap::new();
        for row in rows {
            let id = text(row, "id");
            for name in ["full_name", "username", "email"] {
                let attribute = if name == "full_name" { "name" } else { name };
                let value = text(row, attribute).to_lowercase();
                if row.contains_key(name) && !value.is_empty() && !self.deleted.contains(id) {
                    unique.insert((attribute, value), id.to_owned());
                }
            }
        }
        let projects = names
            .projects
            .iter()
            .map(|(change, name)| (*change, "name", name));
        let users = names
            .users
            .iter()
            .map(|(change, attribute, value)| (*change, *attribute, value));
        for (change, attribute, value) in projects.chain(users) {
            let place = (attribute, value.to_lowercase());
            let id = change.entity.id();
            if unique.get(&place).is_some_and(|other| *other != id) {
                let what = format!("another one has the {attribute} {value:?}");
                self.problem(change, Some(attribute), ErrorKind::Duplicate, &what);
            } else {
                unique.insert(place, id);
            }
        }
    }
}

impl Names<'_> {
    pub(super) fn statements(&self) -> Vec<Statement> {
        let mut statements = Vec::new();
        let contexts = || select("TypedContext").fields("id, name, parent_id");
        if !self.parents.is_empty() {
            let here = field("parent_id").is_in(&self.parents);
            let here = match self.renamed.is_empty() {
                true => here.and(field("name").is_in(&self.names)),
                // Those that are moved keep names that are not in the plan.
                false => here,
            };
            statements.push(contexts().filter(here));
        }
        if !self.renamed.is_empty() {
            statements.push(contexts().filter(field("id").is_in(&self.renamed)));
            // Those beside them, where the parent is not in the plan.
            let beside = field("parent.children").any(field("id").is_in(&self.renamed));
            statements.push(contexts().filter(beside.and(field("name").is_in(&self.names))));
        }
        if !self.projects.is_empty() {
            let names = self.projects.iter().map(|(_, name)| name);
            let projects = select("Project").fields("id, name, full_name");
            statements.push(projects.filter(field("name").is_in(names)));
        }
        for attribute in ["username", "email"] {
            let values = self
                .users
                .iter()
                .filter(|one| one.1 == attribute)
                .map(|one| &one.2);
            let values: Vec<&String> = values.collect();
            if !values.is_empty() {
                let users = select("User").fields(["id", attribute]);
                statements.push(users.filter(field(attribute).is_in(values)));
            }
        }
        statements
    }
}
