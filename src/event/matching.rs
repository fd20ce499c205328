//! Matching: how a condition is tested against an event or a subscriber's metadata.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::event::lexical::quote_for;

/// How a field is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Comparison {
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

impl Comparison {
    /// As it is written in the text form.
    fn symbol(self) -> &'static str {
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

/// What a filter can be tested against.
pub(super) trait Candidate {
    /// What the candidate has under this name, if anything.
    fn find(&self, field: &Field) -> Option<Found<'_>>;
}

/// What a [`Candidate`] has under a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// A text.
    Text(&'a str),
    /// Any other value.
    Json(&'a Value),
}

/// A dotted name such as `source.user.username`, split once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    text: SmolStr,
    pub(super) root: Root,
    /// The names below the first.
    rest: Box<[SmolStr]>,
}

/// The first name, recognised when the filter is compiled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Root {
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
    pub(super) fn new(text: &str) -> Self {
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

    /// A root that is a text has nothing below it.
    pub(super) fn text<'a>(&self, text: &'a str) -> Option<Found<'a>> {
        self.rest.is_empty().then_some(Found::Text(text))
    }

    pub(super) fn below<'a>(&self, value: &'a Value) -> Option<Found<'a>> {
        let found = self
            .rest
            .iter()
            .try_fold(value, |at, name| at.get(name.as_str()))?;
        Some(Found::from(found))
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

/// `field operator value`; what the value may mean is worked out once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    field: Field,
    comparison: Comparison,
    value: SmolStr,
    /// Whether a `*` at the end of the value is a wildcard.
    wildcard: bool,
    number: Option<f64>,
}

impl Condition {
    pub(super) fn new(field: Field, comparison: Comparison, value: impl Into<SmolStr>) -> Self {
        let value = value.into();
        Self {
            field,
            comparison,
            wildcard: comparison == Comparison::Equal && value.ends_with('*'),
            number: value.parse().ok().filter(|number: &f64| number.is_finite()),
            value,
        }
    }

    pub(super) fn matches(&self, candidate: &impl Candidate) -> bool {
        match candidate.find(&self.field) {
            None => false,
            Some(Found::Text(text)) => self.matches_text(text),
            Some(Found::Json(value)) => self.matches_json(value),
        }
    }

    pub(super) fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Filter::compare` rejects values without a quote, and parsed values had one.
        let quote = quote_for(&self.value).unwrap_or("\"");
        let (field, symbol) = (&self.field.text, self.comparison.symbol());
        write!(f, "{field}{symbol}{quote}{}{quote}", self.value)
    }

    fn matches_text(&self, text: &str) -> bool {
        if self.wildcard {
            return text.contains(self.stem());
        }
        match self.comparison {
            Comparison::Equal => text == self.value,
            Comparison::NotEqual => text != self.value,
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
            _ => self.comparison == Comparison::NotEqual,
        }
    }

    /// What precedes the wildcard.
    fn stem(&self) -> &str {
        self.value.strip_suffix('*').unwrap_or(&self.value)
    }

    fn accepts(&self, order: Option<Ordering>) -> bool {
        match self.comparison {
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::NotEqual => order != Some(Ordering::Equal),
            Comparison::AtLeast => order.is_some_and(Ordering::is_ge),
            Comparison::AtMost => order.is_some_and(Ordering::is_le),
            Comparison::Greater => order.is_some_and(Ordering::is_gt),
            Comparison::Less => order.is_some_and(Ordering::is_lt),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use crate::event::{Event, Filter};

    fn event() -> Event {
        let source = json!({"id": "hub", "user": {"username": "ada"}});
        Event::new("ftrack.update")
            .with_source(source)
            .with_data(json!({
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
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.matches(&event()), expected, "{text}");
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
            let filter: Filter = text.parse().unwrap();
            assert_eq!(filter.matches_subscriber(&metadata), expected, "{text}");
        }
    }
}
