//! Where every entity type and attribute lives in the database.
//!
//! Everything is derived from the schema, so that another site's schema works too. Types of one
//! family share a table whose `_type` column names the concrete type.

use std::collections::HashMap;

use crate::database::family::{self, Home};
use crate::database::relation;
use crate::schema::{Attribute, EntityType, Kind, Schema, compact};

/// The position of a type in [`Model::types`].
pub type TypeId = usize;

/// The schema and where each of its parts is stored.
#[derive(Debug)]
pub struct Model {
    /// The entity types as they are sent.
    pub schema: Schema,
    /// The types, in the schema's order.
    pub types: Vec<Type>,
    /// The tables, each with the columns of all its types.
    pub tables: Vec<Table>,
    by_name: HashMap<String, TypeId>,
}

/// One table, or a view that looks like one.
#[derive(Debug)]
pub struct Table {
    /// Its name in SQL, without quotes.
    pub name: String,
    /// The columns of all types that live here.
    pub columns: Vec<Column>,
    /// The columns of the primary key.
    pub key: Vec<String>,
    /// Whether the rows are calculated (dense custom attributes).
    pub is_view: bool,
}

/// One column of a table.
#[derive(Debug)]
pub struct Column {
    /// Its name in SQL, without quotes.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// The type that it points to, if the schema says so.
    pub foreign: Option<String>,
}

/// One entity type and its place.
#[derive(Debug)]
pub struct Type {
    /// Its own position.
    pub id: TypeId,
    /// The name that operations use.
    pub name: String,
    /// The position of its table.
    pub table: usize,
    /// The column that names the concrete type of a row, if several types share the table.
    pub discriminator: Option<&'static str>,
    /// The concrete types whose rows belong to this type; empty if all of the table's do.
    pub kinds: Vec<String>,
    /// The attributes, in the schema's order.
    pub attributes: Vec<Attr>,
    /// The primary key: attribute names are column names here.
    pub key: Vec<String>,
    /// Attributes that every response carries.
    pub system: Vec<usize>,
    by_name: HashMap<String, usize>,
}

/// One attribute and its place.
#[derive(Debug)]
pub struct Attr {
    /// What the schema says.
    pub schema: Attribute,
    /// Where the value is.
    pub storage: Storage,
    /// Whether a batch may not end without a value.
    pub is_required: bool,
    /// Whether it cannot change after the creation.
    pub is_immutable: bool,
}

/// Where the value of an attribute is.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In this column of the type's table.
    Column(String),
    /// Calculated on reading.
    Computed(Computed),
    /// A row whose key is in our columns.
    Reference(Reference),
    /// Rows that point to us, or that a table connects with us.
    Collection(Collection),
}

/// Values that are calculated on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computed {
    /// The names from the project down to the entity.
    Link,
    /// Whether no later version of the asset exists.
    IsLatestVersion,
    /// The sum of the time logged on the context and below it.
    TimeLogged,
    /// The bid minus the time logged.
    BidDifference,
    /// Where a picture of the entity can be fetched.
    ThumbnailUrl,
    /// Where the file of the component can be fetched.
    Url,
    /// Whether a review session accepts comments.
    IsOpen,
    /// The context whose thumbnail a context shows.
    ThumbnailSource,
}

/// A reference to one row.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The type of the row.
    pub target: TypeId,
    /// Our columns, in the order of `theirs`.
    pub own: Vec<String>,
    /// The key columns of the target.
    pub theirs: Vec<String>,
    /// Whether the row is found by calculation: an asset's latest version.
    pub is_latest_version: bool,
    /// Whether the columns may hold keys of other types than the target's.
    pub is_narrowed: bool,
}

/// A collection of rows.
#[derive(Clone, Debug)]
pub struct Collection {
    /// The type of the rows.
    pub target: TypeId,
    /// How they are connected with us.
    pub via: Via,
}

/// How the rows of a collection are connected with their owner.
#[derive(Clone, Debug)]
pub enum Via {
    /// Their column holds our id. A condition may narrow the rows further, with `{}` for the table.
    Column(String, Option<&'static str>),
    /// A table holds our id in one column and theirs in another.
    Through {
        /// The connecting table.
        table: String,
        /// Its column with our id.
        own: String,
        /// Its column with their id.
        other: String,
        /// Whether the connecting rows have ids of their own.
        has_id: bool,
    },
    /// The contexts above us: our table, and its column with the nearest one.
    Ancestors(String, String),
    /// The contexts below us.
    Descendants,
}

impl Model {
    /// Finds a place for everything in the schema.
    pub fn new(schema: Schema) -> Self {
        let mut model = Self {
            types: Vec::new(),
            tables: Vec::new(),
            by_name: schema
                .types()
                .iter()
                .enumerate()
                .map(|(i, t)| (t.id.clone(), i))
                .collect(),
            schema,
        };
        for (id, entity_type) in model.schema.types().to_vec().iter().enumerate() {
            let home = family::home(entity_type, &model.schema);
            let table = model.table_for(&home, entity_type);
            let ty = Type::new(id, entity_type, table, home, &mut model.tables[table]);
            model.types.push(ty);
        }
        relation::connect(&mut model);
        model
    }

