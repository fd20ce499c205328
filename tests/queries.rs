//! Queries of a session against a server: what comes back, and what it costs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ftrack_api::query::{Aggregate, field, select};
use ftrack_api::{
    Entity, EntityKey, ErrorKind, Query, Result, Session,
    config::Populate,
    data, expr,
    transport::{Request, Response, ScriptedTransport, Transport},
};
use ftrack_emulator::Emulator;
use jiff::civil::DateTime;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _};
use support::{builder, emulator, open, requests, trace};

fn studio(tasks: usize) -> (Emulator, Session) {
    let server = Emulator::builder().tasks(tasks).start().unwrap();
    let session = open(&server);
    (server, session)
}

fn ids(entities: &[Entity]) -> Vec<String> {
    entities.iter().map(Entity::id).collect()
}

#[test]
fn a_limit_in_a_text_is_no_limit() {
    let server = emulator();
    let session = open(&server);
    // Names are unique below one parent.
    for shot in session.query("Shot limit 4").unwrap() {
        let shot = shot.unwrap();
        for name in ["time limit 5 frames", "time limit 5 framez"] {
            session
                .create("Task", data! { "name": name, "parent": &shot })
                .unwrap();
        }
    }
    session.commit().unwrap();
    let query = session
        .query("Task where name is \"time limit 5 frames\" limit 3")
        .unwrap();
    assert_eq!(
        query.statement().to_string(),
        "Task where name is \"time limit 5 frames\" limit 3"
    );
    let found = query.all().unwrap();
    assert_eq!(found.len(), 3);
    for task in &found {
        assert_eq!(task.get::<String>("name").unwrap(), "time limit 5 frames");
    }
    assert_eq!(query.count().unwrap(), 3);
}

#[test]
fn a_loop_costs_a_request_for_each_page_and_path() {
    let (_server, session) = studio(1000);
    let paths = [
        "status.state.short",
        "status.state.name",
        "project.project_schema.name",
        "project.created_by.username",
    ];
    let mut tasks = Vec::new();
    let pages = requests(&session, || {
        tasks = session
            .query("select name from Task")
            .unwrap()
            .all()
            .unwrap();
    });
    assert!(tasks.len() >= 1000, "{}", tasks.len());
    let budget = pages * paths.len() as u64;
    session
        .with_request_budget(budget, || {
            for task in &tasks {
                for path in paths {
                    task.get::<Option<String>>(path)?;
                }
            }
            Ok(())
        })
        .unwrap();
    let loads = session.statistics().loads_on_access;
    assert_eq!(loads["Task.status.state.short"], pages);
    assert!(session.statistics().entities > 1000);
}

#[test]
fn counts_agree_with_what_comes() {
    let (_server, session) = studio(300);
    for text in [
        "Task",
        "Task where status.name is \"In progress\"",
        "Task limit 7",
        "Task offset 290 limit 20",
        "Task offset 100000",
        "Task limit 0",
        "Task order by name descending limit 3",
        "Context where project.name is test",
        "Task where notes any ()",
        "Metadata",
        "Task where id in ()",
    ] {
        let query = session.query(text).unwrap();
        let all = query.all().unwrap();
        assert_eq!(query.count().unwrap(), all.len() as u64, "{text}");
        assert_eq!(query.exists().unwrap(), !all.is_empty(), "{text}");
    }
    let tasks = session.query("Task").unwrap();
    assert_eq!(
        requests(&session, || assert!(tasks.count().unwrap() > 0)),
        1
    );
    assert_eq!(requests(&session, || assert!(tasks.exists().unwrap())), 1);
    let known = session.entity_count();
    let groups = "select count(id) from Task group by status_id";
    let groups = session.query(groups).unwrap();
    assert_eq!(
        groups.count().unwrap(),
        groups.rows::<serde_json::Value>().count() as u64
    );
    assert!(groups.exists().unwrap());
    assert_eq!(session.entity_count(), known);
}

