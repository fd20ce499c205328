//! `check` and the server agree.

use fastrand::Rng;
use ftrack_api::schema::AttributeKind;
use ftrack_api::{Data, Entity, ErrorKind, Session, Value, data, expr, serde_json::json};
use ftrack_emulator::Emulator;

use crate::support::{Studio, open, requests};

/// How many changes of each kind are judged; `CHECK_CASES` sets it.
const CASES: usize = 20;

/// What the server has, and one session that records changes.
struct Judge {
    session: Session,
    random: Rng,
    contexts: Vec<Entity>,
    sequences: Vec<String>,
    shots: Vec<String>,
    tasks: Vec<String>,
    builds: Vec<String>,
    versions: Vec<String>,
    assets: Vec<String>,
    statuses: Vec<String>,
    types: Vec<String>,
    users: Vec<String>,
    projects: Vec<Entity>,
    count: usize,
    _server: Emulator,
}

impl Judge {
    fn new() -> Self {
        let server = Emulator::builder().tasks(60).enforce_workflows(true);
        let server = server.start().unwrap();
        let session = open(&server);
        let all = |query: &str| session.query(query).unwrap().all().unwrap();
        let ids = |entity_type: &str| -> Vec<String> {
            let found = all(&format!("select id from {entity_type}"));
            found.iter().map(Entity::id).collect()
        };
        Self {
            contexts: all("select name, parent_id from TypedContext"),
            projects: all("select name from Project"),
            sequences: ids("Sequence"),
            shots: ids("Shot"),
            tasks: ids("Task"),
            builds: ids("AssetBuild"),
            versions: ids("AssetVersion"),
            assets: ids("Asset"),
            statuses: ids("Status"),
            types: ids("Type"),
            users: ids("User"),
            random: Rng::with_seed(11),
            count: 0,
            session,
            _server: server,
        }
    }

    /// Records changes of one kind, asks for problems, and lets the server judge. Some of them must be
    /// good, some bad.
    fn judge(&mut self, what: &str, record: fn(&mut Self)) {
        let cases = std::env::var("CHECK_CASES").map_or(CASES, |cases| cases.parse().unwrap());
        let mut refused = 0;
        for number in 0..cases {
            self.count += 1;
            record(self);
            let session = &self.session;
            let plan = session.plan();
            let mut problems = Vec::new();
            let sent = requests(session, || problems = plan.check(session).unwrap());
            assert!(sent <= 2, "{what}: {sent} requests");
            let outcome = session.commit();
            session.rollback();
            match outcome {
                Ok(()) => assert_eq!(problems, [], "{what} {number}: {plan}"),
                Err(error) => {
                    refused += 1;
                    assert!(
                        problems.iter().any(|one| one.kind == error.kind()),
                        "{what} {number}: {error} {problems:?} {plan}"
                    );
                }
            }
        }
        println!("{what}: {refused} of {cases} refused");
        assert!(refused >= cases / 5, "{what}: {refused} refused");
    }

    fn pick(&mut self, from: impl Fn(&Self) -> &Vec<String>) -> String {
        let chosen = self.random.usize(0..from(self).len());
        from(self)[chosen].clone()
    }

    /// One that exists, or one that does not.
    fn maybe(&mut self, from: impl Fn(&Self) -> &Vec<String>) -> String {
        match self.random.bool() {
            true => self.pick(from),
            false => gone(),
        }
    }

    fn create(&self, entity_type: &str, data: Data) -> Entity {
        self.session.create(entity_type, data).unwrap()
    }

    fn update(&self, entity_type: &str, id: &str, data: Data) {
        self.session.update(entity_type, id, data).unwrap();
    }

    fn configuration(&self, key: &str) -> String {
        let query = format!("select id from CustomAttributeConfiguration where key is {key}");
        self.session.query(&*query).unwrap().one().unwrap().id()
    }

