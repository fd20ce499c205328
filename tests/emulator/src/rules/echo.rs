//! The replies to a create or an update.

use rusqlite::types::Value as Sql;
use serde_json::{Map, Value};

use crate::database::model::{Storage, Type};
use crate::error::Result;
use crate::rules::Batch;
use crate::rules::assign::Echo;
use crate::rules::collection::reference;
use crate::rules::record::{Record, json, plain};
use crate::select::encode::Encoder;
use crate::select::fetch::{by_keys, relations};
use crate::select::node::Node;

/// A reply that is written when the batch is complete.
#[derive(Debug)]
pub struct Pending {
    /// The key of the row.
    pub key: Vec<Sql>,
    /// The attributes that the operation named.
    pub echo: Vec<(String, Echo)>,
    /// Whether the row is new: then the reply has all its values.
    pub is_new: bool,
}

/// Writes the reply to a create or an update. A row that is gone leaves only its key.
///
/// # Errors
///
/// Those of the database.
pub fn reply(batch: &mut Batch<'_>, declared: &Type, pending: &Pending) -> Result<Value> {
    let model = batch.model;
    let found = batch.find(declared, &pending.key)?;
    let (ty, record) = match &found {
        Some((ty, record)) => (&model.types[ty.id], record.clone()),
        None => (
            declared,
            declared
                .key
                .iter()
                .cloned()
                .zip(pending.key.iter().cloned())
                .collect(),
        ),
    };
    let mut object = Map::new();
    object.insert("__entity_type__".to_owned(), Value::from(ty.name.as_str()));
    for key in &ty.key {
        let kind = &ty
            .get(key)
            .map_or(crate::schema::Kind::Key, |attr| attr.schema.kind.clone());
        object.insert(
            key.clone(),
            record
                .get(key)
                .map_or(Value::Null, |value| json(kind, value)),
        );
    }
    let echoed = |name: &str| {
        pending
            .echo
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, echo)| echo)
    };
    for (position, attr) in ty.attributes.iter().enumerate() {
        let Storage::Column(column) = &attr.storage else {
            continue;
        };
        let name = attr.name();
        let is_wanted = match (pending.is_new, echoed(name)) {
            (_, Some(_)) => true,
            (true, None) => !super::record::is_missing(&record, column),
            (false, None) => !batch.caller.is_strict && ty.system.contains(&position),
        };
        if is_wanted && !ty.key.iter().any(|key| key == name) {
            let value = match echoed(name) {
                Some(Echo::Sent(sent)) => sent.clone(),
                _ => record
                    .get(column)
                    .map_or(Value::Null, |value| json(&attr.schema.kind, value)),
            };
            object.insert(name.to_owned(), value);
        }
    }
    add_relations(batch, ty, &record, pending, &mut object)?;
    if pending.is_new && model.table(ty).name == "component" {
        add_locations(batch, ty, &pending.key, &mut object)?;
    }
    let identity = pending
        .key
        .iter()
        .map(plain)
        .collect::<Vec<_>>()
        .join("\u{1f}");
    for position in object.keys().filter_map(|name| ty.position(name)) {
        batch.encoder.mark_sent(ty, &identity, position);
    }
    Ok(Value::Object(object))
}

fn add_relations(
    batch: &Batch<'_>,
    ty: &Type,
    record: &Record,
    pending: &Pending,
    object: &mut Map<String, Value>,
) -> Result<()> {
    for (name, echo) in &pending.echo {
        match echo {
            // New rows do not show empty collections.
            Echo::References(list) if pending.is_new && list.is_empty() => {}
            Echo::References(list) => {
                object.insert(name.clone(), Value::Array(list.clone()));
            }
            Echo::Reference => {
                let Some(Storage::Reference(relation)) = ty.get(name).map(|attr| &attr.storage)
                else {
                    continue;
                };
                let key: Vec<_> = relation
                    .own
                    .iter()
                    .map(|own| record.get(own).cloned().unwrap_or(Sql::Null))
                    .collect();
                let target = &batch.model.types[relation.target];
                let found = if key.contains(&Sql::Null) {
                    None
                } else {
                    batch.find(target, &key)?
                };
                object.insert(
                    name.clone(),
                    found.map_or(Value::Null, |(ty, record)| reference(ty, &record)),
                );
            }
            Echo::Stored | Echo::Sent(_) => {}
        }
    }
    Ok(())
}

/// A component that was created together with its locations shows them: a real response does.
fn add_locations(
    batch: &mut Batch<'_>,
    ty: &Type,
    key: &[Sql],
    object: &mut Map<String, Value>,
) -> Result<()> {
    let model = batch.model;
    let Some(location) = model.find("ComponentLocation") else {
        return Ok(());
    };
    let mut node = Node::bare(ty);
    let mut child = Node::bare(location);
    child.names.insert("resource_identifier".to_owned());
    if let Some((id, _)) = location
        .get("component")
        .and_then(|attr| match &attr.storage {
            Storage::Reference(reference) => Some((reference.target, ())),
            _ => None,
        })
    {
        child
            .relations
            .insert("component".to_owned(), Node::bare(&model.types[id]));
    }
    node.relations
        .insert("component_locations".to_owned(), child);
    let keys = vec![Value::from(key.iter().map(plain).collect::<String>())];
    let mut fetched = by_keys(batch.reader(), ty, node, keys)?;
    relations(batch.reader(), &mut fetched)?;
    let mut encoder = Encoder::new(false, false);
    let entities = encoder.page(model, &fetched)?;
    let entities: Value = serde_json::from_str(&entities).unwrap_or_default();
    if let Some(list) = entities
        .get(0)
        .and_then(|entity| entity["component_locations"].as_array())
        && !list.is_empty()
    {
        object.insert("component_locations".to_owned(), Value::Array(list.clone()));
    }
    Ok(())
}
