//! Rows of a file as creations and updates, a chunk at a time.

use std::collections::HashMap;

use ftrack_api::query::{Criterion, all_of, any_of, field, select};
use ftrack_api::schema::EntityType;
use ftrack_api::{Data, Entity, EntityKey, Session, Value};

use crate::failure::{Code, Failure, Result};
use crate::rows_file::{Cell, REASON, Record};
use crate::values::{Place, Values, workflow_path};

/// How many combinations of identifying values one query looks for.
const MAX_COMBINATIONS: usize = 50;
/// How many ids one query looks for.
const MAX_IDS: usize = 500;

/// What the columns of a file mean for entities of a type.
pub(crate) struct Layout<'a> {
    session: &'a Session,
    entity_type: &'a EntityType,
    /// For each column; `None` for those that are ignored.
    places: Vec<Option<Place>>,
    identity: Identity,
}

/// How the entity of a row is found.
enum Identity {
    /// Each row is new.
    New,
    /// By the id in this column.
    Id(usize),
    /// By the path in this column.
    Path(usize),
    /// By the values of these columns together.
    Columns(Vec<usize>),
}

/// What became of rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// The lines of the rows of this chunk that are done.
    pub(crate) done: Vec<u64>,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
}

/// What a row does.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    Creates,
    Updates,
    Nothing,
}

/// A row with the entity that it is about, if there is one already.
pub(crate) struct Prepared {
    pub(crate) record: Record,
    existing: Option<Entity>,
}

impl<'a> Layout<'a> {
    /// # Errors
    ///
    /// - If a column is no attribute of the type, or an identifying column is not in the file.
    pub(crate) fn new(
        session: &'a Session,
        entity_type: &'a EntityType,
        columns: &[String],
        by: &[String],
    ) -> Result<Self> {
        let place = |name: &String| match name == REASON {
            true => Ok(None),
            false => Place::parse(entity_type, name).map(Some),
        };
        let places = columns.iter().map(place).collect::<Result<Vec<_>>>()?;
        let id = columns.iter().position(|name| name == "id");
        let path = places.iter().position(|place| *place == Some(Place::Path));
        let identity = match (by, id) {
            ([], None) => path.map_or(Identity::New, Identity::Path),
            ([], Some(id)) => Identity::Id(id),
            ([only], Some(id)) if only == "id" => Identity::Id(id),
            ([only], _) if only == "path" && path.is_some() => {
                path.map_or(Identity::New, Identity::Path)
            }
            (names, _) => {
                let find = |name: &String| {
                    let index = columns.iter().position(|column| column == name);
                    index.ok_or_else(|| {
                        let known = columns.join(", ");
                        Failure::invalid(format!("the file has no column {name:?}, only {known}"))
                    })
                };
                Identity::Columns(names.iter().map(find).collect::<Result<_>>()?)
            }
        };
        Ok(Self {
            session,
            entity_type,
            places,
            identity,
        })
    }

    /// The attributes that are compared with what a row says.
    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for place in self.places.iter().flatten() {
            let path = match place {
                Place::Attribute(name) => name.clone(),
                Place::Custom(_) => "custom_attributes".to_owned(),
                Place::Metadata(_) => "metadata".to_owned(),
                Place::Path => "parent".to_owned(),
            };
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        let is_named = self.entity_type.attribute("name").is_ok();
        if is_named && !paths.iter().any(|path| path == "name") {
            paths.push("name".to_owned());
        }
        paths
    }

    /// Finds the entities of a chunk of rows, in a few requests. Rows without one are new; those with
    /// several are refused.
    pub(crate) fn prepare(
        &self,
        values: &mut Values<'_>,
        records: Vec<Record>,
        mut refuse: impl FnMut(&Record, &str) -> Result<()>,
    ) -> Result<Vec<Prepared>> {
        let mut keys: Vec<Option<String>> = Vec::with_capacity(records.len());
        let mut criteria: Vec<Criterion> = Vec::new();
        let mut ids: Vec<String> = Vec::new();
        let mut good: Vec<Record> = Vec::with_capacity(records.len());
        for record in records {
            let key = match &record.problem {
                Some(problem) => Err(Failure::invalid(problem.clone())),
                None => self.key_of(values, &record, &mut criteria, &mut ids),
            };
            match key {
                Ok(key) => {
                    keys.push(key);
                    good.push(record);
                }
                Err(failure) => refuse(&record, &self.reason(failure)?)?,
            }
        }
        let found = self.find(&ids, &criteria)?;
        let mut prepared = Vec::with_capacity(good.len());
        for (record, key) in good.into_iter().zip(keys) {
            match key.and_then(|key| found.get(&key)).map(Vec::as_slice) {
                None | Some([]) => prepared.push(Prepared {
                    record,
                    existing: None,
                }),
                Some([one]) => prepared.push(Prepared {
                    record,
                    existing: Some(one.clone()),
                }),
                Some(several) => {
                    let message =
                        format!("{} entities match its identifying columns", several.len());
                    refuse(&record, &message)?;
                }
            }
        }
        Ok(prepared)
    }

