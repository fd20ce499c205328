//! Attribute values as Rust types, entities included; entities as values.

use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::query::{Operand, ToOperand};
use crate::value::{EntityKey, FromValue, IntoKey, Lent, Mismatch, Value};

/// A type that [`Entity::get`] can return: every [`FromValue`], and entities of the session.
#[diagnostic::on_unimplemented(
    message = "an attribute cannot be read as `{Self}`",
    label = "expected a type that implements `FromAttribute`",
    note = "read it as a text, number, boolean, date, `Value`, `Entity`, an `Option` of these, or a \
            `Vec` of entities; implement `FromValue` for types of your own"
)]
pub trait FromAttribute: Sized {
    /// Reads `value`, which comes from `session`.
    ///
    /// # Errors
    ///
    /// - [`Mismatch`] if the value is of another type.
    fn from_attribute(value: Value, session: &Session) -> Result<Self, Mismatch>;

    /// Reads a value in place, or returns `None` to fall back to
    /// [`from_attribute`](Self::from_attribute). It runs while the session is locked; other crates
    /// cannot name its argument and so cannot implement it.
    #[doc(hidden)]
    fn read_lent(_: Lent<'_>) -> Option<Self> {
        None
    }
}

impl<T: FromValue> FromAttribute for T {
    fn from_attribute(value: Value, _: &Session) -> Result<Self, Mismatch> {
        T::from_value(value)
    }

    fn read_lent(lent: Lent<'_>) -> Option<Self> {
        T::from_lent(lent)
    }
}

impl FromAttribute for Entity {
    fn from_attribute(value: Value, session: &Session) -> Result<Self, Mismatch> {
        known(session, &EntityKey::from_value(value)?)
    }
}

impl FromAttribute for Option<Entity> {
    fn from_attribute(value: Value, session: &Session) -> Result<Self, Mismatch> {
        let key = Option::<EntityKey>::from_value(value)?;
        key.map(|key| known(session, &key)).transpose()
    }
}

impl FromAttribute for Vec<Entity> {
    fn from_attribute(value: Value, session: &Session) -> Result<Self, Mismatch> {
        let keys = Vec::<EntityKey>::from_value(value)?;
        keys.iter().map(|key| known(session, key)).collect()
    }
}

/// Keys from the session's own store are always valid; keys in values of other origin may not be.
fn known(session: &Session, key: &EntityKey) -> Result<Entity, Mismatch> {
    session.entity_of(key).map_err(|error| Mismatch {
        wanted: "a reference to an entity of the session's server",
        found: error.to_string(),
    })
}

impl From<&Entity> for Value {
    fn from(entity: &Entity) -> Self {
        Self::Reference(entity.key())
    }
}

impl From<Entity> for Value {
    fn from(entity: Entity) -> Self {
        Self::Reference(entity.key())
    }
}

impl From<&[Entity]> for Value {
    fn from(entities: &[Entity]) -> Self {
        Self::Collection(entities.iter().map(Entity::key).collect())
    }
}

impl From<Vec<Entity>> for Value {
    fn from(entities: Vec<Entity>) -> Self {
        entities.as_slice().into()
    }
}

impl From<&Vec<Entity>> for Value {
    fn from(entities: &Vec<Entity>) -> Self {
        entities.as_slice().into()
    }
}

impl<const N: usize> From<[&Entity; N]> for Value {
    fn from(entities: [&Entity; N]) -> Self {
        Self::Collection(entities.into_iter().map(Entity::key).collect())
    }
}

impl From<&Entity> for EntityKey {
    fn from(entity: &Entity) -> Self {
        entity.key()
    }
}

impl From<Entity> for EntityKey {
    fn from(entity: Entity) -> Self {
        entity.key()
    }
}

/// In a query, an entity stands for its primary key.
impl ToOperand for Entity {
    fn to_operand(&self) -> Result<Operand> {
        self.key().to_operand()
    }
}

impl IntoKey for &Entity {
    fn into_key(self, _: &str) -> EntityKey {
        self.key()
    }
}

impl IntoKey for Entity {
    fn into_key(self, _: &str) -> EntityKey {
        self.key()
    }
}
