//! Components made of files: single ones, sequences, containers, thumbnails, media.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ftrack_api::accessor::{Accessor, AccessorExt, Content, DiskAccessor};
use ftrack_api::location::{
    Binding, COMPONENT_ADDED_TO_LOCATION_TOPIC, SERVER_LOCATION_ID, Target,
};
use ftrack_api::session::EncodeOptions;
use ftrack_api::structure::{EntityIdStructure, StandardStructure, Structure, StructureContext};
use ftrack_api::{
    Entity, ErrorKind, Location, Result, Session,
    transport::{Request, Response, Transport},
};
use ftrack_api::{data, expr};
use serde_json::json;
use support::{builder, emulator, open, read, requests, secret};
use tempfile::TempDir;

struct Stage {
    server: ftrack_emulator::Emulator,
    session: Session,
    version: Entity,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let server = emulator();
        let session = open(&server);
        let project = session.query("Project where name is test").unwrap();
        let project = project.one().unwrap();
        let create = |entity_type: &str, data| session.create(entity_type, data).unwrap();
        let folder = create(
            "Folder",
            data! { "name": "Über Folder", "parent": &project },
        );
        let asset = create("Asset", data! { "name": "Plate A", "parent": &folder });
        let version = create("AssetVersion", data! { "asset": &asset });
        session.commit().unwrap();
        Self {
            server,
            session,
            version,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn at_server(&self) -> Location {
        self.session.location("ftrack.server").unwrap()
    }

    fn disk(&self) -> (Location, DiskAccessor) {
        let disk = DiskAccessor::new(self.folder.path().join("disk")).unwrap();
        let binding = Binding::new().accessor(disk.clone());
        (self.bound("test.disk", binding), disk)
    }

    /// A disk with a structure that needs no version.
    fn bound_by_id(&self, name: &str) -> Location {
        let disk = DiskAccessor::new(self.folder.path().join(name)).unwrap();
        let location = self.bound(name, Binding::new());
        location.bind(Binding::new().accessor(disk).structure(EntityIdStructure));
        location
    }

    fn bound(&self, name: &str, binding: Binding) -> Location {
        let data = data! { "name": name };
        self.session.ensure("Location", data, "name").unwrap();
        let location = self.session.location(name).unwrap();
        location.bind(binding.structure(StandardStructure::new()));
        location
    }

    /// A sequence of four frames, and what is in them.
    fn frames(&self) -> (String, Vec<Vec<u8>>) {
        let frames = [1u8, 2, 3, 5].map(|number| vec![number; 1000 + number as usize]);
        for frame in &frames {
            self.file(&format!("seq.{:04}.exr", frame[0]), frame);
        }
        let path = self.folder.path().join("seq.%04d.exr [1-3, 5]");
        (path.to_str().unwrap().to_owned(), frames.to_vec())
    }

    /// How many components a session sees that knows nothing yet.
    fn on_server(&self, component: &Entity) -> u64 {
        let query = expr!("Component where id is {}", component.id());
        open(&self.server).query(query).unwrap().count().unwrap()
    }
}

#[test]
fn a_file_becomes_a_component_of_a_version() {
    let stage = Stage::new();
    let path = stage.file("plate.0001.exr", b"12345");
    let server = stage.at_server();
    let data = data! { "name": "main", "version_id": "somebody else's" };
    let made = stage
        .version
        .create_component(&path, data, &server)
        .unwrap();
    assert!(stage.session.created().is_empty());

    let other = open(&stage.server);
    let seen = other.get("FileComponent", made.id()).unwrap().unwrap();
    assert_eq!(seen.get::<String>("file_type").unwrap(), ".exr");
    assert_eq!(seen.get::<i64>("size").unwrap(), 5);
    assert_eq!(
        seen.get::<String>("version.id").unwrap(),
        stage.version.id()
    );
    let location = other.location("ftrack.server").unwrap();
    assert_eq!(location.get_resource_identifier(&seen).unwrap(), made.id());
    assert_eq!(read(&location, &seen), b"12345");
    let availability = seen.get_availability().unwrap();
    assert_eq!(availability[SERVER_LOCATION_ID], 100.0);
    assert_eq!(availability.values().sum::<f64>(), 100.0);
    let task = other.query("Task").unwrap().first().unwrap().unwrap();
    let wrong = task.create_component(&path, data! {}, Target::Auto);
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::WrongType);
}

