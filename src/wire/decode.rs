//! Decodes a response into flat rows, in one pass and without an intermediate tree.
//!
//! Responses nest entities in entities. Each occurrence becomes a row, and an attribute that held
//! one links to its row by number. The entity type may come last in an object, so
//! values wait on a stack until their object ends.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::error::Result;
use crate::schema::{EntityType, NameId, Schema, TypeId};
use crate::value::{HashMap, Key, Slot, Text};

use super::batch::{Batch, Reply, ReplyData, Row, Rows};
use super::body::Body;
use super::failure::shown;
use super::plain::{TypedValue, json_text, print, typed_value};
use super::repeats::Repeats;
use super::text_buf::TextBuf;
use super::transcode::Transcode;

/// Decodes the response to queries, creations, updates and deletions.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] if it is not JSON, ends early, nests too deep, has an exception in
///   place of a reply, or has an entity without its key or of a type that the schema lacks; that of
///   the body's check.
pub(crate) fn decode(schema: &Schema, body: &Body<'_>) -> Result<Batch> {
    // One check of the whole is cheaper than one for each text: a tenth of the decoding.
    let text = std::str::from_utf8(body.bytes()).map_err(|error| body.unreadable(&error))?;
    let mut decoder = Decoder::new(schema, body, text);
    let mut json = serde_json::Deserializer::from_str(text);
    let replies = ReplyList(&mut decoder)
        .deserialize(&mut json)
        .and_then(|replies| json.end().map(|()| replies))
        .map_err(|error| body.unreadable(&error))?;
    Ok(Batch {
        replies,
        rows: decoder.rows,
    })
}

/// What grows while a response is decoded.
struct Decoder<'a> {
    schema: &'a Schema,
    body: &'a Body<'a>,
    rows: Rows,
    shape_ids: HashMap<Arc<[NameId]>, u32>,
    /// By entity type: the shape of its latest row, which mostly fits the next one too.
    latest_shapes: Vec<Option<u32>>,
    /// The attributes of the unfinished objects, innermost last.
    pending: Vec<(NameId, Slot)>,
    /// The names of the object that ends; reused.
    names: Vec<NameId>,
    /// The free-form value that is copied; reused.
    text: Vec<u8>,
    /// The members of the unfinished objects that no entity type has, as JSON with a comma before
    /// each, innermost last. They count only if an object turns out to be no entity.
    unknown: Vec<u8>,
    repeats: Repeats<'a>,
}

impl<'a> Decoder<'a> {
    fn new(schema: &'a Schema, body: &'a Body<'a>, text: &'a str) -> Self {
        Self {
            schema,
            body,
            rows: Rows::default(),
            shape_ids: HashMap::default(),
            latest_shapes: vec![None; schema.entity_types().len()],
            pending: Vec::new(),
            names: Vec::new(),
            text: Vec::new(),
            unknown: Vec::new(),
            repeats: Repeats::new(text),
        }
    }

    /// Turns the pending attributes from `start` on into a row and returns its number.
    fn finish_row(&mut self, entity_type: &EntityType, start: usize) -> Result<u32, String> {
        let key = self.take_key(entity_type, start)?;
        self.names.clear();
        self.names
            .extend(self.pending[start..].iter().map(|(name, _)| *name));
        let row = Row {
            entity_type: entity_type.id(),
            key,
            shape: self.shape(entity_type.id())?,
            start: number(self.rows.slots.len())?,
        };
        let slots = self.pending.drain(start..).map(|(_, slot)| slot);
        self.rows.slots.extend(slots);
        self.rows.rows.push(row);
        number(self.rows.rows.len() - 1)
    }

