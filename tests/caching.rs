//! Caches, and sessions that use them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "caching/follow.rs"]
mod follow;
#[path = "caching/python_chapters.rs"]
mod python_chapters;
#[path = "caching/schema.rs"]
mod schema;
#[path = "caching/session.rs"]
mod session;
mod support;

use std::sync::Arc;

use ftrack_api::cache::python::{
    LayeredCache, Memoiser, ProxyCache, SerialisedCache, StringKeyMaker,
};
use ftrack_api::cache::{Cache, MemoryCache, Update, conformance};

#[test]
fn every_cache_keeps_to_the_rules() {
    conformance::check(MemoryCache::new).unwrap();
    conformance::check(|| MemoryCache::new().max_entries(5000)).unwrap();
    conformance::check(|| ProxyCache::new(MemoryCache::new())).unwrap();
    conformance::check(|| Arc::new(MemoryCache::new()) as Arc<dyn Cache>).unwrap();
    conformance::check(|| {
        let reverse = |text: &str| Ok(text.chars().rev().collect::<String>());
        SerialisedCache::new(
            MemoryCache::new(),
            move |text: &String| reverse(text),
            reverse,
        )
    })
    .unwrap();
    conformance::check(|| {
        let layer = || Arc::new(MemoryCache::new()) as Arc<dyn Cache>;
        LayeredCache::new([layer(), layer(), layer()])
    })
    .unwrap();
}

#[test]
fn updates_at_once_lose_nothing() {
    let memory: Arc<MemoryCache> = Arc::default();
    support::check_updates(|| memory.clone());
    let below: Arc<MemoryCache> = Arc::default();
    support::check_updates(|| {
        let layer = Arc::new(SerialisedCache::json(below.clone())) as Arc<dyn Cache>;
        LayeredCache::new([Arc::new(MemoryCache::new()) as Arc<dyn Cache>, layer])
    });
}

#[test]
fn what_happens_is_counted() {
    support::check_counts(&MemoryCache::new());
    support::check_counts(&LayeredCache::new([
        Arc::new(MemoryCache::new()) as Arc<dyn Cache>
    ]));
}

/// A cache that does everything but one thing right, to see that the suite sees it.
struct Wrong(MemoryCache, &'static str);

impl Cache for Wrong {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        match self.1 {
            "case" => self.0.get(&key.to_lowercase()),
            _ => self.0.get(key),
        }
    }

    fn set(&self, key: &str, value: String) -> anyhow::Result<()> {
        match self.1 {
            "first stays" if self.0.get(key)?.is_some() => Ok(()),
            "cut" if value.len() > 1000 => self.0.set(key, value[..1000].to_owned()),
            "bytes" => self.0.set(key, value.replace('\0', "")),
            "lost" if key.len() == 4 => Ok(()),
            _ => self.0.set(key, value),
        }
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        let removed = self.0.remove(key)?;
        Ok(removed || self.1 == "always removed")
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        let mut keys = self.0.keys()?;
        if self.1 == "twice" {
            keys.extend(keys.clone());
        }
        Ok(keys)
    }

    fn clear(&self, pattern: Option<&str>) -> anyhow::Result<()> {
        match (self.1, pattern) {
            ("no pattern", _) => self.0.clear(None),
            ("pattern as text", Some(pattern)) => {
                let keys = self.0.keys()?.into_iter();
                let found: Vec<String> = keys.filter(|key| key.contains(pattern)).collect();
                self.0.remove_many(&found).map(drop)
            }
            _ => self.0.clear(pattern),
        }
    }

    fn get_many(&self, keys: &[String]) -> anyhow::Result<Vec<Option<String>>> {
        let mut found = self.0.get_many(keys)?;
        if self.1 == "order" {
            found.reverse();
        }
        Ok(found)
    }

    fn update_many(&self, keys: &[String], update: Update<'_, String>) -> anyhow::Result<()> {
        match self.1 {
            "blind" => self
                .0
                .update_many(keys, &mut |number, _| update(number, None)),
            _ => self.0.update_many(keys, update),
        }
    }
}

#[test]
fn the_suite_sees_what_is_wrong() {
    for fault in [
        "case",
        "first stays",
        "cut",
        "bytes",
        "lost",
        "always removed",
        "twice",
        "no pattern",
        "pattern as text",
        "order",
        "blind",
    ] {
        let found = conformance::check(|| Wrong(MemoryCache::new(), fault));
        assert!(found.is_err(), "{fault:?} passes");
    }
    conformance::check(|| Wrong(MemoryCache::new(), "")).unwrap();
}