#[test]
fn names_in_paths_are_those_of_python() {
    // What `ftrack_api.structure.standard.StandardStructure` of ftrack-python-api 3.1.0 returns.
    let check = |substitute, expected: &[(&str, &str)]| {
        let structure = StandardStructure::new().illegal_character_substitute(substitute);
        for (name, part) in expected {
            assert_eq!(structure.sanitise_for_filesystem(name), *part, "{name:?}");
        }
    };
    let expected = [
        ("東京", ""),
        ("大阪", ""),
        ("東京 2", "_2"),
        ("日 本", "_"),
        ("ä", "a"),
        ("e\u{301}", "e"),
        ("Straße", "strae"),
        ("½", "12"),
        ("K\u{212a}", "kk"),
        ("İ", "i"),
        ("...", "..."),
        ("a/b", "a_b"),
        ("a\\b", "a_b"),
        ("a\nb", "a_b"),
        (" a ", "_a_"),
        ("\u{a0}", "_"),
        ("", ""),
    ];
    check("_", &expected);
    check("X", &[("a/b", "axb"), ("A b.EXR", "axb.exr")]);
    check(" ", &[(" a ", "a"), ("日 本", "")]);
    check("", &[("a b", "ab")]);
}

#[test]
fn a_name_of_which_nothing_is_left_has_no_place() {
    let stage = Stage::new();
    let create = |entity_type: &str, data| stage.session.create(entity_type, data).unwrap();
    let project = stage.version.get::<Entity>("asset.parent.parent").unwrap();
    let version = |folder: &str| {
        let folder = create("Folder", data! { "name": folder, "parent": &project });
        let asset = create("Asset", data! { "name": "Plate", "parent": &folder });
        let version = create("AssetVersion", data! { "asset": &asset });
        stage.session.commit().unwrap();
        version
    };
    let place = |structure: &StandardStructure, entity_type, version: &Entity, name: &str| {
        let component = create(entity_type, data! { "name": name, "version": version });
        structure
            .get_resource_identifier(&component, &StructureContext::default())
            .map_err(|error| error.downcast::<ftrack_api::Error>().unwrap())
    };
    let strict = StandardStructure::new();
    let check_refused = |version: &Entity, name: &str, bad: &str| {
        for entity_type in ["FileComponent", "ContainerComponent"] {
            let error = place(&strict, entity_type, version, name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation);
            let text = error.to_string();
            assert!(text.contains(&format!("{bad:?}")), "{text}");
            assert!(text.contains("keep_illegal_characters"), "{text}");
        }
    };
    let names = ["東京", ".", "..", "..."];
    for name in names {
        check_refused(&version(name), "main", name);
    }
    let good = version("Tōkyō");
    for name in names {
        check_refused(&good, name, name);
    }
    let below = "test/tokyo/plate/v001";
    let sequence = place(&strict, "SequenceComponent", &good, "東京").unwrap();
    assert_eq!(sequence, format!("{below}/.%d"));
    let file = place(&strict, "FileComponent", &good, "東京.1").unwrap();
    assert_eq!(file, format!("{below}/.1"));

    let kept = StandardStructure::new().keep_illegal_characters(true);
    let version = version("大阪/b");
    let file = place(&kept, "FileComponent", &version, "東京").unwrap();
    assert_eq!(file, "test/大阪_b/Plate/v001/東京");
    assert!(place(&kept, "FileComponent", &version, "..").is_err());
}

#[test]
fn an_empty_folder_for_versions_below_a_project_is_none() {
    let stage = Stage::new();
    let create = |entity_type: &str, data| stage.session.create(entity_type, data).unwrap();
    let project = stage.version.get::<Entity>("asset.parent.parent").unwrap();
    let asset = create("Asset", data! { "name": "Brief", "parent": &project });
    let version = create("AssetVersion", data! { "asset": &asset });
    stage.session.commit().unwrap();
    let data = data! { "name": "main", "file_type": ".pdf", "version": &version };
    let file = create("FileComponent", data);
    for (folder, expected) in [("", "test/brief"), ("All", "test/all/brief")] {
        let structure = StandardStructure::new().project_versions_prefix(folder);
        let place = structure.get_resource_identifier(&file, &StructureContext::default());
        assert_eq!(place.unwrap(), format!("{expected}/v001/main.pdf"));
    }
}

#[test]
fn without_a_location_nothing_is_sent_and_by_itself_it_is_the_first() {
    let stage = Stage::new();
    let session = &stage.session;
    let path = stage.file("notes.tar.gz", b"n");
    let mut made = None;
    let sent = requests(session, || {
        let data = data! { "name": "later" };
        made = Some(
            session
                .create_component(&path, data, Target::Nowhere)
                .unwrap(),
        );
    });
    let made = made.unwrap();
    assert_eq!((sent, session.created().len()), (0, 1));
    assert_eq!(made.get::<String>("file_type").unwrap(), ".gz");
    // Later it can be added from where it was.
    let origin = session.location("ftrack.origin").unwrap();
    assert_eq!(origin.get_resource_identifier(&made).unwrap(), path);
    stage.at_server().add_component(&made, &origin).unwrap();
    assert_eq!(read(&stage.at_server(), &made), b"n");

    let auto = session
        .create_component(&path, data! {}, Target::Auto)
        .unwrap();
    let unmanaged = session.location("ftrack.unmanaged").unwrap();
    assert_eq!(unmanaged.get_resource_identifier(&auto).unwrap(), path);
    assert_eq!(
        unmanaged.get_filesystem_path(&auto).unwrap().to_str(),
        Some(path.as_str())
    );
    let data = data! { "name": "ftrackreview-mp4" };
    let review = session.create_component(&path, data, Target::Auto).unwrap();
    let picked = session.pick_location_of(&review).unwrap().unwrap();
    assert_eq!(picked.name().unwrap(), "ftrack.review");
}