    /// The text of the attribute `value` among the pending ones from `start` on.
    fn pending_value(&self, start: usize) -> Option<&Text> {
        let mut pending = self.pending[start..].iter().rev();
        match pending.find(|(id, _)| *self.schema.name(*id) == "value") {
            Some((_, Slot::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// The shape with the names in `names`, those of an entity of this type.
    fn shape(&mut self, of: TypeId) -> Result<u32, String> {
        let latest = self.latest_shapes[usize::from(of.0)];
        if let Some(shape) = latest
            && self.rows.shapes[shape as usize][..] == self.names[..]
        {
            return Ok(shape);
        }
        let shape = match self.shape_ids.get(self.names.as_slice()) {
            Some(&shape) => shape,
            None => {
                let names: Arc<[NameId]> = self.names.as_slice().into();
                let number = number(self.rows.shapes.len())?;
                self.rows.shapes.push(names.clone());
                self.shape_ids.insert(names, number);
                number
            }
        };
        self.latest_shapes[usize::from(of.0)] = Some(shape);
        Ok(shape)
    }

    /// Removes the primary key from the pending attributes: a row has it apart from its values.
    fn take_key(&mut self, entity_type: &EntityType, start: usize) -> Result<Key, String> {
        let mut parts = Vec::new();
        for &id in entity_type.primary_key_ids() {
            let place = self.pending[start..]
                .iter()
                .position(|(name, _)| *name == id);
            let value = place.map(|place| self.pending.remove(start + place).1);
            let part = match value {
                Some(Slot::Text(text)) => text,
                Some(Slot::Integer(value)) => Text::new(&value.to_string()),
                _ => {
                    return Err(format!(
                        "a {} has no key attribute {:?}",
                        entity_type.name(),
                        self.schema.name(id),
                    ));
                }
            };
            if entity_type.primary_key_ids().len() == 1 {
                return Ok(Key::Single(part));
            }
            parts.push(part);
        }
        Ok(Key::from_parts(parts))
    }
}

/// Rows and values are counted in 32 bits.
fn number(count: usize) -> Result<u32, String> {
    u32::try_from(count).map_err(|_| "it has more than 4,294,967,295 values".to_owned())
}

macro_rules! seed {
    ($name:ident => $output:ty, $method:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_, '_> {
            type Value = $output;

            fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<$output, D::Error> {
                json.$method(self)
            }
        }
    };
}

/// `[{action, data, metadata}, …]`.
struct ReplyList<'d, 'a>(&'d mut Decoder<'a>);

seed!(ReplyList => Vec<Reply>, deserialize_seq);

impl<'de> Visitor<'de> for ReplyList<'_, '_> {
    type Value = Vec<Reply>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list with a reply for each action")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Reply>, A::Error> {
        let mut replies = Vec::new();
        while let Some(reply) = list.next_element_seed(ReplySeed(self.0))? {
            replies.push(reply);
        }
        Ok(replies)
    }
}

struct ReplySeed<'d, 'a>(&'d mut Decoder<'a>);

seed!(ReplySeed => Reply, deserialize_map);

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Metadata {
    next: Option<Next>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Next {
    offset: Option<u64>,
}

impl Metadata {
    pub(super) fn next_offset(self) -> Option<u64> {
        self.next.and_then(|next| next.offset)
    }
}

impl<'de> Visitor<'de> for ReplySeed<'_, '_> {
    type Value = Reply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reply, which is an object with `data`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reply, A::Error> {
        use serde::de::Error as _;

        let mut reply = Reply::default();
        while let Some(key) = map.next_key::<TextBuf<'de>>()? {
            match key.as_str() {
                "data" => {
                    (reply.data, reply.roots) = map.next_value_seed(RootSeed(self.0))?;
                }
                "action" => reply.action = map.next_value()?,
                "exception" => no_exception(&mut map)?,
                "metadata" => {
                    let metadata: Option<Metadata> = map.next_value()?;
                    reply.next_offset = metadata.and_then(Metadata::next_offset);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        reply.end = number(self.0.rows.rows.len()).map_err(A::Error::custom)?;
        Ok(reply)
    }
}

/// Reads the member `exception` of a reply, which must be null: a request is one transaction, so a server
/// that refuses an action responds with a failure in place of the list.
pub(super) fn no_exception<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    use serde::de::Error as _;

    match map.next_value::<Option<Box<RawValue>>>()? {
        None => Ok(()),
        Some(name) => {
            let name = shown(&name);
            Err(A::Error::custom(format_args!(
                "a reply is an exception: {name}"
            )))
        }
    }
}

/// `data`: entities, one entity, or `true`.
struct RootSeed<'d, 'a>(&'d mut Decoder<'a>);

type Roots = (ReplyData, Vec<u32>);

seed!(RootSeed => Roots, deserialize_any);

impl<'de> Visitor<'de> for RootSeed<'_, '_> {
    type Value = Roots;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entities")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Roots, E> {
        Ok((ReplyData::Bool(value), Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<Roots, E> {
        Ok((ReplyData::Null, Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Roots, A::Error> {
        self.0.repeats.begin(false);
        let root = root(&ObjectVisitor(self.0).visit_map(map)?)?;
        Ok((ReplyData::Entity, vec![root]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Roots, A::Error> {
        self.0.repeats.begin(true);
        let mut roots = Vec::with_capacity(list.size_hint().unwrap_or(0));
        while let Some(slot) = list.next_element_seed(ObjectVisitor(self.0))? {
            roots.push(root(&slot)?);
        }
        Ok((ReplyData::Entities, roots))
    }
}

fn root<E: serde::de::Error>(slot: &Slot) -> Result<u32, E> {
    match slot {
        Slot::Link(row) => Ok(*row),
        _ => Err(E::custom(
            "a row has no entity type; read rows of values with `Query::rows`",
        )),
    }
}

/// An object: an entity, a typed value such as a date, or plain JSON.
struct ObjectVisitor<'d, 'a>(&'d mut Decoder<'a>);

seed!(ObjectVisitor => Slot, deserialize_map);

impl<'de> Visitor<'de> for ObjectVisitor<'_, '_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entity")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Slot, A::Error> {
        use serde::de::Error as _;

        let decoder = self.0;
        decoder.body.go_on()?;
        let start = decoder.pending.len();
        let mut entity_type = None;
        let mut typed = None;
        let first_unknown = decoder.unknown.len();
        while let Some(key) = map.next_key::<TextBuf<'de>>()? {
            match key.as_str() {
                "__entity_type__" => {
                    let name = map.next_value::<TextBuf<'de>>()?;
                    let found = decoder.schema.entity_type(name.as_str());
                    entity_type = Some(found.map_err(A::Error::custom)?);
                }
                "__type__" => typed = Some(map.next_value::<SmolStr>()?),
                name => match decoder.schema.name_id(name) {
                    Some(id) => {
                        let text = decoder.repeats.object_after(name);
                        let known = text.and_then(|text| decoder.repeats.find(id, text));
                        if let Some(row) = known {
                            map.next_value::<IgnoredAny>()?;
                            decoder.pending.push((id, Slot::Link(row)));
                            continue;
                        }
                        let free_form = decoder.schema.is_free_form(id);
                        let slot = map.next_value_seed(ValueVisitor { decoder, free_form })?;
                        if let (Some(text), Slot::Link(row)) = (text, &slot) {
                            decoder.repeats.add(id, text, *row);
                        }
                        decoder.pending.push((id, slot));
                    }
                    None => {
                        decoder.unknown.push(b',');
                        Transcode(&mut decoder.unknown).text(name)?;
                        decoder.unknown.push(b':');
                        map.next_value_seed(Transcode(&mut decoder.unknown))?;
                    }
                },
            }
        }
        if let Some(entity_type) = entity_type {
            decoder.unknown.truncate(first_unknown);
            return match decoder.finish_row(entity_type, start) {
                Ok(row) => Ok(Slot::Link(row)),
                Err(message) => Err(A::Error::custom(message)),
            };
        }
        if let Some(name) = &typed
            && let Some(text) = decoder.pending_value(start)
        {
            let value = text.with(|text| typed_value(name, Some(text)));
            decoder.pending.truncate(start);
            decoder.unknown.truncate(first_unknown);
            return value.map_err(A::Error::custom);
        }
        let mut object = Vec::new();
        for (id, slot) in decoder.pending.drain(start..) {
            object.push(b',');
            Transcode(&mut object).text(decoder.schema.name(id))?;
            object.push(b':');
            print(&slot, &mut object);
        }
        object.extend(decoder.unknown.drain(first_unknown..));
        match object.first_mut() {
            Some(comma) => *comma = b'{',
            None => object.push(b'{'),
        }
        object.push(b'}');
        let object = json_text(&object);
        match typed {
            Some(name) => typed_value(
                &name,
                TypedValue::in_object(&object).value_text().as_deref(),
            ),
            None => Ok(Slot::Json(object)),
        }
        .map_err(A::Error::custom)
    }
}

/// The value of an attribute.
struct ValueVisitor<'d, 'a> {
    decoder: &'d mut Decoder<'a>,
    /// Whether an entity type has plain JSON under this name; then it is read as such.
    free_form: bool,
}

seed!(ValueVisitor => Slot, deserialize_any);

impl<'de> Visitor<'de> for ValueVisitor<'_, '_> {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Slot, E> {
        Ok(Slot::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Slot, E> {
        Ok(Slot::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Slot, E> {
        Ok(Slot::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Slot, E> {
        Ok(i64::try_from(value).map_or(Slot::Number(value as f64), Slot::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Slot, E> {
        Ok(Slot::Number(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Slot, E> {
        Ok(Slot::Text(Text::new(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Slot, A::Error> {
        if self.free_form {
            let text = &mut self.decoder.text;
            text.clear();
            let is_typed = Transcode(text).object(map)?;
            let text = json_text(text);
            let name = match is_typed {
                true => TypedValue::in_object(&text).name_text(),
                false => None,
            };
            return match name {
                Some(name) => {
                    typed_value(&name, TypedValue::in_object(&text).value_text().as_deref())
                        .map_err(serde::de::Error::custom)
                }
                None => Ok(Slot::Json(text)),
            };
        }
        ObjectVisitor(self.decoder).visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Slot, A::Error> {
        if self.free_form {
            let text = &mut self.decoder.text;
            text.clear();
            Transcode(text).list(list)?;
            return Ok(Slot::Json(json_text(text)));
        }
        let decoder = self.decoder;
        let mut links = Vec::new();
        // As JSON, with a comma before each.
        let mut others = Vec::new();
        while let Some(slot) = list.next_element_seed(ValueVisitor {
            decoder: &mut *decoder,
            free_form: false,
        })? {
            decoder.body.go_on()?;
            match slot {
                Slot::Link(row) => links.push(row),
                other => {
                    others.push(b',');
                    print(&other, &mut others);
                }
            }
        }
        match others.first_mut() {
            Some(comma) => *comma = b'[',
            None => return Ok(Slot::Links(links.into())),
        }
        others.push(b']');
        Ok(Slot::Json(json_text(&others)))
    }
}

#[cfg(test)]
mod tests;
