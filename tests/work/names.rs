//! Entities that are known by the name of a more general type, as events, actions and foreign keys have
//! it, until the server names their own.

use ftrack_api::{Entity, EntityKey, ErrorKind, Session, data};

use crate::same;
use crate::support::Studio;

/// The same entity in a session that knows no more than that it is a context.
fn in_general(session: &Session, entity: &Entity) -> Entity {
    let key = EntityKey::new("TypedContext", entity.id());
    session.entity(key).unwrap()
}

fn note(session: &Session, content: &str) -> Entity {
    let data = data! { "content": content, "author": session.user().unwrap() };
    session.create("Note", data).unwrap()
}

fn members(entity: &Entity, name: &str) -> Vec<Entity> {
    entity.collection(name).unwrap().all().unwrap()
}

#[test]
fn changes_under_both_names_are_changes_of_one_entity() {
    let studio = Studio::new();
    let (session, shot) = (studio.other(), studio.shot());
    let shot = in_general(&session, &shot);
    let notes = shot.collection("notes").unwrap();
    let (one, other) = (note(&session, "one"), note(&session, "other"));
    notes.push(&one).unwrap();
    shot.set("description", "taken back").unwrap();
    shot.set("name", "first").unwrap();
    // Now the server says what it is.
    session.refresh(same(&session, &studio.shot())).unwrap();
    assert_eq!(shot.entity_type(), "Shot");
    notes.push(&other).unwrap();
    shot.unset("description").unwrap();
    shot.set("name", "second").unwrap();
    let plan = session.plan();
    let of_shot = plan.changes.iter().filter(|one| one.entity == shot.key());
    assert_eq!((of_shot.count(), plan.changes.len()), (1, 3), "{plan}");
    session.commit().unwrap();
    let seen = same(&studio.other(), &shot);
    let added: Vec<EntityKey> = seen.get("notes").unwrap();
    assert!(added.contains(&one.key()) && added.contains(&other.key()));
    assert_eq!(seen.get::<String>("name").unwrap(), "second");
    let description: Option<String> = seen.get("description").unwrap();
    assert_ne!(description.as_deref(), Some("taken back"));
}

#[test]
fn members_may_be_named_by_a_more_general_type() {
    let studio = Studio::new();
    let (list, shot) = (studio.first("TypedContextList"), studio.shot());
    let items = list.collection("items").unwrap();
    items.push(&shot).unwrap();
    studio.session.commit().unwrap();
    let others = items.len().unwrap() - 1;

    // Nobody has loaded the members here.
    let session = studio.other();
    let far = session.entity(list.key()).unwrap();
    let member = in_general(&session, &shot);
    assert!(far.collection("items").unwrap().remove(&member).unwrap());
    session.commit().unwrap();
    assert_eq!(
        members(&same(&studio.other(), &list), "items").len(),
        others
    );

    // Entities of other sessions are known by their keys.
    session.refresh(&far).unwrap();
    let stranger = in_general(&studio.other(), &members(&far, "items")[0]);
    let items = far.collection("items").unwrap();
    assert!(items.contains(&stranger).unwrap());
    assert!(items.insert(0, &stranger).is_err());
    assert!(items.remove(&stranger).unwrap());
    session.commit().unwrap();
    assert_eq!(
        members(&same(&studio.other(), &list), "items").len(),
        others - 1
    );
}

#[test]
fn a_context_has_the_path_and_the_custom_attributes_of_its_own_type() {
    let studio = Studio::new();
    for known in [studio.project(), studio.shot()] {
        let of_context = |session: Session| {
            let key = EntityKey::new("Context", known.id());
            session.entity(key).unwrap()
        };
        let path = of_context(studio.other()).path().unwrap();
        assert_eq!(path, known.path().unwrap());
        let attributes = of_context(studio.other()).custom_attributes().unwrap();
        let expected = known.custom_attributes().unwrap().keys().unwrap();
        assert!(!expected.is_empty());
        assert_eq!(attributes.keys().unwrap(), expected);
    }
    let nobody = EntityKey::new("Context", "nobody");
    let nobody = studio.session.entity(nobody).unwrap();
    let error = nobody.custom_attributes().unwrap().keys().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
