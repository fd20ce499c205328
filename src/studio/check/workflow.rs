//! Statuses and types that the schema of a project does not allow.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;

use super::{Check, by_id};
use crate::ErrorKind;
use crate::operation::{OperationKind, PlannedChange};
use crate::query::Statement;
use crate::studio::rows::{Row, text};

/// How far up a project is looked for, so that a cycle ends.
const MAX_DEPTH: usize = 100;
/// What a project schema allows.
const ALLOWED: [&str; 8] = [
    "_task_workflow.statuses.name",
    "_version_workflow.statuses.name",
    "_task_type_schema.types.name",
    "_overrides.type_id",
    "_overrides.workflow_schema.statuses.name",
    "_schemas.type_id",
    "_schemas.statuses.task_status.name",
    "_schemas.types.task_type.name",
];

/// Statuses and types that a plan sets.
#[derive(Default)]
pub(super) struct Workflows<'a> {
    set: Vec<Choice<'a>>,
    /// Entities that the server has and whose project is wanted, by type.
    wanted: BTreeMap<&'static str, Vec<String>>,
}

/// One status or type.
struct Choice<'a> {
    change: &'a PlannedChange,
    attribute: &'static str,
    id: String,
    home: Home,
}

/// Where the schema of an entity is found.
enum Home {
    /// The project is new and has this one.
    Schema(String),
    /// The server knows the project of this entity.
    Below(String),
}

impl<'a> Check<'a> {
    pub(super) fn workflows(&self) -> Workflows<'a> {
        let mut found = Workflows::default();
        for change in &self.plan.changes {
            let has_workflow = (self.is_kind(change, "TypedContext")
                || self.is_kind(change, "AssetVersion"))
                && change.kind != OperationKind::Delete
                && !self.deleted.contains(&change.entity.id());
            if !has_workflow {
                continue;
            }
            for (attribute, twin) in [("status", "status_id"), ("type", "type_id")] {
                let id = self.id_of(change, attribute, twin);
                let Some((id, (home, wanted))) = id.zip(self.home(change)) else {
                    continue;
                };
                for (entity_type, id) in wanted {
                    found.wanted.entry(entity_type).or_default().push(id);
                }
                found.set.push(Choice {
                    change,
                    attribute,
                    id,
                    home,
                });
            }
        }
        found
    }

    /// What leads to the schema of an entity, and what to ask the server for.
    fn home(&self, change: &'a PlannedChange) -> Option<(Home, Vec<(&'static str, String)>)> {
        let mut wanted = Vec::new();
        // Statuses depend on the type that a task has.
        if self.is_kind(change, "Task") && change.kind == OperationKind::Update {
            wanted.push(("TypedContext", change.entity.id()));
        }
        let mut below = |entity_type, id: String| {
            let mut wanted = std::mem::take(&mut wanted);
            wanted.push((entity_type, id.clone()));
            Some((Home::Below(id), wanted))
        };
        let mut change = change;
        for _ in 0..MAX_DEPTH {
            let id = change.entity.id();
            let (own, name, twin, above) = if self.is_kind(change, "Project") {
                let schema = self.id_of(change, "project_schema", "project_schema_id");
                return match schema {
                    Some(schema) => Some((Home::Schema(schema), Vec::new())),
                    None => below("Project", id),
                };
            } else if self.is_kind(change, "AssetVersion") {
                ("AssetVersion", "asset", "asset_id", "Asset")
            } else if self.is_kind(change, "Asset") {
                ("Asset", "parent", "context_id", "Context")
            } else {
                ("TypedContext", "parent", "parent_id", "Context")
            };
            let upper = self
                .id_of(change, name, twin)
                .or_else(|| self.id_of(change, "project", "project_id"));
            let Some(upper) = upper else {
                let is_known = change.kind == OperationKind::Update;
                return is_known.then(|| below(own, id)).flatten();
            };
            match self.changes.get(&upper) {
                Some(next) => change = next,
                None => return below(above, upper),
            }
        }
        None
    }

    pub(super) fn outside(&mut self, workflows: &Workflows<'a>, places: &[Row], schemas: &[Row]) {
        let places: HashMap<&str, &Row> = places.iter().map(|row| (text(row, "id"), row)).collect();
        let mut known: HashMap<&str, &Json> = HashMap::new();
        let of_choices = |row: &&Row| matches!(text(row, "__entity_type__"), "Status" | "Type");
        let (chosen, schemas): (Vec<&Row>, Vec<&Row>) = schemas.iter().partition(of_choices);
        let own: Vec<(&str, Json)> = schemas
            .iter()
            .map(|row| (text(row, "id"), Json::Object((*row).clone())))
            .collect();
        for (id, row) in &own {
            known.insert(id, row.get("project_schema").unwrap_or(row));
        }
        for choice in &workflows.set {
            let schema = match &choice.home {
                Home::Schema(id) => known.get(id.as_str()),
                Home::Below(id) => places
                    .get(id.as_str())
                    .and_then(|row| known.get(project_of(row)?)),
            };
            // What does not exist is another problem.
            let Some(schema) = schema else {
                continue;
            };
            let allowed = self.allowed(choice, schema, &places);
            if allowed.iter().any(|one| one["id"] == choice.id.as_str()) {
                continue;
            }
            let names: Vec<&str> = allowed
                .iter()
                .filter_map(|one| one["name"].as_str())
                .collect();
            let mut own = chosen.iter().filter(|row| text(row, "id") == choice.id);
            let named = own.next().map_or(&*choice.id, |row| text(row, "name"));
            let names = match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            let what = format!(
                "the schema of its project does not allow the {} {named:?}; it allows: {names}",
                choice.attribute
            );
            self.problem(
                choice.change,
                Some(choice.attribute),
                ErrorKind::Validation,
                &what,
            );
        }
    }

    /// The statuses or types that a schema allows for an entity.
    fn allowed<'j>(
        &self,
        choice: &Choice<'a>,
        schema: &'j Json,
        places: &HashMap<&str, &Row>,
    ) -> Vec<&'j Json> {
        let change = choice.change;
        let is_status = choice.attribute == "status";
        if self.is_kind(change, "AssetVersion") {
            return list(&schema["_version_workflow"]["statuses"]);
        }
        if !self.is_kind(change, "Task") {
            let object_type = self.object_type(change.entity.entity_type());
            let schemas = list(&schema["_schemas"]).into_iter();
            let own = schemas.filter(|one| one["type_id"].as_str() == object_type);
            let (rows, reference) = match is_status {
                true => ("statuses", "task_status"),
                false => ("types", "task_type"),
            };
            let rows = own.flat_map(|one| list(&one[rows]));
            return rows.map(|row| &row[reference]).collect();
        }
        if !is_status {
            return list(&schema["_task_type_schema"]["types"]);
        }
        let task_type = self.id_of(change, "type", "type_id").or_else(|| {
            let row = places.get(change.entity.id().as_str())?;
            Some(text(row, "type_id").to_owned())
        });
        let overrides = list(&schema["_overrides"]).into_iter();
        let mut own = overrides
            .filter(|one| task_type.is_some() && one["type_id"].as_str() == task_type.as_deref());
        match own.next() {
            Some(own) => list(&own["workflow_schema"]["statuses"]),
            None => list(&schema["_task_workflow"]["statuses"]),
        }
    }
}

