//! Which of the sent operations a server refused. Servers give no index, but most name the entity
//! or the attribute, or repeat the value, somewhere in their text.

use crate::error::Error;
use crate::handle::Session;
use crate::operation::{Operation, Payload};
use crate::schema::{Attribute, EntityType};
use crate::value::Value;

/// Adds the operation, the entity and the attribute that the server refused, as far as its message
/// names them.
pub(super) fn blame(
    error: Error,
    session: &Session,
    operations: &[Operation],
    payloads: &[Payload<'_>],
) -> Error {
    let Some(server) = error.server() else {
        return error;
    };
    let text = Text(&server.content);
    let Some(payload) = refused(text, payloads) else {
        return error;
    };
    let entity_type = session.schema().entity_type(payload.entity.entity_type());
    let attribute = attribute_of(text, entity_type.ok(), payload);
    let sent = payload.data.iter();
    let mut sent = sent.filter(|(name, ..)| Some(*name) == attribute);
    let index = sent.next().map_or(payload.operation, |(.., index)| *index);
    let operation = operations[index].to_string();
    let subject = session.shared.store.lock().describe(payload.entity);
    let mut note = format!("The server refused operation {index} ({operation}), {subject}");
    if let Some(name) = attribute {
        note += &format!(", attribute {name:?}");
    }
    let (entity, attribute) = (payload.entity.clone(), attribute.map(str::to_owned));
    error
        .about_operation(index, operation, entity, attribute)
        .with_note(&note)
}

/// The only payload, else the first of the entity that is named, else the only one that fits.
fn refused<'p, 'd>(text: Text<'_>, payloads: &'p [Payload<'d>]) -> Option<&'p Payload<'d>> {
    let has_value = |one: &&Payload<'_>| one.data.iter().any(|(_, value, _)| text.repeats(value));
    let has_type = |one: &&Payload<'_>| text.has_word(one.entity.entity_type());
    let has_key = |one: &&Payload<'_>| one.entity.parts().all(|part| text.has_word(&part));
    only(payloads.iter())
        .or_else(|| payloads.iter().find(has_key))
        .or_else(|| only(payloads.iter().filter(has_type).filter(has_value)))
        .or_else(|| only(payloads.iter().filter(has_value)))
        .or_else(|| only(payloads.iter().filter(has_type)))
}

/// The attribute that is named in quotes or after a dot, else the only one whose value is repeated
/// or whose name occurs.
fn attribute_of<'a>(
    text: Text<'_>,
    entity_type: Option<&'a EntityType>,
    payload: &Payload<'a>,
) -> Option<&'a str> {
    let known = entity_type.into_iter().flat_map(EntityType::attributes);
    let known = known.map(Attribute::name);
    let repeated = payload.data.iter();
    let repeated = repeated.filter(|(_, value, _)| text.repeats(value));
    (known.clone().find(|name| text.marks(name)))
        .or_else(|| only(repeated.map(|(name, ..)| *name)))
        .or_else(|| only(known.filter(|name| text.has_word(name))))
}

fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The text of a server's failure.
#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

impl Text<'_> {
    fn has_word(self, word: &str) -> bool {
        self.words(word).next().is_some()
    }

    /// Whether it occurs in quotes or after a dot, and so is no ordinary word.
    fn marks(self, name: &str) -> bool {
        let is_quote = |c| ['"', '\'', '`'].contains(&c);
        self.words(name).any(|(before, after)| {
            before.ends_with('.') || before.ends_with(is_quote) && after.starts_with(is_quote)
        })
    }

    /// The text before and after each occurrence of a word.
    fn words<'w>(self, word: &'w str) -> impl Iterator<Item = (&'w str, &'w str)>
    where
        Self: 'w,
    {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let found = self.0.match_indices(word);
        let found = found.map(move |(at, _)| (&self.0[..at], &self.0[at + word.len()..]));
        found.filter(move |(before, after)| {
            !word.is_empty() && !before.ends_with(is_part) && !after.starts_with(is_part)
        })
    }

    /// Whether a text or the key of another entity occurs; a single ordinary word must be in quotes.
    fn repeats(self, value: &Value) -> bool {
        let has = |text: &str| match text.chars().all(char::is_alphabetic) {
            true => self.marks(text),
            false => self.has_word(text),
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
    fn words_and_marks() {
        for (text, has_word, marks) in [
            ("Task.bid must be a number", true, true),
            ("the attribute \"bid\" must be a number", true, true),
            ("a bid must be a number", true, false),
            ("forbidden", false, false),
            ("bid_count: too many", false, false),
            ("bid", true, false),
            ("'bid'", true, true),
            ("", false, false),
        ] {
            let found = Text(text);
            let found = (found.has_word("bid"), found.marks("bid"));
            assert_eq!(found, (has_word, marks), "{text}");
        }
        assert!(!Text("anything").has_word(""));
    }

    #[test]
    fn repeated_values() {
        let text = Text("User cannot be called \"ada\": a user with id 12-b, 7 exists already");
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
            assert_eq!(text.repeats(&value), expected, "{value}");
        }
    }
}
