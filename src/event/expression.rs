//! Expressions that select events: `topic=ftrack.update and source.user.username != bot`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::event::matching::{Candidate, Condition, Field};
use crate::event::parse;

/// How deep `not` and parentheses may nest.
pub(crate) const MAX_DEPTH: usize = 64;

/// A compiled expression; parse it once, match it often.
///
/// The language is that of the official Python client: `=`, `!=`, `>=`, `<=`, `>`, `<`, joined
/// with `and`, `or` and `not` (which binds tightest) and parentheses; dotted names reach into
/// the structure, a missing name does not match. With `=`, a trailing `*` finds every text that
/// contains what stands before it. Texts compare by code point. Beyond Python, a number or a
/// truth value is compared with what the text says.
///
/// ```
/// use ftrack_api::Event;
/// use ftrack_api::event::Expression;
/// use serde_json::json;
///
/// let expression: Expression = "topic=studio.* and not data.kind='test'".parse()?;
/// assert!(expression.matches(&Event::new("studio.done")));
/// assert!(!expression.matches(&Event::new("studio.done").data(json!({ "kind": "test" }))));
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    pub(crate) node: Node,
    /// Kept so that nothing ever recurses deeper than [`MAX_DEPTH`].
    depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Condition(Condition),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    /// What the builder was given and the language cannot say; matches nothing, and
    /// subscribing to it is an error.
    Unsayable(Arc<str>),
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `<`
    Less,
}

impl Expression {
    /// Compares a field with a value. A trailing `*` is a wildcard, as in the text form.
    ///
    /// A value that the language cannot write (with both kinds of quote, a line break, or a
    /// backslash at its end) makes an expression that matches nothing and that
    /// `subscribe` refuses.
    ///
    /// ```
    /// use ftrack_api::event::{Expression, Operator};
    /// let one = Expression::compare("data.frames", Operator::Greater, "100");
    /// assert_eq!(one.to_string(), "data.frames>100");
    /// ```
    pub fn compare(field: &str, operator: Operator, value: impl Into<String>) -> Self {
        let value = value.into();
        let node = if !parse::is_field(field) {
            Node::Unsayable(format!("{field:?} is no field name").into())
        } else if parse::quote_for(&value).is_none() {
            Node::Unsayable(format!("an event expression has no way to write {value:?}").into())
        } else {
            Node::Condition(Condition::new(Field::new(field), operator, value))
        };
        Self { node, depth: 0 }
    }

    /// `field=value`.
    ///
    /// ```
    /// use ftrack_api::event::Expression;
    /// assert_eq!(Expression::equal("data.name", "a b").to_string(), "data.name=\"a b\"");
    /// ```
    pub fn equal(field: &str, value: impl Into<String>) -> Self {
        Self::compare(field, Operator::Equal, value)
    }

    /// `topic=value`.
    ///
    /// ```
    /// use ftrack_api::event::Expression;
    /// assert_eq!(Expression::topic("ftrack.update").to_string(), "topic=ftrack.update");
    /// ```
    pub fn topic(topic: impl Into<String>) -> Self {
        Self::equal("topic", topic)
    }

