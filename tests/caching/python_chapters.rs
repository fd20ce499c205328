//! The chapters of the Python client's page "Caching", and what its session and its module
//! `ftrack_api.cache` say of caches: one test for each, with the same outcomes. What is different
//! on purpose is said where it is, and in docs/PARITY.md.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ftrack_api::cache::python::{
    KeyMaker, LayeredCache, Memoiser, ObjectKeyMaker, ProxyCache, SerialisedCache, StringKeyMaker,
};
use ftrack_api::cache::{Cache, MemoryCache, conformance};
use ftrack_api::config::{Populate, SchemaCache};
use ftrack_api::session::AttributeStrategy;
use ftrack_api::{Entity, Session, data, expr};
use ftrack_emulator::Emulator;
use serde_json::json;

use crate::support::{builder, emulator, open, requests};

fn first(session: &Session, query: &str) -> Entity {
    session.query(query).unwrap().first().unwrap().unwrap()
}

fn text(value: &str) -> String {
    value.to_owned()
}

/// A server on which a user has logged some work, and the user's id.
fn with_timelog() -> (Emulator, String) {
    let server = emulator();
    let session = open(&server);
    let user = first(&session, "User where is_active is true");
    let task = first(&session, "Task");
    let log = data! { "user": &user, "context": &task, "comment": "Some comment", "duration": 60 };
    session.create("Timelog", log).unwrap();
    session.commit().unwrap();
    (server, user.id())
}

/// Caching: a second `get` gives the same instance without a request, and what belongs together
/// is merged, however it came.
#[test]
fn caching() {
    let (server, id) = with_timelog();
    let session = open(&server);
    let mut users = Vec::new();
    for requested in [1, 0] {
        let asked = requests(&session, || {
            users.push(session.get("User", &id).unwrap().unwrap());
        });
        assert_eq!(asked, requested);
    }
    assert_eq!(users[0], users[1]);

    let logs = users[0].collection("timelogs").unwrap().all().unwrap();
    let comment = || {
        let _off = session.auto_populating(Populate::Off);
        logs[0].value("comment").unwrap()
    };
    assert_eq!(comment(), None, "Python's NOT_SET");
    let query = expr!("select comment from Timelog where id is {}", logs[0].id());
    session.query(query).unwrap().all().unwrap();
    assert_eq!(comment(), Some("Some comment".into()));
}

/// Caching: what a session knows is lost with the session, unless a cache is configured.
#[test]
fn by_default_the_memory_ends_with_the_session() {
    let server = emulator();
    let id = first(&open(&server), "Task").id();
    let session = open(&server);
    assert!(session.cache().backing().is_none());
    assert_eq!(
        requests(&session, || drop(session.get("Task", &id).unwrap())),
        1
    );
}

/// Configuring a session cache: a file that survives between sessions, made by a function of the
/// session, with the session's `encode` and `decode`. Here sessions encode by themselves, so the
/// file alone is enough.
#[cfg(feature = "file-cache")]
#[test]
fn configuring_a_session_cache() {
    use ftrack_api::cache::FileCache;

    let server = emulator();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ftrack_session_cache");
    let open = || {
        let path = path.clone();
        let maker = move |_: &Session| {
            let cache: Arc<dyn Cache> = Arc::new(FileCache::open(path)?);
            Ok(Some(cache))
        };
        builder(&server).cache_maker(maker).open().unwrap()
    };
    let task = first(&open(), "select name, status.name from Task");
    let status: String = task.get("status.name").unwrap();

    let session = open();
    let asked = requests(&session, || {
        let same = session.get("Task", task.id()).unwrap().unwrap();
        assert_eq!(same.get::<String>("status.name").unwrap(), status);
    });
    assert_eq!(asked, 0);

    // "Regardless of the cache specified" there is a memory on top of it, so that instances are
    // unique: the same entity again is not even looked up in the file.
    let hits = |session: &Session| session.cache().statistics()[1].hits;
    let before = hits(&session);
    let once_more = session.get("Task", task.id()).unwrap().unwrap();
    assert_eq!(once_more, session.get("Task", task.id()).unwrap().unwrap());
    assert_eq!(hits(&session), before);

    // What `session.cache` shows in Python: the layers. They cannot be exchanged while the
    // session is open.
    let layers = session.cache().statistics();
    let layers: Vec<&str> = layers.iter().map(|layer| layer.layer.as_str()).collect();
    assert_eq!(layers, ["memory", "FileCache"]);

    // Python's composition works too, for what a program itself wants to keep.
    let strategy = AttributeStrategy::PersistedOnly;
    let file = FileCache::open(folder.path().join("favourites")).unwrap();
    let favourites = SerialisedCache::entities(&session, file, strategy);
    favourites.set("mine", once_more.clone()).unwrap();
    assert_eq!(favourites.get("mine").unwrap(), Some(once_more));
}

