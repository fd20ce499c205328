//! Builds a [`Schema`] from its description on the wire.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use super::index::AttributeIndex;
use super::kinds::base_of;
use super::names::Names;
use super::{
    Attribute, AttributeDefault, AttributeKind, EntityType, Flags, NameId, Schema, TypeId,
};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{HashMap, Members, from_json};

/// One element of the reply to `query_schemas`; other members are ignored.
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
    /// The type that it extends, on newer servers.
    #[serde(default, rename = "$mixin")]
    mixin: Option<WireItems>,
    #[serde(deserialize_with = "sorted")]
    properties: Properties,
}

/// The maximum length of a chain of bases. Servers have chains of three.
const MAX_BASES: usize = 32;

type Properties = Vec<(SmolStr, WireProperty)>;

/// Sorted by name, so that the server's order does not matter.
fn sorted<'de, D: Deserializer<'de>>(json: D) -> Result<Properties, D::Error> {
    let Members(mut all) = Members::deserialize(json)?;
    // The cache is sorted already. Of members with one name the last one counts.
    if !all.is_sorted_by(|one, next| one.0 < next.0) {
        all.reverse();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all.dedup_by(|one, before| one.0 == before.0);
    }
    Ok(all)
}

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

/// The name of a table or column, or the part of a table that a type covers.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireAlias {
    Name(SmolStr),
    Part { id: SmolStr },
}

impl Schema {
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if the description contradicts itself.
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

    /// Checks that no type is a base of itself, and that chains of bases are short.
    fn check_bases(&self) -> Result<()> {
        for one in &self.types {
            let base_of = |one: &&EntityType| one.base().and_then(|base| self.find(base));
            let bases = std::iter::successors(Some(one), base_of).skip(1);
            if bases.take(MAX_BASES + 1).count() > MAX_BASES {
                let name = &one.name;
                return Err(bad(&format!(
                    "{name} is derived from itself or has too many bases"
                )));
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
        let [immutable, computed, required] =
            [&wire.immutable, &wire.computed, &wire.required].map(|names| Listed::new(names));
        for (name, property) in &wire.properties {
            let Some(kind) = kind_of(property) else {
                log::debug!("schema: {}.{name} is of an unknown kind", wire.id);
                continue;
            };
            let attribute = Attribute {
                id: self.intern(name, &kind)?,
                counterpart: None,
                flags: Flags {
                    immutable: immutable.has(name),
                    computed: computed.has(name),
                    required: required.has(name),
                    restricted: property.restricted_projection,
                },
                default: default_of(property),
                description: property.description.clone(),
                alias: property.alias_for.as_ref().map(WireAlias::name),
                name: name.clone(),
                kind,
            };
            attributes.push(attribute);
            small(attributes.len())?;
        }
        let (alias, classified) = match &wire.alias_for {
            Some(WireAlias::Name(name)) => (Some(name.clone()), None),
            Some(WireAlias::Part { id }) => (Some(id.clone()), Some(id.as_str())),
            None => (None, None),
        };
        let key_names = wire.primary_key.iter();
        let primary_key = key_names.map(|name| self.intern(name, &AttributeKind::Text));
        let primary_key = primary_key.collect::<Result<_>>()?;
        let index = AttributeIndex::new(attributes.iter().map(|one| one.id));
        let extended = wire.mixin.and_then(|mixin| mixin.reference);
        self.types.push(EntityType {
            id,
            primary_key,
            base: extended.or_else(|| base_of(&wire.id, classified, tables)),
            name: wire.id,
            attributes,
            index,
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
                    Some((place, entity_type.index.get(id)?))
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

/// A list of names to look up. Short lists are searched linearly, which is fastest.
enum Listed<'a> {
    Few(&'a [SmolStr]),
    Many(HashSet<&'a SmolStr>),
}

impl<'a> Listed<'a> {
    fn new(names: &'a [SmolStr]) -> Self {
        match names.len() {
            0..64 => Self::Few(names),
            _ => Self::Many(names.iter().collect()),
        }
    }

    fn has(&self, name: &SmolStr) -> bool {
        match self {
            Self::Few(names) => names.contains(name),
            Self::Many(names) => names.contains(name),
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

/// `None` for properties that clients ignore, such as one without type and reference.
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

/// Contexts and versions declare `link` and `_link` as strings, but they are lists of
/// `{id, name, type}`.
fn is_link(name: &str) -> bool {
    matches!(name, "link" | "_link")
}

fn default_of(property: &WireProperty) -> AttributeDefault {
    match &property.default {
        None | Some(serde_json::Value::Null) => AttributeDefault::None,
        Some(serde_json::Value::String(text)) if text == "{uid}" => AttributeDefault::Uuid,
        Some(value) => AttributeDefault::Value(from_json(value)),
    }
}

/// Ids have 16 bits to keep records small.
fn small(count: usize) -> Result<u16> {
    u16::try_from(count).map_err(|_| bad("it has more than 65,535 names"))
}

fn bad(what: &str) -> Error {
    Error::new(
        ErrorKind::BadResponse,
        format!("the server's schema cannot be used: {what}"),
    )
}
