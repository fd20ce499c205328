//! Texts that are read without a copy where that is possible.

use std::borrow::Cow;

use serde::Deserialize;

/// A text, such as the name of an object's member: borrowed unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct TextBuf<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl TextBuf<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