    /// Both must match.
    ///
    /// ```
    /// use ftrack_api::event::Expression;
    /// let both = Expression::topic("a").and(Expression::equal("data.x", "1"));
    /// assert_eq!(both.to_string(), "topic=a and data.x=1");
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::all([self, other])
    }

    /// Either must match.
    ///
    /// ```
    /// use ftrack_api::event::Expression;
    /// let either = Expression::topic("a").or(Expression::topic("b"));
    /// assert_eq!(either.to_string(), "topic=a or topic=b");
    /// ```
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::any([self, other])
    }

    /// Whether a candidate, such as an [`Event`](crate::Event) or metadata, matches.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// use ftrack_api::event::Expression;
    /// assert!(Expression::topic("a").matches(&Event::new("a")));
    /// ```
    pub fn matches(&self, candidate: &(impl Candidate + ?Sized)) -> bool {
        self.node.matches(candidate)
    }

    /// All of them; one alone stays as it is.
    pub(crate) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::join(parts, Node::All, |node| match node {
            Node::All(parts) => Ok(parts),
            other => Err(other),
        })
    }

    /// Any of them; one alone stays as it is.
    pub(crate) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::join(parts, Node::Any, |node| match node {
            Node::Any(parts) => Ok(parts),
            other => Err(other),
        })
    }

    /// What is wrong with it, if the language cannot say it.
    pub(crate) fn check(self) -> Result<Self> {
        match &self.node {
            Node::Unsayable(why) => Err(Error::new(ErrorKind::Syntax, why.to_string())),
            _ => Ok(self),
        }
    }

    /// Puts neighbours of the same kind into one list, so that chains do not nest.
    fn join(
        parts: impl IntoIterator<Item = Self>,
        wrap: fn(Vec<Node>) -> Node,
        unwrap: fn(Node) -> Result<Vec<Node>, Node>,
    ) -> Self {
        let mut nodes = Vec::new();
        let mut depth = 0;
        for part in parts {
            match unwrap(part.node) {
                Ok(inner) => {
                    depth = depth.max(part.depth);
                    nodes.extend(inner);
                }
                Err(Node::Unsayable(why)) => return Self::unsayable(why),
                Err(node) => {
                    depth = depth.max(part.depth + 1);
                    nodes.push(node);
                }
            }
        }
        match nodes.len() {
            1 => Self {
                node: nodes.remove(0),
                depth: depth.saturating_sub(1),
            },
            _ => Self::limited(wrap(nodes), depth),
        }
    }

    fn limited(node: Node, depth: usize) -> Self {
        if depth > MAX_DEPTH {
            return Self::unsayable(parse::too_deep().into());
        }
        Self { node, depth }
    }

    fn unsayable(why: Arc<str>) -> Self {
        Self {
            node: Node::Unsayable(why),
            depth: 0,
        }
    }
}

impl std::ops::Not for Expression {
    type Output = Self;

    fn not(self) -> Self {
        let depth = self.depth + 1;
        match self.node {
            Node::Not(inner) => Self {
                node: *inner,
                depth: self.depth.saturating_sub(1),
            },
            Node::Unsayable(_) => self,
            node => Self::limited(Node::Not(Box::new(node)), depth),
        }
    }
}

impl FromStr for Expression {
    type Err = Error;

    /// Reads the text form.
    ///
    /// # Errors
    ///
    /// `Syntax`, saying where.
    fn from_str(text: &str) -> Result<Self> {
        parse::parse(text)
    }
}

impl fmt::Display for Expression {
    /// The text form: what is printed can be read again and means the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.print(f, 0)
    }
}

impl Node {
    pub(crate) fn matches(&self, candidate: &(impl Candidate + ?Sized)) -> bool {
        match self {
            Self::Condition(condition) => condition.matches(candidate),
            Self::Not(inner) => !inner.matches(candidate),
            Self::All(parts) => parts.iter().all(|part| part.matches(candidate)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(candidate)),
            Self::Unsayable(_) => false,
        }
    }

    /// `outer` is how tightly the surrounding operator binds.
    fn print(&self, f: &mut fmt::Formatter<'_>, outer: u8) -> fmt::Result {
        let (strength, word, parts) = match self {
            Self::Condition(condition) => return condition.print(f),
            Self::Unsayable(why) => return write!(f, "<{why}>"),
            Self::Not(inner) => {
                f.write_str("not ")?;
                return inner.print(f, 3);
            }
            Self::All(parts) => (2, " and ", parts),
            Self::Any(parts) => (1, " or ", parts),
        };
        let parenthesised = outer >= strength;
        if parenthesised {
            f.write_str("(")?;
        }
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            part.print(f, strength)?;
        }
        if parenthesised {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl Operator {
    /// As it is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::Less => "<",
        }
    }
}

