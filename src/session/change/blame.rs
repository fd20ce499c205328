//! Which of the operations that were sent a server's refusal is about. Servers name no index; most
//! name the entity or the attribute, or repeat the value, somewhere in their text.

use crate::error::Error;
use crate::operation::{Operation, Payload};
use crate::schema::{Attribute, EntityType, Schema};
use crate::value::Value;

/// Adds the operation, the entity and the attribute, as far as they can be told: the only one that
/// was sent, else the only one that what the server says fits.
pub(crate) fn blame(
    error: Error,
    schema: &Schema,
    operations: &[Operation],
    payloads: &[Payload<'_>],
) -> Error {
    let Some(server) = error.server() else {
        return error;
    };
    let said = Said(&server.content);
    let Some(payload) = refused(said, schema, payloads) else {
        return error;
    };
    let attribute = attribute_of(said, schema, payload);
    let sent = payload
        .data
        .iter()
        .find(|(name, ..)| Some(*name) == attribute);
    let index = sent.map_or(payload.operation, |(.., index)| *index);
    let text = operations[index].to_string();
    let mut note = format!("It is about operation {index}: {text}");
    if let (Some(name), Operation::Create { .. }) = (attribute, &operations[index]) {
        note += &format!(", attribute {name:?}");
    }
    let entity = payload.entity.clone();
    error
        .about_operation(index, text, entity, attribute.map(str::to_owned))
        .and(&note)
}

fn refused<'p, 'd>(
    said: Said<'_>,
    schema: &Schema,
    payloads: &'p [Payload<'d>],
) -> Option<&'p Payload<'d>> {
    if let [only] = payloads {
        return Some(only);
    }
    let is_named = |one: &Payload<'_>| {
        let mut parts = one.entity.parts().peekable();
        parts.peek().is_some() && parts.all(|part| said.0.contains(&part))
    };
    let has_attribute = |one: &Payload<'_>| attribute_of(said, schema, one).is_some();
    let is_of_type = |one: &Payload<'_>| said.names(one.entity.entity_type());
    let has_value = |one: &Payload<'_>| one.data.iter().any(|(_, value, _)| said.repeats(value));
    only(payloads, |one| is_named(one) && has_attribute(one))
        // Several operations about one entity: the first of them.
        .or_else(|| payloads.iter().find(|one| is_named(one)))
        .or_else(|| only(payloads, |one| is_of_type(one) && has_value(one)))
        .or_else(|| only(payloads, has_value))
        .or_else(|| only(payloads, |one| is_of_type(one) && has_attribute(one)))
        .or_else(|| only(payloads, is_of_type))
}

/// The attribute that the server names, else the one whose value it repeats.
fn attribute_of<'d>(said: Said<'_>, schema: &'d Schema, payload: &Payload<'d>) -> Option<&'d str> {
    let sent = || payload.data.iter().map(|(name, ..)| *name);
    let known = || {
        let entity_type = schema.entity_type(payload.entity.entity_type()).ok();
        let attributes = entity_type.into_iter().flat_map(EntityType::attributes);
        attributes.map(Attribute::name)
    };
    let mut repeated = payload
        .data
        .iter()
        .filter(|(_, value, _)| said.repeats(value));
    sent()
        .find(|name| said.marks(name))
        .or_else(|| known().find(|name| said.marks(name)))
        .or_else(|| match (repeated.next(), repeated.next()) {
            (Some((name, ..)), None) => Some(*name),
            _ => None,
        })
        .or_else(|| alone(sent().filter(|name| said.names(name))))
        .or_else(|| alone(known().filter(|name| said.names(name))))
}

fn only<T>(all: &[T], fits: impl Fn(&T) -> bool) -> Option<&T> {
    alone(all.iter().filter(|one| fits(one)))
}

fn alone<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// What a server says.
#[derive(Clone, Copy)]
struct Said<'a>(&'a str);

impl Said<'_> {
    /// Whether a name stands in it as a word of its own.
    fn names(self, name: &str) -> bool {
        self.words(name).next().is_some()
    }

    /// Whether it stands in quotes, or behind a type and a dot, and so is no ordinary word.
    fn marks(self, name: &str) -> bool {
        self.words(name).any(|(before, after)| {
            let quotes = ['"', '\'', '`'];
            before.ends_with(quotes) && after.starts_with(quotes) || before.ends_with('.')
        })
    }

    /// What stands before and behind each occurrence of a word.
    fn words<'w>(self, word: &'w str) -> impl Iterator<Item = (&'w str, &'w str)>
    where
        Self: 'w,
    {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let found = self.0.match_indices(word).map(move |(at, _)| {
            let (before, rest) = self.0.split_at(at);
            (before, &rest[word.len()..])
        });
        found.filter(move |(before, after)| {
            !word.is_empty() && !before.ends_with(is_part) && !after.starts_with(is_part)
        })
    }

    /// Whether a text, or the key of another entity, stands in it: in quotes, unless it cannot be
    /// an ordinary word.
    fn repeats(self, value: &Value) -> bool {
        let has = |text: &str| match text.chars().all(char::is_alphabetic) {
            true => self.marks(text),
            false => self.names(text),
        };
        match value {
            Value::Text(text) => has(text.as_str()),
            Value::Reference(key) => key.parts().any(|part| has(&part)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_marks() {
        for (text, names, marks) in [
            ("Task.bid must be a number", true, true),
            ("the attribute \"bid\" must be a number", true, true),
            ("a bid must be a number", true, false),
            ("forbidden", false, false),
            ("bid_count: too many", false, false),
            ("bid", true, false),
            ("'bid'", true, true),
            ("", false, false),
        ] {
            let said = Said(text);
            assert_eq!(
                (said.names("bid"), said.marks("bid")),
                (names, marks),
                "{text}"
            );
        }
        assert!(!Said("anything").names(""));
    }

    #[test]
    fn repeated_values() {
        let said = Said("User cannot be called \"ada\": a user with id 12-b, 7 exists already");
        for (value, expected) in [
            (Value::from("ada"), true),
            (Value::from("user"), false),
            (Value::from("12-b"), true),
            (Value::from("2-b"), false),
            (Value::from(""), false),
            (Value::from(7), false),
            (
                Value::Reference(crate::value::EntityKey::new("User", "12-b")),
                true,
            ),
        ] {
            assert_eq!(said.repeats(&value), expected, "{value}");
        }
    }
}
