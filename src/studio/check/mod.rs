//! Finds what the server would refuse of a plan, before it is sent.

mod custom;
mod names;
mod references;
mod required;
mod workflow;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use super::rows::{Row, by_key, rows_of, text};
use crate::operation::{OperationKind, Plan, PlannedChange, PlannedValue};
use crate::query::{Statement, select};
use crate::schema::{AttributeDefault, Schema};
use crate::{EntityKey, ErrorKind, Result, Session, Value};

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
    /// Finds what the server would refuse, without sending the plan:
    ///
    /// - missing values, references to what does not exist, changes of what does not exist
    /// - names that are taken in their place without regard to case, and names of projects and users
    ///   that are taken
    /// - statuses and types that the schema of the project does not allow for such an entity, and
    ///   changes of a status that its status rules do not leave to the user
    /// - values of custom attributes that are of another kind, not among the choices of an enumerator,
    ///   or set on entities that do not have the attribute
    /// - custom attributes that none of the user's security roles may change
    ///
    /// Wrong types and immutable attributes are refused when they are set.
    ///
    /// At most two requests for a plan of any size, and one if it sets no statuses and types, unless
    /// a result has more than 5,000 rows. Others may change something afterwards, so a commit can still fail.
    /// Some servers accept statuses and types outside of the workflow: the web interface does
    /// not offer them, so they are problems here. What else roles may do cannot be read:
    /// [`Session::can`] asks the server.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
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
            changes: HashMap::new(),
            problems: Vec::new(),
        };
        check.collect();
        let references = check.references();
        let names = check.names();
        let workflows = check.workflows();
        let values = check.custom_values();
        let [existing, named, places, configured] = look(
            session,
            [
                references.statements(),
                names.statements(),
                workflows.statements(session.schema()),
                values.statements(session.api_user()),
            ],
        )?;
        let [schemas] = look(session, [workflows.schemas(&places)])?;
        let existing = existing.iter().map(|row| text(row, "id").to_owned());
        check.required();
        check.missing(&references, &existing.collect());
        check.taken(&names, &named);
        check.outside(&workflows, &places, &schemas);
        check.unfit(&values, &configured);
        Ok(check.problems)
    }
}

/// The rows of each part, in one request.
fn look<const N: usize>(session: &Session, parts: [Vec<Statement>; N]) -> Result<[Vec<Row>; N]> {
    let counts = parts.each_ref().map(Vec::len);
    let all: Vec<Statement> = parts.into_iter().flatten().collect();
    let found = if all.is_empty() {
        Vec::new()
    } else {
        rows_of(session, &all)?
    };
    let mut found = found.into_iter();
    Ok(counts.map(|count| found.by_ref().take(count).flatten().collect()))
}

/// Asks for entities of a type by their ids.
fn by_id<S: AsRef<str>>(
    entity_type: &str,
    fields: &str,
    ids: impl IntoIterator<Item = S>,
) -> Vec<Statement> {
    let ids: Vec<S> = ids.into_iter().collect();
    let ids: BTreeSet<&str> = ids.iter().map(S::as_ref).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    by_key(&select(entity_type).fields(fields), "id", &ids)
}

struct Check<'a> {
    plan: &'a Plan,
    schema: &'a Schema,
    /// The values that attributes have after the plan, by id and name.
    final_values: HashMap<(String, &'a str), &'a Value>,
    created: HashSet<String>,
    deleted: HashSet<String>,
    /// Those that create or change an entity, by its id.
    changes: HashMap<String, &'a PlannedChange>,
    problems: Vec<PlanProblem>,
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
            if change.kind != OperationKind::Delete {
                self.changes.entry(id.clone()).or_insert(change);
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

    /// The id of what an entity refers to after the plan, as a reference or by its id.
    fn id_of(&self, change: &PlannedChange, name: &str, twin: &str) -> Option<String> {
        let reference = self.value(change, name).and_then(Value::as_reference);
        let id = reference.map(EntityKey::id);
        id.or_else(|| Some(self.value(change, twin)?.as_str()?.to_owned()))
    }

    /// The object type of a kind of context.
    fn object_type(&self, entity_type: &str) -> Option<&'a str> {
        let attribute = self.schema.entity_type(entity_type).ok()?;
        match attribute.attribute("object_type_id").ok()?.default() {
            AttributeDefault::Value(value) => value.as_str(),
            _ => None,
        }
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
}
