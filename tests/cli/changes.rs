//! `set`, `create`, `delete`, `note`, `assign`, `status` and `timer`.

use ftrack_api::{Entity, Session};
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault;

use crate::{Cli, create_twins, support};

const TASK: &str = "adb4ad6c-7679-11e2-8df2-f23c91df25eb";

struct Fixture {
    server: Emulator,
    cli: Cli,
}

impl Fixture {
    fn new() -> Self {
        let server = support::emulator();
        let cli = Cli::on(&server);
        Self { server, cli }
    }

    /// A session that has seen nothing yet.
    fn session(&self) -> Session {
        support::open(&self.server)
    }

    fn task(&self) -> Entity {
        self.session().get("Task", TASK).unwrap().unwrap()
    }
}

#[test]
fn values_are_read_by_their_types() {
    let studio = Fixture::new();
    let run = studio.cli.run(&[
        "set",
        TASK,
        "bid=7200",
        "description=two words, and \"quotes\"",
        "status=In progress",
        "end_date=2026-03-01",
        "custom.customNumber=7",
        "metadata.renderer=arnold",
        "--yes",
    ]);
    run.check(
        0,
        &[
            "bid: 201600 -> 7200",
            "\"Awaiting approval\"",
            "\"In progress\"",
        ],
    );
    let task = studio.task();
    assert_eq!(task.get::<f64>("bid").unwrap(), 7200.0);
    assert_eq!(
        task.get::<String>("description").unwrap(),
        "two words, and \"quotes\""
    );
    assert_eq!(task.get::<String>("status.name").unwrap(), "In progress");
    let end = task.value("end_date").unwrap().unwrap().to_string();
    assert_eq!(end, "2026-03-01T00:00:00");
    let custom = task.custom_attributes().unwrap();
    assert_eq!(custom.get::<i64>("customNumber").unwrap(), 7);
    let renderer = task.metadata().unwrap().get("renderer").unwrap();
    assert_eq!(renderer.as_deref(), Some("arnold"));
    studio
        .cli
        .run(&["set", TASK, "bid=7200", "--yes"])
        .check(0, &["nothing to change"]);
}

#[test]
fn wrong_values_are_explained_and_nothing_is_changed() {
    let studio = Fixture::new();
    let before = studio.server.requests();
    for (value, code, words) in [
        ("bid=soon", 6, &["bid", "a number", "\"soon\""][..]),
        ("end_date=31.1.2026", 6, &["end_date", "2026-01-31"]),
        ("status=Dnoe", 4, &["\"Dnoe\"", "In progress"]),
        ("nmae=x", 6, &["did you mean \"name\"", "ftrack schema"]),
        ("bid", 2, &["NAME=VALUE"]),
        ("custom.nonesuch=1", 6, &["nonesuch", "customNumber"]),
        (
            "custom.customNumber=x",
            6,
            &["custom.customNumber", "a number"],
        ),
        ("custom_attributes=1", 6, &["custom.KEY=VALUE"]),
        ("status.state=x", 6, &["status.state"]),
        ("id=x", 6, &["id"]),
    ] {
        studio.cli.fails(
            &["set", TASK, "description=changed", value, "--yes"],
            code,
            words,
        );
    }
    assert!(studio.server.requests() > before);
    assert_eq!(studio.task().get::<String>("description").unwrap(), "");
}

#[test]
fn nothing_is_changed_without_consent() {
    let studio = Fixture::new();
    studio
        .cli
        .fails(&["set", TASK, "bid=1"], 2, &["no terminal", "--yes"]);
    let plan = studio.cli.ok(&["set", TASK, "bid=1", "--dry-run"]);
    assert!(plan.contains("bid: 201600 -> 1"), "{plan}");
    studio.cli.fails(&["delete", TASK], 2, &["--yes"]);
    assert_eq!(studio.task().get::<f64>("bid").unwrap(), 201_600.0);
}

/// What the library says of what stays recorded is no use to somebody whose command has ended.
#[test]
fn a_change_that_the_server_refuses_is_explained() {
    let studio = Fixture::new();
    let twin = [
        "create",
        "Task",
        "name=Import camera",
        "parent=test",
        "--yes",
    ];
    let run = studio
        .cli
        .fails(&twin, 6, &["commit of 1 change: ", "Import camera"]);
    assert!(!run.err.contains("recorded"), "{}", run.err);
    let late = std::time::Duration::from_secs(30);
    studio
        .server
        .faults()
        .push(Fault::slow(late).only("update"));
    let set = ["set", TASK, "bid=77", "--yes", "--timeout", "5"];
    let run = studio
        .cli
        .fails(&set, 7, &["may have been applied", "ftrack get"]);
    assert!(!run.err.contains("next commit"), "{}", run.err);
}

