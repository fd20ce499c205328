//! Locations against a server: which are there, what is bound, how data gets from one to another.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ftrack_api::accessor::{Accessor, AccessorExt, Content, DiskAccessor};
use ftrack_api::location::{
    Binding, CONNECT_LOCATION_ID, ORIGIN_LOCATION_ID, SERVER_LOCATION_ID, UNMANAGED_LOCATION_ID,
};
use ftrack_api::structure::{
    EntityIdStructure, IdStructure, ResourceIdentifierTransformer, StandardStructure, Structure,
    StructureContext,
};
use ftrack_api::{Entity, ErrorKind, Location, Session, data, expr};
use support::{emulator, open, read, requests};
use tempfile::TempDir;

/// A session, and a folder for a location and for files that are not published yet.
struct Stage {
    server: ftrack_emulator::Emulator,
    session: Session,
    folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let server = emulator();
        let session = open(&server);
        Self {
            server,
            session,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A component in the origin, with these bytes.
    fn component(&self, name: &str, bytes: &[u8]) -> Entity {
        let path = self.path(&format!("{name}.bin"));
        fs::write(&path, bytes).unwrap();
        let data = data! { "name": name, "file_type": ".bin", "size": bytes.len() as i64 };
        let component = self.session.create("FileComponent", data).unwrap();
        self.origin().register_component(&component, &path).unwrap();
        component
    }

    fn origin(&self) -> Location {
        self.session.location("ftrack.origin").unwrap()
    }

    fn location(&self, name: &str, binding: Binding) -> Location {
        let data = data! { "name": name };
        self.session.ensure("Location", data, "name").unwrap();
        let location = self.session.location(name).unwrap();
        location.bind(binding);
        location
    }

    fn disk(&self) -> (Location, DiskAccessor) {
        let disk = DiskAccessor::new(self.folder.path().join("disk")).unwrap();
        let binding = Binding::new()
            .accessor(disk.clone())
            .structure(IdStructure::default())
            .priority(1);
        (self.location("test.disk", binding), disk)
    }

    /// How many components the server knows in a location.
    fn registered(&self, location: &Location) -> u64 {
        let query = expr!("ComponentLocation where location_id is {}", location.id());
        self.session.query(query).unwrap().count().unwrap()
    }
}

fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let count = entries.map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path) } else { 1 }
    });
    count.sum()
}

