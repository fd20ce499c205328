//! Moving data between locations: copy, register, roll back.

use std::any::Any;
use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::identifiers::join_names;
use super::journal::{FileNotes, Journal, Locked};
use super::members::is_file;
use super::options::TransferOptions;
use super::plan::{Transfer, TransferStep};
use super::stored::Stored;
use crate::accessor::{Accessor, Content, PendingWrite, Progress, Work, may_resume};
use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::files::modified;
use crate::handle::{Entity, Location};
use crate::lock::Mutex;

/// The files that are prepared with one request, and their size in bytes.
const BATCH_FILES: usize = 100;
const BATCH_BYTES: u64 = 64 << 20;
/// A transfer of one file that is smaller is not worth a journal.
pub(crate) const MIN_JOURNAL_BYTES: u64 = 16 << 20;

impl Location {
    /// Adds a component that is in `source`: copies its data to where the structure says, and
    /// registers it with the server when all of it is stored. Members of a sequence or container
    /// are added as well; those that are here already are left out. Commits everything recorded.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("notes.txt");
    /// # std::fs::write(&path, "bring the green screen")?;
    /// use std::io::Read;
    /// use ftrack_api::data;
    ///
    /// let (origin, server) = (session.location("ftrack.origin")?, session.location("ftrack.server")?);
    /// let component = session.create("FileComponent", data! { "name": "notes", "file_type": ".txt" })?;
    /// origin.register_component(&component, path.to_str().expect("the path is Unicode"))?;
    /// server.add_component(&component, &origin)?;
    ///
    /// let mut text = String::new();
    /// server.open(&component)?.read_to_string(&mut text)?;
    /// assert_eq!(text, "bring the green screen");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After an error nothing is registered and copied data is removed, so the call can be
    /// repeated. If the response to the commit was lost, data and rows stay and the next commit
    /// reconciles them; until then the commit is in doubt.
    ///
    /// - [`ErrorKind::Duplicate`] if the component and all its members are here, or other data
    ///   has the resource identifier that one of them would get.
    /// - [`ErrorKind::NotFound`] if a component is not in `source`.
    /// - [`ErrorKind::Configuration`] if a location has no accessor or structure.
    /// - Errors of the structure and the accessors; [`ErrorKind::Callback`] unless they are an
    ///   [`Error`](crate::Error) of this crate.
    /// - Any error of [`commit`](crate::Session::commit).
    ///
    /// [`ErrorKind::Duplicate`]: crate::ErrorKind::Duplicate
    /// [`ErrorKind::NotFound`]: crate::ErrorKind::NotFound
    /// [`ErrorKind::Configuration`]: crate::ErrorKind::Configuration
    /// [`ErrorKind::Callback`]: crate::ErrorKind::Callback
    pub fn add_component(&self, component: &Entity, source: &Location) -> Result<()> {
        self.add_components(component, source, true)
    }

    /// Adds several components, all of them or none. `sources` is one location for all, or one
    /// for each; `recursive` is whether members are added as well.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`](crate::ErrorKind::Validation) if the number of sources is
    ///   neither one nor that of the components.
    /// - Any error of [`add_component`](Self::add_component).
    pub fn add_components(
        &self,
        components: impl Entities,
        sources: impl AsRef<[Location]>,
        recursive: bool,
    ) -> Result<()> {
        let components = &*components.to_entities()?;
        self.plan_transfer(components, sources, recursive)?.run()
    }

    /// Opens a component's data for reading.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the component is not in this
    ///   location.
    /// - [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if no accessor is bound.
    /// - Errors of the accessor.
    pub fn open(&self, component: &Entity) -> Result<Box<dyn std::io::Read + Send>> {
        let accessor = self.require_accessor()?;
        let identifier = self.get_resource_identifier(component)?;
        let error = match accessor.open(&identifier) {
            Ok(opened) => return Ok(opened),
            Err(error) => Error::from_callback(error),
        };
        // Another session may have moved the data since the identifier was loaded.
        let found = match error.kind() {
            ErrorKind::NotFound => self.find_resource_identifiers(component)?.swap_remove(0),
            _ => None,
        };
        match found.filter(|found| *found != identifier) {
            Some(moved) => accessor.open(&moved).map_err(self.failure(component)),
            None => Err(error.context(format!("{component} in {self}"))),
        }
    }
}

