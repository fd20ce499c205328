//! Rows of any query, as the server sends them: names and values in order, without a schema.

use std::fmt;
use std::io::{self, Write};

use ftrack_api::SmolStr;
use ftrack_api::query::{Projection, Statement};
use ftrack_api::schema::Schema;
use ftrack_api::studio::ContextPath;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::failure::Result;

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

/// One path of a query, which is one column of its output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    steps: Vec<SmolStr>,
    kind: ColumnKind,
}

/// What is shown of what the steps of a column lead to.
#[derive(Clone, Debug, PartialEq)]
enum ColumnKind {
    Value,
    /// Of key-value pairs the value of this key.
    Pair(SmolStr),
    /// The names from the project on.
    Path,
}

impl Column {
    /// The path of a context: `project/sequence/shot`.
    pub(crate) fn context_path() -> Self {
        Self {
            name: "path".to_owned(),
            steps: vec![SmolStr::new_static("link")],
            kind: ColumnKind::Path,
        }
    }

    /// A path; `custom.KEY` and `metadata.KEY` are the values of such pairs.
    pub(crate) fn new(path: &str) -> Self {
        let pair = match path.split_once('.') {
            Some(("custom", key)) => Some(("custom_attributes", key)),
            Some(("metadata", key)) => Some(("metadata", key)),
            _ => None,
        };
        let steps = pair.map_or(path, |(attribute, _)| attribute);
        Self {
            name: path.to_owned(),
            steps: steps.split('.').map(SmolStr::new).collect(),
            kind: pair.map_or(ColumnKind::Value, |(_, key)| {
                ColumnKind::Pair(SmolStr::new(key))
            }),
        }
    }

    /// What a query has to select for it.
    pub(crate) fn paths(&self) -> Vec<String> {
        match self.kind {
            // The link has the full name of the project, which is no part of paths.
            ColumnKind::Path => vec!["link".to_owned(), "project.name".to_owned()],
            _ => vec![self.steps.join(".")],
        }
    }

    /// The columns of a statement: its projections, else the default ones of its type. `None` where
    /// only the rows can tell, as with groups.
    pub(crate) fn of(statement: &Statement, schema: &Schema) -> Result<Option<Vec<Self>>> {
        if !statement.group.is_empty() {
            return Ok(None);
        }
        let mut columns = Vec::new();
        for projection in &statement.projections {
            let Projection::Attribute(path) = projection else {
                return Ok(None);
            };
            let steps = path.segments().iter();
            columns.push(Self {
                name: path.to_string(),
                steps: steps.map(|step| SmolStr::new(step.name())).collect(),
                kind: ColumnKind::Value,
            });
        }
        if columns.is_empty() {
            let entity_type = schema.entity_type(&statement.entity_type)?;
            columns = entity_type
                .default_projections()
                .iter()
                .map(|path| Self::new(path))
                .collect();
        }
        Ok(Some(columns))
    }
}

impl Row {
    /// The columns that this row has.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        self.collect_columns("", &mut columns);
        columns
    }

    fn collect_columns(&self, prefix: &str, columns: &mut Vec<Column>) {
        for (name, cell) in &self.0 {
            match cell {
                _ if name.starts_with("__") => {}
                Cell::Object(inner) => inner.collect_columns(&format!("{prefix}{name}."), columns),
                _ => columns.push(Column::new(&format!("{prefix}{name}"))),
            }
        }
    }

    fn get(&self, name: &str) -> Option<&Cell> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, cell)| cell)
    }

    /// What the column says of this row. `place` is where the column stood in the row before, which
    /// is where it usually stands.
    pub(crate) fn cell<'a>(&'a self, column: &Column, place: usize) -> Found<'a> {
        let Some((first, rest)) = column.steps.split_first() else {
            return Found::One(&Cell::Null);
        };
        let at_place = self.0.get(place).filter(|(name, _)| name == first);
        let cell = at_place.map(|(_, cell)| cell).or_else(|| self.get(first));
        let found = cell.map_or(Found::One(&Cell::Null), |cell| cell.follow(rest));
        match &column.kind {
            ColumnKind::Value => found,
            ColumnKind::Pair(key) => found.value_of(key),
            ColumnKind::Path => self.context_path(&found),
        }
    }

    fn context_path<'a>(&'a self, link: &Found<'a>) -> Found<'a> {
        let name = |row: &Row| match row.get("name") {
            Some(Cell::Text(name)) => Some(name.to_string()),
            _ => None,
        };
        let project = match self.get("project") {
            Some(Cell::Object(project)) => name(project),
            _ => None,
        };
        let Found::One(Cell::List(steps)) = link else {
            return Found::One(&Cell::Null);
        };
        let below = steps.iter().skip(1).filter_map(|step| match step {
            Cell::Object(step) => name(step),
            _ => None,
        });
        let names: Vec<String> = project.into_iter().chain(below).collect();
        Found::Text(ContextPath::from(names).to_string())
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

/// One cell, or those that a path through a collection leads to.
pub(crate) enum Found<'a> {
    One(&'a Cell),
    Text(String),
    Several(Vec<Found<'a>>),
}

impl Cell {
    fn follow<'a>(&'a self, steps: &[SmolStr]) -> Found<'a> {
        let Some((first, rest)) = steps.split_first() else {
            return Found::One(self);
        };
        match self {
            Self::Object(row) => match row.get(first) {
                Some(cell) => cell.follow(rest),
                None => Found::One(&Self::Null),
            },
            Self::List(cells) => {
                Found::Several(cells.iter().map(|cell| cell.follow(steps)).collect())
            }
            _ => Found::One(&Self::Null),
        }
    }
}

