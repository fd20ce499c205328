//! Rows to the nested objects of a response, written as text.
//!
//! An entity is complete where it first occurs in a response; later it is only its key. What
//! several places of a query select of one entity is given at the first place, because clients
//! ignore the others. With `denormalize` every place gets what was selected for it.

use std::collections::HashMap;

use crate::database::model::{Model, Storage, Type, TypeId};
use crate::error::{Fault, Result};
use crate::select::fetch::{Fetched, Related};
use crate::select::node::PERMISSIONS;

/// The longest response to one query, in bytes.
const LIMIT: usize = 256 << 20;

/// The state of one response.
#[derive(Debug)]
pub struct Encoder {
    /// Leave out what every response carries beyond the selected attributes.
    is_strict: bool,
    /// Repeat entities in full.
    is_denormalized: bool,
    /// By type and key, which attributes were sent. A label and the category that it is are two
    /// entities for clients, although they share a row.
    sent: HashMap<TypeId, HashMap<String, Vec<bool>>>,
}

impl Encoder {
    /// A response in which nothing was sent yet.
    pub fn new(is_strict: bool, is_denormalized: bool) -> Self {
        Self {
            is_strict,
            is_denormalized,
            sent: HashMap::new(),
        }
    }

    /// The entities of a page, as the text of a list.
    ///
    /// # Errors
    ///
    /// If the text becomes too large: repeated in full, rows of rows of rows grow without bounds.
    pub fn page(&mut self, model: &Model, fetched: &Fetched) -> Result<String> {
        let mut writer = Writer {
            model,
            nodes: Vec::new(),
            places: HashMap::new(),
            is_strict: self.is_strict,
        };
        let root = writer.prepare(fetched, !self.is_denormalized);
        let mut out = String::from("[");
        for row in 0..fetched.rows.len() {
            out.push_str(if row > 0 { "," } else { "" });
            writer.entity(self, Place { node: root, row }, &mut out);
        }
        out.push(']');
        if out.len() > LIMIT {
            return Err(Fault::validation(
                "The response is too large: select fewer relations or rows at once",
            ));
        }
        Ok(out)
    }

    /// Remembers that an attribute of an entity was sent, and says whether it is the first time.
    pub fn mark_sent(&mut self, ty: &Type, key: &str, attribute: usize) -> bool {
        if self.is_denormalized {
            return true;
        }
        let entities = self.sent.entry(ty.id).or_default();
        if !entities.contains_key(key) {
            entities.insert(key.to_owned(), vec![false; ty.attributes.len() + 1]);
        }
        let sent = entities
            .get_mut(key)
            .and_then(|sent| sent.get_mut(attribute));
        sent.is_some_and(|sent| !std::mem::replace(sent, true))
    }
}

/// A row at one place of a query.
#[derive(Clone, Copy)]
struct Place {
    node: usize,
    row: usize,
}

/// One node of the query with what its rows of each concrete type say.
struct Prepared<'a> {
    fetched: &'a Fetched,
    slots: HashMap<TypeId, Vec<Slot<'a>>>,
    key: Vec<usize>,
}

/// One attribute that a node selects.
#[derive(Clone, Copy)]
struct Slot<'a> {
    attribute: usize,
    source: Source<'a>,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Column(usize),
    /// The related rows, the position of their node, and whether there is only one.
    Relation(&'a Related, usize, bool),
}

struct Writer<'a> {
    model: &'a Model,
    nodes: Vec<Prepared<'a>>,
    places: HashMap<(TypeId, &'a str), Vec<Place>>,
    is_strict: bool,
}

