//! `can`.

use ftrack_api::studio::Right;
use ftrack_api::{ErrorKind, Session, data, serde_json::json};
use ftrack_emulator::Emulator;

use crate::support::{builder, secret};

#[test]
fn the_server_says_what_a_key_may_do_and_nothing_is_changed() {
    let server = Emulator::builder()
        .tasks(12)
        .read_only_key("glasses")
        .start()
        .unwrap();
    let session = builder(&server).open().unwrap();
    let reader = builder(&server).api_key(secret("glasses")).open().unwrap();
    let rights = |session: &Session| {
        let shot = session.at("test/ep01/sq010/sh0010").unwrap();
        let task = session
            .query("select bid, start_date from Task")
            .unwrap()
            .first()
            .unwrap()
            .unwrap();
        [
            Right::read("Shot"),
            Right::update(&shot, "description"),
            Right::update(&shot, "status"),
            Right::update(&task, "start_date"),
            Right::create("Task", data! { "name": "roto", "parent": &shot }),
            Right::delete(&task),
            Right::delete(&shot),
        ]
        .map(|right| session.can(&right).unwrap())
    };
    let count = || session.query("Task").unwrap().count().unwrap();
    let before = count();
    assert_eq!(rights(&session), [true; 7]);
    assert_eq!(
        rights(&reader),
        [true, false, false, false, false, false, false]
    );
    assert_eq!(count(), before);
    // What others need cannot be deleted by anybody: that is no question of rights.
    let status = session
        .query("Status where name is \"Not started\"")
        .unwrap();
    let error = session
        .can(&Right::delete(&status.one().unwrap()))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate, "{error}");
    assert!(session.at("test/ep01/sq010/sh0010").is_ok());
    // What nobody can do is said, and nothing is asked.
    let shot = session.at("test/ep01/sq010/sh0010").unwrap();
    let new = session
        .create("Shot", data! { "name": "new", "parent": &shot })
        .unwrap();
    for (right, kind) in [
        (Right::update(&shot, "nme"), ErrorKind::UnknownAttribute),
        (Right::update(&shot, "created_at"), ErrorKind::Immutable),
        (Right::update(&new, "name"), ErrorKind::Validation),
        (Right::delete(&new), ErrorKind::Validation),
        (Right::create("Asst", data! {}), ErrorKind::UnknownType),
        (
            Right::create("Asset", data! { "nme": 1 }),
            ErrorKind::UnknownAttribute,
        ),
    ] {
        let error = session.can(&right).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let pairs = json!({ "lens": "35" });
    let data = data! { "name": "with pairs", "parent": &shot, "metadata": pairs };
    assert!(session.can(&Right::create("Shot", data)).unwrap());
    let unknown = Right::read("Tsk");
    assert_eq!(
        session.can(&unknown).unwrap_err().kind(),
        ErrorKind::UnknownType
    );
}
