//! Decodes a response into rows of any type, in one pass and without an intermediate tree.
//!
//! Date-times and dates are wrapped on the wire: `{"__type__": "datetime", "value": …}`. A
//! deserializer around that of `serde_json` unwraps them, so that a field may be a text or a
//! date, at any depth of the row.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::CowStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

use super::body::Body;
use super::decode::{Metadata, no_exception};
use super::text_buf::TextBuf;
use crate::error::{Error, ErrorKind, Result};
use crate::value::datetime_from_wire;

/// The rows of the reply to one query.
pub(crate) struct TypedReply<T> {
    pub(crate) rows: Vec<T>,
    metadata: Option<Metadata>,
}

impl<T> TypedReply<T> {
    /// The offset of the next page, if there is one.
    pub(crate) fn next_offset(&mut self) -> Option<u64> {
        self.metadata.take().and_then(Metadata::next_offset)
    }
}

/// Decodes the response to `count` queries into rows of type `T`, each of which `seed` reads.
///
/// # Errors
///
/// - [`ErrorKind::WrongType`] if a row does not deserialise into `T`, and
///   [`ErrorKind::BadResponse`] if the response is not that of `count` queries; that of the body's
///   check.
pub(crate) fn decode_rows<T, S>(
    body: &Body<'_>,
    count: usize,
    seed: S,
) -> Result<Vec<TypedReply<T>>>
where
    S: Clone + for<'de> DeserializeSeed<'de, Value = T>,
{
    // One check of the whole is cheaper than one for each text.
    let text = std::str::from_utf8(body.bytes()).map_err(|error| body.unreadable(&error))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let replies = ListOf(ReplyOf(seed))
        .deserialize(Typed(&mut json, body))
        .and_then(|replies| json.end().map(|()| replies));
    match replies {
        Ok(replies) if replies.len() == count => Ok(replies),
        Ok(replies) => {
            let message = format!(
                "the server sent {} replies to {count} actions",
                replies.len()
            );
            Err(Error::new(ErrorKind::BadResponse, message))
        }
        Err(error) if error.is_data() && !body.is_stopped() && has_rows(text) => Err(Error::new(
            ErrorKind::WrongType,
            format!(
                "a row does not deserialise into {}: {error}",
                std::any::type_name::<T>()
            ),
        )),
        Err(error) => Err(body.unreadable(&error)),
    }
}

/// Whether the response is that of queries, so that an error is about its rows.
fn has_rows(text: &str) -> bool {
    let replies = ListOf(ReplyOf(PhantomData::<IgnoredAny>));
    let mut json = serde_json::Deserializer::from_str(text);
    replies.deserialize(&mut json).is_ok() && json.end().is_ok()
}

/// Reads a list whose members a seed reads.
#[derive(Clone)]
struct ListOf<S>(S);

impl<'de, S: DeserializeSeed<'de> + Clone> DeserializeSeed<'de> for ListOf<S> {
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Clone> Visitor<'de> for ListOf<S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = list.next_element_seed(self.0.clone())? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Reads a reply whose rows a seed reads.
#[derive(Clone)]
struct ReplyOf<S>(S);