/// What can be given where an expression is wanted: a text or an [`Expression`].
pub trait IntoExpression {
    /// Parses or checks it.
    ///
    /// # Errors
    ///
    /// `Syntax`, saying where and why.
    fn into_expression(self) -> Result<Expression>;
}

impl IntoExpression for &str {
    fn into_expression(self) -> Result<Expression> {
        parse::parse(self)
    }
}

impl IntoExpression for &String {
    fn into_expression(self) -> Result<Expression> {
        parse::parse(self)
    }
}

impl IntoExpression for String {
    fn into_expression(self) -> Result<Expression> {
        parse::parse(&self)
    }
}

impl IntoExpression for Expression {
    fn into_expression(self) -> Result<Expression> {
        self.check()
    }
}

impl IntoExpression for &Expression {
    fn into_expression(self) -> Result<Expression> {
        self.clone().check()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_what_it_means() {
        let a = || Expression::topic("a");
        let b = || Expression::equal("data.b", "x y");
        for (expression, expected) in [
            (
                a().and(b()).or(a()),
                r#"topic=a and data.b="x y" or topic=a"#,
            ),
            (
                a().or(b()).and(a()),
                r#"(topic=a or data.b="x y") and topic=a"#,
            ),
            (!(a().and(b())), r#"not (topic=a and data.b="x y")"#),
            (!!a(), "topic=a"),
            ((!a()).and(a()), "not topic=a and topic=a"),
            (Expression::equal("x", "it's"), r#"x="it's""#),
            (Expression::equal("x", "say \"a\""), r#"x='say "a"'"#),
            (Expression::equal("x", ""), r#"x="""#),
        ] {
            assert_eq!(expression.to_string(), expected);
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for value in ["\"'", "a\nb", "back\\", "\r"] {
            let bad = Expression::topic("a").and(Expression::equal("x", value));
            assert!(bad.clone().into_expression().is_err(), "{value:?}");
            assert!((!bad).into_expression().is_err(), "{value:?}");
        }
        assert!(Expression::equal("a b", "x").into_expression().is_err());
        assert!(Expression::equal("", "x").into_expression().is_err());
    }

    #[test]
    fn depth_is_limited_however_it_is_built() {
        let mut deep = Expression::topic("a");
        for _ in 0..100_000 {
            deep = !(deep.and(Expression::topic("b")));
        }
        assert!(deep.into_expression().is_err());
        let mut long = Expression::topic("a");
        for _ in 0..10_000 {
            long = long.or(Expression::topic("b"));
        }
        assert!(long.into_expression().is_ok());
    }

    fn any_expression() -> impl Strategy<Value = Expression> {
        let operator = prop_oneof![
            Just(Operator::Equal),
            Just(Operator::NotEqual),
            Just(Operator::AtLeast),
            Just(Operator::AtMost),
            Just(Operator::Greater),
            Just(Operator::Less),
        ];
        let leaf = ("[a-z_.]{1,8}|not|and|or", operator, "[ -~é*]{0,8}")
            .prop_map(|(field, operator, value)| Expression::compare(&field, operator, value))
            .prop_filter("sayable", |made| made.clone().check().is_ok());
        leaf.prop_recursive(5, 32, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|one| !one),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::all),
                prop::collection::vec(inner, 2..4).prop_map(Expression::any),
            ]
        })
    }

    proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
            #[test]
            fn what_is_printed_reads_back_the_same(expression in any_expression()) {
                let text = expression.to_string();
                let again: Expression = text.parse().map_err(|error| {
                    TestCaseError::fail(format!("{text}: {error}"))
                })?;
                prop_assert_eq!(again, expression, "{}", text);
            }

            #[test]
            fn no_text_makes_the_parser_panic(text in "[ a-z=<>!()\"'\\\\*.é]{0,40}") {
                let _ = text.parse::<Expression>();
            }
        }
}
