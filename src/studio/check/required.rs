//! Values that must be there.

use super::Check;
use crate::ErrorKind;
use crate::operation::{OperationKind, PlannedChange};
use crate::schema::{Attribute, AttributeDefault, AttributeKind, EntityType};

/// Required attributes that the server fills in, or does without.
const FILLED: [&str; 20] = [
    "bid",
    "sort",
    "sort_order",
    "status_id",
    "type_id",
    "priority_id",
    "object_type_id",
    "parent_type",
    "context_type",
    "system_type",
    "user_id",
    "created_by_id",
    "start",
    "duration",
    "config",
    "resource_type",
    "status",
    "username",
    "created_at",
    "date",
];

/// What an entity belongs to: type, attribute, the attribute's twin.
const BELONGS: [(&str, &str, &str); 3] = [
    ("TypedContext", "parent", "parent_id"),
    ("Asset", "parent", "context_id"),
    ("AssetVersion", "asset", "asset_id"),
];

impl Check<'_> {
    pub(super) fn required(&mut self) {
        let plan = self.plan;
        for change in plan
            .changes
            .iter()
            .filter(|one| one.kind != OperationKind::Delete)
        {
            if self.deleted.contains(&change.entity.id()) {
                continue;
            }
            let Ok(entity_type) = self.schema.entity_type(change.entity.entity_type()) else {
                continue;
            };
            let mut missing: Vec<String> = Vec::new();
            for (base, name, twin) in BELONGS {
                if self.is_kind(change, base) {
                    let given = [self.value(change, name), self.value(change, twin)];
                    let is_null = given.iter().flatten().any(|value| value.is_null());
                    let is_absent = given.iter().all(Option::is_none);
                    if is_null || (is_absent && change.kind == OperationKind::Create) {
                        missing.push(name.to_owned());
                    }
                }
            }
            missing.extend(self.lacking(change, entity_type));
            missing.dedup();
            for name in missing {
                let what = format!("it needs a value for {name}");
                self.problem(change, Some(&name), ErrorKind::Validation, &what);
            }
        }
    }

    fn lacking(&self, change: &PlannedChange, entity_type: &EntityType) -> Vec<String> {
        let is_lacking = |name: &str| {
            let attribute = entity_type.attribute(name).ok()?;
            let reference = name
                .strip_suffix("_id")
                .and_then(|stem| self.value(change, stem));
            let value = self.value(change, name).or(reference);
            Some(match value {
                Some(value) => value.is_null(),
                // A flag that is not given is off.
                None => {
                    change.kind == OperationKind::Create
                        && !matches!(attribute.kind(), AttributeKind::Bool)
                        && matches!(attribute.default(), AttributeDefault::None)
                        && !attribute.is_computed()
                }
            })
        };
        let attributes = entity_type
            .attributes()
            .iter()
            .filter(|one| one.is_required());
        let names = attributes.map(Attribute::name);
        let names = names.filter(|name| {
            !FILLED.contains(name) && !entity_type.primary_key().iter().any(|key| key == name)
        });
        names
            .filter(|name| is_lacking(name) == Some(true))
            .map(str::to_owned)
            .collect()
    }
}
