//! What is done with foreign bytes: by the fuzzers, and with their corpora by an ordinary test.
#![allow(dead_code, reason = "each fuzzer uses one of them")]

use std::io::Cursor;
use std::sync::{Arc, Mutex, OnceLock};

use ftrack_api::event::{Event, Filter};
use ftrack_api::query::{Criterion, Projection, Statement, field, select};
use ftrack_api::sequence::Sequence;
use ftrack_api::{
    Entity, Error, ErrorKind, Result, Session, SessionBuilder, Value,
    config::{Retry, SchemaCache},
    data, expr,
    transport::{Request, Response, ScriptedTransport, Transport},
};

/// Any text is refused with an error or read to a tree that prints and reads back as itself; and
/// any text is one value.
pub(crate) fn query(text: &str) {
    read(text);
    hold(text);
    _ = text.parse::<Criterion>();
    _ = text.parse::<Projection>();
}

fn read(text: &str) {
    let Ok(statement) = text.parse::<Statement>() else {
        return;
    };
    let printed = statement.expression().expect("what was read can be sent");
    let again: Statement = printed.parse().expect("what was printed can be read");
    assert_eq!(again, statement);
}

fn hold(value: &str) {
    let filled = expr!("T where a is {} limit 3", value).statement();
    let filled = filled.expect("any text is a value");
    assert_eq!(filled, select("T").filter(field("a").eq(value)).limit(3));
    let again: Statement = filled
        .to_string()
        .parse()
        .expect("a quoted text can be read");
    assert_eq!(again, filled);
}

/// Any text is refused with an error, or read to an expression that prints and reads back as one
/// that selects the same. The first line may be an event in JSON.
pub(crate) fn expression(text: &str) {
    let (event, text) = text.split_once('\n').unwrap_or(("", text));
    let Ok(read) = text.parse::<Filter>() else {
        return;
    };
    let printed = read.to_string();
    let again: Filter = printed.parse().expect("what was printed can be read");
    assert_eq!(again.to_string(), printed);
    let event = serde_json::from_str(event).unwrap_or_else(|_| {
        Event::new("ftrack.update").with_data(serde_json::json!({"a": {"b": [1, "x", null]}}))
    });
    assert_eq!(read.matches(&event), again.matches(&event));
    _ = read.clone().and(again.clone()).matches(&event);
    _ = read.or(!again).to_string();
}

/// Any text is refused with an error or read to a sequence that prints and reads back as itself,
/// and whose members are those that it counts.
pub(crate) fn sequence(text: &str) {
    _ = Sequence::is_pattern(text);
    let Ok(read) = text.parse::<Sequence>() else {
        return;
    };
    let printed = read.to_string();
    let again: Sequence = printed.parse().expect("what was printed can be read");
    assert_eq!(again, read);
    assert_eq!(read.is_empty(), read.members().next().is_none());
    let few = usize::try_from(read.len()).unwrap_or(usize::MAX).min(100);
    assert_eq!(read.members().take(few).count(), few);
    let members = read.indexes().zip(read.members());
    for (index, member) in members.take(100) {
        let number = read.number(index);
        assert_eq!(member, format!("{}{number}{}", read.head(), read.tail()));
    }
    assert!(read.pattern().starts_with(read.head()));
}

/// Types of every kind of attribute, few enough that thousands of sessions open in a second.
const SCHEMAS: &str = include_str!("schemas.json");

fn script(information: &str, schemas: &[u8]) -> (SessionBuilder, ScriptedTransport) {
    let script = ScriptedTransport::new();
    let response = [b"[", information.as_bytes(), b",", schemas, b"]"].concat();
    script.respond(200, response);
    let builder = Session::builder()
        .server_url("https://studio.example")
        .api_key("key")
        .api_user("ada")
        .schema_cache(SchemaCache::Off)
        .retry(Retry::off())
        .transport(script.clone());
    (builder, script)
}

/// Responds to the next requests with the same bytes.
#[derive(Clone, Default)]
struct Canned(Arc<Mutex<(u16, Vec<u8>, u32)>>);

impl Transport for Canned {
    fn send(&self, _: &Request<'_>) -> Result<Response> {
        let mut responses = self.0.lock().expect("nothing panics with it");
        let (status, bytes, left) = &mut *responses;
        *left = left.checked_sub(1).ok_or_else(|| {
            let message = "there is no response left";
            Error::new(ErrorKind::Connection, message)
        })?;
        Ok(Response {
            status: *status,
            headers: Vec::new(),
            body: Box::new(Cursor::new(bytes.clone())),
        })
    }
}

