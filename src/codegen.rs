//! From a schema to a Rust module: one struct for each entity type.
//!
//! The structs are for [`Query::rows`](crate::Query::rows) and
//! [`Entity::read`](crate::Entity::read). Generate the module once and keep it with the program:
//! then the compiler rejects names that the server does not have.
//!
//! ```
//! # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
//! use ftrack_api::codegen::{CustomAttributeRow, rust_module};
//!
//! let configurations = session.select("CustomAttributeConfiguration");
//! let custom: Vec<CustomAttributeRow> = configurations.rows().collect::<Result<_, _>>()?;
//! let text = rust_module(session.schema(), &custom);
//! assert!(text.contains("pub struct Task {"));
//! // std::fs::write("src/studio.rs", text)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The generated code needs the crates `serde` (with `derive`), `serde_json`, `jiff` (with
//! `serde`) and this one; put it into its own file. Collections are omitted, because reading an
//! entity would load all of them: use [`Entity::collection`](crate::Entity::collection), or a struct
//! of your own. References to entities with several key attributes are omitted too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use crate::schema::{Attribute, AttributeKind, EntityType, Schema};

/// A custom attribute, as a row of `CustomAttributeConfiguration`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[non_exhaustive]
pub struct CustomAttributeRow {
    /// Its name in queries.
    pub key: String,
    /// Its display name.
    pub label: Option<String>,
    /// The kind of entity that has it: `task` for everything that has an object type, `show`
    /// for projects, and so on.
    pub entity_type: String,
    /// The object type that has it, such as `Shot`.
    pub object_type: Option<NameRow>,
    /// Whether values are inherited; then nearly all entity types have it.
    pub is_hierarchical: Option<bool>,
    /// The kind of its values: `text`, `number`, `boolean`, `date`, `enumerator` and so on.
    #[serde(rename = "type")]
    pub kind: NameRow,
}

/// The name of an entity that a row refers to.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameRow {
    /// The name.
    pub name: String,
}

/// The text of a Rust module with a struct for each entity type of the schema. It depends on the
/// schema and the custom attributes only, not on their order.
pub fn rust_module(schema: &Schema, custom_attributes: &[CustomAttributeRow]) -> String {
    let mut module = format!(
        "//! The entity types of a server, generated from its schema by `ftrack_api::codegen`.\n\
         //!\n\
         //! Do not edit it. The schema's hash: {}.\n",
        schema.hash()
    );
    let mut types: Vec<&EntityType> = schema.entity_types().iter().collect();
    types.sort_by_key(|entity_type| entity_type.name());
    let mut names = Names::new(["Option", "String", "Some", "None", "Ok", "Err"]);
    for entity_type in types {
        let name = names.take(&pascal(entity_type.name()));
        let custom = custom_for(entity_type, custom_attributes);
        let custom_name = (!custom.is_empty()).then(|| names.take(&format!("{name}Custom")));
        let attributes = attributes(schema, entity_type, custom_name.as_deref());
        let docs = format!("The attributes of `{}`.", entity_type.name());
        structure(&mut module, &name, &docs, &attributes);
        if let Some(custom_name) = custom_name {
            let docs = format!("The custom attributes of `{}`.", entity_type.name());
            structure(&mut module, &custom_name, &docs, &custom);
        }
    }
    module
}

/// Reads a list of `{key, value}`, the form of custom attributes and metadata, as a struct with
/// a field for each key. For `#[serde(deserialize_with)]`; generated modules use it.
///
/// # Errors
///
/// - If the values do not fit the struct.
pub fn key_values<'de, D, T>(list: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    #[derive(Deserialize)]
    struct Pair {
        key: String,
        value: Json,
    }
    let pairs = Vec::<Pair>::deserialize(list)?;
    let object: Map<String, Json> = pairs.into_iter().map(|one| (one.key, one.value)).collect();
    T::deserialize(Json::Object(object)).map_err(serde::de::Error::custom)
}

/// One field of a generated struct.
struct Member {
    /// The name on the wire.
    name: String,
    docs: String,
    data_type: String,
    is_optional: bool,
    /// Further arguments of the attribute `serde`.
    serde: Option<&'static str>,
}

fn attributes(schema: &Schema, entity_type: &EntityType, custom_name: Option<&str>) -> Vec<Member> {
    let visible = entity_type
        .attributes()
        .iter()
        .filter(|one| !one.is_restricted());
    let mut members: Vec<Member> = visible
        .filter_map(|attribute| member(schema, entity_type, attribute))
        .collect();
    if let Some(custom_name) = custom_name {
        members.push(Member {
            name: "custom_attributes".to_owned(),
            docs: "The custom attributes.".to_owned(),
            data_type: custom_name.to_owned(),
            is_optional: false,
            serde: Some("deserialize_with = \"ftrack_api::codegen::key_values\""),
        });
    }
    members.sort_by(|one, other| one.name.cmp(&other.name));
    members
}

