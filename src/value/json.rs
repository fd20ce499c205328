//! Free-form data, kept as text.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Tree;
use smol_str::SmolStr;

use super::{FromValue, Mismatch, Value};

/// Free-form data, such as the `link` of a context: JSON as compact text, which is parsed when it is
/// read.
///
/// Two are equal if they have the same content, whatever the order of members.
///
/// ```
/// use ftrack_api::entity::JsonText;
/// use serde_json::json;
///
/// let text = JsonText::from(json!({"frames": [1, 2]}));
/// assert_eq!(text.as_str(), r#"{"frames":[1,2]}"#);
/// assert_eq!(text.to_json()["frames"][1], 2);
/// ```
#[derive(Clone)]
pub struct JsonText(Kept);

#[derive(Clone)]
enum Kept {
    /// Such as `[]` or `["a"]`: what fits beside the pointer of the other, so that a value in a record
    /// stays three words.
    Short {
        len: u8,
        bytes: [u8; MAX_SHORT_BYTES],
    },
    Long(Arc<str>),
}

const MAX_SHORT_BYTES: usize = 7;

impl JsonText {
    /// Takes a text that is known to be JSON which `serde_json` can parse.
    pub(crate) fn from_valid(text: &str) -> Self {
        let mut bytes = [0; MAX_SHORT_BYTES];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                let len = text.len() as u8;
                Self(Kept::Short { len, bytes })
            }
            None => Self(Kept::Long(text.into())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kept::Short { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).expect("it was a text")
            }
            Kept::Long(text) => text,
        }
    }

    /// Parses the text into a type of your own.
    ///
    /// # Errors
    ///
    /// - The error of [`serde_json`] if the data has another shape.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.as_str())
    }

    /// The value if it is a scalar; `None` for lists and objects.
    pub(crate) fn scalar(&self) -> Option<Value> {
        match self.as_str().as_bytes() {
            [b'[' | b'{', ..] => None,
            _ => super::scalar(&self.to_json()),
        }
    }

    /// Parses the text into a tree.
    pub fn to_json(&self) -> Tree {
        self.parse().unwrap_or_default()
    }
}

impl From<Tree> for JsonText {
    fn from(tree: Tree) -> Self {
        Self::from_valid(&tree.to_string())
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() || self.to_json() == other.to_json()
    }
}

impl fmt::Display for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Serialises as the data, not as a text.
impl Serialize for JsonText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// Reads free-form data into a type that derives [`serde::Deserialize`], straight from its text.
///
/// ```
/// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
/// use ftrack_api::entity::Json;
///
/// #[derive(serde::Deserialize)]
/// struct Parent {
///     name: String,
/// }
///
/// let task = session.query("select link from Task")?.first()?.expect("there are tasks");
/// let Json(link) = task.get::<Json<Vec<Parent>>>("link")?;
/// let names: Vec<&str> = link.iter().map(|parent| parent.name.as_str()).collect();
/// println!("{}", names.join(" / "));
/// # assert!(names.len() > 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromValue for Json<T> {
    fn from_value(value: Value) -> Result<Self, Mismatch> {
        let read = match value {
            Value::Json(text) => text.parse(),
            other => serde_json::from_value(other.into()),
        };
        read.map(Self).map_err(|error| Mismatch {
            wanted: std::any::type_name::<T>(),
            found: format!("JSON data of another shape: {error}"),
        })
    }
}

/// The members of a JSON object in their order, which a `serde_json` map does not keep.
pub(crate) struct Members<V>(pub(crate) Vec<(SmolStr, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
            type Value = Members<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<V>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        json.deserialize_map(Object(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_members_does_not_matter() {
        let one = JsonText::from_valid(r#"{"b":1,"a":[true,"ü"]}"#);
        assert_eq!(one, JsonText::from(json!({"a": [true, "ü"], "b": 1})));
        assert_ne!(one, JsonText::from(json!({"a": [true, "ü"], "b": 2})));
        assert_eq!(json!([one]), json!([{"a": [true, "ü"], "b": 1}]));
    }

    #[test]
    fn short_texts_are_kept_as_they_are() {
        assert_eq!(size_of::<JsonText>(), 16);
        for text in ["[]", "[12345]", "[\"ü\"]", "[123456]", "{\"a\":[1,2]}"] {
            let kept = JsonText::from_valid(text);
            assert_eq!(kept.as_str(), text);
            assert_eq!(
                matches!(kept.0, Kept::Short { .. }),
                text.len() <= MAX_SHORT_BYTES
            );
        }
    }

    #[test]
    fn is_read_into_any_type() {
        let value = Value::from(json!([{"id": "a"}]));
        let Json(read) = Json::<Vec<std::collections::BTreeMap<String, String>>>::from_value(value)
            .expect("a list of maps");
        assert_eq!(read[0]["id"], "a");
        let error = Json::<Vec<u8>>::from_value(Value::from(json!({"id": 1}))).expect_err("a map");
        assert!(error.to_string().contains("invalid type: map"), "{error}");
        assert_eq!(Json::<u8>::from_value(Value::Integer(3)), Ok(Json(3)));
    }
}
