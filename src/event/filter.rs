//! Filters select events: `topic=ftrack.update and source.user.username != bot`.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::event::lexical::{MAX_DEPTH, is_field, quote_for, too_deep};
use crate::event::matching::{Candidate, Comparison, Condition, Field};
use crate::event::model::Event;

/// A compiled filter: parse it once, match it often.
///
/// The language is that of the official Python client: `=`, `!=`, `>=`, `<=`, `>`, `<`, joined
/// with `and`, `or` and `not` (which binds tightest) and parentheses. Dotted names reach into the
/// event; a name that is missing does not match. With `=`, a trailing `*` matches every text that
/// contains what precedes it. Texts compare by code point. Unlike Python, numbers compare as
/// numbers and booleans with `true` and `false`.
///
/// ```
/// use ftrack_api::Event;
/// use ftrack_api::event::Filter;
/// use serde_json::json;
///
/// let filter: Filter = "topic=studio.* and not data.kind='test'".parse()?;
/// assert!(filter.matches(&Event::new("studio.done")));
/// assert!(!filter.matches(&Event::new("studio.done").with_data(json!({ "kind": "test" }))));
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    node: Node,
    /// Kept so that nothing ever recurses deeper than [`MAX_DEPTH`].
    depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Condition(Condition),
    Not(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    /// Something that the language cannot express; it matches nothing, and subscribing to it
    /// is an error.
    Invalid(Arc<str>),
}

impl Filter {
    /// Compares a field with a value. A trailing `*` is a wildcard, as in the text form.
    ///
    /// A value that the language cannot write (one with both kinds of quote, with a line break,
    /// or ending in a backslash) makes a filter that matches nothing and that subscribing
    /// rejects.
    ///
    /// ```
    /// use ftrack_api::event::{Filter, Comparison};
    /// let one = Filter::compare("data.frames", Comparison::Greater, "100");
    /// assert_eq!(one.to_string(), "data.frames>100");
    /// ```
    pub fn compare(field: &str, comparison: Comparison, value: impl Into<String>) -> Self {
        let value = value.into();
        let node = if !is_field(field) {
            Node::Invalid(format!("{field:?} is not a valid field name").into())
        } else if quote_for(&value).is_none() {
            Node::Invalid(format!("an event filter cannot express the value {value:?}").into())
        } else {
            Node::Condition(Condition::new(Field::new(field), comparison, value))
        };
        Self { node, depth: 0 }
    }

    /// `field=value`.
    ///
    /// ```
    /// use ftrack_api::event::Filter;
    /// assert_eq!(Filter::equal("data.name", "a b").to_string(), "data.name=\"a b\"");
    /// ```
    pub fn equal(field: &str, value: impl Into<String>) -> Self {
        Self::compare(field, Comparison::Equal, value)
    }

    /// `topic=value`.
    ///
    /// ```
    /// use ftrack_api::event::Filter;
    /// assert_eq!(Filter::topic("ftrack.update").to_string(), "topic=ftrack.update");
    /// ```
    pub fn topic(topic: impl Into<String>) -> Self {
        Self::equal("topic", topic)
    }

    /// Both must match.
    ///
    /// ```
    /// use ftrack_api::event::Filter;
    /// let both = Filter::topic("a").and(Filter::equal("data.x", "1"));
    /// assert_eq!(both.to_string(), "topic=a and data.x=1");
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::all([self, other])
    }

    /// Either must match.
    ///
    /// ```
    /// use ftrack_api::event::Filter;
    /// let either = Filter::topic("a").or(Filter::topic("b"));
    /// assert_eq!(either.to_string(), "topic=a or topic=b");
    /// ```
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::any([self, other])
    }

    /// Whether the event matches.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// use ftrack_api::event::Filter;
    /// assert!(Filter::topic("a").matches(&Event::new("a")));
    /// ```
    pub fn matches(&self, event: &Event) -> bool {
        self.node.matches(event)
    }

    /// Whether a subscriber with this metadata matches, as the target of an event is tested.
    ///
    /// ```
    /// use ftrack_api::event::Filter;
    /// let metadata = serde_json::json!({ "id": "studio.farm" });
    /// let metadata = metadata.as_object().expect("an object");
    /// assert!(Filter::equal("id", "studio.farm").matches_subscriber(metadata));
    /// ```
    pub fn matches_subscriber(&self, metadata: &Map<String, Value>) -> bool {
        self.node.matches(metadata)
    }

    /// All of them; a single one stays as it is.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::join(parts, Node::All, |node| match node {
            Node::All(parts) => Ok(parts),
            other => Err(other),
        })
    }

    /// Any of them; a single one stays as it is.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::join(parts, Node::Any, |node| match node {
            Node::Any(parts) => Ok(parts),
            other => Err(other),
        })
    }

    /// Fails if the language cannot express the filter.
    pub(super) fn check(self) -> Result<Self> {
        match &self.node {
            Node::Invalid(why) => Err(Error::new(ErrorKind::Syntax, why.to_string())),
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
                Err(Node::Invalid(why)) => return Self::invalid(why),
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
            return Self::invalid(too_deep().into());
        }
        Self { node, depth }
    }

    fn invalid(why: Arc<str>) -> Self {
        Self {
            node: Node::Invalid(why),
            depth: 0,
        }
    }
}

