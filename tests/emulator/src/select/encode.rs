//! Rows to the nested objects of an answer (SERVER.md B5).
//!
//! An entity is complete where it first occurs in an answer; later it is only its key. What
//! several places of a query select of one entity is given at the first place, because clients
//! ignore the others. With `denormalize` every place gets what was selected for it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::database::model::{Model, Storage, Type};
use crate::select::fetch::{Fetched, Related, Row};

/// An entity: its table and its key.
pub type Identity = (usize, String);

/// The state of one answer.
#[derive(Debug, Default)]
pub struct Encoder {
    /// Leave out what every answer carries beyond the selected attributes.
    is_strict: bool,
    /// Repeat entities in full.
    is_denormalized: bool,
    sent: HashMap<Identity, HashSet<String>>,
}

/// A row at one place of a query.
#[derive(Clone, Copy)]
struct Place<'a> {
    fetched: &'a Fetched,
    row: &'a Row,
}

impl Encoder {
    /// An answer in which nothing was sent yet.
    pub fn new(is_strict: bool, is_denormalized: bool) -> Self {
        Self {
            is_strict,
            is_denormalized,
            sent: HashMap::new(),
        }
    }

    /// The entities of a page.
    pub fn page(&mut self, model: &Model, fetched: &Fetched) -> Vec<Value> {
        let mut places = HashMap::new();
        if !self.is_denormalized {
            collect(model, fetched, &mut places);
        }
        let writer = Writer {
            model,
            places: &places,
        };
        fetched
            .rows
            .iter()
            .map(|row| writer.entity(self, Place { fetched, row }))
            .collect()
    }

    /// Remembers that attributes of an entity were sent, and says which of them are new.
    pub fn news<'n>(
        &mut self,
        identity: &Identity,
        names: impl Iterator<Item = &'n str>,
    ) -> Vec<&'n str> {
        if self.is_denormalized {
            return names.collect();
        }
        let sent = self.sent.entry(identity.clone()).or_default();
        names
            .filter(|name| sent.insert((*name).to_owned()))
            .collect()
    }
}

/// Every place at which each entity occurs.
fn collect<'a>(
    model: &Model,
    fetched: &'a Fetched,
    places: &mut HashMap<Identity, Vec<Place<'a>>>,
) {
    for row in &fetched.rows {
        places
            .entry(identity(model, row))
            .or_default()
            .push(Place { fetched, row });
    }
    for related in fetched.relations.values() {
        collect(model, &related.fetched, places);
    }
}

fn identity(model: &Model, row: &Row) -> Identity {
    (model.types[row.ty].table, row.key.clone())
}

struct Writer<'a> {
    model: &'a Model,
    places: &'a HashMap<Identity, Vec<Place<'a>>>,
}

impl Writer<'_> {
    /// Scalars come before relations, relations in the schema's order: clients merge depth-first
    /// in that order.
    fn entity(&self, encoder: &mut Encoder, place: Place<'_>) -> Value {
        let ty = &self.model.types[place.row.ty];
        let mut object = Map::new();
        object.insert("__entity_type__".to_owned(), Value::from(ty.name.as_str()));
        for key in &ty.key {
            object.insert(
                key.clone(),
                place.row.values[place.fetched.columns[key]].clone(),
            );
        }
        let identity = identity(self.model, place.row);
        let alone = [place];
        let places = self
            .places
            .get(&identity)
            .map_or(alone.as_slice(), Vec::as_slice);
        let names = ty.attributes.iter().map(|attr| attr.name());
        let asked = names.filter(|name| {
            places
                .iter()
                .any(|place| is_asked(encoder.is_strict, ty, place, name))
        });
        let asked: Vec<_> = asked.collect();
        let (relations, scalars): (Vec<_>, Vec<_>) = encoder
            .news(&identity, asked.into_iter())
            .into_iter()
            .partition(|name| ty.get(name).is_some_and(|attr| is_relation(&attr.storage)));
        for name in scalars {
            let value = places.iter().find_map(|place| {
                place
                    .fetched
                    .columns
                    .get(name)
                    .map(|&position| &place.row.values[position])
            });
            object.insert(name.to_owned(), value.cloned().unwrap_or(Value::Null));
        }
        for name in relations {
            let found = places
                .iter()
                .find_map(|place| Some((place, place.fetched.relations.get(name)?)));
            if let Some((place, related)) = found {
                let is_one = ty
                    .get(name)
                    .is_some_and(|attr| matches!(attr.storage, Storage::Reference(_)));
                object.insert(
                    name.to_owned(),
                    self.related(encoder, &place.row.key, related, is_one),
                );
            }
        }
        Value::Object(object)
    }

    fn related(
        &self,
        encoder: &mut Encoder,
        owner: &str,
        related: &Related,
        is_one: bool,
    ) -> Value {
        let fetched = &related.fetched;
        let positions = related
            .owned
            .get(owner)
            .map_or([].as_slice(), Vec::as_slice);
        let mut entities = positions.iter().map(|&position| {
            self.entity(
                encoder,
                Place {
                    fetched,
                    row: &fetched.rows[position],
                },
            )
        });
        if is_one {
            entities.next().unwrap_or(Value::Null)
        } else {
            Value::Array(entities.collect())
        }
    }
}

fn is_asked(is_strict: bool, ty: &Type, place: &Place<'_>, name: &str) -> bool {
    let fetched = place.fetched;
    let is_system = || {
        !is_strict
            && ty
                .position(name)
                .is_some_and(|position| ty.system.contains(&position))
    };
    let is_key = ty.key.iter().any(|key| key == name);
    !is_key
        && (fetched.node.names.contains(name)
            || fetched.relations.contains_key(name)
            || is_system())
}

fn is_relation(storage: &Storage) -> bool {
    matches!(storage, Storage::Reference(_) | Storage::Collection(_))
}
