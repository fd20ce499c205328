//! Ids that follow from the key of a publish, so that two machines create the same entities, and the
//! server refuses the second one.

use uuid::Uuid;

use crate::value::derived_id;

/// Ids of what is published under one key.
#[derive(Clone, Debug)]
pub(super) struct Keys(String);

impl Keys {
    /// Without a key nobody else makes the same ids.
    pub(super) fn new(key: Option<&str>) -> Self {
        Self(key.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned))
    }

    pub(super) fn id(&self, role: &str, name: &str) -> String {
        derived_id("ftrack-api", &["publish", &self.0, role, name]).to_string()
    }

    /// The id of a new asset follows from its place: publishes with different keys share it.
    pub(super) fn asset(parent: &str, name: &str, asset_type: &str) -> String {
        let (name, asset_type) = (name.to_lowercase(), asset_type.to_lowercase());
        derived_id("ftrack-api", &["asset", parent, &name, &asset_type]).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn ids_follow_from_the_key() {
        let keys = Keys::new(Some("job 1"));
        // Written down: other versions of this crate must make the same.
        assert_eq!(
            keys.id("version", ""),
            "2c278059-a1a5-326d-b9c8-951cff696c84"
        );
        assert_eq!(
            keys.id("version", ""),
            Keys::new(Some("job 1")).id("version", "")
        );
        assert_ne!(
            keys.id("version", ""),
            Keys::new(Some("job 2")).id("version", "")
        );
        assert_ne!(keys.id("a", "bc"), keys.id("ab", "c"));
        assert_ne!(
            Keys::new(None).id("version", ""),
            Keys::new(None).id("version", "")
        );
        assert_eq!(Keys::asset("p", "Plate", ""), Keys::asset("p", "plate", ""));
    }
}
