//! Which custom attributes apply to which entity.

use std::sync::Arc;

use crate::error::Result;
use crate::handle::{Entity, Session};

use super::{CustomAttribute, CustomAttributeKind};

/// How many ancestors of a context are looked at, so that a cycle ends.
pub(super) const MAX_ANCESTORS: usize = 100;

impl Session {
    /// The custom attributes of `entity`. Among those with the same key, those of its project come
    /// first, then those of its own type, then hierarchical ones; the rest of the order is that of
    /// the ids, so that it is the same in every session.
    ///
    /// The configurations are fetched once for a session, as in the Python client.
    ///
    /// # Errors
    ///
    /// - Any error of a request.
    pub(crate) fn custom_attributes_of(&self, entity: &Entity) -> Result<Vec<CustomAttribute>> {
        let all = self.custom_attribute_configurations()?;
        self.learn_type(entity)?;
        let Some(kind) = kind_of(entity) else {
            return Ok(Vec::new());
        };
        let object_type: Option<String> = match kind {
            "task" => entity.get("object_type_id")?,
            _ => None,
        };
        let project = match all.iter().any(|one| one.project_id.is_some()) {
            true => project_of(entity)?,
            false => None,
        };
        let takes_hierarchical = matches!(kind, "asset" | "assetversion" | "show" | "task");
        let applies = |one: &&CustomAttribute| {
            let is_of_project = one.project_id.is_none() || one.project_id == project;
            let is_of_type = one.entity_type == kind && one.object_type_id == object_type;
            is_of_project && (is_of_type || takes_hierarchical && one.is_hierarchical)
        };
        let mut found: Vec<CustomAttribute> = all.iter().filter(applies).cloned().collect();
        found.sort_by(|a, b| {
            let rank = |one: &CustomAttribute| (one.project_id.is_none(), one.is_hierarchical);
            rank(a).cmp(&rank(b)).then_with(|| a.id.cmp(&b.id))
        });
        Ok(found)
    }

    pub(crate) fn custom_attribute_configurations(&self) -> Result<Arc<Vec<CustomAttribute>>> {
        if let Some(known) = self.shared.custom_attributes.lock().clone() {
            return Ok(known);
        }
        let query = self.query(
            "select key, project_id, object_type_id, entity_type, is_hierarchical, default, \
             type.name from CustomAttributeConfiguration",
        )?;
        let fetched = query.iter().map(|row| read(&row?));
        let fetched = Arc::new(fetched.collect::<Result<Vec<_>>>()?);
        *self.shared.custom_attributes.lock() = Some(fetched.clone());
        Ok(fetched)
    }
}

/// The name that configurations have for the entity's type.
fn kind_of(entity: &Entity) -> Option<&'static str> {
    match entity.entity_type() {
        "AssetVersion" => Some("assetversion"),
        "Asset" => Some("asset"),
        "Project" => Some("show"),
        "User" => Some("user"),
        "TypedContextList" | "AssetVersionList" => Some("list"),
        _ => {
            let has_object_type = entity.type_info().attribute("object_type_id").is_ok();
            has_object_type.then_some("task")
        }
    }
}

fn project_of(entity: &Entity) -> Result<Option<String>> {
    let mut entity = entity.clone();
    for _ in 0..MAX_ANCESTORS {
        match entity.entity_type() {
            "Project" => return Ok(Some(entity.id())),
            "AssetVersion" => return entity.get("asset.parent.project_id"),
            "Asset" => return entity.get("parent.project_id"),
            "TypedContextList" | "AssetVersionList" => return entity.get("project_id"),
            "User" => return Ok(None),
            _ => {}
        }
        // The server fills in the project of a new entity; until then its parent has it.
        if let Some(project) = entity.get("project_id")? {
            return Ok(Some(project));
        }
        match entity.get("parent")? {
            Some(parent) => entity = parent,
            None => return Ok(None),
        }
    }
    Ok(None)
}

fn read(row: &Entity) -> Result<CustomAttribute> {
    let kind: Option<String> = row.get("type.name")?;
    Ok(CustomAttribute {
        id: row.id(),
        key: row.get("key")?,
        kind: CustomAttributeKind::named(kind.as_deref().unwrap_or_default()),
        entity_type: row.get("entity_type")?,
        object_type_id: row.get("object_type_id")?,
        project_id: row.get("project_id")?,
        is_hierarchical: row.get::<Option<bool>>("is_hierarchical")?.unwrap_or(false),
        default: row.value("default")?.unwrap_or_default(),
    })
}
