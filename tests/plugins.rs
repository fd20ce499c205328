//! Plugins in code, in dynamic libraries and in any language, good ones and bad ones.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "plugins/folder.rs"]
mod folder;
mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Result, bail};
use ftrack_api::plugin::{Arguments, Plugin, PluginInfo, PluginOrigin, PluginState, Registrar};
use ftrack_api::{ErrorKind, Event, Session, config::Populate};
use ftrack_emulator::Emulator;
use serde_json::{Value, json};
use support::trace::{self, logged};
use support::{builder, emulator, open};

use folder::{Folder, library};

/// A plugin made of a closure.
struct Made<F> {
    name: &'static str,
    register: F,
}

impl<F> Plugin for Made<F>
where
    F: Fn(&mut Registrar, &Arguments) -> Result<()> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        self.name
    }

    fn version(&self) -> &str {
        "1.0"
    }

    fn register(&self, registrar: &mut Registrar, arguments: &Arguments) -> Result<()> {
        (self.register)(registrar, arguments)
    }
}

fn plugin<F>(name: &'static str, register: F) -> Made<F>
where
    F: Fn(&mut Registrar, &Arguments) -> Result<()> + Send + Sync + 'static,
{
    trace::listen();
    Made { name, register }
}

fn ask(session: &Session, topic: &str, data: Value) -> Vec<Value> {
    let event = Event::new(topic).with_data(data);
    session.event_hub().publish_synchronous(event)
}

fn states(session: &Session) -> HashMap<String, PluginState> {
    let plugins = session.plugins().iter();
    plugins
        .map(|one| (one.name.clone(), one.state.clone()))
        .collect()
}

/// Why a plugin is not used; a warning says so and names the file.
fn refusal(found: &PluginInfo) -> String {
    let (PluginState::Refused(why) | PluginState::Failed(why)) = &found.state else {
        panic!("{found} is loaded");
    };
    if let Some(path) = found.origin.path() {
        let path = path.display().to_string();
        let warned = logged(&path)
            .iter()
            .any(|(level, text)| *level <= log::Level::Warn && text.contains(why.as_str()));
        assert!(warned, "no warning names {path}: {:?}", logged(&path));
    }
    why.clone()
}

#[test]
fn callbacks_get_the_session_when_it_is_open() {
    let server = emulator();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let session = builder(&server)
        .plugin(plugin("test.code", move |registrar, _| {
            assert!(
                registrar.session().upgrade().is_none(),
                "no half-open session"
            );
            let note = notes.clone();
            registrar.subscribe("topic=ftrack.api.session.*", move |session, event| {
                let tasks = session.query("Task")?.count()?;
                note.lock().unwrap().push((event.topic().to_owned(), tasks));
                Ok(None)
            })
        }))
        .open()
        .unwrap();
    let topic = |name: &str| (format!("ftrack.api.session.{name}"), 60);
    assert_eq!(
        *seen.lock().unwrap(),
        [topic("configure-location"), topic("ready")]
    );
    session.reset();
    assert_eq!(
        seen.lock().unwrap()[2..],
        [topic("configure-location"), topic("reset")]
    );
    let found = &session.plugins()[0];
    assert_eq!(
        (found.to_string(), &found.origin),
        ("test.code".into(), &PluginOrigin::Code)
    );
    assert_eq!(
        (found.version.as_deref(), &found.state),
        (Some("1.0"), &PluginState::Loaded)
    );
}

#[test]
fn a_plugin_does_not_keep_its_session_open() {
    let server = emulator();
    let session = builder(&server)
        .plugin(plugin("test.weak", |registrar, _| {
            let session = registrar.session();
            registrar.subscribe("topic=x", move |_, _| {
                Ok(session.upgrade().map(|_| 1.into()))
            })
        }))
        .open()
        .unwrap();
    assert_eq!(ask(&session, "x", json!({})), [json!(1)]);
    let (weak, hub) = (session.downgrade(), session.event_hub().clone());
    drop(session);
    assert!(weak.upgrade().is_none());
    assert!(hub.publish_synchronous(Event::new("x")).is_empty());
}

#[test]
fn what_fails_takes_nothing_with_it() {
    let server = emulator();
    let good = |name, reply: &'static str| {
        plugin(name, move |registrar, _| {
            registrar.subscribe("topic=x", move |_, _| Ok(Some(reply.into())))
        })
    };
    let session = builder(&server)
        .plugin(good("test.first", "first"))
        .plugin(plugin("test.panic", |registrar, _| {
            registrar.subscribe("topic=x", |_, _| Ok(Some("never".into())))?;
            panic!("broken")
        }))
        .plugin(plugin("test.error", |registrar, _| {
            registrar.subscribe("topic=x", |_, _| Ok(Some("never".into())))?;
            bail!("no license")
        }))
        .plugin(plugin("test.twice", |registrar, _| {
            let options =
                || ftrack_api::hub::SubscribeOptions::new().subscriber(json!({"id": "one"}));
            registrar.subscribe_with("topic=x", options(), |_, _| Ok(Some("never".into())))?;
            registrar.subscribe_with("topic=x", options(), |_, _| Ok(Some("never".into())))
        }))
        .plugin(plugin("test.callback", |registrar, _| {
            registrar.subscribe("topic=x", |_, _| panic!("in its callback"))
        }))
        .plugin(good("test.first", "second of the name"))
        .plugin(good("test.last", "last"))
        .open()
        .unwrap();
    assert_eq!(ask(&session, "x", json!({})), ["first", "last"]);
    let found = session.plugins();
    let kinds: Vec<_> = found
        .iter()
        .map(|one| std::mem::discriminant(&one.state))
        .collect();
    let (ok, failed) = (&kinds[0], &kinds[1]);
    assert_eq!(
        kinds.iter().collect::<Vec<_>>(),
        [ok, failed, failed, failed, ok, &kinds[5], ok]
    );
    for (place, expected) in [
        (1, "panic: broken"),
        (2, "no license"),
        (3, "one"),
        (5, "same name"),
    ] {
        assert!(
            refusal(&found[place]).contains(expected),
            "{:?}",
            found[place]
        );
    }
    let log = logged("test.callback");
    assert!(
        log.iter()
            .any(|(_, text)| text.contains("panic: in its callback")),
        "{log:?}"
    );
}