    /// The model of any site's schema: tables and columns that rules read exist even if the
    /// schema does not show them.
    pub fn complete(schema: Schema) -> Self {
        let mut model = Self::new(schema);
        let standard = compact::Edition::Current.wire();
        let Ok(standard) = Schema::from_json(standard) else {
            return model;
        };
        for known in Self::new(standard).tables {
            match model.tables.iter_mut().find(|it| it.name == known.name) {
                Some(table) if table.is_view => {}
                Some(table) => {
                    for column in known.columns {
                        table.ensure(&column.name, &column.kind, None);
                    }
                }
                None => model.tables.push(known),
            }
        }
        model
    }

    /// The type of this name.
    pub fn find(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name).map(|&id| &self.types[id])
    }

    /// The table of a type.
    pub fn table(&self, ty: &Type) -> &Table {
        &self.tables[ty.table]
    }

    /// An attribute of the type or, failing that, of one of the types whose rows it covers.
    pub fn attribute<'a>(&'a self, ty: &'a Type, name: &str) -> Option<(&'a Type, &'a Attr)> {
        if let Some(attr) = ty.get(name) {
            return Some((ty, attr));
        }
        self.covered(ty)
            .find_map(|other| other.get(name).map(|attr| (other, attr)))
    }

    /// The types whose rows can turn up where this type is asked for, itself excluded.
    pub fn covered<'a>(&'a self, ty: &'a Type) -> impl Iterator<Item = &'a Type> {
        self.types.iter().filter(move |other| {
            other.table == ty.table
                && other.id != ty.id
                && other.discriminator == ty.discriminator
                && ty.discriminator.is_some()
                && other.kinds.len() == 1
                && (ty.kinds.is_empty() || ty.kinds.contains(&other.name))
        })
    }

    fn table_for(&mut self, home: &Home, entity_type: &EntityType) -> usize {
        if let Some(index) = self
            .tables
            .iter()
            .position(|table| table.name == home.table)
        {
            return index;
        }
        self.tables.push(Table {
            name: home.table.clone(),
            columns: Vec::new(),
            key: entity_type.primary_key.clone(),
            is_view: home.is_view,
        });
        self.tables.len() - 1
    }
}

impl Table {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Adds a column unless there is one of this name.
    pub fn ensure(&mut self, name: &str, kind: &Kind, foreign: Option<&str>) {
        if let Some(column) = self.columns.iter_mut().find(|column| column.name == name) {
            if column.foreign.is_none() {
                column.foreign = foreign.map(str::to_owned);
            }
            return;
        }
        self.columns.push(Column {
            name: name.to_owned(),
            kind: kind.clone(),
            foreign: foreign.map(str::to_owned),
        });
    }
}

impl Type {
    fn new(id: TypeId, schema: &EntityType, table: usize, home: Home, columns: &mut Table) -> Self {
        let mut ty = Self {
            id,
            name: schema.id.clone(),
            table,
            discriminator: home.discriminator,
            kinds: home.kinds,
            attributes: Vec::new(),
            key: schema.primary_key.clone(),
            system: Vec::new(),
            by_name: HashMap::new(),
        };
        for attribute in &schema.attributes {
            let storage = storage(&ty, schema, attribute);
            if let Storage::Column(column) = &storage {
                columns.ensure(column, &attribute.kind, attribute.foreign.as_deref());
            }
            ty.by_name
                .insert(attribute.name.clone(), ty.attributes.len());
            ty.attributes.push(Attr {
                storage,
                is_required: schema.required.contains(&attribute.name),
                is_immutable: schema.immutable.contains(&attribute.name),
                schema: attribute.clone(),
            });
        }
        if let Some(discriminator) = ty.discriminator {
            columns.ensure(discriminator, &Kind::Key, None);
        }
        ty.system = system(&ty, schema);
        ty
    }

    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.by_name.get(name).map(|&index| &self.attributes[index])
    }

    /// The position of the attribute of this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The column of a stored attribute.
    pub fn column(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.storage {
            Storage::Column(column) => Some(column),
            _ => None,
        }
    }
}

impl Attr {
    /// The name that operations use.
    pub fn name(&self) -> &str {
        &self.schema.name
    }
}

