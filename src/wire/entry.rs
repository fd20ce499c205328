//! Entities as caches store them: text in the wire format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Batch, Rows, decode};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Attribute, EntityType, NameId, Schema, TypeId};
use crate::value::{HashMap, Key, Slot};

/// What a response, a commit or an event says about one entity.
pub(crate) struct EntityDelta {
    pub(crate) entity_type: TypeId,
    pub(crate) key: Key,
    /// New values, in the wire format.
    pub(crate) attributes: BTreeMap<NameId, String>,
    /// Attributes whose value is no longer known.
    pub(crate) stale: Vec<NameId>,
    /// Types of which entities were created or deleted: collections of such are no longer known.
    pub(crate) changed_types: Vec<TypeId>,
}

impl EntityDelta {
    pub(crate) fn new(entity_type: TypeId, key: Key) -> Self {
        Self {
            entity_type,
            key,
            attributes: BTreeMap::new(),
            stale: Vec::new(),
            changed_types: Vec::new(),
        }
    }

    /// Records the value of an attribute unless it is computed: nothing reports when a computed
    /// value changes.
    pub(crate) fn record<'k>(
        &mut self,
        schema: &Schema,
        name: NameId,
        value: &Slot,
        target: impl Fn(u32) -> (TypeId, &'k Key),
    ) {
        let attribute = schema.by_id(self.entity_type).by_id(name);
        if attribute.is_some_and(|attribute| !attribute.is_computed()) {
            let mut text = Vec::with_capacity(48);
            write(schema, value, &target, &mut text);
            let text = String::from_utf8(text).expect("JSON is text");
            self.attributes.insert(name, text);
        }
    }
}

/// The most general type of an entity, under which caches store it: a reference may name any of
/// its base types.
pub(crate) fn root_type(schema: &Schema, entity_type: TypeId) -> &EntityType {
    let mut current = schema.by_id(entity_type);
    while let Some(base) = current.base().and_then(|base| schema.find(base)) {
        current = base;
    }
    current
}

/// What a response says about each entity in it, except those that it only refers to.
pub(crate) fn deltas_in(
    schema: &Schema,
    rows: &Rows,
    roots: impl Iterator<Item = u32>,
) -> Vec<EntityDelta> {
    let mut found: Vec<EntityDelta> = Vec::new();
    let mut places: HashMap<(TypeId, &Key), usize> = HashMap::default();
    let target = |row: u32| {
        let row = &rows.rows[row as usize];
        (row.entity_type, &row.key)
    };
    let mut is_root = vec![false; rows.rows.len()];
    roots.for_each(|row| is_root[row as usize] = true);
    for (row, is_root) in rows.rows.iter().zip(is_root) {
        let names = &rows.shapes[row.shape as usize];
        if names.is_empty() && !is_root {
            continue;
        }
        let place = places.entry((row.entity_type, &row.key));
        let place = *place.or_insert_with(|| {
            found.push(EntityDelta::new(row.entity_type, row.key.clone()));
            found.len() - 1
        });
        for (name, slot) in names.iter().zip(&rows.slots[row.start as usize..]) {
            found[place].record(schema, *name, slot, target);
        }
    }
    found
}

/// Writes a value in the wire format.
fn write<'k>(
    schema: &Schema,
    slot: &Slot,
    target: &impl Fn(u32) -> (TypeId, &'k Key),
    out: &mut Vec<u8>,
) {
    match slot {
        Slot::Null => print(out, &()),
        Slot::Bool(value) => print(out, value),
        Slot::Integer(value) => print(out, value),
        Slot::Number(value) => print(out, value),
        Slot::Text(text) => text.with(|text| print(out, text)),
        Slot::DateTime(value) => typed(out, "datetime", &value.to_string()),
        Slot::Date(value) => typed(out, "date", &value.to_string()),
        Slot::Json(text) => out.extend_from_slice(text.as_str().as_bytes()),
        Slot::Link(to) => {
            let (entity_type, key) = target(*to);
            reference(schema, entity_type, key, out);
            out.push(b'}');
        }
        Slot::Links(members) => {
            out.push(b'[');
            for (number, to) in members.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                let (entity_type, key) = target(*to);
                reference(schema, entity_type, key, out);
                out.push(b'}');
            }
            out.push(b']');
        }
    }
}

fn typed(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b"{\"__type__\":");
    print(out, name);
    out.extend_from_slice(b",\"value\":");
    print(out, value);
    out.push(b'}');
}

/// An object with type and key, without the closing brace.
fn reference(schema: &Schema, entity_type: TypeId, key: &Key, out: &mut Vec<u8>) {
    let entity_type = schema.by_id(entity_type);
    out.extend_from_slice(b"{\"__entity_type__\":");
    print(out, entity_type.name());
    for (name, part) in entity_type.primary_key().iter().zip(key.parts()) {
        out.push(b',');
        print(out, name.as_str());
        out.push(b':');
        part.with(|text| print(out, text));
    }
}

fn print(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("JSON values print, and memory takes all");
}

/// What a cache stores of an entity.
#[derive(Deserialize)]
struct CachedEntity<'a> {
    /// Seconds since 1970 of the oldest value in it.
    at: u64,
    #[serde(borrow)]
    entity: &'a RawValue,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Whether the members of a cached entity are those of this entity: a cache may return the text of