#[test]
fn arguments_reach_whoever_knows_them() {
    #[derive(serde::Deserialize)]
    struct Known {
        mount: String,
    }
    let server = emulator();
    let session = builder(&server)
        .plugin_arguments(json!({"mount": "/mnt", "quality": 3, "test-typo": true}))
        .plugin(plugin("test.reads", |registrar, arguments| {
            let known: Known = arguments.read()?;
            registrar.subscribe("topic=mount", move |_, _| {
                Ok(Some(known.mount.clone().into()))
            })
        }))
        .plugin(plugin("test.gets", |registrar, arguments| {
            let quality = arguments.get("quality").cloned();
            registrar.subscribe("topic=quality", move |_, _| Ok(quality.clone()))
        }))
        .plugin(plugin("test.needs", |_, arguments| {
            arguments.read::<HashMap<String, u32>>().map(drop)
        }))
        .open()
        .unwrap();
    assert_eq!(ask(&session, "mount", json!({})), ["/mnt"]);
    assert_eq!(ask(&session, "quality", json!({})), [3]);
    assert!(refusal(&session.plugins()[2]).contains("invalid plugin arguments"));
    let unknown = logged("test.reads")
        .into_iter()
        .filter(|(_, text)| text.contains("does not use the argument"));
    assert_eq!(unknown.count(), 2);
}

#[test]
fn an_argument_that_nobody_knows_is_a_warning() {
    let server = emulator();
    let given = json!({"test-known": 1, "test-mistyped": 2});
    let _session = builder(&server)
        .plugin_arguments(given)
        .plugin(plugin("test.one", |_, arguments| {
            arguments.get("test-known");
            Ok(())
        }))
        .open()
        .unwrap();
    let warned = |name| {
        logged(name)
            .iter()
            .any(|(level, _)| *level == log::Level::Warn)
    };
    assert!(warned("test-mistyped") && !warned("test-known"));
}

#[test]
fn entity_types_are_changed_for_one_session() {
    let server = emulator();
    let session = builder(&server)
        .plugin(plugin("test.types", |registrar, _| {
            registrar.entity_type("Task", |task| {
                task.add_default_projections(["status.name"])?;
                task.set_read_only("bid")?;
                task.set_default("description", "to be described")?;
                Ok(())
            });
            registrar.entity_type("Tusk", |_| Ok(()));
            registrar.entity_types(|one| {
                if one.name() == "Shot" {
                    one.set_default_projections(["nothing"])?;
                }
                Ok(())
            });
            Ok(())
        }))
        .open()
        .unwrap();
    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    let requests = session.statistics().requests;
    assert!(!task.get::<String>("status.name").unwrap().is_empty());
    assert_eq!(
        session.statistics().requests,
        requests,
        "it came with the query"
    );
    assert_eq!(task.set("bid", 1).unwrap_err().kind(), ErrorKind::Immutable);
    let new = session
        .create("Task", ftrack_api::data! { "name": "new" })
        .unwrap();
    assert_eq!(new.get::<String>("description").unwrap(), "to be described");
    assert!(
        logged("test.types")
            .iter()
            .any(|(_, text)| text.contains("\"Tusk\""))
    );
    assert!(
        logged("test.types")
            .iter()
            .any(|(_, text)| text.contains("failed to change Shot"))
    );
    // The next session knows nothing of it.
    let other = open(&server);
    let task = other.query("Task").unwrap().first().unwrap().unwrap();
    task.set("bid", 1).unwrap();
}

#[test]
fn methods_are_added_with_a_trait() {
    trait Days {
        fn days(&self) -> ftrack_api::Result<f64>;
    }
    impl Days for ftrack_api::Entity {
        fn days(&self) -> ftrack_api::Result<f64> {
            Ok(self.get::<f64>("bid")? / (8.0 * 3600.0))
        }
    }
    let session = open(&emulator());
    let task = session
        .create("Task", ftrack_api::data! { "bid": 14400.0 })
        .unwrap();
    assert_eq!(task.days().unwrap(), 0.5);
}

