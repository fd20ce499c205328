//! Errors for names that a type does not have: the nearest name, and the types that have it.

use super::{Attribute, EntityType, Schema};
use crate::error::{Error, Result};

impl Schema {
    /// An attribute of a type of this schema.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`](crate::ErrorKind::UnknownAttribute) with the nearest name,
    ///   and which types have one of that name.
    pub(crate) fn attribute_of<'a>(
        &self,
        entity_type: &'a EntityType,
        name: &str,
    ) -> Result<&'a Attribute> {
        let found = entity_type.attribute(name);
        found.map_err(|_| self.unknown_attribute(entity_type, name))
    }

    pub(crate) fn unknown_attribute(&self, entity_type: &EntityType, name: &str) -> Error {
        entity_type.unknown(name).append(&self.elsewhere(name))
    }

    /// Which types have an attribute, or how many if they are many; links of custom attributes only if
    /// no other type has it.
    pub(crate) fn elsewhere(&self, name: &str) -> String {
        let has = |one: &&EntityType| one.attribute(name).is_ok();
        let owners = self.entity_types().iter().filter(has).map(EntityType::name);
        let (links, owners): (Vec<&str>, Vec<&str>) =
            owners.partition(|owner| owner.contains("CustomAttributeLink"));
        let owners = if owners.is_empty() { links } else { owners };
        match owners.as_slice() {
            [] => String::new(),
            [rest @ .., last] if rest.len() < 4 => {
                let rest: String = rest.iter().map(|one| format!("{one} and ")).collect();
                format!("; `{name}` is an attribute of {rest}{last}")
            }
            many => format!("; `{name}` is an attribute of {} other types", many.len()),
        }
    }
}
