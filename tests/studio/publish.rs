//! `publish`: whole, in few requests, and once, however often it is killed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use ftrack_api::accessor::DiskAccessor;
use ftrack_api::config::{Retry, SchemaCache};
use ftrack_api::location::Binding;
use ftrack_api::structure::StandardStructure;
use ftrack_api::studio::{Publish, PublishFile};
use ftrack_api::transport::{Request, Response, Transport};
use ftrack_api::{Entity, Error, ErrorKind, Location, Session, data, expr, serde_json::json};
use ftrack_emulator::Emulator;
use tempfile::TempDir;

use crate::support::{Studio, builder, emulator, read, requests};

const FRAMES: u32 = 3;

/// Files to publish.
struct Files {
    folder: TempDir,
    /// The name of the asset.
    asset: String,
}

impl Files {
    fn new() -> Self {
        Self::of("plate")
    }

    fn of(asset: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["main.mov", "still.png", "review.mov"] {
            std::fs::write(folder.path().join(name), format!("bytes of {name}")).unwrap();
        }
        for frame in 1..=FRAMES {
            let path = folder.path().join(format!("f.{frame:04}.exr"));
            std::fs::write(path, format!("pixels {frame}")).unwrap();
        }
        Self {
            folder,
            asset: asset.to_owned(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Two files, a thumbnail and review media.
    fn publish(&self, session: &Session, key: &str) -> Publish {
        let shot = session.at("test/ep01/sq010/sh0010").unwrap();
        let frames = self.path("f.%04d.exr [1-3]");
        Publish::new(&shot, self.asset.as_str())
            .asset_type("Generic")
            .component(PublishFile::new("main", self.path("main.mov")).metadata("lens", "35"))
            .file("frames", frames)
            .thumbnail(self.path("still.png"))
            .review(self.path("review.mov"))
            .comment("Regraded.")
            .key(key)
    }

    /// Everything is there, once: seen by a session that did not publish it.
    fn check(&self, session: &Session, location: &Location) {
        let assets = expr!(
            "Asset where name is {} and parent.name is sh0010",
            self.asset.as_str()
        );
        let assets = session.query(assets).unwrap().all().unwrap();
        assert_eq!(assets.len(), 1);
        let versions = session.query(expr!("AssetVersion where asset_id is {}", assets[0].id()));
        let version = versions.unwrap().one().unwrap();
        assert_eq!(version.get::<i64>("version").unwrap(), 1);
        assert!(version.get::<bool>("is_published").unwrap());
        assert!(
            version
                .get::<Option<String>>("thumbnail_id")
                .unwrap()
                .is_some()
        );
        let named = |name: &str| {
            let found = expr!(
                "Component where version_id is {} and name is {}",
                version.id(),
                name
            );
            session.query(found).unwrap().one().unwrap()
        };
        let (main, frames) = (named("main"), named("frames"));
        assert_eq!(read(location, &main), b"bytes of main.mov");
        assert_eq!(
            main.metadata().unwrap().get("lens").unwrap().as_deref(),
            Some("35")
        );
        let mut members = frames.collection("members").unwrap().all().unwrap();
        members.sort_by_key(|member| member.get::<String>("name").unwrap());
        assert_eq!(members.len(), FRAMES as usize);
        for (member, frame) in members.iter().zip(1..) {
            assert_eq!(read(location, member), format!("pixels {frame}").as_bytes());
        }
        // One job for each version that was published on this server.
        let jobs = session.query("Job where data like \"%source_component_id%\"");
        let versions = session
            .query("AssetVersion where asset.name like \"plate%\" and asset.parent.name is sh0010");
        assert_eq!(
            jobs.unwrap().count().unwrap(),
            versions.unwrap().count().unwrap()
        );
    }
}

fn server_location(session: &Session) -> Location {
    session.location("ftrack.server").unwrap()
}

/// A location of the studio, whose paths have the number of the version.
fn disk(session: &Session, mount: &std::path::Path) -> Location {
    session
        .ensure("Location", data! { "name": "studio.main" }, "name")
        .unwrap();
    let location = session.location("studio.main").unwrap();
    let accessor = DiskAccessor::new(mount).unwrap();
    location.bind(
        Binding::new()
            .accessor(accessor)
            .structure(StandardStructure::new()),
    );
    location
}

#[test]
fn everything_arrives_in_eight_requests() {
    let studio = Studio::new();
    let (session, files) = (&studio.session, Files::new());
    let shot = session.at("test/ep01/sq010/sh0010").unwrap();
    std::fs::write(files.path("b.mov"), "b").unwrap();
    let publish = Publish::new(&shot, "plate")
        .asset_type("Generic")
        .file("main", files.path("main.mov"))
        .file("second", files.path("b.mov"))
        .thumbnail(files.path("still.png"))
        .review(files.path("review.mov"))
        .location(server_location(session))
        .key("job 1");
    let mut published = None;
    let sent = requests(session, || {
        published = Some(session.publish(&publish).unwrap());
    });
    assert!(sent <= 8, "{sent} requests");
    let published = published.unwrap();
    assert_eq!(published.components.len(), 2);
    assert!(published.job.is_some() && published.thumbnail.is_some());
    let again = requests(session, || {
        let again = session.publish(&publish).unwrap();
        assert_eq!(again.version, published.version);
        assert_eq!(again.components, published.components);
        assert_eq!(again.job, published.job);
    });
    assert!(again <= 2, "{again} requests");
    let plan = session.plan_publish(&publish).unwrap();
    assert!(plan.steps().iter().all(|step| step.is_done), "{plan}");
}

#[test]
fn notes_links_statuses_and_tasks_arrive() {
    let studio = Studio::new();
    let (session, files) = (&studio.session, Files::new());
    let used = session
        .query("AssetVersion limit 2")
        .unwrap()
        .all()
        .unwrap();
    let people = session
        .query("User where username is_not none limit 3")
        .unwrap()
        .all()
        .unwrap();
    let task = session
        .query("Task where project.name is test")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    let shot = session.at("test/ep01/sq010/sh0010").unwrap();
    let publish = Publish::new(&shot, "plate")
        .task(&task)
        .status("Pending")
        .note("Please look.", &people)
        .uses(&used)
        .component(
            PublishFile::new("ftrackreview-mp4", files.path("review.mov"))
                .ftr_meta(json!({ "frameIn": 1, "frameOut": 3, "frameRate": 24 }))
                .location(server_location(session)),
        )
        .key("a");
    let published = session.publish(&publish).unwrap();
    session.publish(&publish).unwrap();
    let other = studio.other();
    let version = other
        .get("AssetVersion", published.version.key())
        .unwrap()
        .unwrap();
    assert_eq!(version.get::<String>("status.name").unwrap(), "Pending");
    assert_eq!(version.get::<String>("task_id").unwrap(), task.id());
    let uses: Vec<Entity> = version.get("uses_versions").unwrap();
    let mut uses: Vec<String> = uses.iter().map(Entity::id).collect();
    uses.sort();
    let mut expected: Vec<String> = used.iter().map(Entity::id).collect();
    expected.sort();
    assert_eq!(uses, expected);
    let notes: Vec<Entity> = version.get("notes").unwrap();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].get::<String>("content").unwrap(), "Please look.");
    let recipients: Vec<String> = notes[0].get("recipients.resource_id").unwrap();
    assert!(
        people.iter().all(|one| recipients.contains(&one.id())),
        "{recipients:?}"
    );
    let component: Vec<Entity> = version.get("components").unwrap();
    let meta = component[0]
        .metadata()
        .unwrap()
        .get("ftr_meta")
        .unwrap()
        .unwrap();
    assert!(meta.contains("\"frameRate\":24"), "{meta}");
}

/// Cuts one of the requests: before it is sent, or instead of its response.
struct Cut {
    inner: Box<dyn Transport>,
    left: Arc<AtomicI64>,
    is_sent: bool,
}

impl Transport for Cut {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        if self.left.fetch_sub(1, Ordering::SeqCst) != 0 {
            return self.inner.send(request);
        }
        if self.is_sent {
            self.inner.send(request)?;
        }
        Err(Error::new(ErrorKind::Connection, "cut"))
    }

