//! The server's own storage.

use std::io::Read;
use std::sync::Arc;

use super::ranges::Ranged;
use super::{Accessor, Content, PendingWrite, Pieces, upload};
use crate::api::Api;
use crate::error::ErrorKind;
use crate::lock::Mutex;
use storage::{Prepared, ServerStorage};

mod storage;

/// Data in the server's storage; the resource identifier is the component's id.
///
/// It holds the connection and not the session, so that a session does not own itself.
pub(crate) struct ServerAccessor {
    api: Arc<Api>,
}

impl ServerAccessor {
    pub(crate) fn new(api: Arc<Api>) -> Self {
        Self { api }
    }

    fn ranged(&self, id: &str) -> Ranged {
        let (api, name) = (self.api.clone(), id.to_owned());
        let fetch = move |first, last| api.get_file(&name, first, last);
        Ranged::new(self.api.clone(), id, false, fetch)
    }
}

impl Accessor for ServerAccessor {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.open_at(resource_identifier, 0)
    }

    fn open_at(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Box<dyn Read + Send>> {
        let reader = self.ranged(resource_identifier).read_from(offset)?;
        Ok(Box::new(reader))
    }

    fn open_pieces(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Option<Box<dyn Pieces>>> {
        let pieces = self.ranged(resource_identifier).pieces_from(offset)?;
        Ok(Some(Box::new(pieces)))
    }

    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        let prepared = content.take_prepared::<Prepared>();
        let storage = ServerStorage {
            api: &self.api,
            id: resource_identifier,
            file_name: content.file_name().to_owned(),
            prepared: Mutex::new(prepared),
        };
        Ok(upload::send(&storage, resource_identifier, content)?)
    }

    fn allows_connections(&self) -> bool {
        true
    }

    fn keeps_size(&self) -> bool {
        true
    }

    fn prepare(&self, files: &[PendingWrite<'_>]) -> anyhow::Result<Vec<Option<super::Prepared>>> {
        let prepared = storage::prepare(&self.api, files)?.into_iter();
        let boxed = |one| Box::new(one) as super::Prepared;
        Ok(prepared.map(|one| one.map(boxed)).collect())
    }

    /// The server cannot be asked. Ids are unique, so there is never other data.
    fn exists(&self, _: &str) -> anyhow::Result<bool> {
        Ok(false)
    }

    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        match self.api.remove_file(resource_identifier) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            removed => Ok(removed.map(|()| true)?),
        }
    }

    fn get_url(&self, resource_identifier: &str) -> anyhow::Result<String> {
        let url = self.api.file_url("get", resource_identifier);
        Ok(url.into())
    }

    fn get_thumbnail_url(&self, resource_identifier: &str, size: u32) -> anyhow::Result<String> {
        let mut url = self.api.file_url("thumbnail", resource_identifier);
        url.query_pairs_mut().append_pair("size", &size.to_string());
        Ok(url.into())
    }
}