/// A cache as a user writes it: a file for each value, in a folder, with the key in it.
struct Folder(PathBuf);

impl Folder {
    fn file(&self, key: &str) -> PathBuf {
        let mut hasher = std::hash::DefaultHasher::new();
        key.hash(&mut hasher);
        self.0.join(hasher.finish().to_string())
    }

    fn read(file: &Path) -> Option<(String, String)> {
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }
}

impl Cache for Folder {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        let found = Self::read(&self.file(key)).filter(|(its_key, _)| its_key == key);
        Ok(found.map(|(_, value)| value))
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        let mut new = tempfile::NamedTempFile::new_in(&self.0)?;
        serde_json::to_writer(&new, &(key, value))?;
        // Windows refuses while another thread reads the file.
        let mut again = if cfg!(windows) { 1_000 } else { 0 };
        while let Err(refused) = new.persist(self.file(key)) {
            if again == 0 {
                return Err(refused.into());
            }
            again -= 1;
            new = refused.file;
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(())
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        Ok(std::fs::remove_file(self.file(key)).is_ok())
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.0)?.flatten();
        let kept = entries.filter_map(|entry| Self::read(&entry.path()));
        Ok(kept.map(|(key, _)| key).collect())
    }
}

/// Writing a new cache interface: `get`, `set`, `remove` and `keys` make one, and a session uses
/// it.
#[test]
fn writing_a_new_cache_interface() {
    let folders = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    let new = || {
        let path = folders
            .path()
            .join(number.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir(&path).unwrap();
        path
    };
    let shared = new();
    conformance::check(|| Folder(shared.clone())).unwrap();

    let (server, path) = (emulator(), new());
    let open = || builder(&server).cache(Folder(path.clone())).open().unwrap();
    let task = first(&open(), "select name, parent.name from Task");
    let session = open();
    let asked = requests(&session, || {
        let same = session.get("Task", task.id()).unwrap().unwrap();
        let name: String = same.get("parent.name").unwrap();
        assert_eq!(name, task.get::<String>("parent.name").unwrap());
    });
    assert_eq!(asked, 0);
    // A cache that does not count is counted by the session.
    let counted = &session.cache().statistics()[1];
    assert!(counted.hits >= 2 && counted.bytes_read > 0, "{counted:?}");
}

/// A cache that is selective about what it sets: the chapter's `SelectiveCache`.
struct Selective(ProxyCache<Arc<MemoryCache>>);

impl Cache for Selective {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        self.0.get(key)
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        match key.contains(":User:") {
            true => Ok(()),
            false => self.0.set(key, value),
        }
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        self.0.remove(key)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        self.0.keys()
    }
}

/// Managing what gets cached: neither new entities nor changed values that are not committed are
/// in the cache between sessions, while the memory of the session has them. Python needs a proxy
/// cache and a strategy for it, here it is always so. A proxy may be selective about the rest.
#[test]
fn managing_what_gets_cached() {
    let server = emulator();
    let cache: Arc<MemoryCache> = Arc::default();
    let open = || {
        let cache = Selective(ProxyCache::new(cache.clone()));
        builder(&server).cache(cache).open().unwrap()
    };
    let session = open();
    let task = first(
        &session,
        "select name, parent, assignments.resource from Task",
    );
    let name: String = task.get("name").unwrap();
    task.set("name", "changed").unwrap();
    let parent: Entity = task.get("parent").unwrap();
    let new = session.create("Task", data! { "name": "new", "parent": &parent });
    let new = new.unwrap();
    // Something that makes the session write.
    session.populate(&task, "bid").unwrap();
    assert_eq!(session.get("Task", new.id()).unwrap().unwrap(), new);
    assert_eq!(task.get::<String>("name").unwrap(), "changed");

    let other = open();
    let same = other.get("Task", task.id()).unwrap().unwrap();
    assert_eq!(same.get::<String>("name").unwrap(), name);
    assert!(other.get("Task", new.id()).unwrap().is_none());
    let key = |session: &Session| session.cache().key(&new).unwrap().unwrap();
    assert!(cache.get(&key(&session)).unwrap().is_none());

    session.commit().unwrap();
    let later = open();
    let asked = requests(&later, || {
        let same = later.get("Task", task.id()).unwrap().unwrap();
        assert_eq!(same.get::<String>("name").unwrap(), "changed");
        assert!(later.get("Task", new.id()).unwrap().is_some());
    });
    assert_eq!(asked, 0);

    first(&session, "User");
    assert!(
        cache
            .keys()
            .unwrap()
            .iter()
            .all(|key| !key.contains(":User:"))
    );
}

