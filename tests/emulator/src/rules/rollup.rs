//! Bids and dates of contexts that only group others: they follow from what is below.

use rusqlite::types::Value as Sql;

use crate::database::model::Type;
use crate::error::Result;
use crate::rules::Batch;
use crate::rules::record::{Record, text};

/// The columns, and how each follows from those of the children.
pub const COLUMNS: [(&str, &str); 3] = [
    ("bid", "COALESCE(SUM(c.bid), 0.0)"),
    ("start_date", "MIN(c.start_date)"),
    ("end_date", "MAX(c.end_date)"),
];

/// Whether a column of this kind of context follows from its children: nobody may change it. The
/// start of a milestone may not be changed either, but its end may: it has no length.
pub fn is_rolled_up(ty: &Type, column: &str) -> bool {
    let is_fixed = |name: &str| ty.get(name).is_some_and(|attr| attr.is_immutable);
    is_fixed(column) && (column == "bid" || is_fixed("end_date"))
}

/// Remembers that the children of a context have other values than before.
pub fn mark(batch: &mut Batch<'_>, parent: &Record) {
    if let Some(parent) = text(parent, "parent_id") {
        batch.rollups.insert(parent.to_owned());
    }
}

/// At the end of a batch: from the remembered contexts upwards.
///
/// # Errors
///
/// Those of the database.
pub fn finish(batch: &mut Batch<'_>) -> Result<()> {
    let model = batch.model;
    let Some(context) = model.find("Context") else {
        return Ok(());
    };
    while let Some(id) = batch.rollups.pop_first() {
        let Some((ty, before)) = batch.find(context, &[Sql::Text(id.clone())])? else {
            continue;
        };
        let mut values = Record::new();
        for (column, sum) in COLUMNS {
            if is_rolled_up(ty, column) {
                let sql = format!("SELECT {sum} FROM context c WHERE c.parent_id = ?1");
                let value = batch
                    .connection
                    .prepare_cached(&sql)?
                    .query_row([&id], |row| row.get(0))?;
                values.insert(column.to_owned(), value);
            }
        }
        if values
            .iter()
            .any(|(column, value)| before.get(column) != Some(value))
        {
            let ty = &model.types[ty.id];
            batch.change(ty, &before, &values)?;
            mark(batch, &before);
        }
    }
    Ok(())
}
