//! What is known of an entity as texts in the wire's form: what caches keep.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use hashbrown::hash_map::Entry;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Answer, Rows, decode};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Attribute, AttributeKind, EntityType, NameId, Schema, TypeId};
use crate::value::{HashMap, Key, Slot};

/// What became known of an entity, or what is not true of it any more.
pub(crate) struct Known {
    pub(crate) entity_type: TypeId,
    pub(crate) key: Key,
    /// Attributes, each with its value in the wire's form.
    pub(crate) attributes: BTreeMap<NameId, String>,
    /// Attributes whose value is not known any more.
    pub(crate) forgotten: Vec<NameId>,
    /// Types of which entities came or went: collections that may hold such are not known any
    /// more.
    pub(crate) moved: Vec<TypeId>,
}

impl Known {
    pub(crate) fn new(entity_type: TypeId, key: Key) -> Self {
        Self {
            entity_type,
            key,
            attributes: BTreeMap::new(),
            forgotten: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Notes the value of an attribute, unless it is one that is not kept: computed ones depend
    /// on others, and nobody tells when they change.
    pub(crate) fn learn<'k>(
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

/// The type under which caches keep an entity: the most general one, because references may name
/// any on the way there.
pub(crate) fn family(schema: &Schema, entity_type: TypeId) -> &EntityType {
    let mut current = schema.by_id(entity_type);
    while let Some(base) = current.base().and_then(|base| schema.find(base)) {
        current = base;
    }
    current
}

/// What an answer tells of each entity in it, those excepted that are only named.
pub(crate) fn known_in(
    schema: &Schema,
    rows: &Rows,
    roots: impl Iterator<Item = u32>,
) -> Vec<Known> {
    let mut found: Vec<Known> = Vec::new();
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
        let place = match places.entry((row.entity_type, &row.key)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                found.push(Known::new(row.entity_type, row.key.clone()));
                *entry.insert(found.len() - 1)
            }
        };
        for (name, slot) in names.iter().zip(&rows.slots[row.start as usize..]) {
            found[place].learn(schema, *name, slot, target);
        }
    }
    found
}

/// Writes a value in the wire's form.
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
        Slot::Json(value) => print(out, value.as_ref()),
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

/// An object with type and key, without its end.
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

/// What a cache keeps of an entity: since when it is so, and the entity in the wire's form.
#[derive(Deserialize)]
struct Kept<'a> {
    /// Seconds since 1970. Of attributes that became known one after another, the earliest.
    at: u64,
    #[serde(borrow)]
    entity: &'a RawValue,
}

/// The text that a cache is to keep of an entity, given what it has kept so far and from when on
/// that counts; `None` if it should keep nothing.
pub(crate) fn kept(
    schema: &Schema,
    known: &Known,
    before: Option<&str>,
    oldest: u64,
    now: u64,
) -> Option<String> {
    let entity_type = schema.by_id(known.entity_type);
    let before = before.and_then(|text| serde_json::from_str::<Kept<'_>>(text).ok());
    let before = before.filter(|before| before.at >= oldest);
    let had = before.is_some();
    let mut at = now;
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b",\"entity\":");
    reference(schema, known.entity_type, &known.key, &mut out);
    let mut member = |name: &str, value: &str| {
        out.push(b',');
        print(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    };
    for (name, value) in &known.attributes {
        member(schema.name(*name), value);
    }
    if let Some(before) = before {
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_str(before.entity.get()).unwrap_or_default();
        for (name, value) in members {
            if entity_type
                .attribute(&name)
                .is_ok_and(|old| stays(schema, known, entity_type, old))
            {
                member(&name, value.get());
                at = at.min(before.at);
            }
        }
    }
    let is_news = known.forgotten.is_empty() && known.moved.is_empty();
    if !had && !is_news && known.attributes.is_empty() {
        return None;
    }
    out.extend_from_slice(b"}}");
    let rest = String::from_utf8(out).expect("JSON is text");
    Some(format!("{{\"at\":{at}{rest}"))
}

/// Whether what was known of an attribute is still true.
fn stays(schema: &Schema, known: &Known, entity_type: &EntityType, old: &Attribute) -> bool {
    let is_replaced =
        |name: NameId| known.attributes.contains_key(&name) || known.forgotten.contains(&name);
    // `status` and `status_id` are two faces of one fact.
    let counterpart = schema.counterpart(entity_type, old);
    let holds_moved = match old.kind() {
        AttributeKind::Collection(target) | AttributeKind::Mapped(target) => {
            let mut moved = known.moved.iter().map(|moved| schema.by_id(*moved).name());
            moved.any(|moved| schema.is_kind_of(moved, target) || schema.is_kind_of(target, moved))
        }
        _ => false,
    };
    let is_key = entity_type.primary_key_ids().contains(&old.id());
    !is_key
        && !holds_moved
        && !is_replaced(old.id())
        && !counterpart.is_some_and(|other| is_replaced(other.id()))
}

/// Reads what a cache has kept of an entity of this type and with this key, if that is so since
/// `oldest`.
///
/// # Errors
///
/// [`ErrorKind::BadResponse`] if it is something else.
pub(crate) fn read_kept(
    schema: &Schema,
    (entity_type, key): (TypeId, &Key),
    text: &str,
    oldest: u64,
) -> Result<Option<Rows>> {
    let bad = |why: &str| Error::new(ErrorKind::BadResponse, why.to_owned());
    let kept: Kept<'_> = serde_json::from_str(text).map_err(|error| bad(&error.to_string()))?;
    if kept.at < oldest {
        return Ok(None);
    }
    let body = format!("[{{\"data\":{}}}]", kept.entity.get());
    let Answer { replies, rows } = decode(schema, body.as_bytes())?;
    let root = replies.first().and_then(|reply| reply.roots.first());
    let root = root.map(|&row| &rows.rows[row as usize]);
    let root = root.ok_or_else(|| bad("it holds no entity"))?;
    let same = family(schema, root.entity_type).id() == family(schema, entity_type).id();
    if !same || root.key != *key {
        return Err(bad("it holds another entity"));
    }
    Ok(Some(rows))
}

/// Joins rows that were read one by one.
pub(crate) fn join(all: Vec<Rows>) -> Rows {
    let mut joined = Rows::default();
    let mut shapes: BTreeMap<std::sync::Arc<[NameId]>, u32> = BTreeMap::new();
    for rows in all {
        let count = |count: usize| u32::try_from(count).expect("fewer than 2^32 rows");
        let (first_row, first_slot) = (count(joined.rows.len()), count(joined.slots.len()));
        let numbers: Vec<u32> = rows
            .shapes
            .into_iter()
            .map(|shape| match shapes.entry(shape) {
                Place::Occupied(place) => *place.get(),
                Place::Vacant(place) => {
                    let number = count(joined.shapes.len());
                    joined.shapes.push(place.key().clone());
                    *place.insert(number)
                }
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
