//! Operators and the values that they compare with.

/// How an attribute is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// `like`, where `%` matches any text and `_` any character
    Like,
    /// `not_like`
    NotLike,
}

/// A value in a query. The server interprets it by the type of the attribute, not by its form, so
/// numbers, dates and ids are words or texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Literal {
    /// `none`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A value that needs no quotes: `10`, `in_progress`, an id.
    Word(Word),
    /// Any text, printed in quotes.
    Text(String),
}

/// What values without quotes consist of, besides letters and digits.
pub(super) const PUNCTUATION: &str = "_-.@+:*%/";

/// A value that needs no quotes: ASCII letters, digits and `_-.@+:*%/`, and not a keyword.
///
/// ```
/// use ftrack_api::query::Word;
///
/// assert_eq!(Word::new("-10.5").unwrap().as_str(), "-10.5");
/// assert!(Word::new("two words").is_none() && Word::new("None").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Word(String);

impl Word {
    /// The word; `None` if `text` needs quotes or has another meaning without them.
    pub fn new(text: &str) -> Option<Self> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || PUNCTUATION.as_bytes().contains(&c);
        let free = !text.is_empty() && text.bytes().all(plain) && !is_reserved(text);
        free.then(|| Self(text.to_owned()))
    }

    /// The text of the word.
    ///
    /// ```
    /// assert_eq!(ftrack_api::query::Word::new("sh010").unwrap().as_str(), "sh010");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` without quotes is a keyword, a constant or an operator of some server.
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
