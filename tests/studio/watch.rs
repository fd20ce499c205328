//! `watch`: the view equals a fresh query, whatever happens.

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ftrack_api::config::Retry;
use ftrack_api::transport::{Request, Response, Transport};
use ftrack_api::{Entity, Error, ErrorKind, Session, Value, data};

use crate::support::{Studio, builder, eventually, open};

const LONG: Duration = Duration::from_secs(120);
const QUERY: &str = "select name, bid, status.name from Task where project.name is test and bid < 1000000 \
                     order by name, id";

type Row = (String, String, Option<f64>, Option<String>);

fn rows(entities: &[Entity]) -> Vec<Row> {
    let row = |one: &Entity| {
        (
            one.id(),
            one.get("name").unwrap(),
            one.get("bid").unwrap(),
            one.get("status.name").unwrap(),
        )
    };
    entities.iter().map(row).collect()
}

/// What the server has, seen by a session that knows nothing.
fn fresh(studio: &Studio) -> Vec<Row> {
    let other = open(&studio.server);
    rows(&other.query(QUERY).unwrap().all().unwrap())
}

#[test]
fn entities_that_begin_and_cease_to_match_are_noticed() {
    let studio = Studio::new();
    let other = studio.other();
    let mut watch = studio.session.watch(QUERY).unwrap();
    let before = watch.entities().unwrap();
    assert!(!before.is_empty());
    assert!(watch.poll().unwrap().is_empty());
    let project = other.at("test").unwrap();
    let task = other
        .create(
            "Task",
            data! { "name": "0 new", "parent": &project, "bid": 1 },
        )
        .unwrap();
    other.commit().unwrap();
    let changes = watch.changes(LONG).unwrap().unwrap();
    assert_eq!(
        changes.added.iter().map(Entity::id).collect::<Vec<_>>(),
        [task.id()]
    );
    assert_eq!((changes.removed.len(), changes.changed.len()), (0, 0));
    assert_eq!(watch.entities().unwrap()[0].id(), task.id());
    task.set("bid", 2).unwrap();
    other.commit().unwrap();
    let changes = watch.changes(LONG).unwrap().unwrap();
    assert_eq!(changes.changed.len(), 1);
    assert_eq!(changes.changed[0].get::<f64>("bid").unwrap(), 2.0);
    task.set("bid", 2000000).unwrap();
    other.commit().unwrap();
    assert_eq!(watch.changes(LONG).unwrap().unwrap().removed, [task.key()]);
    task.set("bid", 3).unwrap();
    other.commit().unwrap();
    assert_eq!(watch.changes(LONG).unwrap().unwrap().added.len(), 1);
    other.delete(&task).unwrap();
    other.commit().unwrap();
    assert_eq!(watch.changes(LONG).unwrap().unwrap().removed, [task.key()]);
    assert_eq!(watch.entities().unwrap(), before);
    assert_eq!(watch.changes(Duration::from_millis(50)).unwrap(), None);
}

/// Another entity decides whether these match.
#[test]
fn changes_of_what_a_condition_leads_to_are_noticed() {
    let studio = Studio::new();
    let other = studio.other();
    let mut watch = studio.session.watch(QUERY).unwrap();
    let project = other.at("test").unwrap();
    project.set("name", "renamed").unwrap();
    other.commit().unwrap();
    let changes = watch.changes(LONG).unwrap().unwrap();
    assert!(!changes.removed.is_empty());
    assert!(watch.entities().unwrap().is_empty());
}

/// What the official Python client changes meanwhile, where `WATCH_PYTHON` names a Python that has it.
const PYTHON: &str = "
import random, sys, ftrack_api
session = ftrack_api.Session(auto_connect_event_hub=False)
done = 0
for number in range(300):
    task = random.choice(session.query('Task where project.name is test limit 30').all())
    if number % 5:
        task['bid'] = random.randrange(2000000)
    else:
        task['name'] = 'python {0}'.format(number)
    try:
        session.commit()
        done += 1
    except Exception:
        session.rollback()  # another session has deleted it
