//! The syntax tree of the query language.
//!
//! Conditions are immutable and know how deeply they are nested. Deeper than [`MAX_DEPTH`] cannot
//! be built, so that no walk over a tree, not even dropping it, can exhaust the stack.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::query::place::syntax_error;

/// How many levels of `not`, `has`, `any`, sub-queries and alternating `and` and `or` a condition
/// may have. Unoptimised, reading the deepest one takes less than 1 MiB of stack, which is what
/// the main thread has on Windows.
pub const MAX_DEPTH: usize = 100;

/// A query: what to select, from which entity type, under which condition.
///
/// Read one from text, or build one with [`select`](crate::query::select). It is plain data:
/// clone it, store it, change its fields, send it to another thread. Printing it gives the query
/// language; [`expression`](Self::expression) gives the same text after checking that it can be
/// sent.
///
/// ```
/// use ftrack_api::query::Statement;
///
/// let mut statement: Statement = "Task where name is 'time limit 5 frames' limit 3".parse()?;
/// assert_eq!(statement.entity_type, "Task");
/// assert_eq!(statement.limit, Some(3));
/// statement.limit = Some(10);
/// assert_eq!(statement.to_string(), "Task where name is \"time limit 5 frames\" limit 10");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    /// What to load; empty means the default projections of the entity type, which the session
    /// adds.
    pub projections: Vec<Projection>,
    /// The name of the entity type, such as `Task`.
    pub entity_type: String,
    /// The condition, after `where`.
    pub filter: Option<Criterion>,
    /// What to sort by; the first counts most.
    pub order: Vec<Order>,
    /// What to group by, for aggregates.
    pub group: Vec<Path>,
    /// How many rows to leave out at the start.
    pub offset: Option<u64>,
    /// How many rows to give at most.
    pub limit: Option<u64>,
    /// What the builder could not express.
    pub(super) refused: Option<Refusal>,
}

/// What a query loads: an attribute, or an aggregate over a group.
///
/// ```
/// use ftrack_api::query::{Aggregate, Projection};
///
/// let projection: Projection = "count(id)".parse()?;
/// assert!(matches!(projection, Projection::Aggregate(Aggregate::Count, _)));
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// An attribute, perhaps of a related entity: `name`, `status.name`.
    Attribute(Path),
    /// A function over the rows of a group: `count(id)`.
    Aggregate(Aggregate, Path),
}

/// A function over the rows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// The number of rows.
    Count,
    /// The sum.
    Sum,
    /// The mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// One of the things to sort by.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The attribute.
    pub path: Path,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// The way from an entity to one of its attributes: `name`, `status.state.short`,
/// `parent[Folder].name`.
///
/// ```
/// use ftrack_api::query::Path;
///
/// let path: Path = "parent[Folder].name".parse()?;
/// assert_eq!(path.segments()[0].name(), "parent");
/// assert_eq!(path.segments()[0].cast(), Some("Folder"));
/// assert_eq!(path.to_string(), "parent[Folder].name");
/// assert!("a b".parse::<Path>().is_err());
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    segments: Vec<Segment>,
}

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    name: String,
    cast: Option<String>,
}

/// A condition on the rows of a query.
///
/// Build one with [`field`](crate::query::field), or read one from text. [`kind`](Self::kind)
/// says what it is.
///
/// ```
/// use ftrack_api::query::{Criterion, Kind, field};
///
/// let read: Criterion = "name is anim and not (bid > 3 or status is none)".parse()?;
/// let Kind::And(parts) = read.kind() else { panic!("`and` comes first") };
/// assert_eq!(parts[0].to_string(), "name is anim");
/// assert_eq!(field("name").eq("anim").to_string(), "name is \"anim\"");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Criterion {
    depth: u16,
    kind: Kind,
}

