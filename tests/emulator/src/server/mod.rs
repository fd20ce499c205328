//! The HTTP server: one router made of the parts' routers, on loopback only.

pub mod api;

use std::sync::Arc;

use axum::Router;

use crate::site::Site;

/// Everything that the server answers. Each part brings a router with the same state.
pub fn router(site: Arc<Site>) -> Router {
    Router::new().merge(api::router()).with_state(site)
}