#[test]
fn built_in_locations_are_bound_and_cost_no_request() {
    let stage = Stage::new();
    let session = &stage.session;
    let asked = requests(session, || {
        for (name, priority, accessible) in [
            ("ftrack.origin", 100, true),
            ("ftrack.unmanaged", 90, true),
            ("ftrack.review", 110, true),
            ("ftrack.server", 150, true),
            ("ftrack.connect", 95, false),
        ] {
            let location = session.location(name).unwrap();
            assert_eq!(location.name().unwrap(), name);
            assert_eq!(location.to_string(), name);
            assert_eq!(location.priority(), priority, "{name}");
            assert_eq!(location.is_accessible(), accessible, "{name}");
        }
        // As in Python: nothing with a lower number is bound.
        let picked = session.pick_location().unwrap().unwrap();
        assert_eq!(picked.id(), UNMANAGED_LOCATION_ID);
    });
    assert_eq!(asked, 0);
    let all = session.locations().unwrap();
    let ids: Vec<String> = all.iter().map(ftrack_api::Location::id).collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(ids.first().unwrap(), UNMANAGED_LOCATION_ID);
    assert_eq!(ids.last().unwrap(), SERVER_LOCATION_ID);
    assert!(ids.iter().any(|id| id == CONNECT_LOCATION_ID));
    assert_eq!(
        session.location("nowhere").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let task = session.query("Task").unwrap().first().unwrap().unwrap();
    assert_eq!(task.as_location().unwrap_err().kind(), ErrorKind::WrongType);
}

#[test]
fn all_handles_of_a_location_see_what_is_bound() {
    let stage = Stage::new();
    let (location, _) = stage.disk();
    let found = stage.session.query("Location where name is test.disk");
    let other = found.unwrap().one().unwrap().as_location().unwrap();
    assert!(other.is_accessible() && other.structure().is_some());
    assert_eq!(stage.session.pick_location().unwrap().unwrap(), location);
    other.bind(Binding::new().priority(3));
    assert!(!location.is_accessible());
    assert_eq!(location.priority(), 3);
}

#[test]
fn a_file_goes_from_disk_to_disk_and_away_again() {
    let stage = Stage::new();
    let (disk, accessor) = stage.disk();
    let bytes: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let component = stage.component("plate", &bytes);
    disk.add_component(&component, &stage.origin()).unwrap();

    let place = disk.get_resource_identifier(&component).unwrap();
    assert!(accessor.exists(&place).unwrap());
    assert_eq!(read(&disk, &component), bytes);
    let path = disk.get_filesystem_path(&component).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::rename(&path, path.with_extension("away")).unwrap();
    let missing = disk.open(&component).err().unwrap().to_string();
    let both = format!("{component} in {disk}: cannot read");
    assert!(missing.starts_with(&both), "{missing}");
    fs::rename(path.with_extension("away"), &path).unwrap();
    let picked = stage.session.pick_location_of(&component).unwrap();
    assert_eq!(picked.as_ref(), Some(&disk));
    let twice = disk.add_component(&component, &stage.origin());
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::Duplicate);

    assert!(disk.remove_component(&component).unwrap());
    assert!(!accessor.exists(&place).unwrap());
    assert_eq!(stage.registered(&disk), 0);
    assert_eq!(stage.session.pick_location_of(&component).unwrap(), None);
    let gone = disk.get_resource_identifier(&component).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(gone.to_string().contains("test.disk"), "{gone}");
    assert!(!disk.remove_component(&component).unwrap());
}

#[test]
fn the_servers_location_keeps_bytes_of_every_size() {
    let stage = Stage::new();
    let server = stage.session.location("ftrack.server").unwrap();
    let (disk, _) = stage.disk();
    for (name, size) in [
        ("empty", 0),
        ("one", 1),
        ("whole", 5_000_001),
        // Three parts of eight MiB and two pieces of sixteen.
        ("parts", (17 << 20) + 3),
    ] {
        let bytes: Vec<u8> = (0..size as u64).map(|n| ((n * n) >> 3) as u8).collect();
        let component = stage.component(name, &bytes);
        server.add_component(&component, &stage.origin()).unwrap();
        assert_eq!(
            server.get_resource_identifier(&component).unwrap(),
            component.id()
        );
        assert!(read(&server, &component) == bytes, "{name} differs");
        // And on from there, through a reader that has no path.
        disk.add_component(&component, &server).unwrap();
        assert!(read(&disk, &component) == bytes, "{name} differs");
        server.remove_component(&component).unwrap();
        assert!(server.open(&component).is_err());
        // And back: the disk tells its path.
        server.add_component(&component, &disk).unwrap();
        assert!(read(&server, &component) == bytes, "{name} differs");
    }
}

#[test]
fn signed_and_plain_addresses_carry_what_they_must() {
    let stage = Stage::new();
    let server = stage.session.location("ftrack.server").unwrap();
    let component = stage.component("address", b"x");
    server.add_component(&component, &stage.origin()).unwrap();
    let url = server.get_url(&component).unwrap();
    assert!(url.contains("/component/get?id="), "{url}");
    let thumbnail = server.get_thumbnail_url(&component, 50).unwrap();
    assert!(thumbnail.ends_with("&size=50"), "{thumbnail}");
    let (disk, _) = stage.disk();
    disk.add_component(&component, &server).unwrap();
    let none = disk.get_url(&component).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Unsupported);
}

/// Fails at the write with this number, after some bytes.
struct Fragile {
    inner: DiskAccessor,
    writes: Arc<AtomicUsize>,
    fails_at: usize,
}

