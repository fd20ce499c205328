//! The attribute `link`: the names from the project down to the entity.

use std::collections::HashMap;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::error::Result;
use crate::select::Reader;
use crate::select::fetch::Fetched;

/// Calculates `link` and `_link` of the rows, if they were selected, with one statement.
///
/// # Errors
///
/// Those of the database.
pub fn fill(reader: Reader<'_>, fetched: &mut Fetched) -> Result<()> {
    let names = ["link", "_link"];
    let positions: Vec<_> = names
        .iter()
        .filter_map(|name| fetched.columns.get(*name).copied())
        .collect();
    if positions.is_empty() || fetched.rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = fetched.rows.iter().map(|row| row.key.as_str()).collect();
    let ids = json!(ids).to_string();
    let table = reader
        .model
        .table(&reader.model.types[fetched.node.ty])
        .name
        .clone();
    let links = match table.as_str() {
        "context" => contexts(reader.connection, &ids)?,
        "asset_version" => versions(reader.connection, &ids)?,
        "resource" => groups(reader.connection, &ids)?,
        _ => HashMap::new(),
    };
    for index in 0..fetched.rows.len() {
        let link = links
            .get(&fetched.rows[index].key)
            .cloned()
            .unwrap_or_default();
        let link = Value::Array(link).to_string();
        for &position in &positions {
            fetched.set(index, position, &link);
        }
    }
    Ok(())
}

type Links = HashMap<String, Vec<Value>>;

/// Contexts are named `TypedContext` here, whatever they are, and projects by their full names.
const CONTEXTS: &str = "SELECT up.owner, c.id, CASE WHEN c._type = 'Project' \
    THEN COALESCE(c.full_name, c.name) ELSE c.name END, \
    CASE WHEN c._type = 'Project' THEN 'Project' ELSE 'TypedContext' END \
    FROM up CROSS JOIN context c ON c.id = up.id ORDER BY up.owner, up.depth DESC";

/// The steps from every start upwards; a damaged tree cannot make it endless.
const CLIMB: &str = "UNION ALL SELECT up.owner, c.parent_id, up.depth + 1 FROM up \
    CROSS JOIN context c ON c.id = up.id WHERE c.parent_id IS NOT NULL AND up.depth < 200";

fn contexts(connection: &Connection, ids: &str) -> Result<Links> {
    let start = "SELECT value, value, 0 FROM json_each(?1)";
    read(
        connection,
        ids,
        &format!("WITH RECURSIVE up(owner, id, depth) AS ({start} {CLIMB}) {CONTEXTS}"),
    )
}

/// A version stands directly below its asset's parents; how it is called there is our choice [?].
fn versions(connection: &Connection, ids: &str) -> Result<Links> {
    let start = "SELECT v.id, a.context_id, 0 FROM json_each(?1) JOIN asset_version v \
        ON v.id = value JOIN asset a ON a.id = v.asset_id";
    let mut links = read(
        connection,
        ids,
        &format!("WITH RECURSIVE up(owner, id, depth) AS ({start} {CLIMB}) {CONTEXTS}"),
    )?;
    let own = "SELECT v.id, v.id, COALESCE(a.name, '') || ' - v' || v.version, 'AssetVersion' \
        FROM json_each(?1) JOIN asset_version v ON v.id = value LEFT JOIN asset a ON a.id = v.asset_id";
    for (id, version) in read(connection, ids, own)? {
        links.entry(id).or_default().extend(version);
    }
    Ok(links)
}

fn groups(connection: &Connection, ids: &str) -> Result<Links> {
    let sql = "WITH RECURSIVE up(owner, id, depth) AS (SELECT value, value, 0 FROM json_each(?1) \
        UNION ALL SELECT up.owner, g.parent_id, up.depth + 1 FROM up CROSS JOIN resource g \
        ON g.id = up.id WHERE g.parent_id IS NOT NULL AND up.depth < 200) \
        SELECT up.owner, g.id, g.name, g._type FROM up CROSS JOIN resource g ON g.id = up.id \
        ORDER BY up.owner, up.depth DESC";
    read(connection, ids, sql)
}

fn read(connection: &Connection, ids: &str, sql: &str) -> Result<Links> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([ids])?;
    let mut links = Links::new();
    while let Some(row) = rows.next()? {
        let (id, name, kind): (String, Option<String>, String) =
            (row.get(1)?, row.get(2)?, row.get(3)?);
        links
            .entry(row.get(0)?)
            .or_default()
            .push(json!({"id": id, "name": name, "type": kind}));
    }
    Ok(links)
}
