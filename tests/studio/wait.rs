//! `wait`, `wait_for_review` and `wait_for`.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::session::EncodeOptions;
use ftrack_api::studio::WaitOptions;
use ftrack_api::{CancelToken, Entity, ErrorKind, data};

use crate::support::{LICENCE, Studio, open, upload};

const LONG: Duration = Duration::from_secs(120);

fn job(studio: &Studio) -> Entity {
    let user = studio.session.user().unwrap();
    studio.create(
        "Job",
        data! { "type": "api_job", "status": "running", "user": &user, "data": "{}" },
    )
}

fn version(studio: &Studio) -> Entity {
    studio
        .session
        .query("AssetVersion")
        .unwrap()
        .first()
        .unwrap()
        .unwrap()
}

#[test]
fn jobs_and_review_media_are_waited_for_with_and_without_events() {
    for with_events in [false, true] {
        let studio = Studio::new();
        if with_events {
            studio.session.event_hub().connect().unwrap();
        }
        let version = version(&studio);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mov");
        std::fs::write(&path, "not really a movie").unwrap();
        let job = version.encode_media(&path, EncodeOptions::new()).unwrap();
        job.wait(LONG).unwrap();
        assert_eq!(job.get::<String>("status").unwrap(), "done");
    }
}

#[test]
fn who_waits_is_told_how_far_it_is() {
    let studio = Studio::new();
    let job = self::job(&studio);
    let other = open(&studio.server);
    let theirs = other.get("Job", job.key()).unwrap().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let saying = said.clone();
    let options = WaitOptions::new(LONG).on_progress(move |what| {
        saying.lock().unwrap().push(what.to_owned());
        theirs.set("status", "done").unwrap();
        other.commit().unwrap();
    });
    job.wait(options).unwrap();
    assert_eq!(*said.lock().unwrap(), ["running"]);
}

#[test]
fn review_media_is_found_when_it_is_stored() {
    let studio = Studio::new();
    let asset = studio
        .session
        .query("Asset")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    let version = studio.create("AssetVersion", data! { "asset": &asset });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mov");
    std::fs::write(&path, "not really a movie").unwrap();
    version.encode_media(&path, EncodeOptions::new()).unwrap();
    let media = version.wait_for_review(LONG).unwrap();
    assert!(
        media
            .get::<String>("name")
            .unwrap()
            .starts_with("ftrackreview")
    );
    // Media that somebody else has encoded.
    let version = studio.create("AssetVersion", data! { "asset": &asset });
    let data = data! { "name": "ftrackreview-webm" };
    let server = studio.session.location("ftrack.server").unwrap();
    let made = version.create_component(&path, data, &server).unwrap();
    assert_eq!(version.wait_for_review(LONG).unwrap(), made);
}

#[test]
fn a_component_is_waited_for_until_another_session_has_stored_it() {
    let studio = Studio::new();
    let component = studio.create("FileComponent", data! { "name": "late" });
    let server = studio.session.location("ftrack.server").unwrap();
    thread::scope(|threads| {
        threads.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            let other = open(&studio.server);
            let theirs = other
                .get("FileComponent", component.key())
                .unwrap()
                .unwrap();
            let place = other.location("ftrack.server").unwrap();
            place.register_component(&theirs, &theirs.id()).unwrap();
        });
        component.wait_for(&server, LONG).unwrap();
    });
    drop(upload(&studio.session, LICENCE.as_ref()));
}

#[test]
fn a_wait_ends_with_its_time_and_with_what_failed() {
    let studio = Studio::new();
    let job = job(&studio);
    let error = job.wait(Duration::from_millis(400)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("running after 0.4 s"), "{error}");
    job.set("status", "failed").unwrap();
    studio.session.commit().unwrap();
    let error = job.wait(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error}");
    assert!(error.to_string().contains("ended as failed"), "{error}");
    studio.session.delete(&job).unwrap();
    studio.session.commit().unwrap();
    assert_eq!(job.wait(LONG).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        version(&studio).wait(LONG).unwrap_err().kind(),
        ErrorKind::WrongType
    );
}

#[test]
fn what_is_gone_or_not_committed_is_not_waited_for() {
    let studio = Studio::new();
    let session = &studio.session;
    let server = session.location("ftrack.server").unwrap();
    let version = version(&studio);
    let job = session.create(
        "Job",
        data! { "user": session.user().unwrap(), "status": "running" },
    );
    let component = session
        .create("FileComponent", data! { "name": "a" })
        .unwrap();
    for error in [
        job.unwrap().wait(LONG).unwrap_err(),
        component.wait_for(&server, LONG).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        assert!(error.to_string().contains("not committed yet"), "{error}");
    }
    session.commit().unwrap();
    session.delete(&version).unwrap();
    session.delete(&component).unwrap();
    session.commit().unwrap();
    for error in [
        version.wait_for_review(LONG).unwrap_err(),
        component.wait_for(&server, LONG).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[test]
fn a_wait_can_be_cancelled() {
    for with_events in [false, true] {
        let studio = Studio::new();
        if with_events {
            studio.session.event_hub().connect().unwrap();
        }
        let (job, token) = (job(&studio), CancelToken::new());
        let begun = Instant::now();
        thread::scope(|threads| {
            threads.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                token.cancel();
            });
            let error = token.run(|| job.wait(LONG)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        });
        assert!(begun.elapsed() < LONG / 2);
    }
}

#[test]
fn a_job_that_never_ends_is_asked_for_less_and_less() {
    let studio = Studio::new();
    let job = job(&studio);
    let before = studio.session.statistics().requests;
    job.wait(Duration::from_secs(4)).unwrap_err();
    let sent = studio.session.statistics().requests - before;
    assert!((2..=7).contains(&sent), "{sent}");
}
