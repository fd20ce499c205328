//! What the server would refuse of a plan, found before it is sent.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::rows::{rows_of, text};
use crate::operation::{OperationKind, Plan, PlannedChange, PlannedValue};
use crate::query::{Statement, field, select};
use crate::schema::{Attribute, AttributeDefault, AttributeKind, EntityType, Schema};
use crate::{EntityKey, ErrorKind, Result, Session, Value};

/// How many ids one query asks for.
const MAX_IDS: usize = 500;

/// Required attributes that the server fills in, or does without.
const FILLED: [&str; 20] = [
    "bid",
    "sort",
    "sort_order",
    "status_id",
    "type_id",
    "priority_id",
    "object_type_id",
    "parent_type",
    "context_type",
    "system_type",
    "user_id",
    "created_by_id",
    "start",
    "duration",
    "config",
    "resource_type",
    "status",
    "username",
    "created_at",
    "date",
];

/// What an entity belongs to: type, attribute, the attribute's twin.
const BELONGS: [(&str, &str, &str); 3] = [
    ("TypedContext", "parent", "parent_id"),
    ("Asset", "parent", "context_id"),
    ("AssetVersion", "asset", "asset_id"),
];

/// A change of a [`Plan`] that the server would refuse.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlanProblem {
    /// The entity.
    pub entity: EntityKey,
    /// The attribute, if it is about one.
    pub attribute: Option<String>,
    /// The kind of error that a commit would end with.
    pub kind: ErrorKind,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Plan {
    /// Finds what the server would refuse, without sending the plan: missing values, references to what
    /// does not exist, changes of what does not exist, names that are taken in their place without
    /// regard to case, and names of projects and users that are taken. Wrong types and immutable
    /// attributes are refused when they are set.
    ///
    /// One request for a plan of any size, unless a result has more than 5,000 rows. Somebody may change
    /// something afterwards, so a commit can fail all the same. Not checked: rights, workflows, and what
    /// custom attributes allow.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// use ftrack_api::data;
    ///
    /// let sequence = session.at("test/ep01/sq010")?;
    /// session.create("Shot", data! { "name": "SH0010", "parent": &sequence })?;
    /// let problems = session.plan().check(&session)?;
    /// assert!(problems[0].to_string().contains("there is \"sh0010\""), "{}", problems[0]);
    /// session.rollback();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Errors of the request.
    pub fn check(&self, session: &Session) -> Result<Vec<PlanProblem>> {
        let mut check = Check {
            plan: self,
            schema: session.schema(),
            final_values: HashMap::new(),
            created: HashSet::new(),
            deleted: HashSet::new(),
            problems: Vec::new(),
        };
        check.collect();
        let references = check.references();
        let names = check.names();
        let statements = references.statements();
        let count = statements.len();
        let all: Vec<Statement> = statements.into_iter().chain(names.statements()).collect();
        if all.is_empty() {
            check.required();
            return Ok(check.problems);
        }
        let mut found = rows_of(session, &all)?;
        let named = found.split_off(count);
        let existing = found.iter().flatten().map(|row| text(row, "id").to_owned());
        let existing: HashSet<String> = existing.collect();
        check.required();
        check.missing(&references, &existing);
        check.taken(&names, &named.into_iter().flatten().collect::<Vec<_>>());
        Ok(check.problems)
    }
}

struct Check<'a> {
    plan: &'a Plan,
    schema: &'a Schema,
    /// The values that attributes have after the plan, by id and name.
    final_values: HashMap<(String, &'a str), &'a Value>,
    created: HashSet<String>,
    deleted: HashSet<String>,
    problems: Vec<PlanProblem>,
}

/// What must exist.
#[derive(Default)]
struct References<'a> {
    /// By the type to ask for, ids.
    wanted: BTreeMap<String, Vec<String>>,
    /// Who refers to an id by which attribute; without one, the entity itself is changed.
    by: Vec<(&'a PlannedChange, Option<&'a str>, String)>,
}

/// Names that must be free.
#[derive(Default)]
struct Names<'a> {
    contexts: Vec<&'a PlannedChange>,
    parents: Vec<String>,
    names: Vec<String>,
    /// Changed contexts, of which the name or the parent is not in the plan.
    renamed: Vec<String>,
    projects: Vec<(&'a PlannedChange, String)>,
    users: Vec<(&'a PlannedChange, &'static str, String)>,
}

