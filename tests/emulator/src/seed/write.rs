//! The operations that make the entities of a seed.

use rusqlite::params;
use serde_json::{Map, Value, json};

use crate::database::model::{Storage, Type};
use crate::schema::Kind;
use crate::seed::names::refer;
use crate::seed::outline::{CONTEXTS, Node, Outline, lists};
use crate::seed::{Mistake, Step};
use crate::site::Site;

/// Lists of names: the type they name, the type of row that each makes, and that row's attributes
/// for the entity and for what is named.
struct Names {
    below: &'static [&'static str],
    name: &'static str,
    of: &'static str,
    row: &'static str,
    own: &'static str,
    other: &'static str,
}

const NAMES: [Names; 3] = [
    Names {
        below: CONTEXTS,
        name: "assignees",
        of: "User",
        row: "Appointment",
        own: "context_id",
        other: "resource_id",
    },
    Names {
        below: &["Note"],
        name: "labels",
        of: "NoteCategory",
        row: "NoteLabelLink",
        own: "note_id",
        other: "label_id",
    },
    Names {
        below: &["Group"],
        name: "members",
        of: "User",
        row: "Membership",
        own: "group_id",
        other: "user_id",
    },
];

/// The operations in the order of the entities.
///
/// # Errors
///
/// If a member is unknown or a reference leads nowhere.
pub(super) fn write(site: &Site, outline: &Outline<'_>) -> Result<Vec<Step>, Mistake> {
    let mut writer = Writer {
        site,
        outline,
        steps: Vec::new(),
    };
    for node in &outline.nodes {
        writer.entity(node)?;
    }
    Ok(writer.steps)
}

struct Writer<'a, 's> {
    site: &'a Site,
    outline: &'a Outline<'s>,
    steps: Vec<Step>,
}

