//! Filling a new database with many rows.

use std::collections::HashMap;

use anyhow::Context as _;
use rusqlite::types::Value as Sql;
use rusqlite::{CachedStatement, Connection, params_from_iter};

use crate::database::family::{TYPE, TYPE_FROM};
use crate::database::model::{Model, Storage, Type, TypeId};
use crate::database::value;
use crate::studio::{Cast, Cell, Row};

/// Inserts all rows; what a row does not say gets the schema's default.
pub fn load(
    connection: &Connection,
    model: &Model,
    rows: impl FnOnce(&Cast<'_>, &mut dyn FnMut(Row)),
) -> anyhow::Result<()> {
    let cast = Cast::new(&model.schema);
    let mut loaders: HashMap<TypeId, Loader> = HashMap::new();
    let mut failure = None;
    rows(&cast, &mut |row| {
        let Some(ty) = model.find(cast.kind(row.entity_type)) else {
            return;
        };
        if failure.is_none() {
            failure = insert(connection, model, &mut loaders, ty, cast.fit(row)).err();
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    // A project is its own project, so that `project_id` finds it together with its contents.
    connection.execute_batch("UPDATE context SET project_id = id WHERE _type = 'Project'")?;
    Ok(())
}

/// How rows of one type are inserted.
struct Loader {
    sql: String,
    columns: HashMap<String, usize>,
    /// What a column gets if a row does not name it.
    template: Vec<Sql>,
    is_link: bool,
}

/// Both ends of a custom attribute link have types of their own.
fn name_ends(model: &Model, loader: &Loader, values: &mut [Sql]) {
    for (word, column, suffix) in [
        ("from_entity_type", TYPE_FROM, "CustomAttributeLinkFrom"),
        ("to_entity_type", TYPE, "CustomAttributeLink"),
    ] {
        if let Some(Sql::Text(kind)) = loader.columns.get(word).map(|&position| &values[position]) {
            let name = format!("{}{suffix}", link_end(model, kind));
            values[loader.columns[column]] = Sql::Text(name);
        }
    }
}

/// The word for a type in the names of link types: `ContextCustomAttributeLink` for every context.
/// Configurations use the server's words, links the schema's.
pub fn link_end<'k>(model: &'k Model, kind: &'k str) -> &'k str {
    let table = model
        .find(kind)
        .map_or(kind, |ty| model.table(ty).name.as_str());
    match table.to_lowercase().as_str() {
        "context" | "task" | "show" | "typedcontext" => "Context",
        "assetversion" | "asset_version" => "AssetVersion",
        "asset" => "Asset",
        "user" => "User",
        "group" => "Group",
        "list" => "List",
        "component" => "Component",
        _ => kind,
    }
}

fn insert(
    connection: &Connection,
    model: &Model,
    loaders: &mut HashMap<TypeId, Loader>,
    ty: &Type,
    row: Row,
) -> anyhow::Result<()> {
    let loader = loaders
        .entry(ty.id)
        .or_insert_with(|| Loader::new(model, ty));
    let mut values = loader.template.clone();
    for (name, cell) in row.values {
        let column = match ty.get(name).map(|attr| &attr.storage) {
            Some(Storage::Column(column)) => column.as_str(),
            // `Status.state` has no key attribute: the relation itself names the key.
            Some(Storage::Reference(reference)) => reference.own[0].as_str(),
            _ => name,
        };
        // What a site's schema does not have is left out; a test holds the studio's rows against
        // the built-in schemas.
        if let Some(&position) = loader.columns.get(column) {
            values[position] = sql(cell);
        }
    }
    if loader.is_link {
        name_ends(model, loader, &mut values);
    }
    let mut statement: CachedStatement<'_> = connection.prepare_cached(&loader.sql)?;
    let id = values.first().cloned();
    statement
        .execute(params_from_iter(values))
        .with_context(|| format!("{} {id:?} cannot be loaded", row.entity_type))?;
    Ok(())
}

impl Loader {
    fn new(model: &Model, ty: &Type) -> Self {
        let table = model.table(ty);
        let names: Vec<_> = table
            .columns
            .iter()
            .map(|column| format!("\"{}\"", column.name))
            .collect();
        let holes = vec!["?"; names.len()].join(", ");
        let sql = format!(
            "INSERT INTO \"{}\" ({}) VALUES ({holes})",
            table.name,
            names.join(", ")
        );
        let columns: HashMap<_, _> = table
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| (column.name.clone(), i))
            .collect();
        let mut template = vec![Sql::Null; names.len()];
        for (column, value) in defaults(ty) {
            template[columns[&column]] = value;
        }
        let is_link = table.column(TYPE_FROM).is_some();
        Self {
            sql,
            columns,
            template,
            is_link,
        }
    }
}

/// The columns that every new row of a type gets: the schema's defaults and the words by which
/// clients tell the members of a family apart.
pub fn defaults(ty: &Type) -> Vec<(String, Sql)> {
    let mut found = Vec::new();
    for attr in &ty.attributes {
        let (Storage::Column(column), Some(default)) = (&attr.storage, &attr.schema.default) else {
            continue;
        };
        if default != "{uid}"
            && let Ok(value) = value::from_json(attr.name(), &attr.schema.kind, default)
        {
            found.push((column.clone(), value));
        }
    }
    if let Some(discriminator) = ty.discriminator {
        found.push((discriminator.to_owned(), Sql::Text(ty.name.clone())));
    }
    for (column, word) in family_words(ty) {
        found.push((column.to_owned(), Sql::Text(word.to_owned())));
    }
    found
}

/// `system_type` of a plain component is the server's choice [?].
fn family_words(ty: &Type) -> Vec<(&'static str, &'static str)> {
    let has = |name: &str| ty.column(name).is_some();
    let mut words = Vec::new();
    if has("context_type") {
        words.push((
            "context_type",
            if ty.name == "Project" { "show" } else { "task" },
        ));
    }
    match ty.name.as_str() {
        "FileComponent" => words.push(("system_type", "file")),
        "SequenceComponent" => words.push(("system_type", "sequence")),
        "ContainerComponent" => words.push(("system_type", "container")),
        "Component" => words.push(("system_type", "component")),
        "AssetVersionList" => words.push(("system_type", "assetversion")),
        "TypedContextList" => words.push(("system_type", "task")),
        "User" => words.push(("resource_type", "user")),
        "Group" => words.push(("resource_type", "group")),
        "Collaborator" => words.push(("resource_type", "collaborator")),
        _ => {}
    }
    words
}

fn sql(cell: Cell) -> Sql {
    match cell {
        Cell::Null => Sql::Null,
        Cell::Bool(flag) => Sql::Integer(i64::from(flag)),
        Cell::Int(number) => Sql::Integer(number),
        Cell::Float(number) => Sql::Real(number),
        Cell::Text(text) | Cell::DateTime(text) | Cell::Date(text) => Sql::Text(text),
    }
}
