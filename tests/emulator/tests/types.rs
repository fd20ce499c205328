//! Every type of the built-in schema, driven by that schema: rows are made with a value for each
//! attribute, read back by each projection, and changed. What cannot be made is listed by name.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use std::collections::BTreeMap;

use client::Site;
use serde_json::{Map, Value, json};

const PROJECT: &str = "5671dcb0-66de-11e1-8e6e-f23c91df25eb";
const TASK_TYPE: &str = "11c137c0-ee7e-4f9c-91c5-8c77cec22b2c";

/// Types that only name what others have in common.
const BASES: [&str; 8] = [
    "Action",
    "BaseUser",
    "Context",
    "CustomConfigurationBase",
    "Resource",
    "StatusChange",
    "StatusRuleGroup",
    "TypedContext",
];

/// What the server calculates, or takes from elsewhere, although the schema does not say so.
const CALCULATED: [&str; 12] = [
    "_link",
    "ancestors",
    "bid_time_logged_difference",
    "context_type",
    "is_latest_version",
    "latest_version",
    "link",
    "object_type",
    "resource_type",
    "system_type",
    "thumbnail_source_id",
    "time_logged",
];

/// What some types take only once.
const UNIQUE: [&str; 3] = ["name", "username", "email"];

/// What follows from other values: a row holds something else than was sent.
const FOLLOWS: [(&str, &str); 3] = [
    ("AssetVersion", "project"),
    ("Asset", "project"),
    ("Note", "project"),
];

struct Types {
    site: Site,
    schemas: BTreeMap<String, Value>,
    made: usize,
}

/// What an attribute takes.
enum Takes {
    Value(Value),
    Reference(String),
    Key(String),
}

impl Types {
    fn new() -> Self {
        let site = Site::start();
        let schemas = site.call(&json!([{"action": "query_schemas"}]));
        let schemas = schemas[0].as_array().unwrap();
        let named = |schema: &Value| (schema["id"].as_str().unwrap().to_owned(), schema.clone());
        let schemas = schemas.iter().map(named).collect();
        Self {
            site,
            schemas,
            made: 0,
        }
    }

    fn names(&self) -> Vec<String> {
        self.schemas.keys().cloned().collect()
    }

    fn properties(&self, ty: &str) -> &Map<String, Value> {
        self.schemas[ty]["properties"].as_object().unwrap()
    }

    fn has(&self, ty: &str, list: &str, attribute: &str) -> bool {
        let list = self.schemas[ty][list].as_array();
        list.is_some_and(|list| list.iter().any(|it| it == attribute))
    }

    fn key(&self, ty: &str) -> Vec<String> {
        let key = self.schemas[ty]["primary_key"].as_array().unwrap();
        key.iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect()
    }

