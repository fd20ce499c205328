//! Contexts by their paths, found for many rows together.

use std::collections::HashMap;

use ftrack_api::query::{field, select};
use ftrack_api::studio::ContextPath;
use ftrack_api::{Entity, EntityKey, Session, Value};

use crate::failure::{Code, Failure, Result};
use crate::lookup::{filters, identifying};

/// How many paths are remembered at most.
const MAX_KNOWN: usize = 20_000;
/// So few paths are found faster one by one.
const FEW_PATHS: usize = 3;

/// Remembers what the paths above rows lead to.
#[derive(Default)]
pub(crate) struct Parents {
    /// By the names in lower case; why there is none for paths that lead nowhere.
    known: HashMap<Vec<String>, std::result::Result<EntityKey, (Code, String)>>,
}

impl Parents {
    /// The key of the parent and the name that a path says.
    pub(crate) fn split(&mut self, session: &Session, text: &str) -> Result<(EntityKey, String)> {
        let path = ContextPath::from(text);
        let Some((name, above)) = above(&path) else {
            let failure = Failure::invalid(format!("{text:?} is not a path below a project"));
            return Err(failure.with_remedy("a path looks like project/sequence/shot"));
        };
        let key = match self.known.get(&folded(above)) {
            Some(known) => known.clone(),
            None => {
                let found = match session.at(above) {
                    Ok(entity) => Ok(entity.key()),
                    Err(error) => {
                        let failure = Failure::from(error);
                        match failure.code() {
                            code @ (Code::NotFound | Code::Ambiguous | Code::Invalid) => {
                                Err((code, failure.to_string()))
                            }
                            _ => return Err(failure),
                        }
                    }
                };
                self.known.insert(folded(above), found.clone());
                found
            }
        };
        match key {
            Ok(key) => Ok((key, name.clone())),
            Err((code, message)) => Err(Failure::new(code, message)),
        }
    }

    /// Finds what is above these paths, a level of all of them in each request. Paths that lead nowhere,
    /// or to several contexts, stay unknown.
    pub(crate) fn load<'a>(
        &mut self,
        session: &Session,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        if self.known.len() > MAX_KNOWN {
            self.known.clear();
        }
        let paths = paths.map(ContextPath::from);
        let mut wanted: Vec<Vec<String>> = paths
            .filter_map(|path| Some(folded(above(&path)?.1)))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|names| !self.known.contains_key(names));
        if wanted.len() <= FEW_PATHS {
            return Ok(());
        }
        let depth = wanted.iter().map(Vec::len).max().unwrap_or(0);
        for level in 0..depth {
            let starts = wanted.iter().filter_map(|names| names.get(..=level));
            let mut starts: Vec<&[String]> = starts
                .filter(|start| !self.known.contains_key(*start))
                .collect();
            starts.dedup();
            self.load_level(session, &starts)?;
        }
        Ok(())
    }

    /// Finds contexts whose parents are known.
    fn load_level(&mut self, session: &Session, starts: &[&[String]]) -> Result<()> {
        let mut places: HashMap<String, &[String]> = HashMap::new();
        let mut tuples = Vec::new();
        let mut projects = Vec::new();
        for &start in starts {
            let Some((name, above)) = start.split_last() else {
                continue;
            };
            match self.known.get(above) {
                Some(Ok(parent)) => {
                    places.insert(parent.id(), above);
                    tuples.push(vec![Value::from(parent.id()), Value::from(name.as_str())]);
                }
                Some(Err(_)) => {}
                None if above.is_empty() => projects.push(name.as_str()),
                None => {}
            }
        }
        let mut statements = Vec::new();
        if !projects.is_empty() {
            let is_called = field("name")
                .is_in(&projects)
                .or(field("full_name").is_in(&projects));
            statements.push(
                select("Project")
                    .fields(["name", "full_name"])
                    .filter(is_called),
            );
        }
        let names = ["parent_id".to_owned(), "name".to_owned()];
        let contexts = filters(&names, &tuples).into_iter();
        statements
            .extend(contexts.map(|filter| select("TypedContext").fields(&names).filter(filter)));
        let mut found: HashMap<Vec<String>, Vec<Entity>> = HashMap::new();
        for entity in session.query_many(statements)?.into_iter().flatten() {
            let text = |name: &str| -> Result<String> {
                Ok(identifying(&entity.value(name)?.unwrap_or_default()))
            };
            let mut paths = match entity.entity_type() {
                "Project" => vec![vec![text("name")?], vec![text("full_name")?]],
                _ => {
                    let above = places.get(&text("parent_id")?).copied().unwrap_or_default();
                    vec![[above, &[text("name")?]].concat()]
                }
            };
            paths.dedup();
            for path in paths {
                found.entry(path).or_default().push(entity.clone());
            }
        }
        for (path, entities) in found {
            // `Session::at` says what is to be done about several.
            if let [one] = entities.as_slice() {
                self.known.insert(path, Ok(one.key()));
            }
        }
        Ok(())
    }
}

/// The last name of a path, and those above it.
fn above(path: &ContextPath) -> Option<(&String, &[String])> {
    let (name, above) = path.names().split_last()?;
    (!above.is_empty()).then_some((name, above))
}

/// The server compares names without regard to case.
fn folded(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.to_lowercase()).collect()
}
