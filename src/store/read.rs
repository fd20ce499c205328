//! Reads: a value, or what would have to be fetched to know it.

use slab::Slab;

use crate::error::{Error, ErrorKind, Result};
use crate::operation::apply;
use crate::schema::{Attribute, AttributeKind, NameId};
use crate::value::{Cell, EntityKey, Lent, Slot, Text, Value};

use super::attributes::Local;
use super::shapes::Shapes;
use super::{Life, Record, Store};

/// The answer to a read.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    Known(Value),
    /// Nobody ever said what it is, and asking the server would not help.
    NotSet,
    /// The entity at `place` lacks the first attribute of `path`.
    Missing {
        place: u32,
        path: String,
    },
}

impl Store {
    /// Reads an attribute, or follows references to one: `status.state.short`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`], [`ErrorKind::WrongType`] if the path goes through what
    /// is no reference, and [`ErrorKind::NotFound`] if the entity is gone.
    pub(crate) fn read(&self, place: u32, path: &str) -> Result<Read> {
        let mut place = place;
        let mut path = path;
        loop {
            let (name, rest) = match path.split_once('.') {
                Some((name, rest)) => (name, Some(rest)),
                None => (path, None),
            };
            let id = self.attribute_id(place, name)?;
            let Some(slot) = self.slot(place, id) else {
                return self.missing(place, id, path);
            };
            match (rest, slot.as_ref()) {
                (None, slot) => return Ok(Read::Known(self.value(slot))),
                (Some(rest), Slot::Link(next)) => (place, path) = (*next, rest),
                (Some(_), Slot::Null) => return Ok(Read::Known(Value::Null)),
                (Some(rest), slot) => {
                    let attribute = self.entity_type(place).by_id(id);
                    let hint = attribute.map_or("", Attribute::pairs_hint);
                    return Err(Error::new(
                        ErrorKind::WrongType,
                        format!(
                            "{}.{name} is {} and has no {rest:?}; only references lead on{hint}",
                            self.key(place),
                            self.value(slot).kind_name(),
                        ),
                    ));
                }
            }
        }
    }

    /// Hands what lies at `path` to `read`, if it is loaded and kept as a value of its own. For
    /// anything else, mistakes included, there is [`read`](Self::read).
    #[inline]
    pub(crate) fn lend<T>(
        &mut self,
        place: u32,
        path: &str,
        read: impl FnOnce(Lent<'_>) -> Option<T>,
    ) -> Option<T> {
        let names = self.paths.names(&self.schema, path)?;
        let view = View::new(&self.records, &self.shapes, place);
        if let Some(slot) = view.follow(&self.records, &self.shapes, names) {
            return read(Lent(slot));
        }
        let &[name] = names else { return None };
        let part = self.key_part(place, name)?;
        read(Lent(&Slot::Text(part)))
    }

    /// Adds what lies at each of `paths` from each of `places` to `cells`, place by place. What is
    /// missing is a cell that is not set, and named.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub(crate) fn fill(
        &self,
        places: &[u32],
        paths: &[String],
        cells: &mut Vec<Cell>,
    ) -> Result<Vec<(EntityKey, String)>> {
        let mut missing = Vec::new();
        let names = paths.iter().map(|path| {
            let names = path.split('.').map(|name| self.schema.name_id(name));
            names.collect::<Option<Vec<NameId>>>().unwrap_or_default()
        });
        let names: Vec<Vec<NameId>> = names.collect();
        cells.reserve(places.len() * paths.len());
        for &place in places {
            let view = View::new(&self.records, &self.shapes, place);
            for (path, names) in paths.iter().zip(&names) {
                let kept = view.follow(&self.records, &self.shapes, names);
                if let Some(cell) = kept.and_then(Cell::of) {
                    cells.push(cell);
                    continue;
                }
                cells.push(match self.read(place, path)? {
                    Read::Known(value) => value.into(),
                    Read::NotSet => Cell::NotSet,
                    Read::Missing { place, path } => {
                        missing.push((self.key(place), path));
                        Cell::NotSet
                    }
                });
            }
        }
        Ok(missing)
    }

    /// The value that is known without asking anybody, local ones first.
    pub(crate) fn known(&self, place: u32, name: &str) -> Option<Value> {
        let id = self.schema.name_id(name)?;
        self.slot(place, id).map(|slot| self.value(&slot))
    }

    /// The value as the server last gave it, whatever was set here.
    pub(crate) fn remote(&self, place: u32, name: &str) -> Option<Value> {
        let id = self.schema.name_id(name)?;
        let record = self.record(place);
        if let Some(part) = self.key_part(place, id) {
            return Some(self.value(&Slot::Text(part)));
        }
        record
            .remote
            .get(&self.shapes, id)
            .map(|slot| self.value(slot))
    }

    /// The value that was set here and is not yet on the server.
    pub(crate) fn local(&self, place: u32, name: &str) -> Option<Value> {
        let id = self.schema.name_id(name)?;
        let local = self.record(place).local.as_ref()?;
        local.get(id).map(|slot| self.value(slot))
    }

