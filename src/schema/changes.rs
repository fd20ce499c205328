//! Changes that plugins make to an entity type before a session uses it.

use serde::Deserialize;
use serde_json::{Value as Json, json};
use smol_str::SmolStr;

use super::{Attribute, AttributeDefault, AttributeKind, EntityType, Schema};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Paths, Value};

/// An entity type that a plugin may change before the session uses it. The changes do not affect other
/// sessions or the schema on disk.
///
/// ```
/// # use ftrack_api::plugin::{Arguments, Plugin, Registrar};
/// struct Bids;
///
/// impl Plugin for Bids {
///     # fn name(&self) -> &str { "studio.bids" }
///     # fn version(&self) -> &str { "1.0" }
///     fn register(&self, registrar: &mut Registrar, _: &Arguments) -> anyhow::Result<()> {
///         registrar.entity_type("Task", |task| {
///             task.add_default_projections(["bid"])?;
///             task.set_default("bid", 4 * 3600)?;
///             Ok(())
///         });
///         Ok(())
///     }
/// }
/// # let server = ftrack_emulator::Emulator::start()?;
/// # let builder = ftrack_api::Session::builder()
/// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user());
/// let session = builder.plugin(Bids).open()?;
/// let task = session.create("Task", ftrack_api::data! { "name": "anim" })?;
/// assert_eq!(task.get::<i64>("bid")?, 4 * 3600);
/// # session.rollback();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EntityTypeChanges<'a> {
    schema: &'a mut Schema,
    place: usize,
}

/// A reply to `ftrack.api.session.construct-entity-type`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    #[serde(default)]
    default_projections: Option<Vec<String>>,
    #[serde(default)]
    add_default_projections: Vec<String>,
    #[serde(default)]
    read_only: Vec<String>,
    #[serde(default)]
    writable: Vec<String>,
    #[serde(default)]
    defaults: serde_json::Map<String, Json>,
}

