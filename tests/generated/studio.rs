//! The entity types of a server, generated from its schema by `ftrack_api::codegen`.
//!
//! Do not edit it. The schema's hash: ac33a1e641b87f6e934bd05828a8dcd4.

/// The attributes of `Action`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Action {
    /// Refers to a `Automation`.
    pub automation: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Automation.id
    pub automation_id: String,
    /// A text.
    pub id: String,
}

/// The attributes of `ActionLog`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ActionLog {
    /// Refers to a `Action`.
    pub action: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Action.id
    pub action_id: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// A whole number.
    pub id: i64,
    /// A text.
    pub message: Option<String>,
    /// A text.
    pub status: Option<String>,
}

/// The attributes of `ApiKey`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ApiKey {
    /// A text.
    pub description: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub identifier: Option<String>,
    /// A text.
    pub prefix: Option<String>,
    /// Foreign key(s): Resource.id
    pub resource_id: Option<String>,
}

/// The attributes of `Appointment`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Appointment {
    /// Refers to a `Context`.
    pub context: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub context_id: String,
    /// A text.
    pub id: String,
    /// Refers to a `Resource`.
    pub resource: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Resource.id
    pub resource_id: String,
    /// A text.
    pub r#type: String,
}

/// The attributes of `Asset`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Asset {
    /// Foreign key(s): Context.id
    pub context_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: AssetCustom,
    /// A text.
    pub id: String,
    /// Refers to a `AssetVersion`.
    pub latest_version: Option<ftrack_api::EntityKey>,
    /// A text.
    pub name: Option<String>,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// Refers to a `AssetType`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): AssetType.id
    pub type_id: Option<String>,
}

/// The custom attributes of `Asset`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetCustom {
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `AssetBuild`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetBuild {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A number.
    pub bid: f64,
    /// A number.
    pub bid_time_logged_difference: Option<f64>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: AssetBuildCustom,
    /// A text.
    pub description: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Refers to a `Priority`.
    pub priority: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Priority.id
    pub priority_id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A number.
    pub sort: f64,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): Context.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// A number.
    pub time_logged: Option<f64>,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The custom attributes of `AssetBuild`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetBuildCustom {
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `AssetCustomAttributeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetCustomAttributeLink {
    /// Refers to a `Asset`.
    pub asset: Option<ftrack_api::EntityKey>,
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `AssetCustomAttributeLinkFrom`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetCustomAttributeLinkFrom {
    /// Refers to a `Asset`.
    pub asset: Option<ftrack_api::EntityKey>,
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `AssetCustomAttributeValue`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetCustomAttributeValue {
    /// Refers to a `CustomAttributeConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeConfiguration.id
    pub configuration_id: String,
    /// Foreign key(s): Asset.id
    pub entity_id: String,
    /// A text.
    pub key: Option<String>,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `AssetType`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetType {
    /// A text.
    pub component: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: String,
    /// A text.
    pub short: String,
}

/// The attributes of `AssetVersion`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersion {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// Refers to a `Asset`.
    pub asset: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Asset.id
    pub asset_id: Option<String>,
    /// A text.
    pub comment: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: AssetVersionCustom,
    /// A point in time.
    pub date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_latest_version: Option<bool>,
    /// Yes or no.
    pub is_published: bool,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Task`.
    pub task: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Task.id
    pub task_id: Option<String>,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
    /// A whole number.
    pub version: Option<i64>,
}

/// The custom attributes of `AssetVersion`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionCustom {
    /// Number field
    #[serde(rename = "NumberField")]
    pub number_field: Option<f64>,
    /// Inherited number
    pub htest: Option<f64>,
    /// Version test
    pub versiontest: Option<f64>,
}

/// The attributes of `AssetVersionCustomAttributeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionCustomAttributeLink {
    /// Refers to a `AssetVersion`.
    pub asset_version: Option<ftrack_api::EntityKey>,
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `AssetVersionCustomAttributeLinkFrom`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionCustomAttributeLinkFrom {
    /// Refers to a `AssetVersion`.
    pub asset_version: Option<ftrack_api::EntityKey>,
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `AssetVersionCustomAttributeValue`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionCustomAttributeValue {
    /// Refers to a `CustomAttributeConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeConfiguration.id
    pub configuration_id: String,
    /// Foreign key(s): AssetVersion.id
    pub entity_id: String,
    /// A text.
    pub key: Option<String>,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `AssetVersionLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionLink {
    /// Refers to a `AssetVersion`.
    pub from: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): AssetVersion.id
    pub from_id: String,
    /// A text.
    pub id: String,
    /// Refers to a `AssetVersion`.
    pub to: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): AssetVersion.id
    pub to_id: String,
}

/// The attributes of `AssetVersionList`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionList {
    /// Refers to a `ListCategory`.
    pub category: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ListCategory.id
    pub category_id: String,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: AssetVersionListCustom,
    /// A point in time.
    pub date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_open: bool,
    /// A text.
    pub name: Option<String>,
    /// Refers to a `User`.
    pub owner: Option<ftrack_api::EntityKey>,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: String,
    /// Defines the type of the items this list accepts.
    pub system_type: Option<String>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
}

/// The custom attributes of `AssetVersionList`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionListCustom {
    /// List flag
    pub listbool: Option<bool>,
}

/// The attributes of `AssetVersionStatusChange`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionStatusChange {
    /// A point in time.
    pub date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub from_status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub from_status_id: Option<String>,
    /// A text.
    pub id: String,
    /// Refers to a `AssetVersion`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// A text.
    pub parent_id: Option<String>,
    /// A text.
    pub parent_type: Option<String>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: Option<String>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
}

/// The attributes of `AssetVersionStatusRuleGroup`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct AssetVersionStatusRuleGroup {
    /// A text.
    pub entity_type: String,
    /// A text.
    pub id: String,
    /// Refers to a `SecurityRole`.
    pub role: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): SecurityRole.id
    pub role_id: Option<String>,
    /// Refers to a `ProjectSchema`.
    pub schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ProjectSchema.id
    pub schema_id: String,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
}

/// The attributes of `Automation`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Automation {
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Foreign key(s): User.id
    pub created_by: Option<String>,
    /// A text.
    pub description: Option<String>,
    /// Yes or no.
    pub enabled: Option<bool>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: String,
}

/// The attributes of `BaseUser`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct BaseUser {
    /// A text.
    pub email: Option<String>,
    /// A text.
    pub first_name: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub last_name: Option<String>,
    /// A text.
    pub resource_type: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
}

/// The attributes of `CalendarEvent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CalendarEvent {
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// A number.
    pub effort: Option<f64>,
    /// A point in time.
    pub end: jiff::civil::DateTime,
    /// A number.
    pub estimate: Option<f64>,
    /// Yes or no.
    pub everyone: Option<bool>,
    /// Yes or no.
    pub forecast: Option<bool>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub leave: Option<bool>,
    /// A text.
    pub name: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A point in time.
    pub start: jiff::civil::DateTime,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: Option<String>,
}

/// The attributes of `CalendarEventResource`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CalendarEventResource {
    /// Refers to a `CalendarEvent`.
    pub calendar_event: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CalendarEvent.id
    pub calendar_event_id: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// A text.
    pub id: String,
    /// Refers to a `Resource`.
    pub resource: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Resource.id
    pub resource_id: String,
}

/// The attributes of `Collaborator`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Collaborator {
    /// A text.
    pub created_from_shared_url: Option<String>,
    /// A text.
    pub email: Option<String>,
    /// A text.
    pub first_name: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub last_name: Option<String>,
    /// A text.
    pub resource_type: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
}

/// The attributes of `Component`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Component {
    /// Refers to a `ContainerComponent`.
    pub container: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ContainerComponent.id
    pub container_id: Option<String>,
    /// A text.
    pub file_type: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: String,
    /// A whole number.
    pub size: Option<i64>,
    /// A text.
    pub system_type: String,
    /// Refers to a `AssetVersion`.
    pub version: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): AssetVersion.id
    pub version_id: Option<String>,
}