/// The kinds of [`Criterion`]; `.into()` makes a criterion of it.
///
/// ```
/// use ftrack_api::query::{Criterion, Kind};
///
/// let everything: Criterion = Kind::And(vec![]).into();
/// let empty = Criterion::from(Kind::Any { path: "notes".parse()?, inner: everything.into() }).not();
/// assert_eq!(empty.to_string(), "not notes any ()");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// All of them hold. An empty one always holds; the language writes it `()`.
    And(Vec<Criterion>),
    /// At least one of them holds. An empty one never holds.
    Or(Vec<Criterion>),
    /// It does not hold.
    Not(Box<Criterion>),
    /// The attribute compares so with the value.
    Compare {
        /// The attribute.
        path: Path,
        /// How to compare.
        operator: Operator,
        /// With what.
        value: Literal,
    },
    /// The attribute is, or is not, one of a set.
    In {
        /// The attribute.
        path: Path,
        /// The set.
        set: Set,
        /// Whether this is `not_in`.
        negated: bool,
    },
    /// The entity that is referred to exists and satisfies the condition.
    Has {
        /// The reference.
        path: Path,
        /// The condition; an empty `And` for none.
        inner: Box<Criterion>,
    },
    /// At least one entity of the collection satisfies the condition.
    Any {
        /// The collection.
        path: Path,
        /// The condition; an empty `And` for none.
        inner: Box<Criterion>,
    },
    /// Could not be expressed; [`Statement::expression`] gives the error.
    Refused(Refusal),
}

/// What an attribute is looked up in.
#[derive(Clone, Debug, PartialEq)]
pub enum Set {
    /// These values. An empty list matches nothing, and a query that can match nothing is not
    /// sent at all.
    Values(Vec<Literal>),
    /// The values that another query selects.
    Select(Box<Statement>),
}

/// How an attribute is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `is` or `=`
    Is,
    /// `is_not` or `!=`
    IsNot,
    /// `>`, `after` or `greater_than`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`, `before` or `less_than`
    Less,
    /// `<=`
    LessOrEqual,
    /// `like`, where `%` stands for any text and `_` for any character
    Like,
    /// `not_like`
    NotLike,
}

/// A value in a query. The server reads it by the type of the attribute, not by its looks, so
/// numbers, dates and ids are words or texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Literal {
    /// `none`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A value that needs no quotes: `10`, `in_progress`, an id.
    Word(Word),
    /// Any text; it is printed in quotes.
    Text(String),
}

/// A value that needs no quotes: letters, digits and `_-.@+:*%/`, and not a keyword.
///
/// ```
/// use ftrack_api::query::Word;
///
/// assert_eq!(Word::new("-10.5").unwrap().as_str(), "-10.5");
/// assert!(Word::new("two words").is_none() && Word::new("None").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Word(String);

/// Why the builder could not express something. It is kept in the tree, so that building needs no
/// `?` after each step, and becomes the error of [`Statement::expression`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    kind: ErrorKind,
    message: String,
}

impl Statement {
    /// The text to send.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`]: the entity type is not a name, or a path given to the builder is
    ///   none, or a sub-query has an offset without a limit.
    /// - [`ErrorKind::Validation`]: a value given to the builder cannot stand in a query.
    ///
    /// ```
    /// use ftrack_api::query::{field, select};
    ///
    /// let good = select("Task").filter(field("bid").gt(3));
    /// assert_eq!(good.expression()?, "Task where bid > 3");
    /// let bad = select("Task").filter(field("bid").gt(f64::NAN));
    /// assert!(bad.expression().unwrap_err().to_string().contains("NaN"));
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn expression(&self) -> Result<String> {
        self.verify()?;
        Ok(self.to_string())
    }

    /// Whether the statement can be printed as text that reads back as the same statement.
    pub(super) fn verify(&self) -> Result<()> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone().into());
        }
        if !is_name(&self.entity_type) {
            let message = "expected the name of an entity type";
            return Err(syntax_error(
                &self.entity_type,
                0..self.entity_type.len(),
                message,
            ));
        }
        self.filter.as_ref().map_or(Ok(()), Criterion::verify)
    }

    /// Keeps the first thing that could not be expressed.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refused.get_or_insert(refusal);
    }
}

