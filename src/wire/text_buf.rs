//! Texts that are read without a copy where that is possible.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// A text, such as the name of an object's member: borrowed unless it has escapes.
pub(super) struct TextBuf<'de>(pub(super) Cow<'de, str>);

impl TextBuf<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for TextBuf<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = TextBuf<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<TextBuf<'de>, E> {
                Ok(TextBuf(name.into()))
            }

            fn visit_str<E>(self, name: &str) -> Result<TextBuf<'de>, E> {
                Ok(TextBuf(name.to_owned().into()))
            }
        }
        json.deserialize_str(TextVisitor)
    }
}
