//! Reads: a value, or what to fetch first.

use std::borrow::Cow;

use slab::Slab;

use crate::error::{Error, ErrorKind, Result};
use crate::operation::apply;
use crate::schema::{Attribute, NameId};
use crate::value::{Lent, Slot, Text, Value};

use super::attributes::Local;
use super::shapes::Shapes;
use super::{Life, Record, Store};

/// The result of a read.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    Known(Value),
    /// A new entity has no value for it, so that there is nothing to fetch.
    NotSet,
    /// The first attribute of `path` is not loaded for the entity at `place`.
    NotLoaded {
        place: u32,
        path: String,
    },
}

impl Store {
    /// Reads an attribute, or follows references and collections to one: `status.state.short`,
    /// `assignments.resource.username`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if the type has no such attribute.
    /// - [`ErrorKind::WrongType`] if the path leads through something that refers to nothing.
    /// - [`ErrorKind::NotFound`] if the entity does not exist any more and the value is not loaded.
    pub(crate) fn read(&self, place: u32, path: &str) -> Result<Read> {
        let mut place = place;
        let mut path = path;
        loop {
            let (name, rest) = match path.split_once('.') {
                Some((name, rest)) => (name, Some(rest)),
                None => (path, None),
            };
            let id = self.attribute_id(place, name)?;
            let Some(slot) = self.shown(place, id) else {
                return self.not_loaded(place, id, path);
            };
            match (rest, slot.as_ref()) {
                (None, slot) => return Ok(Read::Known(self.value(slot))),
                (Some(rest), Slot::Link(next)) => (place, path) = (*next, rest),
                (Some(rest), Slot::Links(members)) => {
                    // Some members may be of a type that does not have the rest of the path.
                    self.schema.check_path(self.entity_type(place), path)?;
                    return self.read_members(members, rest);
                }
                (Some(_), Slot::Null) => return Ok(Read::Known(Value::Null)),
                (Some(rest), slot) => {
                    let attribute = self.entity_type(place).by_id(id);
                    let hint = attribute.map_or("", Attribute::pairs_hint);
                    return Err(Error::new(
                        ErrorKind::WrongType,
                        format!(
                            "{}.{name} is {}, which has no {rest:?}: a path can only go through references and collections{hint}",
                            self.key(place),
                            self.value(slot).kind_name(),
                        ),
                    ));
                }
            }
        }
    }

    /// The values at a path of all members that have it: a collection if they are references, else
    /// a list. Further collections on the way are flattened.
    fn read_members(&self, members: &[u32], path: &str) -> Result<Read> {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for &member in members {
            let value = match self.read(member, path) {
                Ok(Read::Known(value)) => value,
                Ok(Read::NotSet) => Value::Null,
                Ok(missing @ Read::NotLoaded { .. }) => return Ok(missing),
                Err(error) if error.kind() == ErrorKind::UnknownAttribute => continue,
                Err(error) => return Err(error),
            };
            match value {
                Value::Reference(key) => keys.push(key),
                Value::Collection(more) => keys.extend(more),
                Value::List(more) => values.extend(more),
                other => values.push(other),
            }
        }
        let is_empty = values.iter().all(Value::is_null);
        if is_empty && (!keys.is_empty() || values.is_empty()) {
            return Ok(Read::Known(Value::Collection(keys)));
        }
        values.extend(keys.into_iter().map(Value::Reference));
        Ok(Read::Known(Value::List(values)))
    }

    /// Calls `read` with the value at `path`, if it is loaded and stored as it is. Everything else,
    /// errors included, needs [`read`](Self::read).
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
            if matches!(slot, Slot::Links(_)) && self.has_pending() {
                return None;
            }
            return read(Lent(slot));
        }
        let &[name] = names else { return None };
        let part = self.key_part(place, name)?;
        read(Lent(&Slot::Text(part)))
    }

    /// The local value, else the remote one as far as it is loaded.
    pub(crate) fn known(&self, place: u32, name: &str) -> Option<Value> {
        let id = self.schema.name_id(name)?;
        self.shown(place, id).map(|slot| self.value(&slot))
    }

    /// The remote value as far as it is loaded.
    pub(crate) fn remote(&self, place: u32, name: &str) -> Option<Value> {
        let id = self.schema.name_id(name)?;
        let record = self.record(place);
        if let Some(part) = self.key_part(place, id) {
            return Some(self.value(&Slot::Text(part)));
        }
        let slot = record.remote.get(&self.shapes, id);
        slot.map(|slot| self.value(slot))
    }

    /// The local value.
    pub(crate) fn local(&self, place: u32, name: &str) -> Option<Value> {
        let id = self.schema.name_id(name)?;
        let local = self.record(place).local.as_ref()?;
        local.get(id).map(|slot| self.value(slot))
    }

    /// The names of attributes with known values, in the schema's order.
    pub(crate) fn known_names(&self, place: u32) -> Vec<&str> {
        let attributes = self.entity_type(place).attributes().iter();
        attributes
            .filter(|attribute| self.slot(place, attribute.id()).is_some())
            .map(Attribute::name)
            .collect()
    }

    /// The names of loaded attributes except those of the key.
    pub(crate) fn loaded_names(&self, place: u32) -> Vec<String> {
        let names = self.record(place).remote.names(&self.shapes);
        names
            .iter()
            .map(|&name| self.schema.name(name).to_string())
            .collect()
    }

    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if the type has no such attribute.
    pub(super) fn attribute_id(&self, place: u32, name: &str) -> Result<NameId> {
        let entity_type = self.entity_type(place);
        self.schema
            .name_id(name)
            .filter(|&id| {
                entity_type.by_id(id).is_some() || entity_type.primary_key_ids().contains(&id)
            })
            .ok_or_else(|| self.schema.unknown_attribute(entity_type, name))
    }

    /// The local value of an attribute, else the remote one as far as it is loaded.
    pub(super) fn slot(&self, place: u32, id: NameId) -> Option<Cow<'_, Slot>> {
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
            let members = apply(members, &extension.added, &extension.removed, |one| one);
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

    fn not_loaded(&self, place: u32, id: NameId, path: &str) -> Result<Read> {
        match self.record(place).state {
            // There is nothing to fetch of a new entity: its collections have new members only.
            Life::Created => {
                let attribute = self.entity_type(place).by_id(id);
                let is_collection = attribute.is_some_and(|one| one.members().is_some());
                Ok(match is_collection {
                    true => Read::Known(Value::Collection(Vec::new())),
                    false => Read::NotSet,
                })
            }
            Life::Missing => Err(self.missing_error(place)),
            Life::Persisted | Life::Deleted => Ok(Read::NotLoaded {
                place,
                path: path.to_owned(),
            }),
        }
    }

    pub(super) fn missing_error(&self, place: u32) -> Error {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "{} does not exist any more: it was deleted, or its creation was discarded",
                self.key(place)
            ),
        )
    }
}

/// The values of one record, prepared for several look-ups.
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

    /// The local value, else the remote one. `None` also for an extended collection, whose members
    /// must be computed.
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
        // Places count from one.
        let place = usize::from(*self.places.get(usize::from(name.0))?);
        self.remote.get(place.wrapping_sub(1))
    }

    /// The value at the end of a path of references.
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
