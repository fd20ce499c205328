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
/// the folder `…/v003/name`, with its members inside. Letters become lower case and those beyond
/// ASCII lose what makes them so; what is left of other signs becomes `_`.
///
/// A component must belong to a version that is committed.
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

    /// A folder for versions that are published right below a project.
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

    /// `name` as it appears in a path.
    pub fn sanitise_for_filesystem(&self, name: &str) -> String {
        let Some(substitute) = &self.illegal_character_substitute else {
            return name.replace(['/', '\\'], "_");
        };
        let mut clean = String::with_capacity(name.len());
        for letter in name.nfkd().filter(char::is_ascii) {
            match letter {
                '_' | '.' | '-' => clean.push(letter),
                _ if letter.is_ascii_alphanumeric() => clean.push(letter.to_ascii_lowercase()),
                _ => clean.push_str(substitute),
            }
        }
        clean.trim().to_owned()
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
        if version.known_value("link").is_none() {
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
            parts.extend(self.project_versions_prefix.clone());
        }
        parts.push(version.get("asset.name")?);
        parts.push(format!("v{number:03}"));
        let parts = parts.iter().map(|part| self.sanitise_for_filesystem(part));
        Ok(parts.collect())
    }

    fn file(&self, component: &Entity) -> anyhow::Result<String> {
        let (name, file_type) = name_and_type(component)?;
        let container: Option<Entity> = component.get("container")?;
        let Some(container) = container else {
            let mut parts = self.folders(component)?;
            parts.push(self.sanitise_for_filesystem(&format!("{name}{file_type}")));
            return Ok(parts.join("/"));
        };
        let path = self.get_resource_identifier(&container, &StructureContext::default())?;
        Ok(if container.entity_type() == "SequenceComponent" {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let sequence: String = container.get("name")?;
            let name = self.sanitise_for_filesystem(&format!("{sequence}.{name}{file_type}"));
            format!("{folder}/{name}")
        } else {
            let name = self.sanitise_for_filesystem(&format!("{name}{file_type}"));
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
            "ContainerComponent" => self.sanitise_for_filesystem(&component.get::<String>("name")?),
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
