//! Deleted entities: known as such after a commit of this session, and after any load.

use ftrack_api::{Entity, ErrorKind, Session, data};

use crate::same;
use crate::support::{Studio, requests};

/// A folder with a task, an asset, a version and a component, all loaded.
struct Branch {
    folder: Entity,
    below: Vec<Entity>,
}

impl Branch {
    fn new(studio: &Studio) -> Self {
        let session = &studio.session;
        let create = |entity_type: &str, data| session.create(entity_type, data).unwrap();
        let folder = create(
            "Folder",
            data! { "name": "branch", "parent": studio.project() },
        );
        let task = create("Task", data! { "name": "leaf", "parent": &folder });
        let asset = create("Asset", data! { "name": "asset", "parent": &folder });
        let version = create("AssetVersion", data! { "asset": &asset, "task": &task });
        let component = create(
            "FileComponent",
            data! { "name": "main", "version": &version },
        );
        session.commit().unwrap();
        let below = vec![task, asset, version, component];
        Self { folder, below }
    }
}

fn is_gone(session: &Session, entity: &Entity) {
    let found = session.get(entity.entity_type(), entity.key()).unwrap();
    assert_eq!(found, None, "{entity}");
    let error = entity.value("metadata").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(
        error.to_string().contains("does not exist any more"),
        "{error}"
    );
    let name = match entity.entity_type() {
        "AssetVersion" => "comment",
        _ => "name",
    };
    for refused in [entity.set(name, "changed"), session.delete(entity)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(session.recorded_operations(), []);
}

#[test]
fn a_deletion_is_followed_to_everything_below() {
    let studio = Studio::new();
    let session = &studio.session;
    let branch = Branch::new(&studio);
    session.delete(&branch.folder).unwrap();
    session.commit().unwrap();
    is_gone(session, &branch.folder);
    // What was deleted can still be named.
    assert_eq!(branch.folder.get::<String>("name").unwrap(), "branch");
    for entity in &branch.below {
        is_gone(session, entity);
    }
}

#[test]
fn references_to_a_deleted_entity_are_fetched_again() {
    let studio = Studio::new();
    let session = &studio.session;
    let branch = Branch::new(&studio);
    let [task, _, version, _] = branch.below.as_slice() else {
        panic!("four entities");
    };
    assert_eq!(version.get::<Entity>("task").unwrap(), *task);
    session.delete(task).unwrap();
    session.commit().unwrap();
    assert_eq!(version.get::<Option<Entity>>("task").unwrap(), None);
    assert_eq!(version.get::<Option<String>>("task_id").unwrap(), None);
    assert_eq!(branch.folder.get::<Vec<Entity>>("children").unwrap(), []);
}

#[test]
fn a_load_without_an_entity_marks_it_as_deleted() {
    let studio = Studio::new();
    let session = &studio.session;
    let branch = Branch::new(&studio);
    let other = studio.other();
    other.delete(&same(&other, &branch.folder)).unwrap();
    other.commit().unwrap();
    let [task, asset, version, component] = branch.below.as_slice() else {
        panic!("four entities");
    };
    // Loaded values stay until something shows that they are out of date.
    assert_eq!(task.get::<String>("name").unwrap(), "leaf");
    session.refresh(task).unwrap();
    is_gone(session, task);
    assert_eq!(task.get::<String>("name").unwrap(), "leaf");
    session.populate([asset, version], "metadata").unwrap();
    is_gone(session, asset);
    is_gone(session, version);
    assert_eq!(
        component.value("metadata").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    is_gone(session, component);
}

#[test]
fn what_get_does_not_find_is_not_asked_for_again() {
    let studio = Studio::new();
    let task = studio.task();
    let late = studio.other();
    let same = late.entity(task.key()).unwrap();
    studio.session.delete(&task).unwrap();
    studio.session.commit().unwrap();
    assert_eq!(late.get("Task", task.id()).unwrap(), None);
    let asked = requests(&late, || {
        let error = same.get::<String>("name").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
    assert_eq!(asked, 0);
}

#[test]
fn reads_survive_invalidation_by_another_thread() {
    let studio = Studio::new();
    let session = &studio.session;
    let task = studio.first("select name from Task");
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        let resetting = threads.spawn(|| {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                session.reset();
            }
        });
        let outcome = (0..150).try_for_each(|_| task.get::<String>("name").map(drop));
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        resetting.join().unwrap();
        outcome.unwrap();
    });
}

#[test]
fn a_list_of_contexts_takes_any_of_them() {
    let studio = Studio::new();
    let session = &studio.session;
    let list = studio.first("TypedContextList");
    let shot = studio.shot();
    list.collection("items").unwrap().push(&shot).unwrap();
    session.commit().unwrap();
    assert!(list.get::<Vec<Entity>>("items").unwrap().contains(&shot));
    let other = studio.other();
    let seen = same(&other, &list).get::<Vec<Entity>>("items").unwrap();
    assert!(seen.iter().any(|one| one.key() == shot.key()));
    let user = studio.first("User");
    let error = list.collection("items").unwrap().push(&user).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
}