    fn close(&self) {
        self.inner.close();
    }
}

/// A session whose requests are cut, and one that sees what became of them.
struct Cutting {
    session: Session,
    other: Session,
    left: Arc<AtomicI64>,
}

impl Cutting {
    fn new(server: &Emulator, is_sent: bool) -> Self {
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let cut = left.clone();
        let session = builder(server)
            .retry(Retry::off())
            .wrap_transport(move |inner| Cut {
                inner,
                left: cut,
                is_sent,
            });
        Self {
            session: session.open().unwrap(),
            other: builder(server).open().unwrap(),
            left,
        }
    }

    /// Publishes with the request of this number cut, then again until nothing is left to do. Returns
    /// whether there was such a request.
    fn cuts(&self, number: i64, job: &str, on_disk: bool) -> bool {
        let (files, mount) = (Files::of(job), tempfile::tempdir().unwrap());
        let place = |session: &Session| match on_disk {
            true => disk(session, mount.path()),
            false => server_location(session),
        };
        let session = &self.session;
        let publish = files.publish(session, job).location(place(session));
        self.left.store(number, Ordering::SeqCst);
        let first = session.publish(&publish);
        let was_cut = self.left.load(Ordering::SeqCst) < 0;
        self.left.store(i64::MAX, Ordering::SeqCst);
        if first.is_err() {
            let again = session.publish(&publish);
            again.unwrap_or_else(|error| panic!("{job}: {error:?}"));
        }
        files.check(&self.other, &place(&self.other));
        assert!(session.recorded_operations().is_empty());
        was_cut
    }
}

