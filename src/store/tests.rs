//! The life of entities in a store that no server stands behind.

use super::*;
use crate::data;
use crate::error::ErrorKind;
use crate::schema::tests::schema;
use crate::wire::{Rows, decode};

struct Fixture {
    store: Store,
    ids: u32,
}

impl Fixture {
    fn new() -> Self {
        Self {
            store: Store::new(Arc::new(schema())),
            ids: 0,
        }
    }

    fn rows(&self, data: &str) -> Rows {
        let body = format!(r#"[{{"data":{data}}}]"#);
        decode(&self.store.schema, &body.as_bytes().into())
            .unwrap()
            .rows
    }

    fn absorb(&mut self, data: &str) -> Vec<u32> {
        let rows = self.rows(data);
        self.store.absorb(rows)
    }

    fn create(&mut self, entity_type: &str, data: crate::Data) -> Result<u32> {
        let ids = &mut self.ids;
        self.store.create(entity_type, data, true, &mut || {
            *ids += 1;
            format!("new{ids}")
        })
    }

    fn set(&mut self, place: u32, name: &str, value: impl Into<Value>) -> Result<()> {
        self.store.set(place, name, value.into(), true)
    }

    fn text(&self, place: u32, path: &str) -> String {
        match self.store.read(place, path).unwrap() {
            Read::Known(value) => value.quoted().to_string(),
            other => format!("{other:?}"),
        }
    }

    fn operations(&self) -> Vec<String> {
        self.store.operations().map(ToString::to_string).collect()
    }

    fn commit(&mut self, response: &str) {
        let rows = self.rows(response);
        self.store.begin_commit(usize::MAX).unwrap();
        self.store.commit_succeeded(rows);
    }
}

const TASK: &str = r#"{"__entity_type__":"Task","id":"t","name":"anim",
    "status":{"__entity_type__":"Status","id":"s","name":"Open"}}"#;

#[test]
fn the_same_key_is_the_same_record_and_rows_merge() {
    let mut f = Fixture::new();
    let first = f.absorb(TASK)[1];
    let second = f.absorb(r#"{"__entity_type__":"Task","id":"t","bid":5,"name":"lighting"}"#)[0];
    assert_eq!(first, second);
    assert_eq!(f.text(first, "name"), "\"lighting\"");
    assert_eq!(f.text(first, "bid"), "5");
    assert_eq!(f.text(first, "status.name"), "\"Open\"");
    assert_eq!(f.text(first, "id"), "\"t\"");
}

#[test]
fn a_base_type_in_a_reference_is_the_same_entity() {
    let mut f = Fixture::new();
    let stub = f.store.place(&EntityKey::new("Context", "t")).unwrap();
    let task = f.absorb(TASK)[1];
    assert_eq!(stub, task);
    assert_eq!(f.store.key(stub).entity_type(), "Task");
    assert!(f.store.place(&EntityKey::new("User", "t")).unwrap() != task);
}

#[test]
fn what_is_missing_is_named_with_the_rest_of_the_path() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    let status = f.absorb(TASK)[0];
    let missing = |place, path: &str| Read::NotLoaded {
        place,
        path: path.into(),
    };
    assert_eq!(
        f.store.read(task, "parent.name").unwrap(),
        missing(task, "parent.name")
    );
    assert_eq!(
        f.store.read(task, "status.state.short").unwrap(),
        missing(status, "state.short")
    );
}

#[test]
fn paths_that_lead_nowhere() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    for (path, kind) in [
        ("nmae", ErrorKind::UnknownAttribute),
        ("status.nmae", ErrorKind::UnknownAttribute),
        ("name.first", ErrorKind::WrongType),
        ("", ErrorKind::UnknownAttribute),
        (".", ErrorKind::UnknownAttribute),
    ] {
        assert_eq!(f.store.read(task, path).unwrap_err().kind(), kind, "{path}");
    }
}