#[test]
fn a_limit_lets_the_least_recently_used_go() {
    let cache = MemoryCache::new().max_entries(100);
    for number in 0..250 {
        cache.set(&number.to_string(), String::new()).unwrap();
        cache.get("0").unwrap();
    }
    let statistics = &cache.statistics()[0];
    assert!(statistics.entries.unwrap() <= 100);
    assert_eq!(statistics.evictions + statistics.entries.unwrap(), 250);
    assert!(cache.get("0").unwrap().is_some() && cache.get("249").unwrap().is_some());
    assert!(cache.get("1").unwrap().is_none());
    for key in cache.keys().unwrap() {
        cache.remove(&key).unwrap();
    }
    assert_eq!(cache.statistics()[0].bytes, Some(0));
}

/// Fails at everything.
pub(crate) struct Broken;

impl Cache for Broken {
    fn get(&self, _: &str) -> anyhow::Result<Option<String>> {
        anyhow::bail!("out of order")
    }

    fn set(&self, _: &str, _: String) -> anyhow::Result<()> {
        anyhow::bail!("out of order")
    }

    fn remove(&self, _: &str) -> anyhow::Result<bool> {
        anyhow::bail!("out of order")
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        anyhow::bail!("out of order")
    }
}

#[test]
fn a_layer_that_fails_is_passed_over() {
    let below = Arc::new(MemoryCache::new());
    let layers: [Arc<dyn Cache>; 2] = [Arc::new(Broken), below.clone()];
    let cache = LayeredCache::new(layers);
    cache.set("a", "1".to_owned()).unwrap();
    assert_eq!(below.get("a").unwrap().as_deref(), Some("1"));
    assert_eq!(cache.get("a").unwrap().as_deref(), Some("1"));
    assert!(cache.remove("a").unwrap());
    assert!(
        LayeredCache::new([Arc::new(Broken) as Arc<dyn Cache>])
            .get("a")
            .is_err()
    );
    assert!(LayeredCache::<String>::new([]).get("a").unwrap().is_none());
}

/// Takes nothing new.
struct Full(MemoryCache);

impl Cache for Full {
    fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        self.0.get(key)
    }

    fn set(&self, _: &str, _: String) -> anyhow::Result<()> {
        anyhow::bail!("it is full")
    }

    fn remove(&self, key: &str) -> anyhow::Result<bool> {
        self.0.remove(key)
    }

    fn keys(&self) -> anyhow::Result<Vec<String>> {
        self.0.keys()
    }
}

#[test]
fn a_layer_that_does_not_take_a_value_loses_the_older_one() {
    let keys = ["set", "set many", "updated"].map(str::to_owned);
    for is_lowest in [false, true] {
        let full = Arc::new(Full(MemoryCache::new()));
        for key in &keys {
            full.0.set(key, "old".to_owned()).unwrap();
        }
        let good: Arc<MemoryCache> = Arc::default();
        let mut layers: [Arc<dyn Cache>; 2] = [full.clone(), good.clone()];
        if is_lowest {
            layers.reverse();
        }
        let cache = LayeredCache::new(layers);
        let new = || "new".to_owned();
        cache.set(&keys[0], new()).unwrap();
        cache.set_many(vec![(keys[1].clone(), new())]).unwrap();
        let mut update = |_, _| Some(new());
        // Where the lowest layer fails, the one above it counts.
        cache.update_many(&keys[2..], &mut update).unwrap();
        assert!(full.keys().unwrap().is_empty(), "{is_lowest}");
        assert_eq!(
            cache.get_many(&keys).unwrap(),
            [Some(new()), Some(new()), Some(new())]
        );
        assert_eq!(good.keys().unwrap().len(), 3);
    }
}

#[test]
fn results_are_remembered_by_name_and_arguments() {
    let memoiser = Memoiser::with(SerialisedCache::json(MemoryCache::new()), StringKeyMaker);
    let call = |name, argument: i64, gives: Option<i64>| {
        memoiser.call(name, &argument, || {
            gives.ok_or_else(|| anyhow::anyhow!("no result"))
        })
    };
    assert!(call("a", 1, None).is_err());
    assert_eq!(call("a", 1, Some(10)).unwrap(), 10);
    assert_eq!(call("a", 1, None).unwrap(), 10);
    assert_eq!(call("a", 2, Some(20)).unwrap(), 20);
    assert_eq!(call("b", 1, Some(30)).unwrap(), 30);
    assert_eq!(memoiser.cache().keys().unwrap().len(), 3);
}
