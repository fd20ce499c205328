//! Objects in a response that are no entities: typed values such as dates, and plain JSON.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::value::{
    FromValue, JsonText, Lent, Slot, Text, Value, date_from_wire, datetime_from_wire,
};

pub(super) fn json_text(text: &[u8]) -> JsonText {
    JsonText::from_valid(std::str::from_utf8(text).expect("JSON is UTF-8"))
}

/// The members of a typed value among those of an object, which may have any others.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct TypedValue<'a> {
    #[serde(borrow, rename = "__type__")]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

impl<'a> TypedValue<'a> {
    pub(super) fn in_object(object: &'a JsonText) -> Self {
        serde_json::from_str(object.as_str()).unwrap_or_default()
    }

    /// Its type, if that is a text.
    pub(super) fn name_text(&self) -> Option<String> {
        serde_json::from_str(self.name?.get()).ok()
    }

    /// Its value, if that is a text.
    pub(super) fn value_text(&self) -> Option<String> {
        serde_json::from_str(self.value?.get()).ok()
    }
}

/// `{"__type__": name, "value": text}`. A text that is no date stays a text, as in typed rows: one
/// value that cannot be read hides no other.
pub(super) fn typed_value(name: &str, text: Option<&str>) -> Result<Slot, String> {
    let text = text.ok_or_else(|| format!("the value of type {name:?} is not a text"))?;
    let slot = match name {
        "datetime" => datetime_from_wire(text).map(Slot::DateTime),
        "date" => date_from_wire(text).map(Slot::Date),
        _ => return Err(format!("a value has the unknown type {name:?}")),
    };
    Ok(slot.unwrap_or_else(|| Slot::Text(Text::new(text))))
}

/// Appends a value that turned out to be part of plain JSON, in which an entity has no place.
pub(super) fn print(slot: &Slot, out: &mut Vec<u8>) {
    match slot {
        Slot::Json(text) => out.extend_from_slice(text.as_str().as_bytes()),
        Slot::Links(_) => out.extend_from_slice(b"[]"),
        other => {
            let value = Value::from_lent(Lent(other)).unwrap_or_default();
            serde_json::to_writer(out, &value).expect("JSON values print");
        }
    }
}
