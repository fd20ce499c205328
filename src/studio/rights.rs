//! What the user of a session may do, according to the server.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::entity::take_mappings;
use crate::wire::value_to_json;
use crate::{Data, Entity, EntityState, Error, ErrorKind, Result, Session, Value};

/// Something that a user may be allowed to do; for [`Session::can`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Right {
    /// Read entities of this type.
    Read(String),
    /// Create an entity of this type from these values.
    Create(String, Data),
    /// Change this attribute of an entity.
    Update(Entity, String),
    /// Delete this entity.
    Delete(Entity),
}

impl Right {
    /// To read entities of this type.
    pub fn read(entity_type: impl Into<String>) -> Self {
        Self::Read(entity_type.into())
    }

    /// To create an entity of this type from these values.
    pub fn create(entity_type: impl Into<String>, data: Data) -> Self {
        Self::Create(entity_type.into(), data)
    }

    /// To change this attribute of an entity.
    pub fn update(entity: &Entity, attribute: impl Into<String>) -> Self {
        Self::Update(entity.clone(), attribute.into())
    }

    /// To delete this entity.
    pub fn delete(entity: &Entity) -> Self {
        Self::Delete(entity.clone())
    }
}

impl Session {
    /// Whether the server lets this session's user do something: before a farm job spends hours on what
    /// it may not publish.
    ///
    /// The server is asked to do it in a transaction that must fail: its last change is of an entity that
    /// does not exist. So nothing is changed, and no event is sent. If the server complains about that
    /// last change, it has allowed the first one. One request, and one more for the value of an
    /// attribute that is not loaded. Recorded operations play no part. Whether the values of
    /// a new entity are complete is not checked: [`Plan::check`](crate::operation::Plan::check) does that.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    /// use ftrack_api::studio::Right;
    ///
    /// let shot = session.at("test/ep01/sq010/sh0010")?;
    /// assert!(session.can(&Right::read("Shot"))?);
    /// assert!(session.can(&Right::update(&shot, "description"))?);
    /// assert!(session.can(&Right::create("Asset", data! { "name": "plate", "parent": &shot }))?);
    /// assert!(session.can(&Right::delete(&shot))?); // and the shot is still there
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownType`], [`ErrorKind::UnknownAttribute`] and [`ErrorKind::Immutable`] for what
    ///   nobody can change.
    /// - [`ErrorKind::Validation`] if the entity is not committed yet.
    /// - The error of the server, if it refuses the change for another reason than rights.
    /// - Errors of a request, and of reading the attribute.
    pub fn can(&self, right: &Right) -> Result<bool> {
        let id = Uuid::new_v4().to_string();
        let change = match right {
            Right::Read(entity_type) => {
                let query = self.select(entity_type.as_str()).limit(1);
                return match query.all() {
                    Ok(_) => Ok(true),
                    Err(error) if is_forbidden(error.kind()) => Ok(false),
                    Err(error) => Err(error),
                };
            }
            Right::Create(entity_type, data) => {
                let mut data = data.clone();
                // They become entities of their own.
                take_mappings(&mut data);
                let known = self.schema().entity_type(entity_type)?;
                for (name, _) in &data {
                    self.schema().attribute_of(known, name)?;
                }
                let mut values = json!({ "__entity_type__": entity_type, "id": id });
                for (name, value) in &data {
                    values[name] = value_to_json(self.schema(), value)?;
                }
                json!({
                    "action": "create",
                    "entity_type": entity_type,
                    "entity_key": [values["id"]],
                    "entity_data": values,
                })
            }
            Right::Update(entity, attribute) => {
                entity.check_committed("asking what may be done with it")?;
                let known = self.schema().attribute_of(entity.type_info(), attribute)?;
                if !known.is_mutable() {
                    let message = format!("{attribute} of {entity} cannot be changed by anybody");
                    return Err(Error::new(ErrorKind::Immutable, message));
                }
                // The value that it has: even if this were applied, nothing would change.
                let value = entity.value(attribute)?.unwrap_or(Value::Null);
                let mut values = json!({ "__entity_type__": entity.entity_type() });
                values[attribute] = value_to_json(self.schema(), &value)?;
                json!({
                    "action": "update",
                    "entity_type": entity.entity_type(),
                    "entity_key": entity.key().parts().collect::<Vec<String>>(),
                    "entity_data": values,
                })
            }
            Right::Delete(entity) => {
                // Servers take the deletion of a missing entity for done.
                entity.check_committed("asking what may be done with it")?;
                json!({
                    "action": "delete",
                    "entity_type": entity.entity_type(),
                    "entity_key": entity.key().parts().collect::<Vec<String>>(),
                })
            }
        };
        let nobody = Uuid::new_v4().to_string();
        let failing = json!({
            "action": "update",
            "entity_type": "User",
            "entity_key": [nobody],
            "entity_data": { "__entity_type__": "User", "first_name": Json::Null },
        });
        match self.call(&[change, failing]) {
            Ok(_) => Ok(true),
            Err(error) if is_forbidden(error.kind()) => Ok(false),
            Err(error) => {
                let said = error.server().map(|server| server.content.as_str());
                let is_last = said.is_some_and(|said| said.contains(&nobody));
                if is_last { Ok(true) } else { Err(error) }
            }
        }
    }
}

fn is_forbidden(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Permission | ErrorKind::Authentication)
}

impl Entity {
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if the server does not know it yet.
    pub(super) fn check_committed(&self, what: &str) -> Result<()> {
        if self.state() != Some(EntityState::Created) {
            return Ok(());
        }
        let message = format!("{self} is not committed yet: call `commit` before {what}");
        Err(Error::new(ErrorKind::Validation, message))
    }
}
