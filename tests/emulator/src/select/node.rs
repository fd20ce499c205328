//! What a query selects, as a tree: one node per relation.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::model::{Model, Storage, Type, TypeId};
use crate::error::{Fault, Result};
use crate::language::tree::{Projection, Segment};
use crate::select::scalar::target;
use crate::select::unknown_attribute;

/// The attributes that are selected of the rows at one place of the tree.
#[derive(Debug)]
pub struct Node {
    /// The type that the rows were asked for as.
    pub ty: TypeId,
    /// The selected values.
    pub names: BTreeSet<String>,
    /// The selected relations.
    pub relations: BTreeMap<String, Node>,
    /// Whether the statuses that the workflow allows are selected.
    pub has_permissions: bool,
}

/// What clients call the statuses that an entity may get:
/// `__permissions.status_id.__options`.
pub const PERMISSIONS: &str = "__permissions";

impl Node {
    /// The tree of a query's projections; without any, the type's default ones.
    ///
    /// # Errors
    ///
    /// If an attribute does not exist.
    pub fn new(model: &Model, ty: &Type, projections: &[Projection]) -> Result<Self> {
        let mut root = Self::bare(ty);
        for projection in projections {
            if let Projection::Path(path) = projection {
                root.add(model, &path.segments)?;
            }
        }
        if projections.is_empty() {
            let schema = model.schema.get(&ty.name);
            let names = schema
                .into_iter()
                .flat_map(|schema| &schema.default_projections);
            root.names
                .extend(names.filter(|name| ty.get(name).is_some()).cloned());
        }
        Ok(root)
    }

    /// Only what every response carries. Rows that clients show as a dictionary always carry their
    /// key and value.
    pub fn bare(ty: &Type) -> Self {
        let mut names = BTreeSet::new();
        if ty.name.ends_with("CustomAttributeValue") || ty.name == "Metadata" {
            names.extend(["key", "value", "parent_type"].map(str::to_owned));
            names.retain(|name| ty.get(name).is_some());
        }
        Self {
            ty: ty.id,
            names,
            relations: BTreeMap::new(),
            has_permissions: false,
        }
    }

    fn permissions(&mut self, model: &Model, ty: &Type, rest: &[Segment]) -> Result<()> {
        let mut types = std::iter::once(ty).chain(model.covered(ty));
        let has_status = types.any(|ty| ty.column("status_id").is_some());
        let rest: Vec<_> = rest.iter().map(|segment| segment.name.as_str()).collect();
        if !matches!(
            rest.as_slice(),
            [] | ["status_id"] | ["status_id", "__options"]
        ) || !has_status
        {
            return Err(Fault::validation(format!(
                "{}.{PERMISSIONS} is known for status_id only: select {PERMISSIONS}.status_id of \
                 what has a status",
                ty.name
            )));
        }
        self.has_permissions = true;
        Ok(())
    }

    fn add(&mut self, model: &Model, path: &[Segment]) -> Result<()> {
        let Some((first, rest)) = path.split_first() else {
            return Ok(());
        };
        let ty = &model.types[self.ty];
        if first.name == PERMISSIONS {
            return self.permissions(model, ty, rest);
        }
        let Some((_, attr)) = model.attribute(ty, &first.name) else {
            // The schema of some links names a default projection that it has no attribute for.
            // Clients ask for it all the same and expect nothing (schemas.json, `to_entity_type`).
            return match model.schema.get(&ty.name) {
                Some(schema) if schema.default_projections.contains(&first.name) => Ok(()),
                _ => Err(unknown_attribute(model, ty, &first.name)),
            };
        };
        let declared = match &attr.storage {
            Storage::Reference(reference) => reference.target,
            Storage::Collection(collection) => collection.target,
            _ if rest.is_empty() => {
                self.names.insert(first.name.clone());
                return Ok(());
            }
            _ => {
                return Err(unknown_attribute(
                    model,
                    ty,
                    &format!("{}.{}", first.name, rest[0].name),
                ));
            }
        };
        let child = self
            .relations
            .entry(first.name.clone())
            .or_insert_with(|| Self::bare(&model.types[declared]));
        if first.cast.is_none() {
            return child.add(model, rest);
        }
        // A cast makes one concrete type's attributes available; others simply lack them.
        let cast = target(model, declared, first)?;
        let mut view = Self {
            ty: cast.id,
            names: BTreeSet::new(),
            relations: BTreeMap::new(),
            has_permissions: child.has_permissions,
        };
        std::mem::swap(&mut view.names, &mut child.names);
        std::mem::swap(&mut view.relations, &mut child.relations);
        let added = view.add(model, rest);
        child.names = view.names;
        child.relations = view.relations;
        child.has_permissions = view.has_permissions;
        added
    }
}
