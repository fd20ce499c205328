//! Entities as people know them: by their names, as far as those are loaded.

use crate::value::{EntityKey, Value};

use super::Store;

/// Attributes that name an entity; the first that is loaded does.
const NAMES: [&str; 5] = ["name", "full_name", "username", "label", "key"];

/// The end of the names of types whose rows hold a value of a custom attribute.
const CUSTOM_VALUE: &str = "CustomAttributeValue";

impl Store {
    /// The entity for plans and messages: `Shot "sh010" (bad9…)`. Rows of custom attributes and
    /// metadata are described by their key and the entity that they belong to.
    pub(crate) fn describe(&self, entity: &EntityKey) -> String {
        if let Some(described) = self.describe_pair(entity) {
            return described;
        }
        let name = NAMES.iter().find_map(|name| self.known_text(entity, name));
        match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("{} {name:?} ({})", entity.entity_type(), entity.id()),
            None => entity.to_string(),
        }
    }

    /// A row that is a key-value pair of another entity.
    fn describe_pair(&self, entity: &EntityKey) -> Option<String> {
        let key = self.known_text(entity, "key")?;
        let entity_type = entity.entity_type();
        let (what, owner, owner_type) = match entity_type.strip_suffix(CUSTOM_VALUE) {
            Some(owner_type) => (
                "custom attribute",
                self.known_text(entity, "entity_id")?,
                owner_type.to_owned(),
            ),
            None if entity_type == "Metadata" => (
                "metadata",
                self.known_text(entity, "parent_id")?,
                self.known_text(entity, "parent_type")?,
            ),
            None => return None,
        };
        let owner = EntityKey::new(owner_type, owner);
        let owner = self.find_key(&owner).map_or(owner, |place| self.key(place));
        Some(format!("{what} {key:?} of {}", self.describe(&owner)))
    }

    fn known_text(&self, entity: &EntityKey, name: &str) -> Option<String> {
        match self.known(self.find_key(entity)?, name)? {
            Value::Text(text) => Some(text.to_string()),
            _ => None,
        }
    }
}
