//! The forms in which requests and answers travel (WIRE.md).

mod action;
mod decode;
mod encode;
mod entry;
mod failure;
mod fields;
mod same;
mod typed;

pub(crate) use action::{delete_action, query_action};
pub(crate) use decode::{Answer, Reply, Row, Rows, decode};
pub(crate) use encode::{check_key, encode_commit, reference, value_to_json};
pub(crate) use entry::{Known, family, join, kept, known_in, read_kept};
pub(crate) use failure::failure_of;
pub(crate) use fields::{Field, fields_of};
pub(crate) use same::same_value;
pub(crate) use typed::{TypedReply, decode_rows};