impl Workflows<'_> {
    /// Finds the projects.
    pub(super) fn statements(&self) -> Vec<Statement> {
        let fields = |entity_type: &str| match entity_type {
            "AssetVersion" => "id, asset.parent.project_id",
            "Asset" => "id, parent.project_id",
            "TypedContext" => "id, project_id, type_id",
            "Context" => "id, project_id",
            _ => "id",
        };
        let wanted = self.wanted.iter();
        wanted
            .flat_map(|(entity_type, ids)| by_id(entity_type, fields(entity_type), ids))
            .collect()
    }

    /// Finds what the schemas of the projects allow, and the names of what is set.
    pub(super) fn schemas(&self, places: &[Row]) -> Vec<Statement> {
        let places: HashMap<&str, &Row> = places.iter().map(|row| (text(row, "id"), row)).collect();
        let (mut projects, mut schemas) = (Vec::new(), Vec::new());
        for choice in &self.set {
            match &choice.home {
                Home::Schema(id) => schemas.push(id.clone()),
                Home::Below(id) => {
                    let project = places.get(id.as_str()).and_then(|row| project_of(row));
                    projects.extend(project.map(str::to_owned));
                }
            }
        }
        let of_project = ALLOWED.map(|path| format!("project_schema.{path}"));
        let of_project = format!("id, {}", of_project.join(", "));
        let mut statements = by_id("Project", &of_project, &projects);
        statements.extend(by_id(
            "ProjectSchema",
            &format!("id, {}", ALLOWED.join(", ")),
            &schemas,
        ));
        for (entity_type, attribute) in [("Status", "status"), ("Type", "type")] {
            let chosen = self.set.iter().filter(|one| one.attribute == attribute);
            let chosen = chosen.map(|one| &one.id);
            statements.extend(by_id(entity_type, "id, name", chosen));
        }
        statements
    }
}

/// The id of the project of an entity.
fn project_of(row: &Row) -> Option<&str> {
    match text(row, "__entity_type__") {
        "Project" => row.get("id")?.as_str(),
        "AssetVersion" => row.get("asset")?["parent"]["project_id"].as_str(),
        "Asset" => row.get("parent")?["project_id"].as_str(),
        _ => row.get("project_id")?.as_str(),
    }
}

fn list(json: &Json) -> Vec<&Json> {
    json.as_array().into_iter().flatten().collect()
}
