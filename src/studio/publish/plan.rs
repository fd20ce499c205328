//! The plan of a publish.

use std::fmt;

use super::found::Found;
use super::keys::Keys;
use super::{Publish, PublishFile};
use crate::location::{SERVER_LOCATION_ID, Target};
use crate::{Entity, Error, ErrorKind, Location, Result, Session};

/// What [`Session::publish`] will do; made by [`Session::plan_publish`].
///
/// It prints as one line for each step:
///
/// ```text
/// create asset "plate"
/// create a version
/// upload main from /shots/sh010/plate.mov
/// done: upload thumbnail from /shots/sh010/plate.png
/// ```
#[derive(Debug)]
#[must_use = "nothing is published before `run`"]
pub struct PublishPlan<'a> {
    pub(super) session: Session,
    pub(super) publish: &'a Publish,
    pub(super) keys: Keys,
    pub(super) found: Found,
}

/// One step of a [`PublishPlan`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishStep {
    /// What it does.
    pub what: String,
    /// Whether it is done: by an earlier call with the same key, or in [`Publish::on_step`] by this one.
    pub is_done: bool,
    pub(super) part: Part,
}

/// What a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Asset,
    Version,
    Thumbnail,
    Review,
    File(usize),
    Note,
    Links,
    Encode,
}

impl fmt::Display for PublishStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.is_done { "done: " } else { "" };
        write!(f, "{done}{}", self.what)
    }
}

impl Session {
    /// Finds out what [`publish`](Self::publish) would do, without doing it. One request.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("plate.mov");
    /// # std::fs::write(&path, "not really a movie")?;
    /// use ftrack_api::studio::Publish;
    ///
    /// let shot = session.at("test/ep01/sq010/sh0010")?;
    /// let publish = Publish::new(&shot, "plate").file("main", &path);
    /// let plan = session.plan_publish(&publish)?;
    /// assert_eq!(plan.steps().len(), 3);
    /// print!("{plan}");
    /// plan.run()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`publish`](Self::publish) except those of changing something.
    pub fn plan_publish<'a>(&self, publish: &'a Publish) -> Result<PublishPlan<'a>> {
        publish.check()?;
        let keys = Keys::new(publish.key.as_deref());
        Ok(PublishPlan {
            found: publish.look(self, &keys)?,
            session: self.clone(),
            publish,
            keys,
        })
    }
}

impl PublishPlan<'_> {
    /// The steps in their order, those that are done included.
    pub fn steps(&self) -> Vec<PublishStep> {
        let (publish, found) = (self.publish, &self.found);
        let mut steps = Vec::new();
        let mut step = |part: Part, what: String, is_done: bool| {
            steps.push(PublishStep {
                what,
                is_done,
                part,
            });
        };
        let has = |id: &str| found.components.contains_key(id);
        let asset = format!("create asset {:?}", publish.asset);
        step(Part::Asset, asset, found.asset.is_some());
        let version = "create a version".to_owned();
        step(Part::Version, version, found.version.is_some());
        let media = [
            (Part::Thumbnail, &publish.thumbnail, "thumbnail"),
            (Part::Review, &publish.review, "review"),
        ];
        for (part, path, role) in media {
            if let Some(path) = path {
                let is_encoded = part == Part::Review && found.is_encoded;
                let what = format!("upload {role} from {}", path.display());
                step(part, what, is_encoded || has(&self.keys.id(role, "")));
            }
        }
        for (index, file) in publish.files.iter().enumerate() {
            let is_done = has(&file.id(&self.keys));
            step(Part::File(index), format!("upload {file:?}"), is_done);
        }
        if publish.note.is_some() {
            let what = "write a note".to_owned();
            step(Part::Note, what, found.note.is_some());
        }
        if !publish.uses.is_empty() {
            let what = match publish.uses.len() {
                1 => "link a version".to_owned(),
                count => format!("link {count} versions"),
            };
            let is_done = found.links.len() == publish.uses.len();
            step(Part::Links, what, is_done);
        }
        if publish.review.is_some() {
            let what = "encode review".to_owned();
            step(Part::Encode, what, found.is_encoded);
        }
        steps
    }
}

impl fmt::Display for PublishPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps()
            .iter()
            .try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl Publish {
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] for empty names, and for a task as the parent.
    /// - [`ErrorKind::WrongType`] for entities of other types.
    fn check(&self) -> Result<()> {
        if let Some((kind, message)) = &self.failed {
            return Err(Error::new(*kind, message.clone()));
        }
        let wrong = |what: &str| {
            let message = format!("cannot publish below {}: {what}", self.parent);
            Error::new(ErrorKind::Validation, message)
        };
        self.parent.check_context("assets")?;
        let is = |entity: &Entity, base: &str| {
            let schema = self.parent.session().schema();
            schema.is_kind_of(entity.entity_type(), base)
        };
        if is(&self.parent, "Task") {
            let what = "versions belong to what a task is below: publish below its parent, and give \
                        the task by `task`";
            return Err(wrong(what));
        }
        let mut names = vec![("the asset", self.asset.as_str())];
        names.extend(self.key.as_deref().map(|key| ("the key", key)));
        let files = self.files.iter().map(|file| file.name.as_str());
        names.extend(files.map(|name| ("a component", name)));
        if let Some((what, _)) = names.iter().find(|(_, name)| name.trim().is_empty()) {
            return Err(wrong(&format!("{what} has no name")));
        }
        let recipients = self.note.iter().flat_map(|(_, recipients)| recipients);
        let given = [
            ("the task", "Task", self.task.iter().collect::<Vec<_>>()),
            ("what it uses", "AssetVersion", self.uses.iter().collect()),
            ("a recipient of the note", "Resource", recipients.collect()),
        ];
        for (what, base, entities) in given {
            if let Some(other) = entities.into_iter().find(|one| !is(one, base)) {
                let message = format!("{what} must be a {base}, not {other}");
                return Err(Error::new(ErrorKind::WrongType, message));
            }
        }
        Ok(())
    }
}

impl PublishFile {
    fn target<'a>(&'a self, publish: &'a Publish) -> &'a Target {
        self.location.as_ref().unwrap_or(&publish.location)
    }

    /// Whether this machine cannot see the file.
    pub(super) fn is_elsewhere(&self, publish: &Publish) -> bool {
        matches!(self.target(publish), Target::Elsewhere)
    }

    /// Where it goes.
    pub(super) fn location_in(
        &self,
        session: &Session,
        publish: &Publish,
    ) -> Result<Option<Location>> {
        session.location_for(self.target(publish), &self.name)
    }
}

/// Whether a location names data by ids, so that it can be stored before the version exists.
pub(super) fn is_server(location: Option<&Location>) -> bool {
    location.is_some_and(|location| location.id() == SERVER_LOCATION_ID)
}
