//! The content of a stored entry.

use crate::event::Event;

use super::engine::{Fields, Kind};
use super::gap::{Gap, GapReason};

/// The layout of entries that this version reads and writes.
const VERSION: &str = "1";

/// What a worker is given.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "most are events, and each is moved twice"
)]
pub(super) enum Content {
    Event(Event),
    Gap(Gap),
}

/// An entry that was read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) content: Content,
    /// When the relay received it: milliseconds since 1970.
    pub(super) at: i64,
    /// The name of the relay.
    pub(super) relay: String,
    pub(super) is_from_log: bool,
}

/// Reads an entry. Anybody may have written to the stream: what cannot be read is an error that says why.
pub(super) fn read(fields: &Fields) -> Result<Entry, String> {
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let needed = |name: &str| {
        field(name)
            .ok_or_else(|| format!("it is not an entry of ftrack-api: it has no field {name:?}"))
    };
    match needed("v")? {
        VERSION => {}
        other => {
            return Err(format!(
                "it was written by another version of ftrack-api, in layout {other:?}; this one reads \
                 layout {VERSION}"
            ));
        }
    }
    let at: i64 = match needed("at")?.parse() {
        Ok(at) => at,
        Err(_) => return Err("its field \"at\" is not a time".to_owned()),
    };
    let kind = needed("kind")?;
    let kind = Kind::named(kind).ok_or_else(|| format!("its kind {kind:?} is unknown"))?;
    let body = needed("body")?;
    let damaged = |error: serde_json::Error| format!("its body is not what its kind says: {error}");
    let content = match kind {
        Kind::Event | Kind::Log => Content::Event(serde_json::from_str(body).map_err(damaged)?),
        Kind::Gap => Content::Gap(serde_json::from_str(body).map_err(damaged)?),
        Kind::Lost => Content::Gap(lost(at, body.parse().unwrap_or(0))),
    };
    Ok(Entry {
        content,
        at,
        relay: field("by").unwrap_or_default().to_owned(),
        is_from_log: kind == Kind::Log,
    })
}

/// Numbers of entries that are missing. Where the numbers start again, the stream has lost its data.
fn lost(at: i64, missing: i64) -> Gap {
    let reason = match missing < 0 {
        true => GapReason::StreamLost,
        false => GapReason::Removed,
    };
    let mut gap = Gap::new(None, at, reason);
    gap.lost = u64::try_from(missing).ok();
    gap
}

/// An entry that was removed after it was taken in.
pub(super) fn removed(now: i64) -> Entry {
    Entry {
        content: Content::Gap(lost(now, 1)),
        at: now,
        relay: String::new(),
        is_from_log: false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn says_what_is_wrong_with_foreign_entries() {
        for (text, expected) in [
            ("", "no field \"v\""),
            ("hello=world", "no field \"v\""),
            ("v=0 at=1 kind=event body={}", "layout \"0\""),
            ("v=1 kind=event body={}", "no field \"at\""),
            ("v=1 at=soon kind=event body={}", "not a time"),
            ("v=1 at=1 body={}", "no field \"kind\""),
            ("v=1 at=1 kind=poem body={}", "\"poem\" is unknown"),
            ("v=1 at=1 kind=event", "no field \"body\""),
            ("v=1 at=1 kind=event body={\"topic\":", "EOF"),
            ("v=1 at=1 kind=event body={}", "topic"),
            ("v=1 at=1 kind=gap body={}", "missing field"),
        ] {
            let error = read(&fields(text)).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn reads_its_own() {
        let entry = read(&fields(
            "v=1 n=4 at=5 kind=log by=a id=x body={\"topic\":\"t\"}",
        ))
        .unwrap();
        assert!(matches!(&entry.content, Content::Event(event) if event.topic() == "t"));
        assert!(entry.is_from_log && entry.at == 5 && entry.relay == "a");
        for (missing, reason, lost) in [
            ("3", GapReason::Removed, Some(3)),
            ("-8", GapReason::StreamLost, None),
        ] {
            let text = format!("v=1 n=0 at=5 kind=lost by= id= body={missing}");
            let Content::Gap(gap) = read(&fields(&text)).unwrap().content else {
                unreachable!("it is a gap");
            };
            assert_eq!((gap.reason, gap.lost), (reason, lost));
        }
    }
}
