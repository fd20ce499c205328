//! Entities by the names on the way to them, and those names of an entity.

use std::fmt;

use crate::error::did_you_mean;
use crate::query::{Criterion, Statement, all_of, field, select};
use crate::{Entity, EntityKey, EntityState, Error, ErrorKind, Result, Session};

/// How many names an error message lists.
const MAX_LISTED: usize = 10;

/// The names on the way from a project to a context: project, sequence, shot, task.
///
/// As a text they are separated by slashes. A slash that belongs to a name is written `\/`, and a
/// backslash before a slash or a backslash is written `\\`. A slash at the beginning or at the end is
/// ignored. A list of names is taken as it is.
///
/// ```
/// use ftrack_api::studio::ContextPath;
///
/// let path = ContextPath::from(r"test/sq010/day\/night");
/// assert_eq!(path.names(), ["test", "sq010", "day/night"]);
/// assert_eq!(path, ContextPath::from(["test", "sq010", "day/night"]));
/// assert_eq!(path.to_string(), r"test/sq010/day\/night");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextPath(Vec<String>);

impl ContextPath {
    /// The names, that of the project first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if there is no name, or an empty one.
    fn check(&self) -> Result<()> {
        let what = match self.0.iter().position(String::is_empty) {
            Some(index) => format!("name {} of the path {self} is empty", index + 1),
            None if self.0.is_empty() => "the path is empty".to_owned(),
            None => return Ok(()),
        };
        let message = format!("{what}; a path looks like \"project/sequence/shot\"");
        Err(Error::new(ErrorKind::Validation, message))
    }

    /// Selects the contexts with these names. The project may be called by its full name too.
    fn statement(names: &[String]) -> Statement {
        let (project, names) = names.split_first().expect("the path was checked");
        if names.is_empty() {
            let is_called = field("name").eq(project).or(field("full_name").eq(project));
            return select("Project").fields("name").filter(is_called);
        }
        let mut criteria: Vec<Criterion> = Vec::new();
        let mut place = String::new();
        for name in names.iter().rev() {
            criteria.push(field(format!("{place}name")).eq(name));
            place += "parent.";
        }
        let top = field(place.trim_end_matches('.')).of_type("Project");
        let is_called = top.clone().field("name").eq(project);
        criteria.push(is_called.or(top.field("full_name").eq(project)));
        select("TypedContext")
            .fields("name")
            .filter(all_of(criteria))
    }
}

impl From<&str> for ContextPath {
    fn from(text: &str) -> Self {
        let text = text.strip_prefix('/').unwrap_or(text);
        let mut names = vec![String::new()];
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let name = names.last_mut().expect("it begins with one");
            match (letter, letters.peek()) {
                ('\\', Some(&next @ ('/' | '\\'))) => {
                    name.push(next);
                    letters.next();
                }
                ('/', _) => names.push(String::new()),
                (letter, _) => name.push(letter),
            }
        }
        if names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        Self(names)
    }
}

impl From<String> for ContextPath {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for ContextPath {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&Self> for ContextPath {
    fn from(path: &Self) -> Self {
        path.clone()
    }
}

impl<S: Into<String>> From<Vec<S>> for ContextPath {
    fn from(names: Vec<S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for ContextPath {
    fn from(names: [S; N]) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl<S: AsRef<str>> From<&[S]> for ContextPath {
    fn from(names: &[S]) -> Self {
        let names = names.iter().map(|name| name.as_ref().to_owned());
        Self(names.collect())
    }
}

/// With slashes in between; those in names are escaped.
impl fmt::Display for ContextPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let slash = if index == 0 { "" } else { "/" };
            write!(f, "{slash}{}", escaped(name))?;
        }
        Ok(())
    }
}

/// Every backslash is escaped: what follows it may be the slash after the name.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('/', "\\/")
}

impl Session {
    /// The context at a path, such as a shot or a task, or a project: by the names from the project
    /// on. One request.
    ///
    /// Names are compared as the server compares texts, without regard to case. The project may be
    /// given by its name or its full name. What is not committed is not found. See [`ContextPath`]
    /// for names with slashes.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let shot = session.at("test/ep01/sq010/sh0010")?;
    /// assert_eq!(shot.entity_type(), "Shot");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if there is nothing at the path: the message says which name is
    ///   missing, and lists the names at that place. This costs two more requests.
    /// - [`ErrorKind::MultipleFound`] if several contexts match without regard to case, and not
    ///   exactly one of them with regard to it: the message names them.
    /// - [`ErrorKind::Validation`] if the path is empty, or a name in it.
    /// - Any error of [`Query::all`](crate::Query::all).
    pub fn at(&self, path: impl Into<ContextPath>) -> Result<Entity> {
        let path = path.into();
        path.check()?;
        let found = self.query(ContextPath::statement(&path.0))?.all()?;
        match <[Entity; 1]>::try_from(found) {
            Ok([entity]) => Ok(entity),
            Err(found) if found.is_empty() => Err(self.nothing_at(&path)?),
            Err(found) => one_of(&found, &path),
        }
    }

