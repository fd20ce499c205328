//! What a server's entity types and attributes are, looked up by name or by small ids.

mod changes;
mod elsewhere;
mod hash;
mod index;
mod kinds;
mod names;
mod parse;

use std::fmt;

use smol_str::SmolStr;

use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::value::{HashMap, Value};

use index::AttributeIndex;
use names::Names;

pub use changes::EntityTypeChanges;
pub(crate) use hash::{md5_hex, schema_hash};
pub(crate) use names::quick_hash;
pub(crate) use parse::WireSchema;

/// An entity type's place in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TypeId(pub(crate) u16);

/// An attribute name's place among all attribute names of a schema, whatever the entity type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NameId(pub(crate) u16);

/// The entity types of a server, as its `query_schemas` describes them.
///
/// ```no_run
/// # fn main() -> ftrack_api::Result<()> {
/// let session = ftrack_api::Session::from_env()?;
/// let task = session.schema().entity_type("Task")?;
/// println!("{} has {} attributes", task.name(), task.attributes().len());
/// # Ok(())
/// # }
/// ```
pub struct Schema {
    types: Vec<EntityType>,
    type_ids: HashMap<SmolStr, TypeId>,
    names: Names,
    /// For each name, whether some type keeps free-form JSON in an attribute called so.
    free_form: Vec<bool>,
    hash: String,
}

/// One entity type: its attributes, key and what an answer brings without being asked.
pub struct EntityType {
    id: TypeId,
    name: SmolStr,
    attributes: Vec<Attribute>,
    index: AttributeIndex,
    primary_key: Vec<NameId>,
    primary_key_names: Vec<SmolStr>,
    default_projections: Vec<SmolStr>,
    base: Option<SmolStr>,
    alias: Option<SmolStr>,
}

/// One attribute of an entity type.
#[derive(Debug, Clone)]
pub struct Attribute {
    name: SmolStr,
    id: NameId,
    /// The foreign key of a reference, the reference of a foreign key.
    counterpart: Option<NameId>,
    kind: AttributeKind,
    default: AttributeDefault,
    flags: Flags,
    description: Option<String>,
    alias: Option<SmolStr>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    immutable: bool,
    computed: bool,
    required: bool,
    restricted: bool,
}

/// What an attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttributeKind {
    /// A text, or the key of another entity.
    Text,
    /// A boolean.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A point in time.
    DateTime,
    /// Free-form JSON, or a scalar of a type that only the data knows.
    Variable,
    /// Another entity of this type, or of one derived from it.
    Reference(SmolStr),
    /// Several entities of this type, or of types derived from it.
    Collection(SmolStr),
    /// Key-value pairs kept as entities of this type, such as metadata and custom attributes.
    Mapped(SmolStr),
}

/// What the client fills in for an attribute that a new entity is not given.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AttributeDefault {
    /// Nothing is sent.
    None,
    /// A new UUID, made by the client.
    Uuid,
    /// This value.
    Value(Value),
}

impl Schema {
    /// Looks an entity type up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownType`] if the server has no such type; the message names the nearest.
    pub fn entity_type(&self, name: &str) -> Result<&EntityType> {
        self.find(name).ok_or_else(|| {
            let known = self.types.iter().map(EntityType::name);
            let hint = did_you_mean(name, known);
            Error::new(
                ErrorKind::UnknownType,
                format!("the server has no entity type {name:?}{hint}"),
            )
        })
    }

    /// Every entity type, in the server's order.
    pub fn entity_types(&self) -> &[EntityType] {
        &self.types
    }

    /// The hash by which servers and clients recognise the schema.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether an entity of type `name` is also one of type `base`: a `Shot` is a `Shot`, a
    /// `TypedContext` and a `Context`.
    pub fn is_kind_of(&self, name: &str, base: &str) -> bool {
        let mut current = self.find(name);
        while let Some(entity_type) = current {
            if entity_type.name == base {
                return true;
            }
            current = entity_type.base.as_deref().and_then(|base| self.find(base));
        }
        false
    }

    /// Checks that `path` may lead somewhere from an entity of this type. What follows a
    /// reference to a base type may belong to any kind of that type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] with the nearest name.
    pub(crate) fn check_path(&self, entity_type: &EntityType, path: &str) -> Result<()> {
        let mut types = vec![entity_type];
        let mut hint = "";
        for name in path.split('.') {
            let found = types.iter().filter_map(|one| one.attribute(name).ok());
            let targets: Vec<&str> = found.clone().filter_map(Attribute::target).collect();
            if found.clone().count() == 0 {
                let first = types.first().copied().unwrap_or(entity_type);
                return Err(self.unknown_attribute(first, name).append(hint));
            }
            let hints = found.map(Attribute::pairs_hint);
            hint = hints.max().unwrap_or_default();
            types = self
                .types
                .iter()
                .filter(|one| {
                    targets
                        .iter()
                        .any(|target| self.is_kind_of(&one.name, target))
                })
                .collect();
        }
        Ok(())
    }

