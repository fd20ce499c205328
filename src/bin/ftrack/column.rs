//! The columns of an output: what each of them says of a row.

use ftrack_api::SmolStr;
use ftrack_api::query::{Projection, Statement};
use ftrack_api::schema::{EntityType, Schema};

use crate::failure::Result;
use crate::row::{Cell, Row};

/// One path of a query, which is one column of its output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) steps: Vec<SmolStr>,
    pub(crate) kind: ColumnKind,
}

/// What is shown of what the steps of a column lead to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ColumnKind {
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

    /// The names of columns.
    pub(crate) fn names_of(columns: &[Self]) -> Vec<&str> {
        columns.iter().map(|column| column.name.as_str()).collect()
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

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