#[test]
fn a_publish_whose_requests_are_cut_goes_on() {
    let (server, mut moments) = (emulator(), 0);
    for is_sent in [false, true] {
        let cutting = Cutting::new(&server, is_sent);
        for on_disk in [false, true] {
            let job = |number| format!("plate {number} {is_sent} {on_disk}");
            let mut numbers = 0..;
            while let Some(number) = numbers.next()
                && cutting.cuts(number, &job(number), on_disk)
            {
                moments += 1;
            }
        }
    }
    println!("{moments} moments");
    assert!(moments >= 28, "{moments}");
}

/// Publishes in a process of its own, which is killed.
#[test]
#[ignore = "is run by another test, in a process that is killed"]
fn child() {
    let (Ok(folder), Ok(job)) = (
        std::env::var("PUBLISH_FOLDER"),
        std::env::var("PUBLISH_JOB"),
    ) else {
        return;
    };
    let session = Session::builder()
        .schema_cache(SchemaCache::Off)
        .open()
        .unwrap();
    let shot = session.at("test/ep01/sq010/sh0010").unwrap();
    let path = |name: &str| PathBuf::from(&folder).join(name);
    let publish = Publish::new(&shot, job.as_str())
        .asset_type("Generic")
        .component(PublishFile::new("main", path("main.mov")).metadata("lens", "35"))
        .file("frames", path("f.%04d.exr [1-3]"))
        .thumbnail(path("still.png"))
        .review(path("review.mov"))
        .location(server_location(&session))
        .key(job);
    println!("ready");
    session.publish(&publish).unwrap();
}

#[test]
fn a_publish_that_is_killed_goes_on() {
    let mut ended_early = 0;
    let server = Emulator::builder()
        .tasks(12)
        .latency(Duration::from_millis(15))
        .start()
        .unwrap();
    let (session, other) = (builder(&server).open(), builder(&server).open());
    let (session, other) = (session.unwrap(), other.unwrap());
    let rounds = std::env::var("PUBLISH_KILLS").map_or(14, |kills| kills.parse().unwrap());
    for round in 0..rounds {
        let job = format!("plate {round}");
        let files = Files::of(&job);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "publish::child", "--ignored", "--nocapture"])
            .env("PUBLISH_FOLDER", files.folder.path())
            .env("PUBLISH_JOB", &job)
            .env("FTRACK_SERVER", server.url())
            .env("FTRACK_API_USER", server.api_user())
            .env("FTRACK_API_KEY", server.api_key())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        assert!(lines.any(|line| line.unwrap().contains("ready")));
        thread::sleep(Duration::from_millis(fastrand::u64(
            0..25 * (1 + round % 14),
        )));
        ended_early += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let publish = files
            .publish(&session, &job)
            .location(server_location(&session));
        session.publish(&publish).unwrap();
        files.check(&other, &server_location(&other));
    }
    println!("{ended_early} of {rounds} were killed before they had ended");
    assert!(ended_early >= 4, "{ended_early}");
}

#[test]
fn two_machines_with_one_key_make_one_version() {
    let server = emulator();
    let machines = [(); 4].map(|()| builder(&server).open().unwrap());
    let (other, machines) = machines.split_first().unwrap();
    for round in 0..12 {
        let on_disk = round % 2 == 1;
        let job = format!("plate {round}");
        let (files, mount) = (Files::of(&job), tempfile::tempdir().unwrap());
        let place = |session: &Session| match on_disk {
            true => disk(session, mount.path()),
            false => server_location(session),
        };
        let location = place(other);
        let barrier = Barrier::new(machines.len());
        let publish = |session: &Session| {
            let publish = files.publish(session, &job).location(place(session));
            barrier.wait();
            session.publish(&publish).unwrap().version.id()
        };
        let versions: Vec<String> = thread::scope(|threads| {
            let publish = &publish;
            let running: Vec<_> = machines
                .iter()
                .map(|session| threads.spawn(move || publish(session)))
                .collect();
            let ended = running.into_iter().map(|machine| machine.join().unwrap());
            ended.collect()
        });
        assert!(versions.iter().all(|id| *id == versions[0]), "{versions:?}");
        files.check(other, &location);
    }
}

