//! Values that custom attributes do not take.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::{Check, by_id};
use crate::entity::{CustomAttributeKind, choices};
use crate::operation::{OperationKind, PlannedChange};
use crate::query::{Statement, field, select};
use crate::studio::rows::{Row, text};
use crate::{EntityKey, ErrorKind, Value};

/// The key of an entity that holds a value.
const VALUE_KEY: [&str; 2] = ["configuration_id", "entity_id"];
const SUFFIX: &str = "CustomAttributeValue";

/// Values of custom attributes that a plan sets.
#[derive(Default)]
pub(super) struct CustomValues<'a> {
    set: Vec<CustomValue<'a>>,
}

struct CustomValue<'a> {
    change: &'a PlannedChange,
    value: &'a Value,
    configuration: String,
    /// The entity that has the value, and its type as far as the value tells.
    entity: String,
    base: &'a str,
    is_new: bool,
}

impl<'a> Check<'a> {
    pub(super) fn custom_values(&self) -> CustomValues<'a> {
        let mut found = CustomValues::default();
        for change in &self.plan.changes {
            let entity_type = self.schema.entity_type(change.entity.entity_type());
            let is_value = entity_type.is_ok_and(|one| one.primary_key() == VALUE_KEY);
            let mut parts = change.entity.parts();
            let (Some(configuration), Some(entity)) = (parts.next(), parts.next()) else {
                continue;
            };
            let value = self.value(change, "value");
            let base = change.entity.entity_type().strip_suffix(SUFFIX);
            let (Some(value), Some(base)) = (value, base) else {
                continue;
            };
            if is_value
                && change.kind != OperationKind::Delete
                && !self.deleted.contains(&entity)
                && !self.deleted.contains(&change.entity.id())
            {
                found.set.push(CustomValue {
                    change,
                    value,
                    configuration,
                    is_new: self.created.contains(&entity),
                    entity,
                    base,
                });
            }
        }
        found
    }

    pub(super) fn unfit(&mut self, values: &CustomValues<'a>, rows: &[Row]) {
        let mut known: HashMap<&str, &Row> = HashMap::new();
        let mut roles = Vec::new();
        for row in rows {
            match text(row, "__entity_type__") {
                "UserSecurityRole" => roles.push(text(row, "security_role_id")),
                _ => drop(known.insert(text(row, "id"), row)),
            }
        }
        for one in &values.set {
            let problem = match known.get(one.configuration.as_str()) {
                None => {
                    let what = format!(
                        "there is no custom attribute with the id {}",
                        one.configuration
                    );
                    Some((ErrorKind::Validation, what))
                }
                Some(configuration) => {
                    let configuration = Configuration(configuration);
                    self.misplaced(one, &configuration, &known)
                        .or_else(|| configuration.refused(one.value))
                        .map(|what| (ErrorKind::Validation, what))
                        .or_else(|| configuration.forbidden(&roles))
                }
            };
            if let Some((kind, what)) = problem {
                self.problem(one.change, Some("value"), kind, &what);
            }
        }
    }

    /// What is wrong if the entity does not have the custom attribute.
    fn misplaced(
        &self,
        one: &CustomValue<'a>,
        configuration: &Configuration<'_>,
        known: &HashMap<&str, &Row>,
    ) -> Option<String> {
        let key = configuration.key();
        let row = known.get(one.entity.as_str());
        let (entity_type, object_type, project) = match (one.is_new, row) {
            (true, _) => {
                let change = self.changes.get(&one.entity)?;
                let entity_type = change.entity.entity_type();
                (entity_type, self.object_type(entity_type), None)
            }
            (false, Some(row)) => (
                text(row, "__entity_type__"),
                row.get("object_type_id").and_then(Json::as_str),
                row.get("project_id").and_then(Json::as_str),
            ),
            (false, None) => {
                return Some(format!(
                    "{} does not exist",
                    EntityKey::new(one.base, &one.entity)
                ));
            }
        };
        let (kind, takes_hierarchical) = match one.base {
            "Context" if entity_type == "Project" => ("show", true),
            "Context" => ("task", true),
            "Asset" => ("asset", true),
            "AssetVersion" => ("assetversion", true),
            "User" => ("user", false),
            "List" => ("list", false),
            _ => return None,
        };
        let row = configuration.0;
        let is_hierarchical = row.get("is_hierarchical") == Some(&Json::Bool(true));
        let is_of_type = text(row, "entity_type") == kind
            && (kind != "task" || row.get("object_type_id").and_then(Json::as_str) == object_type);
        let own_project = row.get("project_id").and_then(Json::as_str);
        let is_of_project = own_project.is_none() || project.is_none() || own_project == project;
        let applies = is_of_project && (is_of_type || is_hierarchical && takes_hierarchical);
        let whose = match entity_type {
            "Project" => "this project has",
            _ => "such entities have",
        };
        (!applies).then(|| format!("{whose} no custom attribute {key:?} with this id"))
    }
}

