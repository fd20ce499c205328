//! The conformance suite of caches, for a test of your own cache.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, ensure};

use super::Cache;

type Check<C> = fn(&C) -> anyhow::Result<()>;

/// Checks that a cache conforms to [`Cache`]. `make` returns an empty cache each time; the caches may
/// share their storage, as each check leaves it empty.
///
/// The checks store a few hundred values of up to one megabyte, from several threads. A cache with a
/// lower limit fails.
///
/// # Errors
///
/// - The first violation.
pub fn check<C: Cache>(make: impl Fn() -> C) -> anyhow::Result<()> {
    let checks: [(&str, Check<C>); 7] = [
        ("single values", single_values),
        ("any text", any_text),
        ("keys and values", keys_and_values),
        ("clearing", clearing),
        ("many at once", many_at_once),
        ("updates", updates),
        ("the statistics", statistics),
    ];
    for (name, check) in checks {
        let cache = make();
        check(&cache).with_context(|| name.to_owned())?;
        cache.clear(None).context("cannot clean up")?;
    }
    let cache = Arc::new(make());
    threads(&cache).context("several threads")?;
    cache.clear(None).context("cannot clean up")
}

fn text(value: &str) -> String {
    value.to_owned()
}

fn single_values(cache: &impl Cache) -> anyhow::Result<()> {
    ensure!(cache.get("a")?.is_none(), "an empty cache has a value");
    ensure!(!cache.remove("a")?, "an empty cache removed a value");
    cache.set("a", text("one"))?;
    ensure!(
        cache.get("a")? == Some(text("one")),
        "what was set is not there"
    );
    ensure!(
        cache.get("A")?.is_none(),
        "upper and lower case are the same"
    );
    cache.set("a", text("two"))?;
    ensure!(
        cache.get("a")? == Some(text("two")),
        "what was set again is not there"
    );
    ensure!(cache.remove("a")?, "a value was not removed");
    ensure!(cache.get("a")?.is_none(), "a removed value is there");
    ensure!(!cache.remove("a")?, "a value was removed twice");
    Ok(())
}

fn any_text(cache: &impl Cache) -> anyhow::Result<()> {
    let large = "0123456789abcdef".repeat(1 << 16);
    let texts = [
        "",
        " ",
        "%_*?[]",
        "a:b\\c/d",
        "\"'`;--",
        "line\nbreak\0zero",
        "日本 ünï 🎬",
        &large,
    ];
    for value in texts {
        cache.set("key", text(value))?;
        ensure!(
            cache.get("key")?.as_deref() == Some(value),
            "not kept as it is: {value:.40?}"
        );
    }
    cache.remove("key")?;
    for key in &texts[1..7] {
        cache.set(key, text(key))?;
    }
    for key in &texts[1..7] {
        ensure!(
            cache.get(key)?.as_deref() == Some(*key),
            "not found under {key:?}"
        );
    }
    Ok(())
}

fn keys_and_values(cache: &impl Cache) -> anyhow::Result<()> {
    ensure!(cache.keys()?.is_empty() && cache.values()?.is_empty());
    let names: BTreeSet<String> = (0..200).map(|number| format!("key {number}")).collect();
    for name in &names {
        cache.set(name, name.clone())?;
    }
    let keys: Vec<String> = cache.keys()?;
    ensure!(keys.len() == names.len(), "a key occurs twice, or not");
    ensure!(
        keys.into_iter().collect::<BTreeSet<_>>() == names,
        "other keys"
    );
    let values: BTreeSet<String> = cache.values()?.into_iter().collect();
    ensure!(values == names, "other values");
    Ok(())
}

fn clearing(cache: &impl Cache) -> anyhow::Result<()> {
    for key in ["task:1", "task:22", "user:1", "a.c"] {
        cache.set(key, text("x"))?;
    }
    ensure!(cache.clear(Some("(")).is_err(), "a bad pattern is no error");
    ensure!(cache.keys()?.len() == 4, "a bad pattern removed values");
    cache.clear(Some("^task:[0-9]$"))?;
    let left: BTreeSet<String> = cache.keys()?.into_iter().collect();
    ensure!(
        left == ["a.c", "task:22", "user:1"].map(text).into(),
        "a pattern is not matched as a regular expression: {left:?}"
    );
    cache.clear(Some("er"))?;
    ensure!(cache.get("user:1")?.is_none(), "a pattern is found inside");
    cache.clear(None)?;
    ensure!(cache.keys()?.is_empty(), "something is left");
    cache.clear(None)?;
    Ok(())
}