print('{0} changes by Python'.format(done))
sys.exit(done < 200)
";

fn python(studio: &Studio) -> Option<Child> {
    let python = std::env::var("WATCH_PYTHON").ok()?;
    let child = Command::new(python)
        .args(["-c", PYTHON])
        .env("FTRACK_SERVER", studio.server.url())
        .env("FTRACK_API_USER", studio.server.api_user())
        .env("FTRACK_API_KEY", studio.server.api_key())
        .spawn();
    Some(child.unwrap())
}

#[test]
fn five_thousand_changes_with_cut_connections_leave_a_true_view() {
    let studio = Studio::new();
    let mut python = python(&studio);
    let others: Vec<Session> = (0..3).map(|_| studio.other()).collect();
    let mut watch = studio.session.watch(QUERY).unwrap();
    let (begun, before) = (Instant::now(), studio.session.statistics().requests);
    let tasks = others[0]
        .query("select id from Task where project.name is test")
        .unwrap();
    let mut tasks: Vec<String> = tasks.all().unwrap().iter().map(Entity::id).collect();
    let project = others[0].at("test").unwrap().key();
    let mut random = fastrand::Rng::with_seed(7);
    let mut changes = 0;
    while changes < 5000 {
        let other = &others[random.usize(0..others.len())];
        for _ in 0..random.usize(1..120) {
            changes += 1;
            let id = tasks[random.usize(0..tasks.len())].clone();
            match random.usize(0..20) {
                0 => {
                    let data =
                        data! { "name": format!("t{changes}"), "parent": &project, "bid": 1 };
                    tasks.push(other.create("Task", data).unwrap().id());
                }
                1 if tasks.len() > 20 => {
                    tasks.retain(|known| *known != id);
                    other.delete_by_key("Task", &id).unwrap();
                }
                2 => other
                    .update("Task", &id, data! { "name": format!("n{changes}") })
                    .unwrap(),
                _ => other
                    .update("Task", &id, data! { "bid": random.u32(0..2_000_000) })
                    .unwrap(),
            }
        }
        other.commit().unwrap();
        if random.usize(0..8) == 0 {
            studio.server.events().drop_connections();
            // After each gap the view becomes equal to a fresh query, unless another one writes on.
            if python.is_none() {
                wait_until_true(&studio, &mut watch);
            }
        } else if random.bool() {
            watch.poll().unwrap();
        }
    }
    if let Some(python) = &mut python {
        assert!(python.wait().unwrap().success());
    }
    wait_until_true(&studio, &mut watch);
    let sent = studio.session.statistics().requests - before;
    let seconds = begun.elapsed().as_secs() + 1;
    assert!(sent <= seconds + 1, "{sent} requests in {seconds} seconds");
}

fn wait_until_true(studio: &Studio, watch: &mut ftrack_api::studio::Watch) {
    let expected = fresh(studio);
    let end = Instant::now() + LONG;
    loop {
        let entities = watch.entities().unwrap();
        let seen: Vec<String> = entities.iter().map(Entity::id).collect();
        let ids: Vec<&String> = expected.iter().map(|row| &row.0).collect();
        if seen.iter().eq(ids) && rows(&entities) == expected {
            return;
        }
        assert!(Instant::now() < end, "the view never became true");
        watch.changes(Duration::from_millis(200)).unwrap();
    }
}