#[test]
fn local_values_hide_remote_ones_until_they_are_committed() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "fx").unwrap();
    f.absorb(r#"{"__entity_type__":"Task","id":"t","name":"comp"}"#);
    assert_eq!(f.text(task, "name"), "\"fx\"");
    assert_eq!(f.store.state(task), Some(EntityState::Modified));
    f.commit(r#"{"__entity_type__":"Task","id":"t","name":"FX"}"#);
    assert_eq!(f.text(task, "name"), "\"FX\"");
    assert_eq!(f.store.state(task), None);
    assert!(f.operations().is_empty());
}

#[test]
fn setting_what_it_is_records_nothing() {
    let mut f = Fixture::new();
    let task = f.absorb(r#"{"__entity_type__":"Task","id":"t","name":"anim","bid":5.0}"#)[0];
    f.set(task, "name", "anim").unwrap();
    f.set(task, "bid", 5).unwrap();
    assert!(f.operations().is_empty());
}

#[test]
fn scalars_given_as_json_are_scalars() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    for (name, json, text) in [
        ("name", serde_json::json!("fx"), "\"fx\""),
        ("description", serde_json::json!({"a": 1}), r#""{\"a\":1}""#),
        ("bid", serde_json::json!(1.5), "1.5"),
        ("sort", serde_json::json!(3), "3"),
        ("thumbnail_url", serde_json::json!([1]), "[1]"),
        ("name", serde_json::json!(null), "null"),
    ] {
        f.set(task, name, json).unwrap();
        assert_eq!(f.text(task, name), text);
    }
}

#[test]
fn what_cannot_be_changed_can_be_set_to_what_it_is() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "id", "t").unwrap();
    assert!(f.operations().is_empty());
    f.store.delete(task).unwrap();
    let error = f.set(task, "id", "t").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn what_is_not_recorded_stays_local_until_it_is() {
    let mut f = Fixture::new();
    let task = f.absorb(
        r#"{"__entity_type__":"Task","id":"t","name":"anim","assignments":[],
            "status":{"__entity_type__":"Status","id":"s"}}"#,
    )[1];
    let quietly = |f: &mut Fixture, name: &str, value: Value| {
        f.store.set(task, name, value, false).unwrap();
    };
    quietly(&mut f, "status", EntityKey::new("Status", "a").into());
    quietly(&mut f, "status_id", "b".into());
    assert_eq!(f.text(task, "status"), "Status(b)");
    quietly(&mut f, "name", "fx".into());
    f.store
        .extend(task, "assignments", &[user("a")], &[], false)
        .unwrap();
    assert_eq!(f.store.state(task), None);
    f.set(task, "bid", 1).unwrap();
    f.commit("true");
    assert_eq!(f.store.remote(task, "name"), Some("anim".into()));
    assert_eq!(f.text(task, "assignments"), "[Appointment(a)]");
    assert_eq!(
        f.store.remote(task, "assignments"),
        Some(Vec::<EntityKey>::new().into())
    );
    f.set(task, "name", "fx").unwrap();
    assert_eq!(f.operations(), ["update Task(t): name = \"fx\""]);
    f.store.rollback();
    assert_eq!(f.text(task, "assignments"), "[]");
}

#[test]
fn a_collection_set_to_nothing_is_empty() {
    let mut f = Fixture::new();
    let task = f.absorb(r#"{"__entity_type__":"Task","id":"t"}"#)[0];
    f.set(task, "assignments", Value::Null).unwrap();
    f.store
        .extend(task, "assignments", &[user("a")], &[], true)
        .unwrap();
    assert_eq!(f.text(task, "assignments"), "[Appointment(a)]");
}

#[test]
fn an_update_sets_all_or_nothing() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    let status = EntityKey::composite("Status", ["a", "b"]);
    let data = data! { "bid": 1, "status": status };
    let error = f.store.update(task, data, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(f.operations().is_empty());
    f.store
        .update(task, data! { "bid": 1, "sort": 2 }, true)
        .unwrap();
    assert_eq!(f.operations().len(), 2);
}

#[test]
fn a_reference_and_its_key_change_together() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "status_id", "s2").unwrap();
    assert_eq!(f.text(task, "status"), "Status(s2)");
    f.set(task, "status", EntityKey::new("Status", "s3"))
        .unwrap();
    assert_eq!(f.text(task, "status_id"), "\"s3\"");
    assert_eq!(f.operations().len(), 2);
    f.commit("true");
    assert_eq!(f.text(task, "status"), "Status(s3)");
    f.set(task, "status", Value::Null).unwrap();
    assert_eq!(f.text(task, "status_id"), "null");
}

