//! Relays that are cut off, held up, killed and without a stream, in simulated time: what comes into the stream is in
//! the order in which the server has sent it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::{LATENESS, Left, Order};
use crate::relay::status::{First, RelayRecord};

/// The steps of the simulation: milliseconds.
const STEP: i64 = 20;

struct Relay {
    name: String,
    order: Order,
    /// Number, event, time, and whether something may be missing before.
    backlog: VecDeque<(u64, u64, i64, bool)>,
    next: u64,
    is_connected: bool,
    connected_at: i64,
    /// What is on its way: when it arrives, and the event, or a new connection.
    incoming: VecDeque<(i64, Option<u64>)>,
    /// Until when it does nothing.
    stuck_until: i64,
    drained: i64,
    records: BTreeMap<String, RelayRecord>,
    is_introduced: bool,
}

impl Relay {
    fn new(name: &str, left: VecDeque<(u64, u64, i64, bool)>) -> Self {
        let backlog: VecDeque<_> = (0..)
            .zip(left)
            .map(|(at, (_, event, time, begins))| (at, event, time, begins))
            .collect();
        Self {
            name: name.to_owned(),
            order: Order::new(
                backlog
                    .iter()
                    .map(|(number, event, at, is_after_gap)| Left {
                        number: *number,
                        first: First {
                            at: *at,
                            id: event.to_string(),
                        },
                        is_after_gap: *is_after_gap,
                    }),
            ),
            next: backlog.len() as u64,
            backlog,
            is_connected: false,
            connected_at: 0,
            incoming: VecDeque::new(),
            stuck_until: 0,
            drained: 0,
            records: BTreeMap::new(),
            is_introduced: false,
        }
    }

    fn connect(&mut self, now: i64) {
        (self.is_connected, self.connected_at) = (true, now);
        self.incoming.push_back((now, None));
    }

    /// Runs that are shorter than events are late cannot be told apart if they have no event in common.
    fn may_be_cut_off(&self, now: i64) -> bool {
        self.is_connected && now - self.connected_at > LATENESS
    }

    fn receive(&mut self, now: i64) {
        while self.incoming.front().is_some_and(|(at, _)| *at <= now) {
            let arrival = self.incoming.pop_front().and_then(|(_, arrival)| arrival);
            let Some(event) = arrival else {
                // A new connection.
                self.order.break_off();
                continue;
            };
            let begins = self.order.is_broken();
            self.order.push(self.next, &event.to_string(), now);
            self.backlog.push_back((self.next, event, now, begins));
            self.next += 1;
        }
        self.drained = now;
    }

    /// As `Running` does.
    fn append(&mut self, stream: &mut Stream, now: i64) {
        let clock = stream.began + Duration::from_millis(now.unsigned_abs());
        if !std::mem::replace(&mut self.is_introduced, true) {
            self.records = stream.records.clone();
            self.order.note(&self.name, &self.records, clock);
        }
        for _ in 0..3 {
            let knows = |id: &str| Ok::<_, Infallible>(stream.known.contains(id));
            let Ok(()) = self.order.release(&self.name, &self.records, clock, knows);
            let end = self.order.held().map_or(u64::MAX, |(number, _)| number);
            let oldest = self.backlog.front().map(|(_, _, at, _)| *at);
            let held = self
                .order
                .held()
                .filter(|(number, _)| self.backlog.front().is_some_and(|front| front.0 == *number));
            let record = RelayRecord {
                reported: Some(now),
                held: held.map(|(_, first)| first.clone()),
                cleared: Some(oldest.unwrap_or(self.drained).min(self.drained)),
                ..RelayRecord::default()
            };
            let before = stream.records.clone();
            stream.records.insert(self.name.clone(), record);
            let free = self
                .backlog
                .iter()
                .take_while(|(number, ..)| *number < end)
                .count();
            for (_, event, ..) in self.backlog.drain(..free.min(50)) {
                if stream.known.insert(event.to_string()) {
                    stream.entries.push(event);
                }
            }
            self.records = before;
            self.order.note(&self.name, &self.records, clock);
        }
    }
}