#[test]
fn file_types_come_from_plugins_first() {
    let server = emulator();
    let session = builder(&server)
        .plugin(plugin("test.file-types", |registrar, _| {
            registrar.file_type(|path| path.contains("deep").then(|| ".deep.exr".to_owned()));
            registrar.file_type(|_| Some(String::new()));
            Ok(())
        }))
        .open()
        .unwrap();
    assert_eq!(session.file_type_from_string("a_deep.exr"), ".deep.exr");
    assert_eq!(session.file_type_from_string("a.%04d.exr"), ".exr");
}

#[test]
fn libraries_are_found_and_offer_actions() {
    let server = emulator();
    let folder = Folder::new();
    folder.copy(&library("plugin_action"), "sub/actions");
    let session = opened_on(&server, &folder);
    let found = &session.plugins()[0];
    assert_eq!(
        (found.name.as_str(), &found.state),
        ("example.bids", &PluginState::Loaded)
    );
    assert!(
        matches!(&found.origin, PluginOrigin::Library(path) if path.starts_with(folder.path()))
    );

    let task = session
        .query("select bid from Task where bid > 0")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    let selection = json!([{"entityId": task.id(), "entityType": "task"}]);
    let user = json!({"user": {"username": server.api_user()}});
    let publish = |topic: &str, data: Value| {
        let event = Event::new(topic).with_data(data).with_source(user.clone());
        session.event_hub().publish_synchronous(event)
    };
    let items = publish("ftrack.action.discover", json!({"selection": selection}));
    assert_eq!(
        items[0]["items"][0]["actionIdentifier"],
        "example.sum-of-bids"
    );
    let launch = json!({"actionIdentifier": "example.sum-of-bids", "selection": selection});
    let outcome = publish("ftrack.action.launch", launch);
    let days = task.get::<f64>("bid").unwrap() / (8.0 * 3600.0);
    assert_eq!(outcome[0]["message"], format!("1 tasks, {days} days"));
    // It takes part in the program's log.
    assert!(
        logged("example.bids")
            .iter()
            .any(|(_, text)| text.contains("registered"))
    );
}

#[test]
fn a_library_configures_a_location() {
    let server = emulator();
    let (folder, mount) = (Folder::new(), tempfile::tempdir().unwrap());
    folder.copy(&library("plugin_location"), "location");
    let open = |arguments: Value| {
        let builder = builder(&server).plugin_paths([folder.path()]);
        builder.plugin_arguments(arguments).open().unwrap()
    };
    let session = open(json!({"studio_mount": mount.path()}));
    let location = session.location("studio.main").unwrap();
    assert_eq!((location.is_accessible(), location.priority()), (true, 10));
    assert_eq!(session.pick_location().unwrap().as_ref(), Some(&location));

    // The accessor is the library's: the program moves a file with it.
    let file = mount.path().join("source.txt");
    std::fs::write(&file, "12 frames").unwrap();
    let version = session
        .query("AssetVersion")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    let data = ftrack_api::data! { "name": "notes", "file_type": ".txt", "version": &version };
    let component = session.create("FileComponent", data).unwrap();
    let origin = session.location("ftrack.origin").unwrap();
    origin
        .register_component(&component, &file.display().to_string())
        .unwrap();
    location.add_component(&component, &origin).unwrap();
    let path = location.get_filesystem_path(&component).unwrap();
    assert!(path.starts_with(mount.path()) && path != file);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "12 frames");

    session.reset();
    assert!(session.location("studio.main").unwrap().is_accessible());
    // Without its argument the plugin fails, and only it.
    let session = open(json!({}));
    assert!(refusal(&session.plugins()[0]).contains("studio_mount"));
    assert!(!session.location("studio.main").unwrap().is_accessible());
}

/// A session with the plugin of this library, and the folder that it is in.
fn with_library(server: &Emulator, name: &str) -> (Folder, Session) {
    let folder = Folder::new();
    folder.copy(&library(name), name);
    let session = opened_on(server, &folder);
    (folder, session)
}

fn opened_on(server: &Emulator, folder: &Folder) -> Session {
    let builder = builder(server).plugin_paths([folder.path()]);
    builder.open().unwrap()
}

#[test]
fn a_library_works_on_the_session_of_the_program() {
    let server = emulator();
    let (_folder, session) = with_library(&server, "misbehaving");
    let tasks = session
        .query("select name from Task limit 20")
        .unwrap()
        .all()
        .unwrap();
    let before = session.entity_count();
    let replies = ask(&session, "test.work", json!({"rounds": 1}));
    // The library's entities are the program's: one record for each key.
    assert_eq!(
        replies[0]["known"].as_u64().unwrap(),
        session.entity_count() as u64
    );
    assert!(session.entity_count() >= before);
    assert_eq!(tasks[0].get::<i64>("bid").unwrap(), 0);
    assert_eq!(session.recorded_operations().len(), 20);
    session.rollback();

    // What is set for this thread holds in the library.
    let raising = session.auto_populating(Populate::Raise);
    assert_eq!(ask(&session, "test.settings", json!({})), [true]);
    drop(raising);
    assert_eq!(ask(&session, "test.settings", json!({})), [false]);
    let budget = session.with_request_budget(0, || Ok(ask(&session, "test.work", json!({}))));
    assert!(budget.is_err());
}

