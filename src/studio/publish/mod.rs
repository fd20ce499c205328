//! Publishing a version with everything that belongs to it.

mod batch;
mod found;
mod keys;
mod plan;
mod run;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::entity::Entities;
use crate::location::{Target, TransferOptions};
use crate::{Entity, ErrorKind, Result, Session};

pub use plan::{PublishPlan, PublishStep};
pub use run::Published;

/// What to publish: a version of an asset, its files, thumbnail, review media, note and links.
///
/// ```
/// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("plate.mov");
/// # std::fs::write(&path, "not really a movie")?;
/// use ftrack_api::studio::Publish;
///
/// let shot = session.at("test/ep01/sq010/sh0010")?;
/// let publish = Publish::new(&shot, "plate")
///     .asset_type("Generic")
///     .file("main", &path)
///     .comment("Regraded.")
///     .location(session.location("ftrack.server")?)
///     .key("farm job 4711");
/// let published = session.publish(&publish)?;
/// assert_eq!(published.version.get::<i64>("version")?, 1);
///
/// // The key finds what was done already.
/// assert_eq!(session.publish(&publish)?.version, published.version);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "pass it to `publish`"]
pub struct Publish {
    parent: Entity,
    asset: String,
    asset_type: Option<String>,
    task: Option<Entity>,
    files: Vec<PublishFile>,
    thumbnail: Option<PathBuf>,
    review: Option<PathBuf>,
    status: Option<String>,
    comment: Option<String>,
    note: Option<(String, Vec<Entity>)>,
    uses: Vec<Entity>,
    location: Target,
    transfer: TransferOptions,
    key: Option<String>,
    observer: Option<Observer>,
    /// Why the first list of entities could not be read.
    failed: Option<(ErrorKind, String)>,
}

impl Publish {
    /// A version of the asset with this name below `parent`: a shot, an asset build, a project, and not
    /// the task, which is given by [`task`](Self::task). The asset is created if there is none.
    pub fn new(parent: &Entity, asset: impl Into<String>) -> Self {
        Self {
            parent: parent.clone(),
            asset: asset.into(),
            asset_type: None,
            task: None,
            files: Vec::new(),
            thumbnail: None,
            review: None,
            status: None,
            comment: None,
            note: None,
            uses: Vec::new(),
            location: Target::Auto,
            transfer: TransferOptions::new(),
            key: None,
            observer: None,
            failed: None,
        }
    }

    /// Sets the name of the asset's type. Assets of other types with the same name are then ignored.
    pub fn asset_type(mut self, name: impl Into<String>) -> Self {
        self.asset_type = Some(name.into());
        self
    }

    /// Sets the task that the version was made in.
    pub fn task(mut self, task: &Entity) -> Self {
        self.task = Some(task.clone());
        self
    }

    /// Adds a file or a sequence, such as `plate.%04d.exr [1001-1100]`, as a component with this name.
    pub fn file(self, name: impl Into<String>, path: impl AsRef<Path>) -> Self {
        self.component(PublishFile::new(name, path))
    }

    /// Adds a file or a sequence that has metadata, or a location of its own.
    pub fn component(mut self, file: PublishFile) -> Self {
        self.files.push(file);
        self
    }

    /// Sets the image that is uploaded as the thumbnail of the version.
    pub fn thumbnail(mut self, path: impl AsRef<Path>) -> Self {
        self.thumbnail = Some(path.as_ref().to_owned());
        self
    }

    /// Sets the movie or image that the server encodes for the web player.
    pub fn review(mut self, path: impl AsRef<Path>) -> Self {
        self.review = Some(path.as_ref().to_owned());
        self
    }

    /// Sets the name of the version's status.
    pub fn status(mut self, name: impl Into<String>) -> Self {
        self.status = Some(name.into());
        self
    }

    /// Sets the comment of the version.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Sets a note on the version, and the users and groups that get it.
    pub fn note(mut self, content: impl Into<String>, recipients: impl Entities) -> Self {
        let recipients = self.given(recipients);
        self.note = Some((content.into(), recipients));
        self
    }

    /// Adds versions that it was made of: its `uses_versions`.
    pub fn uses(mut self, versions: impl Entities) -> Self {
        let versions = self.given(versions);
        let versions = versions.into_iter().filter(|one| !self.uses.contains(one));
        let versions: Vec<Entity> = versions.collect();
        self.uses.extend(versions);
        self
    }

    fn given(&mut self, entities: impl Entities) -> Vec<Entity> {
        match entities.to_entities() {
            Ok(entities) => entities.into_owned(),
            Err(error) => {
                self.failed = self
                    .failed
                    .take()
                    .or(Some((error.kind(), error.to_string())));
                Vec::new()
            }
        }
    }

    /// Sets the location of the files, by default [`Target::Auto`]. Thumbnail and review media go to
    /// `ftrack.server`.
    pub fn location(mut self, location: impl Into<Target>) -> Self {
        self.location = location.into();
        self
    }

