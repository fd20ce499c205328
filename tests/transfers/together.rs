//! Several sessions that send the same component at the same time.

use std::sync::Barrier;

use ftrack_api::Session;
use ftrack_api::transport::{Request, Response, Transport};

use super::*;

/// A session of its own with the component, its members, and the place of each on this machine.
fn join(stage: &Stage, sent: &[(String, String, String)], cache: SchemaCache) -> Session {
    let session = support::builder(&stage.server)
        .schema_cache(cache)
        .open()
        .unwrap();
    let origin = session.location("ftrack.origin").unwrap();
    for (entity_type, id, path) in sent {
        let component = session.get(entity_type, id).unwrap().unwrap();
        origin.register_component(&component, path).unwrap();
    }
    session
}

fn place(session: &Session, target: &str, stage: &Stage) -> Location {
    match target {
        "server" => session.location("ftrack.server").unwrap(),
        _ => {
            let binding = Binding::new().accessor(stage.disk_accessor());
            stage::bound(session, "test.disk", binding.structure(EntityIdStructure))
        }
    }
}

/// One sends it, the others get an error that says so; or all of them fail, and the next call does it.
#[test]
fn sessions_that_send_the_same_component_do_no_harm() {
    let _alone = COUNTING.lock();
    let rounds = std::env::var("TRANSFER_ROUNDS").map_or(2, |text| text.parse().unwrap());
    let stage = Stage::new();
    let frames = stage.frames(12, 30_000);
    let movie = stage.file("movie.mov", 20 * MIB);
    let small = stage.file("small.mov", 1000);
    let mut kept = 0;
    // Sessions that create a location at the same time make several of its name.
    let _ = place(&stage.session, "disk", &stage);
    for round in 0..rounds {
        for (target, path) in [
            ("server", &frames),
            ("disk", &frames),
            ("server", &movie),
            ("disk", &movie),
            ("server", &small),
            ("disk", &small),
        ] {
            let made = stage.unsent(path);
            stage.session.commit().unwrap();
            let origin = stage.origin();
            let mut all = vec![made.clone()];
            if made.entity_type() == "SequenceComponent" {
                all.extend(made.get::<Vec<Entity>>("members").unwrap());
            }
            let sent: Vec<_> = all
                .iter()
                .map(|one| {
                    let path = origin.get_resource_identifier(one).unwrap();
                    (one.entity_type().to_owned(), one.id(), path)
                })
                .collect();
            // With one folder to remember in, as of one user, and with none, as of several.
            let cache = match round % 2 {
                0 => SchemaCache::Dir(stage.folder.path().join("cache")),
                _ => SchemaCache::Off,
            };
            let sessions: Vec<Session> =
                (0..3).map(|_| join(&stage, &sent, cache.clone())).collect();
            let start = Barrier::new(sessions.len());
            let outcomes: Vec<ftrack_api::Result<()>> = thread::scope(|threads| {
                let run = |(number, session): (usize, &Session)| {
                    let (location, origin) = (
                        place(session, target, &stage),
                        session.location("ftrack.origin").unwrap(),
                    );
                    let component = session
                        .get(&sent[0].0, sent[0].1.as_str())
                        .unwrap()
                        .unwrap();
                    start.wait();
                    let plan = location.plan_transfer(&component, &origin, true)?;
                    plan.connections(1 + number % 2 * 3).run()
                };
                let running: Vec<_> = sessions
                    .iter()
                    .enumerate()
                    .map(|one| threads.spawn(move || run(one)))
                    .collect();
                running.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let what = format!("round {round}, {} to {target}", path.display());
            let mut done = 0;
            for outcome in outcomes {
                match outcome {
                    Ok(()) => done += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Duplicate, "{what}: {error}");
                        let text = error.to_string();
                        assert!(sent.iter().any(|(_, id, _)| text.contains(id)), "{text}");
                    }
                }
            }
            assert!(done <= 1, "{what}: {done}");
            let location = place(&stage.session, target, &stage);
            if done == 0 {
                location.add_component(&made, &origin).unwrap();
            }
            let ids: Vec<&str> = sent.iter().map(|(_, id, _)| id.as_str()).collect();
            let query = ftrack_api::expr!("ComponentLocation where component_id in {}", &ids[..]);
            let rows = stage.session.query(query).unwrap().count().unwrap();
            assert_eq!(rows, sent.len() as u64, "{what}");
            let files_of_it: Vec<&Entity> = all
                .iter()
                .filter(|one| one.entity_type() == "FileComponent")
                .collect();
            for file in &files_of_it {
                let path = origin.get_resource_identifier(file).unwrap();
                assert!(read(&location, file) == fs::read(path).unwrap(), "{what}");
            }
            if target == "disk" {
                kept += files_of_it.len();
                assert_eq!(
                    (files(&stage.store()), part_files(&stage.store())),
                    (kept, 0),
                    "{what}"
                );
            }
            assert_eq!(stage.journals(), 0, "{what}");
        }
    }
}

