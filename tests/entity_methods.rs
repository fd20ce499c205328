//! What only entities of one type can do, and the actions of the server behind some of it: timers,
//! notes, statuses, invitations, keys, widgets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use ftrack_api::entity::{NoteOptions, TimerOptions};
use ftrack_api::session::WidgetOptions;
use ftrack_api::table::Table;
use ftrack_api::{
    Entity, EntityState, ErrorKind, Value,
    config::Populate,
    data, expr,
    transport::{Recording, Request, Response, Transport},
};
use support::{Studio, builder, open, requests};

impl Studio {
    fn user(&self, name: &str) -> Entity {
        let data = data! { "username": name, "is_active": true };
        let user = self.session.create("User", data).unwrap();
        self.session.commit().unwrap();
        user
    }

    fn project_schema(&self) -> Entity {
        let project = self.first("Project where name is test");
        project.get("project_schema").unwrap()
    }

    /// The entity as a session sees it that has seen nothing yet.
    fn again(&self, entity: &Entity) -> Option<Entity> {
        let other = open(&self.server);
        other.get(entity.entity_type(), entity.key()).unwrap()
    }
}

fn names(entities: &[Entity]) -> BTreeSet<String> {
    let names = entities.iter().map(|one| one.get("name").unwrap());
    names.collect()
}

#[test]
fn a_timer_becomes_a_time_log() {
    let studio = Studio::new();
    let worker = studio.user("worker");
    let task = studio.first("Task");
    let timer = worker
        .start_timer(
            TimerOptions::new()
                .context(&task)
                .comment("working")
                .name("anim"),
        )
        .unwrap();
    let seen = studio.again(&timer).unwrap();
    assert_eq!(seen.get::<String>("context_id").unwrap(), task.id());
    assert_eq!(seen.get::<String>("name").unwrap(), "anim");
    // A minute ago, so that there is a duration to see.
    let start: jiff::civil::DateTime = seen.get("start").unwrap();
    let earlier = start - jiff::SignedDuration::from_secs(60);
    timer.set("start", earlier).unwrap();
    studio.session.commit().unwrap();

    let timelog = worker.stop_timer().unwrap();
    assert!(studio.again(&timer).is_none());
    let logged = studio.again(&timelog).unwrap();
    assert_eq!(logged.get::<String>("comment").unwrap(), "working");
    assert_eq!(logged.get::<String>("name").unwrap(), "anim");
    assert_eq!(logged.get::<String>("user_id").unwrap(), worker.id());
    assert_eq!(logged.get::<String>("context_id").unwrap(), task.id());
    let found: jiff::civil::DateTime = logged.get("start").unwrap();
    assert_eq!(found, earlier);
    let duration = logged.get::<f64>("duration").unwrap();
    assert!((60.0..600.0).contains(&duration), "{duration}");

    let error = worker.stop_timer().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("is running"), "{error}");
    assert_eq!(studio.session.recorded_operations(), []);
}

/// A server that writes its local time, like the oldest ones.
struct LocalTime(Box<dyn Transport>);

impl Transport for LocalTime {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        let mut response = self.0.send(request)?;
        let mut body = String::new();
        response.body.read_to_string(&mut body).unwrap();
        let name = r#""is_timezone_support_enabled":"#;
        let body = body.replace(&format!("{name}true"), &format!("{name}false"));
        response.body = Box::new(std::io::Cursor::new(body.into_bytes()));
        Ok(response)
    }
}

#[test]
fn durations_are_right_on_servers_without_time_zones() {
    // The zone is the process's own, so that this test runs itself in another one.
    let name = "durations_are_right_on_servers_without_time_zones";
    if std::env::var_os("TZ").is_none_or(|zone| zone != "EAST-9") {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env("TZ", "EAST-9")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let studio = Studio::new();
    let session = builder(&studio.server)
        .wrap_transport(LocalTime)
        .open()
        .unwrap();
    assert!(!session.server_information().is_timezone_support_enabled());
    let worker = session
        .get("User", studio.user("worker").id())
        .unwrap()
        .unwrap();
    let timer = worker.start_timer(TimerOptions::new()).unwrap();
    let utc = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now());
    let start = utc + jiff::SignedDuration::from_secs(9 * 3600 - 100);
    timer.set("start", start).unwrap();
    session.commit().unwrap();
    let duration: f64 = worker.stop_timer().unwrap().get("duration").unwrap();
    assert!((99.0..700.0).contains(&duration), "{duration}");
}

