//! Rows of any query, as the server sends them: names and values in order, without a schema.

use std::fmt;
use std::io::{self, Write};

use ftrack_api::SmolStr;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Below this every whole number is an `f64`.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The attributes of one entity, or the values of one group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row(pub(crate) Vec<(SmolStr, Cell)>);

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Cell {
    #[default]
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(SmolStr),
    Object(Row),
    List(Vec<Cell>),
}

impl Row {
    /// A row that was made here, with a member for each column.
    pub(crate) fn of(members: impl IntoIterator<Item = (impl AsRef<str>, Cell)>) -> Self {
        let members = members.into_iter();
        Self(
            members
                .map(|(name, cell)| (SmolStr::new(name), cell))
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Cell> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, cell)| cell)
    }

    /// If this is an entity that was sent for itself: its key, or what a key-value pair holds.
    fn key(&self) -> Option<&Cell> {
        self.get("__entity_type__")?;
        self.get("id")
    }

    fn pair(&self) -> Option<(&Cell, &Cell)> {
        Some((self.get("key")?, self.get("value")?))
    }
}

impl Cell {
    /// The member of an object, or of each object in a list.
    pub(crate) fn step(&self, name: &str) -> Self {
        match self {
            Self::Object(row) => row.get(name).cloned().unwrap_or_default(),
            Self::List(cells) => Self::List(cells.iter().map(|cell| cell.step(name)).collect()),
            _ => Self::Null,
        }
    }

    /// Of key-value pairs the value of this key.
    pub(crate) fn value_of(&self, key: &str) -> Self {
        let Self::List(cells) = self else {
            return Self::Null;
        };
        let mut pairs = cells.iter().filter_map(Self::pair);
        let is_it = |name: &Self| matches!(name, Self::Text(name) if name == key);
        let found = pairs.find(|(name, _)| is_it(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn pair(&self) -> Option<(&Self, &Self)> {
        match self {
            Self::Object(row) => row.pair(),
            _ => None,
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Number(_))
    }

    /// The key-value pairs, if it holds some.
    pub(crate) fn pairs(&self) -> Option<Vec<(&str, &Self)>> {
        let Self::List(cells) = self else {
            return None;
        };
        let pairs = cells.iter().map(|cell| match cell.pair()? {
            (Self::Text(key), value) => Some((key.as_str(), value)),
            _ => None,
        });
        pairs.collect()
    }

    /// As plain text: null is empty, an entity is its key, lists and objects are JSON.
    pub(crate) fn write_text(&self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Null => Ok(()),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Integer(value) => write!(out, "{value}"),
            // Most numbers are whole, which is quicker to write.
            Self::Number(value) if value.fract() == 0.0 && value.abs() < MAX_WHOLE => {
                write!(out, "{}", *value as i64)
            }
            Self::Number(value) => write!(out, "{value}"),
            Self::Text(text) => out.write_all(text.as_bytes()),
            Self::Object(row) if row.key().is_some() => {
                row.key().unwrap_or(&Self::Null).write_text(out)
            }
            other => Ok(serde_json::to_writer(out, other)?),
        }
    }
}

/// As JSON: an entity is its key, key-value pairs are one object.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Object(row) => match row.key() {
                Some(key) => key.serialize(serializer),
                None => {
                    serializer.collect_map(row.0.iter().map(|(name, cell)| (name.as_str(), cell)))
                }
            },
            Self::List(cells) => {
                let pairs: Option<Vec<_>> = cells.iter().map(Self::pair).collect();
                match pairs.filter(|pairs| !pairs.is_empty()) {
                    None => serializer.collect_seq(cells),
                    Some(pairs) => {
                        let mut map = serializer.serialize_map(Some(pairs.len()))?;
                        for (key, value) in pairs {
                            map.serialize_entry(key, value)?;
                        }
                        map.end()
                    }
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Row, A::Error> {
                members(map)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn members<'de, A: MapAccess<'de>>(mut map: A) -> std::result::Result<Row, A::Error> {
    let mut members = Vec::with_capacity(map.size_hint().unwrap_or(8));
    while let Some(member) = map.next_entry()? {
        members.push(member);
    }
    Ok(Row(members))
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Anything;

        impl<'de> Visitor<'de> for Anything {
            type Value = Cell;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_unit<E>(self) -> std::result::Result<Cell, E> {
                Ok(Cell::Null)
            }

            fn visit_bool<E>(self, value: bool) -> std::result::Result<Cell, E> {
                Ok(Cell::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> std::result::Result<Cell, E> {
                Ok(Cell::Integer(value))
            }

            fn visit_u64<E>(self, value: u64) -> std::result::Result<Cell, E> {
                let number = Cell::Number(value as f64);
                Ok(i64::try_from(value).map_or(number, Cell::Integer))
            }

            fn visit_f64<E>(self, value: f64) -> std::result::Result<Cell, E> {
                Ok(Cell::Number(value))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Cell, E> {
                Ok(Cell::Text(SmolStr::new(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<Cell, A::Error> {
                let mut cells = Vec::new();
                while let Some(cell) = list.next_element()? {
                    cells.push(cell);
                }
                Ok(Cell::List(cells))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<Cell, A::Error> {
                members(map).map(Cell::Object)
            }
        }
        deserializer.deserialize_any(Anything)
    }
}
