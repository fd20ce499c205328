//! Holds rows against the schemas: attributes, types, required values, references, keys.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{tests::KINDS, *};
use crate::schema::compact;

/// Whether a row of `entity_type` is what a reference to `target` may point at.
fn fits(target: &str, entity_type: &str) -> bool {
    match target {
        _ if target == entity_type => true,
        "Context" => entity_type == "Project" || KINDS.contains(&entity_type),
        "TypedContext" => KINDS.contains(&entity_type),
        "Resource" => matches!(entity_type, "User" | "Group"),
        "BaseUser" => entity_type == "User",
        "Component" => entity_type.ends_with("Component"),
        "ContainerComponent" => entity_type == "SequenceComponent",
        "List" => entity_type.ends_with("List"),
        "NoteLabel" => entity_type == "NoteCategory",
        _ => false,
    }
}

/// The type that a key attribute refers to. Types of security roles are no entity type.
fn target(attribute: &Value) -> Option<&str> {
    if attribute["format"] == "foreign_key" {
        let (_, target) = attribute["description"].as_str()?.split_once(": ")?;
        return target
            .split('.')
            .next()
            .filter(|target| *target != "SecurityRoleType");
    }
    attribute["$ref"].as_str()
}

fn has_type(attribute: &Value, cell: &Cell) -> bool {
    let (kind, format) = (attribute["type"].as_str(), attribute["format"].as_str());
    match cell {
        Cell::Null => true,
        Cell::Bool(_) => matches!(kind, Some("boolean" | "variable")),
        Cell::Int(_) => matches!(kind, Some("integer" | "variable")),
        Cell::Float(_) => matches!(kind, Some("number" | "variable")),
        Cell::Text(_) => {
            matches!(kind, None | Some("string" | "variable")) && format != Some("date-time")
        }
        Cell::DateTime(text) => format == Some("date-time") && is_date_time(text),
        Cell::Date(text) => kind == Some("variable") && is_date_time(&format!("{text}T00:00:00")),
    }
}

fn is_date_time(text: &str) -> bool {
    text.len() == 19 && text.parse::<civil::DateTime>().is_ok()
}

/// Checks row by row, remembering what was emitted before.
pub(super) struct Checker {
    schemas: HashMap<String, Value>,
    seen: HashMap<String, &'static str>,
    keys: HashSet<String>,
}

impl Checker {
    /// Panics at the first row that breaks a rule.
    pub(super) fn check(rows: &[Row]) {
        let Value::Array(schemas) = compact::wire() else {
            panic!("schemas are an array")
        };
        let schemas = schemas
            .into_iter()
            .map(|it| (it["id"].as_str().unwrap().to_owned(), it))
            .collect();
        let mut checker = Self {
            schemas,
            seen: HashMap::new(),
            keys: HashSet::new(),
        };
        for row in rows {
            checker.attributes(row);
            checker.references(row);
            checker.remember(row);
        }
    }

    fn list(&self, row: &Row, list: &str) -> Vec<&str> {
        let list = self.schemas[row.entity_type][list].as_array();
        list.map_or(Vec::new(), |list| {
            list.iter().filter_map(Value::as_str).collect()
        })
    }

    fn attributes(&self, row: &Row) {
        let properties = &self.schemas[row.entity_type]["properties"];
        let computed = self.list(row, "computed");
        let mut names = HashSet::new();
        for (name, cell) in &row.values {
            let attribute = &properties[name];
            assert!(attribute.is_object(), "{} has no {name}", row.entity_type);
            assert!(
                has_type(attribute, cell),
                "{}.{name}: {cell:?}",
                row.entity_type
            );
            assert!(
                !computed.contains(name),
                "{}.{name} is computed",
                row.entity_type
            );
            assert!(
                names.insert(name),
                "{}.{name} is given twice",
                row.entity_type
            );
        }
        for name in self
            .list(row, "required")
            .into_iter()
            .chain(self.list(row, "primary_key"))
        {
            let may_be_null = (row.entity_type, name) == ("User", "username");
            let is_attribute = properties[name].is_object() && !computed.contains(&name);
            let is_given = names.contains(&name) && *row.cell(name) != Cell::Null;
            assert!(
                !is_attribute || is_given || may_be_null,
                "{row:?} lacks {name}"
            );
        }
    }

    fn references(&self, row: &Row) {
        let properties = &self.schemas[row.entity_type]["properties"];
        for (name, cell) in &row.values {
            let Cell::Text(key) = cell else { continue };
            let Some(other) = target(&properties[name]) else {
                let is_key = matches!(*name, "parent_id" | "entity_id" | "from_id" | "to_id");
                assert!(
                    !is_key || self.seen.contains_key(key),
                    "{row:?}: {name} is unknown"
                );
                continue;
            };
            if (*name, other) == ("id", "Component") {
                continue;
            }
            let own = *name == "project_id" && row.entity_type == "Project";
            let found = if own {
                Some(&"Project")
            } else {
                self.seen.get(key)
            };
            let found = found.unwrap_or_else(|| panic!("{row:?}: {name} is not known yet"));
            assert!(
                fits(other, found),
                "{row:?}: {name} is a {found}, not a {other}"
            );
        }
    }

    fn remember(&mut self, row: &Row) {
        let keys = self.list(row, "primary_key");
        let key: Vec<&str> = keys.iter().map(|name| row.text(name)).collect();
        let key = match key[..] {
            [id] => {
                assert_eq!(uuid::Uuid::parse_str(id).unwrap().to_string(), id);
                self.seen.insert(id.to_owned(), row.entity_type);
                id.to_owned()
            }
            _ => format!("{} {}", row.entity_type, key.join(" ")),
        };
        assert!(self.keys.insert(key), "{row:?} has the key of another");
    }
}