#[test]
fn create_takes_defaults_and_makes_keys() {
    let mut f = Fixture::new();
    let shot = f.create("Shot", data! { "name": "sh010" }).unwrap();
    let task = f
        .create("Task", data! { "parent": EntityKey::new("Shot", "new1") })
        .unwrap();
    assert_eq!(f.operations(), ["create Shot(new1)", "create Task(new2)"]);
    assert_eq!(f.text(task, "parent.name"), "\"sh010\"");
    assert_eq!(f.text(task, "parent_id"), "\"new1\"");
    assert_eq!(f.text(task, "name"), "\"\"");
    assert_eq!(f.text(task, "description"), "NotSet");
    assert_eq!(f.text(task, "children"), "[]");
    assert_eq!(f.store.state(shot), Some(EntityState::Created));
    f.commit(
        r#"[{"__entity_type__":"Shot","id":"new1","name":"sh010"},
                 {"__entity_type__":"Task","id":"new2"}]"#,
    );
    assert_eq!(f.store.state(shot), None);
    assert_eq!(f.text(task, "parent.name"), "\"sh010\"");
    assert!(matches!(
        f.store.read(task, "description"),
        Ok(Read::NotLoaded { .. })
    ));
}

#[test]
fn keys_of_several_attributes() {
    let mut f = Fixture::new();
    let row = f
        .create(
            "Metadata",
            data! { "parent_id": "t", "key": "k", "value": "v" },
        )
        .unwrap();
    assert_eq!(
        f.store.key(row),
        EntityKey::composite("Metadata", ["t", "k"])
    );
    let error = f.create("Metadata", data! { "key": "k" }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.to_string().contains("parent_id"), "{error}");
    let error = f.store.place(&EntityKey::new("Metadata", "t")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
}

#[test]
fn values_that_do_not_fit_are_refused_and_change_nothing() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    for (name, value, kind) in [
        ("name", Value::from(5), ErrorKind::WrongType),
        ("bid", "much".into(), ErrorKind::WrongType),
        ("sort", 1.5.into(), ErrorKind::WrongType),
        ("sort", 1e300.into(), ErrorKind::WrongType),
        ("sort", u64::MAX.into(), ErrorKind::WrongType),
        ("bid", f64::NAN.into(), ErrorKind::WrongType),
        ("bid", f64::INFINITY.into(), ErrorKind::WrongType),
        ("thumbnail_url", f64::NAN.into(), ErrorKind::WrongType),
        ("start_date", "soon".into(), ErrorKind::WrongType),
        (
            "start_date",
            jiff::civil::date(0, 12, 31).into(),
            ErrorKind::WrongType,
        ),
        (
            "start_date",
            jiff::civil::DateTime::MIN.into(),
            ErrorKind::WrongType,
        ),
        (
            "thumbnail_url",
            jiff::civil::date(-1, 1, 1).into(),
            ErrorKind::WrongType,
        ),
        ("status", "s".into(), ErrorKind::WrongType),
        (
            "status",
            EntityKey::new("User", "u").into(),
            ErrorKind::WrongType,
        ),
        (
            "children",
            EntityKey::new("Task", "u").into(),
            ErrorKind::WrongType,
        ),
        (
            "children",
            vec![EntityKey::new("User", "u")].into(),
            ErrorKind::WrongType,
        ),
        ("id", "t2".into(), ErrorKind::Immutable),
        ("nmae", "x".into(), ErrorKind::UnknownAttribute),
    ] {
        let error = f.set(task, name, value).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(f.operations().is_empty());
    let error = f.create("Task", data! { "id": "t" }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
}

#[test]
fn a_failed_commit_leaves_the_queue_as_it_was() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "one").unwrap();
    f.store.begin_commit(usize::MAX).unwrap();
    f.set(task, "bid", 1).unwrap();
    f.store.commit_failed(false);
    assert_eq!(
        f.operations(),
        ["update Task(t): name = \"one\"", "update Task(t): bid = 1"]
    );
    f.commit("true");
    assert_eq!(f.text(task, "name"), "\"one\"");
}

