//! Custom attribute configurations: which attributes a studio added to which entities.

use std::sync::Arc;

use crate::error::Result;
use crate::handle::{Entity, Session};
use crate::value::Value;

/// How many contexts are looked at one above the other: who is put below itself must not make that
/// go on for ever.
pub(crate) const HIGHEST: usize = 100;

/// One custom attribute, as an administrator set it up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Configuration {
    pub(crate) id: String,
    pub(crate) key: String,
    /// `task` for everything that has an object type, `show` for projects, and so on.
    entity_type: String,
    object_type_id: Option<String>,
    project_id: Option<String>,
    pub(crate) is_hierarchical: bool,
    pub(crate) default: Value,
}

impl Session {
    /// The configurations that apply to `entity`, its project's own before the general ones.
    ///
    /// They are fetched once for a session, as in the Python client.
    ///
    /// # Errors
    ///
    /// What kept the server's answer from arriving.
    pub(crate) fn configurations_for(&self, entity: &Entity) -> Result<Vec<Configuration>> {
        let all = self.configurations()?;
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
        let mut found: Vec<Configuration> = all
            .iter()
            .filter(|one| one.project_id.is_none() || one.project_id == project)
            .filter(|one| {
                (one.entity_type == kind && one.object_type_id == object_type)
                    || (takes_hierarchical && one.is_hierarchical)
            })
            .cloned()
            .collect();
        found.sort_by_key(|one| one.project_id.is_none());
        Ok(found)
    }

    fn configurations(&self) -> Result<Arc<Vec<Configuration>>> {
        if let Some(known) = self.shared.configurations.lock().clone() {
            return Ok(known);
        }
        let query = self.query(
            "select key, project_id, object_type_id, entity_type, is_hierarchical, default \
             from CustomAttributeConfiguration",
        )?;
        let fetched = query.iter().map(|row| Configuration::new(&row?));
        let fetched = Arc::new(fetched.collect::<Result<Vec<_>>>()?);
        *self.shared.configurations.lock() = Some(fetched.clone());
        Ok(fetched)
    }
}

impl Configuration {
    fn new(row: &Entity) -> Result<Self> {
        Ok(Self {
            id: row.id(),
            key: row.get("key")?,
            entity_type: row.get("entity_type")?,
            object_type_id: row.get("object_type_id")?,
            project_id: row.get("project_id")?,
            is_hierarchical: row.get::<Option<bool>>("is_hierarchical")?.unwrap_or(false),
            default: row.value("default")?.unwrap_or_default(),
        })
    }
}

/// The word by which configurations speak of the entity's type (SERVER.md A).
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
    for _ in 0..HIGHEST {
        match entity.entity_type() {
            "Project" => return Ok(Some(entity.id())),
            "AssetVersion" => return entity.get("asset.parent.project_id"),
            "Asset" => return entity.get("parent.project_id"),
            "User" | "TypedContextList" | "AssetVersionList" => return Ok(None),
            _ => {}
        }
        // The server fills in the project of a new entity; until then its parent tells.
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
