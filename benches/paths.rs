//! The paths that must stay fast, each alone: `cargo bench --bench paths`.
//!
//! Times are wall times, for comparing two versions of this crate on one quiet machine; the
//! figures of `docs/PERFORMANCE.md` are those of `figures.rs` and `memory.rs`.

mod support;

use std::sync::LazyLock;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use ftrack_api::config::SchemaCache;
use ftrack_api::event::Event;
use ftrack_api::query::Statement;

use support::{PAGE, Replay, Server, TEXTS};

static SERVER: LazyLock<Server> = LazyLock::new(Server::new);

/// What the operations are counted in.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

const EXPRESSION: &str = "select name, status.name, parent.parent.name from Task where \
     (status.name in (\"Active\", \"On hold\") or assignments any (resource.username is \"ada\")) \
     and not (name like \"%comp%\") and created_at after \"2024-01-01\" \
     order by name desc, bid offset 20 limit 100";

fn main() {
    divan::main();
}

/// A page of tasks into a session that does not know them.
#[divan::bench]
fn decode_and_merge(bencher: Bencher<'_, '_>) {
    let page = support::page(0, PAGE, true);
    let counted = bencher.counter(BytesCount::new(page.len()));
    counted
        .with_inputs(|| {
            let (session, replay) = SERVER.open();
            replay.then([page.clone()]);
            session
        })
        .bench_values(|session| (support::query(&session), session));
}

/// The same page into a session that has it.
#[divan::bench]
fn merge_again(bencher: Bencher<'_, '_>) {
    let page = support::page(0, PAGE, true);
    let (session, replay, _tasks) = SERVER.loaded(PAGE);
    let counted = bencher.counter(BytesCount::new(page.len()));
    counted
        .with_inputs(|| replay.then([page.clone()]))
        .bench_values(|()| support::query(&session));
}

/// The floor: the same page as a tree.
#[divan::bench]
fn decode_to_tree(bencher: Bencher<'_, '_>) {
    let page = support::page(0, PAGE, true);
    let counted = bencher.counter(BytesCount::new(page.len()));
    counted.bench(|| serde_json::from_slice::<serde_json::Value>(&support::read(&page)));
}

#[divan::bench(args = ["name", "bid", "created_at", "status.name"])]
fn value(bencher: Bencher<'_, '_>, path: &str) {
    let (_session, _, tasks) = SERVER.loaded(PAGE);
    let counted = bencher.counter(ItemsCount::new(PAGE));
    counted.bench(|| {
        for task in &tasks {
            black_box(task.value(path).expect("loaded"));
        }
    });
}

#[divan::bench]
fn texts(bencher: Bencher<'_, '_>) {
    let (_session, _, tasks) = SERVER.loaded(PAGE);
    let counted = bencher.counter(ItemsCount::new(PAGE * TEXTS.len()));
    counted.bench(|| {
        for task in &tasks {
            for path in TEXTS {
                black_box(task.get::<String>(path).expect("loaded"));
            }
        }
    });
}

#[divan::bench]
fn cached_get(bencher: Bencher<'_, '_>) {
    let (session, _, _tasks) = SERVER.loaded(PAGE);
    let id = support::id(6, 77);
    bencher.bench(|| session.get("Task", black_box(&id)).expect("cached"));
}

#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn create(bencher: Bencher<'_, '_>, count: usize) {
    let counted = bencher.counter(ItemsCount::new(count));
    counted
        .with_inputs(|| SERVER.open())
        .bench_values(|(session, _)| {
            support::make(&session, count);
            session
        });
}

#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn create_and_commit(bencher: Bencher<'_, '_>, count: usize) {
    let response = support::created(0..count);
    let counted = bencher.counter(ItemsCount::new(count));
    counted
        .with_inputs(|| {
            let (session, replay) = SERVER.open();
            replay.then([response.clone()]);
            session
        })
        .bench_values(|session| {
            support::make(&session, count);
            session.commit().expect("the response is good");
            session
        });
}