/// Counts what passes.
#[derive(Default)]
struct Metered {
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Metered {
    fn read(&self) -> [u64; 3] {
        [&self.requests, &self.sent, &self.received].map(|one| one.load(Ordering::SeqCst))
    }
}

struct Meter {
    inner: Box<dyn Transport>,
    metered: Arc<Metered>,
}

impl Transport for Meter {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let mut response = self.inner.send(request)?;
        let mut body = Vec::new();
        response.body.read_to_end(&mut body).unwrap();
        let counted = &self.metered;
        counted.requests.fetch_add(1, Ordering::SeqCst);
        let (sent, received) = (request.body.len() as u64, body.len() as u64);
        counted.sent.fetch_add(sent, Ordering::SeqCst);
        counted.received.fetch_add(received, Ordering::SeqCst);
        response.body = Box::new(Cursor::new(body));
        Ok(response)
    }
}

#[test]
fn statistics_are_what_passes() {
    let server = emulator();
    let metered = Arc::new(Metered::default());
    let counted = metered.clone();
    let session = builder(&server).wrap_transport(move |inner| Meter {
        inner,
        metered: counted,
    });
    let session = session.open().unwrap();
    let tasks = session.query("select id from Task limit 3").unwrap();
    let tasks = tasks.all().unwrap();
    let rows = session.query("select id from Task limit 5").unwrap();
    assert_eq!(rows.rows::<serde_json::Value>().count(), 5);
    tasks[0].get::<String>("name").unwrap();
    let statistics = session.statistics();
    let passed = [
        statistics.requests,
        statistics.bytes_sent,
        statistics.bytes_received,
    ];
    assert_eq!(passed, metered.read());
    // Three tasks, and the same again with their names.
    assert_eq!((statistics.entities, statistics.rows), (6, 5));
    let loads = statistics.loads_on_access.into_iter();
    assert_eq!(loads.collect::<Vec<_>>(), [("Task.name".to_owned(), 1)]);
    assert!(statistics.microseconds > 0);
    assert_eq!(statistics.retries, 0);
}

#[test]
fn the_error_of_one_has_the_query() {
    let (_server, session) = studio(60);
    for (text, kind) in [
        ("Task where name is \"no such\"", ErrorKind::NotFound),
        ("Task where bid >= 0", ErrorKind::MultipleFound),
    ] {
        let error = session.query(text).unwrap().one().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn slices_fetch_what_they_show() {
    let (_server, session) = studio(100);
    let query = session.query("Task order by name, id").unwrap();
    let all = query.all().unwrap();
    let total = all.len() as u64;
    assert_eq!(query.slice(10..15).all().unwrap(), all[10..15]);
    assert_eq!(query.slice(..=2).all().unwrap(), all[..=2]);
    let after_first = query.slice((Bound::Excluded(0), Bound::Included(3)));
    assert_eq!(after_first.all().unwrap(), all[1..=3]);
    assert_eq!(
        query.slice(total - 2..).all().unwrap(),
        all[all.len() - 2..]
    );
    // A list is split only where there is no limit.
    assert_eq!(query.slice(3..).statement().limit, None);
    assert_eq!(query.slice(5..20).slice(3..6).all().unwrap(), all[8..11]);
    assert_eq!(query.nth(7).unwrap().as_ref(), Some(&all[7]));
    assert_eq!(query.nth(total).unwrap(), None);
    assert_eq!(query.nth(u64::MAX).unwrap(), None);
    assert_eq!(query.slice(1..u64::MAX - 1).all().unwrap(), all[1..]);
    let one_page = query.clone().page_size(u64::MAX);
    assert_eq!(one_page.all().unwrap(), all);
    assert_eq!(query.slice(..7).nth(7).unwrap(), None);
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is tested")]
    let backwards = query.slice(9..3);
    assert!(backwards.all().unwrap().is_empty());
    let fetched = |ask: &dyn Fn()| {
        let before = session.statistics().entities;
        assert_eq!(requests(&session, ask), 1);
        session.statistics().entities - before
    };
    assert_eq!(fetched(&|| drop(query.slice(3..6).all().unwrap())), 3);
    assert_eq!(fetched(&|| drop(query.nth(7).unwrap())), 1);
    assert_eq!(fetched(&|| drop(query.one().unwrap_err())), 2);
}

#[test]
fn pages_hold_what_iteration_gives() {
    let (_server, session) = studio(60);
    let query = session.query("Task limit 25").unwrap().page_size(10);
    let mut sizes = Vec::new();
    let sent = requests(&session, || {
        sizes = query.pages().map(|page| page.unwrap().len()).collect();
    });
    // The second request asks for two pages.
    assert_eq!((sizes, sent), (vec![10, 10, 5], 2));
    let paged: Vec<Entity> = query.pages().flat_map(Result::unwrap).collect();
    assert_eq!(paged, query.all().unwrap());
    assert_eq!(
        session.query("Task where id is x").unwrap().pages().count(),
        0
    );
}

#[test]
fn stable_paging_neither_skips_nor_repeats() {
    let (server, session) = studio(120);
    let other = open(&server);
    let before: HashSet<String> = ids(&session.query("Task").unwrap().all().unwrap())
        .into_iter()
        .collect();
    let query = session
        .select("Task")
        .fields(["name"])
        .page_size(20)
        .stable(true);
    let mut seen = Vec::new();
    let mut deleted = HashSet::new();
    for page in query.pages() {
        let page = page.unwrap();
        seen.extend(ids(&page));
        // What was read goes away, which would shift the pages that follow.
        for task in &page[..5] {
            other.delete_by_key("Task", task.id()).unwrap();
            deleted.insert(task.id());
        }
        other.commit().unwrap();
    }
    assert_eq!(seen.len(), before.len());
    assert_eq!(seen.iter().cloned().collect::<HashSet<_>>(), before);
    assert!(seen.is_sorted());

    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "name")]
        _name: String,
    }
    let left = before.len() - deleted.len();
    assert_eq!(
        session
            .select("Task")
            .page_size(7)
            .stable(true)
            .rows::<Named>()
            .count(),
        left
    );
    let several_keys = session
        .select("CustomAttributeValue")
        .page_size(3)
        .stable(true);
    assert_eq!(
        several_keys.all().unwrap().len() as u64,
        several_keys.count().unwrap()
    );
    let ordered = session.query("Task order by name").unwrap().stable(true);
    assert_eq!(ordered.all().unwrap_err().kind(), ErrorKind::Validation);
}

