//! The 13 attributes of a task that the benchmarks read, those beside the official clients as well.

/// What the tasks of the benchmarks are asked for.
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

/// The texts among them.
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

/// The numbers.
pub const NUMBERS: [&str; 2] = ["bid", "sort"];

/// The points in time.
pub const DATES: [&str; 3] = ["start_date", "end_date", "created_at"];
