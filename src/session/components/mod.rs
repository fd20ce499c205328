//! Components, the locations they are in, and their media.

mod availability;
mod create;
mod locations;
mod media;
mod scenario;

pub use media::{EncodeOptions, MediaSource};