#[test]
fn entities_are_created_and_deleted() {
    let studio = Fixture::new();
    let parent = "parent=5671dcb0-66de-11e1-8e6e-f23c91df25eb";
    let key = studio.cli.ok(&[
        "create",
        "Task",
        "name=light",
        parent,
        "type=Generic",
        "metadata.a=b",
        "--yes",
    ]);
    let key = key.trim().to_owned();
    let id = key.strip_prefix("Task:").unwrap();
    let task = studio.session().get("Task", id).unwrap().unwrap();
    assert_eq!(task.get::<String>("type.name").unwrap(), "Generic");
    assert_eq!(
        task.metadata().unwrap().get("a").unwrap().as_deref(),
        Some("b")
    );

    studio.cli.fails(
        &["create", "Task", "name=light", parent, "--yes"],
        6,
        &["light"],
    );
    studio.cli.fails(
        &["create", "Task", parent, "type=Nonesuch", "--yes"],
        4,
        &["Generic"],
    );
    studio
        .cli
        .fails(&["create", "Tsak", "name=x", "--yes"], 6, &["did you mean"]);

    studio.cli.ok(&["delete", &key, "--yes"]);
    assert!(studio.session().get("Task", id).unwrap().is_none());
    studio.cli.fails(&["delete", &key, "--yes"], 4, &[id]);
    let project = "Project:5671dcb0-66de-11e1-8e6e-f23c91df25eb";
    let run = studio.cli.run(&["delete", project, "--dry-run"]);
    run.check(0, &["what is below is deleted as well"]);
}

#[test]
fn a_read_only_key_cannot_change_anything() {
    let key = support::secret("a-key-for-reading");
    let server = Emulator::builder()
        .tasks(60)
        .read_only_key(key)
        .start()
        .unwrap();
    let cli = Cli::on(&server);
    let mut command = cli.command(&["set", TASK, "bid=1", "--yes"]);
    let run = crate::Run::of(command.env("FTRACK_API_KEY", key).output().unwrap());
    run.check(3, &["error:"]);
}

#[test]
fn notes_assignments_and_statuses() {
    let studio = Fixture::new();
    let note = studio.cli.ok(&[
        "note",
        TASK,
        "The arm pops.",
        "--to",
        &studio.cli.user,
        "--yes",
    ]);
    let id = note.trim().strip_prefix("Note:").unwrap();
    let note = studio.session().get("Note", id).unwrap().unwrap();
    assert_eq!(note.get::<String>("content").unwrap(), "The arm pops.");
    studio.cli.fails(
        &["note", TASK, "x", "--to", "nobody", "--yes"],
        4,
        &["nobody"],
    );

    let assigned = || {
        let query =
            format!("select resource.username from Appointment where context_id is '{TASK}'");
        let found = studio
            .session()
            .query(query.as_str())
            .unwrap()
            .all()
            .unwrap();
        let names = found
            .iter()
            .map(|one| one.get::<String>("resource.username").unwrap());
        names.filter(|name| *name == studio.cli.user).count()
    };
    for _ in 0..2 {
        studio.cli.ok(&["assign", TASK, &studio.cli.user, "--yes"]);
        assert_eq!(assigned(), 1);
    }
    let remove = ["assign", TASK, &studio.cli.user, "--remove", "--yes"];
    let run = studio.cli.run(&remove);
    // An assignment has no name of its own.
    let user = &studio.cli.user;
    let shown = format!("delete the assignment of {user} to \"Import camera\"");
    run.check(0, &[&shown]);
    assert_eq!(assigned(), 0);
    // Nobody would see that somebody is assigned to a project.
    let run = studio.cli.fails(
        &["assign", "test", &studio.cli.user, "--yes"],
        6,
        &["not to a Project", "type=allocation"],
    );
    let (_, hint) = run.err.split_once("ftrack create").unwrap();
    let words: Vec<&str> = hint.split_whitespace().collect();
    let create = [&["create"], &words[..], &["--yes"]].concat();
    assert!(studio.cli.ok(&create).starts_with("Appointment:"));
    studio.cli.fails(
        &["assign", "test", "nobody", "--remove", "--yes"],
        6,
        &["not to a Project"],
    );

    assert_eq!(studio.cli.ok(&["status", TASK]).trim(), "Awaiting approval");
    assert!(
        studio
            .cli
            .ok(&["status", TASK, "--list"])
            .contains("In progress")
    );
    studio.cli.ok(&["status", TASK, "In progress", "--yes"]);
    assert_eq!(studio.cli.ok(&["status", TASK]).trim(), "In progress");
    studio.cli.fails(
        &["status", TASK, "In prgress", "--yes"],
        4,
        &["did you mean", "In progress"],
    );
}