/// As in Python, the members are there before anything is committed.
#[test]
fn a_sequence_that_is_not_committed_has_its_members() {
    let stage = Stage::new();
    let (path, frames) = stage.frames();
    let made = stage
        .session
        .create_component(&path, data! {}, Target::Nowhere)
        .unwrap();
    let members: Vec<Entity> = made.get("members").unwrap();
    let names = members.iter().map(|one| one.get::<String>("name").unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["0001", "0002", "0003", "0005"]);

    let (origin, server) = (
        stage.session.location("ftrack.origin").unwrap(),
        stage.at_server(),
    );
    server.add_component(&made, &origin).unwrap();
    for (member, frame) in members.iter().zip(&frames) {
        assert_eq!(&read(&server, member), frame);
    }
    let other = open(&stage.server);
    let seen = other.get("SequenceComponent", made.id()).unwrap().unwrap();
    assert_eq!(seen.collection("members").unwrap().len().unwrap(), 4);
    let availability = seen.get_availability().unwrap();
    assert_eq!(availability[SERVER_LOCATION_ID], 100.0);
    assert_eq!(made.collection("members").unwrap().len().unwrap(), 4);
    let both = [made.clone(), members[0].clone()];
    server.remove_component(&members[0]).unwrap();
    let percent = server.get_component_availabilities(&both).unwrap();
    assert_eq!(percent, [75.0, 0.0]);
    assert_eq!(server.get_component_availability(&made).unwrap(), 75.0);
}

#[test]
fn a_size_that_is_given_is_shared_out_among_the_frames() {
    let stage = Stage::new();
    let (path, _) = stage.frames();
    for data in [data! { "size": 401 }, data! { "size": 401.0 }] {
        let create = stage.session.create_component(&path, data, Target::Nowhere);
        let made = create.unwrap();
        assert_eq!(made.get::<f64>("size").unwrap(), 401.0);
        for member in made.get::<Vec<Entity>>("members").unwrap() {
            assert_eq!(member.get::<f64>("size").unwrap(), 100.0);
        }
    }
}

#[test]
fn a_sequence_goes_in_and_comes_back() {
    let stage = Stage::new();
    let (path, frames) = stage.frames();
    let server = stage.at_server();
    let data = data! { "name": "frames" };
    let made = stage
        .version
        .create_component(&path, data, &server)
        .unwrap();
    assert_eq!(made.entity_type(), "SequenceComponent");

    let other = open(&stage.server);
    let seen = other.get("SequenceComponent", made.id()).unwrap().unwrap();
    assert_eq!(seen.get::<i64>("padding").unwrap(), 4);
    assert_eq!(seen.get::<String>("file_type").unwrap(), ".exr");
    assert_eq!(seen.get::<i64>("size").unwrap(), 4011);
    let mut members: Vec<Entity> = seen.get("members").unwrap();
    members.sort_by_key(|member| member.get::<String>("name").unwrap());
    let names = members
        .iter()
        .map(|member| member.get::<String>("name").unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["0001", "0002", "0003", "0005"]);
    let location = other.location("ftrack.server").unwrap();
    for (member, frame) in members.iter().zip(&frames) {
        assert_eq!(&read(&location, member), frame);
    }
    let share = |component| location.get_component_availability(component).unwrap();
    assert_eq!(share(&seen), 100.0);
    location.remove_component(&members[0]).unwrap();
    assert_eq!(share(&seen), 75.0);
    let picked = other.pick_location_of(&seen).unwrap().unwrap();
    assert_eq!(picked, location);
}

