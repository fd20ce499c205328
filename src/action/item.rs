//! How an action is shown in ftrack's menu.

use serde::Serialize;

/// How an [`Action`](super::Action) is shown in the menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionItem {
    #[serde(rename = "actionIdentifier")]
    identifier: String,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
}

impl ActionItem {
    /// An entry with a label, and an identifier that is unique among all actions of the site.
    pub fn new(identifier: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            identifier: identifier.into(),
            label: label.into(),
            variant: None,
            description: None,
            icon: None,
        }
    }

    /// Sets the variant: entries with the same label are grouped, and the variant distinguishes
    /// them.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Sets the description that is shown with it.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the URL, or the name, of the icon.
    #[must_use]
    pub fn icon(mut self, icon: impl Into<String>) -> Self {
        self.icon = Some(icon.into());
        self
    }

    /// The identifier.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }
}