/// Two attributes of one type with the same server column share one of ours.
fn storage(ty: &Type, schema: &EntityType, attribute: &Attribute) -> Storage {
    if let Some(computed) = computed(&schema.id, attribute) {
        return Storage::Computed(computed);
    }
    let is_twin = |other: &&Attribute| {
        attribute.alias.is_some() && other.alias == attribute.alias && other.kind == attribute.kind
    };
    match &attribute.kind {
        Kind::Reference(_) | Kind::Collection(_) | Kind::Mapped(_) => {
            relation::unconnected(ty.id, &ty.key[0])
        }
        // The alphabet decides, as the order of attributes says nothing.
        _ => {
            let twins = schema
                .attributes
                .iter()
                .filter(is_twin)
                .map(|other| &other.name);
            Storage::Column(twins.min().unwrap_or(&attribute.name).clone())
        }
    }
}

fn computed(entity_type: &str, attribute: &Attribute) -> Option<Computed> {
    match attribute.name.as_str() {
        "link" | "_link" if attribute.kind == Kind::Text => Some(Computed::Link),
        "is_latest_version" => Some(Computed::IsLatestVersion),
        "time_logged" => Some(Computed::TimeLogged),
        "bid_time_logged_difference" => Some(Computed::BidDifference),
        "thumbnail_url" if attribute.kind == Kind::Object => Some(Computed::ThumbnailUrl),
        "url" if attribute.kind == Kind::Object => Some(Computed::Url),
        "is_open" if entity_type == "ReviewSession" => Some(Computed::IsOpen),
        "thumbnail_source_id" if entity_type != "ReviewSession" => Some(Computed::ThumbnailSource),
        _ => None,
    }
}

/// System projections are server column names; the discriminators of contexts are always sent. Names that no attribute has are the server's own business.
fn system(ty: &Type, schema: &EntityType) -> Vec<usize> {
    let position = |name: &String| {
        let by_alias = |attr: &Attr| attr.schema.alias.as_ref() == Some(name);
        let stored = |attr: &&Attr| matches!(attr.storage, Storage::Column(_));
        ty.position(name)
            .or_else(|| {
                let attr = ty
                    .attributes
                    .iter()
                    .filter(stored)
                    .find(|attr| by_alias(attr))?;
                ty.position(attr.name())
            })
            .or_else(|| ty.position(name.strip_prefix("_casted_")?))
    };
    let mut found: Vec<_> = schema
        .system_projections
        .iter()
        .filter_map(position)
        .collect();
    if found
        .iter()
        .any(|&i| ty.attributes[i].name() == "context_type")
    {
        found.extend(ty.position("object_type_id"));
    }
    found.retain(|&i| !ty.key.contains(&ty.attributes[i].schema.name));
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::compact;

    fn model() -> Model {
        Model::new(Schema::from_json(compact::wire()).unwrap())
    }

    #[test]
    fn every_relation_is_explained() {
        let model = model();
        for table in &model.tables {
            assert!(
                !table.name.contains(relation::UNEXPLAINED),
                "{}",
                table.name
            );
        }
        for ty in &model.types {
            for attr in &ty.attributes {
                if let Storage::Collection(collection) = &attr.storage {
                    let is_lost = matches!(&collection.via, Via::Column(_, Some(relation::NEVER)));
                    assert!(!is_lost, "{}.{}", ty.name, attr.name());
                }
            }
        }
    }

    #[test]
    fn columns_are_chosen_by_name_alias_or_target() {
        let model = model();
        let cases = [
            ("Task", "status", "status_id"),
            ("Asset", "parent", "context_id"),
            ("Asset", "project", "project_id"),
            ("ReviewSessionObject", "asset_version", "version_id"),
            ("Note", "author", "user_id"),
            ("List", "owner", "user_id"),
            (
                "ProjectSchema",
                "_version_workflow",
                "asset_version_workflow_schema_id",
            ),
            ("SchemaStatus", "task_status", "status_id"),
            (
                "ReviewSessionObjectStatus",
                "invitee",
                "review_session_invitee_id",
            ),
            ("Recipient", "user", "resource_id"),
            ("Status", "state", "state_id"),
            ("ContextCustomAttributeLinkFrom", "context", "from_id"),
            ("UserCustomAttributeLink", "user", "to_id"),
        ];
        for (ty, attr, column) in cases {
            match &model.find(ty).unwrap().get(attr).unwrap().storage {
                Storage::Reference(reference) => assert_eq!(reference.own, [column], "{ty}.{attr}"),
                other => unreachable!("{ty}.{attr}: {other:?}"),
            }
        }
    }
}
