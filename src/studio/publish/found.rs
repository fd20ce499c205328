//! What the server has of a publish: one request.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

use super::keys::Keys;
use super::{Publish, PublishFile};
use crate::query::{Statement, field, select};
use crate::sequence::Sequence;
use crate::{Entity, Error, ErrorKind, Result, Session};

/// Metadata of the version: what was published under its key.
pub(super) const PUBLISHED: &str = "ftrack_api.publish";
/// Metadata of the version: the component whose encoding was begun. It is created in one transaction
/// with the encoding, so that two machines do not begin two.
pub(super) const ENCODED: &str = "ftrack_api.encode";

/// What the server has of a publish.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) asset: Option<Entity>,
    /// The id that a new asset gets; `None` if an asset has it that was renamed since.
    pub(super) asset_id: Option<String>,
    pub(super) asset_type: Option<Entity>,
    pub(super) status: Option<Entity>,
    pub(super) author: Option<Entity>,
    pub(super) version: Option<Entity>,
    /// Those of the wanted components that exist, by id.
    pub(super) components: HashMap<String, Entity>,
    pub(super) note: Option<Entity>,
    pub(super) links: Vec<String>,
    pub(super) is_encoded: bool,
}

impl Publish {
    pub(super) fn look(&self, session: &Session, keys: &Keys) -> Result<Found> {
        let version = keys.id("version", "");
        let asset_type = self.asset_type.as_deref();
        let mut asset = select("Asset")
            .fields("name")
            .filter(field("context_id").eq(self.parent.id()))
            .filter(field("name").eq(&self.asset));
        if let Some(name) = asset_type {
            asset = asset.filter(field("type.name").eq(name));
        }
        let mut components: Vec<String> = self.files.iter().map(|file| file.id(keys)).collect();
        let media = [(&self.thumbnail, "thumbnail"), (&self.review, "review")];
        let media = media.iter().filter(|(path, _)| path.is_some());
        components.extend(media.map(|(_, role)| keys.id(role, "")));
        let links: Vec<String> = self
            .uses
            .iter()
            .map(|used| keys.id("link", &used.id()))
            .collect();
        let asset_id = Keys::asset(
            &self.parent.id(),
            &self.asset,
            asset_type.unwrap_or_default(),
        );
        let of_version = "asset.name, asset.parent.id, version, is_published, date";
        // A limit of 0 keeps a query out of the request.
        let when = |wanted: bool, statement: Statement| match wanted {
            true => statement,
            false => statement.limit(0),
        };
        let named = |entity_type: &str, name: Option<&str>| {
            let statement = select(entity_type).fields("name");
            when(
                name.is_some(),
                statement.filter(field("name").eq(name.unwrap_or_default())),
            )
        };
        let by_id =
            |entity_type: &str, ids: &[String]| select(entity_type).filter(field("id").is_in(ids));
        let is_keyed = self.key.is_some();
        let author = field("username").eq(session.api_user());
        let found = session.query_many([
            named("AssetType", asset_type),
            asset,
            by_id("Asset", std::slice::from_ref(&asset_id)),
            named("Status", self.status.as_deref()),
            when(self.note.is_some(), select("User").filter(author)),
            when(
                is_keyed,
                by_id("AssetVersion", std::slice::from_ref(&version)).fields(of_version),
            ),
            when(
                is_keyed,
                select("Metadata")
                    .fields("key, value")
                    .filter(field("parent_id").eq(&version)),
            ),
            when(
                is_keyed && !components.is_empty(),
                by_id("Component", &components).fields("name, size, version_id"),
            ),
            when(
                is_keyed && self.note.is_some(),
                by_id("Note", &[keys.id("note", "")]),
            ),
            when(
                is_keyed && !links.is_empty(),
                by_id("AssetVersionLink", &links),
            ),
        ])?;
        let found: [Vec<Entity>; 10] = found.try_into().expect("there is a list for each query");
        let [
            types,
            assets,
            twins,
            statuses,
            authors,
            versions,
            metadata,
            components,
            notes,
            links,
        ] = found;
        let mut pairs = HashMap::new();
        for row in &metadata {
            let value: Option<String> = row.get("value")?;
            pairs.insert(row.get::<String>("key")?, value.unwrap_or_default());
        }
        let asset_type = one_named(types, "AssetType", asset_type)?;
        let version = versions.into_iter().next();
        if let Some(version) = &version {
            self.check_same(version, pairs.get(PUBLISHED))?;
        }
        let asset = match &version {
            Some(version) => Some(version.get("asset")?),
            None => one_asset(assets, self)?,
        };
        let found = Found {
            asset_id: twins.is_empty().then_some(asset_id),
            asset,
            asset_type,
            status: one_named(statuses, "Status", self.status.as_deref())?,
            author: authors.into_iter().next(),
            version,
            components: components.into_iter().map(|one| (one.id(), one)).collect(),
            note: notes.into_iter().next(),
            links: links.iter().map(Entity::id).collect(),
            is_encoded: pairs.contains_key(ENCODED),
        };
        self.check_files(&found, keys)?;
        Ok(found)
    }