#[test]
fn the_replies_to_a_commit_may_come_in_any_order() {
    let ids: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
    let orders: [Vec<usize>; 5] = [
        (0..20).collect(),
        (0..20).rev().collect(),
        // Some are left out, more than are looked ahead for.
        (0..20).filter(|number| number % 11 == 0).collect(),
        (10..20).chain(0..10).collect(),
        // One comes twice.
        vec![3, 3, 4, 3],
    ];
    for order in orders {
        let mut f = Fixture::new();
        let rows: Vec<String> = ids
            .iter()
            .map(|id| format!(r#"{{"__entity_type__":"Task","id":"{id}"}}"#))
            .collect();
        let places = f.absorb(&format!("[{}]", rows.join(",")));
        for &place in &places {
            f.set(place, "name", "sent").unwrap();
        }
        let responses: Vec<String> = order
            .iter()
            .map(|&number| {
                format!(
                    r#"{{"__entity_type__":"Task","id":"{}","sort":{number}}}"#,
                    ids[number]
                )
            })
            .collect();
        f.commit(&format!("[{}]", responses.join(",")));
        for (number, place) in places.into_iter().enumerate() {
            assert_eq!(f.text(place, "name"), "\"sent\"");
            let sort = f.store.remote(place, "sort");
            let expected = order.contains(&number).then(|| (number as i64).into());
            assert_eq!(sort, expected, "{order:?}");
        }
        assert_eq!(f.store.len(), ids.len());
    }
}

#[test]
fn edits_during_a_commit_wait_for_the_next() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "one").unwrap();
    f.store.begin_commit(usize::MAX).unwrap();
    f.set(task, "name", "two").unwrap();
    let rows = f.rows(r#"{"__entity_type__":"Task","id":"t","name":"one"}"#);
    f.store.commit_succeeded(rows);
    assert_eq!(f.text(task, "name"), "\"two\"");
    assert_eq!(f.operations(), ["update Task(t): name = \"two\""]);
    assert_eq!(f.store.state(task), Some(EntityState::Modified));
}

#[test]
fn taking_a_later_edit_back_does_not_confuse_a_commit_under_way() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "sent").unwrap();
    f.store.begin_commit(usize::MAX).unwrap();
    f.set(task, "bid", 1).unwrap();
    f.set(task, "sort", 2).unwrap();
    f.store.unset(task, "bid").unwrap();
    f.store.commit_succeeded(Rows::default());
    assert_eq!(f.operations(), ["update Task(t): sort = 2"]);
    assert_eq!(f.store.state(task), Some(EntityState::Modified));
    f.store.rollback();
    assert_eq!(f.text(task, "name"), "\"sent\"");
}

#[test]
fn a_chunk_promotes_only_what_it_sent() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "one").unwrap();
    f.set(task, "bid", 1).unwrap();
    f.set(task, "name", "two").unwrap();
    assert_eq!(f.store.begin_commit(2).unwrap().len(), 2);
    f.store.commit_failed(false);
    assert_eq!(f.operations().len(), 3);
    f.store.begin_commit(2).unwrap();
    f.store.commit_succeeded(Rows::default());
    assert_eq!(f.operations(), ["update Task(t): name = \"two\""]);
    assert_eq!(
        (f.text(task, "name"), f.text(task, "bid")),
        ("\"two\"".into(), "1".into())
    );
    f.store.rollback();
    assert_eq!(
        (f.text(task, "name"), f.text(task, "bid")),
        ("\"anim\"".into(), "1".into())
    );
}

#[test]
fn nothing_of_the_chunks_after_it_is_promoted_with_a_chunk() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "one").unwrap();
    f.set(task, "bid", 1).unwrap();
    f.set(task, "name", "two").unwrap();
    f.store.begin_commit(1).unwrap();
    f.store.commit_succeeded(Rows::default());
    assert_eq!(f.operations().len(), 2);
    assert_eq!(f.store.remote(task, "bid"), None);
}

