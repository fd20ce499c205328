//! Productions: episodes, sequences, shots and builds, with the work that belongs to them.

use super::{
    Studio, attributes,
    context::{Context, New, project},
    notes, people, publish, review, row,
    seed::{chance, day, id, pick, share},
    site::SCOPES,
    story::{ADJECTIVES, DOES, EPISODES, HOW, NOUNS, PRODUCTIONS, SEQUENCES, STORIES, Story},
    tasks::{self, Task, Work},
    test_project,
    workflow::SCHEMAS,
};

/// How many things of each kind there are. All numbers follow from the number of tasks.
pub(super) struct Plan {
    productions: usize,
    sequences: usize,
    shots: usize,
    builds: usize,
    test_tasks: usize,
    build_tasks: usize,
    shot_tasks: usize,
    build_assets: usize,
    shot_assets: usize,
}

impl Plan {
    pub(super) fn new(tasks: usize) -> Self {
        let tasks = tasks.max(12);
        let shots = tasks.div_ceil(5);
        let sequences = shots.div_ceil(10);
        let test_tasks = (tasks / 25).clamp(12, 40);
        let build_tasks = (tasks - test_tasks) / 10;
        let assets = tasks / 10;
        Self {
            productions: sequences.div_ceil(50).max(2),
            sequences,
            shots,
            builds: build_tasks.div_ceil(4),
            test_tasks,
            build_tasks,
            shot_tasks: tasks - test_tasks - build_tasks,
            build_assets: assets / 5,
            shot_assets: assets - assets / 5,
        }
    }
}

pub(super) fn rows(studio: &mut Studio<'_>, plan: &Plan) {
    test_project::rows(studio, plan.test_tasks);
    for index in 0..plan.productions {
        production(studio, plan, index);
    }
}

pub(super) fn scope_links() -> Vec<(String, String)> {
    let mut links = vec![(id("Task", "test/Import camera"), id("Scope", SCOPES[0]))];
    for (index, (name, ..)) in PRODUCTIONS.iter().enumerate() {
        links.push((id("Project", name), id("Scope", SCOPES[0])));
        links.push((id("Project", name), id("Scope", SCOPES[index + 1])));
    }
    links
}

/// What everything in one production needs to know of it.
struct Show<'a> {
    plan: &'a Plan,
    story: &'static Story,
    /// Keys of what shots are built from.
    builds: Vec<String>,
    /// How many sequences the production has.
    sequences: usize,
}

/// Every second production is a series.
fn production(studio: &mut Studio<'_>, plan: &Plan, index: usize) {
    let project = named_project(studio, index);
    office(studio, &project);
    let first = plan.sequences * index / plan.productions;
    let count = share(plan.sequences, plan.productions, index);
    let story = &STORIES[index % STORIES.len()];
    let mut show = Show {
        plan,
        story,
        builds: Vec::new(),
        sequences: count,
    };
    builds(studio, &mut show, index, &project);
    let episodes = if index % 2 == 1 {
        count.min(EPISODES.len())
    } else {
        0
    };
    let episodes: Vec<_> = (0..episodes)
        .map(|number| episode(studio, &project, number))
        .collect();
    for number in 0..count {
        let parent = episodes
            .get(number * episodes.len() / count)
            .unwrap_or(&project);
        sequence(studio, &show, parent, number, first + number);
    }
    review::rows(studio, &project);
}

/// Two productions have names of their own; further ones are told apart by what they combine.
fn named_project(studio: &mut Studio<'_>, index: usize) -> Context {
    let schema = SCHEMAS[index % 2];
    if let Some((name, full_name, color)) = PRODUCTIONS.get(index) {
        return project(studio, name, full_name, color, schema);
    }
    let (adjective, noun) = (ADJECTIVES[index % 10], NOUNS[index / 10 % 10]);
    let path = format!("{adjective}_{noun}{}", round(index / 100)).to_lowercase();
    let number = if index < 100 {
        String::new()
    } else {
        format!(" {}", index / 100 + 1)
    };
    project(
        studio,
        &path,
        &format!("{adjective} {noun}{number}"),
        "#5D6D7E",
        schema,
    )
}

/// What a producer enters on the first day.
fn office(studio: &mut Studio<'_>, project: &Context) {
    project.note_down(studio, "fps", "24");
    project.note_down(studio, "resolution", "2048x858");
    attributes::set(studio, "htest", &project.id, 24i64);
    attributes::set(studio, "delivery_date", &project.id, day(298, 0).date());
    for (role, user) in [("Producer", "ada.lindqvist"), ("Supervisor", "mei.tanaka")] {
        row!(studio, "Manager", id: id("Manager", &format!("{}/{role}", project.path)),
            context_id: &project.id, type_id: id("ManagerType", role), user_id: id("User", user));
    }
    for group in ["Artists", "Supervision"] {
        row!(studio, "Appointment", id: id("Appointment", &format!("{}/{group}", project.path)),
            type: "allocation", context_id: &project.id, resource_id: id("Group", group));
    }
    for (name, last) in [
        ("Picture lock", 60),
        ("First delivery", 190),
        ("Final delivery", 296),
    ] {
        tasks::milestone(studio, project, name, last);
    }
    notes::note(studio, project.entity_type, &project.id, &project.path, 1);
}

/// An empty text for the first round through a table of names, then a number.
fn round(number: usize) -> String {
    if number == 0 {
        String::new()
    } else {
        format!("_{}", number + 1)
    }
}

