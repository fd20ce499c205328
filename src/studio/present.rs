//! What the server has of entities at this moment.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rows::{MAX_KEYS, Row, rows_of};
use super::values;
use crate::query::{Criterion, all_of, any_of, field, select};
use crate::{EntityKey, Result, Session, SmolStr};

/// The rows of those of these entities that exist, with these attributes. One request, unless there are
/// more than 5,000 of a type.
pub(super) fn present<'a>(
    session: &Session,
    wanted: impl IntoIterator<Item = (&'a EntityKey, Option<&'a str>)>,
) -> Result<HashMap<EntityKey, Row>> {
    let mut by_type: BTreeMap<&str, (BTreeSet<&EntityKey>, BTreeSet<&str>)> = BTreeMap::new();
    for (key, name) in wanted {
        let (keys, names) = by_type.entry(key.entity_type()).or_default();
        keys.insert(key);
        names.extend(name);
    }
    let mut statements = Vec::new();
    for (entity_type, (keys, mut names)) in by_type {
        let primary_key = session.schema().entity_type(entity_type)?.primary_key();
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
            statements.push(these.filter(criterion));
        }
    }
    let rows = rows_of(session, &statements)?.into_iter().flatten();
    let keyed = rows.filter_map(|row| Some((values::key_of(session.schema(), &row)?, row)));
    Ok(keyed.collect())
}
