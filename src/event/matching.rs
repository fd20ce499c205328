//! Matching: how a condition is tested against an event or a subscriber's metadata.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::event::expression::Operator;
use crate::event::model::Event;
use crate::event::parse;

/// What an [`Expression`](crate::event::Expression) can be tested against.
pub trait Candidate {
    /// What the candidate holds under this name, if anything.
    fn find(&self, field: &Field) -> Option<Found<'_>>;
}

/// What a [`Candidate`] holds under a name.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// A text.
    Text(&'a str),
    /// Any other value.
    Json(&'a Value),
}

/// A dotted name such as `source.user.username`, taken apart once.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    text: SmolStr,
    root: Root,
    /// The names below the first.
    rest: Box<[SmolStr]>,
}

/// The first name, recognised when the expression is compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Root {
    Id,
    Topic,
    Data,
    Source,
    Target,
    Sent,
    InReplyTo,
    Other,
}

impl Field {
    /// Takes a dotted name apart.
    pub(crate) fn new(text: &str) -> Self {
        let mut names = text.split('.');
        let root = match names.next() {
            Some("id") => Root::Id,
            Some("topic") => Root::Topic,
            Some("data") => Root::Data,
            Some("source") => Root::Source,
            Some("target") => Root::Target,
            Some("sent") => Root::Sent,
            // The first is Python's name, the second the wire's.
            Some("in_reply_to_event" | "inReplyToEvent") => Root::InReplyTo,
            _ => Root::Other,
        };
        Self {
            text: text.into(),
            root,
            rest: names.map(SmolStr::from).collect(),
        }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A root that is a text has nothing below it.
    fn text<'a>(&self, text: &'a str) -> Option<Found<'a>> {
        self.rest.is_empty().then_some(Found::Text(text))
    }

    fn below<'a>(&self, value: &'a Value) -> Option<Found<'a>> {
        let found = self
            .rest
            .iter()
            .try_fold(value, |at, name| at.get(name.as_str()))?;
        Some(Found::from(found))
    }
}

impl Candidate for Event {
    fn find(&self, field: &Field) -> Option<Found<'_>> {
        match field.root {
            Root::Topic => field.text(self.topic()),
            Root::Data => field.below(self.get_data()),
            Root::Id => field.text(self.id()),
            Root::Target => field.text(self.get_target()),
            Root::Sent => field.below(self.sent()),
            Root::InReplyTo => field.text(self.in_reply_to_event()?),
            Root::Source => {
                let Some((first, rest)) = field.rest.split_first() else {
                    return Some(Found::Json(&Value::Null));
                };
                let value = self.get_source().get(first.as_str())?;
                let found = rest
                    .iter()
                    .try_fold(value, |at, name| at.get(name.as_str()))?;
                Some(Found::from(found))
            }
            Root::Other => None,
        }
    }
}

impl Candidate for Map<String, Value> {
    fn find(&self, field: &Field) -> Option<Found<'_>> {
        let first = field.text.split('.').next().unwrap_or_default();
        field.below(self.get(first)?)
    }
}

impl<'a> From<&'a Value> for Found<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            other => Self::Json(other),
        }
    }
}

/// `field operator value`, with the value's readings worked out once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    field: Field,
    operator: Operator,
    value: SmolStr,
    /// Whether a `*` at the end of the value is a wildcard.
    wildcard: bool,
    number: Option<f64>,
}

impl Condition {
    pub(crate) fn new(field: Field, operator: Operator, value: impl Into<SmolStr>) -> Self {
        let value = value.into();
        Self {
            field,
            operator,
            wildcard: operator == Operator::Equal && value.ends_with('*'),
            number: value.parse().ok().filter(|number: &f64| number.is_finite()),
            value,
        }
    }

    pub(crate) fn matches(&self, candidate: &(impl Candidate + ?Sized)) -> bool {
        match candidate.find(&self.field) {
            None => false,
            Some(Found::Text(text)) => self.matches_text(text),
            Some(Found::Json(value)) => self.matches_json(value),
        }
    }