impl<'de, S: DeserializeSeed<'de> + Clone> DeserializeSeed<'de> for ReplyOf<S> {
    type Value = TypedReply<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Clone> Visitor<'de> for ReplyOf<S> {
    type Value = TypedReply<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reply, which is an object with `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut rows, mut metadata) = (None, None);
        while let Some(name) = map.next_key::<TextBuf<'de>>()? {
            match name.as_str() {
                "data" => rows = Some(map.next_value_seed(ListOf(self.0.clone()))?),
                "metadata" => metadata = map.next_value()?,
                "exception" => no_exception(&mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let rows = rows.ok_or_else(|| A::Error::missing_field("data"))?;
        Ok(TypedReply { rows, metadata })
    }
}

/// A deserializer that unwraps typed values.
pub(super) struct Typed<'b, D>(pub(super) D, pub(super) &'b Body<'b>);

/// What a type asks its deserializer for, which says what an object in its place can be.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    /// A scalar: an object can only be a typed value.
    Scalar,
    /// Anything: an object is a typed value if it begins like one.
    Any,
    /// An object, a list or an option: objects are passed on.
    Other,
}

struct Unwrapping<'b, V> {
    body: &'b Body<'b>,
    visitor: V,
    asked: Asked,
}

macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.deserialize_any(Unwrapping { body: self.1, visitor, asked: Asked::Scalar })
        }
    )*};
}

macro_rules! others {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(
            self, $($argument: $type,)* visitor: V
        ) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* Unwrapping { body: self.1, visitor, asked: Asked::Other })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Typed<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let asked = Asked::Any;
        self.0.deserialize_any(Unwrapping {
            body: self.1,
            visitor,
            asked,
        })
    }

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_unit
    }

    others! {
        deserialize_i128() deserialize_u128() deserialize_bytes() deserialize_byte_buf()
        deserialize_option() deserialize_seq() deserialize_map() deserialize_identifier()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_ignored_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! pass {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E: serde::de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Unwrapping<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    pass! {
        visit_bool: bool visit_i64: i64 visit_u64: u64 visit_f64: f64 visit_i128: i128
        visit_u128: u128 visit_str: &str visit_borrowed_str: &'de str visit_string: String
        visit_bytes: &[u8] visit_borrowed_bytes: &'de [u8] visit_byte_buf: Vec<u8>
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inside: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Typed(inside, self.body))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inside: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Typed(inside, self.body))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Typed(list, self.body))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(data)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        if self.asked == Asked::Other {
            return self.visitor.visit_map(Typed(map, self.body));
        }
        let first: Option<TextBuf<'de>> = map.next_key()?;
        // Servers write `__type__` first; where only a scalar fits, the order does not matter.
        if self.asked == Asked::Scalar || first.as_ref().map(TextBuf::as_str) == Some("__type__") {
            return unwrap(first, map, self.visitor);
        }
        let map = Typed(map, self.body);
        self.visitor.visit_map(Resumed { map, first })
    }
}

/// Passes on the content of a typed value, whose first member name was read.
fn unwrap<'de, A: MapAccess<'de>, V: Visitor<'de>>(
    first: Option<TextBuf<'de>>,
    mut map: A,
    visitor: V,
) -> Result<V::Value, A::Error> {
    let mut name: Option<TextBuf<'de>> = None;
    let mut value: Option<TextBuf<'de>> = None;
    let mut next = first;
    while let Some(key) = next {
        match key.as_str() {
            "__type__" => name = Some(map.next_value()?),
            "value" => value = Some(map.next_value()?),
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        next = map.next_key()?;
    }
    let (Some(name), Some(value)) = (name, value) else {
        let found = serde::de::Unexpected::Map;
        return Err(A::Error::invalid_type(found, &visitor));
    };
    // Fractions and offsets are normalised; the usual form needs no parsing.
    if name.as_str() == "datetime"
        && value.as_str().len() != "2026-01-02T03:04:05".len()
        && let Some(plain) = datetime_from_wire(value.as_str())
    {
        return visitor.visit_string(plain.to_string());
    }
    match value.0 {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Typed<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.1.go_on()?;
        self.0.next_element_seed(Typed(seed, self.1))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Typed<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Typed(seed, self.1))
    }
}

/// The members of an object whose first name was read already.
struct Resumed<'de, M> {
    map: M,
    first: Option<TextBuf<'de>>,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for Resumed<'de, M> {
    type Error = M::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, M::Error> {
        match self.first.take() {
            Some(name) => seed.deserialize(CowStrDeserializer::new(name.0)).map(Some),
            None => self.map.next_key_seed(seed),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, M::Error> {
        self.map.next_value_seed(seed)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Typed<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Typed(json, self.1))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use jiff::civil::{Date, DateTime};
    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value as Json, json};

    use super::*;

    #[track_caller]
    fn rows<T: DeserializeOwned>(data: &str) -> Vec<T> {
        let body = format!(r#"[{{"action":"query","data":{data},"metadata":null}}]"#);
        decode_rows(&body.as_bytes().into(), 1, PhantomData::<T>)
            .unwrap()
            .remove(0)
            .rows
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Row {
        name: String,
        start: Option<DateTime>,
        end: Option<Date>,
        text: Option<String>,
        status: Option<Box<Row>>,
        #[serde(default)]
        notes: Vec<Row>,
    }

    #[test]
    fn typed_values_are_unwrapped_at_any_depth() {
        let found: Vec<Row> = rows(
            r#"[{"__entity_type__":"Task","name":"a",
                 "start":{"__type__":"datetime","value":"2026-01-02T03:04:05"},
                 "end":{"value":"2026-01-02","__type__":"date"},
                 "text":{"__type__":"datetime","value":"2026-01-02T05:04:05.5+02:00"},
                 "status":{"name":"b","start":null,"end":null,"text":"x","status":null},
                 "notes":[{"name":"c","start":{"__type__":"datetime","value":"2026-01-02T03:04:05"},
                           "end":null,"text":null,"status":null}]}]"#,
        );
        let row = &found[0];
        let noon = jiff::civil::date(2026, 1, 2).at(3, 4, 5, 0);
        assert_eq!(row.start, Some(noon));
        assert_eq!(row.end, Some(noon.date()));
        assert_eq!(row.text.as_deref(), Some("2026-01-02T03:04:05"));
        assert_eq!(row.status.as_ref().unwrap().name, "b");
        assert_eq!(row.notes[0].start, Some(noon));
    }

    #[test]
    fn any_type_of_row() {
        let data = r#"[{"at":{"__type__":"date","value":"2026-01-02"},"value":{"value":1}}]"#;
        let json: Vec<Json> = rows(data);
        assert_eq!(json, [json!({"at": "2026-01-02", "value": {"value": 1}})]);
        let map: Vec<BTreeMap<String, Json>> = rows(data);
        assert_eq!(map[0]["at"], json!("2026-01-02"));

        #[derive(Debug, Deserialize, PartialEq)]
        #[serde(rename_all = "lowercase")]
        enum State {
            Active,
        }
        #[derive(Debug, Deserialize, PartialEq)]
        struct Id(u64);
        #[derive(Debug, Deserialize, PartialEq)]
        struct Flat {
            id: Id,
            state: State,
            #[serde(flatten)]
            rest: BTreeMap<String, Json>,
        }
        let flat: Vec<Flat> =
            rows(r#"[{"id":7,"state":"active","at":{"__type__":"date","value":"2026-01-02"}}]"#);
        assert_eq!(flat[0].id, Id(7));
        assert_eq!(flat[0].rest["at"], json!("2026-01-02"));
        assert_eq!(rows::<IgnoredAny>(data).len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        #[derive(Debug, Deserialize)]
        struct Wrong {
            #[expect(dead_code, reason = "it is only read into")]
            name: String,
        }
        for (data, expected) in [
            (
                r#"[{"name":{"id":"x"}}]"#,
                "invalid type: map, expected a string",
            ),
            (
                r#"[{"name":{"value":"x"}}]"#,
                "invalid type: map, expected a string",
            ),
            (r#"[{"name":{}}]"#, "invalid type: map, expected a string"),
            (
                r#"[{"name":{"__type__":"date","value":[1]}}]"#,
                "invalid type: sequence",
            ),
            (r#"[{"name":null}]"#, "invalid type: null"),
            (r#"[{}]"#, "missing field `name`"),
        ] {
            let body = format!(r#"[{{"data":{data}}}]"#);
            let error = decode_rows(&body.as_bytes().into(), 1, PhantomData::<Wrong>)
                .err()
                .unwrap();
            assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
        let deep = format!(r#"[{{"data":[{}"#, r#"{"name":"#.repeat(10_000));
        for body in [
            "",
            "[",
            r#"[{"data":[{"name":"x"}]}"#,
            "[{}] x",
            "[]",
            "[{}]",
            r#"[{"data":null}]"#,
            r#"[{"data":true}]"#,
            r#"[{"data":[]},{"data":[]}]"#,
            r#"[{"exception":"ServerError","content":"no"}]"#,
            "[true]",
            &deep,
        ] {
            let error = decode_rows(&body.as_bytes().into(), 1, PhantomData::<Wrong>)
                .err()
                .unwrap();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{body}: {error}");
            let error = decode_rows(&body.as_bytes().into(), 1, PhantomData::<Json>)
                .err()
                .unwrap();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{body}: {error}");
        }
    }
}