/// another one.
fn is_entity(schema: &Schema, (entity_type, key): (TypeId, &Key), members: &Members<'_>) -> bool {
    let text = |name: &str| serde_json::from_str::<String>(members.get(name)?.get()).ok();
    let found = text("__entity_type__").and_then(|name| Some(schema.find(&name)?.id()));
    let is_type = found
        .is_some_and(|found| root_type(schema, found).id() == root_type(schema, entity_type).id());
    let names = schema.by_id(entity_type).primary_key().iter();
    is_type
        && names
            .zip(key.parts())
            .all(|(name, part)| text(name).is_some_and(|text| part.with(|part| part == text)))
}

/// The text that a cache is to store of an entity, which completes its present text `before`
/// unless that is older than `oldest`; `None` if there is nothing to store.
pub(crate) fn merge_cached(
    schema: &Schema,
    delta: &EntityDelta,
    before: Option<&str>,
    oldest: u64,
    now: u64,
) -> Option<String> {
    let entity_type = schema.by_id(delta.entity_type);
    let before = before.and_then(|text| serde_json::from_str::<CachedEntity<'_>>(text).ok());
    let before = before.filter(|before| before.at >= oldest);
    let before = before.and_then(|before| {
        let members: Members<'_> = serde_json::from_str(before.entity.get()).ok()?;
        let is_same = is_entity(schema, (delta.entity_type, &delta.key), &members);
        is_same.then_some((before.at, members))
    });
    let had = before.is_some();
    let mut at = now;
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b",\"entity\":");
    reference(schema, delta.entity_type, &delta.key, &mut out);
    let mut member = |name: &str, value: &str| {
        out.push(b',');
        print(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    };
    for (name, value) in &delta.attributes {
        member(schema.name(*name), value);
    }
    if let Some((before, members)) = before {
        for (name, value) in members {
            if entity_type
                .attribute(&name)
                .is_ok_and(|old| stays(schema, delta, entity_type, old))
            {
                member(&name, value.get());
                at = at.min(before);
            }
        }
    }
    let is_news = delta.stale.is_empty() && delta.changed_types.is_empty();
    if !had && !is_news && delta.attributes.is_empty() {
        return None;
    }
    out.extend_from_slice(b"}}");
    let rest = String::from_utf8(out).expect("JSON is text");
    Some(format!("{{\"at\":{at}{rest}"))
}

/// Whether a cached value of an attribute is still valid.
fn stays(schema: &Schema, delta: &EntityDelta, entity_type: &EntityType, old: &Attribute) -> bool {
    let is_replaced =
        |name: NameId| delta.attributes.contains_key(&name) || delta.stale.contains(&name);
    // `status` and `status_id` are two faces of one fact.
    let counterpart = entity_type.counterpart(old);
    let may_differ = old.members().is_some_and(|target| {
        let mut changed = delta.changed_types.iter();
        changed.any(|&changed| {
            let changed = schema.by_id(changed).name();
            schema.is_kind_of(changed, target) || schema.is_kind_of(target, changed)
        })
    });
    let is_key = entity_type.primary_key_ids().contains(&old.id());
    !is_key
        && !may_differ
        && !is_replaced(old.id())
        && !counterpart.is_some_and(|other| is_replaced(other.id()))
}

/// Reads a cached entity with this type and key; `None` if it is older than `oldest`.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] if the text is anything else.
pub(crate) fn read_cached(
    schema: &Schema,
    (entity_type, key): (TypeId, &Key),
    text: &str,
    oldest: u64,
) -> Result<Option<Rows>> {
    let bad = |why: &str| Error::new(ErrorKind::BadResponse, why.to_owned());
    let kept: CachedEntity<'_> =
        serde_json::from_str(text).map_err(|error| bad(&error.to_string()))?;
    if kept.at < oldest {
        return Ok(None);
    }
    let body = format!("[{{\"data\":{}}}]", kept.entity.get());
    let Batch { replies, rows } = decode(schema, &body.as_bytes().into())?;
    let root = replies.first().and_then(|reply| reply.roots.first());
    let number = *root.ok_or_else(|| bad("it has no entity"))?;
    let root = &rows.rows[number as usize];
    let same = root_type(schema, root.entity_type).id() == root_type(schema, entity_type).id();
    if !same || root.key != *key {
        return Err(bad("it has another entity"));
    }
    // Only references are written into an entity's text.
    let mut others = (0..).zip(&rows.rows).filter(|(row, _)| *row != number);
    if others.any(|(_, row)| !rows.shapes[row.shape as usize].is_empty()) {
        return Err(bad("it has values of other entities"));
    }
    Ok(Some(rows))
}

/// Concatenates rows that were read one by one.
pub(crate) fn join_rows(all: Vec<Rows>) -> Rows {
    let mut joined = Rows::default();
    let mut shapes: BTreeMap<std::sync::Arc<[NameId]>, u32> = BTreeMap::new();
    for rows in all {
        let count = |count: usize| u32::try_from(count).expect("fewer than 2^32 rows");
        let (first_row, first_slot) = (count(joined.rows.len()), count(joined.slots.len()));
        let numbers: Vec<u32> = rows
            .shapes
            .into_iter()
            .map(|shape| {
                *shapes.entry(shape.clone()).or_insert_with(|| {
                    joined.shapes.push(shape);
                    count(joined.shapes.len() - 1)
                })
            })
            .collect();
        joined.rows.extend(rows.rows.into_iter().map(|mut row| {
            row.shape = numbers[row.shape as usize];
            row.start += first_slot;
            row
        }));
        joined.slots.extend(rows.slots.into_iter().map(|mut slot| {
            slot.relink(|row| row + first_row);
            slot
        }));
    }
    joined
}