#[test]
fn a_watch_whose_thread_has_panicked_says_so() {
    let studio = Studio::new();
    let does_panic = Arc::new(AtomicBool::new(false));
    let panics = does_panic.clone();
    let session = builder(&studio.server)
        .wrap_transport(|inner| Meddling {
            inner,
            meddle: move |body: &str| {
                assert!(!panics.load(Ordering::SeqCst), "on purpose");
                Ok(body.to_owned())
            },
        })
        .open()
        .unwrap();
    let mut watch = session.watch(QUERY).unwrap();
    does_panic.store(true, Ordering::SeqCst);
    let error = loop {
        match watch.changes(LONG) {
            Ok(changes) => assert!(changes.is_some(), "the watch goes on"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Callback, "{error}");
    assert_eq!(watch.poll().unwrap_err().kind(), ErrorKind::Callback);
}

/// Changes what is sent, or fails.
struct Meddling<F> {
    inner: Box<dyn Transport>,
    meddle: F,
}

impl<F> Transport for Meddling<F>
where
    F: Fn(&str) -> ftrack_api::Result<String> + Send + Sync + 'static,
{
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        let Ok(body) = std::str::from_utf8(request.body) else {
            return self.inner.send(request);
        };
        let body = (self.meddle)(body)?;
        let changed = Request::new(
            request.method,
            request.url,
            request.headers,
            body.as_bytes(),
            request.timeout,
        );
        self.inner.send(&changed)
    }

    fn close(&self) {
        self.inner.close();
    }
}

#[test]
fn pages_that_the_server_cuts_short_are_followed() {
    let studio = Studio::new();
    let session = builder(&studio.server)
        .wrap_transport(|inner| Meddling {
            inner,
            meddle: |body: &str| Ok(body.replace("limit 5000", "limit 7")),
        })
        .open()
        .unwrap();
    let watch = session.watch(QUERY).unwrap();
    let seen = rows(&watch.entities().unwrap());
    assert!(seen.len() > 7);
    assert_eq!(seen, fresh(&studio));
}

#[test]
fn a_failure_hides_no_change_that_was_seen_before_it() {
    let studio = Studio::new();
    let (is_cut, cuts) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (cut, count) = (is_cut.clone(), cuts.clone());
    let session = builder(&studio.server)
        .retry(Retry::off())
        .wrap_transport(|inner| Meddling {
            inner,
            meddle: move |body: &str| {
                if cut.load(Ordering::SeqCst) && body.contains("bid < 1000000") {
                    count.fetch_add(1, Ordering::SeqCst);
                    return Err(Error::new(ErrorKind::Connection, "cut"));
                }
                Ok(body.to_owned())
            },
        })
        .open()
        .unwrap();
    let mut watch = session.watch(QUERY).unwrap();
    let other = studio.other();
    let task = other.get("Task", watch.entities().unwrap()[0].key());
    let task = task.unwrap().unwrap();
    let change = |name: &str, value: Value| {
        task.set(name, value).unwrap();
        other.commit().unwrap();
    };
    change("bid", 4711.into());
    let sent = session.statistics().requests;
    change("description", "makes it look".into());
    eventually("a look", || session.statistics().requests > sent);
    is_cut.store(true, Ordering::SeqCst);
    change("description", "makes it look again".into());
    eventually("a look fails", || cuts.load(Ordering::SeqCst) > 1);
    is_cut.store(false, Ordering::SeqCst);
    let end = Instant::now() + LONG;
    loop {
        if let Ok(Some(changes)) = watch.changes(Duration::from_secs(1)) {
            assert_eq!(changes.changed[0].get::<f64>("bid").unwrap(), 4711.0);
            break;
        }
        assert!(Instant::now() < end, "the change was never reported");
    }
}

#[test]
fn a_dropped_watch_ends_and_what_cannot_be_watched_is_refused() {
    let studio = Studio::new();
    let watch = studio.session.watch("Task limit 3").unwrap();
    assert_eq!(watch.entities().unwrap().len(), 3);
    drop(watch);
    let wrong = |query: &str| studio.session.watch(query).unwrap_err().kind();
    assert_eq!(wrong("Tsk"), ErrorKind::UnknownType);
    assert_eq!(wrong("Task where"), ErrorKind::Syntax);
    for query in [
        "select count(id) from Task group by status_id",
        "select count(id) from Task",
    ] {
        assert_eq!(wrong(query), ErrorKind::Validation, "{query}");
    }
    let mut watch = studio.session.watch("Task limit 3").unwrap();
    studio.session.close();
    assert_eq!(watch.changes(LONG).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(watch.poll().unwrap_err().kind(), ErrorKind::Closed);
}
