//! Records an emulator's responses, so that they can be replayed without an emulator's work.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::Api;
use crate::attributes::{PATHS, USERS_PATHS};
use crate::contender::{PAGE, Work, updating};

/// How often the tasks are served, under other keys each time.
pub(crate) const COPIES: usize = 10;

/// The bodies of the responses.
pub(crate) struct Recording {
    /// The server's information, as it stands in the list of a response.
    pub(crate) information: Value,
    pub(crate) schemas: Value,
    /// Pages of tasks as the server sends them by default: an entity that occurs again is only a key.
    pub(crate) pages: Vec<String>,
    /// The first tasks again, with `strict:1;denormalize:1`: every reference in full.
    pub(crate) full_pages: Vec<String>,
    /// And with what users read besides, and with long descriptions.
    pub(crate) users_pages: Vec<String>,
    /// What the Python module asks for once, when custom attributes come.
    pub(crate) configurations: String,
    pub(crate) updated: String,
    pub(crate) created: String,
    pub(crate) work: Work,
}

/// Records pages of the first `tasks` tasks, and the emulator's responses to updating and
/// creating `changes` of them.
pub(crate) fn record(tasks: usize, changes: usize) -> Result<Recording> {
    let emulator = Source(Api::new()?);
    let [information, schemas]: [Value; 2] = emulator.ask(
        &json!([{"action": "query_server_information"}, {"action": "query_schemas"}]),
        None,
    )?;
    let rows = emulator.pages(&PATHS, tasks, None)?;
    let full_rows = emulator.pages(&PATHS, tasks, Some("strict:1;denormalize:1"))?;
    let users_paths = [&PATHS[..], &USERS_PATHS].concat();
    let users_rows = emulator.pages(&users_paths, tasks, None)?;
    let users_rows: Vec<String> = users_rows.iter().map(|rows| described(rows)).collect();
    let expression = "select key, project_id, object_type_id, entity_type, is_hierarchical, default, \
                      type.name from CustomAttributeConfiguration offset 0 limit 500";
    let configurations = emulator.text(
        &json!([{"action": "query", "expression": expression}]),
        None,
    )?;
    let copies = (0..COPIES).flat_map(|copy| rows.iter().map(move |rows| copied(rows, copy)));
    let copies: Vec<String> = copies.collect();
    let first = known_tasks(&copies)?;
    let keys: HashSet<&str> = first.iter().map(|task| task.id.as_str()).collect();
    ensure!(keys.len() == tasks * COPIES, "tasks share a key");
    let (updated, created, work) = emulator.write(&first[..changes])?;
    Ok(Recording {
        information,
        schemas,
        pages: rendered(&copies),
        full_pages: rendered(&full_rows),
        users_pages: rendered(&users_rows),
        configurations,
        updated,
        created,
        work,
    })
}

/// Pages as responses: the same bytes for every client.
fn rendered(pages: &[String]) -> Vec<String> {
    let render = |(number, rows): (usize, &String)| {
        let next = match number + 1 {
            next if next == pages.len() => "null".to_owned(),
            next => (next * PAGE).to_string(),
        };
        format!(r#"[{{"action":"query","data":{rows},"metadata":{{"next":{{"offset":{next}}}}}}}]"#)
    };
    pages.iter().enumerate().map(render).collect()
}

/// The same rows under other keys; the first copy has the true ones.
fn copied(rows: &str, copy: usize) -> String {
    const BEFORE_KEY: &str = r#"{"__entity_type__":"Task","id":""#;
    // The studio's keys are UUIDs of the versions 1 and 3.
    const VERSIONS: [&str; COPIES] = ["", "0", "2", "5", "6", "7", "8", "9", "a", "b"];
    let mut parts = rows.split(BEFORE_KEY);
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        all.push_str(BEFORE_KEY);
        match copy {
            0 => all.push_str(part),
            copy => all.push_str(&with_version(part, VERSIONS[copy])),
        }
    }
    all
}

/// The same rows with descriptions of 80 letters that have quotes and are not ASCII.
fn described(rows: &str) -> String {
    const NAME: &str = r#""description":"#;
    const TEXT: &str = r#""Größe der \"Straße\" prüfen, Übergänge glätten, Äste & Büsche vor den Häusern setzen.""#;
    let mut parts = rows.split(NAME);
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut texts = serde_json::Deserializer::from_str(part).into_iter::<Value>();
        // Skip the value that is replaced: a string or null.
        let _ = texts.next();
        all.extend([NAME, TEXT, &part[texts.byte_offset()..]]);
    }
    all
}

/// A text that begins with a UUID, with another digit in the place of the UUID's version: no other
/// task has that key.
fn with_version(text: &str, digit: &str) -> String {
    const VERSION: usize = 14;
    [&text[..VERSION], digit, &text[VERSION + 1..]].concat()
}

#[derive(Deserialize)]
struct KnownTask {
    id: String,
    status: Key,
    r#type: Key,
    parent: Key,
}

#[derive(Deserialize)]
struct Key {
    id: String,
}

fn known_tasks(pages: &[String]) -> Result<Vec<KnownTask>> {
    let mut known = Vec::new();
    for page in pages {
        known.extend(serde_json::from_str::<Vec<KnownTask>>(page)?);
    }
    Ok(known)
}

/// The emulator that is recorded.
struct Source(Api);

impl Source {
    fn text(&self, actions: &Value, options: Option<&str>) -> Result<String> {
        Ok(String::from_utf8(self.0.post(actions, options)?)?)
    }

    fn ask<T: for<'a> Deserialize<'a>>(&self, actions: &Value, options: Option<&str>) -> Result<T> {
        let text = self.text(actions, options)?;
        serde_json::from_str(&text).context("a response of another form")
    }

    /// The rows of each page, as text.
    fn pages(&self, paths: &[&str], tasks: usize, options: Option<&str>) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Reply {
            data: Box<RawValue>,
        }
        let page = |offset| {
            let page = self.0.page(paths, offset, options)?;
            let [reply]: [Reply; 1] = serde_json::from_slice(&page)?;
            let count = serde_json::from_str::<Vec<&RawValue>>(reply.data.get())?.len();
            ensure!(count == PAGE, "the page at {offset} has {count} tasks");
            Ok(reply.data.get().to_owned())
        };
        (0..tasks).step_by(PAGE).map(page).collect()
    }

    /// Updates these tasks and creates as many.
    fn write(&self, tasks: &[KnownTask]) -> Result<(String, String, Work)> {
        let update = |task: &KnownTask| updating(&task.id);
        let updated = self.text(&tasks.iter().map(update).collect(), None)?;
        let first = tasks.first().context("there are tasks")?;
        let work = Work {
            ids: tasks
                .iter()
                .map(|task| with_version(&task.id, "f"))
                .collect(),
            parent_id: first.parent.id.clone(),
            status_id: first.status.id.clone(),
            type_id: first.r#type.id.clone(),
        };
        let created = self.text(&work.creations(), None)?;
        Ok((updated, created, work))
    }
}