    /// A text that no other row has.
    fn unique(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what} {}", self.made)
    }

    /// What each attribute that a client can set takes; other values for `second`.
    fn takes(&self, ty: &str, second: bool) -> Vec<(String, Takes)> {
        let properties = self.properties(ty);
        let mut found = Vec::new();
        for (name, property) in properties {
            let kind = property["type"].as_str().unwrap_or_default();
            let target = property["$ref"].as_str();
            let is_left_out = self.has(ty, "computed", name)
                || CALCULATED.contains(&name.as_str())
                || matches!(kind, "array" | "mapped_array" | "variable")
                || matches!(name.as_str(), "id" | "object_type_id");
            if is_left_out {
                continue;
            }
            if let Some(target) = target {
                if self.schemas.contains_key(target) {
                    found.push((name.clone(), Takes::Reference(target.to_owned())));
                }
            } else if property["format"] == "foreign_key" {
                let relation = name.strip_suffix("_id").unwrap_or(name);
                if relation == name || !properties.contains_key(relation) {
                    let target = foreign(property).filter(|it| self.schemas.contains_key(it));
                    found.extend(target.map(|target| (name.clone(), Takes::Key(target))));
                }
            } else if !name.ends_with("_id") {
                found.push((name.clone(), Takes::Value(sample(name, property, second))));
            }
        }
        found
    }

    fn reference(&self, entity: &Value) -> Value {
        let ty = entity["__entity_type__"].as_str().unwrap();
        let mut reference = json!({"__entity_type__": ty});
        for key in self.key(ty) {
            reference[&key] = entity[&key].clone();
        }
        reference
    }

    /// A row of a type: of the demo studio if it has one.
    fn some(&mut self, ty: &str) -> Value {
        let key = self.key(ty).join(", ");
        let found = self.site.query(&format!("select {key} from {ty} limit 1"));
        match found.into_iter().next() {
            Some(entity) => entity,
            None => self.make(concrete(ty)).0,
        }
    }

    /// A new row, with what was sent.
    fn make(&mut self, ty: &str) -> (Value, Map<String, Value>) {
        let mut data = Map::new();
        for (name, takes) in self.takes(ty, false) {
            let value = match takes {
                Takes::Value(value) => value,
                Takes::Reference(target) => {
                    let entity = self.some(&target);
                    self.reference(&entity)
                }
                Takes::Key(target) => {
                    let key = self.key(&target).remove(0);
                    self.some(&target)[&key].clone()
                }
            };
            data.insert(name, value);
        }
        self.fit(ty, &mut data);
        let entity = self.site.create(ty, Value::Object(data.clone()));
        (entity, data)
    }

    /// What the schema does not say about the values of a type.
    fn fit(&mut self, ty: &str, data: &mut Map<String, Value>) {
        for unique in UNIQUE {
            if data.contains_key(unique) {
                let text = self.unique(ty);
                data.insert(unique.to_owned(), json!(text));
            }
        }
        let mut set = |name: &str, value: Value| data.insert(name.to_owned(), value);
        let project = json!({"__entity_type__": "Project", "id": PROJECT});
        match ty {
            "Task" | "Shot" | "Sequence" | "Episode" | "Folder" | "AssetBuild" | "Milestone" => {
                set("parent", project.clone());
                set("project", project);
            }
            "AssetVersion" => drop(set("version", json!(77))),
            "Appointment" => drop(set("type", json!("assignment"))),
            "Timer" => {
                let user = self.make("User").0;
                data.insert("user".to_owned(), self.reference(&user));
            }
            "ListObject" => {
                let (list, task) = (self.some("TypedContextList"), self.some("Task"));
                data.insert("list".to_owned(), self.reference(&list));
                data.insert("entity_id".to_owned(), task["id"].clone());
            }
            "Note" => drop(data.remove("in_reply_to")),
            "CustomAttributeConfiguration" => {
                let text = "select id from CustomAttributeType where name is text";
                let text = self.site.query(text).remove(0);
                let key = self.unique("key");
                for (name, value) in [
                    ("type", self.reference(&text)),
                    ("key", json!(key)),
                    ("entity_type", json!("task")),
                    ("object_type_id", json!(TASK_TYPE)),
                    ("config", json!("{\"markdown\": false}")),
                    ("default", json!("d")),
                    ("is_hierarchical", json!(false)),
                ] {
                    data.insert(name.to_owned(), value);
                }
            }
            "CustomAttributeLinkConfiguration" => {
                let key = self.unique("key");
                for (name, value) in [
                    ("key", key.as_str()),
                    ("entity_type", "task"),
                    ("entity_type_to", "user"),
                ] {
                    data.insert(name.to_owned(), json!(value));
                }
            }
            "TypedContextStatusRuleGroup" => drop(set("object_type_id", json!(TASK_TYPE))),
            _ => {}
        }
        if data.contains_key("parent_type") {
            let (parent, word) = match ty {
                "AssetVersionStatusChange" => ("AssetVersion", "assetversion"),
                "TypedContextStatusChange" => ("Task", "task"),
                _ => ("Task", "Task"),
            };
            let parent = self.some(parent);
            data.remove("parent");
            data.insert("parent_type".to_owned(), json!(word));
            data.insert("parent_id".to_owned(), parent["id"].clone());
        }
        self.fit_key(ty, data);
    }

    /// Rows that connect others need a pair that is not connected yet.
    fn fit_key(&mut self, ty: &str, data: &mut Map<String, Value>) {
        let key = self.key(ty);
        if key == ["id"] {
            return;
        }
        for part in key {
            let property = self.properties(ty)[&part].clone();
            let target = foreign(&property).filter(|target| self.schemas.contains_key(target));
            match target {
                Some(target) if target != "Setting" => {
                    let entity = self.make(concrete(&target)).0;
                    // One of the two faces of a reference is enough.
                    let relation = part.strip_suffix("_id").unwrap_or(&part);
                    data.remove(relation);
                    data.remove("recipient");
                    data.remove("task_type");
                    data.remove("task_status");
                    data.insert(part, entity["id"].clone());
                }
                None if part != "parent_id" => {
                    let text = self.unique(&part);
                    data.insert(part, json!(text));
                }
                _ => {}
            }
        }
        if ty == "SettingComponent" {
            let setting = self.make("Setting").0;
            data.remove("setting");
            for part in ["name", "group"] {
                data.insert(part.to_owned(), setting[part].clone());
            }
        }
        if ty == "Recipient" {
            data.remove("user");
        }
    }

    fn find(&self, ty: &str, entity: &Value, projections: &str) -> Value {
        let criteria: Vec<_> = self
            .key(ty)
            .iter()
            .map(|part| match &entity[part] {
                Value::String(text) => format!("{part} is \"{text}\""),
                other => format!("{part} is {other}"),
            })
            .collect();
        let expression = format!(
            "select {projections} from {ty} where {}",
            criteria.join(" and ")
        );
        let mut found = self.site.query(&expression);
        assert_eq!(found.len(), 1, "{expression}");
        found.remove(0)
    }
}

