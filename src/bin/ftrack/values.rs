//! From texts to values, by the types of the schema: what a user types after `name=`, and the cells of
//! an import.

use std::collections::HashMap;

use ftrack_api::entity::CustomAttributeKind;
use ftrack_api::query::{field, select};
use ftrack_api::schema::{Attribute, AttributeKind, EntityType};
use ftrack_api::uuid::Uuid;
use ftrack_api::{Entity, EntityKey, ErrorKind, Session, Value};

use crate::failure::{Failure, Result};
use crate::literal::{boolean, custom_value, date_time, number};
use crate::locate;
use crate::parents::Parents;

/// What a name before `=`, or a column of a file, stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Attribute(String),
    /// `custom.key`
    Custom(String),
    /// `metadata.key`
    Metadata(String),
    /// `path`: the names from the project on, which say the parent and the name
    Path,
}

/// A name and a text, as in `bid=3600`.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Place {
    /// Reads a name. `status.name` means `status`, as exports call it.
    ///
    /// # Errors
    ///
    /// - If entities of this type have no such attribute.
    pub(crate) fn parse(entity_type: &EntityType, name: &str) -> Result<Self> {
        match name.split_once('.') {
            Some(("custom", key)) => {
                entity_type.attribute("custom_attributes")?;
                return Ok(Self::Custom(key.to_owned()));
            }
            Some(("metadata", key)) => {
                entity_type.attribute("metadata")?;
                return Ok(Self::Metadata(key.to_owned()));
            }
            Some((reference, "name" | "username")) => {
                let attribute = entity_type.attribute(reference)?;
                if matches!(attribute.kind(), AttributeKind::Reference(_)) {
                    return Ok(Self::Attribute(reference.to_owned()));
                }
            }
            None if name == "path" && has_path(entity_type) => return Ok(Self::Path),
            _ => {}
        }
        let attribute = entity_type.attribute(name)?;
        match attribute.kind() {
            AttributeKind::Mapped(_) => {
                let prefix = name.split('_').next().unwrap_or(name);
                let failure = Failure::invalid(format!("{name:?} holds key-value pairs"));
                Err(failure.with_remedy(format!("set one of them with {prefix}.KEY=VALUE")))
            }
            _ => Ok(Self::Attribute(attribute.name().to_owned())),
        }
    }
}

impl Assignment {
    /// Reads `name=value`.
    pub(crate) fn parse(entity_type: &EntityType, text: &str) -> Result<Self> {
        let Some((name, value)) = text.split_once('=') else {
            let failure = Failure::usage(format!("{text:?} is not of the form NAME=VALUE"));
            return Err(failure.with_remedy("write bid=3600, or \"name=two words\""));
        };
        Ok(Self {
            place: Place::parse(entity_type, name.trim())?,
            text: value.to_owned(),
        })
    }
}

/// Converts texts, and remembers what it has looked up.
pub(crate) struct Values<'a> {
    session: &'a Session,
    /// Entities by type, workflow and name.
    known: HashMap<(String, String, String), EntityKey>,
    parents: Parents,
    /// The kinds of custom attributes, by entity type and key.
    custom: HashMap<(String, String), CustomAttributeKind>,
}

