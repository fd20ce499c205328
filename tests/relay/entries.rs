//! What others put into the stream.

use ftrack_api::Event;
use ftrack_api::relay::{Stream, Worker};
use serde_json::json;

use crate::redis::Server;
use crate::{event, next, nothing, number, on_each};

#[test]
fn foreign_entries_become_dead_letters_and_hold_nothing_up() {
    let server = Server::start();
    let stream = Stream::redis(server.url());
    let foreign = [
        ("hello world", "no field \"v\""),
        ("v 0 n 1 at 1 kind event by x id y body {}", "layout \"0\""),
        ("v 1 n 3 at 1 kind event by x id y body {\"topic\":", "body"),
        ("v 1 n 4 at 1 kind event by x id y", "\"body\""),
        ("v 1 n many at soon kind event by x id y body {}", "time"),
        ("v \"\\xff\\xfe\" body \"\\xff\"", "layout"),
    ];
    for ordered in [false, true] {
        server.command("FLUSHALL");
        stream.append([&event(0)]).unwrap();
        for (fields, _) in foreign {
            server.command(&format!(
                "XADD ftrack:events * {}",
                fields.replace("{\"topic\":", "'{\"topic\":'")
            ));
        }
        stream.append([&event(1)]).unwrap();
        let mut worker = Worker::new(&stream, "g", "one");
        if ordered {
            worker = worker.ordered_by(|event| Some(event.topic().to_owned()));
        }
        let mut numbers = Vec::new();
        while let Some(delivery) = worker.next(crate::SHORT).unwrap() {
            match delivery.gap() {
                // The foreign numbers make gaps.
                Some(_) => {}
                None => numbers.push(number(&delivery)),
            }
            delivery.ack().unwrap();
        }
        assert_eq!(numbers, [0, 1], "ordered: {ordered}");
        let letters = stream.dead_letters("g").unwrap();
        assert_eq!(letters.len(), foreign.len());
        for (letter, (fields, expected)) in letters.iter().zip(foreign) {
            assert!(
                letter.error.contains(expected),
                "{fields}: {}",
                letter.error
            );
            assert!(letter.event.is_none() && !letter.fields.is_empty());
        }
        // After an upgrade they can be returned: here, they fail again.
        assert!(stream.return_dead_letter("g", &letters[1].id).unwrap());
        assert!(nothing(&worker));
        let again = stream.dead_letters("g").unwrap();
        assert_eq!(again.last().unwrap().fields, letters[1].fields);
    }
}

#[test]
fn any_event_arrives_as_it_was() {
    on_each(|stream| {
        let texts = ["", "a", "å\u{0}\u{1f600}\"\\\n", &"x".repeat(2 << 20)];
        let sent: Vec<Event> = texts
            .iter()
            .map(|text| {
                Event::new("studio.test")
                    .with_data(json!({ "text": text, "deep": [[{}], null, 1.5, -3, true] }))
                    .with_target("id=x")
                    .with_source(json!({ "id": text, "user": { "username": "ada" } }))
            })
            .collect();
        stream.append(&sent).unwrap();
        let worker = Worker::new(&stream, "g", "one")
            .ordered_by(|event| Some(event.data()["text"].as_str()?.to_owned()));
        for _ in &sent {
            let delivery = next(&worker);
            let event = delivery.event().unwrap();
            let same = sent.iter().find(|sent| sent.id() == event.id()).unwrap();
            assert_eq!(
                serde_json::to_value(event).unwrap(),
                serde_json::to_value(same).unwrap()
            );
            delivery.ack().unwrap();
        }
        assert!(nothing(&worker));
    });
}
