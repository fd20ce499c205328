//! Streams that cannot be used: every case has an error that says why, and loses nothing silently.

use std::time::Duration;

use ftrack_api::relay::{Delivery, GapReason, Stream, Worker};
use ftrack_api::{ErrorKind, Event};
use serde_json::json;

use crate::lost_replies::Proxy;
use crate::redis::Server;
use crate::{LONG, event, events, next, number, support};

/// What the documentation says that it needs.
const ENOUGH: &str = "~ftrack:events ~{ftrack:events}:* +evalsha +script|load +time +get +set +del +xadd +xtrim +xrange \
    +xrevrange +xread +xlen +xdel +zadd +zrem +zscore +zcard +zrange +zrangebyscore +zremrangebyrank \
    +zremrangebyscore +hget +hmget +hset +hgetall +hdel +hincrby +rpush +lpush +lpop +lindex";

#[test]
fn few_rights_are_enough_and_each_that_is_missing_is_an_error_with_the_list() {
    assert!(include_str!("../../docs/events-at-scale.md").contains(ENOUGH));
    let server = Server::start();
    let limited = |rights: &str| Stream::redis(server.url_for(rights)).max_age(LONG);
    let use_all = |stream: &Stream, group: &str| -> ftrack_api::Result<()> {
        stream.append(&events(2))?;
        let worker = Worker::new(stream, group, "one")
            .ordered_by(|_| Some("key".to_owned()))
            .attempts(2);
        worker.next(LONG)?.unwrap().reject("no")?;
        let letters = stream.dead_letters(group)?;
        stream.return_dead_letter(group, &letters[0].id)?;
        worker
            .next(LONG)?
            .unwrap()
            .retry_after(Duration::ZERO, "again")?;
        worker.next(LONG)?.unwrap().ack()?;
        let delivery = worker.next(LONG)?.unwrap();
        delivery.extend(LONG)?;
        delivery.reject("no")?;
        let letters = stream.dead_letters(group)?;
        stream.remove_dead_letter(group, &letters[0].id)?;
        assert!(worker.next(crate::SHORT)?.is_none());
        stream.status()?;
        stream.group(group).map(drop)
    };
    use_all(&limited(ENOUGH), "all").unwrap();
    for right in ENOUGH
        .split_whitespace()
        .filter(|right| right.starts_with('+'))
    {
        server.command("FLUSHALL");
        server.command("SCRIPT FLUSH");
        let rights: Vec<&str> = ENOUGH
            .split_whitespace()
            .filter(|other| *other != right)
            .collect();
        let error = use_all(&limited(&rights.join(" ")), "g").expect_err(right);
        assert_eq!(error.kind(), ErrorKind::Permission, "{right}: {error}");
        assert!(error.to_string().contains("ZADD"), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn a_server_that_is_away_or_refuses_the_password_is_an_error() {
    let stream = Stream::redis("redis://127.0.0.1:1/");
    let error = stream.append(&events(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    // A worker waits for it until it is told to end.
    let token = ftrack_api::CancelToken::new();
    token.cancel();
    let waited = token.run(|| Worker::new(&stream, "g", "one").run(|_| Ok(())));
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::Cancelled);
    let server = Server::start();
    server.command("CONFIG SET requirepass s3cret");
    for url in [server.url(), server.url().replace("//", "//:wr0ng@")] {
        let error = Stream::redis(url).append(&events(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        assert!(!format!("{error:?}").contains("wr0ng"), "{error:?}");
    }
    for stream in [
        Stream::redis("nonsense"),
        Stream::redis(server.url()).name("a{b"),
        Stream::redis(server.url()).name(""),
    ] {
        let error = stream.status().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    }
    assert!(!format!("{:?}", Stream::redis("redis://:s3cret@host")).contains("s3cret"));
}

#[test]
fn a_full_server_is_an_error_and_what_it_has_can_still_be_handled() {
    let server = Server::start();
    let stream = Stream::redis(server.url());
    stream.append(&events(3)).unwrap();
    let worker = Worker::new(&stream, "g", "one");
    let kept = next(&worker);
    server.command("CONFIG SET maxmemory-policy noeviction");
    server.command("CONFIG SET maxmemory 1");
    let error = stream.append(&events(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("maxmemory"), "{error}");
    // Handling goes on: it frees memory.
    kept.ack().unwrap();
    assert_eq!(number(&next(&worker)), 1);
    server.command("CONFIG SET maxmemory 0");
    assert_eq!(stream.append(&events(1)).unwrap(), 1);
}

#[test]
fn what_has_expired_makes_room_in_a_full_server() {
    let server = Server::start();
    let stream = Stream::redis(server.url()).max_age(Duration::from_secs(1));
    stream.append(&events(150)).unwrap();
    server.command("CONFIG SET maxmemory-policy noeviction");
    let used = |name: &str| {
        let info = server.command("INFO memory");
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = used("used_memory:");
    let text = "x".repeat(10_000);
    // One at a time, and fewer than the hundred with which the stream is trimmed.
    let fill = || {
        let event = Event::new("studio.test").with_data(json!({ "text": text }));
        stream.append([&event])
    };
    for _ in 0..40 {
        fill().unwrap();
    }
    server.command(&format!("CONFIG SET maxmemory {}", before + 200_000));
    assert_eq!(fill().unwrap_err().kind(), ErrorKind::Unavailable);
    support::eventually("there is room again", || fill().is_ok());
}

#[test]
fn after_a_failover_the_new_primary_is_used() {
    let [old, new] = [Server::start(), Server::start()];
    let proxy = Proxy::start(old.port());
    let [stream, other] = [(); 2].map(|()| Stream::redis(proxy.url()));
    stream.append(&events(2)).unwrap();
    let worker = Worker::new(&other, "g", "one");
    next(&worker).ack().unwrap();
    old.command("CONFIG SET repl-diskless-sync-delay 0");
    new.command(&format!("REPLICAOF 127.0.0.1 {}", old.port()));
    support::eventually("the replica has everything", || {
        let status = new.command("INFO replication");
        status.contains("master_link_status:up")
    });
    new.command("REPLICAOF NO ONE");
    old.command(&format!("REPLICAOF 127.0.0.1 {}", new.port()));
    // Nobody leads there yet, and idle connections stay open.
    let error = Stream::redis(old.url()).append(&events(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    proxy.lead_to(new.port());
    assert_eq!(stream.append(&events(1)).unwrap(), 1);
    next(&worker).ack().unwrap();
}

#[test]
fn a_key_that_is_no_stream_is_an_error() {
    let server = Server::start();
    server.command("SET ftrack:events something");
    let error = Stream::redis(server.url()).append(&events(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("another name"), "{error}");
}

#[test]
fn a_group_that_vanished_is_an_error_then_a_gap_then_goes_on() {
    let server = Server::start();
    let stream = Stream::redis(server.url());
    stream.append(&events(3)).unwrap();
    let worker = Worker::new(&stream, "g", "one").ordered_by(|_| Some("key".to_owned()));
    next(&worker).ack().unwrap();
    let kept = next(&worker);
    server.command("DEL {ftrack:events}:group:g:state");
    let error = worker.next(LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("\"g\""), "{error}");
    let gap = next(&worker);
    assert_eq!(gap.gap().unwrap().reason, GapReason::StreamLost);
    assert_eq!(kept.ack().unwrap_err().kind(), ErrorKind::Timeout);
    gap.ack().unwrap();
    // From the beginning: what the old group had of this key holds nothing up.
    for expected in 0..3 {
        let delivery = next(&worker);
        assert_eq!(number(&delivery), expected);
        delivery.ack().unwrap();
    }
}

#[test]
fn a_server_that_lost_its_data_is_noticed() {
    let server = Server::start();
    let stream = Stream::redis(server.url());
    stream.append(&events(3)).unwrap();
    let worker = Worker::new(&stream, "g", "one");
    next(&worker).ack().unwrap();
    server.command("FLUSHALL");
    stream.append([&event(7)]).unwrap();
    assert_eq!(worker.next(LONG).unwrap_err().kind(), ErrorKind::NotFound);
    let gap = next(&worker);
    assert_eq!(gap.gap().unwrap().reason, GapReason::StreamLost);
    gap.ack().unwrap();
    let delivery = next(&worker);
    assert_eq!(number(&delivery), 7);
    delivery.ack().unwrap();
    // While it waits, too.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| worker.next(LONG));
        support::eventually("it waits", || {
            server.command("INFO clients").contains("blocked_clients:1")
        });
        server.command("FLUSHALL");
        stream.append([&event(6)]).unwrap();
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    });
    next(&worker).ack().unwrap();
    assert_eq!(number(&next(&worker)), 6);
    // `run` goes on by itself.
    let token = ftrack_api::CancelToken::new();
    server.command("FLUSHALL");
    stream.append([&event(8)]).unwrap();
    let mut seen = Vec::new();
    let handler = |delivery: &ftrack_api::relay::Delivery| {
        seen.push(delivery.gap().is_some());
        if seen.len() == 2 {
            token.cancel();
        }
        Ok(())
    };
    token.run(|| worker.run(handler)).unwrap_err();
    assert_eq!(seen, [true, false]);
}

/// Acknowledges it; how many events it says are lost, and how many it is.
fn counted(delivery: Delivery) -> (u64, u64) {
    let counts = match delivery.gap() {
        Some(gap) => {
            assert_eq!(gap.reason, GapReason::Removed);
            (gap.lost.unwrap(), 0)
        }
        None => (0, 1),
    };
    delivery.ack().unwrap();
    counts
}

#[test]
fn entries_that_vanished_are_a_gap_with_their_number() {
    crate::on_each(|stream| {
        let stream = stream.max_length(200);
        stream.append(&events(10)).unwrap();
        let worker = Worker::new(&stream, "g", "one");
        next(&worker).ack().unwrap();
        stream.append(&events(1000)).unwrap();
        let (mut lost, mut handled) = (0, 1);
        while let Some(delivery) = worker.next(crate::SHORT).unwrap() {
            let more = counted(delivery);
            (lost, handled) = (lost + more.0, handled + more.1);
        }
        assert_eq!(lost + handled, 1010);
        assert!((200..=300).contains(&handled), "{handled}");
    });
}

#[test]
fn entries_that_are_too_old_are_removed_and_are_a_gap() {
    crate::on_each(|stream| {
        let stream = stream.max_age(Duration::from_millis(20));
        let sent = events(500);
        stream.append(&sent[..1]).unwrap();
        let worker = Worker::new(&stream, "g", "one");
        next(&worker).ack().unwrap();
        stream.append(&sent[1..]).unwrap();
        // Redis removes a hundred at once.
        support::eventually("they are removed", || {
            stream.append(&sent[499..]).unwrap();
            stream.status().unwrap().length <= 200
        });
        // What is missing is known by what comes next.
        let last = stream.clone().max_age(LONG);
        last.append(&events(1)).unwrap();
        let appended = stream.status().unwrap().appended;
        let (mut lost, mut handled) = (0, 1);
        while lost + handled < appended {
            let delivery = next(&worker);
            let more = counted(delivery);
            (lost, handled) = (lost + more.0, handled + more.1);
        }
        assert!(lost >= 300 && lost + handled == appended, "{lost}");
        // By then nothing knows its id.
        assert_eq!(stream.append(&sent[..1]).unwrap(), 1);
    });
}

#[test]
fn a_file_that_is_no_stream_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    std::fs::write(&path, "precious").unwrap();
    let error = Stream::local(&path).append(&events(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let error = Stream::local(folder.path()).append(&events(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(
        error
            .to_string()
            .contains(&folder.path().display().to_string()),
        "{error}"
    );
}

#[test]
#[cfg(unix)]
fn a_local_stream_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/events.db");
    Stream::local(&path)
        .append([&Event::new("t").with_data(json!(1))])
        .unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