    /// Sets a custom attribute past the checks of `custom_attributes()`.
    fn set_custom(&self, key: &str, entity: &str, value: Value) {
        let key = [self.configuration(key), entity.to_owned()];
        let data = data! { "value": value };
        self.session
            .update("ContextCustomAttributeValue", key, data)
            .unwrap();
    }
}

fn gone() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[test]
fn names_references_and_required_values_are_judged_as_the_server_does() {
    let mut judge = Judge::new();
    judge.judge("a name that exists", |judge| {
        let context = &judge.contexts[judge.random.usize(0..judge.contexts.len())];
        let (name, parent): (String, String) = context.get_many(["name", "parent_id"]).unwrap();
        let name = if judge.random.bool() {
            name.to_uppercase()
        } else {
            name
        };
        let parent = if judge.random.bool() {
            judge.pick(|it| &it.sequences)
        } else {
            parent
        };
        judge.create("Task", data! { "name": name, "parent_id": parent });
    });
    judge.judge("two of one name", |judge| {
        let (parent, number) = (judge.pick(|it| &it.sequences), judge.count);
        let twin = if judge.random.bool() { "Twin" } else { "other" };
        for name in ["twin", twin] {
            let name = format!("{name}{number}");
            judge.create("Task", data! { "name": name, "parent_id": parent.as_str() });
        }
    });
    judge.judge("a rename", |judge| {
        let number = judge.count;
        let chosen = &judge.contexts[judge.random.usize(0..judge.contexts.len())];
        let parent: String = chosen.get("parent_id").unwrap();
        let mut beside = judge
            .contexts
            .iter()
            .filter(|one| *one != chosen && one.get::<String>("parent_id").unwrap() == parent);
        let name = match beside.next().filter(|_| judge.random.bool()) {
            Some(other) => other.get::<String>("name").unwrap().to_uppercase(),
            None => format!("r{number}"),
        };
        chosen.set("name", name).unwrap();
    });
    judge.judge("a move", |judge| {
        let (task, parent) = (judge.pick(|it| &it.tasks), judge.pick(|it| &it.shots));
        let parent = if judge.random.usize(0..3) == 0 {
            gone()
        } else {
            parent
        };
        judge.update("Task", &task, data! { "parent_id": parent });
    });
    judge.judge("names of projects and users", |judge| {
        let taken: String = judge.projects[0].get("name").unwrap();
        let number = judge.count;
        match (judge.random.bool(), judge.random.bool()) {
            (true, is_taken) => {
                let name = if is_taken {
                    taken.to_uppercase()
                } else {
                    format!("p{number}")
                };
                let schema = judge
                    .session
                    .query("ProjectSchema")
                    .unwrap()
                    .first()
                    .unwrap();
                let schema = schema.unwrap().id();
                let data = data! { "name": name, "full_name": "x", "project_schema_id": schema };
                judge.create("Project", data);
            }
            (false, is_taken) => {
                let user = judge.session.api_user().to_uppercase();
                let name = if is_taken { user } else { format!("u{number}") };
                judge.create("User", data! { "username": name });
            }
        }
    });
    judge.judge("a reference that may lead nowhere", |judge| {
        let task = judge.pick(|it| &it.tasks);
        match judge.random.usize(0..3) {
            0 => {
                let user = judge.maybe(|it| &it.users);
                let data = data! { "context_id": task, "resource_id": user, "type": "assignment" };
                judge.create("Appointment", data);
            }
            1 => {
                let (asset, task) = (judge.pick(|it| &it.assets), judge.maybe(|it| &it.tasks));
                judge.create("AssetVersion", data! { "asset_id": asset, "task_id": task });
            }
            _ => {
                let priority = gone();
                judge.update("Task", &task, data! { "priority_id": priority });
            }
        }
    });
    judge.judge("a parent that may not exist", |judge| {
        let (parent, number) = (judge.maybe(|it| &it.sequences), judge.count);
        judge.create(
            "Task",
            data! { "name": format!("n{number}"), "parent_id": parent },
        );
    });
    judge.judge("an entity that may not exist", |judge| {
        let (task, number) = (judge.maybe(|it| &it.tasks), judge.count as i64);
        judge.update("Task", &task, data! { "bid": number });
    });
    judge.judge("values that are required", |judge| {
        let (number, is_bad) = (judge.count, judge.random.bool());
        let parent = judge.pick(|it| &it.sequences);
        match (judge.random.usize(0..3), is_bad) {
            (0, true) => drop(judge.create("Shot", data! { "name": format!("s{number}") })),
            (0, false) => {
                let data = data! { "name": format!("s{number}"), "parent_id": parent };
                drop(judge.create("Shot", data));
            }
            (1, true) => drop(judge.create("AssetVersion", data! { "comment": "x" })),
            (1, false) => {
                let asset = judge.pick(|it| &it.assets);
                drop(judge.create("AssetVersion", data! { "asset_id": asset }));
            }
            (_, true) => drop(judge.create("Asset", data! { "name": format!("a{number}") })),
            (_, false) => {
                let data = data! { "name": format!("a{number}"), "context_id": parent };
                drop(judge.create("Asset", data));
            }
        }
    });
}

