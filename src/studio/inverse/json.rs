//! Inverses in files.

use serde_json::{Map, Value as Json, json};

use super::steps::{Inverse, InverseStep};
use crate::studio::values;
use crate::{Error, ErrorKind, Result, Value};

impl Inverse {
    /// As JSON, for a file.
    pub fn to_json(&self) -> Json {
        let steps = self.steps.iter().map(|step| match step {
            InverseStep::Delete { entity } => json!({ "delete": values::key_to_json(entity) }),
            InverseStep::Create { entity, values } => {
                let values = values
                    .iter()
                    .map(|(name, value)| (name.clone(), values::to_json(value)));
                json!({
                    "create": values::key_to_json(entity),
                    "values": values.collect::<Map<String, Json>>(),
                })
            }
            InverseStep::Set {
                entity,
                attribute,
                expected,
                before,
            } => json!({
                "set": values::key_to_json(entity),
                "attribute": attribute,
                "expected": values::to_json(expected),
                "before": values::to_json(before),
            }),
            InverseStep::Members {
                entity,
                attribute,
                added,
                removed,
            } => json!({
                "members": values::key_to_json(entity),
                "attribute": attribute,
                "added": values::keys_to_json(added),
                "removed": values::keys_to_json(removed),
            }),
        });
        json!({ "version": 1, "steps": steps.collect::<Vec<Json>>(), "lost": self.lost })
    }

    /// What [`to_json`](Self::to_json) has made.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] for other JSON, and that of later versions.
    pub fn from_json(json: &Json) -> Result<Self> {
        let key = |step: &Json, name: &str| step.get(name).and_then(values::key_from_json);
        let keys = |step: &Json, name: &str| step.get(name).and_then(values::keys_from_json);
        let step = |step: &Json| -> Option<InverseStep> {
            if let Some(entity) = key(step, "delete") {
                return Some(InverseStep::Delete { entity });
            }
            if let Some(entity) = key(step, "create") {
                let values = step.get("values")?.as_object()?.iter();
                let values =
                    values.map(|(name, value)| Some((name.clone(), values::from_json(value)?)));
                let values: Option<Vec<(String, Value)>> = values.collect();
                return Some(InverseStep::Create {
                    entity,
                    values: values?,
                });
            }
            let attribute = step.get("attribute")?.as_str()?.to_owned();
            if let Some(entity) = key(step, "set") {
                let expected = values::from_json(step.get("expected")?)?;
                let before = values::from_json(step.get("before")?)?;
                return Some(InverseStep::Set {
                    entity,
                    attribute,
                    expected,
                    before,
                });
            }
            Some(InverseStep::Members {
                entity: key(step, "members")?,
                attribute,
                added: keys(step, "added")?,
                removed: keys(step, "removed")?,
            })
        };
        let steps = json["steps"].as_array().filter(|_| json["version"] == 1);
        let steps = steps.and_then(|steps| steps.iter().map(step).collect::<Option<_>>());
        let wrong = || {
            Error::new(
                ErrorKind::Validation,
                "this JSON is not the inverse of a plan",
            )
        };
        let lost = json["lost"].as_array().into_iter().flatten();
        let lost = lost.filter_map(|one| one.as_str().map(str::to_owned));
        let lost = lost.collect();
        steps.map(|steps| Self { steps, lost }).ok_or_else(wrong)
    }
}
