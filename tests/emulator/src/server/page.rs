//! `GET /`: what is in the studio, what was asked for lately, and how to connect.
//!
//! The page is plain HTML: nothing in it comes from elsewhere or runs.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::{Fault, Result};
use crate::server::history::Entry;
use crate::site::Site;

const STYLE: &str = include_str!("page.css");
/// What is shown instead of a key.
const MASK: &str = "••••••••";

/// The page.
pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/", get(page))
}

/// Refuses requests that come by another name than this machine's own: a page from elsewhere
/// whose name was made to lead here could read the key otherwise.
pub(super) async fn only_local(request: Request, next: Next) -> Response {
    if is_local(request.headers()) {
        return next.run(request).await;
    }
    let message = "Use the address 127.0.0.1 or localhost";
    (StatusCode::FORBIDDEN, message).into_response()
}

fn is_local(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}

async fn page(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let shows_key = query.split('&').any(|part| part == "show-key=1");
    // The database blocks.
    let made = tokio::task::spawn_blocking(move || write_page(&site, shows_key)).await;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ];
    match made {
        Ok(Ok(html)) => (headers, html).into_response(),
        Ok(Err(fault)) => (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn write_page(site: &Site, shows_key: bool) -> Result<String> {
    let mut html = String::with_capacity(16 << 10);
    write_all(site, shows_key, &counts(site)?, &mut html)
        .map_err(|_| Fault::internal("The page cannot be written"))?;
    Ok(html)
}

fn write_all(
    site: &Site,
    shows_key: bool,
    counts: &[(String, i64)],
    html: &mut String,
) -> std::fmt::Result {
    write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>ftrack emulator</title><style>{STYLE}</style></head><body><main>\
         <h1>ftrack emulator</h1>"
    )?;
    write_figures(site, html)?;
    write_connection(site, shows_key, html)?;
    write_faults(site, html)?;
    write_requests(&site.history.entries(), html)?;
    write_counts(counts, html)?;
    html.push_str("</main></body></html>\n");
    Ok(())
}

fn write_figures(site: &Site, html: &mut String) -> std::fmt::Result {
    html.push_str("<dl class=\"figures\">");
    for (name, value) in [
        ("Address", site.url.clone()),
        ("Server version", site.version.clone()),
        ("API requests", site.requests().to_string()),
        ("Event clients", site.events.connections().to_string()),
        ("Subscriptions", site.events.subscriptions().to_string()),
    ] {
        write!(
            html,
            "<div><dt>{name}</dt><dd>{}</dd></div>",
            escape(&value)
        )?;
    }
    html.push_str("</dl>");
    Ok(())
}

fn write_connection(site: &Site, shows_key: bool, html: &mut String) -> std::fmt::Result {
    let key = if shows_key {
        site.current_key()
    } else {
        MASK.to_owned()
    };
    let variables = [
        ("FTRACK_SERVER", site.url.as_str()),
        ("FTRACK_API_USER", site.api_user()),
        ("FTRACK_API_KEY", &key),
    ];
    let (link, text) = if shows_key {
        ("/", "Hide the key")
    } else {
        ("/?show-key=1", "Show the key")
    };
    html.push_str(
        "<h2>How to connect</h2><p>Set these variables; every ftrack client reads them. ",
    );
    write!(html, "<a href=\"{link}\">{text}</a></p><pre>")?;
    for (name, value) in variables {
        writeln!(html, "export {name}={}", escape(value))?;
    }
    html.push_str("</pre><details><summary>PowerShell</summary><pre>");
    for (name, value) in variables {
        writeln!(html, "$env:{name} = \"{}\"", escape(value))?;
    }
    html.push_str("</pre></details>");
    Ok(())
}

fn write_faults(site: &Site, html: &mut String) -> std::fmt::Result {
    let pending = site.faults.pending();
    if pending.is_empty() {
        return Ok(());
    }
    html.push_str("<h2>Faults that wait</h2><ul class=\"faults\">");
    for fault in pending {
        write!(
            html,
            "<li><code>{}</code></li>",
            escape(&fault.to_json().to_string())
        )?;
    }
    html.push_str("</ul>");
    Ok(())
}

fn write_requests(entries: &[Entry], html: &mut String) -> std::fmt::Result {
    html.push_str("<h2>Recent requests</h2>");
    if entries.is_empty() {
        html.push_str("<p class=\"none\">None yet.</p>");
        return Ok(());
    }
    html.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Time (UTC)</th><th>Request</th><th>What</th><th>User</th>\
         <th class=\"number\">Status</th><th class=\"number\">ms</th></tr></thead><tbody>",
    );
    for entry in entries {
        let status = entry
            .status
            .map_or("none".to_owned(), |status| status.to_string());
        let class = match entry.status {
            Some(100..=399) => "number",
            _ => "number bad",
        };
        let fault = entry.fault.map(|fault| format!(" <em>{fault}</em>"));
        write!(
            html,
            "<tr><td>{}</td><td><code>{} {}</code></td><td>{}{}</td><td>{}</td>\
             <td class=\"{class}\">{status}</td><td class=\"number\">{:.1}</td></tr>",
            entry.at.strftime("%H:%M:%S%.3f"),
            escape(&entry.method),
            escape(&entry.route),
            escape(&entry.summary),
            fault.unwrap_or_default(),
            escape(&entry.user),
            entry.took.as_secs_f64() * 1000.0,
        )?;
    }
    html.push_str("</tbody></table></div>");
    Ok(())
}

fn write_counts(counts: &[(String, i64)], html: &mut String) -> std::fmt::Result {
    html.push_str("<h2>What is in the studio</h2><ul class=\"counts\">");
    for (name, count) in counts {
        write!(html, "<li><span>{}</span><b>{count}</b></li>", escape(name))?;
    }
    html.push_str("</ul>");
    Ok(())
}

/// How many entities of each type there are; types without any are left out.
fn counts(site: &Site) -> Result<Vec<(String, i64)>> {
    let model = site.model();
    let mut counts = site.database.read(|connection| {
        let mut counts: Vec<(String, i64)> = Vec::new();
        for (index, table) in model.tables.iter().enumerate() {
            let ty = model.types.iter().find(|ty| ty.table == index);
            let Some(ty) = ty.filter(|_| !table.is_view) else {
                continue;
            };
            let name = match ty.discriminator {
                Some(column) => format!("COALESCE(\"{column}\", '{}')", ty.name),
                None => format!("'{}'", ty.name),
            };
            let sql = format!("SELECT {name}, COUNT(*) FROM \"{}\" GROUP BY 1", table.name);
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in rows {
                counts.push(row?);
            }
        }
        Ok(counts)
    })?;
    counts.retain(|(_, count)| *count > 0);
    counts.sort();
    Ok(counts)
}

/// Text as HTML: what clients send ends up on the page.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for (host, expected) in [
            ("127.0.0.1:5000", true),
            ("localhost", true),
            ("[::1]:80", true),
            ("evil.example:5000", false),
            ("127.0.0.1.evil.example", false),
            ("localhost:evil", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(is_local(&headers), expected, "{host}");
        }
        assert!(!is_local(&HeaderMap::new()));
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escape("<a href='x'>&\""),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"
        );
    }
}