#[test]
fn long_lists_are_split() {
    let (_server, session) = studio(700);
    let all = session.query("Task").unwrap().all().unwrap();
    assert!(all.len() > 600);
    let query = session.query(expr!("Task where id in {}", &all)).unwrap();
    let mut found = Vec::new();
    let sent = requests(&session, || found = query.all().unwrap());
    assert_eq!(sent, all.len().div_ceil(500) as u64);
    assert_eq!(
        found.iter().collect::<HashSet<_>>(),
        all.iter().collect::<HashSet<_>>()
    );
    assert_eq!(query.count().unwrap(), all.len() as u64);
    assert_eq!(query.clone().limit(3).count().unwrap(), 3);
    assert_eq!(query.clone().stable(true).all().unwrap().len(), all.len());
    assert_eq!(query.rows::<serde::de::IgnoredAny>().count(), all.len());

    // A row with several values could be in several parts.
    for (path, parts) in [
        ("id", 2),
        ("status.color", 2),
        ("assignments.resource_id", 1),
    ] {
        let names = (0..600).map(|number| format!("n{number}"));
        let many = session.select("Task").filter(field(path).is_in(names));
        let sent = requests(&session, || assert_eq!(many.count().unwrap(), 0));
        assert_eq!(sent, parts, "{path}");
    }

    // A group must see all values at once.
    let grouped = query.aggregate(Aggregate::Count, "id");
    #[derive(Deserialize)]
    struct Count {
        count_id: usize,
    }
    let rows: Vec<Count> = grouped.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].count_id, all.len());
}

