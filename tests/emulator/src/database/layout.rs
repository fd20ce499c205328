//! The SQL that makes tables, views and indexes for a model.

use crate::database::dense;
use crate::database::model::{Column, Model, Table};
use crate::schema::Kind;

/// Statements that make the tables and views that are not there yet.
pub fn tables(model: &Model) -> Vec<String> {
    let stored = model
        .tables
        .iter()
        .filter(|table| !table.is_view)
        .map(table);
    stored
        .chain(dense::views(model))
        .chain([SIGNED_IN.to_owned()])
        .collect()
}

/// API keys are no entities: no query reaches this table.
const SIGNED_IN: &str = "CREATE TABLE IF NOT EXISTS _api_key (\
    user_id TEXT PRIMARY KEY COLLATE NOCASE, key TEXT NOT NULL) WITHOUT ROWID";

/// Statements that make the indexes; after a bulk load they are quicker to make than before.
pub fn indexes(model: &Model) -> Vec<String> {
    let mut statements = Vec::new();
    for table in model.tables.iter().filter(|table| !table.is_view) {
        for column in table
            .columns
            .iter()
            .filter(|column| is_indexed(table, column))
        {
            // Most keys are empty in most rows. An empty one is never looked up.
            statements.push(format!(
                "CREATE INDEX IF NOT EXISTS \"{0}:{1}\" ON \"{0}\" (\"{1}\") \
                 WHERE \"{1}\" IS NOT NULL",
                table.name, column.name
            ));
        }
    }
    // A new context is looked for among its siblings, of which there may be many thousands.
    if model.tables.iter().any(|table| table.name == "context") {
        statements.push(
            "CREATE INDEX IF NOT EXISTS \"context:siblings\" ON context (parent_id, name)"
                .to_owned(),
        );
    }
    statements
}

/// The type of a column in SQL. Text compares without regard to case, ids too.
pub fn column_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::Key => "TEXT COLLATE NOCASE",
        Kind::Text => "TEXT COLLATE FOLD",
        Kind::DateTime => "TEXT",
        Kind::Integer | Kind::Boolean => "INTEGER",
        Kind::Number => "REAL",
        // No affinity: a custom attribute's text "1" must not become a number.
        _ => "",
    }
}

fn table(table: &Table) -> String {
    let mut parts: Vec<_> = table
        .columns
        .iter()
        .map(|column| format!("\"{}\" {}", column.name, column_type(&column.kind)))
        .collect();
    let key: Vec<_> = table
        .key
        .iter()
        .map(|name| key_column(table, name))
        .collect();
    parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    // Rows lie in the order of their keys, which is the order of responses.
    format!(
        "CREATE TABLE IF NOT EXISTS \"{}\" ({}) WITHOUT ROWID",
        table.name,
        parts.join(", ")
    )
}

/// Metadata keys that differ in case are different keys, though queries find both.
fn key_column(table: &Table, name: &str) -> String {
    let is_text = table
        .column(name)
        .is_some_and(|column| column.kind == Kind::Text);
    format!("\"{name}\"{}", if is_text { " COLLATE BINARY" } else { "" })
}

/// Keys of other rows are looked up in both directions; names are what people search for, and what
/// must be unique is looked for in each creation.
fn is_indexed(table: &Table, column: &Column) -> bool {
    if table.key.first() == Some(&column.name) {
        return false;
    }
    match column.kind {
        Kind::Key => !matches!(column.name.as_str(), "priority_id" | "from_status_id"),
        Kind::Text => matches!(column.name.as_str(), "name" | "username" | "email" | "key"),
        _ => false,
    }
}
