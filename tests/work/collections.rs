//! Collections and metadata that others change too.

use ftrack_api::schema::Attribute;
use ftrack_api::{ErrorKind, Session, data};
use serde_json::json;

use crate::same;
use crate::support::{Studio, requests};

#[test]
fn collections_keep_what_others_added() {
    let studio = Studio::new();
    let (session, other) = (&studio.session, studio.other());
    let task = studio.task();
    let scope =
        |session: &Session, name: &str| session.create("Scope", data! { "name": name }).unwrap();
    let (mine, theirs) = (scope(session, "mine"), scope(&other, "theirs"));
    let scopes = task.collection("scopes").unwrap();
    let before = scopes.len().unwrap();
    same(&other, &task)
        .collection("scopes")
        .unwrap()
        .push(&theirs)
        .unwrap();
    other.commit().unwrap();

    assert_eq!(requests(session, || scopes.push(&mine).unwrap()), 0);
    assert!(scopes.contains(&mine).unwrap());
    assert_eq!(scopes.push(&mine).unwrap_err().kind(), ErrorKind::Duplicate);
    session.commit().unwrap();
    let members = |session: &Session| {
        same(session, &task)
            .collection("scopes")
            .unwrap()
            .all()
            .unwrap()
    };
    let seen = members(&studio.other());
    assert_eq!(seen.len(), before + 2);
    assert!(seen.iter().any(|member| member.key() == theirs.key()));

    assert!(scopes.remove(&mine).unwrap());
    assert!(!scopes.remove(&mine).unwrap());
    session.commit().unwrap();
    assert!(
        members(&studio.other())
            .iter()
            .all(|member| member.key() != mine.key())
    );
    scopes.replace([&mine]).unwrap();
    session.commit().unwrap();
    assert_eq!(members(&studio.other()).len(), 1);
    assert_eq!(
        task.collection("name").unwrap_err().kind(),
        ErrorKind::WrongType
    );
}

#[test]
fn metadata_is_a_dictionary() {
    let studio = Studio::new();
    let session = &studio.session;
    let shot = session
        .create("Shot", data! {
            "name": "meta", "parent": &studio.project(), "metadata": json!({"lens": "50mm", "take": 3}),
        })
        .unwrap();
    let metadata = shot.metadata().unwrap();
    assert_eq!(metadata.get("lens").unwrap().as_deref(), Some("50mm"));
    session.commit().unwrap();
    assert_eq!(shot.state(), None);
    let seen = |key: &str| {
        same(&studio.other(), &shot)
            .metadata()
            .unwrap()
            .get(key)
            .unwrap()
    };
    assert_eq!(
        (seen("lens").as_deref(), seen("take").as_deref()),
        (Some("50mm"), Some("3"))
    );

    metadata.set("lens", "85mm").unwrap();
    metadata.set("rig", "crane").unwrap();
    assert!(metadata.remove("take").unwrap());
    assert!(!metadata.remove("take").unwrap());
    assert_eq!(metadata.to_map().unwrap().len(), 2);
    session.commit().unwrap();
    assert_eq!(shot.state(), None);
    let map = same(&studio.other(), &shot)
        .metadata()
        .unwrap()
        .to_map()
        .unwrap();
    assert_eq!(
        Vec::from_iter(map),
        [
            ("lens".into(), "85mm".into()),
            ("rig".into(), "crane".into())
        ]
    );

    // Removed and set again before the commit: one change of the value.
    metadata.remove("rig").unwrap();
    metadata.set("rig", "dolly").unwrap();
    assert_eq!(metadata.get("rig").unwrap().as_deref(), Some("dolly"));
    session.commit().unwrap();
    assert_eq!(seen("rig").as_deref(), Some("dolly"));

    metadata.replace([("only", "one")]).unwrap();
    session.commit().unwrap();
    assert_eq!(
        same(&studio.other(), &shot)
            .metadata()
            .unwrap()
            .to_map()
            .unwrap()
            .len(),
        1
    );
    assert!(
        session
            .query("Status")
            .unwrap()
            .first()
            .unwrap()
            .unwrap()
            .metadata()
            .is_err()
    );
}

#[test]
fn metadata_of_others_stays() {
    let studio = Studio::new();
    let task = studio.task();
    task.metadata().unwrap().to_map().unwrap();
    let other = studio.other();
    same(&other, &task)
        .metadata()
        .unwrap()
        .set("theirs", "1")
        .unwrap();
    other.commit().unwrap();
    task.metadata().unwrap().set("mine", "2").unwrap();
    studio.session.commit().unwrap();
    let map = same(&studio.other(), &task)
        .metadata()
        .unwrap()
        .to_map()
        .unwrap();
    assert!(
        map.contains_key("theirs") && map.contains_key("mine"),
        "{map:?}"
    );
}

/// References and collections that were read fit where they stand: a declared type may be an older
/// name of another one.
#[test]
fn what_the_server_has_can_be_set() {
    let studio = Studio::new();
    let (session, other) = (&studio.session, studio.other());
    let (mut tried, mut refused) = (0, Vec::new());
    for entity_type in session.schema().entity_types() {
        let attributes = entity_type.attributes().iter();
        let names: Vec<&str> = attributes
            .filter(|one| one.target().is_some() && one.is_mutable() && !one.is_restricted())
            .map(Attribute::name)
            .collect();
        if names.is_empty() {
            continue;
        }
        let query = session.select(entity_type.name()).limit(2);
        let entities = query.all().unwrap();
        session.populate(&entities, &names).unwrap();
        for entity in &entities {
            for name in &names {
                let Some(value) = entity.known_value(name).unwrap() else {
                    continue;
                };
                tried += 1;
                // There it is not loaded, so that the value counts as new.
                let outcome = same(&other, entity).set(name, value);
                if let Err(error) = outcome
                    && error.kind() == ErrorKind::WrongType
                {
                    refused.push(error.to_string());
                }
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(tried > 100, "only {tried} tried");
}