struct Stream {
    began: Instant,
    entries: Vec<u64>,
    known: BTreeSet<String>,
    records: BTreeMap<String, RelayRecord>,
}

fn simulate(seed: u64, count: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut stream = Stream {
        began: Instant::now(),
        entries: Vec::new(),
        known: BTreeSet::new(),
        records: BTreeMap::new(),
    };
    let names = ["one", "two", "three"];
    let mut relays: Vec<Relay> = names[..count]
        .iter()
        .map(|name| Relay::new(name, VecDeque::new()))
        .collect();
    // They have reported before; nobody can wait for one that never has.
    for relay in &relays {
        let record = RelayRecord {
            reported: Some(0),
            cleared: Some(0),
            ..RelayRecord::default()
        };
        stream.records.insert(relay.name.clone(), record);
    }
    let (mut next, mut away_until) = (0, 0);
    let faults_end = 60_000;
    for now in (0..faults_end + 60_000).step_by(STEP as usize) {
        let has_faults = now < faults_end;
        for relay in &mut relays {
            if !relay.is_connected && random.u32(..8) == 0 {
                relay.connect(now);
            }
        }
        for _ in 0..random.u64(..6) {
            for relay in relays.iter_mut().filter(|relay| relay.is_connected) {
                let last = relay.incoming.back().map_or(0, |(at, _)| *at);
                let late = if random.u32(..50) == 0 {
                    random.i64(0..800)
                } else {
                    random.i64(0..30)
                };
                relay.incoming.push_back((last.max(now + late), Some(next)));
            }
            next += 1;
        }
        if has_faults && random.u32(..100) == 0 {
            // What was sent may arrive, or not.
            let all = random.bool();
            for relay in &mut relays {
                if relay.may_be_cut_off(now) && (all || random.bool()) {
                    relay.is_connected = false;
                    let kept = random.usize(..=relay.incoming.len());
                    relay.incoming.truncate(kept);
                }
            }
        }
        if has_faults && random.u32(..300) == 0 {
            away_until = now + random.i64(0..5000);
        }
        for relay in &mut relays {
            if has_faults && random.u32(..300) == 0 {
                relay.stuck_until = now + random.i64(0..1500);
            }
            if has_faults && random.u32(..400) == 0 && relay.may_be_cut_off(now) {
                // Killed: what was in memory is lost, what was in the journal is not.
                let mut left = std::mem::take(&mut relay.backlog);
                if random.bool() {
                    left.clear();
                }
                *relay = Relay::new(&relay.name.clone(), left);
                relay.stuck_until = now + random.i64(0..1500);
            }
            if now < relay.stuck_until {
                continue;
            }
            relay.receive(now);
            if now < away_until {
                relay.order.pause();
            } else {
                relay.append(&mut stream, now);
            }
        }
    }
    let late = stream.entries.windows(2).find(|pair| pair[0] > pair[1]);
    assert_eq!(late, None, "seed {seed}, {count} relays");
    for relay in &relays {
        let waits = relay.backlog.front().map(|front| front.1);
        assert!(
            waits.is_none_or(|event| event + 2000 > next),
            "{} waits for ever: seed {seed}",
            relay.name
        );
    }
    assert!(
        stream.entries.len() as u64 > next / 2,
        "{} of {next}: seed {seed}",
        stream.entries.len()
    );
}

/// `RELAY_TEST_SEED`, when the test is built, tries others: only the configuration reads the environment.
#[test]
fn what_comes_into_the_stream_is_in_the_servers_order() {
    let seed = option_env!("RELAY_TEST_SEED");
    let first: u64 = seed.map_or(1, |text| text.parse().expect("a number"));
    for seed in first..first + 20 {
        for count in 1..=3 {
            simulate(seed, count);
        }
    }
}
