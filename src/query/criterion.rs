//! Joining conditions, and the limit of their nesting.

use crate::error::{ErrorKind, Result};
use crate::query::path::Path;
use crate::query::tree::{BuildError, Criterion, Kind, MAX_DEPTH, Projection, Set};

impl Criterion {
    /// The kind of condition.
    ///
    /// ```
    /// use ftrack_api::query::{Kind, field};
    ///
    /// assert!(matches!(field("name").eq("anim").kind(), Kind::Compare { .. }));
    /// ```
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn into_kind(self) -> Kind {
        self.kind
    }

    /// Joins conditions by `and`, flattening those that are an `and` already, so that a loop of
    /// `and` builds a list and not a deep tree.
    pub(super) fn all_of(criteria: impl IntoIterator<Item = Self>) -> Self {
        let parts_of = |kind| match kind {
            Kind::And(parts) if !parts.is_empty() => Ok(parts),
            kind => Err(kind),
        };
        Self::joined(criteria, parts_of, Kind::And)
    }

    /// Joins conditions by `or`, likewise.
    pub(super) fn any_of(criteria: impl IntoIterator<Item = Self>) -> Self {
        let parts_of = |kind| match kind {
            Kind::Or(parts) if !parts.is_empty() => Ok(parts),
            kind => Err(kind),
        };
        Self::joined(criteria, parts_of, Kind::Or)
    }

    fn joined(
        criteria: impl IntoIterator<Item = Self>,
        parts_of: fn(Kind) -> Result<Vec<Self>, Kind>,
        join: fn(Vec<Self>) -> Kind,
    ) -> Self {
        let mut joined: Vec<Self> = Vec::new();
        let mut deepest = None;
        for Self { depth, kind } in criteria {
            match parts_of(kind) {
                Ok(parts) => {
                    deepest = deepest.max(Some(depth - 1));
                    // The first list is reused, which keeps a loop of `and` linear.
                    if joined.is_empty() {
                        joined = parts;
                    } else {
                        joined.extend(parts);
                    }
                }
                Err(kind) => {
                    deepest = deepest.max(Some(depth));
                    joined.push(Self { depth, kind });
                }
            }
        }
        match joined.pop() {
            Some(only) if joined.is_empty() => only,
            last => {
                joined.extend(last);
                Self::with_depth(deepest, join(joined))
            }
        }
    }

    /// A condition whose deepest part has `deepest` levels; `None` if it has no parts.
    fn with_depth(deepest: Option<u16>, kind: Kind) -> Self {
        let depth = deepest.map_or(0, |deepest| deepest + 1);
        if usize::from(depth) <= MAX_DEPTH {
            return Self { depth, kind };
        }
        Self::invalid(format!(
            "the condition is nested more than {MAX_DEPTH} levels deep"
        ))
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self {
            depth: 0,
            kind: Kind::Invalid(BuildError::new(ErrorKind::Syntax, message)),
        }
    }

    pub(super) fn verify(&self) -> Result<()> {
        match &self.kind {
            Kind::And(parts) | Kind::Or(parts) => parts.iter().try_for_each(Self::verify),
            Kind::Not(inner) | Kind::Has { inner, .. } | Kind::Any { inner, .. } => inner.verify(),
            Kind::In {
                set: Set::Select(statement),
                ..
            } => statement.verify(),
            Kind::Compare { .. } | Kind::In { .. } => Ok(()),
            Kind::Invalid(error) => Err(error.clone().into()),
        }
    }
}

impl From<Kind> for Criterion {
    /// A sub-query without projections selects `id`. One with an offset but no limit becomes
    /// [`Kind::Invalid`], as does anything deeper than [`MAX_DEPTH`].
    fn from(mut kind: Kind) -> Self {
        if let Kind::In {
            set: Set::Select(statement),
            ..
        } = &mut kind
        {
            if statement.projections.is_empty() {
                statement
                    .projections
                    .push(Projection::Attribute(Path::id()));
            }
            // An outer query needs none: the session pages it and so adds a limit.
            if statement.offset.is_some() && statement.limit.is_none() {
                return Self::invalid("a sub-query with an offset needs a limit");
            }
        }
        let below = match &kind {
            Kind::And(parts) | Kind::Or(parts) => parts.iter().map(|part| part.depth).max(),
            Kind::Not(inner) | Kind::Has { inner, .. } | Kind::Any { inner, .. } => {
                Some(inner.depth)
            }
            Kind::In {
                set: Set::Select(statement),
                ..
            } => Some(statement.filter.as_ref().map_or(0, |filter| filter.depth)),
            Kind::Compare { .. } | Kind::In { .. } | Kind::Invalid(_) => None,
        };
        Self::with_depth(below, kind)
    }
}
