//! Downloading components to paths of the caller's choice.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use super::members::{is_file, with_members};
use super::options::TransferOptions;
use crate::accessor::{Content, Work, store};
use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location};

impl Location {
    /// Copies the data of components to files of this machine, without registering them.
    ///
    /// `path` is called for each component that has data: for a sequence or container, for its
    /// members. Folders are created. A file becomes visible when it is complete. One request gets
    /// all resource identifiers.
    ///
    /// A file that an interrupted call left incomplete is continued.
    ///
    /// Data in `ftrack.server`, in S3-compatible storage, and wherever else an accessor
    /// [keeps its size](crate::accessor::Accessor::keeps_size), must be as large as the component
    /// says, unless that says 0: what is larger or smaller is not downloaded. A member of a sequence may
    /// be as large as the whole sequence. Where a storage gives an MD5, the file must have it.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plate.mov");
    /// # std::fs::write(&path, "not really a movie")?;
    /// use ftrack_api::data;
    /// use ftrack_api::location::TransferOptions;
    ///
    /// let location = session.location("ftrack.server")?;
    /// let plate = session.create_component(&path, data! { "name": "plate" }, &location)?;
    ///
    /// let target = folder.path().join("copy.mov");
    /// location.download(&plate, |_| Ok(target.clone()), TransferOptions::new())?;
    /// assert_eq!(std::fs::read(&target)?, std::fs::read(&path)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Files that are complete stay; the call can be repeated.
    ///
    /// - [`ErrorKind::NotFound`] if a component is not in this location.
    /// - [`ErrorKind::Duplicate`] if a file exists and `replace` is not set, or two components have
    ///   the same path. Nothing is copied then.
    /// - [`ErrorKind::Configuration`] if no accessor is bound.
    /// - [`ErrorKind::BadResponse`] if the data has another size than the component, or another MD5
    ///   than the storage gives. A file that was to be replaced stays.
    /// - Errors of `path` and of the accessor, and those of writing files.
    #[allow(clippy::needless_pass_by_value, reason = "as for every other transfer")]
    pub fn download(
        &self,
        components: impl Entities,
        path: impl Fn(&Entity) -> Result<PathBuf>,
        options: TransferOptions,
    ) -> Result<()> {
        let accessor = self.require_accessor()?;
        let mut all = with_members(&components.to_entities()?, true)?;
        all.retain(is_file);
        let located = self.locate(&all)?;
        let paths = all.iter().map(path).collect::<Result<Vec<PathBuf>>>()?;
        check_paths(&all, &paths, options.replace)?;
        let api = &self.session().shared.api;
        let connections = match accessor.allows_connections() {
            true => options
                .connections
                .unwrap_or(api.config().transfer_connections),
            false => 1,
        };
        let work = Work::new(api, connections, options.observer.clone());
        let bytes = all
            .iter()
            .zip(&located)
            .map(|(one, found)| found.bytes(one));
        work.expect(all.len() as u64, bytes.sum());
        let _scope = work.enter();
        work.run(all.len(), |index| {
            work.check()?;
            let (identifier, path) = (&located[index].resource_identifier, &paths[index]);
            let open = |offset| {
                let opened = accessor.open_at(identifier, offset);
                opened.map_err(|error| io::Error::other(Error::from_callback(error)))
            };
            let pieces = |offset| {
                let opened = accessor.open_pieces(identifier, offset);
                opened.map_err(Error::from_callback)
            };
            let mut content = Content::opened_by(open)
                .with_pieces(pieces)
                .with_origin(format!("{} {identifier}", self.id()))
                .with_expected(located[index].expected(&*accessor, &all[index]))
                .with_work(&work);
            if let Ok(source) = accessor.get_filesystem_path(identifier) {
                if let Ok(found) = source.metadata() {
                    content = content.with_size(found.len());
                }
                content = content.with_path(source);
            }
            let stored = store(path, &mut content, options.replace);
            stored.map_err(|error| {
                error.context(format!("downloading {} to {}", all[index], path.display()))
            })?;
            work.finish_file();
            Ok(())
        })
        .map(|()| work.report())
    }
}

/// # Errors
///
/// - [`ErrorKind::Duplicate`] if a path would be written twice, or exists.
fn check_paths(components: &[Entity], paths: &[PathBuf], replace: bool) -> Result<()> {
    let mut seen = HashSet::new();
    for (component, path) in components.iter().zip(paths) {
        if !seen.insert(path) {
            let message = format!(
                "{component} and another component have the path {}",
                path.display()
            );
            return Err(Error::new(ErrorKind::Duplicate, message));
        }
        if !replace && path.symlink_metadata().is_ok() {
            let message = format!("{} exists already", path.display());
            let error = Error::new(ErrorKind::Duplicate, message);
            return Err(error.with_remedy("Remove it, or set `TransferOptions::replace`."));
        }
    }
    Ok(())
}
