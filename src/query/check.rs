//! Checks the names in a query against the schema.
//!
//! A name is an error only if no entity that the path can reach has it. A base type has the
//! attributes of all its subtypes: `assignments any (resource.username is "ada")` names an
//! attribute that only some resources have.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result, nearest};
use crate::query::path::Path;
use crate::query::tree::{Criterion, Kind, Projection, Set, Statement};
use crate::schema::{Attribute, AttributeKind, EntityType, Schema};

impl Statement {
    /// Checks every name in the statement against `schema`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`] if the schema has no such entity type.
    /// - [`ErrorKind::UnknownAttribute`] if no entity that the path can reach has the attribute.
    ///
    /// Both suggest the nearest known name.
    ///
    /// ```no_run
    /// use ftrack_api::query::Statement;
    ///
    /// let session = ftrack_api::Session::from_env()?;
    /// let statement: Statement = "Task where staus.name is done".parse()?;
    /// let error = statement.check(session.schema()).unwrap_err();
    /// assert!(error.to_string().contains("did you mean `status`?"));
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let checker = Checker { schema };
        checker
            .statement(self)
            .map_err(|error| error.context(format!("the query {self}")))
    }
}

struct Checker<'a> {
    schema: &'a Schema,
}

/// What a path can lead to.
enum Reach<'a> {
    Types(Vec<&'a EntityType>),
    /// A plain value, which has no attributes.
    Value,
    /// Free-form data, which may have any attribute.
    Anything,
}

impl<'a> Checker<'a> {
    fn statement(&self, statement: &Statement) -> Result<()> {
        let start = Reach::Types(vec![self.entity_type(&statement.entity_type)?]);
        for projection in &statement.projections {
            let (Projection::Attribute(path) | Projection::Aggregate(_, path)) = projection;
            self.follow(&start, path)?;
        }
        if let Some(filter) = &statement.filter {
            self.criterion(&start, filter)?;
        }
        let ordered = statement.order.iter().map(|order| &order.path);
        for path in ordered.chain(&statement.group) {
            self.follow(&start, path)?;
        }
        Ok(())
    }

    fn criterion(&self, start: &Reach<'a>, criterion: &Criterion) -> Result<()> {
        match criterion.kind() {
            Kind::And(parts) | Kind::Or(parts) => parts
                .iter()
                .try_for_each(|part| self.criterion(start, part)),
            Kind::Not(inner) => self.criterion(start, inner),
            Kind::Compare { path, .. } => self.follow(start, path).map(drop),
            Kind::In { path, set, .. } => {
                self.follow(start, path)?;
                match set {
                    Set::Values(_) => Ok(()),
                    Set::Select(statement) => self.statement(statement),
                }
            }
            Kind::Has { path, inner } | Kind::Any { path, inner } => {
                let reached = self.follow(start, path)?;
                self.criterion(&reached, inner)
            }
            Kind::Invalid(error) => Err(error.clone().into()),
        }
    }

