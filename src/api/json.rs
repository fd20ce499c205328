//! Reading JSON of a server into values, within a limit of memory.
//!
//! A value may need a hundred times the bytes of its text: `{"":0}` allocates a node for eleven
//! members. So memory is counted while values are read, and not the size of the text.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

use crate::wire::Body;

/// What an element of a list or a member of an object takes: lists grow by doubling.
const ELEMENT_BYTES: usize = 2 * size_of::<Json>();
/// What an object takes before its second member: a node with eleven places.
const OBJECT_BYTES: usize = 12 * (size_of::<String>() + size_of::<Json>());

/// Reads a value that needs at most `max_bytes` of memory.
///
/// # Errors
///
/// - A syntax error, that more memory would be needed, or that the body's check failed.
pub(super) fn read(body: &Body<'_>, max_bytes: u64) -> serde_json::Result<Json> {
    let mut deserializer = serde_json::Deserializer::from_slice(body.bytes());
    let left = Cell::new(max_bytes);
    let value = Bounded {
        body,
        left: &left,
        max_bytes,
    }
    .deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Bounded<'a> {
    body: &'a Body<'a>,
    left: &'a Cell<u64>,
    max_bytes: u64,
}

impl Bounded<'_> {
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        self.body.go_on()?;
        match self.left.get().checked_sub(bytes as u64) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                let most = self.max_bytes;
                let message = format!("its values need more than {most} bytes of memory");
                Err(E::custom(message))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            self.take(ELEMENT_BYTES)?;
            list.push(element);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let node = if object.is_empty() {
                OBJECT_BYTES
            } else {
                ELEMENT_BYTES
            };
            self.take(node + name.len())?;
            object.insert(name, members.next_value_seed(self)?);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_serde_json() {
        for text in [
            "null",
            " [true, -1, 18446744073709551615, 1.5, 1e300, \"a\\u00e9\\n\"] ",
            r#"{"a": {"b": [], "c": {}}, "a": 2, "": null}"#,
            "[[[[[[[[1]]]]]]]]",
        ] {
            let expected: Json = serde_json::from_str(text).unwrap();
            assert_eq!(
                read(&text.as_bytes().into(), 1 << 20).unwrap(),
                expected,
                "{text}"
            );
        }
        for text in [
            "",
            "[",
            "[1,]",
            "1 2",
            "{\"a\"}",
            "\"\u{1}\"",
            "nul",
            "[1e999]",
        ] {
            let expected = serde_json::from_str::<Json>(text).unwrap_err();
            let error = read(&text.as_bytes().into(), 1 << 20).unwrap_err();
            assert_eq!(error.to_string(), expected.to_string(), "{text}");
        }
        let deep = "[".repeat(1000);
        assert!(read(&deep.as_bytes().into(), 1 << 20).is_err());
    }

    #[test]
    fn memory_is_limited_however_small_the_text() {
        for (unit, bytes) in [
            ("{\"\":0}", OBJECT_BYTES),
            ("0", 0),
            ("\"1234567890\"", 10),
            ("[]", 0),
        ] {
            let text = format!("[{}]", vec![unit; 1000].join(","));
            let needed = 1000 * (ELEMENT_BYTES + bytes) as u64;
            assert!(read(&text.as_bytes().into(), needed).is_ok(), "{unit}");
            let error = read(&text.as_bytes().into(), needed - 1)
                .unwrap_err()
                .to_string();
            assert!(error.contains("bytes of memory"), "{error}");
        }
    }
}