impl<'a> Values<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        Self {
            session,
            known: HashMap::new(),
            parents: Parents::default(),
            custom: HashMap::new(),
        }
    }

    pub(crate) fn session(&self) -> &'a Session {
        self.session
    }

    /// Finds the parents that these paths name together, before they are asked for one by one. What was
    /// remembered of many earlier rows is forgotten, so that memory does not grow with a file.
    pub(crate) fn load_parents<'b>(&mut self, paths: impl Iterator<Item = &'b str>) -> Result<()> {
        self.parents.load(self.session, paths)
    }

    /// The key of the parent and the name that a path says.
    pub(crate) fn split_path(&mut self, text: &str) -> Result<(EntityKey, String)> {
        self.parents.split(self.session, text)
    }

    /// The value of an attribute. `near` is the entity, or the parent of a new one: statuses and types
    /// are those that its project offers.
    pub(crate) fn value(
        &mut self,
        entity_type: &EntityType,
        name: &str,
        text: &str,
        near: Option<&Entity>,
    ) -> Result<Value> {
        let attribute = entity_type.attribute(name)?;
        let is_text = matches!(attribute.kind(), AttributeKind::Text);
        if text.is_empty() && !is_text {
            return Ok(Value::Null);
        }
        let wrong = |wanted: &str| {
            let name = attribute.name();
            Failure::invalid(format!(
                "{name} of {} takes {wanted}, not {text:?}",
                entity_type.name()
            ))
        };
        match attribute.kind() {
            AttributeKind::Text => Ok(Value::from(text)),
            AttributeKind::Bool => boolean(text).ok_or_else(|| wrong("true or false")),
            AttributeKind::Integer => {
                let number = text.trim().parse::<i64>();
                number.map(Value::from).map_err(|_| wrong("a whole number"))
            }
            AttributeKind::Number => number(text).ok_or_else(|| wrong("a number")),
            AttributeKind::DateTime => date_time(text)
                .ok_or_else(|| wrong("a date such as 2026-01-31 or 2026-01-31T10:00:00Z")),
            AttributeKind::Reference(target) => {
                let key = self.reference(attribute, target, entity_type, text, near)?;
                Ok(Value::from(key))
            }
            AttributeKind::Collection(target) => {
                let names = text
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty());
                let keys =
                    names.map(|name| self.reference(attribute, target, entity_type, name, near));
                Ok(Value::Collection(keys.collect::<Result<_>>()?))
            }
            _ => Ok(match serde_json::from_str::<serde_json::Value>(text) {
                Ok(json) => Value::from(json),
                Err(_) => Value::from(text),
            }),
        }
    }

    /// Sets the value of a custom attribute or of a piece of metadata.
    pub(crate) fn set_pair(&mut self, entity: &Entity, place: &Place, text: &str) -> Result<()> {
        match place {
            Place::Attribute(name) => {
                let near = Some(entity);
                let value = self.value(entity.type_info(), name, text, near)?;
                Ok(entity.set(name, value)?)
            }
            Place::Metadata(key) => Ok(entity.metadata()?.set(key, text)?),
            Place::Path => {
                let failure = Failure::invalid("a path cannot be set");
                Err(failure.with_remedy("set name and parent"))
            }
            Place::Custom(key) => {
                let kind = self.custom_kind(entity, key)?;
                let value = custom_value(key, kind, text)?;
                Ok(entity.custom_attributes()?.set(key, value)?)
            }
        }
    }

    /// Whether a custom attribute or a piece of metadata has this value already.
    pub(crate) fn has_pair(&mut self, entity: &Entity, place: &Place, text: &str) -> Result<bool> {
        match place {
            Place::Attribute(_) => Ok(false),
            // It is how the entity was found.
            Place::Path => Ok(true),
            Place::Metadata(key) => {
                let known = entity.metadata()?.get(key)?;
                Ok(known.unwrap_or_default() == text)
            }
            Place::Custom(key) => {
                let kind = self.custom_kind(entity, key)?;
                let value = custom_value(key, kind, text)?;
                let known: Value = entity.custom_attributes()?.get(key)?;
                Ok(match (&known, &value) {
                    (Value::Null, Value::Text(text)) | (Value::Text(text), Value::Null) => {
                        text.is_empty()
                    }
                    (known, value) => known.to_string() == value.to_string(),
                })
            }
        }
    }

    fn custom_kind(&mut self, entity: &Entity, key: &str) -> Result<CustomAttributeKind> {
        let known = (entity.entity_type().to_owned(), key.to_owned());
        if let Some(kind) = self.custom.get(&known) {
            return Ok(*kind);
        }
        let found = entity.custom_attributes()?.configurations(key)?;
        let kind = found.first().map_or(
            CustomAttributeKind::Other,
            ftrack_api::entity::CustomAttribute::kind,
        );
        self.custom.insert(known, kind);
        Ok(kind)
    }

    /// The entity that a text names: by key, or by the name that such entities are known by.
    fn reference(
        &mut self,
        attribute: &Attribute,
        target: &str,
        entity_type: &EntityType,
        text: &str,
        near: Option<&Entity>,
    ) -> Result<EntityKey> {
        let text = text.trim();
        if Uuid::try_parse(text).is_ok() {
            return Ok(EntityKey::new(target, text));
        }
        let placed = (format!("{target} at"), String::new(), text.to_owned());
        if let Some(key) = self.known.get(&placed) {
            return Ok(key.clone());
        }
        if let Some(entity) = locate::by_key_or_path(self.session, target, text)? {
            self.known.insert(placed, entity.key());
            return Ok(entity.key());
        }
        let is_of_workflow = matches!(target, "Status" | "Type");
        let workflow = match near.filter(|_| is_of_workflow) {
            Some(near) => workflow_of(near)?,
            None => None,
        };
        let scope = workflow.as_ref().map(Entity::id).unwrap_or_default();
        let known = (
            format!("{target} of {}", entity_type.name()),
            scope,
            text.to_owned(),
        );
        if let Some(key) = self.known.get(&known) {
            return Ok(key.clone());
        }
        let found = match (&workflow, target) {
            (Some(workflow), "Status") => workflow.get_status(entity_type.name(), text)?,
            (Some(workflow), _) => workflow.get_type(entity_type.name(), text)?,
            (None, _) => self.by_name(attribute, target, text)?,
        };
        self.known.insert(known, found.key());
        Ok(found.key())
    }

    fn by_name(&self, attribute: &Attribute, target: &str, text: &str) -> Result<Entity> {
        let target = self.session.schema().entity_type(target)?;
        let (type_name, name) = match target.name() {
            "User" | "Resource" => ("User", "username"),
            other => (other, "name"),
        };
        let target = self.session.schema().entity_type(type_name)?;
        if target.attribute(name).is_err() {
            let attribute = attribute.name();
            let failure =
                Failure::invalid(format!("{text:?} is not an id, and {attribute} takes one"));
            return Err(failure);
        }
        let query = self.session.query(
            select(type_name)
                .fields([name])
                .filter(field(name).eq(text)),
        )?;
        query.one().map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Failure::not_found(format!("no {type_name} has the {name} {text:?}"))
            }
            ErrorKind::MultipleFound => {
                let message =
                    format!("several entities of type {type_name} have the {name} {text:?}");
                let failure = Failure::new(crate::failure::Code::Ambiguous, message);
                failure.with_remedy("give the id of one of them")
            }
            _ => error.into(),
        })
    }
}

/// What says which statuses and types there are for an entity.
pub(crate) fn workflow_of(entity: &Entity) -> Result<Option<Entity>> {
    match workflow_path(entity) {
        Some(path) => Ok(entity.get::<Option<Entity>>(path)?),
        None => Ok(None),
    }
}

/// Where an entity refers to it.
pub(crate) fn workflow_path(entity: &Entity) -> Option<&'static str> {
    let schema = entity.session().schema();
    match entity.entity_type() {
        "Project" => Some("project_schema"),
        "AssetVersion" => Some("asset.parent.project.project_schema"),
        other if schema.is_kind_of(other, "TypedContext") => Some("project.project_schema"),
        _ => None,
    }
}

/// Whether entities of this type have a place below a project.
fn has_path(entity_type: &EntityType) -> bool {
    let has = |name: &str| entity_type.attribute(name).is_ok();
    has("parent") && has("link") && !has("path")
}