#[test]
fn statuses_and_types_of_a_workflow_are_judged_as_the_server_does() {
    let mut judge = Judge::new();
    judge.judge("a status", |judge| {
        let status = judge.pick(|it| &it.statuses);
        let (entity_type, id) = match judge.random.usize(0..3) {
            0 => ("Task", judge.pick(|it| &it.tasks)),
            1 => ("Shot", judge.pick(|it| &it.shots)),
            _ => ("AssetVersion", judge.pick(|it| &it.versions)),
        };
        judge.update(entity_type, &id, data! { "status_id": status });
    });
    judge.judge("a type", |judge| {
        let kind = judge.pick(|it| &it.types);
        let (entity_type, id) = match judge.random.bool() {
            true => ("Task", judge.pick(|it| &it.tasks)),
            false => ("AssetBuild", judge.pick(|it| &it.builds)),
        };
        judge.update(entity_type, &id, data! { "type_id": kind });
    });
    judge.judge("a new task or version with a status and a type", |judge| {
        let (kind, status) = (judge.pick(|it| &it.types), judge.pick(|it| &it.statuses));
        let (number, parent) = (judge.count, judge.pick(|it| &it.shots));
        if judge.random.bool() {
            let asset = judge.pick(|it| &it.assets);
            judge.create(
                "AssetVersion",
                data! { "asset_id": asset, "status_id": status },
            );
            return;
        }
        let data = data! { "name": format!("w{number}"), "parent_id": parent, "type_id": kind };
        let task = judge.create("Task", data);
        if judge.random.bool() {
            task.set("status_id", status).unwrap();
        }
    });
    judge.judge("all of it in a new project", |judge| {
        let schema = judge
            .session
            .query("ProjectSchema")
            .unwrap()
            .first()
            .unwrap();
        let (number, status) = (judge.count, judge.pick(|it| &it.statuses));
        let data = data! { "name": format!("new{number}"), "full_name": "x",
        "project_schema": &schema.unwrap() };
        let project = judge.create("Project", data);
        let data = data! { "name": "sh", "parent": &project, "status_id": status.as_str() };
        let shot = judge.create("Shot", data);
        let asset = judge.create("Asset", data! { "name": "plate", "parent": &shot });
        if judge.random.bool() {
            judge.create(
                "AssetVersion",
                data! { "asset": &asset, "status_id": status },
            );
        }
    });
    judge.judge("a task of another type, with its status", |judge| {
        let (kind, status) = (judge.pick(|it| &it.types), judge.pick(|it| &it.statuses));
        let task = judge.pick(|it| &it.tasks);
        judge.update(
            "Task",
            &task,
            data! { "type_id": kind, "status_id": status },
        );
    });
    let shot = judge.pick(|it| &it.shots);
    let pending = judge.session.query("Status where name is Pending").unwrap();
    judge.update(
        "Shot",
        &shot,
        data! { "status_id": pending.one().unwrap().id() },
    );
    let problems = judge.session.plan().check(&judge.session).unwrap();
    let message = problems[0].to_string();
    assert!(message.contains("Pending"), "{message}");
    assert!(message.contains("it allows: Normal, "), "{message}");
}

