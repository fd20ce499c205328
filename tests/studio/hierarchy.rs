//! `at`, `path` and `tree`.

use ftrack_api::{Entity, ErrorKind, data};

use crate::support::{Studio, requests};

#[test]
fn every_context_is_found_by_its_path() {
    let studio = Studio::new();
    let contexts = studio.session.query("Context").unwrap().all().unwrap();
    assert!(contexts.len() > 60);
    let paths = contexts.iter().map(|context| context.path().unwrap());
    let paths: Vec<_> = paths.collect();
    for (context, path) in contexts.iter().zip(&paths) {
        let found = studio.session.at(path).unwrap();
        assert_eq!(found, *context, "{path}");
        assert_eq!(studio.session.at(path.to_string()).unwrap(), *context);
    }
    let shout = paths[7].to_string().to_uppercase();
    assert_eq!(studio.session.at(shout).unwrap(), contexts[7]);
    let full_name: String = studio.project().get("full_name").unwrap();
    assert_eq!(studio.session.at(full_name).unwrap(), studio.project());
}

#[test]
fn a_path_costs_one_request_and_paths_of_one_response_two() {
    let studio = Studio::new();
    let find = || {
        studio.session.at("test/ep01/sq010/sh0010").unwrap();
    };
    assert_eq!(requests(&studio.session, find), 1);
    let other = studio.other();
    let tasks = other.query("select id from Task limit 50").unwrap();
    let tasks = tasks.all().unwrap();
    let ask = || {
        for task in &tasks {
            task.path().unwrap();
        }
    };
    // One of them for the names of projects, whose link has the full name.
    assert!(requests(&other, ask) <= 2);
    let again = || {
        tasks[3].path().unwrap();
    };
    assert_eq!(requests(&other, again), 0);
}

