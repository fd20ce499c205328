//! What the server makes of files: playable media, thumbnails; and where it takes them.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Session};
use crate::location::{SERVER_LOCATION_ID, Target};
use crate::value::Data;

/// What [`Session::encode_media`] takes: a file on disk, or a component in `ftrack.server`.
#[derive(Clone, Debug)]
pub enum Media {
    /// A file, which is uploaded first.
    Path(PathBuf),
    /// A file component whose data is in `ftrack.server`.
    Component(Entity),
}

impl From<&Path> for Media {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&PathBuf> for Media {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<&str> for Media {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl From<&Entity> for Media {
    fn from(component: &Entity) -> Self {
        Self::Component(component.clone())
    }
}

impl Session {
    /// Lets the server make a file playable in browsers; the answer is the `Job` that does it.
    ///
    /// The components that come of it belong to `version`, if one is given, and are listed in
    /// the job's `data`. `keep_original` says whether the original stays when it is done: unless
    /// given, a component does and a file on disk does not. Commits what is recorded if `media`
    /// is a file on disk.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] for a component that is no file; [`ErrorKind::Unsupported`] on
    /// servers that cannot do it; else as for [`create_component`](Self::create_component).
    pub fn encode_media(
        &self,
        media: impl Into<Media>,
        version: Option<&Entity>,
        keep_original: Option<bool>,
    ) -> Result<Entity> {
        let (component, keep_original) = match media.into() {
            Media::Component(component) if component.entity_type() == "FileComponent" => {
                (component, keep_original.unwrap_or(true))
            }
            Media::Component(other) => {
                let message = format!("{other} is no file component, which could be encoded");
                return Err(Error::new(ErrorKind::WrongType, message));
            }
            Media::Path(path) => {
                let keep_original = keep_original.unwrap_or(false);
                let data = match version {
                    Some(version) if keep_original => crate::data! { "version": version },
                    _ => Data::new(),
                };
                let server = self.location_by_id(SERVER_LOCATION_ID)?;
                (self.create_component(path, data, &server)?, keep_original)
            }
        };
        let reply = self.call_one(json!({
            "action": "encode_media",
            "component_id": component.id(),
            "version_id": version.map(Entity::id),
            "keep_original": keep_original,
        }))?;
        self.job(&reply["job_id"], format_args!("encodes {component}"))
    }

    /// Asks where a component's data is to be sent, for programs that send it themselves; what
    /// comes back is JSON with `url` and `headers`. [`Location`](crate::Location)
    /// `ftrack.server` does all of it.
    ///
    /// `checksum` is the Base64 form of the data's MD5; the storage refuses other data then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] on servers that cannot do it; else as for
    /// [`call`](Self::call).
    pub fn get_upload_metadata(
        &self,
        component_id: &str,
        file_name: &str,
        file_size: u64,
        checksum: Option<&str>,
    ) -> Result<Json> {
        self.call_one(json!({
            "action": "get_upload_metadata",
            "component_id": component_id,
            "file_name": file_name,
            "file_size": file_size,
            "checksum": checksum,
        }))
    }
}

impl Entity {
    /// Lets the server make a file playable for this version; see [`Session::encode_media`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this is no version; else as for [`Session::encode_media`].
    pub fn encode_media(
        &self,
        media: impl Into<Media>,
        keep_original: Option<bool>,
    ) -> Result<Entity> {
        self.check_type("AssetVersion")?;
        self.session()
            .encode_media(media, Some(self), keep_original)
    }

    /// Makes an image this entity's thumbnail: uploads it, as a component called `thumbnail`
    /// unless `data` says otherwise, and commits. The answer is that component.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("still.png");
    /// # std::fs::write(&path, "not really an image")?;
    /// use ftrack_api::data;
    ///
    /// let task = session.query("Task")?.first()?.expect("there are tasks");
    /// let thumbnail = task.create_thumbnail(&path, data! {})?;
    /// assert_eq!(task.get::<String>("thumbnail_id")?, thumbnail.id());
    /// let url = session.location("ftrack.server")?.get_thumbnail_url(&thumbnail, Some(100))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAttribute`] if such entities have no thumbnail; else as for
    /// [`Session::create_component`].
    pub fn create_thumbnail(&self, path: impl AsRef<Path>, mut data: Data) -> Result<Entity> {
        self.type_info().attribute("thumbnail_id")?;
        if !data.contains("name") {
            data.set("name", "thumbnail");
        }
        let session = self.session();
        let server = session.location_by_id(SERVER_LOCATION_ID)?;
        let component = session.create_component(path, data, Target::In(server))?;
        self.set("thumbnail_id", component.id())?;
        session.commit()?;
        Ok(component)
    }
}
