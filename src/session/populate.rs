//! Loading what is read and not there.

use crate::config::Populate;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Session;
use crate::store::{Fetch, Read};
use crate::value::Value;

use super::get::by_keys;

/// How many entities one request names: their keys take some 20 kB.
const CHUNK: usize = 500;

impl Session {
    /// Reads an attribute or a path of references, fetching what is missing.
    ///
    /// # Errors
    ///
    /// What the store says of the path; [`ErrorKind::NotLoaded`] where fetching is not allowed;
    /// [`ErrorKind::NotFound`] if the server knows the entity no more; and what kept the
    /// server's answer from arriving.
    pub(crate) fn read(&self, place: u32, path: &str) -> Result<Option<Value>> {
        let mut asked = None;
        loop {
            let read = self.shared.store.lock().read(place, path)?;
            let missing = match read {
                Read::Known(value) => return Ok(Some(value)),
                Read::NotSet => return Ok(None),
                Read::Missing { place, path } => (place, path),
            };
            let mode = self.populate_mode();
            if mode == Populate::Off {
                return Ok(None);
            }
            if mode == Populate::Raise {
                return Err(self.not_loaded(&missing));
            }
            if asked.as_ref() == Some(&missing) {
                return Err(self.no_answer(&missing));
            }
            self.fetch(missing.0, &missing.1, mode == Populate::Peers)?;
            asked = Some(missing);
        }
    }

    /// Fetches what lies at `path` from the entity at `place` on, and for its peers that lack
    /// it too.
    fn fetch(&self, place: u32, path: &str, peers: bool) -> Result<()> {
        let name = path.split('.').next().unwrap_or(path);
        let Fetch { entity_type, keys } = self.shared.store.lock().lacking(place, name, peers);
        let entity_type = self.schema().entity_type(&entity_type)?;
        self.schema().check_path(entity_type, path)?;
        log::debug!("loading {path} for {} × {}", keys.len(), entity_type.name());
        for keys in keys.chunks(CHUNK) {
            let statement = by_keys(entity_type, entity_type.name(), keys).fields([path]);
            self.query(statement)?.all()?;
        }
        Ok(())
    }

    fn not_loaded(&self, (place, path): &(u32, String)) -> Error {
        let entity = self.shared.store.lock().key(*place);
        Error::new(
            ErrorKind::NotLoaded,
            format!(
                "{path:?} of {entity} is not loaded; project it in the query, populate it, or \
                 allow loading on access"
            ),
        )
    }

    fn no_answer(&self, (place, path): &(u32, String)) -> Error {
        let entity = self.shared.store.lock().key(*place);
        Error::new(
            ErrorKind::NotFound,
            format!("the server gave no {path:?} for {entity}; it may have been deleted"),
        )
    }
}