#[test]
fn deleted_entities_leave_after_the_commit() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.store.delete(task).unwrap();
    f.store.delete(task).unwrap();
    assert_eq!(f.store.state(task), Some(EntityState::Deleted));
    assert_eq!(f.text(task, "name"), "\"anim\"");
    assert_eq!(
        f.set(task, "name", "x").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    f.commit("true");
    let key = EntityKey::new("Task", "t");
    let task_type = f.store.schema.find("Task").unwrap().id();
    assert_eq!(f.store.find(task_type, key.key()), None);
    assert_eq!(
        f.store.read(task, "bid").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn rollback_forgets_everything_that_is_not_on_the_server() {
    let mut f = Fixture::new();
    let places = f.absorb(TASK);
    let (status, task) = (places[0], places[1]);
    let note = f.create("Shot", data! { "name": "new" }).unwrap();
    f.set(task, "name", "x").unwrap();
    f.store.delete(status).unwrap();
    f.store.rollback();
    assert!(f.operations().is_empty());
    assert_eq!(f.text(task, "name"), "\"anim\"");
    assert_eq!(f.store.state(status), None);
    assert_eq!(
        f.store.read(note, "description").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(f.store.changed.is_empty());
}

#[test]
fn unset_takes_one_change_back() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "x").unwrap();
    f.set(task, "status_id", "s2").unwrap();
    f.set(task, "bid", 2).unwrap();
    f.store.unset(task, "name").unwrap();
    f.store.unset(task, "status_id").unwrap();
    assert_eq!(f.text(task, "name"), "\"anim\"");
    assert_eq!(f.text(task, "status"), "Status(s)");
    assert_eq!(f.operations(), ["update Task(t): bid = 2"]);
    f.store.unset(task, "bid").unwrap();
    assert_eq!(f.store.state(task), None);
    for (set, unset) in [("status_id", "status"), ("status", "status_id")] {
        match set {
            "status" => f.set(task, set, EntityKey::new("Status", "s2")),
            _ => f.set(task, set, "s2"),
        }
        .unwrap();
        f.store.unset(task, unset).unwrap();
        assert!(f.operations().is_empty(), "{set} {unset}");
        assert_eq!(f.text(task, "status"), "Status(s)");
    }
}

#[test]
fn what_is_being_sent_cannot_be_taken_back() {
    for succeeds in [true, false] {
        let mut f = Fixture::new();
        let task = f.absorb(TASK)[1];
        f.set(task, "name", "sent").unwrap();
        f.store
            .extend(task, "assignments", &[user("a")], &[], true)
            .unwrap();
        f.store.begin_commit(usize::MAX).unwrap();
        f.store.unset(task, "name").unwrap();
        f.store.unset(task, "assignments").unwrap();
        match succeeds {
            true => drop(f.store.commit_succeeded(Rows::default())),
            false => f.store.commit_failed(false),
        }
        assert_eq!(f.text(task, "name"), "\"sent\"");
        assert_eq!(f.operations().is_empty(), succeeds);
    }
}

#[test]
fn a_commit_under_way_is_in_doubt_only_if_an_earlier_one_was() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "a").unwrap();
    f.store.begin_commit(usize::MAX).unwrap();
    assert_eq!(f.store.in_doubt(), 0);
    f.store.commit_failed(true);
    assert_eq!(f.store.in_doubt(), 1);
    f.set(task, "name", "b").unwrap();
    assert_eq!(f.store.begin_commit(usize::MAX).unwrap().len(), 1);
    assert_eq!(f.store.in_doubt(), 1);
}

