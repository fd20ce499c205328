//! `group by` and the functions of groups.

use rusqlite::params_from_iter;
use serde_json::{Map, Value};

use crate::database::model::Type;
use crate::database::value;
use crate::error::{Fault, Result};
use crate::language::tree::{Aggregate, Path, Projection, Statement};
use crate::schema::Kind;
use crate::select::Reader;
use crate::select::condition::Compiler;
use crate::select::scalar::scalar;

/// The rows of a grouped query: plain objects with the group's attributes and `<fn>_<attribute>`.
///
/// # Errors
///
/// If an attribute does not exist or cannot be grouped.
pub fn run(reader: Reader<'_>, statement: &Statement, ty: &Type) -> Result<Vec<Value>> {
    let row = "t0";
    let mut compiler = Compiler::new(reader.model);
    let mut names = Vec::new();
    let mut columns = Vec::new();
    let mut groups = Vec::new();
    for path in &statement.group {
        let value = scalar(reader.model, &mut compiler.bound, ty, row, &path.segments)?;
        names.push((dotted(path), value.kind));
        columns.push(value.sql.clone());
        groups.push(value.sql);
    }
    for projection in &statement.projections {
        match projection {
            Projection::Path(path) => {
                if !statement
                    .group
                    .iter()
                    .any(|group| group.segments == path.segments)
                {
                    return Err(Fault::validation(format!(
                        "{} is selected but not grouped: add it to group by or use a function",
                        dotted(path)
                    )));
                }
            }
            Projection::Aggregate(function, path) => {
                let value = scalar(reader.model, &mut compiler.bound, ty, row, &path.segments)?;
                let kind = match function {
                    Aggregate::Count => Kind::Integer,
                    Aggregate::Sum | Aggregate::Avg => Kind::Number,
                    Aggregate::Min | Aggregate::Max => value.kind,
                };
                names.push((format!("{}_{}", function.name(), dotted(path)), kind));
                columns.push(format!("{}({})", function.name(), value.sql));
            }
        }
    }
    let filter = compiler.filter(statement, ty, row, None)?;
    let mut sql = format!(
        "SELECT {} FROM \"{}\" {row}{filter}",
        columns.join(", "),
        reader.model.table(ty).name
    );
    if !groups.is_empty() {
        let positions: Vec<_> = (1..=groups.len()).map(|index| index.to_string()).collect();
        let positions = positions.join(", ");
        sql.push_str(&format!(
            " GROUP BY {positions} ORDER BY {}",
            order(statement, &positions)
        ));
    }
    let limit = statement.limit.map_or(-1, |limit| {
        i64::try_from(limit.saturating_add(1)).unwrap_or(-1)
    });
    sql.push_str(&format!(
        " LIMIT {limit} OFFSET {}",
        statement.offset.min(i64::MAX as u64)
    ));
    read(reader, &sql, compiler, &names)
}

/// Groups can be ordered by what they are grouped by; the rest of the order is fixed.
fn order(statement: &Statement, positions: &str) -> String {
    let mut keys = Vec::new();
    for order in &statement.order {
        let same = |path: &Path| path.segments == order.path.segments;
        if let Some(index) = statement.group.iter().position(same) {
            keys.push(format!(
                "{}{}",
                index + 1,
                if order.is_descending { " DESC" } else { "" }
            ));
        }
    }
    keys.push(positions.to_owned());
    keys.join(", ")
}

fn read(
    reader: Reader<'_>,
    sql: &str,
    compiler: Compiler<'_>,
    names: &[(String, Kind)],
) -> Result<Vec<Value>> {
    let mut statement = reader.connection.prepare(sql)?;
    let mut rows = statement.query(params_from_iter(compiler.bound.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut object = Map::new();
        for (index, (name, kind)) in names.iter().enumerate() {
            object.insert(name.clone(), value::to_json(kind, row.get_ref(index)?));
        }
        found.push(Value::Object(object));
    }
    Ok(found)
}

fn dotted(path: &Path) -> String {
    path.segments
        .iter()
        .map(|segment| segment.name.as_str())
        .collect::<Vec<_>>()
        .join(".")
}
