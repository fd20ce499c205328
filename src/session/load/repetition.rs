//! Recognises a server that sends the same pages for ever.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};

/// Of how many responses one is compared with those before: reading a response once more costs.
const RESPONSES_BETWEEN_COMPARISONS: u64 = 16;

/// The responses to the requests for the pages of a query. Cycles of any length are recognised, by
/// Brent's algorithm: it remembers one response, a later one each time that the number of responses
/// doubles.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Repetition {
    responses: u64,
    remembered: Option<u64>,
}

impl Repetition {
    /// Notes a response.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::BadResponse`] if it has the same entities as an earlier one.
    pub(super) fn check(&mut self, response: &[u8]) -> Result<()> {
        match self.repeats(|| fingerprint(response)) {
            true => Err(Error::new(
                ErrorKind::BadResponse,
                "the server sent the same entities again instead of further ones",
            )),
            false => Ok(()),
        }
    }

    /// Notes a response, of which `fingerprint` makes a number. Whether it has the same entities as
    /// an earlier one.
    fn repeats(&mut self, fingerprint: impl FnOnce() -> Option<u64>) -> bool {
        self.responses += 1;
        let number = self.responses;
        if !number.is_multiple_of(RESPONSES_BETWEEN_COMPARISONS) {
            return false;
        }
        let fingerprint = fingerprint();
        if fingerprint.is_some() && fingerprint == self.remembered {
            return true;
        }
        if (number / RESPONSES_BETWEEN_COMPARISONS).is_power_of_two() {
            self.remembered = fingerprint;
        }
        false
    }
}

/// A number for the entities in a response to queries; none if there are none. Entities with an id are
/// told by it: their other values may differ each time, and in any order they are nothing new.
fn fingerprint(response: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let replies: Vec<Reply<'_>> = serde_json::from_slice(response).ok()?;
    let texts = replies.iter().map(|reply| reply.data.get());
    if texts.clone().all(|text| text == "[]") {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    for text in texts {
        match ids(text) {
            Some(ids) => ids.hash(&mut hasher),
            None => text.hash(&mut hasher),
        }
    }
    Some(hasher.finish())
}

/// The sorted ids of a list of entities; `None` unless all have one.
fn ids(data: &str) -> Option<Vec<&str>> {
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let rows: Vec<Row<'_>> = serde_json::from_str(data).ok()?;
    let ids = rows.iter().map(|row| row.id.map(RawValue::get));
    let mut ids: Vec<&str> = ids.collect::<Option<_>>()?;
    ids.sort_unstable();
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_of_any_length_are_recognised() {
        for length in [1, 2, 3, 10, 100] {
            let mut seen = Repetition::default();
            let mut responses = 0..100 + 40 * length;
            let found = responses.any(|number| seen.repeats(|| Some(number % length)));
            assert!(found, "{length}");
        }
        let (mut seen, mut compared) = (Repetition::default(), 0);
        assert!(!(0..1000).any(|number| {
            seen.repeats(|| {
                compared += 1;
                Some(number)
            })
        }));
        assert_eq!(compared, 1000 / RESPONSES_BETWEEN_COMPARISONS);
        assert!(!(0..1000).any(|_| seen.repeats(|| None)), "empty");
    }

    #[test]
    fn responses_are_the_same_if_their_entities_are() {
        let page = |id: &str, next: u64| {
            let reply = r#"[{"data": [{"id": "ID"}], "metadata": {"next": {"offset": NEXT}}}]"#;
            let text = reply.replace("ID", id).replace("NEXT", &next.to_string());
            fingerprint(text.as_bytes())
        };
        assert_eq!(page("a", 1), page("a", 2));
        assert_ne!(page("a", 1), page("b", 1));
        assert_eq!(fingerprint(br#"[{"data": []}, {"data": []}]"#), None);
        assert!(fingerprint(br#"[{"data": []}, {"data": [1]}]"#).is_some());
        let of = |data: &str| fingerprint(format!(r#"[{{"data": {data}}}]"#).as_bytes());
        let page = of(r#"[{"id": "a", "url": "x?1"}, {"id": "b", "url": "y?1"}]"#);
        for (data, is_same) in [
            (
                r#"[{"id": "a", "url": "x?2"}, {"id": "b", "url": "y?2"}]"#,
                true,
            ),
            (r#"[{"url": "y?3", "id": "b"}, {"id": "a"}]"#, true),
            (
                r#"[{"id": "a", "url": "x?1"}, {"id": "c", "url": "y?1"}]"#,
                false,
            ),
            (r#"[{"id": "a", "url": "x?1"}]"#, false),
            (r#"[{"id": "a", "url": "x?1"}, {"url": "y?1"}]"#, false),
        ] {
            assert_eq!(of(data) == page, is_same, "{data}");
        }
        assert_ne!(of(r#"[{"n": 1}]"#), of(r#"[{"n": 2}]"#));
        assert_ne!(
            of(r#"[{"id": null, "n": 1}]"#),
            of(r#"[{"id": null, "n": 2}]"#)
        );
    }
}
