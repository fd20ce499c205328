//! Changes to collections, which need not be loaded for it.

use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Result};
use crate::operation::Operation;
use crate::schema::NameId;
use crate::value::{EntityKey, Slot};

use super::{Life, Store};

impl Store {
    /// Adds entities to a collection and removes others. The collection need not be loaded.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if one of `added` is known to be a member.
    /// - Any error of [`set`](Self::set).
    pub(crate) fn extend(
        &mut self,
        place: u32,
        name: &str,
        added: &[EntityKey],
        removed: &[EntityKey],
        record: bool,
    ) -> Result<()> {
        let number = record.then_some(self.recorded);
        self.extend_with(place, name, added, removed, number)?;
        if record {
            let operation = Operation::Extend {
                entity: self.key(place),
                attribute_name: name.to_owned(),
                added: added.to_vec(),
                removed: removed.to_vec(),
            };
            self.push(place, operation);
        }
        Ok(())
    }

    /// The same for a change that the server makes itself when it applies the operation that was
    /// recorded last.
    ///
    /// # Errors
    ///
    /// - Any error of [`extend`](Self::extend).
    pub(crate) fn extend_along(
        &mut self,
        place: u32,
        name: &str,
        added: &[EntityKey],
        removed: &[EntityKey],
        record: bool,
    ) -> Result<()> {
        let number = record.then(|| self.recorded.saturating_sub(1));
        self.extend_with(place, name, added, removed, number)
    }

    fn extend_with(
        &mut self,
        place: u32,
        name: &str,
        added: &[EntityKey],
        removed: &[EntityKey],
        number: Option<u64>,
    ) -> Result<()> {
        let id = self.check_collection(place, name, added)?;
        let joining = added.iter().map(|key| self.place(key));
        let joining = joining.collect::<Result<Vec<_>>>()?;
        let leaving = removed.iter().map(|key| self.place(key));
        let leaving = leaving.collect::<Result<Vec<_>>>()?;
        if let Some(twice) = self.first_member(place, id, &joining) {
            let (twice, entity) = (self.key(twice), self.key(place));
            return Err(Error::new(
                ErrorKind::Duplicate,
                format!("{twice} is in {name} of {entity} already"),
            ));
        }
        let local = self.records[place as usize].local.get_or_insert_default();
        match local.get(id) {
            // The whole list was set here: it stays a whole list.
            Some(Slot::Links(members)) => {
                let members = crate::operation::apply(members, &joining, &leaving, |one| one);
                local.replace(id, Slot::Links(members.into()), number);
            }
            _ => local.extend(id, &joining, &leaving, number),
        }
        self.changed.insert(place);
        Ok(())
    }

    /// The members that were added to a collection and removed from it here.
    pub(crate) fn extension(
        &self,
        place: u32,
        name: &str,
    ) -> Option<(Vec<EntityKey>, Vec<EntityKey>)> {
        let local = self.record(place).local.as_ref()?;
        let extension = local.extension(self.schema.name_id(name)?)?;
        let keys = |places: &[u32]| places.iter().map(|&place| self.key(place)).collect();
        Some((keys(&extension.added), keys(&extension.removed)))
    }

    /// Cancels the removal of a member from a collection.
    pub(crate) fn cancel_removal(
        &mut self,
        place: u32,
        name: &str,
        member: &EntityKey,
    ) -> Result<()> {
        let member = self.place(member)?;
        let id = self.attribute_id(place, name)?;
        if let Some(local) = &mut self.records[place as usize].local {
            local.cancel_removal(id, member);
        }
        self.tidy(place);
        Ok(())
    }

    /// The collections that `operations` extend, except those of new entities: others may have changed
    /// them, so that their members must be fetched.
    pub(crate) fn extended_collections<'a>(
        &self,
        operations: &'a [Operation],
    ) -> Vec<(EntityKey, &'a str)> {
        let extended = operations.iter().filter_map(Operation::extended);
        let persisted = extended.filter_map(|(entity, name)| {
            let place = self.find_key(entity)?;
            let is_persisted = self.record(place).state != Life::Created;
            is_persisted.then(|| (self.key(place), name))
        });
        persisted.collect()
    }

    /// The members that a collection has on the server, if it is loaded.
    pub(crate) fn remote_members(&self, entity: &EntityKey, name: &str) -> Vec<EntityKey> {
        let place = self.find_key(entity);
        let found = place.zip(self.schema.name_id(name));
        let members = found.map(|(place, id)| self.remote_links(place, id));
        let members = members.into_iter().flatten();
        members.map(|member| self.key(member)).collect()
    }

    fn check_collection(&self, place: u32, name: &str, added: &[EntityKey]) -> Result<NameId> {
        let entity_type = self.schema.by_id(self.type_of(place));
        let attribute = self.schema.attribute_of(entity_type, name)?;
        self.check_alive(place)?;
        self.check_mutable(place, entity_type, attribute)?;
        super::check::check(
            &self.schema,
            &self.key(place),
            attribute,
            added.to_vec().into(),
        )?;
        Ok(attribute.id())
    }

    fn first_member(&self, place: u32, id: NameId, joining: &[u32]) -> Option<u32> {
        let mut new = HashSet::with_capacity(joining.len());
        if let Some(twice) = joining.iter().find(|member| !new.insert(**member)) {
            return Some(*twice);
        }
        let local = self.record(place).local.as_ref();
        let extension = local.and_then(|local| local.extension(id));
        let known = self.slot(place, id);
        let members: &[u32] = match (known.as_deref(), extension) {
            (Some(Slot::Links(members)), _) => members,
            (_, Some(extension)) => &extension.added,
            _ => return None,
        };
        members.iter().copied().find(|member| new.contains(member))
    }
}