    /// What distinguishes this publish from others, as the version stores it.
    pub(super) fn identity(&self) -> Map<String, Json> {
        let mut files: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        files.sort_unstable();
        let identity = json!({
            "key": self.key,
            "parent": self.parent.id(),
            "asset": self.asset.to_lowercase(),
            "asset_type": self.asset_type.as_ref().map(|name| name.to_lowercase()),
            "task": self.task.as_ref().map(Entity::id),
            "components": files,
            "thumbnail": self.thumbnail.is_some(),
            "review": self.review.is_some(),
        });
        match identity {
            Json::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if the version is of another publish with the same key.
    fn check_same(&self, version: &Entity, kept: Option<&String>) -> Result<()> {
        let kept: Option<Map<String, Json>> = kept.and_then(|kept| serde_json::from_str(kept).ok());
        let Some(kept) = kept else {
            return Ok(());
        };
        let identity = self.identity();
        let mut both = identity
            .iter()
            .zip(identity.keys().map(|name| kept.get(name)));
        let Some(((name, ours), theirs)) =
            both.find(|((_, ours), theirs)| theirs.is_some_and(|theirs| theirs != *ours))
        else {
            return Ok(());
        };
        let message = format!(
            "the key {:?} was used for {version}, whose {name} was {}, not {ours}; use another key",
            self.key.as_deref().unwrap_or_default(),
            theirs.unwrap_or(&Json::Null)
        );
        Err(Error::new(ErrorKind::Duplicate, message))
    }

    /// Checks the files before anything is changed: those that are to be uploaded exist, and those that
    /// were uploaded are the same.
    fn check_files(&self, found: &Found, keys: &Keys) -> Result<()> {
        for (index, file) in self.files.iter().enumerate() {
            if self.files[..index]
                .iter()
                .any(|other| other.name == file.name)
            {
                let message = format!("two files are called {:?}; name them apart", file.name);
                return Err(Error::new(ErrorKind::Validation, message));
            }
            let path = file.path.to_string_lossy();
            let is_sequence = Sequence::is_pattern(&path);
            match found.components.get(&file.id(keys)) {
                Some(known) if !is_sequence => {
                    let size: Option<i64> = known.get("size")?;
                    let present = std::fs::metadata(&file.path).ok();
                    let present = present.and_then(|present| i64::try_from(present.len()).ok());
                    // The file may be gone after it was published.
                    if let (Some(size), Some(present)) = (size, present)
                        && size != present
                    {
                        let message = format!(
                            "the size of {} is {present}, but {known} was published under the key {:?} with \
                             the size {size}; use another key",
                            file.path.display(),
                            self.key.as_deref().unwrap_or_default(),
                        );
                        return Err(Error::new(ErrorKind::Duplicate, message));
                    }
                }
                Some(_) => {}
                None if file.is_elsewhere(self) => {}
                None if is_sequence => {
                    for member in Sequence::parse(&path)?.members() {
                        check_exists(member.as_ref())?;
                    }
                }
                None => check_exists(&file.path)?,
            }
        }
        let media = [(&self.thumbnail, "thumbnail"), (&self.review, "review")];
        for (path, role) in media {
            let is_done = found.components.contains_key(&keys.id(role, ""))
                || (role == "review" && found.is_encoded);
            if let Some(path) = path.as_ref().filter(|_| !is_done) {
                check_exists(path)?;
            }
        }
        Ok(())
    }
}

impl PublishFile {
    pub(super) fn id(&self, keys: &Keys) -> String {
        keys.id("component", &self.name)
    }
}

fn check_exists(path: &std::path::Path) -> Result<()> {
    std::fs::metadata(path).map(drop).map_err(|error| {
        let hint = match path.to_string_lossy().contains('%') {
            true => "; name the frames of a sequence, as in \"f.%04d.exr [1001-1100]\"",
            false => "",
        };
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Permission,
            _ => ErrorKind::Io,
        };
        let message = format!("cannot publish {}: {error}{hint}", path.display());
        Error::new(kind, message).with_source(error)
    })
}

/// The entity with the wanted name.
fn one_named(found: Vec<Entity>, entity_type: &str, name: Option<&str>) -> Result<Option<Entity>> {
    let Some(name) = name else {
        return Ok(None);
    };
    match <[Entity; 1]>::try_from(found) {
        Ok([one]) => Ok(Some(one)),
        Err(found) => {
            let (kind, count) = match found.len() {
                0 => (ErrorKind::NotFound, "no".to_owned()),
                count => (ErrorKind::MultipleFound, count.to_string()),
            };
            let message = format!("there is {count} {entity_type} with the name {name:?}");
            Err(Error::new(kind, message))
        }
    }
}

fn one_asset(found: Vec<Entity>, publish: &Publish) -> Result<Option<Entity>> {
    if found.len() < 2 {
        return Ok(found.into_iter().next());
    }
    let message = format!(
        "{} has {} assets with the name {:?}; say which by `asset_type`, or rename one",
        publish.parent,
        found.len(),
        publish.asset
    );
    Err(Error::new(ErrorKind::MultipleFound, message))
}
