//! How costs grow: with what is loaded, with attributes, with pages, and with what is pending.
//!
//! `cargo bench --bench growth` prints tables of CPU times. A word after `--` runs only the part
//! with that name. Responses come from memory, as in `figures.rs`.

#![allow(clippy::print_stdout, reason = "a program that prints tables")]

mod support;

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cpu_time::ProcessTime;
use ftrack_api::schema::AttributeKind;
use ftrack_api::{Entity, Session};

use support::{Bytes, PAGE, Server, id, median, pages, updated};

const CHANGES: usize = 1_000;
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// How many processes do what is measured once, and cold.
const PROCESSES: usize = 9;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, loaded, between] = words.as_slice()
        && word == "once"
    {
        let loaded = loaded.parse().expect("a number");
        return update_once(&Server::new(), loaded, between);
    }
    let wanted = words.iter().find(|word| !word.starts_with('-'));
    let server = Server::new();
    for (name, measure) in PARTS {
        if wanted.is_none_or(|word| name == word) {
            measure(&server);
        }
    }
}

type Part = (&'static str, fn(&Server));

const PARTS: [Part; 5] = [
    ("loaded", with_loaded),
    ("cold", cold),
    ("attributes", with_attributes),
    ("pages", with_pages),
    ("pending", with_pending),
];

fn line(name: &str, time: Duration, count: usize, what: &str) {
    let (millis, nanos) = (time.as_secs_f64() * 1e3, time.as_secs_f64() * 1e9);
    let each = nanos / count as f64;
    println!("  {name:<44} {millis:>9.3} ms {each:>9.0} ns for each {what}");
}

/// The same work, repeated, while more and more is loaded.
fn with_loaded(server: &Server) {
    println!("with what is loaded");
    for loaded in SIZES {
        let (session, replay, tasks) = server.loaded(loaded);
        let all = pages(loaded);
        let query = median(
            || {
                let (session, replay) = server.open();
                replay.then(all.iter().cloned());
                session
            },
            |session| (support::query(&session), session),
        );
        line(&format!("query {loaded} tasks"), query, loaded, "task");
        let page = support::page(0, PAGE, true);
        let again = median(
            || replay.then([page.clone()]),
            |()| support::query(&session),
        );
        line(
            &format!("… a page again, {loaded} loaded"),
            again,
            PAGE,
            "task",
        );
        let ids: Vec<String> = (0..CHANGES).map(|number| id(6, number)).collect();
        let gets = median(
            || (),
            |()| {
                for id in &ids {
                    black_box(session.get("Task", id).expect("cached"));
                }
            },
        );
        line(
            &format!("… `get` by key, {loaded} loaded"),
            gets,
            CHANGES,
            "get",
        );
        let mut bid = 1;
        let update = median(
            || {
                bid += 1;
                replay.then([updated(0..CHANGES, bid)]);
                bid
            },
            |bid| {
                set(&tasks[..CHANGES], bid);
                session.commit().expect("the response is good");
            },
        );
        line(
            &format!("… update 1,000 and commit, {loaded} loaded"),
            update,
            CHANGES,
            "task",
        );
        let back = median(
            || {
                bid += 1;
                set(&tasks[..CHANGES], bid);
            },
            |()| session.rollback(),
        );
        line(
            &format!("… roll 1,000 back, {loaded} loaded"),
            back,
            CHANGES,
            "task",
        );
    }
}

fn set(tasks: &[Entity], bid: usize) {
    for task in tasks {
        task.set("bid", bid as i64).expect("it can be set");
    }
}

/// What a process does that has just loaded and looked at everything. `flush` walks over other
/// memory in between, so that nothing lies in the processor's caches.
fn cold(_: &Server) {
    println!("update 1,000 and commit, once in a process that has read all values before");
    for (name, between) in [("", "nothing"), (", other memory used in between", "flush")] {
        for loaded in SIZES {
            let mut times: Vec<u64> = (0..PROCESSES).map(|_| once(loaded, between)).collect();
            times.sort_unstable();
            let time = Duration::from_nanos(times[PROCESSES / 2]);
            line(&format!("{loaded} loaded{name}"), time, CHANGES, "task");
        }
    }
}

fn once(loaded: usize, between: &str) -> u64 {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    let output = command
        .args(["once", &loaded.to_string(), between])
        .output();
    let output = output.expect("it starts");
    assert!(output.status.success(), "it failed");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("a time")
}

fn update_once(server: &Server, loaded: usize, between: &str) {
    let (session, replay, tasks) = server.loaded(loaded);
    for task in &tasks {
        for path in support::PATHS {
            black_box(task.value(path).expect("loaded"));
        }
    }
    replay.then([updated(0..CHANGES, 7)]);
    if between == "flush" {
        let mut other = vec![1_u64; 8 << 20];
        other.iter_mut().for_each(|word| *word += 1);
        black_box(&other);
    }
    let started = ProcessTime::now();
    set(&tasks[..CHANGES], 7);
    session.commit().expect("the response is good");
    println!("{}", started.elapsed().as_nanos());
}

/// A page of tasks with more and more attributes.
fn with_attributes(server: &Server) {
    println!("with attributes, {PAGE} tasks");
    let (session, _) = server.open();
    let names = scalars(&session);
    for count in [1, 2, 5, 10, 20, names.len()] {
        let names = &names[..count.min(names.len())];
        let page = page_of(names);
        let query = format!("select {} from Task", plain(names).join(", "));
        let run = |session: &Session| {
            let tasks = session.query(query.as_str()).and_then(|query| query.all());
            tasks.expect("the page is good")
        };
        let prepare = || {
            let (session, replay) = server.open();
            replay.then([page.clone()]);
            session
        };
        let time = median(prepare, |session| (run(&session), session));
        let name = format!("query {count} attributes");
        line(&name, time, PAGE * names.len(), "attribute");
        let (session, replay) = server.open();
        replay.then([page.clone()]);
        let tasks = run(&session);
        let paths = plain(names);
        let time = median(
            || (),
            |()| {
                for task in &tasks {
                    for path in &paths {
                        black_box(task.value(path).expect("loaded"));
                    }
                }
            },
        );
        line(
            &format!("… read {count}"),
            time,
            PAGE * names.len(),
            "attribute",
        );
    }
}

/// An attribute and a value for it.
type Scalar = (String, &'static str);

fn plain(names: &[Scalar]) -> Vec<&str> {
    names.iter().map(|(name, _)| name.as_str()).collect()
}

/// What a task has that needs no other entity.
fn scalars(session: &Session) -> Vec<Scalar> {
    let task = session.schema().entity_type("Task").expect("a type");
    let value = |kind: &AttributeKind| match kind {
        AttributeKind::Text => Some("\"sixteen letters.\""),
        AttributeKind::Bool => Some("true"),
        AttributeKind::Integer => Some("12"),
        AttributeKind::Number => Some("12.5"),
        AttributeKind::DateTime => {
            Some("{\"__type__\": \"datetime\", \"value\": \"2024-01-10T10:12:09\"}")
        }
        _ => None,
    };
    let attributes = task.attributes().iter();
    attributes
        .filter(|one| !task.primary_key().iter().any(|key| key == one.name()))
        .filter_map(|one| Some((one.name().to_owned(), value(one.kind())?)))
        .collect()
}

fn page_of(names: &[Scalar]) -> Bytes {
    let mut out = String::from(r#"[{"action": "query", "data": ["#);
    for number in 0..PAGE {
        let comma = if number > 0 { ", " } else { "" };
        let key = id(6, number);
        write!(out, r#"{comma}{{"__entity_type__": "Task", "id": "{key}""#).expect("memory");
        for (name, value) in names {
            write!(out, r#", "{name}": {value}"#).expect("memory");
        }
        out.push('}');
    }
    out.push_str(r#"], "metadata": {"next": {"offset": null}}}]"#);
    Arc::new(out.into_bytes())
}

/// The same tasks in more and smaller responses.
fn with_pages(server: &Server) {
    const TASKS: usize = 5_000;
    println!("with pages, {TASKS} tasks of 13 attributes");
    for size in [1, 10, 100, 500, 1_000, 5_000] {
        let responses: Vec<Bytes> = (0..TASKS)
            .step_by(size)
            .map(|first| support::page(first, size, first + size >= TASKS))
            .collect();
        let prepare = || {
            let (session, replay) = server.open();
            replay.then(responses.iter().cloned());
            session
        };
        let run = |session: Session| {
            let text = format!("select {} from Task", support::PATHS.join(", "));
            let query = session.query(text).expect("a query").page_size(size as u64);
            (query.all().expect("the pages are good"), session)
        };
        let time = median(prepare, run);
        line(&format!("pages of {size}"), time, TASKS, "task");
    }
}

/// More and more that is not committed.
fn with_pending(server: &Server) {
    println!("with pending operations");
    for count in SIZES {
        let prepare = || {
            let (session, replay, tasks) = server.loaded(count);
            replay.then([updated(0..count, 7)]);
            (session, tasks)
        };
        let recorded = median(prepare, |(session, tasks)| {
            set(&tasks, 7);
            (session, tasks)
        });
        line(
            &format!("set one attribute of {count}"),
            recorded,
            count,
            "operation",
        );
        let prepared = || {
            let (session, tasks) = prepare();
            set(&tasks, 7);
            (session, tasks)
        };
        let committed = median(prepared, |(session, tasks)| {
            session.commit().expect("the response is good");
            (session, tasks)
        });
        line(&format!("… commit {count}"), committed, count, "operation");
        let rolled = median(prepared, |(session, tasks)| {
            session.rollback();
            (session, tasks)
        });
        line(&format!("… roll {count} back"), rolled, count, "operation");
        let (_session, tasks) = prepared();
        let mut bid = 7;
        let one = median(
            || (),
            |()| {
                bid += 1;
                set(&tasks[..CHANGES], bid);
            },
        );
        line(
            &format!("… set 1,000 more, {count} pending"),
            one,
            CHANGES,
            "operation",
        );
    }
}
