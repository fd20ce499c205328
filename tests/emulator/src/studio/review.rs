//! Lists and review sessions of a project.

use std::mem;

use super::{
    Studio, attributes,
    context::Context,
    publish::Published,
    row,
    seed::{TODAY, day, id, pick},
};

const INVITEES: [(&str, &str); 2] = [
    ("Rosa Marchetti", "rosa@meridian.example"),
    ("Per Dahl", "per@meridian.example"),
];

/// Uses up the versions that were kept of the project.
pub(super) fn rows(studio: &mut Studio<'_>, project: &Context) {
    let versions = mem::take(&mut studio.versions);
    studio.build_version = None;
    if versions.is_empty() {
        return;
    }
    lists(studio, project, &versions);
    session(studio, project, &versions[..versions.len().min(6)]);
}

fn lists(studio: &mut Studio<'_>, project: &Context, versions: &[Published]) {
    let dailies = format!("Dailies {}", day(TODAY - 1, 0).date());
    let entities: Vec<&str> = versions.iter().map(|version| version.id.as_str()).collect();
    let list = list(
        studio,
        project,
        "AssetVersionList",
        &dailies,
        "Dailies",
        &entities,
    );
    attributes::set(studio, "listbool", &list, true);
    let mut tasks: Vec<&str> = versions
        .iter()
        .filter_map(|version| version.task_id.as_deref())
        .collect();
    tasks.dedup();
    self::list(
        studio,
        project,
        "TypedContextList",
        "Due this week",
        "Generic",
        &tasks,
    );
}

fn list(
    studio: &mut Studio<'_>,
    project: &Context,
    entity_type: &'static str,
    name: &str,
    category: &str,
    entities: &[&str],
) -> String {
    let path = format!("{}/{name}", project.path);
    let list = id("List", &path);
    let items = if entity_type == "AssetVersionList" {
        "assetversion"
    } else {
        "task"
    };
    row!(studio, entity_type, id: &list, name: name, category_id: id("ListCategory", category),
        project_id: &project.id, user_id: id("User", "ada.lindqvist"), system_type: items,
        is_open: true, date: day(TODAY - 1, 8));
    for entity in entities {
        row!(studio, "ListObject", id: id("ListObject", &format!("{path}/{entity}")),
            list_id: &list, entity_id: *entity);
    }
    list
}

fn session(studio: &mut Studio<'_>, project: &Context, versions: &[Published]) {
    let session = id("ReviewSession", &project.path);
    let producer = id("User", "ada.lindqvist");
    row!(studio, "ReviewSession", id: &session, name: "Client review, week 47",
        description: "Please leave your notes until Friday noon.", project_id: &project.id,
        start_date: day(TODAY - 2, 8), end_date: day(TODAY + 5, 18), is_moderated: true,
        shareable_url_enabled: false, passphrase_enabled: false, created_by_id: &producer,
        created_at: day(TODAY - 3, 16));
    for (name, email) in INVITEES {
        row!(studio, "ReviewSessionInvitee", id: invitee(project, name), name: name, email: email,
            review_session_id: &session, created_from_shared_url: false,
            created_by_id: &producer, created_at: day(TODAY - 3, 16));
    }
    for (index, version) in versions.iter().enumerate() {
        let object = id("ReviewSessionObject", &format!("{session}/{}", version.id));
        row!(studio, "ReviewSessionObject", id: &object, name: &version.name,
            description: "For your approval.", version: format!("Version {}", version.number),
            version_id: &version.id, review_session_id: &session, sort_order: index as f64,
            created_at: day(TODAY - 3, 17));
        let (name, _) = INVITEES[index % INVITEES.len()];
        row!(studio, "ReviewSessionObjectStatus", id: id("ReviewSessionObjectStatus", &object),
            review_session_object_id: &object, review_session_invitee_id: invitee(project, name),
            status: pick(&["seen", "approved", "require_changes"], "status", &object),
            created_at: day(TODAY - 1, 10));
    }
}

fn invitee(project: &Context, name: &str) -> String {
    id("ReviewSessionInvitee", &format!("{}/{name}", project.path))
}