impl Criterion {
    /// What it is.
    ///
    /// ```
    /// use ftrack_api::query::{Kind, field};
    ///
    /// assert!(matches!(field("name").eq("anim").kind(), Kind::Compare { .. }));
    /// ```
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What it is, to take apart.
    pub(super) fn into_kind(self) -> Kind {
        self.kind
    }

    /// One `and` of all: those among them that are one already are taken apart, so that a loop
    /// of `and` makes a list, not a tower.
    pub(super) fn all_of(criteria: impl IntoIterator<Item = Self>) -> Self {
        let parts_of = |kind| match kind {
            Kind::And(parts) if !parts.is_empty() => Ok(parts),
            kind => Err(kind),
        };
        Self::joined(criteria, parts_of, Kind::And)
    }

    /// One `or` of all, likewise.
    pub(super) fn any_of(criteria: impl IntoIterator<Item = Self>) -> Self {
        let parts_of = |kind| match kind {
            Kind::Or(parts) if !parts.is_empty() => Ok(parts),
            kind => Err(kind),
        };
        Self::joined(criteria, parts_of, Kind::Or)
    }

    fn joined(
        criteria: impl IntoIterator<Item = Self>,
        parts_of: fn(Kind) -> Result<Vec<Self>, Kind>,
        join: fn(Vec<Self>) -> Kind,
    ) -> Self {
        let mut joined: Vec<Self> = Vec::new();
        let mut deepest = None;
        for Self { depth, kind } in criteria {
            match parts_of(kind) {
                Ok(parts) => {
                    deepest = deepest.max(Some(depth - 1));
                    // What was joined so far comes first: its storage is used again.
                    if joined.is_empty() {
                        joined = parts;
                    } else {
                        joined.extend(parts);
                    }
                }
                Err(kind) => {
                    deepest = deepest.max(Some(depth));
                    joined.push(Self { depth, kind });
                }
            }
        }
        match joined.pop() {
            Some(only) if joined.is_empty() => only,
            last => {
                joined.extend(last);
                Self::above(deepest, join(joined))
            }
        }
    }

    /// `kind`, whose deepest part has so many levels, or which has no parts.
    fn above(deepest: Option<u16>, kind: Kind) -> Self {
        let depth = deepest.map_or(0, |deepest| deepest + 1);
        if usize::from(depth) <= MAX_DEPTH {
            return Self { depth, kind };
        }
        Self::refused(format!(
            "the condition is nested more than {MAX_DEPTH} levels deep"
        ))
    }

    fn refused(message: impl Into<String>) -> Self {
        Self {
            depth: 0,
            kind: Kind::Refused(Refusal::new(ErrorKind::Syntax, message)),
        }
    }

    pub(super) fn verify(&self) -> Result<()> {
        match &self.kind {
            Kind::And(parts) | Kind::Or(parts) => parts.iter().try_for_each(Self::verify),
            Kind::Not(inner) | Kind::Has { inner, .. } | Kind::Any { inner, .. } => inner.verify(),
            Kind::In {
                set: Set::Select(statement),
                ..
            } => statement.verify(),
            Kind::Compare { .. } | Kind::In { .. } => Ok(()),
            Kind::Refused(refusal) => Err(refusal.clone().into()),
        }
    }
}

