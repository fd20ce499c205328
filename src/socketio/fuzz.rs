//! The machine on any bytes: the fuzzer's way in, and the test that reads its corpus again.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::socketio::packet::parse_handshake;
use crate::socketio::{Machine, Output, Settings};

/// The most outputs that one step may have: each packet that comes in delivers its own events
/// and may free a window of waiting ones.
const MAX_OUTPUTS: usize = 100_000;

/// Lives a connection by `bytes`: lines that begin with a letter below are steps of ours, all
/// others are packets of the server.
#[allow(unreachable_pub, reason = "public where the fuzzer is built")]
pub fn fuzz_socketio(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut machine = Machine::new(Settings::default(), 7, true);
    let mut now = Duration::ZERO;
    machine.start();
    for line in text.split('\n') {
        match line.split_at_checked(1) {
            Some(("o", heartbeat)) => {
                let response = parse_handshake(&format!("id:{heartbeat}:60:websocket"));
                machine.opened(
                    now + Duration::from_secs(10),
                    response.ok().and_then(|read| read.heartbeat_timeout),
                );
            }
            Some(("h", body)) => _ = parse_handshake(body),
            Some(("l", why)) => machine.lost(now, Error::new(ErrorKind::Connection, why)),
            Some(("p", event)) => machine.publish(now, event.to_owned()),
            Some(("s", id)) => machine.subscribe(now, id.to_owned(), "{}".to_owned()),
            Some(("u", id)) => machine.unsubscribe(now, id, "{}".to_owned()),
            Some(("i", _)) => machine.interrupted(),
            Some(("r", _)) => machine.reconnect(),
            Some(("x", _)) => machine.stop(now),
            Some(("t", seconds)) => {
                now += Duration::from_secs(seconds.parse::<u16>().unwrap_or(1).into());
                machine.tick(now);
            }
            _ => machine.received(now, line),
        }
        drain(&mut machine, now);
    }
    machine.abort();
    drain(&mut machine, now);
}

fn drain(machine: &mut Machine, now: Duration) {
    for _ in 0..MAX_OUTPUTS {
        match machine.next_output() {
            Some(Output::Deliver(arrival)) => {
                if let Ok(event) = serde_json::from_str::<Event>(&arrival.text) {
                    _ = (event.topic(), event.id(), event.source_id());
                }
            }
            Some(Output::Down { error, .. } | Output::End(Some(error))) => _ = error.to_string(),
            Some(_) => {}
            None => {
                machine.tick(now);
                return;
            }
        }
    }
    unreachable!("a step has no end");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_survived() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/socketio");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            fuzz_socketio(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{count} files");
    }
}
