//! Building statements and conditions in Rust.

use std::ops;

use crate::error::Result;
use crate::query::literal::Operator;
use crate::query::operand::{Operand, ToOperand, compare, one_of};
use crate::query::path::Path;
use crate::query::tree::{
    Aggregate, BuildError, Criterion, Kind, Order, Projection, Set, Statement,
};
use crate::value::Paths;

/// Starts a query for entities of a type; refine it with the methods of [`Statement`].
///
/// ```
/// use ftrack_api::query::{field, select};
///
/// let statement = select("Task")
///     .fields(["name", "status.name"])
///     .filter(field("name").like("sh%").and(field("bid").gt(3)))
///     .order_by("name")
///     .limit(10);
/// assert_eq!(
///     statement.to_string(),
///     "select name, status.name from Task where name like \"sh%\" and bid > 3 \
///      order by name limit 10"
/// );
/// ```
pub fn select(entity_type: impl Into<String>) -> Statement {
    Statement {
        entity_type: entity_type.into(),
        ..Statement::default()
    }
}

/// An attribute to put a condition on: `name`, `status.name`, `parent[Folder].name`.
///
/// ```
/// use ftrack_api::query::field;
///
/// assert_eq!(field("status.name").eq("Done").to_string(), "status.name is \"Done\"");
/// ```
pub fn field(path: impl AsRef<str>) -> Field {
    Field(path.as_ref().parse().map_err(BuildError::from))
}

/// Joins conditions by `and`; without any, the result always holds.
///
/// ```
/// use ftrack_api::query::{all_of, field};
///
/// let shots = ["sh010", "sh020"].map(|name| field("name").ne(name));
/// assert_eq!(all_of(shots).to_string(), "name is_not \"sh010\" and name is_not \"sh020\"");
/// ```
pub fn all_of(criteria: impl IntoIterator<Item = Criterion>) -> Criterion {
    Criterion::all_of(criteria)
}

/// Joins conditions by `or`; without any, the result never holds.
///
/// ```
/// use ftrack_api::query::{any_of, field};
///
/// let named = ["sh%", "seq%"].map(|pattern| field("name").like(pattern));
/// assert_eq!(any_of(named).to_string(), "name like \"sh%\" or name like \"seq%\"");
/// ```
pub fn any_of(criteria: impl IntoIterator<Item = Criterion>) -> Criterion {
    Criterion::any_of(criteria)
}

impl Statement {
    /// Adds attributes to fetch: `name`, `status.name`, `count(id)`.
    ///
    /// ```
    /// let statement = ftrack_api::query::select("Task").fields(["name", "status.name"]);
    /// assert_eq!(statement.to_string(), "select name, status.name from Task");
    /// ```
    pub fn fields(mut self, fields: impl Paths) -> Self {
        for field in fields.to_paths() {
            if let Some(projection) = self.valid(field.parse::<Projection>())
                && !self.projections.contains(&projection)
            {
                self.projections.push(projection);
            }
        }
        self
    }

    /// Sets the attributes to fetch if the statement has none.
    pub(crate) fn default_fields(self, fields: impl Paths) -> Self {
        match self.projections.is_empty() {
            true => self.fields(fields),
            false => self,
        }
    }

    /// Adds an aggregate over the rows of each group.
    ///
    /// ```
    /// use ftrack_api::query::{Aggregate, select};
    ///
    /// let hours = select("Task").fields(["status_id"]).aggregate(Aggregate::Sum, "bid");
    /// assert_eq!(
    ///     hours.group_by(["status_id"]).to_string(),
    ///     "select status_id, sum(bid) from Task group by status_id"
    /// );
    /// ```
    pub fn aggregate(mut self, function: Aggregate, path: impl AsRef<str>) -> Self {
        if let Some(path) = self.valid(path.as_ref().parse()) {
            self.projections.push(Projection::Aggregate(function, path));
        }
        self
    }