#[test]
fn chunks_in_doubt_are_sent_again_as_they_were() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    for name in ["a", "b", "c", "d", "e"] {
        f.set(task, "name", name).unwrap();
    }
    for (size, in_doubt) in [(5, 5), (2, 2), (usize::MAX, 2), (1, 1)] {
        assert_eq!(f.store.begin_commit(size).unwrap().len(), in_doubt);
        f.store.commit_failed(true);
        assert_eq!(f.store.in_doubt(), in_doubt);
    }
    for in_doubt in [1, 1] {
        assert_eq!(f.store.begin_commit(usize::MAX).unwrap().len(), in_doubt);
        f.store.commit_succeeded(Rows::default());
    }
    assert_eq!(f.store.in_doubt(), 3);
    f.store.begin_commit(1).unwrap();
    f.store.commit_failed(true);
    assert_eq!(f.store.in_doubt(), 1);
    // They were one request: what holds for the first chunk holds for the others.
    f.store.clear_doubt();
    assert_eq!((f.store.in_doubt(), f.operations().len()), (0, 3));
    assert_eq!(f.store.begin_commit(usize::MAX).unwrap().len(), 3);
}

#[test]
fn what_is_taken_back_in_doubt_is_asked_for() {
    let mut f = Fixture::new();
    let task = f.absorb(TASK)[1];
    f.set(task, "name", "in doubt").unwrap();
    f.store.begin_commit(usize::MAX).unwrap();
    f.store.commit_failed(true);
    f.set(task, "bid", 1).unwrap();
    f.store.unset(task, "bid").unwrap();
    assert_eq!(f.text(task, "status.name"), "\"Open\"");
    f.store.unset(task, "name").unwrap();
    assert_eq!(f.store.in_doubt(), 0);
    let read = f.store.read(task, "name").unwrap();
    assert!(matches!(read, Read::NotLoaded { .. }));
    f.absorb(TASK);
    f.store.delete(task).unwrap();
    f.store.begin_commit(usize::MAX).unwrap();
    f.store.commit_failed(true);
    f.store.revive(&EntityKey::new("Task", "t")).unwrap();
    let read = f.store.read(task, "name").unwrap();
    assert!(matches!(read, Read::NotLoaded { .. }));
}

/// Events, actions and foreign keys may name a task by a more general type.
#[test]
fn what_is_recorded_under_a_more_general_type_is_of_the_same_entity() {
    for is_under_way in [false, true] {
        let mut f = Fixture::new();
        let task = f.store.place(&EntityKey::new("TypedContext", "t")).unwrap();
        f.set(task, "name", "x").unwrap();
        if is_under_way {
            f.store.begin_commit(usize::MAX).unwrap();
        }
        f.absorb(TASK);
        if is_under_way {
            f.store.commit_failed(false);
        }
        assert_eq!(f.operations(), ["update Task(t): name = \"x\""]);
        f.store.unset(task, "name").unwrap();
        assert_eq!(f.operations(), [""; 0]);
    }
}

#[test]
fn who_moves_makes_both_lists_of_children_stale() {
    for name in ["parent", "parent_id"] {
        for is_loaded in [true, false] {
            let mut f = Fixture::new();
            let shots = f.absorb(
                r#"[{"__entity_type__":"Shot","id":"p","children":[]},
                    {"__entity_type__":"Shot","id":"q","children":[]}]"#,
            );
            let parent = r#","parent":{"__entity_type__":"Shot","id":"p"}"#;
            let parent = if is_loaded {
                parent
            } else {
                r#","parent_id":"p""#
            };
            let task = format!(r#"{{"__entity_type__":"Task","id":"t"{parent}}}"#);
            let task = *f.absorb(&task).last().unwrap();
            match name {
                "parent" => f.set(task, name, EntityKey::new("Shot", "q")),
                _ => f.set(task, name, "q"),
            }
            .unwrap();
            f.commit("true");
            for shot in shots {
                let read = f.store.read(shot, "children").unwrap();
                assert!(matches!(read, Read::NotLoaded { .. }), "{name} {is_loaded}");
            }
        }
    }
}

