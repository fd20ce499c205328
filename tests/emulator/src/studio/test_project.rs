//! The project that published examples work in.

use super::{
    Studio, attributes,
    context::{New, project},
    people,
    tasks::{self, Work},
    workflow::SCHEMAS,
};

const VERBS: [&str; 8] = [
    "Import", "Export", "Rename", "Publish", "Review", "Retime", "Archive", "Restore",
];
const THINGS: [&str; 5] = ["camera", "plate", "texture", "rig", "cache"];

/// Emits tasks directly below the project, and below one context of every kind.
pub(super) fn rows(studio: &mut Studio<'_>, tasks: usize) {
    let project = project(
        studio,
        "test",
        "Tests (do not delete)",
        "#5D6D7E",
        SCHEMAS[0],
    );
    let grouping = New::GROUPING;
    let folder = project.add(
        studio,
        &New {
            name: "sandbox",
            ..grouping
        },
    );
    let episode = project.add(
        studio,
        &New {
            kind: "Episode",
            name: "ep01",
            ..grouping
        },
    );
    let sequence = episode.add(
        studio,
        &New {
            kind: "Sequence",
            name: "sq010",
            ..grouping
        },
    );
    let shot = sequence.add(
        studio,
        &New {
            kind: "Shot",
            name: "sh0010",
            ..grouping
        },
    );
    let prop = New {
        kind: "AssetBuild",
        name: "teapot",
        type_name: "Prop",
        ..grouping
    };
    project.add(studio, &prop);
    tasks::milestone(studio, &project, "Next release", 200);
    for index in 0..tasks {
        let parent = match index {
            0..12 => &project,
            12..26 => &folder,
            _ => &shot,
        };
        let thing = THINGS[index / VERBS.len() % THINGS.len()];
        let name = format!("{} {thing}", VERBS[index % VERBS.len()]);
        let work = Work {
            name: &name,
            type_name: "Generic",
            start: 10 + 6 * index as i64,
            index,
        };
        let task = tasks::task(studio, parent, &work, None);
        if index == 0 {
            tasks::timelog(studio, &task, &people::PEOPLE[0], 10);
            attributes::set(studio, "customNumber", &task.id, 42i64);
        }
    }
}