/// A type that stands for one that only names what others have in common.
fn concrete(ty: &str) -> &str {
    match ty {
        "Action" => "WebhookAction",
        "Component" => "FileComponent",
        "Resource" => "User",
        "StatusRuleGroup" => "TypedContextStatusRuleGroup",
        other => other,
    }
}

/// The type that a key attribute points to; only the description tells.
fn foreign(property: &Value) -> Option<String> {
    let description = property["description"].as_str()?;
    let name = description.split("Foreign key(s): ").nth(1)?;
    Some(name.split('.').next()?.to_owned())
}

fn sample(name: &str, property: &Value, second: bool) -> Value {
    if let Some(options) = property["enum"].as_array() {
        return options[options.len() - 1 - usize::from(second)].clone();
    }
    let kind = property["type"].as_str().unwrap_or_default();
    match (property["format"].as_str().unwrap_or(kind), kind) {
        ("date-time", _) => {
            let year = if second { 2027 } else { 2026 };
            json!({"__type__": "datetime", "value": format!("{year}-03-04T05:06:07")})
        }
        ("json", _) => json!(if second { "{\"b\": 2}" } else { "{\"a\": 1}" }),
        (_, "number") => json!(if second { 4.5 } else { 2.5 }),
        (_, "integer") => json!(if second { 9 } else { 7 }),
        (_, "boolean") => json!(!second),
        (_, "object") if second => json!({"b": 2}),
        (_, "object") => json!({"a": [1, "x"]}),
        (_, "string") => json!(format!("{} {name}", if second { "other" } else { "some" })),
        _ => panic!("no sample for {name}: {property}"),
    }
}

/// Whether a value has the form that the schema declares.
fn fits(property: &Value, value: &Value) -> bool {
    let entity = |value: &Value| value["__entity_type__"].is_string();
    match property["type"].as_str() {
        _ if value.is_null() => true,
        // Declared as text, and a list of names since there are servers.
        _ if property["alias_for"]
            .as_str()
            .is_some_and(|it| it.ends_with("api_link")) =>
        {
            value.is_array()
        }
        Some("array") if property["items"]["$ref"].is_null() => value.is_array(),
        Some("array" | "mapped_array") => value.as_array().is_some_and(|it| it.iter().all(entity)),
        Some("string") if property["format"] == "date-time" => {
            value["__type__"] == "datetime"
                && value["value"].as_str().is_some_and(|it| it.len() == 19)
        }
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("variable") => true,
        Some("object") if property["$ref"].is_null() => value.is_object(),
        _ => entity(value),
    }
}