    pub(crate) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `compare` refuses what has no quote, and what was read had one.
        let quote = parse::quote_for(&self.value).unwrap_or("\"");
        let (field, symbol) = (&self.field.text, self.operator.symbol());
        write!(f, "{field}{symbol}{quote}{}{quote}", self.value)
    }

    fn matches_text(&self, text: &str) -> bool {
        if self.wildcard {
            return text.contains(self.stem());
        }
        match self.operator {
            Operator::Equal => text == self.value,
            Operator::NotEqual => text != self.value,
            _ => self.accepts(Some(text.cmp(&self.value))),
        }
    }

    fn matches_json(&self, value: &Value) -> bool {
        match value {
            Value::Number(number) if !self.wildcard => {
                let given = number.as_f64().zip(self.number);
                self.accepts(given.and_then(|(a, b)| a.partial_cmp(&b)))
            }
            Value::Bool(truth) if !self.wildcard => {
                let same = self
                    .value
                    .eq_ignore_ascii_case(if *truth { "true" } else { "false" });
                self.accepts(same.then_some(Ordering::Equal))
            }
            // As in Python, where `in` asks a list for a member and a mapping for a key.
            Value::Array(items) if self.wildcard => {
                items.iter().any(|item| item.as_str() == Some(self.stem()))
            }
            Value::Object(items) if self.wildcard => items.contains_key(self.stem()),
            _ => self.operator == Operator::NotEqual,
        }
    }

    /// What stands before the wildcard.
    fn stem(&self) -> &str {
        self.value.strip_suffix('*').unwrap_or(&self.value)
    }

    fn accepts(&self, order: Option<Ordering>) -> bool {
        match self.operator {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::NotEqual => order != Some(Ordering::Equal),
            Operator::AtLeast => order.is_some_and(Ordering::is_ge),
            Operator::AtMost => order.is_some_and(Ordering::is_le),
            Operator::Greater => order.is_some_and(Ordering::is_gt),
            Operator::Less => order.is_some_and(Ordering::is_lt),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use crate::event::{Event, Expression};

    fn event() -> Event {
        let source = json!({"id": "hub", "user": {"username": "ada"}});
        Event::new("ftrack.update")
            .source(source.as_object().cloned().unwrap())
            .data(json!({
                "name": "shot 10", "count": 10, "on": true, "none": null,
                "tags": ["a", "b"], "deep": {"er": {"text": "x"}}
            }))
    }

    #[test]
    fn operators() {
        for (text, expected) in [
            ("topic=ftrack.update", true),
            ("topic=ftrack", false),
            ("topic=ftrack.*", true),
            ("topic=update*", true),
            ("topic=nothing*", false),
            ("topic=*", true),
            ("topic!=ftrack.update", false),
            ("topic!=other", true),
            ("topic>ftrack", true),
            ("topic<=ftrack.update", true),
            ("topic>=g", false),
            ("topic.x=a", false),
            ("source.id=hub", true),
            (
                "source.user.username=ada and source.user.username!=bot",
                true,
            ),
            ("source.user.id=1", false),
            ("source.user.id!=1", false),
            ("not source.user.id=1", true),
            ("source=1", false),
            ("source!=1", true),
            ("data.name='shot 10'", true),
            ("data.deep.er.text=x", true),
            ("data.deep.er.text.more=x", false),
            ("data.count=10", true),
            ("data.count=10.0", true),
            ("data.count!=10", false),
            ("data.count>9", true),
            ("data.count<9", false),
            ("data.count>x", false),
            ("data.count!=x", true),
            ("data.count=1*", false),
            ("data.on=true", true),
            ("data.on!=True", false),
            ("data.on=false", false),
            ("data.none=x", false),
            ("data.none!=x", true),
            ("data.none>x", false),
            ("data.tags=a", false),
            ("data.tags=a*", true),
            ("data.tags=c*", false),
            ("data.tags!=a", true),
            ("data.deep=er*", true),
            ("unknown=x", false),
            ("in_reply_to_event=x", false),
            ("target=''", true),
        ] {
            let expression: Expression = text.parse().unwrap();
            assert_eq!(expression.matches(&event()), expected, "{text}");
        }
    }

    #[test]
    fn metadata() {
        let metadata = json!({"id": "s1", "x": {"y": "z"}})
            .as_object()
            .cloned()
            .unwrap();
        for (text, expected) in [
            ("id=s1", true),
            ("id=s2", false),
            ("x.y=z", true),
            ("q=1", false),
        ] {
            let expression: Expression = text.parse().unwrap();
            assert_eq!(expression.matches(&metadata), expected, "{text}");
        }
    }
}