#[test]
fn a_built_query_is_checked_when_it_runs() {
    let server = emulator();
    let session = open(&server);
    let some = session
        .select("Task")
        .fields(["name", "status.name"])
        .filter(field("name").like("%a%").and(field("bid").ge(0)))
        .order_by("name")
        .order_by_descending("id")
        .limit(10);
    assert_eq!(
        some.statement().to_string(),
        "select name, status.name from Task where name like \"%a%\" and bid >= 0 \
         order by name, id descending limit 10"
    );
    let mut names = Vec::new();
    for task in &some {
        names.push(task.unwrap().get::<String>("name").unwrap());
    }
    assert!(!names.is_empty() && names.is_sorted_by_key(|name| name.to_lowercase()));
    let none = requests(&session, || {
        for (query, kind, hint) in [
            (session.select("Taks"), ErrorKind::UnknownType, "Task"),
            (
                session.select("Task").fields(["nmae"]),
                ErrorKind::UnknownAttribute,
                "name",
            ),
            (
                session.select("Task").fields(["not a name"]),
                ErrorKind::Syntax,
                "not a name",
            ),
            (
                session.select("Task").filter(field("bid").gt(f64::NAN)),
                ErrorKind::Validation,
                "NaN",
            ),
            (
                session.select("Task").page_size(0),
                ErrorKind::Validation,
                "at least 1",
            ),
            (
                session.select("Task").offset(1 << 63),
                ErrorKind::Validation,
                "`offset 9223372036854775808` is too large",
            ),
            (
                session.select("Task").limit(u64::MAX),
                ErrorKind::Validation,
                "`limit 18446744073709551615` is too large",
            ),
        ] {
            let ways: [&dyn Fn(&Query) -> ftrack_api::Error; 5] = [
                &|query| query.all().unwrap_err(),
                &|query| query.first().unwrap_err(),
                &|query| query.one().unwrap_err(),
                &|query| query.pages().next().unwrap().unwrap_err(),
                &|query| {
                    query
                        .rows::<serde_json::Value>()
                        .next()
                        .unwrap()
                        .unwrap_err()
                },
            ];
            for way in ways {
                let error = way(&query);
                assert_eq!(error.kind(), kind, "{error}");
                assert!(error.to_string().contains(hint), "{error}");
            }
        }
    });
    assert_eq!(none, 0);
    let beyond = session.select("Task").offset(1 << 63);
    assert_eq!(beyond.count().unwrap_err().kind(), ErrorKind::Validation);
    assert_eq!(beyond.exists().unwrap_err().kind(), ErrorKind::Validation);
    // What was added to a query with defaults loads that alone.
    let refined = session.query("Task").unwrap().fields(["bid"]);
    assert_eq!(refined.statement().to_string(), "select bid from Task");
}

#[test]
fn several_queries_share_a_request() {
    let (_server, session) = studio(60);
    let mut found = Vec::new();
    let sent = requests(&session, || {
        found = session
            .query_many([
                "select name from Status",
                "Task limit 3",
                "User where id in ()",
            ])
            .unwrap();
    });
    assert_eq!(sent, 1);
    let [statuses, tasks, nobody] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        ids(statuses),
        ids(&session.query("Status").unwrap().all().unwrap())
    );
    assert_eq!(tasks.len(), 3);
    assert!(nobody.is_empty());
    let loaded = requests(&session, || {
        drop(statuses[0].get::<String>("name").unwrap());
    });
    assert_eq!(loaded, 0);
    assert!(session.query_many::<&str>([]).unwrap().is_empty());
    let mixed = session
        .query_many([
            session.select("Project").limit(1),
            session.query(expr!("Task where bid > {}", 1)).unwrap(),
        ])
        .unwrap();
    assert_eq!(mixed[0].len(), 1);
    let error = session.query_many(["Task", "Taks"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
}

#[test]
fn pages_of_several_queries_share_requests() {
    let (_server, session) = studio(1100);
    let mut found = Vec::new();
    let sent = requests(&session, || {
        found = session
            .query_many([select("Task"), select("Task").limit(700), select("Status")])
            .unwrap();
    });
    let pages = session
        .query("Task")
        .unwrap()
        .count()
        .unwrap()
        .div_ceil(500);
    assert_eq!(sent, pages);
    assert_eq!(
        ids(&found[0]),
        ids(&session.query("Task").unwrap().all().unwrap())
    );
    assert_eq!(found[1], found[0][..700]);
}

#[derive(Debug, Deserialize, PartialEq)]
struct TaskRow {
    id: String,
    name: String,
    bid: f64,
    end_date: Option<DateTime>,
    status: Option<StatusRow>,
    assignments: Vec<AssignmentRow>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct StatusRow {
    name: String,
    state: Named,
}

#[derive(Debug, Deserialize, PartialEq)]
struct AssignmentRow {
    resource_id: String,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Named {
    name: String,
}

#[test]
fn rows_are_what_entities_say() {
    let (_server, session) = studio(60);
    let known = session.entity_count();
    let query = session.select("Task").order_by("name").order_by("id");
    let rows: Vec<TaskRow> = query.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(session.entity_count(), known);
    assert_eq!(session.statistics().rows, rows.len() as u64);
    let tasks = query
        .fields([
            "name",
            "bid",
            "end_date",
            "status.state.name",
            "assignments.resource_id",
        ])
        .all()
        .unwrap();
    assert_eq!(rows.len(), tasks.len());
    for (row, task) in rows.iter().zip(&tasks) {
        assert_eq!(row.id, task.id());
        assert_eq!(row.name, task.get::<String>("name").unwrap());
        assert_eq!(row.bid, task.get::<f64>("bid").unwrap());
        assert_eq!(row.end_date, task.get("end_date").unwrap());
        let status = row.status.as_ref().unwrap();
        assert_eq!(status.name, task.get::<String>("status.name").unwrap());
        let state: String = task.get("status.state.name").unwrap();
        assert_eq!(status.state.name, state);
        let assignments: Vec<Entity> = task.get("assignments").unwrap();
        assert_eq!(row.assignments.len(), assignments.len());
    }
    assert!(rows.iter().any(|row| row.end_date.is_some()));
    assert!(rows.iter().any(|row| !row.assignments.is_empty()));
}

/// Reads what is at these paths, which are known at run time only, and counts the rows.
#[derive(Clone, Copy)]
struct Texts<'a> {
    names: &'a [String],
    rows: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, row: D) -> Result<Vec<String>, D::Error> {
        self.rows.set(self.rows.get() + 1);
        let row = serde_json::Map::deserialize(row)?;
        let texts = self.names.iter().map(|name| {
            let value = row
                .get(name)
                .ok_or_else(|| D::Error::custom(format!("no {name}")))?;
            Ok(value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned))
        });
        texts.collect()
    }
}

