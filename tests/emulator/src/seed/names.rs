//! What the names in a seed stand for: an entity of the seed, or one that the studio has.

use rusqlite::OptionalExtension;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::database::model::{Storage, Type};
use crate::seed::Mistake;
use crate::seed::outline::{Node, Outline, names_by};
use crate::site::Site;

/// How many names an error offers.
const OFFERED: i64 = 12;

/// A reference to the entity of type `target` that `name` means in the entity `from`.
///
/// # Errors
///
/// If there is none; the message offers some that there are.
pub(super) fn refer(
    site: &Site,
    outline: &Outline<'_>,
    from: &Node<'_>,
    target: &Type,
    (path, name): (&str, &Value),
) -> Result<Value, Mistake> {
    // Names are those of users, even where an attribute also takes guests.
    let user = site
        .model()
        .find("User")
        .filter(|_| target.name == "BaseUser");
    let target = user.unwrap_or(target);
    let kind = &target.name;
    let Some(name) = name.as_str() else {
        let message = format!("this must be the name of a {kind}, as text");
        return Err(Mistake::new(path, message));
    };
    let reference = |kind: &str, id: &str| json!({"__entity_type__": kind, "id": id});
    let is_context = site.model().table(target).name == "context";
    let node = match is_context {
        true => outline.context(from, name),
        false => outline.named(kind, name),
    };
    if let Some(node) = node {
        return Ok(reference(node.entity_type, &node.id));
    }
    if Uuid::parse_str(name).is_ok() {
        return Ok(reference(kind, name));
    }
    let column = target.get(names_by(kind)).map(|attr| &attr.storage);
    let Some(Storage::Column(column)) = column.filter(|_| !is_context) else {
        let message = format!(
            "the seed has no {kind} \"{name}\" here: give its names from the project down, or an id"
        );
        return Err(Mistake::new(path, message));
    };
    match find(site, target, column, name).map_err(|fault| Mistake::new(path, fault))? {
        Ok(id) => Ok(reference(kind, &id)),
        Err(known) => Err(Mistake::new(
            path,
            format!(
                "there is no {kind} \"{name}\"; there are {}",
                known.join(", ")
            ),
        )),
    }
}

/// The id of the row with this name, or some names that there are.
fn find(
    site: &Site,
    target: &Type,
    column: &str,
    name: &str,
) -> Result<Result<String, Vec<String>>, String> {
    let table = &site.model().table(target).name;
    let found = site.database.read(|connection| {
        let sql = format!("SELECT id FROM \"{table}\" WHERE \"{column}\" = ?1 ORDER BY id");
        let found = connection
            .prepare(&sql)?
            .query_row([name], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            return Ok(Ok(id));
        }
        let sql = format!(
            "SELECT DISTINCT \"{column}\" FROM \"{table}\" WHERE \"{column}\" IS NOT NULL \
             ORDER BY 1 LIMIT {OFFERED}"
        );
        let mut statement = connection.prepare(&sql)?;
        let known = statement.query_map([], |row| row.get(0))?;
        Ok(Err(known.collect::<rusqlite::Result<_>>()?))
    });
    found.map_err(|fault| fault.to_string())
}
