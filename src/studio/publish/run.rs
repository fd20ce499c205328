//! Runs the missing steps of a publish.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::PublishFile;
use super::batch::Batch;
use super::found::{ENCODED, PUBLISHED};
use super::plan::{Part, PublishPlan, PublishStep, is_server};
use crate::query::{field, select};
use crate::{Data, Entity, EntityKey, Error, ErrorKind, Location, Result, data};

/// How often a call starts over because another one was faster, and the pauses before it does: about
/// half a minute in all.
const MAX_ATTEMPTS: u32 = 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What [`Session::publish`](crate::Session::publish) has published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Published {
    /// The version.
    pub version: Entity,
    /// Its asset.
    pub asset: Entity,
    /// The components, in the order in which they were given.
    pub components: Vec<Entity>,
    /// The component that is its thumbnail.
    pub thumbnail: Option<Entity>,
    /// The note.
    pub note: Option<Entity>,
    /// The job that encodes the review media.
    pub job: Option<Entity>,
}

impl PublishPlan<'_> {
    /// Does what is not done yet.
    ///
    /// # Errors
    ///
    /// - Any error of [`Session::publish`](crate::Session::publish).
    pub fn run(mut self) -> Result<Published> {
        self.commit_recorded()?;
        for attempt in 1.. {
            let error = match self.attempt() {
                Ok(published) => return Ok(published),
                Err(error) => error,
            };
            // The entities that another call created are found by the next look.
            let is_overtaken = error.kind() == ErrorKind::Duplicate;
            if !is_overtaken || attempt == MAX_ATTEMPTS {
                return Err(error);
            }
            log::info!("publishing again what another call has begun: {error}");
            // The other call may be writing the files that this one would write.
            let pause = FIRST_PAUSE * 2_u32.pow(attempt.min(6));
            let pace = self.session.shared.api.pace();
            pace.call().sleep(pause.min(LONGEST_PAUSE));
            pace.check("publish")?;
            self.found = self.publish.look(&self.session, &self.keys)?;
        }
        unreachable!("the last attempt returns")
    }

    /// Commits what the caller has recorded, so that it does not depend on what is published. An
    /// earlier call whose commit is in doubt ends here.
    fn commit_recorded(&self) -> Result<()> {
        let refused = match self.session.commit() {
            Err(error) if error.kind() == ErrorKind::Duplicate => error,
            outcome => return outcome,
        };
        let left = self.left_over()?;
        if left.is_empty() {
            return Err(refused);
        }
        self.session.discard(&left);
        self.session.commit()
    }

    /// What an earlier call has recorded under this key.
    fn left_over(&self) -> Result<Vec<Entity>> {
        let (keys, publish) = (&self.keys, self.publish);
        let roles = ["version", "thumbnail", "review", "note"];
        let mut ids: Vec<String> = roles.iter().map(|role| keys.id(role, "")).collect();
        ids.extend(publish.files.iter().map(|file| file.id(keys)));
        ids.extend(publish.uses.iter().map(|used| keys.id("link", &used.id())));
        ids.extend(self.found.asset_id.clone());
        let owners = ["parent_id", "component_id", "container_id", "note_id"];
        let mut left = Vec::new();
        for entity in self.session.created() {
            let mut is_own = ids.contains(&entity.id());
            for owner in owners {
                if entity.type_info().attribute(owner).is_ok() {
                    let owner = entity.known_value(owner)?.unwrap_or_default();
                    is_own |= owner
                        .as_str()
                        .is_some_and(|id| ids.iter().any(|own| own == id));
                }
            }
            if is_own {
                ids.push(entity.id());
                left.push(entity);
            }
        }
        Ok(left)
    }

    /// Does some steps, and calls the observer before and after those that are not done yet.
    fn observed<T>(&self, parts: &[Part], work: impl FnOnce() -> Result<T>) -> Result<T> {
        let tell = |is_done: bool| {
            let Some(observer) = &self.publish.observer else {
                return;
            };
            let steps = self.steps().into_iter();
            for step in steps.filter(|step| !step.is_done && parts.contains(&step.part)) {
                observer(&PublishStep { is_done, ..step });
            }
        };
        tell(false);
        let outcome = work()?;
        tell(true);
        Ok(outcome)
    }

    /// Does all steps that are left, and discards what could not be committed.
    fn attempt(&self) -> Result<Published> {
        let mut batch = Batch {
            session: &self.session,
            publish: self.publish,
            created: Vec::new(),
            changed: None,
        };
        self.steps_with(&mut batch).map_err(|error| {
            if self.session.is_in_doubt() {
                return error;
            }
            batch.discard();
            error.with_remedy(None)
        })
    }

    fn steps_with(&self, batch: &mut Batch<'_>) -> Result<Published> {
        let (session, publish, found) = (&self.session, self.publish, &self.found);
        let locations = publish
            .files
            .iter()
            .map(|file| file.location_in(session, publish));
        let locations: Vec<Option<Location>> = locations.collect::<Result<_>>()?;
        let is_at_once = locations
            .iter()
            .all(|location| is_server(location.as_ref()));
        let server = session.location("ftrack.server")?;

        // First what goes to the server, with the version.
        let mut stored = Vec::new();
        let thumbnail = match &publish.thumbnail {
            Some(path) => Some(self.media(batch, "thumbnail", path, &mut stored)?),
            None => None,
        };
        let review = match &publish.review {
            Some(path) if !found.is_encoded => {
                Some(self.media(batch, "review", path, &mut stored)?)
            }
            _ => None,
        };
        let asset = match &found.asset {
            Some(asset) => asset.clone(),
            None => batch.create("Asset", self.asset_data())?,
        };
        let version = match &found.version {
            Some(version) => version.clone(),
            None => {
                let version = self.version_data(&asset, thumbnail.as_ref(), is_at_once);
                let version = batch.create("AssetVersion", version)?;
                if publish.key.is_some() {
                    let identity = Json::Object(publish.identity()).to_string();
                    batch.metadata(&version, PUBLISHED, &identity)?;
                }
                version
            }
        };
        let mut components: Vec<Option<Entity>> = vec![None; publish.files.len()];
        let mut record = |batch: &mut Batch<'_>, index: usize, stored: &mut Vec<Entity>| {
            let file = &publish.files[index];
            let recorded = self.component(batch, file, &version)?;
            components[index] = recorded.last().cloned();
            stored.extend(recorded);
            Ok::<_, Error>(())
        };
        let missing: Vec<usize> = (0..publish.files.len())
            .filter(|&index| {
                !found
                    .components
                    .contains_key(&publish.files[index].id(&self.keys))
            })
            .collect();
        for &index in missing
            .iter()
            .filter(|&&index| is_server(locations[index].as_ref()))
        {
            record(batch, index, &mut stored)?;
        }
        let mut rest: Vec<usize> = missing
            .into_iter()
            .filter(|&index| !is_server(locations[index].as_ref()))
            .collect();
        let note = if rest.is_empty() {
            self.finish(batch, &version)?
        } else {
            None
        };
        let mut parts = vec![Part::Asset, Part::Version, Part::Thumbnail, Part::Review];
        let is_here = |index: &usize| !rest.contains(index);
        parts.extend((0..publish.files.len()).filter(is_here).map(Part::File));
        if rest.is_empty() {
            parts.extend([Part::Note, Part::Links]);
        }
        self.observed(&parts, || batch.commit_in(Some(&server), &stored))?;

        // Then the other locations, one after the other.
        let mut note = note;
        while let Some(&first) = rest.first() {
            let location = locations[first].clone();
            let (here, others): (Vec<usize>, Vec<usize>) = rest
                .iter()
                .partition(|&&index| locations[index] == location);
            let mut stored = Vec::new();
            let mut parts: Vec<Part> = here.iter().copied().map(Part::File).collect();
            for index in here {
                record(batch, index, &mut stored)?;
            }
            if others.is_empty() {
                note = self.finish(batch, &version)?;
                parts.extend([Part::Note, Part::Links]);
            }
            self.observed(&parts, || batch.commit_in(location.as_ref(), &stored))?;
            rest = others;
        }
        let job = match (&publish.review, &review) {
            (Some(_), review) => {
                self.observed(&[Part::Encode], || self.encode(&version, review.as_ref()))?
            }
            (None, _) => None,
        };
        let components =
            publish.files.iter().zip(components).map(|(file, new)| {
                new.or_else(|| found.components.get(&file.id(&self.keys)).cloned())
            });
        Ok(Published {
            components: components.flatten().collect(),
            version,
            asset,
            thumbnail,
            note: note.or_else(|| found.note.clone()),
            job,
        })
    }

    fn asset_data(&self) -> Data {
        let mut data =
            data! { "name": self.publish.asset.as_str(), "parent": &self.publish.parent };
        if let Some(id) = &self.found.asset_id {
            data.set("id", id);
        }
        if let Some(asset_type) = &self.found.asset_type {
            data.set("type", asset_type);
        }
        data
    }

    fn version_data(&self, asset: &Entity, thumbnail: Option<&Entity>, is_published: bool) -> Data {
        let publish = self.publish;
        let mut data = data! {
            "id": self.keys.id("version", ""),
            "asset": asset,
            "is_published": is_published,
        };
        let mut set = |name: &str, value: Option<&Entity>| {
            if let Some(value) = value {
                data.set(name, value);
            }
        };
        set("task", publish.task.as_ref());
        set("status", self.found.status.as_ref());
        set("thumbnail", thumbnail);
        if let Some(comment) = &publish.comment {
            data.set("comment", comment.as_str());
        }
        data
    }

    /// The component of a thumbnail or of review media; a new one is added to `stored`.
    fn media(
        &self,
        batch: &mut Batch<'_>,
        role: &str,
        path: &Path,
        stored: &mut Vec<Entity>,
    ) -> Result<Entity> {
        let id = self.keys.id(role, "");
        if let Some(found) = self.found.components.get(&id) {
            return Ok(found.clone());
        }
        let recorded = batch.record(path, data! { "name": role }, std::iter::once(id), false)?;
        stored.extend(recorded.iter().cloned());
        Ok(recorded
            .into_iter()
            .next()
            .expect("a file is one component"))
    }

    /// Records the components of a file or a sequence, the one that is published last.
    fn component(
        &self,
        batch: &mut Batch<'_>,
        file: &PublishFile,
        version: &Entity,
    ) -> Result<Vec<Entity>> {
        let (keys, name) = (self.keys.clone(), file.name.clone());
        let members = (0..).map(move |number| keys.id("member", &format!("{name} {number}")));
        let ids = std::iter::once(file.id(&self.keys)).chain(members);
        let data = data! { "name": file.name.as_str(), "version": version };
        let is_elsewhere = file.is_elsewhere(self.publish);
        let recorded = batch.record(&file.path, data, ids, is_elsewhere)?;
        let component = recorded.last().expect("a file is at least one component");
        for (key, value) in &file.metadata {
            batch.metadata(component, key, value)?;
        }
        Ok(recorded)
    }

    /// Records what the version gets together with its last files.
    fn finish(&self, batch: &mut Batch<'_>, version: &Entity) -> Result<Option<Entity>> {
        let (publish, found) = (self.publish, &self.found);
        for used in &publish.uses {
            let id = self.keys.id("link", &used.id());
            if !found.links.contains(&id) {
                batch.create(
                    "AssetVersionLink",
                    data! { "id": id, "from": used, "to": version },
                )?;
            }
        }
        let is_published: Option<bool> = match version.state() {
            Some(crate::EntityState::Created) => version.get("is_published")?,
            _ => found
                .version
                .as_ref()
                .map_or(Ok(Some(false)), |known| known.get("is_published"))?,
        };
        if is_published != Some(true) {
            batch.changed = Some(version.clone());
            version.set("is_published", true)?;
        }
        let Some((content, recipients)) = publish.note.as_ref().filter(|_| found.note.is_none())
        else {
            return Ok(None);
        };
        let author = found.author.as_ref().ok_or_else(|| {
            let message = format!(
                "no user has the name {:?} of this session",
                self.session.api_user()
            );
            Error::new(ErrorKind::NotFound, message)
        })?;
        let note = data! {
            "id": self.keys.id("note", ""),
            "content": content.as_str(),
            "author": author,
            "parent_id": version.id(),
            "parent_type": "AssetVersion",
        };
        let note = batch.create("Note", note)?;
        for one in recipients {
            batch.create(
                "Recipient",
                data! { "note_id": note.id(), "resource_id": one.id() },
            )?;
        }
        Ok(Some(note))
    }

    /// Asks the server to encode the review media, unless that was begun before.
    fn encode(&self, version: &Entity, review: Option<&Entity>) -> Result<Option<Entity>> {
        let source = self.keys.id("review", "");
        if review.is_some() {
            // One transaction: whoever creates the metadata begins the encoding.
            let claim = json!({
                "action": "create",
                "entity_type": "Metadata",
                "entity_key": [version.id(), ENCODED],
                "entity_data": {
                    "__entity_type__": "Metadata",
                    "parent_id": version.id(),
                    "parent_type": "AssetVersion",
                    "key": ENCODED,
                    "value": source,
                },
            });
            let encode = json!({
                "action": "encode_media",
                "component_id": source,
                "version_id": version.id(),
                "keep_original": false,
            });
            let replies = self.session.call(&[claim, encode])?;
            let job = replies[1].get("job_id").and_then(Json::as_str);
            return match job {
                Some(id) => self.session.entity(EntityKey::new("Job", id)).map(Some),
                None => {
                    let message = format!("the server does not say which job encodes {version}");
                    Err(Error::new(ErrorKind::BadResponse, message))
                }
            };
        }
        let jobs = select("Job").filter(field("data").like(format!("%{source}%")));
        self.session.query(jobs)?.first()
    }
}