fn member(schema: &Schema, entity_type: &EntityType, attribute: &Attribute) -> Option<Member> {
    let name = attribute.name();
    let (data_type, docs) = match attribute.kind() {
        _ if schema
            .name_id(name)
            .is_some_and(|id| schema.is_free_form(id)) =>
        {
            ("serde_json::Value", "Free-form data.".to_owned())
        }
        AttributeKind::Text => ("String", "A text.".to_owned()),
        AttributeKind::Bool => ("bool", "Yes or no.".to_owned()),
        AttributeKind::Integer => ("i64", "A whole number.".to_owned()),
        AttributeKind::Number => ("f64", "A number.".to_owned()),
        AttributeKind::DateTime => ("jiff::civil::DateTime", "A point in time.".to_owned()),
        AttributeKind::Reference(target) => {
            if schema.find(target)?.primary_key().len() != 1 {
                return None;
            }
            ("ftrack_api::EntityKey", format!("Refers to a `{target}`."))
        }
        _ => return None,
    };
    let is_key = entity_type.primary_key().iter().any(|key| key == name);
    // A reference is null if the user may not see the entity.
    let may_be_null = attribute.target().is_some()
        || !attribute.is_required()
        || NULL_THOUGH_REQUIRED.contains(&(entity_type.name(), name));
    Some(Member {
        name: name.to_owned(),
        docs: attribute.description().map_or(docs, str::to_owned),
        data_type: data_type.to_owned(),
        is_optional: !is_key && may_be_null,
        serde: None,
    })
}

/// Required attributes that are null all the same: users without a login.
const NULL_THOUGH_REQUIRED: &[(&str, &str)] = &[("User", "username")];

/// The custom attributes that entities of this type have, by key.
fn custom_for(entity_type: &EntityType, all: &[CustomAttributeRow]) -> Vec<Member> {
    let has_custom = entity_type.attribute("custom_attributes").is_ok();
    let fitting = all
        .iter()
        .filter(|one| has_custom && fits(entity_type, one));
    // A key may be configured several times, for several projects; then its values may be of any kind.
    let mut by_key: BTreeMap<&str, Member> = BTreeMap::new();
    for custom in fitting {
        let data_type = match custom.kind.name.as_str() {
            "text" | "expression" => "String",
            "number" => "f64",
            "boolean" => "bool",
            "date" => "jiff::civil::DateTime",
            _ => "serde_json::Value",
        };
        let docs = custom
            .label
            .as_deref()
            .filter(|label| !label.trim().is_empty())
            .unwrap_or(&custom.key);
        let member = by_key.entry(&custom.key).or_insert_with(|| Member {
            name: custom.key.clone(),
            docs: docs.to_owned(),
            data_type: data_type.to_owned(),
            is_optional: true,
            serde: None,
        });
        if member.data_type != data_type {
            "serde_json::Value".clone_into(&mut member.data_type);
        }
        if *docs < *member.docs {
            docs.clone_into(&mut member.docs);
        }
    }
    by_key.into_values().collect()
}

/// Whether entities of the type have the custom attribute.
fn fits(entity_type: &EntityType, custom: &CustomAttributeRow) -> bool {
    let name = entity_type.name();
    let has_object_type = entity_type.attribute("object_type_id").is_ok();
    if custom.is_hierarchical == Some(true) {
        return has_object_type || matches!(name, "Asset" | "AssetVersion" | "Project");
    }
    match custom.entity_type.as_str() {
        "task" => match &custom.object_type {
            Some(object_type) => object_type.name.replace(' ', "") == name,
            None => has_object_type,
        },
        "show" => name == "Project",
        "assetversion" => name == "AssetVersion",
        "asset" => name == "Asset",
        "user" => name == "User",
        "list" => matches!(name, "TypedContextList" | "AssetVersionList"),
        _ => false,
    }
}

fn structure(module: &mut String, name: &str, about: &str, members: &[Member]) {
    module.push('\n');
    docs(module, "", about);
    module.push_str("#[derive(Clone, Debug, PartialEq, serde::Deserialize)]\n");
    if members.is_empty() {
        // Writing to a string does not fail.
        let _ = writeln!(module, "pub struct {name} {{}}");
        return;
    }
    let _ = writeln!(module, "pub struct {name} {{");
    let mut names = Names::new([]);
    for member in members {
        docs(module, "    ", &member.docs);
        let field = names.take(&snake(&member.name));
        let renamed = (field.trim_start_matches("r#") != member.name)
            .then(|| format!("rename = {:?}", member.name));
        let serde: Vec<&str> = renamed.as_deref().into_iter().chain(member.serde).collect();
        if !serde.is_empty() {
            let _ = writeln!(module, "    #[serde({})]", serde.join(", "));
        }
        let data_type = match member.is_optional {
            true => format!("Option<{}>", member.data_type),
            false => member.data_type.clone(),
        };
        let _ = writeln!(module, "    pub {field}: {data_type},");
    }
    module.push_str("}\n");
}

