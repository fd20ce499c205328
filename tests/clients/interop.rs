//! The SDK and the official Python client on one server: what one writes the other reads,
//! attribute by attribute.
//!
//! `tests/clients/run` installs the client and runs these tests; `FTRACK_CLIENTS_PYTHON` names
//! the Python that has it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use ftrack_api::accessor::DiskAccessor;
use ftrack_api::entity::ValueOrigin;
use ftrack_api::location::{Binding, TransferOptions};
use ftrack_api::structure::{IdStructure, StandardStructure};
use ftrack_api::{
    Data, Entity, Location, Session, SessionBuilder, Value, config::SchemaCache,
    schema::AttributeKind,
};
use ftrack_emulator::Emulator;
use serde_json::{Map, Value as Json, json};

/// A Python process with the official client.
struct Python {
    child: Child,
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Python {
    fn start(server: &Emulator) -> Self {
        let python = std::env::var("FTRACK_CLIENTS_PYTHON")
            .expect("FTRACK_CLIENTS_PYTHON names a Python with the client: see tests/clients/run");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/interop.py");
        let mut child = Command::new(python)
            .arg(script)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONWARNINGS", "ignore")
            .env("FTRACK_SERVER", server.url())
            .env("FTRACK_API_USER", server.api_user())
            .env("FTRACK_API_KEY", server.api_key())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            orders: child.stdin.take(),
            replies: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    #[track_caller]
    fn tell(&mut self, order: &str, subject: &Json) -> Json {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{}", json!({ order: subject })).unwrap();
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        assert!(
            !line.is_empty(),
            "Python ended at {order}; its output says why"
        );
        serde_json::from_str(&line).unwrap()
    }

    /// Every attribute of an entity as the client reads it; null if it is gone.
    fn dump(&mut self, entity_type: &str, id: &str) -> Json {
        self.tell("dump", &json!([[entity_type, id]]))[0].take()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends at the end of its orders.
        self.orders = None;
        let _ = self.child.wait();
    }
}

struct Studio {
    server: Emulator,
    python: Python,
}

impl Studio {
    fn new() -> Self {
        let server = Emulator::builder().tasks(60).start().unwrap();
        let python = Python::start(&server);
        Self { server, python }
    }

    fn builder(&self) -> SessionBuilder {
        Session::builder()
            .server_url(self.server.url())
            .api_key(self.server.api_key())
            .api_user(self.server.api_user())
    }

    /// A session that has seen nothing yet.
    fn open(&self) -> Session {
        self.builder()
            .schema_cache(SchemaCache::Off)
            .open()
            .unwrap()
    }
}

/// Entities of many kinds, with every kind of value that attributes have. Custom attributes are
/// those of the demo studio.
fn entities(session: &Session) -> Vec<Json> {
    let some = |query: &str| {
        let entity = session.query(query).unwrap().first().unwrap().unwrap();
        json!({"key": [entity.entity_type(), entity.id()]})
    };
    let user = some("User where username is jenkins");
    let status = some("Status where name is Approved");
    let at = |label: &str| json!({ "ref": label });
    let when = |text: &str| json!({ "datetime": text });
    let entity =
        |label: &str, kind: &str, set: Json| json!({"label": label, "type": kind, "set": set});
    let mut all = vec![
        entity(
            "project",
            "Project",
            json!({
            "name": "interop", "full_name": "Inter \"op\" \\ 'é' 漢字 \u{1f600}", "is_private": true,
            "project_schema": some("ProjectSchema order by name descending"), "color": "#123456",
            "start_date": when("2026-01-02T00:00:00"), "end_date": Json::Null}),
        ),
        entity(
            "folder",
            "Folder",
            json!({"name": "a folder", "parent": at("project")}),
        ),
        entity(
            "sequence",
            "Sequence",
            json!({"name": "sq010", "parent": at("folder")}),
        ),
        entity(
            "shot",
            "Shot",
            json!({
            "name": "sh010", "parent": at("sequence"), "description": "line\nbreak\ttab"}),
        ),
        entity(
            "task",
            "Task",
            json!({
            "name": "it's \"anim\"", "parent": at("shot"), "bid": 12345.678, "sort": -0.5,
            "description": "", "status": status, "start_date": when("2026-03-04T05:06:07"),
            "end_date": when("1999-12-31T23:59:59")}),
        ),
        entity(
            "comp",
            "Task",
            json!({"name": "null", "parent": at("shot"), "bid": 0}),
        ),
        entity(
            "build",
            "AssetBuild",
            json!({"name": "böld ", "parent": at("project")}),
        ),
        entity(
            "milestone",
            "Milestone",
            json!({
            "name": "delivery", "parent": at("project"), "end_date": when("2026-06-30T12:00:00")}),
        ),
        entity(
            "asset",
            "Asset",
            json!({"name": "plate", "parent": at("shot")}),
        ),
        entity(
            "zero",
            "AssetVersion",
            json!({
            "asset": at("asset"), "version": 0, "is_published": false, "comment": "nil"}),
        ),
        entity(
            "version",
            "AssetVersion",
            json!({
            "asset": at("asset"), "task": at("task"), "comment": "%_\\%", "version": 12}),
        ),
        entity(
            "link",
            "AssetVersionLink",
            json!({"from": at("zero"), "to": at("version")}),
        ),
        entity(
            "dependency",
            "TypedContextLink",
            json!({"from": at("task"), "to": at("comp")}),
        ),
        entity(
            "component",
            "FileComponent",
            json!({
            "name": "main", "file_type": ".exr", "size": 4_294_967_297_u64, "version": at("version")}),
        ),
        entity(
            "sequence_component",
            "SequenceComponent",
            json!({
            "name": "frames", "padding": 4, "version": at("version")}),
        ),
        entity(
            "member",
            "FileComponent",
            json!({
            "name": "1", "container": at("sequence_component")}),
        ),
        entity(
            "timelog",
            "Timelog",
            json!({
            "context": at("task"), "user": user, "duration": 5400.5, "comment": "overtime",
            "start": when("2026-03-04T18:00:00")}),
        ),
        entity(
            "assignment",
            "Appointment",
            json!({
            "context": at("task"), "resource": user, "type": "assignment"}),
        ),
        entity(
            "note",
            "Note",
            json!({
            "content": "Looks \u{1f44d}\r\n- second", "author": user, "is_todo": true,
            "parent_id": {"ref_id": "task"}, "parent_type": "Task"}),
        ),
        entity(
            "list",
            "AssetVersionList",
            json!({
            "name": "dailies", "project": at("project"), "owner": user, "is_open": false,
            "category": some("ListCategory"), "items": [at("version"), at("zero")]}),
        ),
        entity(
            "calendar",
            "CalendarEvent",
            json!({
            "name": "leave", "project": at("project"), "leave": true, "everyone": false,
            "start": when("2026-07-01T00:00:00"), "end": when("2026-07-15T00:00:00")}),
        ),
        entity(
            "review",
            "ReviewSession",
            json!({
            "name": "review", "description": "d", "project": at("project"),
            "start_date": when("2026-01-01T00:00:00"), "end_date": when("2027-01-01T00:00:00")}),
        ),
        entity(
            "job",
            "Job",
            json!({
            "user": user, "status": "running", "data": "{\"description\": \"ü\"}"}),
        ),
        entity(
            "user",
            "User",
            json!({
            "username": "interop@example.com", "first_name": "Zoë", "last_name": Json::Null,
            "is_active": true}),
        ),
    ];
    let mut add = |label: &str, name: &str, values: Json| {
        let entity = all.iter_mut().find(|entity| entity["label"] == label);
        entity.unwrap()[name] = values;
    };
    let strange = json!({"plain": "wide", "ünï key": "漢字", "quote\"'": "\\", "empty": ""});
    add("task", "metadata", strange.clone());
    add("version", "metadata", json!({"of": "version"}));
    add("component", "metadata", json!({"of": "component"}));
    add("task", "custom_attributes", json!({"customNumber": 7}));
    add(
        "shot",
        "custom_attributes",
        json!({"fstart": 1001, "shot_size": "wide"}),
    );
    add(
        "version",
        "custom_attributes",
        json!({"NumberField": 2, "versiontest": 0}),
    );
    add("sequence", "custom_attributes", json!({"htest": 99}));
    add(
        "project",
        "custom_attributes",
        json!({"htest": 5, "delivery_date": when("2026-09-01T00:00:00")}),
    );
    add(
        "user",
        "custom_attributes",
        json!({"teststring": "[not a list]"}),
    );
    all
}

/// What one client wrote, by label.
type Made = BTreeMap<String, (String, String)>;

/// `{"ref_id": label}` stands for a bare id, which must be known when it is written: the entities
/// before it are written first.
fn with_ids(set: &Json, made: &Made) -> Json {
    let mut set = set.clone();
    for value in set.as_object_mut().unwrap().values_mut() {
        if let Some(label) = value["ref_id"].as_str() {
            *value = made[label].1.clone().into();
        }
    }
    set
}

/// A value of the list above as the SDK takes it.
fn value(given: &Json, made: &Made) -> Value {
    let key = |(kind, id): (&str, &str)| ftrack_api::EntityKey::new(kind, id);
    match given {
        Json::Null => Value::Null,
        Json::Bool(given) => Value::from(*given),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap().into(),
        },
        Json::String(text) => text.into(),
        Json::Array(list) => {
            let keys = list.iter().map(|each| match value(each, made) {
                Value::Reference(key) => key,
                other => panic!("{other} in a collection"),
            });
            Value::Collection(keys.collect())
        }
        Json::Object(_) => {
            if let Some(label) = given["ref"].as_str() {
                let (kind, id) = &made[label];
                Value::Reference(key((kind, id)))
            } else if let Some(parts) = given["key"].as_array() {
                Value::Reference(key((
                    parts[0].as_str().unwrap(),
                    parts[1].as_str().unwrap(),
                )))
            } else {
                let instant = given["datetime"].as_str().unwrap();
                Value::DateTime(instant.parse().unwrap())
            }
        }
    }
}

/// The form that a value has in both clients' dumps.
fn dumped(given: &Json, made: &Made) -> Json {
    let mut plain: Json = ftrack_api::entity::FromValue::from_value(value(given, made)).unwrap();
    normalise(&mut plain);
    plain
}

/// Numbers without regard to how they are written, lists of ids without regard to their order.
fn normalise(value: &mut Json) {
    match value {
        Json::Number(number) => *value = number.as_f64().unwrap().into(),
        Json::Array(list) => {
            list.iter_mut().for_each(normalise);
            if list.iter().all(Json::is_string) {
                list.sort_by_key(ToString::to_string);
            }
        }
        Json::Object(map) => map.values_mut().for_each(normalise),
        _ => {}
    }
}

/// Every attribute of an entity as the SDK reads it.
fn dump(entity: &Entity) -> Json {
    let mut all = Map::new();
    for attribute in entity.type_info().attributes() {
        let name = attribute.name();
        let read = match (attribute.kind(), name) {
            (AttributeKind::Mapped(_), "metadata") => {
                json!(entity.metadata().unwrap().to_map().unwrap())
            }
            (AttributeKind::Mapped(_), "custom_attributes") => custom_attributes(entity),
            // The other dictionaries can be filtered on, but not read.
            (AttributeKind::Mapped(_), _) => continue,
            _ => entity.get(name).unwrap(),
        };
        all.insert(name.to_owned(), read);
    }
    let mut all = Json::Object(all);
    normalise(&mut all);
    all
}

/// The values of the entity, own or default: the Python client knows no inherited ones.
fn custom_attributes(entity: &Entity) -> Json {
    let attributes = entity.custom_attributes().unwrap();
    let mut all = Map::new();
    for key in attributes.keys().unwrap() {
        let own = match attributes.effective(&key).unwrap() {
            (value, ValueOrigin::Own | ValueOrigin::Default) => {
                ftrack_api::entity::FromValue::from_value(value).unwrap()
            }
            _ => Json::Null,
        };
        all.insert(key, own);
    }
    Json::Object(all)
}

/// All attributes that were written are read as they were written.
#[track_caller]
fn assert_written(entity: &Json, seen: &Json, made: &Made) {
    let label = &entity["label"];
    for (name, given) in with_ids(&entity["set"], made).as_object().unwrap() {
        assert_eq!(seen[name], dumped(given, made), "{label}.{name}");
    }
    if let Some(metadata) = entity["metadata"].as_object() {
        assert_eq!(seen["metadata"], json!(metadata), "{label}.metadata");
    }
    for (key, given) in entity["custom_attributes"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let read = &seen["custom_attributes"][key];
        assert_eq!(
            *read,
            dumped(given, made),
            "{label}.custom_attributes.{key}"
        );
    }
}

/// Both clients read the same of every attribute.
#[track_caller]
fn assert_alike(label: &str, python: &Json, sdk: &Json) {
    let names =
        |dump: &Json| -> BTreeSet<String> { dump.as_object().unwrap().keys().cloned().collect() };
    let (theirs, ours) = (names(python), names(sdk));
    assert_eq!(
        theirs.difference(&ours).count(),
        0,
        "{label}: the SDK lacks some of {theirs:?}"
    );
    for name in &theirs {
        assert_eq!(
            python[name], sdk[name],
            "{label}.{name}: Python on the left, the SDK on the right"
        );
    }
}

fn data(set: &Json, made: &Made) -> Data {
    let set = with_ids(set, made);
    let pairs = set.as_object().unwrap().iter();
    pairs
        .map(|(name, given)| (name.clone(), value(given, made)))
        .collect()
}

/// Writes everything in one commit.
fn write(session: &Session, entities: &[Json]) -> Made {
    let mut made = Made::new();
    for entity in entities {
        let kind = entity["type"].as_str().unwrap();
        let created = session.create(kind, data(&entity["set"], &made)).unwrap();
        for (key, given) in entity["metadata"].as_object().into_iter().flatten() {
            let text = given.as_str().unwrap();
            created.metadata().unwrap().set(key, text).unwrap();
        }
        for (key, given) in entity["custom_attributes"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let attributes = created.custom_attributes().unwrap();
            attributes.set(key, value(given, &made)).unwrap();
        }
        let label = entity["label"].as_str().unwrap().to_owned();
        made.insert(label, (kind.to_owned(), created.id()));
    }
    session.commit().unwrap();
    made
}

/// Compares everything that was made with the list, as both clients read it afresh.
fn compare(studio: &mut Studio, entities: &[Json], made: &Made) -> usize {
    let session = studio.open();
    let mut count = 0;
    for entity in entities {
        let label = entity["label"].as_str().unwrap();
        let (kind, id) = &made[label];
        let ours = dump(&session.get(kind, id.as_str()).unwrap().unwrap());
        let mut theirs = studio.python.dump(kind, id);
        normalise(&mut theirs);
        assert_written(entity, &ours, made);
        assert_written(entity, &theirs, made);
        assert_alike(label, &theirs, &ours);
        count += theirs.as_object().unwrap().len();
    }
    count
}

#[test]
fn what_python_writes_the_sdk_reads() {
    let mut studio = Studio::new();
    let entities = entities(&studio.open());
    let mut made = Made::new();
    // In two commits, so that the ids of the first are known to the second.
    let (first, second) = entities.split_at(10);
    for part in [first, second] {
        let mut part = part.to_vec();
        for entity in &mut part {
            entity["set"] = with_ids(&entity["set"], &made);
        }
        for (label, key) in studio
            .python
            .tell("write", &json!(part))
            .as_object()
            .unwrap()
        {
            let text = |index: usize| key[index].as_str().unwrap().to_owned();
            made.insert(label.clone(), (text(0), text(1)));
        }
    }
    let count = compare(&mut studio, &entities, &made);
    assert!(count > 500, "only {count} attributes were compared");
}

#[test]
fn what_the_sdk_writes_python_reads() {
    let mut studio = Studio::new();
    let session = studio.open();
    let entities = entities(&session);
    let made = write(&session, &entities);
    let count = compare(&mut studio, &entities, &made);
    assert!(count > 500, "only {count} attributes were compared");
}

#[test]
fn each_sees_what_the_other_changes_and_deletes() {
    let mut studio = Studio::new();
    let session = studio.open();
    let all = entities(&session);
    let made = write(&session, &all);
    let (kind, id) = made["task"].clone();
    let task = session.get(&kind, id.as_str()).unwrap().unwrap();

    let change = json!({
        "bid": 1.25, "description": Json::Null, "start_date": Json::Null,
        "end_date": {"datetime": "2030-01-01T00:00:00"}, "parent": {"key": ["Folder", made["folder"].1]},
    });
    let (metadata, custom) = (
        json!({"plain": "changed", "new": "1"}),
        json!({"customNumber": -4}),
    );
    let order = json!([{"key": [kind, id], "set": change, "metadata": metadata, "custom_attributes": custom}]);
    studio.python.tell("update", &order);
    session.refresh([&task]).unwrap();
    let seen = studio.open().get(&kind, id.as_str()).unwrap().unwrap();
    for (name, given) in change.as_object().unwrap() {
        let expected = dumped(given, &made);
        assert_eq!(dump(&seen)[name], expected, "{name} in a new session");
        assert_eq!(dump(&task)[name], expected, "{name} after a refresh");
    }
    let map = seen.metadata().unwrap().to_map().unwrap();
    assert_eq!(
        (
            map["plain"].as_str(),
            map["new"].as_str(),
            map["empty"].as_str()
        ),
        ("changed", "1", "")
    );
    assert_eq!(
        seen.custom_attributes()
            .unwrap()
            .get::<f64>("customNumber")
            .unwrap(),
        -4.0
    );

    task.set("bid", 8).unwrap();
    task.set("description", "\u{2603} again").unwrap();
    task.metadata().unwrap().remove("new").unwrap();
    task.metadata().unwrap().set("plain", "back").unwrap();
    task.custom_attributes()
        .unwrap()
        .set("customNumber", 123)
        .unwrap();
    session.commit().unwrap();
    let dump = studio.python.dump(&kind, &id);
    assert_eq!(dump["bid"].as_f64(), Some(8.0));
    assert_eq!(dump["description"], "\u{2603} again");
    assert_eq!(dump["metadata"]["plain"], "back");
    assert_eq!(dump["metadata"].get("new"), None);
    assert_eq!(dump["custom_attributes"]["customNumber"], 123);

    studio
        .python
        .tell("delete", &json!([["Shot", made["shot"].1]]));
    for label in ["shot", "asset", "version", "component"] {
        let (kind, id) = &made[label];
        assert!(
            studio.open().get(kind, id.as_str()).unwrap().is_none(),
            "{label}"
        );
    }
    session.delete(&task).unwrap();
    session.commit().unwrap();
    assert_eq!(studio.python.dump(&kind, &id), Json::Null);
}

#[test]
fn each_reads_the_schema_cache_that_the_other_wrote() {
    let mut studio = Studio::new();
    // The schemas are most of what a session receives when it opens.
    let fetches = |studio: &Studio, folder: &Path| {
        let cache = SchemaCache::Dir(folder.to_owned());
        let session = studio.builder().schema_cache(cache).open().unwrap();
        session.statistics().bytes_received > 100_000
    };
    let ours = tempfile::tempdir().unwrap();
    assert!(fetches(&studio, ours.path()));
    assert!(!fetches(&studio, ours.path()));
    let actions = studio.python.tell("open", &json!(ours.path()));
    assert!(
        !actions
            .as_array()
            .unwrap()
            .contains(&json!("query_schemas")),
        "{actions}"
    );

    let theirs = tempfile::tempdir().unwrap();
    let actions = studio.python.tell("open", &json!(theirs.path()));
    assert!(
        actions
            .as_array()
            .unwrap()
            .contains(&json!("query_schemas")),
        "{actions}"
    );
    assert!(!fetches(&studio, theirs.path()));
}

/// A location as both clients bind it; `structure` is empty for one that is built in.
struct Place {
    name: &'static str,
    structure: &'static str,
    folder: tempfile::TempDir,
}

impl Place {
    fn new(name: &'static str, structure: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            name,
            structure,
            folder,
        }
    }

