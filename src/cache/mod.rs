//! What is kept between sessions so that servers are asked less.

pub(crate) mod schema;