#[test]
fn plans_have_names_instead_of_ids() {
    let studio = Fixture::new();
    let user = &studio.cli.user;
    let note = ["note", TASK, "x", "--to", user, "--dry-run"];
    let plan = studio.cli.ok(&note);
    let author = format!("author: User {user:?}");
    let recipient = format!("resource_id: User {user:?}");
    for line in ["create Note", &author, "note_id: the new Note", &recipient] {
        assert!(plan.lines().any(|one| one.trim() == line), "{line}: {plan}");
    }
    let create = ["create", "Task", "name=x", "parent=test", "type=Generic"];
    let plan = studio
        .cli
        .ok(&[&create[..], &["metadata.a=b", "--dry-run"]].concat());
    for line in [
        "create Task \"x\"",
        "parent: Project \"test\"",
        "type: Type \"Generic\"",
        "object_type_id: ObjectType \"Task\"",
        "priority_id: Priority \"None\"",
        "create metadata \"a\" of Task \"x\"",
    ] {
        assert!(plan.lines().any(|one| one.trim() == line), "{line}: {plan}");
    }
    // Which of several of one name is changed is said.
    let plan = studio.cli.ok(&["set", TASK, "bid=1", "--dry-run"]);
    assert!(
        plan.contains(&format!("update Task \"Import camera\" ({TASK})")),
        "{plan}"
    );
}

#[test]
fn timers() {
    let studio = Fixture::new();
    studio.cli.fails(&["timer", "show"], 4, &["no timer"]);
    let run = studio
        .cli
        .fails(&["timer", "stop"], 4, &["error: no timer is running"]);
    assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    studio
        .cli
        .ok(&["timer", "start", TASK, "--comment", "animating"]);
    let shown = studio.cli.ok(&["timer", "show"]);
    assert!(
        shown.contains("Import camera") && shown.contains("animating"),
        "{shown}"
    );
    let run = studio.cli.fails(
        &["timer", "start", TASK],
        6,
        &["a timer is running already", "--force"],
    );
    assert_eq!(run.err.lines().count(), 2, "{}", run.err);
    studio.cli.ok(&["timer", "start", TASK, "--force"]);
    let stopped = studio.cli.ok(&["timer", "stop"]);
    assert!(
        stopped.starts_with("Timelog:") && stopped.contains("0:00:0"),
        "{stopped}"
    );
}

#[test]
fn contexts_are_named_by_paths() {
    let studio = Fixture::new();
    let path = "test/Import camera";
    studio.cli.ok(&["set", path, "bid=60", "--yes"]);
    assert_eq!(studio.task().get::<f64>("bid").unwrap(), 60.0);
    let key = studio.cli.ok(&[
        "create",
        "Task",
        "name=day/night",
        "parent=test/ep01",
        "--yes",
    ]);
    let found = studio.cli.ok(&["get", r"test/ep01/day\/night"]);
    assert!(
        found.contains(key.trim().strip_prefix("Task:").unwrap()),
        "{found}"
    );
    studio.cli.fails(
        &["get", "test/ep01/nonesuch"],
        4,
        &["\"nonesuch\"", "sq010"],
    );
    studio
        .cli
        .fails(&["get", "tset"], 4, &["did you mean \"test\""]);
    studio.cli.fails(&["get", "test//x"], 6, &["is empty"]);

    create_twins(&studio.session());
    studio
        .cli
        .fails(&["get", "Twins"], 5, &["one", "two", "id"]);
    studio.cli.ok(&["get", "two"]);
}

#[test]
fn the_tree_shows_types_and_statuses() {
    let studio = Fixture::new();
    let projects = studio.cli.ok(&["tree"]);
    assert!(
        projects.lines().any(|line| line.starts_with("test  ")),
        "{projects}"
    );
    let tree = studio.cli.ok(&["tree", "test/ep01"]);
    let lines: Vec<&str> = tree.lines().collect();
    assert!(lines[0].starts_with("ep01  Episode"), "{tree}");
    assert!(tree.contains("└─ sh0010  Shot"), "{tree}");
    assert!(!tree.contains('\u{1b}'), "{tree}");
    assert_eq!(
        studio
            .cli
            .ok(&["tree", "test/ep01", "--depth", "0"])
            .lines()
            .count(),
        1
    );
    // Opening, finding the top, and for each level one request; then everything that is shown at once.
    let before = studio.server.requests();
    studio.cli.ok(&["tree", "test", "--depth", "4"]);
    let asked = studio.server.requests() - before;
    assert!(asked <= 9, "{asked} requests");
    studio.cli.fails(&["tree", "test/ep02"], 4, &["ep01"]);
}