/// The attributes of `ComponentCustomAttributeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ComponentCustomAttributeLink {
    /// Refers to a `Component`.
    pub component: Option<ftrack_api::EntityKey>,
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `ComponentCustomAttributeLinkFrom`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ComponentCustomAttributeLinkFrom {
    /// Refers to a `Component`.
    pub component: Option<ftrack_api::EntityKey>,
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `ComponentLocation`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ComponentLocation {
    /// Refers to a `Component`.
    pub component: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub component_id: Option<String>,
    /// A text.
    pub id: String,
    /// Refers to a `Location`.
    pub location: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Location.id
    pub location_id: Option<String>,
    /// A text.
    pub resource_identifier: Option<String>,
    /// Free-form data.
    pub url: Option<serde_json::Value>,
}

/// The attributes of `ContainerComponent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ContainerComponent {
    /// Refers to a `ContainerComponent`.
    pub container: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ContainerComponent.id
    pub container_id: Option<String>,
    /// A text.
    pub file_type: Option<String>,
    /// Foreign key(s): Component.id
    pub id: String,
    /// A text.
    pub name: String,
    /// A whole number.
    pub size: Option<i64>,
    /// A text.
    pub system_type: String,
    /// Refers to a `AssetVersion`.
    pub version: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): AssetVersion.id
    pub version_id: Option<String>,
}

/// The attributes of `Context`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Context {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
}

/// The attributes of `ContextCustomAttributeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ContextCustomAttributeLink {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// Refers to a `Context`.
    pub context: Option<ftrack_api::EntityKey>,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `ContextCustomAttributeLinkFrom`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ContextCustomAttributeLinkFrom {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// Refers to a `Context`.
    pub context: Option<ftrack_api::EntityKey>,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `ContextCustomAttributeValue`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ContextCustomAttributeValue {
    /// Refers to a `CustomAttributeConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeConfiguration.id
    pub configuration_id: String,
    /// Foreign key(s): Context.id
    pub entity_id: String,
    /// A text.
    pub key: Option<String>,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `Conversation`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Conversation {
    /// A point in time.
    pub created_at: jiff::civil::DateTime,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: String,
    /// A text.
    pub id: String,
}

/// The attributes of `CustomAttributeConfiguration`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CustomAttributeConfiguration {
    /// JSON blob of relevant menu options.
    pub config: String,
    /// Whether a non-alterable builtin.
    pub core: bool,
    /// Default value to use when no specific attribute value set on an instance.
    pub default: Option<serde_json::Value>,
    /// The entity type (table name).
    pub entity_type: Option<String>,
    /// Refers to a `CustomAttributeGroup`.
    pub group: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeGroup.id
    pub group_id: Option<String>,
    /// A text.
    pub id: String,
    /// Whether overridable at different levels.
    pub is_hierarchical: Option<bool>,
    /// Attribute name unique to entity type.
    pub key: Option<String>,
    /// Display name for attribute.
    pub label: Option<String>,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Id of object type attribute applies to.
    pub object_type_id: Option<String>,
    /// Id of project attribute is configured for.
    pub project_id: Option<String>,
    /// Graphical interface sort order.
    pub sort: Option<i64>,
    /// Refers to a `CustomAttributeType`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeType.id
    pub type_id: Option<String>,
}

/// The attributes of `CustomAttributeGroup`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CustomAttributeGroup {
    /// A text.
    pub id: String,
    /// Name of custom attribute group
    pub name: Option<String>,
}

/// The attributes of `CustomAttributeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CustomAttributeLink {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: Option<String>,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: Option<String>,
    /// A text.
    pub to_id: String,
}

