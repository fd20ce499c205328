//! Columns that follow from other rows: the project of an asset, a version or a note. Triggers
//! keep them, whatever changes the rows that they follow from.

use crate::database::model::Model;
use crate::rules::rollup;

/// A table whose `project_id` follows from the row that one of its columns points to.
struct Derived {
    table: &'static str,
    /// The column with the id of the row above.
    column: &'static str,
    /// The tables in which the row above is looked for.
    above: &'static [&'static str],
}

/// In the order in which they follow from each other.
const DERIVED: [Derived; 3] = [
    Derived {
        table: "asset",
        column: "context_id",
        above: &["context"],
    },
    Derived {
        table: "asset_version",
        column: "asset_id",
        above: &["asset"],
    },
    Derived {
        table: "note",
        column: "parent_id",
        above: &["context", "asset_version", "asset"],
    },
];

/// Statements that fill the columns of loaded rows, and keep them from then on.
pub(super) fn statements(model: &Model) -> Vec<String> {
    let has_project = |name: &str| {
        let table = model.tables.iter().find(|table| table.name == name);
        table.is_some_and(|table| table.column("project_id").is_some())
    };
    let mut statements = Vec::new();
    for derived in DERIVED.iter().filter(|derived| has_project(derived.table)) {
        let above = derived.above.iter().filter(|above| has_project(above));
        let above: Vec<_> = above.copied().collect();
        statements.extend(derived.statements(&above));
    }
    statements
}

/// Statements that sum up loaded rows once; [`crate::rules::rollup`] does it from then on. As
/// many rounds as there are levels between a task and its project in the demo studio.
pub(super) fn roll_up(model: &Model) -> Vec<String> {
    const LEVELS: usize = 5;
    let mut round = Vec::new();
    for (column, sum) in rollup::COLUMNS {
        let kinds = model
            .types
            .iter()
            .filter(|ty| model.table(ty).name == "context" && rollup::is_rolled_up(ty, column));
        let kinds: Vec<_> = kinds.map(|ty| format!("'{}'", ty.name)).collect();
        if !kinds.is_empty() {
            round.push(format!(
                "UPDATE context SET {column} = (SELECT {sum} FROM context c \
                 WHERE c.parent_id = context.id) WHERE _type IN ({})",
                kinds.join(", ")
            ));
        }
    }
    (0..LEVELS).flat_map(|_| round.clone()).collect()
}

impl Derived {
    fn statements(&self, above: &[&str]) -> Vec<String> {
        let Self { table, column, .. } = self;
        let found: Vec<_> = above
            .iter()
            .map(|above| {
                format!("(SELECT a.project_id FROM {above} a WHERE a.id = {table}.{column})")
            })
            .collect();
        let found = match found.as_slice() {
            [] => return Vec::new(),
            [one] => one.clone(),
            several => format!("COALESCE({})", several.join(", ")),
        };
        let mut statements = vec![
            format!("UPDATE {table} SET project_id = {found} WHERE project_id IS NULL"),
            format!(
                "CREATE TRIGGER IF NOT EXISTS \"{table}:new\" AFTER INSERT ON {table} BEGIN \
                 UPDATE {table} SET project_id = {found} WHERE id = NEW.id; END"
            ),
            format!(
                "CREATE TRIGGER IF NOT EXISTS \"{table}:moved\" AFTER UPDATE OF {column} ON {table} \
                 WHEN NEW.{column} IS NOT OLD.{column} BEGIN \
                 UPDATE {table} SET project_id = {found} WHERE id = NEW.id; END"
            ),
        ];
        for above in above {
            statements.push(format!(
                "CREATE TRIGGER IF NOT EXISTS \"{table}:{above}\" AFTER UPDATE OF project_id ON {above} \
                 WHEN NEW.project_id IS NOT OLD.project_id BEGIN \
                 UPDATE {table} SET project_id = NEW.project_id WHERE {column} = NEW.id; END"
            ));
        }
        statements
    }
}