#[test]
fn a_new_child_makes_the_loaded_list_of_children_stale() {
    let mut f = Fixture::new();
    let shot = f.absorb(r#"{"__entity_type__":"Shot","id":"p","children":[],"assignments":[]}"#)[0];
    f.create("Task", data! { "parent_id": "p" }).unwrap();
    assert_eq!(f.text(shot, "children"), "[Task(new1)]");
    f.commit("true");
    assert!(matches!(
        f.store.read(shot, "children"),
        Ok(Read::NotLoaded { .. })
    ));
    assert_eq!(f.text(shot, "assignments"), "[]");
}

#[test]
fn a_parent_that_the_server_chose_has_a_new_child() {
    let mut f = Fixture::new();
    let places = f.absorb(
        r#"[{"__entity_type__":"Shot","id":"p","children":[],"assignments":[]},
            {"__entity_type__":"Shot","id":"q","children":[]}]"#,
    );
    f.create("Task", data! { "name": "anim" }).unwrap();
    f.commit(
        r#"{"__entity_type__":"Task","id":"new1","parent":{"__entity_type__":"Shot","id":"p"}}"#,
    );
    let read = f.store.read(places[0], "children").unwrap();
    assert!(matches!(read, Read::NotLoaded { .. }), "{read:?}");
    assert_eq!(f.text(places[0], "assignments"), "[]");
    assert_eq!(f.text(places[1], "children"), "[]");
}

#[test]
fn peers_are_those_who_arrived_together_and_lack_the_same() {
    let mut f = Fixture::new();
    let places = f.absorb(
        r#"[{"__entity_type__":"Task","id":"a","parent":{"__entity_type__":"Shot","id":"p"}},
            {"__entity_type__":"Task","id":"b","bid":1,"parent":{"__entity_type__":"Project","id":"q"}},
            {"__entity_type__":"Task","id":"c","parent":{"__entity_type__":"Shot","id":"p"}}]"#,
    );
    let (shot, a) = (places[0], places[1]);
    f.absorb(r#"{"__entity_type__":"Task","id":"d"}"#);
    let ids = |fetch: &Fetch| {
        fetch
            .keys
            .iter()
            .map(EntityKey::id)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let fetch = f.store.lacking(a, "bid", true);
    assert_eq!(
        (fetch.entity_type.as_str(), ids(&fetch)),
        ("Task", "a c".into())
    );
    assert_eq!(ids(&f.store.lacking(a, "bid", false)), "a");
    let fetch = f.store.lacking(shot, "name", true);
    assert_eq!(fetch.entity_type, "Context");
    assert!(ids(&fetch).contains('q'));
}

#[test]
fn a_scope_forgets_what_nobody_holds() {
    let mut f = Fixture::new();
    let old = f.absorb(r#"{"__entity_type__":"Shot","id":"p","name":"p"}"#)[0];
    let mark = f.store.mark();
    let places = f.absorb(
        r#"[{"__entity_type__":"Shot","id":"p","children":[{"__entity_type__":"Task","id":"a"}]},
            {"__entity_type__":"Task","id":"held"},{"__entity_type__":"Task","id":"changed"}]"#,
    );
    let held = f.store.handle(places[2]);
    f.set(places[3], "status_id", "needed").unwrap();
    f.store.evict_since(mark);
    let places = f.store.index.iter();
    let mut left: Vec<String> = places.map(|&place| f.store.key(place).id()).collect();
    left.sort();
    assert_eq!(left, ["changed", "held", "needed", "p"]);
    assert_eq!(f.text(old, "name"), "\"p\"");
    assert!(matches!(
        f.store.read(old, "children"),
        Ok(Read::NotLoaded { .. })
    ));
    drop(held);
}

fn user(id: &str) -> EntityKey {
    EntityKey::new("Appointment", id)
}

#[test]
fn joining_a_collection_needs_not_know_who_is_in_it() {
    let mut f = Fixture::new();
    let task = f.absorb(r#"{"__entity_type__":"Task","id":"t"}"#)[0];
    f.store
        .extend(task, "assignments", &[user("new")], &[], true)
        .unwrap();
    assert!(matches!(
        f.store.read(task, "assignments"),
        Ok(Read::NotLoaded { .. })
    ));
    let operations: Vec<_> = f.store.operations().cloned().collect();
    let extended = f.store.extended_collections(&operations);
    assert_eq!(extended, [(EntityKey::new("Task", "t"), "assignments")]);
    f.absorb(
        r#"{"__entity_type__":"Task","id":"t",
        "assignments":[{"__entity_type__":"Appointment","id":"old"}]}"#,
    );
    assert_eq!(
        f.text(task, "assignments"),
        "[Appointment(old), Appointment(new)]"
    );
    f.store
        .extend(task, "assignments", &[], &[user("old")], true)
        .unwrap();
    assert_eq!(f.text(task, "assignments"), "[Appointment(new)]");
    f.commit("true");
    // The server decides whether an appointment is an assignment.
    assert!(matches!(
        f.store.read(task, "assignments"),
        Ok(Read::NotLoaded { .. })
    ));
    assert_eq!(f.store.state(task), None);
}

#[test]
fn nobody_joins_a_collection_twice() {
    let mut f = Fixture::new();
    let shot = f.create("Shot", data! {}).unwrap();
    let error = f
        .store
        .extend(shot, "assignments", &[user("a"), user("a")], &[], true);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Duplicate);
    f.store
        .extend(shot, "assignments", &[user("a")], &[], true)
        .unwrap();
    let loaded = f.absorb(
        r#"{"__entity_type__":"Shot","id":"l",
            "assignments":[{"__entity_type__":"Appointment","id":"a"}]}"#,
    )[1];
    for shot in [shot, loaded] {
        let error = f.store.extend(shot, "assignments", &[user("a")], &[], true);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Duplicate);
        assert_eq!(f.text(shot, "assignments"), "[Appointment(a)]");
    }
    let error = f.store.extend(shot, "children", &[user("a")], &[], true);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::WrongType);
}