#[test]
fn the_standard_structure_names_files_as_in_python() {
    let stage = Stage::new();
    let (disk, accessor) = stage.disk();
    let (path, frames) = stage.frames();
    let root = "test/uber_folder/plate_a/v001";
    let frames_made = stage
        .version
        .create_component(&path, data! { "name": "Main Plate" }, &disk);
    let frames_made = frames_made.unwrap();
    let asked = disk.get_resource_identifier(&frames_made).unwrap();
    assert_eq!(asked, format!("{root}/main_plate.%04d.exr"));
    let second = format!("{root}/main_plate.0002.exr");
    assert_eq!(accessor.read_bytes(&second).unwrap(), frames[1]);

    let file = stage.file("a.PDF", b"pdf");
    let made = stage
        .version
        .create_component(&file, data! { "name": "Brief" }, &disk)
        .unwrap();
    assert_eq!(
        disk.get_resource_identifier(&made).unwrap(),
        format!("{root}/brief.pdf")
    );

    // A container with a file, and its folder.
    let session = &stage.session;
    let container = data! { "name": "Bundle", "version": &stage.version };
    let container = session.create("ContainerComponent", container).unwrap();
    let part = data! { "name": "Part", "container": &container };
    let part = session
        .create_component(&file, part, Target::Nowhere)
        .unwrap();
    container
        .collection("members")
        .unwrap()
        .push(&part)
        .unwrap();
    let origin = session.location("ftrack.origin").unwrap();
    disk.add_component(&container, &origin).unwrap();
    assert_eq!(
        accessor
            .read_bytes(&format!("{root}/bundle/part.pdf"))
            .unwrap(),
        b"pdf"
    );
    assert_eq!(
        disk.get_resource_identifier(&container).unwrap(),
        format!("{root}/bundle")
    );

    disk.remove_component(&container).unwrap();
    assert!(!accessor.exists(&format!("{root}/bundle")).unwrap());
    disk.remove_components(&[made, frames_made], true).unwrap();
    assert_eq!(accessor.list(root).unwrap(), Vec::<String>::new());
}

#[test]
fn a_sequence_costs_few_requests_however_long_it_is() {
    let stage = Stage::new();
    let (disk, _) = stage.disk();
    let count = |frames: u32, name: &str| {
        for frame in 0..frames {
            stage.file(&format!("{name}.{frame}.txt"), b"x");
        }
        let path = stage
            .folder
            .path()
            .join(format!("{name}.%d.txt [0-{}]", frames - 1));
        requests(&stage.session, || {
            let data = data! { "name": name };
            stage.version.create_component(path, data, &disk).unwrap();
        })
    };
    count(2, "few");
    assert_eq!(count(60, "many"), 1, "one commit");
}

/// Stores on a disk that is full after some files.
struct Full(DiskAccessor, AtomicU64);

impl Accessor for Full {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.0.open(resource_identifier)
    }
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        if self.1.fetch_sub(1, Ordering::SeqCst) == 0 {
            anyhow::bail!("no space left");
        }
        self.0.write(resource_identifier, content)
    }
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.0.exists(resource_identifier)
    }
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.0.remove(resource_identifier)
    }
}

#[test]
fn a_component_that_cannot_be_stored_was_never_made() {
    let stage = Stage::new();
    let (path, _) = stage.frames();
    let root = stage.folder.path().join("full");
    let disk = DiskAccessor::new(&root).unwrap();
    let accessor = Full(disk.clone(), AtomicU64::new(2));
    let location = stage.bound("test.full", Binding::new().accessor(accessor));
    let before = stage.session.query("Component").unwrap().count().unwrap();
    let error = stage.version.create_component(&path, data! {}, &location);
    assert!(error.unwrap_err().to_string().contains("no space left"));
    assert_eq!(stage.session.recorded_operations(), []);
    assert_eq!(
        stage.session.query("Component").unwrap().count().unwrap(),
        before
    );
    assert_eq!(
        disk.list("test/uber_folder/plate_a/v001").unwrap(),
        Vec::<String>::new()
    );

    let missing = stage.folder.path().join("nobody.exr");
    let missing = stage
        .version
        .create_component(missing, data! {}, stage.at_server());
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(stage.session.recorded_operations(), []);
}

#[test]
fn invalid_patterns_are_errors() {
    let stage = Stage::new();
    for (path, kind) in [
        ("f.%04d.exr [1-1000000000]", ErrorKind::Validation),
        ("f.%04d.exr [0-18446744073709551614]", ErrorKind::Validation),
        ("f.%04d.exr [5-1]", ErrorKind::Syntax),
        ("f.%04d.exr [1,]", ErrorKind::Syntax),
    ] {
        let made = stage
            .session
            .create_component(path, data! {}, Target::Nowhere);
        assert_eq!(made.unwrap_err().kind(), kind, "{path}");
    }
    assert!(stage.session.created().is_empty());
}

#[test]
fn a_subscriber_may_know_the_file_type_better() {
    let stage = Stage::new();
    let topic = "topic=ftrack.api.session.get-file-type-from-string";
    let subscribed = stage.session.event_hub().subscribe(topic, |event| {
        let path = event.data()["file_path"].as_str().unwrap_or_default();
        Ok(path.ends_with(".bgeo.sc").then(|| json!(".bgeo.sc")))
    });
    subscribed.unwrap();
    for (name, expected) in [
        ("sim.bgeo.sc", ".bgeo.sc"),
        ("a.exr", ".exr"),
        (".hidden", ""),
    ] {
        let path = stage.file(name, b"");
        let made = stage
            .session
            .create_component(path, data! {}, Target::Nowhere);
        assert_eq!(made.unwrap().get::<String>("file_type").unwrap(), expected);
    }
}

