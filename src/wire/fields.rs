//! The attributes that a type asks for: the names of a struct's fields, and of the structs in it.
//!
//! A struct that derives `Deserialize` passes the list of its fields to the deserializer, so the
//! type is deserialised from a probe that has no data and records the list.

use serde::de::value::{self, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Attribute, Schema};

/// The maximum nesting of structs; a deeper type probably contains itself.
const MAX_DEPTH: usize = 6;

/// One field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StructField {
    pub(crate) name: &'static str,
    /// The fields of the struct in it; none for values.
    pub(crate) fields: Vec<Self>,
}

/// The fields of `T`; none if it is not a struct, or one without statically known fields
/// (`serde(flatten)`).
///
/// # Errors
///
/// - [`ErrorKind::Validation`] if `T` contains itself.
pub(crate) fn fields_of<T: DeserializeOwned>() -> Result<Vec<StructField>> {
    below::<T>(&mut Vec::new())
}

/// The fields of what lies at `path` in `T`.
fn below<T: DeserializeOwned>(path: &mut Vec<&'static str>) -> Result<Vec<StructField>> {
    if path.len() > MAX_DEPTH {
        return Err(Error::new(
            ErrorKind::Validation,
            format!(
                "{} has structs in structs more than {MAX_DEPTH} deep, or contains itself; leave \
                 out a field, or select what to load in the query",
                std::any::type_name::<T>()
            ),
        ));
    }
    let mut names: &'static [&'static str] = &[];
    let probe = Probe {
        path,
        found: &mut names,
    };
    // It always ends with an error.
    let _ = T::deserialize(probe);
    let mut fields = Vec::with_capacity(names.len());
    for &name in names {
        path.push(name);
        fields.push(StructField {
            name,
            fields: below::<T>(path)?,
        });
        path.pop();
    }
    Ok(fields)
}

impl StructField {
    /// The paths of the values of these fields of an entity type, as a query selects them; names
    /// that begin with two underscores are the protocol's own. A struct in a value that is no
    /// entity, such as `link`, comes with the value.
    pub(crate) fn paths(fields: &[Self], schema: &Schema, entity_type: &str) -> Vec<String> {
        let entity_type = schema.find(entity_type);
        let mut paths = Vec::new();
        for field in fields.iter().filter(|field| !field.name.starts_with("__")) {
            let attribute = entity_type.and_then(|one| one.attribute(field.name).ok());
            // What is not known here may belong to a kind of the type.
            let target = attribute.map_or(Some(""), Attribute::target);
            match target {
                Some(target) if !field.fields.is_empty() => {
                    let inner = Self::paths(&field.fields, schema, target).into_iter();
                    paths.extend(inner.map(|path| format!("{}.{path}", field.name)));
                }
                _ => paths.push(field.name.to_owned()),
            }
        }
        paths
    }
}

/// Descends to the struct at `path` and records its fields.
struct Probe<'a> {
    path: &'a [&'static str],
    found: &'a mut &'static [&'static str],
}

/// Ends the probe.
fn done() -> value::Error {
    de::Error::custom("done")
}

impl<'de> IntoDeserializer<'de, value::Error> for Probe<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(done())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_seq(SeqDeserializer::new(std::iter::once(self)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        let Some((&name, path)) = self.path.split_first() else {
            *self.found = fields;
            return Err(done());
        };
        let found = self.found;
        let below = Probe { path, found };
        visitor.visit_map(MapDeserializer::new(std::iter::once((name, below))))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
#[allow(dead_code, reason = "the fields are looked at, not used")]
mod tests {

    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::schema::tests::schema;

    #[derive(Deserialize)]
    struct Task {
        id: String,
        bid: Option<f64>,
        start_date: Option<jiff::civil::DateTime>,
        status: Option<Status>,
        #[serde(rename = "assignments", default)]
        people: Vec<Assignment>,
        parent: Box<Wrapper>,
        #[serde(skip)]
        own: u8,
        project: serde_json::Value,
        link: Vec<Named>,
        __entity_type__: String,
    }

    #[derive(Deserialize)]
    struct Status {
        name: String,
        state: State,
    }

    #[derive(Deserialize)]
    struct State {
        short: String,
    }

    #[derive(Deserialize)]
    struct Assignment {
        resource: Named,
    }

    #[derive(Deserialize)]
    struct Wrapper(Named);

    #[derive(Deserialize)]
    struct Named {
        name: String,
    }

    #[derive(Deserialize)]
    struct Endless {
        parent: Option<Box<Self>>,
    }

    #[derive(Deserialize)]
    struct Flat {
        #[serde(flatten)]
        rest: BTreeMap<String, String>,
    }

    #[test]
    fn fields_at_any_depth() {
        assert_eq!(
            StructField::paths(&fields_of::<Task>().unwrap(), &schema(), "Task"),
            [
                "id",
                "bid",
                "start_date",
                "status.name",
                "status.state.short",
                "assignments.resource.name",
                "parent.name",
                "project",
                "link",
            ]
        );
    }

    #[test]
    fn what_does_not_tell_its_fields() {
        assert!(fields_of::<Flat>().unwrap().is_empty());
        assert!(fields_of::<String>().unwrap().is_empty());
        assert!(fields_of::<serde_json::Value>().unwrap().is_empty());
        assert!(fields_of::<BTreeMap<String, f64>>().unwrap().is_empty());
        let error = fields_of::<Endless>().unwrap_err();
        assert!(error.to_string().contains("contains itself"), "{error}");
    }
}