    fn follow(&self, start: &Reach<'a>, path: &Path) -> Result<Reach<'a>> {
        let mut reached = self.step(start, path, path.segments()[0].name())?;
        for (before, segment) in path.segments().iter().zip(&path.segments()[1..]) {
            if let Some(cast) = before.cast() {
                reached = Reach::Types(vec![self.entity_type(cast)?]);
            }
            reached = self.step(&reached, path, segment.name())?;
        }
        let last = path.segments().last().and_then(|segment| segment.cast());
        last.map_or(Ok(reached), |cast| {
            Ok(Reach::Types(vec![self.entity_type(cast)?]))
        })
    }

    /// What the attribute `name` of `from` leads to.
    fn step(&self, from: &Reach<'a>, path: &Path, name: &str) -> Result<Reach<'a>> {
        let bases = match from {
            Reach::Types(bases) => bases,
            Reach::Anything => return Ok(Reach::Anything),
            Reach::Value => {
                return Err(Error::new(
                    ErrorKind::UnknownAttribute,
                    format!("`{path}` looks up `{name}` in a plain value"),
                ));
            }
        };
        if let Some(reached) = self.attribute(bases, name)? {
            return Ok(reached);
        }
        let subtypes = self.with_subtypes(bases);
        let reached = self.attribute(&subtypes, name)?;
        reached.ok_or_else(|| unknown(self.schema, bases, &subtypes, path, name))
    }

    /// What the attribute `name` of these types leads to, if one of them has it.
    fn attribute(&self, types: &[&'a EntityType], name: &str) -> Result<Option<Reach<'a>>> {
        let mut targets = BTreeSet::new();
        let mut found = None;
        let id = self.schema.name_id(name);
        for attribute in types.iter().filter_map(|one| one.by_id(id?)) {
            match (attribute.target(), attribute.kind()) {
                (Some(target), _) => {
                    targets.insert(target);
                }
                (None, AttributeKind::Variable) => found = Some(Reach::Anything),
                (None, _) => found = found.or(Some(Reach::Value)),
            }
        }
        if targets.is_empty() {
            return Ok(found);
        }
        let targets = targets.into_iter().map(|target| self.entity_type(target));
        Ok(Some(Reach::Types(targets.collect::<Result<_>>()?)))
    }

    /// The types and all their subtypes.
    fn with_subtypes(&self, bases: &[&'a EntityType]) -> Vec<&'a EntityType> {
        let is_kind = |one: &&EntityType| {
            bases
                .iter()
                .any(|base| self.schema.is_kind_of(one.name(), base.name()))
        };
        self.schema.entity_types().iter().filter(is_kind).collect()
    }

    fn entity_type(&self, name: &str) -> Result<&'a EntityType> {
        self.schema.entity_type(name)
    }
}

fn unknown(
    schema: &Schema,
    bases: &[&EntityType],
    types: &[&EntityType],
    path: &Path,
    name: &str,
) -> Error {
    let known = types
        .iter()
        .flat_map(|one| one.attributes())
        .map(Attribute::name);
    let near = nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
    let hint = near.unwrap_or_default() + &schema.elsewhere(name);
    let bases: Vec<&str> = bases.iter().map(|base| base.name()).collect();
    let place = if path.segments().len() > 1 {
        format!(" in `{path}`")
    } else {
        String::new()
    };
    Error::new(
        ErrorKind::UnknownAttribute,
        format!(
            "{} has no attribute `{name}`{place}{hint}",
            bases.join(" or ")
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::tests::schema;

    #[test]
    fn known_names_pass() {
        let schema = schema();
        for text in [
            "Task",
            "select id, status.name, children.status.name, count(id) from Task group by status_id",
            "Task where parent.status.name is x order by project.name",
            "Task where metadata any (key is a and value is b) and not children any ()",
            "Task where assignments any (resource.username is ada)",
            "Task where parent[Task].bid > 1 and parent[Project] has (name is x)",
            "Task where parent_id in (select id from Task where bid > 1)",
            "Task where thumbnail_url.value is x",
        ] {
            text.parse::<Statement>().unwrap().check(&schema).unwrap();
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        let schema = schema();
        for (text, kind, expected) in [
            ("Taks", ErrorKind::UnknownType, "did you mean \"Task\"?"),
            (
                "Task where staus is x",
                ErrorKind::UnknownAttribute,
                "`staus`; did you mean `status`?",
            ),
            (
                "select nmae from Task",
                ErrorKind::UnknownAttribute,
                "did you mean `name`?",
            ),
            (
                "Task where status.nam is x",
                ErrorKind::UnknownAttribute,
                "Status has no attribute `nam` in `status.nam`; did you mean `name`?",
            ),
            (
                "Task order by bidd",
                ErrorKind::UnknownAttribute,
                "did you mean `bid`?",
            ),
            (
                "select sum(bidd) from Task",
                ErrorKind::UnknownAttribute,
                "did you mean `bid`?",
            ),
            (
                "Task where status has (nam is x)",
                ErrorKind::UnknownAttribute,
                "did you mean `name`?",
            ),
            (
                "Task where parent[Tsk].bid is 1",
                ErrorKind::UnknownType,
                "did you mean \"Task\"?",
            ),
            (
                "Task where id in (select idd from Task)",
                ErrorKind::UnknownAttribute,
                "`idd`",
            ),
            (
                "Task where name.length is 1",
                ErrorKind::UnknownAttribute,
                "a plain value",
            ),
            (
                "Task where assignments any (resource.nosuch is 1)",
                ErrorKind::UnknownAttribute,
                "has no attribute `nosuch`",
            ),
        ] {
            let error = text
                .parse::<Statement>()
                .unwrap()
                .check(&schema)
                .unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