    /// Whether an entity of one type may be referred to as one of the other: one is a kind of the
    /// other, under its own name or the one that older clients use for it.
    pub(crate) fn are_related(&self, one: &str, other: &str) -> bool {
        let is_kind = |one: &str, other: &str| {
            self.is_kind_of(one, other)
                || (self.types.iter())
                    .filter(|base| base.alias() == Some(other))
                    .any(|base| self.is_kind_of(one, base.name()))
        };
        is_kind(one, other) || is_kind(other, one)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&EntityType> {
        self.type_ids.get(name).map(|&id| self.by_id(id))
    }

    pub(crate) fn by_id(&self, id: TypeId) -> &EntityType {
        &self.types[usize::from(id.0)]
    }

    pub(crate) fn name_id(&self, name: &str) -> Option<NameId> {
        self.names.find(name)
    }

    pub(crate) fn name(&self, id: NameId) -> &SmolStr {
        self.names.get(id)
    }

    /// The foreign key that belongs to the reference `name`, or the reference that belongs to the
    /// foreign key: `status` and `status_id` are two faces of one fact.
    pub(crate) fn counterpart<'a>(
        &self,
        entity_type: &'a EntityType,
        attribute: &Attribute,
    ) -> Option<&'a Attribute> {
        entity_type.by_id(attribute.counterpart?)
    }

    pub(crate) fn is_free_form(&self, id: NameId) -> bool {
        self.free_form[usize::from(id.0)]
    }
}

/// Shows what it is, not its hundred types.
impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("hash", &self.hash)
            .field("entity_types", &self.types.len())
            .finish()
    }
}

impl EntityType {
    /// The name, such as `Task`.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> TypeId {
        self.id
    }

    /// Looks an attribute up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] if the type has no such attribute; the message names the
    /// nearest.
    pub fn attribute(&self, name: &str) -> Result<&Attribute> {
        // They are kept by name.
        let place = self
            .attributes
            .binary_search_by(|attribute| attribute.name.as_str().cmp(name));
        place
            .map(|place| &self.attributes[place])
            .map_err(|_| self.unknown(name))
    }

    /// Every attribute, by name.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The attributes that identify an entity, in the order of its key.
    pub fn primary_key(&self) -> &[SmolStr] {
        &self.primary_key_names
    }

    /// What a query without projections fetches.
    pub fn default_projections(&self) -> &[SmolStr] {
        &self.default_projections
    }

    /// The type of which this one is a kind, if there is one.
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// The name under which `ftrack.update` events speak of the type's table.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    pub(crate) fn by_id(&self, id: NameId) -> Option<&Attribute> {
        self.attributes.get(self.index.get(id)?)
    }

    pub(crate) fn primary_key_ids(&self) -> &[NameId] {
        &self.primary_key
    }

    pub(crate) fn unknown(&self, name: &str) -> Error {
        let known = self.attributes.iter().map(Attribute::name);
        let hint = match name.split_once('.') {
            Some((first, rest)) if self.attribute(first).is_ok() => {
                format!(
                    "; only reading follows a path: change {rest:?} of what {first:?} refers to"
                )
            }
            _ => did_you_mean(name, known),
        };
        Error::new(
            ErrorKind::UnknownAttribute,
            format!("{} has no attribute {name:?}{hint}", self.name),
        )
    }
}

impl fmt::Debug for EntityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityType")
            .field("name", &self.name)
            .field("primary_key", &self.primary_key_names)
            .field("attributes", &self.attributes.len())
            .finish()
    }
}

impl Attribute {
    /// The name, such as `status`.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> NameId {
        self.id
    }

    /// For messages: what reads and changes a collection of pairs by key.
    pub(crate) fn pairs_hint(&self) -> &'static str {
        match (&self.kind, self.name()) {
            (AttributeKind::Mapped(_), "metadata") => "; use `metadata()`",
            (AttributeKind::Mapped(_), "custom_attributes") => "; use `custom_attributes()`",
            _ => "",
        }
    }

    /// What it holds.
    pub fn kind(&self) -> &AttributeKind {
        &self.kind
    }

    /// What a new entity gets when it is not given a value.
    pub fn default(&self) -> &AttributeDefault {
        &self.default
    }

    /// Whether it can be changed once the entity is on the server.
    pub fn is_mutable(&self) -> bool {
        !self.flags.immutable
    }

    /// Whether the server computes it.
    pub fn is_computed(&self) -> bool {
        self.flags.computed
    }

    /// Whether the server insists on a value.
    pub fn is_required(&self) -> bool {
        self.flags.required
    }

    /// Whether it may be filtered on, but is never fetched without being asked for.
    pub fn is_restricted(&self) -> bool {
        self.flags.restricted
    }

    /// The server's words on it.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The column's name, under which `ftrack.update` events speak of it.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// The entity type that it refers to, for references and collections.
    pub fn target(&self) -> Option<&str> {
        match &self.kind {
            AttributeKind::Reference(target)
            | AttributeKind::Collection(target)
            | AttributeKind::Mapped(target) => Some(target),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
