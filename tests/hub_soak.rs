//! Fifty subscriptions for a while: nothing is lost, nothing comes twice, memory stays flat.
//!
//! Three seconds here; `FTRACK_SOAK_SECONDS=1800 cargo test --test hub_soak -- --nocapture` for
//! half an hour.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test reports"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ftrack_api::Event;
use ftrack_api::hub::SubscribeOptions;
use serde_json::json;
use support::{emulator, open};

const SUBSCRIPTIONS: usize = 50;
/// For what must happen in the end.
const LONG: Duration = Duration::from_secs(120);
/// Between two events: about two hundred a second.
const PACE: Duration = Duration::from_millis(5);

#[test]
fn fifty_subscriptions_lose_nothing() {
    // On a busy machine events pile up for a while, now and then.
    let is_flat = |_| match soak() {
        (Some(early), Some(late)) => late < early + 4096,
        _ => true,
    };
    assert!((0..3).any(is_flat), "memory grows each time");
}

/// Returns what the process keeps in memory early and late, in KiB.
fn soak() -> (Option<u64>, Option<u64>) {
    let seconds = std::env::var("FTRACK_SOAK_SECONDS").map_or(3, |text| text.parse().unwrap());
    let server = emulator();
    let (listening, speaking) = (open(&server), open(&server));
    let hub = listening.event_hub();
    hub.connect().unwrap();
    speaking.event_hub().connect().unwrap();
    let counts: Arc<Vec<AtomicU64>> =
        Arc::new((0..SUBSCRIPTIONS).map(|_| AtomicU64::new(0)).collect());
    for topic in 0..SUBSCRIPTIONS {
        let counts = counts.clone();
        let handler = move |event: &Event| {
            let expected = counts[topic].fetch_add(1, Ordering::SeqCst);
            assert_eq!(
                event.data()["number"],
                expected,
                "out of order, lost or twice"
            );
            Ok(None)
        };
        let options = SubscribeOptions::new().acknowledged(LONG);
        hub.subscribe_with(
            format!("topic=studio.soak.{topic}").as_str(),
            options,
            handler,
        )
        .unwrap();
    }

    let (start, end) = (Instant::now(), Duration::from_secs(seconds));
    let mut sent = 0_u64;
    let mut early = None;
    while start.elapsed() < end {
        let (topic, number) = (sent % SUBSCRIPTIONS as u64, sent / SUBSCRIPTIONS as u64);
        let event = Event::new(format!("studio.soak.{topic}"))
            .with_data(json!({"number": number, "text": "x".repeat(100)}));
        speaking.event_hub().publish(event).unwrap();
        sent += 1;
        hub.wait(PACE).unwrap();
        if early.is_none() && start.elapsed() > end / 4 {
            early = resident_kib();
        }
    }
    let total = || {
        counts
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum::<u64>()
    };
    let patience = Instant::now() + LONG;
    while total() < sent && Instant::now() < patience {
        hub.wait(PACE).unwrap();
    }
    speaking.event_hub().flush(LONG).unwrap();
    let late = resident_kib();
    eprintln!(
        "{sent} events in {seconds} s, resident {early:?} then {late:?} KiB, {:?}",
        hub.counts()
    );
    assert_eq!(total(), sent);
    // A handler that panics is caught, and counted.
    assert_eq!((hub.counts().failed_handlers, hub.counts().dropped), (0, 0));
    (early, late)
}

/// What the process keeps in memory, where the system tells.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