#[test]
fn a_second_timer_is_refused_and_not_left_in_the_queue() {
    let studio = Studio::new();
    let worker = studio.user("worker");
    let first = worker.start_timer(TimerOptions::new()).unwrap();
    let error = worker.start_timer(TimerOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    assert!(error.to_string().contains("`force`"), "{error}");
    assert_eq!(studio.session.recorded_operations(), []);
    let second = worker
        .start_timer(TimerOptions::new().comment("again").force(true))
        .unwrap();
    assert!(studio.again(&first).is_none());
    assert!(studio.again(&second).is_some());
    let logs: Vec<Entity> = studio.again(&worker).unwrap().get("timelogs").unwrap();
    assert_eq!(logs.len(), 1);
}

#[test]
fn a_timer_whose_stop_is_refused_goes_on() {
    let studio = Studio::new();
    let worker = studio.user("worker");
    let timer = worker.start_timer(TimerOptions::new()).unwrap();
    // Something else in the queue that the server refuses: a shot without a parent.
    let data = data! { "name": "lost", "parent_id": "00000000-0000-0000-0000-000000000000" };
    let bad = studio.session.create("Shot", data).unwrap();
    worker.stop_timer().unwrap_err();
    assert_eq!(timer.state(), None);
    assert_eq!(studio.session.plan().changes.len(), 1);
    studio.session.delete(&bad).unwrap();
    worker.stop_timer().unwrap();
    assert!(studio.again(&timer).is_none());
}

#[test]
fn only_users_have_timers_and_keys() {
    let studio = Studio::new();
    let task = studio.first("Task");
    let errors = [
        task.start_timer(TimerOptions::new().force(true))
            .unwrap_err(),
        task.stop_timer().unwrap_err(),
        task.reset_api_key().unwrap_err(),
        task.send_invite().unwrap_err(),
        task.create_reply("no", &task).unwrap_err(),
        task.get_types("Task").unwrap_err(),
        task.get_statuses("Task").unwrap_err(),
        studio
            .session
            .send_review_session_invite(&task)
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
        assert!(error.to_string().contains("got Task("), "{error}");
    }
    assert_eq!(studio.session.recorded_operations(), []);
}

#[test]
fn notes_with_recipients_and_labels() {
    let studio = Studio::new();
    let session = &studio.session;
    let author = studio.user("author");
    let guest = studio.user("guest");
    let group = session.create("Group", data! { "name": "leads" }).unwrap();
    let label = session
        .create("NoteLabel", data! { "name": "urgent", "color": "#f00" })
        .unwrap();
    session.commit().unwrap();
    let category = session.get("NoteCategory", label.id()).unwrap().unwrap();
    let task = studio.first("Task");
    let recipients = [guest.clone(), group.clone()];
    let note = task
        .create_note(
            "Look \u{1f44d}\n\"here\"",
            &author,
            NoteOptions::new().recipients(&recipients).labels(category),
        )
        .unwrap();
    assert_eq!(note.state(), Some(EntityState::Created));
    assert!(task.collection("notes").unwrap().contains(&note).unwrap());
    session.commit().unwrap();

    let seen = studio.again(&note).unwrap();
    let content: String = seen.get("content").unwrap();
    assert_eq!(content, "Look \u{1f44d}\n\"here\"");
    assert_eq!(seen.get::<String>("author.username").unwrap(), "author");
    assert_eq!(seen.get::<String>("parent_id").unwrap(), task.id());
    let rows: Vec<Entity> = seen.get("recipients").unwrap();
    let got: BTreeSet<String> = rows
        .iter()
        .map(|row| row.get("resource_id").unwrap())
        .collect();
    assert!(
        got.contains(&guest.id()) && got.contains(&group.id()),
        "{got:?}"
    );
    let links: Vec<Entity> = seen.get("note_label_links").unwrap();
    assert_eq!(links[0].get::<String>("label.name").unwrap(), "urgent");
    assert_eq!(links.len(), 1);
}

#[test]
fn replies_belong_to_their_note() {
    let studio = Studio::new();
    let author = studio.user("author");
    let project = studio.first("Project where name is test");
    let note = project
        .create_note("why?", &author, NoteOptions::new())
        .unwrap();
    let first = note.create_reply("because", &author).unwrap();
    studio.session.commit().unwrap();
    let second = note.create_reply("really", &author).unwrap();
    studio.session.commit().unwrap();
    let replies: Vec<Entity> = note.get("replies").unwrap();
    let found: BTreeSet<String> = replies.iter().map(Entity::id).collect();
    assert_eq!(found, BTreeSet::from([first.id(), second.id()]));
    let owner = studio.again(&project).unwrap();
    let notes: Vec<Entity> = owner.get("notes").unwrap();
    let notes: Vec<String> = notes.iter().map(Entity::id).collect();
    assert!(notes.contains(&note.id()) && !notes.contains(&first.id()));
}

#[test]
fn a_note_that_cannot_be_is_not_recorded() {
    let studio = Studio::new();
    let author = studio.user("author");
    let task = studio.first("Task");
    let note = |entity: &Entity, author: &Entity, options| entity.create_note("x", author, options);
    let options = NoteOptions::new;
    let label = studio.first("NoteLabel");
    let cases = [
        (
            note(&author, &author, options()),
            ErrorKind::UnknownAttribute,
            "notes",
        ),
        (
            note(&task, &task, options()),
            ErrorKind::WrongType,
            "author",
        ),
        (
            note(&task, &author, options().recipients(&task)),
            ErrorKind::WrongType,
            "recipients are users and groups",
        ),
        (
            note(&task, &author, options().labels(&task)),
            ErrorKind::WrongType,
            "use a NoteLabel",
        ),
        (
            note(&task, &author, options().recipients([&author, &author])),
            ErrorKind::Duplicate,
            "is given twice as a recipient",
        ),
        (
            note(&task, &author, options().labels([&label, &label])),
            ErrorKind::Duplicate,
            "is given twice as a label",
        ),
    ];
    for (outcome, kind, words) in cases {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(studio.session.recorded_operations(), []);
    assert_eq!(task.state(), None);
}

#[test]
fn statuses_and_types_are_found_by_name() {
    let studio = Studio::new();
    let schema = studio.project_schema();
    let found = schema.get_status("Task", "In progress").unwrap();
    assert_eq!(found.get::<String>("name").unwrap(), "In progress");
    let some = &schema.get_types("Task").unwrap()[0];
    let name: String = some.get("name").unwrap();
    assert_eq!(&schema.get_type("Task", &name).unwrap(), some);
    let error = schema.get_status("Task", "In progres").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    assert!(
        text.contains("did you mean \"In progress\"?") && text.contains("it offers: "),
        "{text}"
    );
}

#[test]
fn a_session_knows_its_user() {
    let studio = Studio::new();
    let session = &studio.session;
    let user = session.user().unwrap();
    assert_eq!(user.get::<String>("username").unwrap(), session.api_user());
    assert_eq!(
        requests(session, || assert_eq!(session.user().unwrap(), user)),
        0
    );
}

#[test]
fn paths_go_through_collections() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = studio.first("Task");
    let group = session.create("Group", data! { "name": "leads" }).unwrap();
    let (ada, bob) = (studio.user("ada"), studio.user("bob"));
    for resource in [&ada, &bob, &group] {
        let data = data! { "context": &task, "resource": resource, "type": "assignment" };
        session.create("Appointment", data).unwrap();
    }
    session.commit().unwrap();
    let other = open(&studio.server);
    let tasks = other.query("select id from Task").unwrap().all().unwrap();
    let seen = other.entity(&task).unwrap();
    let names = |task: &Entity| -> BTreeSet<String> {
        let names: Vec<String> = task.get("assignments.resource.username").unwrap();
        names.into_iter().collect()
    };
    // Groups have no user name: they are left out. One request for all tasks.
    assert_eq!(
        requests(&other, || assert!(
            names(&seen).is_superset(&BTreeSet::from(["ada", "bob"].map(str::to_owned)))
        )),
        1
    );
    assert_eq!(
        requests(&other, || tasks.iter().for_each(|task| drop(names(task)))),
        0
    );
    let resources: Vec<Entity> = seen.get("assignments.resource").unwrap();
    let keys: Vec<_> = resources.iter().map(Entity::id).collect();
    for resource in [&ada, &bob, &group] {
        assert!(keys.contains(&resource.id()), "{resource}");
    }
    // Collections in collections are flattened, empty ones have no values.
    let shot = other.query("Shot where children.name like \"%\"").unwrap();
    let shot = shot.first().unwrap().unwrap();
    let projects: Vec<String> = shot.get("children.project.name").unwrap();
    assert_eq!(
        projects.len(),
        shot.collection("children").unwrap().len().unwrap()
    );
    let none: Vec<String> = ada.get("allocations.resource.username").unwrap_or_default();
    assert!(none.is_empty());
    let (bid, users): (f64, Vec<String>) = seen
        .get_many(["bid", "assignments.resource.username"])
        .unwrap();
    assert!(bid >= 0.0 && users.len() >= 2);

    for (path, kind) in [
        ("assignments.resource.usrename", ErrorKind::UnknownAttribute),
        ("assignments.nonesuch", ErrorKind::UnknownAttribute),
        ("name.nonesuch", ErrorKind::UnknownAttribute),
    ] {
        let error = seen.get::<Vec<String>>(path).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let error = seen.get::<String>("assignments.resource.username");
    assert!(error.unwrap_err().to_string().contains("found a list of"));
}

#[test]
fn loaded_collections_show_what_is_created_and_deleted_before_the_commit() {
    let studio = Studio::new();
    let session = &studio.session;
    let shot = studio.first("Shot where children.name like \"%\"");
    let count = |collection: &str| -> usize { shot.get::<Vec<Entity>>(collection).unwrap().len() };
    let user = studio.user("ada");
    let (children, assignments) = (count("children"), count("assignments"));
    let (outgoing, allocations) = (count("outgoing_links"), count("allocations"));
    let assets = count("assets");
    let gone = shot.get::<Vec<Entity>>("children").unwrap().remove(0);
    session.delete(&gone).unwrap();
    assert_eq!(count("children"), children - 1);
    let data = data! { "name": "new", "parent": &shot };
    let task = session.create("Task", data).unwrap();
    assert_eq!(count("children"), children);
    assert_eq!(count("assets"), assets);
    let data = data! { "context": &shot, "resource": &user, "type": "assignment" };
    session.create("Appointment", data).unwrap();
    let data = data! { "from": &shot, "to": &task };
    let link = session.create("TypedContextLink", data).unwrap();
    assert_eq!(count("assignments"), assignments + 1);
    assert_eq!(count("allocations"), allocations);
    assert_eq!(count("outgoing_links"), outgoing + 1);
    assert_eq!(task.get::<Vec<Entity>>("incoming_links").unwrap(), [link]);
    let names: Vec<String> = shot.get("assignments.resource.username").unwrap();
    assert!(names.contains(&"ada".to_owned()));
    assert_eq!(shot.state(), None);
    session.rollback();
    assert_eq!(count("children"), children);
    assert_eq!(count("assignments"), assignments);

    let data = data! { "name": "new", "parent_id": shot.id() };
    session.create("Task", data).unwrap();
    session.delete(&gone).unwrap();
    session.commit().unwrap();
    assert_eq!(count("children"), children);
    assert!(!shot.get::<Vec<Entity>>("children").unwrap().contains(&gone));
}

#[test]
fn entities_print_as_a_table() {
    let studio = Studio::new();
    let session = &studio.session;
    let tasks = session.query("select id from Task limit 3").unwrap();
    let tasks = tasks.all().unwrap();
    let mut table = Table::default();
    assert_eq!(
        requests(session, || {
            table = Table::of(&tasks, "name, status.name, bid").unwrap();
        }),
        1
    );
    assert_eq!(table.columns(), ["name", "status.name", "bid"]);
    assert_eq!(table.rows().len(), 3);
    for (row, task) in table.rows().iter().zip(&tasks) {
        assert_eq!(row[0].as_str(), Some(&*task.get::<String>("name").unwrap()));
        assert_eq!(row[2].as_f64(), Some(task.get("bid").unwrap()));
    }
    assert_eq!(table.to_string().lines().count(), 4);
    assert_eq!(table.to_csv().lines().count(), 4);
    let unknown = Table::of(&tasks, ["name", "nmae"]).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::UnknownAttribute);
}

#[test]
fn statuses_and_types_are_those_of_the_demo_studio() {
    let studio = Studio::new();
    let schema = studio.project_schema();
    // As the Python client gives them: tests/clients/python/test_collaboration.py.
    let of = |kind| names(&schema.get_statuses(kind).unwrap());
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let tasks: BTreeSet<String> = set(&[
        "Not started",
        "In progress",
        "Awaiting approval",
        "Approved",
    ]);
    assert_eq!(of("Task"), tasks);
    assert_eq!(of("AssetVersion"), set(&["Approved", "Pending"]));
    assert_eq!(of("Shot"), set(&["Normal", "Omitted", "On Hold"]));
    let builds = schema.get_types("AssetBuild").unwrap();
    assert_eq!(
        names(&builds),
        set(&["Character", "Prop", "Environment", "Matte Painting"])
    );
    let types = schema.get_types("Task").unwrap();
    assert!(names(&types).contains("Animation"));
    // Loaded once, with their names.
    assert_eq!(requests(&studio.session, || drop(of("Task"))), 0);
}

#[test]
fn a_type_may_have_statuses_of_its_own() {
    let studio = Studio::new();
    let session = &studio.session;
    let schema = studio.project_schema();
    let types = schema.get_types("Task").unwrap();
    let workflow = session
        .create("WorkflowSchema", data! { "name": "own" })
        .unwrap();
    let status = studio.first("Status where name is \"Omitted\"");
    workflow
        .collection("statuses")
        .unwrap()
        .push(&status)
        .unwrap();
    session
        .create(
            "ProjectSchemaOverride",
            data! {
                "project_schema_id": schema.id(),
                "workflow_schema_id": workflow.id(),
                "type_id": types[0].id(),
            },
        )
        .unwrap();
    session.commit().unwrap();
    let own = schema.get_task_statuses(&types[0]).unwrap();
    assert_eq!(own, [status]);
    let other = schema.get_task_statuses(types[1].id()).unwrap();
    assert_eq!(names(&other), names(&schema.get_statuses("Task").unwrap()));
}

#[test]
fn kinds_without_statuses_are_refused() {
    let studio = Studio::new();
    let schema = studio.project_schema();
    for (kind, expected) in [
        ("User", ErrorKind::Validation),
        ("Nonsense", ErrorKind::UnknownType),
    ] {
        let error = schema.get_statuses(kind).unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        let error = schema.get_types(kind).unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
    }
}

#[test]
fn users_and_guests_are_invited() {
    let studio = Studio::new();
    let session = &studio.session;
    let users = [studio.user("one"), studio.user("two")];
    users[0].send_invite().unwrap();
    assert_eq!(
        requests(session, || session.send_user_invites(&users).unwrap()),
        1
    );
    assert_eq!(
        requests(session, || session
            .send_user_invites(Vec::<Entity>::new())
            .unwrap()),
        0
    );
    let project = studio.first("Project");
    let review = session
        .create(
            "ReviewSession",
            data! { "name": "dailies", "project": &project },
        )
        .unwrap();
    let guest = session
        .create(
            "ReviewSessionInvitee",
            data! { "name": "Ada", "email": "a@example.com", "review_session": &review },
        )
        .unwrap();
    let error = session.send_review_session_invite(&guest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.to_string().contains("commit"), "{error}");
    session.commit().unwrap();
    session.send_review_session_invite(&guest).unwrap();
    let seen = studio.again(&guest).unwrap();
    assert!(
        seen.value("last_sent_at")
            .unwrap()
            .is_some_and(|at| at != Value::Null)
    );
    let quiet = builder(&studio.server).read_only(true).open().unwrap();
    let user = quiet.query("User").unwrap().first().unwrap().unwrap();
    assert_eq!(user.send_invite().unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn a_new_key_replaces_the_one_before_and_is_shown_nowhere() {
    let studio = Studio::new();
    let recording = Recording::new();
    let session = builder(&studio.server)
        .wrap_transport(recording.recorder())
        .open()
        .unwrap();
    let id = studio.user("robot").id();
    let robot = session.get("User", id).unwrap().unwrap();
    let first = robot.reset_api_key().unwrap();
    let open = |key: &str| {
        builder(&studio.server)
            .api_user("robot")
            .api_key(key)
            .open()
    };
    open(first.reveal()).unwrap();
    let second = robot.reset_api_key().unwrap();
    assert_ne!(first.reveal(), second.reveal());
    let error = open(first.reveal()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    open(second.reveal()).unwrap();
    let url = session
        .get_widget_url("tasks", WidgetOptions::new())
        .unwrap();
    let (_, token) = url.split_once("token=").unwrap();

    assert_eq!(format!("{second:?}"), "ApiKey(hidden)");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traffic.json");
    recording.save(&path).unwrap();
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.contains("reset_remote") && kept.contains("widget_url"));
    for secret in [first.reveal(), second.reveal(), token] {
        assert!(!kept.contains(secret), "a key is in the recording");
    }
}

#[test]
fn widgets_have_urls_that_respond() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = studio.first("Task");
    for (name, entity, theme) in [
        ("tasks", None, None),
        ("tasks_browser", Some(&task), Some("light")),
        ("info", Some(&task), Some("dark")),
    ] {
        let mut options = WidgetOptions::new();
        if let Some(entity) = entity {
            options = options.entity(entity);
        }
        if let Some(theme) = theme {
            options = options.theme(theme);
        }
        let url = session.get_widget_url(name, options).unwrap();
        let rest = url.strip_prefix("http://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.contains("200 OK"), "{page}");
        assert_eq!(page.contains(&task.id()), entity.is_some(), "{page}");
        assert_eq!(page.contains("background:#fff"), theme == Some("light"));
    }
    for name in ["nonsense", "info"] {
        let error = session
            .get_widget_url(name, WidgetOptions::new())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    }
}

#[test]
fn items_are_all_attributes_in_one_request() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = studio.first("select name from Task");
    let peers = session
        .query("select id from Task limit 3")
        .unwrap()
        .all()
        .unwrap();
    let mut items = Vec::new();
    assert_eq!(requests(session, || items = task.items().unwrap()), 1);
    assert_eq!(items.len(), task.type_info().attributes().len());
    assert!(items.iter().all(|(_, value)| value.is_some()), "{items:?}");
    let name = items.iter().find(|(name, _)| *name == "name").unwrap();
    assert_eq!(name.1, Some(Value::Text(task.get("name").unwrap())));
    assert_eq!(requests(session, || drop(task.items().unwrap())), 0);
    // Of this one only.
    let peer = peers.iter().find(|one| **one != task).unwrap();
    assert_eq!(peer.remote_value("description").unwrap(), None);
    let _off = session.auto_populating(Populate::Off);
    let items = peer.items().unwrap();
    assert!(items.contains(&("description", None)), "{items:?}");
}

#[test]
fn clear_takes_back_what_was_set_on_one_entity() {
    let studio = Studio::new();
    let session = &studio.session;
    let tasks = session.query("Task limit 2").unwrap().all().unwrap();
    let status = studio.first("Status");
    tasks[0].set("name", "other").unwrap();
    tasks[0].set("status", &status).unwrap();
    let scope = session.create("Scope", data! { "name": "night" }).unwrap();
    tasks[0].collection("scopes").unwrap().push(&scope).unwrap();
    tasks[1].set("bid", 5).unwrap();
    tasks[0].clear();
    assert_eq!(tasks[0].state(), None);
    assert_eq!(session.modified(), [tasks[1].clone()]);
    assert_eq!(session.recorded_operations().len(), 2);
    // A new entity keeps its key, so that it can still be committed.
    scope.clear();
    scope.set("name", "day").unwrap();
    session.commit().unwrap();
    let found = expr!("Scope where id is {} and name is day", scope.id());
    assert_eq!(session.query(found).unwrap().count().unwrap(), 1);
}

#[test]
fn jobs_of_a_program_are_of_one_type() {
    let studio = Studio::new();
    let session = &studio.session;
    let user = studio.user("worker");
    for (job_type, works) in [("api_job", true), ("render", false)] {
        let data = data! { "user": &user, "status": "running", "type": job_type };
        let made = session.create("Job", data);
        assert_eq!(made.is_ok(), works);
        if let Err(error) = made {
            assert_eq!(error.kind(), ErrorKind::Validation);
            assert!(error.to_string().contains("api_job"), "{error}");
        }
    }
    session.create("Job", data! { "user": &user }).unwrap();
    session.commit().unwrap();
}

#[test]
fn the_server_has_jobs_of_its_own() {
    let studio = Studio::new();
    let session = &studio.session;
    let job = session
        .delayed_job(ftrack_api::session::JOB_SYNC_USERS_LDAP)
        .unwrap();
    let user: String = job.get("user.username").unwrap();
    assert_eq!(user, session.api_user());
    let error = session.delayed_job("MAKE_COFFEE").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
}

#[test]
fn configurations_are_found_by_key() {
    let studio = Studio::new();
    let shot = studio.first("Shot");
    let attributes = shot.custom_attributes().unwrap();
    let id = attributes.get_configuration_id_from_key("fstart").unwrap();
    let session = &studio.session;
    let found = session.get("CustomAttributeConfiguration", id).unwrap();
    assert_eq!(found.unwrap().get::<String>("key").unwrap(), "fstart");
    let error = attributes
        .get_configuration_id_from_key("fstrat")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownAttribute);
    assert!(error.to_string().contains("fstart"), "{error}");
}

#[test]
fn whether_operations_are_recorded_can_be_asked() {
    let studio = Studio::new();
    let session = &studio.session;
    assert!(session.is_recording());
    {
        let _off = session.operation_recording(false);
        assert!(!session.is_recording());
    }
    assert!(session.is_recording());
}
