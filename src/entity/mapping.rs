//! Whole mappings, metadata and custom attributes, given as JSON objects.

use serde_json::Value as Json;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::schema::AttributeKind;
use crate::value::{Data, EntityKey, Value};

pub(crate) const METADATA: &str = "metadata";
pub(crate) const CUSTOM_ATTRIBUTES: &str = "custom_attributes";

/// Takes the mappings that are given as JSON out of `data`: they are entities of their own, which
/// refer to the one that has them. Custom attributes come first, because their values may be refused.
pub(crate) fn take_mappings(data: &mut Data) -> Vec<(&'static str, Value)> {
    let is_json = |name: &&str| matches!(data.get(name), Some(Value::Json(_)));
    let names = [CUSTOM_ATTRIBUTES, METADATA].into_iter().filter(is_json);
    let names: Vec<&str> = names.collect();
    let taken = names.into_iter().map(|name| (name, data.remove(name)));
    taken
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

impl Entity {
    /// Changes what this session knows of the rows of a mapping: each row is sent by itself. Sent as
    /// a whole, the list would delete the rows that others added in the meantime.
    pub(super) fn extend_rows(
        &self,
        mapping: &str,
        added: &[EntityKey],
        removed: &[EntityKey],
    ) -> Result<()> {
        let (place, recording) = (self.handle.place, self.session.is_recording());
        let mut store = self.session.shared.store.lock();
        store.extend_along(place, mapping, added, removed, recording)
    }

    /// Cancels the deletion of a row that is not committed, and returns the row; `None` if there is
    /// no such deletion.
    pub(super) fn revive_row(&self, mapping: &str, row: &EntityKey) -> Result<Option<Entity>> {
        let mut store = self.session.shared.store.lock();
        if !store.revive(row)? {
            return Ok(None);
        }
        store.cancel_removal(self.handle.place, mapping, row)?;
        drop(store);
        self.session.entity(row).map(Some)
    }

    pub(super) fn delete_row(&self, mapping: &str, row: &Entity) -> Result<()> {
        self.session.check_writable()?;
        self.extend_rows(mapping, &[], &[row.key()])?;
        self.session.delete(row)
    }

    /// Assigns a JSON object to `metadata` or `custom_attributes`. Returns false if that is not
    /// what is given.
    pub(super) fn set_mapping(&self, name: &str, value: &Value) -> Result<bool> {
        let Value::Json(json) = value else {
            return Ok(false);
        };
        let attribute = self.session.schema().attribute_of(self.type_info(), name)?;
        if !matches!(attribute.kind(), AttributeKind::Mapped(_)) {
            return Ok(false);
        }
        self.replace_mapping(attribute.name(), &json.to_json())
            .map(|()| true)
    }

    /// Makes the pairs of a JSON object the only ones of `metadata` or `custom_attributes`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] for other JSON; else as for the methods of the mapping.
    pub(crate) fn replace_mapping(&self, name: &str, json: &Json) -> Result<()> {
        let Some(pairs) = json.as_object() else {
            let message = format!("{name} of {self} takes a JSON object, not {json}");
            return Err(Error::new(ErrorKind::WrongType, message));
        };
        let pairs = pairs
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()));
        match name {
            METADATA => self.metadata()?.replace(pairs),
            _ => self.custom_attributes()?.replace(pairs),
        }
    }
}
