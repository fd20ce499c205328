//! The HTTP server: one router made of the parts' routers, on loopback only.

mod admin;
pub mod api;
pub mod history;
mod page;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use tower_http::cors::CorsLayer;

use crate::actions::widget;
use crate::site::Site;
use crate::{events, files};

/// Everything that the server responds to. Each part brings a router with the same state.
pub fn router(site: Arc<Site>) -> Router {
    let authenticate = {
        let site = Arc::clone(&site);
        Arc::new(move |user: &str, key: &str| site.authenticate(user, key).is_some())
    };
    let events = events::router(site.events.clone(), authenticate);
    let files = files::router(site.files.clone(), Arc::clone(&site) as _);
    // Pages of other origins may neither read the key there nor switch faults on.
    let mut own = page::router();
    if site.offers_faults {
        own = own.merge(admin::router());
    }
    let own = own
        .layer(axum::middleware::from_fn(page::only_local))
        .with_state(Arc::clone(&site));
    Router::new()
        .merge(api::router())
        .merge(widget::router())
        .with_state(Arc::clone(&site))
        .merge(events)
        .merge(files)
        // Named, so that what leads nowhere is delayed and noted too.
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(site, watch::watch))
        // Pages of any origin may use a site with credentials of their own. JavaScript's
        // uploader reads the entity tags of its parts.
        .layer(CorsLayer::very_permissive().expose_headers([header::ETAG]))
        .merge(own)
}
