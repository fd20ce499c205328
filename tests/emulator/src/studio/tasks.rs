//! A task and the traces of the work on it: assignment, time, changes of status, notes.

use super::{
    Studio, attributes,
    context::{Context, New},
    notes,
    people::{self, Person},
    row,
    seed::{TODAY, chance, day, id, pick},
    workflow::UNREVIEWED_TYPES,
};

/// A task to be made.
pub(super) struct Work<'a> {
    pub(super) name: &'a str,
    pub(super) type_name: &'a str,
    /// The first day.
    pub(super) start: i64,
    pub(super) index: usize,
}

/// A task that has been made.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) id: String,
    path: String,
    pub(super) type_name: String,
    /// The first day.
    pub(super) start: i64,
    pub(super) has_begun: bool,
    /// The user who does the work.
    pub(super) artist: &'static Person,
}

const COMMENTS: [&str; 6] = [
    "First pass",
    "Addressed notes from dailies",
    "Cleaned up curves and published",
    "Tests with the new rig",
    "Waiting for the plate, prepared the scene",
    "Final tweaks",
];

pub(super) fn task(
    studio: &mut Studio<'_>,
    parent: &Context,
    work: &Work<'_>,
    before: Option<&Task>,
) -> Task {
    let path = format!("{}/{}", parent.path, work.name);
    let days = 3 + chance(9, "days", &path) as i64;
    let (first, last) = (work.start, work.start + days);
    let new = New {
        kind: "Task",
        name: work.name,
        description: brief(work.type_name),
        type_name: work.type_name,
        status: status(work.type_name, first, last, &path),
        priority: pick(
            &["None", "None", "None", "Medium", "High", "Urgent"],
            "priority",
            &path,
        ),
        days: Some((first, last)),
        bid: ((days * 5 / 7) * 8 * 3600) as f64,
        sort: work.index,
    };
    let context = parent.add(studio, &new);
    let artists = people::members(group(work.type_name));
    let task = Task {
        id: context.id,
        path,
        type_name: work.type_name.to_owned(),
        start: first,
        has_begun: new.status != "Not started",
        artist: pick(&artists, "artist", &parent.path),
    };
    if let Some(before) = before {
        row!(studio, "TypedContextLink", id: id("TypedContextLink", &task.path),
            from_id: &before.id, to_id: &task.id);
    }
    traces(studio, &task, new.status, first, last);
    task
}

/// Emits a milestone; nobody needs to approve that it was reached.
pub(super) fn milestone(studio: &mut Studio<'_>, project: &Context, name: &str, last: i64) {
    let status = status("Previz", last, last, name);
    let days = Some((last, last));
    let new = New {
        kind: "Milestone",
        name,
        status,
        days,
        ..New::GROUPING
    };
    project.add(studio, &new);
}

/// What the date makes of a task; some work waits for approval longer than planned.
pub(super) fn status(type_name: &str, first: i64, last: i64, name: &str) -> &'static str {
    let is_reviewed = !UNREVIEWED_TYPES.contains(&type_name);
    if first > TODAY {
        "Not started"
    } else if last >= TODAY {
        "In progress"
    } else if is_reviewed && chance(8, "approval", name) == 0 {
        "Awaiting approval"
    } else {
        "Approved"
    }
}

fn brief(type_name: &str) -> &'static str {
    match type_name {
        "Modeling" => "Match the concept sheet; quads only where it deforms.",
        "Lookdev" => "Salt, rust and wet surfaces under three lighting setups.",
        "Rigging" => "Body and face controls; test with the walk cycle.",
        "Hair" => "Groom with wind-blown and wet variations.",
        "Animation" => "Block the poses first, then spline after approval.",
        "Lighting" => "Key from the lamp, keep the fog readable.",
        "Compositing" => "Integrate plate and render; grain as in the neighbouring shots.",
        "Tracking" => "Solve the camera and hand over undistorted plates.",
        "FX" => "Spray, mist and embers to match the approved tests.",
        _ => "",
    }
}

fn group(type_name: &str) -> &'static str {
    match type_name {
        "Modeling" | "Lookdev" | "Rigging" | "Hair" | "Cloth" => "Assets",
        "Animation" | "Previz" => "Animation",
        "Lighting" | "FX" => "Lighting",
        "Compositing" | "Tracking" => "Compositing",
        _ => "Pipeline",
    }
}

fn traces(studio: &mut Studio<'_>, task: &Task, status: &str, first: i64, last: i64) {
    if task.has_begun || chance(3, "assigned", &task.path) > 0 {
        row!(studio, "Appointment", id: id("Appointment", &task.path), type: "assignment",
            context_id: &task.id, resource_id: task.artist.id());
    }
    if !task.has_begun {
        return;
    }
    timelog(studio, task, task.artist, first);
    if chance(4, "history", &task.path) == 0 {
        status_change(studio, task, "Not started", "In progress", first);
        if status != "In progress" {
            status_change(studio, task, "In progress", status, last);
        }
    }
    if chance(6, "task note", &task.path) == 0 {
        notes::note(studio, "Task", &task.id, &task.path, first + 1);
    }
    if chance(10, "number", &task.path) == 0 && task.path != "test/Import camera" {
        let number = chance(1000, "custom number", &task.path) as i64;
        attributes::set(studio, "customNumber", &task.id, number);
    }
}

pub(super) fn timelog(studio: &mut Studio<'_>, task: &Task, user: &Person, start: i64) {
    let key = format!("{}/{}", task.path, user.name());
    let hours = 1 + chance(8, "hours", &key);
    row!(studio, "Timelog", id: id("Timelog", &key), context_id: &task.id, user_id: user.id(),
        start: day(start, 9), duration: (hours * 3600) as f64,
        comment: pick(&COMMENTS, "comment", &key));
}

/// Unlike other attributes of that name, `parent_type` is not translated for clients here: it
/// holds the server's name of the table.
fn status_change(studio: &mut Studio<'_>, task: &Task, from: &str, to: &str, on: i64) {
    row!(studio, "TypedContextStatusChange",
        id: id("StatusChange", &format!("{}/{to}", task.path)), date: day(on, 11),
        parent_id: &task.id, parent_type: "task", from_status_id: id("Status", from),
        status_id: id("Status", to), user_id: task.artist.id());
}