type Hook = Box<dyn Fn(&Request<'_>) -> Option<&'static str> + Send>;

/// Lets a test act between two requests of a session, and respond itself.
struct Between(Box<dyn Transport>, Arc<Mutex<Option<Hook>>>);

impl Transport for Between {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        let hook = self.1.lock().unwrap().take();
        let Some(hook) = hook else {
            return self.0.send(request);
        };
        let body = hook(request);
        // It stays until it has acted.
        *self.1.lock().unwrap() = Some(hook);
        match body {
            None => self.0.send(request),
            Some(body) => Ok(Response {
                status: 200,
                headers: Vec::new(),
                body: Box::new(body.as_bytes()),
            }),
        }
    }
}

fn between() -> (Stage, Arc<Mutex<Option<Hook>>>) {
    let hook: Arc<Mutex<Option<Hook>>> = Arc::default();
    let ours = hook.clone();
    let stage = Stage::with(0, move |builder| {
        builder.wrap_transport(move |inner| Between(inner, ours))
    });
    (stage, hook)
}

/// Whether it registers components.
fn registers(request: &Request<'_>) -> bool {
    let body = String::from_utf8_lossy(request.body);
    body.contains("ComponentLocation") && body.contains("\"create\"")
}

/// The other session fails, and removes what it has stored, while this one registers it.
#[test]
fn a_file_that_vanishes_while_it_is_registered_is_stored_again() {
    let (stage, hook) = between();
    let path = stage.file("plate.mov", 1000);
    let made = stage.unsent(&path);
    let disk = stage.disk(stage.disk_accessor());
    let file = stage.store().join(made.id());
    fs::create_dir_all(stage.store()).unwrap();
    fs::copy(&path, &file).unwrap();
    let plan = disk.plan_transfer(&made, stage.origin(), true).unwrap();
    *hook.lock().unwrap() = Some(Box::new(move |request| {
        if registers(request) {
            fs::remove_file(&file).unwrap();
        }
        None
    }));
    plan.run().unwrap();
    assert!(read(&disk, &made) == bytes(1000));
}

/// This session fails and removes what it has stored, while the other registers it.
#[test]
fn a_file_that_is_registered_while_it_is_removed_is_stored_again() {
    for target in ["disk", "server"] {
        let (stage, hook) = between();
        let path = stage.file("plate.mov", 1000);
        let made = stage.unsent(&path);
        stage.session.commit().unwrap();
        let location = place(&stage.session, target, &stage);
        let plan = location.plan_transfer(&made, stage.origin(), true).unwrap();
        let other = open(&stage.server);
        let theirs = other.get("FileComponent", &made).unwrap().unwrap();
        let (there, identifier) = (place(&other, target, &stage), made.id());
        let refused = AtomicUsize::new(0);
        *hook.lock().unwrap() = Some(Box::new(move |request| {
            if registers(request) {
                refused.store(1, Ordering::SeqCst);
                return Some(r#"{"exception": "ServerError", "content": "not today"}"#);
            }
            // The first request after the question whether it is registered.
            if refused.load(Ordering::SeqCst) > 0 && refused.fetch_add(1, Ordering::SeqCst) == 2 {
                there.register_component(&theirs, &identifier).unwrap();
            }
            None
        }));
        let error = plan.run().unwrap_err();
        *hook.lock().unwrap() = None;
        assert_eq!(error.kind(), ErrorKind::Duplicate, "{target}: {error}");
        assert!(read(&location, &made) == bytes(1000), "{target}");
    }
}
