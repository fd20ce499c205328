//! Subscriptions on the server.

use std::time::Duration;

use ftrack_api::hub::{HubState, SubscribeOptions};
use ftrack_api::{ErrorKind, Event};
use serde_json::json;

use crate::server::Server;
use crate::support::eventually;
use crate::{LONG, hub, listen};

#[test]
fn unsubscribed_means_not_called() {
    let server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=end");
    let subscribed = hub.subscribe("topic=t", |_| panic!("unsubscribed"));
    let guard = hub.scoped(subscribed.unwrap());
    let id = guard.id().clone();
    hub.publish(Event::new("t")).unwrap();
    hub.publish(Event::new("end")).unwrap();
    hub.flush(LONG).unwrap();
    drop(guard);
    assert!(!hub.unsubscribe(&id));
    // "t" has arrived, but its subscriber is gone.
    assert_eq!(hub.next(LONG).unwrap().unwrap().topic(), "end");
    eventually("the server is told", || {
        server
            .packets()
            .iter()
            .any(|packet| packet.contains("ftrack.meta.unsubscribe"))
    });
}

#[test]
fn a_refused_subscription_is_an_error() {
    let server = Server::start();
    let hub = hub(&server);
    server.faults(|faults| faults.refuse_subscriptions = true);
    let options = SubscribeOptions::new()
        .acknowledged(LONG)
        .subscriber(json!({"id": "me"}));
    let error = hub
        .subscribe_with("topic=t", options, |_| Ok(None))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(
        error.to_string().contains("not today, (api key)"),
        "{error}"
    );
    assert!(hub.subscriber("me").is_none());
}

#[test]
fn subscriptions_survive_a_lost_connection() {
    let server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=t");
    listen(&hub, "topic=ftrack.meta.*");
    let mut topics = Vec::new();
    server.cut_all();
    hub.wait(Duration::ZERO).unwrap();
    for _ in 0..2 {
        let event = hub.next(LONG).unwrap().unwrap();
        topics.push(event.topic().to_string());
        let reason = event.data()["reason"].as_str();
        assert_eq!(
            reason.is_some_and(|reason| !reason.is_empty()),
            event.topic() == "ftrack.meta.disconnected"
        );
    }
    assert_eq!(
        topics,
        ["ftrack.meta.disconnected", "ftrack.meta.connected"]
    );
    hub.publish(Event::new("t")).unwrap();
    assert_eq!(hub.next(LONG).unwrap().unwrap().topic(), "t");
    assert_eq!(hub.counts().reconnects, 1);
    hub.reconnect().unwrap();
    assert!(hub.is_connected());
    hub.publish(Event::new("t")).unwrap();
    for topic in ["ftrack.meta.disconnected", "ftrack.meta.connected", "t"] {
        assert_eq!(hub.next(LONG).unwrap().unwrap().topic(), topic);
    }
    hub.disconnect();
    assert_eq!(hub.poll(), 1, "the loss is told");
    hub.connect().unwrap();
    server.stop();
    eventually("the loss is noticed", || {
        hub.state() == HubState::Reconnecting
    });
    hub.disconnect();
    assert_eq!(hub.poll(), 2, "it is told once");
}

#[test]
fn a_subscription_that_is_rejected_on_a_new_connection_is_reported() {
    let server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=t");
    hub.listen("topic=ftrack.meta.subscription-rejected")
        .unwrap();
    server.faults(|faults| faults.refuse_subscriptions = true);
    server.cut_all();
    let event = hub.next(LONG).unwrap().unwrap();
    assert_eq!(event.data()["reason"], "not today, (api key)");
    let id = event.data()["subscriber"].as_str().unwrap().to_string();
    assert!(id == hub.id() || hub.subscriber(&id).is_some());
    eventually("all are counted", || {
        hub.counts().rejected_subscriptions == 3
    });
    // It is tried again on the next connection.
    server.faults(|faults| faults.refuse_subscriptions = false);
    hub.reconnect().unwrap();
    hub.publish(Event::new("t")).unwrap();
    let mut topics = std::iter::from_fn(|| hub.next(LONG).unwrap());
    assert!(topics.any(|event| event.topic() == "t"));
}