impl<'a> Check<'a> {
    fn collect(&mut self) {
        for change in &self.plan.changes {
            let id = change.entity.id();
            match change.kind {
                OperationKind::Create => drop(self.created.insert(id.clone())),
                OperationKind::Delete => drop(self.deleted.insert(id.clone())),
                OperationKind::Update => {}
            }
            for (name, value) in &change.values {
                if let PlannedValue::Set { after, .. } = value {
                    self.final_values.insert((id.clone(), name), after);
                }
            }
        }
    }

    fn is_kind(&self, change: &PlannedChange, base: &str) -> bool {
        self.schema.is_kind_of(change.entity.entity_type(), base)
    }

    fn value(&self, change: &PlannedChange, name: &str) -> Option<&'a Value> {
        self.final_values.get(&(change.entity.id(), name)).copied()
    }

    fn problem(
        &mut self,
        change: &PlannedChange,
        attribute: Option<&str>,
        kind: ErrorKind,
        what: &str,
    ) {
        let message = format!("{}: {what}", self.plan.describe(&change.entity));
        self.problems.push(PlanProblem {
            entity: change.entity.clone(),
            attribute: attribute.map(str::to_owned),
            kind,
            message,
        });
    }

    fn required(&mut self) {
        let plan = self.plan;
        for change in plan
            .changes
            .iter()
            .filter(|one| one.kind != OperationKind::Delete)
        {
            if self.deleted.contains(&change.entity.id()) {
                continue;
            }
            let Ok(entity_type) = self.schema.entity_type(change.entity.entity_type()) else {
                continue;
            };
            let mut missing: Vec<String> = Vec::new();
            for (base, name, twin) in BELONGS {
                if self.is_kind(change, base) {
                    let given = [self.value(change, name), self.value(change, twin)];
                    let is_null = given.iter().flatten().any(|value| value.is_null());
                    let is_absent = given.iter().all(Option::is_none);
                    if is_null || (is_absent && change.kind == OperationKind::Create) {
                        missing.push(name.to_owned());
                    }
                }
            }
            missing.extend(self.lacking(change, entity_type));
            missing.dedup();
            for name in missing {
                let what = format!("it needs a value for {name}");
                self.problem(change, Some(&name), ErrorKind::Validation, &what);
            }
        }
    }

    fn lacking(&self, change: &PlannedChange, entity_type: &EntityType) -> Vec<String> {
        let is_lacking = |name: &str| {
            let attribute = entity_type.attribute(name).ok()?;
            let reference = name
                .strip_suffix("_id")
                .and_then(|stem| self.value(change, stem));
            let value = self.value(change, name).or(reference);
            Some(match value {
                Some(value) => value.is_null(),
                // A flag that is not given is off.
                None => {
                    change.kind == OperationKind::Create
                        && !matches!(attribute.kind(), AttributeKind::Bool)
                        && matches!(attribute.default(), AttributeDefault::None)
                        && !attribute.is_computed()
                }
            })
        };
        let attributes = entity_type
            .attributes()
            .iter()
            .filter(|one| one.is_required());
        let names = attributes.map(Attribute::name);
        let names = names.filter(|name| {
            !FILLED.contains(name) && !entity_type.primary_key().iter().any(|key| key == name)
        });
        names
            .filter(|name| is_lacking(name) == Some(true))
            .map(str::to_owned)
            .collect()
    }

    fn references(&self) -> References<'a> {
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

    fn missing(&mut self, references: &References<'a>, existing: &HashSet<String>) {
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

    fn names(&self) -> Names<'a> {
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
                let parent = self.parent(change);
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

    /// The id of the parent that a context gets.
    fn parent(&self, change: &PlannedChange) -> Option<String> {
        let parent = self.value(change, "parent").and_then(Value::as_reference);
        let parent = parent.map(EntityKey::id);
        parent.or_else(|| Some(self.value(change, "parent_id")?.as_str()?.to_owned()))
    }

    fn taken(&mut self, names: &Names<'a>, rows: &[super::rows::Row]) {
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
            place.0 = self.parent(change).unwrap_or(std::mem::take(&mut place.0));
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

    fn statements(&self) -> Vec<Statement> {
        let mut statements = Vec::new();
        for (target, ids) in &self.wanted {
            let mut ids = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            for some in ids.chunks(MAX_IDS) {
                statements.push(select(target).fields("id").filter(field("id").is_in(some)));
            }
        }
        statements
    }
}

impl Names<'_> {
    fn statements(&self) -> Vec<Statement> {
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
