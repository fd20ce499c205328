//! What the server has of entities at this moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rows::{MAX_KEYS, Row, rows_of};
use super::values;
use crate::query::{Criterion, all_of, any_of, field, select};
use crate::schema::Schema;
use crate::{EntityKey, Result, Session, SmolStr, Value};

/// What the server has of some entities.
pub(super) struct Present<'s> {
    schema: &'s Schema,
    rows: HashMap<EntityKey, Row>,
}

impl Present<'_> {
    pub(super) fn has(&self, entity: &EntityKey) -> bool {
        self.rows.contains_key(entity)
    }

    /// The value of an attribute; `None` if the entity does not exist.
    pub(super) fn value(&self, entity: &EntityKey, attribute: &str) -> Result<Option<Value>> {
        let found = self.rows.get(entity).and_then(|row| row.get(attribute));
        let value = found.map(|json| values::from_wire(self.schema, entity, attribute, json));
        value.transpose()
    }
}

/// Those of these entities that exist, with these attributes, under the types that they are asked for by:
/// rows may name more concrete ones. One request, unless there are more than 5,000 of a type.
pub(super) fn present<'s, 'a>(
    session: &'s Session,
    wanted: impl IntoIterator<Item = (&'a EntityKey, Option<&'a str>)>,
) -> Result<Present<'s>> {
    let schema = session.schema();
    let mut by_type: BTreeMap<&str, (BTreeSet<&EntityKey>, BTreeSet<&str>)> = BTreeMap::new();
    for (key, name) in wanted {
        let (keys, names) = by_type.entry(key.entity_type()).or_default();
        keys.insert(key);
        names.extend(name);
    }
    let (mut types, mut statements) = (Vec::new(), Vec::new());
    for (entity_type, (keys, mut names)) in by_type {
        let primary_key = schema.entity_type(entity_type)?.primary_key();
        names.extend(primary_key.iter().map(SmolStr::as_str));
        let names: Vec<&str> = names.into_iter().collect();
        let keys: Vec<&EntityKey> = keys.into_iter().collect();
        for some in keys.chunks(MAX_KEYS) {
            let criterion = match primary_key {
                [name] => field(name).is_in(some.iter().map(|key| key.id())),
                _ => any_of(some.iter().map(|key| -> Criterion {
                    let parts = primary_key.iter().zip(key.parts());
                    all_of(parts.map(|(name, part)| field(name).eq(part)))
                })),
            };
            let these = select(entity_type).fields(names.as_slice());
            types.push(entity_type);
            statements.push(these.filter(criterion));
        }
    }
    let pages = types.into_iter().zip(rows_of(session, &statements)?);
    let rows = pages.flat_map(|(asked, rows)| rows.into_iter().map(move |row| (asked, row)));
    let keyed = rows.filter_map(|(asked, row)| {
        let found = values::key_of(schema, &row)?;
        Some((EntityKey::from_key(asked, found.key().clone()), row))
    });
    Ok(Present {
        schema,
        rows: keyed.collect(),
    })
}
