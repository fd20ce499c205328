//! The forms of requests and responses on the wire.

mod action;
mod batch;
mod body;
mod confirm;
mod decode;
mod encode;
mod entry;
mod failure;
mod fields;
mod last_row;
mod plain;
mod repeats;
mod same;
mod text_buf;
mod transcode;
mod typed;

pub(crate) use action::{delete_action, query_action};
pub(crate) use batch::{Batch, Reply, Row, Rows};
pub(crate) use body::Body;
pub(crate) use confirm::check_commit;
pub(crate) use decode::decode;
pub(crate) use encode::{check_key, encode_commit, reference, value_to_json};
pub(crate) use entry::{EntityDelta, deltas_in, join_rows, merge_cached, read_cached, root_type};
pub(crate) use failure::failure_of;
pub(crate) use fields::{StructField, fields_of};
pub(crate) use last_row::last_row;
pub(crate) use same::same_value;
pub(crate) use typed::decode_rows;