#[test]
fn a_library_and_the_program_wait_for_each_other() {
    let server = emulator();
    let (_folder, session) = with_library(&server, "misbehaving");
    let tasks = session
        .query("select name, status.name from Task limit 20")
        .unwrap()
        .all()
        .unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let replies = ask(&session, "test.work", json!({"rounds": 30}));
                assert_eq!(replies.len(), 1);
            });
            scope.spawn(|| {
                for round in 0..3000 {
                    for task in &tasks {
                        task.set("bid", round).unwrap();
                        task.get::<String>("status.name").unwrap();
                    }
                }
            });
        }
        scope.spawn(|| (0..20).for_each(|_| session.commit().unwrap()));
    });
}

#[test]
fn panics_of_a_library_stay_in_it() {
    let server = emulator();
    let (folder, session) = with_library(&server, "misbehaving");
    let hub = session.event_hub();
    for (topic, expected) in [
        ("test.panic", "panic: in a callback"),
        ("test.error", "did you mean \"Task\"?"),
    ] {
        assert!(ask(&session, topic, json!({})).is_empty());
        let log = logged("plugin test.misbehaving");
        assert!(
            log.iter().any(|(_, text)| text.contains(expected)),
            "{expected}: {log:?}"
        );
    }
    hub.subscribe("topic=test.host-panics", |_| panic!("in the program"))
        .unwrap();
    assert_eq!(ask(&session, "test.panic-elsewhere", json!({})), [0]);
    ask(&session, "test.listen", json!({}));
    assert!(ask(&session, "test.panic-of-own", json!({})).is_empty());
    assert_eq!(ask(&session, "test.alive", json!({})), ["alive"]);
    // Their errors are ours: the kind and the cause can be told.
    for misbehave in ["panic", "error", "syntax"] {
        let arguments = json!({"misbehave": misbehave});
        let session = builder(&server)
            .plugin_paths([folder.path()])
            .plugin_arguments(arguments)
            .open()
            .unwrap();
        refusal(&session.plugins()[0]);
        assert!(
            ask(&session, "test.alive", json!({})).is_empty(),
            "{misbehave}"
        );
    }
}

#[test]
fn libraries_that_do_not_fit_are_refused_unopened() {
    let server = emulator();
    let folder = Folder::new();
    folder.copy(&library("stranger"), "1_stranger");
    folder.write(
        &format!("2_text.{}", std::env::consts::DLL_EXTENSION),
        b"no library",
        0o644,
    );
    let version =
        |bytes: Vec<u8>| folder::replace(bytes, b"compiler rustc 1.", b"compiler rustc 0.");
    let other = version(std::fs::read(library("plugin_action")).unwrap());
    folder.write(
        &format!("3_old.{}", std::env::consts::DLL_EXTENSION),
        &other,
        0o755,
    );
    let target = folder::replace(
        std::fs::read(library("plugin_action")).unwrap(),
        b";interface ",
        b";interface x",
    );
    folder.write(
        &format!("4_state.{}", std::env::consts::DLL_EXTENSION),
        &target,
        0o755,
    );
    // An identity alone makes no library.
    let fake = folder::identity_of(&std::fs::read(library("plugin_action")).unwrap());
    folder.write(
        &format!("5_fake.{}", std::env::consts::DLL_EXTENSION),
        &fake,
        0o755,
    );
    let session = opened_on(&server, &folder);
    let expected = [
        "not a plugin library",
        "not a plugin library",
        "rustc 0.",
        "in state",
        "cannot be loaded",
    ];
    assert_eq!(session.plugins().len(), expected.len());
    for (found, expected) in session.plugins().iter().zip(expected) {
        let why = refusal(found);
        assert!(why.contains(expected), "{found}: {why}");
    }
    let both = refusal(&session.plugins()[2]);
    assert!(
        both.contains("this program \"rustc 1."),
        "both sides are named: {both}"
    );
    assert!(session.query("Task").unwrap().first().unwrap().is_some());
}

/// The identity says nothing of what lies under this crate: that is asked of the library itself.
#[test]
#[ignore = "builds for minutes: cargo test --workspace --test plugins -- --ignored"]
fn a_library_with_other_features_of_a_dependency_is_refused() {
    let (folder, same) = (Folder::new(), built_with(&[]));
    folder.copy(&same, "same");
    // A number has another layout then.
    folder.copy(&built_with(&["serde_json/arbitrary_precision"]), "other");
    let session = opened_on(&emulator(), &folder);
    let [other, same] = session.plugins() else {
        panic!("{:?}", session.plugins())
    };
    let why = refusal(other);
    assert!(why.contains("other features than"), "{why}");
    assert_eq!(same.state, PluginState::Loaded);
}

