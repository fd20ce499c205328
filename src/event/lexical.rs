//! The characters of a filter's text form: names, plain values, quotes.

/// How deep `not` and parentheses may nest.
pub(super) const MAX_DEPTH: usize = 64;

pub(super) fn too_deep() -> String {
    format!("the event filter nests deeper than {MAX_DEPTH} levels")
}

/// Whether a name can be written as a field.
pub(super) fn is_field(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_name)
}

pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

pub(super) fn is_plain(byte: u8) -> bool {
    is_name(byte) || matches!(byte, b'-' | b',' | b'/' | b'*' | b'@' | b'+')
}

/// The quote that a value needs: empty if it is plain, `None` if it cannot be written.
///
/// The official client takes what stands between the quotes literally, without escapes, so a
/// value that contains both kinds of quote cannot be written.
pub(super) fn quote_for(value: &str) -> Option<&'static str> {
    if !value.is_empty() && value.bytes().all(is_plain) {
        return Some("");
    }
    ["\"", "'"].into_iter().find(|quote| {
        let closed = [value, quote].concat();
        quoted_end(closed.as_bytes(), 0, quote.as_bytes()[0]) == Some(value.len())
    })
}

/// Where a quoted value that starts at `start` ends: doubled quotes and quotes after a
/// backslash belong to it, line breaks do not, as in the official client's parser.
pub(super) fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> Option<usize> {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            // Whatever follows is part of the value.
            b'\\' => at += 2,
            b'\n' | b'\r' => return None,
            byte if *byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if *byte == quote => return Some(at),
            _ => at += 1,
        }
    }
    None
}
