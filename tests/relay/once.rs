//! Changes on the server, at most once for an event.

use std::time::Duration;

use ftrack_api::config::Retry;
use ftrack_api::relay::{Delivery, Once, Stream, Worker};
use ftrack_api::{Error, ErrorKind, Result, Session, anyhow, data, expr};
use ftrack_emulator::faults::Fault;

use crate::support::{Studio, builder, open};
use crate::{SHORT, events, next, on_each};

/// Handles a delivery: a note on a task, and the task's bid one higher.
fn handle(delivery: &Delivery, session: &Session, task: &str) -> Result<Once> {
    delivery.once(session, |batch| {
        let text = delivery.event().unwrap().id();
        batch.create(
            "Note",
            data! { "content": text, "parent_id": task, "parent_type": "task" },
        )?;
        batch
            .session()
            .update("Task", task, data! { "bid": 7200 })?;
        Ok(())
    })
}

fn notes(session: &Session, delivery: &Delivery) -> usize {
    let id = delivery.event().unwrap().id();
    session
        .query(expr!("Note where content is {}", id))
        .unwrap()
        .all()
        .unwrap()
        .len()
}

fn a_task(session: &Session) -> String {
    session
        .query("Task")
        .unwrap()
        .first()
        .unwrap()
        .unwrap()
        .key()
        .id()
}

/// A session that does not find out about lost responses itself.
fn impatient(studio: &Studio) -> Session {
    builder(&studio.server).retry(Retry::off()).open().unwrap()
}

/// The same event again, after its lease has ended.
fn again(stream: &Stream, group: &str) -> Delivery {
    let worker = Worker::new(stream, group, "two").lease(2 * SHORT);
    next(&worker)
}

fn first(stream: &Stream, group: &str) -> Delivery {
    stream.append(&events(1)).unwrap();
    next(&Worker::new(stream, group, "one").lease(2 * SHORT))
}

#[test]
fn what_was_applied_is_not_applied_again() {
    let studio = Studio::new();
    let task = a_task(&studio.session);
    on_each(|stream| {
        let delivery = first(&stream, "g");
        assert_eq!(
            handle(&delivery, &studio.session, &task).unwrap(),
            Once::Applied
        );
        // It was not acknowledged: another process gets it.
        let other = open(&studio.server);
        let second = again(&stream, "g");
        assert_eq!(second.attempt(), 2);
        assert_eq!(handle(&second, &other, &task).unwrap(), Once::AppliedBefore);
        // So does the same session, which still has the entity.
        assert_eq!(
            handle(&second, &studio.session, &task).unwrap(),
            Once::AppliedBefore
        );
        assert!(other.recorded_operations().is_empty());
        assert_eq!(notes(&other, &second), 1);
        // Another group has changes of its own.
        let others = next(&Worker::new(&stream, "other", "one"));
        assert_eq!(handle(&others, &other, &task).unwrap(), Once::Applied);
        assert_eq!(notes(&other, &second), 2);
        second.ack().unwrap();
    });
}

#[test]
fn a_process_that_dies_after_its_commit_is_found_out_by_what_it_created() {
    let studio = Studio::new();
    let task = a_task(&studio.session);
    on_each(|stream| {
        let delivery = first(&stream, "g");
        // The commit arrives, its response does not, and the process ends.
        let dying = impatient(&studio);
        studio.server.faults().push(Fault::no_response().times(50));
        let error = handle(&delivery, &dying, &task).unwrap_err();
        studio.server.faults().clear();
        assert!(
            error.to_string().contains(delivery.event().unwrap().id()),
            "{error}"
        );
        assert!(dying.recorded_operations().is_empty());
        let second = again(&stream, "g");
        let other = open(&studio.server);
        let outcome = handle(&second, &other, &task).unwrap();
        assert!(
            matches!(outcome, Once::Applied | Once::AppliedBefore),
            "{outcome:?}"
        );
        assert_eq!(notes(&other, &second), 1);
        second.ack().unwrap();
    });
}

#[test]
fn changes_that_create_nothing_are_in_doubt_after_such_an_end() {
    let studio = Studio::new();
    let task = a_task(&studio.session);
    let bid = |delivery: &Delivery, session: &Session| {
        delivery.once(session, |batch| {
            batch
                .session()
                .update("Task", task.as_str(), data! { "bid": 3600 })?;
            Ok(())
        })
    };
    on_each(|stream| {
        let delivery = first(&stream, "g");
        let dying = impatient(&studio);
        studio.server.faults().push(Fault::no_response().times(50));
        bid(&delivery, &dying).unwrap_err();
        studio.server.faults().clear();
        let second = again(&stream, "g");
        assert_eq!(bid(&second, &open(&studio.server)).unwrap(), Once::InDoubt);
        second.ack().unwrap();
        // Without an end in between it is known.
        let delivery = first(&stream, "g");
        assert_eq!(bid(&delivery, &studio.session).unwrap(), Once::Applied);
        assert_eq!(
            bid(&again(&stream, "g"), &studio.session).unwrap(),
            Once::AppliedBefore
        );
    });
}

#[test]
fn what_fails_can_be_tried_again_and_leaves_nothing_recorded() {
    let studio = Studio::new();
    let (session, task) = (&studio.session, a_task(&studio.session));
    on_each(|stream| {
        let delivery = first(&stream, "g");
        let failures: [fn(&Session) -> anyhow::Result<()>; 3] = [
            |_| anyhow::bail!("no"),
            |_| panic!("no"),
            |session| {
                // The server refuses it: it has no parent.
                session.create("Task", data! { "name": "orphan" })?;
                Ok(())
            },
        ];
        for fail in failures {
            let failed = delivery.once(session, |batch| {
                batch.create(
                    "Note",
                    data! { "content": "x", "parent_id": task.as_str(), "parent_type": "task" },
                )?;
                fail(batch.session())
            });
            failed.unwrap_err();
            assert!(session.recorded_operations().is_empty());
        }
        let given = delivery.once(session, |batch| {
            batch.create("Note", data! { "id": "mine" })?;
            Ok(())
        });
        assert_eq!(given.unwrap_err().kind(), ErrorKind::Validation);
        // Changes of others are not taken along.
        session
            .update("Task", task.as_str(), data! { "bid": 1 })
            .unwrap();
        let refused: Result<Once, Error> = handle(&delivery, session, &task);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Validation);
        assert_eq!(session.recorded_operations().len(), 1);
        session.rollback();
        assert_eq!(handle(&delivery, session, &task).unwrap(), Once::Applied);
        assert_eq!(notes(session, &delivery), 1);
        delivery.extend(Duration::from_secs(60)).unwrap_or_default();
    });
}