impl Accessor for Fragile {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.inner.open(resource_identifier)
    }
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        if self.writes.fetch_add(1, Ordering::SeqCst) == self.fails_at {
            anyhow::bail!("the disk is full");
        }
        self.inner.write(resource_identifier, content)
    }
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.exists(resource_identifier)
    }
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.remove(resource_identifier)
    }
}

#[test]
fn what_fails_half_way_leaves_nothing_and_can_be_tried_again() {
    let stage = Stage::new();
    let root = stage.folder.path().join("fragile");
    let writes = Arc::new(AtomicUsize::new(0));
    let accessor = Fragile {
        inner: DiskAccessor::new(&root).unwrap(),
        writes: writes.clone(),
        fails_at: 2,
    };
    let binding = Binding::new().accessor(accessor);
    let location = stage.location("test.fragile", binding.structure(EntityIdStructure));
    let names = ["a", "b", "c", "d"];
    let components = names.map(|name| stage.component(name, name.as_bytes()));
    let origin = [stage.origin()];
    let error = location
        .add_components(&components, &origin, true)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Callback);
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert!(error.to_string().contains(&components[2].id()), "{error}");
    assert_eq!((files(&root), stage.registered(&location)), (0, 0));
    // The components themselves are still to be committed, and nothing else.
    assert_eq!(stage.session.created().len(), 4);

    location.add_components(&components, &origin, true).unwrap();
    assert_eq!((files(&root), stage.registered(&location)), (4, 4));
    assert!(stage.session.created().is_empty());
}

#[test]
fn what_the_server_refuses_is_removed_again() {
    let stage = Stage::new();
    let (disk, _) = stage.disk();
    let component = stage.component("refused", b"x");
    // A task without a parent is refused, and the components of the same commit with it.
    let orphan = stage.session.create("Task", data! { "name": "orphan" });
    let orphan = orphan.unwrap();
    let error = disk.add_component(&component, &stage.origin()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert_eq!(files(&stage.folder.path().join("disk")), 0);
    assert_eq!(stage.session.created().len(), 2);
    stage.session.delete(&orphan).unwrap();
    disk.add_component(&component, &stage.origin()).unwrap();
    assert_eq!(read(&disk, &component), b"x");
}

#[test]
fn nothing_is_overwritten_and_no_two_files_share_a_place() {
    struct OnePlace;
    impl ftrack_api::structure::Structure for OnePlace {
        fn get_resource_identifier(
            &self,
            _: &Entity,
            _: &StructureContext,
        ) -> anyhow::Result<String> {
            Ok("same/place".to_owned())
        }
    }
    let stage = Stage::new();
    let disk = DiskAccessor::new(stage.folder.path().join("one")).unwrap();
    let binding = Binding::new().accessor(disk.clone()).structure(OnePlace);
    let location = stage.location("test.one", binding);
    let pair = [stage.component("a", b"a"), stage.component("b", b"b")];
    let error = location.add_components(&pair, stage.origin(), true);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Duplicate);
    disk.write_bytes("same/place", b"precious").unwrap();
    let error = location.add_component(&pair[0], &stage.origin());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Duplicate);
    assert_eq!(disk.read_bytes("same/place").unwrap(), b"precious");
    assert_eq!(stage.registered(&location), 0);
}

#[test]
fn what_is_missing_is_said_before_anything_is_done() {
    let stage = Stage::new();
    let (disk, _) = stage.disk();
    let bare = stage.location("test.bare", Binding::new());
    let component = stage.component("c", b"c");
    let no_structure = bare.add_component(&component, &stage.origin()).unwrap_err();
    assert_eq!(no_structure.kind(), ErrorKind::Configuration);
    assert!(
        no_structure.to_string().contains("test.bare"),
        "{no_structure}"
    );
    let elsewhere = disk.add_component(&component, &bare).unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::NotFound);
    let origins = [stage.origin(), stage.origin()];
    let sources = disk.add_components(std::slice::from_ref(&component), &origins, true);
    assert_eq!(sources.unwrap_err().kind(), ErrorKind::Validation);
    // A component of no version has no place in the project's hierarchy.
    let binding = Binding::new().accessor(DiskAccessor::new(stage.path("x")).unwrap());
    disk.bind(binding.structure(StandardStructure::new()));
    let detached = disk.add_component(&component, &stage.origin()).unwrap_err();
    assert_eq!(detached.kind(), ErrorKind::Validation);
    assert!(detached.to_string().contains("committed"), "{detached}");
}