/// The text as documentation: a line for each line, and no code that `rustdoc` would run.
fn docs(module: &mut String, indent: &str, text: &str) {
    let text = text.replace("```", "'''").replace("~~~", "'''");
    let lines = text.split(['\n', '\r']).map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let _ = writeln!(module, "{indent}/// {line}");
    }
}

/// Names that are taken in one place, so that none is given twice.
struct Names(BTreeSet<String>);

impl Names {
    fn new<const N: usize>(taken: [&str; N]) -> Self {
        Self(taken.into_iter().map(str::to_owned).collect())
    }

    /// A name like this that is free, as Rust writes it.
    fn take(&mut self, wanted: &str) -> String {
        let wanted = match wanted {
            // These four cannot be written even with `r#`.
            "self" | "Self" | "super" | "crate" => format!("{wanted}_"),
            _ => wanted.to_owned(),
        };
        let mut name = wanted.clone();
        let mut number = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        match KEYWORDS.contains(&name.as_str()) {
            true => format!("r#{name}"),
            false => name,
        }
    }
}

/// `customNumber` as `custom_number`, `1st take` as `_1st_take`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c.is_ascii_uppercase() && after_small {
            out.push('_');
        }
        after_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(c.to_ascii_lowercase());
    }
    started(out)
}

/// The name of an entity type as that of a struct.
fn pascal(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut is_start = true;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(if is_start { c.to_ascii_uppercase() } else { c });
        }
        is_start = !c.is_ascii_alphanumeric();
    }
    started(out)
}

/// With an underscore where a name may not begin, or is none: `_` alone is no name.
fn started(name: String) -> String {
    if name.trim_matches('_').is_empty() {
        return format!("{name}_unnamed");
    }
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// The words that cannot be names, in any edition.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::tests::schema;

    fn custom(key: &str, kind: &str) -> CustomAttributeRow {
        let name = |name: &str| NameRow {
            name: name.to_owned(),
        };
        CustomAttributeRow {
            key: key.to_owned(),
            label: None,
            entity_type: "task".to_owned(),
            object_type: Some(name("Task")),
            is_hierarchical: Some(false),
            kind: name(kind),
        }
    }

    #[test]
    fn any_name_becomes_one() {
        for (given, expected) in [
            ("status_id", "status_id"),
            ("customNumber", "custom_number"),
            ("NumberField", "number_field"),
            ("my key!", "my_key_"),
            ("1st", "_1st"),
            ("größe", "gr__e"),
            ("", "_unnamed"),
            ("_", "__unnamed"),
            ("_link", "_link"),
        ] {
            assert_eq!(snake(given), expected);
        }
        let mut names = Names::new(["Option"]);
        assert_eq!(names.take("type"), "r#type");
        assert_eq!(names.take("self_"), "self_");
        assert_eq!(names.take("self"), "self__2");
        assert_eq!(names.take("Option"), "Option_2");
        assert_eq!(names.take("a"), "a");
        assert_eq!(names.take("a"), "a_2");
    }

    #[test]
    fn descriptions_cannot_run_code_or_end_the_comment() {
        let mut out = String::new();
        docs(&mut out, "  ", "one\n\n    ```\r\npanic!()\n~~~\n*/ two");
        assert_eq!(
            out,
            "  /// one\n  /// '''\n  /// panic!()\n  /// '''\n  /// */ two\n"
        );
    }

    #[test]
    fn the_order_of_custom_attributes_does_not_matter() {
        let schema = schema();
        let mut all = vec![
            custom("b", "text"),
            custom("a", "date"),
            custom("b", "number"),
        ];
        all[2].label = Some("zed".to_owned());
        let one = rust_module(&schema, &all);
        all.reverse();
        assert_eq!(rust_module(&schema, &all), one);
        assert_eq!(one.matches("pub b: Option<serde_json::Value>,").count(), 1);
        assert_eq!(
            one.matches("pub a: Option<jiff::civil::DateTime>,").count(),
            1
        );
    }

    #[test]
    fn pairs_become_a_struct() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Outer {
            #[serde(deserialize_with = "key_values")]
            custom: Custom,
        }
        #[derive(Debug, Deserialize, PartialEq)]
        struct Custom {
            fstart: Option<f64>,
            missing: Option<String>,
        }
        let json = r#"{"custom": [{"key":"fstart","value":3,"entity_id":"x"},
            {"key":"other","value":[1]}]}"#;
        let outer: Outer = serde_json::from_str(json).unwrap();
        assert_eq!(outer.custom.fstart, Some(3.0));
        assert_eq!(outer.custom.missing, None);
        let wrong = r#"{"custom": [{"key":"fstart","value":"x"}]}"#;
        assert!(serde_json::from_str::<Outer>(wrong).is_err());
    }
}