#[test]
fn names_may_have_slashes_quotes_and_any_letters() {
    let studio = Studio::new();
    let project = studio.project();
    let mut parent = project.clone();
    for name in ["day/night", r"a\", "\"q\" 'p' %_", "\u{1f600} é"] {
        parent = studio.create("Folder", data! { "name": name, "parent": &parent });
    }
    let path = parent.path().unwrap();
    assert_eq!(
        path.to_string(),
        "test/day\\/night/a\\\\/\"q\" 'p' %_/\u{1f600} é"
    );
    let other = studio.other();
    let found = other.at(path.to_string()).unwrap();
    assert_eq!(found.key(), parent.key());
    assert_eq!(found.path().unwrap(), path);
    assert_eq!(
        other.at("test/day/night").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_path_knows_what_is_not_committed() {
    let studio = Studio::new();
    let shot = studio.session.at("test/ep01/sq010/sh0010").unwrap();
    let task = studio
        .session
        .create("Task", data! { "name": "roto", "parent": &shot });
    let task = task.unwrap();
    let path = task.path().unwrap().to_string();
    assert_eq!(path, "test/ep01/sq010/sh0010/roto");
    assert_eq!(
        studio.session.at(&path).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    studio.session.commit().unwrap();
    assert_eq!(studio.session.at(&path).unwrap(), task);
    // Moved and renamed, and not committed.
    task.set("parent", studio.project()).unwrap();
    task.set("name", "paint").unwrap();
    assert_eq!(task.path().unwrap().to_string(), "test/paint");
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let studio = Studio::new();
    let check = |path: &str, expected: &str| {
        let error = studio.session.at(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        "tset/x",
        "no \"tset\" among the projects; did you mean \"test\"?",
    );
    check("nowhere", "; there are ");
    check(
        "test/ep01/sq01/x/y",
        "no \"sq01\" in test/ep01; did you mean \"sq010\"?",
    );
    check(
        "test/ep01/sq010/zzzzz",
        "in test/ep01/sq010; there are sh0010",
    );
    studio.create(
        "Folder",
        data! { "name": "day/night", "parent": studio.project() },
    );
    check(
        "test/Day/night/x",
        r#"no "Day" in test; for the name "day/night" write day\/night"#,
    );
    let task = studio.create("Task", data! { "name": "leaf", "parent": studio.project() });
    check("test/leaf/x", "in test/leaf; there is nothing");
    drop(task);
    for path in ["", "/", "test//sh0010"] {
        let error = studio.session.at(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    }
}

#[test]
fn a_path_that_names_two_things_is_refused_unless_one_is_called_exactly_so() {
    let studio = Studio::new();
    let schema: Entity = studio.project().get("project_schema").unwrap();
    let project = |name: &str, full_name: &str| {
        let data = data! { "name": name, "full_name": full_name, "project_schema": &schema };
        studio.create("Project", data)
    };
    let (a, b) = (project("a", "night"), project("b", "night"));
    let shots =
        [&a, &b].map(|parent| studio.create("Shot", data! { "name": "sh1", "parent": parent }));
    for path in ["night", "night/sh1"] {
        let error = studio.session.at(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MultipleFound, "{error}");
        assert!(error.to_string().contains("names 2 contexts: "), "{error}");
    }
    assert_eq!(studio.session.at("a/sh1").unwrap(), shots[0]);
    // The name of one, and the full name of two others.
    let c = project("night", "c");
    assert_eq!(studio.session.at("night").unwrap(), c);
}

#[test]
fn only_contexts_have_paths() {
    let studio = Studio::new();
    let version = studio
        .session
        .query("AssetVersion")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    for error in [version.path().unwrap_err(), version.tree(1).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    }
}

#[test]
fn a_tree_is_what_the_server_has() {
    let studio = Studio::new();
    let session = &studio.session;
    for project in session.query("Project").unwrap().all().unwrap() {
        let tree = project.tree(100).unwrap();
        let mut found: Vec<String> = tree.iter().map(|(_, one)| one.id()).collect();
        assert_eq!(found.remove(0), project.id());
        found.sort();
        let expected = session.query(ftrack_api::expr!(
            "select id from TypedContext where project_id is {}",
            project.id()
        ));
        let expected = expected.unwrap().all().unwrap();
        let mut expected: Vec<String> = expected.iter().map(Entity::id).collect();
        expected.sort();
        assert_eq!(found, expected);
        for (depth, one) in &tree {
            assert_eq!(one.path().unwrap().names().len(), depth + 1);
        }
    }
    let tree = studio.project().tree(2).unwrap();
    assert_eq!(tree.iter().map(|(depth, _)| depth).max(), Some(2));
    assert_eq!(studio.project().tree(0).unwrap().children(), []);
    let names = tree
        .children()
        .iter()
        .map(|child| child.entity().get("name"));
    let names: Vec<String> = names.map(Result::unwrap).collect();
    assert!(
        names.is_sorted_by_key(|name| name.to_lowercase()),
        "{names:?}"
    );
}

/// More shots than are named by their ids; `TREE_SHOTS=2000` makes 10,000 contexts.
const SHOTS: usize = 520;

#[test]
fn a_large_tree_takes_a_request_for_each_level_and_page() {
    let shots_wanted = std::env::var("TREE_SHOTS").map_or(SHOTS, |shots| shots.parse().unwrap());
    let studio = Studio::new();
    let session = &studio.session;
    let top = studio.create(
        "Folder",
        data! { "name": "big", "parent": studio.project() },
    );
    let make = |kind: &str, parents: &[Entity], count: usize| {
        let mut made = Vec::new();
        for (index, parent) in parents.iter().enumerate() {
            for number in 0..count {
                let name = format!("{kind}{index}_{number}");
                made.push(
                    session
                        .create(kind, data! { "name": name, "parent": parent })
                        .unwrap(),
                );
            }
            // A busy machine takes long for thousands of creations at once.
            if made.len() % 1000 < count {
                session.commit().unwrap();
            }
        }
        session.commit().unwrap();
        made
    };
    let sequences = make("Sequence", std::slice::from_ref(&top), 20);
    let shots = make("Shot", &sequences, shots_wanted / 20);
    let tasks = make("Task", &shots, 4);
    let count = 20 + shots.len() + tasks.len();
    drop((sequences, shots, tasks));

    let other = studio.other();
    let top = other.get("Folder", top.key()).unwrap().unwrap();
    let sent = requests(&other, || {
        assert_eq!(top.tree(3).unwrap().iter().count(), count + 1);
    });
    let pages = count as u64 / 500;
    println!("{sent} requests for {count} contexts");
    assert!(sent <= 3 + pages, "{sent} requests");
    // What is named is known.
    let tree = top.tree(3).unwrap();
    let paths = requests(&other, || {
        let names = tree
            .iter()
            .map(|(_, one)| one.path().unwrap().names().len());
        assert_eq!(names.max(), Some(5));
    });
    assert!(paths <= 2, "{paths} requests");
}
