//! `get_widget_url`: an address of a small page, which its token opens for six minutes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::actions::Reply;
use crate::error::{Fault, Result};
use crate::rules::Batch;
use crate::rules::batch::key;
use crate::rules::record::plain;
use crate::site::Site;

const NAMES: [&str; 3] = ["info", "tasks", "tasks_browser"];
/// How long an address works.
const LIFETIME: Duration = Duration::from_secs(360);

/// The pages that were asked for, by token.
#[derive(Default)]
pub struct Widgets(Mutex<HashMap<String, Widget>>);

struct Widget {
    name: String,
    subject: String,
    theme: &'static str,
    until: Instant,
}

/// An address of a widget.
pub(super) fn run(batch: &Batch<'_>, operation: &Value) -> Result<Reply> {
    let name = operation["name"].as_str().unwrap_or_default();
    if !NAMES.contains(&name) {
        return Err(Fault::validation(format!(
            "There is no widget \"{name}\": use {}",
            NAMES.join(", ")
        )));
    }
    let subject = subject(batch, operation)?;
    if name == "info" && subject.is_empty() {
        return Err(Fault::validation(
            "The widget info needs an entity_type and an entity_key",
        ));
    }
    let token = Uuid::new_v4().to_string();
    let theme = if operation["theme"] == "light" {
        "light"
    } else {
        "dark"
    };
    let mut widgets = batch.site.widgets.0.lock();
    let now = Instant::now();
    widgets.retain(|_, widget| widget.until > now);
    let widget = Widget {
        name: name.to_owned(),
        subject,
        theme,
        until: now + LIFETIME,
    };
    widgets.insert(token.clone(), widget);
    let url = format!("{}/widget/{name}?token={token}", batch.site.url);
    Ok(Reply::Done(json!({"widget_url": url})))
}

fn subject(batch: &Batch<'_>, operation: &Value) -> Result<String> {
    if operation["entity_type"].is_null() {
        return Ok(String::new());
    }
    let ty = batch.type_of(operation)?;
    let key = key(ty, &operation["entity_key"], &Value::Null)?
        .ok_or_else(|| Fault::validation("A widget of an entity needs its entity_key"))?;
    let found = batch.find(ty, &key)?;
    let key: Vec<_> = key.iter().map(plain).collect();
    let (ty, _) = found
        .ok_or_else(|| Fault::validation(format!("There is no {} {}", ty.name, key.join(", "))))?;
    Ok(format!("{} {}", ty.name, key.join(", ")))
}

/// The route of the pages.
pub fn router() -> Router<Arc<Site>> {
    Router::new().route("/widget/{name}", get(page))
}

async fn page(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let widgets = site.widgets.0.lock();
    let widget = query.get("token").and_then(|token| widgets.get(token));
    let Some(widget) = widget.filter(|widget| widget.name == name && widget.until > Instant::now())
    else {
        return (
            StatusCode::FORBIDDEN,
            "This address is not valid any more: ask for a new one",
        )
            .into_response();
    };
    let subject = escape(&widget.subject);
    let (back, text) = if widget.theme == "light" {
        ("#fff", "#222")
    } else {
        ("#222", "#eee")
    };
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>ftrack: {name}</title>\
         <body style=\"background:{back};color:{text};font-family:sans-serif\">\
         <h1>{name}</h1><p>{subject}</p>"
    ))
    .into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