#[test]
fn custom_attributes_are_judged_as_the_server_does() {
    let mut judge = Judge::new();
    judge.judge("a choice of an enumerator", |judge| {
        let shot = judge.pick(|it| &it.shots);
        let choices = ["wide", "medium", "close", "Wide", "far", "close "];
        let one = |random: &mut Rng| choices[random.usize(0..choices.len())];
        let value = match judge.random.usize(0..4) {
            0 => Value::from([one(&mut judge.random), one(&mut judge.random)]),
            1 => Value::from([one(&mut judge.random)]),
            2 if judge.random.bool() => Value::Null,
            _ => Value::from(one(&mut judge.random)),
        };
        judge.set_custom("shot_size", &shot, value);
    });
    judge.judge("the kind of a value", |judge| {
        let shot = judge.pick(|it| &it.shots);
        let value = match judge.random.usize(0..6) {
            0 => Value::from("1001"),
            1 => Value::from(true),
            2 => Value::from(1001.5),
            3 => Value::from(-7),
            4 => Value::Null,
            _ => Value::from(1001.0),
        };
        match judge.random.bool() {
            true => judge.set_custom("fstart", &shot, value),
            false => judge.set_custom("shot_size", &shot, value),
        }
    });
    judge.judge("an entity that may not have the attribute", |judge| {
        let key = [
            "fstart",
            "shot_size",
            "htest",
            "customNumber",
            "NumberField",
        ];
        let key = key[judge.random.usize(0..key.len())];
        let entity = match judge.random.usize(0..4) {
            0 => judge.pick(|it| &it.shots),
            1 => judge.pick(|it| &it.tasks),
            2 => judge.projects[0].id(),
            _ => gone(),
        };
        judge.set_custom(
            key,
            &entity,
            if key == "shot_size" {
                "wide".into()
            } else {
                3.into()
            },
        );
    });
    judge.judge("the choice of a new shot", |judge| {
        let (parent, number) = (judge.pick(|it| &it.sequences), judge.count);
        let shot = data! { "name": format!("c{number}"), "parent_id": parent };
        let shot = judge.create("Shot", shot);
        let value = if judge.random.bool() { "wide" } else { "far" };
        shot.custom_attributes()
            .unwrap()
            .set("shot_size", value)
            .unwrap();
    });
    // Roles: those of the user, and others.
    let session = &judge.session;
    let roles = session
        .query("select name from SecurityRole")
        .unwrap()
        .all()
        .unwrap();
    let query = expr!(
        "select security_role_id from UserSecurityRole where user.username is {}",
        session.api_user()
    );
    let own = session.query(query).unwrap().all().unwrap();
    let own: Vec<String> = own
        .iter()
        .map(|one| one.get("security_role_id").unwrap())
        .collect();
    let (mine, others): (Vec<Entity>, Vec<Entity>) =
        roles.into_iter().partition(|role| own.contains(&role.id()));
    assert!(!others.is_empty());
    let attribute = |key: &str| {
        let query = format!("CustomAttributeConfiguration where key is {key}");
        session.query(&*query).unwrap().one().unwrap()
    };
    for (key, writers) in [("fstart", &others[..]), ("shot_size", &mine[..])] {
        let roles = attribute(key).collection("write_security_roles").unwrap();
        roles.extend(writers).unwrap();
    }
    session.commit().unwrap();
    judge.judge("a value that a role may set", |judge| {
        let shot = judge.pick(|it| &it.shots);
        match judge.random.bool() {
            true => judge.set_custom("fstart", &shot, 7.into()),
            false => judge.set_custom("shot_size", &shot, "wide".into()),
        }
    });
}