/// The attributes of `CustomAttributeLinkConfiguration`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CustomAttributeLinkConfiguration {
    /// JSON blob of relevant menu options.
    pub config: String,
    /// Whether a non-alterable builtin.
    pub core: bool,
    /// The entity type (table name).
    pub entity_type: String,
    /// The entity type (table name).
    pub entity_type_to: String,
    /// Refers to a `CustomAttributeGroup`.
    pub group: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeGroup.id
    pub group_id: Option<String>,
    /// A text.
    pub id: String,
    /// Attribute name unique to entity type.
    pub key: Option<String>,
    /// Display name for attribute.
    pub label: Option<String>,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Id of object type attribute applies to.
    pub object_type_id: Option<String>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id_to: Option<String>,
    /// Refers to a `ObjectType`.
    pub object_type_to: Option<ftrack_api::EntityKey>,
    /// Yes or no.
    pub one_to_one: Option<bool>,
    /// Id of project attribute is configured for.
    pub project_id: Option<String>,
    /// Graphical interface sort order.
    pub sort: Option<i64>,
}

/// The attributes of `CustomAttributeLinkFrom`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CustomAttributeLinkFrom {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: Option<String>,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: Option<String>,
    /// A text.
    pub to_id: String,
}

/// The attributes of `CustomAttributeType`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CustomAttributeType {
    /// Whether a non-alterable builtin.
    pub core: bool,
    /// A text.
    pub form_config: Option<String>,
    /// A text.
    pub id: String,
    /// Name of custom attribute type
    pub name: Option<String>,
}

/// The attributes of `CustomAttributeValue`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CustomAttributeValue {
    /// Refers to a `CustomAttributeConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub entity_id: String,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `CustomConfigurationBase`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct CustomConfigurationBase {
    /// JSON blob of relevant menu options.
    pub config: String,
    /// Whether a non-alterable builtin.
    pub core: bool,
    /// The entity type (table name).
    pub entity_type: Option<String>,
    /// Refers to a `CustomAttributeGroup`.
    pub group: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeGroup.id
    pub group_id: Option<String>,
    /// A text.
    pub id: String,
    /// Attribute name unique to entity type.
    pub key: Option<String>,
    /// Display name for attribute.
    pub label: Option<String>,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Id of object type attribute applies to.
    pub object_type_id: Option<String>,
    /// Id of project attribute is configured for.
    pub project_id: Option<String>,
    /// Graphical interface sort order.
    pub sort: Option<i64>,
}

/// The attributes of `Dashboard`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Dashboard {
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_shared_with_everyone: Option<bool>,
    /// A text.
    pub name: Option<String>,
}

/// The attributes of `DashboardResource`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct DashboardResource {
    /// Refers to a `Dashboard`.
    pub dashboard: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Dashboard.id
    pub dashboard_id: String,
    /// Yes or no.
    pub is_shared_with_everyone: Option<bool>,
    /// Refers to a `Resource`.
    pub resource: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Resource.id
    pub resource_id: String,
}

/// The attributes of `DashboardWidget`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct DashboardWidget {
    /// JSON blob of relevant widget options.
    pub config: Option<String>,
    /// Refers to a `Dashboard`.
    pub dashboard: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Dashboard.id
    pub dashboard_id: Option<String>,
    /// A text.
    pub id: String,
    /// A number.
    pub sort: Option<f64>,
    /// A text.
    pub r#type: Option<String>,
}

/// The attributes of `Disk`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Disk {
    /// A text.
    pub id: String,
    /// A text.
    pub name: String,
    /// A text.
    pub unix: Option<String>,
    /// A text.
    pub windows: Option<String>,
}

/// The attributes of `EntitySetting`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct EntitySetting {
    /// A text.
    pub group: String,
    /// A text.
    pub name: String,
    /// A text.
    pub parent_id: String,
    /// A text.
    pub parent_type: String,
    /// Free-form data.
    pub value: serde_json::Value,
}

/// The attributes of `Episode`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Episode {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A number.
    pub bid: f64,
    /// A number.
    pub bid_time_logged_difference: Option<f64>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: EpisodeCustom,
    /// A text.
    pub description: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Refers to a `Priority`.
    pub priority: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Priority.id
    pub priority_id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A number.
    pub sort: f64,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): Context.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// A number.
    pub time_logged: Option<f64>,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The custom attributes of `Episode`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct EpisodeCustom {
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `Event`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Event {
    /// A text.
    pub action: Option<String>,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Free-form data.
    pub data: Option<serde_json::Value>,
    /// A whole number.
    pub id: i64,
    /// A text.
    pub insert: Option<String>,
    /// A text.
    pub parent_id: Option<String>,
    /// A text.
    pub parent_type: Option<String>,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
}

/// The attributes of `Feed`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Feed {
    /// A text.
    pub cluster_id: Option<String>,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// A whole number.
    pub distance: Option<i64>,
    /// Refers to a `Event`.
    pub event: Option<ftrack_api::EntityKey>,
    /// A text.
    pub id: String,
    /// A text.
    pub owner_id: Option<String>,
    /// A text.
    pub relation: Option<String>,
    /// Foreign key(s): Event.social_id
    pub social_id: Option<i64>,
}

/// The attributes of `FileComponent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct FileComponent {
    /// Refers to a `ContainerComponent`.
    pub container: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ContainerComponent.id
    pub container_id: Option<String>,
    /// A text.
    pub file_type: Option<String>,
    /// Foreign key(s): Component.id
    pub id: String,
    /// A text.
    pub name: String,
    /// A whole number.
    pub size: Option<i64>,
    /// A text.
    pub system_type: String,
    /// Refers to a `AssetVersion`.
    pub version: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): AssetVersion.id
    pub version_id: Option<String>,
}

