//! Components, the locations they are in, and their media.

mod availability;
mod create;
mod locations;
mod media;

pub use media::{EncodeOptions, MediaSource};