    /// Adds a condition that rows must satisfy besides those added before.
    ///
    /// ```
    /// use ftrack_api::query::{field, select};
    ///
    /// let statement = select("Task").filter(field("bid").gt(3)).filter(field("name").ne("anim"));
    /// assert_eq!(statement.to_string(), "Task where bid > 3 and name is_not \"anim\"");
    /// ```
    pub fn filter(mut self, criterion: impl Into<Criterion>) -> Self {
        let criterion = criterion.into();
        self.filter = Some(match self.filter.take() {
            Some(before) => before.and(criterion),
            None => criterion,
        });
        self
    }

    /// Sorts by attributes, ascending, after those added before.
    ///
    /// ```
    /// let statement = ftrack_api::query::select("Task").order_by("name").order_by("id");
    /// assert_eq!(statement.to_string(), "Task order by name, id");
    /// ```
    pub fn order_by(self, paths: impl Paths) -> Self {
        self.ordered(paths, false)
    }

    /// Sorts by attributes, descending, after those added before.
    ///
    /// ```
    /// let statement = ftrack_api::query::select("Task").order_by_descending("bid");
    /// assert_eq!(statement.to_string(), "Task order by bid descending");
    /// ```
    pub fn order_by_descending(self, paths: impl Paths) -> Self {
        self.ordered(paths, true)
    }

    /// Groups the rows with equal values of these attributes into one.
    ///
    /// ```
    /// let statement = ftrack_api::query::select("Task")
    ///     .fields(["count(id)"])
    ///     .group_by(["project_id", "status_id"]);
    /// assert_eq!(statement.to_string(), "select count(id) from Task group by project_id, status_id");
    /// ```
    pub fn group_by(mut self, paths: impl Paths) -> Self {
        for path in paths.to_paths() {
            if let Some(path) = self.valid(path.parse()) {
                self.group.push(path);
            }
        }
        self
    }

    /// Skips the first `rows`.
    ///
    /// ```
    /// let statement = ftrack_api::query::select("Task").offset(20).limit(10);
    /// assert_eq!(statement.to_string(), "Task offset 20 limit 10");
    /// ```
    pub fn offset(mut self, rows: u64) -> Self {
        self.offset = Some(rows);
        self
    }

    /// Limits the result to `rows`; a statement limited to 0 is not sent.
    ///
    /// ```
    /// assert_eq!(ftrack_api::query::select("Task").limit(1).to_string(), "Task limit 1");
    /// ```
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    fn ordered(mut self, paths: impl Paths, descending: bool) -> Self {
        for path in paths.to_paths() {
            if let Some(path) = self.valid(path.parse()) {
                self.order.push(Order { path, descending });
            }
        }
        self
    }

    /// Stores an error for [`expression`](Self::expression).
    fn valid<T>(&mut self, read: Result<T>) -> Option<T> {
        read.map_err(|error| self.invalidate(error.into())).ok()
    }
}

impl Criterion {
    /// Joins two conditions by `and`.
    ///
    /// ```
    /// use ftrack_api::query::field;
    ///
    /// let both = field("bid").gt(3).and(field("name").eq("anim"));
    /// assert_eq!(both.to_string(), "bid > 3 and name is \"anim\"");
    /// ```
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self::all_of([self, other.into()])
    }

    /// Joins two conditions by `or`.
    ///
    /// ```
    /// use ftrack_api::query::field;
    ///
    /// let either = field("bid").gt(3).or(field("name").eq("anim"));
    /// assert_eq!(either.and(field("id").ne("x")).to_string(),
    ///     "(bid > 3 or name is \"anim\") and id is_not \"x\"");
    /// ```
    pub fn or(self, other: impl Into<Self>) -> Self {
        Self::any_of([self, other.into()])
    }

    /// Negates the condition, as `!criterion` does.
    ///
    /// ```
    /// use ftrack_api::query::field;
    ///
    /// assert_eq!(field("bid").gt(3).not().to_string(), "not bid > 3");
    /// assert_eq!(!!field("bid").gt(3), field("bid").gt(3));
    /// ```
    #[expect(
        clippy::should_implement_trait,
        reason = "the trait is implemented; the method needs no import"
    )]
    pub fn not(self) -> Self {
        match self.into_kind() {
            Kind::Not(inner) => *inner,
            kind => Kind::Not(Box::new(kind.into())).into(),
        }
    }
}