/// The attributes of `Folder`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Folder {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A number.
    pub bid: f64,
    /// A number.
    pub bid_time_logged_difference: Option<f64>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: FolderCustom,
    /// A text.
    pub description: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Refers to a `Priority`.
    pub priority: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Priority.id
    pub priority_id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A number.
    pub sort: f64,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): Context.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// A number.
    pub time_logged: Option<f64>,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The custom attributes of `Folder`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct FolderCustom {
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `Group`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Group {
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// Yes or no.
    pub local: bool,
    /// A text.
    pub name: String,
    /// Refers to a `Group`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Group.id
    pub parent_id: Option<String>,
    /// A text.
    pub resource_type: String,
}

/// The attributes of `GroupCustomAttributeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct GroupCustomAttributeLink {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// Refers to a `Group`.
    pub group: Option<ftrack_api::EntityKey>,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `GroupCustomAttributeLinkFrom`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct GroupCustomAttributeLinkFrom {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// Refers to a `Group`.
    pub group: Option<ftrack_api::EntityKey>,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `Job`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Job {
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Free-form data.
    pub data: Option<serde_json::Value>,
    /// A point in time.
    pub finished_at: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// A text.
    pub status: String,
    /// A text.
    pub r#type: String,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
}

/// The attributes of `JobComponent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct JobComponent {
    /// Refers to a `Component`.
    pub component: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub component_id: String,
    /// Refers to a `Job`.
    pub job: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Job.id
    pub job_id: String,
    /// Free-form data.
    pub url: Option<serde_json::Value>,
}

/// The attributes of `List`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct List {
    /// Refers to a `ListCategory`.
    pub category: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ListCategory.id
    pub category_id: String,
    /// A point in time.
    pub date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_open: bool,
    /// A text.
    pub name: Option<String>,
    /// Refers to a `User`.
    pub owner: Option<ftrack_api::EntityKey>,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: String,
    /// Defines the type of the items this list accepts.
    pub system_type: Option<String>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
}

/// The attributes of `ListCategory`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ListCategory {
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
}

/// The attributes of `ListCustomAttributeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ListCustomAttributeLink {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// Refers to a `List`.
    pub list: Option<ftrack_api::EntityKey>,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `ListCustomAttributeLinkFrom`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ListCustomAttributeLinkFrom {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// Refers to a `List`.
    pub list: Option<ftrack_api::EntityKey>,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
}

/// The attributes of `ListCustomAttributeValue`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ListCustomAttributeValue {
    /// Refers to a `CustomAttributeConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeConfiguration.id
    pub configuration_id: String,
    /// Foreign key(s): List.id
    pub entity_id: String,
    /// A text.
    pub key: Option<String>,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `ListObject`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ListObject {
    /// A text.
    pub entity_id: String,
    /// A text.
    pub id: String,
    /// Refers to a `List`.
    pub list: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): List.id
    pub list_id: String,
}

/// The attributes of `ListObjectCustomAttributeValue`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ListObjectCustomAttributeValue {
    /// Refers to a `CustomAttributeConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeConfiguration.id
    pub configuration_id: String,
    /// Foreign key(s): ListObject.id
    pub entity_id: String,
    /// A text.
    pub key: Option<String>,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `Location`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Location {
    /// A text.
    pub description: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub label: Option<String>,
    /// A text.
    pub name: String,
}

/// The attributes of `Manager`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Manager {
    /// Refers to a `Context`.
    pub context: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub context_id: Option<String>,
    /// A text.
    pub id: String,
    /// Refers to a `ManagerType`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ManagerType.id
    pub type_id: Option<String>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.id
    pub user_id: Option<String>,
}

/// The attributes of `ManagerType`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ManagerType {
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
}

/// The attributes of `Membership`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Membership {
    /// Refers to a `Group`.
    pub group: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Group.id
    pub group_id: String,
    /// A text.
    pub id: String,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.id
    pub user_id: String,
}

/// The attributes of `Message`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Message {
    /// Refers to a `Conversation`.
    pub conversation: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Conversation.id
    pub conversation_id: String,
    /// A point in time.
    pub created_at: jiff::civil::DateTime,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub text: Option<String>,
}

/// The attributes of `Metadata`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Metadata {
    /// A text.
    pub key: String,
    /// A text.
    pub parent_id: String,
    /// A text.
    pub parent_type: String,
    /// Free-form data.
    pub value: serde_json::Value,
}

/// The attributes of `Milestone`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Milestone {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A number.
    pub bid: f64,
    /// A number.
    pub bid_time_logged_difference: Option<f64>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: MilestoneCustom,
    /// A text.
    pub description: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Refers to a `Priority`.
    pub priority: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Priority.id
    pub priority_id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A number.
    pub sort: f64,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): Context.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// A number.
    pub time_logged: Option<f64>,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The custom attributes of `Milestone`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct MilestoneCustom {
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `Note`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Note {
    /// Refers to a `BaseUser`.
    pub author: Option<ftrack_api::EntityKey>,
    /// Refers to a `NoteCategory`.
    pub category: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): NoteCategory.id
    pub category_id: Option<String>,
    /// A point in time.
    pub completed_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub completed_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub completed_by_id: Option<String>,
    /// A text.
    pub content: Option<String>,
    /// A point in time.
    pub date: Option<jiff::civil::DateTime>,
    /// A whole number.
    pub frame_number: Option<i64>,
    /// A text.
    pub id: String,
    /// Refers to a `Note`.
    pub in_reply_to: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Note.id
    pub in_reply_to_id: Option<String>,
    /// Yes or no.
    pub is_todo: Option<bool>,
    /// A text.
    pub parent_id: Option<String>,
    /// A text.
    pub parent_type: Option<String>,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.project_id
    pub project_id: Option<String>,
    /// A point in time.
    pub thread_activity: Option<jiff::civil::DateTime>,
    /// Foreign key(s): BaseUser.id
    pub user_id: String,
}

/// The attributes of `NoteAnnotationComponent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct NoteAnnotationComponent {
    /// Refers to a `Component`.
    pub component: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub component_id: String,
    /// Free-form data.
    pub data: Option<serde_json::Value>,
    /// Refers to a `Note`.
    pub note: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Note.id
    pub note_id: String,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// Free-form data.
    pub url: Option<serde_json::Value>,
}

/// The attributes of `NoteCategory`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct NoteCategory {
    /// A text.
    pub color: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// A whole number.
    pub sort: Option<i64>,
}

