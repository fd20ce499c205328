//! What belongs to the site rather than to a project: locations, disks, settings, categories,
//! dashboards and scopes.

use serde_json::json;

use super::{Studio, people::PEOPLE, row, seed::id};

/// Name, label and description.
const LOCATIONS: [(&str, &str, &str); 5] = [
    (
        "ftrack.origin",
        "Origin",
        "Where a file was when its component was made.",
    ),
    (
        "ftrack.unmanaged",
        "Unmanaged",
        "Files that stay where they are.",
    ),
    ("ftrack.review", "Review", "Playable media for reviews."),
    (
        "ftrack.connect",
        "Connect",
        "Files published from the desktop application.",
    ),
    ("ftrack.server", "Server", "Files kept by this server."),
];

pub(super) const LABELS: [(&str, &str); 4] = [
    ("Client feedback", "#E74C3C"),
    ("Internal", "#3498DB"),
    ("Technical", "#8E44AD"),
    ("Idea", "#2ECC71"),
];

pub(super) const SCOPES: [&str; 3] = ["Trailer", "Early delivery", "Stereo"];

/// Name and the short name that goes into file names.
const ASSET_TYPES: [(&str, &str); 7] = [
    ("Generic", "generic"),
    ("Geometry", "geo"),
    ("Rig", "rig"),
    ("Animation", "anim"),
    ("Render", "render"),
    ("Comp", "comp"),
    ("Upload", "upload"),
];

pub(super) fn rows(studio: &mut Studio<'_>) {
    for (name, label, description) in LOCATIONS {
        row!(studio, "Location", id: id("Location", name), name: name, label: label,
            description: description);
    }
    row!(studio, "Disk", id: id("Disk", "Projects"), name: "Projects", unix: "/mnt/projects",
        windows: "P:\\");
    row!(studio, "Setting", group: "STORAGE", name: "storage_scenario",
        value: json!({"scenario": "ftrack.automatic", "data": {}}).to_string());
    row!(studio, "Setting", group: "GENERAL", name: "company_name", value: "Lantern Works");
    for (name, short) in ASSET_TYPES {
        row!(studio, "AssetType", id: id("AssetType", name), name: name, short: short,
            component: "main");
    }
    for (sort, (name, color)) in (0i64..).zip(LABELS) {
        row!(studio, "NoteCategory", id: id("NoteCategory", name), name: name, color: color,
            sort: sort);
    }
    for name in ["Generic", "Dailies", "Delivery"] {
        row!(studio, "ListCategory", id: id("ListCategory", name), name: name);
    }
    for name in ["Producer", "Supervisor"] {
        row!(studio, "ManagerType", id: id("ManagerType", name), name: name);
    }
    for name in SCOPES {
        row!(studio, "Scope", id: id("Scope", name), name: name);
    }
    dashboards(studio);
}

fn dashboards(studio: &mut Studio<'_>) {
    let dashboards: [(&str, &[(&str, &str)]); 2] = [
        (
            "Studio overview",
            &[
                ("tasks_due", "Due this week"),
                ("activity", "What happened"),
            ],
        ),
        (
            "Dailies",
            &[
                ("versions", "Waiting for approval"),
                ("notes", "Open notes"),
            ],
        ),
    ];
    for (owner, (name, widgets)) in PEOPLE[1..].iter().zip(dashboards) {
        let dashboard = id("Dashboard", name);
        row!(studio, "Dashboard", id: &dashboard, name: name, created_by_id: owner.id(),
            is_shared_with_everyone: true);
        row!(studio, "DashboardResource", dashboard_id: &dashboard, resource_id: owner.id(),
            is_shared_with_everyone: true);
        for (index, (kind, title)) in widgets.iter().enumerate() {
            row!(studio, "DashboardWidget", id: id("DashboardWidget", &format!("{name}/{title}")),
                dashboard_id: &dashboard, sort: index as f64, type: *kind,
                config: json!({"title": title, "columns": 2}).to_string());
        }
    }
}