    /// What identifies the entity of a row, as a text; adds what to look for.
    fn key_of(
        &self,
        values: &mut Values<'_>,
        record: &Record,
        criteria: &mut Vec<Criterion>,
        ids: &mut Vec<String>,
    ) -> Result<Option<String>> {
        match &self.identity {
            Identity::New => Ok(None),
            Identity::Id(column) => match &record.cells[*column] {
                Cell::Text(id) if !id.trim().is_empty() => {
                    ids.push(id.trim().to_owned());
                    Ok(Some(id.trim().to_owned()))
                }
                _ => Ok(None),
            },
            Identity::Path(column) => {
                let Cell::Text(text) = &record.cells[*column] else {
                    return Err(Failure::invalid("it has no path"));
                };
                let (parent, name) = values.split_path(text)?;
                let is_there = field("parent_id")
                    .eq(parent.id())
                    .and(field("name").eq(&name));
                criteria.push(is_there);
                Ok(Some(format!("{}\u{1f}{name}", parent.id())))
            }
            Identity::Columns(columns) => {
                let mut parts = Vec::new();
                let mut all = Vec::new();
                for &column in columns {
                    let Some(Place::Attribute(name)) = &self.places[column] else {
                        let message = "rows are identified by attributes, not by key-value pairs";
                        return Err(Failure::usage(message));
                    };
                    let value = match &record.cells[column] {
                        Cell::Text(text) => values.value(self.entity_type, name, text, None)?,
                        _ => Value::Null,
                    };
                    all.push(match &value {
                        Value::Null => field(name).is_none(),
                        Value::Reference(key) => field(format!("{name}.id")).eq(key.id()),
                        value => field(name).eq(value),
                    });
                    parts.push(identifying(&value));
                }
                criteria.push(all_of(all));
                Ok(Some(parts.join("\u{1f}")))
            }
        }
    }

    fn find(&self, ids: &[String], criteria: &[Criterion]) -> Result<HashMap<String, Vec<Entity>>> {
        let mut found: HashMap<String, Vec<Entity>> = HashMap::new();
        let mut filters: Vec<Criterion> = Vec::new();
        filters.extend(
            ids.chunks(MAX_IDS)
                .map(|some| field("id").is_in(some.iter().map(String::as_str))),
        );
        filters.extend(
            criteria
                .chunks(MAX_COMBINATIONS)
                .map(|some| any_of(some.iter().cloned())),
        );
        for filter in filters {
            let statement = select(self.entity_type.name())
                .fields(self.paths())
                .filter(filter);
            for entity in &self.session.query(statement)? {
                let entity = entity?;
                let key = match &self.identity {
                    Identity::Columns(columns) => {
                        let mut parts = Vec::new();
                        for &column in columns {
                            if let Some(Place::Attribute(name)) = &self.places[column] {
                                parts.push(identifying(&entity.value(name)?.unwrap_or_default()));
                            }
                        }
                        parts.join("\u{1f}")
                    }
                    Identity::Path(_) => {
                        let parent = entity.value("parent")?.unwrap_or_default();
                        format!(
                            "{}\u{1f}{}",
                            identifying(&parent),
                            entity.get::<String>("name")?
                        )
                    }
                    _ => entity.id(),
                };
                let same = found.entry(key).or_default();
                if !same.contains(&entity) {
                    same.push(entity);
                }
            }
        }
        Ok(found)
    }

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
        for some in ids.chunks(MAX_IDS) {
            let filter = field("id").is_in(some.iter().map(String::as_str));
            let parents = self
                .session
                .query(select("Context").fields(["id"]).filter(filter))?
                .all()?;
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

    /// Why a row is refused; an error that is about no row ends the import.
    fn reason(&self, failure: Failure) -> Result<String> {
        match failure.code() {
            Code::Invalid | Code::NotFound | Code::Ambiguous => Ok(failure.to_string()),
            _ => Err(failure),
        }
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

fn identifying(value: &Value) -> String {
    match value {
        Value::Reference(key) => key.id(),
        Value::Null => "\u{0}".to_owned(),
        // Whole numbers are the same with and without a fraction.
        Value::Integer(number) => (*number as f64).to_string(),
        other => other.to_string(),
    }
}

/// Whether setting the value would change nothing. In a file nothing and an empty text look the same.
fn is_same(known: &Value, value: &Value) -> bool {
    match (known, value) {
        (Value::Null, Value::Text(text)) | (Value::Text(text), Value::Null) => text.is_empty(),
        (Value::Reference(one), Value::Reference(other)) => one.id() == other.id(),
        (Value::Collection(one), Value::Collection(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.id() == b.id())
        }
        (known, value) => identifying(known) == identifying(value),
    }
}