#[test]
fn rows_by_what_is_known_at_run_time() {
    let (_server, session) = studio(60);
    let rows = Cell::new(0);
    let names = ["name", "end_date"].map(String::from);
    let texts = Texts {
        names: &names,
        rows: &rows,
    };
    let query = session.select("Task").fields(&names).order_by("id");
    let all = query.all().unwrap();
    // A few pages, several of them in one request.
    let found: Result<Vec<_>, _> = query.page_size(7).rows_with(texts).collect();
    let found = found.unwrap();
    assert_eq!((found.len(), rows.get()), (all.len(), all.len()));
    for (row, task) in found.iter().zip(&all) {
        let end: Option<DateTime> = task.get("end_date").unwrap();
        let end = end.map_or_else(|| "null".to_owned(), |end| end.to_string());
        assert_eq!(row, &[task.get::<String>("name").unwrap(), end]);
    }
    // The default projections, among which is the name.
    let query = session.select("Task").limit(1);
    let names = ["name".to_owned()];
    let name = query
        .rows_with(Texts {
            names: &names,
            ..texts
        })
        .next();
    let first = query.first().unwrap().unwrap();
    assert_eq!(
        name.unwrap().unwrap()[0],
        first.get::<String>("name").unwrap()
    );
    let mut wrong = query.rows_with(texts);
    let error = wrong.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("no end_date"), "{error}");
    assert!(wrong.next().is_none(), "an error ends it");
}

#[test]
fn rows_say_how_many_need_no_request() {
    let (_server, session) = studio(60);
    let query = session.query("Task limit 30").unwrap().page_size(10);
    let mut rows = query.rows::<serde::de::IgnoredAny>();
    let mut after = |read: usize| {
        assert_eq!(rows.by_ref().take(read).count(), read);
        rows.size_hint()
    };
    assert_eq!(after(0), (0, None));
    assert_eq!(after(1), (9, None));
    assert_eq!(after(9), (0, None));
    assert_eq!(after(1), (19, None));
}

#[test]
fn rows_by_other_types() {
    let server = emulator();
    let session = open(&server);
    let query = session
        .query("select name, end_date, status.name from Task where end_date is_not none limit 3")
        .unwrap();
    let rows: Vec<serde_json::Value> = query.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert!(
            row["end_date"]
                .as_str()
                .unwrap()
                .parse::<DateTime>()
                .is_ok()
        );
        // De-duplicated responses would leave the name out of the second occurrence.
        assert!(row["status"]["name"].is_string(), "{row}");
    }
    let error = query.rows::<TaskRow>().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("missing field"), "{error}");
    assert!(error.to_string().contains("TaskRow"), "{error}");
    #[derive(Debug, Deserialize)]
    struct Wrong {
        #[serde(rename = "nmae")]
        _name: String,
    }
    let error = session
        .select("Task")
        .rows::<Wrong>()
        .next()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownAttribute);
    assert!(error.to_string().contains("`name`"), "{error}");
}

