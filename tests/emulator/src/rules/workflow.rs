//! Statuses and types that the schema of a project does not allow: refused on demand, as servers are
//! assumed to accept them. Status rules, which name roles, always hold.

use rusqlite::types::Value as Sql;

use crate::database::model::Type;
use crate::error::{Fault, Result};
use crate::rules::Batch;
use crate::rules::batch::Touched;
use crate::rules::record::{Record, text};
use crate::select::computed::{allowed_statuses, allowed_types, refused_by_rules};

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
        ("status_id", "status", allowed_statuses(table, "e", None)),
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
            "SELECT 1 FROM \"{table}\" e, json_each({allowed}) one WHERE e.id = ?1 AND one.value = ?2 \
             UNION ALL SELECT 1 FROM \"{table}\" e WHERE e.id = ?1 AND ?3 AND {allowed} = '[]'"
        );
        let id = text(record, "id").unwrap_or_default();
        // A kind of context without types of its own takes any.
        let bound = [
            Sql::Text(id.to_owned()),
            Sql::Text(value.to_owned()),
            Sql::Integer((what == "type").into()),
        ];
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

/// Checks the status that an operation is about to set.
///
/// # Errors
///
/// If status rules refuse this change to all roles of the user.
pub fn check_rules(batch: &Batch<'_>, ty: &Type, before: &Record, values: &Record) -> Result<()> {
    let table = batch.model.table(ty).name.as_str();
    let rows = match table {
        "asset_version" => {
            "asset_version e JOIN asset a ON a.id = e.asset_id \
             JOIN context o ON o.id = a.context_id JOIN context p ON p.id = o.project_id"
        }
        "context" => "context e JOIN context p ON p.id = e.project_id",
        _ => return Ok(()),
    };
    let (Some(id), Some(wanted)) = (text(before, "id"), text(values, "status_id")) else {
        return Ok(());
    };
    let refused = refused_by_rules(table, "e", &batch.caller.user.id, "?3");
    let sql =
        format!("SELECT 1 FROM {rows} JOIN status st ON st.id = ?2 WHERE e.id = ?1 AND {refused}");
    let current = before.get("status_id").cloned().unwrap_or(Sql::Null);
    let bound = [
        Sql::Text(id.to_owned()),
        Sql::Text(wanted.to_owned()),
        current,
    ];
    let mut statement = batch.connection.prepare_cached(&sql)?;
    if statement.exists(rusqlite::params_from_iter(bound))? {
        return Err(Fault::permission(format!(
            "None of your security roles may change the {} {id} to the status {wanted}",
            ty.name
        )));
    }
    Ok(())
}