#[test]
fn a_collection_that_was_set_stays_a_whole_list() {
    let mut f = Fixture::new();
    let task = f.absorb(r#"{"__entity_type__":"Task","id":"t"}"#)[0];
    f.set(task, "assignments", vec![user("a")]).unwrap();
    f.store
        .extend(task, "assignments", &[user("b")], &[user("a")], true)
        .unwrap();
    assert_eq!(f.text(task, "assignments"), "[Appointment(b)]");
    f.store.unset(task, "assignments").unwrap();
    assert!(f.operations().is_empty());
    assert_eq!(f.store.state(task), None);
}

#[test]
fn the_key_of_a_deleted_entity_can_be_taken_by_a_new_one() {
    let mut f = Fixture::new();
    let old = f.absorb(TASK)[1];
    f.store.delete(old).unwrap();
    let new = f
        .create("Task", data! { "id": "t", "name": "second" })
        .unwrap();
    assert_ne!(old, new);
    assert_eq!(f.operations(), ["delete Task(t)", "create Task(t)"]);
    f.store.rollback();
    let again = f.store.place(&EntityKey::new("Task", "t")).unwrap();
    assert_eq!(again, old, "the old one is there again");
    assert_eq!(f.text(old, "name"), "\"anim\"");

    f.store.delete(old).unwrap();
    let new = f
        .create("Task", data! { "id": "t", "name": "second" })
        .unwrap();
    f.commit(r#"[{"__entity_type__":"Task","id":"t","name":"second"}]"#);
    assert_eq!(f.store.place(&EntityKey::new("Task", "t")).unwrap(), new);
    assert_eq!(f.text(new, "name"), "\"second\"");
    assert_eq!(
        f.store.read(old, "bid").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn what_is_created_deleted_and_created_again_is_there_after_the_commit() {
    let mut f = Fixture::new();
    let first = f.create("Task", data! { "id": "n" }).unwrap();
    f.store.delete(first).unwrap();
    let second = f
        .create("Task", data! { "id": "n", "name": "again" })
        .unwrap();
    f.commit(r#"[{"__entity_type__":"Task","id":"n","name":"again"}]"#);
    assert_eq!(f.text(second, "name"), "\"again\"");
    assert_eq!(
        f.store.place(&EntityKey::new("Task", "n")).unwrap(),
        second,
        "it stays in the identity map"
    );
    assert!(matches!(
        f.store.read(second, "bid"),
        Ok(Read::NotLoaded { .. })
    ));
}