#[test]
fn status_rules_are_judged_as_the_server_does() {
    let mut judge = Judge::new();
    let session = &judge.session;
    let own = expr!(
        "select security_role_id from UserSecurityRole where user.username is {}",
        session.api_user()
    );
    let own = session.query(own).unwrap().all().unwrap();
    let roles = own
        .iter()
        .map(|one| one.get::<String>("security_role_id").unwrap());
    let mut roles: Vec<Option<String>> = roles.map(Some).collect();
    roles.push(None);
    let one = |query: &str| session.query(query).unwrap().first().unwrap().unwrap().id();
    let status = |name: &str| one(&format!("Status where name is \"{name}\""));
    let object_type = |name: &str| one(&format!("ObjectType where name is {name}"));
    let schemas = session.query("select id from ProjectSchema").unwrap();
    let rule = |kind: &str, role: &Option<String>, target: &str, before: &[&str]| {
        for schema in schemas.all().unwrap() {
            let is_version = kind == "AssetVersion";
            let mut data = data! {
                "status_id": status(target), "schema_id": schema.id(), "role_id": role.clone(),
                "entity_type": if is_version { "assetversion" } else { "task" },
            };
            if !is_version {
                data.set("object_type_id", object_type(kind));
            }
            let group = match is_version {
                true => session.create("AssetVersionStatusRuleGroup", data),
                false => session.create("TypedContextStatusRuleGroup", data),
            };
            let group = group.unwrap().id();
            for name in before {
                let data =
                    data! { "status_rule_group_id": group.as_str(), "status_id": status(name) };
                session.create("StatusRule", data).unwrap();
            }
        }
    };
    for role in &roles {
        rule("Task", role, "Approved", &["Awaiting approval"]);
    }
    // One of the roles may.
    rule("Task", &roles[0], "In progress", &["Approved"]);
    rule("Task", &None, "Not started", &[]);
    rule("Shot", &None, "Omitted", &["On Hold"]);
    rule("AssetVersion", &None, "Approved", &[]);
    session.commit().unwrap();
    judge.judge("a status that rules may refuse", |judge| {
        let choices = match judge.random.usize(0..3) {
            0 => (
                "Task",
                &[
                    "Not started",
                    "In progress",
                    "Awaiting approval",
                    "Approved",
                ][..],
            ),
            1 => ("Shot", &["Normal", "Omitted", "On Hold"][..]),
            _ => ("AssetVersion", &["Approved", "Pending"][..]),
        };
        let id = match choices.0 {
            "Task" => judge.pick(|it| &it.tasks),
            "Shot" => judge.pick(|it| &it.shots),
            _ => judge.pick(|it| &it.versions),
        };
        let name = choices.1[judge.random.usize(0..choices.1.len())];
        let status = judge.session.query(expr!("Status where name is {}", name));
        let status = status.unwrap().first().unwrap().unwrap().id();
        judge.update(choices.0, &id, data! { "status_id": status });
    });
    let task = judge
        .session
        .query("Task where status.name is \"In progress\"")
        .unwrap();
    let task = task.first().unwrap().unwrap().id();
    let approved = judge
        .session
        .query("Status where name is Approved")
        .unwrap();
    let approved = approved.first().unwrap().unwrap().id();
    judge.update("Task", &task, data! { "status_id": approved });
    let problems = judge.session.plan().check(&judge.session).unwrap();
    assert_eq!(problems[0].kind, ErrorKind::Permission, "{problems:?}");
    let message = problems[0].to_string();
    assert!(
        message.contains("do not leave the status \"Approved\" to this user"),
        "{message}"
    );
    assert!(message.contains("; they leave: In progress"), "{message}");
}

