//! What an inverse consists of.

use crate::{EntityKey, Value};

/// What undoes a [`Plan`](crate::operation::Plan); made by
/// [`Plan::inverse`](crate::operation::Plan::inverse) before the commit, recorded by
/// [`Session::undo`](crate::Session::undo) after it. It is data: [`to_json`](Self::to_json) and
/// [`from_json`](Self::from_json) keep it for later.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Inverse {
    /// The steps, in the order in which they are recorded.
    pub steps: Vec<InverseStep>,
    /// What cannot be undone, for people: the data that the server deletes with a component, dates that
    /// nobody can set, and recipients that the server adds to notes.
    pub lost: Vec<String>,
}

/// One step of an [`Inverse`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InverseStep {
    /// Deletes what was created.
    #[non_exhaustive]
    Delete {
        /// The entity.
        entity: EntityKey,
    },
    /// Creates what was deleted, with its id.
    #[non_exhaustive]
    Create {
        /// The entity.
        entity: EntityKey,
        /// Its attributes.
        values: Vec<(String, Value)>,
    },
    /// Sets a value back.
    #[non_exhaustive]
    Set {
        /// The entity.
        entity: EntityKey,
        /// The attribute.
        attribute: String,
        /// The value that the plan leaves, which must still be there.
        expected: Value,
        /// The value before.
        before: Value,
    },
    /// Gives a collection its members back.
    #[non_exhaustive]
    Members {
        /// The entity that has the collection.
        entity: EntityKey,
        /// The collection.
        attribute: String,
        /// Members that the plan removes.
        added: Vec<EntityKey>,
        /// Members that the plan adds.
        removed: Vec<EntityKey>,
    },
}