#[test]
fn a_read_only_session_moves_nothing() {
    let stage = Stage::new();
    let path = stage.file("safe.txt", b"safe");
    let data = data! { "name": "safe" };
    let made = stage
        .version
        .create_component(&path, data, stage.at_server())
        .unwrap();
    let session = builder(&stage.server).read_only(true).open().unwrap();
    let server = session.location("ftrack.server").unwrap();
    let seen = session.get("FileComponent", made.id()).unwrap().unwrap();
    let removed = server.remove_component(&seen).unwrap_err();
    assert_eq!(removed.kind(), ErrorKind::ReadOnly);
    let raw = server.accessor().unwrap();
    assert!(raw.remove(&seen.id()).is_err() && raw.write_bytes(&seen.id(), b"bad").is_err());
    assert_eq!(read(&server, &seen), b"safe");
}

#[test]
fn others_hear_of_what_was_added() {
    let stage = Stage::new();
    let other = open(&stage.server);
    for session in [&stage.session, &other] {
        session.event_hub().connect().unwrap();
    }
    let options = ftrack_api::hub::SubscribeOptions::new().acknowledged(Duration::from_secs(60));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let topic = format!("topic={COMPONENT_ADDED_TO_LOCATION_TOPIC}");
    let subscribed = other
        .event_hub()
        .subscribe_with(topic.as_str(), options, move |event| {
            hears.lock().unwrap().push(event.data().clone());
            Ok(None)
        });
    subscribed.unwrap();
    let path = stage.file("heard.txt", b"h");
    let made = stage
        .version
        .create_component(&path, data! {}, stage.at_server())
        .unwrap();
    let expected = json!({"component_id": made.id(), "location_id": SERVER_LOCATION_ID});
    for _ in 0..1200 {
        other.event_hub().wait(Duration::from_millis(50)).unwrap();
        if !heard.lock().unwrap().is_empty() {
            break;
        }
    }
    assert_eq!(*heard.lock().unwrap(), [expected]);
}

#[test]
fn thumbnails_and_media() {
    let stage = Stage::new();
    let path = stage.file("still.png", b"not really an image");
    let thumbnail = stage.version.create_thumbnail(&path, data! {}).unwrap();
    let other = open(&stage.server);
    let seen = other
        .get("AssetVersion", stage.version.id())
        .unwrap()
        .unwrap();
    assert_eq!(seen.get::<String>("thumbnail.id").unwrap(), thumbnail.id());
    assert_eq!(seen.get::<String>("thumbnail.name").unwrap(), "thumbnail");

    let job = stage
        .version
        .encode_media(&thumbnail, EncodeOptions::new())
        .unwrap();
    assert_eq!(job.entity_type(), "Job");
    let data: String = job.get("data").unwrap();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["source_component_id"], thumbnail.id());
    assert_eq!(data["keep_original"], true);
    let clip = stage.file("clip.mov", b"m");
    let job = stage
        .session
        .encode_media(&clip, EncodeOptions::new())
        .unwrap();
    let data: serde_json::Value =
        serde_json::from_str(&job.get::<String>("data").unwrap()).unwrap();
    assert_eq!(data["keep_original"], false);
    let wrong = stage
        .session
        .encode_media(&stage.version, EncodeOptions::new());
    assert_eq!(wrong.unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(stage.on_server(&thumbnail), 1);
}

/// How the next `encode_media` fails.
type Failure = Arc<Mutex<Option<fn() -> Result<Response>>>>;

/// Passes everything on but `encode_media`, which fails in the given way.
struct NoEncoder {
    inner: Box<dyn Transport>,
    fails: Failure,
}

impl Transport for NoEncoder {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let text = String::from_utf8_lossy(request.body);
        match *self.fails.lock().unwrap() {
            Some(fails) if text.contains("\"encode_media\"") => fails(),
            _ => self.inner.send(request),
        }
    }
}