/// The attributes of `NoteComponent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct NoteComponent {
    /// Refers to a `Component`.
    pub component: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub component_id: String,
    /// Refers to a `Note`.
    pub note: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Note.id
    pub note_id: String,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// Free-form data.
    pub url: Option<serde_json::Value>,
}

/// The attributes of `NoteLabel`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct NoteLabel {
    /// A text.
    pub color: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// A whole number.
    pub sort: Option<i64>,
}

/// The attributes of `NoteLabelLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct NoteLabelLink {
    /// Refers to a `NoteLabel`.
    pub label: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): NoteLabel.id
    pub label_id: String,
    /// Refers to a `Note`.
    pub note: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Note.id
    pub note_id: String,
}

/// The attributes of `ObjectType`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ObjectType {
    /// A text.
    pub icon: String,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_leaf: Option<bool>,
    /// Yes or no.
    pub is_prioritizable: Option<bool>,
    /// Yes or no.
    pub is_schedulable: bool,
    /// Yes or no.
    pub is_statusable: bool,
    /// Yes or no.
    pub is_taskable: bool,
    /// Yes or no.
    pub is_time_reportable: bool,
    /// Yes or no.
    pub is_typeable: bool,
    /// A text.
    pub name: String,
    /// A whole number.
    pub sort: i64,
}

/// The attributes of `Participant`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Participant {
    /// Refers to a `Conversation`.
    pub conversation: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Conversation.id
    pub conversation_id: String,
    /// A text.
    pub id: String,
    /// A point in time.
    pub last_visit: Option<jiff::civil::DateTime>,
    /// Refers to a `Resource`.
    pub resource: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Resource.id
    pub resource_id: String,
}

/// The attributes of `Priority`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Priority {
    /// A text.
    pub color: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// A whole number.
    pub sort: Option<i64>,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `Project`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Project {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A text.
    pub color: Option<String>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: ProjectCustom,
    /// Refers to a `Disk`.
    pub disk: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Disk.id
    pub disk_id: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub full_name: Option<String>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_global: bool,
    /// Yes or no.
    pub is_private: Option<bool>,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// Refers to a `ProjectSchema`.
    pub project_schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ProjectSchema.id
    pub project_schema_id: String,
    /// A text.
    pub root: Option<String>,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub status: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
}

/// The custom attributes of `Project`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ProjectCustom {
    /// Delivery
    pub delivery_date: Option<jiff::civil::DateTime>,
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `ProjectSchema`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ProjectSchema {
    /// Refers to a `TaskTypeSchema`.
    pub _task_type_schema: Option<ftrack_api::EntityKey>,
    /// Refers to a `WorkflowSchema`.
    pub _task_workflow: Option<ftrack_api::EntityKey>,
    /// Refers to a `WorkflowSchema`.
    pub _version_workflow: Option<ftrack_api::EntityKey>,
    /// Refers to a `WorkflowSchema`.
    pub asset_version_workflow_schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): WorkflowSchema.id
    pub asset_version_workflow_schema_id: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// Refers to a `TaskTypeSchema`.
    pub task_type_schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): TaskTypeSchema.id
    pub task_type_schema_id: Option<String>,
    /// Refers to a `WorkflowSchema`.
    pub task_workflow_schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): WorkflowSchema.id
    pub task_workflow_schema_id: Option<String>,
}

/// The attributes of `ProjectSchemaObjectType`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ProjectSchemaObjectType {
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `ProjectSchema`.
    pub project_schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ProjectSchema.id
    pub project_schema_id: String,
}

/// The attributes of `ProjectSchemaOverride`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ProjectSchemaOverride {
    /// A text.
    pub id: String,
    /// Foreign key(s): ProjectSchema.id
    pub project_schema_id: Option<String>,
    /// Foreign key(s): Type.id
    pub type_id: Option<String>,
    /// Refers to a `WorkflowSchema`.
    pub workflow_schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): WorkflowSchema.id
    pub workflow_schema_id: Option<String>,
}

/// The attributes of `Recipient`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Recipient {
    /// Refers to a `Note`.
    pub note: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Note.id
    pub note_id: String,
    /// Refers to a `Resource`.
    pub recipient: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Resource.id
    pub resource_id: String,
    /// A text.
    pub text_mentioned: Option<String>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
}

/// The attributes of `Resource`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Resource {
    /// A text.
    pub id: String,
    /// A text.
    pub resource_type: String,
}

/// The attributes of `ReviewSession`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ReviewSession {
    /// A text.
    pub availability: Option<String>,
    /// A point in time.
    pub created_at: jiff::civil::DateTime,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: String,
    /// A text.
    pub description: String,
    /// A point in time.
    pub end_date: jiff::civil::DateTime,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_moderated: Option<bool>,
    /// Yes or no.
    pub is_open: Option<bool>,
    /// A text.
    pub name: String,
    /// A text.
    pub passphrase: Option<String>,
    /// Yes or no.
    pub passphrase_enabled: Option<bool>,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.project_id
    pub project_id: String,
    /// Refers to a `ReviewSessionFolder`.
    pub review_session_folder: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ReviewSessionFolder.review_session_folder_id
    pub review_session_folder_id: Option<String>,
    /// Yes or no.
    pub shareable_url_enabled: Option<bool>,
    /// A point in time.
    pub start_date: jiff::civil::DateTime,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): AssetVersion.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
}

/// The attributes of `ReviewSessionFolder`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ReviewSessionFolder {
    /// A text.
    pub id: String,
    /// A text.
    pub name: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.project_id
    pub project_id: Option<String>,
}

/// The attributes of `ReviewSessionInvitee`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ReviewSessionInvitee {
    /// A point in time.
    pub created_at: jiff::civil::DateTime,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: String,
    /// Yes or no.
    pub created_from_shared_url: Option<bool>,
    /// A text.
    pub email: String,
    /// A text.
    pub id: String,
    /// A point in time.
    pub last_sent_at: Option<jiff::civil::DateTime>,
    /// A text.
    pub name: String,
    /// Refers to a `Resource`.
    pub resource: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Resource.id
    pub resource_id: Option<String>,
    /// Refers to a `ReviewSession`.
    pub review_session: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ReviewSession.id
    pub review_session_id: String,
}

