//! Rows as recorded changes, and those changes on the server.

use std::collections::HashMap;

use ftrack_api::query::{field, select};
use ftrack_api::{Data, Entity, EntityKey, Session, Value};

use super::{Counts, Identity, Layout, Prepared};
use crate::failure::{Code, Failure, Result};
use crate::rows_file::{Cell, Record};
use crate::values::{Place, Values, workflow_path};

/// What a row does.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    Creates,
    Updates,
    Nothing,
}

impl Layout<'_> {
    /// Records what the rows say; those that do not fit the schema are refused.
    pub(crate) fn record(
        &self,
        values: &mut Values<'_>,
        rows: Vec<Prepared>,
        counts: &mut Counts,
        mut refuse: impl FnMut(&Record, &str) -> Result<()>,
    ) -> Result<Vec<Prepared>> {
        let near = self.parents(values, &rows)?;
        let mut good = Vec::with_capacity(rows.len());
        for row in rows {
            match self.record_row(values, &row, &near) {
                Ok(effect) => {
                    match effect {
                        Effect::Creates => counts.created += 1,
                        Effect::Updates => counts.updated += 1,
                        Effect::Nothing => counts.unchanged += 1,
                    }
                    good.push(row);
                }
                Err(failure) => refuse(&row.record, &self.reason(failure)?)?,
            }
        }
        Ok(good)
    }

    /// The parents of new entities, if what they offer must be known: loaded together.
    fn parents(
        &self,
        values: &mut Values<'_>,
        rows: &[Prepared],
    ) -> Result<HashMap<String, Entity>> {
        let mut near = HashMap::new();
        let is_offered = |place: &Option<Place>| {
            let Some(Place::Attribute(name)) = place else {
                return false;
            };
            let attribute = self.entity_type.attribute(name);
            attribute.is_ok_and(|one| matches!(one.target(), Some("Status" | "Type")))
        };
        if !self.places.iter().any(is_offered) {
            return Ok(near);
        }
        let existing: Vec<Entity> = rows.iter().filter_map(|row| row.existing.clone()).collect();
        load_workflows(self.session, &existing)?;
        let mut ids: Vec<String> = Vec::new();
        for row in rows.iter().filter(|row| row.existing.is_none()) {
            if let Some(key) = self.parent_of(values, &row.record)
                && !ids.contains(&key.id())
            {
                ids.push(key.id());
            }
        }
        if !ids.is_empty() {
            let parents = select("Context")
                .fields(["id"])
                .filter(field("id").is_in(&ids));
            let parents = self.session.query(parents)?.all()?;
            load_workflows(self.session, &parents)?;
            near.extend(parents.into_iter().map(|parent| (parent.id(), parent)));
        }
        Ok(near)
    }

    fn parent_of(&self, values: &mut Values<'_>, record: &Record) -> Option<EntityKey> {
        if let Identity::Path(column) = self.identity
            && let Cell::Text(text) = &record.cells[column]
        {
            return values.split_path(text).ok().map(|(parent, _)| parent);
        }
        ["parent", "project"].into_iter().find_map(|name| {
            let wanted = Some(Place::Attribute(name.to_owned()));
            let column = self.places.iter().position(|place| *place == wanted)?;
            let Cell::Text(text) = &record.cells[column] else {
                return None;
            };
            let value = values.value(self.entity_type, name, text, None).ok()?;
            value.as_reference().cloned()
        })
    }

    fn record_row(
        &self,
        values: &mut Values<'_>,
        row: &Prepared,
        near: &HashMap<String, Entity>,
    ) -> Result<Effect> {
        let cells = self.places.iter().zip(&row.record.cells);
        let cells: Vec<(&Place, &Cell)> = cells
            .filter_map(|(place, cell)| Some((place.as_ref()?, cell)))
            .collect();
        let Some(entity) = &row.existing else {
            return self
                .create(values, &row.record, &cells, near)
                .map(|()| Effect::Creates);
        };
        // Everything is converted before anything is recorded.
        let mut data = Data::new();
        let mut pairs = Vec::new();
        for (place, cell) in cells {
            match (place, cell) {
                (_, Cell::Absent) => {}
                (Place::Attribute(name), cell) => {
                    let value = match cell {
                        Cell::Text(text) => {
                            values.value(self.entity_type, name, text, Some(entity))?
                        }
                        _ => Value::Null,
                    };
                    let known = entity.value(name)?.unwrap_or_default();
                    if !is_same(&known, &value) {
                        data.set(name.as_str(), value);
                    }
                }
                (place, cell) => {
                    let text = match cell {
                        Cell::Text(text) => text.as_str(),
                        _ => "",
                    };
                    if !values.has_pair(entity, place, text)? {
                        pairs.push((place, text));
                    }
                }
            }
        }
        if data.is_empty() && pairs.is_empty() {
            return Ok(Effect::Nothing);
        }
        let record = || -> Result<()> {
            self.session
                .update(entity.entity_type(), entity.key(), data)?;
            pairs
                .iter()
                .try_for_each(|(place, text)| values.set_pair(entity, place, text))
        };
        record().inspect_err(|_| entity.clear())?;
        Ok(Effect::Updates)
    }

    fn create(
        &self,
        values: &mut Values<'_>,
        record: &Record,
        cells: &[(&Place, &Cell)],
        near: &HashMap<String, Entity>,
    ) -> Result<()> {
        let parent = match near.is_empty() {
            true => None,
            false => self
                .parent_of(values, record)
                .and_then(|key| near.get(&key.id())),
        };
        let mut data = Data::new();
        for (place, cell) in cells {
            if let (Place::Path, Cell::Text(text)) = (place, cell) {
                let (parent, name) = values.split_path(text)?;
                data.set("parent", parent);
                data.set("name", name);
                continue;
            }
            let (Place::Attribute(name), Cell::Text(text)) = (place, cell) else {
                continue;
            };
            // An empty cell leaves a new entity with the schema's default.
            if !text.is_empty() {
                data.set(
                    name.as_str(),
                    values.value(self.entity_type, name, text, parent)?,
                );
            }
        }
        let created = self.session.create(self.entity_type.name(), data)?;
        for (place, cell) in cells {
            let (Place::Custom(_) | Place::Metadata(_), Cell::Text(text)) = (place, cell) else {
                continue;
            };
            if !text.is_empty() {
                let set = values.set_pair(&created, place, text);
                set.inspect_err(|_| drop(self.session.delete(&created)))?;
            }
        }
        Ok(())
    }

    /// Commits what is recorded of these rows. If the server refuses a row, the others are committed
    /// without it: what it refuses is found by halves where it does not say.
    pub(crate) fn commit(
        &self,
        values: &mut Values<'_>,
        rows: Vec<Prepared>,
        counts: &mut Counts,
        refuse: &mut dyn FnMut(&Record, &str) -> Result<()>,
    ) -> Result<()> {
        let mut recorded = Counts::default();
        let mut rows = self.record(values, rows, &mut recorded, &mut *refuse)?;
        let error = match self.session.commit() {
            Ok(()) => {
                counts.created += recorded.created;
                counts.updated += recorded.updated;
                counts.unchanged += recorded.unchanged;
                counts.done.extend(rows.iter().map(|row| row.record.line));
                return Ok(());
            }
            Err(error) => error,
        };
        let refused_one = error.server().and_then(|server| server.entity.clone());
        let message = self.refusal(error)?;
        self.session.rollback();
        if let [only] = rows.as_slice() {
            return refuse(&only.record, &message);
        }
        let is_refused = |row: &Prepared| {
            row.existing
                .as_ref()
                .map(Entity::key)
                .is_some_and(|key| Some(key) == refused_one)
        };
        if let Some(index) = rows.iter().position(is_refused) {
            let row = rows.remove(index);
            refuse(&row.record, &message)?;
            return self.commit(values, rows, counts, refuse);
        }
        let second = rows.split_off(rows.len() / 2);
        self.commit(values, rows, counts, refuse)?;
        self.commit(values, second, counts, refuse)
    }

    /// What the server says of data that it refuses; any other failure ends the import.
    fn refusal(&self, error: ftrack_api::Error) -> Result<String> {
        let failure = Failure::from(error);
        let is_refusal = matches!(
            failure.code(),
            Code::Invalid | Code::NotFound | Code::Ambiguous
        ) || matches!(&failure, Failure::Ftrack(error)
                if error.server().is_some() && failure.code() != Code::Unreachable);
        match is_refusal {
            true => Ok(failure.to_string()),
            false => Err(failure),
        }
    }
}

/// Loads what says which statuses and types there are, for all entities of a type at once.
fn load_workflows(session: &Session, entities: &[Entity]) -> Result<()> {
    let mut by_path: HashMap<&str, Vec<Entity>> = HashMap::new();
    for entity in entities {
        if let Some(path) = workflow_path(entity) {
            by_path.entry(path).or_default().push(entity.clone());
        }
    }
    for (path, entities) in by_path {
        session.populate(&entities, path)?;
    }
    Ok(())
}

/// Whether setting the value would change nothing. In a file nothing and an empty text look the same.
fn is_same(known: &Value, value: &Value) -> bool {
    match (known, value) {
        (Value::Null, Value::Text(text)) | (Value::Text(text), Value::Null) => text.is_empty(),
        (Value::Reference(one), Value::Reference(other)) => one.id() == other.id(),
        (Value::Collection(one), Value::Collection(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.id() == b.id())
        }
        // Whole numbers are the same with and without a fraction.
        (Value::Integer(one), Value::Number(other))
        | (Value::Number(other), Value::Integer(one)) => {
            (*one as f64).to_string() == other.to_string()
        }
        (known, value) => known == value || known.to_string() == value.to_string(),
    }
}