impl<'a> Writer<'a, '_> {
    fn entity(&mut self, node: &Node<'_>) -> Result<(), Mistake> {
        let ty = self.find(node.entity_type, &node.path)?;
        let mut data = self.basis(node);
        for (name, value) in node.members {
            let path = format!("{}.{name}", node.path);
            if let Some(value) = self.attribute(node, ty, name, (&path, value))? {
                data.insert(name.clone(), value);
            }
        }
        self.create(&node.path, node.entity_type, data);
        for (name, value) in node.members {
            let path = format!("{}.{name}", node.path);
            match name.as_str() {
                "metadata" => self.metadata(node, &path, value)?,
                "custom_attributes" => self.custom_attributes(node, ty, &path, value)?,
                name => {
                    if let Some(names) = names(node.entity_type, name) {
                        self.names(node, names, &path, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What every entity of the type has, and where it belongs.
    fn basis(&self, node: &Node<'_>) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("id".into(), node.id.as_str().into());
        match node.entity_type {
            "FileComponent" => data.insert("system_type".into(), "file".into()),
            "SequenceComponent" => data.insert("system_type".into(), "sequence".into()),
            _ => None,
        };
        if let Some((above, link)) = node.above {
            let above = &self.outline.nodes[above];
            data.insert(link.into(), above.id.as_str().into());
            if link == "parent_id" && node.entity_type == "Note" {
                data.insert("parent_type".into(), above.entity_type.into());
            }
        }
        data
    }

    /// The value of an attribute; `None` for what becomes operations of its own.
    fn attribute(
        &self,
        node: &Node<'_>,
        ty: &Type,
        name: &str,
        (path, value): (&str, &Value),
    ) -> Result<Option<Value>, Mistake> {
        if matches!(name, "metadata" | "custom_attributes")
            || lists(node.entity_type).any(|list| list == name)
            || names(node.entity_type, name).is_some()
        {
            return Ok(None);
        }
        let Some(attr) = ty.get(name) else {
            let lists: Vec<_> = lists(node.entity_type).collect();
            let message = format!(
                "a {} has no such member; it has the attributes of the schema and {}",
                ty.name,
                [&["metadata", "custom_attributes"], lists.as_slice()]
                    .concat()
                    .join(", ")
            );
            return Err(Mistake::new(path, message));
        };
        match (&attr.storage, &attr.schema.kind) {
            (Storage::Reference(_), _) if value.is_null() => Ok(Some(Value::Null)),
            (Storage::Reference(reference), _) => {
                let target = &self.site.model().types[reference.target];
                refer(self.site, self.outline, node, target, (path, value)).map(Some)
            }
            (Storage::Collection(_), _) => {
                let message = "a seed cannot set this list";
                Err(Mistake::new(path, message))
            }
            // JSON inside of JSON would be no pleasure to write.
            (_, Kind::Text) if name == "config" && value.is_object() => {
                Ok(Some(value.to_string().into()))
            }
            _ => Ok(Some(value.clone())),
        }
    }

    fn metadata(&mut self, node: &Node<'_>, path: &str, value: &Value) -> Result<(), Mistake> {
        for (key, value) in members(path, value)? {
            let path = format!("{path}.{key}");
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err(Mistake::new(path, "metadata is text, a number or a flag")),
            };
            let data = json!({"parent_id": node.id, "parent_type": node.entity_type,
                "key": key, "value": text});
            self.create(&path, "Metadata", object(data));
        }
        Ok(())
    }

    fn names(
        &mut self,
        node: &Node<'_>,
        names: &Names,
        path: &str,
        value: &Value,
    ) -> Result<(), Mistake> {
        let list = value
            .as_array()
            .ok_or_else(|| Mistake::new(path, "this must be a list of names"))?;
        for (index, name) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let target = self.find(names.of, &path)?;
            let other = refer(self.site, self.outline, node, target, (&path, name))?;
            let data = json!({names.own: node.id, names.other: other["id"]});
            self.create(&path, names.row, object(data));
        }
        Ok(())
    }

    fn custom_attributes(
        &mut self,
        node: &Node<'_>,
        ty: &Type,
        path: &str,
        value: &Value,
    ) -> Result<(), Mistake> {
        let attr = ty.get("custom_attributes").map(|attr| &attr.schema.kind);
        let Some(Kind::Mapped(values)) = attr else {
            let message = format!("a {} has no custom attributes", ty.name);
            return Err(Mistake::new(path, message));
        };
        for (key, value) in members(path, value)? {
            let path = format!("{path}.{key}");
            let configuration = self.configuration(ty, &path, key)?;
            self.steps.push(Step {
                operation: json!({"action": "update", "entity_type": values,
                    "entity_key": [configuration, node.id],
                    "entity_data": {"__entity_type__": values, "value": value}}),
                path,
            });
        }
        Ok(())
    }

    /// The id of the configuration of this key that applies to entities of the type: one of the
    /// seed's own, or one that the studio has.
    fn configuration(&self, ty: &Type, path: &str, key: &str) -> Result<String, Mistake> {
        let own_object_type = ty
            .get("object_type_id")
            .and_then(|attr| attr.schema.default.as_ref())
            .and_then(Value::as_str);
        let kind = match ty.name.as_str() {
            "Project" => "show",
            "Asset" => "asset",
            "AssetVersion" => "assetversion",
            "User" => "user",
            _ => "task",
        };
        let applies = |found: &Configuration| {
            let is_own = found.entity_type.as_deref() == Some(kind)
                && (kind != "task" || found.object_type_id.as_deref() == own_object_type);
            is_own || (found.is_hierarchical && kind != "user")
        };
        let mut all = self.new_configurations(key)?;
        let stored = self.stored_configurations(key);
        all.extend(stored.map_err(|message| Mistake::new(path, message))?);
        let found = all.into_iter().find(applies);
        found.map(|found| found.id).ok_or_else(|| {
            let message = format!("no custom attribute \"{key}\" applies to a {}", ty.name);
            Mistake::new(path, message)
        })
    }

    fn new_configurations(&self, key: &str) -> Result<Vec<Configuration>, Mistake> {
        let is_it = |node: &&Node<'_>| {
            node.entity_type == "CustomAttributeConfiguration"
                && node.members.get("key").is_some_and(|own| own == key)
        };
        let nodes = self.outline.nodes.iter().filter(is_it);
        nodes
            .map(|node| {
                let text = |name: &str| node.members.get(name).and_then(Value::as_str);
                let mut object_type_id = text("object_type_id").map(str::to_owned);
                if let Some(name) = node.members.get("object_type") {
                    let path = format!("{}.object_type", node.path);
                    let target = self.find("ObjectType", &path)?;
                    let found = refer(self.site, self.outline, node, target, (&path, name))?;
                    object_type_id = found["id"].as_str().map(str::to_owned);
                }
                Ok(Configuration {
                    id: node.id.clone(),
                    entity_type: text("entity_type").map(str::to_owned),
                    object_type_id,
                    is_hierarchical: node.members.get("is_hierarchical")
                        == Some(&Value::Bool(true)),
                })
            })
            .collect()
    }

    fn stored_configurations(&self, key: &str) -> Result<Vec<Configuration>, String> {
        let found = self.site.database.transaction(|connection| {
            let sql = "SELECT id, entity_type, object_type_id, is_hierarchical \
                       FROM custom_configuration WHERE key = ?1 AND project_id IS NULL \
                       AND _type = 'CustomAttributeConfiguration' ORDER BY is_hierarchical, id";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map(params![key], |row| {
                Ok(Configuration {
                    id: row.get(0)?,
                    entity_type: row.get(1)?,
                    object_type_id: row.get(2)?,
                    is_hierarchical: row.get::<_, Option<bool>>(3)?.unwrap_or_default(),
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        found.map_err(|fault| fault.to_string())
    }

    fn find(&self, entity_type: &str, path: &str) -> Result<&'a Type, Mistake> {
        let missing = || format!("this site's schema has no {entity_type}");
        let found = self.site.model().find(entity_type);
        found.ok_or_else(|| Mistake::new(path, missing()))
    }

    fn create(&mut self, path: &str, entity_type: &str, mut data: Map<String, Value>) {
        data.insert("__entity_type__".into(), entity_type.into());
        self.steps.push(Step {
            operation: json!({"action": "create", "entity_type": entity_type, "entity_data": data}),
            path: path.to_owned(),
        });
    }
}

struct Configuration {
    id: String,
    entity_type: Option<String>,
    object_type_id: Option<String>,
    is_hierarchical: bool,
}

fn names(entity_type: &str, name: &str) -> Option<&'static Names> {
    let is_it = |names: &&Names| names.name == name && names.below.contains(&entity_type);
    NAMES.iter().find(is_it)
}

fn members<'v>(path: &str, value: &'v Value) -> Result<&'v Map<String, Value>, Mistake> {
    let wrong = || Mistake::new(path, "this must be an object of keys and values");
    value.as_object().ok_or_else(wrong)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