impl Transfer {
    /// Sets the number of connections; see [`TransferOptions::connections`].
    pub fn connections(mut self, connections: usize) -> Self {
        self.options = self.options.connections(connections);
        self
    }

    /// Sets an observer; see [`TransferOptions::on_progress`].
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plate.mov");
    /// # std::fs::write(&path, "not really a movie")?;
    /// use ftrack_api::data;
    /// use ftrack_api::location::Target;
    ///
    /// let component = session.create_component(&path, data! {}, Target::Nowhere)?;
    /// let (origin, server) = (session.location("ftrack.origin")?, session.location("ftrack.server")?);
    /// server
    ///     .plan_transfer(&component, &origin, true)?
    ///     .connections(4)
    ///     .on_progress(|progress| println!("{} of {}", progress.bytes(), progress.total_bytes()))
    ///     .run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_progress(mut self, observer: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.options = self.options.on_progress(observer);
        self
    }

    pub(crate) fn with_options(mut self, options: TransferOptions) -> Self {
        self.options = options;
        self
    }

    pub(crate) fn with_journal(mut self, journal: Option<Arc<Journal>>) -> Self {
        self.journal = journal;
        self
    }

    /// Copies the data, registers the components and commits.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Cancelled`] if an observer cancelled it.
    /// - Any error of [`Location::add_component`].
    pub fn run(mut self) -> Result<()> {
        if self.steps.is_empty() {
            return Ok(());
        }
        let session = self.target.session().clone();
        if !self.target.binding().is_managed {
            return self.register();
        }
        if self.journal.is_none() {
            self.journal = self.open_journal()?;
        }
        let work = self.work()?;
        let mut stored = Stored::new(self.target.require_accessor()?);
        let copied = self.copy(&mut stored, &work);
        let is_copied = copied.is_ok();
        let outcome = copied.and_then(|()| {
            work.report();
            work.check()?;
            self.flush(stored.accessor())?;
            self.check_left_over(stored.accessor())?;
            self.register()
        });
        let Err(error) = outcome else {
            self.end_journal();
            return self.restore_left_over(&work);
        };
        // A repeated call resumes what the journal knows.
        if session.is_in_doubt() || (self.journal.is_some() && may_resume(&error)) {
            return Err(error);
        }
        self.end_journal();
        // Somebody else is writing the same files, and may count on those that are there already.
        if self.options.keep || (error.kind() == ErrorKind::Duplicate && !is_copied) {
            return Err(error);
        }
        // Data that another session, or an interrupted call, has registered meanwhile is theirs.
        let registered = match self.registered() {
            Ok(registered) => registered,
            Err(_) if error.kind() == ErrorKind::Duplicate => return Err(error),
            Err(_) => HashSet::new(),
        };
        stored.forget(&registered);
        let error = match error.kind() {
            ErrorKind::Duplicate if !registered.is_empty() => {
                self.target.duplicate(&self.components())
            }
            _ => error,
        };
        let error = stored.remove(error);
        Err(match is_copied && registered.is_empty() {
            true => self.restore_registered(&work, error),
            false => error,
        })
    }

    pub(super) fn components(&self) -> Vec<Entity> {
        self.steps.iter().map(|one| one.component.clone()).collect()
    }

    /// The resource identifiers of those that are in the target now.
    pub(super) fn registered(&self) -> Result<HashSet<String>> {
        let found = self.target.find_resource_identifiers(self.components())?;
        Ok(found.into_iter().flatten().collect())
    }

    fn flush(&self, accessor: &dyn Accessor) -> Result<()> {
        let identifiers = self.files().map(|step| step.resource_identifier.as_str());
        let flushed = accessor.flush(&identifiers.collect::<Vec<_>>());
        let target = &self.target;
        flushed.map_err(|error| Error::from_callback(error).context(format!("flushing {target}")))
    }

    fn end_journal(&self) {
        if let Some(journal) = &self.journal {
            journal.remove();
        }
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if another process of this user is doing the same transfer.
    fn open_journal(&self) -> Result<Option<Arc<Journal>>> {
        let files: Vec<&TransferStep> = self.files().collect();
        if files.len() < 2 && self.total_bytes() < MIN_JOURNAL_BYTES {
            return Ok(None);
        }
        let mut ids: Vec<String> = files.iter().map(|step| step.component.id()).collect();
        ids.sort();
        match self.target.open_journal(&ids.join(" ")) {
            Ok(journal) => Ok(journal.map(Arc::new)),
            Err(Locked) => {
                let names: Vec<String> = self
                    .steps
                    .iter()
                    .map(|one| one.component.to_string())
                    .collect();
                let message = format!(
                    "{} being copied to {} by another process; wait for its end",
                    join_names(&names),
                    self.target
                );
                Err(Error::new(ErrorKind::Duplicate, message))
            }
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &TransferStep> {
        self.steps.iter().filter(|step| is_file(&step.component))
    }

    fn total_bytes(&self) -> u64 {
        let size = |step: &TransferStep| {
            let found = step.path.as_ref().and_then(|path| path.metadata().ok());
            found.map_or(step.expected.exact(), |found| Some(found.len()))
        };
        self.files().filter_map(size).sum()
    }

    /// The connections of this transfer.
    fn work(&self) -> Result<Work> {
        let api = &self.target.session().shared.api;
        let mut wanted = self
            .options
            .connections
            .unwrap_or(api.config().transfer_connections);
        let mut accessors = vec![self.target.require_accessor()?];
        for step in self.files() {
            accessors.push(step.source.require_accessor()?);
        }
        if !accessors
            .iter()
            .all(|accessor| accessor.allows_connections())
        {
            wanted = 1;
        }
        let work = Work::new(api, wanted, self.options.observer.clone());
        work.expect(self.files().count() as u64, self.total_bytes());
        Ok(work)
    }

    pub(super) fn copy(&self, stored: &mut Stored, work: &Work) -> Result<()> {
        let _scope = work.enter();
        let mut jobs = Vec::new();
        for step in self.files().filter(|step| !step.is_stored) {
            jobs.push(Job::new(step, &self.target, self.journal.as_deref())?);
        }
        let mut rest = jobs.as_mut_slice();
        while !rest.is_empty() {
            let batch;
            (batch, rest) = rest.split_at_mut(batch_length(rest));
            prepare(batch, stored.accessor())?;
            let (batch, stored) = (&*batch, &*stored);
            work.run(batch.len(), |index| batch[index].run(stored, work))?;
        }
        for step in &self.steps {
            // Only the members of a sequence are files.
            if !is_file(&step.component) && step.component.entity_type() != "SequenceComponent" {
                let made = stored.make_container(&step.resource_identifier);
                made.map_err(|error| step.failure(&self.target, error))?;
            }
        }
        Ok(())
    }

    fn register(&self) -> Result<()> {
        let identified = self.steps.iter().map(|step| {
            let identifier = step.resource_identifier.clone();
            (step.component.clone(), identifier)
        });
        self.target.register(&identified.collect::<Vec<_>>())
    }
}

/// The number of files at the start of `jobs` that are prepared together.
fn batch_length(jobs: &[Job<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |job: &&Job<'_>| {
        bytes += job.size.unwrap_or(0);
        bytes <= BATCH_BYTES
    };
    jobs.iter()
        .take(BATCH_FILES)
        .take_while(fits)
        .count()
        .max(1)
}

/// Lets the accessor prepare the files that are not stored yet.
fn prepare(batch: &[Job<'_>], accessor: &dyn Accessor) -> Result<()> {
    let missing: Vec<&Job<'_>> = batch.iter().filter(|job| !job.is_done).collect();
    let pending: Vec<PendingWrite<'_>> = missing.iter().map(|job| job.pending()).collect();
    let prepared = accessor.prepare(&pending).map_err(Error::from_callback)?;
    for (job, prepared) in missing.iter().zip(prepared) {
        *job.prepared.lock() = prepared;
    }
    Ok(())
}

/// The transfer of one file.
struct Job<'a> {
    step: &'a TransferStep,
    target: &'a Location,
    source: Arc<dyn Accessor>,
    identifier: &'a str,
    file_name: String,
    path: Option<PathBuf>,
    size: Option<u64>,
    modified: u64,
    journal: Option<&'a Journal>,
    /// Whether an earlier attempt stored it.
    is_done: bool,
    prepared: Mutex<Option<Box<dyn Any + Send>>>,
}

impl<'a> Job<'a> {
    fn new(
        step: &'a TransferStep,
        target: &'a Location,
        journal: Option<&'a Journal>,
    ) -> Result<Self> {
        let found = step.path.as_ref().and_then(|path| path.metadata().ok());
        let mut job = Self {
            step,
            target,
            source: step.source.require_accessor()?,
            identifier: step
                .source_resource_identifier
                .as_deref()
                .unwrap_or_default(),
            file_name: step.file_name()?,
            path: step.path.clone(),
            size: found
                .as_ref()
                .map_or(step.expected.exact(), |found| Some(found.len())),
            modified: found.as_ref().map_or(0, modified),
            journal,
            is_done: false,
            prepared: Mutex::new(None),
        };
        let notes = journal.map(|journal| journal.notes(&step.resource_identifier));
        let mark = job.mark();
        job.is_done = notes.is_some_and(|notes| notes.last() == Some(&mark));
        Ok(job)
    }

    /// The note that the file is stored, from a source in this state.
    fn mark(&self) -> String {
        let size = self.size.unwrap_or(0);
        format!("stored {size} {} {}", self.modified, self.identifier)
    }

    fn pending(&self) -> PendingWrite<'_> {
        PendingWrite {
            resource_identifier: &self.step.resource_identifier,
            file_name: &self.file_name,
            size: self.size,
            path: self.path.as_deref(),
        }
    }

    fn run(&self, stored: &Stored, work: &Work) -> Result<()> {
        let identifier = &self.step.resource_identifier;
        work.check()?;
        if self.is_done {
            work.resume(self.size.unwrap_or(0));
        } else {
            let written = self.write(stored, work);
            written.map_err(|error| self.step.failure(self.target, error))?;
        }
        stored.add(identifier);
        self.check_unchanged()?;
        if let (Some(journal), false) = (self.journal, self.is_done) {
            journal.clear(identifier);
            journal.add(identifier, &self.mark());
        }
        work.finish_file();
        Ok(())
    }

    fn write(&self, stored: &Stored, work: &Work) -> anyhow::Result<()> {
        let identifier = &self.step.resource_identifier;
        let (source, from) = (self.source.clone(), self.identifier);
        let notes = self.journal.map(|journal| FileNotes {
            journal,
            subject: identifier,
        });
        let open = move |offset| {
            let opened = source.open_at(from, offset);
            opened.map_err(|error| io::Error::other(Error::from_callback(error)))
        };
        let source = &self.source;
        let pieces = move |offset| {
            let opened = source.open_pieces(from, offset);
            opened.map_err(Error::from_callback)
        };
        let mut content = Content::opened_by(open)
            .with_pieces(pieces)
            .with_file_name(&self.file_name)
            .with_prepared(self.prepared.lock().take())
            .with_expected(self.step.expected)
            .with_link(self.target.binding().may_link)
            .with_work(work);
        match &self.path {
            Some(path) => content = content.with_path(path),
            None => content = content.with_origin(format!("{} {from}", self.step.source.id())),
        }
        if let Some(size) = self.size {
            content = content.with_size(size);
        }
        if let Some(notes) = &notes {
            content = content.with_notes(notes);
        }
        stored.accessor().write(identifier, &mut content)
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Io`] if the source changed since the transfer began.
    fn check_unchanged(&self) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let found = path.metadata().ok();
        let same = |found: &std::fs::Metadata| {
            Some(found.len()) == self.size && modified(found) == self.modified
        };
        if found.as_ref().is_some_and(same) {
            return Ok(());
        }
        let message = format!(
            "{} changed while {}; repeat the transfer when it is complete",
            path.display(),
            self.step
        );
        Err(Error::new(ErrorKind::Io, message))
    }
}
