//! What became of a commit whose answer was lost: the questions to the server.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value as Json};

use crate::api::Intent;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Session;
use crate::operation::{Action, Operation, Payload, optimise};
use crate::schema::EntityType;
use crate::session::load::by_keys;
use crate::value::{EntityKey, Value};
use crate::wire::{query_action, same_value, value_to_json};

/// How many entities one question is about.
const MOST: usize = 200;

/// What the server has of an entity, by the names of its attributes.
type Row = Map<String, Json>;

impl Session {
    /// Whether the server has what a batch was to bring about.
    ///
    /// A batch is one transaction, and the keys of new entities are made here: if one of them is
    /// there, all of the batch is. One that creates nothing is on the server if everything is
    /// there that it sets, and everything gone that it deletes; else it may be sent again,
    /// because updates set the same values and deleting what is gone is no error (SERVER.md D).
    pub(crate) fn is_applied(&self, operations: &[Operation]) -> Result<bool> {
        let payloads = optimise(operations);
        if let Some(entity_type) = self.own_keys(&payloads)? {
            let created = payloads.iter().filter(|one| {
                one.action == Action::Create && one.entity.entity_type() == entity_type.name()
            });
            let keys: Vec<EntityKey> = created.map(|one| one.entity.clone()).take(MOST).collect();
            return Ok(!self.rows_of(entity_type, &keys, &[])?.is_empty());
        }
        let as_wanted = self
            .is_as_wanted(&payloads)
            .and_then(|as_wanted| Ok(as_wanted && self.are_extended(&extended(operations))?));
        match as_wanted {
            // A question that the server refuses is refused the next time too.
            Err(error) if !is_passing(&error) => Ok(false),
            answer => answer,
        }
    }

    /// A type of which the batch creates entities under keys that nobody else can have made.
    fn own_keys(&self, payloads: &[Payload<'_>]) -> Result<Option<&EntityType>> {
        for one in payloads.iter().filter(|one| one.action == Action::Create) {
            let entity_type = self.schema().entity_type(one.entity.entity_type())?;
            if entity_type.primary_key().len() == 1 {
                return Ok(Some(entity_type));
            }
        }
        Ok(None)
    }

    fn is_as_wanted(&self, payloads: &[Payload<'_>]) -> Result<bool> {
        let mut by_type: HashMap<&str, Vec<&Payload<'_>>> = HashMap::new();
        for one in payloads {
            by_type
                .entry(one.entity.entity_type())
                .or_default()
                .push(one);
        }
        for (name, payloads) in by_type {
            let entity_type = self.schema().entity_type(name)?;
            for some in payloads.chunks(MOST) {
                if !self.are_as_wanted(entity_type, some)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn are_as_wanted(&self, entity_type: &EntityType, payloads: &[&Payload<'_>]) -> Result<bool> {
        let keys: Vec<EntityKey> = payloads.iter().map(|one| one.entity.clone()).collect();
        let mut names: Vec<&str> = payloads.iter().flat_map(|one| names_of(one)).collect();
        names.sort_unstable();
        names.dedup();
        let rows = self.rows_of(entity_type, &keys, &names)?;
        for one in payloads {
            let row = rows.get(&one.entity.parts().collect::<Vec<_>>());
            let is_as_wanted = match (one.action, row) {
                (Action::Delete, row) => row.is_none(),
                (_, None) => false,
                (_, Some(row)) => self.has(row, one)?,
            };
            if !is_as_wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has(&self, row: &Row, payload: &Payload<'_>) -> Result<bool> {
        for (name, value, _) in &payload.data {
            let sent = value_to_json(self.schema(), value)?;
            if !row.get(*name).is_some_and(|found| same_value(&sent, found)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether everybody is in a collection who joined it, and nobody who left it: who else is in
    /// it was not this batch's business.
    fn are_extended(&self, collections: &Extended<'_>) -> Result<bool> {
        for ((type_name, name), changes) in collections {
            let entity_type = self.schema().entity_type(type_name)?;
            let keys: Vec<EntityKey> = changes.keys().map(|key| (*key).clone()).collect();
            for some in keys.chunks(MOST) {
                let rows = self.rows_of(entity_type, some, &[name])?;
                for entity in some {
                    let row = rows.get(&entity.parts().collect::<Vec<_>>());
                    let Some(Json::Array(found)) = row.and_then(|row| row.get(*name)) else {
                        return Ok(false);
                    };
                    for (member, joins) in &changes[entity] {
                        let member = Value::Reference((*member).clone());
                        let member = value_to_json(self.schema(), &member)?;
                        if found.iter().any(|one| same_value(&member, one)) != *joins {
                            return Ok(false);
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    /// What the server has of these entities, by the parts of their keys.
    fn rows_of(
        &self,
        entity_type: &EntityType,
        keys: &[EntityKey],
        names: &[&str],
    ) -> Result<HashMap<Vec<String>, Row>> {
        let primary_key = entity_type.primary_key();
        let wanted = primary_key.iter().map(smol_str::SmolStr::as_str);
        let wanted = wanted.chain(names.iter().copied());
        let statement = by_keys(entity_type, entity_type.name(), keys);
        let statement = statement.fields(wanted.collect::<Vec<_>>());
        let action = query_action(&statement.expression()?);
        let summary = format!("a question about {} {}", keys.len(), entity_type.name());
        let api = &self.shared.api;
        let (rows,): (Rows,) =
            api.exchange(Intent::ReadAsSelected, &[action], &summary, |response| {
                serde_json::from_slice(response).map_err(|error| {
                    let message = format!("the response cannot be read: {error}");
                    Error::new(ErrorKind::BadResponse, message)
                })
            })?;
        let rows = rows.data.into_iter().map(|row| {
            let parts = primary_key.iter().map(|name| match row.get(name.as_str()) {
                Some(Json::String(text)) => text.clone(),
                other => other.map(Json::to_string).unwrap_or_default(),
            });
            (parts.collect(), row)
        });
        Ok(rows.collect())
    }
}

#[derive(serde::Deserialize)]
struct Rows {
    data: Vec<Row>,
}

fn names_of<'a>(payload: &Payload<'a>) -> Vec<&'a str> {
    payload.data.iter().map(|(name, _, _)| *name).collect()
}

/// By entity type and name of a collection: for each entity, who joined or left it in the end.
type Extended<'a> =
    BTreeMap<(&'a str, &'a str), BTreeMap<&'a EntityKey, HashMap<&'a EntityKey, bool>>>;

/// A collection that is set as a whole too seldom fits both: then it is sent again, which does no
/// harm.
fn extended(operations: &[Operation]) -> Extended<'_> {
    let mut collections = Extended::new();
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

/// Whether the same question may be answered another time.
fn is_passing(error: &Error) -> bool {
    let refused = [
        ErrorKind::Server,
        ErrorKind::Validation,
        ErrorKind::Permission,
        ErrorKind::Syntax,
        ErrorKind::UnknownAttribute,
        ErrorKind::UnknownType,
        ErrorKind::NotFound,
    ];
    !refused.contains(&error.kind())
}