/// A library that Cargo builds now, with more features.
fn built_with(more: &[&str]) -> std::path::PathBuf {
    let library = library("plugin_action");
    let target = library.ancestors().nth(3).unwrap();
    let elsewhere = target.join("other-features");
    let own = [
        cfg!(feature = "file-cache").then_some("file-cache"),
        cfg!(feature = "redis").then_some("redis"),
    ];
    let features: Vec<&str> = own
        .into_iter()
        .flatten()
        .chain(more.iter().copied())
        .collect();
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--locked", "--workspace"])
        .args(["--example", "plugin_action", "--features"])
        .arg(features.join(","))
        .arg("--target-dir")
        .arg(&elsewhere)
        // What is the same need not be built again.
        .env("CARGO_BUILD_BUILD_DIR", target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.unwrap().success());
    elsewhere
        .join("debug/examples")
        .join(library.file_name().unwrap())
}

#[cfg(unix)]
#[test]
fn an_executable_is_not_given_the_key() {
    let variables = ["FTRACK_API_KEY", "FTRACK_APIKEY"];
    if std::env::var_os("FTRACK_APIKEY").is_none() {
        let ended = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "an_executable_is_not_given_the_key"])
            .envs(variables.map(|name| (name, support::secret("k3y-0f-7he-v4riables-q9"))))
            .status();
        return assert!(ended.unwrap().success());
    }
    let folder = Folder::new();
    let script = "while read -r x; do reply \"$x\" \"\\\"$FTRACK_API_KEY$FTRACK_APIKEY\\\"\"; done";
    folder.shell("a.ftrack-plugin", "t.key", "topic=t.key", script);
    let session = opened_on(&emulator(), &folder);
    assert_eq!(ask(&session, "t.key", json!({})), [json!("")]);
}

#[test]
fn paths_are_searched_in_order_and_in_depth() {
    let server = emulator();
    let (one, two) = (Folder::new(), Folder::new());
    for (folder, file, name) in [
        (&one, "b.ftrack-plugin", "one.b"),
        (&one, "a/z.ftrack-plugin", "one.a.z"),
        (&one, "a.ftrack-plugin", "one.a"),
        (&one, "a/deep/er/y.ftrack-plugin", "one.a.deep.er.y"),
        (&two, "c.ftrack-plugin", "two.c"),
        (&two, "same.ftrack-plugin", "one.b"),
    ] {
        folder.shell(
            file,
            name,
            "topic=test.who",
            "while read -r x; do reply \"$x\" 1; done",
        );
    }
    one.write("plugin.py", b"def register(session): pass", 0o644);
    let paths = [
        two.path(),
        "".as_ref(),
        " ".as_ref(),
        one.path(),
        two.path(),
    ];
    let session = builder(&server).plugin_paths(paths).open().unwrap();
    let names: Vec<&str> = session
        .plugins()
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "two.c",
            "one.b",
            "one.a",
            "one.b",
            "one.a.z",
            "one.a.deep.er.y"
        ]
    );
    // The first of a name is used, and the warning names both.
    let why = refusal(&session.plugins()[3]);
    assert!(why.contains("same.ftrack-plugin"), "{why}");
    let passed = logged(&one.path().join("plugin.py").display().to_string());
    assert!(passed.iter().all(|(level, _)| *level == log::Level::Debug) && !passed.is_empty());
}

#[test]
fn no_path_costs_nothing() {
    let server = emulator();
    let none: [&str; 0] = [];
    let session = builder(&server).plugin_paths(none).open().unwrap();
    assert!(session.plugins().is_empty());
    let session = builder(&server)
        .plugin_paths(["/there/is/no/such/folder"])
        .open()
        .unwrap();
    assert!(refusal(&session.plugins()[0]).contains("cannot be searched"));
}

#[cfg(unix)]
#[test]
fn what_others_can_write_is_refused() {
    use std::os::unix::fs::symlink;

    let server = emulator();
    let (folder, outside) = (Folder::new(), Folder::new());
    let script = "while read -r x; do reply \"$x\" 1; done";
    folder.shell("1_group.ftrack-plugin", "t.group", "topic=x", script);
    folder.mode("1_group.ftrack-plugin", 0o775);
    folder.shell("2_all.ftrack-plugin", "t.all", "topic=x", script);
    folder.mode("2_all.ftrack-plugin", 0o757);
    outside.shell("out.ftrack-plugin", "t.out", "topic=x", script);
    let outside_file = outside.path().join("out.ftrack-plugin");
    symlink(&outside_file, folder.path().join("3_out.ftrack-plugin")).unwrap();
    symlink("nowhere", folder.path().join("4_dangling.ftrack-plugin")).unwrap();
    folder.write(
        "5_plain.ftrack-plugin",
        b"# ftrack-plugin: {\"name\": \"p\", \"subscribe\": [\"topic=x\"]}",
        0o644,
    );
    folder.shell("good/a.ftrack-plugin", "t.good", "topic=x", script);
    // Loops and links to what was found already lead nowhere.
    symlink("..", folder.path().join("good/loop")).unwrap();
    symlink(
        "a.ftrack-plugin",
        folder.path().join("good/b.ftrack-plugin"),
    )
    .unwrap();
    symlink(outside.path(), folder.path().join("good/outside")).unwrap();
    let pipe = folder.path().join("good/pipe.ftrack-plugin");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    folder.shell("open/c.ftrack-plugin", "t.open", "topic=x", script);
    folder.mode("open", 0o777);
    let session = opened_on(&server, &folder);
    let expected = [
        "its group can write",
        "everybody can write",
        "leads out of",
        "cannot be followed",
        "chmod +x",
        "",
        "not a regular file",
        "everybody can write",
    ];
    assert_eq!(
        session.plugins().len(),
        expected.len(),
        "{:?}",
        session.plugins()
    );
    for (found, expected) in session.plugins().iter().zip(expected) {
        match expected {
            "" => assert_eq!(found.name, "t.good"),
            _ => assert!(refusal(found).contains(expected), "{found:?}"),
        }
    }
    assert_eq!(ask(&session, "x", json!({})), [1]);
}

