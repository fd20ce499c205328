//! Splits a long list after `in` over several statements that together have the same rows.

use std::collections::HashSet;

use uuid::Uuid;

use crate::query::literal::Literal;
use crate::query::path::Path;
use crate::query::tree::{Criterion, Kind, Set, Statement};

/// The statements that together have the rows of `statement`, none of them twice.
///
/// No row may match two parts, so values must be compared as the server compares them, and the
/// path must have one value for each row. Of several long lists only the longest is split:
/// splitting all would multiply their parts.
pub(super) fn split(
    mut statement: Statement,
    at_most: usize,
    single: &impl Fn(&Path) -> bool,
) -> Vec<Statement> {
    let Some((position, path, values)) = longest(&statement, at_most, single) else {
        return vec![statement];
    };
    let mut others = match statement.filter.take().map(Criterion::into_kind) {
        Some(Kind::And(all)) => all,
        _ => vec![Criterion::all_of([])],
    };
    let parts = values.chunks(at_most).map(|part| {
        let set = Set::Values(part.to_vec());
        let path = path.clone();
        others[position] = Kind::In {
            path,
            set,
            negated: false,
        }
        .into();
        statement.clone().filter(Criterion::all_of(others.clone()))
    });
    parts.collect()
}

/// The longest list that is too long and may be split: its index under `and`, its path, and its
/// distinct values.
fn longest(
    statement: &Statement,
    at_most: usize,
    single: &impl Fn(&Path) -> bool,
) -> Option<(usize, Path, Vec<Literal>)> {
    let counted = statement.offset.is_some() || statement.limit.is_some();
    if counted || !statement.order.is_empty() || statement.is_grouped() {
        return None;
    }
    let filter = statement.filter.as_ref()?;
    let all = match filter.kind() {
        Kind::And(all) => all.as_slice(),
        _ => std::slice::from_ref(filter),
    };
    let lists = all
        .iter()
        .enumerate()
        .filter_map(|(position, one)| match one.kind() {
            Kind::In {
                path,
                set: Set::Values(values),
                negated: false,
            } if values.len() > at_most && single(path) => {
                Some((position, path.clone(), distinct(values)?))
            }
            _ => None,
        });
    lists.max_by_key(|(_, _, values)| values.len())
}

/// The distinct values; [`None`] if the server might treat two of them as equal.
fn distinct(values: &[Literal]) -> Option<Vec<Literal>> {
    let mut seen = HashSet::with_capacity(values.len());
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        if seen.insert(identity(value)?) {
            kept.push(value.clone());
        }
    }
    Some(kept)
}

/// A text that is equal for two values if and only if the server treats them as equal; [`None`] if
/// that is uncertain. Ids and names are compared without regard to case; numbers and dates have
/// several spellings, and collations treat some letters outside ASCII as equal.
fn identity(value: &Literal) -> Option<String> {
    let text = match value {
        Literal::Word(word) => word.as_str(),
        Literal::Text(text) => text,
        Literal::Null | Literal::Bool(_) => return None,
    };
    if let Ok(id) = Uuid::try_parse(text) {
        return Some(id.hyphenated().to_string());
    }
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        && text.parse::<f64>().is_err();
    plain.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let parts = split(text.parse().unwrap(), 2, &|path| path.segments().len() == 1);
        let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
        assert_eq!(parts, expected);
    }

    #[test]
    fn long_lists_are_split() {
        check("T where a in (x, y)", &["T where a in (x, y)"]);
        check(
            "T where a in (x, y, z)",
            &["T where a in (x, y)", "T where a in (z)"],
        );
        check("T where a in (x, X, x, y)", &["T where a in (x, y)"]);
        check(
            "select n from T where b is 1 and a in (x, y, z) and c is 2",
            &[
                "select n from T where b is 1 and a in (x, y) and c is 2",
                "select n from T where b is 1 and a in (z) and c is 2",
            ],
        );
        check(
            "T where a in (x, y, z) and b in (u, v, w, x, y) and c in (z, u, v)",
            &[
                "T where a in (x, y, z) and b in (u, v) and c in (z, u, v)",
                "T where a in (x, y, z) and b in (w, x) and c in (z, u, v)",
                "T where a in (x, y, z) and b in (y) and c in (z, u, v)",
            ],
        );
    }

    #[test]
    fn what_would_change_the_rows_is_left_alone() {
        for text in [
            "T where a in (x, y, z) order by b",
            "T where a in (x, y, z) limit 9",
            "T where a in (x, y, z) offset 9",
            "select count(id) from T where a in (x, y, z) group by b",
            "select count(id) from T where a in (x, y, z)",
            "T where a in (x, y, z) or b is 1",
            "T where not a in (x, y, z)",
            "T where a not_in (x, y, z)",
            "T where tasks.a in (x, y, z)",
            "T where tasks any (a in (x, y, z))",
            "T where a in (1, 2, 3)",
            "T where a in (\"ä\", y, z)",
            "T where a in (none, y, z)",
            "T where a in (select id from U)",
        ] {
            check(text, &[text]);
        }
    }

    #[test]
    fn ids_are_the_same_in_any_spelling() {
        check(
            "T where id in (d07ae5d0-66e1-11e1-b5e9-f23c91df25eb, \
             D07AE5D066E111E1B5E9F23C91DF25EB, x)",
            &["T where id in (d07ae5d0-66e1-11e1-b5e9-f23c91df25eb, x)"],
        );
    }
}
