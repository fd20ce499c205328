//! Reconciliation: asking the server whether a commit whose response was lost has been applied.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value as Json;

use crate::api::PlainRow;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Session;
use crate::operation::{Operation, OperationKind, Payload, optimise};
use crate::schema::EntityType;
use crate::session::load::by_keys;
use crate::value::{EntityKey, Value};
use crate::wire::{query_action, same_value, value_to_json};

/// The most entities that one request asks for.
const MAX_KEYS: usize = 200;

impl Session {
    /// Whether a batch has been applied.
    ///
    /// A batch is one transaction, and the keys of new entities are made here: if one of them
    /// exists, the whole batch has been applied. A batch that creates nothing has been applied if
    /// every value that it sets is on the server and every entity that it deletes is not; otherwise
    /// it can safely be sent again, because updates set the same values and deleting a missing
    /// entity is not an error.
    pub(crate) fn is_applied(&self, operations: &[Operation]) -> Result<bool> {
        let payloads = optimise(operations);
        if let Some(entity_type) = self.type_with_new_keys(&payloads)? {
            let created = payloads.iter().filter(|one| {
                one.kind == OperationKind::Create && one.entity.entity_type() == entity_type.name()
            });
            let keys: Vec<EntityKey> = created
                .map(|one| one.entity.clone())
                .take(MAX_KEYS)
                .collect();
            return Ok(!self.rows_of(entity_type, &keys, &[])?.is_empty());
        }
        let is_applied = self
            .has_values(&payloads)
            .and_then(|has| Ok(has && self.has_members(&extensions(operations))?));
        match is_applied {
            // The server would refuse the same question every time.
            Err(error) if is_refusal(&error) => Ok(false),
            result => result,
        }
    }

