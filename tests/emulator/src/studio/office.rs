//! What happens around the projects: jobs, the calendar, messages, and what users have set.

use serde_json::json;

use super::{
    Studio, attributes,
    people::PEOPLE,
    row,
    seed::{TODAY, day, id},
};

const EVENTS: [(&str, usize, i64, i64, bool); 5] = [
    ("Holidays", 5, 182, 189, true),
    ("Holidays", 8, 203, 210, true),
    ("Parental leave", 11, 140, 200, true),
    ("Motion capture in Malmö", 6, 176, 178, false),
    ("Colour workshop", 10, 179, 179, false),
];

const MESSAGES: [(usize, &str); 4] = [
    (
        1,
        "The client wants the harbor sequence two days early. Can we make it?",
    ),
    (
        3,
        "Only without the new rain. Ask for the weekend on the farm.",
    ),
    (10, "Comp is fine if lighting delivers by Wednesday."),
    (1, "Thank you both, I will confirm with them."),
];

pub(super) fn rows(studio: &mut Studio<'_>) {
    jobs(studio);
    calendar(studio);
    conversation(studio);
    for (index, person) in PEOPLE.iter().enumerate().take(4) {
        attributes::set(
            studio,
            "teststring",
            &person.id(),
            format!("desk {}", index + 1),
        );
    }
}

fn jobs(studio: &mut Studio<'_>) {
    let jobs = [
        ("Exported the schedule of Copper Harbor", "done", 3),
        ("Created 48 tasks from a template", "done", 2),
        ("Imported the cut of ep102", "failed", 1),
    ];
    for (description, status, ago) in jobs {
        row!(studio, "Job", id: id("Job", description), type: "api_job", status: status,
            data: json!({"description": description}).to_string(), user_id: PEOPLE[0].id(),
            created_at: day(TODAY - ago, 2), finished_at: day(TODAY - ago, 3));
    }
}

fn calendar(studio: &mut Studio<'_>) {
    for (name, person, first, last, leave) in EVENTS {
        let event = id("CalendarEvent", &format!("{name}/{person}"));
        let producer = PEOPLE[1].id();
        row!(studio, "CalendarEvent", id: &event, name: name, start: day(first, 8),
            end: day(last, 18), leave: leave, everyone: false, forecast: false,
            created_by_id: &producer, created_at: day(TODAY - 40, 12));
        row!(studio, "CalendarEventResource", id: id("CalendarEventResource", &event),
            calendar_event_id: &event, resource_id: PEOPLE[person].id(),
            created_by_id: &producer, created_at: day(TODAY - 40, 12));
    }
}

fn conversation(studio: &mut Studio<'_>) {
    let conversation = id("Conversation", "schedule");
    row!(studio, "Conversation", id: &conversation, created_by_id: PEOPLE[1].id(),
        created_at: day(TODAY - 4, 9));
    for person in [1, 3, 10] {
        let user = PEOPLE[person].id();
        row!(studio, "Participant", id: id("Participant", &user), conversation_id: &conversation,
            resource_id: user, last_visit: day(TODAY - 3, 9));
    }
    for (hour, (person, text)) in (9i8..).zip(MESSAGES) {
        row!(studio, "Message", id: id("Message", text), conversation_id: &conversation,
            text: text, created_by_id: PEOPLE[person].id(), created_at: day(TODAY - 4, hour));
    }
}
