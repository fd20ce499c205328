//! The columns of an output: what each of them says of a row.

use ftrack_api::SmolStr;
use ftrack_api::query::{Projection, Statement};
use ftrack_api::schema::{EntityType, Schema};
use ftrack_api::studio::ContextPath;

use crate::failure::Result;
use crate::row::{Cell, Found, Row};

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

    /// A member of rows that were made here, whatever its name.
    pub(crate) fn member(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            steps: vec![SmolStr::new(name)],
            kind: ColumnKind::Value,
        }
    }

    /// What a query has to select for it.
    fn paths(&self) -> Vec<String> {
        match self.kind {
            // The link has the full name of the project, which is not part of a path.
            ColumnKind::Path => vec!["link".to_owned(), "project.name".to_owned()],
            _ => vec![self.steps.join(".")],
        }
    }

    /// Columns of entities of a type by their names: attribute paths, `custom.KEY`, `metadata.KEY`, and
    /// `path` of what has a place below a project.
    pub(crate) fn named(names: &[String], entity_type: &EntityType, schema: &Schema) -> Vec<Self> {
        let is_context = schema.is_kind_of(entity_type.name(), "TypedContext");
        let columns = names.iter().map(|name| match name.trim() {
            "path" if is_context => Self::context_path(),
            name => Self::new(name),
        });
        columns.collect()
    }

    /// What a query has to select for these columns.
    pub(crate) fn paths_of(columns: &[Self]) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for path in columns.iter().flat_map(Self::paths) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
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
