//! Recorded changes that the server does not have yet, and what a commit makes of them.

mod extend;
mod optimise;
mod plan;

use std::fmt;

use crate::value::{Data, EntityKey, Value};

pub(crate) use extend::{apply, resolve};
pub use optimise::OperationKind;
pub(crate) use optimise::{Payload, optimise};
pub use plan::{Plan, PlannedChange, PlannedValue};

/// One recorded operation.
///
/// A session keeps its operations in the order in which they were made, until a commit sends
/// them or a rollback discards them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// An entity was created.
    #[non_exhaustive]
    Create {
        /// The new entity.
        entity: EntityKey,
        /// Its attributes, defaults included.
        entity_data: Data,
    },
    /// An attribute was set.
    #[non_exhaustive]
    Update {
        /// The changed entity.
        entity: EntityKey,
        /// The attribute.
        attribute_name: String,
        /// The value before, if it was loaded.
        old_value: Option<Value>,
        /// The value that was set.
        new_value: Value,
    },
    /// Members were added to a collection or removed from it.
    ///
    /// The server takes only whole collections: a commit applies `added` and `removed` to the
    /// members that the collection has by then.
    #[non_exhaustive]
    Extend {
        /// The entity that has the collection.
        entity: EntityKey,
        /// The collection.
        attribute_name: String,
        /// The new members.
        added: Vec<EntityKey>,
        /// The members that leave.
        removed: Vec<EntityKey>,
    },
    /// An entity was deleted.
    #[non_exhaustive]
    Delete {
        /// The deleted entity.
        entity: EntityKey,
    },
}

impl Operation {
    /// The entity that was created, changed or deleted.
    pub fn entity(&self) -> &EntityKey {
        match self {
            Self::Create { entity, .. }
            | Self::Update { entity, .. }
            | Self::Extend { entity, .. }
            | Self::Delete { entity } => entity,
        }
    }

    /// The collection that it extends: the entity that has it, and its name.
    pub(crate) fn extended(&self) -> Option<(&EntityKey, &str)> {
        match self {
            Self::Extend {
                entity,
                attribute_name,
                ..
            } => Some((entity, attribute_name)),
            _ => None,
        }
    }

    /// Names the entity by another type.
    pub(crate) fn rename(&mut self, to: EntityKey) {
        let (Self::Create { entity, .. }
        | Self::Update { entity, .. }
        | Self::Extend { entity, .. }
        | Self::Delete { entity }) = self;
        *entity = to;
    }
}

/// One line, for logs and error messages.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { entity, .. } => write!(f, "create {entity}"),
            Self::Update {
                entity,
                attribute_name,
                new_value,
                ..
            } => write!(
                f,
                "update {entity}: {attribute_name} = {}",
                new_value.quoted()
            ),
            Self::Extend {
                entity,
                attribute_name,
                added,
                removed,
            } => {
                write!(f, "extend {entity}: {attribute_name}")?;
                added
                    .iter()
                    .try_for_each(|member| write!(f, " + {member}"))?;
                removed
                    .iter()
                    .try_for_each(|member| write!(f, " - {member}"))
            }
            Self::Delete { entity } => write!(f, "delete {entity}"),
        }
    }
}
