//! Results for people and for other programs: aligned text, CSV and JSON.

use std::fmt;

use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Members, Paths, Value};

/// Attributes of entities, or rows of a query, as a table that prints aligned and as CSV.
///
/// ```
/// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
/// use ftrack_api::table::Table;
///
/// let tasks = session.query("Task where project.name is test limit 3")?.all()?;
/// let table = Table::of(&tasks, "name, status.name, bid")?;
/// print!("{table}");
/// assert!(table.to_csv().starts_with("name,status.name,bid\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    columns: Vec<String>,
    /// Each with a value for every column.
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// A row for each entity and a column for each path. Values that are not loaded are fetched for
    /// all peers at once, as by [`Entity::get`](crate::Entity::get); those that are not set are null.
    ///
    /// # Errors
    ///
    /// - Any error of [`Entity::value`](crate::Entity::value).
    pub fn of(entities: impl Entities, paths: impl Paths) -> Result<Self> {
        let columns: Vec<String> = paths.to_paths().into_iter().map(str::to_owned).collect();
        let entities = entities.to_entities()?;
        let rows = entities.iter().map(|entity| {
            entity.load(&columns)?;
            let values = columns.iter().map(|path| entity.value(path));
            values
                .map(|value| Ok(value?.unwrap_or_default()))
                .collect::<Result<Vec<_>>>()
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        Ok(Self { columns, rows })
    }

    /// A row for each value that serializes to an object, such as the rows of
    /// [`Query::rows`](crate::Query::rows), and a column for each of their members. The members of
    /// nested objects have a dot in their names: `status.name`.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::serde_json::{Map, Value};
    /// use ftrack_api::table::Table;
    ///
    /// let query = session.query("select count(id) from Task group by status_id")?;
    /// let rows = query.rows().collect::<Result<Vec<Map<String, Value>>, _>>()?;
    /// println!("{}", Table::from_rows(&rows)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if a row does not serialize to an object.
    pub fn from_rows<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut table = Self::default();
        for row in rows {
            let mut cells = Vec::new();
            let text = serde_json::to_string(&row);
            let read = text.and_then(|text| flatten("", &text, &mut cells));
            read.map_err(|error| {
                let message = format!("a row of a table must serialize to an object: {error}");
                Error::new(ErrorKind::WrongType, message)
            })?;
            let mut values = vec![Value::Null; table.columns.len()];
            for (name, value) in cells {
                match table.columns.iter().position(|known| *known == name) {
                    Some(index) => values[index] = value,
                    None => {
                        table.columns.push(name);
                        values.push(value);
                    }
                }
            }
            table.rows.push(values);
        }
        let columns = table.columns.len();
        for row in &mut table.rows {
            row.resize(columns, Value::Null);
        }
        Ok(table)
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows, each with a value for every column.
    pub fn rows(&self) -> &[Vec<Value>] {
        &self.rows
    }

    /// The table as CSV (RFC 4180) with a line of names first, and line feeds at the ends. Null is
    /// an empty cell.
    pub fn to_csv(&self) -> String {
        let names = self.columns.iter().map(|name| csv_cell(name));
        let mut text = names.collect::<Vec<_>>().join(",");
        text.push('\n');
        for row in &self.rows {
            let cells = row.iter().map(|value| csv_cell(&cell(value)));
            text.push_str(&cells.collect::<Vec<_>>().join(","));
            text.push('\n');
        }
        text
    }
}

/// Aligned, with a line of names first. Numbers are flush right, null is empty, line breaks and
/// other control characters are shown as spaces.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| text.replace(char::is_control, " ");
        let texts: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|value| shown(&cell(value))).collect())
            .collect();
        let names: Vec<String> = self.columns.iter().map(|name| shown(name)).collect();
        let width = |column: usize| {
            let cells = texts.iter().map(|row| &row[column]);
            let widths = cells
                .chain([&names[column]])
                .map(|text| text.chars().count());
            widths.max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..names.len()).map(width).collect();
        let line = |cells: &[String], row: Option<&Vec<Value>>| {
            let mut line = String::new();
            for (column, (text, width)) in cells.iter().zip(&widths).enumerate() {
                let is_number = row.is_some_and(|row| row[column].as_f64().is_some());
                line.push_str(&match is_number {
                    true => format!("{text:>width$}  "),
                    false => format!("{text:<width$}  "),
                });
            }
            line.trim_end().to_owned()
        };
        writeln!(f, "{}", line(&names, None))?;
        for (cells, row) in texts.iter().zip(&self.rows) {
            writeln!(f, "{}", line(cells, Some(row)))?;
        }
        Ok(())
    }
}

/// As a list of objects.
impl Serialize for Table {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Row<'a>(&'a [String], &'a [Value]);

        impl Serialize for Row<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().zip(self.1))
            }
        }
        serializer.collect_seq(self.rows.iter().map(|row| Row(&self.columns, row)))
    }
}

fn flatten(prefix: &str, text: &str, cells: &mut Vec<(String, Value)>) -> serde_json::Result<()> {
    let Members::<Box<RawValue>>(members) = serde_json::from_str(text)?;
    for (name, value) in members {
        let name = format!("{prefix}{name}");
        if value.get().starts_with('{') {
            flatten(&format!("{name}."), value.get(), cells)?;
            continue;
        }
        let json: Json = serde_json::from_str(value.get())?;
        let scalar = crate::value::scalar(&json);
        cells.push((name, scalar.unwrap_or_else(|| json.into())));
    }
    Ok(())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn csv_cell(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Task {
        name: &'static str,
        bid: f64,
        status: Option<Status>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tags: Vec<&'static str>,
    }

    #[derive(Serialize)]
    struct Status {
        name: &'static str,
    }

    fn table() -> Table {
        let first = Task {
            name: "a, \"b\"",
            bid: 3.5,
            status: Some(Status { name: "Öpen" }),
            tags: Vec::new(),
        };
        let second = Task {
            name: "two\nlines",
            bid: 1200.0,
            status: Some(Status { name: "" }),
            tags: vec!["x"],
        };
        Table::from_rows([first, second]).unwrap()
    }

    #[test]
    fn text_is_aligned() {
        assert_eq!(
            table().to_string(),
            "name       bid   status.name  tags\n\
             a, \"b\"      3.5  Öpen\n\
             two lines  1200               [\"x\"]\n"
        );
    }

    #[test]
    fn csv_quotes_what_it_must() {
        assert_eq!(
            table().to_csv(),
            "name,bid,status.name,tags\n\
             \"a, \"\"b\"\"\",3.5,Öpen,\n\
             \"two\nlines\",1200,,\"[\"\"x\"\"]\"\n"
        );
        assert_eq!(Table::default().to_csv(), "\n");
    }

    #[test]
    fn json_is_a_list_of_objects() {
        let json = serde_json::to_value(table()).unwrap();
        assert_eq!(json[1]["tags"], json!(["x"]));
        assert_eq!(json[0]["tags"], Json::Null);
        assert_eq!(json[0]["status.name"], "Öpen");
        let error = Table::from_rows([3]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType);
    }
}