#[test]
fn entities_fill_structs() {
    let (server, session) = studio(60);
    #[derive(Debug, Deserialize)]
    struct Task {
        __entity_type__: String,
        bid: f64,
        end_date: Option<DateTime>,
        parent: EntityKey,
        status: Option<StatusRow>,
        assignments: Vec<Assignment>,
        link: Vec<Named>,
    }
    #[derive(Debug, Deserialize)]
    struct Assignment {
        resource: Option<User>,
    }
    #[derive(Debug, Deserialize)]
    struct User {
        first_name: String,
    }
    let tasks = session
        .query("select name from Task")
        .unwrap()
        .all()
        .unwrap();
    tasks[59].set("bid", 42).unwrap();
    let mut read: Vec<Task> = Vec::new();
    let sent = requests(&session, || {
        read = tasks.iter().map(|task| task.read().unwrap()).collect();
    });
    assert_eq!(sent, 1);
    assert!((read[59].bid - 42.0).abs() < f64::EPSILON);
    for (row, task) in read.iter().zip(&tasks) {
        assert_eq!(row.__entity_type__, "Task");
        assert_eq!(row.end_date, task.get("end_date").unwrap());
        assert_eq!(row.parent, task.get::<Entity>("parent").unwrap().key());
        let status = row.status.as_ref().unwrap();
        assert_eq!(
            status.state.name,
            task.get::<String>("status.state.name").unwrap()
        );
        assert_eq!(
            row.link.last().unwrap().name,
            task.get::<String>("name").unwrap()
        );
        let assignments: Vec<Entity> = task.get("assignments").unwrap();
        assert_eq!(row.assignments.len(), assignments.len());
        for (row, assignment) in row.assignments.iter().zip(assignments) {
            let user = row.resource.as_ref().unwrap();
            assert_eq!(
                user.first_name,
                assignment.get::<String>("resource.first_name").unwrap()
            );
        }
    }
    assert!(read.iter().any(|row| !row.assignments.is_empty()));
    // References that are known lead to what their own peers lack.
    let fresh = builder(&server).open().unwrap();
    let tasks = fresh
        .query("select status from Task")
        .unwrap()
        .all()
        .unwrap();
    #[derive(Debug, Deserialize)]
    struct Short {
        #[serde(rename = "status")]
        _status: Option<StatusRow>,
    }
    let sent = requests(&fresh, || {
        for task in &tasks {
            task.read::<Short>().unwrap();
        }
    });
    assert!(sent <= 3, "{sent}");

    let quiet = session.auto_populating(Populate::Raise);
    let version = session
        .query("AssetVersion")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    #[derive(Debug, Deserialize)]
    struct Version {
        #[serde(rename = "comment")]
        _comment: Option<String>,
    }
    assert_eq!(
        version.read::<Version>().unwrap_err().kind(),
        ErrorKind::NotLoaded
    );
    drop(quiet);
    version.read::<Version>().unwrap();
    let error = version.read::<Named>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownAttribute, "{error}");
    #[derive(Debug, Deserialize)]
    struct Wrong {
        #[serde(rename = "comment")]
        _comment: u8,
    }
    assert_eq!(
        version.read::<Wrong>().unwrap_err().kind(),
        ErrorKind::WrongType
    );
    let error = version.read::<serde_json::Value>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    // What is not committed is read too, without asking anybody.
    let new = session.create("Task", data! { "name": "new", "parent": &tasks[0].key() });
    let new = new.unwrap();
    assert_eq!(requests(&session, || drop(new.read::<Named>().unwrap())), 0);
}