    /// Sets an observer of the steps. It is called in the thread of the caller with each step that is not
    /// done: when it begins, and with `is_done` when it is done. Steps of one commit begin and end together.
    /// The observer of [`transfer`](Self::transfer) reports how many bytes are copied.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plate.mov");
    /// # std::fs::write(&path, "not really a movie")?;
    /// use ftrack_api::location::TransferOptions;
    /// use ftrack_api::studio::Publish;
    ///
    /// let shot = session.at("test/ep01/sq010/sh0010")?;
    /// let bytes = TransferOptions::new()
    ///     .on_progress(|progress| println!("{} of {}", progress.bytes(), progress.total_bytes()));
    /// let publish = Publish::new(&shot, "plate")
    ///     .file("main", &path)
    ///     .on_step(|step| println!("{step}"))
    ///     .transfer(bytes);
    /// session.publish(&publish)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_step(mut self, observer: impl Fn(&PublishStep) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets how files are copied: an observer, connections.
    pub fn transfer(mut self, options: TransferOptions) -> Self {
        self.transfer = options;
        self
    }

    /// Sets a key that nothing else is published under, such as the id of a farm job. A call with a key
    /// that was used before goes on where the earlier one ended, on any machine: there is never a second
    /// version.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

type Observer = Arc<dyn Fn(&PublishStep) + Send + Sync>;

debug_fields!(Publish, |this|
    parent: this.parent,
    asset: this.asset,
    files: this.files,
    key: this.key,
);

/// A file or a sequence of a [`Publish`].
#[derive(Clone)]
#[must_use = "pass it to `Publish::component`"]
pub struct PublishFile {
    name: String,
    path: PathBuf,
    metadata: Vec<(String, String)>,
    location: Option<Target>,
}

impl PublishFile {
    /// A component with this name, made of a file or a sequence such as `plate.%04d.exr [1001-1100]`.
    pub fn new(name: impl Into<String>, path: impl AsRef<Path>) -> Self {
        Self {
            name: name.into(),
            path: path.as_ref().to_owned(),
            metadata: Vec::new(),
            location: None,
        }
    }

    /// Adds metadata of the component.
    ///
    /// ```
    /// use ftrack_api::studio::PublishFile;
    ///
    /// let file = PublishFile::new("main", "plate.mov").metadata("colorspace", "ACEScg");
    /// # let _ = file;
    /// ```
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Sets what the web player must know of media that is not encoded by the server: `frameIn`,
    /// `frameOut`, `frameRate`, `width` and `height` of a movie, `format` (`image`), `width` and `height` of an
    /// image, `format` (`pdf`) of a PDF. Such components are in `ftrack.server`. Movies are named
    /// `ftrackreview-mp4` or `ftrackreview-webm`, images `ftrackreview-image`, and a PDF otherwise.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::serde_json::json;
    /// use ftrack_api::studio::PublishFile;
    ///
    /// let movie = PublishFile::new("ftrackreview-mp4", "plate.mp4")
    ///     .ftr_meta(json!({
    ///         "frameIn": 1001, "frameOut": 1096, "frameRate": 24, "width": 1920, "height": 1080,
    ///     }))
    ///     .location(session.location("ftrack.server")?);
    /// # let _ = movie;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(
        clippy::needless_pass_by_value,
        reason = "it is mostly made in the call"
    )]
    pub fn ftr_meta(self, meta: serde_json::Value) -> Self {
        self.metadata("ftr_meta", meta.to_string())
    }

    /// Sets the location of this file, by default that of the [`Publish`].
    pub fn location(mut self, location: impl Into<Target>) -> Self {
        self.location = Some(location.into());
        self
    }
}

impl fmt::Debug for PublishFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.name, self.path.display())
    }
}

impl Session {
    /// Publishes a version. What is recorded is committed first.
    ///
    /// With a [key](Publish::key) the call can be repeated after any failure, also after the process was
    /// killed, and also while another machine does the same: together they make one version. Without a
    /// key an interrupted call leaves what it has done.
    ///
    /// If a location names its files by the number of the version, as
    /// [`StandardStructure`](crate::structure::StandardStructure) does, the version is created first and
    /// is published (`is_published`) when its files are there. In `ftrack.server` the version appears
    /// with its files at once.
    ///
    /// A version with two files, a thumbnail and review media in `ftrack.server` takes 8 requests: one
    /// to look, one to prepare the uploads, four uploads, one commit, and one to encode.
    ///
    /// # Errors
    ///
    /// What was uploaded under a key stays for the next call; nothing stays recorded.
    ///
    /// - [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if a file, or the type or status with the
    ///   given name, does not exist: nothing was done.
    /// - [`ErrorKind::MultipleFound`](crate::ErrorKind::MultipleFound) if there are several such assets:
    ///   nothing was done.
    /// - [`ErrorKind::Duplicate`](crate::ErrorKind::Duplicate) if the key was used for another publish:
    ///   nothing was done.
    /// - [`ErrorKind::Validation`](crate::ErrorKind::Validation) for empty names and a task as the parent,
    ///   [`ErrorKind::WrongType`](crate::ErrorKind::WrongType) for entities of other types: nothing was
    ///   done.
    /// - Any error of [`create_component`](Self::create_component), [`commit`](Self::commit) and
    ///   [`encode_media`](Self::encode_media): call again with the same key.
    pub fn publish(&self, publish: &Publish) -> Result<Published> {
        self.plan_publish(publish)?.run()
    }
}