    /// An order to Python about this location.
    fn order(&self, mut order: Json) -> Json {
        order["location"] = self.name.into();
        if !self.structure.is_empty() {
            order["folder"] = self.folder.path().to_str().into();
            order["structure"] = self.structure.into();
        }
        order
    }

    fn bound(&self, session: &Session) -> Location {
        if self.structure.is_empty() {
            return session.location(self.name).unwrap();
        }
        let data = ftrack_api::data! { "name": self.name };
        session.ensure("Location", data, "name").unwrap();
        let location = session.location(self.name).unwrap();
        let binding = Binding::new().accessor(DiskAccessor::new(self.folder.path()).unwrap());
        location.bind(match self.structure {
            "id" => binding.structure(IdStructure::default()),
            _ => binding.structure(StandardStructure::new()),
        });
        location
    }
}

/// The files of a component by name, as [`Place::order`]'s `fetch` returns.
fn files(location: &Location, component: &Entity) -> Json {
    let members = match component.entity_type() {
        "FileComponent" => vec![component.clone()],
        _ => component.get("members").unwrap(),
    };
    let mut found = Map::new();
    for member in members {
        let mut bytes = Vec::new();
        let mut reader = location.open(&member).unwrap();
        reader.read_to_end(&mut bytes).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let place = location.get_resource_identifier(&member).unwrap();
        found.insert(member.get("name").unwrap(), json!([place, hex]));
    }
    found.into()
}

