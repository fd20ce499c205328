//! From the wire's description of the schema to [`Schema`].

use serde::Deserialize;
use smol_str::SmolStr;

use super::kinds::base_of;
use super::names::Names;
use super::{
    Attribute, AttributeDefault, AttributeKind, EntityType, Flags, NameId, Schema, TypeId,
};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{HashMap, Value, scalar};

/// One element of `query_schemas`, as far as it is used here.
#[derive(Deserialize)]
pub(crate) struct WireSchema {
    id: SmolStr,
    primary_key: Vec<SmolStr>,
    #[serde(default)]
    default_projections: Vec<SmolStr>,
    #[serde(default)]
    immutable: Vec<SmolStr>,
    #[serde(default)]
    computed: Vec<SmolStr>,
    #[serde(default)]
    required: Vec<SmolStr>,
    #[serde(default)]
    alias_for: Option<WireAlias>,
    properties: Properties,
}

/// In the order of their names, so that the server's order does not matter.
type Properties = std::collections::BTreeMap<SmolStr, WireProperty>;

#[derive(Deserialize)]
struct WireProperty {
    #[serde(rename = "type")]
    data_type: Option<SmolStr>,
    format: Option<SmolStr>,
    #[serde(rename = "$ref")]
    reference: Option<SmolStr>,
    items: Option<WireItems>,
    default: Option<serde_json::Value>,
    #[serde(default)]
    restricted_projection: bool,
    description: Option<String>,
    alias_for: Option<WireAlias>,
}

#[derive(Deserialize)]
struct WireItems {
    #[serde(rename = "$ref")]
    reference: Option<SmolStr>,
}

/// The name of a table or column, or the part of a table that a type stands for.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireAlias {
    Name(SmolStr),
    Part { id: SmolStr },
}

impl Schema {
    /// # Errors
    ///
    /// [`ErrorKind::BadResponse`] if the description contradicts itself.
    pub(crate) fn from_wire(wire: Vec<WireSchema>, hash: String) -> Result<Self> {
        let tables: HashMap<SmolStr, SmolStr> = wire
            .iter()
            .filter_map(|schema| match &schema.alias_for {
                Some(WireAlias::Name(table)) => Some((table.clone(), schema.id.clone())),
                _ => None,
            })
            .collect();
        let mut schema = Self {
            types: Vec::with_capacity(wire.len()),
            type_ids: HashMap::default(),
            names: Names::default(),
            free_form: Vec::new(),
            hash,
        };
        for entry in wire {
            schema.add(entry, &tables)?;
        }
        schema.check_bases()?;
        schema.pair();
        Ok(schema)
    }

    /// No type may be a kind of itself: whoever follows the bases must come to an end.
    fn check_bases(&self) -> Result<()> {
        for one in &self.types {
            let base_of = |one: &&EntityType| one.base().and_then(|base| self.find(base));
            let bases = std::iter::successors(Some(one), base_of);
            if bases.take(self.types.len() + 1).count() > self.types.len() {
                return Err(bad(&format!("{} is a kind of itself", one.name)));
            }
        }
        Ok(())
    }

    fn add(&mut self, wire: WireSchema, tables: &HashMap<SmolStr, SmolStr>) -> Result<()> {
        let id = TypeId(small(self.types.len())?);
        if self.type_ids.insert(wire.id.clone(), id).is_some() {
            return Err(bad(&format!("{} is described twice", wire.id)));
        }
        if wire.primary_key.is_empty() {
            return Err(bad(&format!("{} has no primary key", wire.id)));
        }
        let mut attributes = Vec::with_capacity(wire.properties.len());
        let mut by_name = Vec::new();
        for (name, property) in &wire.properties {
            let Some(kind) = kind_of(property) else {
                log::debug!("schema: {}.{name} is of no known kind", wire.id);
                continue;
            };
            let attribute = Attribute {
                id: self.intern(name, &kind)?,
                counterpart: None,
                flags: Flags {
                    immutable: wire.immutable.contains(name),
                    computed: wire.computed.contains(name),
                    required: wire.required.contains(name),
                    restricted: property.restricted_projection,
                },
                default: default_of(property),
                description: property.description.clone(),
                alias: property.alias_for.as_ref().map(WireAlias::name),
                name: name.clone(),
                kind,
            };
            let place = usize::from(attribute.id.0);
            attributes.push(attribute);
            by_name.resize(by_name.len().max(place + 1), 0);
            by_name[place] = small(attributes.len())?;
        }
        let (alias, classified) = match &wire.alias_for {
            Some(WireAlias::Name(name)) => (Some(name.clone()), None),
            Some(WireAlias::Part { id }) => (Some(id.clone()), Some(id.as_str())),
            None => (None, None),
        };
        let key_names = wire.primary_key.iter();
        let primary_key = key_names.map(|name| self.intern(name, &AttributeKind::Text));
        let primary_key = primary_key.collect::<Result<_>>()?;
        self.types.push(EntityType {
            id,
            primary_key,
            base: base_of(&wire.id, classified, tables),
            name: wire.id,
            attributes,
            by_name,
            primary_key_names: wire.primary_key,
            default_projections: wire.default_projections,
            alias,
        });
        Ok(())
    }