/// The session's `cache_key_maker`: a `StringKeyMaker` unless another one is given.
#[test]
fn cache_key_makers() {
    let server = emulator();
    let key = |session: &Session| {
        let task = first(session, "Task");
        session.cache().key(&task).unwrap().unwrap()
    };
    let cached = || builder(&server).cache(MemoryCache::new());
    let plain = key(&cached().open().unwrap());
    let tenth = |items: &[serde_json::Value]| StringKeyMaker.key(items);
    struct Mine<F>(F);
    impl<F: Fn(&[serde_json::Value]) -> String + Send + Sync + 'static> KeyMaker for Mine<F> {
        fn key(&self, items: &[serde_json::Value]) -> String {
            format!("mine {}", (self.0)(items))
        }
    }
    let mine = key(&cached().cache_key_maker(Mine(tenth)).open().unwrap());
    assert_eq!(mine, format!("mine {plain}"));
}

/// `schema_cache_path`: a file of Python's name in the folder that is given; asked for each time
/// if it is `False`.
#[test]
fn schema_caching() {
    let server = emulator();
    let folder = tempfile::tempdir().unwrap();
    let open = |cache| builder(&server).schema_cache(cache).open().unwrap();
    let asked = |session: &Session| session.statistics().requests;
    let given = || SchemaCache::Dir(folder.path().into());
    let cold = asked(&open(given()));
    assert!(folder.path().join("ftrack_api_schema_cache.json").is_file());
    let warm = asked(&open(given()));
    assert_eq!((warm, asked(&open(SchemaCache::Off))), (1, cold));
    let off = open(SchemaCache::Off);
    assert_eq!(off.schema().hash(), open(given()).schema().hash());
}

/// `Cache`: `values` leaves out what has gone meanwhile, `clear` takes a pattern that is searched
/// for, not matched from the beginning.
#[test]
fn the_cache_interface() {
    struct Forgetful(MemoryCache);
    impl Cache for Forgetful {
        fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
            Ok(self.0.get(key)?.filter(|_| key != "gone"))
        }

        fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
            self.0.set(key, value)
        }

        fn remove(&self, key: &str) -> anyhow::Result<bool> {
            self.0.remove(key)
        }

        fn keys(&self) -> anyhow::Result<Vec<String>> {
            self.0.keys()
        }
    }
    let cache = Forgetful(MemoryCache::new());
    for key in ["gone", "Task:1", "Task:2", "User:1"] {
        cache.set(key, key.to_owned()).unwrap();
    }
    assert_eq!(cache.values().unwrap().len(), 3);
    cache.clear(Some("sk:[0-9]$")).unwrap();
    let mut keys = cache.keys().unwrap();
    keys.sort();
    assert_eq!(keys, ["User:1", "gone"]);
    cache.clear(None).unwrap();
    assert!(cache.keys().unwrap().is_empty());
    // `KeyError` is `None` here, and `false` for `remove`.
    assert_eq!(cache.get("x").unwrap(), None);
    assert!(!cache.remove("x").unwrap());
}

/// `LayeredCache`: what is found is set in the layers above, what is set is set in all, what is
/// removed is removed from all, and keys are those of all layers, each once.
#[test]
fn layered_caches() {
    let layers: [Arc<MemoryCache>; 3] = Default::default();
    let as_caches = layers.clone().map(|layer| layer as Arc<dyn Cache>);
    let cache = LayeredCache::new(as_caches);
    layers[1].set("a", text("1")).unwrap();
    layers[2].set("b", text("2")).unwrap();
    let mut keys = cache.keys().unwrap();
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
    assert_eq!(cache.get("a").unwrap(), Some(text("1")));
    assert_eq!(layers[0].get("a").unwrap(), Some(text("1")));
    assert_eq!(
        layers[2].get("a").unwrap(),
        None,
        "layers below stay as they are"
    );
    cache.set("c", text("3")).unwrap();
    assert!(
        layers
            .iter()
            .all(|layer| layer.get("c").unwrap() == Some(text("3")))
    );
    assert!(cache.remove("c").unwrap() && !cache.remove("c").unwrap());
    assert!(layers.iter().all(|layer| layer.get("c").unwrap().is_none()));
    assert_eq!(cache.caches().len(), 3);
}

