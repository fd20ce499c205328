//! The last row of a response, without decoding the others.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::body::Body;
use super::typed::Typed;
use crate::error::Result;

/// The last row of the response to one query, as the server sent it; without attributes if there is
/// none.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] if the response is not that of a query; that of the body's check.
pub(crate) fn last_row(body: &Body<'_>) -> Result<Map<String, Json>> {
    let mut json = serde_json::Deserializer::from_slice(body.bytes());
    let read = <[LastRow<'_>; 1]>::deserialize(Typed(&mut json, body));
    let read = read.and_then(|[LastRow { data }]| match data.last() {
        Some(last) => serde_json::from_str(last.get()),
        None => Ok(Map::new()),
    });
    read.map_err(|error| body.unreadable(&error))
}

#[derive(Deserialize)]
struct LastRow<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn the_last_row_is_read_as_it_was_sent() {
        let read = |text: &str| last_row(&text.as_bytes().into());
        let row = read(r#"[{"data": [{"id": "a"}, {"id": "b", "n": {"__type__": "x"}}]}]"#);
        let row = row.unwrap();
        assert_eq!(
            (&row["id"], &row["n"]["__type__"]),
            (&"b".into(), &"x".into())
        );
        assert!(
            read(r#"[{"action": "query", "data": []}]"#)
                .unwrap()
                .is_empty()
        );
        for wrong in [
            "",
            "[]",
            "[{}]",
            r#"[{"data": 1}]"#,
            r#"[{"data": [1]}]"#,
            r#"[{"data": [}]"#,
        ] {
            let error = read(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{wrong}");
        }
    }

    #[test]
    fn reading_stops_when_it_is_told_to() {
        let text = format!(r#"[{{"data": [{}{{}}]}}]"#, "{},".repeat(5000));
        let stop = || Err(Error::new(ErrorKind::Timeout, "enough"));
        let body = Body::checked(text.as_bytes(), &stop);
        assert_eq!(last_row(&body).unwrap_err().kind(), ErrorKind::Timeout);
    }
}