impl From<Kind> for Criterion {
    /// A sub-query that selects nothing in particular selects `id`. One with an offset but no
    /// limit, and anything deeper than [`MAX_DEPTH`], becomes [`Kind::Refused`].
    fn from(mut kind: Kind) -> Self {
        if let Kind::In {
            set: Set::Select(statement),
            ..
        } = &mut kind
        {
            if statement.projections.is_empty() {
                statement
                    .projections
                    .push(Projection::Attribute(Path::id()));
            }
            // An outer query may: the session pages it, and so gives it a limit.
            if statement.offset.is_some() && statement.limit.is_none() {
                return Self::refused("a sub-query with an offset needs a limit");
            }
        }
        let below = match &kind {
            Kind::And(parts) | Kind::Or(parts) => parts.iter().map(|part| part.depth).max(),
            Kind::Not(inner) | Kind::Has { inner, .. } | Kind::Any { inner, .. } => {
                Some(inner.depth)
            }
            Kind::In {
                set: Set::Select(statement),
                ..
            } => Some(statement.filter.as_ref().map_or(0, |filter| filter.depth)),
            Kind::Compare { .. } | Kind::In { .. } | Kind::Refused(_) => None,
        };
        Self::above(below, kind)
    }
}

impl Path {
    /// Its steps; at least one.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The attribute that nearly every entity type has as its key.
    pub(super) fn id() -> Self {
        Self {
            segments: vec![Segment {
                name: "id".to_owned(),
                cast: None,
            }],
        }
    }

    /// The path of `name` on the entities that this path leads to.
    pub(super) fn join(mut self, name: &str) -> Result<Self> {
        self.segments.extend(name.parse::<Self>()?.segments);
        Ok(self)
    }

    /// The path with its last step restricted to `entity_type`.
    pub(super) fn cast(mut self, entity_type: &str) -> Result<Self> {
        if !is_name(entity_type) {
            let message = "expected the name of an entity type";
            return Err(syntax_error(entity_type, 0..entity_type.len(), message));
        }
        if let Some(last) = self.segments.last_mut() {
            last.cast = Some(entity_type.to_owned());
        }
        Ok(self)
    }
}

impl Segment {
    /// The attribute.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The entity type that what is reached must have, where one is given.
    pub fn cast(&self) -> Option<&str> {
        self.cast.as_deref()
    }

    /// `name` or `name[Type]`.
    fn read(text: &str) -> Option<Self> {
        let (name, cast) = match text.split_once('[') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(']')?)),
            None => (text, None),
        };
        let valid = is_name(name) && cast.is_none_or(is_name);
        valid.then(|| Self {
            name: name.to_owned(),
            cast: cast.map(ToOwned::to_owned),
        })
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let segments: Option<Vec<Segment>> = text.split('.').map(Segment::read).collect();
        // A lone `not` would negate what follows it.
        let segments = segments.filter(|_| !text.eq_ignore_ascii_case("not"));
        segments.map(|segments| Self { segments }).ok_or_else(|| {
            let message = "expected an attribute such as `name`, `status.name` or \
                 `parent[Folder].name`";
            syntax_error(text, 0..text.len(), message)
        })
    }
}

impl Word {
    /// The word, unless `text` needs quotes or means something else without them.
    pub fn new(text: &str) -> Option<Self> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-.@+:*%/".contains(&c);
        let free = !text.is_empty() && text.bytes().all(plain) && !is_reserved(text);
        free.then(|| Self(text.to_owned()))
    }

    /// The word as it is written.
    ///
    /// ```
    /// assert_eq!(ftrack_api::query::Word::new("sh010").unwrap().as_str(), "sh010");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Refusal {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.kind, refusal.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Whether `text` can name an attribute or an entity type.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a bare `text` is a keyword, a constant or an operator, or may be to some server.
fn is_reserved(text: &str) -> bool {
    const RESERVED: [&str; 31] = [
        "after",
        "and",
        "any",
        "asc",
        "ascending",
        "before",
        "by",
        "desc",
        "descending",
        "false",
        "from",
        "greater_than",
        "group",
        "has",
        "in",
        "is",
        "is_not",
        "less_than",
        "like",
        "limit",
        "none",
        "not",
        "not_in",
        "not_like",
        "null",
        "offset",
        "or",
        "order",
        "select",
        "true",
        "where",
    ];
    RESERVED
        .iter()
        .any(|reserved| reserved.eq_ignore_ascii_case(text))
}