/// Files of a sequence and one of their own, and the paths that name them.
fn material(folder: &Path) -> [String; 2] {
    for number in [8, 9, 10, 12] {
        let name = format!("Frame.{number:03}.EXR");
        std::fs::write(folder.join(name), vec![number; 300]).unwrap();
    }
    std::fs::write(folder.join("brief.tar.gz"), "a brief").unwrap();
    ["Frame.%03d.EXR [8-10, 12]", "brief.tar.gz"]
        .map(|name| folder.join(name).to_str().unwrap().to_owned())
}

#[test]
fn components_go_from_one_client_to_the_other() {
    let mut studio = Studio::new();
    let session = studio.open();
    let project = session.query("Project where name is test").unwrap();
    let project = project.one().unwrap();
    let create = |entity_type: &str, data| session.create(entity_type, data).unwrap();
    let folder = create(
        "Folder",
        ftrack_api::data! { "name": "É & Cie", "parent": &project },
    );
    let asset = create(
        "Asset",
        ftrack_api::data! { "name": "Main Plate", "parent": &folder },
    );
    let source = tempfile::tempdir().unwrap();
    let paths = material(source.path());
    for place in [
        Place::new("ftrack.server", ""),
        Place::new("interop.standard", "standard"),
        Place::new("interop.id", "id"),
    ] {
        let location = place.bound(&session);
        for (path, name) in paths.iter().zip(["Plate Ä", "brief"]) {
            // Each in a version of its own: both clients give the same names.
            let [ours, theirs] = [(); 2].map(|()| {
                let version = create("AssetVersion", ftrack_api::data! { "asset": &asset });
                session.commit().unwrap();
                version
            });
            let data = ftrack_api::data! { "name": name };
            let made = ours.create_component(path, data, &location).unwrap();
            let key = json!([made.entity_type(), made.id()]);
            let order = place.order(json!({"component": key}));
            let read = studio.python.tell("fetch", &order);
            assert_eq!(read, files(&location, &made), "{path}");
            assert!(!read.as_object().unwrap().is_empty());

            let order = json!({"version": theirs.id(), "path": path, "name": name});
            let key = studio.python.tell("publish", &place.order(order));
            let (kind, id) = (key[0].as_str().unwrap(), key[1].as_str().unwrap());
            let other = studio.open();
            let location = place.bound(&other);
            let seen = other.get(kind, id).unwrap().unwrap();
            let order = place.order(json!({"component": key}));
            assert_eq!(studio.python.tell("fetch", &order), files(&location, &seen));

            // What our structure says is where Python has put it.
            let structure = location.structure().unwrap();
            let said = structure.get_resource_identifier(&seen, &Default::default());
            let stored = location.get_resource_identifier(&seen).unwrap();
            assert_eq!(said.unwrap(), stored);

            // And each removes what the other has stored.
            location.remove_component(&seen).unwrap();
            let order = place.order(json!({"component": [made.entity_type(), made.id()]}));
            studio.python.tell("remove", &order);
            let session = studio.open();
            let location = place.bound(&session);
            for gone in [&made, &seen] {
                let gone = session.get(kind, gone.id()).unwrap().unwrap();
                let found = location.find_resource_identifiers(&[gone]).unwrap();
                assert_eq!(found, [None]);
            }
        }
    }
}