fn many_at_once(cache: &impl Cache) -> anyhow::Result<()> {
    cache.set_many(Vec::new())?;
    ensure!(cache.get_many(&[])?.is_empty() && cache.remove_many(&[])? == 0);
    let entries = ["a", "b", "a"].into_iter().enumerate();
    cache.set_many(
        entries
            .map(|(number, key)| (text(key), number.to_string()))
            .collect(),
    )?;
    let found = cache.get_many(&["b", "none", "a", "b"].map(text))?;
    let expected = [Some("1"), None, Some("2"), Some("1")];
    ensure!(
        found.iter().map(Option::as_deref).eq(expected),
        "not the values of the keys, in their order: {found:?}"
    );
    let removed = cache.remove_many(&["a", "none", "b"].map(text))?;
    ensure!(removed == 2, "{removed} of 2 values were removed");
    ensure!(cache.keys()?.is_empty(), "something is left");
    let many = (0..1500).map(|number| (format!("{number}"), format!("value {number}")));
    cache.set_many(many.collect())?;
    let keys: Vec<String> = (0..1500).rev().map(|number| number.to_string()).collect();
    let found = cache.get_many(&keys)?;
    ensure!(found.len() == 1500 && found[0].as_deref() == Some("value 1499"));
    ensure!(cache.remove_many(&keys)? == 1500, "not all were removed");
    Ok(())
}

fn updates(cache: &impl Cache) -> anyhow::Result<()> {
    cache.update_many(&[], &mut |_, _| None)?;
    let many: Vec<String> = (0..1200).map(|number| number.to_string()).collect();
    cache.set_many(many.iter().map(|key| (key.clone(), text("one"))).collect())?;
    cache.remove_many(&many[..2])?;
    let mut seen = vec![None; many.len()];
    cache.update_many(&many, &mut |number, before| {
        seen[number] = before.clone();
        match number % 2 {
            0 => Some(format!("{} {number}", before.as_deref().unwrap_or("none"))),
            _ => None,
        }
    })?;
    ensure!(
        seen[..2] == [None, None] && seen[2..].iter().all(|seen| *seen == Some(text("one"))),
        "an update does not see what is there"
    );
    let found = cache.get_many(&many)?;
    for (number, found) in found.iter().enumerate() {
        let expected = match number {
            0 => Some(text("none 0")),
            1 => None,
            _ if number % 2 == 0 => Some(format!("one {number}")),
            _ => Some(text("one")),
        };
        ensure!(
            *found == expected,
            "after an update of {number} there is {found:?}"
        );
    }
    cache.remove_many(&many)?;
    Ok(())
}

fn statistics(cache: &impl Cache) -> anyhow::Result<()> {
    let Some(before) = cache.statistics().into_iter().next_back() else {
        return Ok(());
    };
    cache.set("a", text("x"))?;
    cache.get_many(&["none", "none either"].map(text))?;
    let after = cache.statistics().pop().context("they are gone")?;
    ensure!(after.writes == before.writes + 1, "a write is not counted");
    ensure!(
        after.misses == before.misses + 2,
        "two misses are not counted"
    );
    Ok(())
}

/// Threads that set, get and remove: each finds under a key what somebody put there, or nothing.
fn threads<C: Cache>(cache: &Arc<C>) -> anyhow::Result<()> {
    let workers = (0..4).map(|worker: u32| {
        let cache = cache.clone();
        thread::spawn(move || -> anyhow::Result<()> {
            for round in 0..50_u32 {
                let key = format!("shared {}", round % 7);
                cache.set(&key, format!("{key} of {worker}"))?;
                if let Some(found) = cache.get(&key)? {
                    ensure!(found.starts_with(&key), "{found:?} under {key:?}");
                }
                let own = format!("own {worker}");
                cache.set(&own, round.to_string())?;
                ensure!(
                    cache.get(&own)? == Some(round.to_string()),
                    "lost under {own:?}"
                );
                cache.remove(&key)?;
            }
            Ok(())
        })
    });
    let workers: Vec<_> = workers.collect();
    for worker in workers {
        let done = worker.join();
        done.map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    }
    Ok(())
}