#[test]
fn every_type_is_made_read_and_changed_with_every_attribute() {
    let mut types = Types::new();
    let mut wrong = Vec::new();
    for ty in types.names() {
        let is_link = ty.contains("CustomAttributeLink") && !ty.ends_with("Configuration");
        // Values of custom attributes and links between entities have tests of their own.
        if is_link || ty.ends_with("CustomAttributeValue") {
            continue;
        }
        if BASES.contains(&ty.as_str()) {
            let operation = json!([{"action": "create", "entity_type": ty,
                "entity_data": {"__entity_type__": ty}}]);
            let (_, content) = types.site.refused(&operation);
            assert!(content.contains("is not created itself"), "{ty}: {content}");
            continue;
        }
        let (entity, sent) = types.make(&ty);
        let kind = entity["__entity_type__"].as_str().unwrap();
        // Lists of no particular kind hold contexts.
        assert_eq!(
            kind,
            if ty == "List" {
                "TypedContextList"
            } else {
                &ty
            }
        );
        let names: Vec<_> = types.properties(&ty).keys().cloned().collect();
        let row = types.find(&ty, &entity, &names.join(", "));
        for (name, value) in &sent {
            let is_same = match value["__entity_type__"].is_string() {
                true => types
                    .key(row[name]["__entity_type__"].as_str().unwrap_or(&ty))
                    .iter()
                    .all(|part| row[name][part] == value[part]),
                false => row[name] == *value,
            };
            let follows = FOLLOWS.contains(&(&ty, name)) || ty == "Project" && name == "project_id";
            if !is_same && !follows {
                wrong.push(format!("{ty}.{name}: sent {value}, stored {}", row[name]));
            }
        }
        let key: Vec<_> = types
            .key(&ty)
            .iter()
            .map(|part| entity[part].clone())
            .collect();
        for (name, takes) in types.takes(&ty, true) {
            let is_fixed = types.has(&ty, "immutable", &name)
                || types.key(&ty).contains(&name)
                || matches!(
                    name.as_str(),
                    "parent_type" | "entity_type" | "entity_type_to" | "config" | "key"
                );
            let Takes::Value(mut value) = takes else {
                continue;
            };
            if is_fixed {
                continue;
            }
            if UNIQUE.contains(&name.as_str()) {
                value = json!(types.unique(&ty));
            }
            types.site.update(&ty, &json!(key), json!({ &name: value }));
            let stored = types.find(&ty, &entity, &name)[&name].clone();
            if stored != value {
                wrong.push(format!("{ty}.{name}: set to {value}, stored {stored}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_projection_of_every_type_has_the_form_that_the_schema_says() {
    let mut types = Types::new();
    // Each reply whole, though they come in one batch.
    let whole = [("ftrack-api-options", "strict:1;denormalize:1")];
    let mut wrong = Vec::new();
    for ty in types.names() {
        let is_made = !BASES.contains(&ty.as_str())
            && !ty.contains("CustomAttributeLink")
            && !ty.ends_with("CustomAttributeValue");
        if is_made {
            types.some(&ty);
        }
        let properties = types.properties(&ty).clone();
        let mut asked = Vec::new();
        for (name, property) in &properties {
            asked.push((name, None, format!("select {name} from {ty} limit 5")));
            let items = &property["items"]["$ref"];
            let target = property["$ref"].as_str().or(items.as_str());
            if let Some(target) = target.filter(|target| types.schemas.contains_key(*target)) {
                let inner = types.properties(target).keys();
                let inner: Vec<_> = inner.map(|inner| format!("{name}.{inner}")).collect();
                let expression = format!("select {} from {ty} limit 2", inner.join(", "));
                asked.push((name, Some(target.to_owned()), expression));
            }
        }
        let operations: Vec<_> = asked
            .iter()
            .map(|(_, _, expression)| json!({"action": "query", "expression": expression}))
            .collect();
        let (_, responses) = types.site.post(&whole, &json!(operations).to_string());
        assert!(responses.is_array(), "{ty}: {responses}");
        for ((name, target, expression), response) in
            asked.iter().zip(responses.as_array().unwrap())
        {
            let property = &properties[*name];
            let rows = response["data"].as_array().unwrap();
            assert!(!is_made || !rows.is_empty(), "{expression}: no rows");
            for row in rows {
                let value = row.get(*name);
                // Of some types only rows of others show that they have the attribute.
                let kind = row["__entity_type__"].as_str().unwrap();
                let is_declared = types.properties(kind).contains_key(*name);
                match value {
                    None if property["restricted_projection"] == true || !is_declared => {}
                    None => wrong.push(format!("{expression}: {name} is absent")),
                    Some(value) if !fits(property, value) => {
                        wrong.push(format!("{expression}: {value}"));
                    }
                    Some(value) if target.is_some() => {
                        let first = value.as_array().map_or(Some(value), |list| list.first());
                        let Some(first) = first.filter(|first| first.is_object()) else {
                            continue;
                        };
                        let kind = first["__entity_type__"].as_str().unwrap();
                        for (inner, property) in types.properties(kind) {
                            let is_asked = types
                                .properties(target.as_ref().unwrap())
                                .contains_key(inner);
                            if is_asked
                                && property["restricted_projection"] != true
                                && !first.get(inner).is_some_and(|value| fits(property, value))
                            {
                                wrong
                                    .push(format!("{expression}: {kind}.{inner} {}", first[inner]));
                            }
                        }
                    }
                    Some(_) => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn links_between_entities_have_the_types_of_their_ends() {
    let mut types = Types::new();
    for (kind, word, concrete, relation) in [
        ("Context", "task", "Task", "context"),
        (
            "AssetVersion",
            "assetversion",
            "AssetVersion",
            "asset_version",
        ),
        ("Asset", "asset", "Asset", "asset"),
        ("User", "user", "User", "user"),
        ("Group", "group", "Group", "group"),
        ("List", "list", "TypedContextList", "list"),
        ("Component", "component", "FileComponent", "component"),
    ] {
        let (task, other) = (types.some("Task"), types.some(concrete));
        for (from, to, ends, ty) in [
            (
                "task",
                word,
                (&task, &other),
                format!("{kind}CustomAttributeLink"),
            ),
            (
                word,
                "task",
                (&other, &task),
                format!("{kind}CustomAttributeLinkFrom"),
            ),
        ] {
            let key = types.unique("link");
            let configuration = types.site.create(
                "CustomAttributeLinkConfiguration",
                json!({"key": key, "label": "L", "entity_type": from, "entity_type_to": to}),
            );
            let link = types.site.create(
                &ty,
                json!({"configuration_id": configuration["id"], "from_id": ends.0["id"],
                    "to_id": ends.1["id"]}),
            );
            assert_eq!(link["__entity_type__"], ty);
            let names: Vec<_> = types.properties(&ty).keys().cloned().collect();
            let row = types.find(&ty, &link, &names.join(", "));
            assert_eq!(row[relation]["id"], other["id"], "{ty}");
            assert_eq!(row["configuration"]["id"], configuration["id"], "{ty}");
            for (name, property) in types.properties(&ty) {
                assert!(fits(property, &row[name]), "{ty}.{name}: {}", row[name]);
            }
        }
    }
}

#[test]
fn values_of_custom_attributes_are_there_for_everything_that_can_have_them() {
    let mut types = Types::new();
    let number = "select id from CustomAttributeType where name is number";
    let number = types.site.query(number)[0]["id"].clone();
    for (kind, word, concrete) in [
        ("Context", "show", "Project"),
        ("AssetVersion", "assetversion", "AssetVersion"),
        ("Asset", "asset", "Asset"),
        ("User", "user", "User"),
        ("List", "list", "TypedContextList"),
    ] {
        let ty = format!("{kind}CustomAttributeValue");
        let owner = types.some(concrete)["id"].clone();
        let key = types.unique("key").replace(' ', "_");
        let configuration = types.site.create(
            "CustomAttributeConfiguration",
            json!({"key": key, "label": "L", "entity_type": word, "type_id": number, "default": 3,
                "config": "{}", "is_hierarchical": false}),
        );
        let key = json!([configuration["id"], owner]);
        let operation = json!([{"action": "create", "entity_type": ty, "entity_data": {
            "__entity_type__": ty, "configuration_id": key[0], "entity_id": key[1], "value": 4}}]);
        let (_, content) = types.site.refused(&operation);
        assert!(content.contains("always exist"), "{content}");
        let criteria = format!("configuration_id is {} and entity_id is {}", key[0], key[1]);
        let value = |ty: &str, projections: &str| {
            let expression = format!("select {projections} from {ty} where {criteria}");
            types.site.query(&expression)
        };
        let names: Vec<_> = types.properties(&ty).keys().cloned().collect();
        let dense = value(&ty, &names.join(", "));
        assert_eq!(dense[0]["value"], 3, "{ty}");
        assert_eq!(dense[0]["configuration"]["id"], key[0], "{ty}");
        assert!(
            value("CustomAttributeValue", "value").is_empty(),
            "{ty}: nothing is stored"
        );
        types.site.update(&ty, &key, json!({"value": 4}));
        assert_eq!(value(&ty, "value")[0]["value"], 4, "{ty}");
        assert_eq!(
            value("CustomAttributeValue", "value")[0]["value"],
            4,
            "{ty}"
        );
    }
}