    /// The names of what is known, in the schema's order.
    pub(crate) fn known_names(&self, place: u32) -> Vec<&str> {
        let attributes = self.entity_type(place).attributes().iter();
        attributes
            .filter(|attribute| self.slot(place, attribute.id()).is_some())
            .map(crate::schema::Attribute::name)
            .collect()
    }

    /// The names of what the server gave, key attributes excepted.
    pub(crate) fn loaded_names(&self, place: u32) -> Vec<String> {
        let names = self.record(place).remote.names(&self.shapes);
        names
            .iter()
            .map(|&name| self.schema.name(name).to_string())
            .collect()
    }

    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`].
    pub(super) fn attribute_id(&self, place: u32, name: &str) -> Result<NameId> {
        let entity_type = self.entity_type(place);
        self.schema
            .name_id(name)
            .filter(|&id| {
                entity_type.by_id(id).is_some() || entity_type.primary_key_ids().contains(&id)
            })
            .ok_or_else(|| self.schema.unknown_attribute(entity_type, name))
    }

    /// What is known of an attribute: what was set here, else what the server said.
    pub(super) fn slot(&self, place: u32, id: NameId) -> Option<std::borrow::Cow<'_, Slot>> {
        use std::borrow::Cow;

        let record = self.record(place);
        let local = record.local.as_deref();
        if let Some(slot) = local.and_then(|local| local.get(id)) {
            return Some(Cow::Borrowed(slot));
        }
        let remote = record.remote.get(&self.shapes, id);
        if let Some(extension) = local.and_then(|local| local.extension(id)) {
            let members: &[u32] = match remote {
                Some(Slot::Links(members)) => members,
                _ if record.state == Life::Created => &[],
                _ => return None,
            };
            let members = apply(members, &extension.added, &extension.removed);
            return Some(Cow::Owned(Slot::Links(members.into())));
        }
        if let Some(slot) = remote {
            return Some(Cow::Borrowed(slot));
        }
        self.key_part(place, id)
            .map(|part| Cow::Owned(Slot::Text(part)))
    }

    fn key_part(&self, place: u32, id: NameId) -> Option<Text> {
        let record = self.record(place);
        let names = self.schema.by_id(record.entity_type).primary_key_ids();
        let position = names.iter().position(|name| *name == id)?;
        record.key.parts().get(position).cloned()
    }

    fn missing(&self, place: u32, id: NameId, path: &str) -> Result<Read> {
        match self.record(place).state {
            // What is not on the server yet has nothing to fetch, and nothing in its collections.
            Life::Created => Ok(
                match self
                    .entity_type(place)
                    .by_id(id)
                    .map(crate::schema::Attribute::kind)
                {
                    Some(AttributeKind::Collection(_) | AttributeKind::Mapped(_)) => {
                        Read::Known(Value::Collection(Vec::new()))
                    }
                    _ => Read::NotSet,
                },
            ),
            Life::Gone => Err(self.gone(place)),
            Life::Persisted | Life::Deleted => Ok(Read::Missing {
                place,
                path: path.to_owned(),
            }),
        }
    }

    pub(super) fn gone(&self, place: u32) -> Error {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "{} is not there any more: it was deleted, or its creation was rolled back",
                self.key(place)
            ),
        )
    }
}

/// What is loaded of one record, laid open for several looks.
#[derive(Clone, Copy)]
struct View<'a> {
    local: Option<&'a Local>,
    remote: &'a [Slot],
    places: &'a [u16],
}

impl<'a> View<'a> {
    #[inline]
    fn new(records: &'a Slab<Record>, shapes: &'a Shapes, place: u32) -> Self {
        let record = &records[place as usize];
        let (places, remote) = record.remote.open(shapes);
        Self {
            local: record.local.as_deref(),
            remote,
            places,
        }
    }

    /// The value of an attribute that need not be put together first, local ones before the
    /// server's.
    #[inline]
    fn get(self, name: NameId) -> Option<&'a Slot> {
        if let Some(local) = self.local {
            if let Some(slot) = local.get(name) {
                return Some(slot);
            }
            if local.extension(name).is_some() {
                return None;
            }
        }
        // The places count from one.
        let place = usize::from(*self.places.get(usize::from(name.0))?);
        self.remote.get(place.wrapping_sub(1))
    }

    /// What lies at the end of a path of references.
    #[inline]
    fn follow(
        mut self,
        records: &'a Slab<Record>,
        shapes: &'a Shapes,
        names: &[NameId],
    ) -> Option<&'a Slot> {
        if let &[name] = names {
            return self.get(name);
        }
        let (last, first) = names.split_last()?;
        for &name in first {
            match self.get(name)? {
                Slot::Link(next) => self = Self::new(records, shapes, *next),
                _ => return None,
            }
        }
        self.get(*last)
    }
}
