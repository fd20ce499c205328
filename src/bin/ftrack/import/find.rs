//! The entities that rows are about, found for a whole chunk in a few requests.

use std::collections::HashMap;

use ftrack_api::query::select;
use ftrack_api::{Entity, Value};

use super::{Identity, Layout, Prepared};
use crate::failure::{Failure, Result};
use crate::lookup::{filters, identifying};
use crate::rows_file::{Cell, Record};
use crate::values::{Place, Values};

/// Entities by what the server does not tell apart, with their identifying values.
type Found = HashMap<String, Vec<(Vec<Value>, Entity)>>;

impl Layout<'_> {
    /// Finds the entities of a chunk of rows. Rows without one are new; those with several are refused.
    pub(crate) fn prepare(
        &self,
        values: &mut Values<'_>,
        records: Vec<Record>,
        mut refuse: impl FnMut(&Record, &str) -> Result<()>,
    ) -> Result<Vec<Prepared>> {
        if let Identity::Path(column) = self.identity {
            let paths = records.iter().map(|record| &record.cells[column]);
            values.load_parents(paths.filter_map(|cell| match cell {
                Cell::Text(text) => Some(text.as_str()),
                _ => None,
            }))?;
        }
        let mut rows: Vec<(Record, Option<Vec<Value>>)> = Vec::with_capacity(records.len());
        for record in records {
            let identity = match &record.problem {
                Some(problem) => Err(Failure::invalid(problem.clone())),
                None => self.identity_of(values, &record),
            };
            match identity {
                Ok(identity) => rows.push((record, identity)),
                Err(failure) => refuse(&record, &self.reason(failure)?)?,
            }
        }
        let wanted: Vec<Vec<Value>> = rows.iter().filter_map(|(_, one)| one.clone()).collect();
        let found = self.find(&wanted)?;
        let mut prepared = Vec::with_capacity(rows.len());
        for (record, identity) in rows {
            let matching = identity.and_then(|identity| {
                let same = found.get(&joined(&identity))?;
                // Of those that differ in case only, one may be called exactly so.
                let mut exact = same.iter().filter(|(values, _)| *values == identity);
                match (exact.next(), exact.next()) {
                    (Some(one), None) => Some(vec![one.1.clone()]),
                    _ => Some(same.iter().map(|(_, entity)| entity.clone()).collect()),
                }
            });
            match matching.as_deref() {
                Some([first, second, ..]) => {
                    let message = format!("{first} and {second} match its identifying columns");
                    refuse(&record, &message)?;
                }
                found => prepared.push(Prepared {
                    existing: found.and_then(|found| found.first()).cloned(),
                    record,
                }),
            }
        }
        Ok(prepared)
    }

    /// The attributes that identify an entity.
    pub(super) fn identifying_names(&self) -> Vec<String> {
        match &self.identity {
            Identity::New => Vec::new(),
            Identity::Id(_) => vec!["id".to_owned()],
            Identity::Path(_) => vec!["parent_id".to_owned(), "name".to_owned()],
            Identity::Columns(columns) => {
                let places = columns.iter().map(|&column| &self.places[column]);
                let names = places.filter_map(|place| match place {
                    Some(Place::Attribute(name)) => Some(name.clone()),
                    _ => None,
                });
                names.collect()
            }
        }
    }

    /// The values that identify the entity of a row; `None` if the row is new.
    fn identity_of(&self, values: &mut Values<'_>, record: &Record) -> Result<Option<Vec<Value>>> {
        match &self.identity {
            Identity::New => Ok(None),
            Identity::Id(column) => Ok(match &record.cells[*column] {
                Cell::Text(id) if !id.trim().is_empty() => Some(vec![Value::from(id.trim())]),
                _ => None,
            }),
            Identity::Path(column) => {
                let Cell::Text(text) = &record.cells[*column] else {
                    return Err(Failure::invalid("it has no path"));
                };
                let (parent, name) = values.split_path(text)?;
                Ok(Some(vec![Value::from(parent.id()), Value::from(name)]))
            }
            Identity::Columns(columns) => {
                let names = self.identifying_names();
                let identity =
                    columns
                        .iter()
                        .zip(&names)
                        .map(|(&column, name)| match &record.cells[column] {
                            Cell::Text(text) => values.value(self.entity_type, name, text, None),
                            _ => Ok(Value::Null),
                        });
                let identity: Vec<Value> = identity.collect::<Result<_>>()?;
                let is_empty = |value: &Value| match value {
                    Value::Null => true,
                    Value::Text(text) => text.trim().is_empty(),
                    _ => false,
                };
                // It would be another new entity each time that the file is imported.
                if identity.iter().all(is_empty) {
                    let message = format!("nothing identifies it: no {}", names.join(", no "));
                    return Err(Failure::invalid(message));
                }
                Ok(Some(identity))
            }
        }
    }

    /// The entities with these identities.
    fn find(&self, wanted: &[Vec<Value>]) -> Result<Found> {
        let names = self.identifying_names();
        let mut found = Found::new();
        let statements = filters(&names, wanted).into_iter().map(|filter| {
            select(self.entity_type.name())
                .fields(self.paths())
                .filter(filter)
        });
        let entities = self.session.query_many(statements)?;
        for entity in entities.into_iter().flatten() {
            let values = names
                .iter()
                .map(|name| Ok(entity.value(name)?.unwrap_or_default()));
            let values: Vec<Value> = values.collect::<Result<_>>()?;
            let same = found.entry(joined(&values)).or_default();
            if !same.iter().any(|(_, known)| *known == entity) {
                same.push((values, entity));
            }
        }
        Ok(found)
    }
}

fn joined(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(identifying).collect();
    texts.join("\u{1f}")
}