impl ops::Not for Criterion {
    type Output = Self;

    fn not(self) -> Self {
        Self::not(self)
    }
}

impl From<BuildError> for Criterion {
    fn from(error: BuildError) -> Self {
        Kind::Invalid(error).into()
    }
}

/// An attribute that conditions can be put on; see [`field`].
///
/// Values are anything that is [`ToOperand`]. What cannot be expressed is reported by
/// [`Statement::expression`].
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a field alone is not a condition"]
pub struct Field(Result<Path, BuildError>);

/// The methods that compare with one value differ in their operator only.
macro_rules! comparisons {
    ($($(#[$docs:meta])* $name:ident: $operator:ident)*) => {$(
        $(#[$docs])*
        pub fn $name(self, value: impl ToOperand) -> Criterion {
            self.compared(Operator::$operator, value)
        }
    )*};
}

impl Field {
    comparisons! {
        /// Equal to the value; texts are compared without regard to case.
        ///
        /// ```
        /// # use ftrack_api::query::field;
        /// assert_eq!(field("name").eq("a \"b\"").to_string(), r#"name is "a \"b\"""#);
        /// ```
        eq: Is
        /// Not equal to the value.
        ///
        /// ```
        /// # use ftrack_api::query::field;
        /// assert_eq!(field("bid").ne(3).to_string(), "bid is_not 3");
        /// ```
        ne: IsNot
        /// Less than, or before, the value.
        ///
        /// ```
        /// # use ftrack_api::query::field;
        /// let day = jiff::civil::date(2026, 1, 2);
        /// assert_eq!(field("start_date").lt(day).to_string(), "start_date < \"2026-01-02\"");
        /// ```
        lt: Less
        /// Less than or equal to the value, or not after it.
        ///
        /// ```
        /// # use ftrack_api::query::field;
        /// assert_eq!(field("bid").le(2.5).to_string(), "bid <= 2.5");
        /// ```
        le: LessOrEqual
        /// Greater than, or after, the value.
        ///
        /// ```
        /// # use ftrack_api::query::field;
        /// let noon = jiff::civil::date(2026, 1, 2).at(12, 0, 0, 0);
        /// assert_eq!(field("date").gt(noon).to_string(), "date > \"2026-01-02T12:00:00\"");
        /// ```
        gt: Greater
        /// Greater than or equal to the value, or not before it.
        ///
        /// ```
        /// # use ftrack_api::query::field;
        /// assert_eq!(field("bid").ge(-1).to_string(), "bid >= -1");
        /// ```
        ge: GreaterOrEqual
        /// Matches the pattern, in which `%` matches any text and `_` any character.
        ///
        /// ```
        /// # use ftrack_api::query::field;
        /// assert_eq!(field("name").like("sh%").to_string(), "name like \"sh%\"");
        /// ```
        like: Like
        /// Does not match the pattern.
        ///
        /// ```
        /// # use ftrack_api::query::field;
        /// assert_eq!(field("name").not_like("%0").to_string(), "name not_like \"%0\"");
        /// ```
        not_like: NotLike
    }

    /// Equal to one of the values; an empty list matches nothing.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// assert_eq!(field("name").is_in(["a", "b"]).to_string(), "name in (\"a\", \"b\")");
    /// ```
    pub fn is_in<T: ToOperand>(self, values: impl IntoIterator<Item = T>) -> Criterion {
        self.looked_up(values, false)
    }

    /// Equal to none of the values; an empty list matches everything.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// assert_eq!(field("bid").not_in([1, 2]).to_string(), "bid not_in (1, 2)");
    /// ```
    pub fn not_in<T: ToOperand>(self, values: impl IntoIterator<Item = T>) -> Criterion {
        self.looked_up(values, true)
    }

    /// One of the values that another query selects: its `id`s unless it selects another attribute.
    ///
    /// ```
    /// # use ftrack_api::query::{field, select};
    /// let shots = select("Shot").filter(field("name").like("sh%"));
    /// assert_eq!(
    ///     field("parent_id").in_select(shots).to_string(),
    ///     "parent_id in (select id from Shot where name like \"sh%\")"
    /// );
    /// ```
    pub fn in_select(self, statement: Statement) -> Criterion {
        let set = Set::Select(Box::new(statement));
        self.on(|path| {
            Ok(Kind::In {
                path,
                set,
                negated: false,
            }
            .into())
        })
    }

    /// Not set.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// assert_eq!(field("status").is_none().to_string(), "status is none");
    /// ```
    pub fn is_none(self) -> Criterion {
        self.eq(None::<bool>)
    }

    /// Set.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// assert_eq!(field("status").is_not_none().to_string(), "status is_not none");
    /// ```
    pub fn is_not_none(self) -> Criterion {
        self.ne(None::<bool>)
    }

    /// The referenced entity satisfies the condition.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// let jane = field("first_name").eq("Jane").and(field("last_name").eq("Doe"));
    /// assert_eq!(
    ///     field("author").has(jane).to_string(),
    ///     "author has (first_name is \"Jane\" and last_name is \"Doe\")"
    /// );
    /// ```
    pub fn has(self, criterion: impl Into<Criterion>) -> Criterion {
        let inner = Box::new(criterion.into());
        self.on(|path| Ok(Kind::Has { path, inner }.into()))
    }

    /// At least one entity of the collection satisfies the condition.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// let wide = field("key").eq("lens").and(field("value").eq("wide"));
    /// assert_eq!(
    ///     field("metadata").any(wide).to_string(),
    ///     "metadata any (key is \"lens\" and value is \"wide\")"
    /// );
    /// ```
    pub fn any(self, criterion: impl Into<Criterion>) -> Criterion {
        let inner = Box::new(criterion.into());
        self.on(|path| Ok(Kind::Any { path, inner }.into()))
    }

    /// The collection is empty.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// assert_eq!(field("timelogs").is_empty().to_string(), "not timelogs any ()");
    /// ```
    pub fn is_empty(self) -> Criterion {
        self.any(Criterion::all_of([])).not()
    }

    /// The referenced entity if it has that entity type.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// let folder = field("parent").of_type("Folder").field("name").eq("assets");
    /// assert_eq!(folder.to_string(), "parent[Folder].name is \"assets\"");
    /// ```
    pub fn of_type(self, entity_type: impl AsRef<str>) -> Self {
        let cast = |path: Path| path.cast(entity_type.as_ref()).map_err(BuildError::from);
        Self(self.0.and_then(cast))
    }

    /// An attribute of the referenced entity.
    ///
    /// ```
    /// # use ftrack_api::query::field;
    /// assert_eq!(field("status").field("name"), field("status.name"));
    /// ```
    pub fn field(self, path: impl AsRef<str>) -> Self {
        let join = |before: Path| before.join(path.as_ref()).map_err(BuildError::from);
        Self(self.0.and_then(join))
    }

    fn compared(self, operator: Operator, value: impl ToOperand) -> Criterion {
        self.on(|path| compare(path, operator, value.to_operand()?))
    }

    fn looked_up<T: ToOperand>(
        self,
        values: impl IntoIterator<Item = T>,
        negated: bool,
    ) -> Criterion {
        self.on(|path| {
            let items: Result<_> = values.into_iter().map(|value| value.to_operand()).collect();
            one_of(path, Operand::List(items?), negated)
        })
    }

    /// The condition, or the mistake in it.
    fn on(self, build: impl FnOnce(Path) -> Result<Criterion>) -> Criterion {
        self.0
            .and_then(|path| build(path).map_err(BuildError::from))
            .unwrap_or_else(Criterion::from)
    }
}
