//! Custom attributes and metadata: kinds of values, keys that exist twice, whole mappings.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use ftrack_api::entity::{CustomAttributeKind, CustomAttributes, ValueOrigin};
use ftrack_api::jiff::Timestamp;
use ftrack_api::jiff::civil::{Date, DateTime, date};
use ftrack_api::{Entity, ErrorKind, Value, data, expr};
use serde_json::json;
use support::{Studio, open, requests};

impl Studio {
    /// The custom attributes as a session sees them that has seen nothing yet.
    fn again(&self, entity: &Entity) -> CustomAttributes {
        let entity = open(&self.server).entity(entity).unwrap();
        entity.custom_attributes().unwrap()
    }

    /// A configuration that the demo studio does not have.
    fn configure(&self, key: &str, kind: &str, more: ftrack_api::Data) -> Entity {
        let kind = self.first(&format!("CustomAttributeType where name is \"{kind}\""));
        let mut data = data! {
            "key": key, "label": key, "type": &kind, "entity_type": "show", "config": "{}",
        };
        data.extend(more);
        let group = self.first("CustomAttributeGroup");
        data.set("group", &group);
        let made = self
            .session
            .create("CustomAttributeConfiguration", data)
            .unwrap();
        self.session.commit().unwrap();
        made
    }
}

#[test]
fn every_kind_has_its_rust_type_in_both_directions() {
    let studio = Studio::new();
    let url = data! { "name": "url", "core": true };
    studio.session.create("CustomAttributeType", url).unwrap();
    studio.session.commit().unwrap();
    studio.configure("page", "url", data! {});
    studio.configure("moods", "dynamic enumerator", data! {});
    studio.configure("notes_", "text", data! {});
    studio.configure("rate", "number", data! {});
    studio.configure("wip", "boolean", data! {});
    let project = studio.first("Project where name is test");
    let here = project.custom_attributes().unwrap();
    let day = date(2026, 3, 4);
    here.set("delivery_date", day).unwrap();
    here.set("page", "http://example.com").unwrap();
    here.set("moods", ["dark", "wet"]).unwrap();
    here.set("notes_", "a \"text\"").unwrap();
    here.set("rate", 23.976).unwrap();
    here.set("htest", 7).unwrap();
    here.set("wip", true).unwrap();
    let shot = studio.first("Shot");
    let sizes = shot.custom_attributes().unwrap();
    sizes.set("shot_size", "close").unwrap();
    let check = |here: &CustomAttributes, sizes: &CustomAttributes| {
        let midnight: DateTime = day.at(0, 0, 0, 0);
        assert_eq!(here.get::<Date>("delivery_date").unwrap(), day);
        assert_eq!(here.get::<DateTime>("delivery_date").unwrap(), midnight);
        let instant: Timestamp = here.get("delivery_date").unwrap();
        assert_eq!(instant.to_string(), "2026-03-04T00:00:00Z");
        assert_eq!(
            here.get::<Vec<String>>("moods").unwrap(),
            ["dark", "wet"].map(str::to_owned)
        );
        assert!(here.get::<String>("moods").is_err(), "there are two");
        assert_eq!(here.get::<String>("page").unwrap(), "http://example.com");
        assert_eq!(here.get::<String>("notes_").unwrap(), "a \"text\"");
        assert_eq!(here.get::<f64>("rate").unwrap(), 23.976);
        assert_eq!(here.get::<u8>("htest").unwrap(), 7);
        assert!(here.get::<bool>("wip").unwrap());
        assert_eq!(sizes.get::<Vec<String>>("shot_size").unwrap(), ["close"]);
        assert_eq!(sizes.get::<String>("shot_size").unwrap(), "close");
        let nothing: Option<Vec<String>> = sizes.get("fstart").map(|_: Value| None).unwrap();
        assert_eq!(nothing, None);
    };
    check(&here, &sizes);
    studio.session.commit().unwrap();
    check(&studio.again(&project), &studio.again(&shot));

    // A list of one is its choice, and the other way round.
    sizes.set("shot_size", vec!["wide".to_owned()]).unwrap();
    here.set("delivery_date", day.at(9, 30, 0, 0)).unwrap();
    studio.session.commit().unwrap();
    let (here, sizes) = (studio.again(&project), studio.again(&shot));
    assert_eq!(sizes.get::<String>("shot_size").unwrap(), "wide");
    assert_eq!(sizes.get::<Vec<String>>("shot_size").unwrap(), ["wide"]);
    assert_eq!(here.get::<Date>("delivery_date").unwrap(), day);
    // Null is nothing in every type.
    here.set("delivery_date", None::<Date>).unwrap();
    sizes.set("shot_size", Value::Null).unwrap();
    assert_eq!(here.get::<Option<Date>>("delivery_date").unwrap(), None);
    let none: Option<Vec<String>> = sizes.get("shot_size").unwrap();
    assert_eq!(none, None);
}