/// `ProxyCache` and `SerialisedCache`: the latter keeps what `encode` makes of a value.
#[test]
fn proxied_and_serialised_caches() {
    let below: Arc<MemoryCache> = Arc::default();
    let proxy = ProxyCache::new(below.clone());
    proxy.set("a", text("1")).unwrap();
    assert_eq!(below.get("a").unwrap(), proxy.get("a").unwrap());
    assert_eq!(proxy.proxied().keys().unwrap(), ["a"]);
    let numbers = SerialisedCache::new(
        below.clone(),
        |number: &u32| Ok(number.to_string()),
        |text| Ok(text.parse()?),
    );
    assert_eq!(numbers.get("a").unwrap(), Some(1));
    numbers.set("b", 12).unwrap();
    assert_eq!(below.get("b").unwrap(), Some(text("12")));
}

/// `SerialisedCache` with the session's `encode` and the strategies: what another session decodes.
#[test]
fn strategies_of_encoding() {
    let server = emulator();
    let session = open(&server);
    let task = first(&session, "select name, bid from Task");
    let name: String = task.get("name").unwrap();
    task.set("name", "changed").unwrap();
    let below: Arc<MemoryCache> = Arc::default();
    let kept = |strategy| {
        let cache = SerialisedCache::entities(&session, below.clone(), strategy);
        cache.set("it", task.clone()).unwrap();
        let text = below.get("it").unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let all = kept(AttributeStrategy::All);
    assert!(all.as_object().unwrap().len() > 20, "{all}");
    let set = kept(AttributeStrategy::SetOnly);
    assert_eq!(
        (&set["name"], set.get("bid").is_some()),
        (&json!("changed"), true)
    );
    let modified = kept(AttributeStrategy::ModifiedOnly);
    assert_eq!(
        (&modified["name"], modified.get("bid")),
        (&json!("changed"), None)
    );
    let persisted = kept(AttributeStrategy::PersistedOnly);
    assert_eq!(persisted["name"], json!(name));
}

/// The key makers: things that cannot be keys by themselves have keys, other things other ones.
#[test]
fn key_makers() {
    let keys: Vec<String> = [
        vec![json!("add"), json!({"x": 1, "y": 2})],
        vec![json!("add"), json!({"x": 1, "y": 3})],
        vec![json!("add"), json!([1, 2])],
        vec![json!("add"), json!("[1,2]")],
        vec![json!("add"), json!([[1], 2])],
        vec![json!("add"), json!(1), json!(2)],
    ]
    .iter()
    .map(|items| ObjectKeyMaker.key(items))
    .collect();
    let mut different = keys.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), keys.len());
    let again = ObjectKeyMaker.key(&[json!("add"), json!({"y": 2, "x": 1})]);
    assert_eq!(again, keys[0]);
    assert_eq!(StringKeyMaker.key(&[json!("a"), json!(1)]), "a:1");
}

/// `Memoiser`: the example of its doc string. `memoise` decorates there; here a function of the
/// program does, with a memoiser in a static.
#[test]
fn memoisers() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let add = |x: i32, y: i32| {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Ok(x + y)
    };
    let memoiser = Memoiser::with(MemoryCache::new(), ObjectKeyMaker);
    for (x, y, calls) in [(1, 2, 1), (1, 2, 1), (1, 3, 2)] {
        assert_eq!(memoiser.call("add", &(x, y), || add(x, y)).unwrap(), x + y);
        assert_eq!(CALLS.load(Ordering::Relaxed), calls);
    }
    // Results are copies: changing one does not change what is remembered.
    let lists = Memoiser::new();
    let mut list = lists.call("list", &(), || Ok(vec![1])).unwrap();
    list.push(2);
    assert_eq!(lists.call("list", &(), || Ok(vec![9])).unwrap(), [1]);

    static DECORATED: std::sync::LazyLock<Memoiser<usize>> =
        std::sync::LazyLock::new(Memoiser::new);
    fn frames(shot: &str) -> usize {
        let count = || Ok(CALLS.fetch_add(1, Ordering::Relaxed) + shot.len());
        DECORATED.call("frames", &shot, count).unwrap()
    }
    assert_eq!(frames("sh010"), frames("sh010"));
}