// Shows the name of the entity type.
debug_fields!(EntityTypeChanges<'_>, |this| entity_type: this.name());

impl<'a> EntityTypeChanges<'a> {
    pub(crate) fn new(schema: &'a mut Schema, place: usize) -> Self {
        Self { schema, place }
    }

    /// The name of the type, such as `Task`.
    pub fn name(&self) -> &str {
        self.entity_type().name()
    }

    /// The type with the changes so far.
    pub fn entity_type(&self) -> &EntityType {
        &self.schema.types[self.place]
    }

    /// Replaces the attributes that a query without projections fetches. The key is always included.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if a path does not exist: nothing changes.
    pub fn set_default_projections(&mut self, paths: impl Paths) -> Result<()> {
        let paths = self.checked(paths)?;
        self.change().default_projections = paths;
        Ok(())
    }

    /// Adds attributes, or paths such as `status.name`, to those that a query without projections
    /// fetches.
    ///
    /// # Errors
    ///
    /// - Any error of [`set_default_projections`](Self::set_default_projections).
    pub fn add_default_projections(&mut self, paths: impl Paths) -> Result<()> {
        let paths = self.checked(paths)?;
        let have = &mut self.change().default_projections;
        for path in paths {
            if !have.contains(&path) {
                have.push(path);
            }
        }
        Ok(())
    }

    /// Makes an attribute read-only for entities that are on the server: setting it is an error.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if the type has no such attribute.
    pub fn set_read_only(&mut self, attribute: &str) -> Result<()> {
        self.attribute(attribute)?.flags.immutable = true;
        Ok(())
    }

    /// Allows setting an attribute that the schema declares immutable. The server may still refuse it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if the type has no such attribute.
    pub fn set_writable(&mut self, attribute: &str) -> Result<()> {
        self.attribute(attribute)?.flags.immutable = false;
        Ok(())
    }

    /// Sets the value of new entities that are not given one. Its type is checked when an entity is
    /// created.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`] if the type has no such attribute.
    /// - [`ErrorKind::WrongType`] for references and collections.
    pub fn set_default(&mut self, attribute: &str, value: impl Into<Value>) -> Result<()> {
        let name = self.name().to_owned();
        let found = self.attribute(attribute)?;
        if found.target().is_some() {
            let message =
                format!("{name}.{attribute} refers to other entities and cannot have a default");
            return Err(Error::new(ErrorKind::WrongType, message));
        }
        found.default = AttributeDefault::Value(value.into());
        Ok(())
    }

    /// The data of the event `ftrack.api.session.construct-entity-type`.
    pub(crate) fn describe(&self) -> Json {
        let one = self.entity_type();
        let named = |wanted: fn(&Attribute) -> bool| -> Vec<&str> {
            let attributes = one.attributes.iter().filter(|one| wanted(one));
            attributes.map(Attribute::name).collect()
        };
        let properties: serde_json::Map<_, _> = one
            .attributes
            .iter()
            .map(|attribute| (attribute.name().to_owned(), kind(attribute.kind())))
            .collect();
        json!({"schema": {
            "id": one.name(),
            "primary_key": one.primary_key_names,
            "default_projections": one.default_projections,
            "immutable": named(|one| one.flags.immutable),
            "computed": named(|one| one.flags.computed),
            "required": named(|one| one.flags.required),
            "properties": properties,
        }})
    }

    /// Applies a reply to that event.
    ///
    /// # Errors
    ///
    /// - The first invalid part; changes before it are applied.
    pub(crate) fn apply(&mut self, reply: Json) -> Result<()> {
        let reply: Reply = serde_json::from_value(reply).map_err(|error| {
            Error::new(
                ErrorKind::BadResponse,
                format!("it has an unexpected shape: {error}"),
            )
        })?;
        if let Some(paths) = reply.default_projections {
            self.set_default_projections(paths)?;
        }
        self.add_default_projections(reply.add_default_projections)?;
        for name in reply.read_only {
            self.set_read_only(&name)?;
        }
        for name in reply.writable {
            self.set_writable(&name)?;
        }
        for (name, value) in reply.defaults {
            self.set_default(&name, crate::value::from_json(&value))?;
        }
        Ok(())
    }

    fn checked(&self, paths: impl Paths) -> Result<Vec<SmolStr>> {
        let paths = paths.to_paths().into_iter().map(|path| {
            self.schema.check_path(self.entity_type(), path)?;
            Ok(path.into())
        });
        paths.collect()
    }

    fn attribute(&mut self, name: &str) -> Result<&mut Attribute> {
        let one = self.change();
        let place = one
            .attributes
            .binary_search_by(|attribute| attribute.name.as_str().cmp(name))
            .map_err(|_| one.unknown(name))?;
        Ok(&mut one.attributes[place])
    }

    fn change(&mut self) -> &mut EntityType {
        &mut self.schema.types[self.place]
    }
}

/// Its description on the wire.
fn kind(kind: &AttributeKind) -> Json {
    let reference = |target: &SmolStr| json!({"$ref": target});
    match kind {
        AttributeKind::Text => json!({"type": "string"}),
        AttributeKind::Bool => json!({"type": "boolean"}),
        AttributeKind::Integer => json!({"type": "integer"}),
        AttributeKind::Number => json!({"type": "number"}),
        AttributeKind::DateTime => json!({"type": "string", "format": "date-time"}),
        AttributeKind::Variable => json!({"type": "variable"}),
        AttributeKind::Reference(target) => reference(target),
        AttributeKind::Collection(target) => json!({"type": "array", "items": reference(target)}),
        AttributeKind::Mapped(target) => {
            json!({"type": "mapped_array", "items": reference(target)})
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::tests::schema;

    fn task(schema: &mut Schema) -> EntityTypeChanges<'_> {
        let mut types = schema.types.iter();
        let place = types.position(|one| one.name() == "Task").unwrap();
        EntityTypeChanges::new(schema, place)
    }

    #[test]
    fn changes_what_it_says() {
        let mut schema = schema();
        let mut task = task(&mut schema);
        task.set_default_projections(["name"]).unwrap();
        task.add_default_projections(["status.name", "name"])
            .unwrap();
        task.set_read_only("bid").unwrap();
        task.set_default("bid", 5).unwrap();
        let one = schema.entity_type("Task").unwrap();
        assert_eq!(one.default_projections(), ["name", "status.name"]);
        let bid = one.attribute("bid").unwrap();
        assert!(!bid.is_mutable());
        assert_eq!(bid.default(), &AttributeDefault::Value(5.into()));
    }

    #[test]
    fn refuses_what_is_not_there() {
        let mut schema = schema();
        let mut task = task(&mut schema);
        let before = task.entity_type().default_projections().to_vec();
        let error = task
            .add_default_projections(["name", "staus.name"])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownAttribute);
        assert_eq!(task.entity_type().default_projections(), before);
        assert!(
            task.set_read_only("nmae")
                .unwrap_err()
                .to_string()
                .contains("name")
        );
        assert_eq!(
            task.set_default("status", "x").unwrap_err().kind(),
            ErrorKind::WrongType
        );
    }

    #[test]
    fn replies_change_the_same() {
        let mut schema = schema();
        let mut task = task(&mut schema);
        assert_eq!(
            task.describe()["schema"]["properties"]["status"],
            json!({"$ref": "Status"})
        );
        let reply = json!({
            "default_projections": ["name"], "add_default_projections": ["bid"],
            "read_only": ["name"], "defaults": {"bid": 1.5},
        });
        task.apply(reply).unwrap();
        let described = task.describe();
        assert_eq!(
            described["schema"]["default_projections"],
            json!(["name", "bid"])
        );
        assert!(
            described["schema"]["immutable"]
                .as_array()
                .unwrap()
                .contains(&json!("name"))
        );
        for wrong in [
            json!("Task"),
            json!({"readonly": []}),
            json!({"writable": ["nothing"]}),
        ] {
            assert!(task.apply(wrong).is_err());
        }
    }
}
