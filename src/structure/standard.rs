//! The structure that follows the project's hierarchy.

use unicode_normalization::UnicodeNormalization;

use super::{Structure, StructureContext, name_and_type, not_a_component, sequence_expression};
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::store::EntityState;
use crate::value::{EntityKey, Value};

/// Paths that follow the project's hierarchy: `project/folder/asset/v003/name.exr`.
///
/// A sequence is `…/v003/name.%04d.exr` and its members `…/v003/name.0001.exr`; a container is
/// the folder `…/v003/name`, with its members inside. Names are changed as
/// [`sanitise_for_filesystem`](Self::sanitise_for_filesystem) says.
///
/// A component must belong to a version that is committed, and something must be left of each name
/// that makes a folder or file of its own: else there is an [`ErrorKind::Validation`] error, as the
/// data would lie among that of others.
#[derive(Clone, Debug)]
pub struct StandardStructure {
    project_versions_prefix: Option<String>,
    illegal_character_substitute: Option<String>,
}

impl Default for StandardStructure {
    fn default() -> Self {
        Self::new()
    }
}

impl StandardStructure {
    /// As described, without a folder for versions right below a project.
    pub fn new() -> Self {
        Self {
            project_versions_prefix: None,
            illegal_character_substitute: Some("_".to_owned()),
        }
    }

    /// A folder for versions that are published right below a project; none if it is empty.
    #[must_use]
    pub fn project_versions_prefix(mut self, folder: impl Into<String>) -> Self {
        self.project_versions_prefix = Some(folder.into());
        self
    }

    /// What replaces a character that is awkward in file names; with `None`, names stay as they
    /// are. A `/` in a name is replaced in any case: it would be a folder of its own.
    #[must_use]
    pub fn illegal_character_substitute(mut self, substitute: Option<&str>) -> Self {
        self.illegal_character_substitute = substitute.map(str::to_owned);
        self
    }

    /// `name` as it appears in a path, the same as in the Python client: letters become lower case
    /// and lose their accents, other characters of ASCII than `_`, `.` and `-` become the
    /// substitute, and all others vanish.
    ///
    /// Different names may become the same: folders `Ä` and `a` are one. Studios whose names are
    /// not written in Latin letters want
    /// [`illegal_character_substitute(None)`](Self::illegal_character_substitute).
    ///
    /// ```
    /// use ftrack_api::structure::StandardStructure;
    ///
    /// let structure = StandardStructure::new();
    /// assert_eq!(structure.sanitise_for_filesystem("Épée 2/b"), "epee_2_b");
    /// assert_eq!(structure.sanitise_for_filesystem("東京"), "");
    /// let structure = structure.illegal_character_substitute(None);
    /// assert_eq!(structure.sanitise_for_filesystem("東京/b"), "東京_b");
    /// ```
    pub fn sanitise_for_filesystem(&self, name: &str) -> String {
        let Some(substitute) = &self.illegal_character_substitute else {
            return name.replace(['/', '\\'], "_");
        };
        let mut clean = String::with_capacity(name.len());
        for letter in name.nfkd().filter(char::is_ascii) {
            match letter {
                '_' | '.' | '-' => clean.push(letter),
                _ if letter.is_ascii_alphanumeric() => clean.push(letter),
                _ => clean.push_str(substitute),
            }
        }
        clean.trim().to_lowercase()
    }

    /// The folder or file that a name of `component`, or above it, makes.
    fn part(&self, component: &Entity, name: &str) -> Result<String> {
        let part = self.sanitise_for_filesystem(name);
        // What is only dots and spaces is nothing on Windows.
        if part.trim_matches(['.', ' ']).is_empty() {
            let message = format!(
                "{component} has no place: the name {name:?} becomes {part:?}, which is no name of \
                 a folder or file; choose another, or keep names as they are with \
                 `StandardStructure::illegal_character_substitute(None)`"
            );
            return Err(Error::new(ErrorKind::Validation, message));
        }
        Ok(part)
    }

    /// The folders of a component's version.
    fn folders(&self, component: &Entity) -> Result<Vec<String>> {
        let detached = || {
            Error::new(
                ErrorKind::Validation,
                format!(
                    "{component} has no place yet: it must belong to a committed version of a \
                     committed asset that has a parent"
                ),
            )
        };
        let version: Option<Entity> = component.get("version")?;
        let version = version.ok_or_else(detached)?;
        if version.state() == Some(EntityState::Created) {
            return Err(detached());
        }
        // The members of a sequence share their version: only the first of them has to ask.
        if version.known_value("link")?.is_none() {
            let needed = "link, version, asset.name";
            version.session().populate([&version], needed)?;
        }
        let link = match version.value("link")? {
            Some(Value::Json(link)) => link.as_array().cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        let named = |item: &serde_json::Value, key: &str| item[key].as_str().map(str::to_owned);
        let [project, between @ .., _] = link.as_slice() else {
            return Err(detached());
        };
        let project = named(project, "id").ok_or_else(detached)?;
        let project = version
            .session()
            .entity(&EntityKey::new("Project", project))?;
        let number: i64 = version.get("version")?;
        let mut parts = vec![project.get::<String>("name")?];
        parts.extend(between.iter().filter_map(|item| named(item, "name")));
        if between.is_empty() {
            let prefix = self.project_versions_prefix.clone();
            parts.extend(prefix.filter(|folder| !folder.is_empty()));
        }
        parts.push(version.get("asset.name")?);
        parts.push(format!("v{number:03}"));
        parts
            .iter()
            .map(|name| self.part(component, name))
            .collect()
    }

    fn file(&self, component: &Entity) -> anyhow::Result<String> {
        let (name, file_type) = name_and_type(component)?;
        let container: Option<Entity> = component.get("container")?;
        let Some(container) = container else {
            let mut parts = self.folders(component)?;
            parts.push(self.part(component, &format!("{name}{file_type}"))?);
            return Ok(parts.join("/"));
        };
        let path = self.get_resource_identifier(&container, &StructureContext::default())?;
        Ok(if container.entity_type() == "SequenceComponent" {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let sequence: String = container.get("name")?;
            let name = self.sanitise_for_filesystem(&format!("{sequence}.{name}{file_type}"));
            format!("{folder}/{name}")
        } else {
            let name = self.part(component, &format!("{name}{file_type}"))?;
            format!("{path}/{name}")
        })
    }
}

impl Structure for StandardStructure {
    fn get_resource_identifier(
        &self,
        component: &Entity,
        _: &StructureContext,
    ) -> anyhow::Result<String> {
        let last = match component.entity_type() {
            "FileComponent" => return self.file(component),
            "ContainerComponent" => self.part(component, &component.get::<String>("name")?)?,
            "SequenceComponent" => {
                let (name, file_type) = name_and_type(component)?;
                let name = self.sanitise_for_filesystem(&name);
                let number = sequence_expression(component)?;
                let file_type = self.sanitise_for_filesystem(&file_type);
                format!("{name}.{number}{file_type}")
            }
            _ => return Err(not_a_component(component)),
        };
        let mut parts = self.folders(component)?;
        parts.push(last);
        Ok(parts.join("/"))
    }
}
