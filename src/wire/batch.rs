//! What a response decodes to: replies, and rows without nesting.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{NameId, TypeId};
use crate::value::{Key, Slot};

/// The replies to the actions of one request, and the rows of all of them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) replies: Vec<Reply>,
    pub(crate) rows: Rows,
}

/// The reply to one action.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// The action to which this is the reply, if the server names it.
    pub(crate) action: Option<SmolStr>,
    /// What the reply has under `data`.
    pub(crate) data: ReplyData,
    /// The rows of the entities that `data` consists of, in order.
    pub(crate) roots: Vec<u32>,
    /// The offset of the next page, if there is one.
    pub(crate) next_offset: Option<u64>,
    /// How many rows the response has up to the end of this reply.
    pub(super) end: u32,
}

/// The kind of value that a reply has under `data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplyData {
    /// The reply has no `data`.
    #[default]
    Missing,
    Null,
    /// What a deletion returns is `true`.
    Bool(bool),
    /// What a creation or an update returns.
    Entity,
    /// What a query or a search returns.
    Entities,
}

impl fmt::Display for ReplyData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no data"),
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Entity => f.write_str("an entity"),
            Self::Entities => f.write_str("a list of entities"),
        }
    }
}

impl Batch {
    /// Each reply with its own rows: those of one reply are not peers of another's.
    pub(crate) fn into_single_replies(mut self) -> Vec<Self> {
        if self.replies.len() == 1 {
            return vec![self];
        }
        let mut batches = Vec::with_capacity(self.replies.len());
        while let Some(mut reply) = self.replies.pop() {
            let first_row = self.replies.last().map_or(0, |before| before.end);
            let mut rows = self.rows.rows.split_off(first_row as usize);
            let first_slot = rows
                .first()
                .map_or(self.rows.slots.len() as u32, |row| row.start);
            let mut slots = self.rows.slots.split_off(first_slot as usize);
            rows.iter_mut().for_each(|row| row.start -= first_slot);
            slots
                .iter_mut()
                .for_each(|slot| slot.relink(|row| row - first_row));
            reply.roots.iter_mut().for_each(|row| *row -= first_row);
            reply.end -= first_row;
            let shapes = self.rows.shapes.clone();
            batches.push(Self {
                replies: vec![reply],
                rows: Rows {
                    rows,
                    slots,
                    shapes,
                },
            });
        }
        batches.reverse();
        batches
    }

    /// Checks that there is a list of entities in every reply, as for queries.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if a reply has no list of entities.
    pub(crate) fn with_entities(self) -> Result<Self> {
        let is_list = |reply: &Reply| reply.data == ReplyData::Entities;
        match self.replies.iter().position(|reply| !is_list(reply)) {
            None => Ok(self),
            Some(number) => {
                let message = format!("reply {} has no list of entities", number + 1);
                Err(Error::new(ErrorKind::BadResponse, message))
            }
        }
    }
}

/// Entities as they arrived.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<Row>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) shapes: Vec<Arc<[NameId]>>,
}

/// One occurrence of an entity: which one, and where its attributes lie.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) entity_type: TypeId,
    pub(crate) key: Key,
    /// The names of its attributes, as an index into `Rows::shapes`.
    pub(crate) shape: u32,
    /// The index of its first value in `Rows::slots`; it has as many values as names.
    pub(crate) start: u32,
}
