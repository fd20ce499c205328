//! Attribute paths: `name`, `status.name`, `parent[Folder].name`.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::query::place::syntax_error;

/// A path from an entity to an attribute: `name`, `status.state.short`, `parent[Folder].name`.
///
/// ```
/// use ftrack_api::query::Path;
///
/// let path: Path = "parent[Folder].name".parse()?;
/// assert_eq!(path.segments()[0].name(), "parent");
/// assert_eq!(path.segments()[0].cast(), Some("Folder"));
/// assert_eq!(path.to_string(), "parent[Folder].name");
/// assert!("a b".parse::<Path>().is_err());
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    segments: Vec<Segment>,
}

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    name: String,
    cast: Option<String>,
}

impl Path {
    /// The steps of the path; at least one.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// `id`, the key attribute of nearly every entity type.
    pub(super) fn id() -> Self {
        Self {
            segments: vec![Segment {
                name: "id".to_owned(),
                cast: None,
            }],
        }
    }

    /// The path extended by `name`.
    pub(super) fn join(mut self, name: &str) -> Result<Self> {
        self.segments.extend(name.parse::<Self>()?.segments);
        Ok(self)
    }

    /// The path with its last step cast to `entity_type`.
    pub(super) fn cast(mut self, entity_type: &str) -> Result<Self> {
        if !is_name(entity_type) {
            let message = "expected the name of an entity type";
            return Err(syntax_error(entity_type, 0..entity_type.len(), message));
        }
        if let Some(last) = self.segments.last_mut() {
            last.cast = Some(entity_type.to_owned());
        }
        Ok(self)
    }
}

impl Segment {
    /// The attribute of this step.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The entity type that the referenced entity must have, if the step has a cast.
    pub fn cast(&self) -> Option<&str> {
        self.cast.as_deref()
    }

    /// `name` or `name[Type]`.
    fn parse(text: &str) -> Option<Self> {
        let (name, cast) = match text.split_once('[') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(']')?)),
            None => (text, None),
        };
        let valid = is_name(name) && cast.is_none_or(is_name);
        valid.then(|| Self {
            name: name.to_owned(),
            cast: cast.map(ToOwned::to_owned),
        })
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let segments: Option<Vec<Segment>> = text.split('.').map(Segment::parse).collect();
        // A lone `not` would negate what follows it.
        let segments = segments.filter(|_| !text.eq_ignore_ascii_case("not"));
        segments.map(|segments| Self { segments }).ok_or_else(|| {
            let message = "expected an attribute such as `name`, `status.name` or \
                 `parent[Folder].name`";
            syntax_error(text, 0..text.len(), message)
        })
    }
}

/// Whether `text` can name an attribute or an entity type.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
