//! From what a user types to an entity: a path, or a type with a key.

use ftrack_api::query::{Criterion, all_of, field, select};
use ftrack_api::uuid::Uuid;
use ftrack_api::{Entity, EntityKey, Session};

use crate::failure::{Failure, Result};

/// Types that a bare id is looked up in.
const TYPES_BY_ID: [&str; 7] = [
    "Context",
    "AssetVersion",
    "Asset",
    "Component",
    "User",
    "Note",
    "List",
];

/// The entity that `text` names: `Task:6f3a…`, a bare id, or the path of a context.
///
/// # Errors
///
/// - If there is no such entity, or there are several.
pub(crate) fn entity(session: &Session, text: &str) -> Result<Entity> {
    if let Some((entity_type, key)) = split_key(text) {
        return by_key(session, entity_type, key);
    }
    if Uuid::try_parse(text).is_ok() {
        return by_id(session, text);
    }
    Ok(session.at(text)?)
}

/// The entity, if the text is `Task:6f3a…`, or the path of a context where one is wanted: `target` is
/// the type that is wanted.
pub(crate) fn by_key_or_path(
    session: &Session,
    target: &str,
    text: &str,
) -> Result<Option<Entity>> {
    match split_key(text) {
        Some((entity_type, key)) if session.schema().entity_type(entity_type).is_ok() => {
            by_key(session, entity_type, key).map(Some)
        }
        _ if session.schema().is_kind_of(target, "Context") => Ok(Some(session.at(text)?)),
        _ => Ok(None),
    }
}

/// The user of this name.
pub(crate) fn user(session: &Session, name: &str) -> Result<Entity> {
    let statement = select("User")
        .fields(["username"])
        .filter(field("username").eq(name));
    let found = session.query(statement)?.first()?;
    found.ok_or_else(|| Failure::not_found(format!("no user has the name {name:?}")))
}

/// `Task:6f3a…` in its two parts.
fn split_key(text: &str) -> Option<(&str, &str)> {
    let (entity_type, key) = text.split_once(':')?;
    let is_type = entity_type.starts_with(char::is_uppercase)
        && entity_type.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_type && !key.is_empty()).then_some((entity_type, key))
}

fn by_key(session: &Session, entity_type: &str, key: &str) -> Result<Entity> {
    let parts = session
        .schema()
        .entity_type(entity_type)?
        .primary_key()
        .len();
    let key = match parts {
        1 => EntityKey::new(entity_type, key),
        _ => EntityKey::composite(entity_type, key.split(',').map(str::trim)),
    };
    session
        .get(entity_type, key.clone())?
        .ok_or_else(|| Failure::not_found(format!("there is no {key}")))
}

fn by_id(session: &Session, id: &str) -> Result<Entity> {
    let known = TYPES_BY_ID
        .iter()
        .filter(|name| session.schema().entity_type(name).is_ok());
    let statements = known.map(|name| select(*name).fields(["id"]).filter(field("id").eq(id)));
    let found = session.query_many(statements.collect::<Vec<_>>())?;
    let found = found.into_iter().flatten().next();
    found.ok_or_else(|| {
        Failure::not_found(format!("no entity has the id {id}"))
            .with_remedy("name its type as well, such as Status:ID: not all types are searched")
    })
}

/// The condition that is true of this entity only.
pub(crate) fn is_entity(entity: &Entity) -> Criterion {
    let key = entity.key();
    let names = entity.type_info().primary_key().iter();
    all_of(
        names
            .zip(key.parts())
            .map(|(name, part)| field(name).eq(part)),
    )
}