#[test]
fn aggregates_are_typed_rows() {
    #[derive(Debug, Deserialize)]
    struct Load {
        status_id: String,
        count_id: u64,
        sum_bid: f64,
        avg_bid: f64,
        min_name: String,
        max_end_date: Option<DateTime>,
    }
    let (_server, session) = studio(60);
    let query = session
        .query(
            "select count(id), sum(bid), avg(bid), min(name), max(end_date) from Task \
             group by status_id",
        )
        .unwrap();
    let loads: Vec<Load> = query.rows().collect::<Result<_, _>>().unwrap();
    assert!(loads.len() > 1);
    for load in &loads {
        let tasks = session
            .query(expr!(
                "select bid, name, end_date from Task where status_id is {}",
                &load.status_id
            ))
            .unwrap()
            .all()
            .unwrap();
        let bids: f64 = tasks
            .iter()
            .map(|task| task.get::<f64>("bid").unwrap())
            .sum();
        assert_eq!(load.count_id, tasks.len() as u64);
        assert!((load.sum_bid - bids).abs() < 0.001);
        assert!((load.avg_bid * tasks.len() as f64 - bids).abs() < 0.1);
        assert!(!load.min_name.is_empty());
        let last = tasks
            .iter()
            .map(|task| task.get::<Option<DateTime>>("end_date").unwrap());
        assert_eq!(load.max_end_date, last.max().unwrap());
    }
    let error = query.all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.to_string().contains("`Query::rows`"), "{error}");
}

#[test]
fn budgets() {
    let server = emulator();
    let session = open(&server);
    let ask = || session.query("Status").unwrap().all().map(drop);
    session
        .with_request_budget(2, || ask().and_then(|()| ask()))
        .unwrap();
    let sent = requests(&session, || {
        let error = session
            .with_request_budget(1, || ask().and_then(|()| ask()))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OverBudget);
        assert!(error.to_string().contains("budget (1)"), "{error}");
    });
    assert_eq!(sent, 1);
    // An error that is ignored is still reported.
    let ignored = session.with_request_budget(0, || {
        drop(ask());
        Ok(())
    });
    assert_eq!(ignored.unwrap_err().kind(), ErrorKind::OverBudget);
    // The inner budget is larger, the outer one counts.
    let nested = session.with_request_budget(1, || {
        session.with_request_budget(5, || ask().and_then(|()| ask()))
    });
    assert_eq!(nested.unwrap_err().kind(), ErrorKind::OverBudget);
    // It ends with the closure, also when that panics, and holds for this thread and session.
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        session
            .with_request_budget::<()>(0, || panic!("on purpose"))
            .unwrap();
    }));
    assert!(caught.is_err());
    ask().unwrap();
    let other = open(&server);
    session
        .with_request_budget(0, || {
            std::thread::scope(|scope| scope.spawn(|| ask().unwrap()).join().unwrap());
            other.query("Status")?.all().map(drop)
        })
        .unwrap();
}

#[test]
fn a_slow_loop_is_warned_of_once() {
    trace::listen();
    let server = emulator();
    let session = builder(&server).populate(Populate::One).open().unwrap();
    let tasks = session
        .query("select name from Task")
        .unwrap()
        .all()
        .unwrap();
    let warned = || {
        let lines = trace::logged("\"type.name\" of Task").into_iter();
        lines
            .filter(|(level, _)| *level == log::Level::Warn)
            .count()
    };
    for task in &tasks[..20] {
        task.get::<Option<String>>("type.name").unwrap();
    }
    assert_eq!(warned(), 0);
    for task in &tasks[20..] {
        task.get::<Option<String>>("type.name").unwrap();
    }
    assert_eq!(warned(), 1);
    let loads = session.statistics().loads_on_access;
    assert_eq!(loads["Task.type.name"], tasks.len() as u64);
}