#[test]
fn what_eight_connections_store_python_reads_byte_for_byte() {
    let mut studio = Studio::new();
    let session = studio.open();
    let source = tempfile::tempdir().unwrap();
    let bytes = |size: u64, seed: u64| -> Vec<u8> {
        (0..size).map(|n| ((n * n + seed) >> 7) as u8).collect()
    };
    for frame in 1..=40 {
        let path = source.path().join(format!("f.{frame:04}.exr"));
        std::fs::write(path, bytes(frame * 700, frame)).unwrap();
    }
    std::fs::write(source.path().join("large.mov"), bytes((20 << 20) + 17, 0)).unwrap();
    let place = Place::new("ftrack.server", "");
    let location = place.bound(&session);
    for path in ["f.%04d.exr [1-40]", "large.mov"] {
        let path = source.path().join(path);
        let options = TransferOptions::new().connections(8);
        let made = session
            .create_component_with(path, ftrack_api::data! {}, &location, options)
            .unwrap();
        let order = place.order(json!({"component": [made.entity_type(), made.id()]}));
        let read = studio.python.tell("fetch", &order);
        let read = read.as_object().unwrap();
        assert!(read.len() == 40 || read.len() == 1);
        for (name, found) in read {
            let path = match read.len() {
                1 => source.path().join("large.mov"),
                _ => source.path().join(format!("f.{name}.exr")),
            };
            let sent = std::fs::read(path).unwrap();
            let sent: String = sent.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(found[1] == *sent, "{name}");
        }
    }
}

