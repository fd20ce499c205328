//! What the contenders share: their tasks, their clocks, and their report.

use std::collections::BTreeMap;
use std::env;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::attributes::{PATHS, USERS_PATHS};

/// How many tasks a page holds: what the clients ask for.
pub(crate) const PAGE: usize = 500;

/// What updated tasks bid.
pub(crate) const BID: f64 = 7.0;

/// The first `count` tasks.
pub(crate) fn statement(count: usize) -> String {
    format!("select {} from Task limit {count}", PATHS.join(", "))
}

/// The same with what users read besides.
pub(crate) fn users_statement(count: usize) -> String {
    let paths = [&PATHS[..], &USERS_PATHS].concat();
    format!("select {} from Task limit {count}", paths.join(", "))
}

/// A part of `link`.
#[derive(Deserialize)]
#[allow(dead_code, reason = "deserialized, and never read")]
pub(crate) struct Link {
    id: String,
    name: String,
    r#type: String,
}

/// What a contender writes at its end, as one line of JSON; the Python and JavaScript contenders
/// write the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// By the name of the step.
    pub(crate) times: BTreeMap<String, Time>,
    /// The most memory that the process has had, in bytes, when the tasks were loaded; where the
    /// system tells.
    pub(crate) peak: Option<u64>,
    /// Bids and places in the order, added up: all contenders must have seen the same.
    pub(crate) seen: Option<f64>,
    /// How many requests it has sent, where it tells.
    pub(crate) requests: Option<u64>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Time {
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
}

impl Report {
    /// Does a step and notes what it cost.
    pub(crate) fn time<T>(&mut self, step: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (wall, cpu) = (Instant::now(), ProcessTime::now());
        let done = black_box(work());
        let (cpu, wall) = (cpu.elapsed(), wall.elapsed());
        let time = Time {
            cpu: cpu.as_secs_f64() * 1e3,
            wall: wall.as_secs_f64() * 1e3,
        };
        self.times.insert(step.to_owned(), time);
        done.with_context(|| step.to_owned())
    }

    /// Notes the most memory so far. Only Linux tells a process in a file; the driver takes what
    /// the system says at the end elsewhere.
    pub(crate) fn note_peak(&mut self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        self.peak = kibibytes.map(|count| count * 1024);
    }

    pub(crate) fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// What the new tasks are made of; written by the recorder, read by every contender.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) ids: Vec<String>,
    pub(crate) parent_id: String,
    pub(crate) status_id: String,
    pub(crate) type_id: String,
}

impl Work {
    /// What this process is asked to do.
    pub(crate) fn from_env() -> Result<Self> {
        let path = variable("PEERS_WORK")?;
        let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        serde_json::from_str(&text).context(path)
    }

    /// The actions that make the new tasks.
    pub(crate) fn creations(&self) -> Value {
        let create = |(number, id): (usize, &String)| {
            json!({"action": "create", "entity_type": "Task", "entity_key": [id],
                "entity_data": {"__entity_type__": "Task", "id": id,
                    "name": format!("task_{number}"), "description": "made by a benchmark",
                    "bid": 3600, "parent_id": self.parent_id, "status_id": self.status_id,
                    "type_id": self.type_id}})
        };
        self.ids.iter().enumerate().map(create).collect()
    }
}

/// The action that updates a task.
pub(crate) fn updating(id: impl Serialize) -> Value {
    json!({"action": "update", "entity_type": "Task", "entity_key": [id],
        "entity_data": {"__entity_type__": "Task", "bid": BID}})
}

/// The cached schema; the contenders have a folder each.
pub(crate) fn schema_file() -> Result<PathBuf> {
    let folder = variable("FTRACK_API_SCHEMA_CACHE_PATH")?;
    Ok(PathBuf::from(folder).join("ftrack_api_schema_cache.json"))
}

pub(crate) fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is set by the driver"))
}

/// A row as a struct. A date is text for typed rows, and what the wire has for plain `serde_json`.
#[derive(Deserialize)]
#[allow(dead_code, reason = "deserialized, and never read")]
pub(crate) struct Task<D> {
    id: String,
    name: String,
    description: String,
    pub(crate) bid: f64,
    pub(crate) sort: f64,
    start_date: D,
    end_date: D,
    created_at: D,
    status: Status,
    r#type: Named,
    priority: Named,
    project: Project,
    parent: Named,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "as above")]
struct Status {
    name: String,
    color: String,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "as above")]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "as above")]
struct Project {
    full_name: String,
}
