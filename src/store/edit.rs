//! Writes: create, set, unset, delete, each recorded as an operation.

use crate::error::{Error, ErrorKind, Result};
use crate::operation::Operation;
use crate::schema::{Attribute, AttributeKind, EntityType, Schema};
use crate::value::{Data, EntityKey, Key, Slot, Text, Value};

use super::attributes::Setting;
use super::check::{Given, check, key_from, with_defaults};
use super::commit::Note;
use super::{Life, Store};

impl Store {
    /// Makes a new entity from `data` and the schema's defaults; `new_id` makes keys.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownType`], [`ErrorKind::UnknownAttribute`] and [`ErrorKind::WrongType`]
    /// for what does not fit the schema, [`ErrorKind::Validation`] if a part of the key is
    /// missing, and [`ErrorKind::Duplicate`] if the session knows an entity with this key.
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
        if twin.is_some_and(|twin| self.record(twin).state != Life::Deleted) {
            return Err(Error::new(
                ErrorKind::Duplicate,
                format!("the session knows {entity} already; use it, or pick another key"),
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
            // The new entity takes the key over; the old one is as good as gone.
            self.unindex(deleted);
        }
        let place = self.insert(entity_type.id(), entity.key().clone(), Life::Created);
        let number = record.then_some(self.recorded);
        let mirrors = slots.iter().map(|(one, _)| {
            let is_given = |other: &&Attribute| slots.iter().any(|(one, _)| one.id() == other.id());
            let counterpart = schema.counterpart(entity_type, one);
            counterpart.filter(|other| !is_given(other))
        });
        let mirrors: Vec<Option<&Attribute>> = mirrors.collect();
        let count = slots.len() + mirrors.iter().flatten().count();
        let local = self.records[place as usize].local.get_or_insert_default();
        local.reserve(count);
        self.changed.insert(place);
        for ((attribute, slot), mirror) in slots.into_iter().zip(mirrors) {
            self.keep_local(place, attribute, slot, number, mirror)?;
        }
        if record {
            let operation = Operation::Create {
                entity,
                entity_data,
            };
            self.push(place, operation);
        }
        // Collections go into updates of their own after the create, because what they list may
        // refer to the new entity.
        for (name, value) in later {
            self.set(place, &name, value, record)?;
        }
        Ok(place)
    }

    /// Sets an attribute. Setting what it already is does nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`], [`ErrorKind::Immutable`], [`ErrorKind::WrongType`],
    /// [`ErrorKind::NotFound`] if the entity is deleted, and [`ErrorKind::Validation`] for keys
    /// with too few or too many values.
    pub(crate) fn set(&mut self, place: u32, name: &str, value: Value, record: bool) -> Result<()> {
        let schema = self.schema.clone();
        let fitting = self.fitting(&schema, place, name, value, record)?;
        let Some((attribute, value, slot)) = fitting else {
            return Ok(());
        };
        let number = record.then_some(self.recorded);
        let old_value = self.slot(place, attribute.id());
        let old_value = old_value.map(|old| self.value(&old));
        let counterpart = schema.counterpart(schema.by_id(self.type_of(place)), attribute);
        self.keep_local(place, attribute, slot, number, counterpart)?;
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
    /// As for [`set`](Self::set).
    pub(crate) fn update(&mut self, place: u32, data: Data, record: bool) -> Result<()> {
        let schema = self.schema.clone();
        for (name, value) in &data {
            self.fitting(&schema, place, name, value.clone(), record)?;
        }
        for (name, value) in data {
            self.set(place, &name, value, record)?;
        }
        Ok(())
    }

    /// An attribute, and a value for it as the schema has it and as records keep it; nothing if it
    /// is that already, unless only without a record.
    fn fitting<'a>(
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

    /// Takes back what was set on an attribute since the last commit, under either of its names.
    /// What a commit is sending at this moment stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`].
    pub(crate) fn unset(&mut self, place: u32, name: &str) -> Result<()> {
        let id = self.attribute_id(place, name)?;
        let entity = self.key(place);
        let schema = self.schema.clone();
        let entity_type = schema.by_id(self.type_of(place));
        let counterpart = entity_type
            .by_id(id)
            .and_then(|attribute| schema.counterpart(entity_type, attribute));
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
        let was_in_doubt = self.retain_queued(|operation| match operation {
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
            self.forget_values(&entity);
        }
        self.settle(place);
        Ok(())
    }

    /// Marks the entity for deletion. One that was never committed goes away at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if it is gone already.
    pub(crate) fn delete(&mut self, place: u32) -> Result<()> {
        match self.record(place).state {
            Life::Gone => return Err(self.gone(place)),
            Life::Deleted => return Ok(()),
            Life::Created => {
                self.records[place as usize].state = Life::Gone;
                self.unindex(place);
            }
            Life::Persisted => self.records[place as usize].state = Life::Deleted,
        }
        self.changed.insert(place);
        let entity = self.key(place);
        self.push(place, Operation::Delete { entity });
        Ok(())
    }

    /// Takes the deletion of an entity back that was not committed, and says whether there was
    /// one.
    ///
    /// # Errors
    ///
    /// As for [`place`](Self::place).
    pub(crate) fn revive(&mut self, entity: &EntityKey) -> Result<bool> {
        let Some(place) = self.find_key(entity) else {
            return Ok(false);
        };
        let record = &mut self.records[place as usize];
        if record.state != Life::Deleted {
            return Ok(false);
        }
        record.state = Life::Persisted;
        let was_in_doubt = self.retain_queued(
            |one| !matches!(one, Operation::Delete { entity: gone } if gone == entity),
        );
        if was_in_doubt {
            self.forget_values(entity);
        }
        self.settle(place);
        Ok(true)
    }

    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the entity is deleted.
    pub(super) fn check_alive(&self, place: u32) -> Result<()> {
        match self.record(place).state {
            Life::Gone => Err(self.gone(place)),
            Life::Deleted => Err(Error::new(
                ErrorKind::NotFound,
                format!("{} is marked for deletion", self.key(place)),
            )),
            Life::Created | Life::Persisted => Ok(()),
        }
    }

    /// # Errors
    ///
    /// [`ErrorKind::Immutable`].
    pub(super) fn check_mutable(
        &self,
        place: u32,
        entity_type: &EntityType,
        attribute: &Attribute,
    ) -> Result<()> {
        let is_new = self.record(place).state == Life::Created;
        let in_key = entity_type.primary_key_ids().contains(&attribute.id());
        if in_key || (!attribute.is_mutable() && !is_new) {
            let name = attribute.name();
            return Err(Error::new(
                ErrorKind::Immutable,
                format!("{name} of {} cannot be changed", self.key(place)),
            ));
        }
        Ok(())
    }

    /// Keeps a value that was set here, and the same fact under the name of `counterpart`.
    fn keep_local(
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

    /// What the counterpart `other` of an attribute is when that is `value`.
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

    /// A value as records keep it; entities that are only named get a record.
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

    /// Drops operations from the queue, and says whether one of them was in doubt: then the server
    /// may have it.
    fn retain_queued(&mut self, keep: impl FnMut(&mut Operation) -> bool) -> bool {
        let kept: Vec<bool> = self.queued.iter_mut().map(keep).collect();
        let mut rest = kept.iter();
        let doubtful: usize = self.in_doubt.iter().sum();
        for count in &mut self.in_doubt {
            *count = rest.by_ref().take(*count).filter(|kept| **kept).count();
        }
        self.in_doubt.retain(|count| *count > 0);
        let mut keeps = kept.iter();
        self.queued.retain(|_| keeps.next() == Some(&true));
        let mut keeps = kept.iter();
        self.queued_notes.retain(|_| keeps.next() == Some(&true));
        self.in_doubt.iter().sum::<usize>() < doubtful
    }

    /// Drops an empty set of local values, and the mark of change if nothing is left of it.
    pub(super) fn settle(&mut self, place: u32) {
        let record = &mut self.records[place as usize];
        if record.local.as_ref().is_some_and(|local| local.is_empty()) {
            record.local = None;
        }
        if record.local.is_none() && matches!(record.state, Life::Persisted | Life::Gone) {
            self.changed.remove(&place);
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