/// What `set` and `update` refuse at once, the server refuses too.
#[test]
fn wrong_types_and_immutable_attributes_are_refused_where_the_server_refuses_them() {
    let mut judge = Judge::new();
    let cases = std::env::var("CHECK_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let (mut wrong, mut immutable) = (0, 0);
    while wrong < cases || immutable < cases {
        let types = [
            "Task",
            "Shot",
            "AssetVersion",
            "Note",
            "Timelog",
            "FileComponent",
        ];
        let entity_type = types[judge.random.usize(0..types.len())];
        let schema = judge.session.schema().entity_type(entity_type).unwrap();
        let attributes = schema.attributes();
        let attribute = &attributes[judge.random.usize(0..attributes.len())];
        let (value, sent) = match judge.random.usize(0..4) {
            0 => (Value::from("a text"), json!("a text")),
            1 => (Value::from(7), json!(7)),
            2 => (Value::from(true), json!(true)),
            _ => (Value::from(["a", "b"]), json!(["a", "b"])),
        };
        // Servers read some texts as numbers or ids, and the other way round.
        let is_lenient = match attribute.kind() {
            AttributeKind::Text => sent.is_number(),
            AttributeKind::Reference(_) => sent.is_string() || !attribute.is_mutable(),
            AttributeKind::Collection(_) | AttributeKind::Mapped(_) => {
                sent.is_array() || !attribute.is_mutable()
            }
            AttributeKind::Variable => attribute.is_mutable(),
            _ => sent.is_number() || sent.is_boolean(),
        };
        if is_lenient {
            continue;
        }
        let query = format!("select id from {entity_type} limit 1");
        let Some(entity) = judge.session.query(&*query).unwrap().first().unwrap() else {
            continue;
        };
        let data = Data::from_iter([(attribute.name(), value)]);
        let refused = judge.session.update(entity_type, entity.key(), data);
        judge.session.rollback();
        let Err(error) = refused else {
            continue;
        };
        match error.kind() {
            ErrorKind::WrongType => wrong += 1,
            ErrorKind::Immutable => immutable += 1,
            other => panic!("{other:?}: {error}"),
        }
        let update = json!({ "action": "update", "entity_type": entity_type,
            "entity_key": [entity.id()],
            "entity_data": { "__entity_type__": entity_type, attribute.name(): sent } });
        let theirs = judge.session.call(&[update]);
        assert!(
            theirs.is_err(),
            "{}.{}: {error}",
            entity_type,
            attribute.name()
        );
    }
}

#[test]
fn a_plan_of_any_size_takes_one_request() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    for number in 0..1500 {
        let data = data! { "name": format!("t{number}"), "parent": &project };
        session.create("Task", data).unwrap();
    }
    session
        .create("Task", data! { "name": "T7", "parent": &project })
        .unwrap();
    let mut problems = Vec::new();
    let sent = requests(session, || {
        problems = session.plan().check(session).unwrap();
    });
    assert_eq!((sent, problems.len()), (1, 1));
    assert!(
        problems[0]
            .to_string()
            .contains("there is \"t7\" in the same place"),
        "{}",
        problems[0]
    );
}

#[test]
fn new_entities_of_every_type_without_values_are_judged_as_the_server_does() {
    let studio = Studio::new();
    let session = &studio.session;
    let mut wrong = Vec::new();
    let mut judged = 0;
    for entity_type in session.schema().entity_types() {
        if session.create(entity_type.name(), data! {}).is_err() {
            continue;
        }
        let problems = session.plan().check(session).unwrap();
        let outcome = session.commit();
        session.rollback();
        judged += 1;
        // The schema does not say which types are only there to be extended.
        if outcome
            .as_ref()
            .is_err_and(|error| error.to_string().contains("is not created itself"))
        {
            continue;
        }
        if problems.is_empty() != outcome.is_ok() {
            wrong.push(format!("{}: {problems:?} {outcome:?}", entity_type.name()));
        }
    }
    assert!(wrong.is_empty(), "{judged} judged: {wrong:#?}");
}