/// The rules are those of the plugin itself, because the declaration decides what is run.
#[cfg(unix)]
#[test]
fn a_declaration_file_that_others_can_write_is_refused() {
    use std::os::unix::fs::symlink;

    let server = emulator();
    let (folder, outside) = (Folder::new(), Folder::new());
    let started = folder.path().join("started");
    let declaration = json!({
        "name": "t.foreign", "subscribe": ["topic=x"], "run": ["touch", started.to_str().unwrap()],
    });
    let declaration = declaration.to_string();
    let named = |number: u32| format!("{number}.ftrack-plugin");
    let json = |number: u32| format!("{}.json", named(number));
    for number in 0..9 {
        folder.write(&named(number), b"no text of a declaration", 0o755);
    }
    folder.write(&json(0), declaration.as_bytes(), 0o664);
    folder.write(&json(1), declaration.as_bytes(), 0o646);
    outside.write("out.json", declaration.as_bytes(), 0o644);
    symlink(outside.path().join("out.json"), folder.path().join(json(2))).unwrap();
    symlink("/dev/zero", folder.path().join(json(3))).unwrap();
    let pipe = folder.path().join(json(4));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let large = format!("{declaration}{}", " ".repeat(64 * 1024));
    folder.write(&json(5), large.as_bytes(), 0o644);
    symlink("nowhere", folder.path().join(json(6))).unwrap();
    folder.write("open/d.json", declaration.as_bytes(), 0o644);
    folder.mode("open", 0o777);
    symlink("open/d.json", folder.path().join(json(7))).unwrap();
    let good = json!({"name": "t.good", "subscribe": ["topic=y"], "run": ["sh"]}).to_string();
    folder.write(&json(8), good.as_bytes(), 0o644);
    let session = opened_on(&server, &folder);
    let expected = [
        "its group can write",
        "everybody can write",
        "leads out of",
        "leads out of",
        "not a regular file",
        "larger than 65536 bytes",
        "cannot be followed",
        "everybody can write",
        "",
        "everybody can write",
    ];
    assert_eq!(session.plugins().len(), expected.len());
    for (found, expected) in session.plugins().iter().zip(expected) {
        match expected {
            "" => assert_eq!(found.name, "t.good"),
            _ => assert!(refusal(found).contains(expected), "{found:?}"),
        }
    }
    assert!(ask(&session, "x", json!({})).is_empty());
    assert!(!started.exists());
}

/// What is named in `run` is started like the plugin itself.
#[cfg(unix)]
#[test]
fn a_program_in_the_folder_that_others_can_write_is_refused() {
    use std::os::unix::fs::symlink;

    let server = emulator();
    let folder = Folder::new();
    let real = folder.path().canonicalize().unwrap();
    // It runs its argument, as an interpreter does.
    let shell = b"#!/bin/sh\nexec sh \"$@\"\n";
    folder.write("bin/group", shell, 0o775);
    folder.write("bin/good", shell, 0o755);
    symlink("/bin/sh", folder.path().join("bin/out")).unwrap();
    folder.write("open/sh", shell, 0o755);
    folder.mode("open", 0o777);
    let absolute = real.join("bin/group");
    let programs = [
        ("bin/group", "its group can write"),
        (absolute.to_str().unwrap(), "its group can write"),
        ("./bin/out", "leads out of"),
        ("open/sh", "everybody can write"),
        ("../../../../../../../../bin/sh", "leads out of"),
        ("bin/none", "cannot be followed"),
        ("bin/good", ""),
        ("/bin/sh", ""),
        ("sh", ""),
    ];
    for (number, (program, _)) in programs.iter().enumerate() {
        let declaration = json!({
            "name": format!("t.{number}"), "subscribe": ["topic=x"], "run": [program],
        });
        let text = format!(
            "# ftrack-plugin: {declaration}\nwhile read -r x; do n=${{x#*:}}; \
             echo \"{{\\\"number\\\": ${{n%%,*}}, \\\"reply\\\": {number}}}\"; done\n"
        );
        folder.write(&format!("{number}.ftrack-plugin"), text.as_bytes(), 0o644);
    }
    let session = opened_on(&server, &folder);
    for (found, (program, expected)) in session.plugins().iter().zip(programs) {
        match expected {
            "" => assert_eq!(found.state, PluginState::Loaded, "{program}: {found:?}"),
            _ => assert!(refusal(found).contains(expected), "{program}: {found:?}"),
        }
    }
    assert_eq!(ask(&session, "x", json!({})), [6, 7, 8]);
}

