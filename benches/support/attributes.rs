//! The 13 attributes of a task that the benchmarks read, those beside the official clients as well.

/// The attributes that the benchmarks request of tasks.
pub const PATHS: [&str; 13] = [
    "name",
    "description",
    "bid",
    "sort",
    "start_date",
    "end_date",
    "created_at",
    "status.name",
    "status.color",
    "type.name",
    "priority.name",
    "project.full_name",
    "parent.name",
];

/// What users read besides: a path of parents, a null, a custom attribute, a collection of two.
pub const USERS_PATHS: [&str; 4] = [
    "link",
    "thumbnail_id",
    "custom_attributes.value",
    "assignments.resource_id",
];

/// The texts among [`PATHS`].
pub const TEXTS: [&str; 8] = [
    "name",
    "description",
    "status.name",
    "status.color",
    "type.name",
    "priority.name",
    "project.full_name",
    "parent.name",
];

/// The numbers among them.
pub const NUMBERS: [&str; 2] = ["bid", "sort"];

/// The points in time among them.
pub const DATES: [&str; 3] = ["start_date", "end_date", "created_at"];
