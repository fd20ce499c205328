//! The clauses of a statement: criteria, order, offset and limit; sub-selects.

use rusqlite::types::Value as Sql;

use crate::database::model::Type;
use crate::error::{Fault, Result};
use crate::language::tree::Statement;
use crate::select::condition::{Compiler, key_of};
use crate::select::find;
use crate::select::scalar::{scalar, scope};

impl Compiler<'_> {
    /// `in (select a.b from Type where …)`; without a projection the key is selected.
    pub(super) fn subquery(&mut self, statement: &Statement) -> Result<String> {
        use crate::language::tree::Projection;
        let model = self.model;
        let ty = find(model, &statement.entity_type)?;
        let row = self.bound.alias();
        let value = match statement.projections.as_slice() {
            [] => key_of(ty, &row)?,
            [Projection::Path(path)] => scalar(model, &mut self.bound, ty, &row, &path.segments)?,
            _ => {
                return Err(Fault::validation(
                    "A query inside of in (…) selects exactly one attribute",
                ));
            }
        };
        let tail = self.tail(
            statement,
            ty,
            &row,
            Some(&format!("{} IS NOT NULL", value.sql)),
        )?;
        Ok(format!(
            "SELECT {} FROM \"{}\" {row}{tail}",
            value.sql,
            model.table(ty).name
        ))
    }

    /// Everything after the table: criteria, order, offset and limit, each only where needed.
    ///
    /// # Errors
    ///
    /// As [`condition`](Self::condition).
    pub fn tail(
        &mut self,
        statement: &Statement,
        ty: &Type,
        row: &str,
        extra: Option<&str>,
    ) -> Result<String> {
        let mut sql = self.filter(statement, ty, row, extra)?;
        if statement.limit.is_some() || statement.offset > 0 {
            sql.push_str(&self.order(statement, ty, row)?);
            let limit = statement
                .limit
                .map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1));
            let offset = i64::try_from(statement.offset).unwrap_or(i64::MAX);
            let limit = self.bound.bind(Sql::Integer(limit));
            let offset = self.bound.bind(Sql::Integer(offset));
            sql.push_str(&format!(" LIMIT {limit} OFFSET {offset}"));
        }
        Ok(sql)
    }

    /// The criteria of a statement and the scope of its type, from ` WHERE` on.
    ///
    /// # Errors
    ///
    /// As [`condition`](Self::condition).
    pub fn filter(
        &mut self,
        statement: &Statement,
        ty: &Type,
        row: &str,
        extra: Option<&str>,
    ) -> Result<String> {
        let mut conditions: Vec<_> = scope(ty, row).into_iter().collect();
        if let Some(filter) = &statement.filter {
            conditions.push(self.condition(filter, ty, row)?);
        }
        conditions.extend(extra.map(str::to_owned));
        Ok(if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        })
    }

    /// The order of a statement, completed by the key so that it is always the same.
    ///
    /// # Errors
    ///
    /// If an attribute does not exist.
    pub fn order(&mut self, statement: &Statement, ty: &Type, row: &str) -> Result<String> {
        let mut keys = Vec::new();
        for order in &statement.order {
            let value = scalar(self.model, &mut self.bound, ty, row, &order.path.segments)?;
            keys.push(format!(
                "{}{}",
                value.sql,
                if order.is_descending { " DESC" } else { "" }
            ));
        }
        keys.extend(ty.key.iter().map(|key| format!("{row}.\"{key}\"")));
        Ok(format!(" ORDER BY {}", keys.join(", ")))
    }
}