struct Reversed;

impl ResourceIdentifierTransformer for Reversed {
    fn encode(&self, resource_identifier: &str, _: &Entity) -> anyhow::Result<String> {
        Ok(resource_identifier.chars().rev().collect())
    }
    fn decode(&self, stored: &str, _: &Entity) -> anyhow::Result<String> {
        Ok(stored.chars().rev().collect())
    }
}

#[test]
fn a_transformer_stands_between_the_location_and_the_server() {
    let stage = Stage::new();
    let disk = DiskAccessor::new(stage.folder.path().join("reversed")).unwrap();
    let binding = Binding::new()
        .accessor(disk.clone())
        .structure(EntityIdStructure)
        .resource_identifier_transformer(Reversed);
    let location = stage.location("test.reversed", binding);
    let component = stage.component("mirror", b"m");
    location.add_component(&component, &stage.origin()).unwrap();
    assert_eq!(
        location.get_resource_identifier(&component).unwrap(),
        component.id()
    );
    assert!(disk.exists(&component.id()).unwrap());
    let query = expr!("ComponentLocation where component_id is {}", component.id());
    let stored = stage.session.query(query).unwrap().one().unwrap();
    let stored: String = stored.get("resource_identifier").unwrap();
    assert_eq!(stored, component.id().chars().rev().collect::<String>());
    location.remove_component(&component).unwrap();
    assert!(!disk.exists(&component.id()).unwrap());
}

#[test]
fn a_plan_tells_and_does_nothing() {
    let stage = Stage::new();
    let (disk, _) = stage.disk();
    let component = stage.component("planned", b"p");
    let origin = [stage.origin()];
    let transfer = disk
        .plan_transfer(std::slice::from_ref(&component), &origin, true)
        .unwrap();
    let [step] = transfer.steps() else {
        panic!("one component, one step");
    };
    assert_eq!(step.component, component);
    assert_eq!(step.source.id(), ORIGIN_LOCATION_ID);
    assert!(step.resource_identifier.ends_with(".bin"));
    assert_eq!(
        (
            files(&stage.folder.path().join("disk")),
            stage.registered(&disk)
        ),
        (0, 0)
    );
    transfer.run().unwrap();
    assert_eq!(stage.registered(&disk), 1);
}

#[test]
fn a_component_that_is_given_twice_is_found_twice() {
    let stage = Stage::new();
    let component = stage.component("twice", b"bytes");
    let server = stage.session.location("ftrack.server").unwrap();
    server.add_component(&component, &stage.origin()).unwrap();
    let other = open(&stage.server);
    let server = other.location("ftrack.server").unwrap();
    let component = other.entity(component.key()).unwrap();
    let found = server.get_resource_identifiers([&component, &component]);
    assert_eq!(found.unwrap(), [component.id(), component.id()]);
}

/// A structure that looks at its location when it goes.
#[derive(Debug)]
struct Curious(Location);

impl Structure for Curious {
    fn get_resource_identifier(&self, _: &Entity, _: &StructureContext) -> anyhow::Result<String> {
        Ok(String::new())
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        let _ = self.0.priority();
    }
}

#[test]
fn what_a_new_binding_replaces_may_look_at_locations_when_it_goes() {
    let stage = Stage::new();
    let location = stage.location("curious", Binding::new());
    location.bind(Binding::new().structure(Curious(location.clone())));
    location.bind(Binding::new().priority(7));
    assert_eq!(location.priority(), 7);
}