    /// The error for a path that leads nowhere: it names the first name that is missing.
    fn nothing_at(&self, path: &ContextPath) -> Result<Error> {
        let names = &path.0;
        let starts = (1..names.len()).map(|length| ContextPath::statement(&names[..length]));
        let found = self.query_many(starts)?;
        let missing = found.iter().take_while(|found| !found.is_empty()).count();
        let (wanted, siblings) = (&names[missing], missing.checked_sub(1));
        let (place, siblings) = match siblings.map(|last| &found[last][0]) {
            Some(parent) => {
                let children = field("parent_id").eq(parent.id());
                let place = format!("in {}", ContextPath(names[..missing].to_vec()));
                (place, select("TypedContext").filter(children))
            }
            None => ("among the projects".to_owned(), select("Project")),
        };
        let siblings = self
            .query(siblings.fields("name").order_by("name"))?
            .all()?;
        let siblings = siblings.iter().map(|entity| entity.get("name"));
        let siblings: Vec<String> = siblings.collect::<Result<_>>()?;
        let slashed = siblings.iter().find(|sibling| {
            let count = sibling.split('/').count();
            let same = names
                .get(missing..missing + count)
                .map(|some| some.join("/"));
            count > 1 && same.is_some_and(|same| same.to_lowercase() == sibling.to_lowercase())
        });
        let mut hint = match slashed {
            Some(name) => format!("; for the name {name:?} write {}", escaped(name)),
            None => did_you_mean(wanted, siblings.iter().map(String::as_str)),
        };
        if hint.is_empty() {
            let more = if siblings.len() > MAX_LISTED {
                ", …"
            } else {
                ""
            };
            let listed = siblings.iter().take(MAX_LISTED).map(String::as_str);
            hint = match listed.collect::<Vec<_>>().join(", ") {
                names if names.is_empty() => "; there is nothing".to_owned(),
                names => format!("; there are {names}{more}"),
            };
        }
        let message = format!("there is no {wanted:?} {place}{hint}");
        Ok(Error::new(ErrorKind::NotFound, message))
    }
}

/// Of several entities that match a path without regard to case, the only one that matches exactly.
fn one_of(found: &[Entity], path: &ContextPath) -> Result<Entity> {
    let paths = found.iter().map(Entity::path).collect::<Result<Vec<_>>>()?;
    let mut exact = (0..found.len()).filter(|&index| paths[index] == *path);
    if let (Some(index), None) = (exact.next(), exact.next()) {
        return Ok(found[index].clone());
    }
    let listed = found.iter().zip(&paths);
    let listed = listed.map(|(entity, path)| format!("{path} is {entity}"));
    let message = format!(
        "the path {path} names {} contexts: {}; get one of them by its id, or rename one",
        found.len(),
        listed.collect::<Vec<_>>().join(", ")
    );
    Err(Error::new(ErrorKind::MultipleFound, message))
}

impl Entity {
    /// The names from the project to this context: what [`Session::at`] takes.
    ///
    /// Names that are loaded are used as they are, and those of contexts that are not committed yet.
    /// Else one request loads the names for all entities that came with the same response.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// for task in session.query("Task where project.name is test limit 20")? {
    ///     println!("{}", task?.path()?); // one request for all of them
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if it is not a context: an asset or a version has a `parent`.
    /// - Any error of [`get`](Self::get).
    pub fn path(&self) -> Result<ContextPath> {
        self.check_context("path")?;
        let mut names = Vec::new();
        match self.known_names(&mut names)? {
            None => {}
            Some(above) => above.linked_names(&mut names)?,
        }
        names.reverse();
        Ok(ContextPath(names))
    }

