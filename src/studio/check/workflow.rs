//! Statuses and types that the schema of a project does not allow, and statuses that its rules do not
//! leave to this user.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value as Json;

use super::{Check, by_id};
use crate::ErrorKind;
use crate::operation::{OperationKind, PlannedChange};
use crate::query::Statement;
use crate::schema::Schema;
use crate::studio::rows::{Row, text};

/// How far up a project is looked for, so that a cycle ends.
const MAX_DEPTH: usize = 100;
/// The server's word on which statuses this user may set.
const OPTIONS: &str = "__permissions.status_id";
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
            let name_of = |id: &str| {
                let mut own = chosen.iter().filter(|row| text(row, "id") == id);
                own.next().map(|row| text(row, "name"))
            };
            let listed = |names: &[&str]| match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            let named = name_of(&choice.id).unwrap_or(&choice.id);
            let allowed = self.allowed(choice, schema, &places);
            // Such entities have no types of their own.
            if allowed.is_empty() && choice.attribute == "type" {
                continue;
            }
            let (kind, what) = if !allowed.iter().any(|one| one["id"] == choice.id.as_str()) {
                let names = allowed.iter().filter_map(|one| one["name"].as_str());
                let what = format!(
                    "the schema of its project does not allow the {} {named:?}; it allows: {}",
                    choice.attribute,
                    listed(&names.collect::<Vec<_>>())
                );
                (ErrorKind::Validation, what)
            } else if let Some(options) = self.options(choice, &places)
                && !options.contains(&choice.id.as_str())
            {
                let names = options.iter().filter_map(|id| name_of(id));
                let what = format!(
                    "the status rules of its project do not leave the status {named:?} to this user; \
                     they leave: {}",
                    listed(&names.collect::<Vec<_>>())
                );
                (ErrorKind::Permission, what)
            } else {
                continue;
            };
            self.problem(choice.change, Some(choice.attribute), kind, &what);
        }
    }

    /// The statuses to which this user may change an entity, if the server says. It does not know of a
    /// new type or a new place.
    fn options<'r>(
        &self,
        choice: &Choice<'a>,
        places: &HashMap<&str, &'r Row>,
    ) -> Option<Vec<&'r str>> {
        let change = choice.change;
        let is_elsewhere = [
            "type",
            "type_id",
            "parent",
            "parent_id",
            "asset",
            "asset_id",
        ]
        .iter()
        .any(|name| self.value(change, name).is_some());
        if choice.attribute != "status" || is_elsewhere {
            return None;
        }
        let row = places.get(change.entity.id().as_str())?;
        let options = row.get("__permissions")?["status_id"]["__options"].as_array()?;
        let options = options.iter().filter_map(Json::as_str);
        // A change to the present status is none.
        let options: BTreeSet<&str> = options.chain([text(row, "status_id")]).collect();
        Some(options.into_iter().collect())
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
    /// Finds the projects, and the statuses that rules leave to this user if the server has such rules.
    pub(super) fn statements(&self, schema: &Schema) -> Vec<Statement> {
        let has_rules = schema.entity_type("StatusRuleGroup").is_ok();
        let wanted = self.wanted.iter().flat_map(|(entity_type, ids)| {
            let (fields, has_status) = match *entity_type {
                "AssetVersion" => ("id, status_id, asset.parent.project_id", true),
                "Asset" => ("id, parent.project_id", false),
                "TypedContext" => ("id, status_id, project_id, type_id", true),
                "Context" => ("id, project_id", false),
                _ => ("id", false),
            };
            match has_rules && has_status {
                true => by_id(entity_type, &format!("{fields}, {OPTIONS}"), ids),
                false => by_id(entity_type, fields, ids),
            }
        });
        wanted.collect()
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
        let chosen = |attribute: &'static str| {
            let chosen = self
                .set
                .iter()
                .filter(move |one| one.attribute == attribute);
            chosen.map(|one| one.id.as_str())
        };
        let options = places.values().filter_map(|row| {
            let options = &row.get("__permissions")?["status_id"]["__options"];
            Some(list(options).into_iter().filter_map(Json::as_str))
        });
        let statuses = chosen("status").chain(options.flatten());
        statements.extend(by_id("Status", "id, name", statuses));
        statements.extend(by_id("Type", "id, name", chosen("type")));
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
