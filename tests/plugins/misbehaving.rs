//! A plugin library for the tests: it does what its argument `misbehave` says.
#![allow(clippy::panic, reason = "it misbehaves")]

use std::sync::Arc;

use anyhow::{Result, bail};
use ftrack_api::plugin::{Arguments, Plugin, Registrar};
use ftrack_api::{ErrorKind, Session, config::Populate};
use serde_json::{Value, json};

struct Misbehaving;

impl Plugin for Misbehaving {
    fn name(&self) -> &str {
        "test.misbehaving"
    }

    fn version(&self) -> &str {
        "1.0"
    }

    fn register(&self, registrar: &mut Registrar, arguments: &Arguments) -> Result<()> {
        registrar.subscribe("topic=test.alive", |_, _| Ok(Some(json!("alive"))))?;
        match arguments.get("misbehave").and_then(Value::as_str) {
            Some("panic") => panic!("in register"),
            Some("error") => bail!("no license"),
            Some("syntax") => registrar.subscribe("topic=", |_, _| Ok(None))?,
            _ => {}
        }
        registrar.subscribe("topic=test.panic", |_, _| panic!("in a callback"))?;
        registrar.subscribe("topic=test.error", |session, _| {
            let error = session.query("Taks").err();
            let error = error.ok_or_else(|| anyhow::anyhow!("there is no such type"))?;
            Err(error.into())
        })?;
        registrar.subscribe("topic=test.panic-elsewhere", |session, _| {
            // The handler of the program panics while this library dispatches.
            let hub = session.event_hub();
            let replies = hub.publish_synchronous(ftrack_api::Event::new("test.host-panics"));
            Ok(Some(replies.len().into()))
        })?;
        registrar.subscribe("topic=test.work", |session, event| {
            work(session, event.data()["rounds"].as_u64().unwrap_or(1)).map(Some)
        })?;
        registrar.subscribe("topic=test.settings", |session, _| {
            let task = session.query("select id from Task")?.first()?;
            let error = task.and_then(|task| task.value("bid").err());
            Ok(Some(json!(
                error.map(|error| error.kind()) == Some(ErrorKind::NotLoaded)
            )))
        })?;
        registrar.subscribe("topic=test.listen", |session, _| {
            // Past the registrar, with the hub itself.
            let hub = session.event_hub();
            hub.subscribe("topic=test.panic-of-own", |_| {
                panic!("in a handler of its own")
            })?;
            Ok(None)
        })
    }
}

/// Reads, writes and keeps entities of the session's.
fn work(session: &Session, rounds: u64) -> Result<Value> {
    let shared = Arc::new(
        session
            .query("select name, status.name from Task limit 20")?
            .all()?,
    );
    let mut length = 0;
    for round in 0..rounds {
        for task in shared.iter() {
            length += task.get::<String>("name")?.len();
            length += task.get::<String>("status.name")?.len();
            task.set("bid", round)?;
        }
        let _quiet = session.auto_populating(Populate::Off);
        session.query("Task where name is \"nothing\"")?.all()?;
    }
    Ok(json!({"length": length, "known": session.entity_count()}))
}

ftrack_api::export_plugin!(Misbehaving);