/// A view is true after everything that Python's sessions change, with its connection cut between them.
#[test]
fn a_watch_follows_what_python_changes() {
    const QUERY: &str = "select name, bid, status.name from Task where project.name is test \
                         and bid < 1000000 order by name, id";
    let mut studio = Studio::new();
    let session = studio.open();
    let project = session.at("test").unwrap().id();
    let mut watch = session.watch(QUERY).unwrap();
    let rows = |entities: &[Entity]| -> Vec<(String, String, f64, Option<String>)> {
        let row = |one: &Entity| {
            let (name, bid, status) = one.get_many(["name", "bid", "status.name"]).unwrap();
            (one.id(), name, bid, status)
        };
        entities.iter().map(row).collect()
    };
    for seed in 0..10 {
        let order = json!({ "project": project, "seed": seed, "count": 250 });
        assert!(studio.python.tell("change", &order).as_u64() >= Some(250));
        if seed % 3 == 1 {
            studio.server.events().drop_connections();
        }
        let expected = rows(&studio.open().query(QUERY).unwrap().all().unwrap());
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let entities = watch.entities().unwrap();
            let ids = entities.iter().map(Entity::id);
            if ids.eq(expected.iter().map(|row| row.0.clone())) && rows(&entities) == expected {
                break;
            }
            assert!(Instant::now() < end, "the view never became true");
            watch.changes(Duration::from_millis(200)).unwrap();
        }
    }
}