#[test]
fn a_failed_encoding_leaves_nothing_behind_and_can_be_repeated() {
    let server = emulator();
    let fails = Failure::default();
    let shared = fails.clone();
    let session = builder(&server)
        .retry(ftrack_api::config::Retry::off())
        .wrap_transport(move |inner| NoEncoder {
            inner,
            fails: shared,
        })
        .open()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mov");
    fs::write(&path, b"m").unwrap();
    let stored = || -> Vec<String> {
        let clips = open(&server)
            .query("FileComponent where file_type is '.mov' and size is 1")
            .unwrap();
        let clips = clips.all().unwrap();
        clips.iter().map(Entity::id).collect()
    };
    let encode = || session.encode_media(&path, EncodeOptions::new());

    *fails.lock().unwrap() = Some(|| {
        let body =
            r#"{"exception": "ServerError", "content": "no encoder today", "error_code": null}"#;
        Ok(Response {
            status: 500,
            headers: Vec::new(),
            body: Box::new(Cursor::new(body)),
        })
    });
    let error = encode().unwrap_err();
    assert!(error.to_string().contains("no encoder today"), "{error}");
    assert_eq!(stored().len(), 0, "{:?}", stored());
    assert!(session.recorded_operations().is_empty());

    *fails.lock().unwrap() = Some(|| Err(ftrack_api::Error::new(ErrorKind::Connection, "cut off")));
    let error = encode().unwrap_err();
    let left = stored();
    assert_eq!(left.len(), 1, "its encoding may have begun");
    assert!(error.to_string().contains(&left[0]), "{error}");

    *fails.lock().unwrap() = None;
    let left = session.get("FileComponent", &left[0]).unwrap().unwrap();
    session.encode_media(&left, EncodeOptions::new()).unwrap();
    encode().unwrap();
    let frames = session.encode_media("frames.%04d.exr [1-3]", EncodeOptions::new());
    assert_eq!(frames.unwrap_err().kind(), ErrorKind::WrongType);
}

#[test]
fn a_refused_thumbnail_leaves_nothing_behind_and_can_be_repeated() {
    let stage = Stage::new();
    let session = &stage.session;
    let path = stage.file("still.png", b"not really an image");
    let create = |parent: &Entity| {
        let data = data! { "asset": &parent.get::<Entity>("asset").unwrap() };
        let version = session.create("AssetVersion", data).unwrap();
        session.commit().unwrap();
        version
    };
    let version = create(&stage.version);
    let other = open(&stage.server);
    let stills = || {
        let stills = other.query("FileComponent where name is 'thumbnail'");
        stills.unwrap().count().unwrap()
    };
    let before = stills();

    // Another session deletes it, so that the server refuses the change.
    let same = other.get("AssetVersion", version.id()).unwrap().unwrap();
    other.delete(&same).unwrap();
    other.commit().unwrap();
    version.create_thumbnail(&path, data! {}).unwrap_err();
    assert_eq!(session.recorded_operations(), []);
    assert_eq!(stills(), before);

    // What is known to be gone gets no upload.
    let version = create(&stage.version);
    session.delete(&version).unwrap();
    let error = version.create_thumbnail(&path, data! {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(session.recorded_operations().len(), 1);
    session.commit().unwrap();
    stage.version.create_thumbnail(&path, data! {}).unwrap();
    assert_eq!(stills(), before + 1);
}

#[test]
fn a_refused_removal_leaves_nothing_recorded() {
    let stage = Stage::new();
    let session = &stage.session;
    let path = stage.file("still.png", b"not really an image");
    let still = stage.version.create_thumbnail(&path, data! {}).unwrap();
    // What is recorded beside it is refused.
    let nowhere = "00000000-0000-0000-0000-000000000000";
    let bad = data! { "name": "x", "parent_id": nowhere };
    let bad = session.create("Folder", bad).unwrap();
    let server = stage.at_server();
    server.remove_component(&still).unwrap_err();
    assert_eq!(session.recorded_operations().len(), 1);
    session.delete(&bad).unwrap();
    assert!(server.remove_component(&still).unwrap());
    assert!(!server.remove_component(&still).unwrap());
}

/// Counts what is read of it, and has no end.
struct Counted(Arc<std::sync::atomic::AtomicUsize>);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len();
        self.0.fetch_add(count, std::sync::atomic::Ordering::SeqCst);
        Ok(count)
    }
}

#[test]
fn an_upload_reads_no_more_than_was_announced() {
    let stage = Stage::new();
    let path = stage.file("still.png", b"0123456789");
    let still = stage.version.create_thumbnail(&path, data! {}).unwrap();
    let accessor = stage.at_server().accessor().unwrap();
    let read = Arc::default();
    let endless = Counted(Arc::clone(&read));
    let mut content = Content::new(endless).with_size(10);
    let error = accessor.write(&still.id(), &mut content).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("at least 11 bytes, and 10 were"), "{text}");
    assert_eq!(read.load(std::sync::atomic::Ordering::SeqCst), 11);
    let mut content = Content::new(&b"1234"[..]).with_size(10);
    let error = accessor.write(&still.id(), &mut content).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("4 bytes, and 10 were"), "{text}");
    let mut content = Content::new(&b"1234"[..]).with_size(4);
    accessor.write(&still.id(), &mut content).unwrap();
}

