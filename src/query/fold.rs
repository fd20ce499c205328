//! Constant folding of conditions that always or never hold.
//!
//! The language has neither a constant for "nothing matches" nor an empty list after `in`. So such
//! conditions are folded, and a query that cannot match anything is not sent.

use crate::query::tree::{Criterion, Kind, Set, Statement};

impl Statement {
    /// The statement without conditions that always hold; [`None`] if no row can match.
    ///
    /// ```
    /// use ftrack_api::query::{field, select};
    ///
    /// let nobody: [&str; 0] = [];
    /// let statement = select("Task").filter(field("bid").gt(3));
    /// let none = statement.clone().filter(field("name").is_in(nobody));
    /// assert_eq!(none.simplified(), None);
    /// let all = statement.clone().filter(field("name").not_in(nobody));
    /// assert_eq!(all.simplified(), Some(statement));
    /// ```
    pub fn simplified(&self) -> Option<Self> {
        if self.limit == Some(0) {
            return None;
        }
        let filter = match self.filter.as_ref().map(Criterion::folded) {
            None | Some(Err(true)) => None,
            Some(Err(false)) => return None,
            Some(Ok(criterion)) => Some(criterion),
        };
        Some(Self {
            filter,
            ..self.clone()
        })
    }
}

/// The condition that is left; if none is left, whether it always or never holds.
type Folded = Result<Criterion, bool>;

impl Criterion {
    fn folded(&self) -> Folded {
        let kind = match self.kind() {
            Kind::And(parts) => return joined(parts, true),
            Kind::Or(parts) => return joined(parts, false),
            Kind::Not(inner) => {
                let inner = inner.folded();
                return inner.map(Self::not).map_err(|holds| !holds);
            }
            Kind::In {
                set: Set::Values(values),
                negated,
                ..
            } if values.is_empty() => return Err(*negated),
            Kind::In {
                path,
                set: Set::Select(statement),
                negated,
            } => Kind::In {
                path: path.clone(),
                set: Set::Select(Box::new(statement.simplified().ok_or(*negated)?)),
                negated: *negated,
            },
            Kind::Has { path, inner } => Kind::Has {
                path: path.clone(),
                inner: inside(inner)?,
            },
            Kind::Any { path, inner } => Kind::Any {
                path: path.clone(),
                inner: inside(inner)?,
            },
            kind @ (Kind::Compare { .. } | Kind::In { .. } | Kind::Invalid(_)) => kind.clone(),
        };
        Ok(kind.into())
    }
}

/// Joins conditions by `and`, in which those that always hold can be left out; or by `or`, in which
/// those can that never hold.
fn joined(parts: &[Criterion], is_and: bool) -> Folded {
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        match part.folded() {
            Ok(criterion) => kept.push(criterion),
            Err(holds) if holds == is_and => {}
            Err(holds) => return Err(holds),
        }
    }
    match is_and {
        _ if kept.is_empty() => Err(is_and),
        true => Ok(Criterion::all_of(kept)),
        false => Ok(Criterion::any_of(kept)),
    }
}

/// The condition within `has` or `any`, which never hold if it never does.
fn inside(inner: &Criterion) -> Result<Box<Criterion>, bool> {
    match inner.folded() {
        Err(true) => Ok(Box::new(Criterion::all_of([]))),
        inner => inner.map(Box::new),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use crate::query::Statement;

    #[test]
    fn constants_disappear() {
        for (text, expected) in [
            ("T where a is 1", Some("T where a is 1")),
            ("T where ()", Some("T")),
            ("T where not ()", None),
            ("T where a in ()", None),
            ("T where a not_in ()", Some("T")),
            ("T where not a in ()", Some("T")),
            ("T where a is 1 and b in ()", None),
            ("T where a is 1 or b in ()", Some("T where a is 1")),
            ("T where a is 1 or b not_in ()", Some("T")),
            ("T where a is 1 and b not_in ()", Some("T where a is 1")),
            ("T where r any ()", Some("T where r any ()")),
            ("T where r any (a in ())", None),
            (
                "T where r has (a not_in () and ())",
                Some("T where r has ()"),
            ),
            ("T where not r any (a in ())", Some("T")),
            ("T where a in (select id from U where b in ())", None),
            (
                "T where a not_in (select id from U where b in ())",
                Some("T"),
            ),
            ("T where a in (select id from U limit 0)", None),
            (
                "T where (a is 1 or b in ()) and (c is 2 or not (d is 3 and ()))",
                Some("T where a is 1 and (c is 2 or not d is 3)"),
            ),
            ("T limit 0", None),
        ] {
            let simplified = text.parse::<Statement>().unwrap().simplified();
            assert_eq!(
                simplified.map(|it| it.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