#[test]
fn lists_have_the_attributes_of_their_project() {
    let studio = Studio::new();
    let list = studio.first("TypedContextList");
    let own: String = list.get("project_id").unwrap();
    let other = expr!("Project where id is_not {}", &own);
    let other = studio.session.query(other).unwrap().first().unwrap();
    let configure = |key: &str, project: &str| {
        let more = data! { "entity_type": "list", "project_id": project };
        studio.configure(key, "number", more);
    };
    configure("listed", &own);
    configure("elsewhere", &other.unwrap().id());
    let attributes = studio.again(&list);
    attributes.set("listed", 5).unwrap();
    assert!(!attributes.contains("elsewhere").unwrap());
}

#[test]
fn values_of_another_kind_are_refused_when_they_are_set() {
    let studio = Studio::new();
    let shot = studio.first("Shot");
    let project = studio.first("Project where name is test");
    let list = studio.first("TypedContextList");
    let user = studio.first("User where username is jenkins");
    let cases: [(&Entity, &str, Value, &str); 9] = [
        (&shot, "fstart", "ten".into(), "takes a number, not a text"),
        (&shot, "fstart", f64::NAN.into(), "takes a number"),
        (&shot, "fstart", json!("ten").into(), "takes a number"),
        (
            &shot,
            "shot_size",
            3.into(),
            "takes a choice or a list of choices, not an integer (3)",
        ),
        (&project, "delivery_date", "soon".into(), "takes a date"),
        // No client could read the project any more.
        (
            &project,
            "delivery_date",
            jiff::civil::date(-1, 1, 1).into(),
            "takes a date",
        ),
        (&list, "listbool", 1.into(), "takes a boolean"),
        (&user, "teststring", 1.into(), "takes a text"),
        (
            &user,
            "teststring",
            (&shot).into(),
            "takes a text, not a reference",
        ),
    ];
    for (entity, key, value, words) in cases {
        let attributes = entity.custom_attributes().unwrap();
        let error = attributes.set(key, value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        assert!(
            text.contains(&format!("custom attribute {key:?} of {entity}")),
            "{text}"
        );
        let assigned = entity.set("custom_attributes", json!({ key: [[]] }));
        assert_eq!(assigned.unwrap_err().kind(), ErrorKind::WrongType);
    }
    assert_eq!(studio.session.recorded_operations(), []);
}

#[test]
fn a_key_that_exists_twice_names_the_attribute_of_the_entitys_own_type() {
    let studio = Studio::new();
    let shots = studio.first("ObjectType where name is Shot");
    let project = studio.first("Project where name is test");
    let everywhere = data! { "is_hierarchical": true, "default": 1 };
    let everywhere = studio.configure("twice", "number", everywhere);
    let of_shots = data! { "entity_type": "task", "object_type_id": shots.id(), "default": 2 };
    let of_shots = studio.configure("twice", "number", of_shots);
    let session = open(&studio.server);
    let shot = session.query("Shot where project.name is test").unwrap();
    let shot = shot.first().unwrap().unwrap();
    let attributes = shot.custom_attributes().unwrap();
    let ids = |attributes: &CustomAttributes| -> Vec<String> {
        let found = attributes.configurations("twice").unwrap();
        found.iter().map(|one| one.id().to_owned()).collect()
    };
    assert_eq!(ids(&attributes), [of_shots.id(), everywhere.id()]);
    assert_eq!(attributes.get::<i64>("twice").unwrap(), 2);
    assert_eq!(attributes.get::<i64>(&everywhere.id()).unwrap(), 1);
    attributes.set("twice", 20).unwrap();
    attributes.set(&everywhere.id(), 10).unwrap();
    session.commit().unwrap();
    let seen = studio.again(&shot);
    assert_eq!(seen.get::<i64>("twice").unwrap(), 20);
    assert_eq!(seen.get::<i64>(&everywhere.id()).unwrap(), 10);
    assert_eq!(seen.get::<i64>(&of_shots.id()).unwrap(), 20);

    // One of the project comes before both.
    let of_project = data! {
        "entity_type": "task", "object_type_id": shots.id(), "default": 3,
        "project_id": project.id(),
    };
    let of_project = studio.configure("twice", "number", of_project);
    let seen = studio.again(&shot);
    assert_eq!(
        ids(&seen),
        [of_project.id(), of_shots.id(), everywhere.id()]
    );
    assert_eq!(seen.get::<i64>("twice").unwrap(), 3);
    let [first, ..] = &seen.configurations("twice").unwrap()[..] else {
        panic!("there are three");
    };
    assert_eq!(first.project_id(), Some(project.id().as_str()));
    assert_eq!(first.kind(), CustomAttributeKind::Number);
    assert!(!first.is_hierarchical());
    assert_eq!(first.default(), &Value::from(3));
    assert_eq!(first.key(), "twice");
}

#[test]
fn configurations_are_asked_for_again_only_after_one_was_committed() {
    let studio = Studio::new();
    let session = &studio.session;
    let shot = studio.first("Shot");
    let has = |key: &str| shot.custom_attributes().unwrap().contains(key).unwrap();
    assert!(has("fstart") && !has("fresh"));
    shot.set("description", "changed").unwrap();
    session.commit().unwrap();
    assert_eq!(requests(session, || assert!(!has("fresh"))), 0);
    // Among other changes.
    shot.set("description", "again").unwrap();
    studio.configure("fresh", "number", data! {"is_hierarchical": true});
    assert!(has("fresh"));
}

#[test]
fn a_value_that_was_never_set_is_the_default() {
    let studio = Studio::new();
    let task = studio.first("Task where not custom_attributes.value is 7");
    let attributes = task.custom_attributes().unwrap();
    let number = |value: i64| Value::from(value);
    assert_eq!(
        attributes.effective("customNumber").unwrap(),
        (number(123), ValueOrigin::Default)
    );
    assert!(!attributes.remove("customNumber").unwrap());
    studio.session.rollback();
    attributes.set("customNumber", 5).unwrap();
    assert_eq!(
        attributes.effective("customNumber").unwrap(),
        (number(5), ValueOrigin::Own)
    );
    studio.session.commit().unwrap();
    let seen = studio.again(&task);
    assert_eq!(
        seen.effective("customNumber").unwrap(),
        (number(5), ValueOrigin::Own)
    );
    assert!(attributes.remove("customNumber").unwrap());
    assert_eq!(
        attributes.effective("customNumber").unwrap(),
        (number(123), ValueOrigin::Default)
    );
}

#[test]
fn a_whole_mapping_can_be_assigned() {
    let studio = Studio::new();
    let session = &studio.session;
    let shot = studio.first("Shot");
    let attributes = shot.custom_attributes().unwrap();
    attributes
        .extend(data! { "fstart": 1, "shot_size": "wide", "htest": 3 })
        .unwrap();
    session.commit().unwrap();
    shot.set("custom_attributes", json!({"fstart": 2, "htest": null}))
        .unwrap();
    session.commit().unwrap();
    let seen = studio.again(&shot);
    assert_eq!(seen.get::<i64>("fstart").unwrap(), 2);
    assert_eq!(seen.get::<Option<String>>("shot_size").unwrap(), None);
    let (_, origin) = seen.effective("htest").unwrap();
    assert_ne!(origin, ValueOrigin::Own);

    // All of it or nothing.
    let half = attributes.replace(data! { "fstart": 9, "fend": 1 });
    assert_eq!(half.unwrap_err().kind(), ErrorKind::UnknownAttribute);
    assert_eq!(session.recorded_operations(), []);
    let wrong = shot.set("custom_attributes", json!([1])).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongType);

    let metadata = shot.metadata().unwrap();
    metadata.extend([("old", 1), ("kept", 2)]).unwrap();
    session.commit().unwrap();
    shot.set("metadata", json!({"kept": "3", "new": true}))
        .unwrap();
    session.commit().unwrap();
    let seen = open(&studio.server).entity(&shot).unwrap();
    let map = seen.metadata().unwrap().to_map().unwrap();
    let map: Vec<(&str, &str)> = map.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(map, [("kept", "3"), ("new", "true")]);
    session
        .update("Shot", &shot, data! { "metadata": json!({}) })
        .unwrap();
    session.commit().unwrap();
    assert!(metadata.to_map().unwrap().is_empty());
}

#[test]
fn null_is_no_text_of_four_letters() {
    let studio = Studio::new();
    let session = &studio.session;
    let project = studio.first("Project where name is test");
    let task = session
        .create(
            "Task",
            data! {
                "name": "nulls",
                "parent": &project,
                "description": json!(null),
                "metadata": json!({"nothing": null, "number": 1, "list": [null]}),
                "custom_attributes": json!({"customNumber": null}),
            },
        )
        .unwrap();
    let nothing = task.metadata().unwrap().get("nothing").unwrap();
    assert_eq!(nothing.as_deref(), Some(""));
    assert_eq!(task.local_value("description").unwrap(), Some(Value::Null));
    session.commit().unwrap();
    let seen = open(&studio.server).entity(&task).unwrap();
    let metadata = seen.metadata().unwrap();
    assert_eq!(metadata.get("nothing").unwrap().as_deref(), Some(""));
    assert_eq!(metadata.get("number").unwrap().as_deref(), Some("1"));
    assert_eq!(metadata.get("list").unwrap().as_deref(), Some("[null]"));
    let number: Option<i64> = seen
        .custom_attributes()
        .unwrap()
        .get("customNumber")
        .unwrap();
    assert_eq!(number, None);
}