/// Each session is used once, so that nothing is set to what it already is.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn update_and_commit(bencher: Bencher<'_, '_>, count: usize) {
    let response = support::updated(0..count, 1);
    let counted = bencher.counter(ItemsCount::new(count));
    counted
        .with_inputs(|| {
            let (session, replay, tasks) = SERVER.loaded(count);
            replay.then([response.clone()]);
            (session, tasks)
        })
        .bench_values(|(session, tasks)| {
            for task in &tasks {
                task.set("bid", 1).expect("it can be set");
            }
            session.commit().expect("the response is good");
            (session, tasks)
        });
}

#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn delete_and_commit(bencher: Bencher<'_, '_>, count: usize) {
    let response = support::deleted(count);
    let counted = bencher.counter(ItemsCount::new(count));
    counted
        .with_inputs(|| {
            let (session, replay, tasks) = SERVER.loaded(count);
            replay.then([response.clone()]);
            (session, tasks)
        })
        .bench_values(|(session, tasks)| {
            for task in &tasks {
                session.delete(task).expect("it is there");
            }
            session.commit().expect("the response is good");
            (session, tasks)
        });
}

/// What the optimiser takes out: tasks that are made, changed and deleted again. Nothing is sent.
#[divan::bench(args = SIZES, sample_count = 5, sample_size = 1)]
fn optimise_away(bencher: Bencher<'_, '_>, count: usize) {
    let counted = bencher.counter(ItemsCount::new(count));
    counted
        .with_inputs(|| {
            let (session, _) = SERVER.open();
            for task in support::make(&session, count) {
                task.set("bid", 1).expect("it can be set");
                session.delete(&task).expect("it is there");
            }
            session
        })
        .bench_values(|session| {
            session.commit().expect("there is nothing to send");
            session
        });
}

#[divan::bench]
fn parse_query() -> Statement {
    black_box(EXPRESSION).parse().expect("it is well-formed")
}

#[divan::bench]
fn print_query(bencher: Bencher<'_, '_>) {
    let statement: Statement = EXPRESSION.parse().expect("it is well-formed");
    bencher.bench(|| statement.to_string());
}

/// From the constructor to the callback, within one process.
#[divan::bench]
fn dispatch_event(bencher: Bencher<'_, '_>) {
    let (session, _) = SERVER.open();
    let hub = session.event_hub();
    let subscribed = hub.subscribe("topic=ftrack.test and data.name=\"ada\"", |_| Ok(None));
    subscribed.expect("a good expression");
    bencher.bench(|| {
        let event = Event::new("ftrack.test").with_data(serde_json::json!({"name": "ada"}));
        hub.publish_synchronous(event)
    });
}

#[divan::bench]
fn open_with_warm_cache(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = || SchemaCache::Dir(folder.path().to_owned());
    let replay = Replay::default();
    replay.then([SERVER.greeting(true)]);
    drop(support::open(&replay, cache()));
    let greeting = SERVER.greeting(false);
    bencher
        .with_inputs(|| replay.then([greeting.clone()]))
        .bench_values(|()| support::open(&replay, cache()));
}

/// The same with 100 files on the plugin path that are no plugins.
#[divan::bench]
fn open_beside_100_other_files(bencher: Bencher<'_, '_>) {
    let (cached, plugins) = (tempfile::tempdir(), tempfile::tempdir());
    let (cached, plugins) = (cached.expect("a folder"), plugins.expect("a folder"));
    for number in 0..100 {
        let file = plugins.path().join(format!("plugin_{number}.py"));
        std::fs::write(file, "def register(session): pass").expect("a file");
    }
    let cache = || SchemaCache::Dir(cached.path().to_owned());
    let replay = Replay::default();
    replay.then([SERVER.greeting(true)]);
    drop(support::open(&replay, cache()));
    let greeting = SERVER.greeting(false);
    let open = || {
        let builder = support::builder(&replay, cache()).plugin_paths([plugins.path()]);
        builder.open().expect("the greeting is good")
    };
    bencher
        .with_inputs(|| replay.then([greeting.clone()]))
        .bench_values(|()| open());
}
