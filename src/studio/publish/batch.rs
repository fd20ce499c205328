//! The content of one commit of a publish.

use std::path::Path;

use super::Publish;
use crate::{Data, Entity, Error, ErrorKind, Location, Result, Session, data};

/// What is recorded for the next commit.
pub(super) struct Batch<'a> {
    pub(super) session: &'a Session,
    pub(super) publish: &'a Publish,
    pub(super) created: Vec<Entity>,
    /// The version, if it is marked as published.
    pub(super) changed: Option<Entity>,
}

impl Batch<'_> {
    pub(super) fn create(&mut self, entity_type: &str, data: Data) -> Result<Entity> {
        let entity = self.session.create(entity_type, data)?;
        self.created.push(entity.clone());
        Ok(entity)
    }

    pub(super) fn metadata(&mut self, entity: &Entity, key: &str, value: &str) -> Result<()> {
        let data = data! {
            "parent_id": entity.id(),
            "parent_type": entity.entity_type(),
            "key": key,
            "value": value,
        };
        self.create("Metadata", data).map(drop)
    }

    pub(super) fn record(
        &mut self,
        path: &Path,
        data: Data,
        ids: impl Iterator<Item = String> + 'static,
        is_elsewhere: bool,
    ) -> Result<Vec<Entity>> {
        let path = path.to_str().ok_or_else(|| {
            let message = format!("{} is not Unicode text", path.display());
            Error::new(ErrorKind::Validation, message)
        })?;
        let recorded = self
            .session
            .record_components(path, data, ids, is_elsewhere)?;
        self.created.extend(recorded.iter().cloned());
        Ok(recorded)
    }

    /// Stores the data of new components in a location, and commits everything.
    pub(super) fn commit_in(
        &mut self,
        location: Option<&Location>,
        components: &[Entity],
    ) -> Result<()> {
        match location {
            Some(location) if !components.is_empty() => {
                let origin = self.session.location("ftrack.origin")?;
                let pairs = components.iter().map(|one| (one.clone(), origin.clone()));
                let pairs: Vec<(Entity, Location)> = pairs.collect();
                let mut options = self.publish.transfer.clone();
                options.keep = self.publish.key.is_some();
                location.plan(&pairs)?.with_options(options).run()?;
            }
            _ => self.session.commit()?,
        }
        self.created.clear();
        self.changed = None;
        Ok(())
    }

    /// Takes back what was recorded.
    pub(super) fn discard(&mut self) {
        self.session.discard(&self.created);
        if let Some(version) = self.changed.take() {
            version.clear();
        }
    }
}
