//! Getting an entity by its data, or creating it.

use crate::entity::{CUSTOM_ATTRIBUTES, METADATA};
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::query::{Criterion, all_of, field, select};
use crate::value::{Data, Paths};

impl Session {
    /// The only entity with the values that `data` has for `identifying_keys`. It is created if it
    /// does not exist, and updated where the rest of `data` differs. Without identifying keys, all of
    /// `data` must match.
    ///
    /// As in Python, the change is committed at once, together with everything else that is
    /// recorded.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::data;
    ///
    /// let data = data! { "username": "ada", "email": "ada@example.com" };
    /// let ada = session.ensure("User", data.clone(), "username")?;
    /// assert_eq!(session.ensure("User", data, "username")?, ada);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A new entity is discarded after an error, unless the commit is in doubt: then the next call
    /// finds out first whether it was created. Changes of an entity stay recorded, and the next call
    /// commits them.
    ///
    /// - [`ErrorKind::Validation`] if an identifying key is not in `data`, or there is nothing to
    ///   identify the entity by.
    /// - [`ErrorKind::MultipleFound`] if several entities match: nothing is changed.
    /// - Any error of [`create`](Self::create), [`Entity::set`] and [`commit`](Self::commit).
    pub fn ensure(
        &self,
        entity_type: &str,
        data: Data,
        identifying_keys: impl Paths,
    ) -> Result<Entity> {
        let criterion = identity(entity_type, &data, &identifying_keys.to_paths())?;
        self.resolve_doubt()?;
        let names: Vec<&str> = data.names().collect();
        let query = self.query(select(entity_type).fields(names).filter(criterion))?;
        let entity = match query.one() {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return self.commit_with(self.create(entity_type, data));
            }
            Err(error) => return Err(error),
        };
        let has_pairs = [METADATA, CUSTOM_ATTRIBUTES]
            .iter()
            .any(|name| data.contains(name));
        self.update(entity_type, entity.key(), data)?;
        // An earlier call may have recorded the same values and failed to commit them.
        let is_changed = entity.state().is_some()
            || has_pairs && self.shared.store.lock().operations().next().is_some();
        if is_changed {
            self.commit()?;
        }
        Ok(entity)
    }
}

fn identity(entity_type: &str, data: &Data, keys: &[&str]) -> Result<Criterion> {
    let mut criteria = Vec::new();
    for key in keys {
        if !data.contains(key) {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("the identifying key {key:?} of {entity_type} is not in the data"),
            ));
        }
    }
    for (name, value) in data {
        if keys.is_empty() || keys.contains(&name) {
            criteria.push(field(name).eq(value));
        }
    }
    if criteria.is_empty() {
        return Err(Error::new(
            ErrorKind::Validation,
            format!("there is nothing to identify the {entity_type} by: the data is empty"),
        ));
    }
    Ok(all_of(criteria))
}