/// A server whose files are on another one, which breaks off in the middle.
struct Elsewhere {
    schemas: serde_json::Value,
    bytes: Vec<u8>,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Breaks;

impl Read for Breaks {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("reset by peer"))
    }
}

impl Transport for Elsewhere {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let response = |status, headers: &[(&str, String)], body: Box<dyn Read + Send>| Response {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            body,
        };
        let line = format!("{} {:?}", request.url, request.headers);
        if request.url.path() == "/api" {
            let information = json!({"version": "dev", "schema_hash": null});
            let replies = json!([information, self.schemas]).to_string();
            return Ok(response(200, &[], Box::new(Cursor::new(replies))));
        }
        self.seen.lock().unwrap().push(line);
        if request.url.host_str() == Some("studio.example") {
            let target = "https://storage.example/bucket/file?signature=1".to_owned();
            return Ok(response(
                302,
                &[("location", target)],
                Box::new(std::io::empty()),
            ));
        }
        let range = request
            .headers
            .iter()
            .find(|(name, _)| name == "range")
            .unwrap();
        let first: usize = range.1["bytes=".len()..]
            .split('-')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let rest = self.bytes[first..].to_vec();
        let range = format!(
            "bytes {first}-{}/{}",
            self.bytes.len() - 1,
            self.bytes.len()
        );
        let body: Box<dyn Read + Send> = match first {
            0 => Box::new(Cursor::new(rest).take(1000).chain(Breaks)),
            _ => Box::new(Cursor::new(rest)),
        };
        Ok(response(206, &[("content-range", range)], body))
    }
}

#[test]
fn a_redirected_download_goes_on_where_it_broke_off_and_carries_no_credentials() {
    let emulator = emulator();
    let schemas = open(&emulator)
        .call(&[json!({"action": "query_schemas"})])
        .unwrap();
    let bytes: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let session = builder(&emulator)
        .server_url("https://studio.example")
        .api_key(secret("s3cret-key"))
        .cookie("studio", secret("c00kie-to-keep"))
        .transport(Elsewhere {
            schemas: schemas[0].clone(),
            bytes: bytes.clone(),
            seen: seen.clone(),
        })
        .open()
        .unwrap();
    let accessor = session
        .location("ftrack.server")
        .unwrap()
        .accessor()
        .unwrap();
    assert!(accessor.read_bytes("some-id").unwrap() == bytes);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4, "twice to the server, twice to the storage");
    for line in seen.iter() {
        let own = line.starts_with("https://studio.example/component/get?id=some-id&");
        assert_eq!(
            line.contains("s3cret-key") && line.contains(secret("c00kie-to-keep")),
            own,
            "{line}"
        );
        assert_eq!(
            line.contains("s3cret-key") || line.contains(secret("c00kie-to-keep")),
            own,
            "{line}"
        );
    }
}

#[test]
fn a_storage_scenario_binds_the_studios_location() {
    let emulator = emulator();
    let schemas = open(&emulator)
        .call(&[json!({"action": "query_schemas"})])
        .unwrap();
    let mount = tempfile::tempdir().unwrap();
    let mount_point = mount.path().to_str().unwrap();
    for (points, is_bound) in [
        (
            json!({"linux": mount_point, "osx": mount_point, "windows": mount_point}),
            true,
        ),
        (json!({"linux": "", "osx": "", "windows": ""}), false),
        (json!(null), false),
    ] {
        let information = json!({"version": "dev", "storage_scenario": {
            "scenario": "ftrack.centralized-storage",
            "data": {"location_id": "abc", "location_name": "studio", "accessor": {"mount_points": points}},
        }});
        let response = json!([information, schemas[0]]).to_string();
        let script = ftrack_api::transport::ScriptedTransport::new();
        script.respond(200, response);
        let session = builder(&emulator).transport(script).open().unwrap();
        let picked = session.pick_location().unwrap().unwrap();
        assert_eq!(picked.id() == "abc", is_bound);
        if is_bound {
            assert_eq!(picked.name().unwrap(), "studio");
            assert_eq!(picked.priority(), 1);
        }
    }
}

#[test]
fn a_missing_file_is_an_error_unless_it_is_elsewhere() {
    let stage = Stage::new();
    let missing = stage.folder.path().join("missing.mov");
    let (pattern, _) = stage.frames();
    let gap = pattern.replace("[1-3, 5]", "[1-5]");
    for (path, file) in [
        (missing.to_str().unwrap(), "missing.mov"),
        (gap.as_str(), "seq.0004.exr"),
    ] {
        for target in [Target::Auto, Target::Nowhere, Target::In(stage.at_server())] {
            let data = data! { "size": 10 };
            let error = stage.session.create_component(path, data, target);
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains(file), "{error}");
        }
        assert!(stage.session.created().is_empty());
        let made = stage
            .session
            .create_component(path, data! {}, Target::Elsewhere)
            .unwrap();
        assert_eq!(made.get::<i64>("size").unwrap(), 0);
        let unmanaged = stage.session.location("ftrack.unmanaged").unwrap();
        let stored = unmanaged.get_resource_identifier(&made).unwrap();
        assert!(path.starts_with(&stored), "{stored}");
    }
}