impl<'a> Writer<'a> {
    /// Finds out what each node says, and where each entity occurs.
    fn prepare(&mut self, fetched: &'a Fetched, is_collected: bool) -> usize {
        let children: HashMap<&str, (usize, &'a Related)> = fetched
            .relations
            .iter()
            .map(|(name, related)| {
                (
                    name.as_str(),
                    (self.prepare(&related.fetched, is_collected), related),
                )
            })
            .collect();
        let mut slots = HashMap::new();
        for row in &fetched.rows {
            slots
                .entry(row.ty)
                .or_insert_with(|| self.slots(fetched, &self.model.types[row.ty], &children));
        }
        let node = self.nodes.len();
        let key = self.model.types[fetched.node.ty].key.iter();
        let key = key.map(|name| fetched.columns[name]).collect();
        self.nodes.push(Prepared {
            fetched,
            slots,
            key,
        });
        if is_collected {
            for (row, found) in fetched.rows.iter().enumerate() {
                self.places
                    .entry((found.ty, found.key.as_str()))
                    .or_default()
                    .push(Place { node, row });
            }
        }
        node
    }

    fn slots(
        &self,
        fetched: &'a Fetched,
        ty: &Type,
        children: &HashMap<&str, (usize, &'a Related)>,
    ) -> Vec<Slot<'a>> {
        let mut slots = Vec::new();
        for (attribute, attr) in ty.attributes.iter().enumerate() {
            let name = attr.name();
            if let Some(&(node, related)) = children.get(name) {
                let is_one = matches!(attr.storage, Storage::Reference(_));
                slots.push(Slot {
                    attribute,
                    source: Source::Relation(related, node, is_one),
                });
                continue;
            }
            let is_system = !self.is_strict && ty.system.contains(&attribute);
            let is_key = ty.key.iter().any(|key| key == name);
            if !is_key && (is_system || fetched.node.names.contains(name)) {
                slots.extend(fetched.columns.get(name).map(|&column| Slot {
                    attribute,
                    source: Source::Column(column),
                }));
            }
        }
        slots
    }

    /// Scalars come before relations, relations in the schema's order: clients merge depth-first
    /// in that order.
    fn entity(&self, encoder: &mut Encoder, place: Place, out: &mut String) {
        // The caller refuses what is cut off here.
        if out.len() > LIMIT {
            return;
        }
        let prepared = &self.nodes[place.node];
        let row = &prepared.fetched.rows[place.row];
        let ty = &self.model.types[row.ty];
        out.push_str("{\"__entity_type__\":\"");
        out.push_str(&ty.name);
        out.push('"');
        for (name, &column) in ty.key.iter().zip(&prepared.key) {
            member(name, out);
            out.push_str(prepared.fetched.value(place.row, column));
        }
        let alone = [place];
        let places = self
            .places
            .get(&(row.ty, row.key.as_str()))
            .map_or(alone.as_slice(), Vec::as_slice);
        let mut relations: Vec<(usize, Place, Source<'_>)> = Vec::new();
        for &place in places {
            let node = &self.nodes[place.node];
            let Some(slots) = node.slots.get(&row.ty) else {
                continue;
            };
            for slot in slots {
                if !encoder.mark_sent(ty, &row.key, slot.attribute) {
                    continue;
                }
                match slot.source {
                    Source::Column(column) => {
                        member(ty.attributes[slot.attribute].name(), out);
                        out.push_str(node.fetched.value(place.row, column));
                    }
                    relation => relations.push((slot.attribute, place, relation)),
                }
            }
        }
        // Behind the attributes of the type, as it is none of them.
        let permissions = places.iter().find_map(|&place| {
            let fetched = self.nodes[place.node].fetched;
            let column = fetched.columns.get(PERMISSIONS)?;
            Some(fetched.value(place.row, *column))
        });
        if let Some(permissions) = permissions
            && encoder.mark_sent(ty, &row.key, ty.attributes.len())
        {
            member(PERMISSIONS, out);
            out.push_str(permissions);
        }
        relations.sort_by_key(|(attribute, ..)| *attribute);
        for (attribute, place, source) in relations {
            if let Source::Relation(related, node, is_one) = source {
                member(ty.attributes[attribute].name(), out);
                let owner = &self.nodes[place.node].fetched.rows[place.row].key;
                self.related(encoder, related.of(place.row, owner), (node, is_one), out);
            }
        }
        out.push('}');
    }

    fn related(
        &self,
        encoder: &mut Encoder,
        rows: &[usize],
        (node, is_one): (usize, bool),
        out: &mut String,
    ) {
        if is_one {
            match rows.first() {
                Some(&row) => self.entity(encoder, Place { node, row }, out),
                None => out.push_str("null"),
            }
            return;
        }
        out.push('[');
        for (index, &row) in rows.iter().enumerate() {
            out.push_str(if index > 0 { "," } else { "" });
            self.entity(encoder, Place { node, row }, out);
        }
        out.push(']');
    }
}

/// Names of attributes come from the schema and need no escapes.
fn member(name: &str, out: &mut String) {
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":");
}
