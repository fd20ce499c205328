//! Media for browsers, thumbnails, and upload metadata.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location, Session};
use crate::location::{SERVER_LOCATION_ID, TransferOptions};
use crate::sequence::Sequence;
use crate::value::Data;

/// The source of [`Session::encode_media`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MediaSource {
    /// A file on this machine. It is uploaded first.
    Path(PathBuf),
    /// A file component whose data is in `ftrack.server`.
    Component(Entity),
}

/// Options of [`Session::encode_media`].
///
/// ```
/// use ftrack_api::session::EncodeOptions;
///
/// let options = EncodeOptions::new().keep_original(true);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `encode_media`"]
#[non_exhaustive]
pub struct EncodeOptions {
    version: Option<Entity>,
    keep_original: Option<bool>,
    transfer: TransferOptions,
}

impl EncodeOptions {
    /// No version; a component is kept and an uploaded file is not.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the version that the encoded components belong to.
    pub fn version(mut self, version: &Entity) -> Self {
        self.version = Some(version.clone());
        self
    }

    /// Sets whether the original stays after encoding. By default a component stays and a file
    /// from this machine does not.
    pub fn keep_original(mut self, keep_original: bool) -> Self {
        self.keep_original = Some(keep_original);
        self
    }

    /// Sets how a file is uploaded: its observer and its connections.
    pub fn transfer(mut self, options: TransferOptions) -> Self {
        self.transfer = options;
        self
    }
}

impl From<&Path> for MediaSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&PathBuf> for MediaSource {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<&str> for MediaSource {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl From<String> for MediaSource {
    fn from(path: String) -> Self {
        Self::Path(path.into())
    }
}

impl From<&String> for MediaSource {
    fn from(path: &String) -> Self {
        Self::Path(path.into())
    }
}

impl From<PathBuf> for MediaSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Entity> for MediaSource {
    fn from(component: &Entity) -> Self {
        Self::Component(component.clone())
    }
}

impl Session {
    /// Has the server encode media for browsers; returns the `Job` that does it.
    ///
    /// The job's `data` lists the encoded components. Commits everything recorded if `media` is
    /// a file.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plate.mov");
    /// # std::fs::write(&path, "not really a movie")?;
    /// use ftrack_api::session::EncodeOptions;
    ///
    /// let version = session.query("AssetVersion")?.first()?.expect("there are versions");
    /// let job = session.encode_media(&path, EncodeOptions::new().version(&version))?;
    /// println!("{}", job.get::<String>("status")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After an error nothing that was uploaded stays, so the call can be repeated. If the response of
    /// the server was lost, the message names the component, whose encoding may have begun.
    ///
    /// - [`ErrorKind::WrongType`] if a component is not a file component, or the path is that of a
    ///   sequence.
    /// - [`ErrorKind::Unsupported`] if the server cannot encode media.
    /// - Any error of [`create_component`](Self::create_component).
    pub fn encode_media(
        &self,
        media: impl Into<MediaSource>,
        options: EncodeOptions,
    ) -> Result<Entity> {
        let version = options.version.as_ref();
        let (component, keep_original, uploaded_to) = match media.into() {
            MediaSource::Component(component) if component.entity_type() == "FileComponent" => {
                (component, options.keep_original.unwrap_or(true), None)
            }
            MediaSource::Component(other) => {
                let message = format!("expected a FileComponent, got {other}");
                return Err(Error::new(ErrorKind::WrongType, message));
            }
            MediaSource::Path(path) if path.to_str().is_some_and(Sequence::is_pattern) => {
                let message = format!(
                    "{} is a sequence; encode a movie or an image",
                    path.display()
                );
                return Err(Error::new(ErrorKind::WrongType, message));
            }
            MediaSource::Path(path) => {
                let keep_original = options.keep_original.unwrap_or(false);
                let data = match version {
                    Some(version) if keep_original => crate::data! { "version": version },
                    _ => Data::new(),
                };
                let server = self.location_by_id(SERVER_LOCATION_ID)?;
                let transfer = options.transfer;
                let component = self.create_component_with(path, data, &server, transfer)?;
                (component, keep_original, Some(server))
            }
        };
        let reply = self.call_one(json!({
            "action": "encode_media",
            "component_id": component.id(),
            "version_id": version.map(Entity::id),
            "keep_original": keep_original,
        }));
        let reply = reply.map_err(|error| match &uploaded_to {
            Some(_) if error.leaves_doubt() => error.with_note(&format!(
                "{component} was uploaded, and its encoding may have begun. If it has no job, encode the \
                 component instead of the file."
            )),
            Some(server) => self.take_upload_back(server, &component, error),
            None => error,
        })?;
        self.job(reply.get("job_id"), format_args!("encodes {component}"))
    }

    /// Removes what was uploaded for something that failed with `error`.
    fn take_upload_back(&self, server: &Location, component: &Entity, error: Error) -> Error {
        let removed = server.remove_component(component);
        let removed = removed.and_then(|_| self.commit_deletion(std::slice::from_ref(component)));
        match removed {
            Ok(()) => error,
            Err(other) => error.with_note(&format!(
                "{component} was uploaded for it and could not be removed: {other}"
            )),
        }
    }
}

impl Entity {
    /// Has the server encode media for this version; see [`Session::encode_media`].
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if this is not a version.
    /// - Any error of [`Session::encode_media`].
    pub fn encode_media(
        &self,
        media: impl Into<MediaSource>,
        options: EncodeOptions,
    ) -> Result<Entity> {
        self.check_type("AssetVersion")?;
        self.session().encode_media(media, options.version(self))
    }

    /// Makes an image this entity's thumbnail: uploads it as a component, named `thumbnail` unless
    /// `data` has a name, and commits. Returns the component.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("still.png");
    /// # std::fs::write(&path, "not really an image")?;
    /// use ftrack_api::data;
    ///
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let thumbnail = task.create_thumbnail(&path, data! {})?;
    /// assert_eq!(task.get::<String>("thumbnail_id")?, thumbnail.id());
    /// let url = session.location("ftrack.server")?.get_thumbnail_url(&thumbnail, 100)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After an error nothing that was uploaded or recorded stays, so the call can be repeated. If the
    /// second commit is in doubt, the message names the component, and the next commit finds out.
    ///
    /// - [`ErrorKind::UnknownAttribute`] if entities of this type have no thumbnail.
    /// - [`ErrorKind::NotFound`] if this entity does not exist any more; nothing is uploaded if that is
    ///   known.
    /// - Any error of [`Session::create_component`].
    pub fn create_thumbnail(&self, path: impl AsRef<Path>, mut data: Data) -> Result<Entity> {
        self.type_info().attribute(THUMBNAIL)?;
        if !data.contains("name") {
            data.set("name", "thumbnail");
        }
        let session = self.session();
        session.shared.store.lock().check_alive(self.handle.place)?;
        let server = session.location_by_id(SERVER_LOCATION_ID)?;
        let component = session.create_component(path, data, &server)?;
        let set = self.set(THUMBNAIL, component.id());
        let Err(error) = set.and_then(|()| session.commit()) else {
            return Ok(component);
        };
        if session.is_in_doubt() {
            return Err(error.with_note(&format!(
                "{component} was uploaded, and may be the thumbnail of {self}."
            )));
        }
        self.unset(THUMBNAIL)?;
        let error = error.with_remedy(None);
        Err(session.take_upload_back(&server, &component, error))
    }
}

const THUMBNAIL: &str = "thumbnail_id";