    /// A type of which the batch creates entities under keys that are unique to it. Keys of several
    /// parts consist of the keys of other entities, so others can create the same.
    fn type_with_new_keys(&self, payloads: &[Payload<'_>]) -> Result<Option<&EntityType>> {
        for one in payloads
            .iter()
            .filter(|one| one.kind == OperationKind::Create)
        {
            let entity_type = self.schema().entity_type(one.entity.entity_type())?;
            if entity_type.primary_key().len() == 1 {
                return Ok(Some(entity_type));
            }
        }
        Ok(None)
    }

    /// Whether the server has what these payloads set, and not what they delete.
    fn has_values(&self, payloads: &[Payload<'_>]) -> Result<bool> {
        let mut by_type: HashMap<&str, Vec<&Payload<'_>>> = HashMap::new();
        for one in payloads {
            by_type
                .entry(one.entity.entity_type())
                .or_default()
                .push(one);
        }
        for (name, payloads) in by_type {
            let entity_type = self.schema().entity_type(name)?;
            for some in payloads.chunks(MAX_KEYS) {
                if !self.have_values(entity_type, some)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn have_values(&self, entity_type: &EntityType, payloads: &[&Payload<'_>]) -> Result<bool> {
        let keys: Vec<EntityKey> = payloads.iter().map(|one| one.entity.clone()).collect();
        let data = payloads.iter().flat_map(|one| &one.data);
        let mut names: Vec<&str> = data.map(|(name, ..)| *name).collect();
        names.sort_unstable();
        names.dedup();
        let rows = self.rows_of(entity_type, &keys, &names)?;
        for one in payloads {
            let row = rows.get(&folded(one.entity.parts()));
            let is_applied = match (one.kind, row) {
                (OperationKind::Delete, row) => row.is_none(),
                (_, None) => false,
                (_, Some(row)) => self.has(row, one)?,
            };
            if !is_applied {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has(&self, row: &PlainRow, payload: &Payload<'_>) -> Result<bool> {
        for (name, value, _) in &payload.data {
            let sent = value_to_json(self.schema(), value)?;
            if !row.get(*name).is_some_and(|found| same_value(&sent, found)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether collections have the members that were added and not those that were removed. Other
    /// members do not matter.
    fn has_members(&self, collections: &Extensions<'_>) -> Result<bool> {
        for ((type_name, name), changes) in collections {
            let entity_type = self.schema().entity_type(type_name)?;
            let keys: Vec<EntityKey> = changes.keys().map(|key| (*key).clone()).collect();
            for some in keys.chunks(MAX_KEYS) {
                let rows = self.rows_of(entity_type, some, &[name])?;
                for entity in some {
                    let row = rows.get(&folded(entity.parts()));
                    let Some(Json::Array(found)) = row.and_then(|row| row.get(*name)) else {
                        return Ok(false);
                    };
                    for (member, is_added) in &changes[entity] {
                        let member = Value::Reference((*member).clone());
                        let member = value_to_json(self.schema(), &member)?;
                        if found.iter().any(|one| same_value(&member, one)) != *is_added {
                            return Ok(false);
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    /// The attributes of these entities on the server, by the [folded](folded) parts of their keys.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if a row has no key, or that of another entity: what such an
    ///   answer says of these entities is unknown.
    fn rows_of(
        &self,
        entity_type: &EntityType,
        keys: &[EntityKey],
        names: &[&str],
    ) -> Result<HashMap<Vec<String>, PlainRow>> {
        let primary_key = entity_type.primary_key();
        let wanted = primary_key.iter().map(smol_str::SmolStr::as_str);
        let wanted = wanted.chain(names.iter().copied());
        let statement = by_keys(entity_type, entity_type.name(), keys);
        let statement = statement.fields(wanted.collect::<Vec<_>>());
        let action = query_action(&statement.expression()?);
        let summary = format!("reconciliation of {} {}", keys.len(), entity_type.name());
        let pages = self.shared.api.plain_pages(&[action], &summary)?;
        let asked: HashSet<Vec<String>> = keys.iter().map(|key| folded(key.parts())).collect();
        let rows = pages.into_iter().flat_map(|page| page.rows).map(|row| {
            let parts = primary_key.iter().map(|name| match row.get(name.as_str()) {
                Some(Json::String(text)) => Some(text.clone()),
                Some(Json::Number(number)) => Some(number.to_string()),
                _ => None,
            });
            let parts = parts.collect::<Option<Vec<_>>>().map(folded);
            let parts = parts.filter(|parts| asked.contains(parts)).ok_or_else(|| {
                let message = "the server sent a row of something else than what was asked for";
                Error::new(ErrorKind::BadResponse, message).about(&summary)
            })?;
            Ok((parts, row))
        });
        rows.collect()
    }
}

/// The parts of a key as they are compared: servers spell keys as they have stored them, and their
/// databases compare texts without regard to case.
fn folded(parts: impl IntoIterator<Item = String>) -> Vec<String> {
    parts.into_iter().map(|part| part.to_lowercase()).collect()
}

/// By entity type and name of a collection: for each entity, the members that were changed last, and
/// whether they were added.
type Extensions<'a> =
    BTreeMap<(&'a str, &'a str), BTreeMap<&'a EntityKey, HashMap<&'a EntityKey, bool>>>;

/// The changes to collections. If the same collection is also set as a whole, the values seldom
/// match; then the batch is sent again, which is safe.
fn extensions(operations: &[Operation]) -> Extensions<'_> {
    let mut collections = Extensions::new();
    for operation in operations {
        if let Operation::Extend {
            entity,
            attribute_name,
            added,
            removed,
        } = operation
        {
            let by_entity = collections
                .entry((entity.entity_type(), attribute_name.as_str()))
                .or_default();
            let members = by_entity.entry(entity).or_default();
            members.extend(removed.iter().map(|one| (one, false)));
            members.extend(added.iter().map(|one| (one, true)));
        }
    }
    collections
}

/// Whether the server refused the question itself, so that asking again is useless. Any other failure
/// leaves the commit in doubt.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server
            | ErrorKind::Validation
            | ErrorKind::Permission
            | ErrorKind::Syntax
            | ErrorKind::UnknownAttribute
            | ErrorKind::UnknownType
            | ErrorKind::NotFound
    )
}
