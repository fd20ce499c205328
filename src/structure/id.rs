//! Structures that use ids.

use super::{Structure, StructureContext, name_and_type, not_a_component, sequence_expression};
use crate::handle::Entity;

/// Uses the component's id. The server's location has this structure.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntityIdStructure;

impl Structure for EntityIdStructure {
    fn get_resource_identifier(
        &self,
        component: &Entity,
        _: &StructureContext,
    ) -> anyhow::Result<String> {
        Ok(component.id())
    }
}

/// Splits the component's id into a path, `1/2/3/4/56789….exr`, so that no folder gets too many
/// entries.
///
/// Members of a container are stored below the container's path. Members of a sequence are named
/// `file.<number>`: `1/2/3/4/56789…/file.0001.exr`.
#[derive(Clone, Debug, Default)]
pub struct IdStructure {
    prefix: String,
}

impl IdStructure {
    /// Paths below `prefix`, which may be empty.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// The prefix, the folders of an id, and the rest of the id.
    fn parts(&self, id: &str) -> Vec<String> {
        let letters = id.chars().take(4).map(String::from);
        let rest: String = id.chars().skip(4).collect();
        let prefix = std::iter::once(self.prefix.clone());
        prefix.chain(letters).chain([rest]).collect()
    }

    fn file(&self, component: &Entity) -> anyhow::Result<String> {
        let (name, file_type) = name_and_type(component)?;
        let container: Option<Entity> = component.get("container")?;
        let Some(container) = container else {
            return Ok(self.parts(&component.id()).join("/") + &file_type);
        };
        let path = self.get_resource_identifier(&container, &StructureContext::default())?;
        Ok(if container.entity_type() == "SequenceComponent" {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/file.{name}{file_type}")
        } else {
            format!("{path}/{}{file_type}", component.id())
        })
    }
}

impl Structure for IdStructure {
    fn get_resource_identifier(
        &self,
        component: &Entity,
        _: &StructureContext,
    ) -> anyhow::Result<String> {
        let path = match component.entity_type() {
            "FileComponent" => self.file(component)?,
            "ContainerComponent" => self.parts(&component.id()).join("/"),
            "SequenceComponent" => {
                let (_, file_type) = name_and_type(component)?;
                let folder = self.parts(&component.id()).join("/");
                let number = sequence_expression(component)?;
                format!("{folder}/file.{number}{file_type}")
            }
            _ => return Err(not_a_component(component)),
        };
        Ok(path.trim_matches('/').to_owned())
    }
}
