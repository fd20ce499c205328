//! Changes: create, set, unset, delete, discard. Most are recorded as operations.

use crate::error::{Error, ErrorKind, Result};
use crate::operation::Operation;
use crate::schema::{Attribute, AttributeKind, EntityType, Schema};
use crate::value::{Data, EntityKey, Key, Slot, Text, Value};

use super::attributes::Setting;
use super::check::{Given, check, key_from, with_defaults};
use super::commit::Note;
use super::{Life, Store};

impl Store {
    /// Creates an entity from `data` and the schema's defaults; `new_id` generates keys.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`], [`ErrorKind::UnknownAttribute`] or [`ErrorKind::WrongType`] if
    ///   `data` does not fit the schema.
    /// - [`ErrorKind::Validation`] if a part of the key is missing.
    /// - [`ErrorKind::Duplicate`] if the session knows an entity with this key.
    pub(crate) fn create(
        &mut self,
        entity_type: &str,
        data: Data,
        record: bool,
        new_id: &mut dyn FnMut() -> String,
    ) -> Result<u32> {
        let schema = self.schema.clone();
        let entity_type = schema.entity_type(entity_type)?;
        let data = with_defaults(&schema, entity_type, data, new_id)?;
        let entity = key_from(entity_type, &data)?;
        let twin = self.find(entity_type.id(), entity.key());
        let is_there = |twin: u32| {
            let state = self.record(twin).state;
            !matches!(state, Life::Deleted | Life::Missing)
        };
        if twin.is_some_and(is_there) {
            return Err(Error::new(
                ErrorKind::Duplicate,
                format!("the session knows {entity} already; use that entity, or another key"),
            ));
        }
        let mut slots = Vec::with_capacity(data.len());
        let mut entity_data = Data::with_capacity(data.len());
        let mut later = Vec::new();
        for Given {
            attribute,
            name,
            value,
        } in data
        {
            let value = check(&schema, &entity, attribute, value)?;
            let slot = self.slot_of(&value)?;
            if matches!(value, Value::Collection(_)) {
                later.push((name, value));
            } else {
                slots.push((attribute, slot));
                entity_data.push_new(name, value);
            }
        }
        if let Some(deleted) = twin {
            // The new entity takes over the key of one that is marked for deletion, or does not exist.
            self.unindex(deleted);
        }
        let place = self.insert(entity_type.id(), entity.key().clone(), Life::Created);
        let number = record.then_some(self.recorded);
        let mirrors = slots.iter().map(|(one, _)| {
            let is_given = |other: &&Attribute| slots.iter().any(|(one, _)| one.id() == other.id());
            let counterpart = entity_type.counterpart(one);
            counterpart.filter(|other| !is_given(other))
        });
        let mirrors: Vec<Option<&Attribute>> = mirrors.collect();
        let count = slots.len() + mirrors.iter().flatten().count();
        let local = self.records[place as usize].local.get_or_insert_default();
        local.reserve(count);
        self.changed.insert(place);
        for ((attribute, slot), mirror) in slots.into_iter().zip(mirrors) {
            self.set_local(place, attribute, slot, number, mirror)?;
        }
        if record {
            let operation = Operation::Create {
                entity,
                entity_data,
            };
            self.push(place, operation);
        }
        // Collections become updates after the create, because their members may refer to the new
        // entity.
        for (name, value) in later {
            self.set(place, &name, value, record)?;
        }
        Ok(place)
    }

    /// Sets an attribute. Setting the present value has no effect.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`], [`ErrorKind::Immutable`], [`ErrorKind::WrongType`].
    /// - [`ErrorKind::NotFound`] if the entity is deleted.
    /// - [`ErrorKind::Validation`] for a reference with too few or too many key values.
    pub(crate) fn set(&mut self, place: u32, name: &str, value: Value, record: bool) -> Result<()> {
        let schema = self.schema.clone();
        let fitting = self.check_value(&schema, place, name, value, record)?;
        let Some((attribute, value, slot)) = fitting else {
            return Ok(());
        };
        let number = record.then_some(self.recorded);
        let old_value = self.slot(place, attribute.id());
        let old_value = old_value.map(|old| self.value(&old));
        let counterpart = schema.by_id(self.type_of(place)).counterpart(attribute);
        self.set_local(place, attribute, slot, number, counterpart)?;
        self.changed.insert(place);
        if record {
            let operation = Operation::Update {
                entity: self.key(place),
                attribute_name: name.to_owned(),
                old_value,
                new_value: value,
            };
            self.push(place, operation);
        }
        Ok(())
    }

