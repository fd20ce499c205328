//! Conditions on related rows: how references and collections are joined.

use crate::database::model::{Collection, Reference, Via};
use crate::select::Bound;
use crate::select::scalar::joined;

/// A list that can be made once beats a look-up per row, as the inner criteria may be rare.
pub(super) fn by_reference(
    reference: &Reference,
    table: &str,
    alias: &str,
    row: &str,
    conditions: &[String],
) -> String {
    let [own] = reference.own.as_slice() else {
        return exists(table, row, joined(reference, alias, row), conditions);
    };
    if reference.is_latest_version {
        return exists(table, row, joined(reference, alias, row), conditions);
    }
    if conditions.is_empty() {
        return format!("{alias}.\"{own}\" IS NOT NULL");
    }
    format!(
        "({alias}.\"{own}\" IS NOT NULL AND {alias}.\"{own}\" IN (SELECT {row}.\"{}\" FROM \"{table}\" {row} WHERE {}))",
        reference.theirs[0],
        conditions.join(" AND ")
    )
}

pub(super) fn by_collection(
    bound: &mut Bound,
    collection: &Collection,
    table: &str,
    alias: &str,
    row: &str,
    mut conditions: Vec<String>,
    is_listed: bool,
) -> String {
    match &collection.via {
        Via::Column(column, extra) => {
            conditions.extend(extra.map(|extra| extra.replace("{}", row)));
            if !is_listed {
                return exists(
                    table,
                    row,
                    format!("{row}.\"{column}\" = {alias}.id"),
                    &conditions,
                );
            }
            conditions.push(format!("{row}.\"{column}\" IS NOT NULL"));
            format!(
                "{alias}.id IN (SELECT {row}.\"{column}\" FROM \"{table}\" {row} WHERE {})",
                conditions.join(" AND ")
            )
        }
        Via::Through {
            table: link,
            own,
            other,
            ..
        } => {
            let between = bound.alias();
            let join =
                format!("{between}.\"{own}\" = {alias}.id AND {row}.id = {between}.\"{other}\"");
            let tables = format!("{link}\" {between}, \"{table}");
            exists(&tables, row, join, &conditions)
        }
        Via::Ancestors(_, column) => {
            let up = bound.alias();
            conditions.push(format!("{row}.id = {up}.id"));
            format!(
                "EXISTS (WITH RECURSIVE {up}(id) AS (SELECT {alias}.\"{column}\" UNION \
                 SELECT c.parent_id FROM {up} CROSS JOIN context c ON c.id = {up}.id) \
                 SELECT 1 FROM {up} CROSS JOIN \"{table}\" {row} WHERE {})",
                conditions.join(" AND ")
            )
        }
        Via::Descendants => {
            let down = bound.alias();
            conditions.push(format!("{row}.id = {down}.id"));
            format!(
                "EXISTS (WITH RECURSIVE {down}(id) AS (SELECT c.id FROM context c WHERE \
                 c.parent_id = {alias}.id UNION SELECT c.id FROM {down} CROSS JOIN context c ON \
                 c.parent_id = {down}.id) SELECT 1 FROM {down} CROSS JOIN \"{table}\" {row} WHERE {})",
                conditions.join(" AND ")
            )
        }
    }
}

fn exists(table: &str, row: &str, join: String, conditions: &[String]) -> String {
    let mut all = vec![join];
    all.extend_from_slice(conditions);
    format!(
        "EXISTS (SELECT 1 FROM \"{table}\" {row} WHERE {})",
        all.join(" AND ")
    )
}
