//! Texts in records: 24 bytes, without an allocation for keys and short words.

use std::fmt;
use std::hash::{Hash, Hasher};

use smol_str::SmolStr;
use uuid::Uuid;

/// A text that is mostly a UUID or short.
///
/// Equal texts are equal values: a canonical UUID is always a [`Text::Uuid`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Text {
    Uuid([u8; 16]),
    Str(SmolStr),
}

impl Text {
    pub(crate) fn new(text: &str) -> Self {
        match canonical_uuid(text) {
            Some(bytes) => Self::Uuid(bytes),
            None => Self::Str(SmolStr::new(text)),
        }
    }

    /// The text as a `String`, without a formatter.
    #[inline]
    pub(crate) fn to_text(&self) -> String {
        self.with(str::to_owned)
    }

    /// The bytes that it takes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Str(text) if text.is_heap_allocated() => text.len(),
            Self::Str(_) | Self::Uuid(_) => 0,
        }
    }

    /// Calls `read` with the text.
    #[inline]
    pub(crate) fn with<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Uuid(bytes) => read(
                Uuid::from_bytes_ref(bytes)
                    .hyphenated()
                    .encode_lower(&mut [0; 36]),
            ),
            Self::Str(text) => read(text),
        }
    }
}

/// A UUID is hashed as one number: sixteen bytes would be hashed with their length.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Uuid(bytes) => u128::from_ne_bytes(*bytes).hash(state),
            Self::Str(text) => text.hash(state),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|text| f.write_str(text))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|text| fmt::Debug::fmt(text, f))
    }
}

/// The bytes of a UUID, if they print as exactly this text.
fn canonical_uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|&at| text[at] != b'-') {
        return None;
    }
    let mut bytes = [0; 16];
    let mut all = 0;
    for (byte, at) in bytes.iter_mut().zip(PAIRS) {
        let (high, low) = (digit(text[at]), digit(text[at + 1]));
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all < 16).then_some(bytes)
}

/// Where the two digits of each byte of a UUID stand in its text.
const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// The value of a lower-case hexadecimal digit; 255 for anything else. A table, because half of the
/// texts in a response are UUIDs.
fn digit(byte: u8) -> u8 {
    const VALUES: [u8; 256] = {
        let mut values = [255; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value] as usize] = value as u8;
            value += 1;
        }
        values
    };
    VALUES[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_prints_as_it_was() {
        for text in [
            "",
            "sh010",
            "adb4ad6c-7679-11e2-8df2-f23c91df25eb",
            "ADB4AD6C-7679-11e2-8df2-f23c91df25eb",
            "adb4ad6c-7679-11e2-8df2-f23c91df25e-",
            "adb4ad6c7679-11e2-8df2-f23c91df25eb0",
            "-db4ad6c-7679-11e2-8df2-f23c91df25eb",
            "a text that is longer than twenty-three bytes",
        ] {
            assert_eq!(Text::new(text).to_string(), text);
        }
    }

    #[test]
    fn canonical_uuids_are_kept_as_bytes() {
        let text = Text::new("adb4ad6c-7679-11e2-8df2-f23c91df25eb");
        assert!(matches!(text, Text::Uuid(_)));
        assert_eq!(size_of::<Text>(), 24);
    }
}