    /// Adds the loaded names from here upwards. Returns where to go on by `link`.
    fn known_names(&self, names: &mut Vec<String>) -> Result<Option<Self>> {
        let mut entity = self.clone();
        // The last one that came in a response, whose peers are loaded with it.
        let (mut kept, mut start) = (0, self.clone());
        loop {
            let is_new = entity.state() == Some(EntityState::Created);
            if !is_new && entity.known_value("name")?.is_none() {
                break;
            }
            (kept, start) = (names.len(), entity.clone());
            if entity.entity_type() == "Project" {
                names.push(entity.get("name")?);
                return Ok(None);
            }
            let parent = match (
                entity.known_value("parent")?,
                entity.known_value("parent_id")?,
            ) {
                (Some(parent), _) => parent.as_reference().cloned(),
                (None, Some(id)) => id.as_str().map(|id| EntityKey::new("Context", id)),
                (None, None) if !is_new => break,
                (None, None) => None,
            };
            let Some(parent) = parent else {
                let message = format!("{entity} has no parent, so it has no path");
                return Err(Error::new(ErrorKind::Validation, message));
            };
            names.push(entity.get("name")?);
            let is_moved = entity.local_value("parent")?.is_some();
            entity = self.session().entity(parent)?;
            if is_new || is_moved {
                (kept, start) = (names.len(), entity.clone());
            }
            if names.len() > MAX_DEPTH {
                let message = format!("{self} is below itself");
                return Err(Error::new(ErrorKind::BadResponse, message));
            }
        }
        names.truncate(kept);
        Ok(Some(start))
    }

    /// Adds the names from a committed context upwards, as its `link` has them.
    fn linked_names(&self, names: &mut Vec<String>) -> Result<()> {
        self.session().learn_type(self)?;
        if self.entity_type() == "Project" {
            names.push(self.get("name")?);
            return Ok(());
        }
        // The link has the full name of the project, which is for people.
        let (link, project): (serde_json::Value, String) =
            self.get_many(["link", "project.name"])?;
        let link = link.as_array().map_or(&[][..], Vec::as_slice);
        let linked = link.iter().skip(1).rev();
        names.extend(linked.map(|one| one["name"].as_str().unwrap_or_default().to_owned()));
        names.push(project);
        Ok(())
    }

    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if it is not a context.
    pub(super) fn check_context(&self, what: &str) -> Result<()> {
        let schema = self.session().schema();
        if schema.is_kind_of(self.entity_type(), "Context") {
            return Ok(());
        }
        let message = format!(
            "{self} has no {what}: it is not a context, such as a project, a shot or a task; ask its \
             parent"
        );
        Err(Error::new(ErrorKind::WrongType, message))
    }
}

/// No hierarchy is deeper, so that a cycle ends.
pub(super) const MAX_DEPTH: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ContextPath;

    proptest! {
        #[test]
        fn a_path_survives_its_text(names in prop::collection::vec(r"[a/\\ é]{1,4}", 1..5)) {
            let path = ContextPath::from(names);
            prop_assert_eq!(ContextPath::from(path.to_string()), path);
        }
    }

    #[test]
    fn slashes_at_the_ends_are_ignored_and_others_are_not() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(ContextPath::from(text).names(), expected, "{text}");
        };
        check("/test/sq010/", &["test", "sq010"]);
        check("", &[]);
        check("/", &[]);
        check("a//b", &["a", "", "b"]);
        check(r"a\/", &["a/"]);
        check(r"a\b", &[r"a\b"]);
        check(r"a\\/b", &[r"a\", "b"]);
    }

    #[test]
    fn empty_names_are_refused() {
        for (path, expected) in [("", "is empty"), ("a//b", "name 2"), ("//", "name 1")] {
            let error = ContextPath::from(path).check().unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
