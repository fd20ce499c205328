//! Reads: a value, or what would have to be fetched to know it.

use crate::error::{Error, ErrorKind, Result};
use crate::operation::apply;
use crate::schema::{AttributeKind, NameId};
use crate::value::{Slot, Text, Value};

use super::{Life, Store};

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
                    return Err(Error::new(
                        ErrorKind::WrongType,
                        format!(
                            "{}.{name} is {} and has no {rest:?}; only references lead on",
                            self.key(place),
                            self.value(slot).kind_name(),
                        ),
                    ));
                }
            }
        }
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
            .ok_or_else(|| entity_type.unknown(name))
    }

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