/// A row of `CustomAttributeConfiguration`.
struct Configuration<'a>(&'a Row);

impl Configuration<'_> {
    fn key(&self) -> &str {
        text(self.0, "key")
    }

    /// What is wrong with a value.
    fn refused(&self, value: &Value) -> Option<String> {
        let key = self.key();
        let kind = self.0.get("type").and_then(|kind| kind["name"].as_str());
        let kind = CustomAttributeKind::named(kind.unwrap_or("text"));
        if kind.accept(value.clone()).is_err() {
            let what = format!(
                "custom attribute {key:?} takes {kind}, not {}",
                value.quoted()
            );
            return Some(what);
        }
        let config: Json = serde_json::from_str(text(self.0, "config")).unwrap_or_default();
        let number = value
            .as_f64()
            .filter(|_| kind == CustomAttributeKind::Number);
        if config["isdecimal"] == false && number.is_some_and(|number| number.fract() != 0.0) {
            let what = format!("custom attribute {key:?} takes whole numbers, not {value}");
            return Some(what);
        }
        let offered = offered(&config).filter(|_| kind == CustomAttributeKind::Enumerator)?;
        let chosen = choices(value).unwrap_or_default();
        let unknown = chosen.iter().find(|one| !offered.contains(one))?;
        let hint = crate::error::did_you_mean(unknown, offered.iter().map(String::as_str));
        let offered = offered.join(", ");
        Some(format!(
            "custom attribute {key:?} has no choice {unknown:?}; it has: {offered}{hint}"
        ))
    }

    /// What is wrong if the user has none of the roles that it takes. An attribute without roles is open to all.
    fn forbidden(&self, roles: &[&str]) -> Option<(ErrorKind, String)> {
        let writers = self
            .0
            .get("write_security_roles")
            .and_then(Json::as_array)?;
        let may = |role: &Json| role["id"].as_str().is_some_and(|id| roles.contains(&id));
        if writers.is_empty() || writers.iter().any(may) {
            return None;
        }
        let names: Vec<&str> = writers
            .iter()
            .filter_map(|role| role["name"].as_str())
            .collect();
        let what = format!(
            "custom attribute {:?} can only be changed by users with one of the security roles: {}",
            self.key(),
            names.join(", ")
        );
        Some((ErrorKind::Permission, what))
    }
}

/// The values that an enumerator offers. They are JSON inside of the JSON, and a list from some clients.
fn offered(config: &Json) -> Option<Vec<String>> {
    let inner: Json;
    let entries = match &config["data"] {
        Json::String(text) => {
            inner = serde_json::from_str(text).ok()?;
            &inner
        }
        entries => entries,
    };
    let value = |entry: &Json| match &entry["value"] {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    };
    entries.as_array()?.iter().map(value).collect()
}

impl CustomValues<'_> {
    pub(super) fn statements(&self, user: &str) -> Vec<Statement> {
        if self.set.is_empty() {
            return Vec::new();
        }
        let fields = "id, key, config, type.name, entity_type, object_type_id, project_id, \
                      is_hierarchical, write_security_roles.name";
        let configurations = self.set.iter().map(|one| &one.configuration);
        let mut statements = by_id("CustomAttributeConfiguration", fields, configurations);
        let roles = select("UserSecurityRole").fields("security_role_id");
        statements.push(roles.filter(field("user.username").eq(user)));
        let mut bases: Vec<&str> = self.set.iter().map(|one| one.base).collect();
        bases.sort_unstable();
        bases.dedup();
        for base in bases {
            let ids = || {
                let known = self
                    .set
                    .iter()
                    .filter(|one| one.base == base && !one.is_new);
                known.map(|one| &one.entity)
            };
            match base {
                "Context" => {
                    let fields = "id, object_type_id, project_id";
                    statements.extend(by_id("TypedContext", fields, ids()));
                    statements.extend(by_id("Project", "id, project_id", ids()));
                }
                _ => statements.extend(by_id(base, "id", ids())),
            }
        }
        statements
    }
}