    /// Sets all of these attributes, or none.
    ///
    /// # Errors
    ///
    /// - Any error of [`set`](Self::set).
    pub(crate) fn update(&mut self, place: u32, data: Data, record: bool) -> Result<()> {
        self.check_update(place, &data, record)?;
        for (name, value) in data {
            self.set(place, &name, value, record)?;
        }
        Ok(())
    }

    /// Whether [`update`](Self::update) would set all of these.
    ///
    /// # Errors
    ///
    /// - Any error of [`set`](Self::set).
    pub(crate) fn check_update(&mut self, place: u32, data: &Data, record: bool) -> Result<()> {
        let schema = self.schema.clone();
        for (name, value) in data {
            self.check_value(&schema, place, name, value.clone(), record)?;
        }
        Ok(())
    }

    /// The attribute, and the value as the schema has it and as records store it. `None` if it has
    /// this value already, unless the value was set without being recorded and now is.
    fn check_value<'a>(
        &mut self,
        schema: &'a Schema,
        place: u32,
        name: &str,
        value: Value,
        record: bool,
    ) -> Result<Option<(&'a Attribute, Value, Slot)>> {
        let entity_type = schema.by_id(self.type_of(place));
        let attribute = schema.attribute_of(entity_type, name)?;
        self.check_alive(place)?;
        let value = check(schema, &self.key(place), attribute, value)?;
        let slot = self.slot_of(&value)?;
        let old = self.slot(place, attribute.id());
        let is_unrecorded = || {
            let local = self.record(place).local.as_ref();
            local.is_some_and(|local| local.is_unrecorded(attribute.id()))
        };
        if old.is_some_and(|old| same(&old, &slot)) && !(record && is_unrecorded()) {
            return Ok(None);
        }
        self.check_mutable(place, entity_type, attribute)?;
        Ok(Some((attribute, value, slot)))
    }

    /// Discards the local value of an attribute, under either of its names. A value that a commit is
    /// sending stays.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if the type has no such attribute.
    pub(crate) fn unset(&mut self, place: u32, name: &str) -> Result<()> {
        let id = self.attribute_id(place, name)?;
        let entity = self.key(place);
        let schema = self.schema.clone();
        let entity_type = schema.by_id(self.type_of(place));
        let counterpart = entity_type
            .by_id(id)
            .and_then(|attribute| entity_type.counterpart(attribute));
        let sent_before = self.in_flight.as_ref().map_or(0, |_| self.sent_before);
        let Some(local) = &mut self.records[place as usize].local else {
            return Ok(());
        };
        if local.is_recorded_before(id, sent_before) {
            return Ok(());
        }
        if local.remove(id).is_none() && !local.remove_extension(id) {
            return Ok(());
        }
        if let Some(counterpart) = counterpart {
            local.remove(counterpart.id());
        }
        let is_it = |present: &str| {
            present == name || counterpart.is_some_and(|other| other.name() == present)
        };
        let was_in_doubt = self.retain_queued(|operation, _| match operation {
            Operation::Create {
                entity: created,
                entity_data,
            } => {
                if *created == entity {
                    entity_data.retain(|present| !is_it(present));
                }
                true
            }
            Operation::Update {
                entity: updated,
                attribute_name,
                ..
            }
            | Operation::Extend {
                entity: updated,
                attribute_name,
                ..
            } => *updated != entity || !is_it(attribute_name),
            Operation::Delete { .. } => true,
        });
        if was_in_doubt {
            self.invalidate(&entity);
        }
        self.tidy(place);
        Ok(())
    }

    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if the entity is deleted.
    pub(crate) fn check_alive(&self, place: u32) -> Result<()> {
        match self.record(place).state {
            Life::Missing => Err(self.missing_error(place)),
            Life::Deleted => Err(Error::new(
                ErrorKind::NotFound,
                format!("{} is marked for deletion", self.key(place)),
            )),
            Life::Created | Life::Persisted => Ok(()),
        }
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Immutable`] if the attribute cannot be changed.
    pub(super) fn check_mutable(
        &self,
        place: u32,
        entity_type: &EntityType,
        attribute: &Attribute,
    ) -> Result<()> {
        let is_new = self.record(place).state == Life::Created;
        let counterpart = entity_type.counterpart(attribute);
        let is_in_key = |one: &Attribute| entity_type.primary_key_ids().contains(&one.id());
        let in_key = is_in_key(attribute) || counterpart.is_some_and(is_in_key);
        if in_key || (!attribute.is_mutable() && !is_new) {
            let name = attribute.name();
            return Err(Error::new(
                ErrorKind::Immutable,
                format!("{name} of {} cannot be changed", self.key(place)),
            ));
        }
        Ok(())
    }

    /// Stores a local value, also under the name of `counterpart`: `status` and `status_id` are one
    /// fact.
    fn set_local(
        &mut self,
        place: u32,
        attribute: &Attribute,
        value: Slot,
        operation: Option<u64>,
        counterpart: Option<&Attribute>,
    ) -> Result<()> {
        let mirrored = match counterpart {
            Some(other) => self
                .mirrored(other, &value)?
                .map(|value| (other.id(), value)),
            None => None,
        };
        self.note_reference(place, &value);
        if let Some((_, value)) = &mirrored {
            self.note_reference(place, value);
        }
        let local = self.records[place as usize].local.get_or_insert_default();
        let mut set = |name, value| {
            local.set(Setting {
                name,
                value,
                operation,
            });
        };
        set(attribute.id(), value);
        if let Some((other, value)) = mirrored {
            set(other, value);
        }
        Ok(())
    }

    /// The value of the counterpart `other` of an attribute with `value`.
    fn mirrored(&mut self, other: &Attribute, value: &Slot) -> Result<Option<Slot>> {
        Ok(match (value, other.kind()) {
            (Slot::Null, _) => Some(Slot::Null),
            (Slot::Link(target), _) => match self.record(*target).key.parts() {
                [part] => Some(Slot::Text(part.clone())),
                _ => None,
            },
            (Slot::Text(id), AttributeKind::Reference(target)) => {
                let target = EntityKey::from_key(target, Key::Single(id.clone()));
                Some(Slot::Link(self.place(&target)?))
            }
            _ => None,
        })
    }

    /// A value in the form of records. Entities that it refers to get records.
    fn slot_of(&mut self, value: &Value) -> Result<Slot> {
        Ok(match value {
            Value::Null => Slot::Null,
            Value::Bool(value) => Slot::Bool(*value),
            Value::Integer(value) => Slot::Integer(*value),
            Value::Number(value) => Slot::Number(*value),
            Value::Text(text) => Slot::Text(Text::new(text)),
            Value::DateTime(value) => Slot::DateTime(*value),
            Value::Date(value) => Slot::Date(*value),
            Value::Json(value) => Slot::Json(value.clone()),
            Value::List(values) => {
                Slot::Json(values.iter().cloned().collect::<serde_json::Value>().into())
            }
            Value::Reference(key) => Slot::Link(self.place(key)?),
            Value::Collection(keys) => {
                let places = keys.iter().map(|key| self.place(key));
                Slot::Links(places.collect::<Result<_>>()?)
            }
        })
    }

    pub(super) fn push(&mut self, place: u32, operation: Operation) {
        let number = self.recorded;
        self.queued_notes.push(Note { number, place });
        self.recorded += 1;
        self.queued.push(operation);
    }

    /// Removes an empty set of local values, and the record from `changed` if no change is left.
    pub(super) fn tidy(&mut self, place: u32) {
        let record = &mut self.records[place as usize];
        if record.local.as_ref().is_some_and(|local| local.is_empty()) {
            record.local = None;
        }
        if record.local.is_none() && matches!(record.state, Life::Persisted | Life::Missing) {
            self.changed.remove(&place);
        }
        if self.changed.is_empty() {
            self.joining.clear();
            self.marked_deleted = 0;
        }
    }
}

fn same(old: &Slot, new: &Slot) -> bool {
    match (old, new) {
        (Slot::Integer(integer), Slot::Number(number))
        | (Slot::Number(number), Slot::Integer(integer)) => *integer as f64 == *number,
        _ => old == new,
    }
}
