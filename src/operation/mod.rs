//! What was done to entities and is not yet on the server.

mod extend;
mod optimise;
mod plan;

use std::fmt;

use crate::value::{Data, EntityKey, Value};

pub(crate) use extend::{apply, resolve};
pub(crate) use optimise::{Action, Payload, optimise};
pub use plan::{Change, Plan};

/// One recorded operation.
///
/// A session keeps its operations in the order in which they were made, until a commit sends
/// them or a rollback forgets them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// An entity was created.
    Create {
        /// The new entity.
        entity: EntityKey,
        /// Its attributes, defaults included.
        entity_data: Data,
    },
    /// An attribute was set.
    Update {
        /// The changed entity.
        entity: EntityKey,
        /// The attribute.
        attribute_name: String,
        /// What it was before, if that was loaded.
        old_value: Option<Value>,
        /// What it is now.
        new_value: Value,
    },
    /// Members were added to a collection, or taken out of it.
    ///
    /// The server takes only whole collections: when this is committed, what is added and
    /// removed is applied to the members that the collection has by then.
    Extend {
        /// The entity that has the collection.
        entity: EntityKey,
        /// The collection.
        attribute_name: String,
        /// Who joins it.
        added: Vec<EntityKey>,
        /// Who leaves it.
        removed: Vec<EntityKey>,
    },
    /// An entity was deleted.
    Delete {
        /// The deleted entity.
        entity: EntityKey,
    },
}

impl Operation {
    /// The entity that it is about.
    pub fn entity(&self) -> &EntityKey {
        match self {
            Self::Create { entity, .. }
            | Self::Update { entity, .. }
            | Self::Extend { entity, .. }
            | Self::Delete { entity } => entity,
        }
    }
}

/// For people, on one line.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { entity, .. } => write!(f, "create {entity}"),
            Self::Update {
                entity,
                attribute_name,
                new_value,
                ..
            } => write!(f, "update {entity}: {attribute_name} = {new_value}"),
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
