//! The hash by which servers and clients recognise a schema.
//!
//! It is the MD5 of the output of Python's `json.dumps(schemas, sort_keys=True)`,
//! so the text must be identical.

use std::collections::BTreeMap;
use std::io;

use md5::{Digest, Md5};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::ser::Formatter;
use uuid::Uuid;

/// The hash, and the text that was hashed.
///
/// The cache stores the text, so that the hash of a file can be checked without printing again.
pub(crate) fn schema_hash(schemas: &Value) -> (String, Vec<u8>) {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Python);
    Sorted(schemas)
        .serialize(&mut serializer)
        .expect("a JSON value always prints into memory");
    (md5_hex(&text), text)
}

/// The MD5 of `bytes` in hexadecimal.
pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    Uuid::from_bytes(Md5::digest(bytes).into())
        .simple()
        .to_string()
}

/// A value whose objects print in the order of their keys.
struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => serializer.collect_seq(items.iter().map(Sorted)),
            Value::Object(map) => {
                let sorted: BTreeMap<_, _> = map.iter().map(|(k, v)| (k, Sorted(v))).collect();
                serializer.collect_map(sorted)
            }
            scalar => scalar.serialize(serializer),
        }
    }
}

/// Prints like Python's `json`: a space after each separator, ASCII only.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let escaped = |c: char| !c.is_ascii() || c == '\x7f';
        for part in fragment.split_inclusive(escaped) {
            let plain = part.trim_end_matches(escaped);
            out.write_all(plain.as_bytes())?;
            for unit in part[plain.len()..].encode_utf16() {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }

    /// Python prints the shortest digits too, but switches to an exponent at other magnitudes.
    fn write_f64<W: ?Sized + io::Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        match exponent.parse::<i32>() {
            Ok(exponent) if value != 0.0 && !(-4..16).contains(&exponent) => {
                let sign = if exponent < 0 { '-' } else { '+' };
                write!(out, "{digits}e{sign}{:02}", exponent.abs())
            }
            _ if value.fract() == 0.0 => write!(out, "{value:.1}"),
            _ => write!(out, "{value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: &str) -> String {
        let value = serde_json::from_str(json).unwrap();
        String::from_utf8(schema_hash(&value).1).unwrap()
    }

    /// The right-hand side is what Python 3.11 prints for the left.
    #[test]
    fn prints_as_python_does() {
        for (json, python) in [
            (r#"{"b":1,"a":[]}"#, r#"{"a": [], "b": 1}"#),
            (r#"[1,2,{"x":{}}]"#, r#"[1, 2, {"x": {}}]"#),
            (
                r#""é€😀/\n\t\u0001\u007f\"\\""#,
                r#""\u00e9\u20ac\ud83d\ude00/\n\t\u0001\u007f\"\\""#,
            ),
            (
                "[0.0,-0.0,1.5,100.0,1e16,1e15,1e-5,0.0001,1.5e300]",
                "[0.0, -0.0, 1.5, 100.0, 1e+16, 1000000000000000.0, 1e-05, 0.0001, 1.5e+300]",
            ),
            (
                "[true,null,12345678901234567890]",
                "[true, null, 12345678901234567890]",
            ),
        ] {
            assert_eq!(printed(json), python);
        }
    }

    #[test]
    fn hash_of_known_text() {
        assert_eq!(md5_hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
    }

    /// The file is not part of the repository.
    #[test]
    fn hash_of_a_real_schema() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/reference/schemas.json"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            return;
        };
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema_hash(&value).0, "23a1157b8b1730fd91c76f63dcd67a8f");
        let wire = serde_json::from_value(value).unwrap();
        let schema = super::super::Schema::from_wire(wire, String::new()).unwrap();
        assert_eq!(schema.types.len(), 116);
        assert!(schema.is_kind_of("Task", "Context"));
        assert!(schema.is_kind_of("AssetVersionList", "List"));
        assert!(!schema.is_kind_of("User", "Context"));
    }
}
