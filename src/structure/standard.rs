//! The structure that follows the project's hierarchy.

use unicode_normalization::UnicodeNormalization;

use super::{Structure, StructureContext, name_and_type, not_a_component, sequence_expression};
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::store::EntityState;
use crate::value::{EntityKey, Value};

/// Paths that follow the project's hierarchy: `project/folder/asset/v003/name.exr`.
///
/// A sequence is `…/v003/name.%04d.exr` and its members are `…/v003/name.0001.exr`; a container is
/// the folder `…/v003/name` and contains its members. Names are sanitised as described for
/// [`sanitise_for_filesystem`](Self::sanitise_for_filesystem).
///
/// It is an [`ErrorKind::Validation`] error if a component does not belong to a committed version,
/// or if a name that makes a folder or file is empty after sanitising: the data would be mixed
/// with that of others.
#[derive(Clone, Debug)]
pub struct StandardStructure {
    project_versions_prefix: Option<String>,
    illegal_character_substitute: String,
    keep_illegal_characters: bool,
}

impl Default for StandardStructure {
    fn default() -> Self {
        Self::new()
    }
}

impl StandardStructure {
    /// The structure without a folder for versions directly below a project.
    pub fn new() -> Self {
        Self {
            project_versions_prefix: None,
            illegal_character_substitute: "_".to_owned(),
            keep_illegal_characters: false,
        }
    }

    /// Sets a folder for versions that are published directly below a project; empty means none.
    #[must_use]
    pub fn project_versions_prefix(mut self, folder: impl Into<String>) -> Self {
        self.project_versions_prefix = Some(folder.into());
        self
    }

    /// Sets what replaces characters that are problematic in file names; `_` unless set.
    #[must_use]
    pub fn illegal_character_substitute(mut self, substitute: impl Into<String>) -> Self {
        self.illegal_character_substitute = substitute.into();
        self
    }

    /// Whether names stay unchanged, except for `/` and `\\`, which would make folders and become `_`;
    /// off unless set.
    #[must_use]
    pub fn keep_illegal_characters(mut self, keep: bool) -> Self {
        self.keep_illegal_characters = keep;
        self
    }

    /// `name` as it appears in a path, as in the Python client: letters become lower case and lose
    /// their accents, ASCII characters other than `_`, `.` and `-` are replaced by the substitute,
    /// and all other characters are dropped.
    ///
    /// Different names can become equal: folders `Ä` and `a` are the same. Studios with names in
    /// other scripts than Latin should [keep](Self::keep_illegal_characters) them.
    ///
    /// ```
    /// use ftrack_api::structure::StandardStructure;
    ///
    /// let structure = StandardStructure::new();
    /// assert_eq!(structure.sanitise_for_filesystem("Épée 2/b"), "epee_2_b");
    /// assert_eq!(structure.sanitise_for_filesystem("東京"), "");
    /// let structure = structure.keep_illegal_characters(true);
    /// assert_eq!(structure.sanitise_for_filesystem("東京/b"), "東京_b");
    /// ```
    pub fn sanitise_for_filesystem(&self, name: &str) -> String {
        if self.keep_illegal_characters {
            return name.replace(['/', '\\'], "_");
        }
        let mut clean = String::with_capacity(name.len());
        for letter in name.nfkd().filter(char::is_ascii) {
            match letter {
                '_' | '.' | '-' => clean.push(letter),
                _ if letter.is_ascii_alphanumeric() => clean.push(letter),
                _ => clean.push_str(&self.illegal_character_substitute),
            }
        }
        clean.trim().to_lowercase()
    }

    /// The folder or file name for the name of `component` or of one of its parents.
    fn part(&self, component: &Entity, name: &str) -> Result<String> {
        let part = self.sanitise_for_filesystem(name);
        // Windows drops trailing dots and spaces.
        if part.trim_matches(['.', ' ']).is_empty() {
            let message = format!(
                "{component} cannot be stored: the name {name:?} becomes {part:?}, which is not a \
                 valid name of a folder or file; choose another name, or leave names unchanged \
                 with `StandardStructure::keep_illegal_characters`"
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
                    "{component} cannot be stored yet: it must belong to a committed version of \
                     a committed asset that has a parent"
                ),
            )
        };
        let version: Option<Entity> = component.get("version")?;
        let version = version.ok_or_else(detached)?;
        if version.state() == Some(EntityState::Created) {
            return Err(detached());
        }
        // The members of a sequence share their version, so only the first one loads it.
        if version.known_value("link")?.is_none() {
            let needed = "link, version, asset.name";
            version.session().populate([&version], needed)?;
        }
        let link = match version.value("link")? {
            Some(Value::Json(link)) => link.parse().unwrap_or_default(),
            _ => Vec::<serde_json::Value>::new(),
        };
        let named = |item: &serde_json::Value, key: &str| item[key].as_str().map(str::to_owned);
        let [project, between @ .., _] = link.as_slice() else {
            return Err(detached());
        };
        let project = named(project, "id").ok_or_else(detached)?;
        let project = version
            .session()
            .entity(EntityKey::new("Project", project))?;
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
