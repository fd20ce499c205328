//! Statuses and types that the schema of a project does not allow: refused on demand, as servers are
//! assumed to accept them.

use rusqlite::types::Value as Sql;

use crate::database::model::Type;
use crate::error::{Fault, Result};
use crate::rules::Batch;
use crate::rules::batch::Touched;
use crate::rules::record::{Record, text};
use crate::select::computed::{allowed_statuses, allowed_types};

/// Checks the status and the type that an operation has set.
///
/// # Errors
///
/// If the project's schema does not have them for this kind of entity.
pub fn check(batch: &Batch<'_>, ty: &Type, record: &Record, touched: &Touched) -> Result<()> {
    let table = batch.model.table(ty).name.as_str();
    if !batch.site.enforces_workflows
        || !matches!(table, "context" | "asset_version")
        || ty.name == "Project"
    {
        return Ok(());
    }
    let both = [
        ("status_id", "status", allowed_statuses(table, "e")),
        ("type_id", "type", allowed_types("e")),
    ];
    for (column, what, allowed) in both {
        if !touched.columns.contains(column) || (what == "type" && table != "context") {
            continue;
        }
        let Some(value) = text(record, column) else {
            continue;
        };
        let sql = format!(
            "SELECT 1 FROM \"{table}\" e, json_each({allowed}) one WHERE e.id = ?1 AND one.value = ?2"
        );
        let id = text(record, "id").unwrap_or_default();
        let bound = [Sql::Text(id.to_owned()), Sql::Text(value.to_owned())];
        let mut statement = batch.connection.prepare_cached(&sql)?;
        if !statement.exists(rusqlite::params_from_iter(bound))? {
            return Err(Fault::validation(format!(
                "The schema of its project does not allow the {} {id} to have the {what} {value}",
                ty.name
            )));
        }
    }
    Ok(())
}