/// What a program writes is shown as it is only where that is harmless.
#[cfg(unix)]
#[test]
fn a_program_cannot_show_secrets_or_control_the_terminal() {
    let server = emulator();
    let key = server.api_key();
    let scripts = [
        format!("read -r x; echo '{key} \\u001b'; cat > /dev/null"),
        format!("read -r x; echo '{{\"log\": \"key {key} \\u001b[31m\"}}'; cat > /dev/null"),
        format!(
            "read -r x; n=${{x#*:}}; \
             echo \"{{\\\"number\\\": ${{n%%,*}}, \\\"error\\\": \\\"bad {key} \\\\u001b[31m\\\"}}\""
        ),
    ];
    let folder = Folder::new();
    for (number, script) in scripts.iter().enumerate() {
        let (file, name) = (
            format!("{number}.ftrack-plugin"),
            format!("t.telling{number}"),
        );
        folder.shell(&file, &name, "topic=test.tell", script);
    }
    let session = opened_on(&server, &folder);
    ask(&session, "test.tell", json!({}));
    let log = logged("t.telling");
    let of = |number: usize| {
        let name = format!("t.telling{number}");
        let mut texts = log.iter().map(|(_, text)| text);
        let found = texts.find(|text| text.contains(&name) && text.contains("(api key)"));
        found.unwrap_or_else(|| panic!("{name}: {log:?}"))
    };
    for number in 0..scripts.len() {
        assert!(!of(number).contains('\u{1b}'), "{:?}", of(number));
    }
    assert!(!log.iter().any(|(_, text)| text.contains(key)), "{log:?}");
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder_is_a_warning() {
    let server = emulator();
    let folder = Folder::new();
    folder.shell("closed/a.ftrack-plugin", "t.closed", "topic=x", "");
    folder.mode("closed", 0);
    // Root reads what it likes; a file in the folder's place cannot be searched by anybody.
    folder.write("file", b"", 0o644);
    let readable = std::fs::read_dir(folder.path().join("closed")).is_ok();
    let paths = match readable {
        true => vec![folder.path().join("file")],
        false => vec![folder.path().to_owned(), folder.path().join("file")],
    };
    let session = builder(&server).plugin_paths(paths).open().unwrap();
    assert!(!session.plugins().is_empty());
    for found in session.plugins() {
        assert!(refusal(found).contains("cannot be searched"), "{found:?}");
    }
    folder.mode("closed", 0o755);
}

#[test]
fn programs_run_on_every_platform() {
    let server = emulator();
    let folder = Folder::new();
    folder.program("t.count", "topic=test.count", "count", 20.0);
    folder.program("t.exit", "topic=test.bad", "exit", 20.0);
    folder.program("t.babble", "topic=test.bad", "babble", 20.0);
    folder.program("t.silent", "topic=test.bad", "be silent", 0.2);
    folder.program("t.twice", "topic=test.twice", "twice", 20.0);
    folder.program("t.anonymous", "topic=test.bad", "anonymous", 20.0);
    folder.program("t.ahead", "topic=test.bad", "ahead", 20.0);
    let session = opened_on(&server, &folder);
    assert_eq!(states(&session)["t.count"], PluginState::Loaded);
    for count in 0..3 {
        assert_eq!(ask(&session, "test.count", json!({})), [count]);
    }
    // The second reply to an event is not taken for the reply to the next one.
    for count in 0..3 {
        assert_eq!(ask(&session, "test.twice", json!({})), [count]);
    }
    assert!(ask(&session, "test.bad", json!({})).is_empty());
    let log = logged(&folder.path().display().to_string());
    for (name, expected) in [
        ("t.exit", "it ended before it replied: exit "),
        ("t.babble", "it wrote \"hello\""),
        ("t.twice", "ignored a second reply to event 1"),
        ("t.anonymous", "the number of the event is missing"),
        ("t.ahead", "no event has this number yet"),
        ("t.silent", "did not reply to test.bad within 0.2 s"),
    ] {
        let warned = log.iter().any(|(level, text)| {
            *level <= log::Level::Warn && text.contains(name) && text.contains(expected)
        });
        assert!(warned, "{name}: {log:?}");
    }
}

#[cfg(unix)]
#[test]
fn programs_reply_to_events() {
    let server = emulator();
    let folder = Folder::new();
    folder.copy_example("render_hosts.ftrack-plugin");
    let session = opened_on(&server, &folder);
    assert_eq!(
        states(&session)["example.render-hosts"],
        PluginState::Loaded
    );
    let asked = |session: &Session| ask(session, "studio.render-hosts", json!({}));
    assert_eq!(asked(&session), [json!(["farm01", "farm02"])]);
    assert_eq!(asked(&session), [json!(["farm01", "farm02"])]);
    assert!(
        logged("example.render-hosts")
            .iter()
            .any(|(_, text)| text.contains("somebody asks"))
    );
}

#[cfg(unix)]
#[test]
fn python_replies_to_events() {
    let Some(python) = folder::python() else {
        return;
    };
    let server = emulator();
    let folder = Folder::new();
    folder.copy_example("file_types.ftrack-plugin");
    let session = builder(&server)
        .plugin_paths([folder.path()])
        .plugin_arguments(json!({"proxy_suffix": "_small"}))
        .open()
        .unwrap();
    assert_eq!(
        session.file_type_from_string("a_small.mov"),
        ".proxy.mov",
        "{python}"
    );
    assert_eq!(session.file_type_from_string("a.mov"), ".mov");
}

#[cfg(unix)]
#[test]
fn a_program_starts_with_its_first_event() {
    let server = emulator();
    let folder = Folder::new();
    let started = folder.path().join("started");
    let script = format!(
        "echo >> '{}'; while read -r x; do reply \"$x\" 1; done",
        started.display()
    );
    folder.shell("late.ftrack-plugin", "t.late", "topic=x", &script);
    let session = opened_on(&server, &folder);
    ask(&session, "y", json!({}));
    assert!(!started.exists());
    assert_eq!(ask(&session, "x", json!({})), [1]);
    assert_eq!(ask(&session, "x", json!({})), [1]);
    assert_eq!(
        std::fs::read_to_string(&started).unwrap(),
        "\n",
        "one process for both"
    );
}

#[cfg(unix)]
#[test]
fn programs_may_change_entity_types() {
    let server = emulator();
    let folder = Folder::new();
    let script = r#"while read -r x; do reply "$x" '{"read_only": ["bid"]}'; done"#;
    let topic = "topic=ftrack.api.session.construct-entity-type and data.schema.id=Task";
    folder.shell("types.ftrack-plugin", "t.types", topic, script);
    let session = opened_on(&server, &folder);
    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    assert_eq!(task.set("bid", 1).unwrap_err().kind(), ErrorKind::Immutable);
}

#[cfg(unix)]
#[test]
fn programs_that_misbehave_are_logged_and_left() {
    let server = emulator();
    for (script, expected) in [
        ("echo hello; cat > /dev/null", "it wrote \"hello\""),
        (
            "read -r x; exit 3",
            "it ended before it replied: exit status: 3",
        ),
        (
            "read -r x; kill -9 $$",
            "it ended before it replied: signal: 9",
        ),
        ("exec sleep 100", "did not reply to test.bad within 0.2 s"),
        (
            "read -r x; n=${x#*:}; echo \"{\\\"number\\\": ${n%%,*}, \\\"error\\\": \\\"no license\\\"}\"",
            "no license",
        ),
        (
            "read -r x; echo '{\"reply\": 1, \"log\": \"x\"}'",
            "it wrote",
        ),
        ("read -r x; echo '\u{fffd}'; cat > /dev/null", "it wrote"),
    ] {
        let folder = Folder::new();
        folder.shell("bad.ftrack-plugin", "t.bad", "topic=test.bad", script);
        let session = builder(&server)
            .plugin_paths([folder.path()])
            .open()
            .unwrap();
        session
            .event_hub()
            .subscribe("topic=test.bad", |_| Ok(Some("next".into())))
            .unwrap();
        assert_eq!(ask(&session, "test.bad", json!({})), ["next"], "{script}");
        let log = logged(&folder.path().display().to_string());
        let warned = log.iter().any(|(level, text)| {
            *level <= log::Level::Warn
                && text.contains("bad.ftrack-plugin")
                && text.contains(expected)
        });
        assert!(warned, "{script}: {log:?}");
        assert!(session.query("Task").unwrap().first().unwrap().is_some());
    }
}

#[cfg(unix)]
#[test]
fn a_program_that_crashes_is_started_again_three_times() {
    let server = emulator();
    let folder = Folder::new();
    let count = folder.path().join("count");
    let script = format!("echo >> '{}'; read -r x; exit 1", count.display());
    folder.shell("crash.ftrack-plugin", "t.crash", "topic=x", &script);
    let session = opened_on(&server, &folder);
    for _ in 0..5 {
        assert!(ask(&session, "x", json!({})).is_empty());
    }
    assert_eq!(std::fs::read_to_string(&count).unwrap().len(), 3);
    let log = logged(&folder.path().display().to_string());
    assert!(
        log.iter()
            .any(|(_, text)| text.contains("not started again"))
    );
}

#[cfg(unix)]
#[test]
fn an_event_that_is_too_large_is_no_failure_of_the_program() {
    let server = emulator();
    let folder = Folder::new();
    let script = r#"while read -r x; do reply "$x" 1; done"#;
    folder.shell("small.ftrack-plugin", "t.small", "topic=x", script);
    let session = opened_on(&server, &folder);
    let large = json!({ "text": "x".repeat(17 << 20) });
    for _ in 0..4 {
        assert!(ask(&session, "x", large.clone()).is_empty());
    }
    assert_eq!(ask(&session, "x", json!({})), [1]);
    let log = logged(&folder.path().display().to_string());
    assert!(log.iter().any(|(_, text)| text.contains("is too large")));
}

#[cfg(unix)]
#[test]
fn programs_reply_to_several_threads() {
    let server = emulator();
    let folder = Folder::new();
    folder.copy_example("render_hosts.ftrack-plugin");
    let session = opened_on(&server, &folder);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(ask(&session, "studio.render-hosts", json!({})).len(), 1);
                }
            });
        }
    });
}
