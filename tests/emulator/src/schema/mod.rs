//! The entity types that the server offers, as `query_schemas` returns them and parsed for use.

mod attribute;
pub mod compact;
pub mod hash;

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// All entity types of a site, in the order in which they are sent.
#[derive(Clone, Debug)]
pub struct Schema {
    wire: Value,
    hash: String,
    types: Vec<EntityType>,
    by_name: HashMap<String, usize>,
}

/// One entity type.
#[derive(Clone, Debug)]
pub struct EntityType {
    /// The name that operations use.
    pub id: String,
    /// The attributes, in the order in which they are sent.
    pub attributes: Vec<Attribute>,
    /// The names of the attributes that identify an entity.
    pub primary_key: Vec<String>,
    /// Server column names that every response carries.
    pub system_projections: Vec<String>,
    /// What a client asks for when its query names no projections.
    pub default_projections: Vec<String>,
    /// Attributes that must have a value when a batch ends.
    pub required: Vec<String>,
    /// Attributes that cannot change after the creation.
    pub immutable: Vec<String>,
    /// Attributes that the server calculates.
    pub computed: Vec<String>,
    /// The table that several types share: `("Task", [("object_typeid", id)])`, or just a name.
    pub alias: Option<(String, Vec<(String, String)>)>,
    /// The type that this one extends, where the schema says so.
    pub mixin: Option<String>,
    by_name: HashMap<String, usize>,
}

/// One attribute of an entity type.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name that operations use.
    pub name: String,
    /// What a value is.
    pub kind: Kind,
    /// The server's column name (`statusid`).
    pub alias: Option<String>,
    /// What a new entity gets; the text `{uid}` stands for a new id.
    pub default: Option<Value>,
    /// The type that a key attribute points to.
    pub foreign: Option<String>,
    /// Whether responses carry it only on demand.
    pub restricted: bool,
    /// The only values that are allowed; empty if all are.
    pub options: Vec<String>,
}

/// What a value of an attribute is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// The id of an entity.
    Key,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// An instant, in whole seconds UTC.
    DateTime,
    /// Whatever the custom attribute's configuration says.
    Variable,
    /// A structure that the server calculates.
    Object,
    /// One entity of the named type.
    Reference(String),
    /// Several entities of the named type.
    Collection(String),
    /// Rows of the named type that clients show as a dictionary.
    Mapped(String),
}

impl Schema {
    /// Parses the list of schemas that `query_schemas` returns.
    ///
    /// # Errors
    ///
    /// If it is no list, or one of its elements lacks an id, a primary key or properties.
    pub fn from_json(wire: Value) -> Result<Self> {
        let list = wire
            .as_array()
            .context("schemas must be a JSON list of entity types")?;
        let types = list
            .iter()
            .map(EntityType::parse)
            .collect::<Result<Vec<_>>>()?;
        if types.is_empty() {
            bail!("the list of schemas is empty");
        }
        let by_name = types
            .iter()
            .enumerate()
            .map(|(i, t)| (t.id.clone(), i))
            .collect();
        let hash = hash::schema_hash(&wire);
        Ok(Self {
            wire,
            hash,
            types,
            by_name,
        })
    }

    /// The schemas as they are sent.
    pub fn wire(&self) -> &Value {
        &self.wire
    }

    /// The MD5 of the schemas that clients compare with their caches.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// All types, in the order in which they are sent.
    pub fn types(&self) -> &[EntityType] {
        &self.types
    }

    /// The type of this name.
    pub fn get(&self, name: &str) -> Option<&EntityType> {
        self.by_name.get(name).map(|&index| &self.types[index])
    }

    /// The types that extend this one, directly or through others; so the schema says.
    pub fn extensions<'s>(&'s self, base: &'s str) -> impl Iterator<Item = &'s EntityType> {
        let extends = move |ty: &&EntityType| self.bases(ty).any(|name| name == base);
        self.types.iter().filter(extends)
    }