impl std::ops::Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        let depth = self.depth + 1;
        match self.node {
            Node::Not(inner) => Self {
                node: *inner,
                depth: self.depth.saturating_sub(1),
            },
            Node::Invalid(_) => self,
            node => Self::limited(Node::Not(Box::new(node)), depth),
        }
    }
}

impl fmt::Display for Filter {
    /// The text form: what is printed can be read again and means the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.print(f, 0)
    }
}

impl Node {
    fn matches(&self, candidate: &impl Candidate) -> bool {
        match self {
            Self::Condition(condition) => condition.matches(candidate),
            Self::Not(inner) => !inner.matches(candidate),
            Self::All(parts) => parts.iter().all(|part| part.matches(candidate)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(candidate)),
            Self::Invalid(_) => false,
        }
    }

    /// `outer` is how tightly the surrounding operator binds.
    fn print(&self, f: &mut fmt::Formatter<'_>, outer: u8) -> fmt::Result {
        let (strength, word, parts) = match self {
            Self::Condition(condition) => return condition.print(f),
            Self::Invalid(why) => return write!(f, "<{why}>"),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prints_what_it_means() {
        let a = || Filter::topic("a");
        let b = || Filter::equal("data.b", "x y");
        for (filter, expected) in [
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
            (Filter::equal("x", "it's"), r#"x="it's""#),
            (Filter::equal("x", "say \"a\""), r#"x='say "a"'"#),
            (Filter::equal("x", ""), r#"x="""#),
        ] {
            assert_eq!(filter.to_string(), expected);
        }
    }

    #[test]
    fn what_the_language_cannot_express_is_rejected() {
        for value in ["\"'", "a\nb", "back\\", "\r"] {
            let bad = Filter::topic("a").and(Filter::equal("x", value));
            assert!(bad.clone().check().is_err(), "{value:?}");
            assert!((!bad).check().is_err(), "{value:?}");
        }
        assert!(Filter::equal("a b", "x").check().is_err());
        assert!(Filter::equal("", "x").check().is_err());
    }

    #[test]
    fn depth_is_limited_however_it_is_built() {
        let mut deep = Filter::topic("a");
        for _ in 0..100_000 {
            deep = !(deep.and(Filter::topic("b")));
        }
        assert!(deep.check().is_err());
        let mut long = Filter::topic("a");
        for _ in 0..10_000 {
            long = long.or(Filter::topic("b"));
        }
        assert!(long.check().is_ok());
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        let comparison = prop_oneof![
            Just(Comparison::Equal),
            Just(Comparison::NotEqual),
            Just(Comparison::AtLeast),
            Just(Comparison::AtMost),
            Just(Comparison::Greater),
            Just(Comparison::Less),
        ];
        let leaf = ("[a-z_.]{1,8}|not|and|or", comparison, "[ -~é*]{0,8}")
            .prop_map(|(field, comparison, value)| Filter::compare(&field, comparison, value))
            .prop_filter("valid", |made| made.clone().check().is_ok());
        leaf.prop_recursive(5, 32, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|one| !one),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::all),
                prop::collection::vec(inner, 2..4).prop_map(Filter::any),
            ]
        })
    }

    proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
            #[test]
            fn what_is_printed_reads_back_the_same(filter in any_filter()) {
                let text = filter.to_string();
                let again: Filter = text.parse().map_err(|error| {
                    TestCaseError::fail(format!("{text}: {error}"))
                })?;
                prop_assert_eq!(again, filter, "{}", text);
            }

            #[test]
            fn no_text_makes_the_parser_panic(text in "[ a-z=<>!()\"'\\\\*.é]{0,40}") {
                let _ = text.parse::<Filter>();
            }
        }
}
