//! What tests of transfers share: files to send, a server and a disk to send them to, and looks at
//! what is left.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ftrack_api::accessor::{Accessor, Content, DiskAccessor, PendingWrite, Prepared};
use ftrack_api::config::SchemaCache;
use ftrack_api::location::{Binding, Target, TransferOptions};
use ftrack_api::structure::EntityIdStructure;
use ftrack_api::{Entity, Location, Session, SessionBuilder, data};
use ftrack_emulator::Emulator;
use tempfile::TempDir;

use super::gate::Gate;
use super::support::{builder, read};

pub(crate) const MIB: usize = 1 << 20;

/// A server, a session on it, and a folder with the schema cache and all files.
pub(crate) struct Stage {
    pub(crate) server: Emulator,
    pub(crate) session: Session,
    pub(crate) folder: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::late(0)
    }

    /// With a server that waits before each response.
    pub(crate) fn late(milliseconds: u64) -> Self {
        Self::with(milliseconds, |builder| builder)
    }

    /// With requests that can be held back.
    pub(crate) fn gated() -> (Self, Gate) {
        let gate = Gate::default();
        let transport = gate.transport();
        let stage = Self::with(0, |builder| builder.wrap_transport(transport));
        (stage, gate)
    }

    /// With more settings for the session.
    pub(crate) fn with(
        milliseconds: u64,
        settings: impl FnOnce(SessionBuilder) -> SessionBuilder,
    ) -> Self {
        let latency = Duration::from_millis(milliseconds);
        let server = Emulator::builder().tasks(10).latency(latency).start();
        let (server, folder) = (server.unwrap(), tempfile::tempdir().unwrap());
        let cache = SchemaCache::Dir(folder.path().join("cache"));
        let session = settings(builder(&server).schema_cache(cache))
            .open()
            .unwrap();
        Self {
            server,
            session,
            folder,
        }
    }

    pub(crate) fn at_server(&self) -> Location {
        self.session.location("ftrack.server").unwrap()
    }

    pub(crate) fn origin(&self) -> Location {
        self.session.location("ftrack.origin").unwrap()
    }

    /// A location whose files are named by the ids of their components, in no folders.
    pub(crate) fn disk(&self, accessor: impl Accessor) -> Location {
        let binding = Binding::new().accessor(accessor);
        self.bound("test.disk", binding.structure(EntityIdStructure))
    }

    pub(crate) fn bound(&self, name: &str, binding: Binding) -> Location {
        bound(&self.session, name, binding)
    }

    /// Where the data of [`Self::disk_accessor`] is.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    pub(crate) fn disk_accessor(&self) -> DiskAccessor {
        DiskAccessor::new(self.store()).unwrap()
    }

    pub(crate) fn file(&self, name: &str, size: usize) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes(size)).unwrap();
        path
    }

    /// The pattern of a sequence whose frames differ.
    pub(crate) fn frames(&self, count: usize, size: usize) -> PathBuf {
        let folder = self.folder.path().join("frames");
        fs::create_dir_all(&folder).unwrap();
        for frame in 1..=count {
            let mut content = bytes(size);
            content[0] = frame as u8;
            fs::write(folder.join(format!("f.{frame:04}.exr")), content).unwrap();
        }
        folder.join(format!("f.%04d.exr [1-{count}]"))
    }

    /// A component of a file or a pattern that stays where it is.
    pub(crate) fn unsent(&self, path: &Path) -> Entity {
        let made = self
            .session
            .create_component(path, data! {}, Target::Nowhere);
        made.unwrap()
    }

    /// Publishes a file or a pattern.
    pub(crate) fn create(
        &self,
        path: &Path,
        location: &Location,
        options: TransferOptions,
    ) -> ftrack_api::Result<Entity> {
        let session = &self.session;
        session.create_component_with(path, data! {}, location, options)
    }

    /// How many components are in a location.
    pub(crate) fn registered(&self) -> u64 {
        let query = self.session.query("ComponentLocation").unwrap();
        query.count().unwrap()
    }

    /// Every frame has the bytes of its source.
    #[track_caller]
    pub(crate) fn check_frames(&self, location: &Location, sequence: &Entity, count: usize) {
        let members: Vec<Entity> = sequence.get("members").unwrap();
        assert_eq!(members.len(), count);
        for member in members {
            let name: String = member.get("name").unwrap();
            let source = self.folder.path().join(format!("frames/f.{name}.exr"));
            assert!(
                read(location, &member) == fs::read(source).unwrap(),
                "{name}"
            );
        }
    }

    /// How many transfers left something to resume.
    pub(crate) fn journals(&self) -> usize {
        let folder = self.folder.path().join("cache/ftrack_api_transfers");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

/// A location that is bound, and made if the server has none with this name.
pub(crate) fn bound(session: &Session, name: &str, binding: Binding) -> Location {
    session
        .ensure("Location", data! { "name": name }, "name")
        .unwrap();
    let location = session.location(name).unwrap();
    location.bind(binding);
    location
}

pub(crate) fn bytes(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| ((n * n) >> 7) as u8).collect()
}

/// How many files are anywhere below a folder.
pub(crate) fn files(folder: &Path) -> usize {
    walk(folder, &|_| true)
}

/// Those that are left incomplete.
pub(crate) fn part_files(folder: &Path) -> usize {
    walk(folder, &|name| name.ends_with(".part"))
}

fn walk(folder: &Path, counts: &dyn Fn(&str) -> bool) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let count = entries.flatten().map(|entry| match entry.path().is_dir() {
        true => walk(&entry.path(), counts),
        false => usize::from(counts(&entry.file_name().to_string_lossy())),
    });
    count.sum()
}

type Hook = Box<dyn Fn() + Send + Sync>;

/// A disk that calls a test before and after each file that is written.
pub(crate) struct Watched {
    pub(crate) inner: DiskAccessor,
    pub(crate) before: Hook,
    pub(crate) after: Hook,
    pub(crate) allows_connections: bool,
}

impl Watched {
    pub(crate) fn new(inner: DiskAccessor) -> Self {
        Self {
            inner,
            before: Box::new(|| ()),
            after: Box::new(|| ()),
            allows_connections: false,
        }
    }

    pub(crate) fn before(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.before = Box::new(hook);
        self
    }

    pub(crate) fn after(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.after = Box::new(hook);
        self
    }
}

impl Accessor for Watched {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.inner.open(resource_identifier)
    }
    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        (self.before)();
        let outcome = self.inner.write(resource_identifier, content);
        (self.after)();
        outcome
    }
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.exists(resource_identifier)
    }
    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.inner.remove(resource_identifier)
    }
    fn allows_connections(&self) -> bool {
        self.allows_connections
    }
    fn prepare(&self, files: &[PendingWrite<'_>]) -> anyhow::Result<Vec<Option<Prepared>>> {
        assert!(files.iter().all(|file| file.size.is_some()));
        Ok(Vec::new())
    }
}