    fn intern(&mut self, name: &SmolStr, kind: &AttributeKind) -> Result<NameId> {
        let free_form = *kind == AttributeKind::Variable || is_link(name);
        if let Some(id) = self.names.find(name) {
            self.free_form[usize::from(id.0)] |= free_form;
            return Ok(id);
        }
        let id = NameId(small(self.names.len())?);
        self.names.push(name.clone(), id);
        self.free_form.push(free_form);
        Ok(id)
    }

    /// Finds the foreign key of each reference.
    fn pair(&mut self) {
        for entity_type in &mut self.types {
            let references = entity_type.attributes.iter().enumerate();
            let pairs: Vec<_> = references
                .filter(|(_, one)| matches!(one.kind, AttributeKind::Reference(_)))
                .filter_map(|(place, one)| {
                    let id = self.names.find(&format!("{}_id", one.name))?;
                    let other = usize::from(*entity_type.by_name.get(usize::from(id.0))?);
                    Some((place, other.checked_sub(1)?))
                })
                .filter(|&(_, other)| entity_type.attributes[other].kind == AttributeKind::Text)
                .collect();
            for (reference, key) in pairs {
                let (one, other) = (
                    entity_type.attributes[reference].id,
                    entity_type.attributes[key].id,
                );
                entity_type.attributes[reference].counterpart = Some(other);
                entity_type.attributes[key].counterpart = Some(one);
            }
        }
    }
}

impl WireAlias {
    fn name(&self) -> SmolStr {
        match self {
            Self::Name(name) | Self::Part { id: name } => name.clone(),
        }
    }
}

/// `None` for what no client can see, such as a property with neither type nor reference.
fn kind_of(property: &WireProperty) -> Option<AttributeKind> {
    let items = property.items.as_ref();
    let target = items.and_then(|items| items.reference.clone());
    Some(match (property.data_type.as_deref(), &property.reference) {
        (Some("string"), _) if property.format.as_deref() == Some("date-time") => {
            AttributeKind::DateTime
        }
        (Some("string"), _) => AttributeKind::Text,
        (Some("boolean"), _) => AttributeKind::Bool,
        (Some("integer"), _) => AttributeKind::Integer,
        (Some("number"), _) => AttributeKind::Number,
        (Some("object" | "variable"), _) => AttributeKind::Variable,
        (Some("array"), _) => AttributeKind::Collection(target?),
        (Some("mapped_array"), _) => AttributeKind::Mapped(target?),
        (None, Some(reference)) => AttributeKind::Reference(reference.clone()),
        _ => return None,
    })
}

/// Contexts and versions declare `link` and `_link` as strings, but answer with a list of
/// `{id, name, type}` (SERVER.md D).
fn is_link(name: &str) -> bool {
    matches!(name, "link" | "_link")
}

fn default_of(property: &WireProperty) -> AttributeDefault {
    match &property.default {
        None | Some(serde_json::Value::Null) => AttributeDefault::None,
        Some(serde_json::Value::String(text)) if text == "{uid}" => AttributeDefault::Uuid,
        Some(value) => AttributeDefault::Value(value_of(value)),
    }
}

pub(super) fn value_of(json: &serde_json::Value) -> Value {
    scalar(json).unwrap_or_else(|| json.clone().into())
}

/// Ids are small so that records are.
fn small(count: usize) -> Result<u16> {
    u16::try_from(count).map_err(|_| bad("it has more than 65,535 names"))
}

fn bad(what: &str) -> Error {
    Error::new(
        ErrorKind::BadResponse,
        format!("the server's schema cannot be used: {what}"),
    )
}
