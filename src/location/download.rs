//! Downloading components to paths of the caller's choice.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::bindings::Located;
use super::journal::Journal;
use super::members::{is_file, with_members};
use super::options::TransferOptions;
use crate::accessor::{Content, Work, store};
use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::files::modified;
use crate::handle::{Entity, Location};

impl Location {
    /// Copies the data of components to files of this machine, without registering them.
    ///
    /// `path` is called for each component that has data: for a sequence or container, for its
    /// members. Folders are created. A file becomes visible when it is complete. One request gets
    /// all resource identifiers.
    ///
    /// The same call does what is left after it was interrupted: a file that is incomplete is continued, and of
    /// several files those that are complete are not downloaded again. Without a schema cache it does not know
    /// which those are.
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
        let marks: Vec<Mark<'_>> = paths.iter().zip(&located).map(Mark::of).collect();
        let journal = self.journal_of_downloads(&marks)?;
        let done: Vec<Option<u64>> = marks.iter().map(|mark| mark.found(&journal)).collect();
        let checked = check_paths(&all, &paths, &done, options.replace);
        checked.inspect_err(|_| end(&journal, false))?;
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
        let outcome = work.run(all.len(), |index| {
            work.check()?;
            if let Some(bytes) = done[index] {
                work.resume(bytes);
                work.finish_file();
                return Ok(());
            }
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
            marks[index].note(&journal);
            work.finish_file();
            Ok(())
        });
        end(&journal, outcome.is_ok());
        outcome.map(|()| work.report())
    }

    /// Remembers which of several files are complete.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if another process of this user is downloading the same.
    fn journal_of_downloads(&self, marks: &[Mark<'_>]) -> Result<Option<Journal>> {
        if marks.len() < 2 {
            return Ok(None);
        }
        let subjects: Vec<String> = marks.iter().map(Mark::subject).collect();
        let opened = self.open_journal(&format!("download\n{}", subjects.join("\n")));
        opened.map_err(|_| {
            let message = format!(
                "{} and others are being downloaded by another process; wait for its end",
                marks[0].path.display()
            );
            Error::new(ErrorKind::Duplicate, message)
        })
    }
}

/// Removes the journal if nothing is left to do, or nothing was done.
fn end(journal: &Option<Journal>, is_done: bool) {
    if let Some(journal) = journal.as_ref().filter(|one| is_done || one.is_empty()) {
        journal.remove();
    }
}

/// A file that is downloaded, as the journal knows it.
struct Mark<'a> {
    path: &'a Path,
    identifier: &'a str,
}

impl<'a> Mark<'a> {
    fn of((path, located): (&'a PathBuf, &'a Located)) -> Self {
        Self {
            path,
            identifier: &located.resource_identifier,
        }
    }

    fn subject(&self) -> String {
        let path = std::path::absolute(self.path).unwrap_or_else(|_| self.path.to_owned());
        format!("{} {}", self.identifier, path.display())
    }

    /// The size of the file as it is now, and that with its time.
    fn state(&self) -> Option<(u64, String)> {
        let found = self.path.metadata().ok()?;
        Some((found.len(), format!("{} {}", found.len(), modified(&found))))
    }

    /// The size of the file, if an interrupted call has completed it.
    fn found(&self, journal: &Option<Journal>) -> Option<u64> {
        let notes = journal.as_ref()?.notes(&self.subject());
        let (size, state) = self.state()?;
        (notes.last() == Some(&state)).then_some(size)
    }

    fn note(&self, journal: &Option<Journal>) {
        if let (Some(journal), Some((_, state))) = (journal, self.state()) {
            journal.set(&self.subject(), &state);
        }
    }
}

/// # Errors
///
/// - [`ErrorKind::Duplicate`] if a path would be written twice, or exists and was not done by the same call.
fn check_paths(
    components: &[Entity],
    paths: &[PathBuf],
    done: &[Option<u64>],
    replace: bool,
) -> Result<()> {
    let mut seen = HashSet::new();
    for ((component, path), done) in components.iter().zip(paths).zip(done) {
        if !seen.insert(path) {
            let message = format!(
                "{component} and another component have the path {}",
                path.display()
            );
            return Err(Error::new(ErrorKind::Duplicate, message));
        }
        if !replace && done.is_none() && path.symlink_metadata().is_ok() {
            let message = format!("{} exists already", path.display());
            let error = Error::new(ErrorKind::Duplicate, message);
            return Err(error.with_remedy("Remove it, or set `TransferOptions::replace`."));
        }
    }
    Ok(())
}