/// Any bytes in place of a response are an error or data; nothing of the session breaks, and what
/// is read afterwards is read twice as the same.
pub(crate) fn response(bytes: &[u8]) {
    // Opening a session takes four times as long as all the rest.
    static OPENED: OnceLock<(Session, Canned)> = OnceLock::new();
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let (session, canned) = OPENED.get_or_init(|| {
        let canned = Canned::default();
        let first = format!(r#"[{{"version":"dev","schema_hash":"x"}},{SCHEMAS}]"#);
        *canned.0.lock().expect("a new lock") = (200, first.into_bytes(), 1);
        let (builder, _) = script("{}", b"[]");
        let session = builder.transport(canned.clone()).open();
        (session.expect("the schema is good"), canned)
    });
    let status = if choice & 0x80 == 0 { 200 } else { 500 };
    // Whatever is asked afterwards gets the same bytes in response.
    *canned.0.lock().expect("nothing panics with it") = (status, bytes.to_vec(), 4);
    match choice & 7 {
        0 => {
            let found = session.query("Task").expect("a query").all();
            found.unwrap_or_default().iter().for_each(look);
        }
        1 => {
            _ = session.create("Task", data! {"name": "n"}).map(|task| {
                // Refused or not, the queue is whole.
                let before = session.recorded_operations().len();
                if session.commit().is_err() {
                    assert_eq!(session.recorded_operations().len(), before);
                }
                look(&task);
            });
        }
        2 => {
            _ = session.call(&[serde_json::json!({"action": "query"})]);
        }
        3 => {
            let query = session.query("select name, status.name, bid from Task");
            _ = query.expect("a query").rows::<serde_json::Value>().count();
        }
        4 => {
            let found = session.query("Task").expect("a query").pages();
            for page in found.take(3).flatten() {
                page.iter().for_each(look);
            }
        }
        5 => {
            _ = session
                .get("Metadata", ["a", "b"])
                .map(|found| found.as_ref().map(look));
        }
        6 => {
            let task = session.create("Task", data! {"name": "n"}).expect("a task");
            _ = session.query("Note").expect("a query").count();
            _ = session.delete(&task);
            _ = session.commit();
        }
        _ => _ = session.query("Task").expect("a query").first(),
    }
    session.reset();
}

/// Reads everything that is there, and one thing that may have to be fetched.
fn look(entity: &Entity) {
    _ = entity.key().to_string();
    for name in [
        "name",
        "status.name",
        "bid",
        "start_date",
        "thumbnail_url",
        "link",
    ] {
        let one: Result<Value> = entity.get(name);
        let two: Result<Value> = entity.get(name);
        if let (Ok(one), Ok(two)) = (one, two) {
            assert_eq!(format!("{one:?}"), format!("{two:?}"));
        }
    }
    if let Ok(children) = entity.collection("children") {
        _ = children.len();
    }
}

/// Any bytes in place of the server's schema, or of the file that keeps it: an error or a schema
/// that can be used; a file is never more than a miss.
pub(crate) fn schema(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    match choice & 3 {
        0 => {
            let (builder, _script) = script(r#"{"version":"dev"}"#, bytes);
            _ = builder.open().map(|session| walk(&session));
        }
        1 => {
            let (builder, script) = script(&String::from_utf8_lossy(bytes), b"[]");
            script.respond(200, SCHEMAS);
            _ = builder.open().map(|session| walk(&session));
        }
        choice => cached(bytes, choice == 3),
    }
}

fn cached(bytes: &[u8], right_hash: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ftrack_api_schema_cache.json"), bytes).expect("a file");
    let hash = if right_hash {
        use md5::Digest;
        let digest = md5::Md5::digest(bytes);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    } else {
        "0".repeat(32)
    };
    let script = ScriptedTransport::new();
    script.respond(
        200,
        format!(r#"[{{"version":"dev","schema_hash":"{hash}"}}]"#),
    );
    script.respond(200, format!("[{SCHEMAS}]"));
    let session = Session::builder()
        .server_url("https://studio.example")
        .api_key("key")
        .api_user("ada")
        .schema_cache(SchemaCache::Dir(folder.path().into()))
        .retry(Retry::off())
        .transport(script)
        .open()
        .expect("a bad cache is a miss");
    walk(&session);
}

fn walk(session: &Session) {
    for entity_type in session.schema().entity_types() {
        for attribute in entity_type.attributes() {
            _ = (attribute.name(), attribute.kind(), attribute.default());
        }
        _ = session.query(entity_type.name()).map(|query| query.first());
        _ = session.create(entity_type.name(), data! {});
    }
    session.rollback();
}
