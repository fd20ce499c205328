//! Copies free-form data out of a response: as compact text, checked, and without a tree.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::text_buf::TextBuf;

/// Appends a value to a text as JSON without blanks.
///
/// Whatever `serde_json` could not read again, such as half a surrogate pair or data that is nested
/// too deep, is an error.
pub(super) struct Transcode<'t>(pub(super) &'t mut Vec<u8>);

impl Transcode<'_> {
    fn print<E: Error>(self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), E> {
        serde_json::to_writer(self.0, value).map_err(E::custom)
    }

    /// A text.
    pub(super) fn text<E: Error>(self, text: &str) -> Result<(), E> {
        // Most texts need no escapes. Without an early end the compiler looks at many bytes at once.
        let needs_escape = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
        if text
            .bytes()
            .fold(false, |any, byte| any | needs_escape(byte))
        {
            return self.print(text);
        }
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    /// The members of a list of which nothing was read.
    pub(super) fn list<'de, A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let mut is_first = true;
        while list
            .next_element_seed(Element {
                out: self.0,
                is_first,
            })?
            .is_some()
        {
            is_first = false;
        }
        self.0.push(b']');
        Ok(())
    }

    /// The members of an object of which nothing was read; whether one is called `__type__`.
    pub(super) fn object<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        self.0.push(b'{');
        let (mut is_first, mut is_typed) = (true, false);
        while let Some(name) = map.next_key::<TextBuf<'de>>()? {
            if !is_first {
                self.0.push(b',');
            }
            is_first = false;
            is_typed |= name.as_str() == "__type__";
            Transcode(self.0).text(name.as_str())?;
            self.0.push(b':');
            map.next_value_seed(Transcode(self.0))?;
        }
        self.0.push(b'}');
        Ok(is_typed)
    }
}

impl<'de> DeserializeSeed<'de> for Transcode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Transcode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.print(&())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.print(&value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.print(&value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.print(&value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.print(&value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.object(map).map(drop)
    }
}

/// A member of a list, with the comma before it.
struct Element<'t> {
    out: &'t mut Vec<u8>,
    is_first: bool,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if !self.is_first {
            self.out.push(b',');
        }
        Transcode(self.out).deserialize(json)
    }
}
