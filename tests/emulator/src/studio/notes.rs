//! Notes with labels, recipients and replies.

use super::{
    Cell, Studio,
    people::{PEOPLE, Person},
    row,
    seed::{TODAY, chance, day, id, pick},
    site::LABELS,
};

/// What somebody wrote and what was replied, if anything.
const THREADS: [(&str, Option<&str>); 14] = [
    (
        "Love the silhouette. Can we hold it eight frames longer?",
        Some("Done, version is up."),
    ),
    (
        "The lantern flame flickers too regularly, it reads as a loop.",
        None,
    ),
    (
        "Client approved this in Thursday's call.",
        Some("Great, sending it to delivery."),
    ),
    (
        "Please check the contact shadow under the boat around frame 1042.",
        Some("Good catch."),
    ),
    ("Fog is a touch heavy at the head of the shot.", None),
    (
        "The gulls cross the horizon line; move them up or lose them.",
        Some("Moved them up."),
    ),
    (
        "Cut length changed: please add twelve handles at the tail.",
        None,
    ),
    (
        "Great weight in the turn. Only the left foot slides a little.",
        Some("Fixed in the next."),
    ),
    (
        "Compare with the reference from the location scout, the sea was greyer.",
        None,
    ),
    (
        "Colour space of the plate is wrong, it was exported as sRGB.",
        Some("Replaced the plate."),
    ),
    (
        "Could we try a version with the lamp off?",
        Some("On it, should be up this evening."),
    ),
    ("Approved for the trailer, keep going for the film.", None),
    ("Rain streaks pop between frames 1020 and 1021.", None),
    (
        "The barnacles are beautiful. Tell the team.",
        Some("Told them: cheers all around."),
    ),
];

/// Emits a note on an entity of the given type, written some days after the first of June;
/// `name` tells it from all other notes.
pub(super) fn note(studio: &mut Studio<'_>, parent_type: &str, parent: &str, name: &str, on: i64) {
    let on = on.min(TODAY - 1);
    let (content, reply) = pick(&THREADS, "thread", name);
    let (label, _) = pick(&LABELS, "label", name);
    let [author, recipient] = writers(name);
    let note = id("Note", name);
    let is_todo = chance(3, "todo", name) == 0;
    let completed = (is_todo && chance(2, "completed", name) == 0).then(|| day(on + 1, 15));
    row!(studio, "Note", id: &note, content: content, date: day(on, 14), user_id: &author,
        parent_id: parent, parent_type: parent_type, category_id: id("NoteCategory", label),
        is_todo: is_todo, completed_at: completed,
        completed_by_id: completed.map(|_| recipient.clone()),
        thread_activity: day(if reply.is_some() { on + 1 } else { on }, 14));
    row!(studio, "NoteLabelLink", note_id: &note, label_id: id("NoteCategory", label));
    for resource in [&author, &recipient] {
        row!(studio, "Recipient", note_id: &note, resource_id: resource);
    }
    if let Some(reply) = reply {
        row!(studio, "Note", id: id("Note", &format!("{name}/reply")), content: reply,
            date: day(on + 1, 14), user_id: recipient, parent_id: parent,
            parent_type: parent_type, in_reply_to_id: &note, is_todo: false,
            thread_activity: day(on + 1, 14), category_id: Cell::Null);
    }
}

/// A supervisor or producer who writes, and an artist who replies.
fn writers(name: &str) -> [String; 2] {
    let pick = |group: &[Person], purpose| group[chance(group.len(), purpose, name)].id();
    [
        pick(&PEOPLE[1..5], "author"),
        pick(&PEOPLE[5..14], "recipient"),
    ]
}
