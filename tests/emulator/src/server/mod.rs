//! The HTTP server: one router made of the parts' routers, on loopback only.

pub mod api;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use tower_http::cors::CorsLayer;

use crate::actions::widget;
use crate::site::Site;
use crate::{events, files};

/// Everything that the server answers. Each part brings a router with the same state.
pub fn router(site: Arc<Site>) -> Router {
    let authenticate = {
        let site = Arc::clone(&site);
        Arc::new(move |user: &str, key: &str| site.authenticate(user, key).is_some())
    };
    let events = events::router(site.events.clone(), authenticate);
    let files = files::router(site.files.clone(), Arc::clone(&site) as _);
    Router::new()
        .merge(api::router())
        .merge(widget::router())
        .with_state(site)
        .merge(events)
        .merge(files)
        // Pages of any origin may use a site with credentials of their own. JavaScript's
        // uploader reads the entity tags of its parts.
        .layer(CorsLayer::very_permissive().expose_headers([header::ETAG]))
}