impl<'a> Found<'a> {
    /// Of key-value pairs the value of this key.
    fn value_of(self, key: &str) -> Self {
        let Self::One(Cell::List(cells)) = self else {
            return Found::One(&Cell::Null);
        };
        let pairs = cells.iter().filter_map(|cell| match cell {
            Cell::Object(row) => row.pair(),
            _ => None,
        });
        let is_it = |name: &Cell| matches!(name, Cell::Text(name) if name == key);
        let mut values = pairs
            .filter(|(name, _)| is_it(name))
            .map(|(_, value)| value);
        Found::One(values.next().unwrap_or(&Cell::Null))
    }
}

impl Found<'_> {
    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::One(Cell::Integer(_) | Cell::Number(_)))
    }

    /// The key-value pairs, if it holds some.
    pub(crate) fn pairs(&self) -> Option<Vec<(String, Found<'_>)>> {
        let Self::One(Cell::List(cells)) = self else {
            return None;
        };
        let pairs = cells.iter().map(|cell| match cell {
            Cell::Object(row) => row.pair(),
            _ => None,
        });
        let pairs = pairs.map(|pair| {
            let (key, value) = pair?;
            let Cell::Text(key) = key else { return None };
            Some((key.to_string(), Found::One(value)))
        });
        pairs.collect()
    }

    /// As plain text: null is empty, an entity is its key, lists and objects are JSON.
    pub(crate) fn write_text(&self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::One(Cell::Null) => Ok(()),
            Self::One(Cell::Bool(value)) => write!(out, "{value}"),
            Self::One(Cell::Integer(value)) => write!(out, "{value}"),
            Self::One(Cell::Number(value)) => write!(out, "{value}"),
            Self::One(Cell::Text(text)) => out.write_all(text.as_bytes()),
            Self::Text(text) => out.write_all(text.as_bytes()),
            Self::One(Cell::Object(row)) if row.key().is_some() => {
                let key = row.key().unwrap_or(&Cell::Null);
                Found::One(key).write_text(out)
            }
            other => Ok(serde_json::to_writer(out, other)?),
        }
    }
}

impl Serialize for Found<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::One(cell) => cell.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Several(found) => serializer.collect_seq(found),
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
                let pairs = cells.iter().map(|cell| match cell {
                    Self::Object(row) => row.pair(),
                    _ => None,
                });
                let pairs: Option<Vec<_>> = pairs.collect();
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(row: &str, path: &str, text: &str, json: &str) {
        let row: Row = serde_json::from_str(row).unwrap();
        let found = row.cell(&Column::new(path), 0);
        let mut written = Vec::new();
        found.write_text(&mut written).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), text, "{path}");
        assert_eq!(serde_json::to_string(&found).unwrap(), json, "{path}");
    }

    #[test]
    fn cells_are_found_by_path() {
        let row = r#"{"__entity_type__":"Task","id":"t","bid":3600.0,"n":7,"done":true,"no":null,
            "status":{"__entity_type__":"Status","id":"s","name":"Done"},
            "link":[{"id":"p","name":"x","type":"Project"}],
            "notes":[{"__entity_type__":"Note","id":"n1","author":{"name":"ada"}},
                     {"__entity_type__":"Note","id":"n2","author":{"name":"bob"}}],
            "metadata":[{"__entity_type__":"Metadata","key":"a","value":"1"}]}"#;
        check(row, "bid", "3600", "3600.0");
        check(row, "n", "7", "7");
        check(row, "done", "true", "true");
        check(row, "no", "", "null");
        check(row, "no.name", "", "null");
        check(row, "missing", "", "null");
        check(row, "status", "s", "\"s\"");
        check(row, "status.name", "Done", "\"Done\"");
        check(row, "notes", r#"["n1","n2"]"#, r#"["n1","n2"]"#);
        check(
            row,
            "notes.author.name",
            r#"["ada","bob"]"#,
            r#"["ada","bob"]"#,
        );
        check(row, "metadata", r#"{"a":"1"}"#, r#"{"a":"1"}"#);
        let link = r#"[{"id":"p","name":"x","type":"Project"}]"#;
        check(row, "metadata.a", "1", "\"1\"");
        check(row, "metadata.b", "", "null");
        check(row, "link", link, link);
    }

    #[test]
    fn paths_begin_with_the_name_of_the_project() {
        let row = r#"{"__entity_type__":"Shot","id":"s","project":{"name":"test"},"link":[
            {"id":"p","name":"The full name"},{"id":"q","name":"sq010"},{"id":"s","name":"day/night"}]}"#;
        let row: Row = serde_json::from_str(row).unwrap();
        let mut text = Vec::new();
        row.cell(&Column::context_path(), 0)
            .write_text(&mut text)
            .unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), r"test/sq010/day\/night");
    }

    #[test]
    fn rows_of_groups_tell_their_columns() {
        let row: Row = serde_json::from_str(
            r#"{"__entity_type__":"Task","status":{"name":"x"},"count_id":3}"#,
        )
        .unwrap();
        let names: Vec<String> = row
            .columns()
            .into_iter()
            .map(|column| column.name)
            .collect();
        assert_eq!(names, ["status.name", "count_id"]);
    }
}