/// The attributes of `ReviewSessionObject`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ReviewSessionObject {
    /// Refers to a `AssetVersion`.
    pub asset_version: Option<ftrack_api::EntityKey>,
    /// A point in time.
    pub created_at: jiff::civil::DateTime,
    /// A text.
    pub description: String,
    /// A text.
    pub id: String,
    /// A text.
    pub name: String,
    /// Refers to a `ReviewSession`.
    pub review_session: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ReviewSession.id
    pub review_session_id: String,
    /// A number.
    pub sort_order: f64,
    /// A text.
    pub version: String,
    /// Foreign key(s): AssetVersion.id
    pub version_id: String,
}

/// The attributes of `ReviewSessionObjectAnnotation`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ReviewSessionObjectAnnotation {
    /// A point in time.
    pub created_at: jiff::civil::DateTime,
    /// Free-form data.
    pub data: Option<serde_json::Value>,
    /// A whole number.
    pub frame_number: i64,
    /// A text.
    pub id: String,
    /// Refers to a `ReviewSessionObject`.
    pub review_session_object: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ReviewSessionObject.id
    pub review_session_object_id: Option<String>,
    /// A point in time.
    pub updated_at: Option<jiff::civil::DateTime>,
}

/// The attributes of `ReviewSessionObjectAnnotationComponent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ReviewSessionObjectAnnotationComponent {
    /// Refers to a `Component`.
    pub component: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub component_id: String,
    /// A whole number.
    pub frame_number: i64,
    /// Refers to a `ReviewSessionObject`.
    pub review_session_object: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ReviewSessionObject.id
    pub review_session_object_id: String,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// Free-form data.
    pub url: Option<serde_json::Value>,
}

/// The attributes of `ReviewSessionObjectStatus`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ReviewSessionObjectStatus {
    /// A point in time.
    pub created_at: jiff::civil::DateTime,
    /// A text.
    pub id: String,
    /// Refers to a `ReviewSessionInvitee`.
    pub invitee: Option<ftrack_api::EntityKey>,
    /// Refers to a `Resource`.
    pub resource: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Resource.id
    pub resource_id: Option<String>,
    /// Foreign key(s): ReviewSessionInvitee.id
    pub review_session_invitee_id: Option<String>,
    /// Refers to a `ReviewSessionObject`.
    pub review_session_object: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ReviewSessionObject.id
    pub review_session_object_id: Option<String>,
    /// A text.
    pub status: Option<String>,
}

/// The attributes of `Schema`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Schema {
    /// A text.
    pub id: String,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: Option<String>,
    /// Foreign key(s): ProjectSchema.id
    pub project_schema_id: String,
    /// Foreign key(s): ObjectType.id
    pub type_id: String,
}

/// The attributes of `SchemaStatus`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct SchemaStatus {
    /// Foreign key(s): Schema.id
    pub schema_id: String,
    /// A whole number.
    pub sort: Option<i64>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Status`.
    pub task_status: Option<ftrack_api::EntityKey>,
}

/// The attributes of `SchemaType`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct SchemaType {
    /// Foreign key(s): Schema.id
    pub schema_id: String,
    /// A whole number.
    pub sort: Option<i64>,
    /// Refers to a `Type`.
    pub task_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The attributes of `Scope`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Scope {
    /// A text.
    pub id: String,
    /// A text.
    pub name: String,
}

/// The attributes of `SecurityRole`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct SecurityRole {
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// Foreign key(s): SecurityRoleType.id
    pub r#type: Option<String>,
}

/// The attributes of `Sequence`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Sequence {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A number.
    pub bid: f64,
    /// A number.
    pub bid_time_logged_difference: Option<f64>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: SequenceCustom,
    /// A text.
    pub description: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Refers to a `Priority`.
    pub priority: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Priority.id
    pub priority_id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A number.
    pub sort: f64,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): Context.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// A number.
    pub time_logged: Option<f64>,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The custom attributes of `Sequence`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct SequenceCustom {
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `SequenceComponent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct SequenceComponent {
    /// Refers to a `ContainerComponent`.
    pub container: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ContainerComponent.id
    pub container_id: Option<String>,
    /// A text.
    pub file_type: Option<String>,
    /// Foreign key(s): Component.id
    pub id: String,
    /// A text.
    pub name: String,
    /// A whole number.
    pub padding: i64,
    /// A whole number.
    pub size: Option<i64>,
    /// A text.
    pub system_type: String,
    /// Refers to a `AssetVersion`.
    pub version: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): AssetVersion.id
    pub version_id: Option<String>,
}

/// The attributes of `Setting`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Setting {
    /// A text.
    pub group: String,
    /// A text.
    pub name: String,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `SettingComponent`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct SettingComponent {
    /// Refers to a `Component`.
    pub component: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub component_id: String,
    /// Foreign key(s): Setting.group
    pub group: String,
    /// Foreign key(s): Setting.name
    pub name: String,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// Free-form data.
    pub url: Option<serde_json::Value>,
}

/// The attributes of `Shot`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Shot {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A number.
    pub bid: f64,
    /// A number.
    pub bid_time_logged_difference: Option<f64>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: ShotCustom,
    /// A text.
    pub description: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Refers to a `Priority`.
    pub priority: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Priority.id
    pub priority_id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A number.
    pub sort: f64,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): Context.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// A number.
    pub time_logged: Option<f64>,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The custom attributes of `Shot`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct ShotCustom {
    /// First frame
    pub fstart: Option<f64>,
    /// Inherited number
    pub htest: Option<f64>,
    /// Shot size
    pub shot_size: Option<serde_json::Value>,
}

