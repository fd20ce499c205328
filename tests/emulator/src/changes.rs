//! What a committed batch changed, for whoever tells clients about it.

use std::collections::HashMap;

use serde_json::Value;

/// Everything that one batch changed, and who sent it.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The changes, one per entity, in the order in which the entities were first touched.
    pub changes: Vec<Change>,
    /// The id of the user whose key was used.
    pub user_id: String,
    /// That user's name.
    pub username: String,
    /// The header `ftrack-Clienttoken`, empty if it was not sent.
    pub client_token: String,
    /// The header `ftrack-pushtoken`, empty if it was not sent.
    pub push_token: String,
}

/// The changes of a batch so far: one per entity, whatever happened to it.
#[derive(Debug, Default)]
pub struct Changes {
    list: Vec<Option<Change>>,
    index: HashMap<(String, Vec<String>), usize>,
}

impl Changes {
    /// Adds a change. Creation and updates are one creation, and what was created and deleted
    /// never was.
    pub fn add(&mut self, change: Change) {
        let identity = (change.entity_type.clone(), change.key.clone());
        let index = *self.index.entry(identity).or_insert(self.list.len());
        if index == self.list.len() {
            self.list.push(Some(change));
            return;
        }
        self.list[index] = match (self.list[index].take(), change) {
            (
                Some(Change {
                    action: Action::Add,
                    ..
                }),
                Change {
                    action: Action::Remove,
                    ..
                },
            ) => None,
            (Some(earlier), change) if change.action != Action::Remove => {
                Some(earlier.followed_by(change))
            }
            (_, change) => Some(change),
        };
    }

    /// The changes, in the order in which the entities were first touched.
    pub fn into_vec(self) -> Vec<Change> {
        self.list.into_iter().flatten().collect()
    }
}

impl Change {
    fn followed_by(mut self, later: Self) -> Self {
        if later.action == Action::Move && self.action == Action::Update {
            self.action = Action::Move;
        }
        self.parents = later.parents;
        for attribute in later.attributes {
            match self
                .attributes
                .iter_mut()
                .find(|known| known.name == attribute.name)
            {
                Some(known) => known.new = attribute.new,
                None => self.attributes.push(attribute),
            }
        }
        self
    }
}

/// What happened to one entity.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub action: Action,
    /// The concrete type (`Shot`).
    pub entity_type: String,
    /// The key's values.
    pub key: Vec<String>,
    /// The attributes that changed.
    pub attributes: Vec<AttributeChange>,
    /// The entity itself and everything above it, up to the project.
    pub parents: Vec<Parent>,
}

/// What can happen to an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was created.
    Add,
    /// It has other values.
    Update,
    /// It has another parent, and perhaps other values.
    Move,
    /// It was deleted.
    Remove,
}

/// A value that changed.
#[derive(Clone, Debug)]
pub struct AttributeChange {
    /// The attribute, or the key of a custom attribute.
    pub name: String,
    /// The server's column name (`statusid`); the attribute's name where the schema has no other.
    pub column: String,
    /// The value before; null for a new entity.
    pub old: Value,
    /// The value after; null for a removed entity.
    pub new: Value,
}

/// One entity on the way to the project.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The concrete type.
    pub entity_type: String,
    /// The id.
    pub id: String,
    /// The id of the next one; `None` for the last.
    pub parent_id: Option<String>,
    /// The object type of a context.
    pub object_type_id: Option<String>,
}
