//! Handlers, replies, and the calls that wait for events.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::hub::{PublishOptions, SubscribeOptions};
use ftrack_api::{ErrorKind, Event, EventHub};
use serde_json::{Value, json};

use crate::server::Server;
use crate::support::eventually;
use crate::{LONG, SHORT, config, disconnects_promptly, handle_until, hub, listen};

#[test]
fn handlers_reply_and_requests_get_the_replies() {
    let server = Server::start();
    let (asking, replying) = (hub(&server), hub(&server));
    for (priority, factor) in [(1, 2), (2, 3)] {
        let options = SubscribeOptions::new()
            .priority(priority)
            .acknowledged(LONG);
        replying
            .subscribe_with("topic=calc", options, move |event| {
                let number = event.data()["number"].as_i64().unwrap();
                Ok(Some(json!(number * factor)))
            })
            .unwrap();
    }
    let waiting = replying.clone();
    let thread = thread::spawn(move || waiting.wait(None));
    let question = || Event::new("calc").with_data(json!({"number": 21}));
    let reply = asking.request(question(), LONG).unwrap();
    assert_eq!(
        (reply.topic(), reply.data()),
        ("ftrack.meta.reply", &json!(42))
    );
    let replies = thread::scope(|scope| {
        eventually("the other replies too", || asking.counts().received == 2);
        let replies = scope.spawn(|| asking.request_all(question(), LONG).unwrap());
        eventually("both reply", || asking.counts().received == 4);
        asking.disconnect();
        replies.join().unwrap()
    });
    asking.connect().unwrap();
    let replies: Vec<&Value> = replies.iter().map(Event::data).collect();
    assert_eq!(replies, [&json!(42), &json!(63)]);
    let got = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&got);
    let options = PublishOptions::new().on_reply(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    asking.publish_with(question(), options).unwrap();
    handle_until(&asking, || got.load(Ordering::SeqCst) >= 2);
    assert_eq!(got.load(Ordering::SeqCst), 2);
    let nobody = asking.request(Event::new("nobody"), SHORT).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Timeout);
    server.faults(|faults| faults.refuse_events = true);
    let refused = asking.request(question(), Duration::MAX).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Connection);
    replying.disconnect();
    thread.join().unwrap().unwrap();
}

#[test]
fn a_failing_handler_does_not_stop_the_others() {
    let server = Server::start();
    let hub = hub(&server);
    crate::support::trace::listen();
    let reached = Arc::new(AtomicUsize::new(0));
    hub.subscribe("topic=t and data.fails=always", |_| {
        anyhow::bail!("no reason")
    })
    .unwrap();
    hub.subscribe("topic=t", |_| panic!("very broken")).unwrap();
    let count = Arc::clone(&reached);
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with("topic=t", options, move |event| {
        count.fetch_add(1, Ordering::SeqCst);
        event.stop();
        Ok(None)
    })
    .unwrap();
    hub.subscribe("topic=t", |_| panic!("stopped before"))
        .unwrap();
    for _ in 0..2 {
        let event = Event::new("t").with_data(json!({"fails": "always"}));
        hub.publish(event).unwrap();
    }
    handle_until(&hub, || reached.load(Ordering::SeqCst) >= 2);
    assert_eq!(
        (reached.load(Ordering::SeqCst), hub.counts().failed_handlers),
        (2, 4)
    );
    // Which of many handlers it was is in the log.
    let told = crate::support::trace::logged("data.fails");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(_, line)| line.ends_with("no reason")));
}

#[test]
fn disconnecting_from_a_handler_ends_the_wait() {
    let server = Server::start();
    let hub = hub(&server);
    let own = hub.clone();
    let options = SubscribeOptions::new().acknowledged(LONG);
    let stopper = options.clone().subscriber(json!({"id": "stopper"}));
    hub.subscribe_with("topic=stop", stopper, move |_| {
        disconnects_promptly(&own);
        Ok(Some(json!("cannot be sent any more")))
    })
    .unwrap();
    hub.publish(Event::new("stop")).unwrap();
    hub.wait(None).unwrap();
    hub.connect().unwrap();
    let own = hub.clone();
    hub.subscribe_with("topic=close", options, move |_| {
        own.close();
        assert!(own.subscriber("stopper").is_none());
        Ok(None)
    })
    .unwrap();
    hub.publish(Event::new("close")).unwrap();
    hub.wait(None).unwrap();
    assert_eq!(hub.counts().failed_handlers, 0);
}

#[test]
fn waiting_outlasts_a_lost_connection() {
    let server = Server::start();
    let hub = hub(&server);
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    hub.subscribe("topic=t", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    })
    .unwrap();
    let waiting = hub.clone();
    let thread = thread::spawn(move || waiting.wait(None));
    for round in 1..4 {
        server.cut_all();
        eventually("it connects again", || hub.counts().reconnects == round);
        hub.publish(Event::new("t")).unwrap();
        let expected = usize::try_from(round).unwrap();
        eventually("it is heard", || heard.load(Ordering::SeqCst) == expected);
    }
    assert!(!thread.is_finished());
    hub.disconnect();
    thread.join().unwrap().unwrap();
}

#[test]
fn polling_never_waits() {
    let server = Server::start();
    let hub = hub(&server);
    listen(&hub, "topic=t");
    let waiting = hub.clone();
    let poll = || {
        let start = Instant::now();
        for _ in 0..100 {
            assert_eq!(hub.poll(), 0);
        }
        assert!(start.elapsed() < Duration::from_secs(20));
    };
    hub.poll();
    poll();
    let thread = thread::spawn(move || waiting.wait(None));
    poll();
    server.faults(|faults| faults.frozen = true);
    hub.publish(Event::new("t")).unwrap();
    poll();
    hub.disconnect();
    thread.join().unwrap().unwrap();
    hub.poll();
    poll();
}

#[test]
fn patience_may_be_endless() {
    let server = Server::start();
    let config = config(&server).connect_timeout(Duration::MAX);
    let hub = EventHub::new(config.publish_timeout(Duration::MAX));
    hub.connect().unwrap();
    hub.subscribe("topic=t", |event| Ok(Some(event.data().clone())))
        .unwrap();
    let other = hub.clone();
    let waiting = std::thread::spawn(move || other.wait(Duration::MAX));
    let reply = hub
        .request(Event::new("t").with_data(1), Duration::MAX)
        .unwrap();
    assert_eq!(reply.data(), 1);
    hub.flush(Duration::MAX).unwrap();
    hub.disconnect();
    waiting.join().unwrap().unwrap();
}
