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
            None | Some(Folded::Always) => None,
            Some(Folded::Never) => return None,
            Some(Folded::Depends(criterion)) => Some(criterion),
        };
        Some(Self {
            filter,
            ..self.clone()
        })
    }
}

enum Folded {
    Always,
    Never,
    Depends(Criterion),
}

impl Criterion {
    fn folded(&self) -> Folded {
        let kind = match self.kind() {
            Kind::And(parts) => return all(parts),
            Kind::Or(parts) => return any(parts),
            Kind::Not(inner) => {
                return match inner.folded() {
                    Folded::Always => Folded::Never,
                    Folded::Never => Folded::Always,
                    Folded::Depends(criterion) => Folded::Depends(criterion.not()),
                };
            }
            Kind::In {
                set: Set::Values(values),
                negated,
                ..
            } if values.is_empty() => {
                return if *negated {
                    Folded::Always
                } else {
                    Folded::Never
                };
            }
            Kind::In {
                path,
                set: Set::Select(statement),
                negated,
            } => match statement.simplified() {
                Some(statement) => {
                    let set = Set::Select(Box::new(statement));
                    Kind::In {
                        path: path.clone(),
                        set,
                        negated: *negated,
                    }
                }
                None if *negated => return Folded::Always,
                None => return Folded::Never,
            },
            Kind::Has { path, inner } => match inside(inner) {
                Some(inner) => Kind::Has {
                    path: path.clone(),
                    inner,
                },
                None => return Folded::Never,
            },
            Kind::Any { path, inner } => match inside(inner) {
                Some(inner) => Kind::Any {
                    path: path.clone(),
                    inner,
                },
                None => return Folded::Never,
            },
            kind @ (Kind::Compare { .. } | Kind::In { .. } | Kind::Invalid(_)) => kind.clone(),
        };
        Folded::Depends(kind.into())
    }
}

fn all(parts: &[Criterion]) -> Folded {
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        match part.folded() {
            Folded::Always => {}
            Folded::Never => return Folded::Never,
            Folded::Depends(criterion) => kept.push(criterion),
        }
    }
    if kept.is_empty() {
        Folded::Always
    } else {
        Folded::Depends(Criterion::all_of(kept))
    }
}

fn any(parts: &[Criterion]) -> Folded {
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        match part.folded() {
            Folded::Always => return Folded::Always,
            Folded::Never => {}
            Folded::Depends(criterion) => kept.push(criterion),
        }
    }
    if kept.is_empty() {
        Folded::Never
    } else {
        Folded::Depends(Criterion::any_of(kept))
    }
}

/// The condition within `has` or `any`, or [`None`] when nothing can satisfy it.
fn inside(inner: &Criterion) -> Option<Box<Criterion>> {
    match inner.folded() {
        Folded::Always => Some(Box::new(Criterion::all_of([]))),
        Folded::Never => None,
        Folded::Depends(criterion) => Some(Box::new(criterion)),
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