/// The attributes of `SplitTaskPart`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct SplitTaskPart {
    /// A point in time.
    pub end_date: jiff::civil::DateTime,
    /// A text.
    pub id: String,
    /// A text.
    pub label: Option<String>,
    /// A point in time.
    pub start_date: jiff::civil::DateTime,
    /// Refers to a `Task`.
    pub task: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Task.id
    pub task_id: String,
}

/// The attributes of `State`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct State {
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// A text.
    pub short: Option<String>,
}

/// The attributes of `Status`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Status {
    /// A text.
    pub color: Option<String>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_active: bool,
    /// A text.
    pub name: Option<String>,
    /// A whole number.
    pub sort: Option<i64>,
    /// Refers to a `State`.
    pub state: Option<ftrack_api::EntityKey>,
}

/// The attributes of `StatusChange`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct StatusChange {
    /// A point in time.
    pub date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub from_status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub from_status_id: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub parent_id: Option<String>,
    /// A text.
    pub parent_type: Option<String>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: Option<String>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
}

/// The attributes of `StatusRule`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct StatusRule {
    /// A text.
    pub id: String,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `StatusRuleGroup`.
    pub status_rule_group: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): StatusRuleGroup.id
    pub status_rule_group_id: String,
}

/// The attributes of `StatusRuleGroup`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct StatusRuleGroup {
    /// A text.
    pub entity_type: String,
    /// A text.
    pub id: String,
    /// Refers to a `SecurityRole`.
    pub role: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): SecurityRole.id
    pub role_id: Option<String>,
    /// Refers to a `ProjectSchema`.
    pub schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ProjectSchema.id
    pub schema_id: String,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
}

/// The attributes of `Task`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Task {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A number.
    pub bid: f64,
    /// A number.
    pub bid_time_logged_difference: Option<f64>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: TaskCustom,
    /// A text.
    pub description: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Refers to a `Priority`.
    pub priority: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Priority.id
    pub priority_id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A number.
    pub sort: f64,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): Context.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// A number.
    pub time_logged: Option<f64>,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The custom attributes of `Task`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TaskCustom {
    /// Custom number
    #[serde(rename = "customNumber")]
    pub custom_number: Option<f64>,
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `TaskTemplate`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TaskTemplate {
    /// A text.
    pub id: String,
    /// A text.
    pub name: String,
    /// Refers to a `ProjectSchema`.
    pub project_schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ProjectSchema.id
    pub project_schema_id: String,
}

/// The attributes of `TaskTemplateItem`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TaskTemplateItem {
    /// A text.
    pub id: String,
    /// Refers to a `Type`.
    pub task_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub task_type_id: String,
    /// Refers to a `TaskTemplate`.
    pub template: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): TaskTemplate.id
    pub template_id: String,
}

/// The attributes of `TaskTypeSchema`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TaskTypeSchema {
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
}

/// The attributes of `TaskTypeSchemaType`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TaskTypeSchemaType {
    /// Foreign key(s): TaskTypeSchema.id
    pub task_type_schema_id: String,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The attributes of `Timelog`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Timelog {
    /// A text.
    pub comment: String,
    /// Refers to a `Context`.
    pub context: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub context_id: Option<String>,
    /// A number.
    pub duration: f64,
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// A point in time.
    pub start: jiff::civil::DateTime,
    /// A number.
    pub time_zone_offset: Option<f64>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.id
    pub user_id: Option<String>,
}

/// The attributes of `Timer`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Timer {
    /// A text.
    pub comment: String,
    /// Refers to a `Context`.
    pub context: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub context_id: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// A point in time.
    pub start: jiff::civil::DateTime,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub user_id: String,
}

/// The attributes of `Trigger`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Trigger {
    /// Refers to a `Automation`.
    pub automation: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Automation.id
    pub automation_id: Option<String>,
    /// A text.
    pub filter: String,
    /// A text.
    pub id: String,
}

/// The attributes of `Type`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Type {
    /// A text.
    pub color: String,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_billable: bool,
    /// A text.
    pub name: Option<String>,
    /// A whole number.
    pub sort: i64,
}

/// The attributes of `TypedContext`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TypedContext {
    /// This attribute has been deprecated, use `link` attribute instead.
    pub _link: Option<serde_json::Value>,
    /// A number.
    pub bid: f64,
    /// A number.
    pub bid_time_logged_difference: Option<f64>,
    /// A text.
    pub context_type: String,
    /// A point in time.
    pub created_at: Option<jiff::civil::DateTime>,
    /// Refers to a `User`.
    pub created_by: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub created_by_id: Option<String>,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: TypedContextCustom,
    /// A text.
    pub description: Option<String>,
    /// A point in time.
    pub end_date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Free-form data.
    pub link: Option<serde_json::Value>,
    /// A text.
    pub name: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `Context`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Context.id
    pub parent_id: Option<String>,
    /// Refers to a `Priority`.
    pub priority: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Priority.id
    pub priority_id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// A number.
    pub sort: f64,
    /// A point in time.
    pub start_date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Foreign key(s): Context.id
    pub thumbnail_source_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// A number.
    pub time_logged: Option<f64>,
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
}

/// The custom attributes of `TypedContext`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TypedContextCustom {
    /// Inherited number
    pub htest: Option<f64>,
}

/// The attributes of `TypedContextLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TypedContextLink {
    /// Refers to a `TypedContext`.
    pub from: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): TypedContext.id
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A number.
    pub lag: Option<f64>,
    /// Refers to a `TypedContext`.
    pub to: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): TypedContext.id
    pub to_id: String,
    /// A text.
    pub r#type: Option<String>,
}

/// The attributes of `TypedContextList`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TypedContextList {
    /// Refers to a `ListCategory`.
    pub category: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ListCategory.id
    pub category_id: String,
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: TypedContextListCustom,
    /// A point in time.
    pub date: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_open: bool,
    /// A text.
    pub name: Option<String>,
    /// Refers to a `User`.
    pub owner: Option<ftrack_api::EntityKey>,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: String,
    /// Defines the type of the items this list accepts.
    pub system_type: Option<String>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
}