    /// What a type extends, the nearest first. A schema that goes in circles cannot make this
    /// endless.
    pub fn bases<'s>(&'s self, ty: &'s EntityType) -> impl Iterator<Item = &'s str> {
        let next = |name: &&'s str| self.get(name)?.mixin.as_deref();
        std::iter::successors(ty.mixin.as_deref(), next).take(8)
    }

    /// The kinds of objects that a site made itself or found there: everything that is stored
    /// in the table of tasks, with the id of its object type.
    pub fn object_kinds(&self) -> impl Iterator<Item = (&EntityType, &str)> {
        self.types.iter().filter_map(|ty| {
            let (table, classifiers) = ty.alias.as_ref()?;
            let (_, id) = classifiers.iter().find(|(key, _)| key == "object_typeid")?;
            (table == "Task").then_some((ty, id.as_str()))
        })
    }
}

impl EntityType {
    fn parse(wire: &Value) -> Result<Self> {
        let id = wire["id"]
            .as_str()
            .context("a schema lacks its \"id\"")?
            .to_owned();
        let properties = wire["properties"]
            .as_object()
            .with_context(|| format!("schema {id} lacks \"properties\""))?;
        let attributes: Vec<_> = properties
            .iter()
            .map(|(name, property)| Attribute::parse(name, property))
            .collect();
        let by_name = attributes
            .iter()
            .enumerate()
            .map(|(i, a)| (a.name.clone(), i))
            .collect();
        let primary_key = names(&wire["primary_key"]);
        if primary_key.is_empty() {
            bail!("schema {id} lacks its \"primary_key\"");
        }
        Ok(Self {
            alias: alias(&wire["alias_for"]),
            mixin: wire["$mixin"]["$ref"].as_str().map(str::to_owned),
            id,
            attributes,
            primary_key,
            system_projections: names(&wire["system_projections"]),
            default_projections: names(&wire["default_projections"]),
            required: names(&wire["required"]),
            immutable: names(&wire["immutable"]),
            computed: names(&wire["computed"]),
            by_name,
        })
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.by_name.get(name).map(|&index| &self.attributes[index])
    }
}

impl Attribute {
    fn parse(name: &str, wire: &Value) -> Self {
        let foreign = (wire["format"] == "foreign_key")
            .then(|| wire["description"].as_str().and_then(foreign_type))
            .flatten();
        Self {
            name: name.to_owned(),
            kind: kind(name, wire),
            alias: wire["alias_for"].as_str().map(str::to_owned),
            default: wire.get("default").cloned(),
            foreign,
            restricted: wire["restricted_projection"] == true,
            options: names(&wire["enum"]),
        }
    }
}

fn kind(name: &str, wire: &Value) -> Kind {
    let target = |value: &Value| value["$ref"].as_str().unwrap_or_default().to_owned();
    match wire["type"].as_str() {
        Some("array") => Kind::Collection(target(&wire["items"])),
        Some("mapped_array") => Kind::Mapped(target(&wire["items"])),
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("variable") => Kind::Variable,
        Some("object") => Kind::Object,
        None if wire["$ref"].is_string() => Kind::Reference(target(wire)),
        _ if wire["format"] == "date-time" => Kind::DateTime,
        _ if wire["format"] == "foreign_key" || name == "id" || name.ends_with("_id") => Kind::Key,
        _ => Kind::Text,
    }
}

/// `Foreign key(s): User.user_id` names the type before the dot.
fn foreign_type(description: &str) -> Option<String> {
    let (_, list) = description.split_once(':')?;
    let (name, _) = list.trim().split_once('.')?;
    Some(name.to_owned())
}

fn alias(wire: &Value) -> Option<(String, Vec<(String, String)>)> {
    if let Some(name) = wire.as_str() {
        return Some((name.to_owned(), Vec::new()));
    }
    let classifiers = wire["classifiers"].as_object().into_iter().flatten();
    let classifiers = classifiers
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    Some((wire["id"].as_str()?.to_owned(), classifiers))
}

fn names(wire: &Value) -> Vec<String> {
    let list = wire.as_array().into_iter().flatten();
    list.filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}