#[test]
fn a_key_of_another_publish_is_refused() {
    let studio = Studio::new();
    let (session, files) = (&studio.session, Files::new());
    let server = server_location(session);
    session
        .publish(&files.publish(session, "job").location(&server))
        .unwrap();
    let shot = session.at("test/ep01/sq010/sh0010").unwrap();
    let main = |publish: Publish| {
        let publish = publish.asset_type("Generic").key("job");
        publish.file("main", files.path("main.mov"))
    };
    let check = |publish: Publish, expected: &str| {
        let error = session.publish(&publish.location(&server)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(session.recorded_operations().is_empty());
    };
    check(main(Publish::new(&shot, "comp")), "\"job\" was used for");
    check(
        main(Publish::new(&studio.project(), "plate")),
        "whose parent was",
    );
    check(main(Publish::new(&shot, "plate")), "whose components was");
    check(
        files.publish(session, "job").asset_type("Geometry"),
        "whose asset_type was \"generic\"",
    );
    std::fs::write(files.path("main.mov"), "other bytes").unwrap();
    check(files.publish(session, "job"), "is 11, but");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_done() {
    let studio = Studio::new();
    let (session, files) = (&studio.session, Files::new());
    let shot = session.at("test/ep01/sq010/sh0010").unwrap();
    let new = || Publish::new(&shot, "plate");
    let check = |publish: Publish, kind: ErrorKind, expected: &str| {
        let error = session.publish(&publish).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        new().asset_type("Genric"),
        ErrorKind::NotFound,
        "no AssetType with the name \"Genric\"",
    );
    check(new().status("Fine"), ErrorKind::NotFound, "\"Fine\"");
    check(
        new().file("a", "/nowhere/x.mov"),
        ErrorKind::NotFound,
        "/nowhere/x.mov",
    );
    check(
        new().file("a", files.path("f.%04d.exr [1-9]")),
        ErrorKind::NotFound,
        "f.0004.exr",
    );
    check(
        new().thumbnail("/nowhere/x.png"),
        ErrorKind::NotFound,
        "x.png",
    );
    let twice = new()
        .file("a", files.path("main.mov"))
        .file("a", files.path("main.mov"));
    check(twice, ErrorKind::Validation, "two files are called \"a\"");
    check(
        new().file("a", files.path("f.%04d.exr")),
        ErrorKind::NotFound,
        "name the frames of a sequence",
    );
    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    check(
        Publish::new(&task, "plate"),
        ErrorKind::Validation,
        "give the task by `task`",
    );
    check(new().task(&shot), ErrorKind::WrongType, "must be a Task");
    check(new().uses(&shot), ErrorKind::WrongType, "AssetVersion");
    check(new().note("x", &shot), ErrorKind::WrongType, "a Resource");
    check(new().key(""), ErrorKind::Validation, "the key");
    check(Publish::new(&shot, " "), ErrorKind::Validation, "the asset");
    let version = session
        .query("AssetVersion")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    check(
        Publish::new(&version, "x"),
        ErrorKind::WrongType,
        "not a context",
    );
    let found = session
        .query("Asset where name is plate and parent.name is sh0010")
        .unwrap();
    assert!(!found.exists().unwrap());
}

#[test]
fn the_steps_are_told_when_they_begin_and_when_they_are_done() {
    let studio = Studio::new();
    let (session, files) = (&studio.session, Files::new());
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let publish = |key: &str| {
        let told = told.clone();
        let publish = files.publish(session, key);
        publish
            .note("Please look.", Vec::<ftrack_api::Entity>::new())
            .location(server_location(session))
            .on_step(move |step| told.lock().unwrap().push(step.to_string()))
    };
    let first = publish("job");
    let plan = session.plan_publish(&first).unwrap();
    let steps: Vec<String> = plan.steps().iter().map(|step| step.what.clone()).collect();
    plan.run().unwrap();
    let seen = std::mem::take(&mut *told.lock().unwrap());
    let (begun, done): (Vec<_>, Vec<_>) = seen.iter().partition(|step| !step.starts_with("done: "));
    assert_eq!(begun, steps.iter().collect::<Vec<_>>());
    let done: Vec<&str> = done
        .iter()
        .map(|step| step.trim_start_matches("done: "))
        .collect();
    assert_eq!(done, steps);
    assert_eq!(seen.last().unwrap(), "done: encode review");
    // What is done already is not reported.
    session.publish(&first).unwrap();
    assert_eq!(told.lock().unwrap().len(), 0);
}
