//! Rows of a file as creations and updates, a chunk at a time.

mod find;
mod record;

use ftrack_api::schema::EntityType;
use ftrack_api::{Entity, Session};

use crate::failure::{Code, Failure, Result};
use crate::rows_file::{REASON, Record};
use crate::values::Place;

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

/// A row with the entity that it is about, if there is one already.
pub(crate) struct Prepared {
    pub(crate) record: Record,
    existing: Option<Entity>,
}

impl<'a> Layout<'a> {
    /// # Errors
    ///
    /// - If a column is not an attribute of the type, or an identifying column is not in the file.
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
                let found = names.iter().map(find).collect::<Result<Vec<_>>>()?;
                let is_attribute =
                    |&index: &usize| matches!(places[index], Some(Place::Attribute(_)));
                if !found.iter().all(is_attribute) {
                    let message = "rows are identified by attributes, not by key-value pairs";
                    return Err(Failure::usage(message));
                }
                Identity::Columns(found)
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
        let more = self.identifying_names().into_iter();
        let more: Vec<String> = more.filter(|name| !paths.contains(name)).collect();
        paths.extend(more);
        paths
    }

    /// Why a row is refused; an error that is about no row ends the import.
    fn reason(&self, failure: Failure) -> Result<String> {
        match failure.code() {
            Code::Invalid | Code::NotFound | Code::Ambiguous => Ok(failure.to_string()),
            _ => Err(failure),
        }
    }
}