#[test]
fn search_finds_words() {
    let server = emulator();
    let session = open(&server);
    let project = session
        .query("Project where name is test")
        .unwrap()
        .one()
        .unwrap();
    let task = session
        .create(
            "Task",
            data! { "name": "anim", "description": "a 100% blue _giraffe_", "parent": &project },
        )
        .unwrap();
    session.commit().unwrap();
    let find = |terms: &[&str]| session.search("Task", terms.iter().copied()).unwrap();
    assert_eq!(
        find(&["giraffe"]).all().unwrap(),
        std::slice::from_ref(&task)
    );
    assert_eq!(
        find(&["100%", "BLUE"]).below(&project).all().unwrap(),
        std::slice::from_ref(&task)
    );
    let other = session.query("Task where name is_not anim").unwrap();
    let other = other.first().unwrap().unwrap();
    assert!(find(&["giraffe"]).below(&other).all().unwrap().is_empty());
    assert!(find(&["giraffe", "elephant"]).all().unwrap().is_empty());
    let milestone = "01decdd1-51cb-11e3-9d5b-20c9d0831e59";
    assert!(
        find(&["giraffe"])
            .object_types([milestone])
            .all()
            .unwrap()
            .is_empty()
    );
    assert!(find(&["say \"hi\" \\"]).all().unwrap().is_empty());
    // Before it is run.
    let error = session.query("Taks").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
    let error = session.search("Taks", ["x"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
}

#[test]
fn bad_queries() {
    let server = emulator();
    let session = open(&server);
    assert!(
        session
            .query("Task limit 0")
            .unwrap()
            .all()
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        session.query("Task limit 0").unwrap().first().unwrap(),
        None
    );
    let nested = |depth: usize| format!("Task where {}bid > 1", "not (".repeat(depth));
    for text in [
        "Task limit -1",
        "Task offset -3",
        "Task limit 99999999999999999999999",
        "Task where name is \"open",
        "Task where name is 'open",
        "Task where (name is x",
        "Task where name is x)",
        "Task where name is x;",
        "Task where name ~ x",
        "",
        &nested(10_000),
        &format!(
            "Task where {}bid > 1{}",
            "(".repeat(50_000),
            ")".repeat(50_000)
        ),
    ] {
        let error = session.query(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Syntax, "{error}");
    }
    // An offset without a limit is all but the first rows.
    let all = session.query("Task order by id").unwrap().all().unwrap();
    let rest = session
        .query("Task order by id offset 5")
        .unwrap()
        .all()
        .unwrap();
    assert_eq!(rest, all[5..]);
}

#[test]
fn a_closed_session_runs_no_query() {
    let server = emulator();
    let session = open(&server);
    let query = session.query("Task").unwrap();
    session.close();
    let errors = [
        query.all().unwrap_err(),
        query.first().unwrap_err(),
        query.count().unwrap_err(),
        query.exists().unwrap_err(),
        query.rows::<TaskRow>().next().unwrap().unwrap_err(),
        session.query_many(["Task"]).unwrap_err(),
        session.search("Task", ["x"]).unwrap().all().unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert!(error.to_string().contains("open another one"), "{error}");
    }
}

#[test]
fn servers_that_respond_with_nonsense() {
    let server = emulator();
    let replies: Vec<Vec<u8>> = {
        let session = open(&server);
        let actions = ["query_server_information", "query_schemas"];
        let actions = actions.map(|action| serde_json::json!({ "action": action }));
        let replies = session.call(&actions).unwrap();
        vec![serde_json::to_vec(&replies).unwrap()]
    };
    let script = ScriptedTransport::new();
    script.respond(200, replies[0].clone());
    let session = builder(&server).transport(script.clone()).open().unwrap();
    let endless =
        r#"[{"data":[{"__entity_type__":"Task","id":"a"}],"metadata":{"next":{"offset":0}}}]"#;
    for (response, kind) in [
        ("[]", ErrorKind::BadResponse),
        ("[{}, {}]", ErrorKind::BadResponse),
        (r#"[{"data": [{"#, ErrorKind::BadResponse),
        (endless, ErrorKind::BadResponse),
        (
            r#"[{"data":[],"metadata":{"next":{"offset":500}}}]"#,
            ErrorKind::BadResponse,
        ),
        ("[true]", ErrorKind::BadResponse),
        ("[null]", ErrorKind::BadResponse),
        (r#"[{"data":null}]"#, ErrorKind::BadResponse),
        (r#"[{"data":true}]"#, ErrorKind::BadResponse),
        (
            r#"[{"data":{"__entity_type__":"Task","id":"a"}}]"#,
            ErrorKind::BadResponse,
        ),
        (
            r#"[{"exception":"ServerError","content":"no"}]"#,
            ErrorKind::BadResponse,
        ),
        ("<html>", ErrorKind::BadResponse),
    ] {
        script.respond(200, response);
        let error = session.query("Task").unwrap().all().unwrap_err();
        assert_eq!(error.kind(), kind, "{response}: {error}");
        script.respond(200, response);
        let error = session.query_many(["Task"]).unwrap_err();
        assert_eq!(error.kind(), kind, "{response}: {error}");
        script.respond(200, response);
        let mut rows = session.query("Task").unwrap().rows::<serde_json::Value>();
        assert!(rows.any(|row| row.is_err()), "{response}");
    }
    // A short page is not a reason to ask for ever.
    script.respond(200, r#"[{"data":[]}]"#);
    let error = session.query_many(["Task", "User"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse);
}