fn builds(studio: &mut Studio<'_>, show: &mut Show<'_>, production: usize, project: &Context) {
    let plan = show.plan;
    let first = plan.builds * production / plan.productions;
    let count = share(plan.builds, plan.productions, production);
    let folder = New {
        name: "builds",
        description: "What shots are built from.",
        ..New::GROUPING
    };
    let folder = project.add(studio, &folder);
    for number in 0..count {
        let (name, type_name, description) = show.story.builds[number % show.story.builds.len()];
        let name = format!("{name}{}", round(number / show.story.builds.len()));
        let new = New {
            kind: "AssetBuild",
            name: &name,
            description,
            type_name,
            sort: number,
            ..New::GROUPING
        };
        let build = folder.add(studio, &new);
        let tasks = share(plan.build_tasks, plan.builds, first + number);
        let stages = ["Modeling", "Lookdev", "Rigging", "Hair"];
        let start = 5 + (number * 60 / count) as i64;
        let tasks = pipeline(studio, &build, &stages[..tasks.min(4)], start);
        if share(plan.build_assets, plan.builds, first + number) > 0 {
            publish::asset(studio, &build, ("model", "Geometry"), tasks.first());
        }
        show.builds.push(build.id);
    }
}

/// Tasks that follow each other.
fn pipeline(studio: &mut Studio<'_>, parent: &Context, stages: &[&str], start: i64) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for (index, stage) in stages.iter().enumerate() {
        let work = Work {
            name: stage,
            type_name: stage,
            start: start + 12 * index as i64,
            index,
        };
        tasks.push(tasks::task(studio, parent, &work, tasks.last()));
    }
    tasks
}

fn episode(studio: &mut Studio<'_>, project: &Context, number: usize) -> Context {
    let new = New {
        kind: "Episode",
        name: &format!("ep{}", 101 + number),
        description: EPISODES[number],
        sort: number,
        ..New::GROUPING
    };
    project.add(studio, &new)
}

/// `global` counts the sequences of all productions.
fn sequence(
    studio: &mut Studio<'_>,
    show: &Show<'_>,
    parent: &Context,
    number: usize,
    global: usize,
) {
    let (code, title) = SEQUENCES[(show.story.first_sequence + number) % SEQUENCES.len()];
    let code = format!("{code}{}", round(number / SEQUENCES.len()));
    let new = New {
        kind: "Sequence",
        name: &code,
        description: title,
        sort: number,
        ..New::GROUPING
    };
    let sequence = parent.add(studio, &new);
    let first = show.plan.shots * global / show.plan.sequences;
    let start = 10 + (number * 175 / show.sequences) as i64;
    for index in 0..share(show.plan.shots, show.plan.sequences, global) {
        shot(studio, show, &sequence, start, [index, first + index]);
    }
}

/// What is done in a shot, by the number of its tasks.
const STAGES: [&[&str]; 6] = [
    &[],
    &["Animation"],
    &["Animation", "Compositing"],
    &["Animation", "Lighting", "Compositing"],
    &["Tracking", "Animation", "Lighting", "Compositing"],
    &["Tracking", "Animation", "FX", "Lighting", "Compositing"],
];

/// The work begins on the day `start`. A shot is counted within its sequence and over all
/// productions.
fn shot(
    studio: &mut Studio<'_>,
    show: &Show<'_>,
    sequence: &Context,
    start: i64,
    [index, global]: [usize; 2],
) {
    let plan = show.plan;
    let name = format!("{}_{:04}", sequence.name, 10 * (index + 1));
    let path = format!("{}/{name}", sequence.path);
    let who = pick(&show.story.who, "who", &path);
    let (does, how) = (pick(&DOES, "does", &path), pick(&HOW, "how", &path));
    let status = match chance(40, "shot status", &path) {
        0 => "Omitted",
        1..3 => "On Hold",
        _ => "Normal",
    };
    let new = New {
        kind: "Shot",
        name: &name,
        description: &format!("{who} {does}; {how}."),
        status,
        sort: index,
        ..New::GROUPING
    };
    let shot = sequence.add(studio, &new);
    shot_details(studio, show, &shot);
    let stages = STAGES[share(plan.shot_tasks, plan.shots, global).min(STAGES.len() - 1)];
    let tasks = pipeline(studio, &shot, stages, start + index as i64);
    // What is worked on now, or came last.
    let task = tasks.iter().rfind(|task| task.has_begun).or(tasks.first());
    if share(plan.shot_assets, plan.shots, global) > 0 {
        let asset = match task.map(|task| task.type_name.as_str()) {
            Some("Lighting" | "FX") => ("render", "Render"),
            Some("Compositing") => ("comp", "Comp"),
            _ => ("animation", "Animation"),
        };
        publish::asset(studio, &shot, asset, task);
    }
}

fn shot_details(studio: &mut Studio<'_>, show: &Show<'_>, shot: &Context) {
    attributes::set(studio, "fstart", &shot.id, 1001i64);
    let (_, size) = pick(&attributes::SHOT_SIZES, "size", &shot.path);
    attributes::set(studio, "shot_size", &shot.id, format!("[\"{size}\"]"));
    shot.note_down(
        studio,
        "lens",
        pick(&["24 mm", "35 mm", "50 mm", "85 mm"], "lens", &shot.path),
    );
    let supervisors = people::members("Supervision");
    let supervisor = pick(&supervisors, "supervisor", &shot.path).id();
    attributes::link(studio, "supervisor", &shot.id, "User", &supervisor);
    if !show.builds.is_empty() {
        let build = &show.builds[chance(show.builds.len(), "build", &shot.path)];
        attributes::link(studio, "builds", &shot.id, "AssetBuild", build);
    }
    if chance(6, "shot note", &shot.path) == 0 {
        notes::note(studio, shot.entity_type, &shot.id, &shot.path, 30);
    }
}
