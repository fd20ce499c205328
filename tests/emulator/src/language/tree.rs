//! The syntax tree of a query.

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What is selected; empty without `select … from`.
    pub projections: Vec<Projection>,
    /// The type that is asked for.
    pub entity_type: String,
    /// The criteria after `where`.
    pub filter: Option<Expression>,
    /// The keys of `order by`.
    pub order: Vec<Order>,
    /// The paths of `group by`.
    pub group: Vec<Path>,
    /// Rows to leave out.
    pub offset: u64,
    /// Rows to return at most.
    pub limit: Option<u64>,
}

/// One selected attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// An attribute, perhaps of related rows.
    Path(Path),
    /// A function of all rows of a group.
    Aggregate(Aggregate, Path),
}

/// The functions of `group by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// How many values.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

impl Aggregate {
    /// Its name in queries and responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// `a.b[Type].c`
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The attributes from the first to the last.
    pub segments: Vec<Segment>,
    /// Where it begins in the text.
    pub start: usize,
}

/// One attribute of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The attribute's name.
    pub name: String,
    /// The type that the related rows must have.
    pub cast: Option<String>,
}

/// One key of `order by`.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What is compared.
    pub path: Path,
    /// Whether larger values come first.
    pub is_descending: bool,
}

/// Criteria.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// All of them.
    And(Vec<Expression>),
    /// Any of them.
    Or(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
    /// A path compared with a value.
    Compare(Path, Comparison, Literal),
    /// A path compared with several values; true if it must be none of them.
    In(Path, Set, bool),
    /// Related rows of which one must meet the criteria, if there are any.
    Related(Path, Option<Box<Expression>>),
}

/// The right side of `in`.
#[derive(Clone, Debug, PartialEq)]
pub enum Set {
    /// Values.
    List(Vec<Literal>),
    /// What another query selects.
    Query(Box<Statement>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `is`
    Equal,
    /// `is_not`
    Unequal,
    /// `after`
    Greater,
    /// `before`
    Less,
    /// `>=`
    GreaterOrEqual,
    /// `<=`
    LessOrEqual,
    /// `like`
    Like,
    /// `not_like`
    NotLike,
}

/// A value as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `none`
    None,
    /// Anything else: the attribute's type says what it means.
    Text(String),
}