#[cfg(unix)]
#[test]
fn only_regular_files_become_components() {
    let stage = Stage::new();
    let fifo = stage.folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let link = stage.folder.path().join("link.exr");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    for path in [&fifo, &link] {
        let error = stage
            .session
            .create_component(path, data! {}, stage.at_server());
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Validation);
        let error = stage
            .session
            .create_component(path, data! {}, Target::Nowhere);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Validation);
        // One that was registered while it was a file.
        let component = stage
            .session
            .create("FileComponent", data! { "name": "replaced" })
            .unwrap();
        let origin = stage.session.location("ftrack.origin").unwrap();
        origin
            .register_component(&component, path.to_str().unwrap())
            .unwrap();
        for target in [stage.at_server(), stage.bound_by_id("test.ids")] {
            let error = target.add_component(&component, &origin).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
        }
        stage.session.delete(&component).unwrap();
    }
}

#[test]
fn a_removal_that_was_interrupted_takes_what_is_left() {
    let stage = Stage::new();
    let (disk, accessor) = stage.disk();
    let (pattern, frames) = stage.frames();
    let made = stage
        .version
        .create_component(&pattern, data! {}, &disk)
        .unwrap();
    let mut members: Vec<Entity> = made.get("members").unwrap();
    members.sort_by_key(|member| member.get::<String>("name").unwrap());
    // The data of one frame was deleted by hand, and another frame was removed by itself.
    fs::remove_file(disk.get_filesystem_path(&members[2]).unwrap()).unwrap();
    assert!(disk.remove_component(&members[0]).unwrap());
    assert!(disk.remove_component(&made).unwrap());
    let root = "test/uber_folder/plate_a/v001";
    assert_eq!(accessor.list(root).unwrap(), Vec::<String>::new());
    assert_eq!(disk.get_component_availability(&made).unwrap(), 0.0);
    assert!(!disk.remove_component(&made).unwrap());
    // Adding takes what is left as well.
    let origin = stage.session.location("ftrack.origin").unwrap();
    disk.add_component(&members[1], &origin).unwrap();
    disk.add_component(&made, &origin).unwrap();
    for (member, frame) in members.iter().zip(&frames) {
        assert_eq!(&read(&disk, member), frame);
    }
    let twice = disk.add_component(&made, &origin).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Duplicate);
    assert!(
        accessor
            .remove(&format!("{root}/nothing"))
            .is_ok_and(|existed| !existed)
    );
    let server = stage.at_server();
    server.add_component(&made, &disk).unwrap();
    server.accessor().unwrap().remove(&members[1].id()).unwrap();
    assert!(server.remove_component(&made).unwrap());
}

/// A server with a schema, whose files never end.
struct Endless {
    schemas: serde_json::Value,
    status: u16,
    header: (&'static str, &'static str),
}

impl Transport for Endless {
    fn send(&self, request: &Request<'_>) -> Result<Response> {
        let response = |status, headers, body: Box<dyn Read + Send>| Response {
            status,
            headers,
            body,
        };
        if request.url.path() == "/api" {
            let information = json!({"version": "dev", "schema_hash": null});
            let replies = json!([information, self.schemas]).to_string();
            return Ok(response(200, Vec::new(), Box::new(Cursor::new(replies))));
        }
        let (name, value) = self.header;
        let headers = vec![(name.to_owned(), value.to_owned())];
        Ok(response(self.status, headers, Box::new(std::io::repeat(7))))
    }
}

#[test]
fn a_download_ends_at_the_announced_size() {
    let emulator = emulator();
    let schemas = open(&emulator)
        .call(&[json!({"action": "query_schemas"})])
        .unwrap();
    for (status, header, is_announced) in [
        (200, ("content-length", "10"), true),
        (206, ("content-range", "bytes 0-9/10"), true),
        (200, ("x-size", "10"), false),
    ] {
        let session = builder(&emulator)
            .transport(Endless {
                schemas: schemas[0].clone(),
                status,
                header,
            })
            .open()
            .unwrap();
        let server = session.location("ftrack.server").unwrap();
        let opened = server.accessor().unwrap().open("some-id");
        if is_announced {
            let mut data = Vec::new();
            opened.unwrap().take(1000).read_to_end(&mut data).unwrap();
            assert_eq!(data, [7; 10]);
        } else {
            let error = opened.err().unwrap().to_string();
            assert!(error.contains("does not announce its size"), "{error}");
        }
    }
}