/// The custom attributes of `TypedContextList`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TypedContextListCustom {
    /// List flag
    pub listbool: Option<bool>,
}

/// The attributes of `TypedContextStatusChange`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TypedContextStatusChange {
    /// A point in time.
    pub date: Option<jiff::civil::DateTime>,
    /// Refers to a `Status`.
    pub from_status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub from_status_id: Option<String>,
    /// A text.
    pub id: String,
    /// Refers to a `TypedContext`.
    pub parent: Option<ftrack_api::EntityKey>,
    /// A text.
    pub parent_id: Option<String>,
    /// A text.
    pub parent_type: Option<String>,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: Option<String>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.user_id
    pub user_id: Option<String>,
}

/// The attributes of `TypedContextStatusRuleGroup`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct TypedContextStatusRuleGroup {
    /// A text.
    pub entity_type: String,
    /// A text.
    pub id: String,
    /// Refers to a `ObjectType`.
    pub object_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ObjectType.id
    pub object_type_id: String,
    /// Refers to a `SecurityRole`.
    pub role: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): SecurityRole.id
    pub role_id: Option<String>,
    /// Refers to a `ProjectSchema`.
    pub schema: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): ProjectSchema.id
    pub schema_id: String,
    /// Refers to a `Status`.
    pub status: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Status.id
    pub status_id: String,
}

/// The attributes of `User`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct User {
    /// The custom attributes.
    #[serde(deserialize_with = "ftrack_api::codegen::key_values")]
    pub custom_attributes: UserCustom,
    /// A text.
    pub email: Option<String>,
    /// A text.
    pub first_name: Option<String>,
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_active: bool,
    /// Yes or no.
    pub is_otp_enabled: Option<bool>,
    /// Yes or no.
    pub is_totp_enabled: Option<bool>,
    /// A text.
    pub last_name: Option<String>,
    /// Yes or no.
    pub require_details_update: Option<bool>,
    /// A text.
    pub resource_type: String,
    /// Refers to a `Component`.
    pub thumbnail: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Component.id
    pub thumbnail_id: Option<String>,
    /// Free-form data.
    pub thumbnail_url: Option<serde_json::Value>,
    /// Refers to a `UserType`.
    pub user_type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): UserType.id
    pub user_type_id: Option<String>,
    /// A text.
    pub username: Option<String>,
}

/// The custom attributes of `User`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserCustom {
    /// Test text
    pub teststring: Option<String>,
}

/// The attributes of `UserApplicationState`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserApplicationState {
    /// A text.
    pub key: String,
    /// Foreign key(s): User.id
    pub user_id: String,
    /// Free-form data.
    pub value: serde_json::Value,
}

/// The attributes of `UserCustomAttributeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserCustomAttributeLink {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
}

/// The attributes of `UserCustomAttributeLinkFrom`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserCustomAttributeLinkFrom {
    /// Refers to a `CustomAttributeLinkConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeLinkConfiguration.id
    pub configuration_id: String,
    /// A text.
    pub from_entity_type: String,
    /// A text.
    pub from_id: String,
    /// A text.
    pub id: String,
    /// A text.
    pub to_entity_type: String,
    /// A text.
    pub to_id: String,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
}

/// The attributes of `UserCustomAttributeValue`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserCustomAttributeValue {
    /// Refers to a `CustomAttributeConfiguration`.
    pub configuration: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): CustomAttributeConfiguration.id
    pub configuration_id: String,
    /// Foreign key(s): User.id
    pub entity_id: String,
    /// A text.
    pub key: Option<String>,
    /// Free-form data.
    pub value: Option<serde_json::Value>,
}

/// The attributes of `UserSecurityRole`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserSecurityRole {
    /// A text.
    pub id: String,
    /// Yes or no.
    pub is_all_open_projects: Option<bool>,
    /// This attribute has been deprecated, use `is_all_open_projects` attribute instead.
    pub is_all_projects: Option<bool>,
    /// Refers to a `SecurityRole`.
    pub security_role: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): SecurityRole.id
    pub security_role_id: Option<String>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.id
    pub user_id: Option<String>,
}

/// The attributes of `UserSecurityRoleProject`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserSecurityRoleProject {
    /// A text.
    pub id: String,
    /// Refers to a `Project`.
    pub project: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Project.id
    pub project_id: Option<String>,
    /// Refers to a `UserSecurityRole`.
    pub user_security_role: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): UserSecurityRole.id
    pub user_security_role_id: Option<String>,
}

/// The attributes of `UserSession`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserSession {
    /// A point in time.
    pub accessed_time: Option<jiff::civil::DateTime>,
    /// A point in time.
    pub creation_time: Option<jiff::civil::DateTime>,
    /// A text.
    pub id: String,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.id
    pub user_id: Option<String>,
}

/// The attributes of `UserTaskTypeLink`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserTaskTypeLink {
    /// Refers to a `Type`.
    pub r#type: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Type.id
    pub type_id: String,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.id
    pub user_id: String,
}

/// The attributes of `UserType`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserType {
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
}

/// The attributes of `UserView`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct UserView {
    /// Yes or no.
    pub global: Option<bool>,
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
    /// Refers to a `User`.
    pub user: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): User.id
    pub user_id: Option<String>,
}

/// The attributes of `WebhookAction`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct WebhookAction {
    /// Refers to a `Automation`.
    pub automation: Option<ftrack_api::EntityKey>,
    /// Foreign key(s): Automation.id
    pub automation_id: String,
    /// A text.
    pub headers: Option<String>,
    /// A text.
    pub id: String,
    /// A text.
    pub webhook_url: String,
}

/// The attributes of `WorkflowSchema`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct WorkflowSchema {
    /// A text.
    pub id: String,
    /// A text.
    pub name: Option<String>,
}

/// The attributes of `WorkflowSchemaStatus`.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct WorkflowSchemaStatus {
    /// Foreign key(s): Status.id
    pub status_id: String,
    /// Foreign key(s): WorkflowSchema.id
    pub workflow_schema_id: String,
}
