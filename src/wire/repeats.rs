//! References that occur again in a response: they are found by their text instead of being decoded.

use serde::de::IgnoredAny;

use crate::schema::NameId;
use crate::value::HashMap;

/// The longest text of a reference that is remembered. Nothing is looked for beyond it, so that
/// hostile nesting costs little.
const MAX_TEXT_BYTES: usize = 1024;

/// The rows of references, by attribute and text.
///
/// Most references of a page are to the same few statuses, types and parents. They are remembered if
/// they have no objects in them: then a text that begins with the same bytes up to the first brace is
/// the same object.
pub(super) struct Repeats<'a> {
    response: &'a str,
    rows: HashMap<(NameId, &'a str), u32>,
    is_list: bool,
}

impl<'a> Repeats<'a> {
    pub(super) fn new(response: &'a str) -> Self {
        Self {
            response,
            rows: HashMap::default(),
            is_list: false,
        }
    }

    /// Begins the data of another reply, which shares no rows with those before. In a single entity, as
    /// the reply to an update has, nothing repeats: it is not worth the look-ups.
    pub(super) fn begin(&mut self, is_list: bool) {
        self.rows.clear();
        self.is_list = is_list;
    }

    /// The text of the object that follows the name of a member, up to its first closing brace;
    /// `None` if something else follows, the name is not borrowed from the response, or there is no list.
    pub(super) fn object_after(&self, name: &str) -> Option<&'a str> {
        if !self.is_list {
            return None;
        }
        // A name with escapes is a copy. Its address is outside of the response.
        let start = name.as_ptr().addr();
        let start = start.checked_sub(self.response.as_ptr().addr())?;
        let [b'"', after @ ..] = self.response.as_bytes().get(start + name.len()..)? else {
            return None;
        };
        let [b':', after @ ..] = after.trim_ascii_start() else {
            return None;
        };
        let object = after.trim_ascii_start();
        if object.first() != Some(&b'{') {
            return None;
        }
        let end = memchr::memchr(b'}', &object[..object.len().min(MAX_TEXT_BYTES)])?;
        let start = self.response.len() - object.len();
        self.response.get(start..=start + end)
    }

    /// The row of a reference with this text.
    pub(super) fn find(&self, name: NameId, text: &str) -> Option<u32> {
        self.rows.get(&(name, text)).copied()
    }

    /// Remembers the row of a reference, unless the text is only its beginning.
    pub(super) fn add(&mut self, name: NameId, text: &'a str, row: u32) {
        if serde_json::from_str::<IgnoredAny>(text).is_ok() {
            self.rows.entry((name, text)).or_insert(row);
        }
    }
}
