//! Custom attributes: their kinds, defaults, inheritance and removal.

use ftrack_api::entity::ValueOrigin;
use ftrack_api::{Entity, ErrorKind, Value, data};
use serde_json::json;

use crate::same;
use crate::support::{Studio, requests};

#[test]
fn custom_attributes_of_every_kind_of_entity() {
    let studio = Studio::new();
    let session = &studio.session;
    for (query, key, value) in [
        ("Shot", "fstart", Value::from(1001)),
        ("Task", "customNumber", Value::from(7)),
        ("AssetVersion", "versiontest", Value::from(3)),
        ("AssetVersion", "NumberField", Value::from(4)),
        (
            "User where username is jenkins",
            "teststring",
            Value::from("it's \"me\""),
        ),
        ("TypedContextList", "listbool", Value::from(true)),
        ("Project", "htest", Value::from(5)),
    ] {
        let entity = session.query(query).unwrap().first().unwrap().unwrap();
        let attributes = entity.custom_attributes().unwrap();
        assert!(
            attributes.keys().unwrap().contains(&key.to_owned()),
            "{query}"
        );
        attributes.set(key, value.clone()).unwrap();
        session.commit().unwrap();
        let seen = same(&studio.other(), &entity).custom_attributes().unwrap();
        assert_eq!(
            seen.get::<Value>(key).unwrap().to_string(),
            value.to_string(),
            "{query} {key}"
        );
    }
}

#[test]
fn custom_attributes_can_be_set_at_creation() {
    let studio = Studio::new();
    let session = &studio.session;
    let data = data! {
        "name": "custom", "parent": &studio.project(), "custom_attributes": json!({"fstart": 42}),
    };
    let shot = session.create("Shot", data).unwrap();
    assert_eq!(
        shot.custom_attributes()
            .unwrap()
            .get::<i64>("fstart")
            .unwrap(),
        42
    );
    session.commit().unwrap();
    let seen = same(&studio.other(), &shot).custom_attributes().unwrap();
    assert_eq!(seen.get::<i64>("fstart").unwrap(), 42);

    let data = data! { "name": "no", "parent": &studio.project(), "custom_attributes": json!({"fstrat": 1}) };
    let error = session.create("Shot", data).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownAttribute);
    let text = error.to_string();
    assert!(
        text.contains("did you mean \"fstart\"?") && text.contains("htest"),
        "{text}"
    );
    session.commit().unwrap();
    assert!(
        studio
            .other()
            .query("Shot where name is no")
            .unwrap()
            .first()
            .unwrap()
            .is_none()
    );
}

#[test]
fn hierarchical_values_say_where_they_come_from() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    let folder = session
        .create("Folder", data! { "name": "up", "parent": &project })
        .unwrap();
    let task = session
        .create("Task", data! { "name": "down", "parent": &folder })
        .unwrap();
    session.commit().unwrap();
    let of = |entity: &Entity| entity.custom_attributes().unwrap();
    of(&project).set("htest", 1).unwrap();
    assert_eq!(
        of(&task).effective("htest").unwrap(),
        (Value::from(1), ValueOrigin::Inherited(project))
    );
    of(&folder).set("htest", 2).unwrap();
    assert_eq!(
        of(&task).effective("htest").unwrap(),
        (Value::from(2), ValueOrigin::Inherited(folder.clone()))
    );
    of(&task).set("htest", 3).unwrap();
    assert_eq!(
        of(&task).effective("htest").unwrap(),
        (Value::from(3), ValueOrigin::Own)
    );
    session.commit().unwrap();
    let other = studio.other();
    assert_eq!(of(&same(&other, &task)).get::<i64>("htest").unwrap(), 3);
    assert_eq!(of(&same(&other, &folder)).get::<i64>("htest").unwrap(), 2);
}

#[test]
fn custom_attributes_can_be_removed() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    let data = data! {
        "name": "back", "parent": &project,
        "custom_attributes": json!({"customNumber": 7, "htest": 3}),
    };
    let task = session.create("Task", data).unwrap();
    let of = |entity: &Entity| entity.custom_attributes().unwrap();
    let both = |entity: &Entity| {
        let map = of(entity).to_map().unwrap();
        ["customNumber", "htest"].map(|key| map[key].to_string())
    };
    of(&project).set("htest", 1).unwrap();
    session.commit().unwrap();
    assert_eq!(both(&task), ["7", "3"]);

    of(&task).remove("customNumber").unwrap();
    of(&task).remove("htest").unwrap();
    assert_eq!(both(&task), ["123", "1"]);
    session.rollback();
    assert_eq!(both(&task), ["7", "3"]);

    of(&task).remove("customNumber").unwrap();
    of(&task).remove("htest").unwrap();
    // Set again, it was never away.
    of(&task).set("htest", 4).unwrap();
    assert_eq!(session.recorded_operations().len(), 2);
    session.commit().unwrap();
    assert_eq!(both(&task), ["123", "4"]);
    assert_eq!(both(&same(&studio.other(), &task)), ["123", "4"]);
    of(&task).set("customNumber", 8).unwrap();
    session.commit().unwrap();
    assert_eq!(both(&same(&studio.other(), &task)), ["8", "4"]);

    assert!(of(&task).contains("htest").unwrap());
    assert!(!of(&task).contains("fstart").unwrap());
    let unknown = of(&task).remove("fstart").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::UnknownAttribute);
}

/// What was set on an entity that is not committed yet.
#[test]
fn custom_attributes_of_a_new_entity_can_be_removed() {
    let studio = Studio::new();
    let session = &studio.session;
    let data = data! {
        "name": "new", "parent": &studio.project(),
        "custom_attributes": json!({"customNumber": 7}),
    };
    let task = session.create("Task", data).unwrap();
    task.custom_attributes()
        .unwrap()
        .remove("customNumber")
        .unwrap();
    session.commit().unwrap();
    let seen = same(&studio.other(), &task).custom_attributes().unwrap();
    assert_eq!(seen.get::<i64>("customNumber").unwrap(), 123);
    let here = task.custom_attributes().unwrap();
    assert_eq!(here.get::<i64>("customNumber").unwrap(), 123);
}

#[test]
fn custom_attributes_of_many_entities_cost_few_requests() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.project();
    for n in 0..40 {
        let data = data! { "name": format!("many {n}"), "parent": &project };
        session.create("Shot", data).unwrap();
    }
    session.commit().unwrap();
    let other = studio.other();
    let query = other
        .query("Shot where name like \"many %\" order by name")
        .unwrap();
    let shots = query.all().unwrap();
    assert_eq!(shots.len(), 40);
    let reading = || {
        for shot in &shots {
            let attributes = shot.custom_attributes().unwrap();
            attributes.get::<Option<i64>>("fstart").unwrap();
            attributes.get::<Value>("shot_size").unwrap();
        }
    };
    // The configurations, and the values of all forty.
    assert_eq!(requests(&other, reading), 2);
    let writing = || {
        for (shot, frame) in shots.iter().zip(1000..) {
            shot.custom_attributes()
                .unwrap()
                .set("fstart", frame)
                .unwrap();
            shot.custom_attributes()
                .unwrap()
                .set("htest", frame)
                .unwrap();
        }
        other.commit().unwrap();
    };
    assert_eq!(requests(&other, writing), 1);
    let seen = same(session, &shots[7]);
    session.populate(&seen, "custom_attributes").unwrap();
    assert_eq!(
        seen.custom_attributes()
            .unwrap()
            .get::<i64>("fstart")
            .unwrap(),
        1007
    );
}
